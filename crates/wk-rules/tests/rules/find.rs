//! What rules find: one table per trigger, written as users write tests.

use crate::support::{KNOWN, PLAIN, VAULT, check, try_run};
use serde_json::{Value, json};

const BOB: &str = "0x00000000000000000000000000000000000000b0";
const EVE: &str = "0x00000000000000000000000000000000000000e0";

fn withdraw(to: &str, amount: &str) -> Value {
    json!({"contract": "vault", "event": "Withdraw", "args": {"to": to, "amount": amount}})
}

#[test]
fn events_are_matched_by_contract_event_and_condition() {
    let rule = json!({
        "id": "large", "watch": "vault", "event": "Withdraw", "severity": "P1",
        "if": "amount > ether('1000') && !(to in lists.treasury)",
        "title": "${formatEther(amount)} to ${to} by ${tx.from}",
    });
    let from = "0x00000000000000000000000000000000000000f0";
    check(
        rule.clone(),
        json!([{"events": [withdraw(BOB, "2000 ether"), withdraw(BOB, "1000 ether"), withdraw(KNOWN, "2000 ether")]}]),
        json!([{
            "rule": "large", "severity": "P1", "block": 1,
            "title": format!("2000 to {BOB} by {from}"),
            "evidence": {
                "event": "Withdraw(address,uint256)", "address": VAULT, "from": from, "block": 1,
                "args": {"to": BOB, "amount": "2000000000000000000000"},
            },
        }]),
    );
    // Other contracts' and other events are none of its business.
    check(
        rule,
        json!([{"events": [
            {"contract": PLAIN, "event": "Withdraw(address indexed to, uint256 amount)", "args": [BOB, "2000 ether"]},
            {"contract": "vault", "event": "Deposit", "args": {"amount": "2000 ether"}},
        ]}]),
        json!([]),
    );
}

#[test]
fn events_can_be_written_out_or_named_several_or_left_open() {
    let transfer = json!({"contract": "token", "event": "Transfer", "args": [BOB, EVE, 7]});
    let given = json!([{"events": [transfer]}]);
    let found = json!([{"rule": "r"}]);
    for event in [
        "Transfer(address indexed from, address indexed to, uint256 value)",
        "event Transfer(address indexed a, address indexed b, uint256 value)",
        // The word `indexed` is easily forgotten.
        "Transfer(address from, address to, uint256 value)",
    ] {
        check(json!({"id": "r", "event": event, "if": "value == 7"}), given.clone(), found.clone());
    }
    check(
        json!({"id": "r", "event": "Transfer", "watch": "token", "if": "value == 7"}),
        given.clone(),
        found.clone(),
    );
    check(json!({"id": "r", "on": "evm.event", "watch": "token"}), given.clone(), found.clone());
    check(
        json!({"id": "r", "on": "evm.event", "if": "event.name == 'Transfer' && event.args.value == 7"}),
        given.clone(),
        found.clone(),
    );
    check(
        json!({"id": "r", "on": "evm.event", "if": "event.topics.size() == 2"}),
        given,
        json!([]),
    );

    let paused = json!({"id": "r", "watch": "vault", "event": ["Paused", "Unpaused"], "title": "${event.name} by ${account}"});
    check(
        paused,
        json!([{"events": [
            {"contract": "vault", "event": "Paused", "args": [BOB]},
            {"contract": "vault", "event": "Unpaused", "args": [EVE]},
            {"contract": "vault", "event": "Deposit"},
        ]}]),
        json!([{"rule": "r", "title": format!("Paused by {BOB}")}, {"rule": "r", "title": format!("Unpaused by {EVE}")}]),
    );
}

#[test]
fn well_known_events_need_no_abi() {
    check(
        json!({"id": "r", "watch": "plain", "event": "OwnershipTransferred", "title": "now ${newOwner}"}),
        json!([{"events": [{"contract": "plain", "event": "OwnershipTransferred", "args": {"newOwner": EVE}}]}]),
        json!([{"rule": "r", "title": format!("now {EVE}")}]),
    );
}

#[test]
fn parameters_that_hide_something_are_reached_another_way() {
    // `contract` is the parameter, `block` the block; all parameters are under `event.args`.
    let hash = "0x0101010101010101010101010101010101010101010101010101010101010101";
    let rule = json!({
        "id": "odd", "watch": "vault", "event": "Odd",
        "if": format!("contract == address('{EVE}') && event.contract == 'vault' && block.number == 1 && event.args.block == {hash} && event.block == {hash} && count == 3"),
        "window": {"over": "10m", "when": "count == 1 && event.args.count == 3"},
    });
    check(
        rule,
        json!([{"events": [{"contract": "vault", "event": "Odd", "args": {"contract": EVE, "block": hash, "count": 3, "memo": "x"}}]}]),
        json!([{"rule": "odd"}]),
    );
}

#[test]
fn names_that_are_no_identifiers_can_be_written() {
    let given = json!([{"events": [withdraw(KNOWN, "1")]}]);
    check(
        json!({"id": "r", "watch": "vault", "event": "Withdraw", "if": "to in lists.cold_wallets && event.address == contracts.vault && chain == 'main' && finality == 'safe'", "deliver": "safe"}),
        given,
        json!([{"rule": "r"}]),
    );
}

#[test]
fn transactions_are_seen_also_when_they_fail() {
    let txs = json!([{"txs": [
        {"to": "vault", "function": "withdraw", "args": {"to": BOB, "amount": 5}, "from": EVE},
        {"to": "vault", "function": "withdraw", "args": [BOB, 6], "revert_reason": "too much"},
        {"to": "vault", "function": "pause", "status": false},
        {"to": BOB, "value": "3 ether"},
        {"input": "0x6000", "from": EVE, "nonce": 7},
    ]}]);
    let found = |title: &str| json!([{"rule": "r", "title": title}]);
    let cases = [
        (
            json!({"watch": "vault", "function": "withdraw", "if": "amount == 5", "title": "${to}"}),
            found(BOB),
        ),
        (
            json!({"function": "withdraw(address to, uint256 amount)", "if": "tx.failed", "title": "${amount} ${tx.revert_reason}"}),
            found("6 too much"),
        ),
        (
            json!({"watch": "vault", "if": "tx.failed && tx.revert_reason == null", "title": "${tx.function}"}),
            found("pause"),
        ),
        (json!({"if": "tx.value >= ether('3')", "title": "${tx.to}"}), found(BOB)),
        (
            json!({"if": "tx.to == null && tx.created_contract != null", "title": "${tx.nonce}"}),
            found("7"),
        ),
        (
            json!({"if": "tx.fee == 21000 * gwei('1') && tx.index == 0", "title": "${tx.status}"}),
            found("1"),
        ),
        (
            json!({"if": "tx.function == 'withdraw' && tx.args.amount == 6", "title": "${contract}"}),
            found("vault"),
        ),
        (
            json!({"watch": "vault", "function": ["pause", "withdraw"], "if": "tx.failed && tx.function == 'pause'"}),
            json!([{"rule": "r", "title": "r: pause to vault from 0x00000000000000000000000000000000000000f0 failed"}]),
        ),
    ];
    for (mut rule, expected) in cases {
        rule["id"] = json!("r");
        rule["on"] = json!("evm.tx");
        check(rule, txs.clone(), expected);
    }
}

#[test]
fn blocks_are_looked_at_whole() {
    let given = json!([
        {"block": {"gas_used": 29_000_000, "base_fee": "90 gwei"}},
        {"block": {"gas_used": 1}},
        {"txs": [{"to": BOB, "status": false}, {"to": BOB}]},
    ]);
    check(
        json!({"id": "r", "on": "evm.block", "if": "gas_used * 100 > gas_limit * 95"}),
        given.clone(),
        json!([{"rule": "r", "block": 1, "title": "r: block 1 of main"}]),
    );
    check(
        json!({"id": "r", "on": "evm.block", "if": "block.base_fee > gwei('50')"}),
        given.clone(),
        json!([{"rule": "r", "block": 1}]),
    );
    check(
        json!({"id": "r", "on": "evm.block", "if": "failed_tx_count == 1 && tx_count == 2"}),
        given.clone(),
        json!([{"rule": "r", "block": 3}]),
    );
    check(
        json!({"id": "r", "on": "evm.block", "every": 2, "if": "true"}),
        given,
        json!([{"rule": "r", "block": 2}]),
    );
}

#[test]
fn a_level_fires_when_it_is_reached_and_a_change_each_time() {
    let deposits = |values: &[u64]| -> Value {
        values.iter().map(|value| json!({"state": {"r": value}})).collect()
    };
    let read = json!({"call": "totalDeposits"});
    let level =
        json!({"id": "r", "watch": "vault", "read": read, "if": "value < 10", "title": "${value}"});
    check(
        level,
        deposits(&[5, 6, 20, 7, 7]),
        json!([{"rule": "r", "title": "5", "block": 1}, {"rule": "r", "title": "7", "block": 4}]),
    );
    let change = json!({"id": "r", "watch": "vault", "read": read, "if": "previous != null && value < previous", "title": "${previous} ${value}"});
    check(
        change,
        deposits(&[5, 4, 3, 9]),
        json!([{"rule": "r", "title": "5 4"}, {"rule": "r", "title": "4 3"}]),
    );
    // Nothing is compared with nothing.
    let unguarded = json!({"id": "r", "watch": "vault", "read": read, "if": "value < previous"});
    check(
        unguarded,
        deposits(&[5, 4]),
        json!([{"rule": "r", "title": "r: vault: value is 4, was 5"}]),
    );
    // Without a condition, any change.
    let any = json!({"id": "r", "watch": "vault", "read": read});
    check(
        any,
        deposits(&[5, 5, 6]),
        json!([{"rule": "r", "evidence": {"value": "6", "previous": "5"}}]),
    );
    let every = json!({"id": "r", "watch": "vault", "read": read, "every": "2 blocks"});
    check(
        every,
        deposits(&[1, 2, 3, 4, 5]),
        json!([{"rule": "r", "block": 4, "evidence": {"value": "4", "previous": "2"}}]),
    );
}

#[test]
fn state_comes_in_many_forms() {
    let case = |read: Value, condition: &str, value: Value| {
        let rule = json!({"id": "r", "watch": "vault", "read": read, "if": condition});
        check(rule, json!([{"state": {"r": value}}]), json!([{"rule": "r"}]));
    };
    case(
        json!({"call": "function owner() returns (address)"}),
        &format!("value == address('{EVE}')"),
        json!(EVE),
    );
    case(
        json!({"call": "reserves"}),
        "value.reserve0 > value.reserve1",
        json!({"reserve0": 2, "reserve1": 1}),
    );
    case(json!({"call": "shares", "args": ["token"]}), "value == ether('2')", json!("2 ether"));
    case(
        json!({"slot": "0x0", "as": "address"}),
        &format!("value == address('{EVE}')"),
        json!(EVE),
    );
    case(json!({"slot": "5", "as": "bool"}), "value", json!(true));
    case(json!({"slot": "5", "as": "int8"}), "value == -3", json!(-3));
    case(json!({"slot": "5", "as": "bytes4"}), "value == 0xa9059cbb", json!("0xa9059cbb"));
    case(json!({"balance": "token"}), "value == 9", json!(9));

    let solvency = json!({
        "id": "r",
        "reads": {
            "minted": {"call": "function totalSupply() returns (uint256)", "contract": "token"},
            "locked": {"balance": "vault"},
        },
        "if": "minted > locked",
    });
    let given = json!([{"state": {"r": {"minted": 1, "locked": 1}}}, {"state": {"r": {"minted": 2, "locked": 1}}}]);
    check(
        solvency,
        given,
        json!([{"rule": "r", "block": 2, "evidence": {"minted": "2", "previous": {"minted": "1"}}}]),
    );
}

#[test]
fn windows_fire_once_per_crossing() {
    let rule = json!({
        "id": "burst", "watch": "vault", "event": "Withdraw",
        "window": {"by": "to", "over": "10m", "value": "amount", "when": "count > 2"},
        "title": "${count} by ${key}: ${sum}, ${min} to ${max}, ${distinct} kinds",
    });
    let given = json!([
        {"events": [withdraw(BOB, "1"), withdraw(BOB, "2"), withdraw(EVE, "9")]},
        {"events": [withdraw(BOB, "2"), withdraw(BOB, "4")]},
        {"events": [withdraw(EVE, "9")]},
        // The window has run empty: it begins anew.
        {"block": {"time": "+11m"}, "events": [withdraw(BOB, "1")]},
        {"events": [withdraw(BOB, "1"), withdraw(BOB, "1"), withdraw(BOB, "1")]},
    ]);
    check(
        rule,
        given,
        json!([
            {"rule": "burst", "key": BOB, "block": 2, "title": format!("3 by {BOB}: 5, 1 to 2, 2 kinds"), "evidence": {"count": 3, "sum": "5", "window": "10m"}},
            {"rule": "burst", "key": BOB, "block": 5, "title": format!("3 by {BOB}: 3, 1 to 1, 1 kinds")},
        ]),
    );
    let sums = json!({
        "id": "flow", "watch": "vault", "event": "Withdraw",
        "window": {"over": "2 blocks", "value": "amount", "when": "sum >= 10"},
    });
    check(
        sums.clone(),
        json!([{"events": [withdraw(BOB, "5")]}, {}, {"events": [withdraw(BOB, "5")]}, {"events": [withdraw(BOB, "5")]}]),
        json!([{"rule": "flow", "block": 4, "title": "flow: Withdraw of vault, 2 in 2 blocks"}]),
    );
    let kinds = json!({
        "id": "kinds", "watch": "vault", "event": "Withdraw",
        "window": {"over": "1h", "value": "to", "when": "distinct > 1 && amount > 1"},
    });
    check(
        kinds,
        json!([{"events": [withdraw(BOB, "5"), withdraw(BOB, "5"), withdraw(EVE, "1"), withdraw(EVE, "2")]}]),
        json!([{"rule": "kinds", "evidence": {"distinct": 2, "count": 4}}]),
    );
    let rate = json!({
        "id": "rate", "on": "evm.block", "if": "tx_count > 0",
        "window": {"over": "4 blocks", "when": "rate >= 0.5"},
    });
    check(
        rate,
        json!([{"txs": [{"to": BOB}]}, {}, {}, {"txs": [{"to": BOB}]}]),
        json!([{"rule": "rate", "block": 4}]),
    );
}

#[test]
fn silence_is_told_once_and_in_the_chains_own_time() {
    let beat = json!([{"contract": "vault", "event": "Heartbeat"}]);
    let rule = json!({"id": "silent", "watch": "vault", "event": "Heartbeat", "absent": "1m", "title": "silent for ${silence} since ${last}"});
    check(
        rule.clone(),
        json!([
            {"events": beat}, {"repeat": 5}, {}, {}, {"events": beat}, {"block": {"time": "+61s"}},
        ]),
        json!([
            {"rule": "silent", "block": 7, "title": "silent for 1m12s since 2026-01-01T00:00:00.000Z"},
            {"rule": "silent", "block": 10, "evidence": {"silence": "1m1s"}},
        ]),
    );
    // Without any match it counts from the first block.
    check(
        rule,
        json!([{"repeat": 7}]),
        json!([{"rule": "silent", "block": 7, "title": "silent for 1m12s since null"}]),
    );
    let standard = json!({"id": "silent", "watch": "vault", "event": "Heartbeat", "absent": "1m"});
    check(
        standard,
        json!([{"repeat": 7}]),
        json!([{"rule": "silent", "title": "silent: nothing for 1m12s"}]),
    );
}

#[test]
fn pending_transactions_are_seen_before_their_block() {
    let rule = json!({"id": "mempool", "on": "evm.pending", "watch": "vault", "function": "withdraw", "if": "amount > 5", "title": "${tx.from} wants ${amount}"});
    check(
        rule,
        json!([{"pending": [
            {"to": "vault", "function": "withdraw", "args": [BOB, 6], "from": EVE},
            {"to": "vault", "function": "withdraw", "args": [BOB, 5]},
            {"to": "plain", "input": "0xf3fef3a3"},
        ]}]),
        json!([{"rule": "mempool", "title": format!("{EVE} wants 6"), "evidence": {"function": "withdraw(address,uint256)"}}]),
    );
}

#[test]
fn probes_begin_and_end_a_trouble() {
    let bad = json!({"rule": "site", "status": 503});
    let good = json!({"rule": "site"});
    let silent = json!({"rule": "site", "error": "timed out"});
    let url = "https://user:secret@app.example.org/health?key=secret";
    let plain = json!({"id": "site", "url": url});
    let told = |title: &str, retracted: bool| json!({"rule": "site", "title": title, "retracted": retracted});
    check(
        plain,
        json!([{"probes": [good, bad, bad]}, {"probes": [good, silent]}]),
        json!([
            told("site: app.example.org answers with 503 after 50 ms", true),
            told("site: app.example.org gives no answer: timed out", false),
        ]),
    );
    let hold = json!({"id": "site", "url": "env:URL", "expect": "status == 200 && latency < duration('1s') && tls_days_left > 14", "for": "1m", "title": "${status}"});
    check(hold.clone(), json!([{"probes": [bad, bad]}, {"probes": [good, bad, bad]}]), json!([]));
    check(hold.clone(), json!([{"probes": [bad, bad, bad]}]), json!([told("503", false)]));
    check(
        hold,
        json!([{"probes": [{"rule": "site", "tls_days_left": 3}, {"rule": "site", "latency": "2s"}, bad]}]),
        json!([told("503", false)]),
    );
    let condition = json!({"id": "site", "url": url, "if": "body.contains('maintenance') || headers['x-down'] == 'yes'", "title": "down"});
    let report =
        try_run(condition.clone(), json!([{"probes": [good]}]), json!([])).expect("it is built");
    assert!(report.to_string().contains("no such key: x-down"), "{report}");
    check(
        condition,
        json!([{"probes": [{"rule": "site", "body": "maintenance"}]}]),
        json!([told("down", false)]),
    );
}

#[test]
fn a_revert_takes_back_what_its_block_brought() {
    let rule = json!({"id": "large", "watch": "vault", "event": "Withdraw", "if": "amount > 10"});
    let burst = json!({"id": "burst", "watch": "vault", "event": "Withdraw", "window": {"over": "1h", "when": "count == 3"}});
    let state = json!({"id": "drop", "watch": "vault", "read": {"call": "totalDeposits"}, "if": "value < previous"});
    check(
        json!([rule, burst, state]),
        json!([
            {"events": [withdraw(BOB, "1"), withdraw(BOB, "2")], "state": {"drop": 100}},
            {"events": [withdraw(BOB, "11")], "state": {"drop": 90}},
            {"revert": 1},
            {"state": {"drop": 101}},
            {"events": [withdraw(BOB, "12")], "state": {"drop": 95}},
        ]),
        json!([
            {"rule": "large", "block": 2, "retracted": true},
            {"rule": "burst", "block": 2, "retracted": true},
            {"rule": "drop", "block": 2, "retracted": true},
            {"rule": "large", "block": 3},
            {"rule": "burst", "block": 3},
            {"rule": "drop", "block": 3, "evidence": {"previous": "101"}},
        ]),
    );
}

#[test]
fn a_rule_that_cannot_be_evaluated_says_so_and_blocks_nobody() {
    let rules = json!([
        {"id": "bad", "watch": "vault", "event": "Withdraw", "if": "100 / (amount - 1) > 0"},
        {"id": "title", "watch": "vault", "event": "Withdraw", "title": "${1 / (amount - 1)}!"},
        {"id": "good", "watch": "vault", "event": "Withdraw"},
        {"id": "wrong-layout", "watch": "vault", "event": "Withdraw(address indexed to, uint256 indexed amount)", "enabled": false},
    ]);
    // The last one is refused: the ABI knows better.
    assert!(crate::support::try_compile(rules.clone()).is_err());
    let rules = Value::Array(rules.as_array().expect("a list")[..3].to_vec());
    let report = try_run(
        rules,
        json!([{"events": [withdraw(BOB, "1"), withdraw(BOB, "1")]}]),
        json!([{"rule": "good", "count": 2}, {"rule": "title", "title": "?!", "count": 2}]),
    )
    .expect("it is built");
    let errors: Vec<(&str, u64)> =
        report.errors.iter().map(|e| (e.rule.as_str(), e.count)).collect();
    assert_eq!(errors, [("bad", 2), ("title", 2)]);
    assert!(report.missing.is_empty() && report.unexpected.is_empty(), "{report}");
    assert!(report.errors[0].message.contains("division by zero"), "{report}");
}
