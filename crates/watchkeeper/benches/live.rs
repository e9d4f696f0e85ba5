//! Block seen → webhook received, at 10 blocks a second with 200 transactions each and 1,000 rules.
//!
//! `cargo bench --profile quick -p watchkeeper --bench live -- [SECONDS]`. The transactions of each
//! block are traced and inspected, too, as is the default. Seen is when a plain WebSocket client of
//! the same node gets the block's `newHeads`; received is when the webhook has the whole message.
//! Prints quantiles, memory and CPU time of both processes, and how far the inspection came.

#![allow(
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark prints figures, and its numbers are small"
)]

mod load;
#[path = "../tests/e2e/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use load::Load;
use serde_json::{Value, json};
use support::{Watchkeeper, cpu_seconds};
use tokio_tungstenite::tungstenite::Message;
use wk_testkit::{
    AnvilOptions, DynSolValue, Fixture, Mining, Receiver, Tx, anvil_or_skip, ether, number, text,
    wait_until,
};

const TRANSACTIONS: usize = 200;
const RULES: usize = 1_000;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    runtime.block_on(bench());
}

async fn bench() {
    let seconds: u64 =
        std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(20);
    let anvil = anvil_or_skip!(AnvilOptions {
        mining: Mining::Manual,
        states: 64,
        ..AnvilOptions::default()
    });
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    anvil.execute(&Tx::call(vault, Fixture::Vault, "deposit", &[]).value(ether(500))).await;
    let token = anvil
        .deploy(
            Fixture::Token,
            &[text("Token"), text("TKN"), DynSolValue::Uint(wk_model::U256::from(18), 8)],
        )
        .await;
    let to = DynSolValue::Address(anvil.accounts()[1]);
    let transfer = Tx::call(token, Fixture::Token, "transfer", &[to, number(0u64)]);
    let withdraw = Tx::call(vault, Fixture::Vault, "withdraw", &[number(1u64)]);
    let kinds = [(withdraw, 1), (transfer, TRANSACTIONS - 1)];
    let mut load = Load::prepare(&anvil, &kinds).await;
    let receiver = Receiver::start().await;
    let watchkeeper = Watchkeeper::start(&config(
        &anvil.http_url(),
        &anvil.ws_url(),
        &vault.to_string(),
        &receiver.url("/"),
    ))
    .await;
    watchkeeper.wait_for_height("local", anvil.height().await).await;

    // The pool is filled before the clock starts: sending costs the node more than mining.
    let blocks = seconds * 10;
    println!("filling the node's pool with the transactions of {blocks} blocks");
    load.send(&anvil, blocks).await;

    let seen = watch_heads(&anvil.ws_url()).await;
    let first = anvil.height().await + 1;
    let before = (cpu_seconds(anvil.pid()), cpu_seconds(watchkeeper.pid()));
    let origin = Instant::now();
    let offset = receiver.elapsed();
    for _ in 0..blocks {
        let started = Instant::now();
        load::mine(&anvil).await;
        tokio::time::sleep(Duration::from_millis(100).saturating_sub(started.elapsed())).await;
    }
    let took = origin.elapsed();
    let last = anvil.height().await;
    watchkeeper.wait_for_height("local", last).await;
    wait_until("every message is received", Duration::from_secs(60), async || {
        receiver.accepted().len() as u64 >= blocks
    })
    .await;

    let chain = watchkeeper.get("/api/v1/chains/local").await;
    let inspection = &chain["inspection"];
    let seen = seen.lock().clone();
    let mut latencies: Vec<f64> = receiver
        .accepted()
        .iter()
        .filter_map(|message| {
            let hash = message.json()["finding"]["position"]["hash"].as_str()?.to_owned();
            let received = message.at.checked_sub(offset)?;
            let seen: &Instant = seen.get(&hash)?;
            Some((origin + received).saturating_duration_since(*seen).as_secs_f64() * 1_000.0)
        })
        .collect();
    latencies.sort_by(f64::total_cmp);
    let quantile = |q: f64| latencies[((latencies.len() - 1) as f64 * q) as usize];
    let after = (cpu_seconds(anvil.pid()), cpu_seconds(watchkeeper.pid()));
    println!(
        "{blocks} blocks ({first}–{last}) of {TRANSACTIONS} transactions in {:.1} s ({:.1} blocks/s), {RULES} rules, {} findings",
        took.as_secs_f64(),
        blocks as f64 / took.as_secs_f64(),
        latencies.len(),
    );
    println!(
        "block seen to webhook received: p50 {:.0} ms, p90 {:.0} ms, p99 {:.0} ms, max {:.0} ms",
        quantile(0.5),
        quantile(0.9),
        quantile(0.99),
        quantile(1.0),
    );
    println!(
        "memory {} MiB; CPU: node {:.1} s, watchkeeper {:.1} s",
        watchkeeper.memory() >> 20,
        after.0 - before.0,
        after.1 - before.1,
    );
    println!(
        "inspected by {} up to block {}, {} blocks wait",
        inspection["source"], inspection["inspected"], inspection["pending"],
    );
}

/// 1,000 rules, of which one matches once in each block; the others look at the same events and at
/// other contracts.
fn config(http: &str, ws: &str, vault: &str, hook: &str) -> String {
    let mut rules = String::from(
        "  - {id: hit, watch: vault, event: \"Withdraw(address indexed to, uint256 amount)\"}\n",
    );
    for at in 1..RULES {
        if at % 2 == 0 {
            rules.push_str(&format!(
                "  - {{id: same-{at}, watch: vault, event: \"Withdraw(address indexed to, uint256 amount)\", if: amount > ether(\"{at}\")}}\n"
            ));
        } else {
            rules.push_str(&format!(
                "  - {{id: other-{at}, chain: local, watch: \"0x{:040x}\", event: \"Transfer(address indexed from, address indexed to, uint256 value)\", if: value > {at}}}\n", at + 4096
            ));
        }
    }
    format!(
        "chains:\n  local: {{evm: {{rpc: \"{http}\", ws: \"{ws}\", block_time: 100ms}}}}\ncontracts:\n  vault: {{chain: local, address: \"{vault}\"}}\nrules:\n{rules}receivers:\n  me: {{webhook: {{url: \"{hook}\"}}}}\n"
    )
}

type Seen = std::sync::Arc<parking_lot::Mutex<HashMap<String, Instant>>>;

/// When a plain client gets each head.
async fn watch_heads(url: &str) -> Seen {
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("the node listens");
    let subscribe =
        json!({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]});
    socket.send(Message::text(subscribe.to_string())).await.expect("the node listens");
    let seen = Seen::default();
    let heads = seen.clone();
    tokio::spawn(async move {
        while let Some(Ok(message)) = socket.next().await {
            let now = Instant::now();
            let Ok(text) = message.to_text() else { continue };
            let value: Value = serde_json::from_str(text).unwrap_or_default();
            if let Some(hash) = value["params"]["result"]["hash"].as_str() {
                heads.lock().insert(hash.to_owned(), now);
            }
        }
    });
    seen
}
