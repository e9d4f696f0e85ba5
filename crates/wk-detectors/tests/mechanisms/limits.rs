//! Transactions as long as they can be are looked at within seconds, whatever is in them.

use std::time::{Duration, Instant};

use alloy_primitives::U256;
use wk_detectors::{Config, inspect};

use crate::build::*;

/// Far above what is needed, even by a loaded machine, and far below what a loop in a loop needs.
const LIMIT: Duration = Duration::from_secs(20);
const CALLS: usize = 40_000;

/// What makes a tree of so many calls.
type Maker = fn(usize) -> Call;

/// What each call of the attacker's contract is, over and over.
fn kinds() -> Vec<(&'static str, Maker)> {
    vec![
        ("approvals by others", |n| {
            call("router", "perform(bytes)", &[num(n as u128)]).calls([approve("usd", "evil")])
        }),
        ("pulls from many", |n| transfer_from("usd", &format!("account {n}"), "evil", 5)),
        ("pulls from contracts", |n| {
            let owner = format!("account {}", n % 500);
            call(&owner, "poke()", &[]).calls([transfer_from("usd", &owner, "evil", 5)])
        }),
        ("balances that change", |n| balance("usd", "pair", 1_000_000_000 - n as u128 * 10_000)),
        ("prices that change", |n| {
            call("market", "draw()", &[]).calls([
                ask("oracle", "getPrice()", &[], &[num(1 + n as u128 * n as u128)]),
                transfer("usd", "evil", 5),
            ])
        }),
        ("trades there and back", |n| {
            let (give, take) = if n % 2 == 0 { ("usd", "tkn") } else { ("tkn", "usd") };
            let [give, swap] = trade("pair", "evil", (give, 10), (take, 11));
            call("evil", "step()", &[]).calls([give, swap])
        }),
        ("permits", |n| {
            call("router", "pull(uint256)", &[num(n as u128)]).calls([call(
                "usd",
                "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
                &[
                    who(&format!("account {}", n % 997)),
                    who("router"),
                    num(5),
                    num(9),
                    num(27),
                    num(1),
                    num(2),
                ],
            )])
        }),
        ("signatures of nobody", |n| {
            let mut check = ask("recover", "", &[], &[U256::ZERO]);
            check = check.code(
                &[num(n as u128 % 50), num(27), num(5), num(6)]
                    .map(|w| w.to_be_bytes::<32>())
                    .concat(),
            );
            call("drop", "claim(uint256)", &[num(n as u128)]).calls([check])
        }),
        ("new units", |n| call("tkn", "mint(address,uint256)", &[who("evil"), num(1 + n as u128)])),
        ("messages", |n| {
            call("bridge", "process(bytes)", &[num(n as u128), num(64)]).calls([call(
                "books",
                "put(uint256,uint256)",
                &[num(1), num(2)],
            )])
        }),
    ]
}

#[test]
fn long_transactions_are_looked_at_in_time() {
    for (name, kind) in kinds() {
        let steps = (0..CALLS).map(kind).chain(trade("pair", "evil", ("zzz", 5), ("yyy", 9)));
        let trace = tx("thief", call("evil", "go()", &[]).calls(steps));
        let start = Instant::now();
        let report = inspect(&trace, &Config::default());
        let took = start.elapsed();
        println!(
            "{name}: {} frames, {} findings, {took:?}",
            trace.frames.len(),
            report.findings.len()
        );
        assert!(took < LIMIT, "{name}: {took:?}");
    }
}
