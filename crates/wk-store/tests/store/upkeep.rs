//! Tokens, memory, named values, backups, and what may be forgotten.

use std::collections::BTreeSet;
use std::time::Duration;

use wk_model::{BlockTime, EntryKind, Finality, Height, Timestamp};
use wk_runtime::Metrics;
use wk_store::{
    Agreed, Claim, Commit, Delivery, FindingQuery, OpenStore, OutboxQuery, Retention, Role,
    RuleFailure, Store, StoreError, TokenId,
};

use crate::support::{
    NOW, Shop, branch, child, entry, found, mainnet, noticed, root, route, seen, titles,
};

fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

#[tokio::test]
async fn tokens_let_in_until_they_expire_or_are_revoked() {
    let shop = Shop::open();
    let store = &shop.store;
    let (viewer, secret) = store.create_token("grafana", Role::Viewer, None, NOW).await.unwrap();
    let (admin, short) = store.create_token("me", Role::Admin, Some(later(10)), NOW).await.unwrap();
    assert_eq!(secret.reveal().len(), 67);
    assert!(secret.reveal().starts_with("wk_"));
    assert_ne!(secret.reveal(), short.reveal());
    assert_eq!(format!("{secret:?}"), "TokenSecret(***)");

    let checked = store.verify_token(secret.reveal(), NOW).await.unwrap().unwrap();
    assert_eq!(
        (checked.id, checked.role, checked.name.as_str()),
        (viewer.id, Role::Viewer, "grafana")
    );
    assert!(store.verify_token(short.reveal(), later(9)).await.unwrap().is_some());
    assert!(store.verify_token(short.reveal(), later(10)).await.unwrap().is_none());
    let mut guess = secret.reveal().to_owned();
    guess.replace_range(66.., if guess.ends_with('0') { "1" } else { "0" });
    for wrong in ["", "wk_", guess.as_str(), secret.reveal().trim_start_matches("wk_")] {
        assert!(store.verify_token(wrong, NOW).await.unwrap().is_none(), "{wrong}");
    }

    // The last use is known to the minute.
    store.verify_token(secret.reveal(), later(59)).await.unwrap();
    assert_eq!(store.tokens().await.unwrap()[0].last_used_at, Some(NOW));
    store.verify_token(secret.reveal(), later(60)).await.unwrap();
    assert_eq!(store.tokens().await.unwrap()[0].last_used_at, Some(later(60)));

    assert!(store.revoke_token(viewer.id, later(61)).await.unwrap());
    assert!(!store.revoke_token(viewer.id, later(62)).await.unwrap());
    assert!(!store.revoke_token(TokenId(99), NOW).await.unwrap());
    assert!(store.verify_token(secret.reveal(), later(62)).await.unwrap().is_none());
    let ids: Vec<TokenId> = store.tokens().await.unwrap().iter().map(|token| token.id).collect();
    assert_eq!(ids, [viewer.id, admin.id]);
    assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);

    // No secret is in any file of the store.
    let secrets = [secret.reveal(), short.reveal()];
    for file in std::fs::read_dir(shop.dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(secrets.iter().all(|secret| !text.contains(&secret[3..])));
    }
}

#[tokio::test]
async fn named_values_and_rule_errors_are_kept() {
    let shop = Shop::open();
    assert_eq!(shop.store.meta("tape").await.unwrap(), None);
    shop.store.set_meta("tape", Some("1".to_owned())).await.unwrap();
    shop.store.set_meta("tape", Some("2".to_owned())).await.unwrap();
    let failure = |message: &str, count| RuleFailure {
        rule: "r".to_owned(),
        message: message.to_owned(),
        count,
    };
    shop.commit(|commit| commit.rule_errors = vec![failure("division by zero", 2)]).await;
    let mut second = Commit::without_chain(later(5), route());
    second.rule_errors = vec![failure("no such key", 1)];
    shop.store.commit(second).await.unwrap();
    let shop = shop.reopen();
    assert_eq!(shop.store.meta("tape").await.unwrap(), Some("2".to_owned()));
    shop.store.set_meta("tape", None).await.unwrap();
    assert_eq!(shop.store.meta("tape").await.unwrap(), None);
    let errors = shop.store.rule_errors().await.unwrap();
    assert_eq!((errors[0].count, errors[0].message.as_str()), (3, "no such key"));
    assert_eq!((errors[0].first_at, errors[0].last_at), (NOW, later(5)));
}

#[tokio::test]
async fn rules_remember_what_they_need_and_no_more() {
    let shop = Shop::open();
    let links = branch(&root(0), 5, 0);
    shop.commit(|commit| {
        commit.seen = links.iter().copied().map(seen).collect();
        for link in &links {
            commit.entries.push(entry("sum", link, 0, EntryKind::Match));
            commit.entries.push(entry("state", link, 0, EntryKind::State));
        }
        // The same place, and another kind: another entry.
        commit.entries.push(entry("sum", &links[0], 0, EntryKind::Start));
        commit.entries.push(entry("gone", &links[0], 0, EntryKind::Match));
        // Said twice, kept once.
        commit.entries.push(entry("sum", &links[4], 0, EntryKind::Match));
    })
    .await;
    let before = BlockTime(links[3].time.0);
    assert_eq!(shop.store.prune_entries(&mainnet(), "sum", before).await.unwrap(), 3);
    assert_eq!(shop.store.prune_entries(&mainnet(), "state", before).await.unwrap(), 2);
    assert_eq!(shop.store.prune_entries(&mainnet(), "none", before).await.unwrap(), 0);
    let kept = shop.store.keep_rules(vec!["sum".to_owned(), "state".to_owned()]).await.unwrap();
    assert_eq!(kept, 1);
    let shop = shop.reopen();
    let entries = shop.store.entries().await.unwrap();
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| (entry.window.rule.as_str(), entry.block.height.0, entry.kind))
        .collect();
    let expected = [
        ("sum", 1, EntryKind::Start),
        // The newest state before the border: the previous value of the next one.
        ("state", 3, EntryKind::State),
        ("state", 4, EntryKind::State),
        ("sum", 4, EntryKind::Match),
        ("state", 5, EntryKind::State),
        ("sum", 5, EntryKind::Match),
    ];
    assert_eq!(shown, expected);
    assert_eq!(entries[5], entry("sum", &links[4], 0, EntryKind::Match));
}

#[tokio::test]
async fn a_backup_is_a_store() {
    let shop = Shop::open();
    let links = branch(&root(0), 3, 0);
    shop.commit(|commit| {
        commit.seen = links.iter().copied().map(seen).collect();
        commit.findings = vec![found("x", &links[2], Finality::Seen)];
    })
    .await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("watchkeeper.db");
    std::fs::write(place.path().join("watchkeeper.db.partial"), "an attempt that broke").unwrap();
    shop.store.backup(&file).await.unwrap();
    let names: Vec<_> = std::fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["watchkeeper.db"]);
    // Never over something else.
    let again = shop.store.backup(&file).await.unwrap_err();
    assert!(matches!(again, StoreError::File { .. }), "{again}");
    shop.commit(|commit| commit.findings = vec![noticed("after the backup")]).await;

    let restored = Store::open(place.path(), &Metrics::new()).unwrap();
    assert_eq!(restored.resume(&mainnet()).await.unwrap().links, links);
    assert_eq!(restored.findings(FindingQuery::default()).await.unwrap().items.len(), 1);
    assert_eq!(restored.check_integrity().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn who_only_reads_cannot_write_and_needs_a_store() {
    let empty = tempfile::tempdir().unwrap();
    let missing = Store::open_read_only(empty.path()).unwrap_err();
    assert!(matches!(missing, OpenStore::Missing(_)), "{missing}");

    let shop = Shop::open();
    shop.commit(|commit| commit.findings = vec![noticed("x")]).await;
    let reader = Store::open_read_only(shop.dir.path()).unwrap();
    assert_eq!(reader.findings(FindingQuery::default()).await.unwrap().items.len(), 1);
    shop.commit(|commit| commit.findings = vec![noticed("y")]).await;
    assert_eq!(reader.findings(FindingQuery::default()).await.unwrap().items.len(), 2);
    let error = reader.set_meta("a", None).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly), "{error}");
}

#[tokio::test]
async fn damage_is_noticed() {
    let cases = [
        ("UPDATE blocks SET parent = zeroblob(32) WHERE height = 2", "not the child"),
        ("UPDATE coverage SET to_height = 99", "overlap"),
        ("DELETE FROM coverage WHERE from_height = 3", "does not know as processed"),
        ("UPDATE blocks SET hash = zeroblob(32) WHERE height = 3", "that was replaced"),
        ("UPDATE findings SET status = 'retracted'", "that was retracted"),
        ("UPDATE findings SET status = 'held'", "that is held"),
        ("PRAGMA foreign_keys = off; DELETE FROM findings", "refers to a row of findings"),
    ];
    for (damage, expected) in cases {
        let shop = Shop::open();
        let links = branch(&root(0), 3, 0);
        shop.commit(|commit| {
            commit.seen = links.iter().copied().map(seen).collect();
            commit.findings = vec![found("x", &links[2], Finality::Seen)];
            commit.agreed = vec![Agreed { block: links[2].block, endpoints: 2 }];
        })
        .await;
        shop.assert_sound().await;
        rusqlite::Connection::open(shop.store.path()).unwrap().execute_batch(damage).unwrap();
        let faults = shop.store.check_integrity().await.unwrap();
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{damage}: {faults:?}");
    }
}

#[tokio::test]
async fn what_is_too_old_goes_and_what_is_still_needed_stays() {
    let shop = Shop::open();
    let links = branch(&root(0), 4, 0);
    shop.commit(|commit| {
        commit.seen = links.iter().copied().map(seen).collect();
        commit.findings = vec![
            found("final", &links[0], Finality::Seen),
            found("open", &links[3], Finality::Seen),
            noticed("blockless"),
        ];
        commit.finalized = Some(links[1].block);
    })
    .await;
    let claim = Claim {
        now: NOW,
        lease: Duration::from_secs(60),
        limit: 10,
        per_receiver: 10,
        busy: BTreeSet::new(),
    };
    for row in shop.store.claim(claim).await.unwrap() {
        shop.store.settle(row.id, Delivery::Delivered, NOW).await.unwrap();
    }
    let deliveries = Retention { deliveries_before: Some(later(1)), ..Default::default() };
    assert_eq!(shop.store.prune(deliveries.clone()).await.unwrap(), 2);
    let left = shop.store.outbox(OutboxQuery::default()).await.unwrap().items;
    assert_eq!(left[0].notice.finding.title, "finding open");

    // Its block can still go, and then the one who was told must hear of it.
    let done = shop.commit(|commit| commit.reverted = vec![links[3]]).await;
    assert_eq!(done.outbox_rows, 1);
    let findings = Retention { findings_before: Some(later(1)), ..Default::default() };
    // Those that stand and cannot change any more go as well.
    assert_eq!(shop.store.prune(findings.clone()).await.unwrap(), 2);
    let left = shop.store.findings(FindingQuery::default()).await.unwrap().items;
    assert_eq!(titles(&left), ["open"], "its retraction is due");
    let retraction = shop
        .store
        .claim(Claim {
            now: later(1),
            lease: Duration::from_secs(60),
            limit: 10,
            per_receiver: 10,
            busy: BTreeSet::new(),
        })
        .await
        .unwrap()
        .remove(0);
    shop.store.settle(retraction.id, Delivery::Delivered, later(1)).await.unwrap();
    assert_eq!(shop.store.prune(findings).await.unwrap(), 1);
    assert!(shop.store.findings(FindingQuery::default()).await.unwrap().items.is_empty());
    shop.assert_sound().await;
}

#[tokio::test]
async fn old_coverage_is_folded_together_without_claiming_more() {
    let shop = Shop::open();
    let links = branch(&root(0), 40, 0);
    shop.commit(|commit| {
        commit.seen = links.iter().copied().map(seen).collect();
        for (block, agreed) in commit.seen.iter_mut().zip([2, 3].into_iter().cycle()) {
            block.verification.agreed = agreed;
        }
        commit.keep_links = 10;
    })
    .await;
    assert_eq!(shop.store.prune(Retention::default()).await.unwrap(), 29);
    let ranges = shop.store.coverage(&mainnet(), Default::default()).await.unwrap().items;
    assert_eq!(ranges.len(), 11);
    let oldest = &ranges[10];
    assert_eq!((oldest.from, oldest.to), (Height(1), Height(30)));
    assert_eq!(oldest.verification.agreed, 2);
    shop.assert_sound().await;
}

#[tokio::test]
async fn the_size_is_known() {
    let shop = Shop::open();
    shop.commit(|commit| commit.seen = vec![seen(child(&root(0), 0))]).await;
    let stats = shop.store.stats().await.unwrap();
    assert!(stats.database_bytes + stats.wal_bytes > 0);
    assert_eq!((stats.schema, stats.queued_writes), (5, 0));
    assert!(stats.rows.contains(&("blocks".to_owned(), 1)), "{:?}", stats.rows);
}
