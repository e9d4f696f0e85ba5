//! The matches of one window key in the order of the chain, and sums over the last of them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use wk_model::{BlockRef, BlockTime, Height};

use crate::cel::Int;
use crate::config::WindowSpan;
use crate::rule::Needs;

/// Where in a chain an entry stands: its block's height, and its place in the block.
pub(crate) type Place = (Height, u64);

/// One match.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Match {
    pub(crate) block: BlockRef,
    pub(crate) time: BlockTime,
    pub(crate) ordinal: u64,
    /// What the window adds up or counts the kinds of.
    pub(crate) item: Item,
    /// Whether `when` was true with this match.
    pub(crate) met: bool,
    /// Whether the rule fired with it.
    pub(crate) fired: bool,
}

impl Match {
    pub(crate) fn place(&self) -> Place {
        (self.block.height, self.ordinal)
    }
}

/// What a match adds to its window.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Item {
    None,
    Int(Int),
    Text(Arc<str>),
}

/// Matches in order of their places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    matches: VecDeque<Match>,
    /// Some time is earlier than one before it. Producers set times, so it can happen.
    unordered: bool,
    tally: Option<Tally>,
}

/// A window's sums at one match.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sums {
    pub(crate) count: u64,
    pub(crate) sum: Option<Int>,
    pub(crate) min: Option<Int>,
    pub(crate) max: Option<Int>,
    pub(crate) distinct: Option<u64>,
}

/// Running sums over `start..end`. They move along with the window, so that a match costs the same
/// however long the window is.
#[derive(Clone, Debug, Default)]
struct Tally {
    start: usize,
    end: usize,
    sum: Int,
    numbers: BTreeMap<Int, u32>,
    kinds: HashMap<Item, u32>,
}

impl Series {
    pub(crate) fn len(&self) -> usize {
        self.matches.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.matches.is_empty()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Match> {
        self.matches.get(index)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Match> {
        self.matches.get_mut(index)
    }

    /// The newest match at or before `height`.
    pub(crate) fn last_until(&self, height: Height) -> Option<&Match> {
        let end = self.matches.partition_point(|entry| entry.block.height <= height);
        self.matches.get(end.checked_sub(1)?)
    }

    /// Puts a match at its place, over one that is there already. Returns its index, and whether it
    /// is new.
    pub(crate) fn insert(&mut self, entry: Match) -> (usize, bool) {
        let place = entry.place();
        let index = self.matches.partition_point(|other| other.place() < place);
        let before = index.checked_sub(1).and_then(|i| self.matches.get(i));
        let after = self.matches.get(index);
        if before.is_some_and(|before| before.time > entry.time)
            || after.is_some_and(|after| after.time < entry.time)
        {
            self.unordered = true;
        }
        if let Some(same) = self.matches.get_mut(index).filter(|other| other.place() == place) {
            *same = entry;
            self.spoil(index);
            return (index, false);
        }
        if index == self.matches.len() {
            self.matches.push_back(entry);
        } else {
            self.matches.insert(index, entry);
            self.spoil(index);
        }
        (index, true)
    }

    /// Removes the matches of a block; returns how many.
    pub(crate) fn remove(&mut self, block: &BlockRef) -> usize {
        let start = self.matches.partition_point(|entry| entry.block.height < block.height);
        let end = self.matches.partition_point(|entry| entry.block.height <= block.height);
        if self.matches.get(start).is_none_or(|entry| entry.block != *block) || start >= end {
            return 0;
        }
        self.matches.drain(start..end);
        self.spoil(start);
        end - start
    }

    /// Removes the matches that are out of reach for every window that ends at `floor` or later;
    /// returns how many.
    pub(crate) fn prune(&mut self, span: WindowSpan, floor: (Height, BlockTime)) -> usize {
        let out_of_reach =
            |entry: &Match| entry.block.height <= floor.0 && !within(span, entry, floor.0, floor.1);
        let gone = self.matches.iter().take_while(|entry| out_of_reach(entry)).count();
        self.drop_front(gone)
    }

    /// Removes all but the newest match at or before `floor`, and what comes after; returns how
    /// many.
    pub(crate) fn keep_last(&mut self, floor: Height) -> usize {
        let until = self.matches.partition_point(|entry| entry.block.height <= floor);
        self.drop_front(until.saturating_sub(1))
    }

    fn drop_front(&mut self, count: usize) -> usize {
        if count > 0 {
            self.matches.drain(..count);
            self.tally = None;
        }
        count
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Match> {
        self.matches.iter()
    }

    /// Where the window begins that ends with the match at `index`.
    pub(crate) fn window_start(&self, span: WindowSpan, index: usize) -> usize {
        let Some(last) = self.matches.get(index) else { return index };
        let inside = |entry: &Match| within(span, entry, last.block.height, last.time);
        if self.unordered && matches!(span, WindowSpan::Time(_)) {
            let gap = (0..=index).rev().take_while(|i| self.matches.get(*i).is_some_and(inside));
            return index + 1 - gap.count().max(1);
        }
        self.matches.partition_point(|entry| !inside(entry)).min(index)
    }

    /// Sums over the window that ends with the match at `index`; none when a sum leaves the range
    /// of 512 bits.
    pub(crate) fn sums(&mut self, span: WindowSpan, needs: Needs, index: usize) -> Option<Sums> {
        let start = self.window_start(span, index);
        let end = index + 1;
        let count = (end - start) as u64;
        if needs == Needs::default() {
            return Some(Sums { count, sum: None, min: None, max: None, distinct: None });
        }
        let mut tally = match self.tally.take() {
            Some(tally) if tally.start <= start && tally.end <= end && start <= tally.end => tally,
            _ => Tally { start, end: start, ..Tally::default() },
        };
        for entry in self.matches.range(tally.end..end) {
            tally.add(needs, &entry.item)?;
        }
        for entry in self.matches.range(tally.start..start) {
            tally.take(needs, &entry.item);
        }
        (tally.start, tally.end) = (start, end);
        let sums = Sums {
            count,
            sum: needs.sum.then_some(tally.sum),
            min: tally.numbers.first_key_value().map(|(number, _)| *number),
            max: tally.numbers.last_key_value().map(|(number, _)| *number),
            distinct: needs.distinct.then_some(tally.kinds.len() as u64),
        };
        self.tally = Some(tally);
        Some(sums)
    }

    /// Forgets running sums that counted a match at or behind `index`.
    fn spoil(&mut self, index: usize) {
        if self.tally.as_ref().is_some_and(|tally| tally.end > index) {
            self.tally = None;
        }
    }
}

/// Whether a match is inside a window that ends at `height` and `time`.
pub(crate) fn within(span: WindowSpan, entry: &Match, height: Height, time: BlockTime) -> bool {
    match span {
        WindowSpan::Blocks(blocks) => height.above(entry.block.height) < blocks,
        WindowSpan::Time(length) => time.since(entry.time) <= length.0,
    }
}

impl Tally {
    fn add(&mut self, needs: Needs, item: &Item) -> Option<()> {
        if let Item::Int(number) = item {
            if needs.sum {
                self.sum = self.sum.checked_add(*number)?;
            }
            if needs.extremes {
                *self.numbers.entry(*number).or_default() += 1;
            }
        }
        if needs.distinct && *item != Item::None {
            *self.kinds.entry(item.clone()).or_default() += 1;
        }
        Some(())
    }

    fn take(&mut self, needs: Needs, item: &Item) {
        if let Item::Int(number) = item {
            if needs.sum {
                self.sum = self.sum.checked_sub(*number).expect("the number was added before");
            }
            if needs.extremes
                && let Some(count) = self.numbers.get_mut(number)
            {
                *count -= 1;
                if *count == 0 {
                    self.numbers.remove(number);
                }
            }
        }
        if needs.distinct
            && let Some(count) = self.kinds.get_mut(item)
        {
            *count -= 1;
            if *count == 0 {
                self.kinds.remove(item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wk_model::{B256, HumanDuration};

    use super::*;

    const ALL: Needs = Needs { sum: true, extremes: true, distinct: true };

    fn entry(height: u64, ordinal: u64, time: u64, number: i64) -> Match {
        Match {
            block: BlockRef { height: Height(height), hash: B256::with_last_byte(1) },
            time: BlockTime(time),
            ordinal,
            item: Item::Int(number.into()),
            met: false,
            fired: false,
        }
    }

    /// The same sums, added up from nothing.
    fn plainly(series: &Series, span: WindowSpan, index: usize) -> Sums {
        let last = series.get(index).expect("the match is there");
        let inside = (0..=index)
            .rev()
            .map_while(|i| series.get(i))
            .take_while(|entry| within(span, entry, last.block.height, last.time));
        let numbers: Vec<Int> = inside
            .filter_map(|entry| match entry.item {
                Item::Int(number) => Some(number),
                _ => None,
            })
            .collect();
        let mut kinds = numbers.clone();
        kinds.sort_unstable();
        kinds.dedup();
        Sums {
            count: numbers.len() as u64,
            sum: numbers.iter().try_fold(Int::ZERO, |sum, number| sum.checked_add(*number)),
            min: numbers.iter().min().copied(),
            max: numbers.iter().max().copied(),
            distinct: Some(kinds.len() as u64),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Running sums are the plain sums, in whatever order matches come, go and are asked for.
        #[test]
        fn running_sums_are_plain_sums(
            steps in prop::collection::vec((0u8..10, 0u64..30, 0u64..4, 0u64..400, -3i64..4), 1..60),
            by_time in any::<bool>(),
        ) {
            let span = if by_time {
                WindowSpan::Time(HumanDuration::seconds(100))
            } else {
                WindowSpan::Blocks(8)
            };
            let mut series = Series::default();
            for (what, height, ordinal, jitter, number) in steps {
                match what {
                    0 => {
                        let hash = B256::with_last_byte(1);
                        series.remove(&BlockRef { height: Height(height), hash });
                    }
                    1 => {
                        series.prune(span, (Height(height / 2), BlockTime(height * 5)));
                    }
                    _ => {
                        // Mostly in order of time, sometimes not.
                        let time = height * 10 + if jitter > 380 { jitter } else { 0 };
                        let (index, _) = series.insert(entry(height, ordinal, time, number));
                        let sums = series.sums(span, ALL, index).expect("no overflow");
                        prop_assert_eq!(sums, plainly(&series, span, index));
                    }
                }
                if let Some(last) = series.len().checked_sub(1) {
                    let sums = series.sums(span, ALL, last).expect("no overflow");
                    prop_assert_eq!(sums, plainly(&series, span, last));
                }
            }
        }
    }

    #[test]
    fn the_match_that_is_exactly_as_old_as_the_window_counts() {
        let check = |span, times: &[u64], expected: u64| {
            let mut series = Series::default();
            for (i, time) in times.iter().enumerate() {
                series.insert(entry(i as u64, 0, *time, 1));
            }
            let sums = series.sums(span, Needs::default(), times.len() - 1).expect("no overflow");
            assert_eq!(sums.count, expected, "{times:?}");
        };
        let minute = WindowSpan::Time(HumanDuration::seconds(60));
        check(minute, &[0, 60], 2);
        check(minute, &[0, 61], 1);
        check(minute, &[0, 30, 61], 2);
        check(WindowSpan::Blocks(2), &[0, 1, 2], 2);
        check(WindowSpan::Blocks(1), &[0, 1, 2], 1);
    }
}
