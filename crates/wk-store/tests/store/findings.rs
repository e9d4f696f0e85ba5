//! The life of findings: told when they are settled enough, taken back when their block goes.

use wk_model::{
    AssetId, ChainName, Finality, FindingStatus, NoticeKind, Severity, Source, Timestamp,
};
use wk_store::{Cursor, FindingQuery, OutboxQuery, OutboxState, StoreError};

use crate::support::{
    NOW, Shop, branch, child, found, mainnet, noticed, root, route, seen, titles,
};

async fn due(shop: &Shop) -> Vec<String> {
    let query = OutboxQuery { state: vec![OutboxState::Due], ..Default::default() };
    let mut keys: Vec<String> = shop
        .store
        .outbox(query)
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|row| {
            let name = row.notice.finding.title.trim_start_matches("finding ").to_owned();
            format!("{name} {} {} {}", row.notice.revision, row.notice.kind, row.receiver)
        })
        .collect();
    keys.reverse();
    keys
}

#[tokio::test]
async fn a_finding_is_one_row_however_often_it_is_made() {
    let shop = Shop::open();
    let link = child(&root(0), 0);
    let mut finding = found("x", &link, Finality::Seen);
    finding.severity = Severity::P0;
    let first = shop
        .commit(|commit| {
            commit.seen = vec![seen(link)];
            commit.findings = vec![finding.clone(), finding.clone()];
        })
        .await;
    assert_eq!((titles(&first.new), first.outbox_rows), (vec!["x"], 2));
    assert_eq!(first.new[0].chain, Some(mainnet()));
    let again = shop.commit(|commit| commit.findings = vec![finding.clone()]).await;
    assert_eq!(again, Default::default());
    assert_eq!(due(&shop).await, ["x 1 found a", "x 1 found b"]);
    let row = shop.store.finding(finding.id).await.unwrap().unwrap();
    assert_eq!((row.status, row.revision, row.changed_at), (FindingStatus::Active, 1, NOW));
    assert_eq!(row.finding, finding);
    let outbox = shop.store.outbox(OutboxQuery::default()).await.unwrap().items;
    assert_eq!(outbox[1].idempotency_key, format!("{}-1-found-a", finding.id));
    assert_eq!(outbox[1].notice.kind, NoticeKind::Found);
}

#[tokio::test]
async fn a_finding_is_told_when_its_block_is_as_settled_as_asked() {
    let shop = Shop::open();
    let links = branch(&root(0), 4, 0);
    let first = shop
        .commit(|commit| {
            commit.seen = links.iter().copied().map(seen).collect();
            commit.findings = vec![
                found("seen", &links[1], Finality::Seen),
                found("safe", &links[1], Finality::Safe),
                found("safe-later", &links[3], Finality::Safe),
                found("final", &links[1], Finality::Finalized),
            ];
        })
        .await;
    assert_eq!(titles(&first.new), ["seen", "safe", "safe-later", "final"]);
    assert_eq!(due(&shop).await, ["seen 1 found a"]);

    let safe = shop.commit(|commit| commit.safe = Some(links[2].block)).await;
    assert_eq!((titles(&safe.released), safe.outbox_rows), (vec!["safe"], 1));
    assert_eq!(safe.released[0].status, FindingStatus::Active);
    // What is final is safe, whether or not anyone said so.
    let finalized = shop.commit(|commit| commit.finalized = Some(links[3].block)).await;
    assert_eq!(titles(&finalized.released), ["safe-later", "final"]);
    assert_eq!(
        due(&shop).await,
        ["seen 1 found a", "safe 1 found a", "safe-later 1 found a", "final 1 found a"]
    );
    // Found late, in a block that is settled already: told at once. Without a block: as well.
    let mut blockless = noticed("blockless");
    blockless.deliver = Finality::Finalized;
    let late = shop
        .commit(|commit| {
            commit.findings = vec![found("late", &links[0], Finality::Finalized), blockless];
        })
        .await;
    assert!(late.new.iter().all(|row| row.status == FindingStatus::Active));
    shop.assert_sound().await;
}

#[tokio::test]
async fn finality_and_its_findings_may_come_in_one_batch() {
    let shop = Shop::open();
    let link = child(&root(0), 0);
    let done = shop
        .commit(|commit| {
            commit.seen = vec![seen(link)];
            commit.finalized = Some(link.block);
            commit.findings = vec![found("x", &link, Finality::Finalized)];
        })
        .await;
    assert_eq!((done.new[0].status, done.outbox_rows), (FindingStatus::Active, 1));
}

#[tokio::test]
async fn a_reverted_block_takes_its_findings_back() {
    let shop = Shop::open();
    let trunk = child(&root(0), 0);
    let old = child(&trunk, 1);
    let new = child(&trunk, 2);
    shop.commit(|commit| {
        commit.seen = vec![seen(trunk), seen(old)];
        commit.findings = vec![
            found("stays", &trunk, Finality::Seen),
            found("held", &old, Finality::Safe),
            found("told", &old, Finality::Seen),
        ];
    })
    .await;
    let done = shop
        .commit(|commit| {
            commit.reverted = vec![old];
            commit.seen = vec![seen(new)];
            commit.safe = Some(new.block);
        })
        .await;
    assert_eq!(titles(&done.retracted), ["held", "told"]);
    assert_eq!((done.released.len(), done.outbox_rows), (0, 0));
    // Nobody had heard of it yet: nobody hears of its end.
    assert_eq!(due(&shop).await, ["stays 1 found a"]);

    // The old branch wins after all: the finding is back, as another delivery.
    let back = shop
        .commit(|commit| {
            commit.reverted = vec![new];
            commit.seen = vec![seen(old)];
            commit.findings =
                vec![found("told", &old, Finality::Seen), found("held", &old, Finality::Safe)];
        })
        .await;
    let standing: Vec<_> = back.new.iter().map(|row| (row.status, row.revision)).collect();
    assert_eq!(standing, [(FindingStatus::Active, 2), (FindingStatus::Held, 2)]);
    assert_eq!(due(&shop).await, ["stays 1 found a", "told 2 found a"]);
    shop.assert_sound().await;
}

#[tokio::test]
async fn a_transaction_that_moves_to_another_block_moves_its_finding() {
    let shop = Shop::open();
    let trunk = child(&root(0), 0);
    let (old, new) = (child(&trunk, 1), child(&trunk, 2));
    shop.commit(|commit| {
        commit.seen = vec![seen(trunk), seen(old)];
        commit.findings = vec![found("moves", &old, Finality::Seen)];
    })
    .await;
    let done = shop
        .commit(|commit| {
            commit.reverted = vec![old];
            commit.seen = vec![seen(new)];
            commit.findings = vec![found("moves", &new, Finality::Seen)];
        })
        .await;
    assert_eq!((titles(&done.retracted), titles(&done.new)), (vec!["moves"], vec!["moves"]));
    let row = shop.store.finding(done.new[0].finding.id).await.unwrap().unwrap();
    assert_eq!(row.finding.position.unwrap().block, new.block);
    assert_eq!(due(&shop).await, ["moves 2 found a"]);
    // It stands with its new block now.
    let done = shop.commit(|commit| commit.reverted = vec![new]).await;
    assert_eq!(titles(&done.retracted), ["moves"]);
}

#[tokio::test]
async fn a_finding_about_a_replaced_block_is_never_told() {
    let shop = Shop::open();
    let trunk = child(&root(0), 0);
    let (old, new) = (child(&trunk, 1), child(&trunk, 2));
    let done = shop
        .commit(|commit| {
            commit.seen = vec![seen(trunk), seen(new)];
            commit.findings = vec![found("late", &old, Finality::Seen)];
        })
        .await;
    assert_eq!((done.new[0].status, done.outbox_rows), (FindingStatus::Retracted, 0));
    shop.assert_sound().await;
}

#[tokio::test]
async fn findings_are_filtered() {
    let shop = Shop::open();
    let link = child(&root(0), 0);
    shop.commit(|commit| {
        commit.seen = vec![seen(link)];
        let mut first = found("one", &link, Finality::Seen);
        first.title = r#"50% of "all" is \ gone_away"#.to_owned();
        let mut second = found("two", &link, Finality::Safe);
        second.severity = Severity::P0;
        second.source = Source::Detector("flash_loan".to_owned());
        second.class = "flash_loan".to_owned();
        let mut third = noticed("three");
        third.source = Source::System("flash_loan".to_owned());
        third.asset = AssetId::new("site", "app");
        third.seen_at = NOW.after(std::time::Duration::from_secs(60));
        commit.findings = vec![first, second, third];
    })
    .await;
    let mut other = wk_store::Commit::new(ChainName::new("base"), NOW, route());
    other.findings = vec![noticed("four")];
    shop.store.commit(other).await.unwrap();
    shop.store.commit(wk_store::Commit::without_chain(NOW, route())).await.unwrap();

    let any = FindingQuery::default;
    let text = |text: &str| FindingQuery { text: Some(text.to_owned()), ..any() };
    let source = |source: &str| FindingQuery { source: Some(source.to_owned()), ..any() };
    let later = Timestamp(NOW.0 + 1);
    let cases = [
        (any(), "four three two one"),
        (FindingQuery { status: vec![FindingStatus::Held], ..any() }, "two"),
        (FindingQuery { severity: vec![Severity::P0, Severity::P2], ..any() }, "two"),
        (source("flash_loan"), "three two"),
        (source("system/flash_loan"), "three"),
        (source("rule/large-withdrawal"), "four one"),
        (source("rule/flash_loan"), ""),
        (FindingQuery { class: Some("flash_loan".to_owned()), ..any() }, "two"),
        (FindingQuery { asset: Some(AssetId::new("site", "app")), ..any() }, "three"),
        (FindingQuery { chain: Some(mainnet()), ..any() }, "three two one"),
        (FindingQuery { chain: Some(ChainName::new("base")), ..any() }, "four"),
        (FindingQuery { since: Some(later), ..any() }, "three"),
        (FindingQuery { until: Some(later), ..any() }, "four two one"),
        (text("FINDING T"), "three two"),
        (text("50% of \"ALL\" is \\ gone_"), "one"),
        (text("%"), "one"),
        (text("gone-away"), ""),
        (text(""), "four three two one"),
    ];
    for (query, expected) in cases {
        let page = shop.store.findings(query.clone()).await.unwrap();
        let names: Vec<String> = page
            .items
            .iter()
            .map(|row| row.finding.evidence["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(names.join(" "), expected, "{query:?}");
    }
    let counts: Vec<_> = shop
        .store
        .finding_counts()
        .await
        .unwrap()
        .into_iter()
        .map(|count| (count.status, count.severity, count.count))
        .collect();
    assert_eq!(
        counts,
        [(FindingStatus::Active, Severity::P1, 3), (FindingStatus::Held, Severity::P0, 1)]
    );
    let minute = std::time::Duration::from_secs(60);
    let history: Vec<_> = shop
        .store
        .finding_history(NOW, minute, 2)
        .await
        .unwrap()
        .into_iter()
        .map(|kind| (kind.kind, kind.open, kind.slots))
        .collect();
    assert_eq!(
        history,
        [
            ("contract".to_owned(), [0, 2, 0, 0], vec![(0, Severity::P0, 3)]),
            ("site".to_owned(), [0, 1, 0, 0], vec![(1, Severity::P1, 1)]),
        ]
    );
    let outside = shop.store.finding_history(NOW, minute, 1).await.unwrap();
    assert_eq!(outside[1].slots, []);
}

#[tokio::test]
async fn pages_hold_still_while_findings_come_in() {
    let shop = Shop::open();
    let add = |names: std::ops::Range<u32>| {
        let findings = names.map(|number| noticed(&number.to_string())).collect();
        shop.commit(|commit| commit.findings = findings)
    };
    add(0..25).await;
    let mut names = Vec::new();
    let mut query = FindingQuery { limit: 10, ..Default::default() };
    let mut pages = 0;
    loop {
        let page = shop.store.findings(query.clone()).await.unwrap();
        names.extend(titles(&page.items).into_iter().map(|name| name.parse::<u32>().unwrap()));
        pages += 1;
        add(100 * pages..100 * pages + 3).await;
        match page.next {
            // As a client gives it back.
            Some(next) => query.cursor = Some(Cursor::new(next.to_string())),
            None => break,
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(names, (0..25).rev().collect::<Vec<_>>());
    for wrong in ["", "f", "fzz", "o1", "f1 OR 1=1", "\u{202e}"] {
        let query = FindingQuery { cursor: Some(Cursor::new(wrong)), ..Default::default() };
        let error = shop.store.findings(query).await.unwrap_err();
        assert!(matches!(error, StoreError::Cursor(_)), "{error}");
    }
    let all = FindingQuery { limit: u32::MAX, ..Default::default() };
    assert_eq!(shop.store.findings(all).await.unwrap().items.len(), 34);
}
