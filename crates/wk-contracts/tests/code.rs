//! Bytecode checks on small programs with and without the hole, and on all code of real blocks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Instant;

use proptest::prelude::*;
use wk_contracts::code::{Check, ProxyKind, SUSPICIOUS, attack_likeness, inspect};
use wk_model::{Address, primitives};
use wk_testkit::corpus;

/// Code in words: opcodes by name, `0x…` pushes, `:name` is a place and `@name` pushes it.
fn assemble(text: &str) -> Vec<u8> {
    let mut places = HashMap::new();
    for last in [false, true] {
        let mut code = Vec::new();
        for word in text.split_whitespace() {
            if let Some(name) = word.strip_prefix(':') {
                places.insert(name.to_owned(), code.len());
                code.push(0x5b);
            } else if let Some(name) = word.strip_prefix('@') {
                let place = places.get(name).copied().unwrap_or(0);
                code.push(0x61);
                code.extend(u16::try_from(place).unwrap().to_be_bytes());
            } else if let Some(digits) = word.strip_prefix("0x") {
                let bytes = primitives::hex::decode(digits).unwrap();
                code.push(0x5f + u8::try_from(bytes.len()).unwrap());
                code.extend(bytes);
            } else {
                code.push(opcode(word));
            }
        }
        if last {
            return code;
        }
    }
    Vec::new()
}

fn opcode(name: &str) -> u8 {
    match name {
        "STOP" => 0x00,
        "ADD" => 0x01,
        "EQ" => 0x14,
        "ISZERO" => 0x15,
        "AND" => 0x16,
        "SHR" => 0x1c,
        "KECCAK" => 0x20,
        "ADDRESS" => 0x30,
        "ORIGIN" => 0x32,
        "CALLER" => 0x33,
        "CALLVALUE" => 0x34,
        "LOAD" => 0x35,
        "SIZE" => 0x36,
        "COPY" => 0x37,
        "POP" => 0x50,
        "MLOAD" => 0x51,
        "MSTORE" => 0x52,
        "SLOAD" => 0x54,
        "SSTORE" => 0x55,
        "JUMP" => 0x56,
        "JUMPI" => 0x57,
        "GAS" => 0x5a,
        "PUSH0" => 0x5f,
        "DUP1" => 0x80,
        "DUP2" => 0x81,
        "SWAP1" => 0x90,
        "CALL" => 0xf1,
        "DELEGATECALL" => 0xf4,
        "CREATE2" => 0xf5,
        "STATICCALL" => 0xfa,
        "REVERT" => 0xfd,
        "DESTRUCT" => 0xff,
        _ => panic!("no opcode {name}"),
    }
}

/// A contract with one function whose body follows.
fn function(selector: &str, body: &str) -> Vec<u8> {
    assemble(&format!(
        "0x80 0x40 MSTORE PUSH0 LOAD 0xe0 SHR DUP1 {selector} EQ @f JUMPI PUSH0 PUSH0 REVERT :f {body}"
    ))
}

const ONLY_OWNER: &str = "PUSH0 SLOAD CALLER EQ @ok JUMPI PUSH0 PUSH0 REVERT :ok";
const BY_ROLE: &str =
    "CALLER PUSH0 MSTORE 0x01 0x20 MSTORE 0x40 PUSH0 KECCAK SLOAD @ok JUMPI PUSH0 PUSH0 REVERT :ok";
const ONCE: &str = "PUSH0 SLOAD ISZERO @ok JUMPI PUSH0 PUSH0 REVERT :ok";
const DELEGATE: &str = "PUSH0 PUSH0 PUSH0 PUSH0 0x04 LOAD GAS DELEGATECALL STOP";
const DESTROY: &str = "0x04 LOAD DESTRUCT";
/// A call with the call data from byte 36 on, to the first argument.
const ARBITRARY: &str =
    "0x0100 0x24 0x40 MLOAD COPY PUSH0 PUSH0 0x0100 0x40 MLOAD PUSH0 0x04 LOAD GAS CALL STOP";
/// A token's `transfer(address,uint256)` on a token that the caller names.
const TRANSFER: &str = "0xa9059cbb00000000000000000000000000000000000000000000000000000000 0x40 \
    MLOAD MSTORE 0x24 LOAD 0x40 MLOAD 0x04 ADD MSTORE 0x44 LOAD 0x40 MLOAD 0x24 ADD MSTORE PUSH0 \
    PUSH0 0x44 0x40 MLOAD PUSH0 0x04 LOAD GAS CALL STOP";

fn found(code: &[u8]) -> Vec<(&'static str, bool)> {
    let report = inspect(code);
    assert!(report.complete);
    report.findings.iter().map(|one| (one.check.name(), one.behind_storage)).collect()
}

#[test]
fn holes_are_found_where_nobody_asks_who_calls() {
    let plain = "0x12345678";
    // initialize(address)
    let init = "0xc4d66de8";
    let set = "0x04 LOAD PUSH0 SSTORE STOP";
    for (name, selector, body, expected) in [
        ("delegatecall", plain, DELEGATE.to_owned(), &[("delegatecall_to_given", false)][..]),
        ("delegatecall of the owner", plain, format!("{ONLY_OWNER} {DELEGATE}"), &[]),
        ("delegatecall by role", plain, format!("{BY_ROLE} {DELEGATE}"), &[]),
        (
            "delegatecall once",
            plain,
            format!("{ONCE} {DELEGATE}"),
            &[("delegatecall_to_given", true)],
        ),
        (
            "delegatecall to a stored address",
            plain,
            "PUSH0 PUSH0 PUSH0 PUSH0 PUSH0 SLOAD GAS DELEGATECALL STOP".to_owned(),
            &[],
        ),
        ("selfdestruct", plain, DESTROY.to_owned(), &[("unprotected_selfdestruct", false)]),
        ("selfdestruct of the owner", plain, format!("{ONLY_OWNER} {DESTROY}"), &[]),
        ("arbitrary call", plain, ARBITRARY.to_owned(), &[("arbitrary_call", false)]),
        ("arbitrary call of the owner", plain, format!("{ONLY_OWNER} {ARBITRARY}"), &[]),
        ("a token's transfer", plain, TRANSFER.to_owned(), &[]),
        ("set up again and again", init, set.to_owned(), &[("unprotected_initializer", false)]),
        ("set up once", init, format!("{ONCE} {set}"), &[]),
        ("set up by the owner", init, format!("{ONLY_OWNER} {set}"), &[]),
        ("a setter that is no set-up", plain, set.to_owned(), &[]),
        (
            "tx.origin is the owner",
            plain,
            "PUSH0 SLOAD ORIGIN EQ @ok JUMPI PUSH0 PUSH0 REVERT :ok STOP".to_owned(),
            &[("tx_origin", false)],
        ),
        (
            "no contracts as callers",
            plain,
            "CALLER ORIGIN EQ @ok JUMPI PUSH0 PUSH0 REVERT :ok STOP".to_owned(),
            &[],
        ),
        (
            "create2 of given code",
            plain,
            "0x0100 0x24 0x40 MLOAD COPY 0x04 LOAD 0x0100 0x40 MLOAD PUSH0 CREATE2 STOP".to_owned(),
            &[("create_given_code", false)],
        ),
    ] {
        assert_eq!(found(&function(selector, &body)), expected, "{name}");
        let report = inspect(&function(selector, &body));
        assert_eq!(report.selectors, [selector], "{name}");
    }
}

#[test]
fn code_that_is_data_is_not_walked() {
    // The opcode of selfdestruct in a pushed number, and behind a stop.
    assert_eq!(found(&assemble("0xffffffff POP STOP DESTRUCT")), []);
    assert_eq!(found(&[]), []);
}

#[test]
fn proxies_are_told_apart() {
    let hex = |text: &str| primitives::hex::decode(text).unwrap();
    let minimal = format!("363d3d373d3d3d363d73{}5af43d82803e903d91602b57fd5bf3", "11".repeat(20));
    let slot = |slot: &str| {
        assemble(&format!("0x{slot} SLOAD PUSH0 PUSH0 PUSH0 PUSH0 SWAP1 GAS DELEGATECALL STOP"))
    };
    for (code, expected) in [
        (hex(&minimal), Some(ProxyKind::Minimal)),
        (
            slot("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"),
            Some(ProxyKind::Eip1967),
        ),
        (
            slot("a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50"),
            Some(ProxyKind::Beacon),
        ),
        (function("0x12345678", "STOP"), None),
    ] {
        assert_eq!(inspect(&code).proxy.map(|proxy| proxy.kind), expected);
    }
    assert_eq!(inspect(&hex(&minimal)).proxy.unwrap().target, Some(Address::repeat_byte(0x11)));
    let delegation = inspect(&hex(&format!("ef0100{}", "22".repeat(20)))).delegation;
    assert_eq!(delegation, Some(format!("0x{}", "22".repeat(20))));
}

#[test]
fn fresh_code_that_names_us_and_borrows_is_suspicious() {
    let victim = Address::repeat_byte(0x77);
    let watched = |address: &Address| *address == victim;
    // executeOperation(address,uint256,uint256,address,bytes)
    let attack = function("0x1b11d0ff", &format!("0x{} POP STOP", "77".repeat(20)));
    let likeness = attack_likeness(&attack, watched);
    assert!(likeness.score >= SUSPICIOUS, "{likeness:?}");
    assert_eq!(likeness.names, [victim]);
    // A token.
    let token = function("0x06fdde03", "STOP");
    assert!(attack_likeness(&token, watched).score < SUSPICIOUS / 2);
    assert_eq!(attack_likeness(&[], watched).score, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(code in prop::collection::vec(any::<u8>(), 0..3_000)) {
        inspect(&code);
        attack_likeness(&code, |_| false);
    }
}

fn open(file: &Path) -> serde_json::Value {
    let packed = std::fs::read(file).unwrap();
    serde_json::from_slice(&wk_trace::unpack(&packed, 1 << 30).unwrap()).unwrap()
}

#[test]
fn code_of_real_blocks_is_seldom_accused() {
    let Some(corpus) = corpus() else { return };
    let codes = open(&corpus.join("benign/codes.json.gz"));
    let codes = codes.as_object().unwrap();
    let start = Instant::now();
    let (mut sure, mut all): (BTreeMap<&str, usize>, BTreeMap<&str, usize>) = Default::default();
    let (mut clean, mut complete, mut proxies, mut slowest) = (0, 0, 0, 0.0f64);
    let mut accused = 0;
    for (hash, code) in codes {
        let code = primitives::hex::decode(code.as_str().unwrap()).unwrap();
        let began = Instant::now();
        let report = inspect(&code);
        slowest = slowest.max(began.elapsed().as_secs_f64());
        complete += usize::from(report.complete);
        proxies += usize::from(report.proxy.is_some());
        let mut checks = HashSet::new();
        let mut open_checks = HashSet::new();
        for finding in &report.findings {
            checks.insert(finding.check.name());
            if !finding.behind_storage {
                open_checks.insert(finding.check.name());
                println!(
                    "{hash} {} {:?} at {}",
                    finding.check.name(),
                    finding.selector,
                    finding.at
                );
            }
        }
        clean += usize::from(checks.is_empty());
        accused += usize::from(!open_checks.is_empty());
        for check in checks {
            *all.entry(check).or_default() += 1;
        }
        for check in open_checks {
            *sure.entry(check).or_default() += 1;
        }
    }
    println!(
        "{} codes, {complete} walked in full, {proxies} proxies, {clean} without any finding, \
         {accused} with one that no storage guards; {:.2?} in all, slowest {:.0} ms",
        codes.len(),
        start.elapsed(),
        slowest * 1e3,
    );
    for check in Check::ALL {
        println!(
            "{:<26} {:>4} codes, {:>4} without even storage asked",
            check.name(),
            all.get(check.name()).copied().unwrap_or(0),
            sure.get(check.name()).copied().unwrap_or(0)
        );
    }
    let share = accused as f64 / codes.len() as f64;
    assert!(share < 0.10, "{share}");
}

#[test]
fn attack_contracts_are_told_from_ordinary_ones() {
    let Some(corpus) = corpus() else { return };
    let codes = open(&corpus.join("benign/codes.json.gz"));
    let mut scores = Vec::new();
    for code in codes.as_object().unwrap().values() {
        let code = primitives::hex::decode(code.as_str().unwrap()).unwrap();
        scores.push(attack_likeness(&code, |_| false).score);
    }
    let over = scores.iter().filter(|score| **score >= SUSPICIOUS).count();
    println!("ordinary code: {over} of {} score {SUSPICIOUS} or more", scores.len());
    // Attack contracts that came into being within their transaction: their code is in the trace.
    let labels = open(&corpus.join("attacks/labels.json"));
    let (mut attacks, mut named, mut found, mut found_named) = (0, 0, 0, 0);
    for label in labels.as_array().unwrap() {
        let file = corpus.join(label["file"].as_str().unwrap());
        let packed = std::fs::read(file).unwrap();
        let traces = wk_trace::read(&wk_trace::unpack(&packed, 1 << 30).unwrap()).unwrap();
        let victims: HashSet<Address> = match &label["victim"] {
            serde_json::Value::Array(list) => {
                list.iter().filter_map(|one| one.as_str()?.parse().ok()).collect()
            }
            one => one.as_str().and_then(|text| text.parse().ok()).into_iter().collect(),
        };
        for trace in &traces.transactions {
            let mut best = None;
            for frame in &trace.frames {
                if frame.kind == wk_trace::FrameKind::Create && !trace.output(frame).is_empty() {
                    let likeness =
                        attack_likeness(trace.output(frame), |address| victims.contains(address));
                    best = best.max(Some((likeness.score, !likeness.names.is_empty())));
                }
            }
            let Some((score, names)) = best else { continue };
            println!(
                "{:<24} {score:>3} names the victim: {names}",
                label["name"].as_str().unwrap_or("?")
            );
            attacks += 1;
            named += usize::from(names);
            found += usize::from(score >= SUSPICIOUS);
            found_named += usize::from(names && score >= SUSPICIOUS);
        }
    }
    println!(
        "attack contracts made in their transaction: {found} of {attacks} score {SUSPICIOUS} or more; \
         of {named} that name the victim {found_named}"
    );
}
