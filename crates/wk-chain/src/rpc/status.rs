//! What the pool knows about an endpoint, as the API and `doctor` show it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use wk_model::{BlockLink, ChainId, Timestamp};

use super::call::EndpointName;
use super::class::ErrorClass;
use super::config::Trust;

/// One endpoint as it is now. Holds no secrets.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointStatus {
    /// Its name.
    pub name: EndpointName,
    /// How it is reached.
    pub kind: EndpointKind,
    /// Whose it is.
    pub trust: Trust,
    /// How it is.
    pub health: Health,
    /// Why it is not healthy, in one line.
    pub reason: Option<String>,
    /// Whether requests go to it; quarantined endpoints are used when there is nobody else.
    pub in_use: bool,
    /// Its newest head.
    pub head: Option<BlockLink>,
    /// When that head, or its repetition, was last seen.
    pub head_seen_at: Option<Timestamp>,
    /// Blocks behind the highest head of the pool.
    pub behind: u64,
    /// Half of the requests of late were answered within this time.
    pub latency_p50: Option<Duration>,
    /// 95 of 100 requests of late were answered within this time.
    pub latency_p95: Option<Duration>,
    /// Requests sent since the start.
    pub requests: u64,
    /// Failures since the start, by class.
    pub errors: BTreeMap<ErrorClass, u64>,
    /// The newest failure.
    pub last_error: Option<LastError>,
    /// The request budget, where there is one.
    pub budget: Option<Budget>,
    /// The circuit breaker.
    pub breaker: BreakerState,
    /// The endpoint asked to be left alone until then.
    pub rate_limited_until: Option<Timestamp>,
    /// Why it is not trusted now.
    pub quarantine: Option<Quarantine>,
    /// What it says of its software.
    pub client_version: Option<String>,
    /// The chain id it gave last.
    pub chain_id: Option<ChainId>,
    /// Methods that it does not have, as far as is known.
    pub missing_methods: Vec<String>,
    /// Requests that go into one batch.
    pub batch_size: u32,
    /// Blocks that go into one `eth_getLogs`.
    pub logs_range: u64,
    /// How often its head went back to an older block of the same chain: the mark of a balancer
    /// in front of nodes that are not equally far.
    pub head_regressions: u64,
    /// Its WebSocket, where it has one.
    pub ws: Option<WsStatus>,
}

/// How an endpoint is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointKind {
    /// Requests over HTTP, heads by polling.
    Http,
    /// Requests and heads over one WebSocket.
    WebSocket,
    /// Requests over HTTP, heads over a WebSocket.
    HttpAndWebSocket,
}

/// How an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Not asked yet.
    Unknown,
    /// It answers, and nothing speaks against it.
    Healthy,
    /// It is used, with a limit: rate limit, budget, or a broken WebSocket.
    Limited,
    /// It does not answer.
    Down,
    /// It answers, and is not believed.
    Quarantined,
}

/// The newest failure of an endpoint.
#[derive(Clone, Debug, Serialize)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// Its class.
    pub class: ErrorClass,
    /// What happened, without secrets.
    pub message: String,
}

/// A request budget per UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Requests allowed per day.
    pub per_day: u64,
    /// Requests sent today.
    pub used: u64,
}

/// State of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// No request passes: too many failed in a row.
    Open,
    /// One request may try.
    HalfOpen,
}

/// An endpoint is not believed.
#[derive(Clone, Debug, Serialize)]
pub struct Quarantine {
    /// Why.
    pub trouble: Trouble,
    /// Since when.
    pub since: Timestamp,
    /// Not released before; released later when the checks pass.
    pub until: Timestamp,
    /// How often it was caught so far.
    pub offences: u32,
}

/// An endpoint's WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WsStatus {
    /// Whether it is open.
    pub connected: bool,
    /// Whether it delivers new heads.
    pub subscribed: bool,
    /// How often it was opened again.
    pub reconnects: u64,
}

/// What an endpoint was caught at, with the evidence in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// What it was caught at.
    pub kind: TroubleKind,
    /// The evidence, in one line, without secrets.
    pub detail: String,
}

impl Trouble {
    /// `kind`, with its evidence.
    pub fn new(kind: TroubleKind, detail: impl Into<String>) -> Trouble {
        Trouble { kind, detail: detail.into() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.word(), self.detail)
    }
}

/// What an endpoint can be caught at, least bad first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// Its head is behind the others'.
    Lagging,
    /// It answers with nothing where there is something.
    Empty,
    /// It answers with a part.
    Truncated,
    /// It and another endpoint give different hashes for one height, and nobody can tell who is
    /// right.
    Disagreement,
    /// Its data does not hold what its header promises.
    WrongData,
    /// It gives another hash for a height than most endpoints.
    Fork,
    /// It serves another chain. Such an endpoint is never used.
    WrongChain,
}

impl TroubleKind {
    /// All of them.
    pub const ALL: [TroubleKind; 7] = [
        TroubleKind::Lagging,
        TroubleKind::Empty,
        TroubleKind::Truncated,
        TroubleKind::Disagreement,
        TroubleKind::WrongData,
        TroubleKind::Fork,
        TroubleKind::WrongChain,
    ];

    /// The name of the condition that tells of it.
    pub fn condition(self) -> &'static str {
        match self {
            TroubleKind::Lagging => "endpoint_lagging",
            TroubleKind::Empty => "endpoint_empty",
            TroubleKind::Truncated => "endpoint_truncated",
            TroubleKind::Disagreement => "endpoint_disagreement",
            TroubleKind::WrongData => "endpoint_wrong_data",
            TroubleKind::Fork => "endpoint_fork",
            TroubleKind::WrongChain => "endpoint_wrong_chain",
        }
    }

    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            TroubleKind::Lagging => "lags",
            TroubleKind::Empty => "answered empty",
            TroubleKind::Truncated => "answered with a part",
            TroubleKind::Disagreement => "disagrees",
            TroubleKind::WrongData => "gave wrong data",
            TroubleKind::Fork => "is on another fork",
            TroubleKind::WrongChain => "serves another chain",
        }
    }
}
