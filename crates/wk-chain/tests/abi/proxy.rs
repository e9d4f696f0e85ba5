//! Proxies: recognised by code and slots, followed through upgrades, nested, and reverted.

use std::collections::HashMap;
use std::future::{Future, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use alloy_primitives::{Address, B256, Bytes, U256, address, hex, keccak256};
use proptest::prelude::*;
use serde_json::json;
use wk_chain::abi::proxy::{
    Change, Detection, Implementations, Moment, Read, ReadFault, Target, Upgrade, detect, slots,
};
use wk_chain::abi::{ContractConfig, Decoder, Origin};
use wk_model::evm::{Block, Header, Log, Receipt, Transaction};
use wk_model::{BlockRef, ChainName, Height};

fn chain() -> ChainName {
    ChainName::new("mainnet")
}

fn who(number: u64) -> Address {
    Address::from_word(B256::from(U256::from(number)))
}

/// A chain's state: code, slots, and what calls answer.
#[derive(Default)]
struct State {
    code: HashMap<Address, Vec<u8>>,
    slots: HashMap<(Address, B256), B256>,
    /// By contract and the first byte of the selector.
    calls: HashMap<(Address, u8), Option<Vec<u8>>>,
    /// Reads of this address fail.
    broken: Option<Address>,
}

impl State {
    fn contract(mut self, address: Address) -> State {
        self.code.insert(address, vec![0x60, 0x80]);
        self
    }

    fn code(mut self, address: Address, code: &str) -> State {
        self.code.insert(address, hex::decode(code).expect("hex"));
        self
    }

    fn slot(mut self, address: Address, slot: B256, value: Address) -> State {
        self.slots.insert((address, slot), value.into_word());
        self.contract(address)
    }

    fn call(self, address: Address, answer: Option<Vec<u8>>) -> State {
        self.answers(address, "implementation()", answer).contract(address)
    }

    fn answers(mut self, address: Address, function: &str, answer: Option<Vec<u8>>) -> State {
        self.calls.insert((address, keccak256(function)[0]), answer);
        self
    }

    fn answer(&self, read: &Read) -> Result<Option<Bytes>, &'static str> {
        let (Read::Code(address) | Read::Storage(address, _) | Read::Call(address, _)) = read;
        if self.broken == Some(*address) {
            return Err("timeout");
        }
        Ok(match read {
            Read::Code(address) => Some(self.code.get(address).cloned().unwrap_or_default().into()),
            Read::Storage(address, slot) => {
                Some(self.slots.get(&(*address, *slot)).copied().unwrap_or_default().into())
            }
            Read::Call(address, input) => {
                let known = ["implementation()", "proxyType()"];
                assert!(known.iter().any(|text| keccak256(text)[..4] == input[..]));
                self.calls.get(&(*address, input[0])).cloned().flatten().map(Bytes::from)
            }
        })
    }
}

fn look(state: &State, address: Address) -> Result<Detection, ReadFault<&'static str>> {
    let read = |reads: Vec<Read>| ready(reads.iter().map(|read| state.answer(read)).collect());
    // Every answer is ready, so one poll is enough.
    let mut found = pin!(detect(address, read));
    match found.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => found,
        Poll::Pending => unreachable!("nothing to wait for"),
    }
}

/// `kind proxy[ via beacon]>implementation[ admin]`, joined by `, `.
fn shown(detection: &Detection) -> String {
    let short = |address: Address| U256::from_be_slice(address.as_slice()).to_string();
    let lines: Vec<String> = detection
        .proxies
        .iter()
        .map(|proxy| {
            let beacon =
                proxy.beacon.map_or(String::new(), |beacon| format!(" via {}", short(beacon)));
            let target = proxy.implementation.map_or("nothing".to_owned(), short);
            let admin =
                proxy.admin.map_or(String::new(), |admin| format!(" admin {}", short(admin)));
            format!("{} {}{beacon}>{target}{admin}", proxy.kind.name(), short(proxy.proxy))
        })
        .collect();
    let cut = if detection.cut { " cut" } else { "" };
    format!("{}{cut}", lines.join(", "))
}

#[test]
fn slots_are_what_their_formulas_give() {
    let minus_one = |text: &str| B256::from(U256::from_be_bytes(keccak256(text).0) - U256::ONE);
    for (slot, expected) in [
        (slots::EIP1967_IMPLEMENTATION, minus_one("eip1967.proxy.implementation")),
        (slots::EIP1967_BEACON, minus_one("eip1967.proxy.beacon")),
        (slots::EIP1967_ADMIN, minus_one("eip1967.proxy.admin")),
        (slots::EIP1822, keccak256("PROXIABLE")),
        (slots::ZEPPELIN_IMPLEMENTATION, keccak256("org.zeppelinos.proxy.implementation")),
        (slots::ZEPPELIN_ADMIN, keccak256("org.zeppelinos.proxy.admin")),
    ] {
        assert_eq!(slot, expected);
    }
}

#[test]
fn every_kind_is_recognised() {
    let (p, q, i, beacon, admin) = (who(1), who(2), who(9), who(5), who(7));
    let implementation = i.into_word().to_vec();
    let cases: Vec<(&str, State, &str)> = vec![
        ("nothing there", State::default(), ""),
        ("an account with slots but no code", State::default().slot(q, slots::EIP1822, i), ""),
        ("a plain contract", State::default().contract(p), ""),
        ("EIP-1967", State::default().slot(p, slots::EIP1967_IMPLEMENTATION, i), "eip1967 1>9"),
        (
            "EIP-1967 with an admin",
            State::default()
                .slot(p, slots::EIP1967_IMPLEMENTATION, i)
                .slot(p, slots::EIP1967_ADMIN, admin),
            "eip1967 1>9 admin 7",
        ),
        (
            "a beacon",
            State::default()
                .slot(p, slots::EIP1967_BEACON, beacon)
                .call(beacon, Some(implementation.clone())),
            "beacon 1 via 5>9",
        ),
        (
            "a beacon that reverts",
            State::default().slot(p, slots::EIP1967_BEACON, beacon).call(beacon, None),
            "beacon 1 via 5>nothing",
        ),
        (
            "a beacon that answers nonsense",
            State::default()
                .slot(p, slots::EIP1967_BEACON, beacon)
                .call(beacon, Some(vec![0xff; 64])),
            "beacon 1 via 5>nothing",
        ),
        ("EIP-1822", State::default().slot(p, slots::EIP1822, i), "eip1822 1>9"),
        (
            "OpenZeppelin of old",
            State::default()
                .slot(p, slots::ZEPPELIN_IMPLEMENTATION, i)
                .slot(p, slots::ZEPPELIN_ADMIN, admin),
            "zeppelin 1>9 admin 7",
        ),
        (
            "a Safe",
            State::default().slot(p, B256::ZERO, i).code(
                p,
                "608060405273ffffffffffffffffffffffffffffffffffffffff600054167fa619486e00000000000000\
                 00000000000000000000000000000000000000000060003514156050578060005260206000f35b3660008037",
            ),
            "safe 1>9",
        ),
        (
            "EIP-897",
            State::default()
                .code(p, "6080f4")
                .answers(p, "implementation()", Some(implementation.clone()))
                .answers(p, "proxyType()", Some(B256::with_last_byte(2).to_vec())),
            "eip897 1>9",
        ),
        (
            "a beacon is no proxy",
            State::default().code(p, "6080f4").answers(
                p,
                "implementation()",
                Some(implementation.clone()),
            ),
            "",
        ),
        (
            "a type that is none",
            State::default()
                .code(p, "6080f4")
                .answers(p, "implementation()", Some(implementation.clone()))
                .answers(p, "proxyType()", Some(vec![0xff; 32])),
            "",
        ),
        (
            "an account that delegates",
            State::default().code(p, "ef01000000000000000000000000000000000000000009"),
            "delegated 1>9",
        ),
        (
            "behind one another",
            State::default()
                .slot(p, slots::EIP1967_IMPLEMENTATION, q)
                .slot(q, slots::EIP1822, i)
                .contract(i),
            "eip1967 1>2, eip1822 2>9",
        ),
        (
            "in a circle",
            State::default()
                .slot(p, slots::EIP1967_IMPLEMENTATION, q)
                .slot(q, slots::EIP1967_IMPLEMENTATION, p),
            "eip1967 1>2, eip1967 2>1 cut",
        ),
        (
            "its own implementation",
            State::default().slot(p, slots::EIP1967_IMPLEMENTATION, p),
            "eip1967 1>1 cut",
        ),
        (
            "without end",
            (1..20).fold(State::default(), |state, n| {
                state.slot(who(n), slots::EIP1967_IMPLEMENTATION, who(n + 1))
            }),
            "eip1967 1>2, eip1967 2>3, eip1967 3>4, eip1967 4>5 cut",
        ),
    ];
    for (what, state, expected) in cases {
        let found = look(&state, p).expect("every read is answered");
        assert_eq!(shown(&found), expected, "{what}");
    }
}

#[test]
fn minimal_proxies_of_every_shape_are_recognised() {
    let i = address!("0xbebebebebebebebebebebebebebebebebebebebe");
    let a = "bebebebebebebebebebebebebebebebebebebebe";
    let shapes = [
        ("EIP-1167", format!("363d3d373d3d3d363d73{a}5af43d82803e903d91602b57fd5bf3")),
        (
            "EIP-1167 with arguments",
            format!("363d3d373d3d3d363d73{a}5af43d82803e903d91602b57fd5bf3c0ffee"),
        ),
        ("0age", format!("3d3d3d3d363d3d37363d73{a}5af43d3d93803e602a57fd5bf3")),
        ("EIP-7511", format!("365f5f375f5f365f73{a}5af43d5f5f3e5f3d91602a57fd5bf3")),
        ("Solady PUSH0", format!("5f5f365f5f37365f73{a}5af43d5f5f3e6029573d5ffd5b3d5ff3")),
        ("Vyper", format!("366000600037611000600036600073{a}5af4602c57600080fd5b6110006000f3")),
        ("Vyper beta", format!("366000600037611000600036600073{a}5af41558576110006000f3")),
        (
            "clone with arguments",
            format!(
                "3d3d3d3d363d3d3761003f603736393661003f013d73{a}5af43d3d93803e603557fd5bf3aabb003f"
            ),
        ),
        (
            "MetaProxy",
            format!("363d3d373d3d3d3d60368038038091363936013d73{a}5af43d3d93803e603457fd5bf3aabb"),
        ),
    ];
    for (what, code) in shapes {
        let state = State::default().code(who(1), &code);
        let found = look(&state, who(1)).expect("every read is answered");
        assert_eq!(found.implementation(), Some(i), "{what}");
        // One byte less or another address length is no proxy.
        let cut = State::default().code(who(1), &code[..code.len() - 8]);
        let found = look(&cut, who(1)).expect("every read is answered");
        assert!(
            found.proxies.is_empty() || what.contains("arguments") || what == "MetaProxy",
            "{what}"
        );
    }
    // Addresses with leading zeros take a shorter push.
    for length in 1..=20u8 {
        let mut address = [0; 20];
        address[usize::from(20 - length)..].fill(0xab);
        let code = format!(
            "363d3d373d3d3d363d{:02x}{}5af43d82803e903d9160{:02x}57fd5bf3",
            0x5f + length,
            "ab".repeat(usize::from(length)),
            0x17 + length
        );
        let found = look(&State::default().code(who(1), &code), who(1)).expect("answered");
        assert_eq!(found.implementation(), Some(Address::from(address)), "{length}");
    }
}

#[test]
fn a_failed_read_is_not_no_proxy() {
    let mut state = State::default().slot(who(1), slots::EIP1967_IMPLEMENTATION, who(2));
    state.broken = Some(who(2));
    let fault = look(&state, who(1)).expect_err("the implementation cannot be read");
    assert!(matches!(fault, ReadFault::Read { address, .. } if address == who(2)), "{fault}");
    let short = pin!(detect(who(1), |_| ready(Vec::<Result<_, &str>>::new())))
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(short, Poll::Ready(Err(ReadFault::Answers { asked: 7, answered: 0, .. }))));
}

/// A block whose hash is its height and fork, with one transaction for each list of logs.
fn block(height: u64, fork: u8, transactions: Vec<Vec<Log>>) -> Block {
    let mut index = 0;
    let transactions = transactions
        .into_iter()
        .zip(0..)
        .map(|(logs, tx_index)| {
            let logs = logs
                .into_iter()
                .map(|log| {
                    index += 1;
                    Log { index: index - 1, ..log }
                })
                .collect();
            Transaction {
                index: tx_index,
                receipt: Some(Receipt { success: Some(true), logs, ..Receipt::default() }),
                ..Transaction::default()
            }
        })
        .collect();
    let mut hash = B256::from(U256::from(height));
    hash[0] = fork;
    Block { header: Header { height: Height(height), hash, ..Header::default() }, transactions }
}

fn upgraded(proxy: Address, implementation: Address) -> Log {
    Log {
        address: proxy,
        topics: vec![keccak256("Upgraded(address)"), implementation.into_word()],
        ..Log::default()
    }
}

fn beacon_upgraded(proxy: Address, beacon: Address) -> Log {
    Log {
        address: proxy,
        topics: vec![keccak256("BeaconUpgraded(address)"), beacon.into_word()],
        ..Log::default()
    }
}

fn other(address: Address) -> Log {
    Log { address, topics: vec![keccak256("Ping()")], ..Log::default() }
}

#[test]
fn upgrades_count_from_their_place_in_the_block() {
    let (p, a, b, c) = (who(1), who(10), who(11), who(12));
    let mut known = Implementations::default();
    known.watch(&chain(), p);
    assert_eq!(known.unread(&chain()), [p]);

    // Read at the end of block 10: so it most likely was before.
    let state = State::default().slot(p, slots::EIP1967_IMPLEMENTATION, a);
    let ten = block(10, 0, vec![]).header.block_ref();
    let news = known.learn(&chain(), ten, &look(&state, p).expect("answered"));
    assert_eq!(news.len(), 1);
    assert!(known.unread(&chain()).is_empty());
    let again = known.learn(&chain(), ten, &look(&state, p).expect("answered"));
    assert_eq!(again, [], "nothing is new the second time");

    let twelve = block(
        12,
        0,
        vec![
            vec![other(p)],
            vec![other(p), upgraded(p, b), other(p)],
            vec![other(p), upgraded(who(77), c)],
            vec![upgraded(p, c)],
        ],
    );
    let news = known.observe(&chain(), &twelve);
    assert_eq!(news.len(), 2, "strangers are not followed: {news:?}");
    assert_eq!(known.unread(&chain()), [p], "the new code may be a proxy itself");
    assert_eq!(known.observe(&chain(), &twelve), news, "seeing it twice changes nothing");

    let h = Height;
    for (moment, expected) in [
        (Moment::Log(h(5), 0), a),
        (Moment::Log(h(11), 99), a),
        (Moment::Log(h(12), 0), a),
        (Moment::Log(h(12), 2), a),
        (Moment::Log(h(12), 3), b),
        (Moment::Log(h(12), 4), b),
        (Moment::Log(h(12), 6), b),
        (Moment::Log(h(13), 0), c),
        (Moment::Tx(h(12), 0), a),
        (Moment::Tx(h(12), 1), a),
        (Moment::Tx(h(12), 2), b),
        (Moment::Tx(h(12), 3), b),
        (Moment::Tx(h(12), 4), c),
        (Moment::Tx(h(13), 0), c),
        (Moment::End(h(11)), a),
        (Moment::End(h(12)), c),
    ] {
        assert_eq!(known.at(&chain(), &p, moment), Some(expected), "{moment:?}");
    }
    assert_eq!(known.ever(&chain(), &p), [c, b, a]);

    // What was stored brings the same answers.
    let mut restored = Implementations::default();
    restored.watch(&chain(), p);
    let stored: Vec<Upgrade> = serde_json::from_str(
        &serde_json::to_string(&[known_first(ten, p, a), news].concat()).expect("it is JSON"),
    )
    .expect("it is what was written");
    restored.restore(stored);
    assert_eq!(restored.at(&chain(), &p, Moment::Log(h(12), 4)), Some(b));
    assert_eq!(restored.at(&chain(), &p, Moment::End(h(10))), Some(a));
    assert_eq!(restored.unread(&chain()), [p], "it may have changed in silence");

    known.revert(&chain(), &twelve.header.block_ref());
    assert_eq!(known.at(&chain(), &p, Moment::End(h(12))), Some(a));
    assert_eq!(known.unread(&chain()), [p]);
}

fn known_first(at: BlockRef, proxy: Address, implementation: Address) -> Vec<Upgrade> {
    vec![Upgrade {
        chain: chain(),
        address: proxy,
        block: at,
        log: None,
        change: Change::Target(Target::Implementation(implementation)),
    }]
}

#[test]
fn stored_upgrades_keep_their_form() {
    // Written by the first version; later versions have to read it.
    let old = r#"[
        {"chain":"mainnet","address":"0x0000000000000000000000000000000000000001",
         "block":{"height":12,"hash":"0x000000000000000000000000000000000000000000000000000000000000000c"},
         "log":{"tx_index":1,"log_index":2},
         "change":{"kind":"target","value":{"kind":"implementation","address":"0x000000000000000000000000000000000000000b"}}},
        {"chain":"mainnet","address":"0x0000000000000000000000000000000000000001",
         "block":{"height":12,"hash":"0x000000000000000000000000000000000000000000000000000000000000000c"},
         "log":null,
         "change":{"kind":"admin","value":null}},
        {"chain":"mainnet","address":"0x0000000000000000000000000000000000000001",
         "block":{"height":12,"hash":"0x000000000000000000000000000000000000000000000000000000000000000c"},
         "log":null,
         "change":{"kind":"target","value":{"kind":"nothing"}}}
    ]"#;
    let upgrades: Vec<Upgrade> = serde_json::from_str(old).expect("it is read");
    let written = serde_json::to_value(&upgrades).expect("it is JSON");
    assert_eq!(written, serde_json::from_str::<serde_json::Value>(old).expect("it is JSON"));
}

#[test]
fn beacons_carry_their_proxies_along() {
    let (p, q, beacon, next, a, b, c) = (who(1), who(2), who(5), who(6), who(10), who(11), who(12));
    let mut known = Implementations::default();
    known.watch(&chain(), p);
    known.watch(&chain(), q);
    let state = State::default()
        .slot(p, slots::EIP1967_BEACON, beacon)
        .slot(q, slots::EIP1967_BEACON, beacon)
        .call(beacon, Some(a.into_word().to_vec()))
        .call(next, Some(c.into_word().to_vec()));
    let at = block(1, 0, vec![]).header.block_ref();
    for proxy in [p, q] {
        known.learn(&chain(), at, &look(&state, proxy).expect("answered"));
    }
    let end = |height| Moment::End(Height(height));
    assert_eq!(known.at(&chain(), &p, end(1)), Some(a));

    // The beacon's own upgrade moves both.
    known.observe(&chain(), &block(2, 0, vec![vec![upgraded(beacon, b)]]));
    assert_eq!(known.at(&chain(), &p, end(2)), Some(b));
    assert_eq!(known.at(&chain(), &q, end(2)), Some(b));
    assert_eq!(known.unread(&chain()), [p, q]);

    // Another beacon: what it says has to be read.
    known.observe(&chain(), &block(3, 0, vec![vec![beacon_upgraded(p, next)]]));
    assert_eq!(known.beacon_at(&chain(), &p, end(3)), Some(next));
    assert_eq!(known.at(&chain(), &p, end(3)), None);
    assert_eq!(known.at(&chain(), &q, end(3)), Some(b));
    let state = state.slot(p, slots::EIP1967_BEACON, next);
    let at = block(3, 0, vec![]).header.block_ref();
    known.learn(&chain(), at, &look(&state, p).expect("answered"));
    assert_eq!(known.at(&chain(), &p, end(3)), Some(c));
    assert_eq!(known.at(&chain(), &p, end(2)), Some(b));
    assert_eq!(known.ever(&chain(), &p), [c, b, a]);
}

#[test]
fn of_one_block_a_log_counts_more_than_a_read() {
    let (p, a, b, c) = (who(1), who(10), who(11), who(12));
    let end = |height| Moment::End(Height(height));
    let state = |to| State::default().slot(p, slots::EIP1967_IMPLEMENTATION, to);
    let two = block(2, 0, vec![vec![upgraded(p, b)]]);
    let read = |known: &mut Implementations, at: &Block, to| {
        known.learn(&chain(), at.header.block_ref(), &look(&state(to), p).expect("answered"))
    };
    let mut known = Implementations::default();
    known.watch(&chain(), p);
    read(&mut known, &block(1, 0, vec![]), a);

    // In whatever order they come.
    let mut late = known.clone();
    known.observe(&chain(), &two);
    assert_eq!(read(&mut known, &two, c), [], "the log says something else");
    assert_eq!(read(&mut late, &two, c).len(), 1);
    late.observe(&chain(), &two);
    for known in [&known, &late] {
        assert_eq!(known.at(&chain(), &p, end(2)), Some(b));
        assert_eq!(known.at(&chain(), &p, end(9)), Some(b));
    }
    // It is not forgotten: the contract is read again, and a later block has no such log.
    assert_eq!(known.unread(&chain()), [p]);
    let news = read(&mut known, &block(3, 0, vec![]), c);
    assert_eq!(news.len(), 1);
    assert_eq!(known.at(&chain(), &p, end(3)), Some(c));
    assert!(known.unread(&chain()).is_empty());
    known.revert(&chain(), &two.header.block_ref());
    assert_eq!(known.at(&chain(), &p, end(2)), Some(a));
}

#[test]
fn contracts_are_read_again_in_turn_and_known_across_reloads() {
    let build = |contracts: &[(&str, u64, u32)]| {
        let contracts = contracts.iter().map(|(name, address, every)| {
            let config = ContractConfig {
                address: who(*address).to_string(),
                proxy_reread_blocks: Some(*every),
                ..ContractConfig::default()
            };
            config.build(name, &[chain()], &|_| unreachable!("no files")).expect("it is right")
        });
        Decoder::build(contracts.collect()).expect("every address is another one")
    };
    let first = build(&[("proxy", 1, 5), ("plain", 2, 5), ("never", 3, 0)]);
    assert_eq!(first.due(&chain(), Height(7)), [who(1), who(2), who(3)], "none was read yet");
    let state = State::default()
        .slot(who(1), slots::EIP1967_IMPLEMENTATION, who(9))
        .slot(who(3), slots::EIP1967_IMPLEMENTATION, who(9))
        .contract(who(2));
    let at = block(7, 0, vec![]).header.block_ref();
    for address in [who(1), who(2), who(3)] {
        first.learn(&chain(), at, &look(&state, address).expect("answered"));
    }
    let turns = |decoder: &Decoder, address: Address| -> Vec<u64> {
        (8..=208).filter(|at| decoder.due(&chain(), Height(*at)).contains(&address)).collect()
    };
    assert_eq!(turns(&first, who(1)).len(), 40, "each fifth block");
    assert_eq!(turns(&first, who(2)).len(), 2, "what is no proxy, much rarer");
    assert_eq!(turns(&first, who(3)), Vec::<u64>::new());
    first.doubt(&chain(), &who(3));
    assert_eq!(first.unread(&chain()), [who(3)]);

    // Another config: what is known stays known, what is new is unread, what is gone is let go.
    let second = build(&[("proxy", 1, 5), ("new", 4, 5)]);
    second.adopt(&first);
    assert_eq!(second.unread(&chain()), [who(4)]);
    let target = Some(Target::Implementation(who(9)));
    assert_eq!(second.behind(&chain(), &who(1), Height(8)), (target, None));
    // A block that was still on its way with the old one is not lost.
    first.observe(&chain(), &block(8, 0, vec![vec![upgraded(who(1), who(10))]]));
    let target = Some(Target::Implementation(who(10)));
    assert_eq!(second.behind(&chain(), &who(1), Height(8)), (target, None));
}

#[test]
fn admins_are_followed() {
    let p = who(1);
    let mut known = Implementations::default();
    known.watch(&chain(), p);
    let state = State::default().slot(p, slots::EIP1967_IMPLEMENTATION, who(9)).slot(
        p,
        slots::EIP1967_ADMIN,
        who(7),
    );
    let at = block(1, 0, vec![]).header.block_ref();
    assert_eq!(known.learn(&chain(), at, &look(&state, p).expect("answered")).len(), 2);
    let changed = Log {
        address: p,
        topics: vec![keccak256("AdminChanged(address,address)")],
        data: [who(7).into_word(), who(8).into_word()].concat().into(),
        index: 0,
    };
    known.observe(&chain(), &block(2, 0, vec![vec![changed]]));
    assert_eq!(known.admin_at(&chain(), &p, Moment::End(Height(1))), Some(who(7)));
    assert_eq!(known.admin_at(&chain(), &p, Moment::End(Height(2))), Some(who(8)));
    // Old contracts do not index the implementation either.
    let old = Log {
        address: p,
        topics: vec![keccak256("Upgraded(address)")],
        data: who(10).into_word().to_vec().into(),
        index: 0,
    };
    known.observe(&chain(), &block(3, 0, vec![vec![old]]));
    assert_eq!(known.at(&chain(), &p, Moment::End(Height(3))), Some(who(10)));
    // A silent change is news when it is read.
    let state = state.slot(p, slots::EIP1967_IMPLEMENTATION, who(66));
    let at = block(4, 0, vec![]).header.block_ref();
    let news = known.learn(&chain(), at, &look(&state, p).expect("answered"));
    assert_eq!(
        news.iter().map(|upgrade| (upgrade.log, upgrade.change)).collect::<Vec<_>>(),
        [
            (None, Change::Target(Target::Implementation(who(66)))),
            (None, Change::Admin(Some(who(7))))
        ]
    );
}

#[test]
fn a_proxy_is_decoded_with_the_code_of_the_moment() {
    let (p, v1, v2) = (who(1), who(10), who(11));
    let contract = |name: &str, address: Address, abi: &[&str]| {
        let config: ContractConfig =
            serde_json::from_value(json!({"address": address.to_string(), "abi": abi}))
                .expect("valid settings");
        config.build(name, &[chain()], &|_| unreachable!("no file")).expect("valid signatures")
    };
    let decoder = Decoder::build(vec![
        contract("proxy", p, &["event Own(uint256 x)"]),
        contract("v1", v1, &["event Set(uint256 old)", "event Gone(uint256 x)"]),
        contract("v2", v2, &["event Set(uint256 new)"]),
    ])
    .expect("three contracts");
    assert_eq!(decoder.unread(&chain()), [p, v1, v2]);
    let state =
        State::default().slot(p, slots::EIP1967_IMPLEMENTATION, v1).contract(v1).contract(v2);
    let at = block(1, 0, vec![]).header.block_ref();
    for address in decoder.unread(&chain()) {
        decoder.learn(&chain(), at, &look(&state, address).expect("answered"));
    }
    assert!(decoder.unread(&chain()).is_empty());

    let emitted = |signature: &str| Log {
        address: p,
        topics: vec![keccak256(signature)],
        data: B256::from(U256::from(5)).to_vec().into(),
        index: 0,
    };
    let two = block(
        2,
        0,
        vec![vec![
            emitted("Set(uint256)"),
            upgraded(p, v2),
            emitted("Set(uint256)"),
            emitted("Own(uint256)"),
            emitted("Gone(uint256)"),
        ]],
    );
    decoder.observe(&chain(), &two);
    let say = |height: u64, log: &Log| {
        let decoded = decoder.log(&chain(), Height(height), log).event.expect("it is known");
        (decoded.to_string(), decoded.origin)
    };
    let logs = two.transactions[0].logs();
    assert_eq!(say(2, &logs[0]), ("Set(old: 5)".into(), Origin::Implementation(v1)));
    assert_eq!(say(2, &logs[2]), ("Set(new: 5)".into(), Origin::Implementation(v2)));
    assert_eq!(say(2, &logs[3]), ("Own(x: 5)".into(), Origin::Contract));
    // Code of before may still be what explains an event.
    assert_eq!(say(2, &logs[4]), ("Gone(x: 5)".into(), Origin::Implementation(v1)));
    assert_eq!(say(2, &logs[1]).1, Origin::Known("ERC1967"));

    decoder.revert_block(&chain(), &two.header.block_ref());
    assert_eq!(say(2, &logs[2]), ("Set(old: 5)".into(), Origin::Implementation(v1)));
    assert_eq!(
        decoder.implementation(&chain(), &p, Moment::End(Height(2))),
        Some(v1),
        "the upgrade is undone"
    );
}

/// Something that a block can do to one of three proxies, two beacons and two implementations.
fn step() -> impl Strategy<Value = Vec<Vec<Log>>> {
    let log = (0u64..5, 0u64..6, 0u8..3).prop_map(|(from, to, kind)| match kind {
        0 => upgraded(who(1 + from), who(1 + to)),
        1 => beacon_upgraded(who(1 + from), who(1 + to)),
        _ => other(who(1 + from)),
    });
    prop::collection::vec(prop::collection::vec(log, 0..3), 0..3)
}

/// All that can be asked, over a few heights.
fn answers(known: &Implementations, heights: u64) -> Vec<Option<Address>> {
    let mut answers = Vec::new();
    for address in 1..8 {
        for height in 0..=heights {
            for place in 0..6 {
                for moment in
                    [Moment::Log(Height(height), place), Moment::Tx(Height(height), place)]
                {
                    answers.push(known.at(&chain(), &who(address), moment));
                    answers.push(known.beacon_at(&chain(), &who(address), moment));
                }
            }
        }
        answers.extend(known.ever(&chain(), &who(address)).into_iter().map(Some));
    }
    answers
}

proptest! {
    #[test]
    fn reverted_blocks_leave_no_trace(
        before in prop::collection::vec(step(), 0..4),
        lost in prop::collection::vec(step(), 1..4),
        kept in prop::collection::vec(step(), 1..4),
    ) {
        let fresh = || {
            let mut known = Implementations::default();
            for proxy in 1..4 {
                known.watch(&chain(), who(proxy));
            }
            known
        };
        let blocks = |steps: &[Vec<Vec<Log>>], from: usize, fork: u8| -> Vec<Block> {
            steps
                .iter()
                .zip(from as u64..)
                .map(|(step, height)| block(height, fork, step.clone()))
                .collect()
        };
        let base = blocks(&before, 0, 0);
        let lost = blocks(&lost, before.len(), 1);
        let kept = blocks(&kept, before.len(), 2);
        let (mut straight, mut bent) = (fresh(), fresh());
        for block in &base {
            straight.observe(&chain(), block);
            bent.observe(&chain(), block);
        }
        for block in &lost {
            bent.observe(&chain(), block);
        }
        for block in lost.iter().rev() {
            bent.revert(&chain(), &block.header.block_ref());
        }
        for block in &kept {
            prop_assert_eq!(straight.observe(&chain(), block), bent.observe(&chain(), block));
        }
        prop_assert_eq!(answers(&straight, 8), answers(&bent, 8));
    }
}

#[test]
fn a_proxy_that_never_rests_stays_small() {
    let p = who(1);
    let mut known = Implementations::default();
    known.watch(&chain(), p);
    for height in 0..3_000 {
        known.observe(&chain(), &block(height, 0, vec![vec![upgraded(p, who(100 + height))]]));
    }
    assert_eq!(known.ever(&chain(), &p).len(), 1_024);
    assert_eq!(known.at(&chain(), &p, Moment::End(Height(3_000))), Some(who(3_099)));
    assert_eq!(known.at(&chain(), &p, Moment::End(Height(5))), None, "long forgotten");
}
