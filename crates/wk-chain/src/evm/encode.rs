//! The bytes that Ethereum hashes: headers, transactions and receipts in RLP, of every fork.

use alloy_rlp::{BufMut, EMPTY_STRING_CODE, Encodable};
use wk_model::primitives::{Address, B256, Bloom};
use wk_model::{Height, evm};

use super::verify::Outcomes;
use super::wire::{Authorization, RawHeader, RawReceipt, RawTransaction};

/// Type byte of an OP Stack deposit.
pub(super) const DEPOSIT: u8 = 0x7e;

/// What makes a hash impossible to compute, in words.
pub(super) type Gap = String;

/// The header's bytes with `extra_data` in place of its own.
pub(super) fn header(raw: &RawHeader, extra_data: &[u8]) -> Result<Vec<u8>, Gap> {
    let evm::Header {
        height: Height(number),
        hash: _,
        parent_hash,
        time,
        beneficiary,
        state_root,
        transactions_root,
        receipts_root,
        logs_bloom: _,
        gas_used,
        gas_limit,
        base_fee_per_gas,
        blob_gas_used,
        excess_blob_gas,
        extra_data: _,
        size: _,
    } = &raw.header;
    let missing = |field: &str| format!("the endpoint gives no {field}");
    let ommers_hash = raw.ommers_hash.ok_or_else(|| missing("sha3Uncles"))?;
    let logs_bloom = raw.logs_bloom.ok_or_else(|| missing("logsBloom"))?;
    let difficulty = raw.difficulty.ok_or_else(|| missing("difficulty"))?;
    let mix_hash = raw.mix_hash.ok_or_else(|| missing("mixHash"))?;
    let nonce = raw.nonce.ok_or_else(|| missing("nonce"))?;
    Ok(list(|out| {
        parent_hash.encode(out);
        ommers_hash.encode(out);
        beneficiary.encode(out);
        state_root.encode(out);
        transactions_root.encode(out);
        receipts_root.encode(out);
        logs_bloom.encode(out);
        difficulty.encode(out);
        number.encode(out);
        gas_limit.encode(out);
        gas_used.encode(out);
        time.0.encode(out);
        extra_data.encode(out);
        mix_hash.encode(out);
        nonce.encode(out);
        // Each fork adds fields at the end. A chain that skips one has an empty string there.
        let later: [Option<&dyn Encodable>; 8] = [
            base_fee_per_gas.as_ref().map(|value| value as &dyn Encodable),
            raw.withdrawals_root.as_ref().map(|value| value as &dyn Encodable),
            blob_gas_used.as_ref().map(|value| value as &dyn Encodable),
            excess_blob_gas.as_ref().map(|value| value as &dyn Encodable),
            raw.parent_beacon_block_root.as_ref().map(|value| value as &dyn Encodable),
            raw.requests_hash.as_ref().map(|value| value as &dyn Encodable),
            raw.block_access_list_hash.as_ref().map(|value| value as &dyn Encodable),
            raw.slot_number.as_ref().map(|value| value as &dyn Encodable),
        ];
        let used = later.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        for field in &later[..used] {
            match field {
                Some(field) => field.encode(out),
                None => out.put_u8(EMPTY_STRING_CODE),
            }
        }
    }))
}

/// The transaction's bytes as they stand in the transaction trie and are hashed.
pub(super) fn transaction(raw: &RawTransaction) -> Result<Vec<u8>, Gap> {
    let evm::Transaction {
        hash: _,
        index: _,
        kind,
        from,
        to,
        value,
        input,
        nonce,
        gas,
        gas_price,
        max_fee_per_gas,
        max_priority_fee_per_gas,
        blob_count: _,
        receipt: _,
    } = &raw.transaction;
    let gas_price = gas_price.unwrap_or_default();
    let max_fee = max_fee_per_gas.unwrap_or_default();
    let priority_fee = max_priority_fee_per_gas.unwrap_or_default();
    let chain_id = raw.chain_id.unwrap_or_default();
    let sign = |out: &mut Vec<u8>| {
        raw.v.encode(out);
        raw.r.encode(out);
        raw.s.encode(out);
    };
    let payload = match kind {
        0 => list(|out| {
            nonce.encode(out);
            gas_price.encode(out);
            gas.encode(out);
            receiver(*to, out);
            value.encode(out);
            input.encode(out);
            sign(out);
        }),
        1 => list(|out| {
            chain_id.encode(out);
            nonce.encode(out);
            gas_price.encode(out);
            gas.encode(out);
            receiver(*to, out);
            value.encode(out);
            input.encode(out);
            access_list(&raw.access_list, out);
            sign(out);
        }),
        2..=4 => list(|out| {
            chain_id.encode(out);
            nonce.encode(out);
            priority_fee.encode(out);
            max_fee.encode(out);
            gas.encode(out);
            receiver(*to, out);
            value.encode(out);
            input.encode(out);
            access_list(&raw.access_list, out);
            match kind {
                3 => {
                    raw.max_fee_per_blob_gas.encode(out);
                    alloy_rlp::encode_list::<B256, B256>(&raw.blob_hashes, out);
                }
                4 => authorizations(&raw.authorizations, out),
                _ => {}
            }
            sign(out);
        }),
        &DEPOSIT => {
            let deposit = raw
                .deposit
                .as_ref()
                .ok_or_else(|| "a deposit comes without sourceHash".to_owned())?;
            list(|out| {
                deposit.source_hash.encode(out);
                from.encode(out);
                receiver(*to, out);
                deposit.mint.encode(out);
                value.encode(out);
                gas.encode(out);
                deposit.is_system.encode(out);
                input.encode(out);
            })
        }
        other => return Err(format!("transaction type 0x{other:x} is not known here")),
    };
    Ok(typed(*kind, payload))
}

/// The receipt's bytes as they stand in the receipt trie. `kind` is the transaction's type,
/// `bloom` the bloom over the receipt's logs.
pub(super) fn receipt(raw: &RawReceipt, kind: u8, bloom: &Bloom) -> Result<Vec<u8>, Gap> {
    let cumulative_gas_used = raw
        .cumulative_gas_used
        .ok_or_else(|| "the endpoint gives no cumulativeGasUsed".to_owned())?;
    let state_root = match (raw.receipt.success, raw.root) {
        (Some(_), _) => None,
        (None, Some(root)) => Some(root),
        (None, None) => return Err("the endpoint gives neither status nor root".to_owned()),
    };
    let payload = list(|out| {
        match state_root {
            Some(root) => root.encode(out),
            None => (raw.receipt.success == Some(true)).encode(out),
        }
        cumulative_gas_used.encode(out);
        bloom.encode(out);
        logs(&raw.receipt.logs, out);
        // Deposits carry their nonce in the trie since Canyon, which also brought the version.
        if let (DEPOSIT, Some(version)) = (kind, raw.deposit_version) {
            raw.deposit_nonce.unwrap_or_default().encode(out);
            version.encode(out);
        }
    });
    Ok(typed(kind, payload))
}

/// The bloom over `logs`.
pub(super) fn bloom<'a>(logs: impl Iterator<Item = &'a evm::Log>) -> Bloom {
    let mut bloom = Bloom::ZERO;
    for log in logs {
        bloom.accrue_raw_log(log.address, &log.topics);
    }
    bloom
}

/// The bloom over all logs that are known.
pub(super) fn bloom_of(outcomes: &Outcomes) -> Bloom {
    match outcomes {
        Outcomes::Unknown(_) => Bloom::ZERO,
        Outcomes::Logs(logs) => bloom(logs.iter().map(|raw| &raw.log)),
        Outcomes::Receipts(receipts) => bloom(receipts.iter().flat_map(|raw| &raw.receipt.logs)),
    }
}

/// `extraData` of a Besu IBFT or QBFT header in the forms that its hash may be made of: the
/// signatures were added after hashing. Empty when it is no such thing.
pub(super) fn unsealed(extra_data: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = extra_data;
    let Ok(header) = alloy_rlp::Header::decode(&mut rest) else { return Vec::new() };
    if !header.list || header.payload_length != rest.len() {
        return Vec::new();
    }
    // Vanity, validators, vote, round, seals.
    let mut items: Vec<&[u8]> = Vec::new();
    while !rest.is_empty() && items.len() < 6 {
        let whole = rest;
        let Ok(item) = alloy_rlp::Header::decode(&mut rest) else { return Vec::new() };
        if item.payload_length > rest.len() {
            return Vec::new();
        }
        rest = &rest[item.payload_length..];
        items.push(&whole[..whole.len() - rest.len()]);
    }
    let [vanity, validators, vote, round, _seals] = items[..] else { return Vec::new() };
    const EMPTY_LIST: &[u8] = &[0xc0];
    const ZERO: &[u8] = &[0x80];
    let forms: [&[&[u8]]; 4] = [
        &[vanity, validators, vote, round, EMPTY_LIST],
        &[vanity, validators, vote, ZERO, EMPTY_LIST],
        &[vanity, validators, vote, round],
        &[vanity, validators, vote],
    ];
    forms
        .into_iter()
        .map(|items| list(|out| items.iter().for_each(|item| out.extend_from_slice(item))))
        .collect()
}

/// An RLP list of what `write` writes.
fn list(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut payload = Vec::with_capacity(256);
    write(&mut payload);
    let mut out = Vec::with_capacity(payload.len() + 9);
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(&payload);
    out
}

/// EIP-2718: the type's byte in front, except for legacy.
fn typed(kind: u8, mut payload: Vec<u8>) -> Vec<u8> {
    if kind != 0 {
        payload.insert(0, kind);
    }
    payload
}

fn receiver(to: Option<Address>, out: &mut Vec<u8>) {
    match to {
        Some(to) => to.encode(out),
        None => out.put_u8(EMPTY_STRING_CODE),
    }
}

fn access_list(entries: &[(Address, Vec<B256>)], out: &mut Vec<u8>) {
    out.extend_from_slice(&list(|out| {
        for (address, keys) in entries {
            out.extend_from_slice(&list(|out| {
                address.encode(out);
                alloy_rlp::encode_list::<B256, B256>(keys, out);
            }));
        }
    }));
}

fn authorizations(entries: &[Authorization], out: &mut Vec<u8>) {
    out.extend_from_slice(&list(|out| {
        for Authorization { chain_id, address, nonce, y_parity, r, s } in entries {
            out.extend_from_slice(&list(|out| {
                let fields: [&dyn Encodable; 6] = [chain_id, address, nonce, y_parity, r, s];
                fields.iter().for_each(|field| field.encode(out));
            }));
        }
    }));
}

fn logs(logs: &[evm::Log], out: &mut Vec<u8>) {
    out.extend_from_slice(&list(|out| {
        for evm::Log { address, topics, data, index: _ } in logs {
            out.extend_from_slice(&list(|out| {
                address.encode(out);
                alloy_rlp::encode_list::<B256, B256>(topics, out);
                data.encode(out);
            }));
        }
    }));
}
