//! Bridge matching on the real transfers of the Nomad bridge, and on made ones in any order.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "what is measured is the point")]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use wk_detectors::bridge_matching::{
    BridgeConfig, BridgeEvent, BridgeKind, BridgeSide, EventConfig, EventError, Flag, Limits,
    Matching, Moved, Outcome, Place, Reason, Rules, Side,
};
use wk_model::evm::{Block, Header, Log, Receipt, Transaction};
use wk_model::{
    Address, B256, BlockRef, BlockTime, Bytes, ChainName, Height, OneOrMany, Severity, U256,
};
use wk_testkit::corpus;

const FINALITY: u64 = 1_800;

fn rules(tokens: HashMap<Address, Address>) -> Rules {
    Rules {
        tokens,
        finality: Duration::from_secs(FINALITY),
        late: Duration::from_secs(1_800),
        max_fee_ppm: 0,
        keep: Duration::from_secs(365 * 86_400),
    }
}

/// What is told in the end: the last word on each release.
#[derive(Default)]
struct Told(BTreeMap<Place, Flag>, usize);

impl Told {
    fn hear(&mut self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Flagged(flag) => {
                    self.0.insert(flag.release.place, *flag);
                }
                Outcome::Withdrawn(withdrawal) => {
                    let place = withdrawal.release.place;
                    assert!(self.0.remove(&place).is_some(), "told before it is withdrawn");
                    self.1 += 1;
                }
            }
        }
    }
}

fn lines(folder: &Path, file: &str) -> Vec<Vec<String>> {
    let packed = std::fs::read(folder.join("bridge").join(file)).unwrap();
    let text = wk_trace::unpack(&packed, 1 << 30).unwrap().into_owned();
    String::from_utf8(text)
        .unwrap()
        .lines()
        .map(|line| line.split(['\t', ',']).map(str::to_owned).collect())
        .collect()
}

struct Nomad {
    rules: Rules,
    deposits: BTreeMap<u64, Vec<BridgeEvent>>,
    releases: BTreeMap<u64, Vec<BridgeEvent>>,
    attacks: HashSet<(B256, B256, U256, Address)>,
}

fn id(text: &str) -> B256 {
    B256::from(text.parse::<U256>().unwrap())
}

fn event(time: u64, line: &[String], moved: Moved) -> BridgeEvent {
    // The facts do not name blocks; one per second is as good.
    let hash = B256::from(U256::from(time));
    let place = Place {
        time: BlockTime(time),
        block: BlockRef { height: Height(time), hash },
        log_index: line[1].parse().unwrap(),
        tx: line[0].parse().unwrap(),
    };
    BridgeEvent { place, moved }
}

/// Withdrawals from Moonbeam to Ethereum: burnt there, released here.
fn nomad(folder: &Path) -> Nomad {
    let facts = |name: &str| lines(folder, &format!("nomad-bridge/facts/{name}.facts.gz"));
    let results = |name: &str| lines(folder, &format!("nomad-bridge/results/{name}.csv.gz"));
    // The facts have no times; the results do.
    let mut burnt_at: HashMap<String, u64> = HashMap::new();
    for line in results("CCTX_Withdrawal").iter().chain(&results("TC_WithdrawalsWithoutMatch")) {
        burnt_at.insert(line[2].clone(), line[1].parse().unwrap());
    }
    let released_at: HashMap<String, u64> = results("SC_ValidERC20TokenWithdrawal")
        .iter()
        .map(|line| (line[1].clone(), line[0].parse().unwrap()))
        .collect();
    let tokens = facts("token_mapping")
        .iter()
        .map(|line| (line[3].parse().unwrap(), line[2].parse().unwrap()))
        .collect();
    let (mut deposits, mut releases) = (BTreeMap::new(), BTreeMap::new());
    let mut timeless = 0;
    for line in facts("tc_token_withdrew") {
        let Some(&time) = burnt_at.get(&line[0]) else {
            timeless += 1;
            continue;
        };
        let moved = Moved {
            id: Some(id(&line[2])),
            token: Some(line[4].parse().unwrap()),
            other_token: None,
            amount: line[8].parse().unwrap(),
            beneficiary: line[3].parse().unwrap(),
        };
        deposits.entry(time).or_insert_with(Vec::new).push(event(time, &line, moved));
    }
    println!("{timeless} burns have no time in the data, and are left out");
    for line in facts("sc_token_withdrew") {
        let time = released_at[&line[0]];
        let moved = Moved {
            id: Some(id(&line[2])),
            token: Some(line[4].parse().unwrap()),
            other_token: None,
            amount: line[5].parse().unwrap(),
            beneficiary: line[3].parse().unwrap(),
        };
        releases.entry(time).or_insert_with(Vec::new).push(event(time, &line, moved));
    }
    let attacks = lines(folder, "analysis_nomad-bridge/data/attacks.csv.gz")
        .iter()
        .skip(1)
        .map(|line| {
            let amount = line[6].parse().unwrap();
            (line[2].parse().unwrap(), id(&line[3]), amount, line[5].parse().unwrap())
        })
        .collect();
    Nomad { rules: rules(tokens), deposits, releases, attacks }
}

/// Runs both chains, with the source seen so many seconds late; gives what was told at the release's
/// own event, and in the end.
fn run(nomad: &Nomad, lag: u64) -> (BTreeMap<Place, Flag>, Told, usize) {
    let mut matching = Matching::new(nomad.rules.clone(), Limits::default());
    let mut steps: BTreeSet<(u64, Side, u64)> = BTreeSet::new();
    steps.extend(nomad.deposits.keys().map(|time| (time + lag, Side::Source, *time)));
    steps.extend(nomad.releases.keys().map(|time| (*time, Side::Target, *time)));
    // Chains go on when nobody uses the bridge.
    let end = nomad.releases.keys().max().unwrap();
    let start = nomad.deposits.keys().min().unwrap();
    for time in (*start..*end + 86_400).step_by(600) {
        steps.insert((time + lag, Side::Source, time));
    }
    let (mut at_once, mut told, mut most) = (BTreeMap::new(), Told::default(), 0);
    for (_, side, time) in steps {
        let of = if side == Side::Source { &nomad.deposits } else { &nomad.releases };
        let events = of.get(&time).map_or(&[][..], Vec::as_slice);
        let block = BlockRef { height: Height(time), hash: B256::from(U256::from(time)) };
        let outcomes = matching.block(side, block, BlockTime(time), events);
        if side == Side::Target {
            for outcome in &outcomes {
                if let Outcome::Flagged(flag) = outcome {
                    assert_eq!(flag.release.place.time.0, time, "only of its own event");
                    at_once.insert(flag.release.place, (**flag).clone());
                }
            }
        }
        told.hear(outcomes);
        matching.finalized(side, Height(time.saturating_sub(1_000)));
        most = most.max(matching.len());
    }
    (at_once, told, most)
}

#[test]
fn every_release_of_the_nomad_attack_is_flagged_at_its_own_event() {
    let Some(folder) = corpus() else { return };
    let nomad = nomad(&folder);
    let of = |flag: &Flag| {
        let moved = &flag.release.moved;
        (flag.release.place.tx, moved.id.unwrap(), moved.amount, moved.beneficiary)
    };
    let count: usize = nomad.releases.values().map(Vec::len).sum();
    let burns: usize = nomad.deposits.values().map(Vec::len).sum();
    println!("{burns} burns, {count} releases, {} attacks", nomad.attacks.len());
    for lag in [0, 600, 3_600, 6 * 3_600] {
        let start = Instant::now();
        let (at_once, told, most) = run(&nomad, lag);
        let took = start.elapsed();
        let attacks = |flags: &BTreeMap<Place, Flag>| {
            flags.values().filter(|flag| nomad.attacks.contains(&of(flag))).count()
        };
        let certain = told.0.values().filter(|flag| flag.certain).count();
        let urgent = told.0.values().filter(|flag| flag.severity() == Severity::P0).count();
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for flag in told.0.values() {
            *reasons.entry(flag.reason.name()).or_default() += 1;
        }
        println!(
            "source {lag:>5} s late: at the release {} flagged, {} of them the attack's; in the end \
             {} flagged ({} the attack's, {certain} certain, {urgent} P0), {} withdrawn; {reasons:?}; \
             at most {most} events in memory; {took:.2?}",
            at_once.len(),
            attacks(&at_once),
            told.0.len(),
            attacks(&told.0),
            told.1,
        );
        assert_eq!(nomad.attacks.len(), 382);
        assert_eq!(attacks(&at_once), 382, "at their own events");
        assert_eq!(attacks(&told.0), 382, "and nothing of it is withdrawn");
        assert_eq!(told.0.len(), 387, "besides the 5 other releases that nothing was paid in for");
        assert_eq!(certain, 387);
        if lag <= FINALITY {
            assert_eq!(
                at_once.len(),
                387,
                "no false alarm while the source is less than its finality late"
            );
        }
    }
}

fn address(n: u8) -> Address {
    Address::repeat_byte(n)
}

#[derive(Clone, Copy, Debug)]
struct Made {
    side: Side,
    time: u64,
    id: Option<u8>,
    amount: u64,
    to: u8,
    token: u8,
}

fn deposit(time: u64, id: u8, amount: u64, to: u8) -> Made {
    Made { side: Side::Source, time, id: Some(id), amount, to, token: 1 }
}

fn release(time: u64, id: u8, amount: u64, to: u8) -> Made {
    Made { side: Side::Target, time, id: Some(id), amount, to, token: 2 }
}

fn made(made: &Made, fork: u8) -> (BlockRef, BridgeEvent) {
    let mut hash = B256::from(U256::from(made.time));
    hash[0] = fork;
    let block = BlockRef { height: Height(made.time), hash };
    let place = Place { time: BlockTime(made.time), block, log_index: 0, tx: hash };
    let moved = Moved {
        id: made.id.map(|id| B256::from(U256::from(id))),
        token: Some(address(made.token)),
        other_token: None,
        amount: U256::from(made.amount),
        beneficiary: address(made.to),
    };
    (block, BridgeEvent { place, moved })
}

fn tokens() -> HashMap<Address, Address> {
    HashMap::from([(address(1), address(2))])
}

fn feed(matching: &mut Matching, one: &Made) -> Vec<Outcome> {
    let (block, event) = made(one, 0);
    matching.block(one.side, block, BlockTime(one.time), &[event])
}

#[test]
fn a_release_needs_an_old_enough_deposit_that_is_its_own() {
    let nothing: &[(&str, bool)] = &[];
    let none = |one: Made| Made { id: None, ..one };
    for (name, events, expected) in [
        ("honest", vec![deposit(1, 1, 5, 7), release(2_000, 1, 5, 7)], nothing),
        (
            "nothing paid in",
            vec![deposit(1, 9, 5, 7), release(2_000, 1, 5, 7)],
            &[("no_deposit", false)],
        ),
        ("never looked at", vec![release(2_000, 1, 5, 7)], &[("no_deposit", false)]),
        (
            "more than paid in",
            vec![deposit(1, 1, 5, 7), release(2_000, 1, 6, 7)],
            &[("differs", false)],
        ),
        ("someone else", vec![deposit(1, 1, 5, 7), release(2_000, 1, 5, 8)], &[("differs", false)]),
        (
            "someone else, all seen",
            vec![deposit(1, 1, 5, 7), deposit(300, 2, 1, 1), release(2_000, 1, 5, 8)],
            &[("differs", true)],
        ),
        (
            "too young",
            vec![deposit(1_000, 1, 5, 7), release(2_000, 1, 5, 7)],
            &[("too_young", true)],
        ),
        (
            "twice",
            vec![
                deposit(1, 1, 5, 7),
                deposit(900, 2, 1, 1),
                release(2_000, 1, 5, 7),
                release(2_001, 1, 5, 7),
            ],
            &[("already_released", true)],
        ),
        (
            "same without id, each paid in",
            vec![
                none(deposit(1, 0, 5, 7)),
                none(deposit(2, 0, 5, 7)),
                none(release(2_000, 0, 5, 7)),
                none(release(2_001, 0, 5, 7)),
            ],
            nothing,
        ),
        (
            "same without id, one paid in",
            vec![
                none(deposit(1, 0, 5, 7)),
                none(deposit(2, 0, 6, 7)),
                none(release(2_000, 0, 5, 7)),
                none(release(2_001, 0, 5, 7)),
            ],
            &[("already_released", false)],
        ),
        (
            "seen late",
            vec![deposit(0, 3, 1, 1), release(2_000, 1, 5, 7), deposit(1, 1, 5, 7)],
            nothing,
        ),
        (
            "wrong token",
            vec![Made { token: 3, ..deposit(1, 1, 5, 7) }, release(2_000, 1, 5, 7)],
            &[("differs", false)],
        ),
    ] {
        let mut matching = Matching::new(rules(tokens()), Limits::default());
        let mut told = Told::default();
        for one in &events {
            told.hear(feed(&mut matching, one));
        }
        let have: Vec<(&str, bool)> =
            told.0.values().map(|flag| (flag.reason.name(), flag.certain)).collect();
        assert_eq!(have, expected, "{name}");
        assert_eq!(matching.flags().collect::<Vec<_>>(), told.0.into_values().collect::<Vec<_>>());
    }
}

#[test]
fn becomes_certain_when_the_source_has_caught_up() {
    let mut matching = Matching::new(rules(tokens()), Limits::default());
    feed(&mut matching, &deposit(10, 1, 5, 7));
    let told = feed(&mut matching, &release(5_000, 2, 5, 7));
    let [Outcome::Flagged(flag)] = told.as_slice() else { panic!("{told:?}") };
    let needed = flag.needs_source_until.0;
    assert_eq!((flag.certain, needed, flag.severity()), (false, 3_200, Severity::P1));
    assert_eq!(feed(&mut matching, &deposit(3_199, 3, 5, 7)), []);
    let told = feed(&mut matching, &deposit(3_200, 4, 5, 7));
    let [Outcome::Flagged(flag)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((flag.certain, flag.severity()), (true, Severity::P0));
    assert_eq!(flag.evidence()["reason"], "no_deposit");
}

#[test]
fn a_deposit_that_is_known_too_late_no_longer_withdraws_anything() {
    let mut matching = Matching::new(rules(tokens()), Limits::default());
    feed(&mut matching, &deposit(10, 1, 5, 7));
    feed(&mut matching, &release(5_000, 2, 5, 7));
    matching.finalized(Side::Target, Height(5_000));
    feed(&mut matching, &deposit(6_801, 3, 5, 7));
    assert_eq!(feed(&mut matching, &deposit(11, 2, 5, 7)), []);
    assert_eq!(matching.flags().count(), 0, "it is told, and forgotten");
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let limits = Limits { events: 1_000, bucket: 10, blocks: 100 };
    let mut matching = Matching::new(rules(tokens()), limits);
    for n in 0..20_000u64 {
        let (id, side) = (u8::try_from(n % 251).unwrap(), n % 3);
        let one = if side < 2 { deposit(n, id, n, 7) } else { release(n, id, n, 8) };
        feed(&mut matching, &one);
        assert!(matching.len() <= 2_100, "{}", matching.len());
    }
    // What was forgotten makes what is told uncertain.
    let mut matching = Matching::new(rules(tokens()), limits);
    for n in 0..2_000u64 {
        let one = Made { id: None, ..deposit(n, 0, n, u8::try_from(n % 251).unwrap()) };
        feed(&mut matching, &one);
    }
    let told = feed(&mut matching, &Made { id: None, ..release(3_801, 0, 1, 252) });
    let [Outcome::Flagged(flag)] = told.as_slice() else { panic!("{told:?}") };
    assert!(flag.deposits_may_be_missing && !flag.certain, "{flag:?}");
}

fn any_made() -> impl Strategy<Value = Made> {
    (any::<bool>(), 0..40u64, prop::option::of(0..3u8), 1..3u64, 0..2u8).prop_map(
        |(source, slot, id, amount, to)| {
            let (side, token) = if source { (Side::Source, 1) } else { (Side::Target, 2) };
            Made { side, time: slot * 200, id, amount, to, token }
        },
    )
}

/// Blocks of one side at most once per time.
fn distinct(all: Vec<Made>) -> Vec<Made> {
    let mut seen = HashSet::new();
    all.into_iter().filter(|one| seen.insert((one.side, one.time))).collect()
}

proptest! {
    // Failing cases become rows of the tables above.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// However the two chains interleave, what is told in the end is the same.
    #[test]
    fn the_order_between_the_chains_changes_nothing(
        all in prop::collection::vec(any_made(), 0..40),
        takes in prop::collection::vec(any::<bool>(), 80),
    ) {
        let mut all = distinct(all);
        all.sort_by_key(|one| one.time);
        let in_order = {
            let mut matching = Matching::new(rules(tokens()), Limits::default());
            let mut told = Told::default();
            all.iter().for_each(|one| told.hear(feed(&mut matching, one)));
            told.0
        };
        let (mut source, mut target): (Vec<Made>, Vec<Made>) =
            all.iter().rev().partition(|one| one.side == Side::Source);
        let mut matching = Matching::new(rules(tokens()), Limits::default());
        let mut told = Told::default();
        let mut takes = takes.into_iter();
        while !(source.is_empty() && target.is_empty()) {
            let first = takes.next().unwrap_or(true);
            let (one, other) = if first { (&mut source, &mut target) } else { (&mut target, &mut source) };
            let next = one.pop().or_else(|| other.pop()).unwrap();
            told.hear(feed(&mut matching, &next));
        }
        prop_assert_eq!(told.0, in_order);
    }

    /// fold(a, revert a, b) = fold(b), for both sides.
    #[test]
    fn what_was_reverted_leaves_nothing(
        before in prop::collection::vec(any_made(), 0..20),
        lost in prop::collection::vec(any_made(), 0..20),
        after in prop::collection::vec(any_made(), 0..20),
    ) {
        let sorted = |all: Vec<Made>| {
            let mut all = distinct(all);
            all.sort_by_key(|one| one.time);
            all
        };
        let (before, lost, after) = (sorted(before), sorted(lost), sorted(after));
        let late = |one: &Made| Made { time: one.time + 10_000, ..*one };
        let run = |with_lost: bool| {
            let mut matching = Matching::new(rules(tokens()), Limits::default());
            let mut told = Told::default();
            before.iter().for_each(|one| told.hear(feed(&mut matching, one)));
            if with_lost {
                let mut blocks = Vec::new();
                for one in &lost {
                    let one = late(one);
                    let (block, event) = made(&one, 1);
                    told.hear(matching.block(one.side, block, BlockTime(one.time), &[event]));
                    blocks.push((one.side, block));
                }
                for (side, block) in blocks.iter().rev() {
                    told.hear(matching.revert(*side, block));
                }
            }
            for one in &after {
                told.hear(feed(&mut matching, &late(one)));
            }
            let kept: Vec<Flag> = matching.flags().collect();
            assert_eq!(kept, told.0.values().cloned().collect::<Vec<_>>());
            (told.0, matching.len(), matching.open_deposits())
        };
        prop_assert_eq!(run(true), run(false));
    }
}

fn topic_of(address: Address) -> B256 {
    address.into_word()
}

#[test]
fn events_are_read_by_their_definition() {
    let side = |chain: &str, n: u8| BridgeSide {
        chain: ChainName::new(chain),
        contracts: OneOrMany(vec![address(n)]),
        event: None,
    };
    let config = |kind: BridgeKind| -> BridgeConfig {
        BridgeConfig {
            kind,
            source: side("moonbeam", 1),
            target: side("mainnet", 2),
            tokens: Vec::new(),
            finality: wk_model::HumanDuration::seconds(1_800),
            late: wk_model::HumanDuration::seconds(1_800),
            max_fee: 0.0,
            keep: wk_model::HumanDuration::seconds(1_800),
        }
    };
    let log = |n: u8, topics: Vec<B256>, words: &[B256], index: u64| Log {
        address: address(n),
        topics,
        data: Bytes::from(words.concat()),
        index,
    };
    let number = |n: u64| B256::from(U256::from(n));
    let signature = |text: &str| alloy_primitives::keccak256(text);
    let block = |logs: Vec<Log>| Block {
        header: Header { height: Height(9), time: BlockTime(90), ..Header::default() },
        transactions: vec![Transaction {
            receipt: Some(Receipt { logs, ..Receipt::default() }),
            ..Transaction::default()
        }],
    };
    // Nomad: the id stands in another event.
    let (deposits, releases) = config(BridgeKind::Nomad).readers().unwrap();
    let nonce = (1u64 << 40) | 77;
    let paid = deposits.read(&block(vec![
        log(
            3,
            vec![
                signature("Dispatch(bytes32,uint256,uint64,bytes32,bytes)"),
                number(1),
                number(2),
                number(nonce),
            ],
            &[],
            0,
        ),
        log(
            1,
            vec![
                signature("Send(address,address,uint32,bytes32,uint256,bool)"),
                topic_of(address(4)),
                topic_of(address(5)),
                number(6),
            ],
            &[topic_of(address(6)), number(500), number(0)],
            1,
        ),
    ]));
    assert_eq!(
        paid.iter().map(|event| event.moved).collect::<Vec<_>>(),
        [Moved {
            id: Some(number(77)),
            token: Some(address(4)),
            other_token: None,
            amount: U256::from(500),
            beneficiary: address(6),
        }]
    );
    let released = signature("Receive(uint64,address,address,address,uint256)");
    let topics = vec![released, number(nonce), topic_of(address(7)), topic_of(address(6))];
    let words = [number(0), number(500)];
    let events = releases.read(&block(vec![
        log(2, topics.clone(), &words, 0),
        // Another contract, and one word too short.
        log(9, topics.clone(), &words, 1),
        log(2, topics, &words[..1], 2),
    ]));
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].moved.id, Some(number(77)));
    assert_eq!(events[0].place.time, BlockTime(90));

    // Definitions that cannot be used say why.
    let event = |text: &str, amount: &str| EventConfig {
        event: text.to_owned(),
        id: None,
        id_from: None,
        id_bits: None,
        token: None,
        other_token: None,
        amount: amount.to_owned(),
        beneficiary: "to".to_owned(),
    };
    for (text, amount, expected) in [
        ("Paid(address to, uint256 n)", "m", "`Paid` has no parameter `m`"),
        (
            "Paid(address to, uint256[2] x, uint256 n)",
            "n",
            "parameter `n` of `Paid` is of type uint256[2], which is not read here",
        ),
    ] {
        let mut config = config(BridgeKind::Standard);
        config.source.event = Some(event(text, amount));
        assert_eq!(config.readers().unwrap_err().to_string(), expected);
    }
    let mut one_id = config(BridgeKind::Standard);
    one_id.source.event = Some(BridgeKind::LockRelease.deposit());
    assert_eq!(one_id.readers().unwrap_err(), EventError::OneId);
    assert!(matches!(Reason::NoDeposit.name(), "no_deposit"));
    config(BridgeKind::LockRelease).readers().unwrap();
}
