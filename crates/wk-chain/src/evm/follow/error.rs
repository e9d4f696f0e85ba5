//! Why a chain is no longer followed.

use wk_model::{B256, BlockRef};

/// A chain cannot be followed further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// A reorg reaches further down than is allowed or known.
    #[error(
        "a reorg of at least {depth} blocks is deeper than can be followed; if its branch is the \
         chain, set `accept_branch: \"{branch}\"` in the chain's `evm` section and start again, or \
         raise `reorg_window`"
    )]
    TooDeep {
        /// Blocks that would be reverted, at least.
        depth: u64,
        /// A block of the new branch.
        branch: B256,
    },
    /// A finalized block is no longer part of the chain.
    #[error(
        "the chain no longer has the finalized block {finalized}; if its new branch is the chain, \
         set `accept_branch: \"{branch}\"` in the chain's `evm` section and start again"
    )]
    FinalityViolated {
        /// The block that was final.
        finalized: BlockRef,
        /// A block of the new branch.
        branch: B256,
    },
    /// Nobody takes the blocks.
    #[error("nobody takes the blocks of the chain")]
    Closed,
    /// A job beside the follower panicked.
    #[error("a job of the follower ended badly: {0}")]
    Job(String),
    /// It was told to stop. Never returned by [`super::Follower::run`].
    #[error("stopped")]
    Stopped,
}
