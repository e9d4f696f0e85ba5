//! Why a message did not arrive, and whether to try again.

use std::time::Duration;

/// A message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SendError {
    /// Whether to try again.
    pub retry: Retry,
    /// Why, in words for people; holds no secret.
    pub reason: String,
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would fail again.
    No,
    /// The receiver asked to be left alone for this long.
    After(Duration),
    /// Later, and later still if that fails too.
    Backoff,
}
