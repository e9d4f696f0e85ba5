//! Whether an answer holds the traces of the block that was asked for, and its parts by transaction.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use wk_model::primitives::B256;

use crate::rpc::Rejection;

/// A transaction's traces as they were sent: a tree, or an array of flat traces.
pub(super) type Text = Box<RawValue>;

/// One element of `debug_traceBlockByHash`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Traced<'a> {
    #[serde(default)]
    tx_hash: Option<B256>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<Cow<'a, str>>,
}

/// One flat trace, as far as it says where it belongs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flat {
    #[serde(default)]
    block_hash: Option<B256>,
    #[serde(default)]
    transaction_hash: Option<B256>,
}

/// The trees of a block's transactions, in the order of `hashes`.
pub(super) fn trees(answer: &RawValue, hashes: &[B256]) -> Result<Vec<Text>, Rejection> {
    if answer.get() == "null" {
        return Err(Rejection::Stale("it has no traces of the block yet".to_owned()));
    }
    let traced: Vec<Traced<'_>> = serde_json::from_str(answer.get())
        .map_err(|_| Rejection::Inconsistent("this is no list of traces".to_owned()))?;
    if traced.len() != hashes.len() {
        return Err(Rejection::Inconsistent(format!(
            "traces of {} transactions for a block of {}",
            traced.len(),
            hashes.len()
        )));
    }
    let mut trees = Vec::with_capacity(hashes.len());
    for (Traced { tx_hash, result, error }, hash) in traced.into_iter().zip(hashes) {
        if let Some(other) = tx_hash.filter(|other| other != hash) {
            return Err(Rejection::Inconsistent(format!(
                "a trace of {other} where {hash} was traced"
            )));
        }
        match (result.filter(|result| result.get().starts_with('{')), error) {
            (Some(tree), _) => trees.push(tree.to_owned()),
            (None, error) => {
                let error = error.as_deref().unwrap_or("no reason given");
                let error: String = error.chars().take(200).collect();
                return Err(Rejection::Stale(format!("it cannot trace {hash}: {error}")));
            }
        }
    }
    Ok(trees)
}

/// The tree of one transaction.
pub(super) fn tree(answer: &RawValue) -> Result<(), Rejection> {
    if answer.get().starts_with('{') {
        Ok(())
    } else if answer.get() == "null" {
        Err(Rejection::Stale("it does not know the transaction yet".to_owned()))
    } else {
        Err(Rejection::Inconsistent("this is no call tree".to_owned()))
    }
}

/// Flat traces by transaction, in the order of `hashes`. All must be of the block `block`: flat
/// traces are asked for by number, and another block may stand there by now.
pub(super) fn flat(
    answer: &RawValue,
    block: B256,
    hashes: &[B256],
) -> Result<Vec<Text>, Rejection> {
    if answer.get() == "null" {
        return Err(Rejection::Stale("it has no traces of the block yet".to_owned()));
    }
    let inconsistent = |message: String| Rejection::Inconsistent(message);
    let flat: Vec<&RawValue> = serde_json::from_str(answer.get())
        .map_err(|_| inconsistent("this is no list of traces".to_owned()))?;
    let places: HashMap<B256, usize> =
        hashes.iter().enumerate().map(|(place, hash)| (*hash, place)).collect();
    let mut texts: Vec<String> = vec![String::new(); hashes.len()];
    for text in flat {
        let Flat { block_hash, transaction_hash } = serde_json::from_str(text.get())
            .map_err(|_| inconsistent("this is no flat trace".to_owned()))?;
        if let Some(other) = block_hash.filter(|other| *other != block) {
            return Err(Rejection::Stale(format!("traces of block {other}, not of {block}")));
        }
        // Rewards belong to no transaction.
        let Some(hash) = transaction_hash else { continue };
        let place = places
            .get(&hash)
            .ok_or_else(|| inconsistent(format!("a trace of {hash}, which is not in the block")))?;
        let joined = &mut texts[*place];
        joined.push(if joined.is_empty() { '[' } else { ',' });
        joined.push_str(text.get());
    }
    let mut whole = Vec::with_capacity(texts.len());
    for (mut text, hash) in texts.into_iter().zip(hashes) {
        if text.is_empty() {
            // Some nodes answer with nothing as long as they have not come to it.
            return Err(Rejection::Stale(format!("it has no trace of {hash}")));
        }
        text.push(']');
        whole.push(RawValue::from_string(text).map_err(|error| inconsistent(error.to_string()))?);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const BLOCK: B256 = B256::repeat_byte(0xbb);
    const A: B256 = B256::repeat_byte(0xaa);
    const C: B256 = B256::repeat_byte(0xcc);

    fn outcome(result: Result<Vec<Text>, Rejection>) -> String {
        match result {
            Ok(texts) => texts.iter().map(|text| text.get()).collect::<Vec<_>>().join(" "),
            Err(Rejection::Stale(why)) => format!("stale: {why}"),
            Err(Rejection::Inconsistent(why)) => format!("wrong: {why}"),
        }
    }

    fn raw(value: &Value) -> Text {
        RawValue::from_string(value.to_string()).unwrap()
    }

    #[test]
    fn takes_trees_of_this_block_only() {
        let check = |answer: Value, expected: &str| {
            let said = outcome(trees(&raw(&answer), &[A, C]));
            assert!(said.starts_with(expected), "{answer}: {said}");
        };
        check(
            json!([{"txHash": A, "result": {"a": 1}}, {"txHash": C, "result": {}}]),
            r#"{"a":1} {}"#,
        );
        check(json!([{"result": {"a": 1}}, {"result": {}}]), r#"{"a":1} {}"#);
        check(
            json!([{"txHash": C, "result": {}}, {"txHash": A, "result": {}}]),
            "wrong: a trace of 0xcc",
        );
        check(
            json!([{"txHash": A, "result": {}}]),
            "wrong: traces of 1 transactions for a block of 2",
        );
        check(
            json!([{"txHash": A, "error": "execution timeout"}, {"txHash": C, "result": {}}]),
            "stale: it cannot trace 0xaa",
        );
        check(json!(null), "stale: ");
        check(json!({"a": 1}), "wrong: this is no list");
        check(json!([1, 2]), "wrong: this is no list");
    }

    #[test]
    fn takes_flat_traces_of_this_block_only() {
        let check = |answer: Value, expected: &str| {
            let said = outcome(flat(&raw(&answer), BLOCK, &[A, C]));
            assert!(said.starts_with(expected), "{answer}: {said}");
        };
        let one =
            |block: B256, tx: Option<B256>| json!({"blockHash": block, "transactionHash": tx});
        let text = |tx| one(BLOCK, Some(tx)).to_string();
        check(
            json!([
                one(BLOCK, Some(C)),
                one(BLOCK, Some(A)),
                one(BLOCK, Some(C)),
                one(BLOCK, None)
            ]),
            &format!("[{}] [{},{}]", text(A), text(C), text(C)),
        );
        check(json!([one(A, Some(A)), one(BLOCK, Some(C))]), "stale: traces of block 0xaa");
        check(json!([one(BLOCK, Some(A)), one(BLOCK, Some(BLOCK))]), "wrong: a trace of 0xbb");
        check(json!([one(BLOCK, Some(A))]), "stale: it has no trace of 0xcc");
        check(json!([]), "stale: it has no trace of 0xaa");
        check(json!(7), "wrong: this is no list");
    }
}
