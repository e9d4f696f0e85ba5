//! Cost and performance over traces of real blocks and made ones, reverts, and how often forecasts'
//! intervals hold.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::cast_precision_loss, reason = "shares")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use wk_contracts::cost::{
    AdviceKind, Deltas, Function, Key, Ledger, LedgerLimits, TxContext, forecast,
};
use wk_model::{Address, B256, BlockRef, BlockTime, Height, U256};
use wk_testkit::corpus;
use wk_trace::{Access, StorageAccess, Traces};

fn read(json: &serde_json::Value) -> Traces {
    wk_trace::read(json.to_string().as_bytes()).unwrap()
}

fn call(kind: &str, from: u8, to: u8, input: &str, gas: u64) -> serde_json::Value {
    serde_json::json!({
        "type": kind,
        "from": Address::repeat_byte(from),
        "to": Address::repeat_byte(to),
        "input": input,
        "output": "0x01",
        "gas": "0xfffff",
        "gasUsed": format!("0x{gas:x}"),
        "value": "0x0",
    })
}

fn with(mut frame: serde_json::Value, calls: Vec<serde_json::Value>) -> serde_json::Value {
    frame["calls"] = calls.into();
    frame
}

fn failing(mut frame: serde_json::Value, output: &str) -> serde_json::Value {
    frame["error"] = "execution reverted".into();
    frame["output"] = output.into();
    frame
}

/// `Error("no")`
const NO: &str = "0x08c379a00000000000000000000000000000000000000000000000000000000000000020\
    00000000000000000000000000000000000000000000000000000000000000026e6f\
    000000000000000000000000000000000000000000000000000000000000";

const WATCHED: u8 = 7;

fn deltas(frame: serde_json::Value, context: &TxContext) -> Deltas {
    let traces = read(&frame);
    Deltas::of(&traces.transactions[0], context, |address| {
        *address == Address::repeat_byte(WATCHED)
    })
}

fn key(selector: u32) -> Key {
    Key { contract: Address::repeat_byte(WATCHED), function: Function::Selector(selector) }
}

#[test]
fn calls_gas_errors_and_fees_are_counted_per_function() {
    let price = TxContext { gas_price: Some(U256::from(2)), ..TxContext::default() };
    // A direct call that calls itself and is called from elsewhere in turn.
    let inner = call("CALL", 8, WATCHED, "0xbbbbbbbb", 1_000);
    let frame = with(
        call("CALL", 1, WATCHED, "0xaaaaaaaa", 50_000),
        vec![with(call("CALL", WATCHED, 8, "0x11111111", 5_000), vec![inner])],
    );
    let sums = deltas(frame, &price);
    let a = &sums.0[&key(0xaaaa_aaaa)];
    assert_eq!((a.calls, a.direct, a.failed, a.gas), (1, 1, 0, 50_000));
    assert_eq!(a.fees, U256::from(100_000));
    let b = &sums.0[&key(0xbbbb_bbbb)];
    assert_eq!((b.calls, b.direct, b.gas), (1, 0, 0), "its gas is the outer call's");
    // Failures, with decoded reasons.
    for (output, reason) in
        [(NO, "no"), ("0xdeadbeef", "custom error 0xdeadbeef"), ("0x", "execution reverted")]
    {
        let frame = failing(call("CALL", 1, WATCHED, "0xaaaaaaaa", 30_000), output);
        let sums = deltas(frame, &TxContext::default());
        let stats = &sums.0[&key(0xaaaa_aaaa)];
        assert_eq!(stats.errors, BTreeMap::from([(reason.to_owned(), 1)]));
        assert_eq!((stats.failed_gas, stats.gas_without_price), (30_000, 30_000));
        assert_eq!(stats.error_rate(), Some(1.0));
    }
    // Who is not watched has no sums.
    assert_eq!(deltas(call("CALL", 1, 8, "0xaaaaaaaa", 9), &price), Deltas::default());
}

#[test]
fn waste_is_seen() {
    let ask = || call("STATICCALL", WATCHED, 8, "0x22222222", 2_600);
    let frame = with(
        call("CALL", 1, WATCHED, "0xaaaaaaaa", 50_000),
        vec![ask(), ask(), ask(), failing(call("CALL", WATCHED, 9, "0x33333333", 9_000), NO)],
    );
    let mut traces = read(&frame);
    let trace = &mut traces.transactions[0];
    let account = trace.party(&Address::repeat_byte(WATCHED)).unwrap();
    // Three slots, read ten times each.
    trace.accesses = (0..30)
        .map(|n| StorageAccess {
            frame: 0,
            before: 1,
            account,
            slot: U256::from(n % 3),
            value: U256::ZERO,
            kind: Access::Read { cold: n < 3 },
        })
        .collect();
    trace.known.accesses = true;
    let stats =
        Deltas::of(trace, &TxContext::default(), |one| *one == Address::repeat_byte(WATCHED))
            .0
            .remove(&key(0xaaaa_aaaa))
            .unwrap();
    assert_eq!(
        stats.advice,
        BTreeMap::from([
            (AdviceKind::RepeatedStaticCall, (1, 5_200)),
            (AdviceKind::FailedInnerCalls, (1, 9_000)),
            (AdviceKind::RepeatedSlotRead, (1, 2_700)),
        ])
    );
    // Long data of mostly zeros.
    let padded = format!("0xaaaaaaaa{}", format!("{:064x}", 7).repeat(20));
    let stats = deltas(call("CALL", 1, WATCHED, &padded, 40_000), &TxContext::default());
    let (calls, gas) = stats.0[&key(0xaaaa_aaaa)].advice[&AdviceKind::PaddedCalldata];
    assert_eq!((calls, gas), (1, 31 * 20 * 4));
}

fn block(n: u64, fork: u8) -> BlockRef {
    let mut hash = B256::from(U256::from(n));
    hash[0] = fork;
    BlockRef { height: Height(n), hash }
}

fn any_deltas() -> impl Strategy<Value = Deltas> {
    let one = (0u8..3, 0u64..100_000, any::<bool>(), any::<bool>()).prop_map(
        |(function, gas, fails, priced)| {
            let frame = call("CALL", 1, WATCHED, &format!("0x{:08x}", function + 1), gas);
            let frame = if fails { failing(frame, NO) } else { frame };
            let gas_price = priced.then(|| U256::from(3));
            deltas(frame, &TxContext { gas_price, ..TxContext::default() })
        },
    );
    prop::collection::vec(one, 0..4).prop_map(|all| {
        let mut sum = Deltas::default();
        all.iter().for_each(|one| sum.merge(one));
        sum
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// fold(a, revert a, b) = fold(b); and two halves merge to the whole.
    #[test]
    fn reverted_blocks_leave_nothing_and_halves_merge(
        before in prop::collection::vec(any_deltas(), 0..5),
        lost in prop::collection::vec(any_deltas(), 0..5),
        after in prop::collection::vec(any_deltas(), 0..5),
    ) {
        let time = |n: u64| BlockTime(n * 40_000);
        let run = |with_lost: bool| {
            let mut ledger = Ledger::new(LedgerLimits::default());
            let mut n = 0;
            for deltas in &before {
                ledger.block(block(n, 0), time(n), deltas.clone());
                n += 1;
            }
            if with_lost {
                for (ahead, deltas) in (n..).zip(&lost) {
                    ledger.block(block(ahead, 1), time(ahead), deltas.clone());
                }
                for ahead in (n..n + lost.len() as u64).rev() {
                    prop_assert!(ledger.revert(&block(ahead, 1)));
                }
            }
            for deltas in &after {
                ledger.block(block(n, 0), time(n), deltas.clone());
                n += 1;
            }
            Ok(ledger)
        };
        let (whole, again) = (run(false)?, run(true)?);
        prop_assert_eq!(&whole, &again);
        let (mut left, mut right) = (Ledger::default(), Ledger::default());
        for (n, deltas) in (0..).zip(before.iter().chain(&after)) {
            let half = if n % 2 == 0 { &mut left } else { &mut right };
            half.block(block(n, 0), time(n), deltas.clone());
        }
        let mut merged = Ledger::new(LedgerLimits::default());
        merged.merge(&left);
        merged.merge(&right);
        prop_assert_eq!(merged, whole);
    }
}

#[test]
fn memory_is_bounded() {
    let limits = LedgerLimits { days: 3, functions: 2, blocks: 4 };
    let mut ledger = Ledger::new(limits);
    for n in 0..50u64 {
        let frame = call("CALL", 1, WATCHED, &format!("0x{:08x}", n + 1), 30_000);
        ledger.block(block(n, 0), BlockTime(n * 40_000), deltas(frame, &TxContext::default()));
    }
    let summary = ledger.summary(&Address::repeat_byte(WATCHED), 0, u64::MAX);
    assert!(summary.fees_per_day.len() <= 3 && summary.total.calls <= 6);
    assert!(!ledger.revert(&block(1, 0)) && ledger.left_out() > 0);
}

#[test]
fn real_blocks_add_up() {
    let Some(corpus) = corpus() else { return };
    let mut files: Vec<_> = std::fs::read_dir(corpus.join("benign/traces"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut ledger = Ledger::new(LedgerLimits { functions: 1_000_000, ..LedgerLimits::default() });
    let (mut transactions, mut took) = (0, std::time::Duration::ZERO);
    for (n, file) in (0..).zip(&files) {
        let text = wk_trace::unpack(&std::fs::read(file).unwrap(), 1 << 30).unwrap().into_owned();
        let traces = wk_trace::read(&text).unwrap();
        let start = std::time::Instant::now();
        let mut all = Deltas::default();
        for trace in &traces.transactions {
            let context = TxContext { gas_price: Some(U256::from(1)), ..TxContext::default() };
            all.merge(&Deltas::of(trace, &context, |_| true));
        }
        ledger.block(block(n, 0), BlockTime(n * 86_400), all);
        took += start.elapsed();
        transactions += traces.transactions.len();
    }
    let mut advice: BTreeMap<AdviceKind, (u64, u128)> = BTreeMap::new();
    let (mut calls, mut failed, mut errors) = (0, 0, BTreeMap::<String, u64>::new());
    let contracts = ledger.contracts();
    for contract in &contracts {
        let summary = ledger.summary(contract, 0, u64::MAX);
        calls += summary.total.calls;
        failed += summary.total.failed;
        for (kind, (n, gas)) in &summary.total.advice {
            let entry = advice.entry(*kind).or_default();
            *entry = (entry.0 + n, entry.1 + gas);
        }
        for (reason, n) in summary.total.errors {
            *errors.entry(reason).or_default() += n;
        }
    }
    let mut errors: Vec<_> = errors.into_iter().collect();
    errors.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    println!(
        "{} blocks, {transactions} transactions, {} accounts, {calls} calls, {failed} failed; {:.1} µs \
         per transaction with every account watched",
        files.len(),
        contracts.len(),
        took.as_secs_f64() * 1e6 / transactions as f64
    );
    println!("advice: {advice:?}\nerrors: {:?}", &errors[..errors.len().min(8)]);
    assert!(calls > transactions as u64 / 2 && failed > 0);
}

/// Numbers that look like noise, the same ones each time.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (2.0 * std::f64::consts::PI * self.uniform()).cos()
    }
}

#[test]
fn intervals_hold_as_often_as_they_say() {
    type Shape = fn(&mut Noise, f64) -> f64;
    let shapes: [(&str, Shape); 4] = [
        ("normal", |noise, _| noise.normal()),
        ("heavy tail", |noise, _| noise.normal() / noise.uniform().sqrt().max(0.1)),
        ("lopsided", |noise, _| -noise.uniform().ln()),
        ("growing", |noise, day| noise.normal() * (0.5 + day / 100.0)),
    ];
    for level in [0.8, 0.9] {
        for (name, shape) in shapes {
            let mut noise = Noise(7);
            let (mut held, mut all, mut origins) = (0, 0, 0);
            for series in 0..150 {
                let slope = (f64::from(series) - 75.0) / 300.0;
                let season = [0.0, 1.0, 4.0, 2.0, -1.0, -5.0, -4.0];
                let values: Vec<f64> = (0..127_u8)
                    .map(|day| {
                        let x = f64::from(day);
                        100.0
                            + slope * x
                            + season[usize::from(day) % 7]
                            + 2.0 * shape(&mut noise, x)
                    })
                    .collect();
                let forecast = forecast(&values[..120], 7, 7, level).unwrap();
                origins = forecast.origins;
                for point in forecast.points {
                    let value = values[120 + point.ahead - 1];
                    held += u32::from((point.low..=point.high).contains(&value));
                    all += 1;
                }
            }
            let share = f64::from(held) / f64::from(all);
            println!("{level:.2} {name:<11} held {share:.3} of {all} ({origins} past forecasts)");
            assert!(share > level - 0.06, "{name}: {share} instead of {level}");
        }
    }
    assert_eq!(forecast(&[1.0; 10], 7, 7, 0.9), None, "too short");
    assert_eq!(forecast(&[f64::NAN; 200], 7, 7, 0.9), None);
}
