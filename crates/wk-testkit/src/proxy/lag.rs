//! Making a node look as if it had not seen the newest blocks yet.

use serde_json::{Value, json};

use crate::fault::read_quantity;

/// What became of a call's parameters.
#[derive(Debug)]
pub(super) enum Rewritten {
    /// They can stay.
    Same,
    /// They are others now.
    Changed,
    /// A lagging node needs not look to answer: a result, or an error.
    Answered(Result<Value, Value>),
}

/// Where a method takes its block, and what a block that is not there gives.
fn block_param(method: &str) -> Option<(usize, Missing)> {
    Some(match method {
        "eth_getBlockByNumber"
        | "eth_getBlockReceipts"
        | "eth_getBlockTransactionCountByNumber" => (0, Missing::Null),
        "eth_call"
        | "eth_getBalance"
        | "eth_getCode"
        | "eth_getTransactionCount"
        | "eth_feeHistory" => (1, Missing::Error),
        "eth_getStorageAt" => (2, Missing::Error),
        _ => return None,
    })
}

enum Missing {
    Null,
    Error,
}

/// Whether a call asks about the head: by name, or through `latest`.
pub(super) fn is_about_head(method: &str, params: &Value) -> bool {
    match block_param(method) {
        Some((place, _)) => is_head(&params[place]),
        None => method == "eth_blockNumber",
    }
}

fn is_head(tag: &Value) -> bool {
    tag.is_null() || tag == "latest" || tag == "pending"
}

/// Changes the parameters so that nothing above `limit` is asked for.
pub(super) fn rewrite(method: &str, params: &mut Value, limit: u64) -> Rewritten {
    if method == "eth_blockNumber" {
        return Rewritten::Answered(Ok(hex(limit)));
    }
    if method == "eth_getLogs" {
        return params.get_mut(0).map_or(Rewritten::Same, |filter| rewrite_filter(filter, limit));
    }
    let Some((place, missing)) = block_param(method) else { return Rewritten::Same };
    let Some(params) = params.as_array_mut() else { return Rewritten::Same };
    while params.len() <= place {
        params.push(Value::Null);
    }
    let tag = &mut params[place];
    if is_head(tag) {
        *tag = hex(limit);
        return Rewritten::Changed;
    }
    match (read_quantity(tag), missing) {
        // A hash is no height, whatever its size.
        _ if tag.as_str().is_some_and(|tag| tag.len() == 66) => Rewritten::Same,
        (Some(number), Missing::Null) if number > limit => Rewritten::Answered(Ok(Value::Null)),
        (Some(number), Missing::Error) if number > limit => Rewritten::Answered(Err(unknown())),
        _ => Rewritten::Same,
    }
}

fn rewrite_filter(filter: &mut Value, limit: u64) -> Rewritten {
    if !filter["blockHash"].is_null() || !filter.is_object() {
        return Rewritten::Same;
    }
    let edge = |tag: &Value| if is_head(tag) { Some(limit) } else { read_quantity(tag) };
    if edge(&filter["fromBlock"]).is_some_and(|from| from > limit) {
        return Rewritten::Answered(Ok(json!([])));
    }
    let mut changed = Rewritten::Same;
    for name in ["fromBlock", "toBlock"] {
        if is_head(&filter[name]) || read_quantity(&filter[name]).is_some_and(|to| to > limit) {
            filter[name] = hex(limit);
            changed = Rewritten::Changed;
        }
    }
    changed
}

/// Hides a result that came by hash and stands above `limit`: null, or the error that is returned.
/// `None` when nothing had to be hidden.
pub(super) fn spoil(method: &str, result: &mut Value, limit: u64) -> Option<Result<(), Value>> {
    let first = if result.is_array() { &result[0] } else { &*result };
    let height =
        read_quantity(&first["number"]).or_else(|| read_quantity(&first["blockNumber"]))?;
    if height <= limit {
        return None;
    }
    if method == "eth_getLogs" {
        return Some(Err(unknown()));
    }
    *result = Value::Null;
    Some(Ok(()))
}

fn unknown() -> Value {
    json!({"code": -32000, "message": "header not found"})
}

fn hex(number: u64) -> Value {
    json!(format!("{number:#x}"))
}
