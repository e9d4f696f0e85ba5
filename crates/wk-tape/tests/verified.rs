//! The demo's chain, as it is played, passes every check that is made of a real chain.

use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use wk_chain::evm::verify::{Outcomes, verify_block};
use wk_chain::evm::wire::{RawBlock, RawReceipt};
use wk_tape::{Pace, TapeNode, TapeOptions, demo_options, demo_tape};

/// Empty blocks after the end of the tape that are checked too.
const IDLE: u64 = 3;

#[tokio::test]
async fn every_block_of_the_demo_passes_every_check() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let mut options = TapeOptions { pace: Pace::Manual, ..demo_options() };
    for endpoint in &mut options.endpoints {
        endpoint.delay = Duration::ZERO;
    }
    let node = TapeNode::start(demo_tape(), options).await.expect("loopback can be listened on");
    while node.upcoming() > 0 {
        assert!(node.advance());
    }
    for _ in 0..IDLE {
        assert!(node.advance());
    }
    let urls = node.endpoints();
    let mut heads = Vec::new();
    // An honest endpoint, and the one on a branch of its own: that is a chain in itself too.
    for url in [&urls[0].http, &urls[2].http] {
        let mut parent = None;
        for height in 0..=node.height() {
            let tag = json!(format!("{height:#x}"));
            let calls = json!([
                {"jsonrpc": "2.0", "id": 0, "method": "eth_getBlockByNumber", "params": [tag, true]},
                {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockReceipts", "params": [tag]},
            ]);
            let answer = client.post(url).body(calls.to_string()).send().await.expect("it listens");
            let text = answer.text().await.expect("it answers in full");
            let mut answers: Vec<Value> = serde_json::from_str(&text).expect("it answers JSON");
            let [block, receipts] = [0, 1].map(|index| raw(answers[index]["result"].take()));
            let block = RawBlock::parse(&block).expect("it is a block");
            let receipts = RawReceipt::parse_all(&receipts).expect("they are receipts");
            let report = verify_block(&block, &Outcomes::Receipts(receipts), parent);
            let failures: Vec<_> = report.failures().collect();
            assert!(failures.is_empty(), "block {height} of {url}: {failures:?}");
            let verification = report.verification();
            assert!(height == 0 || verification.is_full(), "{height}: {}", verification.shortfall);
            parent = Some(block.header.header.hash);
        }
        heads.push(parent);
    }
    assert_ne!(heads[0], heads[1]);
}

fn raw(value: Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(&value).expect("it was JSON before")
}
