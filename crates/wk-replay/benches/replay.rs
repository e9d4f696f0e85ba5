//! How many transactions per second are executed again and looked at, on one core: medians over real
//! blocks, their state at hand.
//!
//! `cargo bench --profile quick -p wk-replay --bench replay`

#![expect(clippy::print_stdout, reason = "a benchmark prints figures")]

use std::path::Path;
use std::time::Instant;

use wk_detectors::{Config, inspect_all};
use wk_replay::{Codes, StoredBlock};
use wk_testkit::corpus;
use wk_trace::{Traces, unpack};

const ROUNDS: usize = 30;
/// Frames per transaction from which on a block is full of DeFi.
const HEAVY: usize = 4;

fn open(file: &Path) -> Vec<u8> {
    let packed = std::fs::read(file).expect("the corpus is readable");
    unpack(&packed, 1 << 30).expect("the corpus is gzip").into_owned()
}

#[derive(Default)]
struct Sum {
    transactions: usize,
    gas: u64,
    execute: f64,
    detect: f64,
}

impl Sum {
    fn add(&mut self, other: &Sum) {
        self.transactions += other.transactions;
        self.gas += other.gas;
        self.execute += other.execute;
        self.detect += other.detect;
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn print(&self, name: &str) {
        let seconds = self.execute + self.detect;
        println!(
            "{name}: {} transactions, {} Mgas; replay {:.1} ms, detect {:.1} ms; {:.0} transactions/s, {:.0} Mgas/s",
            self.transactions,
            self.gas / 1_000_000,
            self.execute * 1e3,
            self.detect * 1e3,
            self.transactions as f64 / seconds,
            self.gas as f64 / 1e6 / seconds,
        );
    }
}

fn main() {
    let Some(corpus) = corpus() else { return };
    let mut codes = Codes::read(&open(&corpus.join("benign/codes.json.gz"))).expect("codes");
    let mut files: Vec<_> = std::fs::read_dir(corpus.join("benign/blocks"))
        .expect("the corpus is readable")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    let config = Config::default();
    let (mut mixed, mut heavy) = (Sum::default(), Sum::default());
    for file in files {
        let stored = StoredBlock::read(&open(&file), &mut codes).expect("a block with its state");
        let (mut execute, mut detect, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        let mut frames = 0;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let executed = stored.execute().expect("the block is valid");
            let executed_in = start.elapsed().as_secs_f64();
            let traces = Traces {
                whole_block: true,
                transactions: executed.into_iter().map(|executed| executed.trace).collect(),
                ..Traces::default()
            };
            std::hint::black_box(inspect_all(&traces, &config));
            let all = start.elapsed().as_secs_f64();
            execute.push(executed_in);
            detect.push(all - executed_in);
            whole.push(all);
            frames = traces.transactions.iter().map(|trace| trace.frames.len()).sum();
        }
        for times in [&mut execute, &mut detect, &mut whole] {
            times.sort_by(f64::total_cmp);
        }
        let sum = Sum {
            transactions: stored.block.transactions.len(),
            gas: stored.block.header.header.gas_used,
            execute: execute[ROUNDS / 2],
            detect: detect[ROUNDS / 2],
        };
        let is_heavy = frames >= sum.transactions * HEAVY;
        sum.print(&format!(
            "block {}{}, {frames} frames, slowest round {:.1} ms",
            stored.block.header.header.height,
            if is_heavy { " (DeFi)" } else { "" },
            whole[ROUNDS - 1] * 1e3
        ));
        mixed.add(&sum);
        if is_heavy {
            heavy.add(&sum);
        }
    }
    mixed.print("all blocks");
    heavy.print("DeFi-heavy blocks");
}
