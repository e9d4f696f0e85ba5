//! What is learned of a contract's use, and what is then unusual.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use proptest::prelude::*;
use wk_detectors::Class;
use wk_detectors::usage::{Config, FunctionUse, Profile, Use, unusual_uses, use_of};
use wk_model::Severity;

const DEPOSIT: u32 = 0x1111_1111;
const SWEEP: u32 = 0x2222_2222;

fn who(n: u8) -> Address {
    Address::repeat_byte(n)
}

/// A call of `function` by `callers`, with the gas of the dearest one.
fn called(function: u32, gas: u64, callers: &[u8]) -> Use {
    let calls = FunctionUse {
        calls: u32::try_from(callers.len()).unwrap(),
        gas: Some(gas),
        callers: callers.iter().map(|n| who(*n)).collect(),
        crowd: false,
        by_sender: true,
    };
    Use { functions: BTreeMap::from([(function, calls)]), outflow: BTreeMap::new() }
}

fn config() -> Config {
    Config { warm_up: 20, settled_blocks: 100, ..Config::default() }
}

/// Twenty-five deposits by three people, each in a block of its own, and one coin out of each.
fn usual() -> Profile {
    let mut profile = Profile::default();
    for height in 1..=25_u8 {
        let mut one = called(DEPOSIT, 50_000 + u64::from(height), &[height % 3]);
        one.outflow.insert(Address::ZERO, U256::from(100));
        profile.learn(u64::from(height), &[one]);
    }
    profile
}

/// The kinds of deviation of one use at a height, with the severity that they come to.
fn kinds(profile: &Profile, height: u64, seen: &Use) -> Vec<&'static str> {
    profile.judge(height, seen, &config()).iter().map(|deviation| deviation.kind).collect()
}

#[test]
fn what_differs_is_told_once_enough_is_known() {
    let profile = usual();
    let check = |height: u64, seen: Use, expected: &[&str]| {
        assert_eq!(kinds(&profile, height, &seen), expected, "{seen:?}");
    };
    let leaves = |asset: Address, amount: u64| Use {
        outflow: BTreeMap::from([(asset, U256::from(amount))]),
        ..called(DEPOSIT, 50_000, &[1])
    };
    let by_contract = {
        let mut seen = called(DEPOSIT, 50_000, &[1]);
        seen.functions.get_mut(&DEPOSIT).unwrap().by_sender = false;
        seen
    };
    check(200, called(DEPOSIT, 60_000, &[2]), &[]);
    check(200, called(DEPOSIT, 600_000, &[2]), &["gas"]);
    check(200, called(DEPOSIT, 60_000, &[0, 1, 2, 0, 1, 2]), &["calls"]);
    check(200, called(DEPOSIT, 60_000, &[9]), &["new_caller"]);
    check(200, called(SWEEP, 60_000, &[1]), &["new_function"]);
    check(200, by_contract, &["called_by_contract"]);
    check(200, leaves(Address::ZERO, 400), &[]);
    check(200, leaves(Address::ZERO, 501), &["outflow"]);
    check(200, leaves(who(7), 1), &["new_asset_leaves"]);
    // What was new a moment ago is followed by more that is new.
    check(50, called(SWEEP, 60_000, &[1]), &[]);
    check(50, called(DEPOSIT, 60_000, &[9]), &[]);
    // Of a stranger nothing is known, nor when it is not asked for.
    let young = Profile::default();
    assert_eq!(young.judge(200, &called(SWEEP, 1, &[1]), &config()), []);
    let off = Config { enabled: false, ..config() };
    assert_eq!(profile.judge(200, &called(SWEEP, 1, &[1]), &off), []);
}

#[test]
fn one_deviation_is_a_note_and_several_are_more() {
    let profile = usual();
    let contract = who(0xcc);
    let told = |uses: &[Use]| {
        let found = unusual_uses(&contract, &profile, 200, uses, &config());
        let told = found.into_iter().map(|(place, finding)| {
            assert_eq!(finding.class, Class::UnusualUse);
            assert_eq!(finding.evidence["victim"], format!("{contract:#x}"));
            (place, finding.severity, finding.evidence["kinds"].to_string())
        });
        told.collect::<Vec<_>>()
    };
    let fine = || called(DEPOSIT, 50_000, &[1]);
    assert_eq!(told(&[fine()]), []);
    let strange = called(SWEEP, 1, &[1]);
    assert_eq!(told(&[fine(), strange]), [(1, Severity::P3, "[\"new_function\"]".to_owned())]);
    let mut odd = called(DEPOSIT, 900_000, &[9]);
    odd.outflow.insert(Address::ZERO, U256::from(9_000));
    let all = "[\"gas\",\"new_caller\",\"outflow\"]".to_owned();
    assert_eq!(told(&[odd]), [(0, Severity::P2, all)]);
    // Ever so many in one block, of which the fifth is one too many.
    let many: Vec<Use> = (0..9).map(|_| fine()).collect();
    assert_eq!(told(&many), [(4, Severity::P3, "[\"frequency\"]".to_owned())]);
}

#[test]
fn a_use_is_what_others_called_and_what_left() {
    let trace = |success: &str| {
        format!(
            r#"{{"type":"CALL","from":"{a:#x}","to":"{b:#x}","input":"0x11111111","value":"0x0","gas":"0x200","gasUsed":"0x100"{success},"calls":[
                {{"type":"CALL","from":"{b:#x}","to":"{c:#x}","input":"0x22222222","value":"0x0","gasUsed":"0x30","calls":[
                    {{"type":"CALL","from":"{c:#x}","to":"{c:#x}","input":"0x33333333","value":"0x0","gasUsed":"0x1"}},
                    {{"type":"CALL","from":"{c:#x}","to":"{a:#x}","input":"0x","value":"0x7","gasUsed":"0x0"}}]}},
                {{"type":"CALL","from":"{b:#x}","to":"{c:#x}","input":"0x22222222","value":"0x0","gasUsed":"0x90","error":"execution reverted"}},
                {{"type":"STATICCALL","from":"{b:#x}","to":"{c:#x}","input":"0x44444444","gasUsed":"0x90"}}]}}"#,
            a = who(1),
            b = who(2),
            c = who(3),
        )
    };
    let read = |text: String| wk_trace::read(text.as_bytes()).unwrap().transactions.remove(0);
    let seen = use_of(&read(trace("")), &who(3)).unwrap();
    let function = FunctionUse {
        calls: 1,
        gas: Some(0x30),
        callers: vec![who(2)],
        crowd: false,
        by_sender: false,
    };
    assert_eq!(seen.functions, BTreeMap::from([(0x2222_2222, function)]));
    assert_eq!(seen.outflow, BTreeMap::from([(Address::ZERO, U256::from(7))]));
    assert_eq!(use_of(&read(trace("")), &who(9)), None);
    let failed = trace(r#","error":"execution reverted""#);
    assert_eq!(use_of(&read(failed), &who(3)), None);
}

/// A few functions, callers, gas and amounts.
fn any_use() -> impl Strategy<Value = Use> {
    let function = (1..5_u32, 0..40_000_u64, any::<bool>());
    let function = (function, prop::collection::vec(0..14_u8, 1..4));
    let outflow = prop::collection::btree_map(0..3_u8, 1..1_000_u64, 0..3);
    (prop::collection::vec(function, 1..4), outflow).prop_map(|(functions, outflow)| {
        let functions = functions.into_iter().map(|((selector, gas, by_sender), callers)| {
            let mut one = called(selector, gas, &callers).functions.remove(&selector).unwrap();
            one.callers.dedup();
            one.by_sender = by_sender;
            (selector, one)
        });
        let outflow = outflow.into_iter().map(|(asset, amount)| (who(asset), U256::from(amount)));
        Use { functions: functions.collect(), outflow: outflow.collect() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_learned_is_never_unusual(uses in prop::collection::vec(any_use(), 1..60)) {
        let eager = Config { warm_up: 0, settled_blocks: 0, ..Config::default() };
        let mut profile = Profile::default();
        for (height, one) in (0..).zip(&uses) {
            profile.learn(height, std::slice::from_ref(one));
        }
        for one in &uses {
            prop_assert_eq!(profile.judge(1_000, one, &eager), []);
        }
        // It is stored as text.
        let text = serde_json::to_string(&profile).unwrap();
        prop_assert_eq!(serde_json::from_str::<Profile>(&text).unwrap(), profile);
    }

    #[test]
    fn the_order_of_blocks_teaches_the_same(
        blocks in prop::collection::vec(prop::collection::vec(any_use(), 1..4), 1..30),
        order in any::<prop::sample::Index>(),
    ) {
        let blocks: Vec<(u64, Vec<Use>)> = (0..).zip(blocks).collect();
        let learn = |blocks: &[(u64, Vec<Use>)]| {
            let mut profile = Profile::default();
            for (height, uses) in blocks {
                profile.learn(*height, uses);
            }
            profile
        };
        let (mut turned, place) = (blocks.clone(), order.index(blocks.len()));
        turned.rotate_left(place);
        turned.reverse();
        prop_assert_eq!(learn(&blocks), learn(&turned));
    }
}

#[test]
fn memory_is_bounded_whatever_is_learned() {
    let mut profile = Profile::default();
    for n in 0..20_000_u32 {
        let address = Address::from_word(U256::from(n + 1).into());
        let mut one = called(n, u64::from(n), &[1]);
        one.functions.get_mut(&n).unwrap().callers = vec![address];
        let mut two = called(DEPOSIT, u64::from(n), &[1]);
        two.functions.get_mut(&DEPOSIT).unwrap().callers = vec![address];
        one.outflow.insert(address, U256::from(n));
        profile.learn(u64::from(n), &[two, one]);
    }
    let text = serde_json::to_string(&profile).unwrap();
    assert!(text.len() < 100_000, "{}", text.len());
    let eager = Config { warm_up: 1, settled_blocks: 0, ..Config::default() };
    let strange = called(0xffff_ffff, 1, &[1]);
    assert_eq!(
        profile.judge(30_000, &strange, &eager),
        [],
        "where everything is used, nothing is new"
    );
}
