//! A process that writes is killed again and again: what was acknowledged is there, once and exact.
//!
//! `WK_KILL_ROUNDS` sets how often; 20 by default.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::Rng;
use wk_model::series::SampleValue;
use wk_model::write::{SampleSink, WriteBatch};
use wk_promql::{Cancel, Queryable, Select};
use wk_telemetry::{Settings, Store};

const NOW: i64 = 1_795_383_364_000;
/// Tells a child process of this test where to write, and which number comes first.
const DIR: &str = "WK_TELEMETRY_KILL_DIR";
const FIRST: &str = "WK_TELEMETRY_KILL_FIRST";
const SERIES: [&str; 3] = ["a", "b", "c"];

/// Number `n` is written at this time with this value.
fn sample(n: i64) -> (i64, f64) {
    (NOW + n, n as f64 / 3.0)
}

/// What the child does: writes number after number, tells of each once it is durable, and now and
/// then moves all into a file.
#[test]
fn child_writes_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let first: i64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = Store::open(Path::new(&dir), Settings::default(), NOW).unwrap();
    assert!(store.damage().is_empty(), "{:?}", store.damage());
    let mut out = std::io::stdout();
    for n in first..first + 1_000_000 {
        let mut batch = WriteBatch::default();
        let (time, value) = sample(n);
        for name in SERIES {
            batch.start_series();
            batch.label("__name__", name);
            batch.float(time, value);
        }
        let written = store.write(&batch).unwrap();
        assert_eq!((written.samples, written.refused), (3, 0), "{written:?}");
        writeln!(out, "done {n}").unwrap();
        if n % 37 == 0 {
            store.flush().unwrap();
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled() {
    let rounds = std::env::var("WK_KILL_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let (mut next, mut acknowledged, mut most) = (0, -1, 0);
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_writes_until_it_is_killed", "--exact", "--nocapture"])
            .env(DIR, dir.path())
            .env(FIRST, next.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let told = out
                .lines()
                .map_while(Result::ok)
                .filter_map(|line| line.strip_prefix("done ").and_then(|n| n.parse::<i64>().ok()));
            told.last()
        });
        std::thread::sleep(Duration::from_millis(rand::rng().random_range(20..400)));
        child.kill().unwrap();
        child.wait().unwrap();
        if let Some(last) = reader.join().unwrap() {
            acknowledged = last;
        }
        let store = Store::open(dir.path(), Settings::default(), NOW).unwrap();
        assert!(store.damage().is_empty(), "{:?}", store.damage());
        let cancel = Cancel::default();
        let select =
            Select { matchers: &[], start_ms: i64::MIN, end_ms: i64::MAX, cancel: &cancel };
        let mut kept = Vec::new();
        for series in store.select(&select).unwrap() {
            let points = series.unwrap().points;
            for (n, point) in (0..).zip(&points) {
                let (time, value) = sample(n);
                assert_eq!(point.time_ms, time, "round {round}");
                assert_eq!(point.value, SampleValue::Float(value), "round {round}");
            }
            kept.push(i64::try_from(points.len()).unwrap());
        }
        // A batch is there as a whole or not at all.
        assert!(kept.iter().all(|count| count == &kept[0]), "round {round}: {kept:?}");
        next = kept.first().copied().unwrap_or(0);
        assert!(next > acknowledged, "round {round}: {next} kept, {acknowledged} acknowledged");
        most = most.max(next);
    }
    println!("{rounds} kills, {most} batches of {} samples, none lost, none doubled", SERIES.len());
}
