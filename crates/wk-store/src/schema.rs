//! The database's schema: numbered SQL files, applied once each, in order.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::OpenStore;

/// Marks a database as one of Watchkeeper's: "WKPR".
const APPLICATION_ID: i32 = 0x574b_5052;

/// The schema's steps. What was released is never changed: a new step is a new file.
pub(crate) const MIGRATIONS: [&str; 5] = [
    include_str!("../migrations/0001_spine.sql"),
    include_str!("../migrations/0002_retention.sql"),
    include_str!("../migrations/0003_upgrades.sql"),
    include_str!("../migrations/0004_inspections.sql"),
    include_str!("../migrations/0005_usage.sql"),
];

/// The number of the schema that these steps lead to.
fn newest(migrations: &[&str]) -> u32 {
    u32::try_from(migrations.len()).expect("migrations are few")
}

/// Opens the database for the writer, making or upgrading it with `migrations`.
pub(crate) fn open_for_writing(path: &Path, migrations: &[&str]) -> Result<Connection, OpenStore> {
    let failed = |source| database_error(path, source);
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
    let found = found_schema(&connection, path)?;
    let known = newest(migrations);
    if found > known {
        return Err(OpenStore::Newer { path: path.to_owned(), found, known });
    }
    set_up_writer(&connection).map_err(failed)?;
    migrate(&mut connection, found, migrations).map_err(failed)?;
    let vacuum = |row: &rusqlite::Row<'_>| row.get::<_, u32>(0);
    if connection.pragma_query_value(None, "auto_vacuum", vacuum).map_err(failed)? == 0 {
        // The file is from before free space was given back: rewritten once, it can be. Without
        // the room for that it only goes on to use its free space itself.
        if let Err(error) = connection.execute_batch("VACUUM") {
            tracing::warn!(%error, "the store could not be rewritten; its file will not shrink");
        }
    }
    Ok(connection)
}

/// Opens the database for a few writes beside the process that works on it. Neither makes nor
/// upgrades anything: its schema must be the current one.
pub(crate) fn open_beside(path: &Path) -> Result<Connection, OpenStore> {
    let connection = open_current(path)?;
    set_up_writer(&connection).map_err(|source| database_error(path, source))?;
    Ok(connection)
}

/// Opens the database for reading. Its schema must be the current one.
pub(crate) fn open_for_reading(path: &Path) -> Result<Connection, OpenStore> {
    let connection = open_current(path)?;
    let failed = |source| database_error(path, source);
    connection.pragma_update(None, "query_only", true).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Opens the database as it is, if its schema is the current one.
fn open_current(path: &Path) -> Result<Connection, OpenStore> {
    let failed = |source| database_error(path, source);
    if !path.exists() {
        return Err(OpenStore::Missing(path.to_owned()));
    }
    // Not read-only to the file system: a reader of a WAL database takes part in its shared memory.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
    let found = found_schema(&connection, path)?;
    let known = newest(&MIGRATIONS);
    if found > known {
        return Err(OpenStore::Newer { path: path.to_owned(), found, known });
    }
    if found < known {
        return Err(OpenStore::Older { path: path.to_owned(), found, known });
    }
    Ok(connection)
}

/// The number of the schema that the database has; 0 for an empty one.
fn found_schema(connection: &Connection, path: &Path) -> Result<u32, OpenStore> {
    let failed = |source| database_error(path, source);
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application = number("application_id").map_err(failed)?;
    let version = number("user_version").map_err(failed)?;
    let objects: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    match (application, u32::try_from(version)) {
        (APPLICATION_ID, Ok(version)) => Ok(version),
        (0, Ok(0)) if objects == 0 => Ok(0),
        _ => Err(OpenStore::Foreign(path.to_owned())),
    }
}

fn set_up_writer(connection: &Connection) -> rusqlite::Result<()> {
    // Free pages can be given back. Must come before the first page of a new file is written.
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        // Without WAL readers would block the writer. Only odd file systems refuse it.
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(format!("the file system allows journal mode {mode} only, not wal")),
        ));
    }
    // A commit that was answered survives a power cut.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    // A log that grew under a long read shrinks again afterwards.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

fn migrate(connection: &mut Connection, found: u32, migrations: &[&str]) -> rusqlite::Result<()> {
    for (number, sql) in (1u32..).zip(migrations).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
        tracing::info!(schema = number, "store upgraded");
    }
    Ok(())
}

fn database_error(path: &Path, source: rusqlite::Error) -> OpenStore {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenStore::Foreign(path.to_owned()),
        _ => OpenStore::Database { path: path.to_owned(), source },
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    const FIRST: &str = "CREATE TABLE a (x INTEGER NOT NULL) STRICT;";
    const SECOND: &str = "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 7;";
    const BROKEN: &str = "CREATE TABLE b (x INTEGER) STRICT; CREATE TABLE a (x INTEGER) STRICT;";

    #[test]
    fn each_step_is_applied_once_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let open = |migrations: &[&str]| open_for_writing(&path, migrations);
        open(&[FIRST]).unwrap().execute("INSERT INTO a (x) VALUES (1)", []).unwrap();

        assert!(matches!(open(&[FIRST, BROKEN]), Err(OpenStore::Database { .. })));
        let upgraded = open(&[FIRST, SECOND]).unwrap();
        let row = upgraded.query_row("SELECT x, y FROM a", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        });
        assert_eq!(row.unwrap(), (1, 7));
        drop(upgraded);
        drop(open(&[FIRST, SECOND]).unwrap());

        let newer = open(&[FIRST]).unwrap_err();
        assert!(matches!(newer, OpenStore::Newer { found: 2, known: 1, .. }), "{newer}");
        assert!(newer.to_string().contains("run a newer watchkeeper"), "{newer}");
    }

    #[test]
    fn other_files_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch(FIRST).unwrap();
        let text = dir.path().join("text.db");
        std::fs::write(&text, "no database, but long enough to look like one ".repeat(100))
            .unwrap();
        for path in [other, text] {
            let before = std::fs::read(&path).unwrap();
            let error = open_for_writing(&path, &MIGRATIONS).unwrap_err();
            assert!(matches!(error, OpenStore::Foreign(_)), "{error} {:?}", error.source());
            assert!(matches!(open_for_reading(&path), Err(OpenStore::Foreign(_))));
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
    }

    #[test]
    fn commits_are_durable_when_they_are_answered() {
        let dir = tempfile::tempdir().unwrap();
        let connection = open_for_writing(&dir.path().join("a.db"), &MIGRATIONS).unwrap();
        let pragma = |name: &str| {
            connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
        };
        assert_eq!(pragma("journal_mode").unwrap(), "wal".to_owned().into());
        assert_eq!(pragma("synchronous").unwrap(), 2.into());
        assert_eq!(pragma("foreign_keys").unwrap(), 1.into());
        assert_eq!(pragma("application_id").unwrap(), i64::from(APPLICATION_ID).into());
    }
}
