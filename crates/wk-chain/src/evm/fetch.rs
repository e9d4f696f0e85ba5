//! One block at a time: fetched, verified, and asked for elsewhere when an endpoint's answer cannot
//! be right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;
use wk_model::{BlockRef, ChainName, Check, Checks, Height, evm};
use wk_runtime::Metrics;

use super::config::{EvmConfig, Verify};
use super::json::WireError;
use super::receipts::{Failure, GotOutcomes, Receipts};
use super::signals;
use super::verify::{self, Outcomes, Report, assemble, verify_block};
use super::wire::{RawBlock, RawHeader};
use crate::rpc::{
    CallError, EndpointName, Health, Pool, Purpose, Reply, Request, Trouble, TroubleKind,
};

/// Which block is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// This very block.
    Block(BlockRef),
    /// The block at this height, whichever it is.
    Height(Height),
}

/// A block that was fetched, and how its checks came out.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The block with the outcomes of its transactions.
    pub block: Arc<evm::Block>,
    /// Its checks; the parent is not checked yet.
    pub report: Report,
    /// Who gave the block.
    pub endpoint: EndpointName,
}

/// A block could not be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    /// Every endpoint says that there is no such block.
    #[error("no endpoint has block {0}")]
    Missing(Want),
    /// No endpoint gave an answer that can be right.
    #[error("every answer about block {want} was wrong; the last one, by {endpoint}: {trouble}")]
    Refused {
        /// The block.
        want: Want,
        /// Who gave the last answer.
        endpoint: EndpointName,
        /// What was wrong with it.
        trouble: Trouble,
    },
    /// No endpoint answered.
    #[error("block {want} cannot be fetched")]
    Call {
        /// The block.
        want: Want,
        /// Why.
        source: Box<CallError>,
    },
}

/// Fetches blocks of one chain. Clones share what was learned about it.
#[derive(Clone)]
pub struct Fetcher(Arc<Inner>);

struct Inner {
    chain: ChainName,
    pool: Pool,
    verify: Verify,
    receipts: Receipts,
    metrics: Metrics,
    /// The checks that blocks of this chain mostly pass, as bits.
    usual: AtomicU8,
    /// The last blocks, one bit each, newest lowest: 1 for a block without transactions.
    empty: AtomicU8,
    /// How often in a row an endpoint gave null for something that another one had.
    nulls: Mutex<BTreeMap<(EndpointName, &'static str), u32>>,
}

/// Waits between rounds over the endpoints. A block that is null right after its announcement is
/// mostly there a moment later.
const WAITS: [Duration; 5] = [
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
];

/// After so many nulls in a row for blocks that others have, an endpoint is accused.
const NULLS: u32 = 3;

/// How long other endpoints are waited for, after one did not have a good answer.
const OTHERS: Duration = Duration::from_secs(1);

/// Answers that are asked for in one round at most.
const MOST_ATTEMPTS: usize = 16;

/// Who is to blame for a check that failed, on a lenient chain.
type Doubt = Option<(EndpointName, Trouble)>;

/// Why one attempt did not give a block.
enum Fault {
    /// The endpoint has no such block.
    Null(EndpointName),
    /// The endpoint's answer cannot be right.
    Wrong(EndpointName, Trouble),
    /// Nobody answered.
    Call(Box<CallError>),
}

impl Fetcher {
    /// A fetcher that verifies as `config` says, and has learned nothing yet.
    pub fn build(chain: &ChainName, pool: &Pool, config: &EvmConfig, metrics: &Metrics) -> Fetcher {
        Fetcher(Arc::new(Inner {
            chain: chain.clone(),
            pool: pool.clone(),
            verify: config.verify,
            receipts: Receipts::new(pool, config.receipts),
            metrics: metrics.clone(),
            usual: AtomicU8::new(content_checks(Checks::all())),
            empty: AtomicU8::new(0),
            nulls: Mutex::default(),
        }))
    }

    /// Fetches and verifies a block. Endpoints in `avoid` are asked only when nobody else answers.
    ///
    /// # Errors
    /// When no endpoint has it, none answers, or no answer can be right.
    pub async fn fetch(
        &self,
        want: Want,
        purpose: Purpose,
        avoid: &[EndpointName],
    ) -> Result<Fetched, FetchError> {
        let mut round = self.round(want, purpose, avoid.to_vec()).await;
        if round.is_err() && !avoid.is_empty() {
            round = self.round(want, purpose, Vec::new()).await;
        }
        for wait in WAITS {
            match &round {
                Ok(_) | Err(FetchError::Call { .. }) => break,
                Err(FetchError::Missing(_) | FetchError::Refused { .. }) => {}
            }
            tokio::time::sleep(wait.mul_f64(rand::random_range(0.75..1.25))).await;
            round = self.round(want, purpose, Vec::new()).await;
        }
        round
    }

    /// The same on a task of its own, which ends with the handle.
    pub(super) fn spawn(
        &self,
        want: Want,
        purpose: Purpose,
    ) -> AbortOnDropHandle<Result<Fetched, FetchError>> {
        let fetcher = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move { fetcher.fetch(want, purpose, &[]).await }))
    }

    /// The header of a block, whose hash is recomputed.
    ///
    /// # Errors
    /// As for [`Fetcher::fetch`].
    pub async fn header(&self, block: BlockRef) -> Result<RawHeader, FetchError> {
        let want = Want::Block(block);
        let mut avoid = Vec::new();
        let mut error = FetchError::Missing(want);
        for wait in WAITS {
            match self.one_header(block, &avoid).await {
                Ok(header) => return Ok(header),
                Err(Fault::Null(endpoint)) => avoid.push(endpoint),
                Err(Fault::Wrong(endpoint, trouble)) => {
                    self.0.pool.accuse(&endpoint, trouble.clone());
                    avoid.push(endpoint.clone());
                    error = FetchError::Refused { want, endpoint, trouble };
                }
                Err(Fault::Call(source)) => return Err(FetchError::Call { want, source }),
            }
            if !self.untried(&avoid) {
                avoid.clear();
                tokio::time::sleep(wait).await;
            }
        }
        Err(error)
    }

    /// Asks one endpoint after the other until one gives a block that is as good as usual.
    async fn round(
        &self,
        want: Want,
        purpose: Purpose,
        mut avoid: Vec<EndpointName>,
    ) -> Result<Fetched, FetchError> {
        let mut weaker: Option<Fetched> = None;
        let mut wrong: Option<(EndpointName, Trouble)> = None;
        let mut suspects: Vec<(EndpointName, Trouble)> = Vec::new();
        let mut nulls: Vec<EndpointName> = Vec::new();
        let mut unanswered = None;
        for _ in 0..MOST_ATTEMPTS {
            // Others may be behind: at the head, nobody waits long for them to catch up.
            let patience = match purpose {
                Purpose::Live if !avoid.is_empty() => OTHERS,
                Purpose::Live | Purpose::Backfill | Purpose::Probe | Purpose::Trace => {
                    Duration::MAX
                }
            };
            let attempt = self.attempt(want, purpose, &avoid);
            let Ok(attempt) = tokio::time::timeout(patience, attempt).await else { break };
            match attempt {
                Ok((fetched, doubt)) => {
                    self.blame_nulls("block", &nulls, &fetched.endpoint);
                    if self.is_as_good_as_usual(&fetched.report) {
                        for (endpoint, trouble) in suspects {
                            self.0.pool.accuse(&endpoint, trouble);
                        }
                        return Ok(fetched);
                    }
                    match doubt {
                        Some((endpoint, trouble)) => {
                            avoid.push(endpoint.clone());
                            suspects.push((endpoint, trouble));
                        }
                        None => avoid.push(fetched.endpoint.clone()),
                    }
                    let strength = |fetched: &Fetched| fetched.report.passed().iter().count();
                    weaker = match weaker {
                        Some(best) if strength(&best) >= strength(&fetched) => Some(best),
                        Some(_) | None => Some(fetched),
                    };
                }
                Err(Fault::Null(endpoint)) => {
                    nulls.push(endpoint.clone());
                    avoid.push(endpoint);
                }
                Err(Fault::Wrong(endpoint, trouble)) => {
                    debug!(chain = %self.0.chain, %endpoint, %trouble, "an answer was wrong");
                    self.0.pool.accuse(&endpoint, trouble.clone());
                    avoid.push(endpoint.clone());
                    wrong = Some((endpoint, trouble));
                }
                Err(Fault::Call(error)) => {
                    unanswered = Some(error);
                    break;
                }
            }
            if !self.untried(&avoid) {
                break;
            }
        }
        if let Some(fetched) = weaker {
            // Nobody has a better answer: from now on, this is usual.
            self.0.usual.store(content_checks(fetched.report.passed()), Ordering::Relaxed);
            return Ok(fetched);
        }
        match (wrong, unanswered) {
            (Some((endpoint, trouble)), _) => Err(FetchError::Refused { want, endpoint, trouble }),
            (None, Some(source)) if nulls.is_empty() => Err(FetchError::Call { want, source }),
            (None, _) => Err(FetchError::Missing(want)),
        }
    }

    /// One endpoint's block; its receipts may come from another one.
    async fn attempt(
        &self,
        want: Want,
        purpose: Purpose,
        avoid: &[EndpointName],
    ) -> Result<(Fetched, Doubt), Fault> {
        let Inner { pool, receipts, .. } = &*self.0;
        let call = pool.call(block_request(want, true, purpose, avoid));
        // Of a chain whose blocks are mostly empty, receipts are asked for only when needed.
        let (reply, early) = if self.0.empty.load(Ordering::Relaxed) & 0b111 == 0b111 {
            (call.await, None)
        } else {
            let (reply, early) = tokio::join!(call, receipts.early(want, purpose, avoid));
            (reply, early)
        };
        let reply = reply.map_err(|error| Fault::Call(Box::new(error)))?;
        let block = read(want, &reply, RawBlock::parse, |block| &block.header)?;
        let is_empty = block.transactions.is_empty() && verify::is_empty(&block.header.header);
        self.remember_empty(is_empty);
        let got = if is_empty {
            GotOutcomes::new(Outcomes::Receipts(Vec::new()), None)
        } else {
            receipts.of(&block, early, purpose, avoid).await.map_err(|failure| match failure {
                Failure::Wrong(endpoint, trouble) => Fault::Wrong(endpoint, trouble),
                Failure::Call(error) => Fault::Call(error),
            })?
        };
        if let Some(endpoint) = &got.endpoint {
            self.blame_nulls("receipts", &got.nulls, endpoint);
        }
        self.judge(want, block, got, reply.endpoint)
    }

    /// Verifies, and finds out who is to blame when something does not hold.
    fn judge(
        &self,
        want: Want,
        block: RawBlock,
        got: GotOutcomes,
        endpoint: EndpointName,
    ) -> Result<(Fetched, Doubt), Fault> {
        let report = verify_block(&block, &got.outcomes, None);
        let failed: Vec<(Check, String)> =
            report.failures().map(|(check, what)| (check, what.to_owned())).collect();
        for (check, _) in &failed {
            let labels = &[self.0.chain.as_str(), check.name()];
            self.0.metrics.counter(&signals::FAILED_CHECKS, labels).inc();
        }
        let kind = trouble_kind(&block, &got.outcomes, &report);
        let of_block = |check: Check| matches!(check, Check::HeaderHash | Check::TransactionsRoot);
        let guilty = match got.endpoint {
            Some(other) if !failed.iter().any(|(check, _)| of_block(*check)) => other,
            Some(_) | None => endpoint.clone(),
        };
        let detail = |what: &str| format!("block {want}: {what}");
        let doubt = failed.first().map(|(check, what)| {
            (guilty.clone(), Trouble::new(kind, detail(&format!("{}: {what}", check.name()))))
        });
        match (assemble(&block, got.outcomes), doubt) {
            (Err(what), _) => Err(Fault::Wrong(guilty, Trouble::new(kind, detail(&what)))),
            (Ok(_), Some((guilty, trouble))) if self.0.verify == Verify::Strict => {
                Err(Fault::Wrong(guilty, trouble))
            }
            (Ok(block), doubt) => Ok((Fetched { block: Arc::new(block), report, endpoint }, doubt)),
        }
    }

    async fn one_header(
        &self,
        block: BlockRef,
        avoid: &[EndpointName],
    ) -> Result<RawHeader, Fault> {
        let want = Want::Block(block);
        let request = block_request(want, false, Purpose::Live, avoid);
        let reply =
            self.0.pool.call(request).await.map_err(|error| Fault::Call(Box::new(error)))?;
        let header = read(want, &reply, RawHeader::parse, |header| header)?;
        let raw = RawBlock { header, transactions: Vec::new() };
        let report = verify_block(&raw, &Outcomes::Unknown(String::new()), None);
        let hash = report.failures().find(|(check, _)| *check == Check::HeaderHash);
        if let Some((_, what)) = hash {
            let trouble = Trouble::new(TroubleKind::WrongData, format!("{want}: {what}"));
            return Err(Fault::Wrong(reply.endpoint, trouble));
        }
        Ok(raw.header)
    }

    /// Whether there is an endpoint that may answer and is not in `avoid`.
    fn untried(&self, avoid: &[EndpointName]) -> bool {
        self.0
            .pool
            .endpoints()
            .iter()
            .any(|endpoint| endpoint.health != Health::Down && !avoid.contains(&endpoint.name))
    }

    fn is_as_good_as_usual(&self, report: &Report) -> bool {
        let passed = content_checks(report.passed());
        let usual = self.0.usual.load(Ordering::Relaxed);
        if passed & usual == usual {
            self.0.usual.store(passed, Ordering::Relaxed);
            return true;
        }
        false
    }

    fn remember_empty(&self, is_empty: bool) {
        let history = self.0.empty.load(Ordering::Relaxed);
        self.0.empty.store(history << 1 | u8::from(is_empty), Ordering::Relaxed);
    }

    /// Others gave null for something that `had` has.
    fn blame_nulls(&self, what: &'static str, others: &[EndpointName], had: &EndpointName) {
        let mut nulls = self.0.nulls.lock();
        nulls.remove(&(had.clone(), what));
        for endpoint in others.iter().filter(|endpoint| *endpoint != had) {
            let count = nulls.entry((endpoint.clone(), what)).or_default();
            *count += 1;
            if *count >= NULLS {
                *count = 0;
                let detail = format!("null for the {what} {NULLS} times, while others have it");
                self.0.pool.accuse(endpoint, Trouble::new(TroubleKind::Empty, detail));
            }
        }
    }
}

impl std::fmt::Display for Want {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Want::Block(block) => block.fmt(f),
            Want::Height(height) => height.fmt(f),
        }
    }
}

impl Want {
    /// The block's height.
    pub fn height(self) -> Height {
        match self {
            Want::Block(block) => block.height,
            Want::Height(height) => height,
        }
    }
}

/// A height as JSON-RPC writes it.
pub(super) fn quantity(height: Height) -> String {
    format!("0x{:x}", height.0)
}

fn block_request(want: Want, full: bool, purpose: Purpose, avoid: &[EndpointName]) -> Request {
    let (method, params) = match want {
        Want::Block(block) => ("eth_getBlockByHash", json!([block.hash, full])),
        Want::Height(height) => ("eth_getBlockByNumber", json!([quantity(height), full])),
    };
    let mut request = Request::new(method, params, purpose).hedged();
    if purpose == Purpose::Live {
        request = request.pinned(want.height());
    }
    request.avoid = avoid.to_vec();
    request
}

/// Reads an answer and makes sure that it is about the wanted block.
fn read<T>(
    want: Want,
    reply: &Reply,
    parse: impl FnOnce(&serde_json::value::RawValue) -> Result<T, WireError>,
    header: impl FnOnce(&T) -> &RawHeader,
) -> Result<T, Fault> {
    if reply.is_null() {
        return Err(Fault::Null(reply.endpoint.clone()));
    }
    let parsed = parse(&reply.value).map_err(|error| wrong_data(&reply.endpoint, want, &error))?;
    let given = header(&parsed).header.block_ref();
    let fits = match want {
        Want::Block(block) => given == block,
        Want::Height(height) => given.height == height,
    };
    if fits {
        Ok(parsed)
    } else {
        let detail = format!("asked for block {want}, answered with {given}");
        let trouble = Trouble::new(TroubleKind::WrongData, detail);
        Err(Fault::Wrong(reply.endpoint.clone(), trouble))
    }
}

fn wrong_data(endpoint: &EndpointName, want: Want, error: &WireError) -> Fault {
    let trouble = Trouble::new(TroubleKind::WrongData, format!("block {want}: {error}"));
    Fault::Wrong(endpoint.clone(), trouble)
}

/// What an endpoint that gave this is to be called.
fn trouble_kind(block: &RawBlock, outcomes: &Outcomes, report: &Report) -> TroubleKind {
    let failed = |check: Check| report.failures().any(|(failed, _)| failed == check);
    if failed(Check::HeaderHash) || failed(Check::TransactionsRoot) {
        return TroubleKind::WrongData;
    }
    let (wanted, logs) = match outcomes {
        Outcomes::Receipts(receipts) if receipts.len() < block.transactions.len() => {
            return if receipts.is_empty() { TroubleKind::Empty } else { TroubleKind::Truncated };
        }
        Outcomes::Receipts(receipts) => {
            let logs: usize = receipts.iter().map(|receipt| receipt.receipt.logs.len()).sum();
            (failed(Check::LogsBloom), logs)
        }
        Outcomes::Logs(logs) => (failed(Check::LogsBloom), logs.len()),
        Outcomes::Unknown(_) => return TroubleKind::WrongData,
    };
    let bloom = super::encode::bloom_of(outcomes);
    match block.header.logs_bloom {
        Some(header) if wanted && header.contains(&bloom) => {
            if logs == 0 {
                TroubleKind::Empty
            } else {
                TroubleKind::Truncated
            }
        }
        Some(_) | None => TroubleKind::WrongData,
    }
}

/// The checks of a block's own content, as bits.
fn content_checks(checks: Checks) -> u8 {
    checks
        .iter()
        .filter(|check| *check != Check::Parent)
        .fold(Checks::default(), Checks::with)
        .bits()
}
