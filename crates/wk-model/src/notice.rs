//! What is told to people about a finding: that it is there, that it never happened, that it ended.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Finding, Timestamp};

/// One thing to tell. Stored with each delivery, so that a retry says exactly the same again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// What is told.
    pub kind: NoticeKind,
    /// About which finding, as it was at `at`.
    pub finding: Finding,
    /// How often the finding came to be: 1, and one more each time it comes back after a retraction.
    pub revision: u32,
    /// When it came to be so.
    pub at: Timestamp,
}

/// What is told about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    /// It stands.
    Found,
    /// It never happened: its block was reverted.
    Retracted,
    /// It was true, and no longer is.
    Resolved,
    /// Nothing happened; someone tries whether messages arrive. Never stored.
    Test,
}

impl NoticeKind {
    /// Its name as data shows it.
    pub fn name(self) -> &'static str {
        match self {
            NoticeKind::Found => "found",
            NoticeKind::Retracted => "retracted",
            NoticeKind::Resolved => "resolved",
            NoticeKind::Test => "test",
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for NoticeKind {
    type Err = String;

    fn from_str(text: &str) -> Result<NoticeKind, String> {
        match text {
            "found" => Ok(NoticeKind::Found),
            "retracted" => Ok(NoticeKind::Retracted),
            "resolved" => Ok(NoticeKind::Resolved),
            "test" => Ok(NoticeKind::Test),
            _ => Err(format!("`{text}` is no notice; use found, retracted, resolved or test")),
        }
    }
}
