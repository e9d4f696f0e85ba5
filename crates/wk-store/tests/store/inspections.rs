//! Blocks wait to be inspected until they are, or until they are reverted.

use wk_model::{Address, Finality, FindingStatus, Height};
use wk_store::{ContractUse, FindingQuery, Inspected, Learned, SKIPPED, Uninspected};

use crate::support::{Shop, branch, found, mainnet, root, seen};

fn waits(link: wk_model::BlockLink) -> Uninspected {
    Uninspected { link, transactions: 2 }
}

impl Shop {
    async fn waiting(&self) -> Vec<u64> {
        let pending = self.store.pending_inspections(&mainnet(), None, 100).await.unwrap();
        pending.iter().map(|pending| pending.block.link.block.height.0).collect()
    }
}

#[tokio::test]
async fn findings_of_an_inspection_stand_and_fall_with_their_block() {
    let shop = Shop::open();
    let links = branch(&root(10), 3, 1);
    shop.commit(|commit| {
        commit.seen = links.iter().map(|link| seen(*link)).collect();
        commit.uninspected = links.iter().map(|link| waits(*link)).collect();
    })
    .await;
    let shop = shop.reopen();
    assert_eq!(shop.waiting().await, [13, 12, 11]);
    let below = shop.store.pending_inspections(&mainnet(), Some(Height(13)), 1).await.unwrap();
    assert_eq!(below[0].block, waits(links[1]));

    let attack = found("attack", &links[2], Finality::Seen);
    let inspected = Inspected {
        block: links[2].block,
        source: "call_tracer".to_owned(),
        findings: vec![attack.clone()],
        uses: Vec::new(),
    };
    let done = shop.commit(|commit| commit.inspected = vec![inspected.clone()]).await;
    assert_eq!(done.new.len(), 1);
    // Again changes nothing: at least once is told once.
    let done = shop.commit(|commit| commit.inspected = vec![inspected.clone()]).await;
    assert_eq!((done.new.len(), shop.waiting().await), (0, vec![12, 11]));

    // The block is reverted; so is one that is being inspected just now.
    let done = shop.commit(|commit| commit.reverted = vec![links[2], links[1]]).await;
    assert_eq!(done.retracted.len(), 1);
    let late = Inspected {
        block: links[1].block,
        findings: vec![found("ghost", &links[1], Finality::Seen)],
        ..inspected.clone()
    };
    let done = shop.commit(|commit| commit.inspected = vec![late]).await;
    assert_eq!((done.new.len(), shop.waiting().await), (0, vec![11]));

    // The same transaction in another block is the same finding, told again.
    let other = branch(&links[0], 1, 2)[0];
    shop.commit(|commit| {
        commit.seen = vec![seen(other)];
        commit.uninspected = vec![waits(other)];
    })
    .await;
    let mut again = found("attack", &other, Finality::Seen);
    again.id = attack.id;
    let again = Inspected { block: other.block, findings: vec![again], ..inspected };
    let done = shop.commit(|commit| commit.inspected = vec![again]).await;
    assert_eq!(done.new.iter().map(|row| row.revision).collect::<Vec<_>>(), [2]);

    let skipped = Inspected {
        block: links[0].block,
        source: SKIPPED.to_owned(),
        findings: vec![],
        uses: vec![],
    };
    shop.commit(|commit| commit.inspected = vec![skipped]).await;
    let summary = shop.store.inspection_summary(&mainnet()).await.unwrap();
    assert_eq!((summary.pending, summary.lowest, summary.waiting_since), (0, None, None));
    let sources: Vec<_> = summary
        .sources
        .iter()
        .map(|by| (by.source.as_str(), by.blocks, by.transactions, by.newest.0))
        .collect();
    assert_eq!(sources, [("call_tracer", 2, 4, 13), ("skipped", 1, 2, 11)]);
    let active = FindingQuery { status: vec![FindingStatus::Active], ..FindingQuery::default() };
    assert_eq!(shop.store.findings(active).await.unwrap().items.len(), 1);
    shop.assert_sound().await;
}

#[tokio::test]
async fn uses_of_contracts_are_learned_once_and_only_of_blocks_that_stay() {
    let shop = Shop::open();
    let links = branch(&root(10), 3, 1);
    shop.commit(|commit| {
        commit.seen = links.iter().map(|link| seen(*link)).collect();
        commit.uninspected = links.iter().map(|link| waits(*link)).collect();
    })
    .await;
    let vault = Address::repeat_byte(7);
    let used = |link: &wk_model::BlockLink, uses: &str| Inspected {
        block: link.block,
        source: "call_tracer".to_owned(),
        findings: Vec::new(),
        uses: vec![ContractUse { contract: vault, uses: uses.to_owned() }],
    };
    let inspected = ["a", "b", "c"].iter().zip(&links).map(|(uses, link)| used(link, uses));
    let inspected: Vec<Inspected> = inspected.collect();
    shop.commit(|commit| commit.inspected = inspected.clone()).await;
    let shop = shop.reopen();
    let waiting = async |shop: &Shop, through: u64| -> Vec<(u64, String)> {
        let uses = shop.store.contract_uses(&mainnet(), Height(through), 10).await.unwrap();
        uses.into_iter().map(|(height, one)| (height.0, one.uses)).collect()
    };
    let row = |height: u64, uses: &str| (height, uses.to_owned());
    assert_eq!(waiting(&shop, 12).await, [row(11, "a"), row(12, "b")]);

    // Another block takes the place of the last two; the old ones' uses are gone, and come no more.
    let other = branch(&links[0], 1, 2)[0];
    shop.commit(|commit| {
        commit.reverted = vec![links[2], links[1]];
        commit.seen = vec![seen(other)];
        commit.uninspected = vec![waits(other)];
    })
    .await;
    let late = inspected[1].clone();
    shop.commit(|commit| commit.inspected = vec![late, used(&other, "d")]).await;
    assert_eq!(waiting(&shop, 99).await, [row(11, "a"), row(12, "d")]);

    let learned = Learned { through: Height(11), profiles: vec![(vault, "knows a".to_owned())] };
    shop.commit(|commit| commit.learned = Some(learned.clone())).await;
    let shop = shop.reopen();
    assert_eq!(waiting(&shop, 99).await, [row(12, "d")]);
    let profiles = shop.store.contract_profiles(&mainnet()).await.unwrap();
    assert_eq!(profiles, learned.profiles);
}
