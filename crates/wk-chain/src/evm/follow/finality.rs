//! Safe and finalized blocks: by the chain's tags, or by depth where it has none.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;
use tracing::info;
use wk_model::{BlockLink, BlockRef, ChainChange, Finality, Height};

use super::{FollowError, Following, Rival, Side};
use crate::evm::config::Confirmations;
use crate::evm::wire::RawHeader;
use crate::rpc::{CallError, EndpointName, ErrorClass, HeadSeen, HeadVia, Pool, Reply, Request};

/// What is safe and what is final.
pub(super) struct Finals {
    safe: Level,
    finalized: Level,
    asked: Option<Instant>,
}

struct Level {
    newest: Option<BlockRef>,
    /// The chain has the tag. Then depth never counts: finality that stalls is not made up for.
    tagged: bool,
    /// How often in a row the tag was refused.
    refusals: u32,
    /// Since when the chain is known not to have the tag.
    untagged: Option<Instant>,
}

/// What an endpoint says about a tag.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    At(EndpointName, BlockLink),
    /// It has no such tag, or no such block yet.
    Unsupported,
    /// It fails in its own way: perhaps for now, perhaps because it does not know the tag.
    Odd,
    /// It did not answer.
    Unknown,
}

/// Both tags.
pub(super) struct Marks {
    safe: Mark,
    finalized: Mark,
}

/// A tag that is missing is asked for again after this time: nodes are updated.
const ASK_AGAIN: Duration = Duration::from_secs(300);
/// A plain refusal weighs this much, an odd answer weighs one: two refusals, or so many odd answers
/// more, and the chain counts as one without the tag.
const REFUSALS: u32 = 5;
/// Endpoints that are asked for a tag.
const ASKED: usize = 3;
/// Blocks that become settled at once are counted one by one up to here.
const MOST_COUNTED: u64 = 2_048;

impl Finals {
    pub(super) fn new(safe: Option<BlockRef>, finalized: Option<BlockRef>) -> Finals {
        let level = |newest| Level { newest, tagged: false, refusals: 0, untagged: None };
        Finals { safe: level(safe), finalized: level(finalized), asked: None }
    }

    pub(super) fn safe(&self) -> Option<BlockRef> {
        self.safe.newest
    }

    pub(super) fn finalized(&self) -> Option<BlockRef> {
        self.finalized.newest
    }

    /// Blocks from `from` up were reverted.
    pub(super) fn cut(&mut self, from: Height) {
        for level in [&mut self.safe, &mut self.finalized] {
            level.newest = level.newest.filter(|block| block.height < from);
        }
    }

    fn level(&mut self, finality: Finality) -> &mut Level {
        match finality {
            Finality::Seen | Finality::Safe => &mut self.safe,
            Finality::Finalized => &mut self.finalized,
        }
    }
}

impl Level {
    fn learn(&mut self, mark: &Mark) {
        match mark {
            Mark::At(..) => {
                self.tagged = true;
                self.refusals = 0;
                self.untagged = None;
            }
            Mark::Unsupported => self.refused(REFUSALS),
            Mark::Odd => self.refused(1),
            Mark::Unknown => {}
        }
    }

    fn refused(&mut self, weight: u32) {
        self.refusals = self.refusals.saturating_add(weight);
        if !self.tagged && self.refusals >= 2 * REFUSALS {
            self.untagged = Some(Instant::now());
        }
    }

    fn may_ask(&self) -> bool {
        self.untagged.is_none_or(|since| since.elapsed() > ASK_AGAIN)
    }
}

/// Asks the best endpoint for the block with this tag.
pub(super) async fn ask(pool: &Pool, tag: &str) -> Mark {
    read(pool.call(request(tag)).await)
}

/// Asks several endpoints, and takes the middle answer, or the lower one of two: one alone could
/// call final what is not.
async fn ask_several(pool: &Pool, endpoints: &[EndpointName], tag: &str) -> Mark {
    let ask = async |endpoint: &EndpointName| read(pool.call_on(endpoint, request(tag)).await);
    let marks = join_all(endpoints.iter().map(ask)).await;
    let mut at: Vec<(EndpointName, BlockLink)> = marks
        .iter()
        .filter_map(|mark| match mark {
            Mark::At(endpoint, link) => Some((endpoint.clone(), *link)),
            Mark::Unsupported | Mark::Odd | Mark::Unknown => None,
        })
        .collect();
    at.sort_by_key(|(_, link)| link.block.height);
    let middle = at.len().saturating_sub(1) / 2;
    if let Some((endpoint, link)) = at.into_iter().nth(middle) {
        return Mark::At(endpoint, link);
    }
    let has = |kind: fn(&Mark) -> bool| marks.iter().any(kind);
    if has(|mark| matches!(mark, Mark::Unsupported)) {
        Mark::Unsupported
    } else if has(|mark| matches!(mark, Mark::Odd)) {
        Mark::Odd
    } else {
        Mark::Unknown
    }
}

fn request(tag: &str) -> Request {
    Request::live("eth_getBlockByNumber", json!([tag, false]))
}

fn read(answer: Result<Reply, CallError>) -> Mark {
    match answer {
        Ok(reply) if reply.is_null() => Mark::Unsupported,
        Ok(reply) => match RawHeader::parse(&reply.value) {
            Ok(header) => Mark::At(reply.endpoint, header.link()),
            Err(_) => Mark::Odd,
        },
        Err(error) => {
            let refused = error.all(ErrorClass::RpcInvalidParams)
                || error.all(ErrorClass::RpcMethodMissing)
                || error.all(ErrorClass::RpcHeaderNotFound);
            if refused {
                Mark::Unsupported
            } else if error.all(ErrorClass::RpcOther) {
                Mark::Odd
            } else {
                Mark::Unknown
            }
        }
    }
}

impl Following {
    /// Asks for the tags once per block time or so, unless we are at it.
    pub(super) fn ask_for_finals(&mut self) {
        if self.config.confirmations.is_some() || self.window.tip().is_none() || self.pending.finals
        {
            return;
        }
        let every = self.block_time().clamp(Duration::from_millis(500), Duration::from_secs(12));
        if self.finals.asked.is_some_and(|asked| asked.elapsed() < every) {
            return;
        }
        let (safe, finalized) = (self.finals.safe.may_ask(), self.finals.finalized.may_ask());
        if !safe && !finalized {
            return;
        }
        self.finals.asked = Some(Instant::now());
        self.pending.finals = true;
        let pool = self.pool.clone();
        let endpoints: Vec<EndpointName> = self.believed().into_iter().take(ASKED).collect();
        self.jobs.spawn(async move {
            let one = async |asked: bool, tag: &str| {
                if asked { ask_several(&pool, &endpoints, tag).await } else { Mark::Unknown }
            };
            let (safe, finalized) = tokio::join!(one(safe, "safe"), one(finalized, "finalized"));
            Side::Finals(Marks { safe, finalized })
        });
    }

    pub(super) async fn on_marks(&mut self, marks: Marks) -> Result<(), FollowError> {
        self.pending.finals = false;
        let Marks { safe, finalized } = marks;
        for (finality, mark) in [(Finality::Safe, safe), (Finality::Finalized, finalized)] {
            let level = self.finals.level(finality);
            let may_have_it = level.untagged.is_none();
            level.learn(&mark);
            if may_have_it && level.untagged.is_some() {
                info!(chain = %self.chain, tag = %finality, "no such tag; counting confirmations");
            }
            if let Mark::At(endpoint, link) = mark {
                self.on_mark(finality, endpoint, link).await?;
            }
        }
        self.confirm_by_depth().await
    }

    /// An endpoint says that everything up to `link` is safe or final.
    async fn on_mark(
        &mut self,
        finality: Finality,
        endpoint: EndpointName,
        link: BlockLink,
    ) -> Result<(), FollowError> {
        let height = link.block.height;
        match self.window.hash_at(height) {
            Some(hash) if hash == link.block.hash => self.settle(finality, link).await,
            Some(_) => {
                // Final, and not what was told: one of both is on another branch.
                if finality == Finality::Finalized {
                    let at = self.clock.now();
                    let head = HeadSeen { endpoint, link, via: HeadVia::Poll, at };
                    let since = Instant::now();
                    self.rivals.insert(head.endpoint.clone(), Rival { head, since });
                    self.consider_rivals().await?;
                }
                Ok(())
            }
            // Older than what is remembered: nothing speaks against it.
            None if self.window.lowest().is_some_and(|lowest| height < lowest)
                && self.window.is_pruned() =>
            {
                self.settle(finality, link).await
            }
            // Not told yet, or never: comes again.
            None => Ok(()),
        }
    }

    /// Where the chain has no tags, depth decides.
    pub(super) async fn confirm_by_depth(&mut self) -> Result<(), FollowError> {
        let Some(tip) = self.window.tip() else { return Ok(()) };
        let configured = self.config.confirmations;
        let Confirmations { safe, finalized } = configured.unwrap_or_default();
        for (finality, depth) in [(Finality::Safe, safe), (Finality::Finalized, finalized)] {
            if configured.is_none() && self.finals.level(finality).untagged.is_none() {
                continue;
            }
            let Some(height) = tip.block.height.0.checked_sub(u64::from(depth)) else { continue };
            if let Some(link) = self.window.link_at(Height(height)) {
                self.settle(finality, link).await?;
            }
        }
        Ok(())
    }

    /// Tells that everything up to `link`, which is part of the chain, is safe or final.
    async fn settle(&mut self, finality: Finality, link: BlockLink) -> Result<(), FollowError> {
        let before = self.finals.level(finality).newest;
        if before.is_some_and(|before| before.height >= link.block.height) {
            return Ok(());
        }
        self.finals.level(finality).newest = Some(link.block);
        let from = before.map_or(link.block.height, |before| before.height.next());
        let from = from.max(Height(link.block.height.0.saturating_sub(MOST_COUNTED)));
        let mut links: Vec<BlockLink> = (from.0..link.block.height.0)
            .filter_map(|height| self.window.link_at(Height(height)))
            .collect();
        links.push(link);
        self.metrics.settled(finality, &links, self.clock.now());
        let change = match finality {
            Finality::Seen | Finality::Safe => ChainChange::Safe,
            Finality::Finalized => {
                self.window.finalize(link.block);
                ChainChange::Finalized
            }
        };
        self.tell_change(link, change).await
    }
}

#[cfg(test)]
mod tests {
    use wk_model::{B256, BlockTime};

    use super::*;

    #[test]
    fn only_a_chain_that_never_had_a_tag_counts_as_one_without() {
        let height = Height(1);
        let link = BlockLink {
            block: BlockRef { height, hash: B256::ZERO },
            parent: B256::ZERO,
            time: BlockTime(0),
        };
        let at = || Mark::At(EndpointName::new("a"), link);
        let check = |marks: &[Mark], expected: bool| {
            let mut finals = Finals::new(None, None);
            let level = finals.level(Finality::Safe);
            marks.iter().for_each(|mark| level.learn(mark));
            assert_eq!(level.untagged.is_some(), expected, "{marks:?}");
        };
        check(&[], false);
        check(&[Mark::Unsupported], false);
        check(&[Mark::Unsupported, Mark::Unsupported], true);
        check(&[Mark::Unsupported, at(), Mark::Unsupported, Mark::Unsupported], false);
        check(&[const { Mark::Odd }; 9], false);
        check(&[const { Mark::Odd }; 10], true);
        check(&[const { Mark::Unknown }; 50], false);
    }
}
