//! JSON-RPC 2.0 on the wire: requests out, answers in, whatever they look like.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use wk_model::{B256, BlockLink, BlockRef, BlockTime, Height};

use super::class::RpcError;
use super::redact::Redactor;

/// One request as it is sent.
#[derive(Serialize)]
struct Call<'a> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: &'a Value,
}

/// The text of one request.
pub(crate) fn encode(id: u64, method: &str, params: &Value) -> String {
    serde_json::to_string(&Call { jsonrpc: "2.0", id, method, params })
        .expect("text, numbers and JSON values can be written as JSON")
}

/// The text of a batch whose ids count up from `first_id`.
pub(crate) fn encode_batch<'a>(
    first_id: u64,
    calls: impl Iterator<Item = (&'a str, &'a Value)>,
) -> String {
    let calls: Vec<String> =
        (first_id..).zip(calls).map(|(id, (method, params))| encode(id, method, params)).collect();
    format!("[{}]", calls.join(","))
}

/// What an endpoint answered to one request: a result as it was sent, or its error.
pub(crate) type Answered = Result<Box<RawValue>, RpcError>;

/// Why a body is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the answer is no JSON: {0}")]
    NotJson(String),
    #[error("the answer is no JSON-RPC: {0}")]
    NotRpc(&'static str),
    #[error("the answer is for another request")]
    WrongId,
    #[error("the batch has no answer to this request")]
    Missing,
}

/// What answered a batch.
#[derive(Debug)]
pub(crate) enum BatchAnswered {
    /// One answer per request, in the order of the requests.
    Each(Vec<Result<Answered, Malformed>>),
    /// One error for the whole batch.
    Refused(RpcError),
}

/// A message on a WebSocket.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// The answer to the request with this id.
    Answer(u64, Answered),
    /// News of a subscription.
    News(Box<RawValue>),
    /// An error that belongs to no request.
    Complaint(RpcError),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    params: Option<&'a RawValue>,
}

/// A `null` that is there is not the same as nothing.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Envelope<'_> {
    fn id(&self) -> Option<u64> {
        let text = self.id?.get();
        text.trim_matches('"').parse().ok()
    }

    fn answered(&self, redactor: &Redactor) -> Result<Answered, Malformed> {
        match (self.error, self.result) {
            (Some(error), _) => Ok(Err(rpc_error(error, redactor))),
            (None, Some(result)) => Ok(Ok(result.to_owned())),
            (None, None) => Err(Malformed::NotRpc("it has neither result nor error")),
        }
    }
}

/// The answer to the request with `id`.
pub(crate) fn decode(body: &[u8], id: u64, redactor: &Redactor) -> Result<Answered, Malformed> {
    let envelope: Envelope<'_> = object(body)?;
    let answered = envelope.answered(redactor)?;
    // Who could not read the request could not read its id either, and answers with `null`.
    match envelope.id() {
        Some(given) if given == id => Ok(answered),
        None if answered.is_err() && envelope.id.is_none() => Ok(answered),
        _ => Err(Malformed::WrongId),
    }
}

/// The answers to a batch of `count` requests whose ids count up from `first_id`. They may come in
/// any order.
pub(crate) fn decode_batch(
    body: &[u8],
    first_id: u64,
    count: usize,
    redactor: &Redactor,
) -> Result<BatchAnswered, Malformed> {
    if first_byte(body) != Some(b'[') {
        let envelope: Envelope<'_> = object(body)?;
        return match envelope.answered(redactor)? {
            Err(error) => Ok(BatchAnswered::Refused(error)),
            Ok(_) => Err(Malformed::NotRpc("one answer to a batch")),
        };
    }
    let envelopes: Vec<&RawValue> = serde_json::from_slice(body).map_err(not_json)?;
    let mut each: Vec<Result<Answered, Malformed>> =
        (0..count).map(|_| Err(Malformed::Missing)).collect();
    let mut refusal = None;
    for raw in envelopes {
        let Ok(envelope) = object::<Envelope<'_>>(raw.get().as_bytes()) else { continue };
        let place = envelope
            .id()
            .and_then(|id| id.checked_sub(first_id))
            .and_then(|place| usize::try_from(place).ok())
            .and_then(|place| each.get_mut(place));
        match place {
            // Of two answers the first counts.
            Some(place) if matches!(place, Err(Malformed::Missing)) => {
                *place = envelope.answered(redactor);
            }
            Some(_) => {}
            None => {
                let error = envelope.error.filter(|_| envelope.id().is_none());
                refusal = refusal.or(error.map(|error| rpc_error(error, redactor)));
            }
        }
    }
    let nothing = each.iter().all(|answer| matches!(answer, Err(Malformed::Missing)));
    match refusal {
        Some(refusal) if nothing => Ok(BatchAnswered::Refused(refusal)),
        _ => Ok(BatchAnswered::Each(each)),
    }
}

/// A message that came over a WebSocket.
pub(crate) fn decode_message(text: &str, redactor: &Redactor) -> Result<Incoming, Malformed> {
    let envelope: Envelope<'_> = object(text.as_bytes())?;
    if let (Some(id), Ok(answered)) = (envelope.id(), envelope.answered(redactor)) {
        return Ok(Incoming::Answer(id, answered));
    }
    if let Some(params) = envelope.params {
        let news: News<'_> = object(params.get().as_bytes())?;
        return Ok(Incoming::News(news.result.to_owned()));
    }
    match envelope.error {
        Some(error) => Ok(Incoming::Complaint(rpc_error(error, redactor))),
        None => Err(Malformed::NotRpc("it is neither an answer nor news")),
    }
}

#[derive(Deserialize)]
struct News<'a> {
    #[serde(borrow)]
    result: &'a RawValue,
}

/// Reads an object. Serde would also take an array for one, its items for the fields in order.
pub(crate) fn object<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Malformed> {
    match first_byte(body) {
        Some(b'[' | b'"' | b'0'..=b'9' | b'-' | b't' | b'f' | b'n') => {
            Err(Malformed::NotRpc("it is no object"))
        }
        _ => serde_json::from_slice(body).map_err(not_json),
    }
}

/// The first byte that is not white space.
pub(crate) fn first_byte(body: &[u8]) -> Option<u8> {
    body.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

fn not_json(error: serde_json::Error) -> Malformed {
    // Never the error's own text: it can repeat what stands in the body.
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "its syntax is broken",
        serde_json::error::Category::Io | serde_json::error::Category::Data => "its shape is wrong",
    };
    Malformed::NotJson(format!("{what} (line {}, column {})", error.line(), error.column()))
}

/// Reads an error object of any shape: some endpoints send text, or codes as text.
fn rpc_error(raw: &RawValue, redactor: &Redactor) -> RpcError {
    // A huge error is not read: nobody needs it, and it can be deep.
    let value: Value = if raw.get().len() > 1024 * 1024 {
        Value::String("the error is larger than 1 MiB".to_owned())
    } else {
        serde_json::from_str(raw.get()).unwrap_or_default()
    };
    let Value::Object(mut object) = value else {
        let text = match &value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        return RpcError { code: 0, message: redactor.text(&text), data: None };
    };
    let code = match object.get("code") {
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and codes are small")]
        Some(Value::Number(number)) => {
            number.as_i64().or_else(|| number.as_f64().map(|code| code as i64)).unwrap_or_default()
        }
        Some(Value::String(text)) => text.trim().parse().unwrap_or_default(),
        _ => 0,
    };
    let message = match object.get("message") {
        Some(Value::String(text)) => redactor.text(text),
        Some(other) => redactor.text(&other.to_string()),
        None => String::new(),
    };
    let data = object.remove("data").filter(|data| !data.is_null());
    RpcError { code, message, data: data.and_then(|data| redactor.data(data)) }
}

/// A quantity as any client writes it: `"0x1f"`, `"31"` or `31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantity(pub(crate) u64);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Quantity, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<'a> {
            Number(u64),
            #[serde(borrow)]
            Text(Cow<'a, str>),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Quantity(number)),
            Either::Text(text) => match text.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16).map(Quantity),
                None => text.parse().map(Quantity),
            }
            .map_err(serde::de::Error::custom),
        }
    }
}

/// The head or block object as far as the pool needs it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockHead {
    number: Quantity,
    hash: B256,
    #[serde(default)]
    parent_hash: B256,
    timestamp: Quantity,
}

/// Height, hash, parent and time of a block or head object; none for `null`, for a pending block,
/// and for anything else.
pub(crate) fn block_link(value: &RawValue) -> Option<BlockLink> {
    let head: BlockHead = object(value.get().as_bytes()).ok()?;
    Some(BlockLink {
        block: BlockRef { height: Height(head.number.0), hash: head.hash },
        parent: head.parent_hash,
        time: BlockTime(head.timestamp.0),
    })
}

/// How many items an array has; none when it is no array.
pub(crate) fn array_len(value: &RawValue) -> Option<usize> {
    serde_json::from_str::<Vec<&RawValue>>(value.get()).ok().map(|items| items.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// An answer in one line: the result's text, or code and message, or what is wrong.
    fn line(answer: Result<Answered, Malformed>) -> String {
        match answer {
            Ok(Ok(result)) => result.get().to_owned(),
            Ok(Err(RpcError { code, message, data })) => match data {
                Some(data) => format!("error {code} {message} {data}"),
                None => format!("error {code} {message}"),
            },
            Err(malformed) => format!("malformed: {malformed}"),
        }
    }

    #[test]
    fn writes_requests() {
        assert_eq!(
            encode(7, "eth_chainId", &json!([])),
            r#"{"jsonrpc":"2.0","id":7,"method":"eth_chainId","params":[]}"#
        );
        let params = json!(["0x1", false]);
        let calls = [("a", &params), ("b", &params)];
        assert_eq!(
            encode_batch(7, calls.into_iter()),
            r#"[{"jsonrpc":"2.0","id":7,"method":"a","params":["0x1",false]},{"jsonrpc":"2.0","id":8,"method":"b","params":["0x1",false]}]"#
        );
    }

    #[test]
    fn reads_single_answers_of_any_dress() {
        for (body, expected) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":"0x1"}"#, r#""0x1""#),
            (r#" {"result": {"a" : 1}, "id": "7", "extra": []} "#, r#"{"a" : 1}"#),
            (r#"{"id":7,"result":null}"#, "null"),
            (r#"{"id":7,"result":1,"error":null}"#, "1"),
            (r#"{"id":7,"result":null,"error":{"code":-32000,"message":"m"}}"#, "error -32000 m"),
            (r#"{"id":null,"error":{"code":-32700,"message":"m"}}"#, "error -32700 m"),
            (r#"{"error":{"code":"429","message":null,"data":"0x"}}"#, r#"error 429 null "0x""#),
            (r#"{"id":7,"error":"plain text"}"#, "error 0 plain text"),
            (r#"{"id":7,"error":{"code":1e99}}"#, "error 9223372036854775807 "),
            (r#"{"id":8,"result":1}"#, "malformed: the answer is for another request"),
            (r#"{"id":null,"result":1}"#, "malformed: the answer is for another request"),
            (
                r#"{"id":8,"error":{"code":1,"message":"m"}}"#,
                "malformed: the answer is for another request",
            ),
            (
                r#"{"id":7}"#,
                "malformed: the answer is no JSON-RPC: it has neither result nor error",
            ),
            ("", "malformed: the answer is no JSON: it ends too early (line 1, column 0)"),
            (
                "<html>k3y",
                "malformed: the answer is no JSON: its syntax is broken (line 1, column 1)",
            ),
            (
                r#"{"id":7,"result":"0x"#,
                "malformed: the answer is no JSON: it ends too early (line 1, column 20)",
            ),
            (r#"[{"id":7,"result":1}]"#, "malformed: the answer is no JSON-RPC: it is no object"),
            (r#"[7,1]"#, "malformed: the answer is no JSON-RPC: it is no object"),
            ("7", "malformed: the answer is no JSON-RPC: it is no object"),
        ] {
            let answer = decode(body.as_bytes(), 7, &Redactor::default());
            assert_eq!(line(answer), expected, "{body}");
        }
    }

    #[test]
    fn matches_batch_answers_by_id() {
        let check = |body: &str, expected: &[&str]| {
            let answers = match decode_batch(body.as_bytes(), 5, 3, &Redactor::default()) {
                Ok(BatchAnswered::Each(answers)) => answers.into_iter().map(line).collect(),
                Ok(BatchAnswered::Refused(error)) => vec![format!("refused {}", error.message)],
                Err(malformed) => vec![malformed.to_string()],
            };
            assert_eq!(answers, expected, "{body}");
        };
        let missing = "malformed: the batch has no answer to this request";
        check(
            r#"[{"id":7,"result":"c"},{"id":5,"result":"a"},{"id":6,"error":{"code":1,"message":"b"}}]"#,
            &["\"a\"", "error 1 b", "\"c\""],
        );
        check(
            r#"[{"id":6,"result":1},{"id":6,"result":2},{"id":99,"result":3},{"id":4,"result":0},7]"#,
            &[missing, "1", missing],
        );
        check("[]", &[missing, missing, missing]);
        check(
            r#"{"id":null,"error":{"code":-32600,"message":"too large"}}"#,
            &["refused too large"],
        );
        check(
            r#"[{"id":null,"error":{"code":-32600,"message":"too large"}}]"#,
            &["refused too large"],
        );
        check(r#"{"id":5,"result":1}"#, &["the answer is no JSON-RPC: one answer to a batch"]);
        check("[", &["the answer is no JSON: it ends too early (line 1, column 1)"]);
    }

    #[test]
    fn tells_answers_from_news() {
        let check = |text: &str, expected: &str| {
            let actual = match decode_message(text, &Redactor::default()) {
                Ok(Incoming::Answer(id, answered)) => format!("{id}: {}", line(Ok(answered))),
                Ok(Incoming::News(news)) => format!("news {news}"),
                Ok(Incoming::Complaint(error)) => format!("complaint {}", error.message),
                Err(malformed) => malformed.to_string(),
            };
            assert_eq!(actual, expected, "{text}");
        };
        check(r#"{"id":3,"result":"0xabc"}"#, r#"3: "0xabc""#);
        check(
            r#"{"method":"eth_subscription","params":{"subscription":"0x1","result":{"number":"0x1"}}}"#,
            r#"news {"number":"0x1"}"#,
        );
        check(r#"{"id":null,"error":{"code":1,"message":"m"}}"#, "complaint m");
        check("{}", "the answer is no JSON-RPC: it is neither an answer nor news");
    }

    #[test]
    fn reads_heads_with_numbers_of_any_dress() {
        let hash = format!("0x{}", "ab".repeat(32));
        let read = |text: String| {
            block_link(&RawValue::from_string(text).expect("JSON"))
                .map(|link| (link.block.height.0, link.time.0))
        };
        for (number, time) in [("\"0x1f\"", "\"0x10\""), ("31", "16"), ("\"31\"", "\"16\"")] {
            let text = format!(
                r#"{{"number":{number},"hash":"{hash}","timestamp":{time},"parentHash":"{hash}","x":[]}}"#
            );
            assert_eq!(read(text), Some((31, 16)));
        }
        for text in [
            "null".to_owned(),
            "[]".to_owned(),
            format!(r#"{{"number":null,"hash":null,"timestamp":"0x1","parentHash":"{hash}"}}"#),
            format!(r#"{{"number":"0x1ffffffffffffffff","hash":"{hash}","timestamp":"0x1"}}"#),
            format!(r#"{{"number":-1,"hash":"{hash}","timestamp":"0x1"}}"#),
        ] {
            assert_eq!(read(text.clone()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..512)) {
            let redactor = Redactor::default();
            let _ = decode(&body, 1, &redactor);
            let _ = decode_batch(&body, 1, 3, &redactor);
            let _ = decode_message(&String::from_utf8_lossy(&body), &redactor);
        }

        #[test]
        fn no_json_makes_it_panic(body in r#"[\[\]{}":,a-z0-9 .eE+\-\\nulid]{0,80}"#) {
            let redactor = Redactor::default();
            for body in [body.clone(), format!("{{\"id\":1,\"error\":{body}}}"), format!("[{{\"id\":1,\"result\":{body}}}]")] {
                let _ = decode(body.as_bytes(), 1, &redactor);
                let _ = decode_batch(body.as_bytes(), 1, 3, &redactor);
                let _ = decode_message(&body, &redactor);
                if let Ok(raw) = RawValue::from_string(body) {
                    let _ = (block_link(&raw), array_len(&raw));
                }
            }
        }
    }
}
