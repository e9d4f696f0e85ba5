//! A few named values that belong to no table.

use crate::{Store, StoreError};

impl Store {
    /// The value stored under `key`.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let _ = key;
        Err(StoreError::Closed)
    }

    /// Stores `value` under `key`; none removes it.
    pub async fn set_meta(&self, key: &str, value: Option<String>) -> Result<(), StoreError> {
        let _ = (key, value);
        Err(StoreError::Closed)
    }
}
