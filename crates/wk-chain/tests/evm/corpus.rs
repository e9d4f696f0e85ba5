//! Real mainnet blocks, Frontier to Cancun: every header hash and root is recomputed, and every
//! change to a block is noticed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use serde_json::{Value, json};
use wk_chain::evm::verify::{Outcomes, Report, assemble, verify_block};
use wk_chain::evm::wire::{RawBlock, RawReceipt};
use wk_model::primitives::{Address, B256, Bloom};
use wk_model::{Check, CheckResult};
use wk_testkit::corpus;

/// The first block whose receipts hold a status.
const BYZANTIUM: u64 = 4_370_000;

struct Sample {
    number: u64,
    block: Value,
    receipts: Option<Value>,
}

fn read_gz(path: &Path) -> Value {
    let file = std::fs::File::open(path).unwrap();
    serde_json::from_reader(flate2::read::GzDecoder::new(file)).unwrap()
}

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

/// The blocks; the bloom, which the corpus leaves out, is made from the replayed logs.
fn samples(corpus: &Path) -> Vec<Sample> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(corpus.join("benign/blocks"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| sample(corpus, path)).collect()
}

fn sample(corpus: &Path, path: &Path) -> Sample {
    let mut block = read_gz(path)["block"].take();
    let traces = read_gz(&corpus.join("benign/traces").join(path.file_name().unwrap()));
    let number = traces["number"].as_u64().unwrap();
    let mut bloom = Bloom::ZERO;
    let mut receipts = Vec::new();
    let (mut cumulative, mut log_index) = (0, 0);
    for (index, trace) in traces["transactions"].as_array().unwrap().iter().enumerate() {
        let gas = trace["gasUsed"].as_str().unwrap().trim_start_matches("0x").to_owned();
        cumulative += u64::from_str_radix(&gas, 16).unwrap();
        let mut logs = Vec::new();
        for log in trace["logs"].as_array().unwrap() {
            let address: Address = serde_json::from_value(log["address"].clone()).unwrap();
            let topics: Vec<B256> = serde_json::from_value(log["topics"].clone()).unwrap();
            bloom.accrue_raw_log(address, &topics);
            let mut log = log.clone();
            log["logIndex"] = json!(log_index);
            log_index += 1;
            logs.push(log);
        }
        receipts.push(json!({
            "transactionHash": trace["hash"],
            "transactionIndex": index,
            "status": trace["status"],
            "gasUsed": trace["gasUsed"],
            "cumulativeGasUsed": cumulative,
            "logs": logs,
        }));
    }
    block["logsBloom"] = json!(bloom);
    Sample { number, block, receipts: (number >= BYZANTIUM).then_some(Value::Array(receipts)) }
}

fn verify(sample: &Sample) -> Report {
    let block = RawBlock::parse(&raw(&sample.block)).unwrap();
    let outcomes = match &sample.receipts {
        Some(receipts) => Outcomes::Receipts(RawReceipt::parse_all(&raw(receipts)).unwrap()),
        None => Outcomes::Unknown("no state roots in the corpus".to_owned()),
    };
    let parent = block.header.header.parent_hash;
    let report = verify_block(&block, &outcomes, Some(parent));
    if report.failures().count() == 0 {
        let model = assemble(&block, outcomes).unwrap();
        let logs: Vec<u64> =
            model.transactions.iter().flat_map(|tx| tx.logs()).map(|log| log.index).collect();
        assert!(logs.iter().copied().eq(0..logs.len() as u64), "{}", sample.number);
    }
    report
}

#[test]
fn real_blocks_hash_to_what_their_headers_say() {
    let Some(corpus) = corpus() else { return };
    let (mut blocks, mut transactions, mut receipts) = (0, 0, 0);
    for sample in samples(&corpus) {
        let report = verify(&sample);
        let number = sample.number;
        assert_eq!(report.failures().collect::<Vec<_>>(), [], "{number}");
        for check in [Check::Parent, Check::HeaderHash, Check::TransactionsRoot] {
            assert_eq!(*report.result(check), CheckResult::Passed, "{number} {}", check.name());
        }
        if let Some(all) = &sample.receipts {
            assert!(report.verification().is_full(), "{number}: {report:?}");
            receipts += all.as_array().unwrap().len();
        }
        blocks += 1;
        transactions += sample.block["transactions"].as_array().unwrap().len();
    }
    println!("{blocks} header hashes and transaction roots of {transactions} transactions");
    println!("and receipt roots of {receipts} receipts recomputed");
    assert_eq!(blocks, 22);
}

#[test]
fn no_change_goes_unnoticed() {
    let Some(corpus) = corpus() else { return };
    let path = corpus.join("benign/blocks/19932703.json.gz");
    let check = |change: &dyn Fn(&mut Sample), expected: Check| {
        let mut sample = sample(&corpus, &path);
        change(&mut sample);
        let report = verify(&sample);
        let failed: Vec<Check> = report.failures().map(|(check, _)| check).collect();
        assert!(failed.contains(&expected), "expected {} of {failed:?}", expected.name());
    };
    for (field, value) in [
        ("timestamp", json!("0x1")),
        ("miner", json!(Address::ZERO)),
        ("gasUsed", json!("0x1")),
        ("baseFeePerGas", json!("0x1")),
        ("baseFeePerGas", json!(null)),
        ("stateRoot", json!(B256::repeat_byte(1))),
        ("extraData", json!("0x00")),
        ("withdrawalsRoot", json!(B256::repeat_byte(1))),
        ("excessBlobGas", json!("0x1")),
        ("number", json!(1)),
        ("hash", json!(B256::repeat_byte(1))),
        ("parentHash", json!(B256::repeat_byte(1))),
        ("logsBloom", json!(Bloom::ZERO)),
    ] {
        check(&|sample| sample.block[field] = value.clone(), Check::HeaderHash);
    }
    for (field, value) in [
        ("to", json!(Address::ZERO)),
        ("value", json!("0x1")),
        ("input", json!("0x00")),
        ("hash", json!(B256::repeat_byte(1))),
        ("blockHash", json!(B256::repeat_byte(1))),
        ("s", json!("0x1")),
    ] {
        check(
            &|sample| sample.block["transactions"][7][field] = value.clone(),
            Check::TransactionsRoot,
        );
    }
    let receipts = |sample: &mut Sample, change: &dyn Fn(&mut Vec<Value>)| {
        change(sample.receipts.as_mut().unwrap().as_array_mut().unwrap());
    };
    check(&|sample| receipts(sample, &|all| drop(all.pop())), Check::ReceiptsRoot);
    check(&|sample| receipts(sample, &Vec::clear), Check::ReceiptsRoot);
    check(&|sample| receipts(sample, &|all| all.swap(3, 4)), Check::ReceiptsRoot);
    check(
        &|sample| {
            receipts(sample, &|all| all[5]["status"] = json!(!all[5]["status"].as_bool().unwrap()))
        },
        Check::ReceiptsRoot,
    );
    let with_logs = |all: &[Value]| {
        all.iter().position(|receipt| !receipt["logs"].as_array().unwrap().is_empty()).unwrap()
    };
    for expected in [Check::ReceiptsRoot, Check::LogsBloom] {
        check(
            &|sample| {
                receipts(sample, &|all| {
                    for receipt in all {
                        receipt["logs"] = json!([]);
                    }
                });
            },
            expected,
        );
    }
    check(
        &|sample| {
            receipts(sample, &|all| {
                let at = with_logs(all);
                all[at]["logs"].as_array_mut().unwrap().remove(0);
            });
        },
        Check::ReceiptsRoot,
    );
    check(
        &|sample| {
            receipts(sample, &|all| {
                let at = with_logs(all);
                all[at]["logs"][0]["data"] = json!("0x01");
            });
        },
        Check::ReceiptsRoot,
    );
}

#[test]
fn receipts_of_a_real_client_are_read() {
    let Some(corpus) = corpus() else { return };
    for (file, has_status) in [
        ("rpc/18100026.eth_getBlockReceipts.json.gz", true),
        ("rpc/4306306.eth_getBlockReceipts.json.gz", false),
    ] {
        let answer = read_gz(&corpus.join(file));
        let receipts = RawReceipt::parse_all(&raw(&answer["result"])).unwrap();
        assert_eq!(receipts.len(), answer["result"].as_array().unwrap().len());
        assert!(receipts.iter().all(|raw| raw.receipt.success.is_some() == has_status));
        assert!(receipts.iter().all(|raw| raw.root.is_some() != has_status));
        println!("{} receipts of {file} read", receipts.len());
    }
}
