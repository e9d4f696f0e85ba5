//! The pool: one door to all endpoints of a chain.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use wk_model::{B256, BlockRef, ChainId, ChainName, Height, Observation, Problem, Timestamp};
use wk_runtime::{Clock, Metrics, StopToken};

use super::ask::Miss;
use super::call::{CallError, EndpointName, Reply, Request, Unused};
use super::config::{PoolConfig, RpcConfig};
use super::endpoint::{Endpoint, Refused};
use super::heads::{BlockPace, Frontier, HeadSeen};
use super::http::{Http, Limits};
use super::logs::{LogsPage, LogsQuery};
use super::status::{EndpointStatus, Trouble, TroubleKind};
use super::votes::HashVotes;
use super::watch::Tending;
use super::ws::{Wishes, WsOptions};

/// All endpoints of one chain. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

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

/// What all clones share.
pub(crate) struct Inner {
    pub(crate) chain: ChainName,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) options: RpcConfig,
    pub(crate) ws_options: WsOptions,
    pub(crate) http: Http,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) heads: broadcast::Sender<HeadSeen>,
    pub(crate) pending: broadcast::Sender<PendingSeen>,
    pub(crate) wishes: watch::Sender<Wishes>,
    pub(crate) common: Mutex<Common>,
    /// One look at the chain ids of all endpoints at a time.
    pub(crate) identity_gate: tokio::sync::Mutex<()>,
    /// Heights at which somebody saw different hashes.
    pub(crate) suspects: Mutex<BTreeSet<Height>>,
    pub(crate) suspicion: Notify,
    /// Conditions may have changed.
    pub(crate) changed: Notify,
    /// Ends the WebSockets.
    pub(crate) stop: StopToken,
    pub(crate) me: Weak<Inner>,
    next_id: AtomicU64,
}

/// What is known of the chain as a whole.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) configured_id: Option<ChainId>,
    /// What the endpoints' answers came to.
    pub(crate) learned_id: Option<ChainId>,
    pub(crate) frontier: Frontier,
    pub(crate) pace: BlockPace,
    pub(crate) configured_block_time: Option<Duration>,
    /// From two blocks far apart, until the heads tell.
    pub(crate) first_block_time: Option<Duration>,
    /// That was tried.
    pub(crate) block_time_measured: bool,
    followed: VecDeque<BlockRef>,
}

/// Block times outside of this would only make timers odd.
const SHORTEST_BLOCK_TIME: Duration = Duration::from_millis(1);
const LONGEST_BLOCK_TIME: Duration = Duration::from_secs(86_400);
/// Followed blocks that are remembered.
const FOLLOWED: usize = 512;

impl Common {
    /// The chain id that everybody is held to for good: what was configured, or what was learned
    /// and then followed.
    pub(crate) fn known_id(&self) -> Option<ChainId> {
        self.configured_id.or(self.learned_id.filter(|_| !self.followed.is_empty()))
    }

    pub(crate) fn block_time(&self) -> Option<Duration> {
        self.configured_block_time.or_else(|| self.pace.block_time()).or(self.first_block_time)
    }

    /// The hash of the block that was followed at `height`.
    pub(crate) fn followed_at(&self, height: Height) -> Option<B256> {
        self.followed.iter().rev().find(|block| block.height == height).map(|block| block.hash)
    }
}

impl Pool {
    /// A pool of the configured endpoints. Does no I/O; problems have paths below the chain's
    /// section, such as `rpc[0].url` or `rpc_options.timeout`.
    pub fn build(
        chain: &ChainName,
        config: &PoolConfig,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Pool, Vec<Problem>> {
        let specs = config.check()?;
        let PoolConfig { endpoints: _, options, chain_id, block_time } = config;
        let endpoints = specs
            .into_iter()
            .map(|spec| Endpoint::new(spec, options, chain, clock.clone(), metrics))
            .collect();
        let limits = Limits {
            connect_timeout: options.connect_timeout.0,
            max_body_bytes: options.max_body_bytes,
        };
        let ws_options = WsOptions {
            connect_timeout: options.connect_timeout.0,
            ping: options.ws_ping.0,
            answer: options.timeout.0,
            max_message_bytes: usize::try_from(options.max_body_bytes).unwrap_or(usize::MAX),
        };
        let sane = block_time.map(|time| time.clamp(SHORTEST_BLOCK_TIME, LONGEST_BLOCK_TIME));
        let wishes = Wishes {
            heads: false,
            pending: false,
            silence: ws_silence(options.ws_silence.map(|silence| silence.0), sane),
        };
        Ok(Pool(Arc::new_cyclic(|me| Inner {
            chain: chain.clone(),
            endpoints,
            options: options.clone(),
            ws_options,
            http: Http::new(limits),
            clock,
            metrics: metrics.clone(),
            heads: broadcast::channel(1_024).0,
            pending: broadcast::channel(4_096).0,
            wishes: watch::channel(wishes).0,
            common: Mutex::new(Common {
                configured_id: *chain_id,
                learned_id: None,
                frontier: Frontier::default(),
                pace: BlockPace::default(),
                configured_block_time: sane,
                first_block_time: None,
                block_time_measured: false,
                followed: VecDeque::new(),
            }),
            identity_gate: tokio::sync::Mutex::new(()),
            suspects: Mutex::new(BTreeSet::new()),
            suspicion: Notify::new(),
            changed: Notify::new(),
            stop: StopToken::new(),
            me: me.clone(),
            next_id: AtomicU64::new(1),
        })))
    }

    /// Probes the endpoints, keeps WebSockets open, and checks that the endpoints are honest,
    /// until `stop`. Troubles go to `out` as conditions.
    pub async fn run(
        &self,
        out: mpsc::Sender<Observation>,
        stop: StopToken,
    ) -> Result<(), PoolError> {
        Tending::new(&self.0).run(out, stop).await
    }

    /// Asks the best endpoint; retries, fails over and hedges within the total timeout.
    pub async fn call(&self, request: Request) -> Result<Reply, CallError> {
        self.0.call(&request).await
    }

    /// Asks this endpoint only, once, even when it is quarantined.
    pub async fn call_on(
        &self,
        endpoint: &EndpointName,
        request: Request,
    ) -> Result<Reply, CallError> {
        let mut error = CallError {
            method: request.method.to_string(),
            attempts: Vec::new(),
            unused: Vec::new(),
            out_of_time: None,
        };
        let unused =
            |reason: &str| Unused { endpoint: endpoint.clone(), reason: reason.to_owned() };
        let Some(place) = self.0.place(endpoint) else {
            error.unused.push(unused("there is no such endpoint"));
            return Err(error);
        };
        match self.0.ask_when_admitted(place, &request).await {
            Ok(reply) => return Ok(reply),
            Err(Miss::Failed(attempt)) => error.attempts.push(attempt),
            Err(Miss::Refused(Refused::BudgetSpent)) => {
                error.unused.push(unused("request budget of today is spent"));
            }
            Err(Miss::Refused(Refused::Wait(wait))) => {
                error.unused.push(unused(&format!("it wants to be left alone for {wait:?}")));
            }
        }
        Err(error)
    }

    /// Asks many things at once, in batches as large as the endpoints accept. Answers come in the
    /// order of the requests.
    pub async fn batch(&self, requests: Vec<Request>) -> Vec<Result<Reply, CallError>> {
        self.0.batch(&requests).await
    }

    /// Logs of the lower part of a range of blocks: as much of it as an endpoint serves at once.
    /// Ask again from above the page's `to` for the rest.
    pub async fn logs(&self, query: LogsQuery) -> Result<LogsPage, CallError> {
        self.0.logs(&query).await
    }

    /// New heads of all endpoints, by subscription and by polling.
    pub fn heads(&self) -> broadcast::Receiver<HeadSeen> {
        self.0.heads.subscribe()
    }

    /// Pending transactions, from endpoints with a WebSocket that offer them. The subscription
    /// begins with the first call of this.
    pub fn pending(&self) -> broadcast::Receiver<PendingSeen> {
        self.0.wishes.send_if_modified(|wishes| !std::mem::replace(&mut wishes.pending, true));
        self.0.pending.subscribe()
    }

    /// Every endpoint as it is now, in the order of the config.
    pub fn endpoints(&self) -> Vec<EndpointStatus> {
        self.0.statuses()
    }

    /// The chain id that the endpoints are held to; none until it is known.
    pub fn chain_id(&self) -> Option<ChainId> {
        let common = self.0.common.lock();
        common.configured_id.or(common.learned_id)
    }

    /// Time between blocks: configured, else learned; none until it is known.
    pub fn block_time(&self) -> Option<Duration> {
        self.0.common.lock().block_time()
    }

    /// `endpoint` was caught: it is quarantined with the reason shown, for longer each time.
    pub fn accuse(&self, endpoint: &EndpointName, trouble: Trouble) {
        if let Some(place) = self.0.place(endpoint) {
            self.0.accuse(place, trouble);
        }
    }

    /// Tells the pool which block was followed. When endpoints disagree and no majority decides,
    /// those are preferred that have the followed blocks.
    pub fn followed(&self, block: BlockRef) {
        let mut common = self.0.common.lock();
        if common.followed.len() == FOLLOWED {
            common.followed.pop_front();
        }
        common.followed.push_back(block);
    }

    /// How many endpoints announced this very block, as a head or as the parent of one. Asks
    /// nobody; for coverage's `agreed` on the way of every block.
    pub fn announced_by(&self, block: BlockRef) -> u8 {
        let has = |endpoint: &&Endpoint| {
            let state = endpoint.state();
            let believed = state.quarantine.kind().is_none_or(|kind| kind == TroubleKind::Lagging);
            believed && state.heads.hash_at(block.height) == Some(block.hash)
        };
        let count = self.0.endpoints.iter().filter(has).count();
        u8::try_from(count).unwrap_or(u8::MAX)
    }

    /// Asks every endpoint that is not known to have announced a block at `height` for its hash.
    /// A disagreement is looked into, and quarantines the minority if it lasts.
    pub async fn block_hash_votes(&self, height: Height) -> HashVotes {
        self.0.block_hash_votes(height).await
    }
}

impl Inner {
    pub(crate) fn place(&self, endpoint: &EndpointName) -> Option<usize> {
        self.endpoints.iter().position(|have| have.name == *endpoint)
    }

    /// The first of `count` request ids that nobody else uses.
    pub(crate) fn next_ids(&self, count: u64) -> u64 {
        self.next_id.fetch_add(count, Ordering::Relaxed)
    }

    pub(crate) fn accuse(&self, place: usize, trouble: Trouble) {
        if self.endpoints[place].accuse(trouble) {
            self.changed.notify_one();
        }
    }

    /// Tells WebSockets how long a silence is too long, as the block time is known better.
    pub(crate) fn update_silence(&self) {
        let configured = self.options.ws_silence.map(|silence| silence.0);
        let silence = ws_silence(configured, self.common.lock().block_time());
        self.wishes.send_if_modified(|wishes| {
            let changed = wishes.silence != silence;
            wishes.silence = silence;
            changed
        });
    }
}

/// Silence after which a subscription is looked at: three block times, at least three seconds.
fn ws_silence(configured: Option<Duration>, block_time: Option<Duration>) -> Duration {
    const SLOWEST_COMMON: Duration = Duration::from_secs(12);
    configured.unwrap_or_else(|| {
        let silence = (block_time.unwrap_or(SLOWEST_COMMON) * 3).max(Duration::from_secs(3));
        // In whole seconds, so that it does not change with each block that is a little late.
        Duration::from_secs(silence.as_secs())
    })
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.stop();
    }
}
