//! One endpoint: what is known of it, what it may be asked now, and what each answer teaches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{debug, info, warn};
use wk_model::{BlockLink, ChainId, ChainName, Height, Timestamp};
use wk_runtime::{Clock, Metrics};

use super::breaker::Breaker;
use super::call::{Attempt, EndpointName, Purpose};
use super::choice::Candidate;
use super::class::{ErrorClass, Remedy};
use super::config::{RpcConfig, Spec, Trust};
use super::heads::{HeadVia, Lag, RecentHeads, Step};
use super::latency::Latency;
use super::quarantine::{Passed, Record};
use super::rate::{BackfillSlots, Bucket, Limited};
use super::signals::{self, method_label};
use super::sizes::{Adaptive, BATCH_GROWTH, RANGE_GROWTH};
use super::status::{BreakerState, Budget, EndpointKind, LastError, Trouble, TroubleKind};
use super::target::Address;
use super::ws::WsLink;

/// One endpoint of a pool.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: EndpointName,
    pub(crate) trust: Trust,
    pub(crate) kind: EndpointKind,
    pub(crate) address: Arc<Address>,
    pub(crate) ws: WsLink,
    /// Look at the head now: somebody needs to know.
    pub(crate) nudge: Notify,
    state: Mutex<State>,
    chain: ChainName,
    clock: Clock,
    metrics: Metrics,
    first_quarantine: Duration,
}

/// What is known of an endpoint. Decisions are made by its parts; this only holds them together.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) heads: RecentHeads,
    /// When the newest head, or its repetition, came.
    pub(crate) head_seen: Option<(Instant, Timestamp)>,
    pub(crate) lag: Option<Lag>,
    pub(crate) latency: Latency,
    by_method: BTreeMap<&'static str, Latency>,
    pub(crate) requests: u64,
    pub(crate) errors: BTreeMap<ErrorClass, u64>,
    pub(crate) last_error: Option<LastError>,
    pub(crate) breaker: Breaker,
    pub(crate) limited: Limited,
    bucket: Option<Bucket>,
    backfill: BackfillSlots,
    in_flight: u32,
    backfill_in_flight: u32,
    spending: Option<Spending>,
    pub(crate) quarantine: Record,
    /// It disagrees with others, and is used all the same: it is the preferred one.
    pub(crate) doubt: Option<Trouble>,
    /// Its chain id is a guess.
    pub(crate) chain_doubt: Option<Trouble>,
    pub(crate) identity: IdentityState,
    pub(crate) chain_id: Option<ChainId>,
    missing: BTreeMap<String, Instant>,
    pub(crate) batch: Adaptive,
    pub(crate) logs: Adaptive,
    pub(crate) client_version: Option<String>,
    pub(crate) regressions: u64,
    /// When its head went back, the newest times.
    regressed_at: VecDeque<Instant>,
    /// How often in a row it had no latest block.
    headless: u32,
    /// It was behind what it must know, a moment ago.
    stale_at: Option<Instant>,
    /// When its blocks were last seen to agree with those of others.
    pub(crate) agreed_at: Option<Instant>,
    /// It answered at least once.
    pub(crate) answered: bool,
    /// Since when its WebSocket is not open; none before the first try and while it is.
    pub(crate) ws_broken: Option<Instant>,
}

/// Whether an endpoint serves the right chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdentityState {
    /// Not known yet.
    Unknown,
    /// It does, or it cannot tell.
    Right,
    Wrong,
}

/// Requests sent on a UTC day.
#[derive(Debug)]
struct Spending {
    per_day: u64,
    day: u64,
    used: u64,
}

/// A missing method is asked for again after this long.
const MISSING_FOR: Duration = Duration::from_secs(3_600);
/// More missing methods than this are not remembered.
const MISSING_MOST: usize = 64;
/// After a stale answer, others are preferred for this long.
const STALE_FOR: Duration = Duration::from_secs(5);
const STALE_COST: Duration = Duration::from_secs(10);

impl Endpoint {
    pub(crate) fn new(
        spec: Spec,
        options: &RpcConfig,
        chain: &ChainName,
        clock: Clock,
        metrics: &Metrics,
    ) -> Endpoint {
        let Spec { name, kind, settings } = spec;
        let now = Instant::now();
        let state = State {
            heads: RecentHeads::default(),
            head_seen: None,
            lag: None,
            latency: Latency::default(),
            by_method: BTreeMap::new(),
            requests: 0,
            errors: BTreeMap::new(),
            last_error: None,
            breaker: Breaker::new(options.breaker_failures),
            limited: Limited::default(),
            bucket: settings.max_requests_per_second.map(|rate| Bucket::new(rate, now)),
            backfill: BackfillSlots::new(),
            in_flight: 0,
            backfill_in_flight: 0,
            spending: settings.budget_per_day.map(|per_day| Spending { per_day, day: 0, used: 0 }),
            quarantine: Record::default(),
            doubt: None,
            chain_doubt: None,
            identity: IdentityState::Unknown,
            chain_id: None,
            missing: BTreeMap::new(),
            batch: Adaptive::new(
                u64::from(options.batch_size),
                u64::from(options.max_batch_size),
                BATCH_GROWTH,
            ),
            logs: Adaptive::new(options.max_logs_range, options.max_logs_range, RANGE_GROWTH),
            client_version: None,
            regressions: 0,
            regressed_at: VecDeque::new(),
            headless: 0,
            stale_at: None,
            agreed_at: None,
            answered: false,
            ws_broken: None,
        };
        Endpoint {
            name,
            trust: settings.trust,
            kind,
            address: Arc::new(Address::new(&settings)),
            ws: WsLink::new(),
            nudge: Notify::new(),
            state: Mutex::new(state),
            chain: chain.clone(),
            clock,
            metrics: metrics.clone(),
            first_quarantine: options.quarantine.0,
        }
    }

    /// What is known of it. Not to be held over an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Label values of its series.
    pub(crate) fn labels(&self) -> [&str; 2] {
        [self.chain.as_str(), self.name.as_str()]
    }

    /// It as the choice sees it, for `count` requests of `method`.
    pub(crate) fn candidate(
        &self,
        method: &str,
        purpose: Purpose,
        count: u32,
        barred: Option<Duration>,
    ) -> Candidate {
        let now = Instant::now();
        let today = self.today();
        let mut state = self.state.lock();
        let latency = state.latency_of(method, now);
        let stale = state.stale_at.is_some_and(|at| now.duration_since(at) < STALE_FOR);
        Candidate {
            quarantine: state.quarantine.kind(),
            barred,
            breaker: state.breaker.wait(now),
            limit: state.limit_wait(count, purpose, now),
            budget_spent: state.spending.as_mut().is_some_and(|spent| spent.left(today) == 0),
            method_missing: state.missing.get(method).is_some_and(|until| now < *until),
            head: state.heads.head().map(|link| link.block.height),
            latency: if stale { Some(latency.unwrap_or_default() + STALE_COST) } else { latency },
            in_flight: state.in_flight,
        }
    }

    /// Lets `count` requests of `method` pass, if breaker, limits and budget do; else says how
    /// long to wait, or why there is nothing to wait for.
    pub(crate) fn admit(
        &self,
        method: &str,
        purpose: Purpose,
        count: u32,
    ) -> Result<Permit<'_>, Refused> {
        let now = Instant::now();
        let today = self.today();
        let mut state = self.state.lock();
        let wait = state.breaker.wait(now).max(state.limit_wait(count, purpose, now));
        if !wait.is_zero() {
            return Err(Refused::Wait(wait));
        }
        if let Some(spent) = &mut state.spending {
            if spent.left(today) == 0 {
                return Err(Refused::BudgetSpent);
            }
            spent.used += u64::from(count);
        }
        state.breaker.pass();
        if let Some(bucket) = &mut state.bucket {
            bucket.take(count, now);
        }
        state.in_flight += 1;
        state.backfill_in_flight += u32::from(purpose == Purpose::Backfill);
        state.requests += u64::from(count);
        Ok(Permit {
            endpoint: self,
            method: method_label(method),
            purpose,
            started: now,
            settled: false,
        })
    }

    fn today(&self) -> u64 {
        self.clock.now().0 / 86_400_000
    }

    pub(crate) fn budget(&self) -> Option<Budget> {
        let today = self.today();
        let mut state = self.state.lock();
        let spending = state.spending.as_mut()?;
        let left = spending.left(today);
        Some(Budget { per_day: spending.per_day, used: spending.per_day.saturating_sub(left) })
    }

    /// Its newest head; asked for at `asked` when it was polled. Says how the head follows on the
    /// one before.
    pub(crate) fn observe_head(&self, link: BlockLink, via: HeadVia, asked: Instant) -> Step {
        let mut state = self.state.lock();
        let overtaken = via == HeadVia::Poll
            && state.head_seen.is_some_and(|(seen, _)| seen > asked)
            && state.heads.head().is_some_and(|head| head.block.height > link.block.height);
        if overtaken {
            // The subscription told of a newer one while this answer was on its way.
            return Step::Same;
        }
        state.head_seen = Some((Instant::now(), self.clock.now()));
        state.headless = 0;
        let step = state.heads.observe(link, via);
        if step == Step::Regressed {
            state.regressions += 1;
            state.regressed_at.push_back(Instant::now());
            if state.regressed_at.len() > UNSTEADY {
                state.regressed_at.pop_front();
            }
            drop(state);
            debug!(endpoint = %self.name, height = %link.block.height, "its head went back");
            self.metrics.counter(&signals::LB_INCONSISTENCIES, &self.labels()).inc();
        }
        step
    }

    /// It has no latest block, though any node has at least its genesis.
    pub(crate) fn observe_no_head(&self) {
        let mut state = self.state.lock();
        state.headless = state.headless.saturating_add(1);
        let again = state.headless.is_multiple_of(HEADLESS);
        drop(state);
        if again {
            let detail = format!("null for the latest block {HEADLESS} times in a row");
            self.accuse(Trouble::new(TroubleKind::Empty, detail));
        }
    }

    /// It was caught. True when this is news.
    pub(crate) fn accuse(&self, trouble: Trouble) -> bool {
        let label = trouble.kind.condition().trim_start_matches("endpoint_");
        let [chain, name] = self.labels();
        let news = self.state.lock().quarantine.accuse(
            trouble.clone(),
            self.first_quarantine,
            Instant::now(),
        );
        if news {
            self.metrics.counter(&signals::ACCUSATIONS, &[chain, name, label]).inc();
            warn!(chain, endpoint = name, %trouble, "endpoint quarantined");
        }
        news
    }

    /// It passed a check; that may release it.
    pub(crate) fn passed(&self, check: Passed) {
        let released = self.state.lock().quarantine.passed(check, Instant::now());
        if released {
            info!(chain = %self.chain, endpoint = %self.name, "endpoint released from quarantine");
        }
    }

    /// Whether it delivers heads by subscription now.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.ws.condition().subscribed.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub(crate) fn head_height(&self) -> Option<Height> {
        self.state.lock().heads.head().map(|link| link.block.height)
    }

    pub(crate) fn quarantined_for(&self) -> Option<TroubleKind> {
        self.state.lock().quarantine.kind()
    }
}

impl State {
    /// Mean time for `method`; for one that was not asked of late, none.
    pub(crate) fn latency_of(&self, method: &str, now: Instant) -> Option<Duration> {
        self.by_method.get(method_label(method)).and_then(|latency| latency.average(now))
    }

    /// Time within which most requests of `method` are answered here.
    pub(crate) fn p95_of(&self, method: &str) -> Option<Duration> {
        self.by_method.get(method_label(method)).and_then(|latency| latency.quantile(0.95))
    }

    fn limit_wait(&mut self, count: u32, purpose: Purpose, now: Instant) -> Duration {
        let asked = self.limited.wait(now);
        let bucket =
            self.bucket.as_mut().map_or(Duration::ZERO, |bucket| bucket.wait(count, purpose, now));
        let full = purpose == Purpose::Backfill && !self.backfill.has_room(self.backfill_in_flight);
        asked.max(bucket).max(if full { BACKFILL_WAIT } else { Duration::ZERO })
    }

    /// What a failure tells beyond itself: limits, missing methods, being behind.
    fn learn(&mut self, method: &str, attempt: &Attempt, now: Instant) {
        if let Remedy::Wait(asked) = attempt.remedy {
            self.limited.hit(asked, now);
            self.backfill.limited(now);
        }
        match attempt.class {
            ErrorClass::RpcMethodMissing if self.missing.len() < MISSING_MOST => {
                self.missing.insert(method.to_owned(), now + MISSING_FOR);
            }
            ErrorClass::Stale | ErrorClass::RpcHeaderNotFound => self.stale_at = Some(now),
            _ => {}
        }
    }

    pub(crate) fn missing_methods(&self, now: Instant) -> Vec<String> {
        let known = self.missing.iter().filter(|(_, until)| now < **until);
        known.map(|(method, _)| method.clone()).collect()
    }

    /// An answer to `method` took this long.
    pub(crate) fn record(&mut self, method: &str, took: Duration, now: Instant) {
        self.by_method.entry(method_label(method)).or_default().record(took, now);
    }

    /// Whether its head goes back again and again; none while it may be over.
    pub(crate) fn is_unsteady(&self, now: Instant) -> Option<bool> {
        let newest = self.regressed_at.back().map(|at| now.saturating_duration_since(*at));
        let often = self.regressed_at.len() == UNSTEADY
            && self.regressed_at.front().is_some_and(|at| now - *at <= UNSTEADY_WITHIN);
        match newest {
            _ if often => Some(true),
            Some(newest) if newest <= UNSTEADY_WITHIN => None,
            Some(_) | None => Some(false),
        }
    }

    pub(crate) fn breaker_state(&self, now: Instant) -> BreakerState {
        self.breaker.state(now)
    }
}

/// Heads that go back so often within the time are no reorgs.
const UNSTEADY: usize = 3;
const UNSTEADY_WITHIN: Duration = Duration::from_secs(60);
/// An endpoint that gives null for its latest block so often in a row is accused.
const HEADLESS: u32 = 3;

/// While backfill fills its share, look again this often.
const BACKFILL_WAIT: Duration = Duration::from_millis(20);

impl Spending {
    fn left(&mut self, today: u64) -> u64 {
        if self.day != today {
            self.day = today;
            self.used = 0;
        }
        self.per_day.saturating_sub(self.used)
    }
}

/// Why an endpoint lets no request pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Wait(Duration),
    BudgetSpent,
}

/// The right to one request. Dropped without an outcome, it counts as given up.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    endpoint: &'a Endpoint,
    method: &'static str,
    purpose: Purpose,
    pub(crate) started: Instant,
    settled: bool,
}

impl Permit<'_> {
    pub(crate) fn name(&self) -> EndpointName {
        self.endpoint.name.clone()
    }

    pub(crate) fn took(&self) -> Duration {
        self.started.elapsed()
    }

    /// It worked.
    pub(crate) fn succeeded(mut self, method: &str) {
        let took = self.settle(true);
        self.observe("ok", took);
        let mut state = self.endpoint.state.lock();
        state.breaker.succeeded();
        state.backfill.succeeded();
        state.answered = true;
        state.missing.remove(method);
    }

    /// It did not work; `attempt` says how.
    pub(crate) fn failed(mut self, method: &str, attempt: &Attempt) {
        let Attempt { class, message, remedy, .. } = attempt;
        let took = self.settle(answers(*class) || *class == ErrorClass::Timeout);
        self.observe(class.name(), took);
        let endpoint = self.endpoint;
        endpoint.count_failure(*class, message);
        let now = Instant::now();
        let mut opened = false;
        let mut state = endpoint.state.lock();
        let traces = self.purpose == Purpose::Trace;
        // A node that is good at following may know no trace of a block, or not yet.
        if !traces || !matches!(class, ErrorClass::Stale | ErrorClass::RpcHeaderNotFound) {
            state.learn(method, attempt, now);
        }
        // An answer that is too large to be taken says neither that it works nor that it does not,
        // but our own small questions have small answers.
        let too_large = attempt.rpc.is_none() && matches!(remedy, Remedy::Smaller { .. });
        let says_nothing = too_large && self.purpose != Purpose::Probe;
        if matches!(remedy, Remedy::Wait(_)) || says_nothing || (traces && !answers(*class)) {
            state.breaker.abandoned();
        } else if too_large {
            opened = state.breaker.failed(now);
        } else if answers(*class) || matches!(remedy, Remedy::Smaller { .. }) {
            state.breaker.succeeded();
            state.answered = true;
        } else {
            opened = state.breaker.failed(now);
        }
        drop(state);
        let [chain, name] = endpoint.labels();
        if matches!(remedy, Remedy::Wait(_)) {
            endpoint.metrics.counter(&signals::RATE_LIMITED, &[chain, name]).inc();
        }
        if *class == ErrorClass::HttpClient {
            endpoint.address.forget();
        }
        if opened {
            endpoint.metrics.counter(&signals::BREAKER_OPENED, &[chain, name]).inc();
            warn!(chain, endpoint = name, %class, message, "endpoint fails; left alone for a while");
        }
        debug!(chain, endpoint = name, method, %class, message, "request failed");
    }

    fn settle(&mut self, measured: bool) -> Duration {
        self.settled = true;
        let took = self.took();
        if measured {
            let now = Instant::now();
            let mut state = self.endpoint.state.lock();
            if self.purpose != Purpose::Trace {
                state.latency.record(took, now);
            }
            state.by_method.entry(self.method).or_default().record(took, now);
        }
        took
    }

    fn observe(&self, class: &str, took: Duration) {
        let [chain, name] = self.endpoint.labels();
        self.endpoint
            .metrics
            .histogram(&signals::REQUEST_SECONDS, &[chain, name, self.method, class])
            .observe(took.as_secs_f64());
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.endpoint.state.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        if self.purpose == Purpose::Backfill {
            state.backfill_in_flight = state.backfill_in_flight.saturating_sub(1);
        }
        if !self.settled {
            state.breaker.abandoned();
            // It took at least this long: else who is always beaten would look fast.
            let now = Instant::now();
            let took = self.started.elapsed();
            state.by_method.entry(self.method).or_default().record(took, now);
        }
    }
}

impl Endpoint {
    /// Learns from a failed item of a batch that as a whole went well.
    pub(crate) fn learn(&self, method: &str, attempt: &Attempt) {
        self.count_failure(attempt.class, &attempt.message);
        self.state.lock().learn(method, attempt, Instant::now());
    }

    /// Its WebSocket broke, or could not be opened.
    pub(crate) fn ws_closed(&self, class: ErrorClass, message: &str) {
        self.count_failure(class, message);
        self.state.lock().ws_broken.get_or_insert(Instant::now());
    }

    fn count_failure(&self, class: ErrorClass, message: &str) {
        let [chain, name] = self.labels();
        self.metrics.counter(&signals::ERRORS, &[chain, name, class.name()]).inc();
        let mut state = self.state.lock();
        *state.errors.entry(class).or_default() += 1;
        state.last_error =
            Some(LastError { at: self.clock.now(), class, message: message.to_owned() });
    }
}

/// Whether a failure of this class shows that the endpoint is there and answers.
pub(crate) fn answers(class: ErrorClass) -> bool {
    match class {
        ErrorClass::HttpClient
        | ErrorClass::HttpServer
        | ErrorClass::Timeout
        | ErrorClass::Connect
        | ErrorClass::Tls
        | ErrorClass::Json => false,
        ErrorClass::Http429
        | ErrorClass::RpcMethodMissing
        | ErrorClass::RpcInvalidParams
        | ErrorClass::RpcLimit
        | ErrorClass::RpcPruned
        | ErrorClass::RpcHeaderNotFound
        | ErrorClass::RpcOther
        | ErrorClass::Stale
        | ErrorClass::Inconsistent => true,
    }
}
