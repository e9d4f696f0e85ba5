//! How far a chain is followed, for people.

use std::time::Duration;

use wk_model::{BlockLink, BlockRef, Height};

use super::Following;

/// How far a chain is followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowStatus {
    /// The newest block that was told.
    pub tip: Option<BlockLink>,
    /// The highest head that was announced.
    pub head: Option<Height>,
    /// The newest safe block.
    pub safe: Option<BlockRef>,
    /// The newest finalized block.
    pub finalized: Option<BlockRef>,
    /// Blocks that are still to be looked at, from–to inclusive, lowest first.
    pub holes: Vec<(Height, Height)>,
    /// Time between blocks, as far as it is known.
    pub block_time: Duration,
    /// No new block for longer than is usual.
    pub halted: bool,
    /// No endpoint answers.
    pub unreachable: bool,
}

impl Following {
    /// Tells those who watch, if something changed.
    pub(super) fn show_status(&self) {
        let tip = self.window.tip();
        let goal = self.goal.as_ref().map(|goal| goal.link.block.height);
        let status = FollowStatus {
            tip,
            head: goal.max(tip.map(|tip| tip.block.height)),
            safe: self.finals.safe(),
            finalized: self.finals.finalized(),
            holes: self.holes.ranges(),
            block_time: rounded(self.block_time()),
            halted: self.health.halted(),
            unreachable: self.health.unreachable(),
        };
        self.status.send_if_modified(|shown| {
            let changed = *shown != status;
            *shown = status;
            changed
        });
    }
}

/// To about two digits: a mean moves all the time, and nobody wants to hear of it.
fn rounded(time: Duration) -> Duration {
    let step = if time < Duration::from_secs(1) { 10 } else { 100 };
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis.saturating_add(step / 2) / step * step)
}
