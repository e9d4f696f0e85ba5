//! Heads: what each endpoint announced of late, how far the pool has got, and how fast blocks come.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use wk_model::{B256, BlockLink, BlockTime, Height, Timestamp};

use super::call::EndpointName;

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

/// The newest heads of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct RecentHeads {
    /// In the order in which they were seen; newest last.
    seen: VecDeque<BlockLink>,
    /// Height of the newest head that came by subscription, and of the newest that was polled.
    /// Two ways are two connections, perhaps to two nodes: only on one way can a head go back.
    last: [Option<Height>; 2],
}

/// How a head follows on the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Another block.
    New,
    /// The same block again.
    Same,
    /// Back to an older block of the same chain: another node answered.
    Regressed,
}

const KEPT: usize = 256;

impl RecentHeads {
    /// The endpoint's head is `link`.
    pub(crate) fn observe(&mut self, link: BlockLink, via: HeadVia) -> Step {
        let last = self.last[via as usize].replace(link.block.height);
        if self.seen.back().is_some_and(|head| head.block == link.block) {
            return Step::Same;
        }
        let lower = last.is_some_and(|last| link.block.height < last);
        let known = self.hash_at(link.block.height) == Some(link.block.hash);
        self.push(link);
        // A lower head with a hash that was not there before is a reorg, not another node.
        if lower && known { Step::Regressed } else { Step::New }
    }

    fn push(&mut self, link: BlockLink) {
        if self.seen.len() == KEPT {
            self.seen.pop_front();
        }
        self.seen.push_back(link);
    }

    pub(crate) fn head(&self) -> Option<BlockLink> {
        self.seen.back().copied()
    }

    /// The hash that the endpoint gave last for `height`: as a head, or as the parent of one.
    pub(crate) fn hash_at(&self, height: Height) -> Option<B256> {
        self.seen.iter().rev().find_map(|link| {
            if link.block.height == height {
                Some(link.block.hash)
            } else if link.block.height.previous() == Some(height) {
                Some(link.parent)
            } else {
                None
            }
        })
    }
}

/// When the pool first reached each height; tells how long an endpoint has been behind.
#[derive(Debug, Default)]
pub(crate) struct Frontier {
    /// Rising heights, each with the time at which it became the highest.
    reached: VecDeque<(Height, Instant)>,
}

/// How far an endpoint is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lag {
    /// Blocks that it misses.
    pub(crate) blocks: u64,
    /// How long the first of them has been known elsewhere.
    pub(crate) time: Duration,
}

impl Frontier {
    /// The highest head among the endpoints that count is now at `height`.
    pub(crate) fn set(&mut self, height: Height, now: Instant) {
        while self.reached.back().is_some_and(|(above, _)| *above > height) {
            self.reached.pop_back();
        }
        if self.reached.back().is_none_or(|(last, _)| *last < height) {
            if self.reached.len() == 4 * KEPT {
                self.reached.pop_front();
            }
            self.reached.push_back((height, now));
        }
    }

    pub(crate) fn height(&self) -> Option<Height> {
        self.reached.back().map(|(height, _)| *height)
    }

    /// How far an endpoint with this head is behind at `now`; none when it is not.
    pub(crate) fn lag(&self, head: Height, now: Instant) -> Option<Lag> {
        let blocks = self.height()?.above(head);
        let first_missed = self.reached.partition_point(|(height, _)| *height <= head);
        let (_, since) = self.reached.get(first_missed)?;
        Some(Lag { blocks, time: now.saturating_duration_since(*since) })
    }
}

/// Whether an endpoint counts as lagging. It must be behind by blocks and by time: on a fast chain
/// a few blocks are nothing, on a slow one a few seconds are nothing. Who lags stays so until it
/// has nearly caught up.
pub(crate) fn is_lagging(lag: Option<Lag>, was: bool, blocks: u64, time: Duration) -> bool {
    match lag {
        None => false,
        Some(lag) if was => lag.blocks > 1 && lag.time > time / 2,
        Some(lag) => lag.blocks >= blocks && lag.time >= time,
    }
}

/// Learns the time between blocks from the heads that come.
#[derive(Debug, Default)]
pub(crate) struct BlockPace {
    seen: VecDeque<(Height, BlockTime, Instant)>,
}

/// Timestamps are whole seconds: over this long they are exact enough.
const ENOUGH_SECONDS: u64 = 20;
/// Until then the times of arrival have to do, over this many blocks.
const ENOUGH_BLOCKS: u64 = 8;

/// After this long without a higher block, lower ones are where the chain is.
const STANDSTILL: Duration = Duration::from_secs(60);

impl BlockPace {
    pub(crate) fn observe(&mut self, height: Height, time: BlockTime, now: Instant) {
        if let Some((last, _, at)) = self.seen.back()
            && height <= *last
        {
            // An endpoint that is behind, or a reorg: the pace is that of the first to tell. A
            // chain that begins anew is learned anew.
            if now.saturating_duration_since(*at) < STANDSTILL {
                return;
            }
            self.seen.clear();
        }
        if self.seen.len() == KEPT {
            self.seen.pop_front();
        }
        self.seen.push_back((height, time, now));
    }

    /// Mean time between blocks; none until enough were seen.
    pub(crate) fn block_time(&self) -> Option<Duration> {
        let (first, last) = (self.seen.front()?, self.seen.back()?);
        let blocks = last.0.above(first.0);
        let chain_time = last.1.since(first.1);
        let mean = if blocks >= 2 && chain_time.as_secs() >= ENOUGH_SECONDS {
            chain_time.as_secs_f64() / blocks as f64
        } else if blocks >= ENOUGH_BLOCKS {
            last.2.saturating_duration_since(first.2).as_secs_f64() / blocks as f64
        } else {
            return None;
        };
        Some(Duration::from_secs_f64(mean.clamp(0.01, 3_600.0)))
    }
}

/// Mean time between two blocks far apart, by their own timestamps.
pub(crate) fn mean_block_time(low: &BlockLink, high: &BlockLink) -> Option<Duration> {
    let blocks = high.block.height.above(low.block.height);
    let time = high.time.since(low.time).as_secs_f64();
    // Timestamps are whatever somebody wrote: the mean is kept within reason.
    let mean = (time / blocks.max(1) as f64).clamp(0.01, 3_600.0);
    (blocks > 0 && time > 0.0).then(|| Duration::from_secs_f64(mean))
}

/// A block is not made this much before its time; clocks differ by less.
const FUTURE: Duration = Duration::from_secs(900);
/// Blocks that a head may be ahead of another whatever the time between them.
const BURST: u64 = 100;
/// A chain may for a time be so much faster than it mostly is.
const FASTER: f64 = 10.0;

/// Whether a head can be as far ahead of `other` as it says: an endpoint that makes up a high head
/// must not make all others look late.
pub(crate) fn is_plausible(
    head: &BlockLink,
    other: &BlockLink,
    block_time: Option<Duration>,
    now: Timestamp,
) -> bool {
    let ahead = head.block.height.above(other.block.height);
    let time = head.time.since(other.time).as_secs_f64();
    let block_time = block_time.unwrap_or(Duration::from_millis(50)).as_secs_f64();
    let possible = FASTER * time / block_time.max(0.001);
    ahead <= BURST
        || (head.time.to_timestamp() <= now.after(FUTURE) && (ahead - BURST) as f64 <= possible)
}

/// Time between two looks at an endpoint's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Polling {
    /// Configured interval.
    pub(crate) configured: Option<Duration>,
    /// Time between blocks, where it is known.
    pub(crate) block_time: Option<Duration>,
    /// This endpoint's WebSocket delivers heads.
    pub(crate) subscribed: bool,
    /// Another endpoint delivers heads, or is polled at full pace.
    pub(crate) standby: bool,
    /// Requests per day that may be spent.
    pub(crate) budget: Option<u64>,
}

/// Part of a budget that our own checks may spend.
const BUDGET_SHARE: u64 = 4;

impl Polling {
    pub(crate) fn interval(self) -> Duration {
        let Polling { configured, block_time, subscribed, standby, budget } = self;
        let ms = Duration::from_millis;
        let quick = configured.unwrap_or_else(|| {
            block_time.map_or(ms(1_000), |time| (time / 4).clamp(ms(100), ms(3_000)))
        });
        let block_time = block_time.unwrap_or(ms(1_000));
        let wanted = if subscribed {
            // Only to see that the subscription is not behind the node's own answers.
            (block_time * 10).clamp(ms(5_000), ms(30_000)).max(quick)
        } else if standby {
            block_time.clamp(ms(500), ms(6_000)).max(quick)
        } else {
            quick
        };
        wanted.max(budget.map_or(Duration::ZERO, own_check_interval))
    }

    /// The shortest time between two looks when another endpoint tells of a new head.
    pub(crate) fn shortest(self) -> Duration {
        let affordable = self.budget.map_or(Duration::ZERO, own_check_interval);
        self.interval().min(Duration::from_millis(500)).max(affordable)
    }
}

/// Time between two own checks that a daily budget affords.
pub(crate) fn own_check_interval(per_day: u64) -> Duration {
    Duration::from_secs(86_400).mul_f64(1.0 / (per_day / BUDGET_SHARE).max(1) as f64)
}

#[cfg(test)]
mod tests {
    use wk_model::BlockRef;

    use super::*;

    fn link(height: u64, fork: u8) -> BlockLink {
        let hash = |height: u64| {
            let mut hash = B256::with_last_byte(fork);
            hash[..8].copy_from_slice(&height.to_be_bytes());
            hash
        };
        BlockLink {
            block: BlockRef { height: Height(height), hash: hash(height) },
            parent: hash(height.wrapping_sub(1)),
            time: BlockTime(1_000 + height * 12),
        }
    }

    #[test]
    fn tells_another_node_from_a_reorg() {
        let mut heads = RecentHeads::default();
        for (head, expected) in [
            (link(10, 0), Step::New),
            (link(10, 0), Step::Same),
            (link(11, 0), Step::New),
            (link(14, 0), Step::New),
            (link(11, 0), Step::Regressed),
            (link(13, 0), Step::New),
            (link(13, 1), Step::New),
            (link(12, 2), Step::New),
            (link(10, 0), Step::Regressed),
            // Only known as a parent, which is as good.
            (link(9, 0), Step::Regressed),
        ] {
            assert_eq!(heads.observe(head, HeadVia::Poll), expected, "{head:?}");
        }
        assert_eq!(heads.hash_at(Height(13)), Some(link(13, 1).block.hash));
        assert_eq!(heads.hash_at(Height(14)), Some(link(14, 0).block.hash));
        assert_eq!(heads.hash_at(Height(99)), None);
        // The subscription is behind what was polled: these are two connections.
        assert_eq!(heads.observe(link(9, 0), HeadVia::Subscription), Step::Same);
        assert_eq!(heads.observe(link(20, 0), HeadVia::Poll), Step::New);
        assert_eq!(heads.observe(link(19, 0), HeadVia::Subscription), Step::New);
        assert_eq!(heads.observe(link(9, 0), HeadVia::Subscription), Step::Regressed);
        for height in 100..1_000 {
            heads.observe(link(height, 0), HeadVia::Poll);
        }
        assert_eq!(heads.seen.len(), KEPT);
    }

    #[test]
    fn measures_lag_in_blocks_and_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut frontier = Frontier::default();
        assert_eq!(frontier.lag(Height(5), start), None);
        for second in 0..10 {
            frontier.set(Height(100 + second), at(second));
            frontier.set(Height(100 + second), at(second));
        }
        let lag = |blocks, seconds| Some(Lag { blocks, time: Duration::from_secs(seconds) });
        assert_eq!(frontier.lag(Height(109), at(10)), None);
        assert_eq!(frontier.lag(Height(110), at(10)), None);
        assert_eq!(frontier.lag(Height(108), at(10)), lag(1, 1));
        assert_eq!(frontier.lag(Height(102), at(10)), lag(7, 7));
        assert_eq!(frontier.lag(Height(1), at(10)), lag(108, 10));
        // Everybody goes back: nobody is behind what is no longer there.
        frontier.set(Height(103), at(11));
        assert_eq!(frontier.lag(Height(103), at(12)), None);
        assert_eq!(frontier.lag(Height(102), at(12)), lag(1, 9));
    }

    #[test]
    fn lags_by_blocks_and_time_and_recovers_with_hysteresis() {
        let lag = |blocks, seconds| Some(Lag { blocks, time: Duration::from_secs(seconds) });
        for (lag, was, expected) in [
            (None, false, false),
            (None, true, false),
            (lag(2, 60), false, false),
            (lag(50, 9), false, false),
            (lag(3, 10), false, true),
            (lag(2, 6), true, true),
            (lag(1, 60), true, false),
            (lag(9, 4), true, false),
        ] {
            assert_eq!(is_lagging(lag, was, 3, Duration::from_secs(10)), expected, "{lag:?} {was}");
        }
    }

    #[test]
    fn learns_the_block_time_of_slow_and_fast_chains() {
        let start = Instant::now();
        let learn = |blocks: u64, every_ms: u64| {
            let mut pace = BlockPace::default();
            for block in 0..blocks {
                let passed = block * every_ms;
                let now = start + Duration::from_millis(passed);
                pace.observe(Height(block), BlockTime(1_000 + passed / 1_000), now);
            }
            pace.block_time().map(|time| time.as_millis())
        };
        assert_eq!(learn(2, 12_000), None);
        assert_eq!(learn(3, 12_000), Some(12_000));
        assert_eq!(learn(8, 200), None);
        assert_eq!(learn(9, 200), Some(200));
        assert_eq!(learn(1_000, 200), Some(200));
        let mut pace = BlockPace::default();
        for block in 100..200 {
            let now = start + Duration::from_millis(block * 200);
            pace.observe(Height(block), BlockTime(block / 5), now);
            pace.observe(Height(block - 7), BlockTime(block / 5), now);
        }
        assert_eq!(pace.block_time(), Some(Duration::from_millis(200)), "who lags does not count");
        let later = start + Duration::from_millis(200 * 200) + STANDSTILL;
        pace.observe(Height(5), BlockTime(1), later);
        assert_eq!(pace.block_time(), None, "the chain began anew");
        assert_eq!(mean_block_time(&link(1, 0), &link(101, 0)), Some(Duration::from_secs(12)));
        assert_eq!(mean_block_time(&link(5, 0), &link(5, 0)), None);
    }

    #[test]
    fn a_made_up_head_is_no_measure() {
        let now = BlockTime(1_000 + 1_000 * 12).to_timestamp();
        let slow = Some(Duration::from_secs(12));
        let base = link(1_000, 0);
        let at = |height: u64, time: u64| {
            let BlockLink { block, parent, .. } = link(1, 0);
            let block = BlockRef { height: Height(height), ..block };
            BlockLink { block, parent, time: BlockTime(time) }
        };
        let time = base.time.0;
        for (head, other, expected) in [
            (base, base, true),
            (link(900, 0), base, true),
            (at(1_090, time), base, true),
            // A week behind is a week behind.
            (base, at(10, time - 990 * 12), true),
            (at(5_000, time + 60), base, false),
            (at(u64::MAX, u64::MAX), base, false),
            (at(u64::MAX, time), base, false),
            (at(2_000, time + 1_000 * 12), base, false),
        ] {
            assert_eq!(is_plausible(&head, &other, slow, now), expected, "{head:?}");
        }
        assert!(mean_block_time(&at(1, 0), &at(2, u64::MAX)).is_some_and(|t| t.as_secs() <= 3_600));
    }

    #[test]
    fn polls_as_often_as_useful_and_affordable() {
        let basis = Polling {
            configured: None,
            block_time: None,
            subscribed: false,
            standby: false,
            budget: None,
        };
        let ms = |ms| Some(Duration::from_millis(ms));
        for (polling, expected) in [
            (basis, 1_000),
            (Polling { block_time: ms(12_000), ..basis }, 3_000),
            (Polling { block_time: ms(2_000), ..basis }, 500),
            (Polling { block_time: ms(200), ..basis }, 100),
            (Polling { block_time: ms(600_000), ..basis }, 3_000),
            (Polling { block_time: ms(12_000), standby: true, ..basis }, 6_000),
            (Polling { block_time: ms(200), standby: true, ..basis }, 500),
            (Polling { block_time: ms(12_000), subscribed: true, ..basis }, 30_000),
            (Polling { block_time: ms(200), subscribed: true, ..basis }, 5_000),
            (Polling { configured: ms(50), block_time: ms(200), ..basis }, 50),
            (Polling { configured: ms(9_000), standby: true, ..basis }, 9_000),
            (Polling { block_time: ms(200), budget: Some(86_400 * 4), ..basis }, 1_000),
            (Polling { budget: Some(1), ..basis }, 86_400_000),
        ] {
            assert_eq!(polling.interval(), Duration::from_millis(expected), "{polling:?}");
        }
    }
}
