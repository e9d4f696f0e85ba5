//! What providers say in their error texts: how long to wait, and how much one may ask for.

use std::time::Duration;

use serde_json::Value;
use wk_model::Timestamp;

use super::class::RpcError;

/// The wait in a `Retry-After` header: seconds, or an HTTP date compared with `now`.
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Some(seconds) = seconds(value) {
        return Some(seconds);
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let date = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(date.saturating_sub(Duration::from_millis(now.0)))
}

/// How long an error asks to wait: Infura's `data.rate.backoff_seconds`, or a text such as "rate
/// limited, try again in 250 ms".
pub(crate) fn told_wait(error: &RpcError) -> Option<Duration> {
    let from_data = error.data.as_ref().and_then(|data| {
        let backoff = data.get("rate").unwrap_or(data).get("backoff_seconds")?;
        match backoff {
            Value::Number(number) => number.as_f64().and_then(float_seconds),
            Value::String(text) => seconds(text),
            _ => None,
        }
    });
    from_data.or_else(|| wait_in_text(&error.message))
}

/// Whether an error's data is Infura's note on request rates.
pub(crate) fn is_rate(data: &Value) -> bool {
    data.get("rate").is_some_and(|rate| rate.get("backoff_seconds").is_some())
}

/// Whether a block is out of range because it is below the head: anvil says so of state that it has
/// dropped, in the words that it uses for blocks that are yet to come.
pub(crate) fn is_far_below(lower_case: &str) -> bool {
    let number = |after: &str| {
        let (_, rest) = lower_case.split_once(after)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    match (number("block height is "), number("but requested was ")) {
        (Some(height), Some(asked)) => asked <= height,
        _ => false,
    }
}

/// A range that the endpoint says will work, such as `[0x10, 0x2f]` or `range 16-47`; both ends
/// inclusive.
pub(crate) fn suggested_range(message: &str) -> Option<(u64, u64)> {
    let ordered = |from: &str, to: &str| {
        let (from, to) = (height(from)?, height(to)?);
        (from <= to).then_some((from, to))
    };
    let in_brackets = message.match_indices('[').find_map(|(open, _)| {
        let inside = &message[open + 1..];
        let (from, to) = inside[..inside.find(']')?].split_once(',')?;
        ordered(from, to)
    });
    in_brackets.or_else(|| {
        let (_, rest) = message.split_once("the range ")?;
        let (from, to) = rest.split_whitespace().next()?.split_once('-')?;
        ordered(from, to.trim_end_matches(['.', ',']))
    })
}

/// The most blocks that the endpoint says it accepts at once, such as in "limit of 10000" or "up to
/// a 2K block range". Numbers of results are not meant.
pub(crate) fn most_blocks(message: &str) -> Option<u64> {
    let text = message.to_lowercase();
    if !(text.contains("block") || text.contains("range")) {
        return None;
    }
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ':' | ';' | '"' | '\''))
        .filter(|word| !word.is_empty())
        .collect();
    (0..words.len())
        .filter_map(|place| {
            let number = counted(words[place])?;
            let before = &words[place.saturating_sub(4)..place];
            let next_to = [before.last(), words.get(place + 1)];
            let of_results = next_to
                .into_iter()
                .flatten()
                .any(|next| RESULT_WORDS.iter().any(|word| next.starts_with(word)));
            let bounds = before.iter().any(|word| BOUND_WORDS.contains(&word.trim_matches(',')));
            (bounds && !of_results).then_some(number)
        })
        .min()
}

const BOUND_WORDS: &[&str] =
    &["limit", "limited", "max", "maximum", "up", "allowed", "most", "within", "than"];
const RESULT_WORDS: &[&str] =
    &["result", "log", "record", "item", "event", "row", "second", "request", "ms", "byte", "mb"];

/// A number of blocks: `10000`, `10,000`, `2k`. Zero and what cannot be a limit is none.
fn counted(word: &str) -> Option<u64> {
    let word = word.trim_end_matches(['.', ',', '!']);
    let (digits, factor) = match word.strip_suffix('k') {
        Some(digits) => (digits, 1_000),
        None => (word, 1),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.replace([',', '_'], "").parse().ok()?;
    number.checked_mul(factor).filter(|number| (1..=10_000_000).contains(number))
}

fn height(text: &str) -> Option<u64> {
    let text = text.trim().trim_matches('"');
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The wait in a text such as "try again in 250 ms", "retry after 3s", "retry in 2 seconds".
fn wait_in_text(message: &str) -> Option<Duration> {
    let text = message.to_lowercase();
    ["again in ", "retry in ", "retry after ", "wait "].into_iter().find_map(|phrase| {
        let rest = &text[text.find(phrase)? + phrase.len()..];
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].trim_start();
        let factor = match unit {
            _ if unit.starts_with("ms") || unit.starts_with("milli") => 0.001,
            _ if unit.starts_with('m') => 60.0,
            _ if unit.starts_with('h') => 3_600.0,
            _ => 1.0,
        };
        float_seconds(number * factor)
    })
}

fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().and_then(float_seconds)
}

fn float_seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_retry_after_as_seconds_and_as_a_date() {
        // 2026-11-22T21:36:04Z
        let now = Timestamp(1_795_383_364_000);
        for (value, expected) in [
            ("0", Some(0)),
            ("7", Some(7_000)),
            (" 1.5 ", Some(1_500)),
            ("Sun, 22 Nov 2026 21:36:34 GMT", Some(30_000)),
            ("Sun, 22 Nov 2026 21:36:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
            ("NaN", None),
            ("1e300", None),
        ] {
            let expected = expected.map(Duration::from_millis);
            assert_eq!(retry_after(value, now), expected, "{value}");
        }
    }

    #[test]
    fn reads_waits_from_errors() {
        let check = |message: &str, data: Value, expected: Option<u64>| {
            let error = RpcError { code: -32_005, message: message.to_owned(), data: Some(data) };
            assert_eq!(told_wait(&error), expected.map(Duration::from_millis), "{message}");
        };
        check("", json!({"rate": {"backoff_seconds": 30}}), Some(30_000));
        check("", json!({"rate": {"backoff_seconds": "2.5"}}), Some(2_500));
        check("", json!({"backoff_seconds": 1.0}), Some(1_000));
        check("", json!({"rate": {"backoff_seconds": -4}}), None);
        check("", json!("0x08c379a0"), None);
        check("rate limited, try again in 250 ms", json!(null), Some(250));
        check("Rate limited, try again in 250ms.", json!(null), Some(250));
        check("please retry in 2 seconds", json!(null), Some(2_000));
        check("retry after 1m", json!(null), Some(60_000));
        check("try again in 10m0s", json!(null), Some(600_000));
        check("try again in a moment", json!(null), None);
    }

    #[test]
    fn reads_suggested_ranges() {
        for (message, expected) in [
            (
                "query returned more than 10000 results. Try with this block range [0x10, 0x2F].",
                Some((0x10, 0x2f)),
            ),
            ("this block range should work: [0x0, 0x1f4]", Some((0, 500))),
            ("try [\"0x1\", \"0x2\"]", Some((1, 2))),
            ("try [100, 200]", Some((100, 200))),
            ("query exceeds max results 20000, retry with the range 100-180", Some((100, 180))),
            ("try [0x5, 0x4]", None),
            ("[, ] and then [0x1,0x2]", Some((1, 2))),
            ("[0x1", None),
            ("[0xffffffffffffffffff, 0x1]", None),
        ] {
            assert_eq!(suggested_range(message), expected, "{message}");
        }
    }

    #[test]
    fn reads_how_many_blocks_are_accepted() {
        for (message, expected) in [
            ("range 15000 exceeds limit of 10000", Some(10_000)),
            ("You can make eth_getLogs requests with up to a 500 block range.", Some(500)),
            (
                "Log response size exceeded. You can make eth_getLogs requests with up to a 2K \
                 block range and no limit on the response size, or you can request any block range \
                 with a cap of 10K logs in the response.",
                Some(2_000),
            ),
            ("eth_getLogs is limited to a 10,000 range", Some(10_000)),
            ("exceed maximum block range: 5000", Some(5_000)),
            ("block range is too wide, maximum allowed is 1024 blocks", Some(1_024)),
            ("query exceeds max results 20000, retry with the range 100-180", None),
            ("query exceeds max block range 100000", Some(100_000)),
            ("query returned more than 10000 results", None),
            ("block range is too large", None),
            ("the limit is 0 blocks", None),
        ] {
            assert_eq!(most_blocks(message), expected, "{message}");
        }
    }
}
