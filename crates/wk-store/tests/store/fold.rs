//! Reorgs leave no trace: fold(a, revert a, b) = fold(b), for every table, also across restarts and
//! when a batch is stored twice.

use proptest::prelude::*;
use wk_model::proxy::{Change, LogPlace, Target, Upgrade};
use wk_model::{BlockLink, EntryKind, Finality, Severity};
use wk_store::Commit;

use crate::support::{Shop, batch, child, dump, entry, found, mainnet, root, seen};

/// What is in a block: findings by name (the same name in two branches is the same transaction),
/// and how many things rules remember.
#[derive(Clone, Debug)]
struct Content {
    salt: u64,
    findings: Vec<(u8, Finality, bool)>,
    entries: u64,
    upgrade: Option<u8>,
}

fn content() -> impl Strategy<Value = Content> {
    let finality =
        prop_oneof![Just(Finality::Seen), Just(Finality::Safe), Just(Finality::Finalized)];
    (
        any::<u64>(),
        proptest::collection::vec((0u8..12, finality, any::<bool>()), 0..4),
        0u64..3,
        proptest::option::of(0u8..3),
    )
        .prop_map(|(salt, findings, entries, upgrade)| Content {
            salt,
            findings,
            entries,
            upgrade,
        })
}

fn contents(most: usize) -> impl Strategy<Value = Vec<Content>> {
    proptest::collection::vec(content(), 0..most)
}

/// Adds blocks on `parent` to a batch; returns them.
fn extend(commit: &mut Commit, parent: &BlockLink, contents: &[Content]) -> Vec<BlockLink> {
    let mut links = Vec::new();
    for content in contents {
        let link = child(links.last().unwrap_or(parent), content.salt);
        commit.seen.push(seen(link));
        for (name, deliver, severe) in &content.findings {
            let mut finding = found(&name.to_string(), &link, *deliver);
            if *severe {
                finding.severity = Severity::P0;
            }
            commit.findings.push(finding);
        }
        for ordinal in 0..content.entries {
            commit.entries.push(entry("r", &link, ordinal, EntryKind::Match));
        }
        if let Some(to) = content.upgrade {
            let place = LogPlace { tx_index: 0, log_index: u64::from(to) };
            let target = Target::Implementation([to; 20].into());
            let changes = [Change::Target(target), Change::Admin(Some([to; 20].into()))];
            commit.upgrades.extend(changes.map(|change| Upgrade {
                chain: mainnet(),
                address: [1; 20].into(),
                block: link.block,
                // Some were read, others were told by a log.
                log: (to > 0).then_some(place),
                change,
            }));
        }
        links.push(link);
    }
    links
}

/// Where things stand, without how they came to stand there.
fn standing(shop: &Shop) -> Vec<String> {
    let tables = [
        "SELECT chain, safe_height, safe_hash, finalized_height, finalized_hash FROM chains",
        "SELECT chain, height, hash, parent, time, transactions, logs, digest FROM blocks ORDER BY 2",
        "SELECT * FROM coverage ORDER BY from_height",
        "SELECT id, status, severity, chain, height, block_hash, body FROM findings
         WHERE status <> 'retracted' ORDER BY id",
        "SELECT * FROM window_entries ORDER BY rule, key, height, ordinal",
        "SELECT * FROM upgrades ORDER BY height, aspect",
        "SELECT chain, height, hash, parent, time, transactions FROM inspections ORDER BY height",
        "SELECT finding, kind, receiver, state FROM outbox WHERE state <> 'dropped' ORDER BY 1, 3",
    ];
    tables.iter().flat_map(|sql| dump(shop.store.path(), sql)).collect()
}

#[derive(Clone, Debug)]
struct Story {
    trunk: Vec<Content>,
    a: Vec<Content>,
    b: Vec<Content>,
    /// How many blocks of `a` go into one batch.
    step: usize,
    /// Whether the reverts of `a` come with the blocks of `b`.
    together: bool,
    restarts: bool,
    twice: bool,
    /// How many blocks below the tip are safe and finalized in the end.
    safe: usize,
    finalized: usize,
}

fn story() -> impl Strategy<Value = Story> {
    (
        contents(4),
        contents(6),
        contents(6),
        1usize..4,
        any::<(bool, bool, bool)>(),
        0usize..6,
        0usize..6,
    )
        .prop_map(|(trunk, a, b, step, (together, restarts, twice), safe, more)| Story {
            trunk,
            a,
            b,
            step,
            together,
            restarts,
            twice,
            safe,
            finalized: safe + more,
        })
}

async fn store(shop: &mut Option<Shop>, story: &Story, commit: Commit) {
    let mut open = shop.take().unwrap();
    open.store.commit(commit.clone()).await.unwrap();
    if story.restarts {
        open = open.reopen();
    }
    if story.twice {
        open.store.commit(commit).await.unwrap();
    }
    *shop = Some(open);
}

async fn tell(story: &Story, with_a: bool) -> Vec<String> {
    let mut shop = Some(Shop::open());
    let start = root(0);
    let mut commit = batch(|commit| commit.seen = vec![seen(start)]);
    let mut trunk = vec![start];
    trunk.extend(extend(&mut commit, &start, &story.trunk));
    let tip = *trunk.last().unwrap();
    store(&mut shop, story, commit).await;

    let mut last = batch(|_| {});
    if with_a {
        let mut a: Vec<BlockLink> = Vec::new();
        for contents in story.a.chunks(story.step) {
            let mut commit = batch(|_| {});
            let parent = *a.last().unwrap_or(&tip);
            a.extend(extend(&mut commit, &parent, contents));
            store(&mut shop, story, commit).await;
        }
        if story.together {
            last.reverted = a.into_iter().rev().collect();
        } else {
            for link in a.into_iter().rev() {
                store(&mut shop, story, batch(|commit| commit.reverted = vec![link])).await;
            }
        }
    }
    trunk.extend(extend(&mut last, &tip, &story.b));
    let below = |depth: usize| trunk.iter().rev().nth(depth).map(|link| link.block);
    last.safe = below(story.safe);
    last.finalized = below(story.finalized);
    store(&mut shop, story, last).await;

    let shop = shop.unwrap();
    shop.assert_sound().await;
    standing(&shop)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_branch_that_was_reverted_leaves_no_trace(story in story()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let plain = Story { restarts: false, twice: false, ..story.clone() };
        let (with_a, without_a) =
            runtime.block_on(async { (tell(&story, true).await, tell(&plain, false).await) });
        prop_assert_eq!(with_a, without_a);
    }
}
