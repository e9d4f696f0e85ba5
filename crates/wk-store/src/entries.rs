//! What rules remember, tied to blocks.

use wk_model::{BlockTime, ChainName, WindowEntry};

use crate::{Store, StoreError};

impl Store {
    /// Everything that rules remember, oldest block first.
    pub async fn entries(&self) -> Result<Vec<WindowEntry>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Forgets what `rule` remembers of `chain` from before `before`. Of what was read from state,
    /// the newest entry of each window stays, so that there is a previous value to compare with;
    /// starts stay. Returns the number of entries forgotten.
    pub async fn prune_entries(
        &self,
        chain: &ChainName,
        rule: &str,
        before: BlockTime,
    ) -> Result<u64, StoreError> {
        let _ = (chain, rule, before);
        Err(StoreError::Closed)
    }

    /// Forgets what rules other than these remember. Returns the number of entries forgotten.
    pub async fn keep_rules(&self, rules: Vec<String>) -> Result<u64, StoreError> {
        let _ = rules;
        Err(StoreError::Closed)
    }
}
