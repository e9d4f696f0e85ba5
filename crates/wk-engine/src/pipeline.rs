//! From a chain's events to stored findings: rules over each block, one transaction per batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tracing::error;
use wk_chain::abi::Decoder;
use wk_chain::evm::FollowStatus;
use wk_chain::evm::state::StateReader;
use wk_model::{
    B256, BlockBody, BlockLink, BlockRef, ChainChange, ChainEvent, Fact, Height, Intake,
    Observation, Timestamp, evm,
};
use wk_rules::{BlockInput, Memory};
use wk_runtime::{Backoff, StopToken};
use wk_store::{
    Agreed, BlockCounts, Commit, Committed, HoleChange, SeenBlock, StoreError, Uninspected,
};

use crate::engine::Rules;
use crate::parts::ChainParts;
use crate::{ChainState, LiveEvent, outcome, proxies, signals, state_reads};

/// Blocks that go into one transaction at most: enough to make backfill cheap, few enough to keep
/// a live finding waiting for no other.
const BATCH: usize = 64;

/// Time between two looks at what can be forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// One chain's way from events to findings. Made anew from the store whenever it starts.
pub(crate) struct Pipeline {
    pub(crate) parts: ChainParts,
    pub(crate) reader: StateReader,
    pub(crate) follow: watch::Receiver<FollowStatus>,
    pub(crate) memory: Memory,
    pub(crate) forgot_at: Timestamp,
    /// Lets a batch go that contradicts what is stored, instead of trying it again and again.
    pub(crate) drop_refused: bool,
    /// Whether the transactions of new blocks are to be inspected.
    pub(crate) inspected: bool,
}

/// What one transaction will hold, and what to tell when it is done.
struct Batch {
    commit: Commit,
    blocks: Vec<BatchBlock>,
    started: Instant,
}

/// A block in a batch.
struct BatchBlock {
    link: BlockLink,
    transactions: u64,
    intake: Intake,
    /// When the follower handed it on.
    handed_at: Instant,
    /// For who inspects it; only of blocks that are inspected at once.
    content: Option<Arc<evm::Block>>,
}

/// An observation, and when it was handed on.
pub(crate) type Handed = (Instant, Observation);

impl Pipeline {
    /// Works until the events end or `stop` is said. What was not committed then comes again at
    /// the next start.
    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<Handed>, stop: StopToken) {
        let mut put_aside = None;
        loop {
            let first = match put_aside.take() {
                Some(observation) => observation,
                None => match stop.run(events.recv()).await {
                    Some(Some(observation)) => observation,
                    Some(None) | None => return,
                },
            };
            let mut batch = self.batch();
            self.take(&mut batch, first).await;
            while batch.blocks.len() < BATCH {
                let Ok(next) = events.try_recv() else { break };
                // A block that was seen in this batch cannot be reverted in it.
                if reverts(&next.1) && !batch.blocks.is_empty() {
                    put_aside = Some(next);
                    break;
                }
                self.take(&mut batch, next).await;
            }
            let queued = events.len() as u64 + u64::from(put_aside.is_some());
            let queue =
                self.parts.metrics.gauge(&signals::QUEUE_DEPTH, &[self.parts.chain.as_str()]);
            queue.set(queued as f64);
            if stop.run(self.commit(batch, queued)).await.is_none() {
                return;
            }
        }
    }

    fn batch(&self) -> Batch {
        let route = self.parts.route.borrow().clone();
        let mut commit = Commit::new(self.parts.chain.clone(), self.parts.clock.now(), route);
        commit.keep_links = u64::from(self.parts.config.reorg_window);
        Batch { commit, blocks: Vec::new(), started: Instant::now() }
    }

    /// Adds one observation to the batch.
    async fn take(&mut self, batch: &mut Batch, (handed_at, observation): Handed) {
        match observation {
            Observation::ChainEvent(event) => self.take_event(batch, event, handed_at).await,
            Observation::Condition(condition) => batch.commit.conditions.push(condition),
            Observation::Fact(fact) => take_fact(&mut batch.commit, &fact),
            // Samples go to the metrics where they are measured.
            Observation::Sample(_) => {}
        }
    }

    async fn take_event(&mut self, batch: &mut Batch, event: ChainEvent, handed_at: Instant) {
        let ChainEvent { link, change, .. } = event;
        match change {
            ChainChange::Seen { body: BlockBody::Evm(block), verification, intake } => {
                let logs: usize = block.transactions.iter().map(|tx| tx.logs().len()).sum();
                let counts = BlockCounts {
                    transactions: block.transactions.len() as u64,
                    logs: logs as u64,
                };
                let transactions = counts.transactions;
                let content = self.await_inspection(batch, link, transactions, intake);
                let content = content.then(|| Arc::clone(&block));
                let made = BatchBlock { link, transactions, intake, handed_at, content };
                batch.blocks.push(made);
                if matches!(intake, Intake::Live | Intake::Backfill) {
                    self.parts.recent.seen(&self.parts.chain, &block, batch.commit.at);
                }
                let digest = wk_chain::evm::digest(&block);
                let seen = SeenBlock { link, counts, digest, verification, intake };
                batch.commit.seen.push(seen);
                self.evaluate(batch, &block, intake).await;
            }
            ChainChange::Reverted => {
                self.memory.revert(&self.parts.chain, &link.block);
                self.parts.costs.reverted(&self.parts.chain, &link.block);
                self.parts.recent.reverted(&self.parts.chain, &link, batch.commit.at);
                self.decoder().revert_block(&self.parts.chain, &link.block);
                batch.commit.reverted.push(link);
            }
            ChainChange::Safe => batch.commit.safe = Some(link.block),
            ChainChange::Finalized => {
                batch.commit.finalized = Some(link.block);
                self.parts.costs.finalized(&self.parts.chain, link.block.height);
                self.forget(link).await;
            }
        }
    }

    /// Lets the block wait for its inspection, in the same transaction. True when that comes at once.
    fn await_inspection(
        &self,
        batch: &mut Batch,
        link: BlockLink,
        transactions: u64,
        intake: Intake,
    ) -> bool {
        let window = u64::from(self.parts.config.trace_options.window);
        let head = self.follow.borrow().head.unwrap_or(link.block.height);
        if !self.inspected || transactions == 0 || head.above(link.block.height) >= window {
            return false;
        }
        batch.commit.uninspected.push(Uninspected { link, transactions });
        intake == Intake::Live
    }

    fn decoder(&self) -> Decoder {
        self.parts.rules.borrow().decoder.clone()
    }

    /// Runs every rule over the block.
    async fn evaluate(&mut self, batch: &mut Batch, block: &evm::Block, intake: Intake) {
        let rules = Arc::clone(&self.parts.rules.borrow_and_update());
        let Rules { set, decoder, .. } = &*rules;
        let at = block.header.block_ref();
        batch.commit.upgrades.extend(decoder.observe(&self.parts.chain, block));
        // A second look at a block that was counted before must not count it again.
        if intake != Intake::Rescan {
            self.parts.costs.seen(&self.parts.chain, block, decoder, &self.parts.metrics);
        }
        // What was before is told by blocks in order only; and at the head is soon enough.
        let due = match intake {
            Intake::Live => decoder.due(&self.parts.chain, at.height),
            Intake::Backfill | Intake::Refill | Intake::Rescan => decoder.unread(&self.parts.chain),
        };
        let reads = set.state_reads(&self.parts.chain, block.header.height);
        let (looked, state) = tokio::join!(
            proxies::look(decoder, &self.reader, &self.parts.chain, at, due),
            state_reads::answer(&self.reader, at, reads)
        );
        if matches!(intake, Intake::Live | Intake::Backfill) {
            let (link, now) = (block.header.link(), batch.commit.at);
            let holes = !self.follow.borrow().holes.is_empty();
            let silent = looked.silent.iter();
            let found = silent.map(|silent| proxies::finding(decoder, &link, silent, holes, now));
            batch.commit.findings.extend(found);
        }
        batch.commit.upgrades.extend(looked.upgrades);
        let reasons =
            state_reads::revert_reasons(&self.reader, decoder, set, &self.parts.chain, block).await;
        let holes = self.follow.borrow().holes.clone();
        let input = BlockInput {
            chain: &self.parts.chain,
            block,
            intake,
            state: &state,
            revert_reasons: &reasons,
            holes: &holes,
            now: batch.commit.at,
        };
        let evaluation = set.evaluate(&mut self.memory, &input);
        outcome::take(&mut batch.commit, evaluation, &self.parts.metrics);
    }

    /// Now and then forgets what no rule can need any more. Entries that are pruned in the store
    /// come back with nothing but themselves, so a failure here is tried again by itself.
    async fn forget(&mut self, finalized: BlockLink) {
        let now = self.parts.clock.now();
        if now.since(self.forgot_at) < FORGET_EVERY {
            return;
        }
        self.forgot_at = now;
        let lowest_hole = self.follow.borrow().holes.first().map(|(from, _)| *from);
        if lowest_hole.is_some_and(|hole| hole <= finalized.block.height) {
            return;
        }
        let rules = Arc::clone(&self.parts.rules.borrow());
        let (height, time) = (finalized.block.height, finalized.time);
        for forget in rules.set.prune(&mut self.memory, &self.parts.chain, height, time) {
            let done = self
                .parts
                .store
                .prune_entries(&self.parts.chain, &forget.rule, forget.before)
                .await;
            if let Err(fault) = done {
                error!(chain = %self.parts.chain, error = %fault, "cannot forget old entries");
            }
        }
    }

    /// Stores the batch, however long that takes: nothing goes on without it.
    async fn commit(&mut self, mut batch: Batch, queued: u64) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let committed = loop {
            match self.parts.store.commit(batch.commit.clone()).await {
                Ok(committed) => break committed,
                Err(fault @ StoreError::Refused(_)) if self.drop_refused => {
                    error!(chain = %self.parts.chain, error = %fault, "a batch was not stored");
                    return;
                }
                Err(fault) => {
                    self.parts
                        .metrics
                        .counter(&signals::COMMIT_FAILURES, &[self.parts.chain.as_str()])
                        .inc();
                    error!(chain = %self.parts.chain, error = %fault, "cannot store; trying again");
                    let reason = format!("cannot store what was found: {fault}");
                    self.parts
                        .statuses
                        .update(&self.parts.chain, |status| status.reason = Some(reason));
                    tokio::time::sleep(backoff.next_wait()).await;
                }
            }
        };
        if committed.outbox_rows > 0 {
            self.parts.wake_delivery.ring();
        }
        if self.inspected {
            let blocks = batch.blocks.iter_mut().filter_map(|block| block.content.take());
            self.parts.inbox.stored(blocks);
        }
        self.tell(&batch, &committed, queued);
    }

    fn tell(&self, batch: &Batch, committed: &Committed, queued: u64) {
        let chain = self.parts.chain.as_str();
        let took = batch.started.elapsed().as_secs_f64();
        let processing = self.parts.metrics.histogram(&signals::PROCESSING_SECONDS, &[chain]);
        if !batch.blocks.is_empty() {
            processing.observe(took);
        }
        for link in &batch.commit.reverted {
            self.tell_block(*link, 0, 0, true);
        }
        for BatchBlock { link, transactions, intake, handed_at, .. } in &batch.blocks {
            if *intake == Intake::Live {
                let took = handed_at.elapsed().as_secs_f64();
                self.parts
                    .metrics
                    .histogram(&signals::SEEN_TO_STORED_SECONDS, &[chain])
                    .observe(took);
            }
            let findings = committed.new.iter().filter(|row| {
                row.finding.position.as_ref().is_some_and(|position| position.block == link.block)
            });
            self.tell_block(*link, *transactions, findings.count() as u64, false);
            let intake = match intake {
                Intake::Live => "live",
                Intake::Backfill => "backfill",
                Intake::Refill => "refill",
                Intake::Rescan => "rescan",
            };
            self.parts.metrics.counter(&signals::PROCESSED_BLOCKS, &[chain, intake]).inc();
        }
        outcome::tell_findings(&self.parts.live, &self.parts.metrics, committed);
        self.update_status(batch, queued);
    }

    fn tell_block(&self, link: BlockLink, transactions: u64, findings: u64, reverted: bool) {
        let chain = self.parts.chain.clone();
        self.parts.live.tell(LiveEvent::Block { chain, link, transactions, findings, reverted });
    }

    fn update_status(&self, batch: &Batch, queued: u64) {
        let in_order = |intake: Intake| matches!(intake, Intake::Live | Intake::Backfill);
        let newest = batch.blocks.iter().rfind(|block| in_order(block.intake));
        let mut before = None;
        let mut after = None;
        self.parts.statuses.update(&self.parts.chain, |status| {
            before = Some(status.state);
            if let Some(BatchBlock { link, intake, .. }) = newest {
                status.head = Some(*link);
                status.processed_at = Some(batch.commit.at);
                status.reason = None;
                status.state = match intake {
                    Intake::Backfill => ChainState::Backfilling,
                    Intake::Live | Intake::Refill | Intake::Rescan => ChainState::Live,
                };
            } else if let Some(lowest) = batch.commit.reverted.last() {
                // The parent of the lowest reverted block is the head until the next one comes.
                let height = lowest.block.height.previous().unwrap_or(Height(0));
                let block = BlockRef { height, hash: lowest.parent };
                status.head = Some(BlockLink { block, parent: B256::ZERO, time: lowest.time });
            }
            status.safe = batch.commit.safe.or(status.safe);
            status.finalized = batch.commit.finalized.or(status.finalized);
            status.chain_id = self.parts.pool.chain_id();
            status.queued = queued;
            after = Some(status.clone());
        });
        if let Some(status) = after {
            if let Some(head) = status.head {
                let height = self
                    .parts
                    .metrics
                    .gauge(&signals::PROCESSED_HEIGHT, &[self.parts.chain.as_str()]);
                height.set(head.block.height.0 as f64);
            }
            if before != Some(status.state) {
                self.parts.live.tell(LiveEvent::Health(Box::new(status)));
            }
        }
    }
}

fn reverts(observation: &Observation) -> bool {
    matches!(observation, Observation::ChainEvent(ChainEvent { change: ChainChange::Reverted, .. }))
}

/// What the follower learned about blocks that were processed before.
fn take_fact(commit: &mut Commit, fact: &Fact) {
    let height = |name: &str| fact.value[name].as_u64().map(Height);
    match fact.name.as_str() {
        "hole_opened" => {
            let reason = fact.value["reason"].as_str().unwrap_or_default().to_owned();
            if let (Some(from), Some(to)) = (height("from"), height("to")) {
                commit.holes.push(HoleChange::Opened { from, to, reason });
            }
        }
        "rescanned" => commit.rescanned.extend(height("from").zip(height("to"))),
        "agreed" => {
            let hash = fact.value["hash"].as_str().and_then(|hash| hash.parse().ok());
            let endpoints = fact.value["agreed"].as_u64().and_then(|n| u8::try_from(n).ok());
            if let (Some(height), Some(hash), Some(endpoints)) = (height("height"), hash, endpoints)
            {
                commit.agreed.push(Agreed { block: BlockRef { height, hash }, endpoints });
            }
        }
        // Facts about nodes are shown as metrics.
        _ => {}
    }
}
