//! The store's door: opening, writing a batch, reading.

use std::path::Path;

use wk_model::{ChainName, Signal};
use wk_runtime::Metrics;

use crate::{Commit, Committed, OpenStore, ResumePoint, StoreError};

/// The store's own metrics.
pub const SIGNALS: [&Signal; 0] = [];

/// The store. Clones share it; the last one to go closes it.
#[derive(Clone, Debug)]
pub struct Store {}

impl Store {
    /// Opens the store in `dir`, making or upgrading it where needed. Blocks the thread: call it
    /// before the work begins.
    pub fn open(dir: &Path, metrics: &Metrics) -> Result<Store, OpenStore> {
        let _ = metrics;
        Err(OpenStore::Missing(dir.to_owned()))
    }

    /// Opens the store in `dir` for reading beside a program that may be running on it.
    pub fn open_read_only(dir: &Path) -> Result<Store, OpenStore> {
        Err(OpenStore::Missing(dir.to_owned()))
    }

    /// Stores a batch: all of it, durably, or nothing. Waits while the queue is full.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        drop(commit);
        Err(StoreError::Closed)
    }

    /// Where the follower of `chain` goes on.
    pub async fn resume(&self, chain: &ChainName) -> Result<ResumePoint, StoreError> {
        let _ = chain;
        Err(StoreError::Closed)
    }
}
