//! A few connections for reading, beside the one that writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::schema::open_for_reading;
use crate::{OpenStore, StoreError};

/// How many reads run at once.
const READERS: usize = 4;

/// Connections for reading. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
}

impl Readers {
    /// Readers of the database at `path`; the first connection is made at once.
    pub(crate) fn open(path: &Path) -> Result<Readers, OpenStore> {
        let first = open_for_reading(path)?;
        Ok(Readers {
            path: Arc::new(path.to_owned()),
            idle: Arc::new(Mutex::new(vec![first])),
            places: Arc::new(Semaphore::new(READERS)),
        })
    }

    /// Asks the database as it is now; all of one query sees the same state.
    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| StoreError::Closed)?;
        let readers = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _place = place;
            readers.run(query)
        });
        match task.await {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(StoreError::Closed),
        }
    }

    /// The same, on this thread.
    pub(crate) fn run<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_for_reading(&self.path).map_err(|error| match error {
                OpenStore::Database { source, .. } => source.into(),
                other => StoreError::Damaged(other.to_string()),
            })?,
        };
        let transaction = connection.unchecked_transaction()?;
        let answer = query(&transaction)?;
        drop(transaction);
        self.idle.lock().push(connection);
        Ok(answer)
    }
}
