//! How much an endpoint accepts at once: requests in a batch, blocks in one `eth_getLogs`.

use std::time::Duration;

use tokio::time::Instant;

use super::class::Remedy;

/// A size that shrinks where the endpoint refuses and grows slowly where it does not. A size that
/// was refused is not tried again for a while.
#[derive(Debug)]
pub(crate) struct Adaptive {
    size: u64,
    most: u64,
    /// Smallest size that was refused, and when.
    refused: Option<(u64, Instant)>,
    successes: u32,
    growth: Growth,
}

/// How a size grows after successes at full size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    /// Successes before it grows.
    pub(crate) after: u32,
    /// Numerator and denominator of the factor.
    pub(crate) by: (u64, u64),
}

/// Batches grow by a quarter after ten good ones.
pub(crate) const BATCH_GROWTH: Growth = Growth { after: 10, by: (5, 4) };
/// Log ranges grow by a half after each good one.
pub(crate) const RANGE_GROWTH: Growth = Growth { after: 1, by: (3, 2) };

/// After this long a refused size may be tried again.
const FORGOTTEN: Duration = Duration::from_secs(600);

impl Adaptive {
    pub(crate) fn new(size: u64, most: u64, growth: Growth) -> Adaptive {
        Adaptive { size: size.min(most).max(1), most, refused: None, successes: 0, growth }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// `asked` was refused; `accepted` is the most that the endpoint said it accepts.
    pub(crate) fn refused(&mut self, asked: u64, accepted: Option<u64>, now: Instant) {
        self.successes = 0;
        self.refused = Some((asked.max(2), now));
        let half = (asked / 2).max(1);
        // A hint that does not make the question smaller would make us ask the same forever.
        let told = accepted.filter(|&accepted| accepted >= 1 && accepted < asked);
        self.size = told.unwrap_or(half).min(self.most);
    }

    /// `asked` went well.
    pub(crate) fn accepted(&mut self, asked: u64, now: Instant) {
        if asked < self.size {
            return;
        }
        self.successes += 1;
        if self.successes < self.growth.after {
            return;
        }
        self.successes = 0;
        let (up, down) = self.growth.by;
        let grown = (self.size.saturating_mul(up) / down).max(self.size + 1);
        let ceiling = match self.refused {
            Some((refused, at)) if now.saturating_duration_since(at) < FORGOTTEN => refused - 1,
            _ => self.most,
        };
        self.size = grown.min(ceiling).min(self.most).max(self.size);
    }
}

/// The highest block of the next try, after `from..=to` was refused with `remedy`. None when the
/// range is a single block: it cannot be cut.
pub(crate) fn cut(from: u64, to: u64, remedy: &Remedy) -> Option<u64> {
    if from >= to {
        return None;
    }
    let half = from + (to - from) / 2;
    let Remedy::Smaller { range, blocks } = remedy else { return Some(half) };
    let told_range = range.filter(|(low, high)| *low <= from && *high >= from && *high < to);
    let told_blocks = blocks.filter(|blocks| *blocks >= 1 && *blocks <= to - from);
    let told =
        told_range.map(|(_, high)| high).or_else(|| told_blocks.map(|blocks| from + blocks - 1));
    Some(told.unwrap_or(half))
}

/// Whether a number of rows looks like a cap and not like a count.
pub(crate) fn is_suspiciously_round(rows: usize) -> bool {
    matches!(rows, 100 | 500 | 1_000 | 2_000 | 5_000 | 10_000 | 20_000 | 50_000 | 100_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_halve_at_once_and_grow_slowly_below_what_was_refused() {
        let now = Instant::now();
        let mut batch = Adaptive::new(20, 100, BATCH_GROWTH);
        batch.refused(20, None, now);
        assert_eq!(batch.size(), 10);
        batch.refused(10, None, now);
        assert_eq!(batch.size(), 5);
        let good = |batch: &mut Adaptive, times: u32, now| {
            for _ in 0..times {
                batch.accepted(batch.size(), now);
            }
            batch.size()
        };
        assert_eq!(good(&mut batch, 9, now), 5);
        assert_eq!(good(&mut batch, 1, now), 6);
        assert_eq!(good(&mut batch, 100, now), 9, "10 was refused");
        assert_eq!(good(&mut batch, 10, now + FORGOTTEN), 11);
        assert_eq!(good(&mut batch, 1_000, now + FORGOTTEN), 100, "the configured most");
        let mut single = Adaptive::new(1, 1, BATCH_GROWTH);
        single.refused(1, None, now);
        assert_eq!((single.size(), good(&mut single, 100, now)), (1, 1));
    }

    #[test]
    fn ranges_follow_what_the_endpoint_says() {
        let now = Instant::now();
        let mut range = Adaptive::new(2_000, 2_000, RANGE_GROWTH);
        range.refused(2_000, Some(500), now);
        assert_eq!(range.size(), 500);
        range.refused(500, Some(500), now);
        assert_eq!(range.size(), 250, "a hint that changes nothing is not followed");
        range.accepted(100, now);
        assert_eq!(range.size(), 250, "less than was allowed proves nothing");
        range.accepted(250, now);
        assert_eq!(range.size(), 375);
    }

    #[test]
    fn cuts_ranges_by_hint_or_in_halves() {
        let smaller = |range, blocks| Remedy::Smaller { range, blocks };
        for (from, to, remedy, expected) in [
            (100, 199, smaller(None, None), Some(149)),
            (100, 199, Remedy::Retry, Some(149)),
            (100, 199, smaller(Some((100, 120)), None), Some(120)),
            (100, 199, smaller(Some((90, 120)), None), Some(120)),
            (100, 199, smaller(Some((0, 50)), None), Some(149)),
            (100, 199, smaller(Some((100, 199)), None), Some(149)),
            (100, 199, smaller(None, Some(10)), Some(109)),
            (100, 199, smaller(None, Some(100)), Some(149)),
            (100, 101, smaller(None, None), Some(100)),
            (100, 100, smaller(None, Some(1)), None),
            (0, u64::MAX, smaller(None, None), Some(u64::MAX / 2)),
        ] {
            assert_eq!(cut(from, to, &remedy), expected, "{from}..={to} {remedy:?}");
        }
    }
}
