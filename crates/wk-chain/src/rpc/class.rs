//! What went wrong with a request, and what may help.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::hints;

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

/// What an endpoint answered, as far as it matters for its class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// HTTP status; 200 over a WebSocket.
    pub(crate) status: u16,
    /// How long to wait, from the header `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
    /// The JSON-RPC error, if the body holds one.
    pub(crate) error: Option<&'a RpcError>,
}

/// Class and remedy of an answer that is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) class: ErrorClass,
    pub(crate) remedy: Remedy,
}

/// Longest wait that an endpoint can impose: it is asked again after an hour, whatever it says.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Class and remedy of a failed request. The rules come from what providers do, as collected in
/// the reference on provider behaviour; a JSON-RPC error that says something beats the HTTP
/// status, except for 429.
pub(crate) fn classify(answer: Answer<'_>) -> Verdict {
    let Answer { status, retry_after, error } = answer;
    let wait = |told: Option<Duration>| {
        Remedy::Wait(retry_after.or(told).map(|wait| wait.min(LONGEST_WAIT)))
    };
    let told = error.and_then(hints::told_wait);
    if status == 429 {
        return Verdict { class: ErrorClass::Http429, remedy: wait(told) };
    }
    let spoken = error.map(|error| match classify_error(error) {
        (class, Remedy::Wait(told)) => Verdict { class, remedy: wait(told) },
        (class, remedy) => Verdict { class, remedy },
    });
    match (status, spoken) {
        // A JSON-RPC error without a meaning of its own says less than the status does.
        (_, Some(verdict))
            if verdict.class != ErrorClass::RpcOther || verdict.remedy == Remedy::Never =>
        {
            verdict
        }
        (200..=299, Some(verdict)) => verdict,
        (413, _) => Verdict {
            class: ErrorClass::HttpClient,
            remedy: Remedy::Smaller { range: None, blocks: None },
        },
        (408 | 425, _) => Verdict { class: ErrorClass::HttpClient, remedy: Remedy::Retry },
        (503, _) if retry_after.is_some() => {
            Verdict { class: ErrorClass::HttpServer, remedy: wait(None) }
        }
        (500.., _) => Verdict { class: ErrorClass::HttpServer, remedy: Remedy::Retry },
        (200..=299, None) => Verdict { class: ErrorClass::Json, remedy: Remedy::Retry },
        // Redirects among them: an endpoint that moved needs a new URL, and following one could
        // carry a key elsewhere.
        _ => Verdict { class: ErrorClass::HttpClient, remedy: Remedy::Elsewhere },
    }
}

/// Class and remedy of a JSON-RPC error: by its code where codes mean something, else by its text.
fn classify_error(error: &RpcError) -> (ErrorClass, Remedy) {
    let text = error.message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let smaller = || {
        let range = hints::suggested_range(&error.message);
        (
            ErrorClass::RpcLimit,
            Remedy::Smaller { range, blocks: hints::most_blocks(&error.message) },
        )
    };
    let limited = || (ErrorClass::RpcLimit, Remedy::Wait(hints::told_wait(error)));

    if error.code == 3 || has(REVERTED) {
        return (ErrorClass::RpcOther, Remedy::Never);
    }
    if error.code == 429 || has(RATE_LIMITED) || error.data.as_ref().is_some_and(hints::is_rate) {
        return limited();
    }
    if has(TOO_LARGE) {
        return smaller();
    }
    match error.code {
        // Infura's "limit exceeded": of requests, if it says nothing of a range or of results.
        -32_005 => limited(),
        4_444 => (ErrorClass::RpcPruned, Remedy::Elsewhere),
        -32_601 => (ErrorClass::RpcMethodMissing, Remedy::Elsewhere),
        _ if has(PRUNED) || hints::is_far_below(&text) => {
            (ErrorClass::RpcPruned, Remedy::Elsewhere)
        }
        _ if has(HEADER_NOT_FOUND) => (ErrorClass::RpcHeaderNotFound, Remedy::Retry),
        -32_001 => (ErrorClass::RpcHeaderNotFound, Remedy::Retry),
        _ if has(METHOD_MISSING) => (ErrorClass::RpcMethodMissing, Remedy::Elsewhere),
        -32_602 => (ErrorClass::RpcInvalidParams, Remedy::Elsewhere),
        -32_603 | -32_000 => (ErrorClass::RpcOther, Remedy::Retry),
        _ => (ErrorClass::RpcOther, Remedy::Elsewhere),
    }
}

const REVERTED: &[&str] =
    &["execution reverted", "vm execution error", "vm exception", "transaction reverted"];

const RATE_LIMITED: &[&str] = &[
    "rate limit",
    "rate-limit",
    "ratelimit",
    "request limit",
    "too many requests",
    "requests per second",
    "request rate",
    "compute units per second",
    "throughput limit",
    "capacity limit",
    "daily request count exceeded",
    "monthly capacity",
    "quota",
    "credits",
];

const TOO_LARGE: &[&str] = &[
    "block range",
    "blocks range",
    "range limit",
    "range is too",
    "range too",
    "range exceed",
    "exceeds limit of",
    "exceeds the limit of",
    "exceed maximum",
    "max range",
    "maximum range",
    "limited to a",
    "limited to 0 -",
    "query returned more than",
    "more than 10000",
    "too many results",
    "too many logs",
    "too many blocks",
    "response size",
    "response is too",
    "result set too",
    "result too large",
    "request entity too large",
    "payload too large",
    "batch size",
    "batch limit",
    "batch too large",
    "too many items in batch",
    "batch of more than",
    "query timeout",
    "max results",
    "reduce your block range",
];

const PRUNED: &[&str] = &[
    "missing trie node",
    "pruned",
    "historical state",
    "historical backend",
    "state is not available",
    "state not available",
    "state unavailable",
    "no state available",
    "state at block",
    "archive",
    "history is not available",
    "distance to target block exceeds",
];

const HEADER_NOT_FOUND: &[&str] = &[
    "header not found",
    "header for hash not found",
    "block not found",
    "unknown block",
    "block does not exist",
    "could not find block",
    "cannot find block",
    "not currently canonical",
    "after last accepted block",
    "block is out of range",
    "blockoutofrange",
    "invalid block height",
    "resource not found",
];

const METHOD_MISSING: &[&str] = &[
    "method not found",
    "method not supported",
    "method is not supported",
    "method unavailable",
    "method not available",
    "unsupported method",
    "method not allowed",
    "is not whitelisted",
    "does not exist/is not available",
    "rpc method is not",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Shorthand for the remedies of the table.
    #[derive(Debug, PartialEq)]
    enum Then {
        Retry,
        Wait(Option<u64>),
        Smaller(Option<(u64, u64)>, Option<u64>),
        Elsewhere,
        Never,
    }

    impl From<Remedy> for Then {
        fn from(remedy: Remedy) -> Then {
            match remedy {
                Remedy::Retry => Then::Retry,
                Remedy::Wait(wait) => {
                    Then::Wait(wait.map(|wait| u64::try_from(wait.as_millis()).expect("short")))
                }
                Remedy::Smaller { range, blocks } => Then::Smaller(range, blocks),
                Remedy::Elsewhere => Then::Elsewhere,
                Remedy::Never => Then::Never,
            }
        }
    }

    #[test]
    fn tells_what_providers_mean_by_a_json_rpc_error() {
        use ErrorClass::*;
        let check = |code: i64, message: &str, data: Value, class: ErrorClass, then: Then| {
            let data = (!data.is_null()).then_some(data);
            let error = RpcError { code, message: message.to_owned(), data };
            let verdict = classify(Answer { status: 200, retry_after: None, error: Some(&error) });
            assert_eq!((verdict.class, verdict.remedy.into()), (class, then), "{code} {message}");
        };
        let none = || Value::Null;
        // Rate limits in JSON-RPC dress.
        check(
            429,
            "Your app has exceeded its compute units per second capacity",
            none(),
            RpcLimit,
            Then::Wait(None),
        );
        check(
            -32_005,
            "daily request count exceeded, request rate limited",
            json!({"rate": {"backoff_seconds": 30}}),
            RpcLimit,
            Then::Wait(Some(30_000)),
        );
        check(-32_005, "project ID request rate exceeded", none(), RpcLimit, Then::Wait(None));
        check(-32_005, "limit exceeded", none(), RpcLimit, Then::Wait(None));
        check(-32_016, "over rate limit", none(), RpcLimit, Then::Wait(None));
        check(
            -32_007,
            "50/second request limit reached - reduce calls per second",
            none(),
            RpcLimit,
            Then::Wait(None),
        );
        check(
            -32_000,
            "rate limited, try again in 250 ms",
            none(),
            RpcLimit,
            Then::Wait(Some(250)),
        );
        check(-32_029, "Too Many Requests", none(), RpcLimit, Then::Wait(None));
        check(
            -32_005,
            "try again in 99999999s, rate limit",
            none(),
            RpcLimit,
            Then::Wait(Some(3_600_000)),
        );
        // Ranges and results.
        check(
            -32_005,
            "query returned more than 10000 results. Try with this block range [0x10, 0x2F].",
            none(),
            RpcLimit,
            Then::Smaller(Some((16, 47)), None),
        );
        check(
            -32_602,
            "range 15000 exceeds limit of 10000",
            none(),
            RpcLimit,
            Then::Smaller(None, Some(10_000)),
        );
        check(
            -32_600,
            "You can make eth_getLogs requests with up to a 500 block range. Based on your parameters, this block range should work: [0x1, 0x1f4]",
            none(),
            RpcLimit,
            Then::Smaller(Some((1, 500)), Some(500)),
        );
        check(
            -32_602,
            "Log response size exceeded. this block range should work: [0x0, 0x3e7]",
            none(),
            RpcLimit,
            Then::Smaller(Some((0, 999)), None),
        );
        check(
            -32_614,
            "eth_getLogs is limited to a 10,000 range",
            none(),
            RpcLimit,
            Then::Smaller(None, Some(10_000)),
        );
        check(
            -32_000,
            "exceed maximum block range: 5000",
            none(),
            RpcLimit,
            Then::Smaller(None, Some(5_000)),
        );
        check(-32_600, "batch size too large", none(), RpcLimit, Then::Smaller(None, None));
        // Methods and parameters.
        check(
            -32_601,
            "the method eth_capabilities does not exist/is not available",
            none(),
            RpcMethodMissing,
            Then::Elsewhere,
        );
        check(-32_000, "Method not supported", none(), RpcMethodMissing, Then::Elsewhere);
        check(
            -32_602,
            "invalid argument 0: hex string without 0x prefix",
            none(),
            RpcInvalidParams,
            Then::Elsewhere,
        );
        check(-32_600, "Invalid Request", none(), RpcOther, Then::Elsewhere);
        // History and heads.
        check(4_444, "Pruned history unavailable", none(), RpcPruned, Then::Elsewhere);
        check(-32_000, "missing trie node 0abc (path )", none(), RpcPruned, Then::Elsewhere);
        check(
            -32_000,
            "historical state 0xab is not available",
            none(),
            RpcPruned,
            Then::Elsewhere,
        );
        check(-32_000, "No state available for block 0x12", none(), RpcPruned, Then::Elsewhere);
        let out_of_range = |height: u64, asked: u64| {
            format!("BlockOutOfRangeError: block height is {height} but requested was {asked}")
        };
        check(-32_602, &out_of_range(44, 5), none(), RpcPruned, Then::Elsewhere);
        check(-32_602, &out_of_range(44, 45), none(), RpcHeaderNotFound, Then::Retry);
        check(-32_000, "header not found", none(), RpcHeaderNotFound, Then::Retry);
        check(-32_001, "Resource not found.", none(), RpcHeaderNotFound, Then::Retry);
        check(
            -32_000,
            "hash 0x12 is not currently canonical",
            none(),
            RpcHeaderNotFound,
            Then::Retry,
        );
        // The chain's own answer.
        check(3, "execution reverted: paused", json!("0x08c379a0"), RpcOther, Then::Never);
        check(-32_000, "execution reverted", none(), RpcOther, Then::Never);
        check(-32_015, "VM execution error.", none(), RpcOther, Then::Never);
        // Everything else.
        check(-32_603, "Internal error", none(), RpcOther, Then::Retry);
        check(-32_000, "something odd", none(), RpcOther, Then::Retry);
        check(0, "", none(), RpcOther, Then::Elsewhere);
        check(i64::MIN, "\u{0}", none(), RpcOther, Then::Elsewhere);
    }

    #[test]
    fn weighs_the_http_status_against_the_error() {
        use ErrorClass::*;
        let check = |status: u16, retry: Option<u64>, error: Option<(i64, &str)>, class, then| {
            let error = error.map(|(code, message)| RpcError {
                code,
                message: message.to_owned(),
                data: None,
            });
            let retry_after = retry.map(Duration::from_secs);
            let verdict = classify(Answer { status, retry_after, error: error.as_ref() });
            assert_eq!((verdict.class, verdict.remedy.into()), (class, then), "{status} {error:?}");
        };
        check(429, None, None, Http429, Then::Wait(None));
        check(429, Some(7), None, Http429, Then::Wait(Some(7_000)));
        check(429, Some(86_400), None, Http429, Then::Wait(Some(3_600_000)));
        check(
            429,
            None,
            Some((-32_005, "rate limited, try again in 10 ms")),
            Http429,
            Then::Wait(Some(10)),
        );
        check(429, None, Some((-32_601, "no")), Http429, Then::Wait(None));
        check(503, Some(2), None, HttpServer, Then::Wait(Some(2_000)));
        check(503, None, None, HttpServer, Then::Retry);
        check(500, None, None, HttpServer, Then::Retry);
        check(502, None, Some((-32_603, "Internal error")), HttpServer, Then::Retry);
        check(500, None, Some((3, "execution reverted")), RpcOther, Then::Never);
        check(400, None, Some((-32_601, "method not found")), RpcMethodMissing, Then::Elsewhere);
        check(
            400,
            None,
            Some((-32_602, "range 9 exceeds limit of 5")),
            RpcLimit,
            Then::Smaller(None, Some(5)),
        );
        check(401, None, Some((-32_600, "Must be authenticated!")), HttpClient, Then::Elsewhere);
        check(403, None, None, HttpClient, Then::Elsewhere);
        check(404, None, None, HttpClient, Then::Elsewhere);
        check(408, None, None, HttpClient, Then::Retry);
        check(413, None, None, HttpClient, Then::Smaller(None, None));
        check(301, None, None, HttpClient, Then::Elsewhere);
        check(200, Some(3), Some((-32_005, "limit exceeded")), RpcLimit, Then::Wait(Some(3_000)));
        check(200, None, None, Json, Then::Retry);
    }
}
