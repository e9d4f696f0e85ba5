//! Quantiles of whole numbers from counts: small, mergeable, and what was added can be taken out.

use std::collections::BTreeMap;

/// Width of a bucket: quantiles are off by at most one in a hundred.
const GAMMA: f64 = 1.02;

/// A histogram whose buckets grow by two in a hundred (as DDSketch's, VLDB 2019), so that a quantile
/// is off by at most 1 %. For numbers up to 2^64 there are at most 2,241 buckets; gas needs some
/// hundred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    buckets: BTreeMap<u16, u64>,
    count: u64,
}

impl Sketch {
    /// Adds a number once.
    pub fn add(&mut self, value: u64) {
        *self.buckets.entry(bucket(value)).or_default() += 1;
        self.count += 1;
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Sketch) {
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
        self.count += other.count;
    }

    /// Takes out what was added before; what was not added is not taken.
    pub fn remove(&mut self, other: &Sketch) {
        for (bucket, count) in &other.buckets {
            if let Some(have) = self.buckets.get_mut(bucket) {
                let taken = (*have).min(*count);
                *have -= taken;
                self.count -= taken;
                if *have == 0 {
                    self.buckets.remove(bucket);
                }
            }
        }
    }

    /// How many numbers it holds.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The number below which a share (0–1) of all lies; none of nothing.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank among the counted"
        )]
        let rank = (share.clamp(0.0, 1.0) * (self.count - 1) as f64).round() as u64;
        let mut below = 0;
        for (bucket, count) in &self.buckets {
            below += count;
            if below > rank {
                return Some(middle(*bucket));
            }
        }
        None
    }
}

fn bucket(value: u64) -> u16 {
    if value == 0 {
        return 0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "at most 2,240 for the largest u64"
    )]
    let index = ((value as f64).ln() / GAMMA.ln()).ceil() as u16;
    index + 1
}

fn middle(bucket: u16) -> f64 {
    match bucket {
        0 => 0.0,
        // Between the borders so that the error to both is the same.
        n => 2.0 * GAMMA.powi(i32::from(n) - 1) / (GAMMA + 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_off_by_at_most_one_in_a_hundred() {
        let values: Vec<u64> = (0..10_000u64).map(|n| n * n * 37 + 21_000).collect();
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(*value));
        for (share, at) in [(0.0, 0), (0.5, 5_000), (0.95, 9_499), (0.99, 9_899), (1.0, 9_999)] {
            let (have, expected) = (sketch.quantile(share).unwrap(), values[at] as f64);
            assert!((have / expected - 1.0).abs() < 0.011, "{share}: {have} instead of {expected}");
        }
        assert!(sketch.buckets.len() < 700);
    }

    #[test]
    fn halves_merge_to_the_whole_and_come_out_again() {
        let (mut whole, mut left, mut right) = <(Sketch, Sketch, Sketch)>::default();
        for n in [0, 1, 2, 21_000, 21_000, u64::MAX] {
            whole.add(n);
            left.add(n);
        }
        for n in [5, 500, 21_000] {
            whole.add(n);
            right.add(n);
        }
        let before = left.clone();
        left.merge(&right);
        assert_eq!(left, whole);
        left.remove(&right);
        assert_eq!(left, before);
        assert_eq!(Sketch::default().quantile(0.5), None);
    }
}
