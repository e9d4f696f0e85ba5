//! Findings and their life: held, active, resolved, retracted.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_primitives::B256;
use rusqlite::{Connection, Row, params};
use wk_model::{
    AssetId, CANARY, ChainName, ChainPosition, Finality, Finding, FindingId, FindingStatus,
    NoticeKind, Severity, Timestamp,
};

use crate::apply::Batch;
use crate::page::{cut, page_size};
use crate::sql::{Db, Filter, change, first, rows};
use crate::stored::{bounded, read_finding, write_finding};
use crate::{Cursor, Page, Store, StoreError, blocks, outbox};

/// A finding and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct FindingRow {
    /// The finding.
    pub finding: Finding,
    /// The chain it belongs to: that of its block, else that of the batch it came with.
    pub chain: Option<ChainName>,
    /// Where it stands.
    pub status: FindingStatus,
    /// How often it came to be: 1, and one more each time it came back after a retraction.
    pub revision: u32,
    /// When it last changed.
    pub changed_at: Timestamp,
}

/// Which findings to list. Every condition that is set must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FindingQuery {
    /// Any of these; empty means all.
    pub status: Vec<FindingStatus>,
    /// Any of these; empty means all.
    pub severity: Vec<Severity>,
    /// The source: `rule/ID`, `detector/NAME`, `system/NAME`, or only the part after the slash.
    pub source: Option<String>,
    /// The class.
    pub class: Option<String>,
    /// The asset.
    pub asset: Option<AssetId>,
    /// The chain.
    pub chain: Option<ChainName>,
    /// Made at this time or later.
    pub since: Option<Timestamp>,
    /// Made before this time.
    pub until: Option<Timestamp>,
    /// Text in the title, the evidence or any other field; letter case of ASCII does not matter.
    pub text: Option<String>,
    /// Where to go on; none begins with the newest.
    pub cursor: Option<Cursor>,
    /// Rows per page; 0 means [`crate::DEFAULT_PAGE`].
    pub limit: u32,
}

/// How many findings stand where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindingCount {
    /// The status.
    pub status: FindingStatus,
    /// The severity.
    pub severity: Severity,
    /// Number of findings.
    pub count: u64,
}

/// What came of one source of findings: a rule, a detector or a trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingSource {
    /// Its name.
    pub name: String,
    /// Findings of it that are kept, in whatever state.
    pub count: u64,
    /// When the newest of them was made.
    pub last_at: Timestamp,
}

impl Store {
    /// Findings in the order in which they were first stored, newest first.
    pub async fn findings(&self, query: FindingQuery) -> Result<Page<FindingRow>, StoreError> {
        let size = page_size(query.limit);
        let filter = filter(query)?;
        let sql = format!(
            "SELECT {COLUMNS} FROM findings {} ORDER BY seq DESC LIMIT {}",
            filter.clause(),
            size + 1
        );
        let stored =
            self.read(move |connection| rows(connection, &sql, filter.params(), read_row)).await?;
        let page = cut(stored, size, 'f', |row| row.seq);
        let items = page.items.into_iter().map(Stored::open).collect::<Result<_, _>>()?;
        Ok(Page { items, next: page.next })
    }

    /// One finding.
    pub async fn finding(&self, id: FindingId) -> Result<Option<FindingRow>, StoreError> {
        self.read(move |connection| by_id(connection, id)).await
    }

    /// Removes canaries with their deliveries.
    pub async fn forget_canaries(&self) -> Result<(), StoreError> {
        self.write(|connection| {
            let sql = "DELETE FROM findings WHERE source_name = ? AND source_kind = 'system'";
            change(connection, sql, [CANARY])?;
            Ok(())
        })
        .await
    }

    /// All sources that findings are kept of, by name.
    pub async fn finding_sources(&self) -> Result<Vec<FindingSource>, StoreError> {
        self.read(|connection| {
            // Counted from an index; only the newest row of each is looked up.
            let sql = "WITH counts AS (SELECT source_name, count(*) AS number, max(seq) AS newest
                           FROM findings GROUP BY source_name)
                       SELECT counts.source_name, number, seen_at
                       FROM counts JOIN findings ON findings.seq = newest
                       WHERE NOT (counts.source_name = ? AND source_kind = 'system')
                       ORDER BY counts.source_name";
            rows(connection, sql, [CANARY], |row| {
                Ok(FindingSource {
                    name: row.get(0)?,
                    count: row.get::<_, Db<u64>>(1)?.0,
                    last_at: row.get::<_, Db<Timestamp>>(2)?.0,
                })
            })
        })
        .await
    }

    /// Number of findings by status and severity; combinations without any are left out.
    pub async fn finding_counts(&self) -> Result<Vec<FindingCount>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT status, severity, count(*) FROM findings
                       GROUP BY status, severity ORDER BY status, severity";
            let mut counts = rows(connection, sql, [], |row| {
                Ok(FindingCount {
                    status: row.get::<_, Db<FindingStatus>>(0)?.0,
                    severity: row.get::<_, Db<Severity>>(1)?.0,
                    count: row.get::<_, Db<u64>>(2)?.0,
                })
            })?;
            // Taken off afterwards: counting by an index that holds no sources is fast.
            let sql = "SELECT status, severity FROM findings
                       WHERE source_name = ? AND source_kind = 'system'";
            let canaries = rows(connection, sql, [CANARY], |row| {
                Ok((row.get::<_, Db<FindingStatus>>(0)?.0, row.get::<_, Db<Severity>>(1)?.0))
            })?;
            for canary in canaries {
                let same = counts.iter_mut().find(|c| (c.status, c.severity) == canary);
                if let Some(count) = same {
                    count.count = count.count.saturating_sub(1);
                }
            }
            counts.retain(|count| count.count > 0);
            Ok(counts)
        })
        .await
    }
}

/// Newest findings that a history looks at: enough for any day that people can still read, and few
/// enough to stay quick.
const HISTORY: u32 = 20_000;

/// What was found at one kind of asset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingHistory {
    /// Kind of asset, such as `contract`.
    pub kind: String,
    /// Standing findings by severity, P0 first.
    pub open: [u64; 4],
    /// Findings made in each slot that were not taken back: slot, worst severity, number.
    pub slots: Vec<(u32, Severity, u64)>,
}

impl Store {
    /// By kind of asset, by name: what stands, and what was made in each of `slots` steps from
    /// `since` on. Of very many findings only the newest 20,000 are looked at for the slots.
    pub async fn finding_history(
        &self,
        since: Timestamp,
        step: Duration,
        slots: u32,
    ) -> Result<Vec<FindingHistory>, StoreError> {
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        self.read(move |connection| {
            const KIND: &str = "substr(asset, 1, instr(asset || '/', '/') - 1)";
            const NO_CANARY: &str = "NOT (source_name = ?1 AND source_kind = 'system')";
            let mut kinds: BTreeMap<String, FindingHistory> = BTreeMap::new();
            let sql = format!(
                "SELECT {KIND}, severity, count(*) FROM findings
                 WHERE status = 'active' AND {NO_CANARY} GROUP BY 1, 2"
            );
            let open = rows(connection, &sql, [CANARY], |row| {
                let severity = row.get::<_, Db<Severity>>(1)?.0;
                Ok((row.get::<_, String>(0)?, severity, row.get::<_, Db<u64>>(2)?.0))
            })?;
            for (kind, severity, count) in open {
                kinds.entry(kind).or_default().open[severity as usize] = count;
            }
            let sql = format!(
                "SELECT {KIND}, (seen_at - ?2) / ?3 AS slot, min(severity), count(*)
                 FROM (SELECT * FROM findings ORDER BY seq DESC LIMIT {HISTORY})
                 WHERE seen_at >= ?2 AND status <> 'retracted' AND slot < ?4 AND {NO_CANARY}
                 GROUP BY 1, 2 ORDER BY 1, 2"
            );
            let made = rows(connection, &sql, params![CANARY, Db(since), step, slots], |row| {
                let slot = row.get::<_, u32>(1)?;
                let severity = row.get::<_, Db<Severity>>(2)?.0;
                Ok((row.get::<_, String>(0)?, (slot, severity, row.get::<_, Db<u64>>(3)?.0)))
            })?;
            for (kind, slot) in made {
                kinds.entry(kind).or_default().slots.push(slot);
            }
            let named = kinds.into_iter().map(|(kind, made)| FindingHistory { kind, ..made });
            Ok(named.collect())
        })
        .await
    }
}

const COLUMNS: &str = "seq, chain, status, revision, changed_at, body";

fn filter(query: FindingQuery) -> Result<Filter, StoreError> {
    let FindingQuery {
        status,
        severity,
        source,
        class,
        asset,
        chain,
        since,
        until,
        text,
        cursor,
        limit: _,
    } = query;
    let mut filter = Filter::default();
    // The plus keeps it off the index, which would not help.
    filter.and("NOT (+source_name = ? AND source_kind = 'system')", CANARY)?;
    filter.any_of("status", status.into_iter().map(Db))?;
    filter.any_of("severity", severity.into_iter().map(Db))?;
    if let Some(source) = source {
        match source.split_once('/') {
            Some((kind @ ("rule" | "detector" | "system"), name)) => {
                filter.and("source_kind = ?", kind)?;
                filter.and("source_name = ?", name)?;
            }
            _ => filter.and("source_name = ?", source)?,
        }
    }
    if let Some(class) = class {
        filter.and("class = ?", class)?;
    }
    if let Some(asset) = asset {
        filter.and("asset = ?", Db(asset))?;
    }
    if let Some(chain) = chain {
        filter.and("chain = ?", Db(chain))?;
    }
    if let Some(since) = since {
        filter.and("seen_at >= ?", Db(since))?;
    }
    if let Some(until) = until {
        filter.and("seen_at < ?", Db(until))?;
    }
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        filter.and("body LIKE ? ESCAPE '\\'", containing(&text))?;
    }
    if let Some(cursor) = cursor {
        filter.and("seq < ?", cursor.key('f')?)?;
    }
    Ok(filter)
}

/// The pattern that finds `text` inside stored JSON.
fn containing(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let inside = json.get(1..json.len() - 1).unwrap_or_default();
    let escaped = inside.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

/// A finding is made: a new row, nothing if it is there already, or its return if it was retracted.
pub(crate) fn find(batch: &mut Batch<'_>, finding: &Finding) -> Result<(), StoreError> {
    let position = finding.position.as_ref();
    let status = match position {
        Some(position) => initial_status(batch.connection, position, finding.deliver)?,
        None => FindingStatus::Active,
    };
    insert(batch, finding, position, status)
}

/// Inserts a finding that stands and falls with the block at `position`, if there is one.
pub(crate) fn insert(
    batch: &mut Batch<'_>,
    finding: &Finding,
    position: Option<&ChainPosition>,
    status: FindingStatus,
) -> Result<(), StoreError> {
    let standing = first(
        batch.connection,
        "SELECT status, revision FROM findings WHERE id = ?",
        [Db(finding.id)],
        |row| Ok((row.get::<_, Db<FindingStatus>>(0)?.0, row.get::<_, u32>(1)?)),
    )?;
    let revision = match standing {
        None => 1,
        Some((FindingStatus::Retracted, revision)) if status != FindingStatus::Retracted => {
            revision.saturating_add(1)
        }
        Some(_) => return Ok(()),
    };
    let finding = bounded(finding).into_owned();
    let chain = finding.position.as_ref().map(|position| &position.chain).or(batch.chain).cloned();
    let sql = "INSERT INTO findings (id, status, revision, severity, source_kind, source_name,
                   class, asset, deliver, chain, height, block_hash, seen_at, changed_at, body)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
               ON CONFLICT (id) DO UPDATE SET status = ?2, revision = ?3, severity = ?4,
                   source_kind = ?5, source_name = ?6, class = ?7, asset = ?8, deliver = ?9,
                   chain = ?10, height = ?11, block_hash = ?12, seen_at = ?13, changed_at = ?14,
                   body = ?15";
    let params = params![
        Db(finding.id),
        Db(status),
        revision,
        Db(finding.severity),
        finding.source.kind(),
        finding.source.name(),
        finding.class,
        Db(finding.asset.clone()),
        Db(finding.deliver),
        chain.clone().map(Db),
        position.map(|position| Db(position.block.height)),
        position.map(|position| Db(position.block.hash)),
        Db(finding.seen_at),
        Db(batch.at),
        write_finding(&finding),
    ];
    change(batch.connection, sql, params)?;
    let row = FindingRow { finding, chain, status, revision, changed_at: batch.at };
    match status {
        FindingStatus::Active => outbox::tell(batch, &row)?,
        FindingStatus::Held | FindingStatus::Resolved | FindingStatus::Retracted => {}
    }
    batch.done.new.push(row);
    Ok(())
}

/// Held until its block is as settled as asked; retracted at once if another block stands there.
fn initial_status(
    connection: &Connection,
    position: &ChainPosition,
    deliver: Finality,
) -> Result<FindingStatus, StoreError> {
    if blocks::conflicts(connection, &position.chain, &position.block)? {
        return Ok(FindingStatus::Retracted);
    }
    let settled = blocks::heads(connection, &position.chain)?.finality(position.block.height);
    Ok(if settled >= deliver { FindingStatus::Active } else { FindingStatus::Held })
}

/// The block `hash` is no longer part of `chain`: what was found in it never happened.
pub(crate) fn retract_block(
    batch: &mut Batch<'_>,
    chain: &ChainName,
    hash: B256,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM findings
         WHERE chain = ? AND block_hash = ? AND status IN ('held', 'active') ORDER BY seq"
    );
    let stored = rows(batch.connection, &sql, params![Db(chain.clone()), Db(hash)], read_row)?;
    for stored in stored {
        retract(batch, stored.open()?)?;
    }
    Ok(())
}

fn retract(batch: &mut Batch<'_>, row: FindingRow) -> Result<(), StoreError> {
    let was = row.status;
    let row = set_status(batch, row, FindingStatus::Retracted)?;
    if was == FindingStatus::Active {
        outbox::take_back(batch, &row)?;
    }
    batch.done.retracted.push(row);
    Ok(())
}

/// Tells what was held and is settled enough now.
pub(crate) fn release(batch: &mut Batch<'_>, chain: &ChainName) -> Result<(), StoreError> {
    let heads = blocks::heads(batch.connection, chain)?;
    let height = |head: Option<wk_model::BlockRef>| head.map(|head| Db(head.height));
    let sql = format!(
        "SELECT {COLUMNS} FROM findings
         WHERE chain = ?1 AND status = 'held'
           AND ((deliver IN ('seen', 'safe') AND height <= ?2) OR height <= ?3) ORDER BY seq"
    );
    let params = params![Db(chain.clone()), height(heads.safe), height(heads.finalized)];
    for stored in rows(batch.connection, &sql, params, read_row)? {
        let row = stored.open()?;
        let block = row.finding.position.as_ref().map(|position| position.block);
        let replaced = match &block {
            Some(block) => blocks::conflicts(batch.connection, chain, block)?,
            None => false,
        };
        if replaced {
            retract(batch, row)?;
        } else {
            let row = set_status(batch, row, FindingStatus::Active)?;
            outbox::tell(batch, &row)?;
            batch.done.released.push(row);
        }
    }
    Ok(())
}

/// What was found was true, and no longer is.
pub(crate) fn resolve(batch: &mut Batch<'_>, id: FindingId) -> Result<(), StoreError> {
    let Some(row) = by_id(batch.connection, id)? else { return Ok(()) };
    match row.status {
        FindingStatus::Held | FindingStatus::Active => {
            let row = set_status(batch, row, FindingStatus::Resolved)?;
            outbox::follow(batch, &row, NoticeKind::Resolved)?;
            batch.done.resolved.push(row);
        }
        FindingStatus::Resolved | FindingStatus::Retracted => {}
    }
    Ok(())
}

/// A condition is said again: what it says now replaces what it said, and nobody is told.
pub(crate) fn refresh(
    batch: &mut Batch<'_>,
    id: FindingId,
    said: &Finding,
) -> Result<(), StoreError> {
    let Some(row) = by_id(batch.connection, id)? else { return Ok(()) };
    let mut finding = row.finding.clone();
    finding.title.clone_from(&said.title);
    finding.evidence.clone_from(&said.evidence);
    let finding = bounded(&finding);
    if *finding != row.finding {
        let sql = "UPDATE findings SET body = ?, changed_at = ? WHERE id = ?";
        let params = params![write_finding(&finding), Db(batch.at), Db(id)];
        change(batch.connection, sql, params)?;
    }
    Ok(())
}

fn set_status(
    batch: &Batch<'_>,
    row: FindingRow,
    status: FindingStatus,
) -> Result<FindingRow, StoreError> {
    let sql = "UPDATE findings SET status = ?, changed_at = ? WHERE id = ?";
    change(batch.connection, sql, params![Db(status), Db(batch.at), Db(row.finding.id)])?;
    Ok(FindingRow { status, changed_at: batch.at, ..row })
}

fn by_id(connection: &Connection, id: FindingId) -> Result<Option<FindingRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM findings WHERE id = ?");
    first(connection, &sql, [Db(id)], read_row)?.map(Stored::open).transpose()
}

/// A row whose body was not read yet.
struct Stored {
    seq: i64,
    chain: Option<ChainName>,
    status: FindingStatus,
    revision: u32,
    changed_at: Timestamp,
    body: String,
}

impl Stored {
    fn open(self) -> Result<FindingRow, StoreError> {
        let Stored { seq: _, chain, status, revision, changed_at, body } = self;
        let finding = read_finding(&body)?;
        Ok(FindingRow { finding, chain, status, revision, changed_at })
    }
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        seq: row.get("seq")?,
        chain: row.get::<_, Option<Db<ChainName>>>("chain")?.map(|chain| chain.0),
        status: row.get::<_, Db<FindingStatus>>("status")?.0,
        revision: row.get("revision")?,
        changed_at: row.get::<_, Db<Timestamp>>("changed_at")?.0,
        body: row.get("body")?,
    })
}
