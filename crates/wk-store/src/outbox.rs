//! What is to be told to whom: rows that a reconciler delivers, and may deliver twice.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use wk_model::{FindingId, Notice, Timestamp};

use crate::{Cursor, Page, Store, StoreError};

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
        let _ = claim;
        Err(StoreError::Closed)
    }

    /// When the next row becomes due, `busy` receivers aside; none without one. May be in the past.
    pub async fn next_due(&self, busy: BTreeSet<String>) -> Result<Option<Timestamp>, StoreError> {
        let _ = busy;
        Err(StoreError::Closed)
    }

    /// Writes down how an attempt came out.
    pub async fn settle(
        &self,
        id: OutboxId,
        delivery: Delivery,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let _ = (id, delivery, now);
        Err(StoreError::Closed)
    }

    /// Makes a dead row due again; false when there is no such dead row.
    pub async fn resend(&self, id: OutboxId, now: Timestamp) -> Result<bool, StoreError> {
        let _ = (id, now);
        Err(StoreError::Closed)
    }

    /// Makes all dead rows, or those of one receiver, due again; the number of rows.
    pub async fn resend_all(
        &self,
        receiver: Option<String>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let _ = (receiver, now);
        Err(StoreError::Closed)
    }

    /// Deliveries, newest first. Dead letters are those in [`OutboxState::Dead`].
    pub async fn outbox(&self, query: OutboxQuery) -> Result<Page<OutboxRow>, StoreError> {
        let _ = query;
        Err(StoreError::Closed)
    }

    /// How the deliveries stand, for each receiver that has any due or dead.
    pub async fn outbox_counts(&self) -> Result<Vec<OutboxCount>, StoreError> {
        Err(StoreError::Closed)
    }
}
