//! How long an endpoint takes of late.

use std::time::Duration;

use tokio::time::Instant;

/// Times of the newest requests: a moving average to choose by, and quantiles to show and hedge by.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    ring: Vec<Duration>,
    next: usize,
    average: Option<(Duration, Instant)>,
}

/// How many times are kept for the quantiles.
const KEPT: usize = 128;
/// Share of the newest time in the average.
const NEWEST: f64 = 0.2;
/// An average that old says nothing about now.
const EXPIRES: Duration = Duration::from_secs(600);

impl Latency {
    pub(crate) fn record(&mut self, took: Duration, now: Instant) {
        if self.ring.len() < KEPT {
            self.ring.push(took);
        } else {
            self.ring[self.next] = took;
        }
        self.next = (self.next + 1) % KEPT;
        let average = match self.average(now) {
            Some(average) => average.mul_f64(1.0 - NEWEST) + took.mul_f64(NEWEST),
            None => took,
        };
        self.average = Some((average, now));
    }

    /// The moving average; none when there was no request of late.
    pub(crate) fn average(&self, now: Instant) -> Option<Duration> {
        let (average, at) = self.average?;
        (now.saturating_duration_since(at) < EXPIRES).then_some(average)
    }

    /// The time within which `q` (0–1) of the newest requests were answered.
    pub(crate) fn quantile(&self, q: f64) -> Option<Duration> {
        let mut times = self.ring.clone();
        times.sort_unstable();
        // The ring holds few entries: the product fits and is not negative.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to KEPT")]
        let place = (q * times.len() as f64).ceil() as usize;
        times.get(place.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_average_follow_the_newest_times() {
        let now = Instant::now();
        let mut latency = Latency::default();
        assert_eq!((latency.quantile(0.5), latency.average(now)), (None, None));
        for ms in 1..=100 {
            latency.record(Duration::from_millis(ms), now);
        }
        assert_eq!(latency.quantile(0.5), Some(Duration::from_millis(50)));
        assert_eq!(latency.quantile(0.95), Some(Duration::from_millis(95)));
        assert_eq!(latency.quantile(1.0), Some(Duration::from_millis(100)));
        for _ in 0..KEPT {
            latency.record(Duration::from_secs(1), now);
        }
        assert_eq!(latency.quantile(0.5), Some(Duration::from_secs(1)));
        let average = latency.average(now).expect("it was asked");
        assert!(average > Duration::from_millis(990), "{average:?}");
        assert_eq!(latency.average(now + EXPIRES), None);
    }
}
