//! Where a follower goes on after a stop.

use wk_model::{B256, BlockLink, BlockRef, ConditionKey, Height};

/// What was stored about a chain when it was last followed. Empty for the first start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// Neighbouring blocks of the chain, oldest first; the last one is where to go on.
    pub links: Vec<BlockLink>,
    /// What was processed of recent blocks, by [`super::digest`], lowest first.
    pub digests: Vec<(BlockRef, B256)>,
    /// The newest safe block.
    pub safe: Option<BlockRef>,
    /// The newest finalized block.
    pub finalized: Option<BlockRef>,
    /// Blocks that are still to be looked at, from–to inclusive, lowest first.
    pub holes: Vec<(Height, Height)>,
    /// The lowest block that was ever followed. A reorg down to it reverts all there is; a deeper
    /// one than `links` reaches is a P0 when there was more below. Unknown counts as more below.
    pub first: Option<Height>,
    /// Conditions about this chain that stand: those that no longer hold are cleared.
    pub standing: Vec<ConditionKey>,
}
