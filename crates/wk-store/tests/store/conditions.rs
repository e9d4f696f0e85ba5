//! Conditions: one finding per occurrence, told once when it begins and once when it ends.

use wk_model::{
    AssetId, Condition, ConditionKey, FindingBuilder, FindingStatus, Severity, Timestamp,
};
use wk_store::{Commit, FindingQuery, OutboxQuery};

use crate::support::{NOW, Shop, batch, branch, mainnet, root, route, seen, titles};

fn lags(endpoint: &str, blocks: u64) -> Condition {
    FindingBuilder::system(
        "endpoint_lag",
        AssetId::endpoint(&mainnet(), endpoint),
        Severity::P2,
        format!("finding {endpoint} lags by {blocks}"),
        NOW,
    )
    .evidence("blocks", blocks)
    .raise("")
}

fn caught_up(endpoint: &str) -> Condition {
    Condition::Cleared(ConditionKey {
        trouble: "endpoint_lag".to_owned(),
        asset: AssetId::endpoint(&mainnet(), endpoint),
        subject: String::new(),
    })
}

async fn told(shop: &Shop) -> Vec<String> {
    let mut rows: Vec<String> = shop
        .store
        .outbox(OutboxQuery::default())
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|row| {
            let title = row.notice.finding.title.trim_start_matches("finding ").to_owned();
            format!("{title}: {}", row.notice.kind)
        })
        .collect();
    rows.reverse();
    rows
}

#[tokio::test]
async fn an_occurrence_is_one_finding_across_restarts() {
    let shop = Shop::open();
    let raised = shop.commit(|commit| commit.conditions = vec![lags("a", 3)]).await;
    assert_eq!((titles(&raised.new), raised.outbox_rows), (vec!["a lags by 3"], 1));
    assert_eq!(raised.new[0].chain, Some(mainnet()));
    let first = raised.new[0].finding.id;

    let shop = shop.reopen();
    let again = shop.commit(|commit| commit.conditions = vec![lags("a", 9), lags("a", 12)]).await;
    assert_eq!(again, Default::default());
    let row = shop.store.finding(first).await.unwrap().unwrap();
    assert_eq!(
        (titles(std::slice::from_ref(&row)), row.status),
        (vec!["a lags by 12"], FindingStatus::Active)
    );
    assert_eq!(row.finding.evidence["blocks"], 12);

    let cleared =
        shop.commit(|commit| commit.conditions = vec![caught_up("a"), caught_up("a")]).await;
    assert_eq!((titles(&cleared.resolved), cleared.outbox_rows), (vec!["a lags by 12"], 1));
    assert_eq!(told(&shop).await, ["a lags by 3: found", "a lags by 12: resolved"]);

    // The next occurrence is another finding.
    let next = shop.commit(|commit| commit.conditions = vec![lags("a", 4)]).await;
    assert_ne!(next.new[0].finding.id, first);
    let open = shop.store.open_conditions().await.unwrap();
    assert_eq!((open.len(), open[0].occurrence), (1, 2));
    // Cleared without having been raised: nothing.
    let unknown = shop.commit(|commit| commit.conditions = vec![caught_up("b")]).await;
    assert_eq!(unknown, Default::default());
    shop.assert_sound().await;
}

#[tokio::test]
async fn a_condition_does_not_end_with_a_block() {
    let shop = Shop::open();
    let links = branch(&root(0), 2, 0);
    shop.commit(|commit| {
        commit.seen = links.iter().copied().map(seen).collect();
        let Condition::Raised(key, mut finding) = lags("a", 3) else { panic!("it is raised") };
        finding.position = crate::support::found("x", &links[1], finding.deliver).position;
        finding.deliver = wk_model::Finality::Finalized;
        commit.conditions = vec![Condition::Raised(key, finding)];
    })
    .await;
    let done = shop.commit(|commit| commit.reverted = vec![links[1]]).await;
    assert_eq!(done.retracted, []);
    let open = shop.store.findings(FindingQuery::default()).await.unwrap();
    assert_eq!(open.items[0].status, FindingStatus::Active, "and it is told at once");
}

#[tokio::test]
async fn what_is_over_since_the_stop_is_cleared_at_the_start() {
    let shop = Shop::open();
    shop.commit(|commit| commit.conditions = vec![lags("a", 1), lags("b", 1), lags("c", 1)]).await;
    let commit = batch(|commit| commit.conditions = vec![lags("c", 2)]);
    let still = |key: &ConditionKey| key.asset.as_str().ends_with("/b");
    let done = shop.store.clear_conditions_except(commit, still).await.unwrap();
    assert_eq!(titles(&done.resolved), ["a lags by 1", "c lags by 1"]);
    assert_eq!(titles(&done.new), ["c lags by 2"], "what the batch says comes after");
    let open = shop.store.open_conditions().await.unwrap();
    let names: Vec<&str> = open.iter().map(|open| open.key.asset.as_str()).collect();
    assert_eq!(names, ["endpoint/mainnet/b", "endpoint/mainnet/c"]);
}

#[tokio::test]
async fn a_condition_needs_no_chain() {
    let shop = Shop::open();
    let mut commit = Commit::without_chain(Timestamp(5), route());
    commit.conditions = vec![lags("a", 1)];
    let done = shop.store.commit(commit).await.unwrap();
    assert_eq!(done.new[0].chain, None);
}
