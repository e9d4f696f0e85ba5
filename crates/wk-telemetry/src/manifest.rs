//! Which files there are. One transaction per change: a crash leaves the old set or the new one.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, params};
use wk_model::series::{Metadata, MetricKind};

use crate::block::BlockInfo;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS state (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        wal_floor INTEGER NOT NULL,
        next_block INTEGER NOT NULL
    ) STRICT;
    INSERT OR IGNORE INTO state VALUES (1, 0, 1);
    CREATE TABLE IF NOT EXISTS block (
        id INTEGER PRIMARY KEY,
        signal TEXT NOT NULL,
        level INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        series INTEGER NOT NULL,
        samples INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS metadata (
        metric TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        help TEXT NOT NULL,
        unit TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
";
/// What the blocks of this store hold; logs and spans get names of their own.
const SAMPLES: &str = "samples";

/// The manifest, open for one process.
#[derive(Debug)]
pub(crate) struct Manifest(Connection);

/// What it tells at the start.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Segments of the log below this are in files.
    pub(crate) wal_floor: u64,
    pub(crate) blocks: Vec<BlockInfo>,
    pub(crate) metadata: HashMap<String, Metadata>,
}

/// A change of the set of files.
#[derive(Debug, Default)]
pub(crate) struct Change<'a> {
    pub(crate) added: Option<&'a BlockInfo>,
    pub(crate) removed: &'a [u64],
    pub(crate) wal_floor: Option<u64>,
    pub(crate) metadata: Option<&'a HashMap<String, Metadata>>,
}

impl Manifest {
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Manifest> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Manifest(connection))
    }

    pub(crate) fn known(&self) -> rusqlite::Result<Known> {
        let wal_floor: i64 = self.0.query_row("SELECT wal_floor FROM state", [], |r| r.get(0))?;
        let mut blocks = self.0.prepare(
            "SELECT id, level, first, last, series, samples, bytes FROM block
             WHERE signal = ? ORDER BY id",
        )?;
        let blocks = blocks.query_map([SAMPLES], |row| {
            let number = |at| row.get(at).map(i64::cast_unsigned);
            Ok(BlockInfo {
                id: number(0)?,
                level: row.get(1)?,
                first: row.get(2)?,
                last: row.get(3)?,
                series: number(4)?,
                samples: number(5)?,
                bytes: number(6)?,
            })
        })?;
        let blocks = blocks.collect::<rusqlite::Result<_>>()?;
        let mut metadata = self.0.prepare("SELECT metric, kind, help, unit FROM metadata")?;
        let metadata = metadata.query_map([], |row| {
            let kind = MetricKind::from_name(&row.get::<_, String>(1)?);
            Ok((row.get(0)?, Metadata { kind, help: row.get(2)?, unit: row.get(3)? }))
        })?;
        let metadata = metadata.collect::<rusqlite::Result<_>>()?;
        Ok(Known { wal_floor: wal_floor.cast_unsigned(), blocks, metadata })
    }

    /// A number for a new block that no block ever had.
    pub(crate) fn next_block(&mut self) -> rusqlite::Result<u64> {
        let sql = "UPDATE state SET next_block = next_block + 1 RETURNING next_block - 1";
        self.0.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
    }

    pub(crate) fn apply(&mut self, change: &Change<'_>) -> rusqlite::Result<()> {
        let transaction = self.0.transaction()?;
        if let Some(block) = change.added {
            let numbers = [block.series, block.samples, block.bytes].map(u64::cast_signed);
            transaction.execute(
                "INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    block.id.cast_signed(),
                    SAMPLES,
                    block.level,
                    block.first,
                    block.last,
                    numbers[0],
                    numbers[1],
                    numbers[2],
                ],
            )?;
        }
        for id in change.removed {
            transaction.execute("DELETE FROM block WHERE id = ?", [id.cast_signed()])?;
        }
        if let Some(floor) = change.wal_floor {
            transaction.execute("UPDATE state SET wal_floor = ?", [floor.cast_signed()])?;
        }
        for (metric, Metadata { kind, help, unit }) in change.metadata.into_iter().flatten() {
            transaction.execute(
                "INSERT OR REPLACE INTO metadata VALUES (?, ?, ?, ?)",
                params![metric, kind.name(), help, unit],
            )?;
        }
        transaction.commit()
    }
}
