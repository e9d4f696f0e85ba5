//! Transfers of every standard in one shape, each counted once.

use alloy_dyn_abi::DynSolValue;
use alloy_primitives::{Address, B256, U256, address, keccak256};
use wk_chain::abi::{Transfer, transfers};
use wk_model::evm::{Log, Receipt, Transaction};

const TOKEN: Address = address!("0x0000000000000000000000000000000000000070");
const SYSTEM: Address = address!("0xfffffffffffffffffffffffffffffffffffffffe");

fn who(number: u64) -> Address {
    Address::from_word(word(number))
}

fn word(number: u64) -> B256 {
    B256::from(U256::from(number))
}

const TRANSFER: &str = "Transfer(address,address,uint256)";
const SINGLE: &str = "TransferSingle(address,address,address,uint256,uint256)";
const BATCH: &str = "TransferBatch(address,address,address,uint256[],uint256[])";

fn log(address: Address, signature: &str, topics: &[u64], data: &[u64]) -> Log {
    let mut all = vec![keccak256(signature)];
    all.extend(topics.iter().map(|topic| word(*topic)));
    let data: Vec<B256> = data.iter().map(|value| word(*value)).collect();
    Log { address, topics: all, data: data.concat().into(), index: 0 }
}

/// A transaction of 1 that sends `value` to 2, with these logs.
fn tx(value: u64, success: Option<bool>, logs: Vec<Log>) -> Transaction {
    let logs =
        logs.into_iter().zip(0..).map(|(log, index)| Log { index, ..log }).collect::<Vec<_>>();
    Transaction {
        from: who(1),
        to: Some(who(2)),
        value: U256::from(value),
        gas: 100_000,
        receipt: Some(Receipt { success, gas_used: 60_000, logs, ..Receipt::default() }),
        ..Transaction::default()
    }
}

/// `standard from>to amount[#id][ by operator][ @log]`
fn shown(transfer: &Transfer) -> String {
    let short = |address: &Address| U256::from_be_slice(address.as_slice()).to_string();
    let Transfer { standard, token, from, to, id, amount, operator, log_index } = transfer;
    assert_eq!(token.is_none(), standard.name() == "native");
    let id = id.map_or(String::new(), |id| format!(" #{id}"));
    let operator = operator.map_or(String::new(), |operator| format!(" by {}", short(&operator)));
    let place = log_index.map_or(String::new(), |index| format!(" @{index}"));
    format!("{} {}>{} {amount}{id}{operator}{place}", standard.name(), short(from), short(to))
}

#[test]
fn every_standard_comes_in_one_shape() {
    let batch = |ids: &[u64], amounts: &[u64]| {
        let numbers = |numbers: &[u64]| {
            DynSolValue::Array(
                numbers.iter().map(|number| DynSolValue::Uint(U256::from(*number), 256)).collect(),
            )
        };
        let data = DynSolValue::Tuple(vec![numbers(ids), numbers(amounts)]).abi_encode_params();
        Log { data: data.into(), ..log(TOKEN, BATCH, &[9, 1, 2], &[]) }
    };
    let dirty = {
        let mut log = log(TOKEN, TRANSFER, &[1, 2], &[5]);
        log.topics[1] = B256::repeat_byte(1);
        log
    };
    let ok = Some(true);
    // Logs, value, success, expected transfers, places of the malformed logs.
    type Case =
        (&'static str, Vec<Log>, u64, Option<bool>, &'static [&'static str], &'static [u64]);
    let cases: Vec<Case> = vec![
        ("native", vec![], 7, ok, &["native 1>2 7"], &[]),
        ("nothing sent", vec![], 0, ok, &[], &[]),
        ("failed", vec![], 7, Some(false), &[], &[]),
        ("before Byzantium, gas left", vec![], 7, None, &["native 1>2 7"], &[]),
        (
            "ERC-20, ERC-721",
            vec![log(TOKEN, TRANSFER, &[1, 2], &[5]), log(TOKEN, TRANSFER, &[1, 2, 77], &[])],
            0,
            ok,
            &["erc20 1>2 5 @0", "erc721 1>2 1 #77 @1"],
            &[],
        ),
        (
            "ERC-1155",
            vec![log(TOKEN, SINGLE, &[9, 1, 2], &[77, 5]), batch(&[1, 2, 1], &[10, 20, 30])],
            0,
            ok,
            &[
                "erc1155 1>2 5 #77 by 9 @0",
                "erc1155 1>2 10 #1 by 9 @1",
                "erc1155 1>2 20 #2 by 9 @1",
                "erc1155 1>2 30 #1 by 9 @1",
            ],
            &[],
        ),
        ("an empty batch", vec![batch(&[], &[])], 0, ok, &[], &[]),
        (
            "wrapping and unwrapping",
            vec![
                log(TOKEN, "Deposit(address,uint256)", &[1], &[7]),
                log(TOKEN, "Withdrawal(address,uint256)", &[1], &[3]),
            ],
            7,
            ok,
            &["native 1>2 7", "weth 0>1 7 @0", "weth 1>0 3 @1"],
            &[],
        ),
        (
            "wrapping that is told twice, once",
            vec![
                log(TOKEN, TRANSFER, &[0, 1], &[7]),
                log(TOKEN, "Deposit(address,uint256)", &[1], &[7]),
                log(TOKEN, "Deposit(address,uint256)", &[1], &[7]),
                log(TOKEN, "Withdrawal(address,uint256)", &[1], &[7]),
            ],
            0,
            ok,
            &["erc20 0>1 7 @0", "weth 0>1 7 @2", "weth 1>0 7 @3"],
            &[],
        ),
        (
            "EIP-7708: the value is a log, and counted once",
            vec![log(SYSTEM, TRANSFER, &[1, 2], &[7]), log(SYSTEM, TRANSFER, &[2, 3], &[4])],
            7,
            ok,
            &["native 1>2 7 @0", "native 2>3 4 @1"],
            &[],
        ),
        (
            "EIP-7708: burnt",
            vec![log(SYSTEM, "Burn(address,uint256)", &[2], &[4])],
            0,
            ok,
            &["native 2>0 4 @0"],
            &[],
        ),
        (
            "a token's own `Burn` is none",
            vec![log(TOKEN, "Burn(address,uint256)", &[2], &[4])],
            0,
            ok,
            &[],
            &[],
        ),
        (
            "another `Deposit` is no wrapping",
            vec![log(TOKEN, "Deposit(address,uint256)", &[1, 2], &[])],
            0,
            ok,
            &[],
            &[],
        ),
        (
            "malformed ones are set aside, the others stay",
            vec![
                log(TOKEN, TRANSFER, &[], &[1, 2, 5]),
                log(TOKEN, TRANSFER, &[1, 2], &[]),
                log(TOKEN, TRANSFER, &[1, 2], &[5, 6]),
                log(TOKEN, TRANSFER, &[1, 2, 3], &[5]),
                dirty,
                log(TOKEN, SINGLE, &[9, 1, 2], &[77]),
                log(TOKEN, BATCH, &[9, 1, 2], &[64, 96, 1]),
                batch(&[1, 2], &[1]),
                log(SYSTEM, TRANSFER, &[1], &[5]),
                log(TOKEN, TRANSFER, &[1, 2], &[5]),
            ],
            0,
            ok,
            &["erc20 1>2 5 @9"],
            &[0, 1, 2, 3, 4, 5, 6, 7, 8],
        ),
    ];
    for (what, logs, value, success, expected, malformed) in cases {
        let tx = tx(value, success, logs);
        let found = transfers(&tx);
        assert_eq!(found.transfers.iter().map(shown).collect::<Vec<_>>(), expected, "{what}");
        assert_eq!(
            found.malformed.iter().map(|log| log.index).collect::<Vec<_>>(),
            malformed,
            "{what}"
        );
    }
}

#[test]
fn native_value_needs_a_receiver_and_a_receipt() {
    let mut creation = tx(7, Some(true), vec![]);
    creation.to = None;
    assert_eq!(transfers(&creation).transfers, []);
    creation.receipt.as_mut().expect("it has one").contract_address = Some(who(5));
    assert_eq!(
        transfers(&creation).transfers.iter().map(shown).collect::<Vec<_>>(),
        ["native 1>5 7"]
    );

    let mut pending = tx(7, Some(true), vec![]);
    pending.receipt = None;
    assert_eq!(transfers(&pending).transfers, []);

    let mut old = tx(7, None, vec![]);
    let receipt = old.receipt.as_mut().expect("it has one");
    receipt.gas_used = old.gas;
    assert_eq!(transfers(&old).transfers, [], "it ran out of gas");
    (old.gas, old.receipt.as_mut().expect("it has one").gas_used) = (21_000, 21_000);
    assert_eq!(transfers(&old).transfers.len(), 1, "a plain transfer");
}
