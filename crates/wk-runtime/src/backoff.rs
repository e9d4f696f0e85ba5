//! Waiting longer after each failure, with jitter so that many waiters do not come back at once.

use std::time::Duration;

use rand::Rng;

/// Exponential backoff with jitter: each wait is a random time between half and all of a step that
/// doubles from `first` up to `longest`.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits that begin at `first` and never exceed `longest`.
    pub fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, longest, failures: 0 }
    }

    /// How long to wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        let step = self.step(self.failures);
        self.failures = self.failures.saturating_add(1);
        step.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// The longest possible wait after `failures` earlier failures.
    pub fn step(&self, failures: u32) -> Duration {
        self.first.saturating_mul(2u32.saturating_pow(failures.min(31))).min(self.longest)
    }

    /// Begins again: something worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_and_begins_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for expected in [100, 200, 400, 800, 1_000, 1_000] {
            let wait = backoff.next_wait();
            assert!(wait <= Duration::from_millis(expected), "{wait:?} > {expected} ms");
            assert!(wait >= Duration::from_millis(expected / 2), "{wait:?} < {expected}/2 ms");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_millis(100));
    }

    #[test]
    fn never_overflows() {
        let backoff = Backoff::new(Duration::from_secs(60), Duration::MAX);
        assert!(backoff.step(u32::MAX) > Duration::from_secs(60));
    }
}
