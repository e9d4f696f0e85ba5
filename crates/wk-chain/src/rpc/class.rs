//! What went wrong with a request, and what may help.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

/// Class of a failed request, as metrics and errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "&'static str")]
pub enum ErrorClass {
    /// HTTP 4xx other than 429: a wrong path, a wrong key, a plan that lacks this.
    HttpClient,
    /// HTTP 429: too many requests.
    Http429,
    /// HTTP 5xx.
    HttpServer,
    /// No answer in time.
    Timeout,
    /// No connection, or it broke.
    Connect,
    /// No secure connection: certificate or handshake.
    Tls,
    /// An answer that is no JSON-RPC: malformed, oversized, for another request.
    Json,
    /// The endpoint does not know the method.
    RpcMethodMissing,
    /// The endpoint does not accept the parameters.
    RpcInvalidParams,
    /// Too many requests, too large a range, result or batch, told by JSON-RPC.
    RpcLimit,
    /// The endpoint no longer holds the history or state.
    RpcPruned,
    /// The endpoint does not know the block yet, or at all.
    RpcHeaderNotFound,
    /// Any other JSON-RPC error, such as a reverted call.
    RpcOther,
    /// A good answer that is behind what the endpoint must know.
    Stale,
    /// A good answer that contradicts itself or what is known.
    Inconsistent,
}

impl ErrorClass {
    /// All of them, in the order of the reference.
    pub const ALL: [ErrorClass; 15] = [
        ErrorClass::HttpClient,
        ErrorClass::Http429,
        ErrorClass::HttpServer,
        ErrorClass::Timeout,
        ErrorClass::Connect,
        ErrorClass::Tls,
        ErrorClass::Json,
        ErrorClass::RpcMethodMissing,
        ErrorClass::RpcInvalidParams,
        ErrorClass::RpcLimit,
        ErrorClass::RpcPruned,
        ErrorClass::RpcHeaderNotFound,
        ErrorClass::RpcOther,
        ErrorClass::Stale,
        ErrorClass::Inconsistent,
    ];

    /// Its name as the label `class` shows it. A request that worked has the class `ok`.
    pub fn name(self) -> &'static str {
        match self {
            ErrorClass::HttpClient => "http_4xx",
            ErrorClass::Http429 => "http_429",
            ErrorClass::HttpServer => "http_5xx",
            ErrorClass::Timeout => "timeout",
            ErrorClass::Connect => "connect",
            ErrorClass::Tls => "tls",
            ErrorClass::Json => "json",
            ErrorClass::RpcMethodMissing => "rpc_method_missing",
            ErrorClass::RpcInvalidParams => "rpc_invalid_params",
            ErrorClass::RpcLimit => "rpc_limit",
            ErrorClass::RpcPruned => "rpc_pruned",
            ErrorClass::RpcHeaderNotFound => "rpc_header_not_found",
            ErrorClass::RpcOther => "rpc_other",
            ErrorClass::Stale => "stale",
            ErrorClass::Inconsistent => "inconsistent",
        }
    }
}

impl From<ErrorClass> for &'static str {
    fn from(class: ErrorClass) -> &'static str {
        class.name()
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The error object of a JSON-RPC answer, cleaned of the endpoint's secrets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RpcError {
    /// The code; 0 when the endpoint gave none that is a number.
    pub code: i64,
    /// The message, cut to a sensible length.
    pub message: String,
    /// Additional data, such as what a reverted call returned.
    pub data: Option<Value>,
}

/// What may help after a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The fault may pass: ask again, here or elsewhere.
    Retry,
    /// The endpoint wants to be left alone, for this long where it says so.
    Wait(Option<Duration>),
    /// The question is too large: ask for less.
    Smaller {
        /// The block range that the endpoint says will work, inclusive.
        range: Option<(u64, u64)>,
        /// The most blocks that the endpoint says it accepts.
        blocks: Option<u64>,
    },
    /// This endpoint cannot answer; another may.
    Elsewhere,
    /// The answer is the same everywhere, such as a reverted call.
    Never,
}
