//! Where a follower goes on after a stop.

use wk_model::{B256, BlockLink, BlockRef, BlockTime, ConditionKey, Height};

use super::window::Window;

/// What was stored about a chain when it was last followed. Empty for the first start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// Neighbouring blocks of the chain, oldest first; the last one is where to go on.
    pub links: Vec<BlockLink>,
    /// What was processed of these and of older blocks, also below a hole, by [`super::digest`];
    /// lowest first.
    pub digests: Vec<(BlockRef, B256)>,
    /// The newest safe block.
    pub safe: Option<BlockRef>,
    /// The newest finalized block.
    pub finalized: Option<BlockRef>,
    /// Blocks that are still to be looked at, from–to inclusive, lowest first.
    pub holes: Vec<(Height, Height)>,
    /// The lowest block that was ever followed. A reorg down to it reverts all there is; a deeper
    /// one than `links` reaches is a P0 when there was more below. Unknown counts as more below.
    pub first: Option<Height>,
    /// Conditions about this chain that stand: those that no longer hold are cleared.
    pub standing: Vec<ConditionKey>,
}

impl Resume {
    /// The chain as it was followed. Of blocks below `links`, parent and time are not stored: they
    /// are only needed to notice that such a block is no longer part of the chain.
    pub(super) fn window(&self, depth: u32) -> Window {
        let lowest = self.links.first().map_or(Height(u64::MAX), |link| link.block.height);
        let mut links: Vec<BlockLink> = Vec::new();
        for (block, _) in self.digests.iter().filter(|(block, _)| block.height < lowest) {
            let below = links.last().map(|link| link.block);
            let is_neighbour = below.is_some_and(|below| below.height.next() == block.height);
            let parent = below.filter(|_| is_neighbour).map_or(B256::ZERO, |below| below.hash);
            links.push(BlockLink { block: *block, parent, time: BlockTime(0) });
        }
        if self.links.is_empty() {
            // Nothing to go on from.
            links.clear();
        }
        links.extend(&self.links);
        let lowest = links.first().map(|link| link.block.height);
        let pruned = lowest.is_some_and(|low| self.first.is_none_or(|first| first < low));
        Window::restore(depth, &links, pruned, self.finalized)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_below_a_hole_are_remembered() {
        let block = |height: u64| BlockRef {
            height: Height(height),
            hash: B256::from(wk_model::U256::from(height)),
        };
        let link = |height: u64| BlockLink {
            block: block(height),
            parent: block(height - 1).hash,
            time: BlockTime(height),
        };
        let resume = Resume {
            links: vec![link(20), link(21)],
            digests: [5, 6, 7, 20, 21].map(|height| (block(height), B256::ZERO)).to_vec(),
            first: Some(Height(5)),
            ..Resume::default()
        };
        let window = resume.window(100);
        assert_eq!(window.tip(), Some(link(21)));
        assert_eq!((window.lowest(), window.is_pruned()), (Some(Height(5)), false));
        assert_eq!(window.link_at(Height(6)).map(|link| link.parent), Some(block(5).hash));
        // The top of the hole is known by its child, the rest is not.
        assert_eq!(window.hash_at(Height(19)), Some(block(19).hash));
        assert_eq!((window.link_at(Height(19)), window.hash_at(Height(12))), (None, None));
        assert_eq!(Resume { links: Vec::new(), ..resume }.window(100).tip(), None);
    }
}
