//! Labels on mainnet blocks must be those that mev-inspect-py's own tests expect.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use wk_detectors::{Config, arbitrages, inspect_all, sandwiches, swaps};
use wk_testkit::corpus;
use wk_trace::{Traces, read, unpack};

fn block(corpus: &Path, number: u64) -> Traces {
    let packed = std::fs::read(corpus.join(format!("mev/{number}.json.gz"))).unwrap();
    read(&unpack(&packed, 1 << 30).unwrap()).unwrap()
}

#[test]
fn labels_are_as_expected() {
    let Some(corpus) = corpus() else { return };
    let expected: Vec<Value> =
        serde_json::from_slice(&std::fs::read(corpus.join("mev/expected.json")).unwrap()).unwrap();
    let mut blocks: BTreeMap<u64, Traces> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in &expected {
        let number = case["block"].as_u64().unwrap();
        let traces = blocks.entry(number).or_insert_with(|| block(&corpus, number));
        let reports = inspect_all(traces, &Config::default());
        let kind = case["kind"].as_str().unwrap();
        let place = |hash: &Value| {
            let hash = hash.as_str().map(|hash| hash.parse().unwrap());
            traces.transactions.iter().position(|trace| trace.hash.is_some() && trace.hash == hash)
        };
        let labels = place(&case["tx"]).map(|place| reports[place].labels.clone());
        let has = |label: &str| labels.as_ref().is_some_and(|labels| labels.contains(&label));
        let fine = match kind {
            "counts" => {
                let found: Vec<_> =
                    traces.transactions.iter().map(|trace| (trace, swaps(trace))).collect();
                let counts = (
                    found.iter().map(|(_, swaps)| swaps.len()).sum::<usize>(),
                    found.iter().map(|(_, swaps)| arbitrages(swaps).len()).sum::<usize>(),
                    sandwiches(&found).len(),
                );
                let labelled =
                    reports.iter().filter(|report| report.labels.contains(&"arbitrage")).count();
                let is = |name: &str, count: usize| {
                    case[name].as_u64().is_none_or(|wanted| wanted == count as u64)
                };
                println!("{number}: {counts:?}");
                is("swaps", counts.0)
                    && is("arbitrages", counts.1)
                    && is("arbitrages", labelled)
                    && is("sandwiches", counts.2)
            }
            "sandwich" => {
                let front = place(&case["tx"]).unwrap();
                let victims: Vec<usize> =
                    case["victims"].as_array().unwrap().iter().filter_map(&place).collect();
                let found: Vec<_> =
                    traces.transactions.iter().map(|trace| (trace, swaps(trace))).collect();
                has("sandwich")
                    && sandwiches(&found).iter().any(|sandwich| {
                        sandwich.front == front
                            && Some(sandwich.back) == place(&case["backrun"])
                            && sandwich.victims == victims
                    })
            }
            "benign:0x_swap" => has("swap"),
            "NOT liquidation (reverted)" => !has("liquidation"),
            _ if kind.starts_with("liquidation") => has("liquidation"),
            _ if kind.starts_with("arbitrage") => has("arbitrage"),
            _ => panic!("unknown kind {kind}"),
        };
        if !fine {
            wrong.push(format!("{number} {kind} {} has {labels:?}", case["tx"]));
        }
    }
    for (number, traces) in &blocks {
        let reports = inspect_all(traces, &Config::default());
        for (trace, report) in traces.transactions.iter().zip(&reports) {
            if report.labels.contains(&"liquidation") {
                println!("{number} {:?} {:?}", trace.hash, report.labels);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
