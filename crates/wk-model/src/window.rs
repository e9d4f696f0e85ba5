//! What a rule remembers: entries tied to blocks, so that a revert takes them away again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{BlockRef, BlockTime, ChainName};

/// Names one rule's memory for one key, such as one address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowKey {
    /// The rule's id.
    pub rule: String,
    /// The chain whose blocks feed it.
    pub chain: ChainName,
    /// Value of the rule's `by` expression as text; empty without one.
    pub key: String,
}

/// One thing that a rule remembers. Named by its window, its block, its kind and its ordinal:
/// writing it twice is writing it once, and reverting the block removes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowEntry {
    /// Whose memory.
    pub window: WindowKey,
    /// The block it came from.
    pub block: BlockRef,
    /// That block's time.
    pub time: BlockTime,
    /// Place among the entries of one window and kind in one block.
    pub ordinal: u64,
    /// What it stands for.
    pub kind: EntryKind,
    /// The remembered value: the amount to sum, the item to count as distinct, the state read.
    pub value: Value,
}

/// What a remembered entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// Something matched the rule.
    Match,
    /// A value that was read from the chain's state.
    State,
    /// The rule began to watch: absence counts from here when nothing matched yet.
    Start,
}
