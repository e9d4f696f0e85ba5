//! The newest blocks of each chain and what they used, for drawing. Kept in memory only: after a start
//! they come anew.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::RwLock;
use wk_model::{BlockLink, ChainName, Timestamp, U256, evm};

/// Blocks that are kept of each chain.
const KEPT: usize = 600;

/// A block that was processed, and maybe taken back.
#[derive(Clone, Debug, PartialEq)]
pub struct RecentBlock {
    /// The block.
    pub link: BlockLink,
    /// Transactions in it.
    pub transactions: u64,
    /// Gas that they used.
    pub gas_used: u64,
    /// Gas that they could have used.
    pub gas_limit: u64,
    /// Price of a unit of gas in wei before tips; none on chains without EIP-1559.
    pub base_fee_per_gas: Option<U256>,
    /// When it was processed.
    pub seen_at: Timestamp,
    /// When it was taken back; none while it stands.
    pub reverted_at: Option<Timestamp>,
}

/// The newest blocks of all chains. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Recent(Arc<RwLock<BTreeMap<ChainName, VecDeque<RecentBlock>>>>);

impl Recent {
    /// The newest blocks of a chain in the order in which they were processed, at most `limit`.
    pub fn blocks(&self, chain: &ChainName, limit: usize) -> Vec<RecentBlock> {
        let all = self.0.read();
        let Some(blocks) = all.get(chain) else { return Vec::new() };
        blocks.iter().skip(blocks.len().saturating_sub(limit)).cloned().collect()
    }

    /// A block was processed.
    pub(crate) fn seen(&self, chain: &ChainName, block: &evm::Block, now: Timestamp) {
        let header = &block.header;
        let mut all = self.0.write();
        let blocks = all.entry(chain.clone()).or_default();
        if blocks.len() == KEPT {
            blocks.pop_front();
        }
        blocks.push_back(RecentBlock {
            link: header.link(),
            transactions: block.transactions.len() as u64,
            gas_used: header.gas_used,
            gas_limit: header.gas_limit,
            base_fee_per_gas: header.base_fee_per_gas,
            seen_at: now,
            reverted_at: None,
        });
    }

    /// A block was taken back.
    pub(crate) fn reverted(&self, chain: &ChainName, link: &BlockLink, now: Timestamp) {
        let mut all = self.0.write();
        let blocks = all.get_mut(chain).into_iter().flatten();
        for block in blocks.filter(|block| block.link.block == link.block) {
            block.reverted_at = Some(now);
        }
    }

    /// Forgets a chain that is no longer watched.
    pub(crate) fn remove(&self, chain: &ChainName) {
        self.0.write().remove(chain);
    }
}

#[cfg(test)]
mod tests {
    use wk_model::{B256, Height};

    use super::*;

    fn block(height: u64, fork: u8) -> evm::Block {
        let header = evm::Header {
            height: Height(height),
            hash: B256::with_last_byte(fork),
            gas_used: 7,
            ..Default::default()
        };
        evm::Block { header, transactions: Vec::new() }
    }

    #[test]
    fn the_newest_are_kept_and_what_was_taken_back_is_marked() {
        let (recent, chain) = (Recent::default(), ChainName::new("main"));
        for height in 0..KEPT as u64 + 5 {
            recent.seen(&chain, &block(height, 1), Timestamp(height));
        }
        let last = block(KEPT as u64 + 4, 1).header.link();
        recent.reverted(&chain, &last, Timestamp(9_999));
        recent.seen(&chain, &block(KEPT as u64 + 4, 2), Timestamp(10_000));
        let blocks = recent.blocks(&chain, 3);
        let shown: Vec<_> =
            blocks.iter().map(|b| (b.link.block.height.0, b.reverted_at.is_some())).collect();
        let top = KEPT as u64 + 4;
        assert_eq!(shown, [(top - 1, false), (top, true), (top, false)]);
        assert_eq!(recent.blocks(&chain, 10_000).len(), KEPT);
        recent.remove(&chain);
        assert_eq!(recent.blocks(&chain, 10), []);
    }
}
