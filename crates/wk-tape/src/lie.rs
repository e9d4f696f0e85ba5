//! Endpoints that lie: what a demo shows being caught, and what a test must not be fooled by.

use alloy_primitives::hex;
use serde_json::{Value, json};

/// How an endpoint departs from the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lie {
    /// It follows a branch of its own: same heights and transactions, other hashes.
    OtherFork,
    /// It leaves out all logs: `eth_getLogs` is empty, receipts hold none. Headers stay true.
    NoLogs,
    /// It changes the data of each log, as someone would who hides how much was withdrawn.
    TamperedLogs,
}

impl Lie {
    /// All of them.
    pub const ALL: [Lie; 3] = [Lie::OtherFork, Lie::NoLogs, Lie::TamperedLogs];
}

/// When an endpoint begins to lie: each lie with the number of live blocks before it.
pub type Script = Vec<(usize, Lie)>;

/// The answer to `method` after `lie` was applied.
pub(crate) fn tell(lie: Lie, method: &str, mut answer: Value) -> Value {
    match lie {
        // Told by the chain that the endpoint serves.
        Lie::OtherFork => {}
        Lie::NoLogs => match method {
            "eth_getLogs" => answer = json!([]),
            "eth_getTransactionReceipt" => clear_logs(&mut answer),
            "eth_getBlockReceipts" => each(&mut answer, clear_logs),
            _ => {}
        },
        Lie::TamperedLogs => match method {
            "eth_getLogs" => each(&mut answer, tamper),
            "eth_getTransactionReceipt" => tamper_receipt(&mut answer),
            "eth_getBlockReceipts" => each(&mut answer, tamper_receipt),
            _ => {}
        },
    }
    answer
}

fn each(list: &mut Value, change: fn(&mut Value)) {
    list.as_array_mut().into_iter().flatten().for_each(change);
}

fn clear_logs(receipt: &mut Value) {
    if let Some(logs) = receipt.get_mut("logs") {
        *logs = json!([]);
    }
}

fn tamper_receipt(receipt: &mut Value) {
    if let Some(logs) = receipt.get_mut("logs") {
        each(logs, tamper);
    }
}

/// Makes the last word of a log's data a small number.
fn tamper(log: &mut Value) {
    let data = log["data"].as_str().and_then(|data| hex::decode(data).ok());
    if let Some(mut data) = data
        && data.len() >= 32
        && let Some(field) = log.get_mut("data")
    {
        let start = data.len() - 32;
        data[start..].fill(0);
        data[start + 31] = 1;
        *field = json!(hex::encode_prefixed(data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_what_it_says_and_nothing_else() {
        let word = |last: &str| format!("0x{}{last}", "0".repeat(62));
        let log = |data: String| json!({"address": "0xab", "data": data});
        let receipt = |logs: Value| json!({"status": "0x1", "logs": logs});
        let (true_log, false_log) = (log(word("ff")), log(word("01")));
        let cases = [
            (Lie::OtherFork, "eth_getLogs", json!([true_log]), json!([true_log])),
            (Lie::NoLogs, "eth_getLogs", json!([true_log]), json!([])),
            (Lie::NoLogs, "eth_chainId", json!("0x1"), json!("0x1")),
            (
                Lie::NoLogs,
                "eth_getBlockReceipts",
                json!([receipt(json!([true_log]))]),
                json!([receipt(json!([]))]),
            ),
            (Lie::NoLogs, "eth_getTransactionReceipt", Value::Null, Value::Null),
            (Lie::TamperedLogs, "eth_getLogs", json!([true_log]), json!([false_log])),
            (
                Lie::TamperedLogs,
                "eth_getTransactionReceipt",
                receipt(json!([true_log, log("0x".to_owned())])),
                receipt(json!([false_log, log("0x".to_owned())])),
            ),
        ];
        for (lie, method, answer, expected) in cases {
            assert_eq!(tell(lie, method, answer), expected, "{lie:?} {method}");
        }
    }
}
