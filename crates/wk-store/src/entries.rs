//! What rules remember, tied to blocks.

use alloy_primitives::B256;
use rusqlite::{Connection, Row, params};
use wk_model::{BlockRef, BlockTime, ChainName, EntryKind, Height, WindowEntry, WindowKey};

use crate::sql::{Db, change, rows};
use crate::{Store, StoreError};

impl Store {
    /// Everything that rules remember, oldest block first.
    pub async fn entries(&self) -> Result<Vec<WindowEntry>, StoreError> {
        let stored = self
            .read(|connection| {
                let sql = "SELECT * FROM window_entries
                           ORDER BY chain, height, rule, key, block_hash, kind, ordinal";
                rows(connection, sql, [], read_entry)
            })
            .await?;
        stored
            .into_iter()
            .map(|(mut entry, value)| {
                entry.value = serde_json::from_str(&value)
                    .map_err(|error| StoreError::Damaged(format!("window entry: {error}")))?;
                Ok(entry)
            })
            .collect()
    }

    /// Forgets what `rule` remembers of `chain` from before `before`. Of what was read from state,
    /// the newest entry of each window stays, so that there is a previous value to compare with;
    /// starts stay. Returns the number of entries forgotten.
    pub async fn prune_entries(
        &self,
        chain: &ChainName,
        rule: &str,
        before: BlockTime,
    ) -> Result<u64, StoreError> {
        let (chain, rule) = (chain.clone(), rule.to_owned());
        self.write(move |connection| {
            let sql = "DELETE FROM window_entries AS own
                       WHERE rule = ?1 AND chain = ?2 AND time < ?3 AND (kind = 'match' OR (
                           kind = 'state' AND EXISTS (
                               SELECT 1 FROM window_entries AS later
                               WHERE later.rule = ?1 AND later.chain = ?2 AND later.key = own.key
                                 AND later.kind = 'state' AND later.time < ?3
                                 AND (later.height, later.ordinal) > (own.height, own.ordinal))))";
            change(connection, sql, params![rule, Db(chain.clone()), Db(before)])
        })
        .await
    }

    /// Forgets what rules other than these remember. Returns the number of entries forgotten.
    pub async fn keep_rules(&self, rules: Vec<String>) -> Result<u64, StoreError> {
        self.write(move |connection| {
            let known = rows(connection, "SELECT DISTINCT rule FROM window_entries", [], |row| {
                row.get::<_, String>(0)
            })?;
            let mut forgotten = 0;
            for rule in known.iter().filter(|rule| !rules.contains(rule)) {
                forgotten +=
                    change(connection, "DELETE FROM window_entries WHERE rule = ?", [rule])?;
            }
            Ok(forgotten)
        })
        .await
    }
}

/// Writes entries down; one that is there already is replaced.
pub(crate) fn remember(connection: &Connection, entries: &[WindowEntry]) -> Result<(), StoreError> {
    for WindowEntry { window, block, time, ordinal, kind, value } in entries {
        let sql = "INSERT INTO window_entries
                       (rule, chain, key, height, block_hash, ordinal, time, kind, value)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                   ON CONFLICT (rule, chain, key, block_hash, kind, ordinal) DO UPDATE SET
                       height = ?4, time = ?7, value = ?9";
        let params = params![
            window.rule,
            Db(window.chain.clone()),
            window.key,
            Db(block.height),
            Db(block.hash),
            Db(*ordinal),
            Db(*time),
            Db(*kind),
            value.to_string(),
        ];
        change(connection, sql, params)?;
    }
    Ok(())
}

/// Forgets what came from the block `hash`.
pub(crate) fn forget_block(
    connection: &Connection,
    chain: &ChainName,
    hash: B256,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM window_entries WHERE chain = ? AND block_hash = ?";
    change(connection, sql, params![Db(chain.clone()), Db(hash)])?;
    Ok(())
}

/// An entry whose value was not read yet, and that value.
fn read_entry(row: &Row<'_>) -> rusqlite::Result<(WindowEntry, String)> {
    let entry = WindowEntry {
        window: WindowKey {
            rule: row.get("rule")?,
            chain: row.get::<_, Db<ChainName>>("chain")?.0,
            key: row.get("key")?,
        },
        block: BlockRef {
            height: row.get::<_, Db<Height>>("height")?.0,
            hash: row.get::<_, Db<B256>>("block_hash")?.0,
        },
        time: row.get::<_, Db<BlockTime>>("time")?.0,
        ordinal: row.get::<_, Db<u64>>("ordinal")?.0,
        kind: row.get::<_, Db<EntryKind>>("kind")?.0,
        value: serde_json::Value::Null,
    };
    Ok((entry, row.get("value")?))
}
