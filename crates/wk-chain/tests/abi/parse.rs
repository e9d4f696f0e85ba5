//! ABIs in every form that people have, and what is said about those that are none.

use std::collections::BTreeMap;
use std::io;

use serde_json::json;
use wk_chain::abi::{
    Abi, AbiSource, ContractConfig, Event, Function, Item, ProxyMode, kind_name, parse_abi,
};
use wk_model::ChainName;

/// One line for each item: what an ABI comes down to.
fn summary(abi: &Abi) -> Vec<String> {
    let params = |item: &dyn Item| {
        item.params()
            .iter()
            .map(|param| {
                let indexed = if param.indexed { " indexed" } else { "" };
                format!("{}{indexed} {}", kind_name(&param.kind), param.name)
            })
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut lines = Vec::new();
    for event in abi.events() {
        let anonymous = if event.is_anonymous() { " anonymous" } else { "" };
        lines.push(format!("event {}({}){anonymous}", event.name(), params(&**event)));
    }
    for function in abi.functions() {
        let outputs: Vec<String> =
            function.outputs().iter().map(|output| kind_name(&output.kind)).collect();
        let outputs = outputs.join(",");
        lines.push(format!("function {}({}) -> {outputs}", function.name(), params(&**function)));
    }
    for error in abi.errors() {
        lines.push(format!("error {}({})", error.name(), params(&**error)));
    }
    lines
}

/// The ABI that all the JSON forms below carry.
fn vault() -> serde_json::Value {
    json!([
        {"type": "constructor", "inputs": [{"name": "asset", "type": "address"}]},
        {"type": "receive", "stateMutability": "payable"},
        {"type": "event", "name": "Withdraw", "anonymous": false, "inputs": [
            {"name": "to", "type": "address", "indexed": true, "internalType": "address"},
            {"name": "amount", "type": "uint256", "indexed": false, "internalType": "uint256"}
        ]},
        {"type": "function", "name": "orders", "stateMutability": "view",
         "inputs": [{"name": "", "type": "uint256"}],
         "outputs": [{"name": "", "type": "tuple[]", "components": [
            {"name": "maker", "type": "address"},
            {"name": "amounts", "type": "uint128[2]"}
         ]}]},
        {"type": "error", "name": "Broke", "inputs": [{"name": "missing", "type": "uint256"}]}
    ])
}

const VAULT: [&str; 3] = [
    "event Withdraw(address indexed to, uint256 amount)",
    "function orders(uint256 arg0) -> (address,uint128[2])[]",
    "error Broke(uint256 missing)",
];

#[test]
fn reads_every_form_of_the_same_abi() {
    let plain = vault();
    let text = plain.to_string();
    let forms = [
        ("plain", text.clone()),
        ("pretty, with a byte order mark", format!("\u{feff}{plain:#}\n")),
        (
            "Foundry",
            json!({"abi": plain, "bytecode": {"object": "0x60"}, "methodIdentifiers": {}, "id": 3})
                .to_string(),
        ),
        (
            "Hardhat",
            json!({"_format": "hh-sol-artifact-1", "contractName": "Vault",
                   "sourceName": "contracts/Vault.sol", "abi": plain, "bytecode": "0x60"})
            .to_string(),
        ),
        (
            "Truffle",
            json!({"contractName": "Vault", "abi": plain, "networks": {}, "schemaVersion": "3.4"})
                .to_string(),
        ),
        ("solc --combined-json of old, one contract", json!({"abi": text}).to_string()),
        ("getabi", json!({"status": "1", "message": "OK", "result": text}).to_string()),
        (
            "getsourcecode",
            json!({"status": "1", "message": "OK", "result": [
                {"SourceCode": "contract …", "ABI": text, "ContractName": "Vault", "Proxy": "0"}
            ]})
            .to_string(),
        ),
        ("Blockscout, ABI as an array", json!({"status": 1, "result": plain}).to_string()),
        (
            "compiler metadata",
            json!({"compiler": {}, "language": "Solidity", "output": {"abi": plain}}).to_string(),
        ),
        ("a string with JSON in it", json!(text).to_string()),
        (
            "an array of signatures",
            json!([
                "constructor(address asset)",
                "receive() external payable",
                "event Withdraw(address indexed to, uint256 amount)",
                "function orders(uint256) view returns (tuple(address maker, uint128[2] amounts)[])",
                "error Broke(uint256 missing)"
            ])
            .to_string(),
        ),
        (
            "lines",
            "// what we watch\n\
             event Withdraw(address indexed to, uint amount); // out\n\n\
             function orders(uint256) external view returns (\n    (address maker, uint128[2] amounts)[] memory\n);\n\
             error Broke(uint256 missing)\n\
             fallback() external"
                .to_owned(),
        ),
    ];
    for (form, text) in forms {
        let abi = parse_abi(&text).unwrap_or_else(|error| panic!("{form}: {error}"));
        assert_eq!(summary(&abi), VAULT, "{form}");
    }
}

#[test]
fn reads_signatures_as_people_write_them() {
    let cases: &[(&str, &str)] = &[
        (
            "event Transfer(address indexed from, address indexed to, uint256 value)",
            "event Transfer(address indexed from, address indexed to, uint256 value)",
        ),
        // Without the keyword: `indexed`, or a capital letter, makes an event.
        (
            "Withdraw(address indexed to, uint256 amount)",
            "event Withdraw(address indexed to, uint256 amount)",
        ),
        ("Paused()", "event Paused()"),
        ("transfer(address,uint256)", "function transfer(address arg0, uint256 arg1) -> "),
        ("balanceOf(address)(uint256)", "function balanceOf(address arg0) -> uint256"),
        ("Deposit() payable returns (uint shares)", "function Deposit() -> uint256"),
        ("error Broke(uint256 missing)", "error Broke(uint256 missing)"),
        // Names that are keywords elsewhere.
        ("function event(uint256 x)", "function event(uint256 x) -> "),
        ("error(string reason)", "function error(string reason) -> "),
        // Other names of types.
        (
            "f(uint a, int b, byte c, address payable d, function e)",
            "function f(uint256 a, int256 b, bytes1 c, address d, function e) -> ",
        ),
        (
            "event E(tuple(uint a, (bool x, bytes3 y)[] b)[4][] indexed t) anonymous",
            "event E((uint256,(bool,bytes3)[])[4][] indexed t) anonymous",
        ),
        (
            "function swap(uint256[] calldata path,bytes memory data)external virtual override",
            "function swap(uint256[] path, bytes data) -> ",
        ),
        ("  event\tA ( uint8   indexed\n x )  ; ", "event A(uint8 indexed x)"),
        ("event _$a1(address)", "event _$a1(address arg0)"),
    ];
    for (text, expected) in cases {
        let abi = parse_abi(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(summary(&abi), [*expected], "{text}");
    }
}

#[test]
fn says_what_is_wrong_and_how_to_mend_it() {
    let long = format!("[{}]", " ".repeat(9 << 20));
    let deep = format!("event E(uint8{} x)", "[]".repeat(40));
    let deep_tuples = format!("event E({}uint8 a{})", "(".repeat(300), ")".repeat(300));
    let wide = format!("event E({})", vec!["uint8"; 300].join(","));
    let many = format!("[{}]", vec!["{\"type\":\"fallback\"}"; 10_001].join(","));
    let cases: &[(&str, &str, &str)] = &[
        ("", "it is empty", "Give a Foundry, Hardhat or Truffle artefact"),
        (" \n ", "it is empty", "Give a Foundry"),
        ("<!doctype html>", "it is a web page, not an ABI", "Download the answer"),
        ("abi/vault.json", "vault.json: `(` is expected instead of `/`", "Give a Foundry"),
        ("{}", "this JSON has no `abi`", "Give a Foundry"),
        ("[{\"type\":", "it is not valid JSON at line 1", "The file seems to be cut off."),
        ("{\"abi\": 5}", "its `abi` is no array", "Give a Foundry"),
        (
            "{\"contracts\": {}}",
            "it is a compiler's output for many contracts",
            "Give the artefact",
        ),
        (
            r#"{"status":"0","message":"NOTOK","result":"Contract source code not verified"}"#,
            "the explorer answered an error: Contract source code not verified",
            "Verify the contract's source there",
        ),
        (
            r#"{"status":"0","message":"NOTOK","result":"Max rate limit reached"}"#,
            "the explorer answered an error: Max rate limit reached",
            "Ask again later",
        ),
        (
            r#"{"status":"0","message":"NOTOK","result":"Missing/Invalid API Key"}"#,
            "the explorer answered an error: Missing/Invalid API Key",
            "Ask again with a valid API key",
        ),
        (
            r#"{"status":"1","result":[{"ABI":"Contract source code not verified"}]}"#,
            "the explorer answered an error: Contract source code not verified",
            "Verify the contract's source there",
        ),
        (
            r#"[{"type":"event","name":"A","inputs":[{"name":"x","type":"unit256"}]}]"#,
            "event A: parameter `x`: `unit256` is no type",
            "Did you mean `uint256`?",
        ),
        (
            r#"[{"type":"event","name":"A","inputs":[]},{"type":"evnt","name":"B","inputs":[]}]"#,
            "evnt B: `evnt` is no type of an item",
            "Types are event, function, error",
        ),
        (
            r#"[{"type":"event","name":"A","inputs":[]},{"name":"B","inputs":5}]"#,
            "item 1: it is no item of an ABI: invalid type: integer `5`",
            "An item has `type`, `name` and `inputs`.",
        ),
        (r#"[{"type":"event","inputs":[]}]"#, "item 0 (event): `` is no name", ""),
        (
            r#"[{"type":"error","name":"E","inputs":[{"name":"t","type":"tuple[]"}]}]"#,
            "error E: parameter `t`: it is a tuple without `components`",
            "",
        ),
        (
            r#"[{"type":"event","name":"E","inputs":[
                {"type":"bool","indexed":true},{"type":"bool","indexed":true},
                {"type":"bool","indexed":true},{"type":"bool","indexed":true}]}]"#,
            "event E: 4 parameters are indexed, and at most 3 can be",
            "",
        ),
        ("event E(uint257 x)", "E: `uint257` is no type", "Integers have 8 to 256 bits"),
        ("event E(uint08 x)", "E: `uint08` is no type", "Integers have 8 to 256 bits"),
        ("event E(bytes33 x)", "E: `bytes33` is no type", "Fixed bytes go from"),
        ("event E(fixed128x18 x)", "E: `fixed128x18` cannot be decoded", "No compiler emits"),
        ("event E(IERC20 token)", "E: `IERC20` is no type", "Write `address` for a contract"),
        ("event E(adress a)", "E: `adress` is no type", "Did you mean `address`?"),
        ("event E(mapping(address => uint) m)", "E: a mapping cannot be a parameter", ""),
        ("event E(uint[0] x)", "E: `0` is no length of an array", ""),
        ("event E(uint256 amount", "E: `,` is expected, but the text ends", ""),
        ("event E(uint256 amount of)", "E: `of` is one word too many", "Separate parameters"),
        ("event E(() x)", "E: a tuple needs fields", ""),
        ("event", "event: a name is expected, but the text ends", "Give a Foundry"),
        (
            "function f(uint256 indexed x)",
            "f: only an event's parameters can be `indexed`",
            "Begin",
        ),
        ("event E((uint256 indexed x) t)", "E: a tuple's field cannot be `indexed`", ""),
        ("event E(uint256 x) view", "E: this is a function, and an event is needed", ""),
        ("struct Order { address maker; }", "a `struct` is no event", "List signatures only"),
        (
            "event A() event B()",
            "A: `event` is not understood here",
            "Write one signature per line",
        ),
        (&long, "it is 9 MiB long, and at most 8 MiB are read", "Take the `abi` part alone"),
        (&deep, "E: the type is nested deeper than 16 levels", ""),
        (&deep_tuples, "E: the type is nested deeper than 16 levels", ""),
        (&wide, "E: there are more than 256 parameters", ""),
        (&many, "it has 10001 items, and at most 10000 are read", ""),
    ];
    for (text, message, hint) in cases {
        let start: String = text.chars().take(80).collect();
        let error = parse_abi(text).expect_err(&start);
        let (said, hinted) = (error.to_string(), error.hint.unwrap_or_default());
        assert!(said.contains(message), "{start}\n  said: {said}\n  want: {message}");
        assert!(hinted.starts_with(hint), "{start}\n  hinted: {hinted}\n  want: {hint}");
        assert_eq!(hint.is_empty(), hinted.is_empty(), "{start}: {hinted}");
    }
}

#[test]
fn faults_in_signatures_have_a_place() {
    for (text, marked) in [
        ("event E(address indexed to, unit256 amount)", "unit256"),
        ("Withdraw(address indexed to; uint256 amount)", ";"),
        ("event E(uint256 amount of)", "of"),
        ("function f()", "function"),
        ("event E(uint8[] a, uint8[x] b)", "x"),
        ("event É(uint8)", "É"),
        ("event E(uint8 x\u{a0}", "\u{a0}"),
    ] {
        let error = Event::parse(text).expect_err(text);
        let (offset, length) = error.span.expect("a place");
        assert_eq!(&text[offset..offset + length], marked, "{error}");
    }
}

#[test]
fn signatures_hash_as_the_chain_does() {
    let topics = [
        (
            "Transfer(address indexed from, address indexed to, uint value)",
            "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
        ),
        (
            "DiamondCut((address facet, uint8 action, bytes4[] selectors)[] cut, address init, bytes data)",
            "0x8faa70878671ccd212d20771b795c50af8fd3ff6cf27f4bde57e5d4de0aeb673",
        ),
    ];
    for (text, topic0) in topics {
        assert_eq!(Event::parse(text).expect(text).topic0().to_string(), topic0);
    }
    let selectors = [
        ("transfer(address,uint256)", "0xa9059cbb"),
        ("function aggregate3((address,bool,bytes)[])", "0x82ad56cb"),
        ("multicall(bytes[])", "0xac9650d8"),
    ];
    for (text, selector) in selectors {
        assert_eq!(Function::parse(text).expect(text).selector().to_string(), selector);
    }
}

#[test]
fn old_and_odd_abis_are_read() {
    let cases = [
        // Before `anonymous` and `type` were always there; `outputs` left out.
        (
            r#"[{"name":"f","inputs":[],"constant":true},{"type":"event","name":"E","inputs":[]}]"#,
            vec!["event E()", "function f() -> "],
        ),
        // A library's ABI names enums and contracts.
        (
            r#"[{"type":"event","name":"E","inputs":[
                {"name":"s","type":"Lib.State","internalType":"enum Lib.State"},
                {"name":"t","type":"IERC20[]","internalType":"contract IERC20[]"}]}]"#,
            vec!["event E(uint8 s, address[] t)"],
        ),
        // Overloads stay apart, the same item twice is one.
        (
            r#"["event E(uint8 a)","event E(uint8 indexed a)","event E(uint8 b)","f()","f(bool)"]"#,
            vec![
                "event E(uint8 a)",
                "event E(uint8 indexed a)",
                "function f() -> ",
                "function f(bool arg0) -> ",
            ],
        ),
        ("[]", vec![]),
        (r#"{"type":"event","name":"E","inputs":[]}"#, vec!["event E()"]),
    ];
    for (text, expected) in cases {
        assert_eq!(summary(&parse_abi(text).expect(text)), expected, "{text}");
    }
}

#[test]
fn items_are_found_by_name_or_signature() {
    let abi = parse_abi("event E(uint8)\nevent E(bool)\nf(uint8)\nf(bool)").expect("it is one");
    assert_eq!(abi.events_named("E").count(), 2);
    assert_eq!(abi.events_named("E(bool)").count(), 1);
    assert_eq!(abi.functions_named("f").count(), 2);
    assert_eq!(abi.functions_named("g").count(), 0);
}

const ADDRESS: &str = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2";

fn contract(address: &str, chain: Option<&str>, abi: Option<AbiSource>) -> ContractConfig {
    ContractConfig {
        chain: chain.map(str::to_owned),
        address: address.to_owned(),
        abi,
        ..ContractConfig::default()
    }
}

#[test]
fn contracts_are_read_from_settings() {
    let config: ContractConfig = serde_json::from_value(json!({
        "chain": "mainnet",
        "address": ADDRESS,
        "abi": ["event Deposit(address indexed dst, uint256 wad)"],
        "proxy": "none",
        "labels": {"team": "treasury"}
    }))
    .expect("it is valid");
    let contract = config
        .build("weth", &[ChainName::new("mainnet")], &|_| unreachable!("no file is named"))
        .expect("it is valid");
    assert_eq!(contract.address.to_checksum(None), ADDRESS);
    assert_eq!(summary(&contract.abi), ["event Deposit(address indexed dst, uint256 wad)"]);
    assert_eq!(contract.proxy, ProxyMode::None);
    assert_eq!(*contract.labels, BTreeMap::from([("team".into(), "treasury".into())]));

    for wrong in [
        json!({"address": ADDRESS, "abii": []}),
        json!({"address": ADDRESS, "abi": 5}),
        json!({"address": ADDRESS, "abi": [5]}),
        json!({"address": ADDRESS, "proxy": "yes"}),
        json!({}),
    ] {
        assert!(serde_json::from_value::<ContractConfig>(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn faults_in_settings_name_their_key() {
    let one = [ChainName::new("mainnet")];
    let two = [ChainName::new("mainnet"), ChainName::new("base")];
    let file = |path: &str| Some(AbiSource::File(path.to_owned()));
    let lines = |lines: &[&str]| {
        Some(AbiSource::Signatures(lines.iter().map(|line| (*line).to_owned()).collect()))
    };
    let lower = ADDRESS.to_lowercase();
    let cases: Vec<(ContractConfig, &[ChainName], &str, &str)> = vec![
        (contract(&lower, None, None), &one, "", ""),
        (contract(&lower.to_uppercase(), None, None), &one, "", ""),
        (contract(&format!(" {lower} "), Some("base"), None), &two, "", ""),
        (contract(ADDRESS, None, None), &two, "", "`chain` is missing"),
        (contract(ADDRESS, None, None), &[], "", "no chain is configured"),
        (contract(ADDRESS, Some("bsae"), None), &two, "chain", "there is no chain `bsae`"),
        (
            contract(&ADDRESS.replace('C', "c"), None, None),
            &one,
            "address",
            "the address fails its EIP-55 checksum",
        ),
        (contract("vitalik.eth", None, None), &one, "address", "`vitalik.eth` is no address"),
        (contract("0x12", None, None), &one, "address", "not valid: it has 2 digits"),
        (contract(&lower.replace('9', "g"), None, None), &one, "address", "not valid: it has `g`"),
        (contract(&lower, None, file("none.json")), &one, "abi", "cannot read `none.json`: "),
        (
            contract(&lower, None, file("bad.json")),
            &one,
            "abi",
            "`bad.json`: event A: parameter `arg0`: `unit` is no type",
        ),
        (
            contract(&lower, None, lines(&["event A()", "event B(unit x)"])),
            &one,
            "abi[1]",
            "B: `unit` is no type",
        ),
    ];
    let read = |path: &str| match path {
        "bad.json" => Ok(r#"[{"type":"event","name":"A","inputs":[{"type":"unit"}]}]"#.to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    for (config, chains, path, message) in cases {
        let problems = config.build("vault", chains, &read).err().unwrap_or_default();
        match problems.as_slice() {
            [] => assert_eq!(message, "", "{config:?}"),
            [problem] => {
                assert_eq!(problem.path, path, "{problem:?}");
                assert!(problem.message.contains(message), "{problem:?}");
                assert!(problem.hint.is_some(), "{problem:?}");
            }
            several => panic!("{several:?}"),
        }
    }
}
