//! Keeps the chain's metrics up to date while it is followed.

use std::time::{Duration, Instant};

use wk_model::{BlockLink, Finality, Height, Intake, Timestamp, evm};
use wk_runtime::{Counter, Gauge, Histogram, Metrics};

use super::signals;
use super::stats::{BlockStats, ChainStats, QUANTILES};

/// Below this pace, timestamps of whole seconds say little: arrivals are measured.
const COARSE: Duration = Duration::from_secs(2);

/// A chain's metrics. One owner: the follower.
pub(super) struct ChainMetrics {
    metrics: Metrics,
    chain: String,
    stats: ChainStats,
    tip: Option<BlockLink>,
    last_arrival: Option<Instant>,
    height: Gauge,
    timestamp: Gauge,
    age: Gauge,
    interval: Histogram,
    user: Counter,
    system: Counter,
    failed: Counter,
    logs: Counter,
    size: Histogram,
    fetch: Histogram,
    reorgs: Counter,
    depth: Histogram,
}

impl ChainMetrics {
    pub(super) fn new(metrics: &Metrics, chain: &str) -> ChainMetrics {
        let labels = &[chain];
        ChainMetrics {
            height: metrics.gauge(&signals::HEIGHT, labels),
            timestamp: metrics.gauge(&signals::HEAD_TIMESTAMP, labels),
            age: metrics.gauge(&signals::HEAD_AGE, labels),
            interval: metrics.histogram(&signals::BLOCK_INTERVAL, labels),
            user: metrics.counter(&signals::TRANSACTIONS, &[chain, "user"]),
            system: metrics.counter(&signals::TRANSACTIONS, &[chain, "system"]),
            failed: metrics.counter(&signals::TRANSACTIONS_FAILED, labels),
            logs: metrics.counter(&signals::LOGS, labels),
            size: metrics.histogram(&signals::BLOCK_SIZE, labels),
            fetch: metrics.histogram(&signals::FETCH_SECONDS, labels),
            reorgs: metrics.counter(&signals::REORGS, labels),
            depth: metrics.histogram(&signals::REORG_DEPTH, labels),
            metrics: metrics.clone(),
            chain: chain.to_owned(),
            stats: ChainStats::default(),
            tip: None,
            last_arrival: None,
        }
    }

    /// A block was followed.
    pub(super) fn seen(&mut self, block: &evm::Block, intake: Intake, now: Timestamp) {
        let stats = BlockStats::of(block);
        if intake != Intake::Rescan {
            self.user.add(stats.user as f64);
            self.system.add(stats.system as f64);
            self.failed.add(stats.failed as f64);
            self.logs.add(stats.logs as f64);
            if let Some(size) = stats.size {
                self.size.observe(size as f64);
            }
        }
        // The rest is about the head.
        if !matches!(intake, Intake::Live | Intake::Backfill) {
            return;
        }
        let link = block.header.link();
        self.show(link, &stats);
        let by_timestamp = self.stats.seen(stats);
        let arrival = Instant::now();
        let by_arrival = self.last_arrival.map(|last| arrival - last);
        self.last_arrival = (intake == Intake::Live).then_some(arrival);
        let is_coarse = self.stats.pace().is_none_or(|pace| pace < COARSE);
        let interval = if is_coarse && intake == Intake::Live { by_arrival } else { by_timestamp };
        if let Some(interval) = interval {
            self.interval.observe(interval.as_secs_f64());
        }
        if intake == Intake::Live {
            self.confirmed("seen", link, now);
        }
        self.show_rates();
        self.tick(now);
    }

    /// The newest block is no longer part of the chain; `tip` is the newest one that is.
    pub(super) fn reverted(&mut self, link: BlockLink, tip: Option<BlockLink>) {
        self.stats.reverted(link.block.hash);
        self.last_arrival = None;
        self.tip = tip;
        if let Some(Height(height)) = tip.map(|tip| tip.block.height) {
            self.height.set(height as f64);
        }
        self.show_rates();
    }

    /// A reorg of this depth was followed.
    pub(super) fn reorg(&self, depth: u64) {
        self.reorgs.inc();
        self.depth.observe(depth as f64);
    }

    /// `links` became safe or finalized, the newest last.
    pub(super) fn settled(&self, level: Finality, links: &[BlockLink], now: Timestamp) {
        let word = level.to_string();
        for link in links {
            self.confirmed(&word, *link, now);
        }
        if let (Some(newest), Some(tip)) = (links.last(), self.tip) {
            let labels = &[self.chain.as_str(), word.as_str()];
            let blocks = tip.block.height.above(newest.block.height);
            self.metrics.gauge(&signals::FINALITY_LAG_BLOCKS, labels).set(blocks as f64);
            let seconds = tip.time.since(newest.time).as_secs_f64();
            self.metrics.gauge(&signals::FINALITY_LAG_SECONDS, labels).set(seconds);
        }
    }

    /// From the announcement of a head until its block was there.
    pub(super) fn fetched(&self, took: Duration) {
        self.fetch.observe(took.as_secs_f64());
    }

    /// Time passed.
    pub(super) fn tick(&self, now: Timestamp) {
        if let Some(tip) = self.tip {
            self.age.set(now.since(tip.time.to_timestamp()).as_secs_f64());
        }
    }

    /// Mean time between blocks of late; none until it is known.
    pub(super) fn pace(&self) -> Option<Duration> {
        self.stats.pace()
    }

    /// Longest time between two blocks of late.
    pub(super) fn longest_interval(&self) -> Duration {
        self.stats.longest_interval()
    }

    fn confirmed(&self, level: &str, link: BlockLink, now: Timestamp) {
        let labels = &[self.chain.as_str(), level];
        let took = now.since(link.time.to_timestamp()).as_secs_f64();
        self.metrics.histogram(&signals::CONFIRMATION, labels).observe(took);
    }

    fn show(&mut self, link: BlockLink, stats: &BlockStats) {
        let chain = self.chain.as_str();
        self.tip = Some(link);
        self.height.set(link.block.height.0 as f64);
        self.timestamp.set(link.time.0 as f64);
        let gauge = |signal, value: Option<f64>| {
            if let Some(value) = value {
                self.metrics.gauge(signal, &[chain]).set(value);
            }
        };
        gauge(&signals::BLOCK_FULLNESS, stats.fullness());
        gauge(&signals::BASE_FEE, stats.base_fee);
        gauge(&signals::BLOB_BASE_FEE, stats.blob_base_fee);
        if let Some(fees) = stats.priority_fees {
            for ((_, quantile), fee) in QUANTILES.into_iter().zip(fees) {
                self.metrics.gauge(&signals::PRIORITY_FEE, &[chain, quantile]).set(fee);
            }
        }
    }

    fn show_rates(&self) {
        let Some(rates) = self.stats.rates() else { return };
        let labels = &[self.chain.as_str()];
        let rate = self.metrics.gauge(&signals::TRANSACTIONS_PER_SECOND, labels);
        rate.set(rates.transactions);
        self.metrics.gauge(&signals::GAS_PER_SECOND, labels).set(rates.gas);
        if let Some(failed) = rates.failed {
            self.metrics.gauge(&signals::FAILED_RATIO, labels).set(failed);
        }
    }
}
