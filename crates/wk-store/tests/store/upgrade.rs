//! What an older program stored is still there after an upgrade.

use std::path::Path;

use rusqlite::Connection;
use wk_model::proxy::{Change, Target};
use wk_model::{FindingStatus, Height, NoticeKind};
use wk_runtime::Metrics;
use wk_store::{FindingQuery, OutboxQuery, OutboxState, Store};

use crate::support::{Shop, mainnet};

/// A store as the first release left it.
fn first_release(dir: &Path) {
    let connection = Connection::open(dir.join("watchkeeper.db")).unwrap();
    connection.execute_batch(include_str!("../../migrations/0001_spine.sql")).unwrap();
    connection.execute_batch(include_str!("../old/0001.sql")).unwrap();
    connection
        .execute_batch("PRAGMA application_id = 0x574b5052; PRAGMA user_version = 1")
        .unwrap();
}

#[tokio::test]
async fn the_first_release_is_understood() {
    let dir = tempfile::tempdir().unwrap();
    first_release(dir.path());
    let shop = Shop { store: Store::open(dir.path(), &Metrics::new()).unwrap(), dir };
    shop.assert_sound().await;
    let store = &shop.store;

    let point = store.resume(&mainnet()).await.unwrap();
    assert_eq!(point.links.last().unwrap().block.height, Height(4));
    assert_eq!(point.safe.unwrap().height, Height(3));
    assert_eq!(point.holes, [(Height(90), Height(91))]);
    let findings = store.findings(FindingQuery::default()).await.unwrap().items;
    let shown: Vec<_> =
        findings.iter().map(|row| (row.finding.title.as_str(), row.status, row.revision)).collect();
    let expected = [
        ("a lags", FindingStatus::Active, 1),
        ("finding gone", FindingStatus::Retracted, 1),
        ("finding held", FindingStatus::Held, 2),
        ("finding told", FindingStatus::Active, 1),
    ];
    assert_eq!(shown, expected);
    let outbox = store.outbox(OutboxQuery::default()).await.unwrap().items;
    let shown: Vec<_> = outbox.iter().map(|row| (row.notice.kind, row.state)).collect();
    let expected = [
        (NoticeKind::Retracted, OutboxState::Due),
        (NoticeKind::Found, OutboxState::Due),
        (NoticeKind::Found, OutboxState::Dropped),
        (NoticeKind::Found, OutboxState::Delivered),
    ];
    assert_eq!(shown, expected);
    assert_eq!(store.open_conditions().await.unwrap().len(), 1);
    assert_eq!(store.entries().await.unwrap().len(), 2);
    let upgrades = store.upgrades(&mainnet()).await.unwrap();
    let target = Target::Implementation([8; 20].into());
    assert_eq!(upgrades[0].upgrade.change, Change::Target(target));
    assert_eq!(store.rule_errors().await.unwrap()[0].count, 2);
    assert_eq!(store.tokens().await.unwrap()[0].name, "grafana");
    assert_eq!(store.meta("tape").await.unwrap().as_deref(), Some("1"));
}
