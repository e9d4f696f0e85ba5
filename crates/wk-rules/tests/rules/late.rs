//! Blocks out of order, blocks again, and what is remembered over a restart.

use serde_json::json;
use wk_model::{BlockTime, ChainName, Height, Intake};
use wk_rules::{Evaluation, Memory, RuleSet};

use crate::support::{Chain, compile};

fn burst() -> RuleSet {
    compile(json!({
        "id": "burst", "watch": "vault", "event": "Withdraw",
        "window": {"by": "to", "over": "10m", "value": "amount", "when": "sum >= 4"},
        "title": "${sum} by ${key}",
    }))
}

fn titles(evaluation: &Evaluation) -> Vec<(u64, String)> {
    let height = |f: &wk_model::Finding| f.position.as_ref().map_or(0, |p| p.block.height.0);
    evaluation.findings.iter().map(|finding| (height(finding), finding.title.clone())).collect()
}

#[test]
fn a_block_that_comes_late_completes_a_window_behind_it() {
    let set = burst();
    let mut chain = Chain::new();
    let amounts = [1, 1, 1, 1, 1];
    let blocks: Vec<_> = amounts.iter().map(|amount| chain.withdrawals(&[(1, *amount)])).collect();
    let key = "0x0000000000000000000000000000000000000001";

    let mut in_order = Memory::default();
    let straight: Vec<_> = blocks
        .iter()
        .map(|block| chain.evaluate(&set, &mut in_order, block, Intake::Live))
        .collect();
    assert_eq!(titles(&straight[3]), [(4, format!("4 by {key}"))]);

    // The second block comes last: the crossing in the fourth block is told then, by the same name.
    let mut memory = Memory::default();
    for place in [0, 2, 3] {
        let evaluation = chain.evaluate(&set, &mut memory, &blocks[place], Intake::Live);
        assert_eq!(titles(&evaluation), []);
    }
    let late = chain.evaluate(&set, &mut memory, &blocks[1], Intake::Refill);
    assert_eq!(titles(&late), [(4, format!("4 by {key}"))]);
    assert_eq!(late.findings[0].id, straight[3].findings[0].id);
    assert!(late.findings[0].evidence.contains_key("late"));
    let after = chain.evaluate(&set, &mut memory, &blocks[4], Intake::Live);
    assert_eq!(titles(&after), []);
    assert_eq!(chain.remembered(&memory), chain.remembered(&in_order));
}

#[test]
fn an_event_that_an_endpoint_left_out_counts_when_it_is_found() {
    let set = burst();
    let mut chain = Chain::new();
    let blocks: Vec<_> = (0..4).map(|_| chain.withdrawals(&[(1, 1)])).collect();
    let mut lacking = blocks[1].clone();
    lacking.transactions.clear();
    let mut memory = Memory::default();
    for block in [&blocks[0], &lacking, &blocks[2], &blocks[3]] {
        assert_eq!(titles(&chain.evaluate(&set, &mut memory, block, Intake::Live)), []);
    }
    let rescan = chain.evaluate(&set, &mut memory, &blocks[1], Intake::Rescan);
    let key = "0x0000000000000000000000000000000000000001";
    assert_eq!(titles(&rescan), [(4, format!("4 by {key}"))]);
    let again = chain.evaluate(&set, &mut memory, &blocks[1], Intake::Rescan);
    assert_eq!(titles(&again), []);
}

#[test]
fn a_block_looked_at_again_says_the_same() {
    let set = compile(json!([
        {"id": "each", "watch": "vault", "event": "Withdraw"},
        {"id": "burst", "watch": "vault", "event": "Withdraw", "window": {"over": "1h", "when": "count == 3"}},
        {"id": "silent", "watch": "vault", "event": "Heartbeat", "absent": "20s"},
    ]));
    let mut chain = Chain::new();
    let blocks: Vec<_> = (0..6).map(|n| chain.withdrawals(&[(n, 1)])).collect();
    let mut memory = Memory::default();
    let first: Vec<_> =
        blocks.iter().map(|block| chain.evaluate(&set, &mut memory, block, Intake::Live)).collect();
    let before = chain.remembered(&memory);
    for (block, first) in blocks.iter().zip(&first) {
        let again = chain.evaluate(&set, &mut memory, block, Intake::Live);
        assert_eq!(again.findings, first.findings);
    }
    assert_eq!(chain.remembered(&memory), before);
    assert!(first.iter().flat_map(|e| &e.findings).count() > 6);
}

#[test]
fn silence_is_not_told_across_a_hole() {
    let set =
        compile(json!({"id": "silent", "watch": "vault", "event": "Heartbeat", "absent": "30s"}));
    let mut chain = Chain::new();
    let blocks: Vec<_> = (0..8).map(|_| chain.withdrawals(&[])).collect();
    let mut memory = Memory::default();
    let hole = [(Height(2), Height(3))];
    let count = |evaluation: Evaluation| evaluation.findings.len();
    assert_eq!(count(chain.evaluate(&set, &mut memory, &blocks[0], Intake::Live)), 0);
    for block in &blocks[3..5] {
        let evaluation = chain.evaluate_with(&set, &mut memory, block, Intake::Live, &hole);
        assert_eq!(count(evaluation), 0, "the heartbeat may be in the hole");
    }
    assert_eq!(count(chain.evaluate(&set, &mut memory, &blocks[1], Intake::Refill)), 0);
    assert_eq!(count(chain.evaluate(&set, &mut memory, &blocks[2], Intake::Refill)), 0);
    // The hole is closed, and there was none.
    assert_eq!(count(chain.evaluate(&set, &mut memory, &blocks[5], Intake::Live)), 1);
    assert_eq!(count(chain.evaluate(&set, &mut memory, &blocks[6], Intake::Live)), 0);
}

#[test]
fn what_is_out_of_reach_is_forgotten_and_nothing_else() {
    let set = compile(json!([
        {"id": "burst", "watch": "vault", "event": "Withdraw", "window": {"over": "60s", "when": "count > 100"}},
        {"id": "silent", "watch": "vault", "event": "Withdraw", "absent": "1h"},
    ]));
    let mut chain = Chain::new();
    let mut memory = Memory::default();
    let blocks: Vec<_> = (0..50).map(|_| chain.withdrawals(&[(1, 1), (2, 1)])).collect();
    for block in &blocks {
        chain.evaluate(&set, &mut memory, block, Intake::Live);
    }
    let floor = &blocks[39].header;
    let forget = set.prune(&mut memory, &ChainName::new("main"), floor.height, floor.time);
    // Blocks are 12 s apart: the windows of block 40 and later reach down to block 35.
    let lowest = |rule: &str| {
        let own = memory.entries().into_iter().filter(|entry| entry.window.rule == rule);
        let own = own.filter(|entry| entry.kind == wk_model::EntryKind::Match);
        own.map(|entry| entry.block.height.0).min()
    };
    assert_eq!(lowest("burst"), Some(35));
    assert_eq!(lowest("silent"), Some(40));
    let before = |rule: &str| forget.iter().find(|f| f.rule == rule).map(|f| f.before);
    assert_eq!(before("burst"), Some(blocks[34].header.time));
    assert_eq!(before("silent"), Some(floor.time));
    assert_eq!(memory.len(), chain.remembered(&memory).len());
}

#[test]
fn more_keys_than_allowed_are_an_error_that_is_seen() {
    let set = compile(json!({
        "id": "burst", "watch": "vault", "event": "Withdraw",
        "window": {"by": "to", "over": "10m", "when": "count > 1", "max_keys": 2},
    }));
    let mut chain = Chain::new();
    let mut memory = Memory::default();
    let block = chain.withdrawals(&[(1, 1), (2, 1), (3, 1), (4, 1), (1, 1)]);
    let evaluation = chain.evaluate(&set, &mut memory, &block, Intake::Live);
    assert_eq!(evaluation.findings.len(), 1, "known keys go on");
    let errors: Vec<_> = evaluation.errors.iter().map(|error| error.count).collect();
    assert_eq!(errors, [2]);
    assert!(evaluation.errors[0].message.contains("max_keys"), "{}", evaluation.errors[0]);
    // When the keys have left the window, there is room again.
    set.prune(
        &mut memory,
        &ChainName::new("main"),
        Height(9),
        BlockTime(block.header.time.0 + 700),
    );
    assert!(memory.is_empty());
}

#[test]
fn entries_that_cannot_be_understood_are_passed_over() {
    let set = burst();
    let mut chain = Chain::new();
    let mut memory = Memory::default();
    let block = chain.withdrawals(&[(1, 1)]);
    let mut entries = chain.evaluate(&set, &mut memory, &block, Intake::Live).entries;
    for value in [json!(null), json!({"int": 5}), json!({"int": "x"}), json!([1]), json!("met")] {
        let mut odd = entries[0].clone();
        odd.value = value;
        odd.ordinal += 10;
        entries.push(odd);
    }
    let restored = Memory::restore(entries);
    assert!(!restored.is_empty());
}
