//! Contracts on a real node: their artefacts, logs, reverts, transfers, proxies and upgrades.

use alloy_primitives::{Address, B256, Bytes, U256, address, hex, keccak256};
use serde_json::{Value, json};
use wk_chain::abi::proxy::{Detection, Moment, Read, detect, slots};
use wk_chain::abi::{AbiSource, ContractConfig, Decoder, Item, Origin, parse_abi, transfers};
use wk_model::evm::{Block, Header, Log, Receipt, Transaction};
use wk_model::{BlockRef, ChainName, Height};
use wk_testkit::{Anvil, DynSolValue, Fixture, Tx, anvil_or_skip, number, text};

fn chain() -> ChainName {
    ChainName::new("anvil")
}

/// A decoder of contracts with their artefacts.
fn decoder(contracts: &[(&str, Address, Option<Fixture>)]) -> Decoder {
    let built = contracts.iter().map(|(name, address, fixture)| {
        let config = ContractConfig {
            address: address.to_string(),
            abi: fixture.map(|_| AbiSource::File("out.json".into())),
            ..ContractConfig::default()
        };
        let read = |_: &str| Ok(fixture.expect("only then").json().to_owned());
        config.build(name, &[chain()], &read).expect("the compiler wrote it")
    });
    Decoder::build(built.collect()).expect("every address is another one")
}

/// As much of a receipt as decoding needs.
fn transaction(receipt: &Value) -> Transaction {
    let parse = |value: &Value| serde_json::from_value::<U256>(value.clone()).expect("a quantity");
    let small = |value: &Value| u64::try_from(parse(value)).expect("small");
    let logs = receipt["logs"].as_array().expect("logs").iter().map(|log| Log {
        address: serde_json::from_value(log["address"].clone()).expect("an address"),
        topics: serde_json::from_value(log["topics"].clone()).expect("topics"),
        data: serde_json::from_value(log["data"].clone()).expect("bytes"),
        index: small(&log["logIndex"]),
    });
    Transaction {
        index: small(&receipt["transactionIndex"]),
        from: serde_json::from_value(receipt["from"].clone()).expect("an address"),
        to: serde_json::from_value(receipt["to"].clone()).expect("an address or none"),
        receipt: Some(Receipt {
            success: Some(receipt["status"] == "0x1"),
            logs: logs.collect(),
            ..Receipt::default()
        }),
        ..Transaction::default()
    }
}

/// The block of a receipt, with only its transaction.
fn block(receipt: &Value) -> Block {
    let height = serde_json::from_value::<U256>(receipt["blockNumber"].clone()).expect("a height");
    let hash = serde_json::from_value(receipt["blockHash"].clone()).expect("a hash");
    let height = Height(u64::try_from(height).expect("small"));
    let header = Header { height, hash, ..Header::default() };
    Block { header, transactions: vec![transaction(receipt)] }
}

async fn look(anvil: &Anvil, address: Address) -> (BlockRef, Detection) {
    let height = anvil.height().await;
    let at = BlockRef { height: Height(height), hash: anvil.hash(height).await };
    let pinned = &format!("{height:#x}");
    let found = detect(address, |reads: Vec<Read>| async move {
        let mut answers = Vec::new();
        for read in reads {
            let (method, params) = match read {
                Read::Code(address) => ("eth_getCode", json!([address, pinned])),
                Read::Storage(address, slot) => {
                    ("eth_getStorageAt", json!([address, slot, pinned]))
                }
                Read::Call(to, data) => ("eth_call", json!([{"to": to, "data": data}, pinned])),
            };
            let answer = match anvil.rpc().try_call(method, params).await {
                Ok(answer) => Ok(Some(serde_json::from_value(answer).expect("bytes"))),
                // 3: the call reverted.
                Err(failure) if failure.code() == Some(3) => Ok(None),
                Err(failure) => Err(failure),
            };
            answers.push(answer);
        }
        answers
    });
    (at, found.await.expect("anvil answers"))
}

fn shown(decoder: &Decoder, receipt: &Value) -> Vec<String> {
    let block = block(receipt);
    let logs = block.transactions[0].logs().iter().map(|log| {
        match decoder.log(&chain(), block.header.height, log).event {
            Some(event) => event.to_string(),
            None => "raw".to_owned(),
        }
    });
    logs.collect()
}

#[test]
fn artefacts_of_the_compiler_are_read() {
    for fixture in Fixture::ALL {
        let ours = parse_abi(fixture.json()).expect("the compiler wrote it");
        let theirs = fixture.abi();
        assert_eq!(ours.events().len(), theirs.events().count(), "{fixture:?}");
        assert_eq!(ours.functions().len(), theirs.functions().count(), "{fixture:?}");
        assert_eq!(ours.errors().len(), theirs.errors().count(), "{fixture:?}");
        for event in theirs.events() {
            assert_eq!(ours.events_named(&event.signature()).count(), 1, "{}", event.signature());
        }
        for function in theirs.functions() {
            let mut found = ours.functions_named(&function.name);
            assert!(found.any(|ours| ours.selector() == function.selector()), "{}", function.name);
        }
        for error in theirs.errors() {
            assert!(ours.errors_named(&error.name).any(|ours| ours.selector() == error.selector()));
        }
        assert!(ours.events().iter().all(|event| !event.name().is_empty()));
    }
}

#[tokio::test]
async fn what_is_hard_to_decode_is_decoded() {
    let anvil = anvil_or_skip!();
    let me = format!("{:?}", anvil.accounts()[0]).to_lowercase();
    let emitter = anvil.deploy(Fixture::Emitter, &[]).await;
    let decoder = decoder(&[("emitter", emitter, Some(Fixture::Emitter))]);
    let hash = keccak256("deep");
    let numbers = DynSolValue::Array(vec![number(7u64), number(8u64)]);
    let mumble = DynSolValue::Bytes(vec![1, 2, 3]);
    for (function, args, expected) in [
        ("whisper", vec![number(5u64)], format!("Whisper(from: {me}, value: 5)")),
        (
            "rich",
            vec![text("deep"), numbers],
            format!("Rich(topic: {hash}, text: \"deep\", numbers: [7, 8], point: (-1, 1))"),
        ),
        ("ping", vec![number(1u64)], "Ping(number: 0, data: 0x)".to_owned()),
        ("mumble", vec![mumble], "raw".to_owned()),
    ] {
        let tx = Tx::call(emitter, Fixture::Emitter, function, &args);
        assert_eq!(shown(&decoder, &anvil.execute(&tx).await), [expected], "{function}");
    }
}

#[tokio::test]
async fn tokens_move_in_one_shape() {
    let anvil = anvil_or_skip!();
    let [me, you] = [anvil.accounts()[0], anvil.accounts()[1]];
    let token = anvil.deploy(Fixture::Token, &[text("T"), text("T"), number8(18)]).await;
    let nft = anvil.deploy(Fixture::Nft, &[]).await;
    let multi = anvil.deploy(Fixture::Multi, &[]).await;
    let weth = anvil.deploy(Fixture::Weth, &[]).await;
    let (a_me, a_you) = (DynSolValue::Address(me), DynSolValue::Address(you));
    let list =
        |numbers: &[u64]| DynSolValue::Array(numbers.iter().map(|value| number(*value)).collect());
    let none = DynSolValue::Bytes(vec![]);
    let zero = Address::ZERO;
    type Moved = (&'static str, Address, Address, Address, Option<u64>, u64);
    let cases: Vec<(Tx, Vec<Moved>)> = vec![
        (
            Tx::call(token, Fixture::Token, "mint", &[a_me.clone(), number(9u64)]),
            vec![("erc20", token, zero, me, None, 9)],
        ),
        (
            Tx::call(token, Fixture::Token, "transfer", &[a_you.clone(), number(4u64)]),
            vec![("erc20", token, me, you, None, 4)],
        ),
        (
            Tx::call(nft, Fixture::Nft, "mint", &[a_me.clone(), number(77u64)]),
            vec![("erc721", nft, zero, me, Some(77), 1)],
        ),
        (
            Tx::call(multi, Fixture::Multi, "mint", &[a_me.clone(), number(1u64), number(5u64)]),
            vec![("erc1155", multi, zero, me, Some(1), 5)],
        ),
        (
            Tx::call(
                multi,
                Fixture::Multi,
                "safeBatchTransferFrom",
                &[a_me, a_you, list(&[1, 1]), list(&[2, 3]), none],
            ),
            vec![("erc1155", multi, me, you, Some(1), 2), ("erc1155", multi, me, you, Some(1), 3)],
        ),
        (
            Tx::call(weth, Fixture::Weth, "deposit", &[]).value(U256::from(6)),
            vec![("weth", weth, zero, me, None, 6)],
        ),
        (
            Tx::call(weth, Fixture::Weth, "withdraw", &[number(2u64)]),
            vec![("weth", weth, me, zero, None, 2)],
        ),
    ];
    for (tx, expected) in cases {
        let tx = transaction(&anvil.execute(&tx).await);
        let found = transfers(&tx);
        let moved: Vec<_> = found
            .transfers
            .iter()
            .map(|transfer| {
                let id = transfer.id.map(|id| u64::try_from(id).expect("small"));
                let amount = u64::try_from(transfer.amount).expect("small");
                let token = transfer.token.expect("a token");
                (transfer.standard.name(), token, transfer.from, transfer.to, id, amount)
            })
            .collect();
        assert_eq!(moved, expected);
        assert!(found.malformed.is_empty());
    }
}

fn number8(value: u8) -> DynSolValue {
    DynSolValue::Uint(U256::from(value), 8)
}

#[tokio::test]
async fn failures_are_put_in_words() {
    let anvil = anvil_or_skip!();
    let me = format!("{:?}", anvil.accounts()[0]).to_lowercase();
    let vault = anvil.deploy(Fixture::Vault, &[]).await;
    let decoder = decoder(&[("vault", vault, Some(Fixture::Vault))]);
    let token = DynSolValue::Address(Address::repeat_byte(9));
    for (from, function, args, expected) in [
        (
            0,
            "withdraw",
            vec![number(5u64)],
            format!("InsufficientBalance(account: {me}, balance: 0, needed: 5)"),
        ),
        (1, "setPaused", vec![DynSolValue::Bool(true)], "not the owner".to_owned()),
        (
            0,
            "withdrawToken",
            vec![token, number(5u64)],
            "panic 0x11: arithmetic overflow or underflow".to_owned(),
        ),
    ] {
        let data = Fixture::Vault.call_data(function, &args);
        let call = json!({"from": anvil.accounts()[from], "to": vault, "data": data});
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"]
        });
        let answer = anvil.rpc().post(body.to_string()).await.expect("anvil answers");
        let data: Bytes =
            serde_json::from_value(answer["error"]["data"].clone()).expect("revert data");
        let revert = decoder.revert(&chain(), Some(vault), &data).revert;
        assert_eq!(revert.to_string(), expected);
    }
}

#[tokio::test]
async fn a_proxy_is_followed_through_its_upgrade() {
    let anvil = anvil_or_skip!();
    let me = format!("{:?}", anvil.accounts()[0]).to_lowercase();
    let v1 = anvil.deploy(Fixture::CounterV1, &[]).await;
    let v2 = anvil.deploy(Fixture::CounterV2, &[]).await;
    let proxy = anvil.deploy(Fixture::Proxy, &[DynSolValue::Address(v1)]).await;
    let decoder = decoder(&[
        ("counter", proxy, None),
        ("v1", v1, Some(Fixture::CounterV1)),
        ("v2", v2, Some(Fixture::CounterV2)),
    ]);
    for address in decoder.unread(&chain()) {
        let (at, detection) = look(&anvil, address).await;
        assert_eq!(detection.proxies.is_empty(), address != proxy);
        if let [detected] = detection.proxies.as_slice() {
            assert_eq!(detected.kind.name(), "eip1967");
            assert_eq!(detected.admin, Some(anvil.accounts()[0]));
        }
        decoder.learn(&chain(), at, &detection);
    }
    let increment = Tx::call(proxy, Fixture::CounterV1, "increment", &[]);
    let before = anvil.execute(&increment).await;
    let log = &block(&before).transactions[0].logs()[0].clone();
    let height = block(&before).header.height;
    let event = decoder.log(&chain(), height, log).event.expect("it is known");
    assert_eq!(event.to_string(), format!("Counted(by: {me}, count: 1)"));
    assert_eq!(event.origin, Origin::Implementation(v1));

    let upgrade = Tx::call(proxy, Fixture::Proxy, "upgradeTo", &[DynSolValue::Address(v2)]);
    let upgrade = anvil.execute(&upgrade).await;
    assert_eq!(decoder.observe(&chain(), &block(&upgrade)).len(), 1);
    assert_eq!(shown(&decoder, &upgrade), [format!("Upgraded(implementation: {})", lower(v2))]);
    assert_eq!(decoder.unread(&chain()), [proxy]);

    let reset = anvil.execute(&Tx::call(proxy, Fixture::CounterV2, "reset", &[])).await;
    assert_eq!(shown(&decoder, &reset), [format!("Reset(by: {me}, from: 1)")]);
    let moment = |receipt: &Value| Moment::End(block(receipt).header.height);
    assert_eq!(decoder.implementation(&chain(), &proxy, moment(&reset)), Some(v2));
    assert_eq!(decoder.implementation(&chain(), &proxy, moment(&before)), Some(v1));
    let (at, detection) = look(&anvil, proxy).await;
    assert_eq!(detection.implementation(), Some(v2));
    assert_eq!(decoder.learn(&chain(), at, &detection), [], "the state agrees with the log");

    decoder.revert_block(&chain(), &block(&upgrade).header.block_ref());
    assert_eq!(decoder.implementation(&chain(), &proxy, moment(&reset)), Some(v1));
}

fn lower(address: Address) -> String {
    format!("0x{}", hex::encode(address))
}

#[tokio::test]
async fn every_minimal_shape_really_delegates() {
    let anvil = anvil_or_skip!();
    let v1 = anvil.deploy(Fixture::CounterV1, &[]).await;
    let a = hex::encode(v1);
    // A copy at an address with leading zeros, for the shorter push.
    let vanity = address!("0x00000000000000000000000000000000deadbeef");
    let code = anvil.rpc().call("eth_getCode", json!([v1, "latest"])).await;
    anvil.rpc().call("anvil_setCode", json!([vanity, code])).await;
    let splits = "36602c57343d527f9e4ac34f21c619cefc926c8bd93b54bf5a39c7ab2127a895af1cc0691d7e3dff59\
                  3da1005b";
    let splits_v1 = "36603057343d52307f830d2d700a97af574b186c80d40429385d24241565b08a7c559ba283a964d9b1\
                  60203da23d3df35b";
    let shapes = [
        ("EIP-1167", format!("363d3d373d3d3d363d73{a}5af43d82803e903d91602b57fd5bf3")),
        ("EIP-1167, short", "363d3d373d3d3d363d63deadbeef5af43d82803e903d91601b57fd5bf3".into()),
        ("EIP-1167, args", format!("363d3d373d3d3d363d73{a}5af43d82803e903d91602b57fd5bf3c0ffee")),
        ("0age", format!("3d3d3d3d363d3d37363d73{a}5af43d3d93803e602a57fd5bf3")),
        ("0age, Splits", format!("{splits}3d3d3d3d363d3d37363d73{a}5af43d3d93803e605757fd5bf3")),
        ("0age, Splits v1", format!("{splits_v1}3d3d3d3d363d3d37363d73{a}5af43d3d93803e605b57fd5bf3")),
        ("EIP-7511", format!("365f5f375f5f365f73{a}5af43d5f5f3e5f3d91602a57fd5bf3")),
        ("Solady PUSH0", format!("5f5f365f5f37365f73{a}5af43d5f5f3e6029573d5ffd5b3d5ff3")),
        ("Vyper", format!("366000600037611000600036600073{a}5af4602c57600080fd5b6110006000f3")),
        ("Vyper beta", format!("366000600037611000600036600073{a}5af41558576110006000f3")),
        (
            "clone with arguments",
            format!("3d3d3d3d363d3d37610004603736393661000401 3d73{a}5af43d3d93803e603557fd5bf3aabb0004")
                .replace(' ', ""),
        ),
        (
            "clone with arguments, old",
            format!("363d3d3761000460383639 3d3d3d36610004013d73{a}5af43d82803e903d91603657fd5bf3aabb0004")
                .replace(' ', ""),
        ),
        (
            "clone with arguments, fixed length",
            format!("3d3d3d3d363d3d376004603536393660040 13d73{a}5af43d3d93803e603357fd5bf3aabbccdd")
                .replace(' ', ""),
        ),
        (
            "Solady with arguments",
            format!("{splits}363d3d373d3d3d3d610004806062363936013d73{a}5af43d3d93803e606057fd5bf3aabb0004"),
        ),
        (
            "Splits with arguments",
            format!(
                "{}60203da13d3df35b3d3d3d3d363d3d37610004606736393661000401{}{a}{}aabb0004",
                splits.replace("36602c", "36602f").trim_end_matches("593da1005b"),
                "3d73",
                "5af43d3d93803e606557fd5bf3"
            ),
        ),
        (
            "MetaProxy",
            format!("363d3d373d3d3d3d60368038038091363936013d73{a}5af43d3d93803e603457fd5bf3aabb"),
        ),
        ("EIP-7702", format!("ef0100{a}")),
    ];
    let version = Fixture::CounterV1.call_data("version", &[]);
    for (what, code) in shapes {
        let proxy = Address::from_word(keccak256(what));
        anvil.rpc().call("anvil_setCode", json!([proxy, format!("0x{code}")])).await;
        let answer =
            anvil.rpc().call("eth_call", json!([{"to": proxy, "data": version}, "latest"]));
        let answer: Bytes = serde_json::from_value(answer.await).expect("bytes");
        assert!(answer.len() >= 32, "{what} answers {answer}");
        assert_eq!(U256::from_be_slice(&answer[..32]), U256::ONE, "{what} delegates");
        let (_, detection) = look(&anvil, proxy).await;
        let expected = if what.ends_with("short") { vanity } else { v1 };
        assert_eq!(detection.implementation(), Some(expected), "{what}");
    }
}

#[tokio::test]
async fn a_beacon_is_asked() {
    let anvil = anvil_or_skip!();
    let v1 = anvil.deploy(Fixture::CounterV1, &[]).await;
    let (proxy, beacon) = (Address::repeat_byte(0x11), Address::repeat_byte(0x22));
    // PUSH20 v1, then return it as a word.
    let answering = format!("0x73{}5f5260205ff3", hex::encode(v1));
    anvil.rpc().call("anvil_setCode", json!([beacon, answering])).await;
    anvil.rpc().call("anvil_setCode", json!([proxy, "0x00"])).await;
    let slot = |slot: B256, value: Address| {
        let params = json!([proxy, slot, value.into_word()]);
        anvil.rpc().call("anvil_setStorageAt", params)
    };
    slot(slots::EIP1967_BEACON, beacon).await;
    anvil.mine(1).await;
    let (_, detection) = look(&anvil, proxy).await;
    assert_eq!(detection.implementation(), Some(v1));
    assert_eq!(detection.proxies[0].beacon, Some(beacon));
    // A beacon that reverts has no answer, and that is no failed read.
    anvil.rpc().call("anvil_setCode", json!([beacon, "0x5f5ffd"])).await;
    let (_, detection) = look(&anvil, proxy).await;
    assert_eq!(detection.proxies.len(), 1);
    assert_eq!(detection.implementation(), None);
}
