//! Settings of a rule's test: one entry of `tests:`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wk_model::{HumanDuration, OneOrMany, Severity};

/// A test of rules: blocks that are given, and the findings that are expected of them.
///
/// ```yaml
/// tests:
///   - name: a large withdrawal is told
///     rules: large-withdrawal
///     given:
///       - events:
///           - {contract: vault, event: Withdraw, args: {to: "0x…01", amount: 2000 ether}}
///     expect:
///       - {rule: large-withdrawal, severity: P1}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestConfig {
    /// What the test shows, as a sentence.
    pub name: String,
    /// Rules to run, by id, one or a list. Default: all, disabled ones too.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub rules: OneOrMany<String>,
    /// The chain that the blocks belong to. Default: the only chain that the rules look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// What happens, in order.
    pub given: Vec<GivenConfig>,
    /// Every finding that must come of it, and no other. Empty: nothing may fire. A rule that cannot
    /// be evaluated fails the test.
    #[serde(default)]
    pub expect: Vec<ExpectConfig>,
}

/// One step of a test: a block with what is in it, or a revert, or something outside of blocks.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenConfig {
    /// Takes back the newest so many blocks. Alone in its step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert: Option<u32>,
    /// The block's own fields. A step with `txs`, `events` or `state` is a block too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<GivenBlock>,
    /// Transactions in the block.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub txs: Vec<GivenTx>,
    /// Events in the block, each in a transaction of its own, after `txs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<GivenEvent>,
    /// What the reads of `evm.state` rules answer from this block on: the value by rule id; for a
    /// rule with `reads`, or a call that returns several values, a map or list of values. Rules that
    /// were never named do not look.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub state: BTreeMap<String, Value>,
    /// How many blocks like this one follow each other, up to 10000; their numbers and times go on.
    /// Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u32>,
    /// Transactions that wait for inclusion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<GivenTx>,
    /// Answers of probes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<GivenProbe>,
}

/// A given block's own fields.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenBlock {
    /// Its number. Default: one more than the block before; the first is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Its time: seconds since 1970, a UTC date such as `2026-11-22T21:36:04Z`, or the time passed
    /// since the block before, such as `+5m`. Default: `+12s`; the first is 2026-01-01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<GivenTime>,
    /// Gas used. Default: that of its transactions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas_used: Option<u64>,
    /// Gas limit. Default 30000000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas_limit: Option<u64>,
    /// Base fee per gas in wei, as a number or text such as `7 gwei`. Default 1 gwei.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_fee: Option<Value>,
}

/// A block's time in a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenTime {
    /// Seconds since 1970.
    At(u64),
    /// This long after the block before.
    After(HumanDuration),
}

/// A given transaction.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenTx {
    /// Sender: an address or a contract's name. Default: `0x00000000000000000000000000000000000000f0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Receiver: a contract's name or an address. Default: none, which creates a contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Wei sent along, as a number or text such as `1 ether`. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Called function: a name from the contract's ABI or a full signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Its arguments: by name, or in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// Raw call data in hex, instead of `function`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// False when it failed. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<bool>,
    /// Why it failed, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert_reason: Option<String>,
    /// Sender's nonce. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<u64>,
    /// Gas used. Default 21000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas_used: Option<u64>,
    /// Price paid per gas in wei. Default: the block's base fee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas_price: Option<Value>,
    /// Events that it emitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<GivenEvent>,
}

/// A given event.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenEvent {
    /// Emitting contract: its name or its address.
    pub contract: String,
    /// The event: a name from the contract's ABI or a full signature.
    pub event: String,
    /// Its parameters: by name, or in order. Missing ones are zero or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// Sender of the event's own transaction. Not for an event within `txs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Receiver of the event's own transaction. Default: the contract. Not for an event within `txs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Wei sent along with the event's own transaction. Not for an event within `txs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// A given answer of a probe.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenProbe {
    /// The `http` rule whose probe it is.
    pub rule: String,
    /// Time passed since the probe before, for rules with `for`. Default: the rule's interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<HumanDuration>,
    /// Status code; 0 is no answer. Default 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Time until the whole answer was there. Default `50ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<HumanDuration>,
    /// Body of the answer. Default empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Headers of the answer, names in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Days until the certificate ends. Default 90.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_days_left: Option<i64>,
    /// Why there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An expected finding, or several alike. What is left out may be anything.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectConfig {
    /// The rule that makes it.
    pub rule: String,
    /// How many such findings, up to 1000. Default 1; 0 says that there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Its title, in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Its key: the value of `window.by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The number of its block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// Parts of its evidence; parts that are not named may be anything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, Value>,
    /// True when a revert, or for `http` the end of the trouble, took it back. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retracted: Option<bool>,
}

impl fmt::Display for GivenTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GivenTime::At(seconds) => seconds.fmt(f),
            GivenTime::After(duration) => write!(f, "+{duration}"),
        }
    }
}

impl Serialize for GivenTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            GivenTime::At(seconds) => serializer.serialize_u64(*seconds),
            GivenTime::After(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for GivenTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = GivenTime;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds since 1970, a date such as 2026-11-22T21:36:04Z, or +5m")
            }

            fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<GivenTime, E> {
                Ok(GivenTime::At(seconds))
            }

            fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<GivenTime, E> {
                u64::try_from(seconds)
                    .map(GivenTime::At)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(seconds), &self))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<GivenTime, E> {
                let wrong = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
                if let Some(duration) = text.strip_prefix('+') {
                    return duration.parse().map(GivenTime::After).map_err(E::custom);
                }
                if let Ok(seconds) = text.parse() {
                    return Ok(GivenTime::At(seconds));
                }
                parse_date(text).map(GivenTime::At).ok_or_else(wrong)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for GivenTime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "GivenTime".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": ["integer", "string"]})
    }
}

/// Seconds since 1970 of `YYYY-MM-DD` or `YYYY-MM-DDThh:mm:ssZ`.
fn parse_date(text: &str) -> Option<u64> {
    let (date, clock) = match text.split_once(['T', ' ']) {
        Some((date, clock)) => (date, clock.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let numbers = |text: &str, separator| -> Option<[u64; 3]> {
        let parts: Vec<u64> =
            text.split(separator).map(|part| part.parse().ok()).collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock, ':')?;
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    // Days from 1970 by the civil calendar, years counted from March so that leap days come last.
    let (shifted_year, shifted_month) =
        if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = shifted_year / 4 - shifted_year / 100 + shifted_year / 400;
    let days = 365 * shifted_year + leap_days + (153 * shifted_month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wk_model::BlockTime;

    use super::*;

    #[test]
    fn reads_times_as_people_write_them() {
        let check = |value: Value, expected: Option<GivenTime>| {
            let read = serde_json::from_value::<GivenTime>(value.clone()).ok();
            assert_eq!(read, expected, "{value}");
        };
        check(json!(5), Some(GivenTime::At(5)));
        check(json!("+5m"), Some(GivenTime::After(HumanDuration::seconds(300))));
        check(json!("1970-01-02"), Some(GivenTime::At(86_400)));
        check(json!("2026-11-22T21:36:04Z"), Some(GivenTime::At(1_795_383_364)));
        for wrong in ["2026-13-01", "2026-11-22T21:36:04", "yesterday", "5m", ""] {
            check(json!(wrong), None);
        }
        check(json!(-1), None);
        for seconds in [0, 951_782_400, 4_107_542_399] {
            let text = BlockTime(seconds).to_string().replace(".000", "");
            check(json!(text), Some(GivenTime::At(seconds)));
        }
    }
}
