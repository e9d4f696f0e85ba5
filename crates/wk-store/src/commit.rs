//! What one batch of work changes, and what came of it: everything in it is stored, or nothing.

use std::fmt;
use std::sync::Arc;

use alloy_primitives::B256;
use wk_model::proxy::Upgrade;
use wk_model::{
    BlockLink, BlockRef, ChainName, Condition, Finding, Height, Intake, Timestamp, Verification,
    WindowEntry,
};

use crate::{FindingRow, Inspected, Learned, Uninspected};

/// Tells who is to hear of a finding: the names of the targets, each of which gets a delivery of
/// its own. One target per channel (`oncall/slack`), so that a channel that fails neither holds
/// back nor repeats the others.
///
/// Called inside the transaction, also for findings that were held and are released now.
pub type Route = Arc<dyn Fn(&Finding) -> Vec<String> + Send + Sync>;

/// One batch. Applied in this order, whatever the order of assignment: `reverted`, `holes`, `seen`,
/// `rescanned`, `agreed`, `upgrades`, `uninspected`, `safe` and `finalized`, `entries`,
/// `findings`, `inspected`, `learned`, `conditions`, `rule_errors`. So a batch may carry reverts and the blocks that replace them; a
/// block that is seen and then reverted needs two batches.
#[derive(Clone)]
pub struct Commit {
    /// The time now; rows are stamped with it.
    pub at: Timestamp,
    /// Who is to hear of a finding.
    pub route: Route,
    /// The chain that the blocks belong to; none for work without a chain, such as HTTP probes.
    pub chain: Option<ChainName>,
    /// Blocks that are no longer part of the chain, newest first.
    pub reverted: Vec<BlockLink>,
    /// Blocks that are known to be missing, or no longer waited for.
    pub holes: Vec<HoleChange>,
    /// Blocks that were looked at, lowest first.
    pub seen: Vec<SeenBlock>,
    /// Blocks from–to (inclusive) that were looked at again and had not changed.
    pub rescanned: Vec<(Height, Height)>,
    /// How many endpoints agree about a block, learnt later.
    pub agreed: Vec<Agreed>,
    /// The newest safe block. Only ever moves up here; a revert moves it down.
    pub safe: Option<BlockRef>,
    /// The newest finalized block. Only ever moves up here; a revert moves it down.
    pub finalized: Option<BlockRef>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// What the rules are to remember.
    pub entries: Vec<WindowEntry>,
    /// Conditions that began or ended.
    pub conditions: Vec<Condition>,
    /// Proxies and beacons that changed, or of which something was read, in order.
    pub upgrades: Vec<Upgrade>,
    /// Blocks whose transactions are to be inspected from now on.
    pub uninspected: Vec<Uninspected>,
    /// Blocks whose transactions were inspected, with what was found.
    pub inspected: Vec<Inspected>,
    /// Uses of contracts in finalized blocks that were learned.
    pub learned: Option<Learned>,
    /// Rules that could not be evaluated.
    pub rule_errors: Vec<RuleFailure>,
    /// How many of the newest links are kept: the reorg window. Links above the finalized head are
    /// kept as well, up to 100,000.
    pub keep_links: u64,
}

impl Commit {
    /// A batch about `chain` that changes nothing yet.
    pub fn new(chain: ChainName, at: Timestamp, route: Route) -> Commit {
        Commit { chain: Some(chain), ..Commit::without_chain(at, route) }
    }

    /// A batch about no chain that changes nothing yet.
    pub fn without_chain(at: Timestamp, route: Route) -> Commit {
        Commit {
            at,
            route,
            chain: None,
            reverted: Vec::new(),
            holes: Vec::new(),
            seen: Vec::new(),
            rescanned: Vec::new(),
            agreed: Vec::new(),
            safe: None,
            finalized: None,
            findings: Vec::new(),
            entries: Vec::new(),
            conditions: Vec::new(),
            upgrades: Vec::new(),
            uninspected: Vec::new(),
            inspected: Vec::new(),
            learned: None,
            rule_errors: Vec::new(),
            keep_links: 1_024,
        }
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit")
            .field("at", &self.at)
            .field("chain", &self.chain)
            .field("reverted", &self.reverted.len())
            .field("seen", &self.seen.len())
            .field("safe", &self.safe)
            .field("finalized", &self.finalized)
            .field("findings", &self.findings.len())
            .field("uninspected", &self.uninspected.len())
            .field("inspected", &self.inspected.len())
            .field("entries", &self.entries.len())
            .field("conditions", &self.conditions.len())
            .finish_non_exhaustive()
    }
}

/// A block that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenBlock {
    /// The block, its parent and its time.
    pub link: BlockLink,
    /// What is in it.
    pub counts: BlockCounts,
    /// Digest of the content that the rules saw, to tell at a re-scan whether it changed.
    pub digest: B256,
    /// How far it was verified.
    pub verification: Verification,
    /// On which way it came in.
    pub intake: Intake,
}

/// What is in a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockCounts {
    /// Number of transactions.
    pub transactions: u64,
    /// Number of event logs.
    pub logs: u64,
}

/// Blocks of which the follower knows that it has not looked at them. From–to are inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoleChange {
    /// They exist and were not looked at; why, in one line.
    Opened {
        /// Lowest height.
        from: Height,
        /// Highest height.
        to: Height,
        /// Why they were not looked at.
        reason: String,
    },
    /// Nobody waits for them any more. What was looked at meanwhile stays covered; the rest shows
    /// as a gap. A hole whose blocks come in closes by itself.
    Closed {
        /// Lowest height.
        from: Height,
        /// Highest height.
        to: Height,
    },
}

/// How many endpoints gave this hash at this height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The block.
    pub block: BlockRef,
    /// Number of endpoints.
    pub endpoints: u8,
}

/// A rule could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFailure {
    /// The rule's id.
    pub rule: String,
    /// What went wrong, the last time.
    pub message: String,
    /// How often in this batch.
    pub count: u64,
}

/// What a batch changed, for those who watch live.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Committed {
    /// Findings that were not there before, or came back after a retraction; held ones too.
    pub new: Vec<FindingRow>,
    /// Findings that were held until now.
    pub released: Vec<FindingRow>,
    /// Findings whose block was reverted; those that nobody could know of too.
    pub retracted: Vec<FindingRow>,
    /// Findings whose condition ended.
    pub resolved: Vec<FindingRow>,
    /// How many deliveries became due.
    pub outbox_rows: u64,
}
