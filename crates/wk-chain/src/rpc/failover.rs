//! One read, whatever it takes: the best endpoint, a second one when it is slow, others when it
//! fails, within one deadline.

use std::pin::pin;
use std::time::Duration;

use rand::Rng;
use tokio::time::{Instant, sleep, sleep_until};

use super::ask::Miss;
use super::call::{Attempt, CallError, Purpose, Reply, Request, Unused};
use super::choice::{Ranking, Why, rank};
use super::class::{ErrorClass, Remedy};
use super::endpoint::Refused;
use super::pool::Inner;
use super::signals;

/// What one read remembers of each endpoint.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    failed: u32,
    /// Not to be asked again by this read: never, or not before.
    barred: Option<Bar>,
}

#[derive(Clone, Copy, Debug)]
enum Bar {
    Forever,
    Until(Instant),
}

/// Backfill waits this many times as long as live reads.
const BACKFILL_PATIENCE: u32 = 4;
/// One endpoint is asked at most this often by one read.
const TRIES_PER_ENDPOINT: u32 = 6;
/// The same for traces: who wants them has a patience of its own.
const TRIES_FOR_TRACES: u32 = 2;
/// Between two tries at one endpoint; doubles, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A second endpoint is not asked before.
const SOONEST_HEDGE: Duration = Duration::from_millis(30);
/// Where nothing is known of an endpoint's speed, a second one is asked after this long.
const UNKNOWN_HEDGE: Duration = Duration::from_millis(500);
/// One endpoint's limit is waited for this long when it must be this one.
const ADMISSION: Duration = Duration::from_secs(2);

/// What one read has come to.
pub(crate) struct Progress {
    tries: Vec<Tries>,
    attempts: Vec<Attempt>,
    deadline: Instant,
    time: Duration,
    /// Tries that one endpoint gets.
    most: u32,
}

impl Inner {
    /// Asks until there is an acceptable answer, or no reason to go on.
    pub(crate) async fn call(&self, request: &Request) -> Result<Reply, CallError> {
        self.call_after(request, Vec::new()).await
    }

    /// Goes on after attempts that were made already, as part of a batch.
    pub(crate) async fn call_after(
        &self,
        request: &Request,
        earlier: Vec<Attempt>,
    ) -> Result<Reply, CallError> {
        let mut progress = self.progress(request, earlier);
        loop {
            let ranking = self.ranking(request, 1, &progress);
            let now = Instant::now();
            if now >= progress.deadline {
                return Err(self.give_up(request, progress, &ranking, true));
            }
            let Some(&first) = ranking.order.first() else {
                let wait = ranking.wait().filter(|wait| now + *wait < progress.deadline);
                let Some(wait) = wait else {
                    let late = ranking.wait().is_some();
                    return Err(self.give_up(request, progress, &ranking, late));
                };
                self.nudge_behind(&ranking);
                sleep(wait).await;
                continue;
            };
            if !progress.attempts.is_empty() {
                self.metrics.counter(&signals::RETRIES, &[self.chain.as_str()]).inc();
            }
            let second =
                ranking.order.get(1).copied().filter(|_| self.options.hedge && request.hedge);
            match self.ask_hedged(first, second, request, progress.deadline).await {
                Ok(reply) => return Ok(reply),
                Err(misses) => {
                    for (place, miss) in misses {
                        if progress.note(place, miss) {
                            return Err(self.give_up(request, progress, &ranking, false));
                        }
                    }
                }
            }
        }
    }

    /// Asks one endpoint, waiting for its limits for a moment.
    pub(crate) async fn ask_when_admitted(
        &self,
        place: usize,
        request: &Request,
    ) -> Result<Reply, Miss> {
        let deadline = Instant::now() + ADMISSION;
        loop {
            match self.ask(place, request).await {
                Err(Miss::Refused(Refused::Wait(wait))) if Instant::now() + wait < deadline => {
                    sleep(wait).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Longest time for one read.
    pub(crate) fn total_time(&self, purpose: Purpose) -> Duration {
        let time = self.options.total_timeout.0;
        match purpose {
            Purpose::Live | Purpose::Probe | Purpose::Trace => time,
            Purpose::Backfill => time.saturating_mul(BACKFILL_PATIENCE),
        }
    }

    fn progress(&self, request: &Request, earlier: Vec<Attempt>) -> Progress {
        let total = self.total_time(request.purpose);
        let time = request.timeout.map_or(total, |timeout| total.max(timeout));
        let mut progress = Progress {
            tries: vec![Tries::default(); self.endpoints.len()],
            attempts: Vec::new(),
            deadline: Instant::now() + time,
            time,
            most: match request.purpose {
                Purpose::Trace => TRIES_FOR_TRACES,
                Purpose::Live | Purpose::Backfill | Purpose::Probe => TRIES_PER_ENDPOINT,
            },
        };
        for avoided in &request.avoid {
            if let Some(place) = self.place(avoided) {
                progress.tries[place].barred = Some(Bar::Forever);
            }
        }
        for attempt in earlier {
            if let Some(place) = self.place(&attempt.endpoint) {
                progress.note(place, Miss::Failed(attempt));
            }
        }
        progress
    }

    fn ranking(&self, request: &Request, count: u32, progress: &Progress) -> Ranking {
        let now = Instant::now();
        let candidates: Vec<_> = self
            .endpoints
            .iter()
            .zip(&progress.tries)
            .map(|(endpoint, tries)| {
                let barred = tries.barred.map(|bar| match bar {
                    Bar::Forever => Duration::MAX,
                    Bar::Until(until) => until.saturating_duration_since(now),
                });
                endpoint.candidate(&request.method, request.purpose, count, barred)
            })
            .collect();
        rank(&candidates, request.pinned)
    }

    /// Who would be asked first; for callers that fit a request to the endpoint.
    pub(crate) fn best(&self, request: &Request) -> Option<usize> {
        let progress = self.progress(request, Vec::new());
        self.ranking(request, 1, &progress).order.first().copied()
    }

    /// Who would be asked first, all tries of others so far left aside.
    pub(crate) fn best_of(&self, request: &Request, count: u32, barred: &[bool]) -> Ranking {
        let mut progress = self.progress(request, Vec::new());
        for (tries, barred) in progress.tries.iter_mut().zip(barred) {
            if *barred {
                tries.barred = Some(Bar::Forever);
            }
        }
        self.ranking(request, count, &progress)
    }

    /// Asks `first`, and `second` as well when `first` is slower than it mostly is. The first good
    /// answer wins; the errors are those of all who failed.
    async fn ask_hedged(
        &self,
        first: usize,
        second: Option<usize>,
        request: &Request,
        deadline: Instant,
    ) -> Result<Reply, Vec<(usize, Miss)>> {
        let mut misses = Vec::new();
        let mut asked_first = pin!(self.ask(first, request));
        let hedge_at = Instant::now() + self.hedge_delay(first, request);
        let hedge = async {
            match second {
                Some(second) => {
                    sleep_until(hedge_at).await;
                    second
                }
                None => std::future::pending().await,
            }
        };
        let second = tokio::select! {
            biased;
            outcome = &mut asked_first => {
                return outcome.map_err(|miss| vec![(first, miss)]);
            }
            () = sleep_until(deadline) => {
                return Err(vec![(first, self.too_slow(first))]);
            }
            second = hedge => second,
        };
        let mut asked_second = pin!(self.ask(second, request));
        let [mut first_runs, mut second_runs] = [true, true];
        let mut outcome = None;
        while outcome.is_none() && (first_runs || second_runs) {
            tokio::select! {
                biased;
                answer = &mut asked_first, if first_runs => match answer {
                    Ok(reply) => outcome = Some((reply, false)),
                    Err(miss) => {
                        first_runs = false;
                        misses.push((first, miss));
                    }
                },
                answer = &mut asked_second, if second_runs => match answer {
                    Ok(reply) => outcome = Some((reply, true)),
                    Err(miss) => {
                        second_runs = false;
                        misses.push((second, miss));
                    }
                },
                () = sleep_until(deadline) => {
                    let late = [(first, first_runs), (second, second_runs)];
                    misses.extend(
                        late.into_iter()
                            .filter(|(_, runs)| *runs)
                            .map(|(place, _)| (place, self.too_slow(place))),
                    );
                    break;
                }
            }
        }
        let won = matches!(outcome, Some((_, true)));
        let won = if won { "true" } else { "false" };
        self.metrics.counter(&signals::HEDGES, &[self.chain.as_str(), won]).inc();
        outcome.map(|(reply, _)| reply).ok_or(misses)
    }

    fn hedge_delay(&self, place: usize, request: &Request) -> Duration {
        let p95 = self.endpoints[place].state().p95_of(&request.method);
        p95.unwrap_or(UNKNOWN_HEDGE).clamp(SOONEST_HEDGE, self.options.timeout.0 / 2)
    }

    fn too_slow(&self, place: usize) -> Miss {
        Miss::Failed(Attempt {
            endpoint: self.endpoints[place].name.clone(),
            class: ErrorClass::Timeout,
            message: "no answer before the read's time was up".to_owned(),
            rpc: None,
            remedy: Remedy::Retry,
            took: Duration::ZERO,
        })
    }

    /// The end of a read without an answer.
    fn give_up(
        &self,
        request: &Request,
        progress: Progress,
        ranking: &Ranking,
        out_of_time: bool,
    ) -> CallError {
        let Progress { tries, mut attempts, deadline: _, time, most: _ } = progress;
        let mut unused = Vec::new();
        for &(place, why) in &ranking.passed_over {
            let endpoint = self.endpoints[place].name.clone();
            if tries[place].failed > 0 {
                continue;
            }
            if why == Why::MethodMissing {
                // It said so before; the caller shall see the same as then.
                attempts.push(Attempt {
                    endpoint,
                    class: ErrorClass::RpcMethodMissing,
                    message: "it said before that it does not have the method".to_owned(),
                    rpc: None,
                    remedy: Remedy::Elsewhere,
                    took: Duration::ZERO,
                });
            } else {
                unused.push(Unused { endpoint, reason: why.text() });
            }
        }
        CallError {
            method: request.method.to_string(),
            attempts,
            unused,
            out_of_time: out_of_time.then_some(time),
        }
    }

    /// Endpoints that have not reached the height that is asked for look at their heads now.
    pub(crate) fn nudge_behind(&self, ranking: &Ranking) {
        for (place, why) in &ranking.passed_over {
            if matches!(why, Why::Behind(_)) {
                self.endpoints[*place].nudge.notify_one();
            }
        }
    }
}

impl Progress {
    /// Remembers how an attempt went. True when there is no point in going on.
    fn note(&mut self, place: usize, miss: Miss) -> bool {
        let now = Instant::now();
        let tries = &mut self.tries[place];
        let attempt = match miss {
            // The ranking will say why; the wait is short and makes the loop yield.
            Miss::Refused(Refused::Wait(wait)) => {
                tries.barred = Some(Bar::Until(now + wait));
                return false;
            }
            Miss::Refused(Refused::BudgetSpent) => return false,
            Miss::Failed(attempt) => attempt,
        };
        tries.failed += 1;
        tries.barred = Some(match attempt.remedy {
            Remedy::Retry if tries.failed < self.most => {
                let step = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(tries.failed - 1));
                let pause = step.min(LONGEST_PAUSE).mul_f64(rand::rng().random_range(0.5..=1.0));
                Bar::Until(now + pause)
            }
            // How long is the endpoint's state to say.
            Remedy::Wait(_) if tries.failed < self.most => Bar::Until(now),
            Remedy::Retry
            | Remedy::Wait(_)
            | Remedy::Smaller { .. }
            | Remedy::Elsewhere
            | Remedy::Never => Bar::Forever,
        });
        let is_final = attempt.remedy == Remedy::Never;
        self.attempts.push(attempt);
        is_final
    }
}
