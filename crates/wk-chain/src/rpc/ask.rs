//! One attempt at one endpoint: send, read, judge, and remember how it went.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use wk_model::ChainId;

use super::call::{Attempt, Rejection, Reply, Request};
use super::class::{Answer, ErrorClass, Remedy, RpcError, Verdict, classify};
use super::endpoint::{Endpoint, IdentityState, Permit, Refused};
use super::http::{Broken, Received};
use super::pool::Inner;
use super::wire::{self, Answered, BatchAnswered, Malformed, Quantity};

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum Miss {
    /// It was asked, and failed.
    Failed(Attempt),
    /// It was not asked: limits or budget stood against it.
    Refused(Refused),
}

/// An answer, with what HTTP said about it.
struct Heard {
    status: u16,
    retry_after: Option<Duration>,
    answered: Answered,
    /// The error is text from a body that is no JSON-RPC.
    is_text: bool,
}

impl Inner {
    /// Asks the endpoint once, after making sure that it serves the right chain.
    pub(crate) async fn ask(&self, place: usize, request: &Request) -> Result<Reply, Miss> {
        self.identify(place).await?;
        self.ask_unidentified(place, request).await
    }

    /// Asks the endpoint once, whatever chain it serves.
    pub(crate) async fn ask_unidentified(
        &self,
        place: usize,
        request: &Request,
    ) -> Result<Reply, Miss> {
        let endpoint = &self.endpoints[place];
        let Request { method, purpose, validate, .. } = request;
        let permit = endpoint.admit(method, *purpose, 1).map_err(Miss::Refused)?;
        let result = self.exchange(endpoint, request).await;
        let judged = result.and_then(|value| match validate {
            Some(validate) => match validate(&value) {
                Ok(()) => Ok(value),
                Err(rejection) => Err(rejected(endpoint, rejection, permit.took())),
            },
            None => Ok(value),
        });
        conclude(permit, method, judged).map_err(Miss::Failed)
    }

    /// One JSON-RPC exchange, up to the result as it was sent.
    async fn exchange(
        &self,
        endpoint: &Endpoint,
        request: &Request,
    ) -> Result<Box<serde_json::value::RawValue>, Attempt> {
        let started = Instant::now();
        let heard = self.send(endpoint, request).await;
        let took = started.elapsed();
        match heard {
            Ok(Heard { status: 200..=299, answered: Ok(value), .. }) => Ok(value),
            Ok(Heard { status, retry_after, answered, is_text }) => {
                let mut attempt = refusal(endpoint, status, retry_after, answered.err(), took);
                if is_text {
                    attempt.rpc = None;
                }
                Err(attempt)
            }
            Err(broken) => Err(failure(endpoint, broken, took)),
        }
    }

    async fn send(&self, endpoint: &Endpoint, request: &Request) -> Result<Heard, Broken> {
        let Request { method, params, .. } = request;
        let target = endpoint
            .address
            .target()
            .map_err(|message| Broken::new(ErrorClass::Connect, message))?;
        let timeout = request.timeout.unwrap_or(self.options.timeout.0);
        let Some(url) = &target.http else {
            self.start_ws(endpoint);
            let answered = endpoint.ws.ask(method, params, timeout).await?;
            return Ok(Heard { status: 200, retry_after: None, answered, is_text: false });
        };
        let id = self.next_ids(1);
        let body = wire::encode(id, method, params);
        let received =
            self.http.post(url, &target.headers, body, timeout, self.clock.now()).await?;
        let Received { status, retry_after, body } = received;
        match wire::decode(&body, id, &target.redactor) {
            Ok(answered) => Ok(Heard { status, retry_after, answered, is_text: false }),
            Err(malformed) if (200..=299).contains(&status) => {
                Err(Broken::new(ErrorClass::Json, malformed.to_string()))
            }
            Err(_) => {
                let message = target.redactor.text(&String::from_utf8_lossy(excerpt(&body)));
                let error = RpcError { code: 0, message, data: None };
                Ok(Heard { status, retry_after, answered: Err(error), is_text: true })
            }
        }
    }

    /// Asks many things in one batch. The outer error is the batch's as a whole.
    pub(crate) async fn ask_batch(
        &self,
        place: usize,
        requests: &[&Request],
    ) -> Result<Vec<Result<Reply, Attempt>>, Miss> {
        self.identify(place).await?;
        let endpoint = &self.endpoints[place];
        let count = u32::try_from(requests.len()).unwrap_or(u32::MAX);
        let purpose = requests.first().map_or(super::Purpose::Backfill, |request| request.purpose);
        let permit = endpoint.admit(BATCH, purpose, count).map_err(Miss::Refused)?;
        match self.exchange_batch(endpoint, requests).await {
            Ok(items) => {
                let took = permit.took();
                permit.succeeded(BATCH);
                let mut state = endpoint.state();
                let now = Instant::now();
                state.batch.accepted(u64::from(count), now);
                // Who is asked next goes by the method.
                if let Some(first) = requests.first() {
                    state.record(&first.method, took, now);
                }
                drop(state);
                Ok(items
                    .into_iter()
                    .zip(requests)
                    .map(|(item, request)| judge_item(endpoint, request, item, took))
                    .collect())
            }
            Err(attempt) => {
                let too_fast = matches!(&attempt.rpc, Some(error) if error.code == -32_007);
                if matches!(attempt.remedy, Remedy::Smaller { .. }) || too_fast {
                    endpoint.state().batch.refused(u64::from(count), None, Instant::now());
                }
                permit.failed(BATCH, &attempt);
                Err(Miss::Failed(attempt))
            }
        }
    }

    async fn exchange_batch(
        &self,
        endpoint: &Endpoint,
        requests: &[&Request],
    ) -> Result<Vec<Result<Answered, Malformed>>, Attempt> {
        let started = Instant::now();
        let failed = |broken| failure(endpoint, broken, started.elapsed());
        let target = endpoint
            .address
            .target()
            .map_err(|message| failed(Broken::new(ErrorClass::Connect, message)))?;
        let Some(url) = &target.http else {
            return Err(failed(Broken::new(ErrorClass::Connect, "no batches over a WebSocket")));
        };
        let count = requests.len();
        let first_id = self.next_ids(count as u64);
        let calls = requests.iter().map(|request| (request.method.as_ref(), &request.params));
        let body = wire::encode_batch(first_id, calls);
        let timeout = requests.iter().filter_map(|request| request.timeout).max();
        let timeout = timeout.unwrap_or(self.options.timeout.0);
        let Received { status, retry_after, body } = self
            .http
            .post(url, &target.headers, body, timeout, self.clock.now())
            .await
            .map_err(failed)?;
        match wire::decode_batch(&body, first_id, count, &target.redactor) {
            Ok(BatchAnswered::Each(items)) if (200..=299).contains(&status) => Ok(items),
            Ok(BatchAnswered::Refused(error)) => {
                Err(batch_refusal(endpoint, status, retry_after, Some(error), started.elapsed()))
            }
            Err(malformed) if (200..=299).contains(&status) => {
                Err(failed(Broken::new(ErrorClass::Json, malformed.to_string())))
            }
            Ok(BatchAnswered::Each(_)) | Err(_) => {
                Err(batch_refusal(endpoint, status, retry_after, None, started.elapsed()))
            }
        }
    }

    /// Asks for the chain id: none when the endpoint cannot tell.
    pub(crate) async fn ask_chain_id(&self, place: usize) -> Result<Option<ChainId>, Miss> {
        let request = Request::probe("eth_chainId", Value::Array(Vec::new())).validated(|id| {
            serde_json::from_str::<Quantity>(id.get())
                .map(drop)
                .map_err(|_| Rejection::Inconsistent("the chain id is no number".to_owned()))
        });
        match self.ask_unidentified(place, &request).await {
            Ok(reply) => Ok(reply.parse::<Quantity>().ok().map(|id| ChainId(id.0))),
            Err(Miss::Failed(attempt)) if attempt.class == ErrorClass::RpcMethodMissing => Ok(None),
            Err(miss) => Err(miss),
        }
    }

    /// Makes sure that the endpoint serves the right chain, asking it if that is not known yet.
    async fn identify(&self, place: usize) -> Result<(), Miss> {
        let endpoint = &self.endpoints[place];
        let identity = || endpoint.state().identity;
        if identity() == IdentityState::Unknown {
            self.find_identity(place).await?;
        }
        match identity() {
            IdentityState::Right => Ok(()),
            IdentityState::Unknown | IdentityState::Wrong => Err(Miss::Failed(Attempt {
                endpoint: endpoint.name.clone(),
                class: ErrorClass::Inconsistent,
                message: "it serves another chain".to_owned(),
                rpc: None,
                remedy: Remedy::Elsewhere,
                took: Duration::ZERO,
            })),
        }
    }
}

/// The label of batches.
pub(crate) const BATCH: &str = "batch";

/// Records how an attempt went and makes it a reply.
fn conclude(
    permit: Permit<'_>,
    method: &str,
    judged: Result<Box<serde_json::value::RawValue>, Attempt>,
) -> Result<Reply, Attempt> {
    let took = permit.took();
    match judged {
        Ok(value) => {
            let endpoint = permit.name();
            permit.succeeded(method);
            Ok(Reply { value, endpoint, took })
        }
        Err(attempt) => {
            permit.failed(method, &attempt);
            Err(attempt)
        }
    }
}

/// Judges one item of a batch that came back.
fn judge_item(
    endpoint: &Endpoint,
    request: &Request,
    item: Result<Answered, Malformed>,
    took: Duration,
) -> Result<Reply, Attempt> {
    let judged = match item {
        Ok(Ok(value)) => match request.validate.as_ref().map(|validate| validate(&value)) {
            Some(Err(rejection)) => Err(rejected(endpoint, rejection, took)),
            Some(Ok(())) | None => Ok(Reply { value, endpoint: endpoint.name.clone(), took }),
        },
        Ok(Err(error)) => Err(refusal(endpoint, 200, None, Some(error), took)),
        Err(malformed) => {
            Err(failure(endpoint, Broken::new(ErrorClass::Json, malformed.to_string()), took))
        }
    };
    if let Err(attempt) = &judged {
        endpoint.learn(&request.method, attempt);
    }
    judged
}

/// A refused batch: when it may be for being a batch, or for its size, a smaller one is the remedy.
fn batch_refusal(
    endpoint: &Endpoint,
    status: u16,
    retry_after: Option<Duration>,
    error: Option<RpcError>,
    took: Duration,
) -> Attempt {
    let mut attempt = refusal(endpoint, status, retry_after, error, took);
    let by_status = matches!(status, 400 | 405 | 413 | 414 | 422 | 501);
    // One error for all of them, of no kind of its own, is about the batch.
    let by_error = attempt.rpc.is_some()
        && matches!(attempt.class, ErrorClass::RpcOther | ErrorClass::RpcInvalidParams);
    if (by_status || by_error) && !matches!(attempt.remedy, Remedy::Wait(_)) {
        attempt.remedy = Remedy::Smaller { range: None, blocks: None };
    }
    attempt
}

fn refusal(
    endpoint: &Endpoint,
    status: u16,
    retry_after: Option<Duration>,
    error: Option<RpcError>,
    took: Duration,
) -> Attempt {
    let Verdict { class, remedy } = classify(Answer { status, retry_after, error: error.as_ref() });
    let said = match &error {
        // Without a code, or text that is no JSON-RPC.
        Some(RpcError { code: 0, message, .. }) => message.clone(),
        Some(RpcError { code, message, .. }) => format!("{code} {message}"),
        None => String::new(),
    };
    let message = match (status, said.as_str()) {
        (200..=299, said) => said.to_owned(),
        (status, "") => format!("HTTP {status}"),
        (status, said) => format!("HTTP {status}: {said}"),
    };
    Attempt {
        endpoint: endpoint.name.clone(),
        class,
        message,
        rpc: error.map(Box::new),
        remedy,
        took,
    }
}

fn failure(endpoint: &Endpoint, broken: Broken, took: Duration) -> Attempt {
    let Broken { class, message, too_large } = broken;
    let message = match endpoint.address.target() {
        Ok(target) => target.redactor.text(&message),
        // Then the secrets could not be read, and the message says so.
        Err(_) => message,
    };
    let name = endpoint.name.clone();
    let remedy =
        if too_large { Remedy::Smaller { range: None, blocks: None } } else { Remedy::Retry };
    Attempt { endpoint: name, class, message, rpc: None, remedy, took }
}

fn rejected(endpoint: &Endpoint, rejection: Rejection, took: Duration) -> Attempt {
    let (class, message, remedy) = match rejection {
        // It may know more in a moment.
        Rejection::Stale(message) => (ErrorClass::Stale, message, Remedy::Retry),
        Rejection::Inconsistent(message) => (ErrorClass::Inconsistent, message, Remedy::Elsewhere),
    };
    Attempt { endpoint: endpoint.name.clone(), class, message, rpc: None, remedy, took }
}

/// The beginning of a body that is no JSON-RPC, for people.
fn excerpt(body: &[u8]) -> &[u8] {
    &body[..body.len().min(1_024)]
}
