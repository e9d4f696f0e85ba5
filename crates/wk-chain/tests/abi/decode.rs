//! Logs, calls and revert data decoded: own ABIs, well-known signatures, collisions, hostile data.

use std::path::Path;

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{Address, B256, Bytes, U256, address, b256, hex, keccak256};
use serde_json::json;
use wk_chain::abi::{
    Call, ContractConfig, CustomError, DecodedLog, Decoder, Event, Function, Item, Origin,
    parse_abi,
};
use wk_model::evm::{Log, Transaction};
use wk_model::{ChainName, Height};

const VAULT: Address = address!("0x00000000000000000000000000000000000000aa");
const OTHER: Address = address!("0x00000000000000000000000000000000000000bb");
const ALICE: Address = address!("0x00000000000000000000000000000000000a11ce");

fn chain() -> ChainName {
    ChainName::new("mainnet")
}

/// A decoder that watches `vault` with these signatures.
fn decoder(abi: &[&str]) -> Decoder {
    let config: ContractConfig =
        serde_json::from_value(json!({"address": VAULT.to_string(), "abi": abi}))
            .expect("valid settings");
    let contract = config
        .build("vault", &[chain()], &|_| unreachable!("no file is named"))
        .expect("valid signatures");
    Decoder::build(vec![contract]).expect("one contract")
}

fn log(address: Address, topics: &[B256], words: &[B256]) -> Log {
    Log { address, topics: topics.to_vec(), data: words.concat().into(), index: 0 }
}

fn word(value: u64) -> B256 {
    B256::from(U256::from(value))
}

fn topic0(signature: &str) -> B256 {
    keccak256(signature)
}

/// `contract? origin name(param: value, …)`, or `raw`.
fn shown(decoded: &DecodedLog<'_>) -> String {
    let contract = decoded.contract.as_ref().map_or("-", |contract| &contract.name);
    match &decoded.event {
        None => format!("{contract} raw"),
        Some(event) => {
            let origin = match event.origin {
                Origin::Contract => "own".to_owned(),
                Origin::Implementation(address) => address.to_string(),
                Origin::Known(standard) => standard.to_owned(),
            };
            format!("{contract} [{origin}] {event}")
        }
    }
}

fn check(abi: &[&str], log: &Log, expected: &str) {
    let decoder = decoder(abi);
    let decoded = decoder.log(&chain(), Height(1), log);
    assert_eq!(shown(&decoded), expected, "{log:?}");
    assert_eq!(decoded.log, log, "the log is never lost");
}

#[test]
fn own_abi_comes_first_and_unknown_stays_raw() {
    let withdraw = ["event Withdraw(address indexed to, uint256 amount)"];
    let topics = [topic0("Withdraw(address,uint256)"), ALICE.into_word()];
    let alice = "0x00000000000000000000000000000000000a11ce";

    let good = log(VAULT, &topics, &[word(5)]);
    check(&withdraw, &good, &format!("vault [own] Withdraw(to: {alice}, amount: 5)"));
    // The same log from elsewhere is nobody's.
    check(&withdraw, &log(OTHER, &topics, &[word(5)]), "- raw");
    // Too few topics, too little data, another event, nothing at all.
    check(&withdraw, &log(VAULT, &topics[..1], &[word(5)]), "vault raw");
    check(&withdraw, &log(VAULT, &topics, &[]), "vault raw");
    check(&withdraw, &log(VAULT, &[word(1), word(2)], &[word(5)]), "vault raw");
    check(&withdraw, &log(VAULT, &[], &[]), "vault raw");
    // Data may go on after the last value.
    let more = log(VAULT, &topics, &[word(5), word(6)]);
    check(&withdraw, &more, &format!("vault [own] Withdraw(to: {alice}, amount: 5)"));
    // One's own contract is believed even with stray bits: a rule must not be evaded by them.
    let dirty = [topics[0], B256::repeat_byte(0xff)];
    check(
        &withdraw,
        &log(VAULT, &dirty, &[word(5)]),
        "vault [own] Withdraw(to: 0xffffffffffffffffffffffffffffffffffffffff, amount: 5)",
    );
}

#[test]
fn collisions_are_told_apart() {
    let transfer = topic0("Transfer(address,address,uint256)");
    let (a, b) = (word(1), word(2));
    let one = "0x0000000000000000000000000000000000000001";
    let two = "0x0000000000000000000000000000000000000002";
    let erc20 = format!("- [ERC20] Transfer(from: {one}, to: {two}, value: 7)");
    let erc721 = format!("- [ERC721] Transfer(from: {one}, to: {two}, tokenId: 7)");

    // By the number of topics.
    check(&[], &log(OTHER, &[transfer, a, b], &[word(7)]), &erc20);
    check(&[], &log(OTHER, &[transfer, a, b, word(7)], &[]), &erc721);
    // Of neither shape.
    check(&[], &log(OTHER, &[transfer], &[a, b, word(7)]), "- raw");
    check(&[], &log(OTHER, &[transfer, a], &[b, word(7)]), "- raw");
    // Strange contracts are not believed when values are not clean.
    check(&[], &log(OTHER, &[transfer, B256::repeat_byte(1), b], &[word(7)]), "- raw");
    check(&[], &log(OTHER, &[transfer, a, b], &[]), "- raw");

    // By the address: own names, and own ideas about what is indexed.
    let names = ["event Transfer(address indexed src, address indexed dst, uint256 wad)"];
    let own = format!("vault [own] Transfer(src: {one}, dst: {two}, wad: 7)");
    check(&names, &log(VAULT, &[transfer, a, b], &[word(7)]), &own);
    // Where the own ABI does not fit, the well-known one may.
    let known = erc721.replace("- ", "vault ");
    check(&names, &log(VAULT, &[transfer, a, b, word(7)], &[]), &known);
    let kitties = ["event Transfer(address from, address to, uint256 tokenId)"];
    let own = format!("vault [own] Transfer(from: {one}, to: {two}, tokenId: 7)");
    check(&kitties, &log(VAULT, &[transfer], &[a, b, word(7)]), &own);

    // By what decodes cleanly: the same topics, other parameters indexed.
    let overloads = ["event E(uint8 indexed a, address b)", "event E(uint8 a, address indexed b)"];
    let e = topic0("E(uint8,address)");
    let big = B256::from(ALICE.into_word());
    check(
        &overloads,
        &log(VAULT, &[e, word(3)], &[big]),
        "vault [own] E(a: 3, b: 0x00000000000000000000000000000000000a11ce)",
    );
    check(
        &overloads,
        &log(VAULT, &[e, big], &[word(3)]),
        "vault [own] E(a: 3, b: 0x00000000000000000000000000000000000a11ce)",
    );
}

#[test]
fn anonymous_events_are_known_by_contract_and_shape() {
    let note = ["event Note(bytes4 indexed sig, address indexed who, uint256 x) anonymous"];
    let sig = b256!("0xa9059cbb00000000000000000000000000000000000000000000000000000000");
    let alice = "0x00000000000000000000000000000000000a11ce";
    let good = log(VAULT, &[sig, ALICE.into_word()], &[word(5)]);
    check(&note, &good, &format!("vault [own] Note(sig: 0xa9059cbb, who: {alice}, x: 5)"));
    // Nothing but the shape tells what it is, so the shape has to be right.
    check(&note, &log(VAULT, &[sig, B256::repeat_byte(1)], &[word(5)]), "vault raw");
    check(&note, &log(VAULT, &[sig, ALICE.into_word()], &[]), "vault raw");
    check(&note, &log(VAULT, &[sig], &[word(5)]), "vault raw");
    check(&note, &log(OTHER, &[sig, ALICE.into_word()], &[word(5)]), "- raw");
    // A named event is never taken for an anonymous one.
    let both = [note[0], "event Named(address indexed who, uint256 x)"];
    let named = log(VAULT, &[topic0("Named(address,uint256)"), ALICE.into_word()], &[word(5)]);
    check(&both, &named, &format!("vault [own] Named(who: {alice}, x: 5)"));
    // No topics at all.
    let plain = ["event Plain(uint256 x) anonymous"];
    check(&plain, &log(VAULT, &[], &[word(5)]), "vault [own] Plain(x: 5)");
}

#[test]
fn values_are_shown_and_sent() {
    let event = Event::parse(
        "event All(bool a, int8 b, uint256 c, bytes3 d, bytes e, string f, (address who, \
         uint128[] amounts)[] g, string indexed h, bytes[2] i, function j)",
    )
    .expect("it is one");
    let hash = keccak256("hidden");
    let values = [
        DynSolValue::Bool(true),
        DynSolValue::Int(alloy_primitives::I256::MINUS_ONE, 8),
        DynSolValue::Uint(U256::MAX, 256),
        DynSolValue::FixedBytes(B256::right_padding_from(&[1, 2, 3]), 3),
        DynSolValue::Bytes(vec![0xde, 0xad]),
        DynSolValue::String("no \u{202e}evil\n".into()),
        DynSolValue::Array(vec![DynSolValue::Tuple(vec![
            DynSolValue::Address(ALICE),
            DynSolValue::Array(vec![DynSolValue::Uint(U256::from(9), 128)]),
        ])]),
        DynSolValue::FixedArray(vec![DynSolValue::Bytes(vec![]), DynSolValue::Bytes(vec![7; 99])]),
        DynSolValue::Function(alloy_primitives::Function::repeat_byte(2)),
    ];
    let emitted = Log {
        address: VAULT,
        topics: vec![event.topic0(), hash],
        data: DynSolValue::Tuple(values.to_vec()).abi_encode_params().into(),
        index: 0,
    };
    let decoder = decoder(&[
        "event All(bool a, int8 b, uint256 c, bytes3 d, bytes e, string f, (address who, uint128[] \
         amounts)[] g, string indexed h, bytes[2] i, function j)",
    ]);
    let decoded = decoder.log(&chain(), Height(1), &emitted).event.expect("it is decoded");
    assert_eq!(
        serde_json::Value::Object(decoded.to_json()),
        json!({
            "a": true,
            "b": "-1",
            "c": U256::MAX.to_string(),
            "d": "0x010203",
            "e": "0xdead",
            "f": "no \u{202e}evil\n",
            "g": [{"who": "0x00000000000000000000000000000000000a11ce", "amounts": ["9"]}],
            "h": hash.to_string(),
            "i": ["0x", format!("0x{}", "07".repeat(99))],
            "j": format!("0x{}", "02".repeat(24)),
        })
    );
    let max = U256::MAX;
    assert_eq!(
        decoded.to_string(),
        format!(
            "All(a: true, b: -1, c: {max}, d: 0x010203, e: 0xdead, f: \"no \\u{{202e}}evil\\u{{a}}\", \
             g: [(0x00000000000000000000000000000000000a11ce, [9])], h: {hash}, \
             i: [0x, 0x{}… (99 bytes)], j: 0x{})",
            "07".repeat(96),
            "02".repeat(24),
        )
    );
    assert_eq!(decoded.get("c"), Some(&DynSolValue::Uint(U256::MAX, 256)));
    assert_eq!(decoded.get("none"), None);
    let hidden = decoded.params().find(|param| param.name == "h").expect("it is there");
    assert!(hidden.indexed && hidden.spec.is_hashed());
    assert_eq!(hidden.kind, &DynSolType::String);
    assert_eq!(hidden.spec.value_kind(), DynSolType::FixedBytes(32));
}

#[test]
fn values_that_do_not_fit_their_type_are_cut_as_the_chain_does() {
    let dirty = B256::repeat_byte(0xff);
    for (kind, expected) in [
        ("bool", json!(true)),
        ("uint8", json!("255")),
        ("int16", json!("-1")),
        ("address", json!("0xffffffffffffffffffffffffffffffffffffffff")),
        ("bytes2", json!("0xffff")),
    ] {
        let signature = format!("event E({kind} x)");
        let event = Event::parse(&signature).expect("it is one");
        let log = log(VAULT, &[event.topic0()], &[dirty]);
        let decoder = decoder(&[&signature]);
        let decoded = decoder.log(&chain(), Height(1), &log).event.expect("it is decoded");
        assert_eq!(decoded.to_json()["x"], expected, "{kind}");
    }
}

fn call(to: Option<Address>, input: &[u8]) -> Transaction {
    Transaction { to, input: Bytes::copy_from_slice(input), ..Transaction::default() }
}

#[test]
fn calls_are_decoded_by_selector() {
    let abi = ["function transfer(address dst, uint256 wad)", "f(uint256)", "f(bool)"];
    let decoder = decoder(&abi);
    let transfer = Function::parse("transfer(address,uint256)").expect("it is one");
    let arguments = [DynSolValue::Address(ALICE), DynSolValue::Uint(U256::from(5), 256)];
    let input = transfer.encode(&arguments).expect("they fit");
    let f_true = [&hex!("98c3a6c1")[..], word(1).as_slice()].concat();
    assert_eq!(&f_true[..4], Function::parse("f(bool)").expect("it is one").selector().as_slice());

    let alice = "0x00000000000000000000000000000000000a11ce";
    let mut tagged = input.clone();
    tagged.extend(b"referrer");
    let mut dirty = input.clone();
    dirty[4] = 1;
    let cases: Vec<(Option<Address>, &[u8], String)> = vec![
        (Some(VAULT), &input, format!("transfer(dst: {alice}, wad: 5)")),
        (Some(OTHER), &input, format!("transfer(to: {alice}, amount: 5)")),
        (Some(VAULT), &f_true, "f(arg0: true)".to_owned()),
        // Wallets append bytes of their own.
        (Some(OTHER), &tagged, format!("transfer(to: {alice}, amount: 5)")),
        (Some(VAULT), &dirty, format!("transfer(dst: {alice}, wad: 5)")),
        (Some(OTHER), &dirty, "unknown Some(0xa9059cbb)".to_owned()),
        (Some(OTHER), &input[..40], "unknown Some(0xa9059cbb)".to_owned()),
        (Some(OTHER), &input[..3], "unknown None".to_owned()),
        (Some(OTHER), &f_true, "unknown Some(0x98c3a6c1)".to_owned()),
        (Some(OTHER), &[], "transfer of value".to_owned()),
        (None, &input, "creation".to_owned()),
    ];
    for (to, input, expected) in cases {
        let tx = call(to, input);
        let decoded = decoder.call(&chain(), Height(1), &tx);
        let found = match &decoded.call {
            Call::Create => "creation".to_owned(),
            Call::Transfer => "transfer of value".to_owned(),
            Call::Function(function) => function.to_string(),
            Call::Unknown(selector) => format!("unknown {selector:?}"),
        };
        assert_eq!(found, expected, "{to:?} {}", hex::encode(input));
        assert_eq!(decoded.contract.is_some(), to == Some(VAULT));
    }
}

#[test]
fn answers_of_calls_are_decoded() {
    let function = Function::parse("getReserves() view returns (uint112 a, uint112 b, uint32 at)")
        .expect("ok");
    let output = [word(1), word(2), word(3)].concat();
    let values = function.decode_output(&output).expect("three words");
    assert_eq!(values[1], DynSolValue::Uint(U256::from(2), 112));
    assert!(function.decode_output(&output[..64]).is_err());
    assert_eq!(
        function.decode_output(&[]).expect_err("empty").to_string(),
        "the data do not hold the declared values"
    );
    let wrong = function.encode(&[DynSolValue::Bool(true)]).expect_err("it takes none");
    assert_eq!(wrong.to_string(), "getReserves() takes 0 arguments, 1 are given");
    let transfer = Function::parse("transfer(address to, uint256 amount)").expect("ok");
    let wrong = transfer
        .encode(&[DynSolValue::Address(ALICE), DynSolValue::Bool(true)])
        .expect_err("a bool is no amount");
    assert_eq!(wrong.to_string(), "transfer(address,uint256): `amount` must be a uint256");
}

#[test]
fn reverts_are_put_in_words() {
    let decoder = decoder(&["error Broke(uint256 missing)", "error Error2()"]);
    let reason = |text: &str| {
        let mut data = hex!("08c379a0").to_vec();
        data.extend(DynSolValue::String(text.into()).abi_encode());
        data
    };
    let panic = |code: u64| [&hex!("4e487b71")[..], word(code).as_slice()].concat();
    let broke = CustomError::parse("Broke(uint256)").expect("it is one");
    let own = [broke.selector().as_slice(), word(5).as_slice()].concat();
    let balance =
        CustomError::parse("ERC20InsufficientBalance(address,uint256,uint256)").expect("ok");
    let known = [balance.selector().as_slice(), ALICE.into_word().as_slice(), &[0; 64]].concat();
    let cases: Vec<(Vec<u8>, String)> = vec![
        (vec![], "no reason given".into()),
        (reason("not owner"), "not owner".into()),
        (reason("a\nb\u{1b}[31m"), "a\\u{a}b\\u{1b}[31m".into()),
        (reason(&"x".repeat(5_000)), format!("{}… (5000 bytes)", "x".repeat(96))),
        (panic(0x01), "panic 0x01: assertion failed".into()),
        (panic(0x11), "panic 0x11: arithmetic overflow or underflow".into()),
        (panic(0x12), "panic 0x12: division or modulo by zero".into()),
        (panic(0x32), "panic 0x32: array index out of bounds".into()),
        (panic(0x99), "panic 0x99: unknown panic code".into()),
        (own.clone(), "Broke(missing: 5)".into()),
        (
            known,
            "ERC20InsufficientBalance(sender: 0x00000000000000000000000000000000000a11ce, \
             balance: 0, needed: 0)"
                .into(),
        ),
        (own[..20].to_vec(), format!("unknown error {}", broke.selector())),
        (hex!("08c379a0ff").to_vec(), "unknown error 0x08c379a0".into()),
        (hex!("deadbeef00").to_vec(), "unknown error 0xdeadbeef".into()),
        (hex!("dead").to_vec(), "revert data too short for an error".into()),
    ];
    for (data, expected) in cases {
        for contract in [None, Some(VAULT), Some(OTHER)] {
            let decoded = decoder.revert(&chain(), contract, &data);
            assert_eq!(decoded.revert.to_string(), expected);
            assert_eq!(decoded.data, data);
        }
    }
}

#[test]
fn two_names_for_one_address_are_refused() {
    let build = |name: &str| {
        let config: ContractConfig =
            serde_json::from_value(json!({"address": VAULT.to_string()})).expect("valid");
        config.build(name, &[chain()], &|_| unreachable!("no file")).expect("valid")
    };
    let problems = Decoder::build(vec![build("a"), build("b")]).expect_err("the same address");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].path, "b.address");
    assert_eq!(problems[0].message, "`a` has the same address on mainnet");
}

/// Data of an event with arrays that all lie over one another.
fn overlapping(outer: usize, inner: usize) -> Vec<u8> {
    // bytes[]: every element's offset leads to the same bytes.
    let mut words = vec![word(0x20), word(outer as u64)];
    words.extend(vec![word(32 * outer as u64); outer]);
    words.push(word(32 * inner as u64));
    words.extend(vec![B256::repeat_byte(7); inner]);
    words.concat()
}

#[test]
fn hostile_data_cost_no_memory() {
    let signatures = [
        "event E(uint256[] x)",
        "event E(uint256[][] x)",
        "event E(bytes[] x)",
        "event E(uint256[][][][][][][][] x)",
        "event E((bytes a, string b)[][2][] x)",
        "event E(uint256[4294967295][4294967295] x)",
        "event E(uint256[4294967295][] x)",
        "event E(string x)",
    ];
    let huge = B256::from(U256::MAX);
    let mut data: Vec<(&str, Vec<u8>)> = vec![
        ("a length without elements", [word(0x20), huge].concat()),
        ("a length just too big", [word(0x20), word(1_000_000)].concat()),
        ("a huge offset", huge.to_vec()),
        ("an offset near the largest address", [word(u64::MAX - 31), word(1)].concat()),
        ("itself as its own element", vec![word(0); 64].concat()),
        ("empty", vec![]),
        ("not a multiple of a word", vec![0x20; 33]),
    ];
    // 1 MiB of offsets to 1 MiB of bytes would be 16 GiB of values.
    data.push(("overlapping bytes", overlapping(16_384, 32_768)));
    // An array whose elements are all the array itself, at every depth.
    let mut recursive = vec![word(0x20), word(4_000)];
    recursive.extend(vec![word(0); 4_000]);
    data.push(("overlapping arrays", recursive.concat()));
    for signature in signatures {
        let decoder = decoder(&[signature]);
        let event = Event::parse(signature).expect("it is one");
        for (what, data) in &data {
            let log = Log {
                address: VAULT,
                topics: vec![event.topic0()],
                data: data.clone().into(),
                index: 0,
            };
            let started = std::time::Instant::now();
            let decoded = decoder.log(&chain(), Height(1), &log);
            // Whatever comes out is no larger than what went in.
            if let Some(event) = decoded.event {
                let size: usize = event.values.iter().map(weight).sum();
                assert!(size <= 2 * data.len() + 32, "{signature}, {what}: {size} bytes");
            }
            assert!(started.elapsed().as_secs() < 5, "{signature}, {what}");
        }
    }
    // And the honest one of the same size is decoded.
    let signature = "event E(uint256[] x)";
    let mut words = vec![word(0x20), word(50_000)];
    words.extend(vec![word(1); 50_000]);
    let log = log(VAULT, &[topic0("E(uint256[])")], &words);
    let event = decoder(&[signature]).log(&chain(), Height(1), &log).event.expect("it is honest");
    assert_eq!(event.values[0].as_array().map(<[_]>::len), Some(50_000));
}

/// Bytes that a value was read from, or would take if each element took a word.
fn weight(value: &DynSolValue) -> usize {
    match value {
        DynSolValue::Bytes(bytes) => bytes.len(),
        DynSolValue::String(text) => text.len(),
        DynSolValue::Array(values)
        | DynSolValue::FixedArray(values)
        | DynSolValue::Tuple(values) => values.iter().map(weight).sum(),
        _ => 32,
    }
}

const KNOWN_EVENTS: &str = include_str!("../../src/abi/known_events.tsv");
const KNOWN_FUNCTIONS: &str = include_str!("../../src/abi/known_functions.tsv");
const KNOWN_ERRORS: &str = include_str!("../../src/abi/known_errors.tsv");

fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().skip(1).map(|line| line.split('\t').collect())
}

#[test]
fn known_signatures_hash_to_what_the_tables_say() {
    let mut seen = std::collections::HashSet::new();
    for row in rows(KNOWN_EVENTS) {
        let [topic0, topics_len, signature, standard] = row.as_slice() else { panic!("{row:?}") };
        let event = Event::parse(signature).expect(signature);
        assert_eq!(event.topic0().to_string(), *topic0, "{signature}");
        assert_eq!(event.topic_count().to_string(), *topics_len, "{signature}");
        assert!(!event.is_anonymous() && !standard.is_empty(), "{row:?}");
        let layout: Vec<bool> = event.params().iter().map(|param| param.indexed).collect();
        assert!(seen.insert((event.topic0(), layout)), "twice: {signature}");
    }
    for row in rows(KNOWN_FUNCTIONS) {
        let [selector, signature, standard] = row.as_slice() else { panic!("{row:?}") };
        let function = Function::parse(signature).expect(signature);
        assert_eq!(function.selector().to_string(), *selector, "{signature}");
        assert!(!standard.is_empty());
    }
    for row in rows(KNOWN_ERRORS) {
        let [selector, signature, standard] = row.as_slice() else { panic!("{row:?}") };
        let error = CustomError::parse(signature).expect(signature);
        assert_eq!(error.selector().to_string(), *selector, "{signature}");
        assert!(!standard.is_empty());
    }
}

#[test]
fn known_events_agree_with_the_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/events.tsv");
    let Ok(reference) = std::fs::read_to_string(&path) else {
        println!("SKIPPED: reference events.tsv not found");
        return;
    };
    let mut compared = 0;
    for line in reference.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [_, _, _, topic0, topics_len, canonical, human] = columns.as_slice() else {
            panic!("{line}")
        };
        let event = Event::parse(human).expect(human);
        assert_eq!(&**event.signature(), *canonical);
        assert_eq!(event.topic0().to_string(), *topic0, "{human}");
        assert_eq!(event.topic_count().to_string(), *topics_len, "{human}");
        // And a log of it, from anybody, is recognised.
        let log = zeros(&event);
        let decoded = decoder(&[]).log(&chain(), Height(1), &log).event.expect(human);
        assert_eq!(&**decoded.item.signature(), *canonical);
        compared += 1;
    }
    assert!(compared > 300, "{compared}");
}

/// A log of an event whose values are all zero or empty.
fn zeros(event: &Event) -> Log {
    fn zero(kind: &DynSolType) -> DynSolValue {
        match kind {
            DynSolType::Bool => DynSolValue::Bool(false),
            DynSolType::Int(bits) => DynSolValue::Int(alloy_primitives::I256::ZERO, *bits),
            DynSolType::Uint(bits) => DynSolValue::Uint(U256::ZERO, *bits),
            DynSolType::FixedBytes(size) => DynSolValue::FixedBytes(B256::ZERO, *size),
            DynSolType::Address => DynSolValue::Address(Address::ZERO),
            DynSolType::Function => DynSolValue::Function(alloy_primitives::Function::ZERO),
            DynSolType::Bytes => DynSolValue::Bytes(vec![]),
            DynSolType::String => DynSolValue::String(String::new()),
            DynSolType::Array(_) => DynSolValue::Array(vec![]),
            DynSolType::FixedArray(inner, length) => {
                DynSolValue::FixedArray(vec![zero(inner); *length])
            }
            DynSolType::Tuple(kinds) => DynSolValue::Tuple(kinds.iter().map(zero).collect()),
        }
    }
    let body: Vec<DynSolValue> = event
        .params()
        .iter()
        .filter(|param| !param.indexed)
        .map(|param| zero(&param.kind))
        .collect();
    let mut topics = vec![event.topic0()];
    topics.resize(event.topic_count(), B256::ZERO);
    Log {
        address: OTHER,
        topics,
        data: DynSolValue::Tuple(body).abi_encode_params().into(),
        index: 0,
    }
}

#[test]
fn an_artefact_with_everything_decodes_its_own_logs() {
    // The forms are compared elsewhere; here the way from text to value is whole.
    let abi = parse_abi(
        r#"{"abi":[{"type":"event","name":"Set","inputs":[
        {"name":"order","type":"tuple","indexed":false,"components":[
            {"name":"maker","type":"address"},{"name":"","type":"uint64"}]}]}]}"#,
    )
    .expect("it is one");
    let event = &abi.events()[0];
    let values = event
        .decode(&log(VAULT, &[event.topic0()], &[ALICE.into_word(), word(9)]))
        .expect("it is its log");
    assert_eq!(
        wk_chain::abi::to_json(&event.params()[0], &values[0]),
        json!({"maker": "0x00000000000000000000000000000000000a11ce", "arg1": "9"})
    );
}
