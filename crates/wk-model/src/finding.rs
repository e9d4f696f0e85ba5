//! A finding: a statement with evidence, and its life from seen to retracted.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use alloy_primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AssetId, BlockRef, BlockTime, ChainName, Finality, Severity, Timestamp};

/// A detector's, rule's or the program's own statement about one asset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Stays the same when the same input is looked at again.
    pub id: FindingId,
    /// Who says so.
    pub source: Source,
    /// How bad it is.
    pub severity: Severity,
    /// How sure the source is.
    pub confidence: Confidence,
    /// What kind of thing it is, such as `large_transfer`, `reorg`, `endpoint_fork`.
    pub class: String,
    /// What it is about.
    pub asset: AssetId,
    /// One line for people.
    pub title: String,
    /// What convinced the source; amounts are decimal strings, addresses and hashes lower-case hex.
    pub evidence: BTreeMap<String, Value>,
    /// Labels from the rule and the asset, for routing.
    pub labels: BTreeMap<String, String>,
    /// Where on a chain it happened, for findings that follow from a block.
    pub position: Option<ChainPosition>,
    /// How settled its block must be before it is told to anyone.
    pub deliver: Finality,
    /// Names of the receivers that the source asks for; empty means the default route.
    pub notify: Vec<String>,
    /// When it was made.
    pub seen_at: Timestamp,
}

/// Where on a chain something happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainPosition {
    /// The chain.
    pub chain: ChainName,
    /// The block.
    pub block: BlockRef,
    /// The block's own timestamp.
    pub time: BlockTime,
    /// The transaction, if one is meant.
    pub tx: Option<B256>,
    /// The log's place in the block, if one is meant.
    pub log_index: Option<u64>,
}

/// Names a finding. Derived from what it says, so the same input gives the same name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingId([u8; 16]);

impl FindingId {
    /// The name that belongs to these parts, in this order.
    pub fn of(parts: &[&[u8]]) -> FindingId {
        let mut bytes = Vec::new();
        for part in parts {
            // Lengths keep ("ab","c") apart from ("a","bc").
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&keccak256(&bytes)[..16]);
        FindingId(id)
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FindingId({self})")
    }
}

impl FromStr for FindingId {
    type Err = String;

    fn from_str(text: &str) -> Result<FindingId, String> {
        let bytes = alloy_primitives::hex::decode(text)
            .map_err(|error| format!("`{text}` is no finding id: {error}"))?;
        let id = <[u8; 16]>::try_from(bytes.as_slice())
            .map_err(|_| format!("`{text}` is no finding id: 32 hex digits are needed"))?;
        Ok(FindingId(id))
    }
}

impl Serialize for FindingId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FindingId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<FindingId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Who makes a finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "lowercase")]
pub enum Source {
    /// A user's rule, by its id.
    Rule(String),
    /// A detector, by its name.
    Detector(String),
    /// Watchkeeper itself, about a chain, an endpoint or its own work; by the trouble's name.
    System(String),
}

impl Source {
    /// `rule`, `detector` or `system`.
    pub fn kind(&self) -> &'static str {
        match self {
            Source::Rule(_) => "rule",
            Source::Detector(_) => "detector",
            Source::System(_) => "system",
        }
    }

    /// The rule's id, the detector's name or the trouble's name.
    pub fn name(&self) -> &str {
        match self {
            Source::Rule(name) | Source::Detector(name) | Source::System(name) => name,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.name())
    }
}

/// How sure a source is, in percent (0–100).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confidence(pub u8);

impl Confidence {
    /// A fact, not a guess.
    pub const CERTAIN: Confidence = Confidence(100);
}

/// Where a finding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingStatus {
    /// Waits for its block to become as settled as the rule asks.
    Held,
    /// Stands.
    Active,
    /// Was true, and no longer is: a condition that ended.
    Resolved,
    /// Its block was reverted: it never happened.
    Retracted,
}

impl FindingStatus {
    /// Its name as data shows it.
    pub fn name(self) -> &'static str {
        match self {
            FindingStatus::Held => "held",
            FindingStatus::Active => "active",
            FindingStatus::Resolved => "resolved",
            FindingStatus::Retracted => "retracted",
        }
    }
}

impl FromStr for FindingStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<FindingStatus, String> {
        match text {
            "held" => Ok(FindingStatus::Held),
            "active" => Ok(FindingStatus::Active),
            "resolved" => Ok(FindingStatus::Resolved),
            "retracted" => Ok(FindingStatus::Retracted),
            _ => Err(format!("`{text}` is no status; use held, active, resolved or retracted")),
        }
    }
}

/// Source of the finding that goes all the way again and again to show that the way is open. Lists
/// and counts leave it out.
pub const CANARY: &str = "canary";

/// Where that finding goes: to no receiver, so nobody is told. No receiver can have this name.
pub const CANARY_TARGET: &str = "watchkeeper/canary";

/// Names a condition: true or not at any time, such as "endpoint b of mainnet lags".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConditionKey {
    /// The trouble's name; also the finding's source name and class.
    pub trouble: String,
    /// What it is about.
    pub asset: AssetId,
    /// Tells several troubles of one kind at one asset apart; often empty.
    pub subject: String,
}

/// A condition began or ended. The store turns a begin into one finding, however often it is said.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// It is so; the finding's own id is replaced by one that counts this occurrence.
    Raised(ConditionKey, Box<Finding>),
    /// It is no longer so.
    Cleared(ConditionKey),
}

/// Builds the program's own findings, whose fields mostly follow from the trouble's name.
#[derive(Clone, Debug)]
pub struct FindingBuilder(Finding);

impl FindingBuilder {
    /// A finding of the program itself: `trouble` at `asset`, in one line for people.
    pub fn system(
        trouble: &str,
        asset: AssetId,
        severity: Severity,
        title: impl Into<String>,
        seen_at: Timestamp,
    ) -> FindingBuilder {
        FindingBuilder(Finding {
            id: FindingId::of(&[
                b"system",
                trouble.as_bytes(),
                asset.as_str().as_bytes(),
                &seen_at.0.to_be_bytes(),
            ]),
            source: Source::System(trouble.to_owned()),
            severity,
            confidence: Confidence::CERTAIN,
            class: trouble.to_owned(),
            asset,
            title: title.into(),
            evidence: BTreeMap::new(),
            labels: BTreeMap::new(),
            position: None,
            deliver: Finality::Seen,
            notify: Vec::new(),
            seen_at,
        })
    }

    /// Adds a piece of evidence.
    #[must_use]
    pub fn evidence(mut self, name: &str, value: impl Into<Value>) -> FindingBuilder {
        self.0.evidence.insert(name.to_owned(), value.into());
        self
    }

    /// Ties the finding's name to `parts` instead of to its time, so that it is made once.
    #[must_use]
    pub fn once_per(mut self, parts: &[&[u8]]) -> FindingBuilder {
        let mut all: Vec<&[u8]> =
            vec![b"system", self.0.class.as_bytes(), self.0.asset.as_str().as_bytes()];
        all.extend_from_slice(parts);
        self.0.id = FindingId::of(&all);
        self
    }

    /// The finding.
    pub fn build(self) -> Finding {
        self.0
    }

    /// The finding as the begin of a condition about `subject`.
    pub fn raise(self, subject: &str) -> Condition {
        let key = ConditionKey {
            trouble: self.0.class.clone(),
            asset: self.0.asset.clone(),
            subject: subject.to_owned(),
        };
        Condition::Raised(key, Box::new(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_every_part_and_its_borders() {
        assert_eq!(FindingId::of(&[b"a", b"b"]), FindingId::of(&[b"a", b"b"]));
        assert_ne!(FindingId::of(&[b"ab", b"c"]), FindingId::of(&[b"a", b"bc"]));
        let id = FindingId::of(&[b"x"]);
        assert_eq!(id.to_string().parse::<FindingId>(), Ok(id));
    }
}
