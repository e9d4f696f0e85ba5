//! What rules are given to look at, and what they answer.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use wk_model::{
    ChainName, ChainPosition, Condition, Finding, Height, Intake, Timestamp, WindowEntry, evm,
};

/// A block, and what was read for it.
#[derive(Clone, Copy, Debug)]
pub struct BlockInput<'a> {
    /// The chain.
    pub chain: &'a ChainName,
    /// The block.
    pub block: &'a evm::Block,
    /// On which way it came in.
    pub intake: Intake,
    /// Answers to `RuleSet::state_reads`, read at the block's own hash.
    pub state: &'a StateAnswers,
    /// Why failed transactions failed, as far as it was found out; see
    /// `RuleSet::revert_reasons_wanted`.
    pub revert_reasons: &'a HashMap<B256, String>,
    /// Heights (inclusive) of this chain that exist and were not looked at yet. Rules do not speak
    /// of silence across a hole.
    pub holes: &'a [(Height, Height)],
    /// The time now; findings are stamped with it.
    pub now: Timestamp,
}

/// Something to read from the chain's state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateRead {
    /// An `eth_call` to `to` with `data`; answered by what it returned.
    Call {
        /// The contract.
        to: Address,
        /// Selector and arguments.
        data: Bytes,
    },
    /// A storage slot; answered by 32 bytes.
    Storage {
        /// The contract.
        address: Address,
        /// The slot.
        slot: B256,
    },
    /// A balance in wei; answered by 32 bytes, highest first.
    Balance {
        /// The account.
        address: Address,
    },
}

/// What reads answered, or why there is no answer.
pub type StateAnswers = HashMap<StateRead, Result<Bytes, String>>;

/// What the rules make of a block, a pending transaction or a probe.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// What was found, in the order of the block.
    pub findings: Vec<Finding>,
    /// What is to be remembered. An entry whose window, block and ordinal are known replaces the
    /// one that is stored.
    pub entries: Vec<WindowEntry>,
    /// Conditions of `http` rules that began or still are so, or are no longer so. To be told each
    /// time: whoever keeps them makes one finding of many.
    pub conditions: Vec<Condition>,
    /// Rules that could not be evaluated, each once.
    pub errors: Vec<RuleError>,
}

/// A rule could not be evaluated. It found nothing where this happened; other rules are not
/// touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule}: {message}")]
pub struct RuleError {
    /// The rule's id.
    pub rule: String,
    /// Where it happened the first time; none for probes and pending transactions.
    pub position: Option<ChainPosition>,
    /// What went wrong the first time.
    pub message: String,
    /// How often in this evaluation.
    pub count: u64,
}

/// What came of an HTTP probe: the value of an `http_probe` fact.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct ProbeAnswer {
    /// Id of the rule that wanted to know.
    pub rule: String,
    /// Status code; 0 when there was no answer.
    pub status: u16,
    /// Milliseconds until the whole answer was there, or until it was given up.
    pub latency_ms: u64,
    /// The body, or the first part of it.
    pub body: String,
    /// Whether there was more of the body.
    pub truncated: bool,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Whole days until the site's certificate ends, negative when it has; none without TLS.
    pub tls_days_left: Option<i64>,
    /// Why there was no answer.
    pub error: Option<String>,
}
