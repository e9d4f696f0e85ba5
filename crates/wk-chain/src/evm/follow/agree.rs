//! How many endpoints have a block: whoever has a descendant has it.

use std::collections::BTreeMap;

use serde_json::json;
use wk_model::{BlockRef, Height};

use super::{FollowError, Following};
use crate::rpc::{EndpointName, Health};

/// The newest head of each endpoint, and how far the count was told.
#[derive(Default)]
pub(super) struct Agreement {
    heads: BTreeMap<EndpointName, BlockRef>,
    /// Blocks below this height were counted.
    next: Option<Height>,
}

/// A block this deep is counted even if an endpoint has not got that far.
const PATIENCE: u64 = 32;
/// Blocks that are counted at one time.
const MOST_AT_ONCE: usize = 256;

impl Agreement {
    pub(super) fn announced(&mut self, endpoint: &EndpointName, block: BlockRef) {
        self.heads.insert(endpoint.clone(), block);
    }

    /// A block was told: it is to be counted, and all after it.
    pub(super) fn told(&mut self, height: Height) {
        self.next.get_or_insert(height);
    }

    /// Blocks from `from` up were reverted.
    pub(super) fn cut(&mut self, from: Height) {
        self.next = self.next.map(|next| next.min(from));
    }
}

impl Following {
    /// Counts who has each block, once all endpoints have it or enough time has passed.
    pub(super) async fn tell_agreement(&mut self) -> Result<(), FollowError> {
        let Some(tip) = self.window.tip() else { return Ok(()) };
        let Some(next) = self.agreement.next.filter(|next| *next <= tip.block.height) else {
            return Ok(());
        };
        let endpoints = self.pool.endpoints();
        if endpoints.len() < 2 {
            self.agreement.next = Some(tip.block.height.next());
            return Ok(());
        }
        let up = endpoints.iter().filter(|endpoint| endpoint.health != Health::Down).count();
        // How far each endpoint is on our chain.
        let reached: Vec<Height> = self
            .agreement
            .heads
            .values()
            .filter(|block| self.window.hash_at(block.height) == Some(block.hash))
            .map(|block| block.height)
            .collect();
        // Before the heads are reached, nothing is known.
        if reached.is_empty() {
            return Ok(());
        }
        let mut facts = Vec::new();
        let mut height = next;
        while height <= tip.block.height && facts.len() < MOST_AT_ONCE {
            let agreed = reached.iter().filter(|reached| **reached >= height).count();
            if agreed < up && tip.block.height.above(height) < PATIENCE {
                break;
            }
            if let Some(link) = self.window.link_at(height).filter(|_| agreed > 1) {
                facts.push(json!({"height": height, "hash": link.block.hash, "agreed": agreed}));
            }
            height = height.next();
        }
        self.agreement.next = Some(height);
        for fact in facts {
            self.fact("agreed", fact).await?;
        }
        Ok(())
    }
}
