//! Rules that are refused: every fault at its place, with what to do about it.

use serde_json::json;

use crate::support::{compile, shown, try_compile};

/// Each line is one rule and what is said of it, as people read it.
#[test]
fn wrong_rules_are_refused_with_a_hint() {
    let rules = [
        // Names.
        json!({"id": "a", "watch": "valt", "event": "Withdraw"}),
        json!({"id": "a", "watch": "nothing-like-it", "event": "Withdraw"}),
        json!({"id": "a", "watch": "0x1111", "event": "Withdraw"}),
        json!({"id": "a", "watch": ["vault", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"], "event": "Withdraw"}),
        json!({"id": "a", "watch": "vault", "event": "Withdrew"}),
        json!({"id": "a", "watch": "vault", "event": "Mint"}),
        json!({"id": "a", "watch": "plain", "event": "Withdraw"}),
        json!({"id": "a", "event": "Frobnicated"}),
        json!({"id": "a", "event": "Paused"}),
        json!({"id": "a", "watch": "vault", "event": "Withdraw(adress to)"}),
        json!({"id": "a", "watch": "vault", "event": "Withdraw(address indexed to, uint256 indexed amount)"}),
        json!({"id": "a", "chain": "mian", "on": "evm.block", "if": "true"}),
        json!({"id": "a", "chain": "side", "watch": "vault", "event": "Withdraw"}),
        json!({"id": "a", "on": "evm.tx", "watch": "vault", "function": "withdrw"}),
        json!({"id": "not good", "watch": "vault", "event": "Withdraw"}),
        // Expressions.
        json!({"id": "a", "watch": "vault", "event": "Withdraw", "if": "amout > 1"}),
        json!({"id": "a", "watch": "vault", "event": "Withdraw", "if": "amount > "}),
        json!({"id": "a", "watch": "vault", "event": "Withdraw", "if": "amount"}),
        json!({"id": "a", "watch": "vault", "event": "Withdraw", "if": "to in lists.tresury"}),
        json!({"id": "a", "watch": "vault", "event": "Withdraw", "if": "to == 'bob'"}),
        json!({"id": "a", "watch": "vault", "event": "Withdraw", "title": "${amout} to ${to} of ${tx}"}),
        json!({"id": "a", "watch": "vault", "event": "Withdraw", "title": "${amount"}),
        json!({"id": "a", "watch": "vault", "event": ["Withdraw", "Paused"], "if": "amount > 1"}),
        // Windows.
        json!({"id": "a", "watch": "vault", "event": "Withdraw", "window": {"over": "1m", "when": "sum > 5"}}),
        json!({"id": "a", "watch": "vault", "event": "Withdraw", "window": {"over": "1m", "value": "to", "when": "max > 5"}}),
        json!({"id": "a", "watch": "vault", "event": "Withdraw", "window": {"over": "1m", "by": "too", "when": "count > x", "max_keys": 0}}),
        json!({"id": "a", "watch": "vault", "event": "Withdraw", "absent": "0s", "window": {"over": "1m", "when": "count > 1"}}),
        json!({"id": "a", "watch": "vault", "event": "Heartbeat", "absent": "1h", "title": "${sequence}"}),
        json!({"id": "a", "on": "evm.tx", "watch": "vault", "window": {"over": "1m", "value": "tx.effective_gas_price", "when": "sum > 1"}}),
        // Keys in the wrong place, missing, or at odds.
        json!({"id": "a", "watch": "vault"}),
        json!({"id": "a", "on": "evm.block"}),
        json!({"id": "a", "on": "evm.event"}),
        json!({"id": "a", "on": "evm.tx"}),
        json!({"id": "a", "watch": "vault", "event": "Withdraw", "every": 5}),
        json!({"id": "a", "on": "evm.block", "if": "true", "watch": "vault", "for": "1m"}),
        json!({"id": "a", "on": "evm.pending", "watch": "vault", "deliver": "safe", "absent": "1m"}),
        json!({"id": "a", "on": "http", "deliver": "safe"}),
        json!({"id": "a", "url": "app.example.org", "expect": "status = 200"}),
        json!({"id": "a", "url": "https://app.example.org", "expect": "true", "if": "true", "interval": "0s"}),
        // Reads.
        json!({"id": "a", "on": "evm.state", "watch": "vault"}),
        json!({"id": "a", "read": {"call": "totalDeposits"}}),
        json!({"id": "a", "watch": "vault", "read": {"call": "totalDeposit"}}),
        json!({"id": "a", "watch": "plain", "read": {"call": "totalSupply"}}),
        json!({"id": "a", "watch": "plain", "read": {"call": "function totalSupply()"}}),
        json!({"id": "a", "watch": "vault", "read": {"call": "pause"}}),
        json!({"id": "a", "watch": "vault", "read": {"call": "shares"}}),
        json!({"id": "a", "watch": "vault", "read": {"call": "shares", "args": [5]}}),
        json!({"id": "a", "watch": "vault", "read": {"call": "owner", "slot": "0"}}),
        json!({"id": "a", "watch": "vault", "read": {}}),
        json!({"id": "a", "watch": "vault", "read": {"slot": "x", "as": "string"}}),
        json!({"id": "a", "watch": "vault", "read": {"balance": "bridge"}}),
        json!({"id": "a", "watch": "vault", "reads": {"previous": {"call": "owner"}, "b": {"balance": "vault", "args": [1]}}}),
        json!({"id": "a", "watch": "vault", "read": {"call": "owner"}, "if": "value > 5"}),
    ];
    let mut text = String::new();
    for rule in rules {
        let problems = try_compile(rule.clone()).expect_err(&rule.to_string());
        text.push_str(&format!("{rule}\n{}\n\n", shown(&problems)));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn all_problems_of_all_rules_are_told() {
    let rules = json!([
        {"id": "a", "watch": "vault", "event": "Withdraw", "if": "x", "title": "${y}"},
        {"id": "b", "watch": "vault", "event": "Withdraw"},
        {"id": "b", "on": "evm.block", "if": "true", "event": "Withdraw", "window": {"by": "z", "over": "1m", "when": "w"}},
    ]);
    let problems = try_compile(rules).expect_err("much is wrong");
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    let expected =
        ["[0].if", "[0].title", "[2].id", "[2].event", "[2].window.by", "[2].window.when"];
    assert_eq!(paths, expected);
    let spans: Vec<_> = problems.iter().map(|problem| problem.span).collect();
    assert_eq!(spans, [Some((0, 1)), Some((2, 1)), None, None, Some((0, 1)), Some((0, 1))]);
}

#[test]
fn what_is_broken_elsewhere_is_not_told_again() {
    let set = compile(json!([
        {"id": "a", "watch": "shattered", "event": "Withdraw", "if": "amount > 1"},
        {"id": "b", "watch": "vault", "event": "Withdraw", "if": "to in lists.shattered || to == contracts.shattered"},
    ]));
    let ids: Vec<String> = set.rules().into_iter().map(|rule| rule.id).collect();
    assert_eq!(ids, ["b"]);
}
