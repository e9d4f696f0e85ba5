//! Deliveries: at least once, in order, fairly, and taken back with what they tell.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use wk_model::{BlockLink, Finality, NoticeKind, Timestamp};
use wk_store::{Claim, Delivery, OutboxId, OutboxQuery, OutboxRow, OutboxState, Route};

use crate::support::{NOW, Shop, child, found, noticed, root, seen};

const LEASE: Duration = Duration::from_secs(60);

fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

fn claim(now: Timestamp) -> Claim {
    Claim { now, lease: LEASE, limit: 100, per_receiver: 100, busy: BTreeSet::new() }
}

async fn take(shop: &Shop, now: Timestamp) -> Vec<OutboxRow> {
    shop.store.claim(claim(now)).await.unwrap()
}

fn names(rows: &[OutboxRow]) -> Vec<String> {
    rows.iter()
        .map(|row| {
            let name = row.notice.finding.title.trim_start_matches("finding ");
            format!("{name} {} {}", row.notice.kind, row.receiver)
        })
        .collect()
}

async fn settle(shop: &Shop, row: &OutboxRow, delivery: Delivery, now: Timestamp) {
    shop.store.settle(row.id, delivery, now).await.unwrap();
}

fn failed(next: Timestamp) -> Delivery {
    Delivery::Failed { reason: "answered 500".to_owned(), next_attempt_at: next }
}

async fn state(shop: &Shop, id: OutboxId) -> OutboxState {
    let rows = shop.store.outbox(OutboxQuery::default()).await.unwrap().items;
    rows.into_iter().find(|row| row.id == id).unwrap().state
}

/// Sends each finding to whom its name tells: "x to a,b".
fn by_name() -> Route {
    Arc::new(|finding| {
        let (_, receivers) = finding.title.split_once(" to ").unwrap();
        receivers.split(',').map(ToOwned::to_owned).collect()
    })
}

#[tokio::test]
async fn a_row_is_taken_once_and_again_when_its_taker_is_lost() {
    let shop = Shop::open();
    shop.commit(|commit| commit.findings = vec![noticed("x")]).await;
    assert_eq!(shop.store.next_due(BTreeSet::new()).await.unwrap(), Some(NOW));
    let first = take(&shop, NOW).await;
    assert_eq!((names(&first), first[0].attempts), (vec!["x found a".to_owned()], 1));
    assert_eq!(first[0].first_attempt_at, Some(NOW));
    assert!(take(&shop, later(59)).await.is_empty());
    assert_eq!(shop.store.next_due(BTreeSet::new()).await.unwrap(), Some(later(60)));
    let second = take(&shop, later(60)).await;
    assert_eq!((second[0].id, second[0].attempts), (first[0].id, 2));
    assert_eq!(second[0].idempotency_key, first[0].idempotency_key);
    assert_eq!(second[0].notice, first[0].notice);

    // After a restart nobody is at work: no need to wait for the lease.
    let shop = shop.reopen();
    let third = take(&shop, later(61)).await;
    assert_eq!(third[0].attempts, 3);
    settle(&shop, &third[0], Delivery::Delivered, later(61)).await;
    assert!(take(&shop, later(9_999)).await.is_empty());
    assert_eq!(shop.store.next_due(BTreeSet::new()).await.unwrap(), None);
    assert_eq!(state(&shop, third[0].id).await, OutboxState::Delivered);
}

#[tokio::test]
async fn a_row_that_was_not_tried_goes_back_as_it_was() {
    let shop = Shop::open();
    shop.commit(|commit| commit.findings = vec![noticed("x")]).await;
    let row = take(&shop, NOW).await.remove(0);
    shop.store.release(row.id, later(1)).await.unwrap();
    let stored = shop.store.outbox(OutboxQuery::default()).await.unwrap().items.remove(0);
    assert_eq!((stored.attempts, stored.first_attempt_at), (0, None));
    let row = take(&shop, later(1)).await.remove(0);
    settle(&shop, &row, failed(later(2)), later(1)).await;
    let row = take(&shop, later(2)).await.remove(0);
    shop.store.release(row.id, later(3)).await.unwrap();
    let stored = shop.store.outbox(OutboxQuery::default()).await.unwrap().items.remove(0);
    assert_eq!((stored.attempts, stored.first_attempt_at), (1, Some(later(1))));
}

#[tokio::test]
async fn a_long_queue_does_not_hold_up_a_short_one() {
    let shop = Shop::open();
    shop.commit(|commit| {
        commit.route = by_name();
        commit.findings = (0..50).map(|number| noticed(&format!("{number} to a"))).collect();
        commit.findings.extend((0..3).map(|number| noticed(&format!("{number} to b"))));
        commit.findings.push(noticed("0 to c"));
    })
    .await;
    let first = shop.store.claim(Claim { limit: 7, ..claim(NOW) }).await.unwrap();
    let receivers: Vec<&str> = first.iter().map(|row| row.receiver.as_str()).collect();
    assert_eq!(receivers, ["a", "b", "c", "a", "b", "a", "b"]);
    let titles: Vec<&str> = first
        .iter()
        .filter(|row| row.receiver == "a")
        .map(|row| row.notice.finding.title.as_str())
        .collect();
    assert_eq!(titles, ["finding 0 to a", "finding 1 to a", "finding 2 to a"]);

    let busy = BTreeSet::from(["a".to_owned()]);
    let query = Claim { busy: busy.clone(), ..claim(NOW) };
    assert!(shop.store.claim(query).await.unwrap().is_empty());
    assert_eq!(shop.store.next_due(busy).await.unwrap(), Some(later(60)));
    let some = shop.store.claim(Claim { per_receiver: 5, ..claim(NOW) }).await.unwrap();
    assert_eq!(some.len(), 5);
    let counts = shop.store.outbox_counts().await.unwrap();
    let shown: Vec<_> = counts.iter().map(|count| (count.receiver.as_str(), count.due)).collect();
    assert_eq!(shown, [("a", 50), ("b", 3), ("c", 1)]);
    assert_eq!(counts[0].oldest_due, Some(NOW));
}

#[tokio::test]
async fn dead_letters_are_listed_and_sent_again() {
    let shop = Shop::open();
    shop.commit(|commit| {
        commit.route = by_name();
        commit.findings = vec![noticed("1 to a,b"), noticed("2 to a")];
    })
    .await;
    for row in take(&shop, NOW).await {
        let dead = Delivery::Dead { reason: format!("{} says no", row.receiver) };
        settle(&shop, &row, dead, later(1)).await;
    }
    assert!(take(&shop, later(9_999)).await.is_empty());
    let dead = OutboxQuery { state: vec![OutboxState::Dead], ..Default::default() };
    let rows = shop.store.outbox(dead.clone()).await.unwrap().items;
    assert_eq!(names(&rows), ["2 to a found a", "1 to a,b found b", "1 to a,b found a"]);
    assert_eq!(rows[1].last_error.as_deref(), Some("b says no"));
    assert_eq!(rows[1].settled_at, Some(later(1)));
    let only_b = OutboxQuery { receiver: Some("b".to_owned()), ..dead.clone() };
    assert_eq!(shop.store.outbox(only_b).await.unwrap().items.len(), 1);

    assert!(shop.store.resend(rows[0].id, later(2)).await.unwrap());
    assert!(!shop.store.resend(rows[0].id, later(2)).await.unwrap(), "it is due already");
    assert_eq!(shop.store.resend_all(Some("b".to_owned()), later(2)).await.unwrap(), 1);
    assert_eq!(shop.store.resend_all(None, later(2)).await.unwrap(), 1);
    let again = take(&shop, later(2)).await;
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|row| row.attempts == 1));
    assert!(shop.store.outbox(dead).await.unwrap().items.is_empty());
}

/// A finding in a block, the delivery of it brought so far, and then the block reverted.
struct Retraction {
    shop: Shop,
    trunk: BlockLink,
    old: BlockLink,
}

impl Retraction {
    async fn begin() -> Retraction {
        let shop = Shop::open();
        let trunk = child(&root(0), 0);
        let old = child(&trunk, 1);
        shop.commit(|commit| {
            commit.seen = vec![seen(trunk), seen(old)];
            commit.findings = vec![found("x", &old, Finality::Seen)];
        })
        .await;
        Retraction { shop, trunk, old }
    }

    async fn revert(&self) -> u64 {
        self.shop.commit(|commit| commit.reverted = vec![self.old]).await.outbox_rows
    }
}

#[tokio::test]
async fn who_may_have_heard_is_told_and_nobody_else() {
    // How far the delivery came, whether a retraction follows, and what became of the original.
    let steps = ["nothing", "under way", "failed", "delivered", "dead"];
    let expected = [
        (0, OutboxState::Dropped),
        (1, OutboxState::Dropped),
        (1, OutboxState::Dropped),
        (1, OutboxState::Delivered),
        (1, OutboxState::Dropped),
    ];
    for (step, (rows, state_after)) in steps.into_iter().zip(expected) {
        let test = Retraction::begin().await;
        let shop = &test.shop;
        let id = match step {
            "nothing" => OutboxId(1),
            step => {
                let row = take(shop, NOW).await.remove(0);
                match step {
                    "failed" => settle(shop, &row, failed(later(30)), NOW).await,
                    "delivered" => settle(shop, &row, Delivery::Delivered, NOW).await,
                    "dead" => {
                        let dead = Delivery::Dead { reason: "no".to_owned() };
                        settle(shop, &row, dead, NOW).await;
                    }
                    _ => {}
                }
                row.id
            }
        };
        assert_eq!(test.revert().await, rows, "{step}");
        assert_eq!(state(shop, id).await, state_after, "{step}");
        assert_eq!(shop.store.resend_all(None, NOW).await.unwrap(), 0, "{step}");
        if rows == 1 && step != "under way" {
            let told = take(shop, later(1)).await;
            assert_eq!(names(&told), ["x retracted a"], "{step}");
            assert_eq!(told[0].notice.kind, NoticeKind::Retracted);
            assert_eq!(
                told[0].idempotency_key,
                format!("{}-1-retracted-a", told[0].finding),
                "{step}"
            );
        }
        shop.assert_sound().await;
    }
}

#[tokio::test]
async fn a_retraction_does_not_overtake_what_it_retracts() {
    let test = Retraction::begin().await;
    let original = take(&test.shop, NOW).await.remove(0);
    test.revert().await;
    // The original is on its way: it may arrive any moment.
    assert!(take(&test.shop, later(1)).await.is_empty());
    assert_eq!(test.shop.store.next_due(BTreeSet::new()).await.unwrap(), None);
    settle(&test.shop, &original, Delivery::Delivered, later(2)).await;
    assert_eq!(state(&test.shop, original.id).await, OutboxState::Delivered);
    assert_eq!(names(&take(&test.shop, later(2)).await), ["x retracted a"]);

    // The same, and the taker never comes back.
    let test = Retraction::begin().await;
    take(&test.shop, NOW).await;
    test.revert().await;
    assert!(take(&test.shop, later(59)).await.is_empty());
    assert_eq!(names(&take(&test.shop, later(60)).await), ["x retracted a"]);
}

#[tokio::test]
async fn what_comes_back_is_told_after_its_retraction() {
    let test = Retraction::begin().await;
    let Retraction { shop, trunk, old } = &test;
    let original = take(shop, NOW).await.remove(0);
    settle(shop, &original, Delivery::Delivered, NOW).await;
    test.revert().await;
    shop.commit(|commit| {
        commit.seen = vec![seen(child(trunk, 1))];
        commit.findings = vec![found("x", old, Finality::Seen)];
    })
    .await;
    let first = take(shop, later(1)).await;
    assert_eq!(names(&first), ["x retracted a"]);
    settle(shop, &first[0], failed(later(30)), later(1)).await;
    // It waits with its predecessor, and is not reported as due meanwhile.
    assert!(take(shop, later(2)).await.is_empty());
    assert_eq!(shop.store.next_due(BTreeSet::new()).await.unwrap(), Some(later(30)));
    let first = take(shop, later(30)).await;
    settle(shop, &first[0], Delivery::Delivered, later(30)).await;
    let second = take(shop, later(31)).await;
    assert_eq!((names(&second), second[0].notice.revision), (vec!["x found a".to_owned()], 2));
    shop.assert_sound().await;
}

#[tokio::test]
async fn a_damaged_row_holds_up_nobody() {
    let shop = Shop::open();
    shop.commit(|commit| commit.findings = vec![noticed("x"), noticed("y")]).await;
    let path = shop.store.path().to_owned();
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute("UPDATE outbox SET payload = '{}' WHERE id = 1", []).unwrap();
    assert_eq!(names(&take(&shop, NOW).await), ["y found a"]);
    assert_eq!(shop.store.outbox_counts().await.unwrap()[0].dead, 1);
}
