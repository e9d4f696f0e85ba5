//! Conditions: one finding per occurrence, however often it is said and across restarts.

use rusqlite::{Connection, Row, params};
use wk_model::{AssetId, Condition, ConditionKey, FindingId, FindingStatus, Timestamp};

use crate::apply::{Batch, apply};
use crate::sql::{Db, change as write, first, rows};
use crate::{Commit, Committed, Store, StoreError, findings};

/// A condition that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenCondition {
    /// Its name.
    pub key: ConditionKey,
    /// The finding of this occurrence.
    pub finding: FindingId,
    /// How often it began, this time included.
    pub occurrence: u64,
    /// When it began.
    pub raised_at: Timestamp,
}

impl Store {
    /// The conditions that hold, by name.
    pub async fn open_conditions(&self) -> Result<Vec<OpenCondition>, StoreError> {
        self.read(open).await
    }

    /// Ends, with what else is in `commit`, every open condition of which `still` says no. For the
    /// start: what was true when the program stopped need not be true any more.
    pub async fn clear_conditions_except(
        &self,
        commit: Commit,
        still: impl Fn(&ConditionKey) -> bool + Send + Sync + 'static,
    ) -> Result<Committed, StoreError> {
        self.write(move |connection| {
            let mut commit = commit.clone();
            let over = open(connection)?.into_iter().filter(|condition| !still(&condition.key));
            let cleared = over.map(|condition| Condition::Cleared(condition.key));
            // What the batch itself says comes after, and so has the last word.
            commit.conditions.splice(0..0, cleared);
            apply(connection, &commit)
        })
        .await
    }
}

/// A condition began, is said again, or ended.
pub(crate) fn change(batch: &mut Batch<'_>, condition: &Condition) -> Result<(), StoreError> {
    match condition {
        Condition::Raised(key, finding) => match last(batch.connection, key)? {
            Some(Last { open: true, finding: Some(id), .. }) => {
                findings::refresh(batch, id, finding)
            }
            last => {
                let occurrence = last.map_or(0, |last| last.occurrence).saturating_add(1);
                let mut finding = finding.as_ref().clone();
                finding.id = occurrence_id(key, occurrence, batch.at);
                // It ends when it is cleared, not when a block goes: no position is given.
                findings::insert(batch, &finding, None, FindingStatus::Active)?;
                let sql = "INSERT INTO conditions
                               (trouble, asset, subject, occurrence, finding, open, raised_at)
                           VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)
                           ON CONFLICT (trouble, asset, subject) DO UPDATE SET occurrence = ?4,
                               finding = ?5, open = 1, raised_at = ?6, cleared_at = NULL";
                let params = params![
                    key.trouble,
                    Db(key.asset.clone()),
                    key.subject,
                    Db(occurrence),
                    Db(finding.id),
                    Db(batch.at)
                ];
                write(batch.connection, sql, params)?;
                Ok(())
            }
        },
        Condition::Cleared(key) => {
            let Some(last) = last(batch.connection, key)?.filter(|last| last.open) else {
                return Ok(());
            };
            let sql = "UPDATE conditions SET open = 0, cleared_at = ?
                       WHERE trouble = ? AND asset = ? AND subject = ?";
            let params = params![Db(batch.at), key.trouble, Db(key.asset.clone()), key.subject];
            write(batch.connection, sql, params)?;
            last.finding.map_or(Ok(()), |id| findings::resolve(batch, id))
        }
    }
}

/// The last occurrence of a condition.
struct Last {
    occurrence: u64,
    finding: Option<FindingId>,
    open: bool,
}

fn last(connection: &Connection, key: &ConditionKey) -> Result<Option<Last>, StoreError> {
    let sql = "SELECT occurrence, finding, open FROM conditions
               WHERE trouble = ? AND asset = ? AND subject = ?";
    first(connection, sql, params![key.trouble, Db(key.asset.clone()), key.subject], |row| {
        Ok(Last {
            occurrence: row.get::<_, Db<u64>>(0)?.0,
            finding: row.get::<_, Option<Db<FindingId>>>(1)?.map(|id| id.0),
            open: row.get(2)?,
        })
    })
}

/// The name of an occurrence. Its time is a part, since the count begins anew once all is forgotten,
/// while receivers may still know the names that were.
fn occurrence_id(key: &ConditionKey, occurrence: u64, raised_at: Timestamp) -> FindingId {
    FindingId::of(&[
        b"condition",
        key.trouble.as_bytes(),
        key.asset.as_str().as_bytes(),
        key.subject.as_bytes(),
        &occurrence.to_be_bytes(),
        &raised_at.0.to_be_bytes(),
    ])
}

fn open(connection: &Connection) -> Result<Vec<OpenCondition>, StoreError> {
    let sql = "SELECT trouble, asset, subject, occurrence, finding, raised_at FROM conditions
               WHERE open = 1 AND finding IS NOT NULL ORDER BY trouble, asset, subject";
    rows(connection, sql, [], read_open)
}

fn read_open(row: &Row<'_>) -> rusqlite::Result<OpenCondition> {
    Ok(OpenCondition {
        key: ConditionKey {
            trouble: row.get("trouble")?,
            asset: row.get::<_, Db<AssetId>>("asset")?.0,
            subject: row.get("subject")?,
        },
        finding: row.get::<_, Db<FindingId>>("finding")?.0,
        occurrence: row.get::<_, Db<u64>>("occurrence")?.0,
        raised_at: row.get::<_, Db<Timestamp>>("raised_at")?.0,
    })
}
