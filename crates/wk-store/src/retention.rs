//! Forgetting what is too old, in small steps beside the ordinary work, and giving the space back.

use rusqlite::{Connection, params};
use wk_model::{ChainName, Height, Timestamp};

use crate::sql::{Db, change, rows};
use crate::{Store, StoreError, coverage, upgrades};

/// Rows that one transaction removes: few enough to keep no block waiting.
const ROWS: u64 = 500;
/// Free pages that one transaction gives back: 4 MiB.
const PAGES: u64 = 1_024;
/// Free pages are kept for what comes next, up to one in so many.
const SPARE: u64 = 16;

/// What is too old to keep. What correctness needs stays, however old: blocks that can still be
/// reverted, deliveries that are still due, open conditions, holes, and what rules remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Delivered and dropped rows that were settled before this time go, unless a retraction or a
    /// resolution may still have to follow them.
    pub deliveries_before: Option<Timestamp>,
    /// Deliveries that were given up before this time go, with the same exception.
    pub dead_letters_before: Option<Timestamp>,
    /// Findings that changed before this time go, with their deliveries: those that were retracted
    /// or resolved, and those whose block is final. Those of open conditions stay, and those of
    /// which a delivery is due or dead.
    pub findings_before: Option<Timestamp>,
}

/// A delivery after which nothing can follow: nobody has to be told that its finding is over.
const LAST_WORD: &str = "NOT EXISTS (SELECT 1 FROM conditions
        WHERE conditions.finding = outbox.finding AND open = 1)
    AND NOT EXISTS (SELECT 1 FROM findings JOIN chains ON chains.chain = findings.chain
        WHERE findings.id = outbox.finding AND findings.status = 'active'
          AND findings.height > coalesce(chains.finalized_height, -1))";

/// A finding that nothing can change any more and that nobody has to be told of.
const CLOSED: &str = "(status IN ('retracted', 'resolved') OR (status = 'active'
        AND (height IS NULL OR height <= (SELECT finalized_height FROM chains
            WHERE chains.chain = findings.chain))))
    AND NOT EXISTS (SELECT 1 FROM conditions
        WHERE conditions.finding = findings.id AND open = 1)
    AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.finding = findings.id
        AND (state IN ('due', 'dead') OR under_way = 1))";

impl Store {
    /// Removes what is too old, folds old coverage together, and gives free space back to the file
    /// system. Returns the number of rows saved.
    pub async fn prune(&self, retention: Retention) -> Result<u64, StoreError> {
        let Retention { deliveries_before, dead_letters_before, findings_before } = retention;
        let mut removed = 0;
        if let Some(before) = deliveries_before {
            // Who was told of a finding is known from these rows. It is needed as long as the
            // finding can still be retracted or resolved.
            let sql = format!(
                "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox
                     WHERE state IN ('delivered', 'dropped') AND under_way = 0
                       AND settled_at < ?1 AND {LAST_WORD} ORDER BY settled_at LIMIT {ROWS})"
            );
            removed += self.remove(sql, before).await?;
        }
        if let Some(before) = dead_letters_before {
            let sql = format!(
                "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox
                     WHERE state = 'dead' AND under_way = 0 AND settled_at < ?1 AND {LAST_WORD}
                     LIMIT {ROWS})"
            );
            removed += self.remove(sql, before).await?;
        }
        if let Some(before) = findings_before {
            let sql = format!(
                "DELETE FROM findings WHERE seq IN (SELECT seq FROM findings
                     WHERE changed_at < ?1 AND {CLOSED} ORDER BY changed_at LIMIT {ROWS})"
            );
            removed += self.remove(sql, before).await?;
            // How often a condition began is kept as long as a finding of it is: their names must
            // not come twice.
            let sql = "DELETE FROM conditions
                       WHERE open = 0 AND finding IS NULL AND cleared_at < ?1";
            removed += self.write(move |c| change(c, sql, [Db(before)])).await?;
            let sql = "DELETE FROM rule_errors WHERE last_at < ?1";
            removed += self.write(move |c| change(c, sql, [Db(before)])).await?;
        }
        removed += self.write(upgrades::prune).await?;
        removed += self.write(compact_coverage).await?;
        while self.write(give_back).await? > 0 {}
        Ok(removed)
    }

    /// Runs a deletion of a few rows until nothing is left to delete.
    async fn remove(&self, sql: String, before: Timestamp) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let sql = sql.clone();
            let step = self.write(move |c| change(c, &sql, params![Db(before)])).await?;
            removed += step;
            if step < ROWS {
                return Ok(removed);
            }
        }
    }
}

fn compact_coverage(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT chain, min(height) FROM blocks GROUP BY chain";
    let chains = rows(connection, sql, [], |row| {
        Ok((row.get::<_, Db<ChainName>>(0)?.0, row.get::<_, Db<Height>>(1)?.0))
    })?;
    let mut removed = 0;
    for (chain, oldest) in chains {
        removed += coverage::compact(connection, &chain, oldest)?;
    }
    Ok(removed)
}

/// Gives some free pages back; their number.
fn give_back(connection: &Connection) -> Result<u64, StoreError> {
    let number = |name: &str| {
        connection.pragma_query_value(None, name, |row| Ok(row.get::<_, Db<u64>>(0)?.0))
    };
    let spare = number("page_count")? / SPARE;
    let surplus = number("freelist_count")?.saturating_sub(spare).min(PAGES);
    if surplus == 0 || number("auto_vacuum")? == 0 {
        return Ok(0);
    }
    // One row per page: not reading them all would stop half way.
    rows(connection, &format!("PRAGMA incremental_vacuum({surplus})"), [], |_| Ok(()))?;
    Ok(surplus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::first;

    #[tokio::test]
    async fn a_file_of_the_first_release_learns_to_shrink() {
        let dir = tempfile::tempdir().unwrap();
        let old = Connection::open(dir.path().join("watchkeeper.db")).unwrap();
        old.execute_batch(include_str!("../migrations/0001_spine.sql")).unwrap();
        old.execute_batch("PRAGMA application_id = 0x574b5052; PRAGMA user_version = 1").unwrap();
        drop(old);
        let store = Store::open(dir.path(), &wk_runtime::Metrics::new()).unwrap();
        let mode = store.read(|connection| {
            first(connection, "PRAGMA auto_vacuum", [], |row| row.get::<_, u32>(0))
        });
        assert_eq!(mode.await.unwrap(), Some(2));
    }
}
