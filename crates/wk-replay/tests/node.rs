//! Pending transactions ahead of their block, on a real node's state, against what then became of
//! them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::{Duration, Instant};

use alloy_primitives::B256;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use wk_chain::evm::state::StateReader;
use wk_chain::evm::wire::{RawHeader, RawTransaction};
use wk_chain::rpc::{EndpointConfig, EndpointSettings, Pool, PoolConfig, Purpose};
use wk_model::{ChainName, Secret};
use wk_replay::{CodeCache, NodeState, Rules, simulate};
use wk_runtime::{Clock, Metrics, StopToken};
use wk_testkit::{
    Anvil, AnvilOptions, Fixture, Mining, Tx, anvil_or_skip, ether, number, wait_until,
};
use wk_trace::{Asset, TxTrace};

const PATIENCE: Duration = Duration::from_secs(20);

async fn pool(anvil: &Anvil, stop: &StopToken) -> Pool {
    let settings = EndpointSettings::new(Secret::parse(&anvil.http_url()));
    let endpoints = vec![EndpointConfig::Settings(Box::new(settings))];
    let config = PoolConfig { endpoints, ..PoolConfig::default() };
    let chain = ChainName::new("test");
    let pool = Pool::build(&chain, &config, Clock::system(), &Metrics::new()).unwrap();
    let (out, mut told) = mpsc::channel(16);
    let (running, ended) = (pool.clone(), stop.clone());
    tokio::spawn(async move { running.run(out, ended).await });
    tokio::spawn(async move { while told.recv().await.is_some() {} });
    wait_until("the endpoint has a head", PATIENCE, async || {
        pool.endpoints().iter().all(|status| status.head.is_some())
    })
    .await;
    pool
}

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

async fn ask(anvil: &Anvil, method: &str, params: Value) -> Value {
    anvil.rpc().call(method, params).await
}

async fn pending(anvil: &Anvil, hash: B256) -> RawTransaction {
    let transaction = ask(anvil, "eth_getTransactionByHash", json!([hash])).await;
    RawTransaction::parse(&raw(&transaction)).unwrap()
}

async fn state(anvil: &Anvil, pool: &Pool) -> (NodeState, RawHeader) {
    let header = RawHeader::parse(&raw(&anvil.block(anvil.height().await).await)).unwrap();
    let reader = StateReader::new(pool, Purpose::Live);
    let block = header.header.block_ref();
    let state = NodeState::after(reader, block, Vec::new(), CodeCache::default(), PATIENCE);
    (state, header)
}

/// Frames, logs and balance changes in words.
fn words(trace: &TxTrace) -> Vec<String> {
    let mut words = vec![format!("success {}", trace.success)];
    for frame in &trace.frames {
        words.push(format!(
            "{} {:?} {} -> {} ({}) input {:?} output {:?} value {} error {:?}",
            frame.depth,
            frame.kind,
            trace.address(frame.from),
            trace.address(frame.to),
            trace.address(frame.code),
            trace.input(frame),
            trace.output(frame),
            frame.value,
            frame.error.is_some()
        ));
    }
    for log in &trace.logs {
        words.push(format!(
            "log of {} {:?} {:?}",
            trace.address(log.address),
            log.topics,
            trace.bytes(log.data)
        ));
    }
    for change in trace.balance_changes() {
        let asset = match change.asset {
            Asset::Native => "native".to_owned(),
            Asset::Token(token) => trace.address(token).to_string(),
        };
        words.push(format!("{} {asset} {}", trace.address(change.party), change.net()));
    }
    words.sort();
    words
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_transactions_do_as_was_foretold() {
    let anvil = anvil_or_skip!(AnvilOptions { mining: Mining::Manual, ..AnvilOptions::default() });
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    let stop = StopToken::new();
    let pool = pool(&anvil, &stop).await;
    let deposit = Tx::call(vault, Fixture::Vault, "deposit", &[]).value(ether(5));
    let withdraw = Tx::call(vault, Fixture::Vault, "withdraw", &[number(ether(3))]);
    let too_much = Tx::call(vault, Fixture::Vault, "withdraw", &[number(ether(3))]);
    let mut hashes = Vec::new();
    for tx in [deposit, withdraw, too_much, Tx::deploy(Fixture::Vault, &[])] {
        hashes.push(anvil.send(&tx.gas(2_000_000)).await);
    }
    let mut waiting = Vec::new();
    for hash in &hashes {
        waiting.push(pending(&anvil, *hash).await);
    }
    let (state, header) = state(&anvil, &pool).await;
    let rules = Rules::of(anvil.chain_id(), &header);
    let start = Instant::now();
    let foretold = simulate(&state, rules, &header, waiting.clone(), PATIENCE).await.unwrap();

    println!("four transactions, no state known: {:?}", start.elapsed());

    // The same again, with all state at hand.
    let mut took = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        let known = NodeState::clone(&state);
        simulate(&known, rules, &header, vec![waiting[0].clone()], PATIENCE).await.unwrap();
        took.push(start.elapsed());
    }
    took.sort();
    println!("one transaction, state cached: p50 {:?}, p99 {:?}", took[100], took[197]);

    anvil.mine(1).await;
    for (hash, foretold) in hashes.iter().zip(&foretold) {
        let options = json!({"tracer": "callTracer", "tracerConfig": {"withLog": true}});
        let told = ask(&anvil, "debug_traceTransaction", json!([hash, options])).await;
        let told = wk_trace::read(told.to_string().as_bytes()).unwrap();
        assert_eq!(words(&foretold.trace), words(&told.transactions[0]), "{hash}");
        let receipt = anvil.receipt(*hash).await;
        let gas = format!("{:#x}", foretold.gas_used);
        assert_eq!(receipt["gasUsed"], gas, "{hash}");
        assert_eq!(receipt["status"], if foretold.success { "0x1" } else { "0x0" }, "{hash}");
    }
    assert_eq!(
        foretold.iter().map(|executed| executed.success).collect::<Vec<_>>(),
        [true, true, false, true]
    );
    stop.stop();
}
