//! Which blocks were looked at: ranges of blocks that are alike.

use wk_model::{ChainName, CoverageRange, Height};

use crate::{Cursor, Page, Store, StoreError};

/// Which coverage ranges to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoverageQuery {
    /// Only ranges that reach this height or higher.
    pub from: Option<Height>,
    /// Only ranges that begin at this height or lower.
    pub to: Option<Height>,
    /// Where to go on; none begins with the highest.
    pub cursor: Option<Cursor>,
    /// Rows per page; 0 means [`crate::DEFAULT_PAGE`].
    pub limit: u32,
}

/// What was looked at of one chain, in short.
#[derive(Clone, Debug, PartialEq)]
pub struct CoverageSummary {
    /// The chain.
    pub chain: ChainName,
    /// Lowest height known of.
    pub from: Height,
    /// Highest height known of.
    pub to: Height,
    /// Every block from this height up to `to` was processed; none while `to` itself was not.
    pub contiguous_from: Option<Height>,
    /// Number of blocks that were processed.
    pub processed: u64,
    /// Number of blocks between `from` and `to` that were not.
    pub missing: u64,
    /// Where those are, from–to inclusive, highest first; at most 1,000.
    pub holes: Vec<(Height, Height)>,
    /// Number of processed blocks for which not every check passed.
    pub weaker: u64,
    /// Where those are and why, highest first; at most 1,000.
    pub weaker_ranges: Vec<CoverageRange>,
    /// Number of blocks that were looked at again at least once.
    pub rescanned: u64,
}

impl Store {
    /// What was looked at of `chain`, in short; none for a chain never looked at.
    pub async fn coverage_summary(
        &self,
        chain: &ChainName,
    ) -> Result<Option<CoverageSummary>, StoreError> {
        let _ = chain;
        Err(StoreError::Closed)
    }

    /// Coverage ranges of `chain`, highest first.
    pub async fn coverage(
        &self,
        chain: &ChainName,
        query: CoverageQuery,
    ) -> Result<Page<CoverageRange>, StoreError> {
        let _ = (chain, query);
        Err(StoreError::Closed)
    }
}
