//! What the node answers, method by method: plain functions of the chain as it stands.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::RpcError;
use crate::gas::{fee_history, next_base_fee};
use crate::json::{quantity, to_hash, to_u64};
use crate::ledger::{At, Ledger, block_at};
use crate::logs::LogFilter;
use crate::seal::Sealed;
use crate::tape::state_key;

/// Most blocks in one answer of `eth_feeHistory`, as geth has it.
const LONGEST_FEE_HISTORY: u64 = 1_024;

/// Most logs in one answer.
const MOST_LOGS: usize = 10_000;

/// What a question is answered from.
pub(crate) struct View<'a> {
    pub(crate) chain_id: u64,
    pub(crate) client: &'a str,
    pub(crate) ledger: &'a Ledger,
    /// Transactions that the next block will hold, without a place yet.
    pub(crate) pending: &'a [Value],
}

/// Answers one call.
pub(crate) fn answer(view: &View<'_>, method: &str, params: &[Value]) -> Result<Value, RpcError> {
    let ledger = view.ledger;
    let param = |index: usize| params.get(index).unwrap_or(&Value::Null);
    let found = |block: Option<&Arc<Sealed>>, make: fn(&Sealed) -> Value| {
        block.map_or(Value::Null, |block| make(block))
    };
    Ok(match method {
        "eth_chainId" => quantity(view.chain_id),
        "net_version" => json!(view.chain_id.to_string()),
        "net_listening" => json!(true),
        "net_peerCount" => json!("0x3"),
        "web3_clientVersion" => json!(view.client),
        "eth_syncing" => json!(false),
        "eth_accounts" => json!([]),
        "eth_blockNumber" => quantity(head(ledger)?.number),
        "eth_getBlockByNumber" => {
            let block = block(ledger, param(0))?;
            block.map_or(Value::Null, |block| block_json(block, param(1) == &json!(true)))
        }
        "eth_getBlockByHash" => {
            let block = ledger.get(&At::Hash(hash_param(param(0))?));
            block.map_or(Value::Null, |block| block_json(block, param(1) == &json!(true)))
        }
        "eth_getBlockReceipts" => {
            found(block(ledger, param(0))?, |block| json!(block.content.receipts))
        }
        "eth_getBlockTransactionCountByNumber" => {
            found(block(ledger, param(0))?, transaction_count)
        }
        "eth_getBlockTransactionCountByHash" => {
            found(ledger.get(&At::Hash(hash_param(param(0))?)), transaction_count)
        }
        "eth_getTransactionByHash" => {
            let hash = hash_param(param(0))?;
            match ledger.transaction(&hash) {
                Some((block, index)) => block.content.block["transactions"][index].clone(),
                None => view
                    .pending
                    .iter()
                    .find(|pending| to_hash(&pending["hash"]) == Some(hash))
                    .cloned()
                    .unwrap_or_default(),
            }
        }
        "eth_getTransactionReceipt" => {
            let found = ledger.transaction(&hash_param(param(0))?);
            found
                .and_then(|(block, index)| block.content.receipts.get(index))
                .cloned()
                .unwrap_or_default()
        }
        "eth_getLogs" => json!(logs(ledger, param(0))?),
        "eth_call" => call(ledger, param(0), param(1))?,
        "eth_getStorageAt" => {
            let slot = slot(param(1))?;
            state(ledger, param(2), "storage", param(0), &slot, &format!("0x{:064x}", 0))?
        }
        "eth_getCode" => state(ledger, param(1), "code", param(0), "", "0x")?,
        "eth_getBalance" => state(ledger, param(1), "balance", param(0), "", "0x0")?,
        "eth_getTransactionCount" => state(ledger, param(1), "nonce", param(0), "", "0x0")?,
        "eth_feeHistory" => fees(ledger, params)?,
        "eth_gasPrice" => quantity(next_base_fee(&head(ledger)?.content.block) + 1_000_000_000),
        "eth_maxPriorityFeePerGas" => quantity(1_000_000_000),
        "eth_blobBaseFee" => json!("0x1"),
        "txpool_status" => json!({"pending": quantity(view.pending.len() as u64), "queued": "0x0"}),
        _ => return Err(RpcError::method_missing(method)),
    })
}

/// A block as `eth_getBlockBy…` gives it, with transactions or with their hashes.
pub(crate) fn block_json(block: &Sealed, full: bool) -> Value {
    let Value::Object(fields) = &block.content.block else { return Value::Null };
    let fields = fields.iter().map(|(name, value)| {
        let hashes = || {
            let all = value.as_array().into_iter().flatten();
            all.map(|transaction| transaction["hash"].clone()).collect()
        };
        let value = if name == "transactions" && !full { hashes() } else { value.clone() };
        (name.clone(), value)
    });
    Value::Object(fields.collect())
}

/// A header as the `newHeads` subscription gives it.
pub(crate) fn header_json(block: &Sealed) -> Value {
    let mut header = block.content.block.clone();
    if let Some(fields) = header.as_object_mut() {
        for body in ["transactions", "uncles", "withdrawals", "size", "totalDifficulty"] {
            fields.remove(body);
        }
    }
    header
}

/// All logs of a block in order.
pub(crate) fn block_logs(block: &Sealed) -> impl Iterator<Item = &Value> {
    block.content.receipts.iter().filter_map(|receipt| receipt["logs"].as_array()).flatten()
}

fn transaction_count(block: &Sealed) -> Value {
    let transactions = block.content.block["transactions"].as_array();
    quantity(transactions.map_or(0, |transactions| transactions.len() as u64))
}

fn head(ledger: &Ledger) -> Result<&Arc<Sealed>, RpcError> {
    ledger.head().ok_or_else(|| RpcError::server("the tape holds no block"))
}

/// The block that a tag names; none when it is not there.
fn block<'a>(ledger: &'a Ledger, tag: &Value) -> Result<Option<&'a Arc<Sealed>>, RpcError> {
    let at = block_at(ledger, tag)
        .ok_or_else(|| RpcError::invalid_params(format!("malformed block `{tag}`")))?;
    Ok(at.and_then(|at| ledger.get(&at)))
}

/// The block whose state is asked for: here one that is not there is an error.
fn state_block<'a>(ledger: &'a Ledger, tag: &Value) -> Result<&'a Arc<Sealed>, RpcError> {
    block(ledger, tag)?.ok_or_else(|| RpcError::server("header not found"))
}

fn hash_param(value: &Value) -> Result<alloy_primitives::B256, RpcError> {
    to_hash(value).ok_or_else(|| RpcError::invalid_params(format!("malformed hash `{value}`")))
}

fn address(value: &Value) -> Result<&str, RpcError> {
    value
        .as_str()
        .filter(|text| text.parse::<alloy_primitives::Address>().is_ok())
        .ok_or_else(|| RpcError::invalid_params(format!("malformed address `{value}`")))
}

fn slot(value: &Value) -> Result<String, RpcError> {
    let slot = crate::json::to_u256(value)
        .ok_or_else(|| RpcError::invalid_params(format!("malformed slot `{value}`")))?;
    Ok(format!("{slot:#066x}"))
}

/// A recorded answer about an account. An account without code has `empty` where nothing was
/// recorded; of a contract we cannot know, and say so.
fn state(
    ledger: &Ledger,
    tag: &Value,
    question: &str,
    account: &Value,
    detail: &str,
    empty: &str,
) -> Result<Value, RpcError> {
    let account = address(account)?;
    let block = state_block(ledger, tag)?;
    if let Some(answer) = ledger.state(block, &state_key(question, account, detail)) {
        return Ok(answer.clone());
    }
    if question == "storage" && ledger.state(block, &state_key("code", account, "")).is_some() {
        return Err(RpcError::server(format!("the tape holds no storage {detail} of {account}")));
    }
    Ok(json!(empty))
}

fn call(ledger: &Ledger, call: &Value, tag: &Value) -> Result<Value, RpcError> {
    let to = address(&call["to"])?;
    let data = match (&call["input"], &call["data"]) {
        (Value::String(data), _) | (_, Value::String(data)) => data.as_str(),
        _ => "0x",
    };
    let block = state_block(ledger, tag)?;
    // A failed transaction was recorded as a call by its sender: its reason may depend on that.
    let by_sender = call["from"].as_str().map(|from| format!("{data} {from}"));
    for detail in by_sender.as_deref().into_iter().chain([data]) {
        if let Some(answer) = ledger.state(block, &state_key("call", to, detail)) {
            return match answer.get("error") {
                Some(error) => Err(RpcError {
                    code: error["code"].as_i64().unwrap_or(3),
                    message: error["message"].as_str().unwrap_or_default().to_owned(),
                    data: error.get("data").cloned(),
                }),
                None => Ok(answer.clone()),
            };
        }
    }
    match ledger.state(block, &state_key("code", to, "")) {
        // What a contract answers to a function that it does not have.
        Some(_) => Err(RpcError {
            code: 3,
            message: "execution reverted".to_owned(),
            data: Some(json!("0x")),
        }),
        None => Ok(json!("0x")),
    }
}

fn logs<'a>(ledger: &'a Ledger, filter: &Value) -> Result<Vec<&'a Value>, RpcError> {
    let wanted = LogFilter::parse(filter)?;
    let keep = |block: &'a Arc<Sealed>| block_logs(block).filter(|log| wanted.matches(log));
    let found: Vec<&Value> = match &filter["blockHash"] {
        Value::Null => {
            let edge = |tag: &Value| match block_at(ledger, tag) {
                Some(Some(at)) => Ok(ledger.get(&at).map(|block| block.number)),
                Some(None) => Ok(to_u64(tag)),
                None => Err(RpcError::invalid_params(format!("malformed block `{tag}`"))),
            };
            let (from, to) = (edge(&filter["fromBlock"])?, edge(&filter["toBlock"])?);
            let (Some(from), Some(to)) = (from, to) else {
                return Err(RpcError::server("unknown block"));
            };
            if from > to {
                return Err(RpcError::invalid_params("invalid block range"));
            }
            ledger.range(from, to).flat_map(keep).take(MOST_LOGS + 1).collect()
        }
        hash => {
            let block = ledger.get(&At::Hash(hash_param(hash)?));
            keep(block.ok_or_else(|| RpcError::server("unknown block"))?).collect()
        }
    };
    if found.len() > MOST_LOGS {
        return Err(RpcError {
            code: -32005,
            message: format!("query returned more than {MOST_LOGS} results"),
            data: None,
        });
    }
    Ok(found)
}

fn fees(ledger: &Ledger, params: &[Value]) -> Result<Value, RpcError> {
    let count = match params.first() {
        Some(Value::Number(count)) => count.as_u64(),
        Some(count) => to_u64(count),
        None => None,
    };
    let count = count.ok_or_else(|| RpcError::invalid_params("malformed block count"))?;
    let newest = state_block(ledger, params.get(1).unwrap_or(&Value::Null))?.number;
    let percentiles: Vec<f64> = match params.get(2) {
        Some(Value::Array(list)) if list.len() <= 100 => {
            list.iter().filter_map(Value::as_f64).collect()
        }
        _ => Vec::new(),
    };
    let oldest = (newest + 1).saturating_sub(count.clamp(1, LONGEST_FEE_HISTORY));
    let blocks: Vec<&Sealed> = ledger.range(oldest, newest).map(Arc::as_ref).collect();
    Ok(fee_history(&blocks, &percentiles))
}
