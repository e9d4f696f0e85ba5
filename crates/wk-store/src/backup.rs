//! Looking after the database: backup, integrity, size, and forgetting what is too old.

use std::path::Path;

use wk_model::Timestamp;

use crate::{Store, StoreError};

/// How large the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStats {
    /// Size of the database file in bytes.
    pub database_bytes: u64,
    /// Size of the write-ahead log in bytes.
    pub wal_bytes: u64,
    /// Number of the schema.
    pub schema: u32,
    /// Tables and their number of rows, by name.
    pub rows: Vec<(String, u64)>,
    /// Writes that wait for the writer.
    pub queued_writes: usize,
}

/// What is too old to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Delivered and dropped rows that were settled before this time go, unless a retraction or a
    /// resolution may still have to follow them.
    pub deliveries_before: Option<Timestamp>,
    /// Retracted and resolved findings that changed before this time go, with their deliveries,
    /// unless one of those is still due or dead. Active findings stay.
    pub findings_before: Option<Timestamp>,
}

impl Store {
    /// Copies the store as it is now into the new file `to`, while work goes on. The file appears
    /// under its name when it is complete.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let _ = to;
        Err(StoreError::Closed)
    }

    /// Checks the database from end to end; the faults found, none when it is sound.
    pub async fn check_integrity(&self) -> Result<Vec<String>, StoreError> {
        Err(StoreError::Closed)
    }

    /// How large the store is.
    pub async fn stats(&self) -> Result<StoreStats, StoreError> {
        Err(StoreError::Closed)
    }

    /// Removes what is too old. Returns the number of rows removed.
    pub async fn prune(&self, retention: Retention) -> Result<u64, StoreError> {
        let _ = retention;
        Err(StoreError::Closed)
    }
}
