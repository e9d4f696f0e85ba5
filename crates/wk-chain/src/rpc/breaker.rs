//! The circuit breaker: an endpoint that fails again and again is left alone for a while.

use std::time::Duration;

use tokio::time::Instant;

use super::status::BreakerState;

/// Opens after a number of failures in a row; then lets one request try, after a time that doubles
/// with each failed try.
#[derive(Debug)]
pub(crate) struct Breaker {
    limit: u32,
    failures: u32,
    opened: Option<Opened>,
}

#[derive(Debug)]
struct Opened {
    since: Instant,
    until: Instant,
    /// How often it was opened without a success in between.
    times: u32,
    /// One request is on its way to try.
    trying: bool,
}

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

impl Breaker {
    pub(crate) fn new(limit: u32) -> Breaker {
        Breaker { limit, failures: 0, opened: None }
    }

    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match &self.opened {
            None => BreakerState::Closed,
            Some(opened) if now < opened.until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// How long until a request may pass; zero when one may pass now.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        match &self.opened {
            None => Duration::ZERO,
            Some(opened) if opened.trying => RETRY_WHILE_TRYING,
            Some(opened) => opened.until.saturating_duration_since(now),
        }
    }

    /// A request passes: while half open, it is the one that tries.
    pub(crate) fn pass(&mut self) {
        if let Some(opened) = &mut self.opened {
            opened.trying = true;
        }
    }

    /// A request was given up before it had an outcome.
    pub(crate) fn abandoned(&mut self) {
        if let Some(opened) = &mut self.opened {
            opened.trying = false;
        }
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.opened = None;
    }

    /// A request failed by the endpoint's fault. True when this opens the breaker.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        match &mut self.opened {
            None if self.failures < self.limit => false,
            None => {
                self.opened =
                    Some(Opened { since: now, until: now + FIRST, times: 1, trying: false });
                true
            }
            // Requests that were sent before it opened come back late: they are no tries.
            Some(opened) if now < opened.until => false,
            Some(opened) => {
                let wait = FIRST.saturating_mul(2u32.saturating_pow(opened.times)).min(LONGEST);
                opened.until = now + wait;
                opened.times = opened.times.saturating_add(1).min(16);
                opened.trying = false;
                false
            }
        }
    }

    /// For how long nothing has worked; none while the breaker is closed.
    pub(crate) fn broken_for(&self, now: Instant) -> Option<Duration> {
        self.opened.as_ref().map(|opened| now.saturating_duration_since(opened.since))
    }
}

/// While somebody tries, others look again this often.
const RETRY_WHILE_TRYING: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    enum Step {
        Fail,
        Succeed,
        Pass,
        Abandon,
        Wait(u64),
    }

    #[test]
    fn opens_after_failures_in_a_row_and_lets_one_try() {
        use BreakerState::{Closed, HalfOpen, Open};
        use Step::{Abandon, Fail, Pass, Succeed, Wait};
        // Each step, the state after it, and the wait in milliseconds.
        let steps = [
            (Fail, Closed, 0),
            (Succeed, Closed, 0),
            (Fail, Closed, 0),
            (Fail, Closed, 0),
            (Fail, Open, 1_000),
            (Fail, Open, 1_000),
            (Wait(999), Open, 1),
            (Wait(1), HalfOpen, 0),
            (Pass, HalfOpen, 50),
            (Abandon, HalfOpen, 0),
            (Pass, HalfOpen, 50),
            (Fail, Open, 2_000),
            (Wait(2_000), HalfOpen, 0),
            (Fail, Open, 4_000),
            (Wait(4_000), HalfOpen, 0),
            (Pass, HalfOpen, 50),
            (Succeed, Closed, 0),
            (Fail, Closed, 0),
        ];
        let mut now = Instant::now();
        let mut breaker = Breaker::new(3);
        for (number, (step, state, wait)) in steps.into_iter().enumerate() {
            match step {
                Fail => {
                    breaker.failed(now);
                }
                Succeed => breaker.succeeded(),
                Pass => breaker.pass(),
                Abandon => breaker.abandoned(),
                Wait(ms) => now += Duration::from_millis(ms),
            }
            let actual = (breaker.state(now), breaker.wait(now));
            assert_eq!(actual, (state, Duration::from_millis(wait)), "step {number}: {step:?}");
        }
    }

    #[test]
    fn never_waits_longer_than_the_longest() {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(1);
        for _ in 0..100 {
            breaker.failed(now);
            assert!(breaker.wait(now) <= LONGEST);
            now += breaker.wait(now);
        }
    }
}
