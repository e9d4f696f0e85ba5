//! Rules that could not be evaluated: how often, and why the last time.

use wk_model::Timestamp;

use crate::{Store, StoreError};

/// How often a rule could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleErrorRow {
    /// The rule's id.
    pub rule: String,
    /// How often so far.
    pub count: u64,
    /// What went wrong the last time.
    pub message: String,
    /// The first time.
    pub first_at: Timestamp,
    /// The last time.
    pub last_at: Timestamp,
}

impl Store {
    /// All rules that ever failed, by id.
    pub async fn rule_errors(&self) -> Result<Vec<RuleErrorRow>, StoreError> {
        Err(StoreError::Closed)
    }
}
