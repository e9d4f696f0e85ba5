//! What a collector saw, about one asset at one time.

use serde_json::Value;

use crate::{AssetId, ChainEvent, Condition, Labels, Signal, Timestamp};

/// What a collector hands on. Log records and spans join when something collects them.
#[derive(Clone, Debug)]
pub enum Observation {
    /// A number of a catalogued signal.
    Sample(Sample),
    /// Something that happened to a block.
    ChainEvent(ChainEvent),
    /// Something that is so, until told otherwise.
    Fact(Fact),
    /// A collector's own trouble began or ended.
    Condition(Condition),
}

/// One number of one signal.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The signal's definition.
    pub signal: &'static Signal,
    /// Label values, in the order of the signal's label names.
    pub labels: Labels,
    /// The number, in the signal's unit.
    pub value: f64,
    /// When it was true.
    pub at: Timestamp,
}

/// Something that is so about an asset: a client version, a probe's answer, a pending transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// What it is about.
    pub asset: AssetId,
    /// What is stated, such as `client_version`, `http_probe`.
    pub name: String,
    /// The value.
    pub value: Value,
    /// When it was seen.
    pub at: Timestamp,
}
