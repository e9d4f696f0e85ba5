//! From announced heads to blocks: what to fetch next, and what to do with it when it comes.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};
use wk_model::{BlockLink, Height, Intake};
use wk_runtime::with_causes;

use super::finality::{self, Mark};
use super::plan::Done;
use super::{FollowError, Following, Rival, Side};
use crate::evm::config::StartAt;
use crate::evm::fetch::{FetchError, Fetched, Want, quantity};
use crate::evm::window::Step;
use crate::evm::wire::RawHeader;
use crate::rpc::{HeadSeen, Purpose, Request};

/// Failures after which the next block is left out as a hole.
const STRIKES: u32 = 2;
/// Head starts of this many blocks are caught up with; smaller ones are live.
const CATCH_UP: u64 = 32;
/// Announced heads that are remembered.
const MOST_ANNOUNCED: usize = 1_024;
/// Time between two looks at whether blocks may be left for later, and longest time for one.
const LEAVE_OUT_EVERY: Duration = Duration::from_secs(1);
const LEAVE_OUT_TIME: Duration = Duration::from_secs(2);
/// Waits before a block is asked for again while nobody answers.
const UNANSWERED: Duration = Duration::from_millis(500);

impl Following {
    /// An endpoint told of a head.
    pub(super) async fn on_head(&mut self, head: HeadSeen) -> Result<(), FollowError> {
        self.health.heard();
        let link = head.link;
        self.agreement.announced(&head.endpoint, link.block);
        let Some(tip) = self.window.tip() else {
            return self.on_first_head(head).await;
        };
        if self.window.hash_at(link.block.height) == Some(link.block.hash) {
            return Ok(());
        }
        if self.phantoms.contains(link.block.hash) {
            return Ok(());
        }
        let goal = self.goal.as_ref().map(|goal| goal.link.block);
        if goal == Some(link.block) || self.plan.has_block(link.block.hash) {
            return Ok(());
        }
        let highest = goal.map_or(tip.block.height, |goal| goal.height.max(tip.block.height));
        let follows_tip = link.block.height != tip.block.height.next()
            || link.parent == tip.block.hash
            || !self.plan.is_empty();
        if link.block.height > highest && follows_tip {
            self.set_goal(head, highest);
            return self.clear_halt().await;
        }
        let since = Instant::now();
        self.rivals.insert(head.endpoint.clone(), Rival { head, since });
        self.consider_rivals().await
    }

    /// The way leads to `head` from now on.
    pub(super) fn set_goal(&mut self, head: HeadSeen, highest: Height) {
        let link = head.link;
        let is_first = self.goal.is_none() && !self.resumed;
        if is_first || link.block.height.above(highest) > CATCH_UP {
            self.live_from = link.block.height;
        }
        self.announced.insert(link.block.height, link);
        if self.announced.len() > MOST_ANNOUNCED {
            self.announced.pop_first();
        }
        self.goal = Some(head);
        self.health.progressed();
    }

    /// Nothing was followed yet: where to begin?
    async fn on_first_head(&mut self, head: HeadSeen) -> Result<(), FollowError> {
        let height = head.link.block.height;
        let is_higher = self.goal.as_ref().is_none_or(|goal| height > goal.link.block.height);
        if !is_higher {
            return Ok(());
        }
        match (self.first, self.config.from) {
            (Some(_), _) => {}
            (None, StartAt::Latest) => self.first = Some(height),
            (None, StartAt::Height(from)) => self.first = Some(from),
            (None, StartAt::Finalized) => self.ask_for_start(height),
        }
        let highest = self.goal.as_ref().map_or(height, |goal| goal.link.block.height);
        self.set_goal(head, highest);
        Ok(())
    }

    fn ask_for_start(&mut self, head: Height) {
        if std::mem::replace(&mut self.pending.start, true) {
            return;
        }
        let pool = self.pool.clone();
        let depth = self.config.confirmations.unwrap_or_default().finalized;
        self.jobs.spawn(async move {
            let height = match finality::ask(&pool, "finalized").await {
                Mark::At(_, link) => Some(link.block.height),
                Mark::Unsupported => Some(Height(head.0.saturating_sub(u64::from(depth)))),
                Mark::Odd | Mark::Unknown => None,
            };
            Side::Start(height)
        });
    }

    /// Fetches what comes next on the way to the goal, as much at once as is configured.
    pub(super) async fn fill_plan(&mut self) -> Result<(), FollowError> {
        let Some(goal) = self.goal.as_ref().map(|goal| goal.link) else { return Ok(()) };
        let parallel = usize::from(self.config.parallel.clamp(1, 256));
        while self.plan.len() < parallel {
            let Some(next) = self.next_wanted() else { return Ok(()) };
            if next > goal.block.height {
                return Ok(());
            }
            let gap = goal.block.height.above(next);
            if gap > self.config.max_catchup_gap && self.may_leave_out(goal.block.height).await? {
                self.plan.clear();
                let from = self.next_wanted().unwrap_or(next);
                let to = Height(goal.block.height.0 - 1);
                self.live_from = goal.block.height;
                let reason = format!("{gap} blocks behind the head; filled in behind it");
                self.open_hole(from, to, &reason).await?;
                continue;
            }
            let want = self.want(next, goal);
            let purpose = if next >= self.live_from { Purpose::Live } else { Purpose::Backfill };
            self.plan.push(want, self.fetcher.spawn(want, purpose));
        }
        Ok(())
    }

    /// Whether the blocks between the chain and `goal` may be left for later. What was told last
    /// must still be the chain: a reorg below a hole would go unnoticed for long.
    async fn may_leave_out(&mut self, goal: Height) -> Result<bool, FollowError> {
        if self.left_out.is_some_and(|last| last.elapsed() < LEAVE_OUT_EVERY) {
            return Ok(false);
        }
        self.left_out = Some(Instant::now());
        if !self.is_reached(goal) {
            return Ok(false);
        }
        let Some(tip) = self.window.tip() else { return Ok(true) };
        let params = json!([quantity(tip.block.height), false]);
        let call = self.pool.call(Request::live("eth_getBlockByNumber", params));
        let reply = self.stop.run(timeout(LEAVE_OUT_TIME, call)).await;
        let hash = match reply.ok_or(FollowError::Stopped)? {
            Ok(Ok(reply)) => RawHeader::parse(&reply.value).ok().map(|raw| raw.header.hash),
            Ok(Err(_)) | Err(_) => None,
        };
        Ok(hash == Some(tip.block.hash))
    }

    /// Whether most endpoints that count have got about as far as `height`: one alone may lie.
    fn is_reached(&self, height: Height) -> bool {
        const ABOUT: u64 = 64;
        let believed = self.believed();
        let heads: Vec<Height> = self
            .pool
            .endpoints()
            .into_iter()
            .filter(|endpoint| believed.contains(&endpoint.name))
            .filter_map(|endpoint| endpoint.head)
            .map(|head| head.block.height)
            .collect();
        let reached = heads.iter().filter(|head| head.0.saturating_add(ABOUT) >= height.0).count();
        heads.is_empty() || reached * 2 > heads.len()
    }

    /// The next height that is neither told, nor on its way, nor a hole.
    fn next_wanted(&self) -> Option<Height> {
        let next = match (self.plan.last(), self.window.tip()) {
            (Some(last), _) => last.height().next(),
            (None, Some(tip)) => tip.block.height.next(),
            (None, None) => self.first?,
        };
        Some(self.holes.after(next))
    }

    /// By hash where that is known to be on the way, so that no rival can be had in its place.
    fn want(&self, height: Height, goal: BlockLink) -> Want {
        if height == goal.block.height {
            return Want::Block(goal.block);
        }
        // Down from the goal, each child names its parent.
        let mut child = goal;
        for (_, link) in self.announced.range(..goal.block.height).rev() {
            if link.block.hash != child.parent {
                break;
            }
            if link.block.height == height {
                return Want::Block(link.block);
            }
            child = *link;
        }
        Want::Height(height)
    }

    /// The first fetch of the plan has ended.
    pub(super) async fn on_planned(&mut self, done: Done) -> Result<(), FollowError> {
        let Done { want, since, outcome } = done;
        let fetched = match outcome {
            Ok(fetched) => fetched,
            Err(error) => return self.on_failed(want, since, error).await,
        };
        self.health.answered();
        let link = fetched.block.header.link();
        match self.window.step(&[link], false) {
            Step::Known => Ok(()),
            Step::Extends => self.take(fetched, since).await,
            Step::Ahead { from, to } if self.holes.covers(from, to) => {
                self.take(fetched, since).await
            }
            Step::Ahead { .. } => {
                // Something below was reverted while it was on its way.
                self.plan.clear();
                Ok(())
            }
            Step::NeedParent(_)
            | Step::Fork(_)
            | Step::TooDeep { .. }
            | Step::FinalityViolated { .. } => {
                debug!(chain = %self.chain, block = %link.block, "a block does not link to the chain");
                self.plan.clear();
                let Some(goal) = self.goal.take() else { return Ok(()) };
                // Judged by its head where that is the same branch, else by itself.
                let head = if want.height() == goal.link.block.height {
                    goal
                } else {
                    HeadSeen { endpoint: fetched.endpoint, link, ..goal }
                };
                self.rivals.insert(head.endpoint.clone(), Rival { head, since });
                self.consider_rivals().await
            }
        }
    }

    async fn take(&mut self, fetched: Fetched, since: Instant) -> Result<(), FollowError> {
        let height = fetched.block.header.height;
        let intake = if height >= self.live_from { Intake::Live } else { Intake::Backfill };
        if intake == Intake::Live {
            self.metrics.fetched(since.elapsed());
        }
        self.strikes = (height.next(), 0);
        self.tell_next(fetched, intake).await?;
        if self.plan.is_empty() {
            self.consider_rivals().await?;
        }
        Ok(())
    }

    /// The next block cannot be had: wait, look again, or go on without it.
    async fn on_failed(
        &mut self,
        want: Want,
        since: Instant,
        error: FetchError,
    ) -> Result<(), FollowError> {
        let height = want.height();
        warn!(chain = %self.chain, %height, error = %with_causes(&error), "block fetch failed");
        let is_missing = matches!(error, FetchError::Missing(_));
        if is_missing && (matches!(want, Want::Block(_)) || !self.is_reached(height)) {
            // Announced and gone: reorged away, or a lie. Another head may be as good.
            self.plan.clear();
            self.announced.remove(&height);
            if let Some(goal) = self.goal.take() {
                self.phantoms.missed(&goal, &self.pool);
            }
            self.consider_rivals().await?;
            self.poll();
            return Ok(());
        }
        let unanswered = matches!(error, FetchError::Call { .. });
        if unanswered && !self.health.answered_since(since) {
            // Nobody answers anything: no fault of this block.
            self.poll();
            let again = self.fetch_after(UNANSWERED, want);
            self.plan.push_first(want, Instant::now(), again);
            return Ok(());
        }
        self.strikes =
            if self.strikes.0 == height { (height, self.strikes.1 + 1) } else { (height, 1) };
        if self.strikes.1 < STRIKES {
            let again = self.fetch_after(UNANSWERED, want);
            self.plan.push_first(want, since, again);
            return Ok(());
        }
        self.strikes = (height.next(), 0);
        self.retries.failed(height, self.block_time());
        self.open_hole(height, height, &with_causes(&error)).await
    }

    fn fetch_after(
        &self,
        wait: Duration,
        want: Want,
    ) -> AbortOnDropHandle<Result<Fetched, FetchError>> {
        let fetcher = self.fetcher.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            fetcher.fetch(want, Purpose::Live, &[]).await
        }))
    }
}
