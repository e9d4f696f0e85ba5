//! Backfill of blocks with 200 transactions each, with 100 rules: blocks and events per second, and
//! our CPU time against the node's.
//!
//! `cargo bench --profile quick -p watchkeeper --bench backfill -- [BLOCKS]`

#![allow(
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark prints figures, and its numbers are small"
)]

mod load;
#[path = "../tests/e2e/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use load::Load;
use support::{Watchkeeper, cpu_seconds};
use wk_testkit::{AnvilOptions, Fixture, Mining, Tx, anvil_or_skip, ether, number};

const TRANSACTIONS: usize = 200;
const RULES: usize = 100;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    runtime.block_on(bench());
}

async fn bench() {
    let blocks: u64 =
        std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(500);
    let anvil = anvil_or_skip!(AnvilOptions {
        mining: Mining::Manual,
        states: 16,
        ..AnvilOptions::default()
    });
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    anvil.execute(&Tx::call(vault, Fixture::Vault, "deposit", &[]).value(ether(500))).await;
    let withdraw = Tx::call(vault, Fixture::Vault, "withdraw", &[number(1u64)]);
    let mut load = Load::prepare(&anvil, &[(withdraw, TRANSACTIONS)]).await;
    let first = anvil.height().await + 1;
    println!("making {blocks} blocks of {TRANSACTIONS} transactions");
    for _ in 0..blocks {
        load.send(&anvil, 1).await;
        load::mine(&anvil).await;
    }
    let last = anvil.height().await;
    let mut rules = String::new();
    for at in 0..RULES {
        rules.push_str(&format!(
            "  - {{id: rule-{at}, watch: vault, event: \"Withdraw(address indexed to, uint256 amount)\", if: amount > ether(\"{}\")}}\n", at + 1
        ));
    }
    // Rules are measured: anvil keeps no state by which old blocks could be traced.
    let config = format!(
        "chains:\n  local: {{evm: {{rpc: \"{}\", from: {first}, parallel: 4, traces: \"off\"}}}}\ncontracts:\n  vault: {{chain: local, address: \"{vault}\"}}\nrules:\n{rules}",
        anvil.http_url()
    );
    let node = cpu_seconds(anvil.pid());
    let started = Instant::now();
    let watchkeeper = Watchkeeper::start(&config).await;
    while !covers(&watchkeeper, first, last).await {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = started.elapsed().as_secs_f64();
    let node = cpu_seconds(anvil.pid()) - node;
    let own = cpu_seconds(watchkeeper.pid());
    let count = (last - first + 1) as f64;
    let events = count * TRANSACTIONS as f64;
    println!(
        "{count} blocks, {events} events, {RULES} rules in {took:.1} s: {:.1} blocks/s",
        count / took
    );
    println!(
        "CPU: node {node:.1} s, watchkeeper {own:.1} s ({:.0} % of the node's); per core of ours {:.0} blocks/s, {:.0} events/s",
        100.0 * own / node,
        count / own,
        events / own
    );
    if std::env::var_os("SHOW_LOG").is_some() {
        println!("{}", watchkeeper.log());
    }
    println!("memory {} MiB", watchkeeper.memory() >> 20);
}

/// Whether every block of a span was looked at.
async fn covers(watchkeeper: &Watchkeeper, from: u64, to: u64) -> bool {
    let Some(coverage) = watchkeeper.try_get("/api/v1/chains/local/coverage").await else {
        return false;
    };
    let contiguous = coverage["contiguous_from"].as_u64();
    contiguous.is_some_and(|begin| begin <= from)
        && coverage["to"].as_u64().is_some_and(|end| end >= to)
}
