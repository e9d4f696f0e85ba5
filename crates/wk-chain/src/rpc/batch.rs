//! Many reads at once: in batches as large as the endpoints accept, one by one where they do not.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep};

use super::ask::Miss;
use super::call::{Attempt, CallError, Purpose, Reply, Request, Unused};
use super::class::{ErrorClass, Remedy};
use super::pool::Inner;

/// Batches, or single requests, on their way at once.
const PARALLEL: usize = 8;
/// A request goes into this many batches before it goes alone.
const ROUNDS: u32 = 4;

/// What one of the things on the way came to.
enum Came {
    /// A batch to this endpoint, with these items.
    Batch(usize, Vec<usize>, Result<Vec<Result<Reply, Attempt>>, Miss>),
    /// One request that went alone.
    Single(usize, Result<Reply, CallError>),
}

type Coming<'a> = Pin<Box<dyn Future<Output = Came> + Send + 'a>>;

/// The state of one call of [`Inner::batch`].
struct Work<'a> {
    inner: &'a Inner,
    requests: &'a [Request],
    /// Stands for all requests when an endpoint is chosen.
    lead: Request,
    results: Vec<Option<Result<Reply, CallError>>>,
    queue: VecDeque<usize>,
    rounds: Vec<u32>,
    /// Endpoints that failed a whole batch, and how.
    barred: Vec<Option<Attempt>>,
    coming: FuturesUnordered<Coming<'a>>,
    deadline: Instant,
    time: Duration,
}

impl Inner {
    pub(crate) async fn batch(&self, requests: &[Request]) -> Vec<Result<Reply, CallError>> {
        let Some(lead) = lead(requests) else { return Vec::new() };
        let time = self.total_time(lead.purpose);
        let work = Work {
            inner: self,
            requests,
            lead,
            results: requests.iter().map(|_| None).collect(),
            queue: (0..requests.len()).collect(),
            rounds: vec![0; requests.len()],
            barred: vec![None; self.endpoints.len()],
            coming: FuturesUnordered::new(),
            deadline: Instant::now() + time,
            time,
        };
        work.run().await
    }
}

/// The request whose needs are those of all: the most urgent, the highest, the most averse.
fn lead(requests: &[Request]) -> Option<Request> {
    let first = requests.first()?;
    let mut lead = Request::new(first.method.clone(), serde_json::Value::Null, first.purpose);
    for request in requests {
        if request.purpose != Purpose::Backfill {
            lead.purpose = request.purpose;
        }
        lead.pinned = lead.pinned.max(request.pinned);
        lead.avoid.extend(request.avoid.iter().cloned());
    }
    Some(lead)
}

impl Work<'_> {
    async fn run(mut self) -> Vec<Result<Reply, CallError>> {
        loop {
            let pause = self.send_what_can_go();
            match (self.coming.is_empty(), pause) {
                (true, None) => break,
                // Nothing is on its way and nobody can be asked: limits pass.
                (true, Some(pause)) => sleep(pause).await,
                (false, _) => {
                    if let Some(came) = self.coming.next().await {
                        self.take(came).await;
                    }
                }
            }
        }
        self.results
            .into_iter()
            .map(|result| result.expect("a request leaves the queue with a result"))
            .collect()
    }

    /// Sends from the queue while there is room. The pause is how long to wait when nothing could
    /// be sent; none when the queue is empty.
    fn send_what_can_go(&mut self) -> Option<Duration> {
        while self.coming.len() < PARALLEL && !self.queue.is_empty() {
            let barred: Vec<bool> = self.barred.iter().map(Option::is_some).collect();
            let ranking = self.inner.best_of(&self.lead, 1, &barred);
            let late = Instant::now() >= self.deadline;
            match (ranking.order.first(), ranking.wait()) {
                (Some(&place), _) if !late => self.send(place),
                (None, Some(wait)) if Instant::now() + wait < self.deadline => {
                    self.inner.nudge_behind(&ranking);
                    return Some(wait);
                }
                // Nobody takes batches any more: each request goes alone, and finds out why.
                _ if !late => {
                    let item = self.queue.pop_front().expect("the queue is not empty");
                    let earlier = self.barred.iter().flatten().cloned().collect();
                    self.send_alone(item, earlier);
                }
                _ => {
                    let unused = ranking.passed_over.iter().map(|(place, why)| Unused {
                        endpoint: self.inner.endpoints[*place].name.clone(),
                        reason: why.text(),
                    });
                    let unused: Vec<Unused> = unused.collect();
                    for item in std::mem::take(&mut self.queue) {
                        self.results[item] = Some(Err(CallError {
                            method: self.requests[item].method.to_string(),
                            attempts: self.barred.iter().flatten().cloned().collect(),
                            unused: unused.clone(),
                            out_of_time: Some(self.time),
                        }));
                    }
                }
            }
        }
        (!self.queue.is_empty()).then_some(Duration::ZERO)
    }

    fn send(&mut self, place: usize) {
        let endpoint = &self.inner.endpoints[place];
        let batches = endpoint.address.target().is_ok_and(|target| target.http.is_some());
        let size = if batches { endpoint.state().batch.size() } else { 1 };
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(self.queue.len());
        if size <= 1 {
            let item = self.queue.pop_front().expect("the queue is not empty");
            return self.send_alone(item, Vec::new());
        }
        let items: Vec<usize> = self.queue.drain(..size).collect();
        let requests: Vec<&Request> = items.iter().map(|item| &self.requests[*item]).collect();
        let inner = self.inner;
        self.coming.push(Box::pin(async move {
            let outcome = inner.ask_batch(place, &requests).await;
            Came::Batch(place, items, outcome)
        }));
    }

    fn send_alone(&mut self, item: usize, earlier: Vec<Attempt>) {
        let (inner, request) = (self.inner, &self.requests[item]);
        self.coming.push(Box::pin(async move {
            Came::Single(item, inner.call_after(request, earlier).await)
        }));
    }

    async fn take(&mut self, came: Came) {
        match came {
            Came::Single(item, result) => self.results[item] = Some(result),
            Came::Batch(_, items, Ok(replies)) => {
                for (item, reply) in items.into_iter().zip(replies) {
                    match reply {
                        Ok(reply) => self.results[item] = Some(Ok(reply)),
                        Err(attempt) => self.retry(item, attempt),
                    }
                }
            }
            Came::Batch(place, items, Err(miss)) => {
                let pause = match miss {
                    Miss::Refused(super::endpoint::Refused::Wait(wait)) => wait,
                    Miss::Refused(super::endpoint::Refused::BudgetSpent) => Duration::ZERO,
                    Miss::Failed(attempt) => {
                        // Smaller batches, or a pause, and it is good again; else it is not.
                        let waits = matches!(attempt.remedy, Remedy::Wait(_));
                        let smaller = matches!(attempt.remedy, Remedy::Smaller { .. });
                        if !waits && !smaller {
                            self.barred[place] = Some(attempt);
                        }
                        Duration::ZERO
                    }
                };
                for item in items.into_iter().rev() {
                    self.queue.push_front(item);
                }
                sleep(pause.min(Duration::from_millis(50))).await;
            }
        }
    }

    /// An item of a batch failed while the batch went well.
    fn retry(&mut self, item: usize, attempt: Attempt) {
        self.rounds[item] += 1;
        match attempt.remedy {
            Remedy::Never => {
                self.results[item] = Some(Err(CallError {
                    method: self.requests[item].method.to_string(),
                    attempts: vec![attempt],
                    unused: Vec::new(),
                    out_of_time: None,
                }));
            }
            // Many alone would only be refused again.
            Remedy::Wait(_) if self.rounds[item] < ROUNDS => self.queue.push_back(item),
            _ if attempt.class == ErrorClass::Json && self.rounds[item] < 2 => {
                self.queue.push_back(item);
            }
            _ => self.send_alone(item, vec![attempt]),
        }
    }
}
