//! Everything that must not be lost or doubled: one SQLite database, one transaction per batch.
