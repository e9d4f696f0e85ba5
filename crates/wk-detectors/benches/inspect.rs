//! How many transactions per second are parsed and looked at, on one core: medians over the corpus.

use std::path::{Path, PathBuf};
use std::time::Instant;

use wk_detectors::{Config, inspect};
use wk_testkit::corpus;
use wk_trace::{read, unpack};

const ROUNDS: usize = 15;

fn texts(folder: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the corpus is readable")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".json.gz"))
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| {
            let packed = std::fs::read(file).expect("the corpus is readable");
            unpack(&packed, 1 << 30).expect("the corpus is gzip").into_owned()
        })
        .collect()
}

#[expect(clippy::print_stdout, reason = "a bench tells its numbers")]
fn main() {
    let Some(corpus) = corpus() else { return };
    let config = Config::default();
    for (name, folder) in [
        ("benign call trees", "benign/traces"),
        ("mainnet parity traces", "mev"),
        ("attacks on ethereum", "attacks/ethereum"),
        ("attacks on bsc", "attacks/bsc"),
    ] {
        let texts = texts(&corpus.join(folder));
        let bytes: usize = texts.iter().map(Vec::len).sum();
        let mut parse = Vec::new();
        let mut detect = Vec::new();
        let (mut transactions, mut frames) = (0, 0);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let traces: Vec<_> =
                texts.iter().map(|text| read(text).expect("it is a trace")).collect();
            parse.push(start.elapsed().as_secs_f64());
            transactions = traces.iter().map(|traces| traces.transactions.len()).sum();
            let start = Instant::now();
            frames = 0;
            for trace in traces.iter().flat_map(|traces| &traces.transactions) {
                frames += trace.frames.len();
                std::hint::black_box(inspect(trace, &config));
            }
            detect.push(start.elapsed().as_secs_f64());
        }
        parse.sort_by(f64::total_cmp);
        detect.sort_by(f64::total_cmp);
        let (parse, detect) = (parse[ROUNDS / 2], detect[ROUNDS / 2]);
        let count = f64::from(u32::try_from(transactions).expect("a small corpus"));
        println!(
            "{name}: {transactions} transactions, {frames} frames, {:.1} MB; parse {:.1} ms, detect {:.1} ms; {:.0} transactions/s",
            f64::from(u32::try_from(bytes >> 10).expect("a small corpus")) / 1024.0,
            parse * 1e3,
            detect * 1e3,
            count / (parse + detect)
        );
    }
}
