//! What may be forgotten is, what is needed stays, and the files do not grow for ever.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use wk_model::{
    AssetId, BlockLink, Condition, ConditionKey, Finality, FindingBuilder, Severity, Timestamp,
};
use wk_store::{Claim, Commit, Delivery, FindingQuery, HoleChange, Retention};

use crate::support::{NOW, Shop, batch, branch, child, found, mainnet, root, seen, titles};

fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

fn everything_before(time: Timestamp) -> Retention {
    Retention {
        deliveries_before: Some(time),
        dead_letters_before: Some(time),
        findings_before: Some(time),
    }
}

/// Settles all that is due, as `delivery` says by the finding's title.
async fn deliver(shop: &Shop, now: Timestamp, delivery: impl Fn(&str) -> Delivery) {
    loop {
        let lease = Duration::from_secs(60);
        let claim = Claim { now, lease, limit: 500, per_receiver: 500, busy: BTreeSet::new() };
        let rows = shop.store.claim(claim).await.unwrap();
        if rows.is_empty() {
            return;
        }
        for row in rows {
            let delivery = delivery(&row.notice.finding.title);
            shop.store.settle(row.id, delivery, now).await.unwrap();
        }
    }
}

fn lagging(now: Timestamp) -> Condition {
    let asset = AssetId::parse("endpoint/mainnet/a");
    FindingBuilder::system("lag", asset, Severity::P2, "finding lag", now).raise("")
}

#[tokio::test]
async fn what_can_still_matter_stays_however_old() {
    let shop = Shop::open();
    let links = branch(&root(0), 6, 0);
    shop.commit(|commit| {
        commit.seen = links.iter().copied().map(seen).collect();
        commit.holes.push(HoleChange::Opened {
            from: wk_model::Height(90),
            to: wk_model::Height(91),
            reason: "down".to_owned(),
        });
        commit.finalized = Some(links[2].block);
        commit.findings = vec![
            found("final", &links[0], Finality::Seen),
            found("final and undelivered", &links[1], Finality::Seen),
            found("final and given up", &links[2], Finality::Seen),
            found("not final", &links[4], Finality::Seen),
            found("held", &links[5], Finality::Finalized),
        ];
        commit.conditions = vec![lagging(NOW)];
    })
    .await;
    deliver(&shop, NOW, |title| match title {
        "finding final and undelivered" => {
            Delivery::Failed { reason: "503".to_owned(), next_attempt_at: later(1_000_000) }
        }
        "finding final and given up" => Delivery::Dead { reason: "404".to_owned() },
        _ => Delivery::Delivered,
    })
    .await;
    let far = later(500_000);
    let only_findings = Retention { dead_letters_before: None, ..everything_before(far) };
    shop.store.prune(only_findings).await.unwrap();
    let left = shop.store.findings(FindingQuery::default()).await.unwrap().items;
    let expected = ["lag", "held", "not final", "final and given up", "final and undelivered"];
    assert_eq!(titles(&left), expected);

    // Dead letters have a time of their own, and their findings go with them.
    shop.store.prune(everything_before(far)).await.unwrap();
    let left = shop.store.findings(FindingQuery::default()).await.unwrap().items;
    assert_eq!(titles(&left), ["lag", "held", "not final", "final and undelivered"]);

    // What stayed still works: the reverted block's receiver hears of it, the condition ends.
    let done = shop
        .commit(|commit| {
            commit.reverted = vec![links[5], links[4]];
            let asset = AssetId::parse("endpoint/mainnet/a");
            let key = ConditionKey { trouble: "lag".to_owned(), asset, subject: String::new() };
            commit.conditions = vec![Condition::Cleared(key)];
        })
        .await;
    assert_eq!((done.retracted.len(), done.resolved.len(), done.outbox_rows), (2, 1, 2));
    let point = shop.store.resume(&mainnet()).await.unwrap();
    assert_eq!(point.links.len(), 4, "blocks are kept by the reorg window, not by age");
    assert_eq!(point.holes.len(), 1);
    shop.assert_sound().await;
}

#[tokio::test]
async fn a_condition_that_begins_again_after_it_was_forgotten_is_told_again() {
    let shop = Shop::open();
    let asset = AssetId::parse("endpoint/mainnet/a");
    let key = ConditionKey { trouble: "lag".to_owned(), asset, subject: String::new() };
    let mut names = BTreeSet::new();
    for round in 0..2 {
        let raise = |commit: &mut Commit| {
            commit.at = later(round);
            commit.conditions = vec![lagging(later(round))];
        };
        let raised = shop.commit(raise).await;
        assert_eq!((raised.new.len(), raised.outbox_rows), (1, 1));
        // Receivers may drop what has a key that they know.
        assert!(names.insert(raised.new[0].finding.id));
        shop.commit(|commit| commit.conditions = vec![Condition::Cleared(key.clone())]).await;
        deliver(&shop, later(round), |_| Delivery::Delivered).await;
        shop.store.prune(everything_before(later(2))).await.unwrap();
        let left = shop.store.findings(FindingQuery::default()).await.unwrap().items;
        assert_eq!(left.len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_stop_growing_and_shrink_again() {
    const ROUNDS: u64 = 8;
    const FINDINGS: usize = 600;
    const MIB: u64 = 1 << 20;
    let shop = Shop::open();
    let mut tip: BlockLink = root(0);
    let mut sizes = Vec::new();
    for round in 0..ROUNDS {
        let now = later(round * 3_600);
        // What came in before the last round is too old.
        let before = later((round * 3_600).saturating_sub(1_800));
        tip = child(&tip, 0);
        let mut commit = batch(|commit| {
            commit.seen = vec![seen(tip)];
            commit.finalized = Some(tip.block);
            for number in 0..FINDINGS {
                let mut finding = found(&format!("{round} {number}"), &tip, Finality::Seen);
                finding.evidence.insert("data".to_owned(), json!("ab".repeat(1_000)));
                commit.findings.push(finding);
            }
        });
        commit.at = now;
        shop.store.commit(commit).await.unwrap();
        deliver(&shop, now, |_| Delivery::Delivered).await;
        shop.store.prune(everything_before(before)).await.unwrap();
        sizes.push(shop.store.size());
    }
    let shown: Vec<_> =
        sizes.iter().map(|size| (size.database_bytes / 1024, size.wal_bytes / 1024)).collect();
    println!("KiB of database and log after each hour: {shown:?}");
    let (early, last) = (sizes[2], sizes[sizes.len() - 1]);
    assert!(last.database_bytes <= early.database_bytes * 5 / 4, "{shown:?}");
    assert!(sizes.iter().all(|size| size.wal_bytes <= 64 * MIB), "{shown:?}");

    // Nothing more comes in: the room is given back.
    shop.store.prune(everything_before(later(1_000_000))).await.unwrap();
    let Shop { store, dir } = shop.reopen();
    let size = store.size();
    println!("after everything went: {size:?}");
    assert!(size.database_bytes < last.database_bytes / 4, "{size:?}");
    drop((store, dir));
}
