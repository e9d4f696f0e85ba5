//! Chains and their recent blocks: where to go on after a stop, and what a reorg is measured by.

use alloy_primitives::B256;
use wk_model::{BlockLink, BlockRef, ChainName, Finality, Height, Intake, Timestamp, Verification};

use crate::{BlockCounts, Cursor, Page, Store, StoreError};

/// Where a follower goes on. Empty for a chain that was never looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResumePoint {
    /// Neighbouring blocks of the canonical chain, oldest first; the last one is the cursor.
    pub links: Vec<BlockLink>,
    /// What the rules saw of these blocks, and of older ones that are still kept: the digests, by
    /// height, lowest first.
    pub digests: Vec<(BlockRef, B256)>,
    /// The newest safe block.
    pub safe: Option<BlockRef>,
    /// The newest finalized block.
    pub finalized: Option<BlockRef>,
    /// Blocks that were not looked at yet, from–to inclusive, lowest first.
    pub holes: Vec<(Height, Height)>,
}

/// How far a chain was followed.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainRow {
    /// The chain.
    pub chain: ChainName,
    /// The newest block.
    pub newest: Option<BlockLink>,
    /// The newest safe block.
    pub safe: Option<BlockRef>,
    /// The newest finalized block.
    pub finalized: Option<BlockRef>,
    /// When something was last stored about it.
    pub changed_at: Timestamp,
}

/// Which blocks to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockQuery {
    /// Only this height and higher.
    pub from: Option<Height>,
    /// Only this height and lower.
    pub to: Option<Height>,
    /// Where to go on; none begins with the newest.
    pub cursor: Option<Cursor>,
    /// Rows per page; 0 means [`crate::DEFAULT_PAGE`].
    pub limit: u32,
}

/// A recent block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockRow {
    /// The block, its parent and its time.
    pub link: BlockLink,
    /// What is in it.
    pub counts: BlockCounts,
    /// Digest of the content that the rules saw.
    pub digest: B256,
    /// How settled it is now.
    pub finality: Finality,
    /// On which way it came in.
    pub intake: Intake,
    /// How far it was verified; none if coverage does not know it any more.
    pub verification: Option<Verification>,
    /// When it was stored.
    pub seen_at: Timestamp,
}

impl Store {
    /// All chains ever followed, by name.
    pub async fn chains(&self) -> Result<Vec<ChainRow>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Recent blocks of `chain`, highest first.
    pub async fn blocks(
        &self,
        chain: &ChainName,
        query: BlockQuery,
    ) -> Result<Page<BlockRow>, StoreError> {
        let _ = (chain, query);
        Err(StoreError::Closed)
    }
}
