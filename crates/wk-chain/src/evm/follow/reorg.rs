//! Reorgs: whether to believe a head that contradicts what was told, and how to follow it.

use std::cmp::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};
use wk_model::{B256, BlockLink, BlockRef, Height, Intake};
use wk_runtime::with_causes;

use super::findings::REORG;
use super::{FollowError, Following};
use crate::evm::fetch::{Want, quantity};
use crate::evm::window::{Fork, Step};
use crate::evm::wire::RawHeader;
use crate::rpc::{EndpointName, HeadSeen, HeadVia, Health, Purpose, Request};

/// Shortest and longest time between two votes: a liar must not keep us busy.
const VOTE_EVERY: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];
/// Longest time to wait for a vote.
const VOTE_TIME: Duration = Duration::from_secs(2);
/// A head that is not believed for this long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// What the endpoints say about two rival blocks at one height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Votes {
    /// For the new branch.
    new: u32,
    /// For the block that was told.
    old: u32,
    /// The endpoint whose heads were followed so far is for the new branch.
    source_left: bool,
}

/// The branch that an endpoint is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Old,
    New,
}

/// Whether to follow a new branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Follow,
    /// Not now; ask again.
    Wait,
    /// Nobody has it any more.
    Gone,
}

impl Votes {
    fn decide(self) -> Verdict {
        let Votes { new, old, source_left } = self;
        match new.cmp(&old) {
            _ if new == 0 => Verdict::Gone,
            Ordering::Greater => Verdict::Follow,
            // Where nothing else decides, who was believed so far is believed.
            Ordering::Equal if source_left => Verdict::Follow,
            Ordering::Equal | Ordering::Less => Verdict::Wait,
        }
    }
}

impl Following {
    /// Looks at the heads that contradict what was told, and follows one if the endpoints are for
    /// it.
    pub(super) async fn consider_rivals(&mut self) -> Result<(), FollowError> {
        if self.rivals.is_empty() || !self.plan.is_empty() {
            return Ok(());
        }
        let oldest = self.rivals.values().map(|rival| rival.since.elapsed()).max();
        let every = (oldest.unwrap_or_default() / 4).clamp(VOTE_EVERY[0], VOTE_EVERY[1]);
        if self.last_vote.is_some_and(|last| last.elapsed() < every) {
            return Ok(());
        }
        let Some(tip) = self.window.tip() else {
            self.rivals.clear();
            return Ok(());
        };
        let window = &self.window;
        self.rivals.retain(|_, rival| {
            let block = rival.head.link.block;
            window.hash_at(block.height) != Some(block.hash) && rival.since.elapsed() < FORGET_AFTER
        });
        let believed = self.believed();
        let highest = self
            .rivals
            .values()
            .map(|rival| rival.head.clone())
            .filter(|head| believed.contains(&head.endpoint))
            .max_by_key(|head| head.link.block.height);
        let Some(head) = highest else { return Ok(()) };
        match self.window.step(&[head.link], false) {
            Step::Known => return Ok(()),
            Step::Extends | Step::Ahead { .. } => {
                self.rivals.remove(&head.endpoint);
                if self.goal.is_none() {
                    self.set_goal(head, tip.block.height);
                }
                return Ok(());
            }
            Step::NeedParent(_)
            | Step::Fork(_)
            | Step::TooDeep { .. }
            | Step::FinalityViolated { .. } => {}
        }
        self.last_vote = Some(Instant::now());
        let votes = self.vote(&believed, head.link, tip).await;
        let verdict = votes.decide();
        debug!(chain = %self.chain, head = %head.link.block, ?votes, ?verdict, "rival head");
        match verdict {
            Verdict::Wait => Ok(()),
            Verdict::Gone => {
                self.rivals.remove(&head.endpoint);
                Ok(())
            }
            Verdict::Follow => {
                self.rivals.clear();
                self.switch_to(head).await
            }
        }
    }

    /// A block of a hole, `above`, does not link to the told block `below` it: the chain changed
    /// below the hole. If the endpoints say so, everything from there up is taken back.
    pub(super) async fn doubt_below(
        &mut self,
        below: BlockLink,
        above: BlockLink,
        endpoint: EndpointName,
    ) -> Result<(), FollowError> {
        let believed = self.believed();
        let votes = self.vote(&believed, above, below).await;
        debug!(chain = %self.chain, below = %below.block, ?votes, "the chain changed below a hole");
        if votes.decide() != Verdict::Follow {
            return Ok(());
        }
        let wanted = BlockRef { height: below.block.height, hash: above.parent };
        let header = self.stop.run(self.fetcher.header(wanted)).await;
        let Ok(header) = header.ok_or(FollowError::Stopped)? else { return Ok(()) };
        self.plan.clear();
        self.goal = None;
        let (via, at) = (HeadVia::Poll, self.clock.now());
        self.switch_to(HeadSeen { endpoint, link: header.link(), via, at }).await?;
        self.poll();
        Ok(())
    }

    /// Endpoints whose word counts: those in good health, or all that answer when there are none.
    pub(super) fn believed(&self) -> Vec<EndpointName> {
        let endpoints = self.pool.endpoints();
        let good =
            |health: Health| matches!(health, Health::Healthy | Health::Limited | Health::Unknown);
        let any_good = endpoints.iter().any(|endpoint| good(endpoint.health));
        endpoints
            .into_iter()
            .filter(|endpoint| !any_good || good(endpoint.health))
            .map(|endpoint| endpoint.name)
            .collect()
    }

    /// Asks every believed endpoint which of two branches it is on: the one of `tip`, or the one
    /// of `new`.
    async fn vote(&self, believed: &[EndpointName], new: BlockLink, tip: BlockLink) -> Votes {
        let ask = async |endpoint: &EndpointName, height: Height| {
            let params = json!([quantity(height), false]);
            let request = Request::live("eth_getBlockByNumber", params);
            let reply =
                timeout(VOTE_TIME, self.pool.call_on(endpoint, request)).await.ok()?.ok()?;
            if reply.is_null() {
                return Some(None);
            }
            RawHeader::parse(&reply.value).ok().map(|header| Some(header.header.hash))
        };
        let side = async |endpoint: &EndpointName| {
            let at_tip = ask(endpoint, tip.block.height).await?;
            if at_tip == Some(tip.block.hash) {
                return Some(Side::Old);
            }
            let is_new = match new.block.height.0.checked_sub(tip.block.height.0) {
                Some(0) => at_tip == Some(new.block.hash),
                Some(1) => at_tip == Some(new.parent),
                // Which block of the branch is there is not known; any that is not ours.
                Some(_) => at_tip.is_some(),
                None => ask(endpoint, new.block.height).await? == Some(new.block.hash),
            };
            is_new.then_some(Side::New)
        };
        let answers = join_all(believed.iter().map(side));
        let mut votes = Votes::default();
        for (endpoint, side) in
            believed.iter().zip(self.stop.run(answers).await.unwrap_or_default())
        {
            match side {
                Some(Side::Old) => votes.old += 1,
                Some(Side::New) => {
                    votes.new += 1;
                    votes.source_left |= self.source.as_ref() == Some(endpoint);
                }
                None => {}
            }
        }
        votes
    }

    /// Finds out where the branch of `head` leaves the chain, and follows it.
    async fn switch_to(&mut self, head: HeadSeen) -> Result<(), FollowError> {
        let mut branch = vec![head.link];
        let mut accept = false;
        loop {
            match self.window.step(&branch, accept) {
                Step::NeedParent(block) => {
                    let header = self.stop.run(self.fetcher.header(block)).await;
                    match header.ok_or(FollowError::Stopped)? {
                        Ok(header) => branch.push(header.link()),
                        Err(error) => {
                            let error = with_causes(&error);
                            warn!(chain = %self.chain, error, "cannot walk down a new branch");
                            return Ok(());
                        }
                    }
                }
                Step::Known | Step::Extends | Step::Ahead { .. } => {
                    let tip = self.window.tip().map_or(Height(0), |tip| tip.block.height);
                    self.set_goal(head, tip);
                    return Ok(());
                }
                Step::Fork(fork) => return self.perform(fork, head).await,
                refusal @ (Step::TooDeep { .. } | Step::FinalityViolated { .. }) => {
                    let is_accepted =
                        |link: &BlockLink| self.config.accept_branch == Some(link.block.hash);
                    if !accept && branch.iter().any(is_accepted) {
                        accept = true;
                    } else {
                        return self.refuse(refusal, &branch).await;
                    }
                }
            }
        }
    }

    /// Tells people that the chain cannot be followed, and ends.
    async fn refuse(&mut self, step: Step, branch: &[BlockLink]) -> Result<(), FollowError> {
        let head = branch.first().map_or(B256::ZERO, |link| link.block.hash);
        match step {
            Step::TooDeep { depth } => {
                let finding = self.about().too_deep(depth, self.config.reorg_window, branch);
                self.raise(finding, "").await?;
                Err(FollowError::TooDeep { depth, branch: head })
            }
            Step::FinalityViolated { finalized } => {
                let finding = self.about().finality(finalized, branch);
                self.raise(finding, "").await?;
                Err(FollowError::FinalityViolated { finalized, branch: head })
            }
            Step::Known
            | Step::Extends
            | Step::Ahead { .. }
            | Step::NeedParent(_)
            | Step::Fork(_) => Ok(()),
        }
    }

    /// Takes back what is no longer part of the chain, and begins with what is in its place.
    async fn perform(&mut self, fork: Fork, head: HeadSeen) -> Result<(), FollowError> {
        let (Some(first), Some(old)) = (fork.added.first().copied(), self.window.tip()) else {
            return Ok(());
        };
        // A branch whose first block cannot be verified is not followed.
        let fetch = self.fetcher.fetch(Want::Block(first.block), Purpose::Live, &[]);
        let fetched = match self.stop.run(fetch).await.ok_or(FollowError::Stopped)? {
            Ok(fetched) => fetched,
            Err(error) => {
                warn!(chain = %self.chain, error = with_causes(&error), "a new branch cannot be read");
                return Ok(());
            }
        };
        info!(chain = %self.chain, depth = fork.depth, old = %old.block, new = %head.link.block, "reorg");
        if let Some((key, _)) = self.reorg.take() {
            self.clear(key).await?;
        }
        if !fork.reverted.is_empty() {
            let subject = old.block.hash.to_string();
            let finding = self.about().reorg(&fork, old, head.link);
            self.reorg = Some((self.about().key(REORG, &subject), head.link.block.height));
            self.raise(finding, &subject).await?;
            self.metrics.reorg(fork.depth);
        }
        self.window.revert(&fork);
        for (at, link) in fork.reverted.iter().enumerate() {
            let below = fork.reverted.get(at + 1).copied().or_else(|| self.window.tip());
            self.tell_reverted(*link, below).await?;
        }
        let lowest = first.block.height;
        self.holes.cut(lowest);
        self.tell_holes().await?;
        self.finals.cut(lowest);
        self.agreement.cut(lowest);
        self.live_from = self.live_from.min(lowest);
        drop(self.announced.split_off(&lowest));
        for link in &fork.added {
            self.announced.insert(link.block.height, *link);
        }
        self.set_goal(head, old.block.height);
        self.tell_next(fetched, Intake::Live).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_majority_decides_and_a_tie_is_left_to_who_was_believed() {
        let check = |new, old, source_left, expected| {
            assert_eq!(Votes { new, old, source_left }.decide(), expected, "{new} {old}");
        };
        check(0, 0, false, Verdict::Gone);
        check(0, 1, false, Verdict::Gone);
        check(1, 0, false, Verdict::Follow);
        check(1, 0, true, Verdict::Follow);
        check(1, 1, false, Verdict::Wait);
        check(1, 1, true, Verdict::Follow);
        check(1, 2, false, Verdict::Wait);
        check(1, 2, true, Verdict::Wait);
        check(2, 1, false, Verdict::Follow);
    }
}
