//! Pending transactions, executed ahead of their block on the newest state and looked at by all
//! detectors. What is found is told as pending, and followed until the transaction stands in a
//! block, another one has taken its place, or nobody knows it any more.
//!
//! What was told is a condition in the store, so that a stop loses none of it. The rest is memory:
//! a pending transaction that is missed is still seen in its block.

mod candidates;
mod outcome;
mod simulate;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OnceCell, mpsc};
use tokio::time::Instant;
use tracing::debug;
use wk_chain::evm::TraceWatch;
use wk_chain::evm::state::StateReader;
use wk_chain::evm::wire::RawTransaction;
use wk_chain::rpc::Purpose;
use wk_collectors::PendingTransaction;
use wk_model::{
    Address, AssetId, B256, BlockRef, Condition, ConditionKey, Finding, Timestamp, evm,
};
use wk_replay::CodeCache;
use wk_runtime::StopToken;
use wk_store::{Commit, StoreError};

use crate::inspect::Tokens;
use crate::parts::ChainParts;
use crate::signals;
use candidates::Candidates;
pub(crate) use candidates::Touching;
use outcome::{Check, Outcome};
use simulate::{Base, Done, Foretold, Job};

/// The trouble's name.
const PENDING: &str = "pending_attack";
/// Transactions that are kept at hand. Beyond it the oldest go of which nothing was told.
const KEPT: usize = 1_024;
/// For so long a transaction is kept of which nothing was told.
const KEPT_FOR: Duration = Duration::from_secs(900);
/// Earlier pending transactions after which one is executed a second time.
const BUNDLE: usize = 32;
/// Between two looks at what became of a transaction that was told of.
const CHECK_EVERY: Duration = Duration::from_secs(15);
/// After something that points to its end, the next look comes sooner.
const CHECK_SOON: Duration = Duration::from_secs(2);
/// Between two times that all are executed again on newer state, where blocks come faster.
const AGAIN_EVERY: Duration = Duration::from_secs(2);
/// A round without news.
const IDLE: Duration = Duration::from_secs(1);

/// Looks ahead on one chain.
#[derive(Clone)]
pub(crate) struct Foresee(pub(crate) ChainParts);

/// A transaction that may be executed again.
struct Waits {
    raw: RawTransaction,
    seen_at: Timestamp,
    /// Counts up: who came before whom.
    order: u64,
    /// Whether a watched contract takes part in it, as far as is known.
    touches: bool,
    /// It could not be executed.
    failed: bool,
}

/// A transaction that was told of.
struct Followed {
    /// Who sent it, and its nonce; none after a start until it was asked for.
    sent_as: Option<(Address, u64)>,
    told: Vec<(ConditionKey, Finding)>,
    next_check: Instant,
    checking: bool,
    /// How often in a row nobody knew it.
    missing: u32,
    /// A transaction that wants its place.
    rival: Option<B256>,
}

/// What is known while the task runs.
struct State {
    waits: HashMap<B256, Waits>,
    queue: VecDeque<B256>,
    followed: HashMap<B256, Followed>,
    next_order: u64,
    head: Option<BlockRef>,
    base: Arc<OnceCell<Base>>,
    /// When all may be executed again.
    again_from: Instant,
}

impl Foresee {
    /// Looks at what comes in by `seen`, until `stop`.
    pub(crate) async fn run(
        &self,
        mut seen: mpsc::Receiver<PendingTransaction>,
        stop: StopToken,
    ) -> Result<(), StoreError> {
        let mut blocks = self.0.inbox.blocks();
        let candidates =
            Candidates::new(&self.0.chain, &self.0.config, &self.0.pool, &self.0.touching);
        let reader = StateReader::new(&self.0.pool, Purpose::Live);
        let (codes, tokens) = (CodeCache::default(), Arc::new(Tokens::default()));
        let mut state = State {
            waits: HashMap::new(),
            queue: VecDeque::new(),
            followed: self.restore().await?,
            next_order: 0,
            head: None,
            base: Arc::default(),
            again_from: Instant::now(),
        };
        let (mut jobs, mut checks) = (FuturesUnordered::new(), FuturesUnordered::new());
        loop {
            self.take_head(&mut state);
            while jobs.len() < usize::from(self.0.config.pending.parallel)
                && let Some(at) = state.head
                && let Some(hash) = state.queue.pop_front()
            {
                let Some(waits) = state.waits.get(&hash) else { continue };
                let (own, before) = predecessors(&state, waits);
                let job = Job {
                    raw: waits.raw.clone(),
                    certain: waits.touches || !own.is_empty(),
                    own,
                    before,
                    at,
                    base: Arc::clone(&state.base),
                    pool: self.0.pool.clone(),
                    reader: reader.clone(),
                    codes: codes.clone(),
                    tokens: Arc::clone(&tokens),
                    candidates: candidates.clone(),
                    rules: Arc::clone(&self.0.rules.borrow()),
                    chain: self.0.chain.clone(),
                    only_watched: self.0.config.pending.watch == TraceWatch::Contracts,
                    explorer: self.0.config.explorer.clone(),
                    timeout: self.0.config.pending.timeout.0,
                    clock: self.0.clock.clone(),
                };
                jobs.push(job.run());
            }
            let now = Instant::now();
            for (hash, followed) in &mut state.followed {
                if !followed.checking && followed.next_check <= now {
                    followed.checking = true;
                    checks.push(outcome::check(
                        self.0.pool.clone(),
                        reader.clone(),
                        state.head,
                        *hash,
                        followed.sent_as,
                    ));
                }
            }
            let kept = self.0.metrics.gauge(&signals::PENDING_KEPT, &[self.0.chain.as_str()]);
            kept.set(state.waits.len() as f64);
            tokio::select! {
                biased;
                () = stop.stopped() => return Ok(()),
                Some(done) = jobs.next() => self.finish(done, &mut state).await?,
                Some((hash, check)) = checks.next() => {
                    self.checked(hash, check, &mut state).await?;
                }
                block = blocks.recv() => match block {
                    Ok(block) => self.block(&block, &mut state).await?,
                    // What was missed shows when it is looked for.
                    Err(RecvError::Lagged(_) | RecvError::Closed) => {}
                },
                next = seen.recv() => match next {
                    Some(next) => self.consider(next, &candidates, &mut state),
                    None => return Ok(()),
                },
                () = tokio::time::sleep(IDLE) => self.forget(&mut state),
            }
        }
    }

    /// What was told before a stop and has not ended yet.
    async fn restore(&self) -> Result<HashMap<B256, Followed>, StoreError> {
        let mut followed: HashMap<B256, Followed> = HashMap::new();
        let own = AssetId::chain(&self.0.chain);
        for open in self.0.store.open_conditions().await? {
            if open.key.trouble != PENDING || open.key.asset != own {
                continue;
            }
            let hash = open.key.subject.split(' ').nth(1).and_then(|hash| hash.parse().ok());
            let row = self.0.store.finding(open.finding).await?;
            let (Some(hash), Some(row)) = (hash, row) else { continue };
            let one = followed.entry(hash).or_insert_with(|| Followed::new(None));
            one.told.push((open.key, row.finding));
        }
        Ok(followed)
    }

    /// A new head has new state: what touches watched contracts, or could not be executed, is executed
    /// again on it.
    fn take_head(&self, state: &mut State) {
        let head = self.0.statuses.get(&self.0.chain).and_then(|status| status.head);
        let head = head.map(|head| head.block);
        let now = Instant::now();
        let first = state.head.is_none();
        if head.is_none() || head == state.head || (!first && now < state.again_from) {
            return;
        }
        state.head = head;
        state.base = Arc::default();
        state.again_from = now + AGAIN_EVERY;
        let mut again: Vec<(u64, B256)> = state
            .waits
            .iter()
            .filter(|(hash, waits)| (waits.touches || waits.failed) && !state.queue.contains(hash))
            .map(|(hash, waits)| (waits.order, *hash))
            .collect();
        again.sort_unstable();
        state.queue.extend(again.into_iter().map(|(_, hash)| hash));
    }

    /// Keeps a transaction that may be worth executing.
    fn consider(&self, pending: PendingTransaction, candidates: &Candidates, state: &mut State) {
        let PendingTransaction { transaction: raw, at, .. } = pending;
        let (hash, sent_as) = (raw.transaction.hash, (raw.transaction.from, raw.transaction.nonce));
        let soon = Instant::now() + CHECK_SOON;
        for (told, followed) in &mut state.followed {
            if *told != hash && followed.sent_as == Some(sent_as) {
                followed.rival = Some(hash);
                followed.next_check = followed.next_check.min(soon);
            }
        }
        let goes_on = state.waits.values().any(|waits| waits.raw.transaction.from == sent_as.0);
        let rules = Arc::clone(&self.0.rules.borrow());
        if !goes_on && !candidates.may_be(&rules.decoder, &raw) {
            return;
        }
        if state.waits.len() >= KEPT {
            let silent = state.waits.iter().filter(|(hash, _)| !state.followed.contains_key(*hash));
            let oldest = silent.min_by_key(|(_, waits)| waits.order).map(|(hash, _)| *hash);
            oldest.map(|oldest| state.waits.remove(&oldest));
        }
        state.next_order += 1;
        let waits =
            Waits { raw, seen_at: at, order: state.next_order, touches: false, failed: false };
        state.waits.insert(hash, waits);
        state.queue.push_back(hash);
    }

    /// Forgets what nothing was told of for long.
    fn forget(&self, state: &mut State) {
        let now = self.0.clock.now();
        state.waits.retain(|hash, waits| {
            now.since(waits.seen_at) < KEPT_FOR || state.followed.contains_key(hash)
        });
    }

    async fn finish(&self, done: Done, state: &mut State) -> Result<(), StoreError> {
        let Done { hash, took, result } = done;
        let count = |what: &str| {
            self.0.metrics.counter(&signals::SIMULATED, &[self.0.chain.as_str(), what]).inc();
        };
        let (findings, touches) = match result {
            Ok(Foretold::Elsewhere) => {
                state.waits.remove(&hash);
                return Ok(());
            }
            Ok(Foretold::Executed { findings, touches }) => (findings, touches),
            Err(error) => {
                count("failed");
                debug!(chain = %self.0.chain, %hash, error, "a pending transaction was not executed");
                if let Some(waits) = state.waits.get_mut(&hash) {
                    waits.failed = true;
                }
                return Ok(());
            }
        };
        count(if findings.is_empty() { "clean" } else { "flagged" });
        let took = took.as_secs_f64();
        self.0
            .metrics
            .histogram(&signals::SIMULATION_SECONDS, &[self.0.chain.as_str()])
            .observe(took);
        // It may stand in a block by now; then the block's own inspection has told.
        let Some(waits) = state.waits.get_mut(&hash) else { return Ok(()) };
        waits.touches |= touches;
        waits.failed = false;
        let transaction = &waits.raw.transaction;
        let sent_as = (transaction.from, transaction.nonce);
        let creates = transaction.to.is_none();
        if findings.is_empty() {
            // A contract that comes into being may be what the sender's next transaction calls.
            if !touches && !creates {
                state.waits.remove(&hash);
            }
            return Ok(());
        }
        let followed = state.followed.entry(hash).or_insert_with(|| Followed::new(Some(sent_as)));
        let mut commit = self.commit();
        for finding in findings {
            let by_same = || followed.told.iter().filter(|(_, told)| told.source == finding.source);
            if by_same().any(|(_, told)| told.class == finding.class) {
                continue;
            }
            // What a detector says besides is named after its class, too.
            let besides = if by_same().next().is_some() { &finding.class } else { "" };
            let slash = if besides.is_empty() { "" } else { "/" };
            let key = ConditionKey {
                trouble: PENDING.to_owned(),
                asset: AssetId::chain(&self.0.chain),
                subject: format!("{}{slash}{besides} {hash:#x}", finding.source.name()),
            };
            commit.conditions.push(Condition::Raised(key.clone(), Box::new(finding.clone())));
            followed.told.push((key, finding));
        }
        self.store(commit).await
    }

    /// A block of the chain: which of those that wait are in it, and of which the place is taken.
    async fn block(&self, block: &evm::Block, state: &mut State) -> Result<(), StoreError> {
        let at = block.header.block_ref();
        let mut commit = self.commit();
        for tx in &block.transactions {
            state.waits.remove(&tx.hash);
            if let Some(followed) = state.followed.remove(&tx.hash) {
                let success = tx.receipt.as_ref().and_then(|receipt| receipt.success);
                followed.end(&Outcome::Included { at: at.height, success }, &mut commit);
            }
        }
        let taken: HashMap<(Address, u64), B256> =
            block.transactions.iter().map(|tx| ((tx.from, tx.nonce), tx.hash)).collect();
        state.waits.retain(|_, waits| {
            let transaction = &waits.raw.transaction;
            !taken.contains_key(&(transaction.from, transaction.nonce))
        });
        state.followed.retain(|_, followed| {
            let Some(by) = followed.sent_as.and_then(|sent_as| taken.get(&sent_as)) else {
                return true;
            };
            followed.end(&Outcome::Replaced { by: Some(*by), at: Some(at.height) }, &mut commit);
            false
        });
        self.store(commit).await
    }

    /// What the endpoints say became of a transaction that was told of.
    async fn checked(&self, hash: B256, check: Check, state: &mut State) -> Result<(), StoreError> {
        let Some(followed) = state.followed.get_mut(&hash) else { return Ok(()) };
        followed.checking = false;
        followed.next_check = Instant::now() + CHECK_EVERY;
        let ended = match check {
            Check::Unknown => return Ok(()),
            Check::Waits { sent_as } => {
                followed.sent_as = Some(sent_as);
                followed.missing = 0;
                return Ok(());
            }
            Check::Included { at } => Outcome::Included { at, success: None },
            Check::Gone { place_taken } => {
                followed.missing += 1;
                // An endpoint may forget one for a moment.
                if followed.missing < 2 && followed.rival.is_none() && !place_taken {
                    followed.next_check = Instant::now() + CHECK_SOON;
                    return Ok(());
                }
                if followed.rival.is_some() || place_taken {
                    Outcome::Replaced { by: followed.rival, at: None }
                } else {
                    Outcome::Dropped
                }
            }
        };
        let mut commit = self.commit();
        if let Some(followed) = state.followed.remove(&hash) {
            followed.end(&ended, &mut commit);
        }
        state.waits.remove(&hash);
        self.store(commit).await
    }

    fn commit(&self) -> Commit {
        Commit::without_chain(self.0.clock.now(), self.0.route.borrow().clone())
    }

    async fn store(&self, commit: Commit) -> Result<(), StoreError> {
        if commit.conditions.is_empty() {
            return Ok(());
        }
        self.0.store(commit).await.map(drop)
    }
}

impl Followed {
    fn new(sent_as: Option<(Address, u64)>) -> Followed {
        // After a start it is looked at right away.
        let wait = if sent_as.is_some() { CHECK_EVERY } else { Duration::ZERO };
        Followed {
            sent_as,
            told: Vec::new(),
            next_check: Instant::now() + wait,
            checking: false,
            missing: 0,
            rival: None,
        }
    }

    /// Says how it ended, and that it did.
    fn end(&self, outcome: &Outcome, commit: &mut Commit) {
        for (key, finding) in &self.told {
            let finding = outcome.told(finding);
            commit.conditions.push(Condition::Raised(key.clone(), Box::new(finding)));
            commit.conditions.push(Condition::Cleared(key.clone()));
        }
    }
}

/// The sender's own transactions before this one, and others' that touch watched contracts and came
/// earlier; both in the order in which they would be executed.
fn predecessors(state: &State, waits: &Waits) -> (Vec<RawTransaction>, Vec<RawTransaction>) {
    let sent = &waits.raw.transaction;
    let by_sender = |other: &&Waits| other.raw.transaction.from == sent.from;
    let mut own: Vec<&Waits> = state
        .waits
        .values()
        .filter(|other| by_sender(other) && other.raw.transaction.nonce < sent.nonce)
        .collect();
    own.sort_by_key(|other| other.raw.transaction.nonce);
    let mut before: Vec<&Waits> = state
        .waits
        .values()
        .filter(|other| other.touches && other.order < waits.order && !by_sender(other))
        .collect();
    before.sort_by_key(|other| other.order);
    let newest = before.len().saturating_sub(BUNDLE);
    let raw = |waits: &[&Waits]| waits.iter().map(|one| one.raw.clone()).collect();
    (raw(&own), raw(&before[newest..]))
}
