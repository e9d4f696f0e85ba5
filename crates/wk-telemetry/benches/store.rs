//! Batches in, bytes on disk and queries out: 5,000 series of 25 targets, 960 scrapes.
//!
//! 40 % of the series are constant, 30 % integer counters, 20 % decimals with two places, 10 % float
//! counters. Times jitter by target. Figures are CPU seconds of this process.

use std::time::Instant;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use wk_model::write::{SampleSink, WriteBatch};
use wk_promql::{Cancel, Engine, Output, Query};
use wk_telemetry::{Settings, Store};

const SERIES: usize = 5_000;
const TARGETS: usize = 25;
const SCRAPES: i64 = 960;
const START: i64 = 1_795_392_000_000;
const STEP: i64 = 15_000;
const HOUR: i64 = 3_600_000;

/// User and system time of this process, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells it");
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |at: usize| {
        after.split_whitespace().nth(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0)
    };
    // Clock ticks are hundredths of a second on every Linux that runs this.
    (ticks(11) + ticks(12)) / 100.0
}

#[expect(clippy::print_stdout, reason = "a benchmark tells its figures")]
fn main() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings::default();
    let store = Store::open(dir.path(), settings, START).expect("opens");
    let mut random = SmallRng::seed_from_u64(1);
    let mut values = vec![0.0f64; SERIES];
    let (begun, clock) = (cpu(), Instant::now());
    let mut batch = WriteBatch::default();
    for scrape in 0..SCRAPES {
        for target in 0..TARGETS {
            let time = START + scrape * STEP + random.random_range(-40..40);
            batch.clear();
            for at in (target..SERIES).step_by(TARGETS) {
                values[at] = match (at / TARGETS) % 10 {
                    0..=3 => 7.0,
                    4..=6 => values[at] + f64::from(random.random_range(0..50)),
                    7..=8 => f64::from(random.random_range(0..10_000)) / 100.0,
                    _ => values[at] + random.random::<f64>(),
                };
                batch.start_series();
                batch.label("__name__", ["alpha_total", "beta_total", "gamma", "delta"][at % 4]);
                batch.label("instance", &format!("host-{target}:9100"));
                batch.label("job", "node");
                batch.label("n", &(at / 4).to_string());
                batch.float(time, values[at]);
            }
            store.write(&batch).expect("is kept");
        }
        store.maintain(START + scrape * STEP).expect("files can be changed");
    }
    let samples = SERIES as f64 * SCRAPES as f64;
    let written = cpu() - begun;
    store.flush().expect("goes into files");
    let all = cpu() - begun;
    let mut bytes = 0;
    let mut folders = vec![dir.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("can be listed").flatten() {
            match entry.metadata() {
                Ok(about) if about.is_dir() => folders.push(entry.path()),
                Ok(about) => bytes += about.len(),
                Err(_) => {}
            }
        }
    }
    println!(
        "write: {samples} samples, {:.0} a second and core durable, {:.0} with files; {:.1} s wall",
        samples / written,
        samples / all,
        clock.elapsed().as_secs_f64()
    );
    println!("disk: {:.2} bytes a sample, everything counted", bytes as f64 / samples);
    let end = START + SCRAPES * STEP;
    for (text, range) in [
        ("count({__name__=~\".+\"})", None),
        ("rate(alpha_total{instance=\"host-3:9100\"}[5m])", Some(4 * HOUR)),
        ("sum by (instance) (rate({job=\"node\"}[5m]))", Some(4 * HOUR)),
        ("topk(3, sum by (__name__) ({job=\"node\"}))", None),
        ("{__name__=~\"(alpha|beta)_total\",n=~\"1.\"}", Some(4 * HOUR)),
        ("quantile_over_time(0.9, gamma[1h])", None),
    ] {
        let query = Query {
            text,
            start_ms: range.map_or(end, |range| end - range),
            end_ms: end,
            step_ms: range.map(|_| 60_000),
        };
        let begun = cpu();
        let mut series = 0;
        let mut rounds = 0.0;
        while cpu() - begun < 1.0 {
            let answer = Engine::default().query(&store, &query, &Cancel::default());
            series = match answer.expect("is answered").output {
                Output::Vector(series) | Output::Matrix(series) => series.len(),
                Output::Scalar(_) | Output::Text(_) => 0,
            };
            rounds += 1.0;
        }
        println!("query: {:.1} ms CPU, {series} series: {text}", (cpu() - begun) / rounds * 1e3);
    }
}
