//! Tells what happened: blocks, reverts and troubles, in order, and the follower's own bookkeeping
//! of what it told.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::{info, warn};
use wk_model::{
    BlockBody, BlockLink, ChainChange, ChainEvent, Condition, ConditionKey, Fact, FindingBuilder,
    Height, Intake, Observation, Verification, evm,
};

use super::findings::{
    About, FINALITY, HALTED, HOLE, LATE, REORG, TOO_DEEP, UNREACHABLE, hole_subject,
};
use super::{FollowError, Following};
use crate::evm::digest::digest;
use crate::evm::fetch::Fetched;

/// Conditions that were told.
pub(super) struct Told {
    /// Raised before the start, and not yet looked at.
    standing: Vec<ConditionKey>,
    /// Raised holes: by highest height, the lowest one.
    holes: BTreeMap<Height, Height>,
    /// Why the last hole was opened.
    reason: String,
}

impl Told {
    pub(super) fn new(standing: Vec<ConditionKey>) -> Told {
        let reason = "not looked at before the last stop".to_owned();
        Told { standing, holes: BTreeMap::new(), reason }
    }
}

impl Following {
    pub(super) fn about(&self) -> About<'_> {
        About { chain: &self.chain, at: self.clock.now() }
    }

    /// Hands on one observation; waits for room.
    pub(super) async fn tell(&self, observation: Observation) -> Result<(), FollowError> {
        match self.stop.run(self.out.send(observation)).await {
            None => Err(FollowError::Stopped),
            Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(FollowError::Closed),
        }
    }

    pub(super) async fn raise(
        &self,
        finding: FindingBuilder,
        subject: &str,
    ) -> Result<(), FollowError> {
        let condition = finding.raise(subject);
        if let Condition::Raised(_, finding) = &condition {
            warn!(chain = %self.chain, trouble = finding.class, title = finding.title, "trouble");
        }
        self.tell(Observation::Condition(condition)).await
    }

    pub(super) async fn clear(&self, key: ConditionKey) -> Result<(), FollowError> {
        info!(chain = %self.chain, trouble = key.trouble, subject = key.subject, "trouble is over");
        self.tell(Observation::Condition(Condition::Cleared(key))).await
    }

    pub(super) async fn fact(
        &self,
        name: &str,
        value: serde_json::Value,
    ) -> Result<(), FollowError> {
        let asset = wk_model::AssetId::chain(&self.chain);
        let fact = Fact { asset, name: name.to_owned(), value, at: self.clock.now() };
        self.tell(Observation::Fact(fact)).await
    }

    /// Tells the next block of the chain. The window decides whether it is the next one.
    pub(super) async fn tell_next(
        &mut self,
        mut fetched: Fetched,
        intake: Intake,
    ) -> Result<(), FollowError> {
        let link = fetched.block.header.link();
        let below = link.block.height.previous().and_then(|below| self.window.hash_at(below));
        fetched.report.check_parent(&fetched.block.header, below);
        self.window.append(link);
        self.agreement.told(link.block.height);
        self.health.progressed();
        self.tell_seen(&fetched, intake).await?;
        self.pool.followed(link.block);
        self.announced = self.announced.split_off(&link.block.height.next());
        if let Some(goal) = &self.goal
            && goal.link.block.height >= link.block.height
        {
            self.phantoms.followed(&goal.endpoint);
            self.source = Some(goal.endpoint.clone());
        }
        if !self.resumed {
            self.resumed = true;
            self.clear_outdated().await?;
        }
        if let Some((_, height)) = &self.reorg
            && link.block.height >= *height
            && let Some((key, _)) = self.reorg.take()
        {
            self.clear(key).await?;
        }
        self.clear_halt().await?;
        self.confirm_by_depth().await
    }

    /// Tells a block that belongs below the newest one.
    pub(super) async fn tell_refilled(&mut self, mut fetched: Fetched) -> Result<(), FollowError> {
        let link = fetched.block.header.link();
        let below = link.block.height.previous().and_then(|below| self.window.hash_at(below));
        fetched.report.check_parent(&fetched.block.header, below);
        self.window.refill(link);
        self.tell_seen(&fetched, Intake::Refill).await?;
        self.holes.close(link.block.height);
        self.tell_holes().await
    }

    pub(super) async fn tell_seen(
        &mut self,
        fetched: &Fetched,
        intake: Intake,
    ) -> Result<(), FollowError> {
        let block: &Arc<evm::Block> = &fetched.block;
        let link = block.header.link();
        let agreed = self.pool.announced_by(link.block).max(1);
        let verification = Verification { agreed, ..fetched.report.verification() };
        self.processed.put(link.block, digest(block), fetched.report.passed());
        self.metrics.seen(block, intake, self.clock.now());
        self.tell_change(
            link,
            ChainChange::Seen { body: BlockBody::Evm(Arc::clone(block)), verification, intake },
        )
        .await
    }

    /// Tells that the newest block is no longer part of the chain.
    pub(super) async fn tell_reverted(
        &mut self,
        link: BlockLink,
        below: Option<BlockLink>,
    ) -> Result<(), FollowError> {
        self.processed.remove(link.block.height);
        self.metrics.reverted(link, below);
        self.tell_change(link, ChainChange::Reverted).await
    }

    pub(super) async fn tell_change(
        &self,
        link: BlockLink,
        change: ChainChange,
    ) -> Result<(), FollowError> {
        let event = ChainEvent { chain: self.chain.clone(), link, change };
        self.tell(Observation::ChainEvent(event)).await
    }

    /// Opens a hole and tells of it.
    pub(super) async fn open_hole(
        &mut self,
        from: Height,
        to: Height,
        reason: &str,
    ) -> Result<(), FollowError> {
        self.holes.open(from, to);
        self.told.reason = reason.to_owned();
        let value = serde_json::json!({"from": from, "to": to, "reason": reason});
        self.fact("hole_opened", value).await?;
        self.tell_holes().await
    }

    /// Brings the conditions in line with the holes there are.
    pub(super) async fn tell_holes(&mut self) -> Result<(), FollowError> {
        let now: BTreeMap<Height, Height> =
            self.holes.ranges().into_iter().map(|(from, to)| (to, from)).collect();
        for to in self.told.holes.keys().copied().collect::<Vec<_>>() {
            if !now.contains_key(&to) {
                self.told.holes.remove(&to);
                self.clear(self.about().key(HOLE, &hole_subject(to))).await?;
            }
        }
        for (to, from) in now {
            if self.told.holes.insert(to, from).is_none() {
                let finding = self.about().hole(from, to, &self.told.reason);
                self.raise(finding, &hole_subject(to)).await?;
            }
        }
        Ok(())
    }

    /// The chain is followed: what stood before the start and no longer holds is over.
    async fn clear_outdated(&mut self) -> Result<(), FollowError> {
        for key in std::mem::take(&mut self.told.standing) {
            let ours = [REORG, TOO_DEEP, FINALITY, HALTED, UNREACHABLE, LATE, HOLE];
            let holds = key.trouble == HOLE
                && self.told.holes.keys().any(|to| hole_subject(*to) == key.subject);
            if key.asset == wk_model::AssetId::chain(&self.chain)
                && ours.contains(&key.trouble.as_str())
                && !holds
            {
                self.clear(key).await?;
            }
        }
        Ok(())
    }
}
