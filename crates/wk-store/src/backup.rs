//! Looking after the database: backup, integrity and size.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::sql::{Db, first, rows};
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

/// How much room the store takes on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSize {
    /// Size of the database file in bytes.
    pub database_bytes: u64,
    /// Size of the write-ahead log in bytes.
    pub wal_bytes: u64,
}

impl Store {
    /// Copies the store as it is now into the new file `to`, while work goes on. The file appears
    /// under its name when it is complete.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let to = to.to_owned();
        self.read(move |connection| back_up(connection, &to)).await
    }

    /// Checks the database from end to end; the faults found, none when it is sound.
    pub async fn check_integrity(&self) -> Result<Vec<String>, StoreError> {
        self.read(faults).await
    }

    /// How much room the store takes now.
    pub fn size(&self) -> StoreSize {
        size(self.path())
    }

    /// How large the store is. Counts every row: for people, not for a loop.
    pub async fn stats(&self) -> Result<StoreStats, StoreError> {
        let path = self.path().to_owned();
        let queued_writes = self.waiting_writes();
        self.read(move |connection| {
            let StoreSize { database_bytes, wal_bytes } = size(&path);
            let sql = "SELECT name FROM sqlite_schema
                       WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
            let tables = rows(connection, sql, [], |row| row.get::<_, String>(0))?;
            let mut counts = Vec::new();
            for table in tables {
                let sql = format!("SELECT count(*) FROM {table}");
                let count = first(connection, &sql, [], |row| Ok(row.get::<_, Db<u64>>(0)?.0))?;
                counts.push((table, count.unwrap_or_default()));
            }
            Ok(StoreStats {
                database_bytes,
                wal_bytes,
                schema: connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
                rows: counts,
                queued_writes,
            })
        })
        .await
    }
}

fn back_up(connection: &Connection, to: &Path) -> Result<(), StoreError> {
    let partial = beside(to, ".partial");
    let failed = |path: &Path, source: io::Error| StoreError::File {
        path: path.to_owned(),
        source: Arc::new(source),
    };
    if to.exists() {
        return Err(failed(to, io::ErrorKind::AlreadyExists.into()));
    }
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(&partial, error));
        }
        // What an earlier attempt left, or nothing.
        _ => {}
    }
    let outcome = copy(connection, &partial).and_then(|()| {
        File::open(&partial)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&partial, to))
            .map_err(|source| failed(to, source))
    });
    if outcome.is_err() {
        // The error tells what happened; a file that stays is removed by the next attempt.
        let _ = fs::remove_file(&partial);
    }
    outcome
}

/// One step copies one state of the store: writers go on meanwhile, in the write-ahead log.
fn copy(connection: &Connection, to: &Path) -> Result<(), StoreError> {
    let mut target = Connection::open(to)?;
    let step = Backup::new(connection, &mut target)?.step(-1)?;
    // A copy stands alone: one file, no log beside it.
    target.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))?;
    target.close().map_err(|(_, error)| error)?;
    match step {
        StepResult::Done => Ok(()),
        other => Err(StoreError::Damaged(format!("the backup ended early: {other:?}"))),
    }
}

/// Things that are never so in a sound store: SQL that finds them, and what to call them.
const NEVER: [(&str, &str); 7] = [
    (
        "a block that is not the child of the block below it",
        "SELECT above.chain || ' ' || above.height FROM blocks AS above JOIN blocks AS below
             ON below.chain = above.chain AND below.height = above.height - 1
         WHERE above.parent <> below.hash",
    ),
    (
        "coverage ranges that overlap",
        "SELECT a.chain || ' ' || b.from_height FROM coverage AS a JOIN coverage AS b
             ON b.chain = a.chain AND b.from_height > a.from_height
                AND b.from_height <= a.to_height",
    ),
    (
        "a kept block that coverage does not know as processed",
        "SELECT chain || ' ' || height FROM blocks WHERE NOT EXISTS (
             SELECT 1 FROM coverage WHERE coverage.chain = blocks.chain AND processed = 1
                AND height BETWEEN from_height AND to_height)",
    ),
    (
        "a finding about a block that was replaced",
        "SELECT findings.id FROM findings JOIN blocks USING (chain, height)
         WHERE findings.block_hash <> blocks.hash AND findings.status IN ('held', 'active')",
    ),
    (
        "a delivery of something that was retracted",
        "SELECT outbox.id FROM outbox JOIN findings ON findings.id = outbox.finding
         WHERE outbox.kind = 'found' AND outbox.state IN ('due', 'dead')
           AND (findings.status = 'retracted' OR findings.revision > outbox.revision)",
    ),
    (
        "a delivery of something that is held",
        "SELECT outbox.id FROM outbox JOIN findings ON findings.id = outbox.finding
         WHERE findings.status = 'held' AND outbox.revision = findings.revision",
    ),
    (
        "an open condition whose finding does not stand",
        "SELECT trouble || ' ' || conditions.asset FROM conditions
             LEFT JOIN findings ON findings.id = conditions.finding
         WHERE open = 1 AND findings.status IS NOT 'active'",
    ),
];

fn faults(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut faults = rows(connection, "PRAGMA integrity_check", [], |row| row.get::<_, String>(0))?;
    faults.retain(|line| line != "ok");
    faults.extend(rows(connection, "PRAGMA foreign_key_check", [], |row| {
        Ok(format!(
            "{} refers to a row of {} that is gone",
            row.get_ref(0)?.as_str()?,
            row.get_ref(2)?.as_str()?
        ))
    })?);
    for (name, sql) in NEVER {
        let found =
            rows(connection, &format!("SELECT CAST(({sql} LIMIT 1) AS TEXT)"), [], |row| {
                row.get::<_, Option<String>>(0)
            })?;
        faults.extend(found.into_iter().flatten().map(|place| format!("{name}: {place}")));
    }
    Ok(faults)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn size(path: &Path) -> StoreSize {
    let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    StoreSize { database_bytes: size(path), wal_bytes: size(&beside(path, "-wal")) }
}
