//! Rules that could not be evaluated: how often, and why the last time.

use rusqlite::{Connection, params};
use wk_model::Timestamp;

use crate::sql::{Db, change, rows};
use crate::{RuleFailure, Store, StoreError};

/// How long a message may be, in characters.
const LONGEST_MESSAGE: usize = 1_000;

/// How often a rule could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleErrorRow {
    /// The rule's id.
    pub rule: String,
    /// How often so far.
    pub count: u64,
    /// What went wrong the last time.
    pub message: String,
    /// The first time.
    pub first_at: Timestamp,
    /// The last time.
    pub last_at: Timestamp,
}

impl Store {
    /// All rules that ever failed, by id.
    pub async fn rule_errors(&self) -> Result<Vec<RuleErrorRow>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT rule, count, message, first_at, last_at FROM rule_errors
                       ORDER BY rule";
            rows(connection, sql, [], |row| {
                Ok(RuleErrorRow {
                    rule: row.get("rule")?,
                    count: row.get::<_, Db<u64>>("count")?.0,
                    message: row.get("message")?,
                    first_at: row.get::<_, Db<Timestamp>>("first_at")?.0,
                    last_at: row.get::<_, Db<Timestamp>>("last_at")?.0,
                })
            })
        })
        .await
    }
}

/// Rules could not be evaluated.
pub(crate) fn count(
    connection: &Connection,
    at: Timestamp,
    failures: &[RuleFailure],
) -> Result<(), StoreError> {
    for RuleFailure { rule, message, count } in failures {
        let message: String = message.chars().take(LONGEST_MESSAGE).collect();
        let sql = "INSERT INTO rule_errors (rule, count, message, first_at, last_at)
                   VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (rule)
                   DO UPDATE SET count = count + ?2, message = ?3, last_at = ?4";
        change(connection, sql, params![rule, Db(*count), message, Db(at)])?;
    }
    Ok(())
}
