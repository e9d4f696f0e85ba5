//! The bytes that Ethereum hashes: headers, transactions and receipts in RLP, of every fork.

use std::collections::HashMap;

use alloy_rlp::{BufMut, EMPTY_STRING_CODE, Encodable};
use wk_model::primitives::{Address, B256, Bloom, keccak256};
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

/// Makes blooms. The same contracts and events come again and again in a block, so that what each
/// sets is remembered.
#[derive(Default)]
pub(super) struct Blooms {
    /// The bits that a topic, or an address with zeros before it, sets.
    bits: HashMap<(B256, bool), [u16; 3]>,
}

impl Blooms {
    /// The bloom over `logs`.
    pub(super) fn of<'a>(&mut self, logs: impl IntoIterator<Item = &'a evm::Log>) -> Bloom {
        let mut bloom = Bloom::ZERO;
        for log in logs {
            self.accrue(&mut bloom, log.address.into_word(), true);
            for topic in &log.topics {
                self.accrue(&mut bloom, *topic, false);
            }
        }
        bloom
    }

    fn accrue(&mut self, bloom: &mut Bloom, word: B256, is_address: bool) {
        let bits = self.bits.entry((word, is_address)).or_insert_with(|| {
            let hash = keccak256(if is_address { &word[12..] } else { &word[..] });
            // Yellow Paper, 4.3.1: the low eleven bits of each of the first three pairs of bytes.
            [0, 2, 4].map(|at| u16::from_be_bytes([hash[at], hash[at + 1]]) & 0x7ff)
        });
        for bit in *bits {
            bloom[255 - usize::from(bit / 8)] |= 1 << (bit % 8);
        }
    }
}

/// The bloom over all logs that are known.
pub(super) fn bloom_of(outcomes: &Outcomes) -> Bloom {
    match outcomes {
        Outcomes::Unknown(_) => Bloom::ZERO,
        Outcomes::Logs(logs) => Blooms::default().of(logs.iter().map(|raw| &raw.log)),
        Outcomes::Receipts(receipts) => {
            Blooms::default().of(receipts.iter().flat_map(|raw| &raw.receipt.logs))
        }
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

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use serde_json::{Value, json};
    use wk_model::primitives::hex;

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        RawValue::from_string(value.to_string()).unwrap()
    }

    /// A header of a Prague devnet, and what its child after Amsterdam has more.
    fn prague() -> Value {
        json!({
            "baseFeePerGas": "0x7", "blobGasUsed": "0x0", "difficulty": "0x0",
            "excessBlobGas": "0x0", "extraData": "0x726574682f76322e372e302f6c696e7578",
            "gasLimit": "0xbebc200", "gasUsed": "0x0",
            "hash": "0x2648510bb7819909b36373a3a2ccda82a51a0c8b154d03ff7710ef8d64b689e6",
            "logsBloom": Bloom::ZERO,
            "miner": "0x8943545177806ed17b9f23f0a21ee5948ecaa776",
            "mixHash": "0x879d6ebf21224bb92a05f0c4d50a2823ae85c1bfda76dd171381184d6f4070c5",
            "nonce": "0x0000000000000000", "number": "0xbf",
            "parentBeaconBlockRoot":
                "0x9bdd621d2614dc45107bc9f80a2221de691a899d7740569523c6e0cc24f4ffd6",
            "parentHash": "0x74f90ca1c71db6591cc4510eb6e831bdf7fcc7beabcdcbfaa1e7cb0788840153",
            "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
            "requestsHash": "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
            "stateRoot": "0xd430244510b470423f038afbfb318f1e8b458357727dd4959845e6b0182fbae8",
            "timestamp": "0x6abd0dc7",
            "transactionsRoot":
                "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
            "withdrawalsRoot":
                "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        })
    }

    #[test]
    fn headers_of_later_forks_and_of_an_l2_hash_to_their_block_hash() {
        let check = |change: &dyn Fn(&mut Value)| {
            let mut header = prague();
            change(&mut header);
            let raw = RawHeader::parse(&raw(&header)).unwrap();
            assert_eq!(raw.unknown, [""; 0], "{header}");
            let bytes = super::header(&raw, &raw.header.extra_data).unwrap();
            assert_eq!(keccak256(bytes), raw.header.hash, "{header}");
        };
        check(&|_| {});
        // The first block after Amsterdam on that devnet.
        check(&|header| {
            for (field, value) in [
                (
                    "blockAccessListHash",
                    "0x1d33a17375e8dd0aef5da65c3f51422043f1c40d52eceaaca238cc92501aa32e",
                ),
                ("hash", "0x86e1583ca604ce5de648b44c41fb309b8dfe72ab21b57ad9f12eb0d92ac991f8"),
                ("mixHash", "0x27184df4d2e2182675a2310a546d32e0d74a7accd4fbeafa84a903cd489dd40c"),
                ("number", "0xc0"),
                (
                    "parentBeaconBlockRoot",
                    "0x1214de134cf32c261ff3c2b6f96435016e9b98bf7dcd4870ad0009a2acf79974",
                ),
                (
                    "parentHash",
                    "0x2648510bb7819909b36373a3a2ccda82a51a0c8b154d03ff7710ef8d64b689e6",
                ),
                ("slotNumber", "0xc0"),
                ("stateRoot", "0x2338ab0cb5b76db31251fc2352e9142fd8b2bf19de6ac4a3c201b84d6ba737d3"),
                ("timestamp", "0x6abd0dcb"),
            ] {
                header[field] = json!(value);
            }
        });
        // OP Mainnet 151,534,212.
        check(&|header| {
            for (field, value) in [
                ("baseFeePerGas", "0x186"),
                ("blobGasUsed", "0x337bb0"),
                ("extraData", "0x01000000fa000000020000000000000000"),
                ("gasLimit", "0x2625a00"),
                ("gasUsed", "0xc091f0"),
                ("hash", "0xe8f38578b756a9fd05ca05dcbe56fd57ce72e9fb06a90e5064562baccf7c7a6e"),
                (
                    "logsBloom",
                    "0x4872328010200000000118820a104000088120ca700030009a84060048c37b00050810003004000000400090250031026044014004022600060801604024004100000000004c20ca2028200943a850a20c848212010c00b0285243002400000134000040020508403000004109001d0001020002080da4041140c11208881c0c002405030800040060210200800804000104948005210000000000562e80001082824000984000000080000004b000002000004000d80008009f0140804008c4011018020830000124009e0c004a008098c00510218003084000800022206400051c0e0900b410002840000a020823202080088040c4088804024000000108a0",
                ),
                ("miner", "0x4200000000000000000000000000000000000011"),
                ("mixHash", "0xb7e417a24558626d905d7ba4244a530feb5dfe3c1133a6f2a40042592edbf6cb"),
                ("number", "0x9083a84"),
                (
                    "parentBeaconBlockRoot",
                    "0x12a26f129e4b1094abe3c40313df0bcff65f2271b8927797eb72fb67a4bf79b2",
                ),
                (
                    "parentHash",
                    "0xf9aac23d07a7983d7a89eb6d8142bdfafbf310aef860d6bea7d26def28820545",
                ),
                (
                    "receiptsRoot",
                    "0x68900de2a05f1b3c98d8494114ab16907c9e5545b95272eb5194f990d0626419",
                ),
                ("stateRoot", "0xac5b500a4a48312cfc55d1e219eaf7c315e23a41132b90aed2cea01c21963b9d"),
                ("timestamp", "0x6a044ec1"),
                (
                    "transactionsRoot",
                    "0xa56fffcc8384271957700fa4023a4a4b7b412596ed52b6522ecc7e3e0ff1e047",
                ),
                (
                    "withdrawalsRoot",
                    "0xebb725766294094628aad41b7ed015b5b9e246018e22a07b9a4c5418f8c19fd0",
                ),
            ] {
                header[field] = json!(value);
            }
        });
    }

    #[test]
    fn a_deposit_of_the_op_stack_hashes_to_its_transaction_hash() {
        // The first transaction of OP Mainnet 128,359,212.
        let input = concat!(
            "0x440a5e200000146b000f79c500000000000000040000000067410f83000000000144320300000000000000",
            "000000000000000000000000000000000000000002fe2cca3c00000000000000000000000000000000000000",
            "000000000000000000001f11bf37aac56bf514562b0ee38600119c0a4f70b20f0c6abc66a2011d1bdd9b18cb",
            "1c0000000000000000000000006887246668a3b87f54deb3b94ba47a6f63f32985",
        );
        let transaction = RawTransaction::parse(&raw(&json!({
            "from": "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0001", "gas": "0xf4240",
            "hash": "0x4fae8f6c70a4f50cf8894bf9847ed364922826658c3cb73e291e03934637a853",
            "input": input, "nonce": "0x160d8b6",
            "to": "0x4200000000000000000000000000000000000015", "transactionIndex": "0x0",
            "value": "0x0", "type": "0x7e", "v": "0x0", "r": "0x0", "s": "0x0", "mint": "0x0",
            "sourceHash": "0xf14ecb423df1f95f609d9781126cdd9ea4d248f4502c083507b2f1f72aa779a8",
            "depositReceiptVersion": "0x1",
        })))
        .unwrap();
        let bytes = super::transaction(&transaction).unwrap();
        assert_eq!(keccak256(bytes), transaction.transaction.hash);
    }

    #[test]
    fn unknown_types_are_said_to_be_unknown() {
        let transaction = RawTransaction {
            transaction: evm::Transaction { kind: 0x6a, ..Default::default() },
            ..Default::default()
        };
        let gap = super::transaction(&transaction).unwrap_err();
        assert_eq!(gap, "transaction type 0x6a is not known here");
    }

    #[test]
    fn bft_seals_are_taken_off_in_every_form() {
        // Vanity, one validator, no vote, round 3, one seal.
        let seals = list(|out| out.extend(list(|out| vec![7_u8; 65].as_slice().encode(out))));
        let validators = list(|out| Address::repeat_byte(1).encode(out));
        let extra = list(|out| {
            B256::repeat_byte(0).encode(out);
            out.extend(&validators);
            out.extend([0xc0]);
            3_u8.encode(out);
            out.extend(&seals);
        });
        let forms = unsealed(&extra);
        assert_eq!(forms.len(), 4);
        assert!(forms.iter().all(|form| form.len() < extra.len() - 60), "{forms:?}");
        for garbage in ["", "00", "c0", "f8ff", "c58080808080ff", "ffffffffffffffffff"] {
            let _ = unsealed(&hex::decode(garbage).unwrap());
        }
    }
}
