//! Chains and their recent blocks: where to go on after a stop, and what a reorg is measured by.

use alloy_primitives::B256;
use rusqlite::{Connection, Row, params};
use wk_model::{
    BlockLink, BlockRef, BlockTime, ChainName, Finality, Height, Intake, Timestamp, Verification,
};

use crate::page::{cut, page_size};
use crate::sql::{Db, Filter, change, first, rows};
use crate::{BlockCounts, Cursor, Page, SeenBlock, Store, StoreError, coverage};

/// How many links of a chain are kept at most, however far its finalized head is behind.
const MOST_LINKS: u64 = 100_000;

/// Where a follower goes on. Empty for a chain that was never looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResumePoint {
    /// Neighbouring blocks of the canonical chain, oldest first; the last one is the cursor.
    pub links: Vec<BlockLink>,
    /// What the rules saw of these blocks, and of older ones that are still kept: the digests, by
    /// height, lowest first.
    pub digests: Vec<(BlockRef, B256)>,
    /// The newest safe block.
    pub safe: Option<BlockRef>,
    /// The newest finalized block.
    pub finalized: Option<BlockRef>,
    /// Blocks that were not looked at yet, from–to inclusive, lowest first.
    pub holes: Vec<(Height, Height)>,
}

/// How far a chain was followed.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainRow {
    /// The chain.
    pub chain: ChainName,
    /// The newest block.
    pub newest: Option<BlockLink>,
    /// The newest safe block.
    pub safe: Option<BlockRef>,
    /// The newest finalized block.
    pub finalized: Option<BlockRef>,
    /// When something was last stored about it.
    pub changed_at: Timestamp,
}

/// Which blocks to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockQuery {
    /// Only this height and higher.
    pub from: Option<Height>,
    /// Only this height and lower.
    pub to: Option<Height>,
    /// Where to go on; none begins with the newest.
    pub cursor: Option<Cursor>,
    /// Rows per page; 0 means [`crate::DEFAULT_PAGE`].
    pub limit: u32,
}

/// A recent block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockRow {
    /// The block, its parent and its time.
    pub link: BlockLink,
    /// What is in it.
    pub counts: BlockCounts,
    /// Digest of the content that the rules saw.
    pub digest: B256,
    /// How settled it is now.
    pub finality: Finality,
    /// On which way it came in.
    pub intake: Intake,
    /// How far it was verified; none if coverage does not know it any more.
    pub verification: Option<Verification>,
    /// When it was stored.
    pub seen_at: Timestamp,
}

impl Store {
    /// Where the follower of `chain` goes on.
    pub async fn resume(&self, chain: &ChainName) -> Result<ResumePoint, StoreError> {
        let chain = chain.clone();
        self.read(move |connection| resume(connection, &chain)).await
    }

    /// All chains ever followed, by name.
    pub async fn chains(&self) -> Result<Vec<ChainRow>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT chain, safe_height, safe_hash, finalized_height, finalized_hash,
                              changed_at FROM chains ORDER BY chain";
            let mut chains = rows(connection, sql, [], |row| {
                let heads = read_heads(row)?;
                Ok(ChainRow {
                    chain: row.get::<_, Db<ChainName>>("chain")?.0,
                    newest: None,
                    safe: heads.safe,
                    finalized: heads.finalized,
                    changed_at: row.get::<_, Db<Timestamp>>("changed_at")?.0,
                })
            })?;
            for chain in &mut chains {
                chain.newest = newest(connection, &chain.chain)?;
            }
            Ok(chains)
        })
        .await
    }

    /// Recent blocks of `chain`, highest first.
    pub async fn blocks(
        &self,
        chain: &ChainName,
        query: BlockQuery,
    ) -> Result<Page<BlockRow>, StoreError> {
        let BlockQuery { from, to, cursor, limit } = query;
        let size = page_size(limit);
        let mut filter = Filter::default();
        filter.and("chain = ?", Db(chain.clone()))?;
        if let Some(from) = from {
            filter.and("height >= ?", Db(from))?;
        }
        if let Some(to) = to {
            filter.and("height <= ?", Db(to))?;
        }
        if let Some(cursor) = &cursor {
            filter.and("height < ?", cursor.key('b')?)?;
        }
        let sql = format!(
            "SELECT * FROM blocks {} ORDER BY height DESC LIMIT {}",
            filter.clause(),
            size + 1
        );
        let chain = chain.clone();
        let items = self
            .read(move |connection| {
                let heads = heads(connection, &chain)?;
                let mut blocks =
                    rows(connection, &sql, filter.params(), |row| read_block(row, &heads))?;
                for block in &mut blocks {
                    let height = block.link.block.height;
                    block.verification = coverage::verification_at(connection, &chain, height)?;
                }
                Ok(blocks)
            })
            .await?;
        Ok(cut(items, size, 'b', |row| i64::try_from(row.link.block.height.0).unwrap_or(i64::MAX)))
    }
}

/// The newest blocks of a chain that cannot, or can hardly, change any more.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heads {
    pub(crate) safe: Option<BlockRef>,
    pub(crate) finalized: Option<BlockRef>,
}

impl Heads {
    /// How settled the canonical block at `height` is.
    pub(crate) fn finality(&self, height: Height) -> Finality {
        let under = |head: Option<BlockRef>| head.is_some_and(|head| height <= head.height);
        if under(self.finalized) {
            Finality::Finalized
        } else if under(self.safe) {
            Finality::Safe
        } else {
            Finality::Seen
        }
    }
}

/// The heads of `chain`; none for a chain never followed.
pub(crate) fn heads(connection: &Connection, chain: &ChainName) -> Result<Heads, StoreError> {
    let sql = "SELECT safe_height, safe_hash, finalized_height, finalized_hash FROM chains
               WHERE chain = ?";
    Ok(first(connection, sql, [Db(chain.clone())], read_heads)?.unwrap_or_default())
}

/// Whether another block than `block` is known to stand at its height.
pub(crate) fn conflicts(
    connection: &Connection,
    chain: &ChainName,
    block: &BlockRef,
) -> Result<bool, StoreError> {
    Ok(hash_at(connection, chain, block.height)?.is_some_and(|hash| hash != block.hash))
}

/// Notes that something was stored about `chain`.
pub(crate) fn touch_chain(
    connection: &Connection,
    chain: &ChainName,
    at: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO chains (chain, changed_at) VALUES (?, ?)
               ON CONFLICT (chain) DO UPDATE SET changed_at = excluded.changed_at";
    change(connection, sql, params![Db(chain.clone()), Db(at)])?;
    Ok(())
}

/// The block is no longer part of the chain. Reverting what does not stand changes nothing.
pub(crate) fn revert(
    connection: &Connection,
    chain: &ChainName,
    link: &BlockLink,
) -> Result<(), StoreError> {
    let BlockRef { height, hash } = link.block;
    if conflicts(connection, chain, &link.block)? {
        return Ok(());
    }
    if hash_at(connection, chain, height)?.is_some()
        && let Some(newest) = newest(connection, chain)?
        && newest.block.height > height
    {
        return Err(StoreError::Refused(format!(
            "block {height} ({hash}) of {chain} cannot be reverted before block {}",
            newest.block
        )));
    }
    let sql = "DELETE FROM blocks WHERE chain = ? AND height = ?";
    change(connection, sql, params![Db(chain.clone()), Db(height)])?;
    coverage::uncover(connection, chain, height)?;

    // Heads at or above the block go down to its parent: what was under them was settled before.
    let parent = height.previous().map(|height| BlockRef { height, hash: link.parent });
    let (parent_height, parent_hash) =
        (parent.map(|parent| Db(parent.height)), parent.map(|parent| Db(parent.hash)));
    for head in ["safe", "finalized"] {
        let sql = format!(
            "UPDATE chains SET {head}_height = ?1, {head}_hash = ?2
             WHERE chain = ?3 AND {head}_height >= ?4"
        );
        change(
            connection,
            &sql,
            params![parent_height, parent_hash, Db(chain.clone()), Db(height)],
        )?;
    }
    Ok(())
}

/// Blocks were looked at.
pub(crate) fn see(
    connection: &Connection,
    chain: &ChainName,
    seen: &[SeenBlock],
    at: Timestamp,
) -> Result<(), StoreError> {
    for block in seen {
        see_one(connection, chain, block, at)?;
    }
    coverage::cover(connection, chain, seen)
}

fn see_one(
    connection: &Connection,
    chain: &ChainName,
    seen: &SeenBlock,
    at: Timestamp,
) -> Result<(), StoreError> {
    let SeenBlock { link, counts, digest, verification: _, intake } = seen;
    let BlockRef { height, hash } = link.block;
    match hash_at(connection, chain, height)? {
        Some(standing) if standing != hash => {
            return Err(StoreError::Refused(format!(
                "block {height} of {chain} is {standing}; it has to be reverted before {hash}"
            )));
        }
        Some(_) => {
            let sql = "UPDATE blocks SET transactions = ?, logs = ?, digest = ?
                       WHERE chain = ? AND height = ?";
            let params = params![
                Db(counts.transactions),
                Db(counts.logs),
                Db(*digest),
                Db(chain.clone()),
                Db(height)
            ];
            change(connection, sql, params)?;
            return Ok(());
        }
        None => {}
    }
    check_fit(connection, chain, link)?;
    if let Some(newest) = newest(connection, chain)? {
        if height > newest.block.height.next() {
            let to = Height(height.0 - 1);
            coverage::note_passed_over(connection, chain, newest.block.height.next(), to)?;
        }
        if height < oldest(connection, chain)? {
            // A hole is refilled below what is kept: only coverage needs to know.
            return Ok(());
        }
    }
    let sql = "INSERT INTO blocks (chain, height, hash, parent, time, transactions, logs, digest,
                                   intake, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let params = params![
        Db(chain.clone()),
        Db(height),
        Db(hash),
        Db(link.parent),
        Db(link.time),
        Db(counts.transactions),
        Db(counts.logs),
        Db(*digest),
        Db(*intake),
        Db(at)
    ];
    change(connection, sql, params)?;
    Ok(())
}

/// A block must be the child of the block below and the parent of the block above.
fn check_fit(
    connection: &Connection,
    chain: &ChainName,
    link: &BlockLink,
) -> Result<(), StoreError> {
    let BlockRef { height, hash } = link.block;
    let refuse = |neighbour: Height| {
        StoreError::Refused(format!(
            "block {height} ({hash}) of {chain} does not fit on its neighbour {neighbour}"
        ))
    };
    if let Some(below) = height.previous()
        && hash_at(connection, chain, below)?.is_some_and(|below| below != link.parent)
    {
        return Err(refuse(below));
    }
    let sql = "SELECT parent FROM blocks WHERE chain = ? AND height = ?";
    let above = params![Db(chain.clone()), Db(height.next())];
    let parent = first(connection, sql, above, |row| Ok(row.get::<_, Db<B256>>(0)?.0))?;
    if parent.is_some_and(|parent| parent != hash) {
        return Err(refuse(height.next()));
    }
    Ok(())
}

/// The newest safe block is `block`, if it is above the one known.
pub(crate) fn raise_safe(
    connection: &Connection,
    chain: &ChainName,
    block: &BlockRef,
) -> Result<(), StoreError> {
    let sql = "UPDATE chains SET safe_height = ?1, safe_hash = ?2
               WHERE chain = ?3 AND coalesce(safe_height, -1) < ?1";
    change(connection, sql, params![Db(block.height), Db(block.hash), Db(chain.clone())])?;
    Ok(())
}

/// The newest finalized block is `block`, if it is above the one known.
pub(crate) fn raise_finalized(
    connection: &Connection,
    chain: &ChainName,
    block: &BlockRef,
) -> Result<(), StoreError> {
    let sql = "UPDATE chains SET finalized_height = ?1, finalized_hash = ?2
               WHERE chain = ?3 AND coalesce(finalized_height, -1) < ?1";
    change(connection, sql, params![Db(block.height), Db(block.hash), Db(chain.clone())])?;
    Ok(())
}

/// Forgets the links that no reorg can need any more. The newest always stays: it is the cursor.
pub(crate) fn prune(
    connection: &Connection,
    chain: &ChainName,
    keep: u64,
) -> Result<(), StoreError> {
    let Some(newest) = newest(connection, chain)? else { return Ok(()) };
    let lowest_of = |count: u64| newest.block.height.0.saturating_sub(count.max(1) - 1);
    let finalized = heads(connection, chain)?.finalized.map(|head| head.height.0);
    let below =
        lowest_of(keep).min(finalized.unwrap_or(u64::MAX)).max(lowest_of(keep.max(MOST_LINKS)));
    let sql = "DELETE FROM blocks WHERE chain = ? AND height < ?";
    change(connection, sql, params![Db(chain.clone()), Db(Height(below))])?;
    Ok(())
}

fn resume(connection: &Connection, chain: &ChainName) -> Result<ResumePoint, StoreError> {
    let Heads { safe, finalized } = heads(connection, chain)?;
    let sql = "SELECT height, hash, parent, time, digest FROM blocks WHERE chain = ?
               ORDER BY height";
    let kept = rows(connection, sql, [Db(chain.clone())], |row| {
        Ok((read_link(row)?, row.get::<_, Db<B256>>("digest")?.0))
    })?;
    // Refilled holes may lie below a gap; the follower needs neighbours only.
    let first = kept
        .windows(2)
        .rposition(|pair| pair[0].0.block.height.next() != pair[1].0.block.height)
        .map_or(0, |gap| gap + 1);
    let links = kept[first..].iter().map(|(link, _)| *link).collect();
    let digests = kept.iter().map(|(link, digest)| (link.block, *digest)).collect();
    let holes = coverage::holes(connection, chain)?;
    Ok(ResumePoint { links, digests, safe, finalized, holes })
}

fn hash_at(
    connection: &Connection,
    chain: &ChainName,
    height: Height,
) -> Result<Option<B256>, StoreError> {
    let sql = "SELECT hash FROM blocks WHERE chain = ? AND height = ?";
    first(connection, sql, params![Db(chain.clone()), Db(height)], |row| {
        Ok(row.get::<_, Db<B256>>(0)?.0)
    })
}

fn newest(connection: &Connection, chain: &ChainName) -> Result<Option<BlockLink>, StoreError> {
    let sql = "SELECT height, hash, parent, time FROM blocks WHERE chain = ?
               ORDER BY height DESC LIMIT 1";
    first(connection, sql, [Db(chain.clone())], read_link)
}

/// The lowest height that is kept; 0 when nothing is.
fn oldest(connection: &Connection, chain: &ChainName) -> Result<Height, StoreError> {
    let sql = "SELECT height FROM blocks WHERE chain = ? ORDER BY height LIMIT 1";
    let oldest =
        first(connection, sql, [Db(chain.clone())], |row| Ok(row.get::<_, Db<Height>>(0)?.0))?;
    Ok(oldest.unwrap_or_default())
}

fn read_heads(row: &Row<'_>) -> rusqlite::Result<Heads> {
    let head = |height: &str, hash: &str| {
        let height: Option<Db<Height>> = row.get(height)?;
        let hash: Option<Db<B256>> = row.get(hash)?;
        Ok::<_, rusqlite::Error>(
            height.zip(hash).map(|(height, hash)| BlockRef { height: height.0, hash: hash.0 }),
        )
    };
    Ok(Heads {
        safe: head("safe_height", "safe_hash")?,
        finalized: head("finalized_height", "finalized_hash")?,
    })
}

fn read_link(row: &Row<'_>) -> rusqlite::Result<BlockLink> {
    Ok(BlockLink {
        block: BlockRef {
            height: row.get::<_, Db<Height>>("height")?.0,
            hash: row.get::<_, Db<B256>>("hash")?.0,
        },
        parent: row.get::<_, Db<B256>>("parent")?.0,
        time: row.get::<_, Db<BlockTime>>("time")?.0,
    })
}

fn read_block(row: &Row<'_>, heads: &Heads) -> rusqlite::Result<BlockRow> {
    let link = read_link(row)?;
    Ok(BlockRow {
        counts: BlockCounts {
            transactions: row.get::<_, Db<u64>>("transactions")?.0,
            logs: row.get::<_, Db<u64>>("logs")?.0,
        },
        digest: row.get::<_, Db<B256>>("digest")?.0,
        finality: heads.finality(link.block.height),
        intake: row.get::<_, Db<Intake>>("intake")?.0,
        verification: None,
        seen_at: row.get::<_, Db<Timestamp>>("seen_at")?.0,
        link,
    })
}
