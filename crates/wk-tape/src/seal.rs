//! Header hashes, and giving a recorded block a new place and time.

use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, keccak256};
use alloy_rlp::Encodable;
use serde_json::{Value, json};

use crate::Recorded;
use crate::gas::next_base_fee;
use crate::json::{hash, quantity, to_hash, to_u64};

/// Root of an empty trie: `keccak256(rlp(""))`.
const EMPTY_ROOT: &str = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";

/// Header fields in their order of encoding; those after `nonce` came with forks and may be
/// missing, from one of them on.
const FIELDS: [(&str, Kind); 21] = [
    ("parentHash", Kind::Hash),
    ("sha3Uncles", Kind::Hash),
    ("miner", Kind::Address),
    ("stateRoot", Kind::Hash),
    ("transactionsRoot", Kind::Hash),
    ("receiptsRoot", Kind::Hash),
    ("logsBloom", Kind::Bloom),
    ("difficulty", Kind::Number),
    ("number", Kind::Number),
    ("gasLimit", Kind::Number),
    ("gasUsed", Kind::Number),
    ("timestamp", Kind::Number),
    ("extraData", Kind::Bytes),
    ("mixHash", Kind::Hash),
    ("nonce", Kind::Nonce),
    ("baseFeePerGas", Kind::Number),
    ("withdrawalsRoot", Kind::Hash),
    ("blobGasUsed", Kind::Number),
    ("excessBlobGas", Kind::Number),
    ("parentBeaconBlockRoot", Kind::Hash),
    ("requestsHash", Kind::Hash),
];
const FIRST_OPTIONAL: usize = 15;

#[derive(Clone, Copy)]
enum Kind {
    Hash,
    Address,
    Bloom,
    Number,
    Bytes,
    Nonce,
}

/// A header that cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header field `{0}` is missing or malformed")]
pub struct BadHeader(pub &'static str);

/// The hash of the header in a block's JSON, over the fields up to Prague that are present.
pub fn header_hash(block: &Value) -> Result<B256, BadHeader> {
    let mut payload = Vec::with_capacity(700);
    for (index, (name, kind)) in FIELDS.into_iter().enumerate() {
        match &block[name] {
            Value::Null if index >= FIRST_OPTIONAL => break,
            Value::String(text) => encode(text, kind, &mut payload).ok_or(BadHeader(name))?,
            _ => return Err(BadHeader(name)),
        }
    }
    let mut encoded = Vec::with_capacity(payload.len() + 4);
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut encoded);
    encoded.extend_from_slice(&payload);
    Ok(keccak256(encoded))
}

fn encode(text: &str, kind: Kind, out: &mut Vec<u8>) -> Option<()> {
    let digits = text.strip_prefix("0x")?;
    match kind {
        Kind::Hash => digits.parse::<B256>().ok()?.encode(out),
        Kind::Address => digits.parse::<Address>().ok()?.encode(out),
        Kind::Bloom => digits.parse::<Bloom>().ok()?.encode(out),
        Kind::Number => U256::from_str_radix(digits, 16).ok()?.encode(out),
        Kind::Bytes => digits.parse::<Bytes>().ok()?.encode(out),
        Kind::Nonce => digits.parse::<B64>().ok()?.encode(out),
    }
    Some(())
}

/// Where a block comes to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// Hash of the block below; none for a genesis.
    pub(crate) parent: Option<B256>,
    /// Its timestamp in seconds; none keeps the recorded one.
    pub(crate) time: Option<u64>,
    /// Its `extraData`; none keeps the recorded one. What tells two branches apart.
    pub(crate) extra: Option<&'a str>,
}

/// A block with its final hash in all the places that name it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sealed {
    pub(crate) hash: B256,
    pub(crate) parent: B256,
    pub(crate) number: u64,
    pub(crate) time: u64,
    pub(crate) content: Recorded,
}

/// Puts a recorded block in its place. Transactions, receipts and roots stay as they are: none of
/// them depends on the block's hash or time.
pub(crate) fn seal(mut content: Recorded, place: &Place<'_>) -> Result<Sealed, BadHeader> {
    let block = &mut content.block;
    let changes = [
        ("parentHash", place.parent.map(hash)),
        ("timestamp", place.time.map(quantity)),
        ("extraData", place.extra.map(|extra| json!(extra))),
    ];
    for (field, change) in changes {
        if let Some(change) = change {
            set(block, field, change);
        }
    }
    let sealed = header_hash(block)?;
    set(block, "hash", hash(sealed));
    let number = to_u64(&block["number"]).ok_or(BadHeader("number"))?;
    let time = to_u64(&block["timestamp"]).ok_or(BadHeader("timestamp"))?;
    let parent = to_hash(&block["parentHash"]).ok_or(BadHeader("parentHash"))?;

    let name = |value: &mut Value| {
        set(value, "blockHash", hash(sealed));
        if value.get("blockTimestamp").is_some() {
            set(value, "blockTimestamp", quantity(time));
        }
    };
    let transactions = content.block.get_mut("transactions").and_then(Value::as_array_mut);
    for transaction in transactions.into_iter().flatten() {
        name(transaction);
    }
    for receipt in &mut content.receipts {
        name(receipt);
        for log in receipt.get_mut("logs").and_then(Value::as_array_mut).into_iter().flatten() {
            name(log);
        }
    }
    Ok(Sealed { hash: sealed, parent, number, time, content })
}

/// Sets a field of an object; of anything else there is nothing to set.
fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

/// An empty block on top of `parent`, to be sealed. The state stays as it is.
pub(crate) fn empty_child(parent: &Value) -> Result<Recorded, BadHeader> {
    let mut block = parent.clone();
    let number = to_u64(&parent["number"]).ok_or(BadHeader("number"))?;
    let changes = [
        ("baseFeePerGas", quantity(next_base_fee(parent))),
        ("number", quantity(number + 1)),
        ("transactionsRoot", json!(EMPTY_ROOT)),
        ("receiptsRoot", json!(EMPTY_ROOT)),
        ("logsBloom", json!(Bloom::ZERO)),
        ("gasUsed", json!("0x0")),
        ("extraData", json!("0x")),
        ("transactions", json!([])),
        ("blobGasUsed", json!("0x0")),
        // About what an empty block of this kind takes; nothing hangs on it.
        ("size", json!("0x260")),
    ];
    for (field, change) in changes {
        // A field of a later fork must not appear out of nothing.
        if parent.get(field).is_some() {
            set(&mut block, field, change);
        }
    }
    Ok(Recorded { block, receipts: Vec::new(), state: Default::default() })
}
