//! Findings and their life: held, active, resolved, retracted.

use wk_model::{AssetId, ChainName, Finding, FindingId, FindingStatus, Severity, Timestamp};

use crate::{Cursor, Page, Store, StoreError};

/// A finding and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct FindingRow {
    /// The finding.
    pub finding: Finding,
    /// The chain it belongs to: that of its block, else that of the batch it came with.
    pub chain: Option<ChainName>,
    /// Where it stands.
    pub status: FindingStatus,
    /// How often it came to be: 1, and one more each time it came back after a retraction.
    pub revision: u32,
    /// When it last changed.
    pub changed_at: Timestamp,
}

/// Which findings to list. Every condition that is set must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FindingQuery {
    /// Any of these; empty means all.
    pub status: Vec<FindingStatus>,
    /// Any of these; empty means all.
    pub severity: Vec<Severity>,
    /// The source: `rule/ID`, `detector/NAME`, `system/NAME`, or only the part after the slash.
    pub source: Option<String>,
    /// The class.
    pub class: Option<String>,
    /// The asset.
    pub asset: Option<AssetId>,
    /// The chain.
    pub chain: Option<ChainName>,
    /// Made at this time or later.
    pub since: Option<Timestamp>,
    /// Made before this time.
    pub until: Option<Timestamp>,
    /// Text in the title, the evidence or any other field; letter case of ASCII does not matter.
    pub text: Option<String>,
    /// Where to go on; none begins with the newest.
    pub cursor: Option<Cursor>,
    /// Rows per page; 0 means [`crate::DEFAULT_PAGE`].
    pub limit: u32,
}

/// How many findings stand where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindingCount {
    /// The status.
    pub status: FindingStatus,
    /// The severity.
    pub severity: Severity,
    /// Number of findings.
    pub count: u64,
}

impl Store {
    /// Findings in the order in which they were first stored, newest first.
    pub async fn findings(&self, query: FindingQuery) -> Result<Page<FindingRow>, StoreError> {
        let _ = query;
        Err(StoreError::Closed)
    }

    /// One finding.
    pub async fn finding(&self, id: FindingId) -> Result<Option<FindingRow>, StoreError> {
        let _ = id;
        Err(StoreError::Closed)
    }

    /// Number of findings by status and severity; combinations without any are left out.
    pub async fn finding_counts(&self) -> Result<Vec<FindingCount>, StoreError> {
        Err(StoreError::Closed)
    }
}
