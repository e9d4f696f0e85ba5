//! How much may be asked of an endpoint: requests per second, waits it asked for, and backfill's
//! share.

use std::time::Duration;

use tokio::time::Instant;

use super::call::Purpose;

/// A token bucket in which backfill can only take what lies above a reserve, so that live reads
/// always find something left.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    tokens: f64,
    at: Instant,
}

/// Part of the bucket that backfill leaves alone.
const RESERVE: f64 = 0.5;

impl Bucket {
    /// A full bucket that holds one second's requests, and at least one.
    pub(crate) fn new(per_second: f64, now: Instant) -> Bucket {
        Bucket { per_second, tokens: per_second.max(1.0), at: now }
    }

    fn capacity(&self) -> f64 {
        self.per_second.max(1.0)
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.capacity());
        self.at = now;
    }

    /// How long until `count` requests for `purpose` may go; zero when they may go now.
    pub(crate) fn wait(&mut self, count: u32, purpose: Purpose, now: Instant) -> Duration {
        self.refill(now);
        let reserve = match purpose {
            Purpose::Live | Purpose::Probe => 0.0,
            // A bucket for less than two requests has no half to leave.
            Purpose::Backfill | Purpose::Trace if self.capacity() < 2.0 => 0.0,
            // Traces of many transactions, one by one, must not keep the head waiting either.
            Purpose::Backfill | Purpose::Trace => self.capacity() * RESERVE,
        };
        // More than fits is let through when the bucket is full, and paid for later.
        let needed = (f64::from(count) + reserve).min(self.capacity());
        Duration::try_from_secs_f64((needed - self.tokens) / self.per_second)
            .unwrap_or(Duration::ZERO)
    }

    /// `count` requests go.
    pub(crate) fn take(&mut self, count: u32, now: Instant) {
        self.refill(now);
        self.tokens -= f64::from(count);
    }
}

/// What an endpoint's rate-limit answers ask of us.
#[derive(Debug, Default)]
pub(crate) struct Limited {
    until: Option<Instant>,
    hits: u32,
    last: Option<Instant>,
}

/// First wait when the endpoint does not say how long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_OWN_WAIT: Duration = Duration::from_secs(60);
/// After this long without a limit the count begins again.
const FORGIVEN: Duration = Duration::from_secs(120);

impl Limited {
    /// The endpoint refused for its rate limit, and asked for a wait or not.
    pub(crate) fn hit(&mut self, asked: Option<Duration>, now: Instant) {
        if !self.recent(now) {
            self.hits = 0;
        }
        let own = FIRST_WAIT.saturating_mul(2u32.saturating_pow(self.hits)).min(LONGEST_OWN_WAIT);
        // Answers to requests that were already on their way do not make the wait longer.
        let waiting = self.until.is_some_and(|until| now < until);
        if !waiting {
            self.hits = self.hits.saturating_add(1).min(16);
        }
        let until = now + asked.unwrap_or(if waiting { Duration::ZERO } else { own });
        self.until = Some(self.until.map_or(until, |have| have.max(until)));
        self.last = Some(now);
    }

    /// How long the endpoint wants to be left alone from now on.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Whether it refused of late.
    pub(crate) fn recent(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| {
            now.saturating_duration_since(last) < FORGIVEN || self.wait(now) > Duration::ZERO
        })
    }

    /// Waits in a row that it asked for.
    pub(crate) fn hits(&self) -> u32 {
        self.hits
    }
}

/// How many backfill requests may be on their way to an endpoint at once. A rate limit halves it;
/// successes let it grow again.
#[derive(Debug)]
pub(crate) struct BackfillSlots {
    slots: u32,
    successes: u32,
    shrunk: Option<Instant>,
}

const FIRST_SLOTS: u32 = 8;
const MOST_SLOTS: u32 = 32;
/// Successes after which one more request may be on its way.
const SUCCESSES_TO_GROW: u32 = 50;

impl BackfillSlots {
    pub(crate) fn new() -> BackfillSlots {
        BackfillSlots { slots: FIRST_SLOTS, successes: 0, shrunk: None }
    }

    pub(crate) fn has_room(&self, in_flight: u32) -> bool {
        in_flight < self.slots
    }

    pub(crate) fn limited(&mut self, now: Instant) {
        // Answers to one burst are one sign.
        let just_shrunk = |at: Instant| now.saturating_duration_since(at) < Duration::from_secs(1);
        if !self.shrunk.is_some_and(just_shrunk) {
            self.slots = (self.slots / 2).max(1);
            self.shrunk = Some(now);
        }
        self.successes = 0;
    }

    pub(crate) fn succeeded(&mut self) {
        self.successes += 1;
        if self.successes >= SUCCESSES_TO_GROW {
            self.successes = 0;
            self.slots = (self.slots + 1).min(MOST_SLOTS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backfill_leaves_half_the_bucket_to_live_reads() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, start);
        // Backfill takes as fast as it may; after its half it waits.
        let mut taken = 0;
        while bucket.wait(1, Purpose::Backfill, start).is_zero() {
            bucket.take(1, start);
            taken += 1;
        }
        assert_eq!(taken, 5);
        for _ in 0..5 {
            assert_eq!(bucket.wait(1, Purpose::Live, start), Duration::ZERO);
            bucket.take(1, start);
        }
        assert_eq!(bucket.wait(1, Purpose::Live, start), Duration::from_millis(100));
        assert_eq!(bucket.wait(1, Purpose::Backfill, start), Duration::from_millis(600));
        let later = start + Duration::from_millis(600);
        assert_eq!(bucket.wait(1, Purpose::Backfill, later), Duration::ZERO);
    }

    #[test]
    fn a_batch_larger_than_the_bucket_goes_when_it_is_full_and_is_paid_for() {
        let start = Instant::now();
        let mut bucket = Bucket::new(2.0, start);
        assert_eq!(bucket.wait(20, Purpose::Live, start), Duration::ZERO);
        bucket.take(20, start);
        assert_eq!(bucket.wait(1, Purpose::Live, start), Duration::from_millis(9_500));
        // Less than one request per second still lets one go.
        let mut slow = Bucket::new(0.1, start);
        assert_eq!(slow.wait(1, Purpose::Backfill, start), Duration::ZERO);
        slow.take(1, start);
        assert_eq!(slow.wait(1, Purpose::Live, start), Duration::from_secs(10));
    }

    #[test]
    fn waits_as_asked_and_longer_each_time_when_not_told() {
        let mut now = Instant::now();
        let mut limited = Limited::default();
        assert_eq!(limited.wait(now), Duration::ZERO);
        // Asked for or not, and the wait in milliseconds.
        for (asked, expected) in [(None, 500), (None, 1_000), (Some(7_000), 7_000), (None, 4_000)] {
            limited.hit(asked.map(Duration::from_millis), now);
            // Late answers of the same burst change nothing.
            limited.hit(None, now);
            assert_eq!(limited.wait(now), Duration::from_millis(expected));
            now += limited.wait(now);
        }
        assert!(limited.recent(now));
        now += FORGIVEN;
        assert!(!limited.recent(now));
        limited.hit(None, now);
        assert_eq!(limited.wait(now), FIRST_WAIT);
    }

    #[test]
    fn backfill_shrinks_once_per_burst_and_grows_slowly() {
        let now = Instant::now();
        let mut slots = BackfillSlots::new();
        assert!(slots.has_room(7) && !slots.has_room(8));
        slots.limited(now);
        slots.limited(now);
        assert!(slots.has_room(3) && !slots.has_room(4));
        for _ in 0..SUCCESSES_TO_GROW {
            slots.succeeded();
        }
        assert!(slots.has_room(4) && !slots.has_room(5));
        for seconds in 1..10 {
            slots.limited(now + Duration::from_secs(seconds));
        }
        assert!(slots.has_room(0) && !slots.has_room(1));
    }
}
