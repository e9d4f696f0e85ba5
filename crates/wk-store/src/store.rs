//! The store's door: opening it, writing to it, reading from it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::Connection;
use wk_model::{Signal, SignalKind, Unit};
use wk_runtime::Metrics;

use crate::apply::apply;
use crate::lock::DirectoryLock;
use crate::outbox::forget_takers;
use crate::readers::Readers;
use crate::schema::{MIGRATIONS, open_beside, open_for_writing};
use crate::writer::Writer;
use crate::{Commit, Committed, OpenStore, StoreError};

pub(crate) static TRANSACTION_SECONDS: Signal = Signal {
    name: "wk_store_transaction_seconds",
    kind: SignalKind::Histogram(&[
        0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    ]),
    unit: Unit::Seconds,
    labels: &[],
    help: "Time until a transaction of the store is durable",
};
pub(crate) static WRITES: Signal = Signal {
    name: "wk_store_writes_total",
    kind: SignalKind::Counter,
    unit: Unit::Count,
    labels: &["outcome"],
    help: "Writes to the store, stored or failed",
};
pub(crate) static QUEUED_WRITES: Signal = Signal {
    name: "wk_store_queued_writes",
    kind: SignalKind::Gauge,
    unit: Unit::Count,
    labels: &[],
    help: "Writes that wait for the store",
};

/// The store's own metrics.
pub const SIGNALS: [&Signal; 3] = [&TRANSACTION_SECONDS, &WRITES, &QUEUED_WRITES];

/// The store. Clones share it. When the last one goes, what was asked to be written is written and
/// the data directory is free again.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    // Dropped in this order: readers first, so that the writer is the last to close the database
    // and folds the write-ahead log into it; the lock at the very end.
    readers: Option<Readers>,
    writer: Option<Writer>,
    thread: Option<JoinHandle<()>>,
    lock: Option<DirectoryLock>,
}

impl Store {
    /// Opens the store in the directory `dir`, making or upgrading it where needed. Blocks the
    /// thread for a moment: call it before the work begins.
    pub fn open(dir: &Path, metrics: &Metrics) -> Result<Store, OpenStore> {
        Store::open_with(dir, metrics, |_| Ok(()))
    }

    /// Opens the store in `dir` for reading, also while another process works on it.
    pub fn open_read_only(dir: &Path) -> Result<Store, OpenStore> {
        let path = database_file(dir);
        let readers = Some(Readers::open(&path)?);
        Ok(Store(Arc::new(Inner { path, readers, writer: None, thread: None, lock: None })))
    }

    /// Opens the store in `dir` for a few writes, also while another process works on it: SQLite
    /// lets writers take turns, and the other one sees what was written when it reads next. Without
    /// a store, or with one of an older schema, it is made or upgraded, for which nobody else may
    /// work on it.
    pub fn open_beside(dir: &Path, metrics: &Metrics) -> Result<Store, OpenStore> {
        let path = database_file(dir);
        match open_beside(&path) {
            // Holds no lock: a server that starts meanwhile must not be kept from it.
            Ok(connection) => Store::assemble(dir, connection, None, metrics),
            Err(OpenStore::Missing(_) | OpenStore::Older { .. }) => Store::open(dir, metrics),
            Err(error) => Err(error),
        }
    }

    /// The same as `open`, with a hand on the writer's connection.
    pub(crate) fn open_with(
        dir: &Path,
        metrics: &Metrics,
        prepare: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<Store, OpenStore> {
        let lock = DirectoryLock::take(dir)?;
        let path = database_file(dir);
        let failed = |source| OpenStore::Database { path: path.clone(), source };
        let connection = open_for_writing(&path, &MIGRATIONS)?;
        forget_takers(&connection).map_err(failed)?;
        prepare(&connection).map_err(failed)?;
        Store::assemble(dir, connection, Some(lock), metrics)
    }

    fn assemble(
        dir: &Path,
        connection: Connection,
        lock: Option<DirectoryLock>,
        metrics: &Metrics,
    ) -> Result<Store, OpenStore> {
        let path = database_file(dir);
        let readers = Readers::open(&path)?;
        let (writer, thread) = Writer::start(connection, metrics)
            .map_err(|source| OpenStore::Directory { path: dir.to_owned(), source })?;
        Ok(Store(Arc::new(Inner {
            path,
            readers: Some(readers),
            writer: Some(writer),
            thread: Some(thread),
            lock,
        })))
    }

    /// Stores a batch: all of it, durably, or nothing. Waits while too many writes wait. Once this
    /// was polled the batch may be stored even if nobody waits for the answer.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        self.write(move |connection| apply(connection, &commit)).await
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let writer = self.0.writer.as_ref().ok_or(StoreError::ReadOnly)?;
        writer.write(work).await
    }

    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.0.readers.as_ref().expect("readers live as long as the store").read(query).await
    }

    /// How many writes wait.
    pub(crate) fn waiting_writes(&self) -> usize {
        self.0.writer.as_ref().map_or(0, Writer::waiting)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.readers.take());
        drop(self.writer.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
        drop(self.lock.take());
    }
}

fn database_file(dir: &Path) -> PathBuf {
    dir.join("watchkeeper.db")
}
