//! A few named values that belong to no table.

use rusqlite::params;

use crate::sql::{change, first};
use crate::{Store, StoreError};

impl Store {
    /// The value stored under `key`.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let key = key.to_owned();
        self.read(move |connection| {
            first(connection, "SELECT value FROM meta WHERE key = ?", [key], |row| row.get(0))
        })
        .await
    }

    /// Stores `value` under `key`; none removes it.
    pub async fn set_meta(&self, key: &str, value: Option<String>) -> Result<(), StoreError> {
        let key = key.to_owned();
        self.write(move |connection| {
            match &value {
                Some(value) => {
                    let sql = "INSERT INTO meta (key, value) VALUES (?, ?)
                               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
                    change(connection, sql, params![key, value])?;
                }
                None => {
                    change(connection, "DELETE FROM meta WHERE key = ?", [&key])?;
                }
            }
            Ok(())
        })
        .await
    }
}
