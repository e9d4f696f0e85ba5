//! What is told of a release that is not valid.

use serde_json::{Value, json};
use wk_model::{BlockTime, Confidence, Severity};

use super::bucket::Reason;
use super::{BridgeEvent, Place};

/// A release that is not valid, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The release; tells flags apart: a later one of the same release replaces an earlier.
    pub release: BridgeEvent,
    /// Why.
    pub reason: Reason,
    /// Whether the source chain was looked at far enough, and far enough back, to be sure.
    pub certain: bool,
    /// Until when the source chain must have been looked at to be sure.
    pub needs_source_until: BlockTime,
    /// Whether deposits may be missing, since the watch began later or some were forgotten.
    pub deposits_may_be_missing: bool,
}

impl Flag {
    /// How bad it is: P0 when nothing was paid in for it, P1 while that is not certain or when it
    /// was only too early.
    pub fn severity(&self) -> Severity {
        match self.reason {
            Reason::TooYoung { .. } => Severity::P1,
            _ if self.certain => Severity::P0,
            _ => Severity::P1,
        }
    }

    /// How sure it is.
    pub fn confidence(&self) -> Confidence {
        match (self.certain, self.deposits_may_be_missing) {
            (true, _) => Confidence(97),
            (false, false) => Confidence(70),
            (false, true) => Confidence(50),
        }
    }

    /// What convinced it, for people and programs; amounts are decimal strings.
    pub fn evidence(&self) -> serde_json::Map<String, Value> {
        let moved = &self.release.moved;
        let mut evidence = serde_json::Map::new();
        let mut put = |name: &str, value: Value| evidence.insert(name.to_owned(), value);
        put("reason", self.reason.name().into());
        put("certain", self.certain.into());
        put("release_tx", json!(self.release.place.tx));
        put("log_index", self.release.place.log_index.into());
        put("amount", moved.amount.to_string().into());
        put("beneficiary", json!(moved.beneficiary));
        if let Some(id) = moved.id {
            put("id", json!(id));
        }
        if let Some(token) = moved.token {
            put("token", json!(token));
        }
        if !self.certain {
            put("needs_source_until", self.needs_source_until.to_string().into());
            put("deposits_may_be_missing", self.deposits_may_be_missing.into());
        }
        match &self.reason {
            Reason::NoDeposit => {}
            Reason::Differs { deposit, differences } => {
                put("deposit_tx", json!(deposit.tx));
                let names: Vec<&str> = differences.iter().map(|one| one.name()).collect();
                put("differs_in", json!(names));
            }
            Reason::AlreadyReleased { deposit, by } => {
                put("deposit_tx", json!(deposit.tx));
                put("released_by", json!(by.tx));
            }
            Reason::TooYoung { deposit, age } => {
                put("deposit_tx", json!(deposit.tx));
                put("age_seconds", (*age).into());
            }
        }
        evidence
    }
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A release is not valid; told again, when the reason or its certainty changes.
    Flagged(Box<Flag>),
    /// What was told of a release no longer holds.
    Withdrawn(Box<Withdrawal>),
}

/// Why what was told no longer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The release.
    pub release: BridgeEvent,
    /// Its deposit, which came to be known late; none when the release itself was reverted.
    pub deposit: Option<Place>,
}
