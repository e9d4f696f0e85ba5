//! A chain that lives in the test: valid blocks, as many nodes as wanted, each with its own view
//! and its own faults, over real HTTP and WebSockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

pub(crate) mod nodes;
pub(crate) mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bloom, Bytes, U256, keccak256};
use alloy_rlp::Encodable;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Blocks of all branches, by hash.
#[derive(Clone)]
pub(crate) struct SimChain(Arc<Mutex<Blocks>>);

struct Blocks {
    by_hash: BTreeMap<B256, SimBlock>,
    genesis: B256,
    /// Makes blocks of different branches different.
    salt: u64,
    /// Seconds between blocks.
    interval: u64,
}

/// A block as a node would give it.
#[derive(Clone)]
pub(crate) struct SimBlock {
    pub(crate) height: u64,
    pub(crate) hash: B256,
    pub(crate) parent: B256,
    /// With full transactions.
    pub(crate) block: Value,
    pub(crate) receipts: Vec<Value>,
}

impl SimChain {
    pub(crate) fn new() -> SimChain {
        SimChain::with_interval(12)
    }

    pub(crate) fn with_interval(interval: u64) -> SimChain {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let genesis = make_block(0, B256::ZERO, now.as_secs() - 100_000, 0, 0);
        let hash = genesis.hash;
        let by_hash = BTreeMap::from([(hash, genesis)]);
        SimChain(Arc::new(Mutex::new(Blocks { by_hash, genesis: hash, salt: 0, interval })))
    }

    pub(crate) fn genesis(&self) -> B256 {
        self.0.lock().genesis
    }

    /// Adds `count` blocks of `txs` transactions on top of `parent`, each transaction with a log;
    /// returns the hash of the highest.
    pub(crate) fn grow(&self, parent: B256, count: u64, txs: u64) -> B256 {
        let mut blocks = self.0.lock();
        let mut tip = parent;
        for _ in 0..count {
            blocks.salt += 1;
            let below = &blocks.by_hash[&tip];
            let time = u64::from_str_radix(&below.block["timestamp"].as_str().unwrap()[2..], 16);
            let time = time.unwrap() + blocks.interval;
            let block = make_block(below.height + 1, tip, time, txs, blocks.salt);
            tip = block.hash;
            blocks.by_hash.insert(tip, block);
        }
        tip
    }

    pub(crate) fn block(&self, hash: B256) -> Option<SimBlock> {
        self.0.lock().by_hash.get(&hash).cloned()
    }

    /// The block at `height` on the branch that ends in `head`.
    pub(crate) fn at(&self, head: B256, height: u64) -> Option<SimBlock> {
        let blocks = self.0.lock();
        let mut block = blocks.by_hash.get(&head)?;
        while block.height > height {
            block = blocks.by_hash.get(&block.parent)?;
        }
        (block.height == height).then(|| block.clone())
    }

    pub(crate) fn height(&self, hash: B256) -> u64 {
        self.0.lock().by_hash[&hash].height
    }

    /// The branch that ends in `head`, from height `from`, lowest first.
    pub(crate) fn branch(&self, head: B256, from: u64) -> Vec<(u64, B256)> {
        let blocks = self.0.lock();
        let mut branch = Vec::new();
        let mut block = blocks.by_hash.get(&head);
        while let Some(this) = block.filter(|block| block.height >= from) {
            branch.push((this.height, this.hash));
            block = blocks.by_hash.get(&this.parent);
        }
        branch.reverse();
        branch
    }
}

fn quantity(number: u64) -> Value {
    json!(format!("0x{number:x}"))
}

fn list(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut payload = Vec::new();
    write(&mut payload);
    let mut out = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out
}

fn make_block(height: u64, parent: B256, time: u64, txs: u64, salt: u64) -> SimBlock {
    let sender = Address::repeat_byte(0x11);
    let contract = Address::repeat_byte(0xcc);
    let (mut bloom, mut cumulative) = (Bloom::ZERO, 0);
    let (mut raw_txs, mut raw_receipts) = (Vec::new(), Vec::new());
    let (mut transactions, mut receipts) = (Vec::new(), Vec::new());
    for index in 0..txs {
        let nonce = height * 1_000 + index;
        let input = Bytes::from(salt.to_be_bytes().to_vec());
        let raw = list(|out| {
            nonce.encode(out);
            10_u64.encode(out);
            60_000_u64.encode(out);
            contract.encode(out);
            U256::from(index).encode(out);
            input.encode(out);
            27_u64.encode(out);
            U256::from(1).encode(out);
            U256::from(2).encode(out);
        });
        let hash = keccak256(&raw);
        let topics = [keccak256("Ping(uint256)"), B256::from(U256::from(index))];
        let mut own = Bloom::ZERO;
        own.accrue_raw_log(contract, &topics);
        bloom |= own;
        cumulative += 30_000;
        let data = Bytes::from(U256::from(salt).to_be_bytes_vec());
        raw_receipts.push(list(|out| {
            true.encode(out);
            cumulative.encode(out);
            own.encode(out);
            out.extend(list(|out| {
                out.extend(list(|out| {
                    contract.encode(out);
                    alloy_rlp::encode_list::<B256, B256>(&topics, out);
                    data.encode(out);
                }));
            }));
        }));
        raw_txs.push(raw);
        transactions.push(json!({
            "hash": hash, "type": "0x0", "transactionIndex": quantity(index),
            "from": sender, "to": contract, "nonce": quantity(nonce), "gas": "0xea60",
            "gasPrice": "0xa", "value": quantity(index), "input": input,
            "v": "0x1b", "r": "0x1", "s": "0x2", "blockNumber": quantity(height),
        }));
        receipts.push(json!({
            "transactionHash": hash, "transactionIndex": quantity(index), "status": "0x1",
            "gasUsed": quantity(30_000), "cumulativeGasUsed": quantity(cumulative),
            "effectiveGasPrice": "0xa", "type": "0x0", "logsBloom": own, "contractAddress": null,
            "logs": [{
                "address": contract, "topics": topics, "data": data, "removed": false,
                "logIndex": quantity(index), "transactionHash": hash,
                "transactionIndex": quantity(index), "blockNumber": quantity(height),
            }],
        }));
    }
    let mut block = json!({
        "number": quantity(height), "parentHash": parent, "timestamp": quantity(time),
        "sha3Uncles": alloy_primitives::b256!("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"),
        "miner": Address::repeat_byte(0xee), "stateRoot": B256::from(U256::from(salt)),
        "transactionsRoot": alloy_trie::root::ordered_trie_root_encoded(&raw_txs),
        "receiptsRoot": alloy_trie::root::ordered_trie_root_encoded(&raw_receipts),
        "logsBloom": bloom, "difficulty": "0x0", "gasLimit": quantity(30_000_000),
        "gasUsed": quantity(cumulative), "extraData": "0x", "mixHash": B256::ZERO,
        "nonce": "0x0000000000000000", "baseFeePerGas": "0x7", "size": "0x400",
        "uncles": [],
    });
    let hash = wk_tape::header_hash(&block).unwrap();
    block["hash"] = json!(hash);
    for value in transactions.iter_mut().chain(receipts.iter_mut()) {
        value["blockHash"] = json!(hash);
    }
    for receipt in &mut receipts {
        receipt["logs"][0]["blockHash"] = json!(hash);
    }
    block["transactions"] = Value::Array(transactions);
    SimBlock { height, hash, parent, block, receipts }
}
