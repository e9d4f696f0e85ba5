//! The recent part of the chain that is followed, and where a new block belongs in it.
//!
//! Pure: the follower fetches what a [`Step`] asks for, and says what it did.

use std::collections::VecDeque;

use wk_model::{B256, BlockLink, BlockRef, Height};

/// Links kept for finality that lags far behind the head, and no more.
const MOST_LINKS: usize = 16_384;

/// The blocks that were followed last, lowest first. Blocks that were left out as a hole are
/// missing in between.
#[derive(Clone, Debug)]
pub(super) struct Window {
    links: VecDeque<Placed>,
    /// Deepest reorg that is followed, in blocks.
    depth: u64,
    /// Whether blocks below the lowest link were followed as well.
    pruned: bool,
    finalized: Option<BlockRef>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Placed {
    link: BlockLink,
    /// False for the top of a hole: its child names its hash, and nobody has looked into it.
    seen: bool,
}

/// Where a branch of blocks, the candidate newest and its ancestors below, belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Part of the chain already.
    Known,
    /// The branch continues the chain; also when nothing is followed yet.
    Extends,
    /// Blocks between the chain and the branch are missing.
    Ahead {
        /// Lowest missing height.
        from: Height,
        /// Highest missing height.
        to: Height,
    },
    /// It cannot be told without this block: fetch it and add it to the branch.
    NeedParent(BlockRef),
    /// The branch takes the place of a part of the chain.
    Fork(Fork),
    /// It would, and reaches further down than is allowed or known.
    TooDeep {
        /// Blocks that would be reverted, at least.
        depth: u64,
    },
    /// It would, and a finalized block would be reverted.
    FinalityViolated {
        /// The newest finalized block.
        finalized: BlockRef,
    },
}

/// A branch that takes the place of a part of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fork {
    /// The newest block that both have; none when all that is followed, down to the start or to a
    /// hole, is reverted.
    pub(super) ancestor: Option<BlockRef>,
    /// What is no longer part of the chain, newest first.
    pub(super) reverted: Vec<BlockLink>,
    /// What is in its place, oldest first.
    pub(super) added: Vec<BlockLink>,
    /// Heights from the old head down to the ancestor.
    pub(super) depth: u64,
}

impl Window {
    /// Follows nothing yet; reorgs of up to `depth` blocks will be followed.
    pub(super) fn new(depth: u32) -> Window {
        Window { links: VecDeque::new(), depth: u64::from(depth), pruned: false, finalized: None }
    }

    /// Goes on with `links`, oldest first. `pruned` says whether there were blocks below them.
    /// Of links that are out of order, only the highest run counts.
    pub(super) fn restore(
        depth: u32,
        links: &[BlockLink],
        pruned: bool,
        finalized: Option<BlockRef>,
    ) -> Window {
        let mut window = Window { pruned, finalized, ..Window::new(depth) };
        for link in links {
            match window.tip() {
                Some(tip) if link.block.height <= tip.block.height => {
                    window.links.clear();
                    window.pruned = true;
                }
                Some(tip) if link.block.height > tip.block.height.next() => window.gap(*link),
                Some(_) | None => {}
            }
            window.links.push_back(Placed { link: *link, seen: true });
        }
        window
    }

    /// The newest block.
    pub(super) fn tip(&self) -> Option<BlockLink> {
        self.links.back().map(|placed| placed.link)
    }

    /// The hash at `height`, if that is known.
    pub(super) fn hash_at(&self, height: Height) -> Option<B256> {
        self.placed_at(height).map(|placed| placed.link.block.hash)
    }

    /// The block at `height`, if it was followed.
    pub(super) fn link_at(&self, height: Height) -> Option<BlockLink> {
        self.placed_at(height).filter(|placed| placed.seen).map(|placed| placed.link)
    }

    /// Whether blocks below the lowest height that is remembered were followed, too.
    pub(super) fn is_pruned(&self) -> bool {
        self.pruned
    }

    /// The lowest height that is remembered.
    pub(super) fn lowest(&self) -> Option<Height> {
        self.links.front().map(|placed| placed.link.block.height)
    }

    /// Where `branch` belongs: the candidate first, then its ancestors as far as they were fetched.
    ///
    /// With `accept`, neither depth nor finality hold it back: an operator has said that the branch
    /// is the chain.
    pub(super) fn step(&self, branch: &[BlockLink], accept: bool) -> Step {
        let Some(oldest) = branch.last() else { return Step::Known };
        let Some(tip) = self.tip() else { return Step::Extends };
        if self.hash_at(oldest.block.height) == Some(oldest.block.hash) {
            return Step::Known;
        }
        if oldest.block.height > tip.block.height.next() {
            let to = Height(oldest.block.height.0 - 1);
            return Step::Ahead { from: tip.block.height.next(), to };
        }
        let Some(below) = oldest.block.height.previous() else {
            // Another genesis block.
            return self.fork(branch, None, accept);
        };
        match self.placed_at(below) {
            Some(placed) if placed.link.block.hash == oldest.parent => {
                if below == tip.block.height {
                    return Step::Extends;
                }
                self.fork(branch, Some(placed.link.block), accept)
            }
            // At least the block below is reverted, too.
            Some(_) => match self.refusal(below, accept) {
                Some(refusal) => refusal,
                None => Step::NeedParent(BlockRef { height: below, hash: oldest.parent }),
            },
            // Above the lowest link, it is a hole: nobody has looked at what is below.
            None if self.lowest().is_some_and(|lowest| lowest < below) => {
                self.fork(branch, None, accept)
            }
            None if self.pruned && !accept => {
                let lowest = oldest.block.height;
                let depth = tip.block.height.above(lowest) + 1;
                self.refusal(lowest, accept).unwrap_or(Step::TooDeep { depth })
            }
            None => self.fork(branch, None, accept),
        }
    }

    /// The next block of the chain was followed. Above a gap, the gap counts as a hole.
    pub(super) fn append(&mut self, link: BlockLink) {
        if let Some(tip) = self.tip()
            && link.block.height > tip.block.height.next()
        {
            self.gap(link);
        }
        self.links.push_back(Placed { link, seen: true });
        self.prune();
    }

    /// The fork was followed: what it reverts is forgotten. What it adds is appended one by one.
    pub(super) fn revert(&mut self, fork: &Fork) {
        let Some(lowest_added) = fork.added.first() else { return };
        while self.tip().is_some_and(|tip| tip.block.height >= lowest_added.block.height) {
            self.links.pop_back();
        }
        if self.links.is_empty() {
            self.pruned = false;
        }
        if self.finalized.is_some_and(|finalized| finalized.height >= lowest_added.block.height) {
            self.finalized = None;
        }
    }

    /// A block of a hole was followed after all.
    pub(super) fn refill(&mut self, link: BlockLink) {
        let placed = Placed { link, seen: true };
        let at = self.links.partition_point(|placed| placed.link.block.height < link.block.height);
        match self.links.get_mut(at) {
            Some(above) if above.link.block.height == link.block.height => *above = placed,
            // Below what is remembered, nobody will ask.
            Some(_) if at == 0 && self.pruned => {}
            Some(_) => self.links.insert(at, placed),
            None => {}
        }
    }

    /// Blocks up to `block` are final.
    pub(super) fn finalize(&mut self, block: BlockRef) {
        self.finalized = Some(block);
        self.prune();
    }

    fn placed_at(&self, height: Height) -> Option<&Placed> {
        let (first, last) = (self.links.front()?, self.links.back()?);
        // Without holes, the place follows from the height.
        if last.link.block.height.above(first.link.block.height) + 1 == self.links.len() as u64 {
            let offset = height.0.checked_sub(first.link.block.height.0)?;
            return self.links.get(usize::try_from(offset).ok()?);
        }
        let at =
            self.links.binary_search_by_key(&height, |placed| placed.link.block.height).ok()?;
        self.links.get(at)
    }

    /// Remembers the top block of the hole below `link`.
    fn gap(&mut self, link: BlockLink) {
        let top = BlockLink {
            block: BlockRef { height: Height(link.block.height.0 - 1), hash: link.parent },
            parent: B256::ZERO,
            time: link.time,
        };
        self.links.push_back(Placed { link: top, seen: false });
    }

    fn fork(&self, branch: &[BlockLink], ancestor: Option<BlockRef>, accept: bool) -> Step {
        let lowest_added = branch.last().map_or(Height(0), |link| link.block.height);
        if let Some(refusal) = self.refusal(lowest_added, accept) {
            return refusal;
        }
        let reverted: Vec<BlockLink> = self
            .links
            .iter()
            .rev()
            .take_while(|placed| placed.link.block.height >= lowest_added)
            .filter(|placed| placed.seen)
            .map(|placed| placed.link)
            .collect();
        let depth = self.tip().map_or(0, |tip| tip.block.height.above(lowest_added) + 1);
        Step::Fork(Fork {
            ancestor,
            reverted,
            added: branch.iter().rev().copied().collect(),
            depth,
        })
    }

    /// Why blocks from `lowest` up must not be reverted.
    fn refusal(&self, lowest: Height, accept: bool) -> Option<Step> {
        if accept {
            return None;
        }
        if let Some(finalized) = self.finalized.filter(|finalized| finalized.height >= lowest) {
            return Some(Step::FinalityViolated { finalized });
        }
        let depth = self.tip()?.block.height.above(lowest) + 1;
        (depth > self.depth).then_some(Step::TooDeep { depth })
    }

    fn prune(&mut self) {
        let Some(tip) = self.tip() else { return };
        // The block below the deepest revertible one is needed as its ancestor; finalized blocks
        // above that are needed to be told as final.
        let by_depth = Height(tip.block.height.0.saturating_sub(self.depth));
        let keep_from = by_depth.min(self.finalized.map_or(Height(0), |block| block.height));
        while self.links.len() > MOST_LINKS
            || self.links.front().is_some_and(|placed| placed.link.block.height < keep_from)
        {
            self.links.pop_front();
            self.pruned = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use wk_model::BlockTime;

    use super::*;

    fn link(height: u64, name: u64, parent: u64) -> BlockLink {
        let hash = |name: u64| B256::from(wk_model::U256::from(name));
        BlockLink {
            block: BlockRef { height: Height(height), hash: hash(name) },
            parent: hash(parent),
            time: BlockTime(height * 12),
        }
    }

    /// Blocks 10 to 15, named 1010 to 1015.
    fn window(depth: u32) -> Window {
        let links: Vec<BlockLink> = (10..16).map(|h| link(h, 1000 + h, 999 + h)).collect();
        Window::restore(depth, &links, true, None)
    }

    #[test]
    fn tells_where_a_branch_belongs() {
        let check = |window: &Window, branch: &[BlockLink], expected: Step| {
            assert_eq!(window.step(branch, false), expected, "{branch:?}");
        };
        let plain = window(4);
        let need = |height, name| Step::NeedParent(link(height, name, 0).block);
        check(&plain, &[link(13, 1013, 1012)], Step::Known);
        check(&plain, &[link(16, 1016, 1015)], Step::Extends);
        check(&plain, &[link(20, 1, 2)], Step::Ahead { from: Height(16), to: Height(19) });
        check(&plain, &[link(16, 26, 25)], need(15, 25));
        check(&plain, &[link(15, 25, 24)], need(14, 24));
        check(
            &plain,
            &[link(16, 26, 25), link(15, 25, 1014)],
            Step::Fork(Fork {
                ancestor: Some(link(14, 1014, 0).block),
                reverted: vec![link(15, 1015, 1014)],
                added: vec![link(15, 25, 1014), link(16, 26, 25)],
                depth: 1,
            }),
        );
        // Four blocks deep is allowed, five is not.
        check(&plain, &[link(12, 22, 21)], Step::TooDeep { depth: 5 });
        check(&plain, &[link(11, 21, 20)], Step::TooDeep { depth: 6 });
        check(&plain, &[link(9, 19, 18)], Step::TooDeep { depth: 7 });
        let mut settled = window(4);
        settled.finalize(link(14, 1014, 0).block);
        let finalized = link(14, 1014, 0).block;
        check(&settled, &[link(15, 25, 24)], Step::FinalityViolated { finalized });
        check(&settled, &[link(14, 24, 1013)], Step::FinalityViolated { finalized });
        assert!(matches!(settled.step(&[link(15, 25, 1014)], false), Step::Fork(_)));
        assert!(matches!(settled.step(&[link(14, 24, 1013)], true), Step::Fork(_)));
        assert_eq!(settled.step(&[link(14, 24, 23)], true), need(13, 23));
    }

    #[test]
    fn everything_may_be_reverted_where_nothing_was_followed_before() {
        let mut window = Window::new(8);
        assert_eq!(window.step(&[link(10, 1010, 1009)], false), Step::Extends);
        for height in 10..13 {
            window.append(link(height, 1000 + height, 999 + height));
        }
        let Step::Fork(fork) = window.step(&[link(10, 20, 19)], false) else {
            panic!("it is a fork");
        };
        assert_eq!((fork.ancestor, fork.reverted.len(), fork.depth), (None, 3, 3));
        window.revert(&fork);
        assert_eq!(window.tip(), None);
    }

    #[test]
    fn a_hole_ends_the_walk_down() {
        let mut window = window(100);
        window.append(link(30, 1030, 1029));
        window.append(link(31, 1031, 1030));
        assert_eq!(window.hash_at(Height(29)), Some(link(29, 1029, 0).block.hash));
        assert_eq!(window.link_at(Height(29)), None);
        assert_eq!(window.hash_at(Height(28)), None);
        // The top of the hole is known by its child.
        let Step::Fork(fork) = window.step(&[link(30, 2030, 1029)], false) else {
            panic!("it is a fork");
        };
        assert_eq!(fork.reverted, [link(31, 1031, 1030), link(30, 1030, 1029)]);
        // Below it, nobody has looked.
        let branch = [link(30, 2030, 2029), link(29, 2029, 2028)];
        assert!(matches!(window.step(&branch[..1], false), Step::NeedParent(_)));
        let Step::Fork(fork) = window.step(&branch, false) else { panic!("it is a fork") };
        assert_eq!((fork.ancestor, fork.reverted.len(), fork.added.len()), (None, 2, 2));
        window.revert(&fork);
        assert_eq!(window.tip(), Some(link(15, 1015, 1014)));
        window.refill(link(20, 1020, 1019));
        window.append(link(29, 2029, 2028));
        window.refill(link(20, 1020, 1019));
        window.refill(link(28, 2028, 2027));
        assert_eq!(window.link_at(Height(28)), Some(link(28, 2028, 2027)));
        assert_eq!(window.link_at(Height(20)), Some(link(20, 1020, 1019)));
    }

    #[test]
    fn blocks_filled_in_below_the_start_are_reverted_with_it() {
        let mut window = Window::new(100);
        window.append(link(10, 1010, 1009));
        window.refill(link(8, 1008, 1007));
        window.refill(link(9, 1009, 1008));
        let branch = [link(10, 2010, 2009), link(9, 2009, 1008)];
        assert!(matches!(window.step(&branch[..1], false), Step::NeedParent(_)));
        let Step::Fork(fork) = window.step(&branch, false) else { panic!("it is a fork") };
        assert_eq!(fork.reverted, [link(10, 1010, 1009), link(9, 1009, 1008)]);
    }

    #[test]
    fn keeps_what_finality_needs_and_no_more() {
        let mut window = Window::new(2);
        for height in 0..50 {
            window.append(link(height, height, height.saturating_sub(1)));
        }
        assert_eq!(window.lowest(), Some(Height(0)));
        window.finalize(link(40, 40, 39).block);
        assert_eq!(window.lowest(), Some(Height(40)));
        window.finalize(link(49, 49, 48).block);
        assert_eq!(window.lowest(), Some(Height(47)));
        for height in 50..50 + 2 * MOST_LINKS as u64 {
            window.append(link(height, height, height - 1));
        }
        assert_eq!(window.links.len(), MOST_LINKS);
    }

    #[derive(Clone, Debug)]
    enum Op {
        /// Grows a branch of so many blocks on any block of the tree.
        Grow(prop::sample::Index, u64),
        /// Any block of the tree becomes the node's head, and is announced.
        Announce(prop::sample::Index),
    }

    /// A node's blocks, as a tree; the number of a block is its place.
    struct Tree(Vec<(BlockLink, usize)>);

    impl Tree {
        /// The chain from the root to `block`, lowest first.
        fn chain(&self, mut block: usize) -> Vec<BlockLink> {
            let mut chain = vec![self.0[block].0];
            while block != 0 {
                block = self.0[block].1;
                chain.push(self.0[block].0);
            }
            chain.reverse();
            chain
        }

        fn by_hash(&self, hash: B256) -> BlockLink {
            self.0.iter().map(|(link, _)| *link).find(|link| link.block.hash == hash).unwrap()
        }
    }

    /// What the follower does, without anything that may fail. Gaps of more than `most` blocks are
    /// left as holes.
    fn follow(
        window: &mut Window,
        tree: &Tree,
        head: usize,
        most: u64,
        seen: &mut BTreeMap<u64, BlockLink>,
    ) -> Result<(), Step> {
        let chain = tree.chain(head);
        let mut branch = vec![tree.0[head].0];
        loop {
            match window.step(&branch, false) {
                Step::Known => return Ok(()),
                Step::NeedParent(block) => branch.push(tree.by_hash(block.hash)),
                Step::Ahead { from, to } => {
                    let first = if to.above(from) >= most { to } else { from };
                    let next = chain.iter().find(|link| link.block.height == first).unwrap();
                    if first == from {
                        // By number: its parent may not be the tip.
                        branch = vec![*next];
                        if window.step(&branch, false) != Step::Extends {
                            continue;
                        }
                    }
                    emit(window, *next, seen);
                    branch = vec![tree.0[head].0];
                }
                Step::Extends => {
                    for link in branch.drain(..).rev() {
                        emit(window, link, seen);
                    }
                    branch = vec![tree.0[head].0];
                }
                Step::Fork(fork) => {
                    for link in &fork.reverted {
                        let (_, newest) = seen.pop_last().expect("reverted once");
                        assert_eq!(newest, *link, "newest first");
                    }
                    window.revert(&fork);
                    for link in fork.added {
                        emit(window, link, seen);
                    }
                    branch = vec![tree.0[head].0];
                }
                refusal @ (Step::TooDeep { .. } | Step::FinalityViolated { .. }) => {
                    return Err(refusal);
                }
            }
        }
    }

    fn emit(window: &mut Window, link: BlockLink, seen: &mut BTreeMap<u64, BlockLink>) {
        if let Some((height, below)) = seen.last_key_value() {
            assert!(*height < link.block.height.0, "in order");
            if height + 1 == link.block.height.0 {
                assert_eq!(link.parent, below.block.hash, "a chain");
            }
        }
        seen.insert(link.block.height.0, link);
        window.append(link);
    }

    proptest! {
        #[test]
        fn what_was_told_folds_to_the_chain(
            ops in prop::collection::vec(
                prop_oneof![
                    (any::<prop::sample::Index>(), 1u64..6).prop_map(|(at, n)| Op::Grow(at, n)),
                    any::<prop::sample::Index>().prop_map(Op::Announce),
                ],
                1..60,
            ),
            most in prop_oneof![Just(u64::MAX), 2u64..6],
            start in 0u64..3,
        ) {
            let mut tree = Tree(vec![(link(start, 1, 0), 0)]);
            let mut window = Window::new(1_000);
            let mut seen = BTreeMap::new();
            for op in ops {
                match op {
                    Op::Grow(at, count) => {
                        let mut parent = at.index(tree.0.len());
                        for _ in 0..count {
                            let name = tree.0.len() as u64 + 1;
                            let below = tree.0[parent].0;
                            let mut link = link(below.block.height.0 + 1, name, 0);
                            link.parent = below.block.hash;
                            tree.0.push((link, parent));
                            parent = tree.0.len() - 1;
                        }
                    }
                    Op::Announce(at) => {
                        let head = at.index(tree.0.len());
                        let told: Vec<BlockLink> = seen.values().copied().collect();
                        let known = window.step(&[tree.0[head].0], false) == Step::Known;
                        follow(&mut window, &tree, head, most, &mut seen).unwrap();
                        let chain = tree.chain(head);
                        if known {
                            // An ancestor of the head is nothing new.
                            prop_assert_eq!(&told, &seen.values().copied().collect::<Vec<_>>());
                            continue;
                        }
                        prop_assert_eq!(seen.values().next_back(), chain.last());
                        // Down to the highest hole, what was told is the chain.
                        for (told, link) in seen.values().rev().zip(chain.iter().rev()) {
                            if told.block.height != link.block.height {
                                prop_assert!(most != u64::MAX, "a hole at {}", link.block.height);
                                break;
                            }
                            prop_assert_eq!(told, link);
                        }
                    }
                }
            }
        }
    }
}
