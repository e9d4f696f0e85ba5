//! What the transactions of processed blocks did inside: traces fetched, detectors asked, findings
//! stored. It runs beside the follower and never holds it up.
//!
//! Each block that waits is a row in the store, made together with the block itself; the row goes in
//! the transaction that stores what was found. So nothing is lost by a stop, and a block that is
//! reverted meanwhile leaves nothing.

mod again;
mod creation;
mod finding;
mod job;
mod look;
mod tell;
mod tokens;
mod transaction;
mod usage;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::time::Instant;
use tracing::{debug, warn};
use wk_chain::evm::state::StateReader;
use wk_chain::evm::{EvmConfig, Fetcher, TraceMode, TraceWatch};
use wk_chain::rpc::Purpose;
use wk_model::{B256, Height, Timestamp, evm};
use wk_runtime::{Backoff, StopToken, Wake};
use wk_store::{Commit, Inspected, PendingInspection, SKIPPED, StoreError};

use crate::parts::ChainParts;
use crate::signals;
use again::Again;
use job::{Done, Job};
use tell::Told;
use usage::Usage;

pub(crate) use creation::creations;
pub(crate) use finding::{Place, concerns_watched, findings, tokens_of, watched};
pub use job::{Inspection, Inspector};
pub use look::{LookedAt, look};
pub use tokens::Token;
pub(crate) use tokens::Tokens;
pub(crate) use transaction::height_of;
pub use transaction::{Named, Transaction, TransactionError};

/// Fresh blocks that are kept at hand, so that they need not be fetched again.
const AT_HAND: usize = 32;
/// Waiting blocks that are looked at in one round, newest first.
const ROUND: u32 = 256;
/// Rows that are let go in one transaction.
const SKIPPED_AT_ONCE: u32 = 1_000;
/// A round without news.
const IDLE: Duration = Duration::from_secs(5);

/// The way from the pipeline to who looks into blocks: what is new, and a bell.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    wake: Wake,
    fresh: Arc<Mutex<VecDeque<Arc<evm::Block>>>>,
    blocks: broadcast::Sender<Arc<evm::Block>>,
}

impl Default for Inbox {
    fn default() -> Inbox {
        let blocks = broadcast::channel(AT_HAND).0;
        Inbox { wake: Wake::default(), fresh: Arc::default(), blocks }
    }
}

impl Inbox {
    /// Blocks were stored that wait to be inspected.
    pub(crate) fn stored(&self, blocks: impl IntoIterator<Item = Arc<evm::Block>>) {
        let mut fresh = self.fresh.lock();
        for block in blocks {
            if fresh.len() == AT_HAND {
                fresh.pop_front();
            }
            // No listener is no error.
            let _ = self.blocks.send(Arc::clone(&block));
            fresh.push_back(block);
        }
        drop(fresh);
        self.wake.ring();
    }

    /// Each block that is stored from now on.
    pub(crate) fn blocks(&self) -> broadcast::Receiver<Arc<evm::Block>> {
        self.blocks.subscribe()
    }

    fn take(&self, hash: B256) -> Option<Arc<evm::Block>> {
        let mut fresh = self.fresh.lock();
        let place = fresh.iter().position(|block| block.header.hash == hash)?;
        fresh.remove(place)
    }

    fn put_back(&self, block: Arc<evm::Block>) {
        let mut fresh = self.fresh.lock();
        if fresh.len() < AT_HAND {
            fresh.push_back(block);
        }
    }
}

/// Whether a chain's transactions are inspected at all.
pub(crate) fn is_on(config: &EvmConfig) -> bool {
    config.traces != TraceMode::Off
}

/// One chain's inspection, begun from the store whenever it starts.
#[derive(Clone)]
pub(crate) struct InspectTask(pub(crate) ChainParts);

/// Blocks that failed one after the other, whichever they are, before tries become rare.
const MANY: u32 = 3;

/// Of the time for which a slow endpoint worked on traces, it is left alone this many times as long.
const LEFT_ALONE: u32 = 3;

/// Spares endpoints that give no traces, or give them so slowly that blocks come faster: then blocks
/// are tried one at a time, with rests between, so that following the chain is not held up.
struct Rest {
    failed: u32,
    slow: bool,
    until: Instant,
    backoff: Backoff,
}

impl Rest {
    fn new() -> Rest {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        Rest { failed: 0, slow: false, until: Instant::now(), backoff }
    }

    /// How the inspection of a block went that ended `now` and took so long; whoever needs longer
    /// than `keeps_up` does not keep up with the chain.
    fn note(&mut self, now: Instant, succeeded: bool, took: Duration, keeps_up: Option<Duration>) {
        self.failed = if succeeded { 0 } else { self.failed.saturating_add(1) };
        self.slow = keeps_up.is_some_and(|longest| took > longest);
        let mut rest = Duration::ZERO;
        if self.slow {
            rest = took * LEFT_ALONE;
        }
        if self.failed >= MANY {
            rest = rest.max(self.backoff.step(self.failed - MANY));
        }
        self.until = now + rest.min(Duration::from_secs(60));
    }

    /// How many blocks may be under way at `now`, of `parallel`.
    fn at_once(&self, parallel: usize, now: Instant) -> usize {
        match self.failed {
            _ if self.until > now => 0,
            MANY.. => 1,
            _ if self.slow => 1,
            _ => parallel,
        }
    }
}

/// What went wrong with a block so far.
struct Trouble {
    failures: u32,
    next: Instant,
    error: String,
}

/// What all blocks are looked at with.
struct Tools {
    fetcher: Fetcher,
    reader: StateReader,
    again: Again,
}

impl InspectTask {
    /// Inspects what waits until `stop`.
    pub(crate) async fn run(self, stop: StopToken) -> Result<(), StoreError> {
        if !is_on(&self.0.config) {
            self.turned_off().await?;
            stop.stopped().await;
            return Ok(());
        }
        let reader = StateReader::new(&self.0.pool, Purpose::Live);
        let tools = Tools {
            fetcher: Fetcher::build(&self.0.chain, &self.0.pool, &self.0.config, &self.0.metrics),
            again: Again::new(&self.0.pool, &StateReader::new(&self.0.pool, Purpose::Backfill)),
            reader,
        };
        let backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(60));
        let mut troubles: HashMap<B256, Trouble> = HashMap::new();
        let mut told = Told::default();
        let mut under_way: HashMap<B256, Height> = HashMap::new();
        let mut jobs = FuturesUnordered::new();
        let mut rest = Rest::new();
        let mut usage = Usage::load(&self.0).await?;
        loop {
            self.skip_old().await?;
            usage.settle(&self).await?;
            let pending = self.0.store.pending_inspections(&self.0.chain, None, ROUND).await?;
            let waits = |hash: &B256| pending.iter().any(|row| row.block.link.block.hash == *hash);
            troubles.retain(|hash, _| waits(hash));
            let now = Instant::now();
            let mut soonest = now + IDLE;
            if rest.until > now {
                soonest = soonest.min(rest.until);
            }
            let at_once = rest.at_once(usize::from(self.0.config.trace_options.parallel), now);
            for row in &pending {
                let hash = row.block.link.block.hash;
                if jobs.len() >= at_once {
                    break;
                }
                if under_way.contains_key(&hash) {
                    continue;
                }
                let trouble = troubles.get(&hash);
                if let Some(trouble) = trouble.filter(|trouble| trouble.next > now) {
                    soonest = soonest.min(trouble.next);
                    continue;
                }
                under_way.insert(hash, row.block.link.block.height);
                jobs.push(self.start(
                    *row,
                    trouble.map_or(0, |trouble| trouble.failures),
                    &tools,
                    &usage,
                ));
            }
            let worst = troubles.values().max_by_key(|trouble| trouble.failures);
            self.show(&mut told, worst.map(|trouble| trouble.error.as_str())).await?;
            tokio::select! {
                biased;
                () = stop.stopped() => return Ok(()),
                Some(done) = jobs.next() => {
                    under_way.remove(&done.pending.block.link.block.hash);
                    let keeps_up = self.0.pool.block_time().map(|time| {
                        time * u32::from(self.0.config.trace_options.parallel)
                    });
                    rest.note(Instant::now(), done.result.is_ok(), done.took, keeps_up);
                    self.finish(done, &mut troubles, &backoff, &mut told).await?;
                }
                () = self.0.inbox.wake.rung() => {}
                () = tokio::time::sleep_until(soonest) => {}
            }
        }
    }

    fn start(
        &self,
        pending: PendingInspection,
        failures: u32,
        tools: &Tools,
        usage: &Usage,
    ) -> impl Future<Output = Done> + use<> {
        let rules = Arc::clone(&self.0.rules.borrow());
        let job = Job {
            pending,
            failures,
            block: self.0.inbox.take(pending.block.link.block.hash),
            inspector: self.0.inspector.clone(),
            fetcher: tools.fetcher.clone(),
            reader: tools.reader.clone(),
            again: (self.0.config.traces == TraceMode::Auto).then(|| tools.again.clone()),
            rules,
            chain: self.0.chain.clone(),
            only_watched: self.0.config.trace_options.watch == TraceWatch::Contracts,
            explorer: self.0.config.explorer.clone(),
            clock: self.0.clock.clone(),
            costs: self.0.costs.clone(),
            touching: self.0.touching.clone(),
            profiles: usage.profiles(),
        };
        job.run()
    }

    /// Stores what came of a block, or remembers when to try again.
    async fn finish(
        &self,
        done: Done,
        troubles: &mut HashMap<B256, Trouble>,
        backoff: &Backoff,
        told: &mut Told,
    ) -> Result<(), StoreError> {
        let Done { pending, block, failures, took: _, result } = done;
        let at = pending.block.link.block;
        let inspection = match result {
            Ok(inspection) => inspection,
            Err(error) => {
                let failures = failures.saturating_add(1);
                debug!(chain = %self.0.chain, block = %at, error, failures, "not inspected yet");
                self.0
                    .metrics
                    .counter(&signals::INSPECTION_FAILURES, &[self.0.chain.as_str()])
                    .inc();
                let next = Instant::now() + backoff.step(failures);
                troubles.insert(at.hash, Trouble { failures, next, error });
                if let Some(block) = block {
                    self.0.inbox.put_back(block);
                }
                return Ok(());
            }
        };
        let mut commit = self.commit();
        commit.conditions.extend(told.traces(
            &self.0.chain,
            &self.0.config,
            &inspection,
            commit.at,
        ));
        let transactions = inspection.transactions;
        commit.inspected.push(Inspected {
            block: at,
            source: inspection.via.name().to_owned(),
            findings: inspection.findings,
            uses: inspection.uses,
        });
        let committed = self.0.store(commit).await?;
        troubles.remove(&at.hash);
        let chain = self.0.chain.as_str();
        self.0.metrics.counter(&signals::INSPECTED_TRANSACTIONS, &[chain]).add(transactions as f64);
        for row in &committed.new {
            if row.finding.source.kind() == "detector" {
                let severity = row.finding.severity.to_string();
                let labels = [chain, row.finding.source.name(), severity.as_str()];
                self.0.metrics.counter(&signals::DETECTOR_FINDINGS, &labels).inc();
            }
        }
        let waited = self.0.clock.now().since(pending.since).as_secs_f64();
        self.0.metrics.histogram(&signals::INSPECTION_SECONDS, &[chain]).observe(waited);
        Ok(())
    }

    fn finalized(&self) -> Option<Height> {
        let status = self.0.statuses.get(&self.0.chain)?;
        status.finalized.map(|block| block.height)
    }

    fn commit(&self) -> Commit {
        let route = self.0.route.borrow().clone();
        let mut commit = Commit::new(self.0.chain.clone(), self.0.clock.now(), route);
        commit.keep_links = u64::from(self.0.config.reorg_window);
        commit
    }

    /// Lets go what is too far behind, and says so.
    async fn skip_old(&self) -> Result<(), StoreError> {
        let head = self.0.statuses.get(&self.0.chain).and_then(|status| status.head);
        let window = u64::from(self.0.config.trace_options.window);
        let Some(lowest) = head.and_then(|head| head.block.height.0.checked_sub(window)) else {
            return Ok(());
        };
        loop {
            // `lowest` itself is one too many.
            let below = Some(Height(lowest + 1));
            let old =
                self.0.store.pending_inspections(&self.0.chain, below, SKIPPED_AT_ONCE).await?;
            let (Some(newest), Some(oldest)) = (old.first(), old.last()) else { return Ok(()) };
            warn!(chain = %self.0.chain, from = %oldest.block.link.block.height,
                to = %newest.block.link.block.height, "blocks are left out of the inspection");
            let mut commit = self.commit();
            commit.findings.push(tell::skipped(
                &self.0.chain,
                oldest,
                newest,
                old.len(),
                commit.at,
            ));
            commit.inspected.extend(old.iter().map(|row| Inspected {
                block: row.block.link.block,
                source: SKIPPED.to_owned(),
                findings: Vec::new(),
                uses: Vec::new(),
            }));
            self.0.store(commit).await?;
            let count =
                self.0.metrics.counter(&signals::SKIPPED_INSPECTIONS, &[self.0.chain.as_str()]);
            count.add(old.len() as f64);
        }
    }

    /// Shows how far the inspection is, and tells when blocks wait for long.
    async fn show(&self, told: &mut Told, trouble: Option<&str>) -> Result<(), StoreError> {
        let summary = self.0.store.inspection_summary(&self.0.chain).await?;
        let head = self.0.statuses.get(&self.0.chain).and_then(|status| status.head);
        let status = tell::status(&summary, head.map(|head| head.block.height), told);
        let chain = [self.0.chain.as_str()];
        self.0.metrics.gauge(&signals::UNINSPECTED_BLOCKS, &chain).set(summary.pending as f64);
        if let Some(height) = status.inspected {
            self.0.metrics.gauge(&signals::INSPECTED_HEIGHT, &chain).set(height.0 as f64);
            let lag = head.map_or(0, |head| head.block.height.above(height));
            self.0.metrics.gauge(&signals::INSPECTION_LAG, &chain).set(lag as f64);
        }
        self.0.statuses.update(&self.0.chain, |all| all.inspection = Some(status));
        let now = self.0.clock.now();
        let Some(condition) = told.waiting(&self.0.chain, &summary, trouble, now) else {
            return Ok(());
        };
        let mut commit = self.commit();
        commit.conditions.push(condition);
        self.0.store(commit).await?;
        Ok(())
    }

    /// Nobody waits for anything any more.
    async fn turned_off(&self) -> Result<(), StoreError> {
        loop {
            let rows =
                self.0.store.pending_inspections(&self.0.chain, None, SKIPPED_AT_ONCE).await?;
            let open = self.0.store.open_conditions().await?;
            let mut commit = self.commit();
            commit.conditions =
                tell::all_clear(&self.0.chain, open.into_iter().map(|open| open.key));
            if rows.is_empty() && commit.conditions.is_empty() {
                return Ok(());
            }
            commit.inspected.extend(rows.iter().map(|row| Inspected {
                block: row.block.link.block,
                source: SKIPPED.to_owned(),
                findings: Vec::new(),
                uses: Vec::new(),
            }));
            self.0.store(commit).await?;
        }
    }
}

/// How far the inspection of a chain's transactions is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct InspectionStatus {
    /// What told of the newest inspected block: `call_tracer`, `parity`, `transactions` or
    /// `receipts`; none before the first.
    pub source: Option<String>,
    /// What better sources lack, and how to enable them; none when calls are seen.
    pub lacking: Option<String>,
    /// Every block up to this height was inspected or left out.
    pub inspected: Option<Height>,
    /// Blocks that wait.
    pub pending: u64,
    /// Since when the one waits that waits longest.
    pub waiting_since: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_become_rare_while_nothing_succeeds() {
        let (mut rest, mut now) = (Rest::new(), Instant::now());
        let moment = Duration::from_millis(1);
        rest.note(now, false, moment, None);
        rest.note(now, false, moment, None);
        assert_eq!(rest.at_once(4, now), 4, "some blocks cannot be traced");
        let mut last = Duration::ZERO;
        for _ in 0..10 {
            rest.note(now, false, moment, None);
            assert_eq!(rest.at_once(4, now), 0);
            last = rest.until - now;
            now = rest.until;
            assert_eq!(rest.at_once(4, now), 1);
        }
        assert_eq!(last, Duration::from_secs(60));
        rest.note(now, true, moment, None);
        assert_eq!(rest.at_once(4, now), 4);
    }

    #[test]
    fn who_cannot_keep_up_is_left_alone_for_a_while() {
        let (mut rest, now) = (Rest::new(), Instant::now());
        let second = Duration::from_secs(1);
        rest.note(now, true, second * 2, Some(second * 4));
        assert_eq!(rest.at_once(4, now), 4);
        rest.note(now, true, second * 5, Some(second * 4));
        assert_eq!(rest.at_once(4, now), 0);
        assert_eq!(rest.at_once(4, now + second * 15), 1, "one at a time");
        rest.note(now, true, second, Some(second * 4));
        assert_eq!(rest.at_once(4, now), 4);
    }
}
