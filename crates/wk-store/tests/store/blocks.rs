//! Where a follower goes on, and what was covered.

use wk_model::proxy::{Change, LogPlace, Target, Upgrade};
use wk_model::{
    BlockLink, BlockRef, Check, Checks, EntryKind, Finality, Height, Intake, Verification,
};
use wk_store::{Agreed, BlockQuery, CoverageQuery, HoleChange, ResumePoint, SeenBlock, UpgradeRow};

use crate::support::{
    NOW, Shop, batch, branch, child, entry, mainnet, root, route, seen, verified,
};

fn all(links: &[BlockLink]) -> Vec<SeenBlock> {
    links.iter().copied().map(seen).collect()
}

fn heights(ranges: &[(Height, Height)]) -> Vec<(u64, u64)> {
    ranges.iter().map(|(from, to)| (from.0, to.0)).collect()
}

#[tokio::test]
async fn a_follower_goes_on_where_it_stopped() {
    let shop = Shop::open();
    assert_eq!(shop.store.resume(&mainnet()).await.unwrap(), ResumePoint::default());
    let links = branch(&root(100), 10, 0);
    shop.commit(|commit| commit.seen = all(&links[..9])).await;
    shop.commit(|commit| {
        commit.seen = all(&links[9..]);
        commit.safe = Some(links[7].block);
        commit.finalized = Some(links[3].block);
        commit.keep_links = 5;
    })
    .await;
    let shop = shop.reopen();
    let point = shop.store.resume(&mainnet()).await.unwrap();
    // Links are kept down to the finalized head, though the window is shorter.
    assert_eq!(point.links, links[3..]);
    assert_eq!(point.safe, Some(links[7].block));
    assert_eq!(point.finalized, Some(links[3].block));
    assert_eq!(point.holes, []);
    assert_eq!(point.digests.len(), 7);

    // Finality never goes back by itself.
    shop.commit(|commit| {
        commit.safe = Some(links[5].block);
        commit.finalized = Some(links[2].block);
    })
    .await;
    let chain = shop.store.chains().await.unwrap().remove(0);
    assert_eq!((chain.safe, chain.finalized), (Some(links[7].block), Some(links[3].block)));
    assert_eq!((chain.newest, chain.changed_at), (Some(links[9]), NOW));
    shop.assert_sound().await;
}

#[tokio::test]
async fn the_cursor_outlives_every_pruning() {
    let shop = Shop::open();
    let links = branch(&root(0), 3, 0);
    shop.commit(|commit| {
        commit.seen = all(&links);
        commit.finalized = Some(links[2].block);
        commit.keep_links = 0;
    })
    .await;
    assert_eq!(shop.store.resume(&mainnet()).await.unwrap().links, links[2..]);
}

#[tokio::test]
async fn blocks_that_contradict_what_stands_are_refused_whole() {
    let shop = Shop::open();
    let links = branch(&root(10), 4, 0);
    shop.commit(|commit| commit.seen = all(&links)).await;
    let sibling = child(&links[2], 1);
    let stranger = child(&child(&links[2], 1), 1);
    let cases: [(&str, Vec<BlockLink>, Vec<BlockLink>); 4] = [
        ("has to be reverted before", vec![], vec![sibling]),
        ("does not fit on its neighbour 14", vec![], vec![stranger]),
        ("cannot be reverted before block 14", vec![links[1]], vec![]),
        (
            "too large for a Height",
            vec![],
            vec![BlockLink {
                block: BlockRef { height: Height(u64::MAX), ..sibling.block },
                ..sibling
            }],
        ),
    ];
    for (expected, reverted, blocks) in cases {
        let refused = shop
            .refused(|commit| {
                // This alone would be fine.
                commit.seen = all(&[links[3]]);
                commit.entries = vec![entry("r", &links[3], 0, EntryKind::Match)];
                commit.reverted = reverted;
                commit.seen.extend(all(&blocks));
            })
            .await;
        assert!(refused.contains(expected), "{refused}");
    }
    assert_eq!(shop.store.entries().await.unwrap(), []);
    assert_eq!(shop.store.resume(&mainnet()).await.unwrap().links, links);
    let mut blockless = batch(|commit| commit.seen = all(&links));
    blockless.chain = None;
    let refused = shop.store.commit(blockless).await.unwrap_err().to_string();
    assert!(refused.contains("without a chain"), "{refused}");
}

#[tokio::test]
async fn a_reorg_replaces_blocks_and_what_came_from_them() {
    let shop = Shop::open();
    let trunk = branch(&root(0), 5, 0);
    let old = branch(&trunk[4], 3, 1);
    let new = branch(&trunk[4], 2, 2);
    let upgrade = |link: &BlockLink, to: u8| Upgrade {
        chain: mainnet(),
        address: [7; 20].into(),
        block: link.block,
        log: Some(LogPlace { tx_index: 1, log_index: 2 }),
        change: Change::Target(Target::Implementation([to; 20].into())),
    };
    shop.commit(|commit| {
        commit.seen = all(&trunk);
        commit.upgrades = vec![upgrade(&trunk[1], 1)];
    })
    .await;
    shop.commit(|commit| {
        commit.seen = all(&old);
        commit.entries = old.iter().map(|link| entry("r", link, 0, EntryKind::Match)).collect();
        commit.upgrades = vec![upgrade(&old[0], 2)];
        commit.safe = Some(old[1].block);
    })
    .await;
    let known = async || shop.store.upgrades(&mainnet()).await.unwrap();
    let expected = [
        UpgradeRow { upgrade: upgrade(&trunk[1], 1), finality: Finality::Safe },
        UpgradeRow { upgrade: upgrade(&old[0], 2), finality: Finality::Safe },
    ];
    assert_eq!(known().await, expected);

    let reverted: Vec<BlockLink> = old.clone();
    shop.commit(|commit| {
        // In whatever order they come.
        commit.reverted = reverted.clone();
        commit.seen = all(&new);
        commit.entries = vec![entry("r", &new[0], 0, EntryKind::Match)];
    })
    .await;
    let point = shop.store.resume(&mainnet()).await.unwrap();
    assert_eq!(point.links, [trunk.clone(), new.clone()].concat());
    assert_eq!(point.safe, Some(trunk[4].block), "the safe head went back to the common ancestor");
    let entries = shop.store.entries().await.unwrap();
    assert_eq!(entries, [entry("r", &new[0], 0, EntryKind::Match)]);
    assert_eq!(known().await, expected[..1]);
    let summary = shop.store.coverage_summary(&mainnet()).await.unwrap().unwrap();
    assert_eq!((summary.from, summary.to, summary.missing), (Height(1), Height(7), 0));

    // What was reverted once can be reverted again: nothing happens.
    shop.commit(|commit| commit.reverted = old).await;
    assert_eq!(shop.store.resume(&mainnet()).await.unwrap().links.len(), 7);
    shop.assert_sound().await;
}

#[tokio::test]
async fn of_one_block_a_log_counts_more_than_a_read() {
    let shop = Shop::open();
    let links = branch(&root(0), 2, 0);
    let upgrade = |link: &BlockLink, log: Option<u64>, change| Upgrade {
        chain: mainnet(),
        address: [7; 20].into(),
        block: link.block,
        log: log.map(|log_index| LogPlace { tx_index: 0, log_index }),
        change,
    };
    let to = |to: u8| Change::Target(Target::Implementation([to; 20].into()));
    let beacon = Change::Target(Target::Beacon([9; 20].into()));
    let kept = [
        upgrade(&links[0], None, Change::Admin(Some([5; 20].into()))),
        upgrade(&links[1], Some(4), Change::Admin(None)),
        upgrade(&links[0], Some(2), to(1)),
        upgrade(&links[0], Some(3), beacon),
        upgrade(&links[1], None, Change::Target(Target::Nothing)),
    ];
    shop.commit(|commit| {
        commit.seen = all(&links);
        commit.upgrades = vec![
            upgrade(&links[0], None, to(8)),
            kept[0].clone(),
            kept[2].clone(),
            kept[3].clone(),
            upgrade(&links[0], None, to(8)),
            kept[4].clone(),
            kept[1].clone(),
        ];
    })
    .await;
    let shop = shop.reopen();
    let rows = shop.store.upgrades(&mainnet()).await.unwrap();
    let rows: Vec<Upgrade> = rows.into_iter().map(|row| row.upgrade).collect();
    assert_eq!(rows, kept);
    shop.assert_sound().await;
}

#[tokio::test]
async fn holes_are_known_until_they_are_filled() {
    let shop = Shop::open();
    let links = branch(&root(0), 30, 0);
    shop.commit(|commit| commit.seen = all(&links[..10])).await;
    shop.commit(|commit| {
        commit.holes = vec![HoleChange::Opened {
            from: Height(11),
            to: Height(15),
            reason: "every endpoint was down".to_owned(),
        }];
        // 16 to 20: the follower says nothing about them.
        commit.seen = all(&links[20..]);
    })
    .await;
    let point = shop.store.resume(&mainnet()).await.unwrap();
    assert_eq!(heights(&point.holes), [(11, 20)]);
    assert_eq!(point.links, links[20..], "links are neighbours");
    let summary = shop.store.coverage_summary(&mainnet()).await.unwrap().unwrap();
    assert_eq!((summary.missing, summary.contiguous_from), (10, Some(Height(21))));
    assert_eq!(heights(&summary.holes), [(11, 20)]);
    let page = shop
        .store
        .coverage(&mainnet(), CoverageQuery { to: Some(Height(20)), ..Default::default() })
        .await
        .unwrap();
    let reasons: Vec<&str> =
        page.items.iter().map(|range| range.verification.shortfall.as_str()).collect();
    assert_eq!(reasons, ["passed over by the follower", "every endpoint was down", ""]);

    let refill = |links: &[BlockLink]| -> Vec<SeenBlock> {
        all(links).into_iter().map(|block| SeenBlock { intake: Intake::Refill, ..block }).collect()
    };
    shop.commit(|commit| commit.seen = refill(&links[10..14])).await;
    let point = shop.store.resume(&mainnet()).await.unwrap();
    assert_eq!(heights(&point.holes), [(15, 20)]);
    shop.commit(|commit| {
        commit.holes = vec![HoleChange::Closed { from: Height(1), to: Height(16) }];
    })
    .await;
    let point = shop.store.resume(&mainnet()).await.unwrap();
    assert_eq!(heights(&point.holes), [(17, 20)], "nobody waits for 15 and 16");
    let summary = shop.store.coverage_summary(&mainnet()).await.unwrap().unwrap();
    assert_eq!(heights(&summary.holes), [(15, 20)], "they are missing all the same");
    shop.commit(|commit| commit.seen = refill(&links[14..20])).await;
    let summary = shop.store.coverage_summary(&mainnet()).await.unwrap().unwrap();
    assert_eq!((summary.missing, summary.processed, summary.holes), (0, 30, vec![]));
    assert_eq!(shop.store.resume(&mainnet()).await.unwrap().links, links);
    shop.assert_sound().await;
}

#[tokio::test]
async fn coverage_tells_who_agreed_what_was_weaker_and_what_was_looked_at_again() {
    let shop = Shop::open();
    let links = branch(&root(0), 10, 0);
    let weak = Verification {
        passed: Checks::default().with(Check::Parent),
        shortfall: "no receipts".to_owned(),
        agreed: 1,
    };
    shop.commit(|commit| {
        commit.seen = all(&links);
        for block in &mut commit.seen[3..5] {
            block.verification = weak.clone();
        }
    })
    .await;
    let stranger = BlockRef { height: Height(7), hash: [9; 32].into() };
    shop.commit(|commit| {
        commit.rescanned = vec![(Height(1), Height(2)), (Height(2), Height(3))];
        commit.agreed = vec![
            Agreed { block: links[8].block, endpoints: 3 },
            // About a block that is not ours.
            Agreed { block: stranger, endpoints: 3 },
        ];
    })
    .await;
    let summary = shop.store.coverage_summary(&mainnet()).await.unwrap().unwrap();
    assert_eq!((summary.weaker, summary.rescanned, summary.processed), (2, 3, 10));
    let weaker = &summary.weaker_ranges[0];
    assert_eq!((weaker.from, weaker.to, &weaker.verification), (Height(4), Height(5), &weak));

    let mut ranges = Vec::new();
    let mut cursor = None;
    loop {
        let query = CoverageQuery { cursor, limit: 2, ..Default::default() };
        let page = shop.store.coverage(&mainnet(), query).await.unwrap();
        ranges.extend(page.items);
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let shown: Vec<_> = ranges
        .iter()
        .map(|range| (range.from.0, range.to.0, range.verification.agreed, range.rescans))
        .collect();
    let expected = [
        (10, 10, 1, 0),
        (9, 9, 3, 0),
        (6, 8, 1, 0),
        (4, 5, 1, 0),
        (3, 3, 1, 1),
        (2, 2, 1, 2),
        (1, 1, 1, 1),
    ];
    assert_eq!(shown, expected);

    // A re-scan that finds other content is processed anew and keeps the count.
    shop.commit(|commit| {
        let digest = [5; 32].into();
        commit.seen = vec![SeenBlock {
            intake: Intake::Rescan,
            digest,
            verification: verified(2),
            ..seen(links[1])
        }];
    })
    .await;
    let query = BlockQuery { from: Some(Height(2)), to: Some(Height(2)), ..Default::default() };
    let block = shop.store.blocks(&mainnet(), query).await.unwrap().items.remove(0);
    assert_eq!((block.digest, block.verification), ([5; 32].into(), Some(verified(2))));
}

#[tokio::test]
async fn blocks_are_listed_newest_first_with_their_finality() {
    let shop = Shop::open();
    let links = branch(&root(0), 10, 0);
    shop.commit(|commit| {
        commit.seen = all(&links);
        commit.safe = Some(links[7].block);
        commit.finalized = Some(links[2].block);
    })
    .await;
    let query = BlockQuery { limit: 6, ..Default::default() };
    let first = shop.store.blocks(&mainnet(), query.clone()).await.unwrap();
    // A new block does not shift the second page.
    shop.commit(|commit| commit.seen = vec![seen(child(&links[9], 0))]).await;
    let query = BlockQuery { cursor: first.next.clone(), ..query };
    let second = shop.store.blocks(&mainnet(), query).await.unwrap();
    assert_eq!(second.next, None);
    let shown: Vec<(u64, Finality)> = first
        .items
        .iter()
        .chain(&second.items)
        .map(|block| (block.link.block.height.0, block.finality))
        .collect();
    let expected: Vec<(u64, Finality)> = (1..=10)
        .rev()
        .map(|height| match height {
            1..=3 => (height, Finality::Finalized),
            4..=8 => (height, Finality::Safe),
            _ => (height, Finality::Seen),
        })
        .collect();
    assert_eq!(shown, expected);
    let block = &first.items[0];
    assert_eq!((block.counts.transactions, block.counts.logs), (2, 3));
    assert_eq!(block.verification, Some(verified(1)));
}

#[tokio::test]
async fn chains_do_not_mix() {
    let shop = Shop::open();
    let links = branch(&root(0), 3, 0);
    shop.commit(|commit| commit.seen = all(&links)).await;
    let other = wk_model::ChainName::new("base");
    let mut commit = wk_store::Commit::new(other.clone(), NOW, route());
    commit.seen = all(&branch(&root(500), 2, 9));
    shop.store.commit(commit).await.unwrap();
    shop.commit(|commit| commit.reverted = vec![links[2]]).await;
    let names: Vec<(String, u64)> = shop
        .store
        .chains()
        .await
        .unwrap()
        .into_iter()
        .map(|row| (row.chain.to_string(), row.newest.unwrap().block.height.0))
        .collect();
    assert_eq!(names, [("base".to_owned(), 502), ("mainnet".to_owned(), 2)]);
    assert_eq!(shop.store.resume(&other).await.unwrap().links.len(), 2);
}
