//! A make-believe chain, and short words for batches about it.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::Value;
use serde_json::json;
use tempfile::TempDir;
use wk_model::primitives::keccak256;
use wk_model::{
    AssetId, BlockLink, BlockRef, BlockTime, ChainName, ChainPosition, Checks, Confidence,
    EntryKind, Finality, Finding, FindingId, Height, Intake, Severity, Source, Timestamp,
    Verification, WindowEntry, WindowKey,
};
use wk_runtime::Metrics;
use wk_store::{BlockCounts, Commit, Committed, FindingRow, Route, SeenBlock, Store};

pub(crate) const NOW: Timestamp = Timestamp(1_795_383_364_000);

pub(crate) fn mainnet() -> ChainName {
    ChainName::new("mainnet")
}

/// Everything goes to `a`; what is P0 goes to `b` as well.
pub(crate) fn route() -> Route {
    Arc::new(|finding| match finding.severity {
        Severity::P0 => vec!["a".to_owned(), "b".to_owned()],
        Severity::P1 | Severity::P2 | Severity::P3 => vec!["a".to_owned()],
    })
}

/// A store in a folder of its own.
pub(crate) struct Shop {
    pub(crate) store: Store,
    pub(crate) dir: TempDir,
}

impl Shop {
    pub(crate) fn open() -> Shop {
        let dir = tempfile::tempdir().unwrap();
        Shop { store: Store::open(dir.path(), &Metrics::new()).unwrap(), dir }
    }

    pub(crate) fn reopen(self) -> Shop {
        let Shop { store, dir } = self;
        drop(store);
        Shop { store: Store::open(dir.path(), &Metrics::new()).unwrap(), dir }
    }

    pub(crate) async fn commit(&self, change: impl FnOnce(&mut Commit)) -> Committed {
        self.store.commit(batch(change)).await.unwrap()
    }

    /// The refusal of a batch.
    pub(crate) async fn refused(&self, change: impl FnOnce(&mut Commit)) -> String {
        self.store.commit(batch(change)).await.unwrap_err().to_string()
    }

    pub(crate) async fn assert_sound(&self) {
        assert_eq!(self.store.check_integrity().await.unwrap(), Vec::<String>::new());
    }
}

pub(crate) fn batch(change: impl FnOnce(&mut Commit)) -> Commit {
    let mut commit = Commit::new(mainnet(), NOW, route());
    change(&mut commit);
    commit
}

/// A block on `parent`; the salt tells siblings apart.
pub(crate) fn child(parent: &BlockLink, salt: u64) -> BlockLink {
    let height = parent.block.height.next();
    let mut bytes = parent.block.hash.to_vec();
    bytes.extend_from_slice(&salt.to_be_bytes());
    BlockLink {
        block: BlockRef { height, hash: keccak256(bytes) },
        parent: parent.block.hash,
        time: BlockTime(parent.time.0 + 12),
    }
}

/// The block at `height` from which a chain begins.
pub(crate) fn root(height: u64) -> BlockLink {
    BlockLink {
        block: BlockRef { height: Height(height), hash: keccak256([0]) },
        parent: keccak256([1]),
        time: BlockTime(1_700_000_000),
    }
}

/// `count` blocks on `parent`, lowest first.
pub(crate) fn branch(parent: &BlockLink, count: usize, salt: u64) -> Vec<BlockLink> {
    let mut links = Vec::new();
    for _ in 0..count {
        links.push(child(links.last().unwrap_or(parent), salt));
    }
    links
}

pub(crate) fn verified(agreed: u8) -> Verification {
    Verification { passed: Checks::all(), shortfall: String::new(), agreed }
}

pub(crate) fn seen(link: BlockLink) -> SeenBlock {
    SeenBlock {
        link,
        counts: BlockCounts { transactions: 2, logs: 3 },
        digest: keccak256(link.block.hash),
        verification: verified(1),
        intake: Intake::Live,
    }
}

/// A finding called `name` about the block, delivered as `deliver` says.
pub(crate) fn found(name: &str, link: &BlockLink, deliver: Finality) -> Finding {
    Finding {
        position: Some(ChainPosition {
            chain: mainnet(),
            block: link.block,
            time: link.time,
            tx: None,
            log_index: None,
        }),
        deliver,
        ..noticed(name)
    }
}

/// A finding called `name` about no block.
pub(crate) fn noticed(name: &str) -> Finding {
    Finding {
        id: FindingId::of(&[name.as_bytes()]),
        source: Source::Rule("large-withdrawal".to_owned()),
        severity: Severity::P1,
        confidence: Confidence::CERTAIN,
        class: "large_transfer".to_owned(),
        asset: AssetId::parse("contract/mainnet/vault"),
        title: format!("finding {name}"),
        evidence: [("name".to_owned(), json!(name))].into(),
        labels: [].into(),
        position: None,
        deliver: Finality::Seen,
        notify: Vec::new(),
        seen_at: NOW,
    }
}

pub(crate) fn entry(rule: &str, link: &BlockLink, ordinal: u64, kind: EntryKind) -> WindowEntry {
    WindowEntry {
        window: WindowKey { rule: rule.to_owned(), chain: mainnet(), key: "0xaa".to_owned() },
        block: link.block,
        time: link.time,
        ordinal,
        kind,
        value: json!({"amount": ordinal.to_string()}),
    }
}

pub(crate) fn titles(rows: &[FindingRow]) -> Vec<&str> {
    rows.iter().map(|row| row.finding.title.trim_start_matches("finding ")).collect()
}

/// All rows of a query, as text.
pub(crate) fn dump(path: &Path, sql: &str) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cells = (0..columns).map(|column| match row.get::<_, Value>(column).unwrap() {
            Value::Null => "-".to_owned(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Text(text) => text,
            Value::Blob(bytes) => bytes[..4].iter().map(|byte| format!("{byte:02x}")).collect(),
        });
        Ok(cells.collect::<Vec<_>>().join(" "))
    });
    rows.unwrap().map(Result::unwrap).collect()
}
