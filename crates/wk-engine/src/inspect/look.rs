//! A block's transactions with their traces, through the detectors. Pure, and heavy: for a thread
//! of its own.

use std::fmt::Write;

use wk_chain::evm::BlockTraces;
use wk_detectors::{Config, Report};
use wk_model::{B256, evm};
use wk_trace::{Traces, TxTrace};

/// A transaction, and what came of looking at it.
#[derive(Debug)]
pub struct LookedAt {
    /// All that is known of what it did.
    pub trace: TxTrace,
    /// What the detectors say.
    pub report: Report,
}

/// Looks at all transactions of `block`. One whose traces cannot be understood is looked at by its
/// receipt; none is left out.
pub fn look(block: &evm::Block, traces: &BlockTraces, config: &Config) -> Vec<LookedAt> {
    let traces = read(block, traces);
    let reports = wk_detectors::inspect_all(&traces, config);
    let pairs = traces.transactions.into_iter().zip(reports);
    pairs.map(|(trace, report)| LookedAt { trace, report }).collect()
}

/// The transactions in block order.
fn read(block: &evm::Block, traces: &BlockTraces) -> Traces {
    let all: Vec<(&evm::Transaction, Option<&str>)> = block
        .transactions
        .iter()
        .zip(&traces.texts)
        .map(|(tx, text)| (tx, text.as_ref().map(|text| text.get())))
        .collect();
    let mut whole = Traces {
        whole_block: true,
        block: Some(block.header.height.0),
        beneficiary: Some(block.header.beneficiary),
        transactions: read_fitting(block, &all),
    };
    if whole.transactions.is_empty() {
        // Something in it cannot be read: then each is read for itself.
        for one in &all {
            let mut read = read_fitting(block, std::slice::from_ref(one));
            if read.is_empty() {
                read = read_fitting(block, &[(one.0, None)]);
            }
            whole.transactions.extend(read);
        }
    }
    for trace in &mut whole.transactions {
        let place = block.transactions.iter().position(|tx| Some(tx.hash) == trace.hash);
        trace.index = place.map(|place| place as u64);
    }
    whole
}

/// These transactions as they were told; nothing when that is not about just these.
fn read_fitting(block: &evm::Block, all: &[(&evm::Transaction, Option<&str>)]) -> Vec<TxTrace> {
    let traced: Vec<_> = all.iter().filter_map(|(tx, text)| text.map(|text| (*tx, text))).collect();
    let untraced: Vec<_> =
        all.iter().filter(|(_, text)| text.is_none()).map(|(tx, _)| *tx).collect();
    let mut transactions = Vec::with_capacity(all.len());
    for text in [traced_text(block, &traced), receipts_text(block, &untraced)].into_iter().flatten()
    {
        let Ok(traces) = wk_trace::read(text.as_bytes()) else { return Vec::new() };
        transactions.extend(traces.transactions);
    }
    let place = |hash: Option<B256>| all.iter().position(|(tx, _)| Some(tx.hash) == hash);
    transactions.sort_by_key(|trace| place(trace.hash));
    let is_of = |trace: &TxTrace, tx: &evm::Transaction| {
        trace.hash == Some(tx.hash) && trace.address(trace.sender) == tx.from
    };
    let fit = transactions.len() == all.len()
        && transactions.iter().zip(all).all(|(trace, (tx, _))| is_of(trace, tx));
    if fit { transactions } else { Vec::new() }
}

/// A block whose transactions carry their traces, and their logs where those do not.
fn traced_text(block: &evm::Block, traced: &[(&evm::Transaction, &str)]) -> Option<String> {
    if traced.is_empty() {
        return None;
    }
    let bytes: usize = traced.iter().map(|(_, text)| text.len() + 256).sum();
    let mut out = String::with_capacity(bytes);
    let evm::Header { height, beneficiary, .. } = &block.header;
    let _ = write!(out, r#"{{"number":{height},"miner":"{beneficiary:#x}","transactions":["#);
    for (place, (tx, text)) in traced.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(out, r#"{comma}{{"hash":"{:#x}","trace":{text}"#, tx.hash);
        if let Some(receipt) = &tx.receipt {
            let _ = write!(out, r#","gasUsed":{}"#, receipt.gas_used);
        }
        if !tx.logs().is_empty() && !text.contains("\"logs\"") {
            out.push_str(r#","logs":"#);
            write_logs(&mut out, tx.logs());
        }
        out.push('}');
    }
    out.push_str("]}");
    Some(out)
}

fn receipts_text(block: &evm::Block, transactions: &[&evm::Transaction]) -> Option<String> {
    if transactions.is_empty() {
        return None;
    }
    let mut out = String::from("[");
    for (place, tx) in transactions.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let success = tx.receipt.as_ref().and_then(|receipt| receipt.success) != Some(false);
        let _ = write!(
            out,
            r#"{comma}{{"transactionHash":"{:#x}","blockNumber":{},"from":"{:#x}","status":{}"#,
            tx.hash,
            block.header.height,
            tx.from,
            u8::from(success)
        );
        if let Some(to) = &tx.to {
            let _ = write!(out, r#","to":"{to:#x}""#);
        }
        if let Some(receipt) = &tx.receipt {
            let _ = write!(out, r#","gasUsed":{}"#, receipt.gas_used);
            if let Some(created) = &receipt.contract_address {
                let _ = write!(out, r#","contractAddress":"{created:#x}""#);
            }
        }
        out.push_str(r#","logs":"#);
        write_logs(&mut out, tx.logs());
        out.push('}');
    }
    out.push(']');
    Some(out)
}

fn write_logs(out: &mut String, logs: &[evm::Log]) {
    out.push('[');
    for (place, log) in logs.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(out, r#"{comma}{{"address":"{:#x}","topics":["#, log.address);
        for (place, topic) in log.topics.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let _ = write!(out, r#"{comma}"{topic:#x}""#);
        }
        let _ = write!(out, r#"],"data":"{:#x}"}}"#, log.data);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use wk_chain::evm::TraceVia;
    use wk_model::{Address, Height, U256};

    use super::*;

    fn address(n: u8) -> Address {
        Address::repeat_byte(n)
    }

    /// A transaction that moves 5 units of the token 0x33….
    fn tx(n: u8) -> evm::Transaction {
        let word = |n: u8| B256::left_padding_from(address(n).as_slice());
        let log = evm::Log {
            address: address(0x33),
            topics: vec![
                "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
                    .parse()
                    .unwrap(),
                word(1),
                word(2),
            ],
            data: U256::from(5).to_be_bytes_vec().into(),
            index: 0,
        };
        let receipt = evm::Receipt {
            success: Some(true),
            gas_used: 7,
            logs: vec![log],
            ..Default::default()
        };
        evm::Transaction {
            hash: B256::repeat_byte(n),
            from: address(1),
            to: Some(address(2)),
            receipt: Some(receipt),
            ..evm::Transaction::default()
        }
    }

    fn tree(inner: &str) -> String {
        let (from, to) = (address(1), address(2));
        format!(
            r#"{{"type":"CALL","from":"{from:#x}","to":"{to:#x}","input":"0x","value":"0x0"{inner}}}"#
        )
    }

    #[test]
    fn every_transaction_is_looked_at_by_the_best_that_is_known_of_it() {
        let flat = format!(
            r#"[{{"action":{{"callType":"call","from":"{:#x}","to":"{:#x}","input":"0x","value":"0x0","gas":"0x0"}},
                "result":{{"gasUsed":"0x0","output":"0x"}},"subtraces":0,"traceAddress":[],"type":"call"}}]"#,
            address(1),
            address(2)
        );
        let check = |texts: &[Option<&str>], expected: &[(&str, usize, usize)]| {
            let block = evm::Block {
                header: evm::Header { height: Height(9), ..Default::default() },
                transactions: (1..).take(texts.len()).map(tx).collect(),
            };
            let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
            let traces = BlockTraces {
                via: TraceVia::CallTracer,
                endpoint: None,
                texts: texts.iter().map(|text| text.map(raw)).collect(),
                lacks: Vec::new(),
            };
            let looked = look(&block, &traces, &Config::default());
            let seen: Vec<_> = looked
                .iter()
                .map(|LookedAt { trace, .. }| {
                    (trace.source.name(), trace.frames.len(), trace.transfers.len())
                })
                .collect();
            assert_eq!(seen, expected, "{texts:?}");
            for (place, LookedAt { trace, .. }) in looked.iter().enumerate() {
                assert_eq!(trace.index, Some(place as u64));
                assert_eq!(trace.hash, Some(block.transactions[place].hash));
            }
        };
        let whole = tree("");
        let with_logs = tree(r#","logs":[]"#);
        check(&[], &[]);
        check(&[Some(&whole)], &[("call_tracer", 1, 1)]);
        check(&[Some(&with_logs)], &[("call_tracer", 1, 0)]);
        check(&[Some(&flat), Some(&flat)], &[("parity_trace", 1, 1), ("parity_trace", 1, 1)]);
        check(&[None, None], &[("receipts", 1, 1), ("receipts", 1, 1)]);
        check(
            &[None, Some(&whole), None],
            &[("receipts", 1, 1), ("call_tracer", 1, 1), ("receipts", 1, 1)],
        );
        // What cannot be understood does not take the others along.
        check(
            &[Some("{}"), Some(&whole), Some("7")],
            &[("receipts", 1, 1), ("call_tracer", 1, 1), ("receipts", 1, 1)],
        );
    }
}
