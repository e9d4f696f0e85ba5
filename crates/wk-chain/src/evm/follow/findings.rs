//! What the follower has to say to people: pure, from facts to conditions.

use serde_json::{Value, json};
use std::time::Duration;
use wk_model::{
    AssetId, B256, BlockLink, BlockRef, ChainName, ConditionKey, FindingBuilder, Height,
    HumanDuration, Severity, Timestamp,
};

use crate::evm::window::Fork;

/// Names of the follower's troubles.
pub(super) const REORG: &str = "reorg";
pub(super) const TOO_DEEP: &str = "reorg_too_deep";
pub(super) const FINALITY: &str = "finality_violation";
pub(super) const HALTED: &str = "chain_halted";
pub(super) const UNREACHABLE: &str = "chain_unreachable";
pub(super) const HOLE: &str = "coverage_hole";
pub(super) const LATE: &str = "late_truth";

/// Hashes that are listed as evidence at most.
const LISTED: usize = 32;

/// Whom and when a finding is about.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) chain: &'a ChainName,
    pub(super) at: Timestamp,
}

impl About<'_> {
    /// The key of a trouble of the chain.
    pub(super) fn key(self, trouble: &str, subject: &str) -> ConditionKey {
        ConditionKey {
            trouble: trouble.to_owned(),
            asset: AssetId::chain(self.chain),
            subject: subject.to_owned(),
        }
    }

    fn finding(self, trouble: &str, severity: Severity, title: String) -> FindingBuilder {
        FindingBuilder::system(trouble, AssetId::chain(self.chain), severity, title, self.at)
    }

    /// A reorg is being followed. Its subject is the block that lost its place at the head.
    pub(super) fn reorg(self, fork: &Fork, old: BlockLink, new: BlockLink) -> FindingBuilder {
        let depth = fork.depth;
        let severity = match depth {
            0 | 1 => Severity::P3,
            2..6 => Severity::P2,
            6.. => Severity::P1,
        };
        let blocks = if depth == 1 { "block" } else { "blocks" };
        let title =
            format!("{}: reorg of {depth} {blocks} below height {}", self.chain, old.block.height);
        self.finding(REORG, severity, title)
            .evidence("depth", depth)
            .evidence("old_head", block(old.block))
            .evidence("new_head", block(new.block))
            .evidence("common_ancestor", fork.ancestor.map_or(Value::Null, block))
            .evidence("reverted", hashes(&fork.reverted))
            .evidence("added", hashes(&fork.added))
            .once_per(&[old.block.hash.as_slice(), new.block.hash.as_slice()])
    }

    /// A reorg that cannot be followed: the chain is left as it is.
    pub(super) fn too_deep(self, depth: u64, window: u32, branch: &[BlockLink]) -> FindingBuilder {
        let title = format!(
            "{}: a reorg of at least {depth} blocks is deeper than can be followed; the chain is \
             no longer watched",
            self.chain
        );
        self.stopped(TOO_DEEP, title, branch)
            .evidence("depth", depth)
            .evidence("reorg_window", window)
    }

    /// A finalized block is no longer part of the chain.
    pub(super) fn finality(self, finalized: BlockRef, branch: &[BlockLink]) -> FindingBuilder {
        let title = format!(
            "{}: the finalized block {} was replaced; the chain is no longer watched",
            self.chain, finalized.height
        );
        self.stopped(FINALITY, title, branch).evidence("finalized", block(finalized))
    }

    fn stopped(self, trouble: &str, title: String, branch: &[BlockLink]) -> FindingBuilder {
        let head = branch.first().map_or(B256::ZERO, |link| link.block.hash);
        let advice = format!(
            "Compare the endpoints with a node you trust. If the new branch is the chain, set \
             accept_branch to \"{head}\" in the chain's evm section and restart."
        );
        self.finding(trouble, Severity::P0, title)
            .evidence("branch", hashes(branch))
            .evidence("what_to_do", advice)
            .once_per(&[head.as_slice()])
    }

    /// No new block for longer than is usual, although endpoints answer.
    pub(super) fn halted(self, tip: Option<BlockLink>, silent: Duration) -> FindingBuilder {
        let height = tip.map_or_else(|| "the start".to_owned(), |tip| tip.block.height.to_string());
        let title = format!("{}: no new block since {height} for {}", self.chain, human(silent));
        self.finding(HALTED, Severity::P1, title)
            .evidence("last_block", tip.map_or(Value::Null, |tip| block(tip.block)))
            .evidence("silent_seconds", silent.as_secs())
    }

    /// No endpoint answers.
    pub(super) fn unreachable(self, silent: Duration, error: &str) -> FindingBuilder {
        let title = format!("{}: no endpoint has answered for {}", self.chain, human(silent));
        self.finding(UNREACHABLE, Severity::P1, title).evidence("error", error)
    }

    /// Blocks were not looked at.
    pub(super) fn hole(self, from: Height, to: Height, reason: &str) -> FindingBuilder {
        let count = to.above(from) + 1;
        let title = if count == 1 {
            format!("{}: block {from} was not looked at yet", self.chain)
        } else {
            format!("{}: {count} blocks from {from} to {to} were not looked at yet", self.chain)
        };
        self.finding(HOLE, Severity::P1, title)
            .evidence("from", from.0)
            .evidence("to", to.0)
            .evidence("blocks", count)
            .evidence("reason", reason)
            .once_per(&[&from.0.to_be_bytes(), &to.0.to_be_bytes()])
    }

    /// A block's content differs from what was processed.
    pub(super) fn late(self, of: BlockRef, before: B256, after: B256) -> FindingBuilder {
        let title = format!(
            "{}: block {} holds something else than what was processed; it was processed again",
            self.chain, of.height
        );
        self.finding(LATE, Severity::P2, title)
            .evidence("block", block(of))
            .evidence("digest_before", before.to_string())
            .evidence("digest_after", after.to_string())
            .once_per(&[of.hash.as_slice(), after.as_slice()])
    }
}

/// The hole that ends at `to`: it shrinks from below, so its end is its name.
pub(super) fn hole_subject(to: Height) -> String {
    format!("to {to}")
}

fn block(block: BlockRef) -> Value {
    json!({"height": block.height, "hash": block.hash})
}

fn hashes(links: &[BlockLink]) -> Value {
    links.iter().take(LISTED).map(|link| link.block.hash.to_string()).collect()
}

fn human(duration: Duration) -> HumanDuration {
    HumanDuration::seconds(duration.as_secs())
}
