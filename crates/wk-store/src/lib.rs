//! Everything that must not be lost or doubled: one SQLite database, one transaction per batch.

mod apply;
mod backup;
mod blocks;
mod commit;
mod conditions;
mod coverage;
mod entries;
mod error;
mod findings;
mod inspections;
mod lock;
mod meta;
mod outbox;
mod page;
mod readers;
mod retention;
mod rule_errors;
mod schema;
mod sql;
mod store;
mod stored;
mod tokens;
mod upgrades;
mod usage;
mod writer;

pub use backup::{StoreSize, StoreStats};
pub use blocks::{BlockQuery, BlockRow, ChainRow, ResumePoint};
pub use commit::{
    Agreed, BlockCounts, Commit, Committed, HoleChange, Route, RuleFailure, SeenBlock,
};
pub use conditions::OpenCondition;
pub use coverage::{CoverageQuery, CoverageSummary};
pub use error::{OpenStore, StoreError};
pub use findings::{FindingCount, FindingHistory, FindingQuery, FindingRow, FindingSource};
pub use inspections::{
    Inspected, InspectedBy, InspectionSummary, PendingInspection, SKIPPED, Uninspected,
};
pub use outbox::{Claim, Delivery, OutboxCount, OutboxId, OutboxQuery, OutboxRow, OutboxState};
pub use page::{Cursor, DEFAULT_PAGE, LARGEST_PAGE, Page};
pub use retention::Retention;
pub use rule_errors::RuleErrorRow;
pub use store::{SIGNALS, Store};
pub use tokens::{Role, TokenId, TokenRow, TokenSecret};
pub use upgrades::UpgradeRow;
pub use usage::{ContractUse, Learned};
