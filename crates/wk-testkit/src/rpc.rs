//! A raw JSON-RPC client: no retries, no interpretation, the answer as it is.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum RpcFailure {
    /// No answer came, or not all of it.
    #[error("no answer")]
    Transport(#[from] reqwest::Error),
    /// An HTTP error.
    #[error("HTTP status {status}: {body}")]
    Status {
        /// The status.
        status: u16,
        /// `Retry-After`, as it was sent.
        retry_after: Option<String>,
        /// The body.
        body: String,
    },
    /// The body is no JSON-RPC answer.
    #[error("no JSON-RPC answer: {0}")]
    Malformed(String),
    /// A JSON-RPC error.
    #[error("{0}")]
    Error(Value),
}

impl RpcFailure {
    /// The code of a JSON-RPC error.
    pub fn code(&self) -> Option<i64> {
        match self {
            RpcFailure::Error(error) => error["code"].as_i64(),
            RpcFailure::Transport(_) | RpcFailure::Status { .. } | RpcFailure::Malformed(_) => None,
        }
    }
}

/// An HTTP client for tests. Clones share connections.
pub fn http_client() -> reqwest::Client {
    static CLIENT: OnceLock<()> = OnceLock::new();
    // One provider per process; that another part installed one first is as good.
    CLIENT.get_or_init(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(60))
        .build()
        .expect("the options are fixed and valid")
}

/// A JSON-RPC endpoint over HTTP.
#[derive(Clone, Debug)]
pub struct Rpc {
    url: String,
    client: reqwest::Client,
}

impl Rpc {
    /// The endpoint at `url`.
    pub fn new(url: impl Into<String>) -> Rpc {
        Rpc { url: url.into(), client: http_client() }
    }

    /// Calls `method`; any failure is a value.
    pub async fn try_call(&self, method: &str, params: Value) -> Result<Value, RpcFailure> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let mut answer = self.post(request.to_string()).await?;
        if answer["error"].is_object() {
            return Err(RpcFailure::Error(answer["error"].take()));
        }
        let same_id = answer["id"] == id;
        match answer.get_mut("result") {
            Some(result) if same_id => Ok(result.take()),
            _ => Err(RpcFailure::Malformed(answer.to_string())),
        }
    }

    /// Calls `method`.
    ///
    /// # Panics
    /// When it fails.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        match self.try_call(method, params.clone()).await {
            Ok(result) => result,
            Err(failure) => panic!("{method} {params} failed: {failure}"),
        }
    }

    /// Sends one batch and returns the answers as they came; ids count from 0.
    pub async fn batch(&self, calls: &[(&str, Value)]) -> Result<Vec<Value>, RpcFailure> {
        let calls: Vec<Value> = calls
            .iter()
            .enumerate()
            .map(|(id, (method, params))| {
                json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
            })
            .collect();
        match self.post(Value::Array(calls).to_string()).await? {
            Value::Array(answers) => Ok(answers),
            other => Err(RpcFailure::Malformed(other.to_string())),
        }
    }

    /// Posts `body` and reads a JSON answer.
    pub async fn post(&self, body: String) -> Result<Value, RpcFailure> {
        let request = self.client.post(&self.url).header("content-type", "application/json");
        let answer = request.body(body).send().await?;
        let status = answer.status();
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = answer.text().await?;
        if !status.is_success() {
            return Err(RpcFailure::Status { status: status.as_u16(), retry_after, body });
        }
        serde_json::from_str(&body).map_err(|_| RpcFailure::Malformed(body))
    }
}
