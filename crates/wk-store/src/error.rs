//! What can go wrong with the store, by what the caller can do about it.

use std::path::PathBuf;
use std::sync::Arc;

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenStore {
    /// The data directory cannot be made or used.
    #[error("cannot use the data directory `{}`", path.display())]
    Directory {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process works on this data directory.
    #[error(
        "the data directory `{}` is in use by process {pid}; stop it, or set another server.data_dir",
        path.display()
    )]
    Locked {
        /// Its path.
        path: PathBuf,
        /// The other process' id, or `unknown`.
        pid: String,
    },
    /// The file was written by a newer program.
    #[error(
        "the store `{}` has schema {found}, this program knows schemas up to {known}; \
         run a newer watchkeeper, or restore a backup made by this version",
        path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema that this program knows.
        known: u32,
    },
    /// The file has an older schema, and it was opened for reading only.
    #[error(
        "the store `{}` has schema {found}, this program needs {known}; \
         `watchkeeper run` upgrades it",
        path.display()
    )]
    Older {
        /// The database file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The schema that this program needs.
        known: u32,
    },
    /// There is no store to read.
    #[error("there is no store at `{}`; `watchkeeper run` makes one", .0.display())]
    Missing(PathBuf),
    /// The file is a database, but not one of Watchkeeper's.
    #[error("`{}` is not a store of watchkeeper", .0.display())]
    Foreign(PathBuf),
    /// The database answered with an error.
    #[error("cannot open the store `{}`", path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// Reading from or writing to the store failed. Nothing of the failed write was stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// No space is left. Writing works again when there is some.
    #[error("no space left on the disk of the store")]
    DiskFull,
    /// The disk or the database file failed.
    #[error("the store failed")]
    Database(#[source] Arc<rusqlite::Error>),
    /// A file beside the database could not be written or read.
    #[error("cannot write `{}`", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// What was to be written contradicts what is stored: a fault in the program, not of the disk.
    #[error("refused: {0}")]
    Refused(String),
    /// What is stored cannot be understood.
    #[error("the store holds a damaged row: {0}")]
    Damaged(String),
    /// The cursor of a page request is not one that a page gave.
    #[error("`{0}` is no cursor of this list; begin again without one")]
    Cursor(String),
    /// The store was opened for reading only.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        match error {
            rusqlite::Error::ToSqlConversionFailure(reason) => {
                StoreError::Refused(reason.to_string())
            }
            rusqlite::Error::FromSqlConversionFailure(column, _, reason) => {
                StoreError::Damaged(format!("column {column}: {reason}"))
            }
            error if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => {
                StoreError::DiskFull
            }
            error => StoreError::Database(Arc::new(error)),
        }
    }
}
