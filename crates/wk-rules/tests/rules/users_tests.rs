//! Users' own tests: what a failed one shows, what a wrong one is told, and backtests.

use std::collections::HashMap;

use serde_json::{Value, json};
use wk_model::ChainName;
use wk_rules::{Backtest, StateAnswers};

use crate::support::{Chain, compile, shown, try_run};

fn rules() -> Value {
    json!([
        {"id": "large", "watch": "vault", "event": "Withdraw", "if": "amount > 10", "severity": "P1", "title": "${amount} to ${to}"},
        {"id": "fails", "watch": "vault", "event": "Deposit", "if": "100 / amount > 0"},
        {"id": "level", "watch": "vault", "read": {"call": "reserves"}, "if": "value.reserve0 > 1"},
        {"id": "both", "watch": "vault", "reads": {"a": {"call": "owner"}, "b": {"balance": "vault"}}, "if": "b > 1"},
        {"id": "site", "url": "https://app.example.org"},
    ])
}

#[test]
fn a_failed_test_shows_what_was_expected_and_what_came() {
    let given = json!([{"events": [
        {"contract": "vault", "event": "Withdraw", "args": {"to": "0x00000000000000000000000000000000000000b0", "amount": 50}},
        {"contract": "vault", "event": "Withdraw", "args": {"amount": 11}},
        {"contract": "vault", "event": "Deposit", "args": {"amount": 0}},
    ]}]);
    let expect = json!([
        {"rule": "large", "severity": "P0", "evidence": {"args": {"amount": "51"}, "missing": 1}},
        {"rule": "large", "title": "11 to 0x0000000000000000000000000000000000000000"},
        {"rule": "level", "count": 2},
        {"rule": "large", "block": 1, "retracted": true, "key": "x"},
    ]);
    let report = try_run(rules(), given, expect).expect("the test is right");
    insta::assert_snapshot!("failed_test", report);
    insta::assert_snapshot!("failed_test_json", pretty(&report));
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("it is JSON")
}

#[test]
fn expectations_are_paired_so_that_most_are_met() {
    let withdraw =
        |amount: u64| json!({"contract": "vault", "event": "Withdraw", "args": {"amount": amount}});
    let given = json!([{"events": [withdraw(20), withdraw(30)]}]);
    // The first expectation could take the finding that only it leaves for the second.
    let expect =
        json!([{"rule": "large"}, {"rule": "large", "evidence": {"args": {"amount": 20}}}]);
    assert!(try_run(rules(), given.clone(), expect).expect("it is right").passed());
    let counted = json!([{"rule": "large", "count": 2}, {"rule": "level", "count": 0}]);
    assert!(try_run(rules(), given.clone(), counted).expect("it is right").passed());
    assert!(
        !try_run(rules(), given.clone(), json!([{"rule": "large"}])).expect("it is right").passed()
    );
    assert!(
        !try_run(rules(), given, json!([{"rule": "large", "count": 3}]))
            .expect("it is right")
            .passed()
    );
}

#[test]
fn wrong_tests_are_told_where() {
    let event = |event: Value| json!([{"events": [event]}]);
    let cases = [
        event(json!({"contract": "valt", "event": "Withdraw"})),
        event(json!({"contract": "bridge", "event": "Withdraw"})),
        event(json!({"contract": "0x12", "event": "Withdraw"})),
        event(json!({"contract": "vault", "event": "Nonsense"})),
        event(json!({"contract": "vault", "event": "Nonsense(uint)x"})),
        event(json!({"contract": "vault", "event": "Withdraw", "args": {"amout": 1}})),
        event(
            json!({"contract": "vault", "event": "Withdraw", "args": {"amount": 1e30, "to": "bob"}}),
        ),
        event(json!({"contract": "vault", "event": "Withdraw", "args": [1]})),
        event(json!({"contract": "vault", "event": "Withdraw", "args": 1})),
        json!([{"txs": [{"to": "vault", "function": "withdraw", "input": "0x"}]}]),
        json!([{"txs": [{"to": "vault", "input": "xyz", "value": "much"}]}]),
        json!([{"txs": [{"to": "vault", "status": true, "revert_reason": "no"}]}]),
        json!([{"txs": [{"to": "vault", "status": false, "events": [{"contract": "vault", "event": "Withdraw", "from": "vault"}]}]}]),
        json!([{"block": {"number": 5}}, {"block": {"number": 5}}]),
        json!([{"repeat": 0}, {"repeat": 100000}]),
        json!([{"revert": 1, "txs": [{"to": "vault"}]}]),
        json!([{"state": {"levl": 1}}]),
        json!([{"state": {"large": 1}}]),
        json!([{"state": {"level": {"reserve0": "x"}}}]),
        json!([{"state": {"both": 1}}]),
        json!([{"state": {"both": {"a": "vault", "c": 1}}}]),
        json!([{"probes": [{"rule": "large"}]}]),
        json!([{"pending": [{"to": "vault", "status": false}]}]),
    ];
    let mut text = String::new();
    for given in cases {
        let problems = try_run(rules(), given.clone(), json!([])).expect_err(&given.to_string());
        text.push_str(&format!("{given}\n{}\n\n", shown(&problems)));
    }
    let expect = json!([{"rule": "lrge"}, {"rule": "large", "count": 5000}]);
    let problems = try_run(rules(), json!([{}]), expect.clone()).expect_err("it is wrong");
    text.push_str(&format!("{expect}\n{}\n", shown(&problems)));
    insta::assert_snapshot!(text);
}

#[test]
fn a_backtest_says_how_often_when_and_on_what() {
    let set = compile(json!([
        {"id": "large", "watch": "vault", "event": "Withdraw", "if": "amount > 1", "title": "${amount}"},
        {"id": "never", "watch": "vault", "event": "Withdraw", "if": "amount > 100"},
        {"id": "fails", "watch": "vault", "event": "Withdraw", "if": "1 / (amount - 1) > 0"},
        {"id": "disabled", "watch": "vault", "event": "Withdraw", "enabled": false},
        {"id": "elsewhere", "watch": "bridge", "event": "Withdraw"},
        {"id": "mempool", "on": "evm.pending", "watch": "vault"},
        {"id": "site", "url": "https://app.example.org"},
    ]));
    let mut chain = Chain::new();
    let mut backtest = Backtest::new(&set, &ChainName::new("main"));
    for day in 0..3_u64 {
        for amount in 0..3 {
            let mut block = chain.withdrawals(&[(1, amount), (2, amount)]);
            block.header.time.0 += day * 86_400;
            backtest.block(&block, &StateAnswers::new(), &HashMap::new());
        }
    }
    let mut summary = backtest.summary();
    summary.rules.values_mut().for_each(|outcome| outcome.findings.truncate(1));
    insta::assert_snapshot!(pretty(&summary));
    assert_eq!(
        Backtest::new(&set.only(&["disabled"]), &ChainName::new("main")).summary().rules.len(),
        1
    );
}

#[test]
fn every_variable_is_documented() {
    let reference = wk_rules::reference();
    assert_eq!(reference.triggers.len(), 6);
    let all = reference.triggers.iter().flat_map(|trigger| &trigger.variables);
    for variable in all.chain(&reference.window).chain(&reference.absent) {
        assert!(variable.doc.ends_with('.'), "{}: {}", variable.name, variable.doc);
    }
}
