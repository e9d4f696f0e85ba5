//! Conditions: one finding per occurrence, however often it is said and across restarts.

use wk_model::{ConditionKey, FindingId, Timestamp};

use crate::{Commit, Committed, Store, StoreError};

/// A condition that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenCondition {
    /// Its name.
    pub key: ConditionKey,
    /// The finding of this occurrence.
    pub finding: FindingId,
    /// How often it began, this time included.
    pub occurrence: u64,
    /// When it began.
    pub raised_at: Timestamp,
}

impl Store {
    /// The conditions that hold, by name.
    pub async fn open_conditions(&self) -> Result<Vec<OpenCondition>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Ends, with what else is in `commit`, every open condition of which `still` says no. For the
    /// start: what was true when the program stopped need not be true any more.
    pub async fn clear_conditions_except(
        &self,
        commit: Commit,
        still: impl Fn(&ConditionKey) -> bool + Send + Sync + 'static,
    ) -> Result<Committed, StoreError> {
        let _ = (commit, still);
        Err(StoreError::Closed)
    }
}
