//! Sets of block ranges: which heights are covered, how far each was verified, and where the
//! holes are.

use std::collections::BTreeMap;

use wk_model::{CoverageRange, Height, Verification};

/// What is known about the blocks of one chain, as ranges that never overlap.
///
/// Neighbouring ranges that are alike are kept as one. Holes are ranges that were announced with
/// `processed: false`, and heights between two ranges that no range holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// By lowest height.
    ranges: BTreeMap<u64, CoverageRange>,
}

/// Coverage in a few numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoverageSummary {
    /// Lowest and highest height that is known of; none when nothing is.
    pub span: Option<(Height, Height)>,
    /// The run of processed blocks without a hole that ends highest.
    pub contiguous: Option<(Height, Height)>,
    /// Blocks that rules have seen.
    pub processed: u64,
    /// Blocks that rules have seen and that passed every check.
    pub verified: u64,
    /// Runs of blocks that are known to exist and were not looked at, lowest first.
    pub holes: Vec<(Height, Height)>,
    /// Processed ranges that miss a check, lowest first; each says why.
    pub weaker: Vec<CoverageRange>,
    /// Blocks that were looked at again at least once.
    pub rescanned: u64,
}

impl Coverage {
    /// Nothing covered.
    pub fn new() -> Coverage {
        Coverage::default()
    }

    /// The ranges, lowest first.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = &CoverageRange> {
        self.ranges.values()
    }

    /// The range that holds `height`.
    pub fn at(&self, height: Height) -> Option<&CoverageRange> {
        let (_, range) = self.ranges.range(..=height.0).next_back()?;
        (range.to >= height).then_some(range)
    }

    /// Sets what is known about the blocks of `range`, whatever was known before.
    pub fn insert(&mut self, range: CoverageRange) {
        if range.from > range.to {
            return;
        }
        let (from, to) = (range.from, range.to);
        self.remove(from, to);
        self.ranges.insert(from.0, range);
        self.merge_at(from.0);
        self.merge_at(to.0.saturating_add(1));
    }

    /// Marks one block as processed and verified like this.
    pub fn processed(&mut self, height: Height, verification: Verification) {
        let rescans = self.at(height).map_or(0, |range| range.rescans);
        self.insert(CoverageRange {
            from: height,
            to: height,
            verification,
            processed: true,
            rescans,
        });
    }

    /// Marks `from..=to` as a hole.
    pub fn hole(&mut self, from: Height, to: Height) {
        self.insert(CoverageRange {
            from,
            to,
            verification: Verification::default(),
            processed: false,
            rescans: 0,
        });
    }

    /// Forgets `from..=to`: the blocks were reverted.
    pub fn remove(&mut self, from: Height, to: Height) {
        if from > to {
            return;
        }
        self.split(from.0);
        if let Some(after) = to.0.checked_add(1) {
            self.split(after);
        }
        let inside: Vec<u64> = self.ranges.range(from.0..=to.0).map(|(key, _)| *key).collect();
        for key in inside {
            self.ranges.remove(&key);
        }
    }

    /// Counts one more look at the processed blocks in `from..=to`.
    pub fn rescanned(&mut self, from: Height, to: Height) {
        self.change(from, to, |range| {
            if range.processed {
                range.rescans = range.rescans.saturating_add(1);
            }
        });
    }

    /// Sets how many endpoints agreed on the block at `height`.
    pub fn agreed(&mut self, height: Height, agreed: u8) {
        self.change(height, height, |range| {
            if range.processed {
                range.verification.agreed = agreed;
            }
        });
    }

    /// Runs of blocks between the lowest and the highest known one that were not processed,
    /// lowest first.
    pub fn holes(&self) -> Vec<(Height, Height)> {
        let mut holes: Vec<(Height, Height)> = Vec::new();
        let mut push = |from: Height, to: Height| match holes.last_mut() {
            Some(last) if last.1.next() == from => last.1 = to,
            _ => holes.push((from, to)),
        };
        let mut expected: Option<Height> = None;
        for range in self.ranges.values() {
            if let Some(expected) = expected.filter(|expected| *expected < range.from) {
                push(expected, Height(range.from.0 - 1));
            }
            if !range.processed {
                push(range.from, range.to);
            }
            expected = Some(range.to.next());
        }
        holes
    }

    /// All of it in a few numbers.
    pub fn summary(&self) -> CoverageSummary {
        let mut summary = CoverageSummary { holes: self.holes(), ..CoverageSummary::default() };
        if let (Some(first), Some(last)) =
            (self.ranges.values().next(), self.ranges.values().next_back())
        {
            summary.span = Some((first.from, last.to));
        }
        for range in self.ranges.values().filter(|range| range.processed) {
            summary.processed += range.len();
            if range.verification.is_full() {
                summary.verified += range.len();
            } else {
                summary.weaker.push(range.clone());
            }
            if range.rescans > 0 {
                summary.rescanned += range.len();
            }
            summary.contiguous = Some(match summary.contiguous {
                Some((from, to)) if to.next() == range.from => (from, range.to),
                _ => (range.from, range.to),
            });
        }
        summary
    }

    /// Applies `change` to each range, or part of one, within `from..=to`.
    fn change(&mut self, from: Height, to: Height, change: impl Fn(&mut CoverageRange)) {
        if from > to {
            return;
        }
        self.split(from.0);
        if let Some(after) = to.0.checked_add(1) {
            self.split(after);
        }
        let inside: Vec<u64> = self.ranges.range(from.0..=to.0).map(|(key, _)| *key).collect();
        for key in &inside {
            if let Some(range) = self.ranges.get_mut(key) {
                change(range);
            }
        }
        for key in inside {
            self.merge_at(key);
        }
        if let Some(after) = to.0.checked_add(1) {
            self.merge_at(after);
        }
    }

    /// Makes a range begin at `height`, when one lies across it.
    fn split(&mut self, height: u64) {
        let Some((_, range)) = self.ranges.range_mut(..height).next_back() else { return };
        if range.to.0 < height {
            return;
        }
        let mut upper = range.clone();
        upper.from = Height(height);
        range.to = Height(height - 1);
        self.ranges.insert(height, upper);
    }

    /// Makes the range that begins at `height` one with the range below, when they touch and are
    /// alike.
    fn merge_at(&mut self, height: u64) {
        let Some(upper) = self.ranges.get(&height) else { return };
        let Some((_, lower)) = self.ranges.range(..height).next_back() else { return };
        if lower.to.next() != upper.from || !alike(lower, upper) {
            return;
        }
        let (key, to) = (lower.from.0, upper.to);
        self.ranges.remove(&height);
        if let Some(lower) = self.ranges.get_mut(&key) {
            lower.to = to;
        }
    }
}

/// From stored rows, in any order; where rows overlap, the later one holds.
impl FromIterator<CoverageRange> for Coverage {
    fn from_iter<I: IntoIterator<Item = CoverageRange>>(ranges: I) -> Coverage {
        let mut coverage = Coverage::new();
        for range in ranges {
            coverage.insert(range);
        }
        coverage
    }
}

/// Whether two ranges say the same about their blocks.
fn alike(a: &CoverageRange, b: &CoverageRange) -> bool {
    let CoverageRange { from: _, to: _, verification, processed, rescans } = a;
    *verification == b.verification && *processed == b.processed && *rescans == b.rescans
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wk_model::{Check, Checks};

    use super::*;

    /// What is known about a block, without where it is.
    type Known = (Verification, bool, u32);

    /// The same, block by block.
    #[derive(Default)]
    struct Naive(BTreeMap<u64, Known>);

    #[derive(Clone, Debug)]
    enum Op {
        Insert(CoverageRange),
        Processed(u64, Verification),
        Hole(u64, u64),
        Remove(u64, u64),
        Rescanned(u64, u64),
        Agreed(u64, u8),
    }

    impl Naive {
        fn apply(&mut self, op: &Op) {
            match op.clone() {
                Op::Insert(range) => {
                    for height in range.from.0..=range.to.0 {
                        self.0.insert(
                            height,
                            (range.verification.clone(), range.processed, range.rescans),
                        );
                    }
                }
                Op::Processed(height, verification) => {
                    let rescans = self.0.get(&height).map_or(0, |known| known.2);
                    self.0.insert(height, (verification, true, rescans));
                }
                Op::Hole(from, to) => {
                    for height in from..=to {
                        self.0.insert(height, (Verification::default(), false, 0));
                    }
                }
                Op::Remove(from, to) => self.0.retain(|height, _| *height < from || *height > to),
                Op::Rescanned(from, to) => {
                    for (_, known) in self.0.range_mut(from..=to) {
                        known.2 += u32::from(known.1);
                    }
                }
                Op::Agreed(height, agreed) => {
                    if let Some(known) = self.0.get_mut(&height).filter(|known| known.1) {
                        known.0.agreed = agreed;
                    }
                }
            }
        }

        fn holes(&self) -> Vec<u64> {
            let (Some(low), Some(high)) =
                (self.0.keys().next().copied(), self.0.keys().next_back().copied())
            else {
                return Vec::new();
            };
            (low..=high).filter(|height| self.0.get(height).is_none_or(|known| !known.1)).collect()
        }
    }

    fn apply(coverage: &mut Coverage, op: &Op) {
        match op.clone() {
            Op::Insert(range) => coverage.insert(range),
            Op::Processed(height, verification) => {
                coverage.processed(Height(height), verification);
            }
            Op::Hole(from, to) => coverage.hole(Height(from), Height(to)),
            Op::Remove(from, to) => coverage.remove(Height(from), Height(to)),
            Op::Rescanned(from, to) => coverage.rescanned(Height(from), Height(to)),
            Op::Agreed(height, agreed) => coverage.agreed(Height(height), agreed),
        }
    }

    fn any_verification() -> impl Strategy<Value = Verification> {
        (0u8..3).prop_map(|kind| match kind {
            0 => Verification { passed: Checks::all(), shortfall: String::new(), agreed: 1 },
            1 => Verification { passed: Checks::all(), shortfall: String::new(), agreed: 2 },
            _ => Verification {
                passed: Checks::default().with(Check::Parent),
                shortfall: "no receipts".to_owned(),
                agreed: 1,
            },
        })
    }

    fn any_range() -> impl Strategy<Value = (u64, u64)> {
        // Mostly low and crowded; sometimes at the very top, where heights must not overflow.
        prop_oneof![
            9 => (0u64..40, 0u64..8).prop_map(|(from, len)| (from, from + len)),
            1 => (0u64..4, 0u64..4)
                .prop_map(|(below, len)| (u64::MAX - below, (u64::MAX - below).saturating_add(len))),
        ]
    }

    fn any_op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (any_range(), any_verification(), any::<bool>(), 0u32..2).prop_map(
                |((from, to), verification, processed, rescans)| Op::Insert(CoverageRange {
                    from: Height(from),
                    to: Height(to),
                    verification,
                    processed,
                    rescans
                })
            ),
            (0u64..40, any_verification()).prop_map(|(height, v)| Op::Processed(height, v)),
            any_range().prop_map(|(from, to)| Op::Hole(from, to)),
            any_range().prop_map(|(from, to)| Op::Remove(from, to)),
            any_range().prop_map(|(from, to)| Op::Rescanned(from, to)),
            (0u64..40, 1u8..4).prop_map(|(height, agreed)| Op::Agreed(height, agreed)),
        ]
    }

    proptest! {
        #[test]
        fn ranges_say_the_same_as_single_blocks(ops in prop::collection::vec(any_op(), 0..40)) {
            let (mut coverage, mut naive) = (Coverage::new(), Naive::default());
            for op in &ops {
                apply(&mut coverage, op);
                naive.apply(op);
            }
            // The same knowledge about every block.
            let mut flat = BTreeMap::new();
            for range in coverage.ranges() {
                prop_assert!(range.from <= range.to);
                for height in range.from.0..=range.to.0 {
                    let known = (range.verification.clone(), range.processed, range.rescans);
                    prop_assert!(flat.insert(height, known).is_none(), "overlap at {height}");
                }
            }
            prop_assert_eq!(&flat, &naive.0);
            // In as few ranges as possible.
            for (lower, upper) in coverage.ranges().zip(coverage.ranges().skip(1)) {
                let touch = lower.to.next() == upper.from;
                prop_assert!(!touch || !alike(lower, upper), "{lower:?} and {upper:?}");
            }
            // The same from stored rows.
            prop_assert_eq!(&coverage.ranges().rev().cloned().collect::<Coverage>(), &coverage);
            // Holes: the naive way walks every height, so only where heights are low.
            if ops.iter().all(|op| !format!("{op:?}").contains("184467440737")) {
                let holes: Vec<u64> =
                    coverage.holes().iter().flat_map(|(from, to)| from.0..=to.0).collect();
                prop_assert_eq!(holes, naive.holes());
            }
        }
    }

    #[test]
    fn a_summary_counts_and_names() {
        let full = Verification { passed: Checks::all(), shortfall: String::new(), agreed: 1 };
        let weak = Verification {
            passed: Checks::default().with(Check::Parent),
            shortfall: "receipts not available".to_owned(),
            agreed: 1,
        };
        let mut coverage = Coverage::new();
        for height in 10..20 {
            coverage.processed(Height(height), full.clone());
        }
        coverage.hole(Height(20), Height(24));
        for height in 25..30 {
            coverage
                .processed(Height(height), if height == 27 { weak.clone() } else { full.clone() });
        }
        coverage.remove(Height(12), Height(12));
        coverage.rescanned(Height(15), Height(22));
        let summary = coverage.summary();
        assert_eq!(summary.span, Some((Height(10), Height(29))));
        assert_eq!(summary.contiguous, Some((Height(25), Height(29))));
        assert_eq!(summary.holes, [(Height(12), Height(12)), (Height(20), Height(24))]);
        assert_eq!((summary.processed, summary.verified, summary.rescanned), (14, 13, 5));
        assert_eq!(summary.weaker.len(), 1);
        assert_eq!(summary.weaker[0].verification.shortfall, "receipts not available");
    }
}
