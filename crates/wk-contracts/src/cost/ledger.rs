//! Sums over time: per day, with blocks that can still be taken back.

use std::collections::{BTreeMap, VecDeque};

use alloy_primitives::{Address, U256};
use wk_model::{BlockRef, BlockTime, Height};

use super::forecast::theil_sen;
use super::stats::{Deltas, Key, Stats};

/// Seconds of one period.
const DAY: u64 = 86_400;
/// Functions that a summary shows, by gas.
const MAX_FUNCTIONS: usize = 50;

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug)]
pub struct LedgerLimits {
    /// Days.
    pub days: usize,
    /// Functions of all contracts on one day; beyond it, new ones are only counted.
    pub functions: usize,
    /// Blocks that can be taken back.
    pub blocks: usize,
}

impl Default for LedgerLimits {
    fn default() -> LedgerLimits {
        LedgerLimits { days: 400, functions: 10_000, blocks: 4_096 }
    }
}

/// What contracts did, per day.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    limits: LedgerLimits,
    days: BTreeMap<u64, Deltas>,
    recent: VecDeque<(BlockRef, u64, Deltas)>,
    left_out: u64,
}

/// Two ledgers are the same when their sums are.
impl PartialEq for Ledger {
    fn eq(&self, other: &Ledger) -> bool {
        self.days == other.days && self.left_out == other.left_out
    }
}

/// How something changes from day to day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Units per day: the median of the slopes between all pairs of days (Theil–Sen).
    pub per_day: f64,
    /// Days that it is drawn from.
    pub days: usize,
}

/// A contract over some days.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// All its functions together.
    pub total: Stats,
    /// Each function, most gas first.
    pub functions: Vec<(Key, Stats)>,
    /// How gas per call changes.
    pub gas_trend: Option<Trend>,
    /// Wei paid for gas on each day, from the first day on; the days are in seconds since the epoch.
    pub fees_per_day: Vec<(u64, U256)>,
}

impl Ledger {
    /// An empty one.
    pub fn new(limits: LedgerLimits) -> Ledger {
        Ledger { limits, ..Ledger::default() }
    }

    /// Adds a block; false, and nothing changes, when it is among the newest already.
    pub fn block(&mut self, block: BlockRef, time: BlockTime, mut deltas: Deltas) -> bool {
        if self.recent.iter().any(|(known, _, _)| *known == block) {
            return false;
        }
        let start = time.0 / DAY * DAY;
        let day = self.days.entry(start).or_default();
        if day.0.len() >= self.limits.functions {
            let before = deltas.0.len();
            deltas.0.retain(|key, _| day.0.contains_key(key));
            self.left_out += (before - deltas.0.len()) as u64;
        }
        day.merge(&deltas);
        if day.0.is_empty() {
            self.days.remove(&start);
        }
        self.recent.push_back((block, start, deltas));
        while self.recent.len() > self.limits.blocks {
            self.recent.pop_front();
        }
        while self.days.len() > self.limits.days {
            self.days.pop_first();
        }
        true
    }

    /// Puts better sums in the place of a block's, such as those of its traces; false when it is not
    /// known (any more).
    pub fn replace(&mut self, block: &BlockRef, mut deltas: Deltas) -> bool {
        let Some((_, start, old)) = self.recent.iter_mut().rfind(|(known, _, _)| known == block)
        else {
            return false;
        };
        let day = self.days.entry(*start).or_default();
        day.remove(old);
        if day.0.len() >= self.limits.functions {
            deltas.0.retain(|key, _| day.0.contains_key(key));
        }
        day.merge(&deltas);
        if day.0.is_empty() {
            self.days.remove(start);
        }
        *old = deltas;
        true
    }

    /// Takes a block back; false when it is not known (any more).
    pub fn revert(&mut self, block: &BlockRef) -> bool {
        let Some(at) = self.recent.iter().rposition(|(known, _, _)| known == block) else {
            return false;
        };
        let (_, start, deltas) = self.recent.remove(at).expect("its place was just found");
        if let Some(day) = self.days.get_mut(&start) {
            day.remove(&deltas);
            if day.0.is_empty() {
                self.days.remove(&start);
            }
        }
        true
    }

    /// Blocks up to a height can no longer be taken back.
    pub fn finalized(&mut self, height: Height) {
        while self.recent.front().is_some_and(|(block, _, _)| block.height <= height) {
            self.recent.pop_front();
        }
    }

    /// Adds another's sums, as of another process that looked at other blocks.
    pub fn merge(&mut self, other: &Ledger) {
        for (start, deltas) in &other.days {
            self.days.entry(*start).or_default().merge(deltas);
        }
        self.left_out += other.left_out;
    }

    /// Functions that found no place.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Contracts that have sums.
    pub fn contracts(&self) -> std::collections::BTreeSet<Address> {
        self.days.values().flat_map(|day| day.0.keys().map(|key| key.contract)).collect()
    }

    /// A contract from one time to another (seconds since the epoch, by whole days).
    pub fn summary(&self, contract: &Address, from: u64, to: u64) -> Summary {
        let mut summary = Summary::default();
        let mut functions: BTreeMap<Key, Stats> = BTreeMap::new();
        let mut gas_per_day = Vec::new();
        for (start, day) in self.days.range(from / DAY * DAY..=to) {
            let mut total = Stats::default();
            for (key, stats) in day.0.iter().filter(|(key, _)| key.contract == *contract) {
                total.merge(stats);
                functions.entry(*key).or_default().merge(stats);
            }
            if total.calls > 0 {
                #[expect(clippy::cast_precision_loss, reason = "a mean")]
                gas_per_day.push(((start / DAY) as f64, total.gas as f64 / total.calls as f64));
            }
            summary.fees_per_day.push((*start, total.fees));
            summary.total.merge(&total);
        }
        summary.gas_trend =
            theil_sen(&gas_per_day).map(|(per_day, _)| Trend { per_day, days: gas_per_day.len() });
        summary.functions = functions.into_iter().collect();
        summary.functions.sort_by_key(|(_, stats)| std::cmp::Reverse(stats.gas));
        summary.functions.truncate(MAX_FUNCTIONS);
        summary
    }
}
