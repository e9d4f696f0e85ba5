//! Real mainnet blocks: how many logs, calls and reverts are understood, and which proxies are seen.

use std::collections::{HashMap, HashSet};
use std::future::{Future, ready};
use std::io::Read as _;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use flate2::read::GzDecoder;
use serde::Deserialize;
use wk_chain::abi::proxy::{Detection, Read, detect};
use wk_chain::abi::{Call, Decoder, Revert, transfers};
use wk_model::evm::{Log, Receipt, Transaction};
use wk_model::{ChainName, Height};
use wk_testkit::corpus;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TracedBlock {
    number: u64,
    transactions: Vec<TracedTx>,
}

#[derive(Deserialize)]
struct TracedTx {
    from: Address,
    to: Option<Address>,
    value: U256,
    status: bool,
    logs: Vec<TracedLog>,
    trace: Frame,
}

#[derive(Deserialize)]
struct TracedLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
}

/// A call of geth's `callTracer`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    #[serde(rename = "type")]
    kind: String,
    from: Address,
    to: Option<Address>,
    #[serde(default)]
    input: Bytes,
    #[serde(default)]
    output: Bytes,
    error: Option<String>,
    revert_reason: Option<String>,
    #[serde(default)]
    calls: Vec<Frame>,
}

impl Frame {
    /// This call and all below it, each with the one that made it.
    fn all(&self) -> Vec<(&Frame, Option<&Frame>)> {
        let mut found = vec![(self, None)];
        let mut next = 0;
        while let Some((frame, _)) = found.get(next).copied() {
            found.extend(frame.calls.iter().map(|call| (call, Some(frame))));
            next += 1;
        }
        found
    }
}

#[derive(Deserialize)]
struct StateOfBlock {
    pre_state: HashMap<Address, Account>,
}

#[derive(Deserialize)]
struct Account {
    code_hash: Option<U256>,
    storage: HashMap<U256, U256>,
}

fn unpack<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let file = std::fs::File::open(path).expect("the corpus is whole");
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("the corpus is whole");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn blocks(folder: &Path) -> Vec<TracedBlock> {
    let files = std::fs::read_dir(folder.join("traces")).expect("it is a folder");
    let mut blocks: Vec<TracedBlock> =
        files.map(|file| unpack(&file.expect("the corpus is whole").path())).collect();
    blocks.sort_by_key(|block| block.number);
    blocks
}

impl TracedTx {
    fn transaction(&self) -> Transaction {
        let logs = self.logs.iter().zip(0..).map(|(log, index)| Log {
            address: log.address,
            topics: log.topics.clone(),
            data: log.data.clone(),
            index,
        });
        Transaction {
            from: self.from,
            to: self.to,
            value: self.value,
            input: self.trace.input.clone(),
            receipt: Some(Receipt {
                success: Some(self.status),
                logs: logs.collect(),
                contract_address: self.trace.to,
                ..Receipt::default()
            }),
            ..Transaction::default()
        }
    }
}

#[test]
fn most_of_mainnet_is_understood_without_any_abi() {
    let Some(folder) = corpus().map(|corpus| corpus.join("benign")) else { return };
    let decoder = Decoder::build(vec![]).expect("nothing is watched");
    let chain = ChainName::new("mainnet");
    let (mut logs, mut named, mut moved, mut malformed) = (0u32, 0u32, 0u32, 0u32);
    let (mut calls, mut called) = (0u32, 0u32);
    let (mut reverts, mut worded) = (0u32, 0u32);
    for block in blocks(&folder) {
        for tx in &block.transactions {
            let transaction = tx.transaction();
            for log in transaction.logs() {
                logs += 1;
                let decoded = decoder.log(&chain, Height(block.number), log);
                named += u32::from(decoded.event.is_some());
                // Names may be shared by other protocols, but never with other values.
                if let Some(event) = decoded.event {
                    let again = event.item.decode(log).expect("it was decoded once");
                    assert_eq!(again, event.values);
                }
            }
            let found = transfers(&transaction);
            moved += u32::try_from(found.transfers.len()).expect("few");
            malformed += u32::try_from(found.malformed.len()).expect("few");
            match decoder.call(&chain, Height(block.number), &transaction).call {
                Call::Create | Call::Transfer => {}
                Call::Function(_) => (calls, called) = (calls + 1, called + 1),
                Call::Unknown(_) => calls += 1,
            }
            for (frame, _) in tx.trace.all() {
                if frame.error.is_none() || frame.output.is_empty() {
                    continue;
                }
                reverts += 1;
                let revert = decoder.revert(&chain, frame.to, &frame.output).revert;
                worded += u32::from(!matches!(revert, Revert::Unknown(_)));
                if let (Some(reason), Revert::Reason(said)) = (&frame.revert_reason, &revert) {
                    assert_eq!(reason, said);
                }
            }
        }
    }
    println!("{named} of {logs} logs named, {moved} transfers, {malformed} of another shape");
    println!("{called} of {calls} calls named, {worded} of {reverts} reverts in words");
    assert!(logs > 1_000 && named * 10 > logs * 6, "{named} of {logs}");
    assert!(calls > 500 && called * 10 > calls * 4, "{called} of {calls}");
    assert!(worded * 10 > reverts * 6, "{worded} of {reverts}");
}

#[test]
fn proxies_of_mainnet_are_seen_for_what_they_did() {
    let Some(folder) = corpus().map(|corpus| corpus.join("benign")) else { return };
    let codes: HashMap<U256, String> = unpack(&folder.join("codes.json.gz"));
    let (mut right, mut missed, mut other) = (0u32, 0u32, 0u32);
    let mut kinds: HashMap<&str, u32> = HashMap::new();
    for block in blocks(&folder) {
        let path = folder.join(format!("blocks/{}.json.gz", block.number));
        let state: StateOfBlock = unpack(&path);
        // What proxies really did: handed their own call on, unchanged.
        let mut delegated: HashSet<(Address, Address)> = HashSet::new();
        let mut beacons: HashMap<Address, Bytes> = HashMap::new();
        for tx in &block.transactions {
            for (frame, caller) in tx.trace.all() {
                let Some(to) = frame.to else { continue };
                let forwarded = caller.is_some_and(|caller| caller.input == frame.input);
                if frame.kind == "DELEGATECALL" && forwarded && !frame.input.is_empty() {
                    delegated.insert((frame.from, to));
                }
                if frame.input[..] == hex!("5c60da1b") && frame.error.is_none() {
                    beacons.insert(to, frame.output.clone());
                }
            }
        }
        let proxies: HashSet<Address> = delegated.iter().map(|(proxy, _)| *proxy).collect();
        for proxy in proxies {
            let detection = look(&state, &codes, &beacons, proxy);
            let Some(first) = detection.proxies.first() else {
                missed += 1;
                continue;
            };
            *kinds.entry(first.kind.name()).or_default() += 1;
            match first.implementation {
                Some(implementation) if delegated.contains(&(proxy, implementation)) => right += 1,
                _ => other += 1,
            }
        }
    }
    println!(
        "{right} proxies seen, {missed} of no known kind, {other} that did otherwise: {kinds:?}"
    );
    assert!(right > 50, "{right}");
    assert!(right > missed, "{missed} missed");
    // Upgraded in the same block, or answering their admin by themselves.
    assert!(other * 50 <= right, "{other} of {right}");
}

fn look(
    state: &StateOfBlock,
    codes: &HashMap<U256, String>,
    beacons: &HashMap<Address, Bytes>,
    address: Address,
) -> Detection {
    let answer = |read: &Read| -> Option<Bytes> {
        let (Read::Code(address) | Read::Storage(address, _) | Read::Call(address, _)) = read;
        let account = state.pre_state.get(address);
        match read {
            Read::Code(_) => {
                let code = account.and_then(|account| codes.get(&account.code_hash?));
                Some(code.map_or_else(Bytes::new, |code| code.parse().expect("hex")))
            }
            Read::Storage(_, slot) => {
                let slot = U256::from_be_bytes(slot.0);
                let value = account.and_then(|account| account.storage.get(&slot));
                Some(B256::from(value.copied().unwrap_or_default()).into())
            }
            Read::Call(..) => beacons.get(address).cloned(),
        }
    };
    let read =
        |reads: Vec<Read>| ready(reads.iter().map(|read| Ok::<_, ()>(answer(read))).collect());
    match pin!(detect(address, read)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => found.expect("every read is answered"),
        Poll::Pending => unreachable!("nothing to wait for"),
    }
}
