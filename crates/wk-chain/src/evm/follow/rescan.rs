//! The later second look at blocks near the head: late truth, and who disagrees by now.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tracing::debug;
use wk_model::{B256, BlockLink, BlockRef, Check, Checks, Height, Intake};
use wk_runtime::with_causes;

use super::findings::LATE;
use super::{FollowError, Following, Rival, Side};
use crate::evm::digest::digest;
use crate::evm::fetch::{Fetched, Fetcher, Want, quantity};
use crate::evm::wire::RawHeader;
use crate::rpc::{EndpointName, HeadSeen, HeadVia, Pool, Purpose, Request};

/// What was processed of recent blocks.
pub(super) struct Processed {
    blocks: BTreeMap<Height, Content>,
    last: Instant,
}

/// What was processed of one block.
#[derive(Clone, Copy, Debug)]
struct Content {
    block: BlockRef,
    digest: B256,
    /// None when it was processed before the start.
    passed: Option<Checks>,
}

/// What a second look at one block gave.
pub(super) enum Look {
    /// The same block, with all that could be checked.
    Same(BlockRef),
    /// Another block at its height.
    Other(EndpointName, BlockLink),
    /// Its content, fetched anew.
    Content(Box<Fetched>),
}

/// Blocks that were verified less strictly are remembered for longer; at most so many.
const MOST_WEAK: usize = 1_024;
/// Of these, so many are looked at in one round.
const WEAK_AT_ONCE: usize = 64;

impl Content {
    /// Whether its content follows from its hash.
    fn is_proven(&self) -> bool {
        let all = [Check::HeaderHash, Check::TransactionsRoot, Check::ReceiptsRoot];
        self.passed.is_some_and(|passed| all.into_iter().all(|check| passed.has(check)))
    }
}

impl Processed {
    pub(super) fn new(digests: &[(BlockRef, B256)]) -> Processed {
        let content = |(block, digest): &(BlockRef, B256)| {
            (block.height, Content { block: *block, digest: *digest, passed: None })
        };
        Processed { blocks: digests.iter().map(content).collect(), last: Instant::now() }
    }

    pub(super) fn put(&mut self, block: BlockRef, digest: B256, passed: Checks) {
        self.blocks.insert(block.height, Content { block, digest, passed: Some(passed) });
    }

    pub(super) fn remove(&mut self, height: Height) {
        self.blocks.remove(&height);
    }

    fn get(&self, block: BlockRef) -> Option<Content> {
        self.blocks.get(&block.height).filter(|content| content.block == block).copied()
    }

    /// Forgets blocks below `from`, except the newest ones that are not proven.
    fn prune(&mut self, from: Height) {
        let mut weak = 0;
        let mut forget = Vec::new();
        for (height, content) in self.blocks.range(..from).rev() {
            // What was processed before the start was looked at by then.
            let keep = content.passed.is_some() && !content.is_proven() && weak < MOST_WEAK;
            weak += usize::from(keep);
            if !keep {
                forget.push(*height);
            }
        }
        for height in forget {
            self.blocks.remove(&height);
        }
    }

    /// What to look at again: the blocks from `from` to `to`, and some older ones that are not
    /// proven.
    fn due(&self, from: Height, to: Height) -> Vec<Content> {
        let recent = self.blocks.range(from..=to).map(|(_, content)| *content);
        let weak = self.blocks.range(..from).rev().map(|(_, content)| *content);
        weak.filter(|content| !content.is_proven()).take(WEAK_AT_ONCE).chain(recent).collect()
    }
}

impl Following {
    /// Begins a second look when it is time.
    pub(super) fn start_rescan(&mut self) {
        let depth = u64::from(self.config.rescan.depth);
        if depth == 0 {
            self.processed.blocks.clear();
            return;
        }
        let Some(tip) = self.window.tip() else { return };
        // The newest block is still on its way to everybody.
        let to = Height(tip.block.height.0.saturating_sub(1));
        let from = Height(tip.block.height.0.saturating_sub(depth));
        if self.processed.last.elapsed() < self.config.rescan.every.0 || self.pending.rescan {
            // Between looks, what will not be looked at again is forgotten.
            self.processed.prune(Height(from.0.saturating_sub(depth)));
            return;
        }
        self.processed.last = Instant::now();
        self.pending.rescan = true;
        let contents = self.processed.due(from, to);
        let (pool, fetcher) = (self.pool.clone(), self.fetcher.clone());
        let avoid: Vec<EndpointName> = match &self.source {
            Some(source) if pool.endpoints().len() > 1 => vec![source.clone()],
            Some(_) | None => Vec::new(),
        };
        self.jobs.spawn(async move {
            let mut looks = Vec::with_capacity(contents.len());
            for content in contents {
                looks.extend(look_again(&pool, &fetcher, content, &avoid).await);
                // Takes its time: nobody waits for it.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Side::Rescanned(looks)
        });
    }

    pub(super) async fn on_rescanned(&mut self, looks: Vec<Look>) -> Result<(), FollowError> {
        self.pending.rescan = false;
        let mut same: Vec<Height> = Vec::new();
        for look in looks {
            match look {
                Look::Same(block) => {
                    if self.window.hash_at(block.height) == Some(block.hash) {
                        same.push(block.height);
                    }
                }
                Look::Other(endpoint, link) => {
                    let at = self.clock.now();
                    let head = HeadSeen { endpoint, link, via: HeadVia::Poll, at };
                    let since = Instant::now();
                    self.rivals.insert(head.endpoint.clone(), Rival { head, since });
                }
                Look::Content(fetched) => {
                    let block = fetched.block.header.block_ref();
                    if self.tell_late(*fetched).await? {
                        continue;
                    }
                    same.push(block.height);
                }
            }
        }
        same.sort_unstable();
        for run in same.chunk_by(|low, high| low.next() == *high) {
            if let (Some(from), Some(to)) = (run.first(), run.last()) {
                self.fact("rescanned", json!({"from": from, "to": to})).await?;
            }
        }
        self.consider_rivals().await
    }

    /// Tells a block again when there is more to it than what was processed. Says whether it did.
    async fn tell_late(&mut self, mut fetched: Fetched) -> Result<bool, FollowError> {
        let block = fetched.block.header.block_ref();
        let Some(before) = self.processed.get(block) else { return Ok(true) };
        let after = digest(&fetched.block);
        let below = block.height.previous().and_then(|below| self.window.hash_at(below));
        fetched.report.check_parent(&fetched.block.header, below);
        let passed = fetched.report.passed();
        let is_stronger = before
            .passed
            .is_some_and(|before| before.iter().all(|check| passed.has(check)) && passed != before);
        let differs = after != before.digest;
        // Weaker than before, it says nothing new.
        let is_weaker = before.passed.is_some_and(|before| {
            before.iter().any(|check| check != Check::Parent && !passed.has(check))
        });
        if is_weaker || (!differs && !is_stronger) {
            if before.passed.is_none() {
                self.processed.put(block, after, passed);
            }
            return Ok(false);
        }
        self.tell_seen(&fetched, Intake::Rescan).await?;
        if differs {
            let subject = block.hash.to_string();
            let finding = self.about().late(block, before.digest, after);
            self.raise(finding, &subject).await?;
            // It was processed again: nothing is left to do.
            self.clear(self.about().key(LATE, &subject)).await?;
        }
        Ok(true)
    }
}

/// Looks at one block again, if possible through another endpoint than before.
async fn look_again(
    pool: &Pool,
    fetcher: &Fetcher,
    content: Content,
    avoid: &[EndpointName],
) -> Option<Look> {
    let block = content.block;
    if !content.is_proven() {
        return match fetcher.fetch(Want::Block(block), Purpose::Backfill, avoid).await {
            Ok(fetched) => Some(Look::Content(Box::new(fetched))),
            Err(error) => {
                debug!(%block, error = with_causes(&error), "a second look failed");
                None
            }
        };
    }
    // Its content follows from its hash: whether that is still the chain is all there is to see.
    let params = json!([quantity(block.height), false]);
    let mut request = Request::backfill("eth_getBlockByNumber", params);
    request.avoid = avoid.to_vec();
    let reply = match pool.call(request.clone()).await {
        Ok(reply) => reply,
        Err(_) if !avoid.is_empty() => {
            request.avoid.clear();
            pool.call(request).await.ok()?
        }
        Err(_) => return None,
    };
    let header = RawHeader::parse(&reply.value).ok()?;
    Some(if header.header.block_ref() == block {
        Look::Same(block)
    } else {
        Look::Other(reply.endpoint, header.link())
    })
}
