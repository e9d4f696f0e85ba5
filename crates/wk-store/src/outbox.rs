//! What is to be told to whom: rows that a reconciler delivers, and may deliver twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rusqlite::{Connection, Row, params};
use wk_model::{CANARY_TARGET, FindingId, Notice, NoticeKind, Timestamp};

use crate::apply::Batch;
use crate::page::{cut, page_size};
use crate::sql::{Db, Filter, change, first, rows};
use crate::stored::{read_notice, write_notice};
use crate::{Cursor, FindingRow, Page, Store, StoreError};

/// How long the reason for a failed attempt may be, in characters.
const LONGEST_ERROR: usize = 1_000;

/// Names one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxId(pub i64);

impl fmt::Display for OutboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OutboxId {
    type Err = String;

    fn from_str(text: &str) -> Result<OutboxId, String> {
        text.parse().map(OutboxId).map_err(|_| format!("`{text}` is no delivery id"))
    }
}

/// One notice to one receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRow {
    /// Its name.
    pub id: OutboxId,
    /// The finding.
    pub finding: FindingId,
    /// Who is to hear of it: a name that [`crate::Route`] gave.
    pub receiver: String,
    /// `{finding}-{revision}-{kind}-{receiver}`: the same at each attempt.
    pub idempotency_key: String,
    /// What to tell.
    pub notice: Notice,
    /// Where it stands.
    pub state: OutboxState,
    /// Attempts so far, the one under way included; begins again when it is sent anew.
    pub attempts: u32,
    /// When it is tried next; of a row under way, when it counts as lost.
    pub next_attempt_at: Timestamp,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was first tried.
    pub first_attempt_at: Option<Timestamp>,
    /// When it was delivered, given up or dropped.
    pub settled_at: Option<Timestamp>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutboxState {
    /// To be delivered.
    Due,
    /// The receiver took it.
    Delivered,
    /// Given up; it can be listed and sent again.
    Dead,
    /// Not to be delivered any more: its finding was retracted before it was surely told.
    Dropped,
}

impl OutboxState {
    /// Its name as data shows it.
    pub fn name(self) -> &'static str {
        match self {
            OutboxState::Due => "due",
            OutboxState::Delivered => "delivered",
            OutboxState::Dead => "dead",
            OutboxState::Dropped => "dropped",
        }
    }
}

impl FromStr for OutboxState {
    type Err = String;

    fn from_str(text: &str) -> Result<OutboxState, String> {
        match text {
            "due" => Ok(OutboxState::Due),
            "delivered" => Ok(OutboxState::Delivered),
            "dead" => Ok(OutboxState::Dead),
            "dropped" => Ok(OutboxState::Dropped),
            _ => Err(format!("`{text}` is no state; use due, delivered, dead or dropped")),
        }
    }
}

/// Which deliveries to take on.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The time now.
    pub now: Timestamp,
    /// How long the taker has; a row not settled by then is due again. Longer than any timeout.
    pub lease: Duration,
    /// At most this many rows.
    pub limit: u32,
    /// At most this many rows for one receiver.
    pub per_receiver: u32,
    /// Receivers that have no room now.
    pub busy: BTreeSet<String>,
}

/// How an attempt came out.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// The receiver took it.
    Delivered,
    /// It failed; try again at this time.
    Failed {
        /// Why, in words for people, without secrets.
        reason: String,
        /// When to try again.
        next_attempt_at: Timestamp,
    },
    /// It failed for good.
    Dead {
        /// Why, in words for people, without secrets.
        reason: String,
    },
}

/// Which deliveries to list. Every condition that is set must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutboxQuery {
    /// Any of these; empty means all.
    pub state: Vec<OutboxState>,
    /// The receiver.
    pub receiver: Option<String>,
    /// The finding.
    pub finding: Option<FindingId>,
    /// Where to go on; none begins with the newest.
    pub cursor: Option<Cursor>,
    /// Rows per page; 0 means [`crate::DEFAULT_PAGE`].
    pub limit: u32,
}

/// How one receiver's deliveries stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxCount {
    /// The receiver.
    pub receiver: String,
    /// Rows to be delivered.
    pub due: u64,
    /// Rows given up.
    pub dead: u64,
    /// When the oldest row to be delivered was made.
    pub oldest_due: Option<Timestamp>,
}

impl Store {
    /// Takes on rows that are due, in fair turns between receivers, oldest first within one. Counts
    /// the attempt before it is made, so that a crash can tell "never tried" from "may have
    /// arrived". Of one finding and receiver, a later row waits until the earlier one is settled.
    pub async fn claim(&self, claim: Claim) -> Result<Vec<OutboxRow>, StoreError> {
        self.write(move |connection| take(connection, &claim)).await
    }

    /// When the next row becomes due, `busy` receivers aside; none without one. May be in the past.
    pub async fn next_due(&self, busy: BTreeSet<String>) -> Result<Option<Timestamp>, StoreError> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT next_attempt_at FROM outbox AS own
                 WHERE state = 'due' AND receiver = ?1 AND NOT {BLOCKED}
                 ORDER BY next_attempt_at LIMIT 1"
            );
            let mut earliest: Option<Timestamp> = None;
            for receiver in due_receivers(connection)? {
                if !busy.contains(&receiver) {
                    let next = first(connection, &sql, [receiver], read_time)?;
                    earliest = [earliest, next].into_iter().flatten().min();
                }
            }
            Ok(earliest)
        })
        .await
    }

    /// Writes down how an attempt came out.
    pub async fn settle(
        &self,
        id: OutboxId,
        delivery: Delivery,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |connection| settle(connection, id, &delivery, now)).await
    }

    /// A row that was taken on was not tried after all: it is due at once, and the attempt that was
    /// counted ahead is taken back.
    pub async fn release(&self, id: OutboxId, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |connection| {
            // A row that failed before stays one that may have arrived.
            let sql = "UPDATE outbox SET under_way = 0, attempts = attempts - 1,
                           next_attempt_at = ?2, first_attempt_at =
                               CASE WHEN attempts = 1 AND last_error IS NULL THEN NULL
                               ELSE first_attempt_at END
                       WHERE id = ?1 AND under_way = 1 AND attempts > 0";
            change(connection, sql, params![id.0, Db(now)])?;
            Ok(())
        })
        .await
    }

    /// Makes a dead row due again; false when there is no such dead row.
    pub async fn resend(&self, id: OutboxId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let sql = format!("{REVIVE} WHERE id = ?2 AND state = 'dead'");
            Ok(change(connection, &sql, params![Db(now), id.0])? > 0)
        })
        .await
    }

    /// Makes all dead rows, or those of one receiver, due again; the number of rows.
    pub async fn resend_all(
        &self,
        receiver: Option<String>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.write(move |connection| {
            let sql = format!("{REVIVE} WHERE state = 'dead' AND (?2 IS NULL OR receiver = ?2)");
            change(connection, &sql, params![Db(now), receiver])
        })
        .await
    }

    /// Deliveries, newest first. Dead letters are those in [`OutboxState::Dead`].
    pub async fn outbox(&self, query: OutboxQuery) -> Result<Page<OutboxRow>, StoreError> {
        let OutboxQuery { state, receiver, finding, cursor, limit } = query;
        let size = page_size(limit);
        let mut filter = Filter::default();
        filter.and("receiver <> ?", CANARY_TARGET)?;
        filter.any_of("state", state.into_iter().map(Db))?;
        if let Some(receiver) = receiver {
            filter.and("receiver = ?", receiver)?;
        }
        if let Some(finding) = finding {
            filter.and("finding = ?", Db(finding))?;
        }
        if let Some(cursor) = cursor {
            filter.and("id < ?", cursor.key('o')?)?;
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM outbox {} ORDER BY id DESC LIMIT {}",
            filter.clause(),
            size + 1
        );
        let stored =
            self.read(move |connection| rows(connection, &sql, filter.params(), read_row)).await?;
        let page = cut(stored, size, 'o', |row| row.id.0);
        let items = page.items.into_iter().map(Stored::open).collect::<Result<_, _>>()?;
        Ok(Page { items, next: page.next })
    }

    /// How the deliveries stand, for each receiver that has any due or dead.
    pub async fn outbox_counts(&self) -> Result<Vec<OutboxCount>, StoreError> {
        self.read(|connection| {
            let mut counts: BTreeMap<String, OutboxCount> = BTreeMap::new();
            for state in [OutboxState::Due, OutboxState::Dead] {
                // Counted from an index that holds these rows only.
                let sql = format!(
                    "SELECT receiver, count(*), min(id) FROM outbox WHERE state = '{}'
                     GROUP BY receiver",
                    state.name()
                );
                let found = rows(connection, &sql, [], |row| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, Db<u64>>(1)?.0,
                        row.get::<_, i64>(2)?,
                    ))
                })?;
                let found = found.into_iter().filter(|(name, ..)| name != CANARY_TARGET);
                for (receiver, number, oldest) in found {
                    let count = counts.entry(receiver.clone()).or_insert(OutboxCount {
                        receiver,
                        due: 0,
                        dead: 0,
                        oldest_due: None,
                    });
                    if state == OutboxState::Dead {
                        count.dead = number;
                    } else {
                        count.due = number;
                        let sql = "SELECT created_at FROM outbox WHERE id = ?";
                        count.oldest_due = first(connection, sql, [oldest], read_time)?;
                    }
                }
            }
            Ok(counts.into_values().collect())
        })
        .await
    }
}

const COLUMNS: &str = "id, finding, receiver, idempotency_key, payload, state, attempts,
    next_attempt_at, last_error, created_at, first_attempt_at, settled_at";

/// Whether the row `own` has to wait for an earlier one about the same finding to the same
/// receiver: a retraction must not overtake what it retracts.
const BLOCKED: &str = "EXISTS (
    SELECT 1 FROM outbox AS earlier
    WHERE earlier.finding = own.finding AND earlier.receiver = own.receiver
      AND earlier.id < own.id AND (earlier.state = 'due' OR earlier.under_way = 1))";

/// The attempts begin again; that there were some stays known by `first_attempt_at`.
const REVIVE: &str = "UPDATE outbox SET state = 'due', attempts = 0, under_way = 0,
    next_attempt_at = ?1, settled_at = NULL";

/// Puts the finding into the outbox, for everyone whom the route names.
pub(crate) fn tell(batch: &mut Batch<'_>, row: &FindingRow) -> Result<(), StoreError> {
    let receivers = (batch.route)(&row.finding);
    let notice = notice(batch, row, NoticeKind::Found);
    for receiver in BTreeSet::from_iter(receivers) {
        put(batch, &notice, &receiver)?;
    }
    Ok(())
}

/// Tells everyone who heard, or will hear, of the finding what became of it.
pub(crate) fn follow(
    batch: &mut Batch<'_>,
    row: &FindingRow,
    kind: NoticeKind,
) -> Result<(), StoreError> {
    let notice = notice(batch, row, kind);
    for told in told(batch.connection, row)? {
        put(batch, &notice, &told.receiver)?;
    }
    Ok(())
}

/// The finding never happened. Who may have heard of it is told so; who surely has not, is not.
pub(crate) fn take_back(batch: &mut Batch<'_>, row: &FindingRow) -> Result<(), StoreError> {
    let notice = notice(batch, row, NoticeKind::Retracted);
    for told in told(batch.connection, row)? {
        if told.state != OutboxState::Delivered {
            let sql = "UPDATE outbox SET state = 'dropped', settled_at = ? WHERE id = ?";
            change(batch.connection, sql, params![Db(batch.at), told.id.0])?;
        }
        if told.attempted {
            put(batch, &notice, &told.receiver)?;
        }
    }
    Ok(())
}

/// Nobody is at work on a row when the store is opened: what was under way is due again.
pub(crate) fn forget_takers(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute(
            "UPDATE outbox SET under_way = 0, next_attempt_at = created_at WHERE under_way = 1",
            [],
        )
        .map(|_| ())
}

fn notice(batch: &Batch<'_>, row: &FindingRow, kind: NoticeKind) -> Notice {
    Notice { kind, finding: row.finding.clone(), revision: row.revision, at: batch.at }
}

fn put(batch: &mut Batch<'_>, notice: &Notice, receiver: &str) -> Result<(), StoreError> {
    let Notice { kind, finding, revision, at: _ } = notice;
    let key = format!("{}-{revision}-{kind}-{receiver}", finding.id);
    // The key is unique: telling twice is telling once.
    let sql = "INSERT INTO outbox (finding, revision, kind, receiver, idempotency_key, payload,
                                   state, next_attempt_at, created_at)
               VALUES (?, ?, ?, ?, ?, ?, 'due', ?, ?) ON CONFLICT (idempotency_key) DO NOTHING";
    let params = params![
        Db(finding.id),
        revision,
        Db(*kind),
        receiver,
        key,
        write_notice(notice),
        Db(batch.at),
        Db(batch.at)
    ];
    batch.done.outbox_rows += change(batch.connection, sql, params)?;
    Ok(())
}

/// Who was, or is to be, told of a finding.
struct Told {
    id: OutboxId,
    receiver: String,
    state: OutboxState,
    attempted: bool,
}

fn told(connection: &Connection, row: &FindingRow) -> Result<Vec<Told>, StoreError> {
    let sql = "SELECT id, receiver, state, first_attempt_at IS NOT NULL AS attempted FROM outbox
               WHERE finding = ? AND revision = ? AND kind = 'found' AND state <> 'dropped'
               ORDER BY id";
    rows(connection, sql, params![Db(row.finding.id), row.revision], |row| {
        Ok(Told {
            id: OutboxId(row.get("id")?),
            receiver: row.get("receiver")?,
            state: row.get::<_, Db<OutboxState>>("state")?.0,
            attempted: row.get("attempted")?,
        })
    })
}

fn take(connection: &Connection, claim: &Claim) -> Result<Vec<OutboxRow>, StoreError> {
    let Claim { now, lease, limit, per_receiver, busy } = claim;
    free_lost_rows(connection, *now)?;
    let sql = format!(
        "SELECT id FROM outbox AS own
         WHERE state = 'due' AND receiver = ?1 AND next_attempt_at <= ?2 AND NOT {BLOCKED}
         ORDER BY next_attempt_at, id LIMIT ?3"
    );
    let mut queues = Vec::new();
    for receiver in due_receivers(connection)? {
        if !busy.contains(&receiver) {
            let params = params![receiver, Db(*now), per_receiver];
            queues.push(rows(connection, &sql, params, |row| row.get::<_, i64>(0))?.into_iter());
        }
    }
    let sql = format!(
        "UPDATE outbox SET attempts = attempts + 1, under_way = 1, next_attempt_at = ?2,
                first_attempt_at = coalesce(first_attempt_at, ?3)
         WHERE id = ?1 RETURNING {COLUMNS}"
    );
    let mut taken = Vec::new();
    // One of each receiver, then the next of each: a long queue does not hold up a short one.
    while taken.len() < *limit as usize && !queues.is_empty() {
        let mut heads = Vec::new();
        queues.retain_mut(|queue| queue.next().map(|id| heads.push(id)).is_some());
        for id in heads.into_iter().take(*limit as usize - taken.len()) {
            let params = params![id, Db(now.after(*lease)), Db(*now)];
            match first(connection, &sql, params, read_row)?.map(Stored::open).transpose() {
                Ok(row) => taken.extend(row),
                // One damaged row must not hold up all the others.
                Err(error) => {
                    let dead = Delivery::Dead { reason: error.to_string() };
                    settle(connection, OutboxId(id), &dead, *now)?;
                }
            }
        }
    }
    Ok(taken)
}

/// Whoever took these rows is gone: the time they had is over.
fn free_lost_rows(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE outbox SET under_way = 0 WHERE under_way = 1 AND next_attempt_at <= ?";
    change(connection, sql, [Db(now)])?;
    Ok(())
}

/// Receivers with rows to be delivered; found in leaps, not by reading every row.
fn due_receivers(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let sql = "WITH RECURSIVE each (receiver) AS (
                   SELECT min(receiver) FROM outbox WHERE state = 'due'
                   UNION ALL
                   SELECT (SELECT min(receiver) FROM outbox
                           WHERE state = 'due' AND receiver > each.receiver)
                   FROM each WHERE each.receiver IS NOT NULL)
               SELECT receiver FROM each WHERE receiver IS NOT NULL";
    rows(connection, sql, [], |row| row.get(0))
}

fn settle(
    connection: &Connection,
    id: OutboxId,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<(), StoreError> {
    // A row that was dropped while it was under way stays dropped, unless it did arrive.
    let changed = match delivery {
        Delivery::Delivered => change(
            connection,
            "UPDATE outbox SET state = 'delivered', under_way = 0, last_error = NULL,
                    settled_at = ?2 WHERE id = ?1",
            params![id.0, Db(now)],
        )?,
        Delivery::Failed { reason, next_attempt_at } => change(
            connection,
            "UPDATE outbox SET under_way = 0, last_error = ?2, next_attempt_at = ?3
             WHERE id = ?1 AND state IN ('due', 'dropped')",
            params![id.0, cut_reason(reason), Db(*next_attempt_at)],
        )?,
        Delivery::Dead { reason } => change(
            connection,
            "UPDATE outbox SET under_way = 0, last_error = ?2, settled_at = ?3,
                    state = CASE state WHEN 'due' THEN 'dead' ELSE state END
             WHERE id = ?1 AND state IN ('due', 'dropped')",
            params![id.0, cut_reason(reason), Db(now)],
        )?,
    };
    if changed == 0 {
        tracing::debug!(delivery = %id, "settled a delivery that is gone or settled");
    }
    Ok(())
}

fn cut_reason(reason: &str) -> String {
    reason.chars().take(LONGEST_ERROR).collect()
}

/// A row whose payload was not read yet.
struct Stored {
    id: OutboxId,
    finding: FindingId,
    receiver: String,
    idempotency_key: String,
    payload: String,
    state: OutboxState,
    attempts: u32,
    next_attempt_at: Timestamp,
    last_error: Option<String>,
    created_at: Timestamp,
    first_attempt_at: Option<Timestamp>,
    settled_at: Option<Timestamp>,
}

impl Stored {
    fn open(self) -> Result<OutboxRow, StoreError> {
        Ok(OutboxRow {
            id: self.id,
            finding: self.finding,
            receiver: self.receiver,
            idempotency_key: self.idempotency_key,
            notice: read_notice(&self.payload)?,
            state: self.state,
            attempts: self.attempts,
            next_attempt_at: self.next_attempt_at,
            last_error: self.last_error,
            created_at: self.created_at,
            first_attempt_at: self.first_attempt_at,
            settled_at: self.settled_at,
        })
    }
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let time = |name: &str| {
        Ok::<_, rusqlite::Error>(row.get::<_, Option<Db<Timestamp>>>(name)?.map(|time| time.0))
    };
    Ok(Stored {
        id: OutboxId(row.get("id")?),
        finding: row.get::<_, Db<FindingId>>("finding")?.0,
        receiver: row.get("receiver")?,
        idempotency_key: row.get("idempotency_key")?,
        payload: row.get("payload")?,
        state: row.get::<_, Db<OutboxState>>("state")?.0,
        attempts: row.get("attempts")?,
        next_attempt_at: row.get::<_, Db<Timestamp>>("next_attempt_at")?.0,
        last_error: row.get("last_error")?,
        created_at: row.get::<_, Db<Timestamp>>("created_at")?.0,
        first_attempt_at: time("first_attempt_at")?,
        settled_at: time("settled_at")?,
    })
}

fn read_time(row: &Row<'_>) -> rusqlite::Result<Timestamp> {
    Ok(row.get::<_, Db<Timestamp>>(0)?.0)
}
