//! Fills holes in behind the head, and never gives up on one.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;
use wk_model::Height;
use wk_runtime::{Backoff, with_causes};

use super::plan::Done;
use super::{FollowError, Following};
use crate::evm::fetch::Want;
use crate::rpc::Purpose;

/// Heights in holes that could not be had, and when to try them again.
#[derive(Default)]
pub(super) struct Retries(BTreeMap<Height, (Backoff, Instant)>);

/// Longest wait between two tries of one block.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Heights in holes that are looked at for something to do.
const LOOKED_AT: usize = 1_024;

impl Retries {
    /// The block could not be had.
    pub(super) fn failed(&mut self, height: Height, block_time: Duration) {
        let first = block_time.clamp(Duration::from_millis(500), Duration::from_secs(5));
        let (backoff, at) = self
            .0
            .entry(height)
            .or_insert_with(|| (Backoff::new(first, LONGEST_WAIT), Instant::now()));
        *at = Instant::now() + backoff.next_wait();
    }

    fn is_due(&self, height: Height, now: Instant) -> bool {
        self.0.get(&height).is_none_or(|(_, at)| *at <= now)
    }

    fn done(&mut self, height: Height) {
        self.0.remove(&height);
    }
}

impl Following {
    /// Fetches blocks of holes, with half of what may be fetched at once.
    pub(super) fn fill_refill(&mut self) {
        // Before the first block, nobody knows whether the chain is still the same.
        if !self.resumed {
            return;
        }
        let parallel = usize::from(self.config.parallel / 2).max(1);
        if self.refill.len() >= parallel || self.holes.is_empty() {
            return;
        }
        let now = Instant::now();
        let due: Vec<Height> = self
            .holes
            .heights()
            .take(LOOKED_AT)
            .filter(|height| !self.refill.has_height(*height) && self.retries.is_due(*height, now))
            .take(parallel - self.refill.len())
            .collect();
        for height in due {
            let want = Want::Height(height);
            self.refill.push(want, self.fetcher.spawn(want, Purpose::Backfill));
        }
    }

    /// A block of a hole came, or did not.
    pub(super) async fn on_refilled(&mut self, done: Done) -> Result<(), FollowError> {
        let height = done.want.height();
        if !self.holes.contains(height) {
            return Ok(());
        }
        match done.outcome {
            Ok(fetched) => {
                let link = fetched.block.header.link();
                if self.fits(link) {
                    self.retries.done(height);
                    return self.tell_refilled(fetched).await;
                }
                debug!(chain = %self.chain, block = %link.block, "a block of a hole does not fit");
                let below = height.previous().and_then(|below| self.window.link_at(below));
                if let Some(below) = below.filter(|below| below.block.hash != link.parent) {
                    self.retries.failed(height, self.block_time());
                    return self.doubt_below(below, link, fetched.endpoint).await;
                }
            }
            Err(error) => {
                debug!(chain = %self.chain, %height, error = %with_causes(&error), "a hole stays open");
            }
        }
        self.retries.failed(height, self.block_time());
        Ok(())
    }

    /// Whether the block links to its neighbours, as far as they are known.
    fn fits(&self, link: wk_model::BlockLink) -> bool {
        let height = link.block.height;
        let own = self.window.hash_at(height).is_none_or(|hash| hash == link.block.hash);
        let below = height
            .previous()
            .and_then(|below| self.window.hash_at(below))
            .is_none_or(|hash| hash == link.parent);
        let above = self.window.link_at(height.next());
        own && below && above.is_none_or(|above| above.parent == link.block.hash)
    }
}
