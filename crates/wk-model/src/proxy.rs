//! What stands behind a proxy, and how that changes.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::{BlockRef, ChainName};

/// One change of a proxy or beacon: what is stored, and what a detector may speak about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// The chain.
    pub chain: ChainName,
    /// The proxy or beacon.
    pub address: Address,
    /// The block in which it changed; for a state read, the block whose state was read.
    pub block: BlockRef,
    /// The log that says so; none when the state was read.
    pub log: Option<LogPlace>,
    /// What is new.
    pub change: Change,
}

/// Where in its block a log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogPlace {
    /// Place of the transaction in the block.
    pub tx_index: u64,
    /// Place of the log in the block.
    pub log_index: u64,
}

/// What is new about a proxy or beacon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "lowercase")]
pub enum Change {
    /// What is behind it.
    Target(Target),
    /// Who may upgrade it.
    Admin(Option<Address>),
}

/// What is behind a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "address", rename_all = "lowercase")]
pub enum Target {
    /// This code.
    Implementation(Address),
    /// Whatever this beacon says.
    Beacon(Address),
    /// Nothing: it is no proxy.
    Nothing,
}
