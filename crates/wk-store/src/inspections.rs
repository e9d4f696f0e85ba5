//! Which blocks' transactions are still to be inspected, and how the others were.

use alloy_primitives::B256;
use rusqlite::{Connection, Row, params};
use wk_model::{BlockLink, BlockRef, BlockTime, ChainName, Finding, Height, Timestamp};

use crate::apply::Batch;
use crate::sql::{Db, change, first, rows};
use crate::{ContractUse, Store, StoreError, findings, usage};

/// A block whose transactions are to be inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uninspected {
    /// The block, its parent and its time.
    pub link: BlockLink,
    /// Number of its transactions.
    pub transactions: u64,
}

/// A block that waits for its inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingInspection {
    /// The block.
    pub block: Uninspected,
    /// Since when it waits.
    pub since: Timestamp,
}

/// A block was inspected. When it does not wait for that any more, because it was reverted or
/// somebody else was faster, nothing of this is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// The block.
    pub block: BlockRef,
    /// What told of its transactions; [`SKIPPED`] when nothing did and nobody waits any more.
    pub source: String,
    /// What was found in them.
    pub findings: Vec<Finding>,
    /// What they did with watched contracts, to be learned once the block is finalized.
    pub uses: Vec<ContractUse>,
}

/// The source of blocks that were left out.
pub const SKIPPED: &str = "skipped";

/// What was inspected of a chain, in short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InspectionSummary {
    /// Number of blocks that wait.
    pub pending: u64,
    /// The lowest block that waits.
    pub lowest: Option<PendingInspection>,
    /// Since when the one waits that waits longest.
    pub waiting_since: Option<Timestamp>,
    /// How blocks were inspected so far, by source. A block that came back after a reorg counts
    /// again.
    pub sources: Vec<InspectedBy>,
}

/// Blocks that were inspected by one kind of source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedBy {
    /// The source, or [`SKIPPED`].
    pub source: String,
    /// Number of blocks.
    pub blocks: u64,
    /// Number of their transactions.
    pub transactions: u64,
    /// The highest of them.
    pub newest: Height,
    /// When that was last added to.
    pub changed_at: Timestamp,
}

impl Store {
    /// Blocks of `chain` that wait to be inspected, highest first, at most `limit`; only those
    /// below a height where one is given.
    pub async fn pending_inspections(
        &self,
        chain: &ChainName,
        below: Option<Height>,
        limit: u32,
    ) -> Result<Vec<PendingInspection>, StoreError> {
        let chain = chain.clone();
        self.read(move |connection| {
            let sql = "SELECT * FROM inspections WHERE chain = ?1 AND (?2 IS NULL OR height < ?2)
                       ORDER BY height DESC LIMIT ?3";
            rows(connection, sql, params![Db(chain), below.map(Db), limit], read_pending)
        })
        .await
    }

    /// What was inspected of `chain`, in short.
    pub async fn inspection_summary(
        &self,
        chain: &ChainName,
    ) -> Result<InspectionSummary, StoreError> {
        let chain = chain.clone();
        self.read(move |connection| {
            let sql = "SELECT count(*), min(since) FROM inspections WHERE chain = ?";
            let counted = first(connection, sql, [Db(chain.clone())], |row| {
                let since = row.get::<_, Option<Db<Timestamp>>>(1)?;
                Ok((row.get::<_, Db<u64>>(0)?.0, since.map(|since| since.0)))
            })?;
            let (pending, waiting_since) = counted.unwrap_or_default();
            let sql = "SELECT * FROM inspections WHERE chain = ? ORDER BY height LIMIT 1";
            let lowest = first(connection, sql, [Db(chain.clone())], read_pending)?;
            let sql = "SELECT * FROM inspected WHERE chain = ? ORDER BY source";
            let sources = rows(connection, sql, [Db(chain)], |row| {
                Ok(InspectedBy {
                    source: row.get("source")?,
                    blocks: row.get::<_, Db<u64>>("blocks")?.0,
                    transactions: row.get::<_, Db<u64>>("transactions")?.0,
                    newest: row.get::<_, Db<Height>>("newest")?.0,
                    changed_at: row.get::<_, Db<Timestamp>>("changed_at")?.0,
                })
            })?;
            Ok(InspectionSummary { pending, lowest, waiting_since, sources })
        })
        .await
    }
}

/// From now on these blocks wait to be inspected.
pub(crate) fn wait(
    connection: &Connection,
    chain: &ChainName,
    blocks: &[Uninspected],
    at: Timestamp,
) -> Result<(), StoreError> {
    for Uninspected { link, transactions } in blocks {
        let sql = "INSERT INTO inspections (chain, height, hash, parent, time, transactions, since)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                   ON CONFLICT (chain, height) DO UPDATE SET hash = ?3, parent = ?4, time = ?5,
                       transactions = ?6, since = ?7";
        let params = params![
            Db(chain.clone()),
            Db(link.block.height),
            Db(link.block.hash),
            Db(link.parent),
            Db(link.time),
            Db(*transactions),
            Db(at)
        ];
        change(connection, sql, params)?;
    }
    Ok(())
}

/// Blocks were inspected: what was found counts, unless they do not wait for it any more.
pub(crate) fn done(
    batch: &mut Batch<'_>,
    chain: &ChainName,
    inspected: &[Inspected],
) -> Result<(), StoreError> {
    for Inspected { block, source, findings, uses } in inspected {
        let sql =
            "SELECT transactions FROM inspections WHERE chain = ? AND height = ? AND hash = ?";
        let same = params![Db(chain.clone()), Db(block.height), Db(block.hash)];
        let waits = first(batch.connection, sql, same, |row| Ok(row.get::<_, Db<u64>>(0)?.0))?;
        let Some(transactions) = waits else { continue };
        forget_block(batch.connection, chain, block)?;
        let sql = "INSERT INTO inspected (chain, source, blocks, transactions, newest, changed_at)
                   VALUES (?1, ?2, 1, ?3, ?4, ?5)
                   ON CONFLICT (chain, source) DO UPDATE SET blocks = blocks + 1,
                       transactions = transactions + ?3, newest = max(newest, ?4), changed_at = ?5";
        let params =
            params![Db(chain.clone()), source, Db(transactions), Db(block.height), Db(batch.at)];
        change(batch.connection, sql, params)?;
        usage::wait(batch.connection, chain, block, uses)?;
        for finding in findings {
            findings::find(batch, finding)?;
        }
    }
    Ok(())
}

/// The block does not wait any more.
pub(crate) fn forget_block(
    connection: &Connection,
    chain: &ChainName,
    block: &BlockRef,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM inspections WHERE chain = ? AND height = ? AND hash = ?";
    change(connection, sql, params![Db(chain.clone()), Db(block.height), Db(block.hash)])?;
    Ok(())
}

fn read_pending(row: &Row<'_>) -> rusqlite::Result<PendingInspection> {
    let link = BlockLink {
        block: BlockRef {
            height: row.get::<_, Db<Height>>("height")?.0,
            hash: row.get::<_, Db<B256>>("hash")?.0,
        },
        parent: row.get::<_, Db<B256>>("parent")?.0,
        time: row.get::<_, Db<BlockTime>>("time")?.0,
    };
    let transactions = row.get::<_, Db<u64>>("transactions")?.0;
    let since = row.get::<_, Db<Timestamp>>("since")?.0;
    Ok(PendingInspection { block: Uninspected { link, transactions }, since })
}
