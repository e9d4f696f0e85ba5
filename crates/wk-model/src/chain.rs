//! Chains and their blocks, and the four things that can happen to a block.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

use crate::{BlockTime, Verification, evm};

/// A chain's name in the config, such as `mainnet`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainName(Arc<str>);

impl ChainName {
    /// The chain called `name`.
    pub fn new(name: &str) -> ChainName {
        ChainName(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainName({})", self.0)
    }
}

/// EIP-155 chain id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainId(pub u64);

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A block's number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Height(pub u64);

impl Height {
    /// The height above.
    pub fn next(self) -> Height {
        Height(self.0.saturating_add(1))
    }

    /// The height below, if there is one.
    pub fn previous(self) -> Option<Height> {
        self.0.checked_sub(1).map(Height)
    }

    /// Blocks between `lower` and this height; zero when `lower` is higher.
    pub fn above(self, lower: Height) -> u64 {
        self.0.saturating_sub(lower.0)
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one block for good: its height and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    /// The block's number.
    pub height: Height,
    /// The block's hash.
    pub hash: B256,
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.height, self.hash)
    }
}

/// A block with what ties it to its place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockLink {
    /// The block.
    pub block: BlockRef,
    /// Its parent's hash.
    pub parent: B256,
    /// Its own timestamp.
    pub time: BlockTime,
}

/// How settled a block is. A rule waits for one of these before it is delivered.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Finality {
    /// In a block that a node follows; may be reverted.
    #[default]
    Seen,
    /// Under the chain's `safe` head, or under the configured number of confirmations.
    Safe,
    /// Under the chain's `finalized` head; a change here is a P0.
    Finalized,
}

impl fmt::Display for Finality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Finality::Seen => "seen",
            Finality::Safe => "safe",
            Finality::Finalized => "finalized",
        })
    }
}

impl FromStr for Finality {
    type Err = String;

    fn from_str(text: &str) -> Result<Finality, String> {
        match text {
            "seen" => Ok(Finality::Seen),
            "safe" => Ok(Finality::Safe),
            "finalized" => Ok(Finality::Finalized),
            _ => Err(format!("`{text}` is no finality; use seen, safe or finalized")),
        }
    }
}

/// Something happened to one block of one chain.
#[derive(Clone, Debug)]
pub struct ChainEvent {
    /// The chain.
    pub chain: ChainName,
    /// The block it happened to, with its parent and time.
    pub link: BlockLink,
    /// What happened.
    pub change: ChainChange,
}

/// What happened to a block: `Seen → Safe → Finalized`, or `Reverted`.
///
/// A consumer that ignores `Reverted` has to say so in a match.
#[derive(Clone, Debug)]
pub enum ChainChange {
    /// The block is part of the chain, and here is what is in it.
    Seen {
        /// Its content, verified as `verification` says.
        body: BlockBody,
        /// What was checked, and how it came out.
        verification: Verification,
        /// On which way it came in.
        intake: Intake,
    },
    /// The block, and all below it, is safe.
    Safe,
    /// The block, and all below it, is final.
    Finalized,
    /// The block is no longer part of the chain. Blocks are reverted newest first.
    Reverted,
}

/// On which way a block came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intake {
    /// At the head of the chain, in order.
    Live,
    /// In order, on the way from the start or from a stop up to the head.
    Backfill,
    /// Out of order: a hole below the head is closed.
    Refill,
    /// Looked at before, and looked at again: the content differs from what was processed.
    Rescan,
}

/// A block's content, by chain family.
#[derive(Clone, Debug)]
pub enum BlockBody {
    /// An EVM block with transactions, receipts and logs.
    Evm(Arc<evm::Block>),
}
