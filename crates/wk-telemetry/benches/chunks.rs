//! Size and speed of chunks over 5,000 series × 960 scrapes with jitter: 40 % constant, 30 % integer
//! counters, 20 % gauges of two decimals, 10 % float counters; one column of times for 200 series.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints and may stop")]

use std::time::Instant;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use wk_telemetry::chunk;

const SERIES: usize = 5_000;
const SCRAPES: usize = 960;
const CHUNK: usize = 480;
const TARGETS: usize = 25;

fn main() {
    let mut random = SmallRng::seed_from_u64(4);
    let times: Vec<Vec<i64>> = (0..TARGETS)
        .map(|_| {
            let start = 1_700_000_000_000_i64 + random.random_range(0..15_000);
            (0_i64..)
                .take(SCRAPES)
                .map(|n| start + n * 15_000 + random.random_range(0..12))
                .collect()
        })
        .collect();
    let values: Vec<Vec<f64>> =
        (0..SERIES).map(|series| values(series % 10, &mut random)).collect();
    let started = Instant::now();
    let time_chunks: Vec<Vec<u8>> = times
        .iter()
        .flat_map(|times| times.chunks(CHUNK))
        .map(|times| written(|out| chunk::write_times(times, out)))
        .collect();
    let mut chunks = Vec::new();
    let mut kinds = [0; 10];
    for (series, values) in values.iter().enumerate() {
        for values in values.chunks(CHUNK) {
            let bytes = written(|out| chunk::write_values(values, out));
            kinds[series % 10] += bytes.len();
            chunks.push(bytes);
        }
    }
    let wrote = started.elapsed().as_secs_f64();
    let started = Instant::now();
    for bytes in &chunks {
        std::hint::black_box(chunk::read_values(bytes, CHUNK).unwrap());
    }
    let read = started.elapsed().as_secs_f64();
    let samples = (SERIES * SCRAPES) as f64;
    let time_bytes: usize = time_chunks.iter().map(Vec::len).sum();
    let value_bytes: usize = chunks.iter().map(Vec::len).sum();
    println!(
        "bytes per sample, with shared times: {:.3}",
        (time_bytes + value_bytes) as f64 / samples
    );
    println!(
        "bytes per time, if not shared: {:.3}",
        time_bytes as f64 / (TARGETS * SCRAPES) as f64
    );
    for (kind, share) in [
        ("constant", 0..4),
        ("integer counter", 4..7),
        ("two decimals", 7..9),
        ("float counter", 9..10),
    ] {
        let of = samples * share.len() as f64 / 10.0;
        println!("  {kind}: {:.3} bytes per value", kinds[share].iter().sum::<usize>() as f64 / of);
    }
    println!("written: {:.0} samples/s on one core", samples / wrote);
    println!("read: {:.0} samples/s on one core", samples / read);
}

fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), chunk::ChunkError>) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    out
}

fn values(kind: usize, random: &mut SmallRng) -> Vec<f64> {
    let mut last = f64::from(random.random_range(0..1_000_000));
    let mut level = f64::from(random.random_range(0..10_000));
    let most = random.random_range(2..200);
    let step = || {
        match kind {
            0..4 => {}
            4..7 => last += f64::from(random.random_range(0..most)),
            7..9 => {
                level += f64::from(random.random_range(-50..=50));
                last = level / 100.0;
            }
            _ => last += random.random::<f64>(),
        }
        last
    };
    std::iter::repeat_with(step).take(SCRAPES).collect()
}
