//! Whatever comes in, nothing panics; whatever alloy encodes, we decode to the same values.

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{Address, B256, Function, I256, U256, keccak256};
use proptest::prelude::*;
use serde_json::json;
use wk_chain::abi::{
    CustomError, Decoder, Event, Item, Origin, Shown, kind_name, parse_abi, to_json, transfers,
};
use wk_model::evm::{Log, Receipt, Transaction};
use wk_model::{ChainName, Height};

/// Types as deep and wide as real contracts have them.
fn kind() -> impl Strategy<Value = DynSolType> {
    let word = prop_oneof![
        Just(DynSolType::Bool),
        (1usize..=32).prop_map(|bytes| DynSolType::Int(bytes * 8)),
        (1usize..=32).prop_map(|bytes| DynSolType::Uint(bytes * 8)),
        (1usize..=32).prop_map(DynSolType::FixedBytes),
        Just(DynSolType::Address),
        Just(DynSolType::Function),
        Just(DynSolType::Bytes),
        Just(DynSolType::String),
    ];
    word.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|kind| DynSolType::Array(Box::new(kind))),
            (inner.clone(), 1usize..4)
                .prop_map(|(kind, length)| DynSolType::FixedArray(Box::new(kind), length)),
            prop::collection::vec(inner, 1..4).prop_map(DynSolType::Tuple),
        ]
    })
}

/// A value of a type.
fn value(kind: DynSolType) -> BoxedStrategy<DynSolValue> {
    match kind {
        DynSolType::Bool => any::<bool>().prop_map(DynSolValue::Bool).boxed(),
        DynSolType::Int(bits) => any::<[u8; 32]>()
            .prop_map(move |bytes| {
                let unused = 256 - bits;
                let value = I256::from_be_bytes(bytes).wrapping_shl(unused).asr(unused);
                DynSolValue::Int(value, bits)
            })
            .boxed(),
        DynSolType::Uint(bits) => any::<[u8; 32]>()
            .prop_map(move |bytes| {
                DynSolValue::Uint(U256::from_be_bytes(bytes) >> (256 - bits), bits)
            })
            .boxed(),
        DynSolType::FixedBytes(size) => any::<[u8; 32]>()
            .prop_map(move |mut bytes| {
                bytes[size..].fill(0);
                DynSolValue::FixedBytes(bytes.into(), size)
            })
            .boxed(),
        DynSolType::Address => {
            any::<[u8; 20]>().prop_map(|bytes| DynSolValue::Address(bytes.into())).boxed()
        }
        DynSolType::Function => {
            any::<[u8; 24]>().prop_map(|bytes| DynSolValue::Function(Function::from(bytes))).boxed()
        }
        DynSolType::Bytes => {
            prop::collection::vec(any::<u8>(), 0..70).prop_map(DynSolValue::Bytes).boxed()
        }
        DynSolType::String => ".{0,40}".prop_map(DynSolValue::String).boxed(),
        DynSolType::Array(inner) => {
            prop::collection::vec(value(*inner), 0..4).prop_map(DynSolValue::Array).boxed()
        }
        DynSolType::FixedArray(inner, length) => {
            prop::collection::vec(value(*inner), length).prop_map(DynSolValue::FixedArray).boxed()
        }
        DynSolType::Tuple(kinds) => {
            kinds.into_iter().map(value).collect::<Vec<_>>().prop_map(DynSolValue::Tuple).boxed()
        }
    }
}

/// Parameters with values, of which the first few may be indexed.
fn arguments() -> impl Strategy<Value = Vec<(DynSolType, DynSolValue, bool)>> {
    let argument = (kind(), any::<bool>())
        .prop_flat_map(|(kind, indexed)| (Just(kind.clone()), value(kind), Just(indexed)));
    prop::collection::vec(argument, 0..5).prop_map(|mut arguments| {
        let mut left = 3;
        for (_, _, indexed) in &mut arguments {
            *indexed &= left > 0;
            left -= usize::from(*indexed);
        }
        arguments
    })
}

fn chain() -> ChainName {
    ChainName::new("mainnet")
}

const WATCHED: Address = Address::repeat_byte(0xaa);

/// A decoder that watches one contract with these signatures.
fn decoder(signatures: &[String]) -> Decoder {
    let config: wk_chain::abi::ContractConfig =
        serde_json::from_value(json!({"address": WATCHED.to_string(), "abi": signatures}))
            .expect("valid settings");
    let contract = config
        .build("watched", &[chain()], &|_| unreachable!("no file"))
        .expect("valid signatures");
    Decoder::build(vec![contract]).expect("one contract")
}

fn signature(arguments: &[(DynSolType, DynSolValue, bool)]) -> String {
    let params: Vec<String> = arguments
        .iter()
        .zip(0..)
        .map(|((kind, _, indexed), index)| {
            format!("{}{} p{index}", kind_name(kind), if *indexed { " indexed" } else { "" })
        })
        .collect();
    format!("event Any({})", params.join(", "))
}

/// Texts that look a little like ABIs, so that more of the reader is reached.
fn abi_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("event ".to_owned()),
        Just("function ".to_owned()),
        Just("error ".to_owned()),
        Just("indexed ".to_owned()),
        Just("tuple(".to_owned()),
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(";\n".to_owned()),
        Just("//".to_owned()),
        Just("uint256 ".to_owned()),
        Just("bytes ".to_owned()),
        Just("\"type\":\"event\",".to_owned()),
        Just("{\"abi\":[".to_owned()),
        Just("\"inputs\":[{\"type\":\"tuple\",\"components\":[".to_owned()),
        Just("}]".to_owned()),
        "[a-zA-Z0-9_ é]{0,6}",
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn decodes_what_alloy_encodes(arguments in arguments()) {
        let text = signature(&arguments);
        let event = Event::parse(&text).expect("it is well-formed");
        // alloy reads the same signature, and hashes it the same.
        let theirs = alloy_json_abi::Event::parse(&text).expect("it is well-formed");
        prop_assert_eq!(event.topic0(), theirs.selector());
        prop_assert_eq!(&**event.signature(), theirs.signature());

        let mut topics = vec![event.topic0()];
        let mut body = Vec::new();
        let mut expected = Vec::new();
        for (kind, value, indexed) in &arguments {
            if !*indexed {
                body.push(value.clone());
                expected.push(value.clone());
            } else if let Some(word) = value.as_word() {
                topics.push(word);
                expected.push(value.clone());
            } else {
                let hash = keccak256(kind_name(kind));
                topics.push(hash);
                expected.push(DynSolValue::FixedBytes(hash, 32));
            }
        }
        let data = DynSolValue::Tuple(body).abi_encode_params();
        let log = Log { address: WATCHED, topics, data: data.into(), index: 0 };
        prop_assert_eq!(event.decode(&log).expect("it is its log"), expected.clone());

        // The same through the decoder; and what it says can be sent and shown.
        let decoder = decoder(&[text]);
        let decoded = decoder.log(&chain(), Height(1), &log).event.expect("it is known");
        prop_assert_eq!(decoded.origin, Origin::Contract);
        prop_assert_eq!(&decoded.values, &expected);
        prop_assert_eq!(decoded.to_json().len(), arguments.len());
        for param in decoded.params() {
            let _ = (to_json(param.spec, param.value), Shown(param.value).to_string());
        }

        // One word less does not decode, unless the last word was only padding or empty.
        if log.data.len() >= 32 && log.data.len().is_multiple_of(32) {
            let cut = Log { data: log.data.slice(..log.data.len() - 32), ..log.clone() };
            if let Ok(values) = event.decode(&cut) {
                prop_assert_eq!(values.len(), expected.len());
            }
        }
    }

    #[test]
    fn calls_and_errors_come_back(arguments in arguments()) {
        let kinds: Vec<String> = arguments.iter().map(|(kind, ..)| kind_name(kind)).collect();
        let values: Vec<DynSolValue> = arguments.into_iter().map(|(_, value, _)| value).collect();
        let text = format!("f({})", kinds.join(","));
        let function = wk_chain::abi::Function::parse(&text).expect("it is well-formed");
        let input = function.encode(&values).expect("the values fit");
        prop_assert_eq!(function.decode_input(&input).expect("it is its call"), values.clone());
        let error = CustomError::parse(&text).expect("it is well-formed");
        prop_assert_eq!(error.selector(), function.selector());
        let decoder = decoder(&[format!("error {text}")]);
        let revert = decoder.revert(&chain(), Some(WATCHED), &input).revert;
        match revert {
            wk_chain::abi::Revert::Custom(error) => prop_assert_eq!(error.values, values),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}", like in abi_like()) {
        for text in [text, like] {
            if let Err(error) = parse_abi(&text) {
                prop_assert!(!error.to_string().is_empty());
            }
            for error in [
                Event::parse(&text).err(),
                wk_chain::abi::Function::parse(&text).err(),
                CustomError::parse(&text).err(),
            ].into_iter().flatten() {
                // The place is one inside the text, between characters.
                if let Some((offset, length)) = error.span {
                    prop_assert!(text.get(offset..offset + length).is_some(), "{error}: {text:?}");
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_kept_raw(
        kinds in prop::collection::vec(kind(), 0..4),
        topics in prop::collection::vec(any::<[u8; 32]>(), 0..6),
        words in prop::collection::vec(
            // Small numbers make offsets and lengths that lead somewhere.
            prop_oneof![
                (0u64..40).prop_map(|number| U256::from(number * 16).to_be_bytes::<32>()),
                any::<[u8; 32]>(),
            ],
            0..24,
        ),
        cut in 0usize..32,
        known in any::<prop::sample::Index>(),
    ) {
        let kinds: Vec<String> = kinds.iter().map(kind_name).collect();
        let named = format!("event E({})", kinds.join(","));
        let event = Event::parse(&named).expect("it is well-formed");
        let decoder = decoder(&[
            named,
            format!("event A({}) anonymous", kinds.join(",")),
            format!("f({})", kinds.join(",")),
            format!("error X({})", kinds.join(",")),
        ]);
        let mut data = words.concat();
        data.truncate(data.len().saturating_sub(cut));
        let mut topics: Vec<B256> = topics.into_iter().map(B256::from).collect();
        let rows: Vec<&str> =
            include_str!("../../src/abi/known_events.tsv").lines().skip(1).collect();
        let standard: B256 =
            rows[known.index(rows.len())][..66].parse().expect("the first column");
        for first in [None, Some(event.topic0()), Some(standard)] {
            if let (Some(first), Some(topic)) = (first, topics.first_mut()) {
                *topic = first;
            }
            for address in [WATCHED, Address::ZERO, Address::repeat_byte(0xff)] {
                let log =
                    Log { address, topics: topics.clone(), data: data.clone().into(), index: 0 };
                let decoded = decoder.log(&chain(), Height(1), &log);
                if let Some(event) = &decoded.event {
                    let _ = (event.to_string(), event.to_json());
                }
                let tx = Transaction {
                    to: Some(address),
                    input: data.clone().into(),
                    receipt: Some(Receipt { logs: vec![log], ..Receipt::default() }),
                    ..Transaction::default()
                };
                let found = transfers(&tx);
                prop_assert!(found.transfers.len() <= 1 + data.len() / 32);
                let _ = decoder.call(&chain(), Height(1), &tx);
            }
        }
        for revert in [&data[..], &[&[0x08, 0xc3, 0x79, 0xa0], &data[..]].concat()] {
            let _ = decoder.revert(&chain(), None, revert).revert.to_string();
        }
    }
}

#[test]
fn a_hundred_thousand_transfers_are_decoded_quickly() {
    const LOGS: u32 = 100_000;
    let signature = "event Transfer(address indexed from, address indexed to, uint256 value)";
    let topic0 = Event::parse(signature).expect("it is one").topic0();
    let log = |address: Address, value: u32| Log {
        address,
        topics: vec![topic0, B256::left_padding_from(&[1; 20]), B256::left_padding_from(&[2; 20])],
        data: B256::from(U256::from(value)).to_vec().into(),
        index: 0,
    };
    let decoder = decoder(&[signature.to_owned()]);
    let chain = chain();
    for (what, address) in [("watched", WATCHED), ("well-known", Address::repeat_byte(0xbb))] {
        let logs: Vec<Log> = (0..LOGS).map(|value| log(address, value)).collect();
        let started = std::time::Instant::now();
        let mut sum = U256::ZERO;
        for log in &logs {
            let event = decoder.log(&chain, Height(1), log).event.expect("it is a transfer");
            sum += event.values[2].as_uint().expect("an amount").0;
        }
        let took = started.elapsed();
        assert_eq!(sum, U256::from(u64::from(LOGS) * u64::from(LOGS - 1) / 2));
        println!(
            "{what}: {LOGS} transfers in {took:?}, {:.0} a second",
            f64::from(LOGS) / took.as_secs_f64()
        );
        // A hundred times what a loaded machine needs; the number above is what to look at.
        assert!(took.as_secs() < 20, "{took:?}");
    }
}
