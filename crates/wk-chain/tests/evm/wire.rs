//! Whatever an endpoint sends: no panic, and nothing that is not the block passes for it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use crate::sim::{SimBlock, SimChain};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use wk_chain::evm::digest;
use wk_chain::evm::verify::{Outcomes, assemble, verify_block};
use wk_chain::evm::wire::{RawBlock, RawHeader, RawLog, RawReceipt, RawTransaction};

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

fn sim_block() -> SimBlock {
    let chain = SimChain::new();
    let head = chain.grow(chain.genesis(), 1, 5);
    chain.block(head).unwrap()
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(|number| json!(format!("0x{number:x}"))),
        "0x[0-9a-f]{0,70}".prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z]{1,8}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every place in a JSON value, as JSON pointers.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), all));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, value)| places(value, &format!("{at}/{index}"), all));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What a changed hex digit does: another value of the same shape.
fn bend(value: &Value, digit: usize) -> Value {
    // An earlier change may have put any text here.
    let hex = value.as_str().filter(|text| text.len() > 2 && text.is_ascii());
    let Some(text) = hex else { return json!("0x1") };
    let at = 2 + digit % (text.len() - 2);
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
    json!(String::from_utf8(bytes).unwrap())
}

/// What rules see of a block, when all checks that can be made without the parent pass.
fn accept(block: &Value, receipts: &Value) -> Option<(wk_model::evm::Block, bool)> {
    let block = RawBlock::parse(&raw(block)).ok()?;
    let receipts = RawReceipt::parse_all(&raw(receipts)).ok()?;
    let outcomes = Outcomes::Receipts(receipts);
    let parent = block.header.header.parent_hash;
    let report = verify_block(&block, &outcomes, Some(parent));
    let full = report.verification().is_full();
    assemble(&block, outcomes).ok().map(|block| (block, full))
}

proptest! {
    #[test]
    fn nothing_panics(value in any_json()) {
        let raw = raw(&value);
        let _ = RawBlock::parse(&raw);
        let _ = RawHeader::parse(&raw);
        let _ = RawTransaction::parse(&raw);
        let _ = RawReceipt::parse(&raw);
        let _ = RawReceipt::parse_all(&raw);
        let _ = RawLog::parse_all(&raw);
    }

    /// A block that passes all checks holds what the chain holds: hash, order, senders' words,
    /// outcomes and logs.
    #[test]
    fn only_the_block_passes_for_the_block(
        changes in prop::collection::vec(
            (any::<bool>(), any::<prop::sample::Index>(), any_json(), any::<usize>(), any::<bool>()),
            1..4,
        ),
    ) {
        let SimBlock { block, receipts, .. } = sim_block();
        let truth = accept(&block, &json!(receipts)).unwrap();
        prop_assert!(truth.1, "the block itself passes");
        let (mut forged, mut forged_receipts) = (block, json!(receipts));
        for (in_block, place, value, digit, bent) in changes {
            let target = if in_block { &mut forged } else { &mut forged_receipts };
            let mut all = Vec::new();
            places(target, "", &mut all);
            let place = target.pointer_mut(&all[place.index(all.len())]).unwrap();
            *place = if bent { bend(place, digit) } else { value };
        }
        if let Some((accepted, true)) = accept(&forged, &forged_receipts)
            && accepted.header.hash == truth.0.header.hash
        {
            prop_assert_eq!(digest(&accepted), digest(&truth.0));
            let mut headers = (accepted.header, truth.0.header);
            // The size is no part of the hash.
            (headers.0.size, headers.1.size) = (None, None);
            prop_assert_eq!(headers.0, headers.1);
            for (accepted, truth) in accepted.transactions.iter().zip(&truth.0.transactions) {
                let said = |tx: &wk_model::evm::Transaction| {
                    (tx.hash, tx.index, tx.to, tx.value, tx.input.clone(), tx.nonce, tx.gas)
                };
                prop_assert_eq!(said(accepted), said(truth));
            }
        }
    }
}

#[test]
fn answers_of_odd_clients_are_understood() {
    let SimBlock { block, receipts, .. } = sim_block();
    let check = |change: &dyn Fn(&mut Value, &mut Value), shortfall: &str| {
        let (mut block, mut receipts) = (block.clone(), json!(receipts));
        change(&mut block, &mut receipts);
        let block = RawBlock::parse(&raw(&block)).unwrap();
        let outcomes = Outcomes::Receipts(RawReceipt::parse_all(&raw(&receipts)).unwrap());
        let parent = block.header.header.parent_hash;
        let verification = verify_block(&block, &outcomes, Some(parent)).verification();
        assert_eq!(verification.shortfall, shortfall);
    };
    check(&|_, _| {}, "");
    // Quantities as numbers and decimal text.
    check(&|block, _| block["number"] = json!(1), "");
    check(&|block, _| block["gasLimit"] = json!("30000000"), "");
    check(&|_, receipts| receipts[0]["status"] = json!(1), "");
    check(&|_, receipts| receipts[0]["status"] = json!(true), "");
    // Fields that some clients leave out.
    check(
        &|block, receipts| {
            for field in ["size", "uncles", "totalDifficulty"] {
                block.as_object_mut().unwrap().remove(field);
            }
            for tx in block["transactions"].as_array_mut().unwrap() {
                for field in ["type", "blockHash", "blockNumber", "transactionIndex"] {
                    tx.as_object_mut().unwrap().remove(field);
                }
            }
            for receipt in receipts.as_array_mut().unwrap() {
                for field in ["type", "logsBloom", "blockHash", "transactionIndex", "gasUsed"] {
                    receipt.as_object_mut().unwrap().remove(field);
                }
            }
        },
        "",
    );
    // An unknown field says nothing while the hash is right, and explains a hash that is not.
    check(&|block, _| block["l1BlockNumber"] = json!("0x1"), "");
    check(
        &|block, _| {
            block["verkleRoot"] = json!("0x1");
            block["extraData"] = json!("0x01");
        },
        "header_hash skipped: unknown header field verkleRoot",
    );
    check(
        &|block, _| block["extraData"] = json!("0x01"),
        "header_hash failed: header hashes differ",
    );
    check(
        &|block, _| block["transactions"][2]["type"] = json!("0x6a"),
        "transactions_root skipped: transaction type 0x6a is not known here; \
         receipts_root failed: roots differ",
    );
    check(
        &|block, _| drop(block.as_object_mut().unwrap().remove("mixHash")),
        "header_hash skipped: the endpoint gives no mixHash",
    );
}

#[test]
fn faults_name_their_place() {
    let SimBlock { block, receipts, .. } = sim_block();
    let check = |place: &str, value: Value, expected: &str| {
        let mut block = block.clone();
        *block.pointer_mut(place).unwrap() = value;
        let error = RawBlock::parse(&raw(&block)).unwrap_err().to_string();
        assert_eq!(error, expected);
    };
    check("/number", json!("seven"), "number: expected a quantity, not \"seven\"");
    check("/hash", json!(null), "hash: missing");
    check("/parentHash", json!("0x12"), "parentHash: expected 32 bytes of hex, not \"0x12\"");
    check(
        "/transactions/3/value",
        json!([1]),
        "transactions[3].value: expected a quantity, not [1]",
    );
    check(
        "/transactions/0",
        json!("0xabcd"),
        "transactions[0]: expected an object, not \"0xabcd\"",
    );
    let mut receipts = json!(receipts);
    receipts[2]["logs"][0]["topics"][1] = json!("0x1");
    assert_eq!(
        RawReceipt::parse_all(&raw(&receipts)).unwrap_err().to_string(),
        "receipts[2].logs[0].topics[1]: expected 32 bytes of hex, not \"0x1\""
    );
}
