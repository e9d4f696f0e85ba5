//! A webhook receiver that keeps what it gets and fails when told to.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use wk_runtime::StopToken;

/// Largest message.
const LARGEST: usize = 4 << 20;

/// A message that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// When, since the receiver started.
    pub at: Duration,
    /// Path and query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
    /// How it was answered; 0 when it was not.
    pub status: u16,
}

impl Received {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The `Idempotency-Key` header.
    pub fn key(&self) -> Option<&str> {
        self.headers.get("idempotency-key").map(String::as_str)
    }
}

/// How a message fares that is not to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is answered with this status, and with `Retry-After` seconds where given.
    Status(u16, Option<u64>),
    /// It is never answered.
    Hang,
}

/// A receiver that is listening. It ends when this is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: StopToken,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    received: Mutex<Vec<Received>>,
    troubles: Mutex<Troubles>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Troubles {
    next: Vec<Trouble>,
    all: Option<Trouble>,
}

impl Receiver {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start() -> Receiver {
        Receiver::start_at(0).await
    }

    /// Listens on this port of 127.0.0.1: to come back where an earlier receiver was.
    ///
    /// # Panics
    /// When the port is taken.
    pub async fn start_at(port: u16) -> Receiver {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.unwrap_or_else(|error| panic!("cannot listen on {port}: {error}"));
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared {
            started: Instant::now(),
            received: Mutex::default(),
            troubles: Mutex::default(),
            changed: Notify::new(),
        });
        let stop = StopToken::new();
        let router = Router::new()
            .fallback(receive)
            .layer(DefaultBodyLimit::max(LARGEST))
            .with_state(Arc::clone(&shared));
        let stopped = stop.clone();
        tokio::spawn(async move {
            let serve = axum::serve(listener, router);
            let _ = serve.with_graceful_shutdown(async move { stopped.stopped().await }).await;
        });
        Receiver { address, shared, stop }
    }

    /// Time since it started: what [`Received::at`] counts from.
    pub fn elapsed(&self) -> Duration {
        self.shared.started.elapsed()
    }

    /// The URL of a path, such as `/hook`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Everything that came in so far, also what was refused.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().clone()
    }

    /// What came in and was accepted.
    pub fn accepted(&self) -> Vec<Received> {
        let all = self.shared.received.lock();
        all.iter().filter(|message| (200..300).contains(&message.status)).cloned().collect()
    }

    /// How often each idempotency key was accepted: anything above 1 was delivered twice.
    pub fn keys(&self) -> BTreeMap<String, usize> {
        let mut keys = BTreeMap::new();
        for message in self.accepted() {
            *keys.entry(message.key().unwrap_or_default().to_owned()).or_default() += 1;
        }
        keys
    }

    /// Makes trouble for the next messages, one each.
    pub fn trouble_next(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.shared.troubles.lock().next.extend(troubles);
    }

    /// Makes trouble for all messages until told otherwise.
    pub fn trouble_all(&self, trouble: Option<Trouble>) {
        self.shared.troubles.lock().all = trouble;
    }

    /// Waits until the messages so far satisfy `condition`, and returns them.
    ///
    /// # Panics
    /// When they do not within `deadline`; the message says what came instead.
    pub async fn wait_for(
        &self,
        what: &str,
        deadline: Duration,
        condition: impl Fn(&[Received]) -> bool,
    ) -> Vec<Received> {
        let end = Instant::now() + deadline;
        loop {
            let changed = self.shared.changed.notified();
            let received = self.received();
            if condition(&received) {
                return received;
            }
            if timeout_at(end, changed).await.is_err() {
                let bodies: Vec<_> =
                    received.iter().map(|message| String::from_utf8_lossy(&message.body)).collect();
                panic!("waited {deadline:?} in vain: {what}; received {bodies:#?}");
            }
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let trouble = {
        let mut troubles = shared.troubles.lock();
        let next = (!troubles.next.is_empty()).then(|| troubles.next.remove(0));
        next.or(troubles.all)
    };
    let status = match trouble {
        None => 200,
        Some(Trouble::Status(status, _)) => status,
        Some(Trouble::Hang) => 0,
    };
    let headers = headers
        .iter()
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let at = shared.started.elapsed();
    shared.received.lock().push(Received { at, path: uri.to_string(), headers, body, status });
    shared.changed.notify_waiters();
    match trouble {
        None => "ok".into_response(),
        Some(Trouble::Status(status, retry_after)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, "no").into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert("retry-after", seconds.into());
            }
            response
        }
        Some(Trouble::Hang) => std::future::pending().await,
    }
}
