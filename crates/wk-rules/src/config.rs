//! Settings of a rule: one entry of `rules:`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wk_model::{Finality, HumanDuration, OneOrMany, Secret, Severity};

/// A rule: what to look at, when it matters, and what to say then.
///
/// The shortest useful rule names an event of a contract:
///
/// ```yaml
/// - id: ownership-moved
///   watch: vault
///   event: OwnershipTransferred
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// Name of the rule: letters, digits, `-`, `_` and `.`; unique. Findings, tests, silences and
    /// routes call the rule by it.
    pub id: String,
    /// What makes the rule look. May be left out where another key says it: `event` means
    /// `evm.event`, `function` means `evm.tx`, `read` and `reads` mean `evm.state`, `url` means
    /// `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Trigger>,
    /// The chain, or a list of them. Default: the chains of the watched contracts, else all.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub chain: OneOrMany<String>,
    /// Contracts to watch: names from `contracts:` or addresses, one or a list. An `evm.event`
    /// rule watches emitters, `evm.tx` and `evm.pending` rules watch receivers, an `evm.state`
    /// rule reads from each. Default: all.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub watch: OneOrMany<String>,
    /// The event, or a list of events: a name that the contract's ABI knows, or a full signature
    /// such as `Transfer(address indexed from, address indexed to, uint256 value)`, which needs no
    /// ABI. Default: every event of the watched contracts. Its parameters are variables; of several
    /// events those that all have. Only for `evm.event`.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub event: OneOrMany<String>,
    /// The called function, or a list of functions: a name that the contract's ABI knows, or a
    /// full signature such as `withdraw(uint256 amount)`. Default: every call. Its arguments are
    /// variables. Only for `evm.tx` and `evm.pending`.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub function: OneOrMany<String>,
    /// Condition in CEL, such as `amount > ether("1000") && !(to in lists.treasury)`. Default:
    /// always true; for `evm.state`: a value changed.
    ///
    /// An `evm.state` rule whose condition does not mention `previous` fires when the condition
    /// becomes true, and again only after it was false; one that does fires at each read where it
    /// is true.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Counts what matched over time or blocks, and fires on the count instead of on each match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowConfig>,
    /// Turns the rule round: it fires when nothing matched for this long in the chain's own time,
    /// once per silence. Only for `evm.block`, `evm.tx` and `evm.event`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<HumanDuration>,
    /// Read, or look, each so many blocks: at heights that this number divides. A number, or
    /// `10 blocks`. Default 1. Only for `evm.state` and `evm.block`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Blocks>,
    /// What to read from the chain's state; the rule sees it as `value`, and the read before it as
    /// `previous`. Only for `evm.state`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<ReadConfig>,
    /// Several reads by name, for conditions that compare them, such as
    /// `minted > locked`; the reads before are `previous.minted` and so on. Instead of `read`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reads: BTreeMap<String, ReadConfig>,
    /// Address of the page or endpoint to probe; `env:NAME` and `file:PATH` keep it out of the
    /// config. Only for `http`, as the five keys below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// Request method. Default `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<HttpMethod>,
    /// Request headers. Values may be secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Secret>,
    /// Request body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What must hold of the answer, in CEL, such as `status == 200 && body.contains("ok")`; the
    /// rule fires when it does not, or when there is no answer. Default, without `if`:
    /// `status >= 200 && status < 400`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// Time between probes. Default `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<HumanDuration>,
    /// How long a probe may take. Default `10s`, and never more than `interval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<HumanDuration>,
    /// How long the trouble must last before an `http` rule fires. Default: it fires at once.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<HumanDuration>,
    /// How bad it is: P0 (critical), P1 (high), P2 (medium), P3 (low). Default P2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// What kind of thing it is, for grouping and routes. Default: the rule's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// One line for people. `${…}` holds CEL: `${formatUnits(amount, 18)} tokens to ${to}`.
    /// `$${` is a plain `${`. With a window it can show `count`, `sum`, `key` and so on as well; with
    /// `absent` it shows `silence`, `last` and the block. Default: the rule's id and what happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How settled the block must be before anyone is told: `seen` (at once; taken back if the
    /// block is reverted), `safe` or `finalized`. Default `seen`. Not for `http` and
    /// `evm.pending`, which have no block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver: Option<Finality>,
    /// Receivers to tell, by name, one or a list. Default: as `route` says.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub notify: OneOrMany<String>,
    /// Labels of its findings, for routing; they add to the contract's labels and win over them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What it means and why it matters, for whoever is told. Part of the evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Address of the page that says what to do. Part of the evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// False keeps the rule checked but silent. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

impl RuleConfig {
    /// Whether the rule is to run.
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }
}

/// What makes a rule look.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
pub enum Trigger {
    /// Each block.
    #[serde(rename = "evm.block")]
    EvmBlock,
    /// Each transaction in a block, also one that failed.
    #[serde(rename = "evm.tx")]
    EvmTx,
    /// Each event log.
    #[serde(rename = "evm.event")]
    EvmEvent,
    /// A value read from the chain's state each so many blocks.
    #[serde(rename = "evm.state")]
    EvmState,
    /// Each transaction that waits for inclusion, where an endpoint offers them.
    #[serde(rename = "evm.pending")]
    EvmPending,
    /// Each answer of an HTTP probe.
    #[serde(rename = "http")]
    Http,
}

impl Trigger {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Trigger; 6] = [
        Trigger::EvmBlock,
        Trigger::EvmTx,
        Trigger::EvmEvent,
        Trigger::EvmState,
        Trigger::EvmPending,
        Trigger::Http,
    ];

    /// Its name in a config.
    pub fn name(self) -> &'static str {
        match self {
            Trigger::EvmBlock => "evm.block",
            Trigger::EvmTx => "evm.tx",
            Trigger::EvmEvent => "evm.event",
            Trigger::EvmState => "evm.state",
            Trigger::EvmPending => "evm.pending",
            Trigger::Http => "http",
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Counts matches per key over time or blocks.
///
/// The rule fires when `when` becomes true with a match, and again only after it was false at a
/// match in between, or after the window had run empty.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowConfig {
    /// Counts apart for each value of this CEL expression, such as `to` or `tx.from`. Default: one
    /// count for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How far back to look: in the chain's own time (`10m`) or in blocks (`50 blocks`). The match
    /// that is exactly so old still counts.
    pub over: WindowSpan,
    /// What `sum`, `min` and `max` add up and compare (an integer), and `distinct` counts the kinds
    /// of (anything), such as `amount`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// When to fire, in CEL over `count`, `rate` (matches per second, or per block for a window in
    /// blocks), with `value` also `sum`, `min`, `max` and `distinct`, and all variables of the
    /// trigger, such as `count > 5` or `sum >= ether("10000")`.
    pub when: String,
    /// How many keys may be remembered at once; further keys are an evaluation error until old ones
    /// have left the window. Default 100000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_keys: Option<u32>,
}

/// What to read from the chain's state, at the block's own hash. Exactly one of `call`, `slot` and
/// `balance`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadConfig {
    /// Calls a view function: a name that the contract's ABI knows, or a signature with what it
    /// returns, such as `function balanceOf(address owner) returns (uint256)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// The call's arguments in order. Large numbers as text (`"1000000000000000000"` or
    /// `"1 ether"`), addresses as text or names of contracts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Value>,
    /// Reads a storage slot: a number or 32 bytes in hex, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// Type of the slot's value: `uint256`, `int256`, `address`, `bool`, `bytes32` or a narrower one
    /// of them, read from the lowest bytes. Default `uint256`.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Reads the balance in wei of an address or of a contract, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<String>,
    /// The contract to call or whose slot to read, by name or address. Default: each watched one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
}

/// Method of an HTTP probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// GET
    #[default]
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
}

impl HttpMethod {
    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            HttpMethod::Get => "GET",
            HttpMethod::Head => "HEAD",
            HttpMethod::Post => "POST",
        }
    }
}

/// How far back a window looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowSpan {
    /// In the chain's own time.
    Time(HumanDuration),
    /// In blocks, the block of the match included.
    Blocks(u64),
}

impl FromStr for WindowSpan {
    type Err = String;

    fn from_str(text: &str) -> Result<WindowSpan, String> {
        if let Ok(Blocks(blocks)) = text.parse() {
            return Ok(WindowSpan::Blocks(blocks));
        }
        match text.parse::<HumanDuration>() {
            Ok(duration) if !duration.0.is_zero() => Ok(WindowSpan::Time(duration)),
            _ => Err(format!(
                "`{text}` is no span of time or blocks; write for example 10m or 50 blocks"
            )),
        }
    }
}

impl fmt::Display for WindowSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WindowSpan::Time(duration) => duration.fmt(f),
            WindowSpan::Blocks(blocks) => Blocks(*blocks).fmt(f),
        }
    }
}

impl Serialize for WindowSpan {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WindowSpan {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for WindowSpan {
    fn schema_name() -> Cow<'static, str> {
        "WindowSpan".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A span of time such as 10m, or of blocks such as 50 blocks.",
            "pattern": "^(([0-9]+(ms|s|m|h|d))+|[0-9]+ blocks?)$"
        })
    }
}

/// A number of blocks, at least one: `10`, or `10 blocks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks(pub u64);

impl FromStr for Blocks {
    type Err = String;

    fn from_str(text: &str) -> Result<Blocks, String> {
        let number = text.strip_suffix("blocks").or_else(|| text.strip_suffix("block"));
        match number.map(|number| number.trim().parse()) {
            Some(Ok(blocks)) if blocks > 0 => Ok(Blocks(blocks)),
            _ => Err(format!("`{text}` is no number of blocks; write for example 10 blocks")),
        }
    }
}

impl fmt::Display for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} block{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

impl Serialize for Blocks {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Blocks {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Blocks;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of blocks, at least 1, such as 10 or `10 blocks`")
            }

            fn visit_u64<E: serde::de::Error>(self, blocks: u64) -> Result<Blocks, E> {
                match blocks {
                    0 => Err(E::invalid_value(serde::de::Unexpected::Unsigned(0), &self)),
                    blocks => Ok(Blocks(blocks)),
                }
            }

            fn visit_i64<E: serde::de::Error>(self, blocks: i64) -> Result<Blocks, E> {
                match u64::try_from(blocks) {
                    Ok(blocks) => self.visit_u64(blocks),
                    Err(_) => Err(E::invalid_value(serde::de::Unexpected::Signed(blocks), &self)),
                }
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Blocks, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Blocks {
    fn schema_name() -> Cow<'static, str> {
        "Blocks".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of blocks such as 10 or 10 blocks.",
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": "^[0-9]+ blocks?$"}
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_short_and_long_forms() {
        let rule: RuleConfig = serde_json::from_value(json!({
            "id": "a", "watch": "vault", "event": ["Paused", "Unpaused"], "every": "5 blocks",
            "window": {"over": "50 blocks", "when": "count > 2"},
        }))
        .expect("the rule is well formed");
        assert_eq!(rule.watch.0, ["vault"]);
        assert_eq!(rule.event.0, ["Paused", "Unpaused"]);
        assert_eq!(rule.every, Some(Blocks(5)));
        assert_eq!(rule.window.map(|window| window.over), Some(WindowSpan::Blocks(50)));
        assert!(rule.on.is_none());
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for wrong in [
            json!({"id": "a", "iff": "true"}),
            json!({"id": "a", "on": "evm.evnt"}),
            json!({"id": "a", "every": 0}),
            json!({"id": "a", "every": "5 minutes"}),
            json!({"id": "a", "watch": {"vault": 1}}),
            json!({"id": "a", "window": {"over": "soon", "when": "true"}}),
            json!({"id": "a", "window": {"over": "0s", "when": "true"}}),
            json!({"id": "a", "window": {"over": "1m"}}),
        ] {
            assert!(serde_json::from_value::<RuleConfig>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
