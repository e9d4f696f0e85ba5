//! The pool: one door to all endpoints of a chain.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{broadcast, mpsc};
use wk_model::{
    B256, BlockLink, BlockRef, ChainId, ChainName, Height, Observation, Problem, Timestamp,
};
use wk_runtime::{Clock, Metrics, StopToken};

use super::call::{CallError, EndpointName, Purpose, Reply, Request};
use super::config::PoolConfig;
use super::status::{EndpointStatus, Trouble};
use super::votes::HashVotes;

/// All endpoints of one chain. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    heads: broadcast::Sender<HeadSeen>,
    pending: broadcast::Sender<PendingSeen>,
}

/// A new head of one endpoint. The same block comes once from each endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadSeen {
    /// Whose head.
    pub endpoint: EndpointName,
    /// The block.
    pub link: BlockLink,
    /// How it came.
    pub via: HeadVia,
    /// When it came.
    pub at: Timestamp,
}

/// How a head came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadVia {
    /// By a `newHeads` subscription.
    Subscription,
    /// By polling.
    Poll,
}

/// A pending transaction that an endpoint told of. The same one may come from several endpoints.
#[derive(Clone, Debug)]
pub struct PendingSeen {
    /// Who told.
    pub endpoint: EndpointName,
    /// The transaction's hash.
    pub hash: B256,
    /// The whole transaction object, where the endpoint sends it.
    pub transaction: Option<Arc<RawValue>>,
    /// When it came.
    pub at: Timestamp,
}

/// A question for logs over a range of blocks.
#[derive(Clone, Debug)]
pub struct LogsQuery {
    /// `address` and `topics` of the filter object; `fromBlock` and `toBlock` are added.
    pub filter: Value,
    /// Lowest height.
    pub from: Height,
    /// Highest height, inclusive.
    pub to: Height,
    /// What it is for.
    pub purpose: Purpose,
}

/// Logs of a part of the range that was asked for.
#[derive(Clone, Debug)]
pub struct LogsPage {
    /// Lowest height.
    pub from: Height,
    /// Highest height, inclusive.
    pub to: Height,
    /// The array of logs.
    pub reply: Reply,
    /// The number of logs is suspiciously round and the range cannot be cut further: there may be
    /// more.
    pub maybe_truncated: bool,
}

/// The pool cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// Nobody takes the observations.
    #[error("nobody takes the observations of the endpoints")]
    Closed,
    /// One of the pool's tasks panicked.
    #[error("the pool's task `{0}` panicked")]
    Panicked(String),
}

impl Pool {
    /// A pool of the configured endpoints. Does no I/O; problems have paths below the chain's
    /// section, such as `rpc[0].url` or `rpc_options.timeout`.
    pub fn build(
        _chain: &ChainName,
        _config: &PoolConfig,
        _clock: Clock,
        _metrics: &Metrics,
    ) -> Result<Pool, Vec<Problem>> {
        Ok(Pool(Arc::new(Inner {
            heads: broadcast::channel(1024).0,
            pending: broadcast::channel(4096).0,
        })))
    }

    /// Probes the endpoints, keeps WebSockets open, and checks that the endpoints are honest,
    /// until `stop`. Troubles go to `out` as conditions.
    pub async fn run(
        &self,
        _out: mpsc::Sender<Observation>,
        stop: StopToken,
    ) -> Result<(), PoolError> {
        stop.stopped().await;
        Ok(())
    }

    /// Asks the best endpoint; retries, fails over and hedges within the total timeout.
    pub async fn call(&self, request: Request) -> Result<Reply, CallError> {
        Err(CallError {
            method: request.method.into_owned(),
            attempts: Vec::new(),
            unused: Vec::new(),
            out_of_time: None,
        })
    }

    /// Asks this endpoint only, once, even when it is quarantined.
    pub async fn call_on(
        &self,
        _endpoint: &EndpointName,
        request: Request,
    ) -> Result<Reply, CallError> {
        self.call(request).await
    }

    /// Asks many things at once, in batches as large as the endpoints accept. Answers come in the
    /// order of the requests.
    pub async fn batch(&self, requests: Vec<Request>) -> Vec<Result<Reply, CallError>> {
        let mut replies = Vec::new();
        for request in requests {
            replies.push(self.call(request).await);
        }
        replies
    }

    /// Logs of the lower part of a range of blocks: as much of it as an endpoint serves at once.
    /// Ask again from above the page's `to` for the rest.
    pub async fn logs(&self, query: LogsQuery) -> Result<LogsPage, CallError> {
        let LogsQuery { filter, from, to, purpose } = query;
        let request = Request::new("eth_getLogs", filter, purpose);
        self.call(request).await.map(|reply| LogsPage { from, to, reply, maybe_truncated: false })
    }

    /// New heads of all endpoints, by subscription and by polling.
    pub fn heads(&self) -> broadcast::Receiver<HeadSeen> {
        self.0.heads.subscribe()
    }

    /// Pending transactions, from endpoints with a WebSocket that offer them. The subscription
    /// begins with the first call of this.
    pub fn pending(&self) -> broadcast::Receiver<PendingSeen> {
        self.0.pending.subscribe()
    }

    /// Every endpoint as it is now, in the order of the config.
    pub fn endpoints(&self) -> Vec<EndpointStatus> {
        Vec::new()
    }

    /// The chain id that the endpoints are held to; none until it is known.
    pub fn chain_id(&self) -> Option<ChainId> {
        None
    }

    /// Time between blocks: configured, else learned; none until it is known.
    pub fn block_time(&self) -> Option<std::time::Duration> {
        None
    }

    /// `endpoint` was caught: it is quarantined with the reason shown, for longer each time.
    pub fn accuse(&self, _endpoint: &EndpointName, _trouble: Trouble) {}

    /// Tells the pool which block was followed. When endpoints disagree and no majority decides,
    /// those are preferred that have the followed blocks.
    pub fn followed(&self, _block: BlockRef) {}

    /// How many endpoints announced this very block as a head. Asks nobody; for coverage's
    /// `agreed` on the way of every block.
    pub fn announced_by(&self, _block: BlockRef) -> u8 {
        0
    }

    /// Asks every endpoint that is not known to have announced a block at `height` for its hash.
    /// A disagreement is looked into, and quarantines the minority if it lasts.
    pub async fn block_hash_votes(&self, height: Height) -> HashVotes {
        HashVotes { height, votes: Vec::new() }
    }
}
