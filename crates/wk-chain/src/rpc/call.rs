//! What is asked of an endpoint, what comes back, and what to say when nothing does.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use wk_model::Height;

use super::class::{ErrorClass, Remedy, RpcError};

/// An endpoint's name as people see it: never its path, query or key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointName(Arc<str>);

impl EndpointName {
    /// The endpoint called `name`.
    pub fn new(name: &str) -> EndpointName {
        EndpointName(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointName({})", self.0)
    }
}

/// What a request is for. Backfill never takes what live reads need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To follow the head: first in line.
    Live,
    /// To read history: takes only its share.
    Backfill,
    /// To check on an endpoint or a node.
    Probe,
    /// To learn what transactions did inside. Nodes work on such answers for long and often refuse
    /// them: that says nothing about the endpoint as one to follow.
    Trace,
}

/// Why an answer is not acceptable although it is well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The endpoint is behind: it does not have what it must have by now. Class `stale`.
    Stale(String),
    /// The answer contradicts itself or what is known. Class `inconsistent`.
    Inconsistent(String),
}

/// Says whether an answer is acceptable. A rejected answer counts against its endpoint, and
/// another endpoint is asked.
pub type Validate = Arc<dyn Fn(&RawValue) -> Result<(), Rejection> + Send + Sync>;

/// One JSON-RPC request.
#[derive(Clone)]
pub struct Request {
    /// The method, such as `eth_getBlockByNumber`.
    pub method: Cow<'static, str>,
    /// Its parameters: an array.
    pub params: Value,
    /// What it is for.
    pub purpose: Purpose,
    /// Only endpoints that have reached this height may answer.
    pub pinned: Option<Height>,
    /// A second endpoint is asked when the first is slower than it mostly is. For reads only.
    pub hedge: bool,
    /// Endpoints that shall not be asked.
    pub avoid: Vec<EndpointName>,
    /// Longest time for one attempt; without it, that of the pool.
    pub timeout: Option<Duration>,
    /// Whether an answer is acceptable; without it, every well-formed result is.
    pub validate: Option<Validate>,
}

impl Request {
    /// A request for `purpose`: not pinned, not hedged, every well-formed result accepted.
    pub fn new(method: impl Into<Cow<'static, str>>, params: Value, purpose: Purpose) -> Request {
        Request {
            method: method.into(),
            params,
            purpose,
            pinned: None,
            hedge: false,
            avoid: Vec::new(),
            timeout: None,
            validate: None,
        }
    }

    /// A request for the head of the chain.
    pub fn live(method: impl Into<Cow<'static, str>>, params: Value) -> Request {
        Request::new(method, params, Purpose::Live)
    }

    /// A request for history.
    pub fn backfill(method: impl Into<Cow<'static, str>>, params: Value) -> Request {
        Request::new(method, params, Purpose::Backfill)
    }

    /// A request that checks on an endpoint or node.
    pub fn probe(method: impl Into<Cow<'static, str>>, params: Value) -> Request {
        Request::new(method, params, Purpose::Probe)
    }

    /// A request for what transactions did inside, each attempt within `timeout`.
    pub fn trace(
        method: impl Into<Cow<'static, str>>,
        params: Value,
        timeout: Duration,
    ) -> Request {
        Request { timeout: Some(timeout), ..Request::new(method, params, Purpose::Trace) }
    }

    /// Only for endpoints that have reached `height`.
    #[must_use]
    pub fn pinned(mut self, height: Height) -> Request {
        self.pinned = Some(height);
        self
    }

    /// With a second endpoint when the first is slow.
    #[must_use]
    pub fn hedged(mut self) -> Request {
        self.hedge = true;
        self
    }

    /// Not to be answered by `endpoint`.
    #[must_use]
    pub fn avoiding(mut self, endpoint: &EndpointName) -> Request {
        self.avoid.push(endpoint.clone());
        self
    }

    /// With a say on which answers are acceptable.
    #[must_use]
    pub fn validated(
        mut self,
        validate: impl Fn(&RawValue) -> Result<(), Rejection> + Send + Sync + 'static,
    ) -> Request {
        self.validate = Some(Arc::new(validate));
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { method, params: _, purpose, pinned, hedge, avoid, timeout, validate: _ } =
            self;
        f.debug_struct("Request")
            .field("method", method)
            .field("purpose", purpose)
            .field("pinned", pinned)
            .field("hedge", hedge)
            .field("avoid", avoid)
            .field("timeout", timeout)
            .finish_non_exhaustive()
    }
}

/// An endpoint's result.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The result as it was sent; may be `null`.
    pub value: Box<RawValue>,
    /// Who gave it.
    pub endpoint: EndpointName,
    /// How long it took, from sending to the last byte.
    pub took: Duration,
}

impl Reply {
    /// Whether the result is `null`.
    pub fn is_null(&self) -> bool {
        self.value.get() == "null"
    }

    /// The result as a `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.value.get())
    }
}

/// No endpoint gave an acceptable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub struct CallError {
    /// The method.
    pub method: String,
    /// What was tried, in order.
    pub attempts: Vec<Attempt>,
    /// Endpoints that were not asked, and why.
    pub unused: Vec<Unused>,
    /// Set when time ran out, with the time there was.
    pub out_of_time: Option<Duration>,
}

/// One failed attempt at one endpoint.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Who was asked.
    pub endpoint: EndpointName,
    /// Class of the failure.
    pub class: ErrorClass,
    /// What happened, without secrets.
    pub message: String,
    /// What the endpoint said, when it answered with a JSON-RPC error.
    pub rpc: Option<Box<RpcError>>,
    /// What may help.
    pub remedy: Remedy,
    /// How long it took.
    pub took: Duration,
}

/// An endpoint that was not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unused {
    /// Who.
    pub endpoint: EndpointName,
    /// Why not.
    pub reason: String,
}

impl CallError {
    /// The class that says most: of the last attempt. `None` when nobody could be asked.
    pub fn class(&self) -> Option<ErrorClass> {
        self.attempts.last().map(|attempt| attempt.class)
    }

    /// What an endpoint answered as JSON-RPC error; the last one.
    pub fn rpc(&self) -> Option<&RpcError> {
        self.attempts.iter().rev().find_map(|attempt| attempt.rpc.as_deref())
    }

    /// Whether every endpoint that could be asked failed with `class`.
    pub fn all(&self, class: ErrorClass) -> bool {
        !self.attempts.is_empty() && self.attempts.iter().all(|attempt| attempt.class == class)
    }

    /// What an endpoint answered when the same question fails everywhere, such as a reverted call.
    pub fn reverted(&self) -> Option<&RpcError> {
        let never = |attempt: &&Attempt| attempt.remedy == Remedy::Never;
        self.attempts.iter().find(never).and_then(|attempt| attempt.rpc.as_deref())
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CallError { method, attempts, unused, out_of_time } = self;
        write!(f, "no endpoint answered {method}")?;
        if let Some(time) = out_of_time {
            write!(f, " within {time:?}")?;
        }
        let mut separator = ": ";
        // Of many tries at one endpoint, the last one says what is wrong with it.
        for (place, attempt) in attempts.iter().enumerate() {
            let Attempt { endpoint, class, message, .. } = attempt;
            if attempts[place + 1..].iter().any(|later| later.endpoint == *endpoint) {
                continue;
            }
            let times = attempts.iter().filter(|other| other.endpoint == *endpoint).count();
            write!(f, "{separator}{endpoint} {class} ({message})")?;
            if times > 1 {
                write!(f, " after {times} tries")?;
            }
            separator = "; ";
        }
        for Unused { endpoint, reason } in unused {
            write!(f, "{separator}{endpoint} not asked ({reason})")?;
            separator = "; ";
        }
        Ok(())
    }
}
