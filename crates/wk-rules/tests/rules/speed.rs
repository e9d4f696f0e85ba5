//! How long a block takes: prints figures, asserts none.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wk_model::evm::{Block, Log};
use wk_model::{Address, B256, Bytes, Intake, U256};
use wk_rules::{Memory, RuleSet};

use crate::support::{Chain, compile};

const BLOCKS: u32 = 50;
const TRANSACTIONS: usize = 200;

fn address(number: usize) -> String {
    format!("{:#x}", Address::from_word(B256::from(U256::from(0x10000 + number))))
}

/// A block of transfers, two by each transaction, of `contracts` tokens in turn.
fn block(chain: &mut Chain, contracts: usize, seed: usize) -> Block {
    let topic0 = wk_model::primitives::keccak256("Transfer(address,address,uint256)");
    let log = |i: usize| {
        let number = (i * 7919 + seed * 31) % 10_007;
        let who = |n: usize| Address::from_word(B256::from(U256::from(n % 97))).into_word();
        Log {
            address: address(number % contracts).parse().expect("it was just written"),
            topics: vec![topic0, who(number), who(number + 1)],
            data: Bytes::from(U256::from(number).to_be_bytes_vec()),
            index: i as u64,
        }
    };
    let mut block = chain.block((0..TRANSACTIONS).map(|i| log(2 * i)).collect());
    for (i, tx) in block.transactions.iter_mut().enumerate() {
        tx.from = Address::from_word(B256::from(U256::from(i % 50)));
        let receipt = tx.receipt.as_mut().expect("the block is complete");
        receipt.logs[0].index = 2 * i as u64;
        receipt.logs.push(log(2 * i + 1));
    }
    block
}

fn measure(name: &str, set: &RuleSet, contracts: usize) -> String {
    let mut chain = Chain::new();
    let blocks: Vec<Block> =
        (0..BLOCKS as usize).map(|seed| block(&mut chain, contracts, seed)).collect();
    let mut memory = Memory::default();
    let mut findings = 0;
    let mut longest = Duration::ZERO;
    let start = Instant::now();
    for block in &blocks {
        let begin = Instant::now();
        let evaluation = chain.evaluate(set, &mut memory, block, Intake::Live);
        longest = longest.max(begin.elapsed());
        findings += evaluation.findings.len();
        assert_eq!(evaluation.errors, []);
    }
    let mean = start.elapsed() / BLOCKS;
    format!(
        "{name}: {mean:?} per block of {TRANSACTIONS} transactions and {} logs (longest {longest:?}), \
         {findings} findings, {} matches remembered",
        2 * TRANSACTIONS,
        memory.len()
    )
}

/// What a large user has: rules of every kind over many contracts.
#[test]
fn a_thousand_rules_over_a_hundred_contracts() {
    let transfer = "Transfer(address indexed from, address indexed to, uint256 value)";
    let rules: Vec<Value> = (0..1_000)
        .map(|i| {
            let id = format!("rule-{i}");
            let watch = address(i % 100);
            match i % 10 {
                0..=5 => json!({"id": id, "chain": "main", "watch": watch, "event": transfer, "if": format!("value > {} && !(to in lists.treasury)", 9_900 + i % 10)}),
                6 => json!({"id": id, "chain": "main", "watch": watch, "event": transfer, "window": {"by": "to", "over": "10m", "value": "value", "when": "sum > 100000000"}}),
                7 => json!({"id": id, "chain": "main", "on": "evm.tx", "watch": watch, "if": "tx.failed"}),
                8 => json!({"id": id, "chain": "main", "watch": watch, "event": transfer, "absent": "1h"}),
                _ => json!({"id": id, "chain": "main", "on": "evm.block", "if": "gas_used > 29000000"}),
            }
        })
        .collect();
    let figures = measure("1,000 rules over 100 contracts", &compile(Value::Array(rules)), 100);
    println!("{figures}");
}

/// The worst case: every log concerns every rule.
#[test]
fn a_hundred_rules_that_look_at_every_log() {
    let rules: Vec<Value> = (0..100)
        .map(|i| {
            let event = "Transfer(address indexed from, address indexed to, uint256 value)";
            json!({"id": format!("rule-{i}"), "chain": "main", "event": event, "if": format!("value > 10000 + {i} || from == to")})
        })
        .collect();
    let figures = measure("100 rules that look at every log", &compile(Value::Array(rules)), 100);
    println!("{figures}");
}
