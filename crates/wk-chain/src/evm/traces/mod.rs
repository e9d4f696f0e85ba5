//! What transactions did inside, from whatever the endpoints can do; and what they cannot, with how
//! to enable it.

mod check;
mod config;
mod effort;
mod fault;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;
use wk_model::primitives::B256;
use wk_model::{BlockRef, ChainName, evm};
use wk_runtime::Metrics;

pub use config::{PendingOptions, TraceMode, TraceOptions, TraceWatch};

use super::signals;
use crate::rpc::{CallError, EndpointName, Pool, Request};
use check::{Text, flat, tree, trees};
use effort::{Effort, Work, starts_anew};
use fault::{Fault, judge};

/// A way to learn what the transactions of a block did. A new one, such as executing the block here,
/// is a variant, its place in [`TraceVia::ORDER`] and an arm in [`Tracer::block`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceVia {
    /// `debug_traceBlockByHash` with the `callTracer`: all calls of the block at once.
    CallTracer,
    /// `trace_block`: the same, flat.
    Parity,
    /// `debug_traceTransaction` with the `callTracer`: transaction by transaction.
    Transactions,
    /// Receipts alone: no calls are known.
    Receipts,
}

impl TraceVia {
    /// The ways, best first.
    const ORDER: [TraceVia; 3] = [TraceVia::CallTracer, TraceVia::Parity, TraceVia::Transactions];

    /// Its name as data and metrics show it.
    pub fn name(self) -> &'static str {
        match self {
            TraceVia::CallTracer => "call_tracer",
            TraceVia::Parity => "parity",
            TraceVia::Transactions => "transactions",
            TraceVia::Receipts => "receipts",
        }
    }

    /// The method that an endpoint needs for it.
    pub fn method(self) -> &'static str {
        match self {
            TraceVia::CallTracer => "debug_traceBlockByHash",
            TraceVia::Parity => "trace_block",
            TraceVia::Transactions => "debug_traceTransaction",
            TraceVia::Receipts => "eth_getBlockReceipts",
        }
    }

    /// Whether it tells of calls.
    pub fn tells_calls(self) -> bool {
        self != TraceVia::Receipts
    }
}

impl fmt::Display for TraceVia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How to get traces where there are none, in one line.
pub const HOW_TO_ENABLE: &str = "geth: --http.api eth,net,web3,debug; reth: --http.api \
     eth,net,web3,debug,trace; erigon: --http.api eth,debug,trace; nethermind: \
     --JsonRpc.EnabledModules Eth,Net,Web3,Debug,Trace; besu: --rpc-http-api=ETH,NET,WEB3,DEBUG,TRACE; \
     hosted endpoints: the plan or add-on that is called debug, trace or archive API. Or set \
     `traces: off` for this chain";

/// The traces of a block's transactions.
#[derive(Clone, Debug)]
pub struct BlockTraces {
    /// How they were had.
    pub via: TraceVia,
    /// Who gave them; none when nobody had to be asked.
    pub endpoint: Option<EndpointName>,
    /// For each transaction in block order a call tree or an array of flat traces, as it was sent.
    /// None where only its receipt is known.
    pub texts: Vec<Option<Text>>,
    /// Better ways that could not be gone, and why.
    pub lacks: Vec<Lack>,
}

/// A way that cannot be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Which.
    pub via: TraceVia,
    /// Why not.
    pub kind: LackKind,
    /// What the endpoints said.
    pub detail: String,
}

/// Why a way cannot be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LackKind {
    /// No endpoint offers it.
    Missing,
    /// The state that tracing needs is gone.
    Pruned,
    /// The answer is larger than is accepted.
    TooLarge,
}

/// The traces of a block cannot be had now; later they may.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no traces of {what}")]
pub struct TraceError {
    /// Which way failed.
    pub via: TraceVia,
    /// Of what.
    pub what: String,
    /// Why.
    pub source: Box<CallError>,
}

/// Asks for traces. Clones share what was learnt about the endpoints.
#[derive(Clone)]
pub struct Tracer(Arc<Inner>);

struct Inner {
    chain: ChainName,
    pool: Pool,
    mode: TraceMode,
    timeout: Duration,
    metrics: Metrics,
    /// Endpoints that cannot go a way, though they know the method; until when that is believed.
    lacking: Mutex<BTreeMap<(EndpointName, TraceVia), Instant>>,
    effort: Mutex<Effort>,
}

/// An endpoint that lacks something is asked again after this long.
const LACKING_FOR: Duration = Duration::from_secs(3_600);
/// After so many failures of a block as a whole, its transactions are traced one by one.
const ONE_BY_ONE_AFTER: u32 = 3;

/// Of the time between two blocks, tracing one may take this part without another way being tried.
const OF_A_BLOCK_TIME: u32 = 4;
/// The time between two blocks that is assumed before it is known.
const UNKNOWN_BLOCK_TIME: Duration = Duration::from_secs(1);

impl Tracer {
    /// A tracer that has learnt nothing yet.
    pub fn new(
        chain: &ChainName,
        pool: &Pool,
        mode: TraceMode,
        options: &TraceOptions,
        metrics: &Metrics,
    ) -> Tracer {
        Tracer(Arc::new(Inner {
            chain: chain.clone(),
            pool: pool.clone(),
            mode,
            timeout: options.timeout.0,
            metrics: metrics.clone(),
            lacking: Mutex::default(),
            effort: Mutex::default(),
        }))
    }

    /// The traces of all transactions of `block`, which failed `failures` times before. They are
    /// its own: number and hashes of the transactions fit, and the block is named by its hash, or
    /// its hash is in the answer.
    ///
    /// # Errors
    /// When an endpoint that should have them did not give them; trying again may help.
    pub async fn block(
        &self,
        block: &evm::Block,
        failures: u32,
    ) -> Result<BlockTraces, TraceError> {
        let at = block.header.block_ref();
        let hashes: Vec<B256> = block.transactions.iter().map(|tx| tx.hash).collect();
        let mut lacks: Vec<Lack> = Vec::new();
        let mut ways = self.ways(failures, &mut lacks);
        let work = Work::of(block);
        self.prefer_the_cheap(&mut ways, work);
        for via in ways {
            let started = Instant::now();
            let had = match via {
                _ if hashes.is_empty() => Ok((None, Vec::new())),
                TraceVia::CallTracer => self.trees(at, &hashes).await,
                TraceVia::Parity => self.flat(at, &hashes).await,
                TraceVia::Transactions => self.one_by_one(at, &hashes).await,
                TraceVia::Receipts => break,
            };
            self.count(via, &had, started);
            match had {
                Ok((endpoint, texts)) => {
                    let now = Instant::now();
                    self.0.effort.lock().learn(via, work, now - started, now);
                    return Ok(BlockTraces { via, endpoint, texts, lacks });
                }
                Err(Fault::Lacks(kind, detail)) => lacks.push(Lack { via, kind, detail }),
                Err(Fault::Failed(source)) => {
                    let what = format!("block {at}");
                    return Err(TraceError { via, what, source });
                }
            }
        }
        // The receipts came with the block.
        let texts = hashes.iter().map(|_| None).collect();
        self.count(TraceVia::Receipts, &Ok((None, Vec::new())), Instant::now());
        Ok(BlockTraces { via: TraceVia::Receipts, endpoint: None, texts, lacks })
    }

    /// The trace of one transaction of `block`, and how it was had.
    ///
    /// # Errors
    /// As for [`Tracer::block`].
    pub async fn transaction(
        &self,
        block: BlockRef,
        hash: B256,
    ) -> Result<BlockTraces, TraceError> {
        let mut lacks = Vec::new();
        let mut ways = vec![TraceVia::Transactions, TraceVia::Parity];
        if self.0.mode == TraceMode::Parity {
            ways.reverse();
        }
        for via in ways {
            let had = match via {
                TraceVia::Parity => self.flat_of(block, hash).await,
                _ => self.one_by_one(block, &[hash]).await,
            };
            match had {
                Ok((endpoint, texts)) => return Ok(BlockTraces { via, endpoint, texts, lacks }),
                Err(Fault::Lacks(kind, detail)) => lacks.push(Lack { via, kind, detail }),
                Err(Fault::Failed(source)) => {
                    return Err(TraceError { via, what: format!("transaction {hash}"), source });
                }
            }
        }
        Ok(BlockTraces { via: TraceVia::Receipts, endpoint: None, texts: vec![None], lacks })
    }

    /// The best way that `endpoint` can go, tried on `block`, or what it says to each.
    ///
    /// # Errors
    /// Says why none can be gone, best way first.
    pub async fn try_endpoint(
        &self,
        endpoint: &EndpointName,
        block: BlockRef,
    ) -> Result<TraceVia, String> {
        let mut said = Vec::new();
        for via in self.ways(0, &mut Vec::new()) {
            let params = match via {
                TraceVia::CallTracer => json!([block.hash, tracer()]),
                TraceVia::Parity => json!([format!("{:#x}", block.height.0)]),
                TraceVia::Transactions | TraceVia::Receipts => continue,
            };
            let request = Request::trace(via.method(), params, self.0.timeout);
            match self.0.pool.call_on(endpoint, request).await {
                Ok(reply) if !reply.is_null() => return Ok(via),
                Ok(_) => said.push(format!("{}: null", via.method())),
                Err(error) => {
                    let last = error.attempts.last();
                    let why = last.map_or_else(|| error.to_string(), |last| last.message.clone());
                    said.push(format!("{}: {why}", via.method()));
                }
            }
        }
        Err(said.join("; "))
    }

    fn ways(&self, failures: u32, lacks: &mut Vec<Lack>) -> Vec<TraceVia> {
        let fits = |via: &TraceVia| match (self.0.mode, via) {
            (TraceMode::Auto, _) => true,
            (TraceMode::CallTracer, via) => *via != TraceVia::Parity,
            (TraceMode::Parity, via) => *via == TraceVia::Parity,
            (TraceMode::Off, _) => false,
        };
        let mut ways: Vec<TraceVia> = TraceVia::ORDER.into_iter().filter(fits).collect();
        if failures >= ONE_BY_ONE_AFTER && ways.len() > 1 {
            // The whole block is too much for the node; one at a time may not be.
            let detail = format!("failed {failures} times");
            lacks.push(Lack { via: ways[0], kind: LackKind::TooLarge, detail });
            ways.retain(|via| *via == TraceVia::Transactions);
        }
        ways
    }

    /// Puts the way first that does not hold up the chain, where all may be gone.
    fn prefer_the_cheap(&self, ways: &mut Vec<TraceVia>, work: Work) {
        if self.0.mode != TraceMode::Auto {
            return;
        }
        let endpoints = self.0.pool.endpoints();
        let mut clients =
            endpoints.iter().filter_map(|one| one.client_version.as_deref()).peekable();
        let anew = clients.peek().is_some() && clients.all(starts_anew);
        let bound = self.0.pool.block_time().unwrap_or(UNKNOWN_BLOCK_TIME) / OF_A_BLOCK_TIME;
        self.0.effort.lock().order(ways, work, anew, bound, Instant::now());
    }

    async fn trees(&self, at: BlockRef, hashes: &[B256]) -> Had {
        let request = self.request(TraceVia::CallTracer, json!([at.hash, tracer()]));
        let expected = hashes.to_vec();
        let check = move |answer: &RawValue| trees(answer, &expected).map(drop);
        let reply =
            self.call(TraceVia::CallTracer, request.pinned(at.height).validated(check)).await?;
        let texts = trees(&reply.0, hashes).map_err(|_| Fault::odd())?;
        Ok((Some(reply.1), texts.into_iter().map(Some).collect()))
    }

    async fn flat(&self, at: BlockRef, hashes: &[B256]) -> Had {
        let request = self.request(TraceVia::Parity, json!([format!("{:#x}", at.height.0)]));
        let expected = hashes.to_vec();
        let check = move |answer: &RawValue| flat(answer, at.hash, &expected).map(drop);
        let reply = self.call(TraceVia::Parity, request.pinned(at.height).validated(check)).await?;
        let texts = flat(&reply.0, at.hash, hashes).map_err(|_| Fault::odd())?;
        Ok((Some(reply.1), texts.into_iter().map(Some).collect()))
    }

    async fn flat_of(&self, at: BlockRef, hash: B256) -> Had {
        let mut request = self.request(TraceVia::Parity, json!([hash]));
        request.method = "trace_transaction".into();
        let check = move |answer: &RawValue| flat(answer, at.hash, &[hash]).map(drop);
        let reply = self.call(TraceVia::Parity, request.pinned(at.height).validated(check)).await?;
        let texts = flat(&reply.0, at.hash, &[hash]).map_err(|_| Fault::odd())?;
        Ok((Some(reply.1), texts.into_iter().map(Some).collect()))
    }

    async fn one_by_one(&self, at: BlockRef, hashes: &[B256]) -> Had {
        let via = TraceVia::Transactions;
        let request = |hash: &B256| {
            self.request(via, json!([hash, tracer()])).pinned(at.height).validated(tree)
        };
        let replies = self.0.pool.batch(hashes.iter().map(request).collect()).await;
        let (mut endpoint, mut texts) = (None, Vec::with_capacity(hashes.len()));
        let mut lack = None;
        for reply in replies {
            match reply {
                Ok(reply) => {
                    endpoint = Some(reply.endpoint);
                    texts.push(Some(reply.value));
                }
                Err(error) => match self.fault(via, error) {
                    // One transaction that is too large does not take the others along.
                    Fault::Lacks(kind, detail) => {
                        lack = Some((kind, detail));
                        texts.push(None);
                    }
                    failed @ Fault::Failed(_) => return Err(failed),
                },
            }
        }
        match lack {
            Some((kind, detail)) if texts.iter().all(Option::is_none) => {
                Err(Fault::Lacks(kind, detail))
            }
            _ => Ok((endpoint, texts)),
        }
    }

    fn request(&self, via: TraceVia, params: Value) -> Request {
        let mut request = Request::trace(via.method(), params, self.0.timeout);
        let now = Instant::now();
        let lacking = self.0.lacking.lock();
        let known = lacking.iter().filter(|((_, lacks), until)| *lacks == via && **until > now);
        request.avoid.extend(known.map(|((endpoint, _), _)| endpoint.clone()));
        request
    }

    async fn call(&self, via: TraceVia, request: Request) -> Result<(Text, EndpointName), Fault> {
        match self.0.pool.call(request).await {
            Ok(reply) => Ok((reply.value, reply.endpoint)),
            Err(error) => Err(self.fault(via, error)),
        }
    }

    /// What a failed call means, after remembering who lacks what.
    fn fault(&self, via: TraceVia, error: CallError) -> Fault {
        let known: Vec<EndpointName> = {
            let lacking = self.0.lacking.lock();
            lacking
                .keys()
                .filter(|(_, lacks)| *lacks == via)
                .map(|(name, _)| name.clone())
                .collect()
        };
        let (fault, missing) = judge(error, &known);
        let mut lacking = self.0.lacking.lock();
        let until = Instant::now() + LACKING_FOR;
        lacking.extend(missing.into_iter().map(|endpoint| ((endpoint, via), until)));
        fault
    }

    fn count(&self, via: TraceVia, had: &Had, started: Instant) {
        let result = match had {
            Ok(_) => "ok",
            Err(Fault::Lacks(LackKind::Missing, _)) => "missing",
            Err(Fault::Lacks(LackKind::Pruned, _)) => "pruned",
            Err(Fault::Lacks(LackKind::TooLarge, _)) => "too_large",
            Err(Fault::Failed(_)) => "failed",
        };
        let chain = self.0.chain.as_str();
        self.0.metrics.counter(&signals::TRACED_BLOCKS, &[chain, via.name(), result]).inc();
        if had.is_ok() && via.tells_calls() {
            let seconds = self.0.metrics.histogram(&signals::TRACE_SECONDS, &[chain, via.name()]);
            seconds.observe(started.elapsed().as_secs_f64());
        }
    }
}

/// Who gave it, and one text per transaction.
type Had = Result<(Option<EndpointName>, Vec<Option<Text>>), Fault>;

fn tracer() -> Value {
    json!({"tracer": "callTracer", "tracerConfig": {"withLog": true}})
}
