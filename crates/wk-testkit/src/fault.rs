//! The faults that an RPC endpoint can have, and what each does to calls and answers.

use std::time::Duration;

use serde_json::{Value, json};

/// One fault of an RPC endpoint, as seen by its client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The node is this many blocks behind, as one of several behind a load balancer may be: its
    /// head is older, `latest` means an older block, blocks above are null, and logs above its head
    /// are an empty list without an error.
    Lagging {
        /// How many blocks.
        blocks: u64,
    },
    /// Every second answer about the head comes from a node that is this many blocks behind;
    /// `newHeads` announces each head and then the older one again.
    HeadGoesBack {
        /// How many blocks.
        blocks: u64,
    },
    /// Blocks that exist are null.
    NullBlock,
    /// Receipts that exist are null.
    NullReceipts,
    /// `eth_getLogs` answers an empty list, though there are logs.
    EmptyLogs,
    /// `eth_getLogs` answers the first half of the logs only.
    TruncatedLogs,
    /// `eth_getBlockReceipts` answers an empty list for a block with transactions.
    EmptyReceipts,
    /// `eth_getBlockReceipts` leaves out the last receipt.
    TruncatedReceipts,
    /// Receipts hold no logs, though the header's bloom says that there are some.
    ReceiptsWithoutLogs,
    /// A block's hash is not the hash of its header.
    WrongHash,
    /// A block's first transaction transfers another value.
    TamperedTransaction,
    /// Receipts say that transactions failed which succeeded, and the other way round.
    TamperedReceipt,
    /// The data of logs ends in another byte.
    TamperedLog,
    /// The endpoint serves another chain id.
    WrongChainId,
    /// The endpoint follows another branch: calls and new subscriptions go to the second upstream.
    /// Open WebSockets are closed when this begins or ends.
    OtherFork,
    /// HTTP 429 for every request; over a WebSocket, JSON-RPC error 429.
    TooManyRequests {
        /// `Retry-After`, in whole seconds.
        retry_after: Option<u64>,
    },
    /// Every call is refused for its rate with HTTP 200 and a JSON-RPC error.
    RateLimited(RateLimit),
    /// `eth_getLogs` over more than this many blocks is refused.
    LogsRangeLimit {
        /// Most blocks in a range.
        blocks: u64,
    },
    /// Batches of more calls than this are refused as a whole.
    BatchTooLarge {
        /// Most calls in a batch.
        calls: usize,
    },
    /// The method does not exist here.
    MethodMissing {
        /// Its name.
        method: String,
    },
    /// Requests for the method are taken and never answered.
    Unanswered {
        /// Its name.
        method: String,
    },
    /// Traces of a block lack the last transaction.
    TruncatedTraces,
    /// HTTP error with a page of HTML; a WebSocket is closed.
    ServerError {
        /// The status, such as 502.
        status: u16,
    },
    /// The answers of a batch come in reverse order.
    BatchReordered,
    /// The answers of a batch lack the last one.
    BatchMissing,
    /// Answers are cut off in the middle: no JSON.
    MalformedJson,
    /// Answers trickle in.
    SlowBody {
        /// Bytes per second.
        per_second: usize,
    },
    /// Answers are this large: valid JSON whose result is one long text.
    OversizedBody {
        /// Bytes.
        bytes: usize,
    },
    /// Requests are taken and never answered.
    Hang,
    /// Connections are reset when a request comes in.
    ConnectionReset,
    /// Each WebSocket notification comes twice.
    DuplicateNotifications,
    /// Of the WebSocket notifications each so many-th is missing.
    MissingNotifications {
        /// 2 drops every second one.
        every: u64,
    },
    /// The WebSocket stays open, calls are answered, but no notification comes any more.
    SilentSocket,
    /// WebSockets are closed, and new ones refused.
    NoSocket,
}

/// The ways in which providers say "too many requests" in JSON-RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RateLimit {
    /// -32005 with `data.rate.backoff_seconds`, as Infura has it.
    Backoff {
        /// Seconds to wait.
        seconds: u64,
    },
    /// Code 429, as Alchemy has it.
    Code429,
    /// -32016 "rate limit".
    OverRateLimit,
    /// -32007 "request limit reached", as QuickNode has it.
    RequestLimit,
    /// "rate limited, try again in 200ms".
    TryAgainIn,
}

impl RateLimit {
    /// All of them.
    pub const ALL: [RateLimit; 5] = [
        RateLimit::Backoff { seconds: 1 },
        RateLimit::Code429,
        RateLimit::OverRateLimit,
        RateLimit::RequestLimit,
        RateLimit::TryAgainIn,
    ];

    fn error(self) -> Value {
        match self {
            RateLimit::Backoff { seconds } => json!({
                "code": -32005,
                "message": "daily request count exceeded, request rate limited",
                "data": {"rate": {"backoff_seconds": seconds, "allowed_rps": 1, "current_rps": 9}},
            }),
            RateLimit::Code429 => json!({
                "code": 429,
                "message": "Your app has exceeded its compute units per second capacity.",
            }),
            RateLimit::OverRateLimit => json!({"code": -32016, "message": "over rate limit"}),
            RateLimit::RequestLimit => json!({
                "code": -32007,
                "message": "50/second request limit reached - reduce calls per second",
            }),
            RateLimit::TryAgainIn => {
                json!({"code": -32000, "message": "rate limited, try again in 200ms"})
            }
        }
    }
}

impl Fault {
    /// One of each kind, and each way of a rate limit, with parameters that suit a chain of a
    /// dozen blocks.
    pub fn all() -> Vec<Fault> {
        let mut all = vec![
            Fault::Lagging { blocks: 3 },
            Fault::HeadGoesBack { blocks: 2 },
            Fault::NullBlock,
            Fault::NullReceipts,
            Fault::EmptyLogs,
            Fault::TruncatedLogs,
            Fault::EmptyReceipts,
            Fault::TruncatedReceipts,
            Fault::ReceiptsWithoutLogs,
            Fault::WrongHash,
            Fault::TamperedTransaction,
            Fault::TamperedReceipt,
            Fault::TamperedLog,
            Fault::WrongChainId,
            Fault::OtherFork,
            Fault::TooManyRequests { retry_after: None },
            Fault::TooManyRequests { retry_after: Some(1) },
        ];
        all.extend(RateLimit::ALL.map(Fault::RateLimited));
        all.extend([
            Fault::LogsRangeLimit { blocks: 5 },
            Fault::BatchTooLarge { calls: 2 },
            Fault::MethodMissing { method: "eth_getBlockReceipts".to_owned() },
            Fault::ServerError { status: 502 },
            Fault::BatchReordered,
            Fault::BatchMissing,
            Fault::MalformedJson,
            Fault::SlowBody { per_second: 1_000 },
            Fault::OversizedBody { bytes: 80 << 20 },
            Fault::Hang,
            Fault::ConnectionReset,
            Fault::DuplicateNotifications,
            Fault::MissingNotifications { every: 2 },
            Fault::SilentSocket,
            Fault::NoSocket,
        ]);
        all
    }

    /// Its name, such as `LogsRangeLimit`: for tables and test output.
    pub fn name(&self) -> String {
        let text = format!("{self:?}");
        let end = text.find([' ', '{']).unwrap_or(text.len());
        text[..end].to_owned()
    }

    /// How much of a lag the fault wants at the `turn`-th call about the head.
    pub(crate) fn lag(&self, turn: u64) -> Option<u64> {
        match self {
            Fault::Lagging { blocks } => Some(*blocks),
            Fault::HeadGoesBack { blocks } if turn % 2 == 1 => Some(*blocks),
            _ => None,
        }
    }

    /// The answer that the endpoint gives by itself, without asking the node: an error object.
    pub(crate) fn refuses(&self, method: &str, params: &Value) -> Option<Value> {
        match self {
            Fault::RateLimited(limit) => Some(limit.error()),
            Fault::MethodMissing { method: missing } if missing == method => Some(json!({
                "code": -32601,
                "message": format!("the method {method} does not exist/is not available"),
            })),
            Fault::LogsRangeLimit { blocks } if method == "eth_getLogs" => {
                let edge = |name: &str| read_quantity(&params[0][name]);
                let (from, to) = (edge("fromBlock")?, edge("toBlock")?);
                (to.saturating_sub(from) >= *blocks).then(|| {
                    json!({
                        "code": -32602,
                        "message": format!("block range too large, exceeds limit of {blocks}"),
                    })
                })
            }
            _ => None,
        }
    }

    /// Changes a call's result; false when there was nothing to change.
    pub(crate) fn tamper(&self, method: &str, result: &mut Value) -> bool {
        let before = result.clone();
        match (self, method) {
            (Fault::NullBlock, "eth_getBlockByNumber" | "eth_getBlockByHash")
            | (Fault::NullReceipts, "eth_getBlockReceipts" | "eth_getTransactionReceipt") => {
                *result = Value::Null;
            }
            (Fault::EmptyLogs, "eth_getLogs") | (Fault::EmptyReceipts, "eth_getBlockReceipts") => {
                *result = json!([]);
            }
            (Fault::TruncatedLogs, "eth_getLogs") => {
                if let Some(logs) = result.as_array_mut() {
                    logs.truncate(logs.len() / 2);
                }
            }
            (Fault::TruncatedTraces, "debug_traceBlockByHash" | "trace_block") => {
                if let Some(traces) = result.as_array_mut() {
                    traces.pop();
                }
            }
            (Fault::TruncatedReceipts, "eth_getBlockReceipts") => {
                if let Some(receipts) = result.as_array_mut() {
                    receipts.pop();
                }
            }
            (Fault::ReceiptsWithoutLogs, "eth_getBlockReceipts" | "eth_getTransactionReceipt") => {
                each(result, |receipt| replace(receipt, "logs", |_| Some(json!([]))))
            }
            (Fault::WrongHash, "eth_getBlockByNumber" | "eth_getBlockByHash" | NEW_HEADS) => {
                replace(result, "hash", other_digit)
            }
            (Fault::TamperedTransaction, "eth_getTransactionByHash") => {
                replace(result, "value", other_digit);
            }
            (Fault::TamperedTransaction, "eth_getBlockByNumber" | "eth_getBlockByHash") => {
                if let Some(first) = result.pointer_mut("/transactions/0") {
                    replace(first, "value", other_digit);
                }
            }
            (Fault::TamperedReceipt, "eth_getBlockReceipts" | "eth_getTransactionReceipt") => {
                each(result, |receipt| {
                    replace(receipt, "status", |status| {
                        Some(if *status == "0x1" { json!("0x0") } else { json!("0x1") })
                    });
                });
            }
            (Fault::TamperedLog, "eth_getLogs") => {
                each(result, |log| replace(log, "data", other_digit));
            }
            (Fault::TamperedLog, "eth_getBlockReceipts" | "eth_getTransactionReceipt") => {
                each(result, |receipt| {
                    if let Some(logs) = receipt.get_mut("logs") {
                        each(logs, |log| replace(log, "data", other_digit));
                    }
                });
            }
            (Fault::WrongChainId, "eth_chainId") => *result = json!("0xdead"),
            (Fault::WrongChainId, "net_version") => *result = json!("57005"),
            _ => {}
        }
        *result != before
    }

    /// Time between two pieces of [`Fault::SlowBody`].
    pub(crate) const SLOW_STEP: Duration = Duration::from_millis(50);
}

/// The name under which a `newHeads` notification is tampered with.
pub(crate) const NEW_HEADS: &str = "newHeads";

/// Applies `change` to each item of a list, or to the only value.
fn each(value: &mut Value, change: impl Fn(&mut Value)) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(change),
        one => change(one),
    }
}

/// Replaces a field that is there.
fn replace(object: &mut Value, field: &str, change: impl Fn(&Value) -> Option<Value>) {
    if let Some(value) = object.get_mut(field)
        && let Some(changed) = change(value)
    {
        *value = changed;
    }
}

/// The same hex text with another last digit; none for `0x`.
fn other_digit(value: &Value) -> Option<Value> {
    let text = value.as_str()?;
    let last = text.strip_prefix("0x")?.chars().last()?;
    let other = if last == '7' { '8' } else { '7' };
    Some(json!(format!("{}{other}", &text[..text.len() - 1])))
}

/// The number in a quantity such as `0x1f`; none for a tag.
pub(crate) fn read_quantity(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short() {
        let names: Vec<String> = Fault::all().iter().map(Fault::name).collect();
        assert_eq!(names[0], "Lagging");
        assert!(names.contains(&"RateLimited(Code429)".to_owned()), "{names:?}");
    }
}
