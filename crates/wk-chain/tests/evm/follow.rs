//! The follower against a chain that lives in the test, over real HTTP and WebSockets.

use std::time::Duration;

use crate::sim::SimChain;
use crate::sim::nodes::{Faults, SimNode};
use crate::sim::watch::Watch;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use wk_chain::evm::FollowError;
use wk_model::{Check, Height, Intake, Severity};

#[tokio::test]
async fn live_blocks_come_verified_and_in_order() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 9, 0)).await;
    let watch = Watch::start(&[&node], json!({}));
    watch.tip(node.head()).await;
    for txs in [3, 0, 1, 20, 0, 0, 0, 0, 2] {
        let head = node.mine(txs);
        watch.tip(head).await;
    }
    let (record, _) = watch.stop().await;
    assert_eq!(record.hashes(), chain.branch(node.head(), 9));
    let logs: Vec<usize> = record.seen.iter().map(|seen| seen.logs).collect();
    assert_eq!(logs, [0, 3, 0, 1, 20, 0, 0, 0, 0, 2]);
    let (first, rest) = record.seen.split_first().unwrap();
    assert_eq!(first.verification.shortfall, "parent skipped: the block below is not known");
    assert!(rest.iter().all(|seen| seen.verification.is_full()), "{rest:?}");
    assert!(record.seen.iter().all(|seen| seen.intake == Intake::Live));
    assert!(record.found.is_empty(), "{:?}", record.found);
}

#[tokio::test]
async fn polling_is_enough() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 9, 0)).await;
    let watch = Watch::start(&[&node], json!({"rpc": node.http()}));
    watch.tip(node.head()).await;
    for _ in 0..20 {
        node.mine(1);
        node.mine(1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    watch.tip(node.head()).await;
    let (record, _) = watch.stop().await;
    assert_eq!(record.hashes(), chain.branch(node.head(), 9));
}

#[tokio::test]
async fn a_fast_chain_is_followed_block_by_block() {
    let chain = SimChain::with_interval(0);
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 1, 0)).await;
    let watch = Watch::start(&[&node], json!({"block_time": "10ms"}));
    watch.tip(node.head()).await;
    for _ in 0..300 {
        node.mine(5);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    watch.tip(node.head()).await;
    let (record, _) = watch.stop().await;
    assert_eq!(record.hashes(), chain.branch(node.head(), 1));
    assert!(record.seen.iter().skip(1).all(|seen| seen.verification.is_full()));
}

#[tokio::test]
async fn history_comes_first_and_in_order() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 150, 2)).await;
    let watch = Watch::start(&[&node], json!({"from": 20, "parallel": 16}));
    watch.tip(node.head()).await;
    watch.tip(node.mine(1)).await;
    let (record, _) = watch.stop().await;
    assert_eq!(record.hashes(), chain.branch(node.head(), 20));
    for seen in &record.seen {
        let expected =
            if seen.link.block.height < Height(150) { Intake::Backfill } else { Intake::Live };
        assert_eq!(seen.intake, expected, "{}", seen.link.block.height);
    }
    assert!(record.reverted.is_empty() && record.found.is_empty());
}

#[tokio::test]
async fn reorgs_of_any_depth_in_the_window_are_followed() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 5, 1)).await;
    let watch = Watch::start(&[&node], json!({"from": 0, "reorg_window": 40}));
    node.set_head(chain.grow(node.head(), 60, 1));
    watch.tip(node.head()).await;
    for (depth, longer, severity) in
        [(1, 0, "P3"), (1, 1, "P3"), (2, 0, "P2"), (5, 3, "P2"), (6, 1, "P1"), (40, 1, "P1")]
    {
        let old = node.head();
        let height = chain.height(old);
        let ancestor = chain.at(old, height - depth).unwrap().hash;
        node.set_head(chain.grow(ancestor, depth + longer, 2));
        watch.tip(node.head()).await;
        watch.over("reorg").await;
        let mut record = watch.record.lock();
        let finding = record.found.pop().unwrap();
        assert_eq!(finding.class, "reorg");
        assert_eq!(finding.severity, severity.parse::<Severity>().unwrap(), "{}", finding.title);
        assert_eq!(finding.evidence["depth"], json!(depth));
        assert_eq!(finding.evidence["old_head"]["hash"], json!(old));
        assert_eq!(record.reverted.drain(..).count() as u64, depth);
        assert_eq!(record.hashes(), chain.branch(node.head(), 0));
    }
    watch.stop().await;
}

#[tokio::test]
async fn a_chain_that_got_shorter_is_followed() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 30, 1)).await;
    let watch = Watch::start(&[&node], json!({"from": 0}));
    watch.tip(node.head()).await;
    let ancestor = chain.at(node.head(), 20).unwrap().hash;
    node.set_head(chain.grow(ancestor, 2, 1));
    watch.tip(node.head()).await;
    let (record, _) = watch.stop().await;
    assert_eq!(record.hashes(), chain.branch(node.head(), 0));
    assert_eq!(record.reverted.len(), 10);
}

#[tokio::test]
async fn a_reorg_beyond_the_window_stops_until_a_person_accepts_it() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 30, 1)).await;
    let mut watch = Watch::start(&[&node], json!({"from": 0, "reorg_window": 5}));
    watch.tip(node.head()).await;
    let ancestor = chain.at(node.head(), 20).unwrap().hash;
    node.set_head(chain.grow(ancestor, 12, 1));
    let error = watch.ended().await.unwrap_err();
    let FollowError::TooDeep { branch, .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains(&format!("accept_branch: \"{branch}\"")), "{error}");
    let finding = watch.found("reorg_too_deep").await;
    assert_eq!(finding.severity, Severity::P0);
    let (record, resume) = watch.stop().await;
    assert!(record.reverted.is_empty());

    let accepting = json!({"reorg_window": 5, "accept_branch": branch});
    let watch = Watch::resume(&[&node], accepting, resume, record);
    watch.tip(node.head()).await;
    watch.over("reorg_too_deep").await;
    let (record, _) = watch.stop().await;
    assert_eq!(record.hashes(), chain.branch(node.head(), 0));
    assert_eq!(record.reverted.len(), 10);
}

#[tokio::test]
async fn a_finalized_block_that_changes_stops_the_chain() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 30, 1)).await;
    let at = |height| chain.at(node.head(), height).map(|block| block.hash);
    node.set_finals(at(28), at(25));
    let mut watch = Watch::start(&[&node], json!({"from": 0}));
    watch
        .wait("finality", |record| {
            let finalized = record.finalized.is_some_and(|block| block.height == Height(25));
            (finalized && record.safe.is_some_and(|block| block.height == Height(28))).then_some(())
        })
        .await;
    let ancestor = at(24).unwrap();
    node.set_finals(None, None);
    node.set_head(chain.grow(ancestor, 12, 1));
    let error = watch.ended().await.unwrap_err();
    assert!(
        matches!(error, FollowError::FinalityViolated { finalized, .. } if finalized.height == Height(25)),
        "{error}"
    );
    assert_eq!(watch.found("finality_violation").await.severity, Severity::P0);
    let (record, _) = watch.stop().await;
    assert!(record.reverted.is_empty());
}

#[tokio::test]
async fn chains_without_tags_count_confirmations() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 100, 0)).await;
    node.faults(|faults| faults.no_tags = true);
    for (config, safe, finalized) in [
        (json!({"from": 0}), 100 - 12, 100 - 64),
        (json!({"from": 0, "confirmations": {"safe": 1, "finalized": 3}}), 99, 97),
        (json!({"from": 0, "confirmations": {"safe": 0, "finalized": 0}}), 100, 100),
    ] {
        let watch = Watch::start(&[&node], config);
        watch
            .wait("confirmations", |record| {
                let is = |block: Option<wk_model::BlockRef>, height| {
                    block.is_some_and(|block| block.height == Height(height))
                };
                (is(record.safe, safe) && is(record.finalized, finalized)).then_some(())
            })
            .await;
        watch.stop().await;
    }
}

#[tokio::test]
async fn a_long_gap_is_filled_in_behind_the_head() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 10, 1)).await;
    let config = json!({"from": 0, "max_catchup_gap": 20});
    let watch = Watch::start(&[&node], config.clone());
    watch.tip(node.head()).await;
    let (record, resume) = watch.stop().await;

    // Stopped while a short and a long time pass, and one block of the long gap is broken.
    node.set_head(chain.grow(node.head(), 20, 1));
    let watch = Watch::resume(&[&node], config.clone(), resume, record);
    watch.tip(node.head()).await;
    assert!(watch.record.lock().found.is_empty());
    let (record, resume) = watch.stop().await;
    node.set_head(chain.grow(node.head(), 100, 1));
    node.faults(|faults| faults.cut_receipts = vec![77]);
    let watch = Watch::resume(&[&node], config.clone(), resume, record);
    watch.tip(node.head()).await;
    let finding = watch.found("coverage_hole").await;
    assert_eq!(finding.severity, Severity::P1);
    watch
        .wait("all but the broken block", |record| {
            (record.coverage.holes() == [(Height(77), Height(77))]).then_some(())
        })
        .await;
    // A stop does not forget the hole.
    let (record, resume) = watch.stop().await;
    assert_eq!(resume.holes, [(Height(77), Height(77))]);
    assert!(record.standing.iter().any(|(trouble, _)| trouble == "coverage_hole"));
    let watch = Watch::resume(&[&node], config, resume, record);
    watch.tip(node.mine(1)).await;
    node.faults(|faults| faults.cut_receipts.clear());
    watch.over("coverage_hole").await;
    let (record, _) = watch.stop().await;
    assert_eq!(record.hashes(), chain.branch(node.head(), 0));
    assert_eq!(record.coverage.holes(), []);
    let refilled = record.seen.iter().filter(|seen| seen.intake == Intake::Refill).count();
    // The first blocks may be on their way already when the rest is left for later.
    assert!((80..=99).contains(&refilled), "{refilled}");
}

#[tokio::test]
async fn a_reorg_during_a_stop_is_seen_before_anything_is_left_out() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 30, 1)).await;
    let config = json!({"from": 0, "max_catchup_gap": 20});
    let watch = Watch::start(&[&node], config.clone());
    watch.wait("a start", |record| (!record.chain.is_empty()).then_some(())).await;
    watch.over("coverage_hole").await;
    watch.tip(node.head()).await;
    watch.wait("all blocks", |record| (record.chain.len() == 31).then_some(())).await;
    let (record, resume) = watch.stop().await;
    let ancestor = chain.at(node.head(), 26).unwrap().hash;
    node.set_head(chain.grow(ancestor, 80, 1));
    let watch = Watch::resume(&[&node], config, resume, record);
    watch.tip(node.head()).await;
    watch.wait("all blocks", |record| (record.chain.len() == 107).then_some(())).await;
    watch.over("coverage_hole").await;
    let (record, _) = watch.stop().await;
    assert_eq!(record.hashes(), chain.branch(node.head(), 0));
    assert_eq!(record.reverted.len(), 4);
}

#[tokio::test]
async fn a_block_that_nobody_gives_right_becomes_a_hole_and_the_chain_goes_on() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 5, 1)).await;
    let watch = Watch::start(&[&node], json!({}));
    watch.tip(node.head()).await;
    node.faults(|faults| faults.no_logs = vec![6]);
    node.mine(3);
    watch.tip(node.mine(3)).await;
    let finding = watch.found("coverage_hole").await;
    let reason = finding.evidence["reason"].to_string();
    assert!(reason.contains("receipts_root"), "{reason}");
    watch.tip(node.mine(3)).await;
    node.faults(|faults| faults.no_logs.clear());
    watch.over("coverage_hole").await;
    let (record, _) = watch.stop().await;
    assert_eq!(record.hashes(), chain.branch(node.head(), 5));
    assert_eq!(record.chain[&Height(6)].intake, Intake::Refill);
    assert_eq!(record.chain[&Height(6)].logs, 3);
}

#[tokio::test]
async fn an_oversized_block_does_not_wedge_the_chain() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 5, 1)).await;
    let options = json!({"timeout": "2s", "total_timeout": "2s", "max_body_bytes": 100_000});
    let watch = Watch::start(&[&node], json!({"rpc_options": options}));
    watch.tip(node.head()).await;
    node.faults(|faults| faults.ballast = 200_000);
    node.mine(1);
    watch.found("coverage_hole").await;
    node.faults(|faults| faults.ballast = 0);
    watch.tip(node.mine(1)).await;
    watch.over("coverage_hole").await;
    let (record, _) = watch.stop().await;
    assert_eq!(record.hashes(), chain.branch(node.head(), 5));
}

#[tokio::test]
async fn lenient_chains_take_what_everybody_says_and_late_truth_is_told() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 5, 1)).await;
    node.faults(|faults| faults.no_logs = vec![6, 7]);
    let config = json!({"verify": "lenient", "rescan": {"depth": 8, "every": "300ms"}});
    let watch = Watch::start(&[&node], config);
    watch.tip(node.head()).await;
    node.mine(2);
    watch.tip(node.mine(2)).await;
    {
        let record = watch.record.lock();
        let seen = &record.chain[&Height(6)];
        assert_eq!(seen.logs, 0);
        let passed = seen.verification.passed;
        assert!(passed.has(Check::HeaderHash) && !passed.has(Check::ReceiptsRoot));
        assert!(seen.verification.shortfall.contains("receipts_root failed"), "{seen:?}");
    }
    node.faults(|faults| faults.no_logs.clear());
    let finding = watch.found("late_truth").await;
    assert_eq!(finding.evidence["block"]["height"], json!(6));
    // The newest block is not looked at again before it has a child.
    watch.tip(node.mine(0)).await;
    watch
        .wait("both blocks again", |record| {
            [6, 7].iter().all(|height| record.chain[&Height(*height)].logs == 2).then_some(())
        })
        .await;
    watch
        .wait("re-scans", |record| {
            record.facts.iter().any(|fact| fact.name == "rescanned").then_some(())
        })
        .await;
    let (record, _) = watch.stop().await;
    assert_eq!(record.chain[&Height(7)].intake, Intake::Rescan);
    assert!(record.standing.is_empty(), "{:?}", record.standing);
}

#[tokio::test]
async fn receipts_come_by_the_best_method_there_is() {
    for (missing, checks, shortfall) in [
        (vec!["eth_getBlockReceipts"], 5, ""),
        (
            vec!["eth_getBlockReceipts", "eth_getTransactionReceipt"],
            4,
            "receipts_root skipped: only logs could be had",
        ),
        (
            vec!["eth_getBlockReceipts", "eth_getTransactionReceipt", "eth_getLogs"],
            3,
            "receipts_root skipped: the endpoints give neither receipts nor logs; \
             logs_bloom skipped: the endpoints give neither receipts nor logs",
        ),
    ] {
        let chain = SimChain::new();
        let node = SimNode::start(&chain, chain.grow(chain.genesis(), 5, 1)).await;
        node.faults(|faults| faults.missing = missing.clone());
        let watch = Watch::start(&[&node], json!({}));
        watch.tip(node.head()).await;
        watch.tip(node.mine(3)).await;
        watch.tip(node.mine(2)).await;
        let (record, _) = watch.stop().await;
        let newest = record.seen.last().unwrap();
        assert_eq!(newest.verification.passed.iter().count(), checks, "{missing:?}");
        assert_eq!(newest.verification.shortfall, shortfall, "{missing:?}");
        assert_eq!(newest.logs, if checks == 3 { 0 } else { 2 });
    }
}

#[tokio::test]
async fn a_halt_and_silence_are_told_apart() {
    let chain = SimChain::new();
    let node = SimNode::start(&chain, chain.grow(chain.genesis(), 5, 1)).await;
    let watch = Watch::start(&[&node], json!({"halt_after": "700ms"}));
    watch.tip(node.head()).await;
    assert_eq!(watch.found("chain_halted").await.severity, Severity::P1);
    watch.tip(node.mine(1)).await;
    watch.over("chain_halted").await;
    node.faults(|faults| faults.down = true);
    assert_eq!(watch.found("chain_unreachable").await.severity, Severity::P1);
    node.faults(|faults| faults.down = false);
    watch.over("chain_unreachable").await;
    watch.tip(node.mine(1)).await;
    watch.stop().await;
}

#[tokio::test]
async fn a_minority_is_not_followed_and_a_majority_is() {
    let chain = SimChain::new();
    let common = chain.grow(chain.genesis(), 20, 1);
    let nodes = [
        SimNode::start(&chain, common).await,
        SimNode::start(&chain, common).await,
        SimNode::start(&chain, common).await,
    ];
    let watch = Watch::start(&[&nodes[0], &nodes[1], &nodes[2]], json!({"from": 0}));
    watch.tip(common).await;
    // The third node is on a longer branch of its own.
    let fork = chain.at(common, 15).unwrap().hash;
    let lie = chain.grow(fork, 9, 2);
    nodes[2].set_head(lie);
    let good = chain.grow(common, 1, 1);
    for node in &nodes[..2] {
        node.set_head(good);
    }
    watch.tip(good).await;
    let better = chain.grow(good, 3, 1);
    for node in &nodes[..2] {
        node.set_head(better);
    }
    watch.tip(better).await;
    assert!(watch.record.lock().reverted.is_empty());
    // When the others go over to it, it is the chain.
    let end = chain.grow(lie, 5, 1);
    for node in &nodes {
        node.set_head(end);
    }
    watch.tip(end).await;
    let (record, _) = watch.stop().await;
    assert_eq!(record.hashes(), chain.branch(end, 0));
    assert_eq!(record.reverted.len(), 9);
}

#[tokio::test]
async fn lies_of_one_endpoint_cost_nothing_when_another_is_honest() {
    type Fault = fn(&mut Faults);
    let cases: [(&str, Fault, &str); 5] = [
        ("null blocks", |faults| faults.null_blocks = (6..100).collect(), "endpoint_empty"),
        ("cut receipts", |faults| faults.cut_receipts = (6..100).collect(), "endpoint_truncated"),
        ("no logs", |faults| faults.no_logs = (6..100).collect(), "endpoint_empty"),
        ("forged header", |faults| faults.forged = (6..100).collect(), "endpoint_wrong_data"),
        ("method missing", |faults| faults.missing = vec!["eth_getBlockReceipts"], ""),
    ];
    for (name, fault, trouble) in cases {
        let chain = SimChain::new();
        let start = chain.grow(chain.genesis(), 5, 1);
        let nodes = [SimNode::start(&chain, start).await, SimNode::start(&chain, start).await];
        let watch = Watch::start(&[&nodes[0], &nodes[1]], json!({}));
        watch.tip(start).await;
        // The liar is the faster one.
        nodes[1].faults(|faults| faults.delay = Duration::from_millis(5));
        nodes[0].faults(fault);
        let mut head = start;
        for _ in 0..20 {
            head = chain.grow(head, 1, 2);
            nodes.iter().for_each(|node| node.set_head(head));
            watch.tip(head).await;
        }
        if !trouble.is_empty() {
            watch.found(trouble).await;
        }
        let (record, _) = watch.stop().await;
        let logs: usize = record.seen.iter().map(|seen| seen.logs).sum();
        assert_eq!((record.seen.len(), logs), (21, 41), "{name}");
        assert!(record.seen.iter().skip(1).all(|seen| seen.verification.is_full()), "{name}");
        assert_eq!(record.coverage.holes(), [], "{name}");
        println!("{name}: {trouble} found, 40 of 40 events seen");
    }
}

#[tokio::test]
async fn agreement_is_told_for_every_block() {
    let chain = SimChain::new();
    let start = chain.grow(chain.genesis(), 5, 1);
    let nodes = [SimNode::start(&chain, start).await, SimNode::start(&chain, start).await];
    let watch = Watch::start(&[&nodes[0], &nodes[1]], json!({}));
    watch.tip(start).await;
    let mut head = start;
    for _ in 0..10 {
        head = chain.grow(head, 1, 1);
        nodes.iter().for_each(|node| node.set_head(head));
        watch.tip(head).await;
    }
    watch
        .wait("agreement", |record| {
            let agreed = |height: u64| {
                record.facts.iter().any(|fact| {
                    fact.name == "agreed"
                        && fact.value["height"] == json!(height)
                        && fact.value["agreed"] == json!(2)
                })
            };
            (6..=15).all(agreed).then_some(())
        })
        .await;
    watch.stop().await;
}

/// Whatever happens to the chain and whenever the follower is stopped, the blocks that were told
/// are the chain in the end, and each was verified.
#[tokio::test]
async fn stops_and_reorgs_at_any_time_leave_the_same_chain() {
    let seeds = std::env::var("WK_SEEDS").map_or(12, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        let mut random = SmallRng::seed_from_u64(seed);
        let chain = SimChain::new();
        let node = SimNode::start(&chain, chain.grow(chain.genesis(), 3, 1)).await;
        let config = json!({"from": 0, "reorg_window": 1000, "max_catchup_gap": 15});
        let mut watch = Watch::start(&[&node], config.clone());
        for _ in 0..25 {
            match random.random_range(0..10) {
                0..5 => {
                    let count = random.random_range(1..5);
                    node.set_head(chain.grow(node.head(), count, 1));
                }
                5..8 => {
                    let height = chain.height(node.head());
                    let depth = random.random_range(1..=height.min(12));
                    let ancestor = chain.at(node.head(), height - depth).unwrap().hash;
                    node.set_head(chain.grow(ancestor, depth + random.random_range(0..3), 1));
                }
                8 => {
                    let (record, resume) = watch.stop().await;
                    if random.random_bool(0.5) {
                        node.set_head(chain.grow(node.head(), random.random_range(1..40), 1));
                    }
                    watch = Watch::resume(&[&node], config.clone(), resume, record);
                }
                _ => tokio::time::sleep(Duration::from_millis(random.random_range(1..80))).await,
            }
        }
        watch.tip(node.mine(1)).await;
        watch
            .wait("all holes closed", |record| {
                let newest = *record.chain.last_key_value()?.0;
                (record.chain.len() as u64 == newest.0 + 1).then_some(())
            })
            .await;
        watch.over("coverage_hole").await;
        watch.over("reorg").await;
        let (record, _) = watch.stop().await;
        assert_eq!(record.hashes(), chain.branch(node.head(), 0), "seed {seed}");
        assert_eq!(record.coverage.holes(), [], "seed {seed}");
    }
}
