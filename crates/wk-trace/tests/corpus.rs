//! Real answers of nodes, of every kind that is read.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use wk_testkit::corpus;
use wk_trace::{Asset, ReadError, TraceSource, Traces, TxTrace, read, unpack};

fn text(file: &Path) -> Vec<u8> {
    unpack(&std::fs::read(file).unwrap(), 1 << 30).unwrap().into_owned()
}

#[test]
fn every_kind_of_answer_is_told_apart() {
    let Some(corpus) = corpus() else { return };
    let check = |file: &str, source: TraceSource, expected: fn(&Traces) -> bool| {
        let text = text(&corpus.join(file));
        let count =
            serde_json::from_slice::<Value>(&text).unwrap()["result"].as_array().unwrap().len();
        let traces = read(&text).unwrap();
        assert_eq!(traces.transactions.len(), count, "{file}");
        assert!(traces.transactions.iter().all(|trace| trace.source == source), "{file}");
        assert!(expected(&traces), "{file}");
    };
    let changes =
        |traces: &Traces| traces.transactions.iter().any(|trace| !trace.storage.is_empty());
    check("rpc/10000000.vmTrace-trace-stateDiff.json.gz", TraceSource::Parity, changes);
    check("rpc/17073191.trace-stateDiff.json.gz", TraceSource::Parity, changes);
    check("rpc/17073192.trace-stateDiff.json.gz", TraceSource::Parity, changes);
    check("rpc/17073193.prestateTracer_diffMode.json.gz", TraceSource::Prestate, changes);
    let logs = |traces: &Traces| {
        traces.transactions.iter().any(|trace| !trace.logs.is_empty())
            && traces.transactions.iter().all(|trace| trace.known.logs && !trace.known.frames)
    };
    check("rpc/18100026.eth_getBlockReceipts.json.gz", TraceSource::Receipts, logs);
    check("rpc/4306306.eth_getBlockReceipts.json.gz", TraceSource::Receipts, logs);
    let block = read(&text(&corpus.join("benign/blocks/12244000.json.gz")));
    assert_eq!(block.unwrap_err(), ReadError::NeedsReplay);
}

type Sums = BTreeMap<(String, String), (String, String)>;

/// What each account won and lost of each token.
fn sums(trace: &TxTrace) -> Sums {
    trace
        .balance_changes()
        .into_iter()
        .filter(|change| change.asset != Asset::Native && change.received != change.sent)
        .map(|change| {
            let Asset::Token(token) = change.asset else { unreachable!("coins are left out") };
            let key = (trace.address(change.party).to_string(), trace.address(token).to_string());
            (key, (change.received.to_string(), change.sent.to_string()))
        })
        .collect()
}

#[test]
fn calls_alone_tell_nearly_the_same_transfers_as_logs() {
    let Some(corpus) = corpus() else { return };
    let (mut all, mut same, mut told, mut found) = (0, 0, 0, 0);
    for entry in std::fs::read_dir(corpus.join("benign/traces")).unwrap() {
        let text = text(&entry.unwrap().path());
        let with_logs = read(&text).unwrap();
        // The same trees from a node that was not asked for logs.
        let text = String::from_utf8(text).unwrap().replace("\"logs\":", "\"none\":");
        let without = read(text.as_bytes()).unwrap();
        assert!(without.transactions.iter().all(|trace| trace.logs.is_empty()));
        for (logs, calls) in with_logs.transactions.iter().zip(&without.transactions) {
            let (logs, calls) = (sums(logs), sums(calls));
            if logs.is_empty() {
                continue;
            }
            all += 1;
            same += usize::from(logs == calls);
            told += logs.len();
            found += logs.iter().filter(|(key, sums)| calls.get(*key) == Some(sums)).count();
        }
    }
    println!(
        "{same} of {all} transactions with token transfers are the same; {found} of {told} balances"
    );
    // Tokens with fees and shares made inside a vault have no call of their own.
    assert!(found * 100 >= told * 85, "{found} of {told}");
}
