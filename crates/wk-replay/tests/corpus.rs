//! Mainnet blocks, executed again: gas to the unit, and the same model as from traces.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "what is measured is the point")]

use std::path::{Path, PathBuf};

use wk_replay::{Codes, StoredBlock};
use wk_testkit::corpus;
use wk_trace::{Asset, BalanceChange, TxTrace, read, unpack};

fn open(file: &Path) -> Vec<u8> {
    unpack(&std::fs::read(file).unwrap(), 1 << 30).unwrap().into_owned()
}

fn blocks(corpus: &Path) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(corpus.join("benign/blocks")).unwrap();
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Balance changes with addresses, so that tables of parties may differ.
fn changes(trace: &TxTrace) -> Vec<String> {
    let asset = |asset| match asset {
        Asset::Native => "native".to_owned(),
        Asset::Token(token) => format!("{}", trace.address(token)),
    };
    let mut changes: Vec<String> = trace
        .balance_changes()
        .iter()
        .map(|change: &BalanceChange| {
            format!("{} {} {}", trace.address(change.party), asset(change.asset), change.net())
        })
        .collect();
    changes.sort();
    changes
}

/// Length, begin and hash.
fn brief(bytes: &[u8]) -> String {
    let begin = alloy_primitives::hex::encode(&bytes[..bytes.len().min(4)]);
    format!("{} {begin} {}", bytes.len(), alloy_primitives::keccak256(bytes))
}

/// A frame in words: all that every source tells of it.
fn frames(trace: &TxTrace) -> Vec<String> {
    trace
        .frames
        .iter()
        .map(|frame| {
            format!(
                "{} {:?} {} -> {} ({}) value {} input {} output {} reverted {} end {}",
                frame.depth,
                frame.kind,
                trace.address(frame.from),
                trace.address(frame.to),
                trace.address(frame.code),
                if frame.kind == wk_trace::FrameKind::Delegate {
                    Default::default()
                } else {
                    frame.value
                },
                brief(trace.input(frame)),
                brief(trace.output(frame)),
                frame.reverted,
                frame.end,
            )
        })
        .collect()
}

fn logs(trace: &TxTrace) -> Vec<String> {
    trace
        .logs
        .iter()
        .map(|log| {
            let data = alloy_primitives::hex::encode(trace.bytes(log.data));
            format!("{} {:?} {data}", trace.address(log.address), log.topics)
        })
        .collect()
}

#[test]
fn blocks_use_the_gas_that_their_headers_say() {
    let Some(corpus) = corpus() else { return };
    let mut codes = Codes::read(&open(&corpus.join("benign/codes.json.gz"))).unwrap();
    let (mut count, mut frames_in_all) = (0, 0);
    for file in blocks(&corpus) {
        let block = StoredBlock::read(&open(&file), &mut codes).unwrap();
        let executed = block.execute().unwrap();
        let gas: u64 = executed.iter().map(|executed| executed.gas_used).sum();
        assert_eq!(gas, block.block.header.header.gas_used, "{}", file.display());
        count += executed.len();
        frames_in_all += executed.iter().map(|executed| executed.trace.frames.len()).sum::<usize>();
    }
    println!("{count} transactions, {frames_in_all} frames, gas of all blocks exact");
    assert!(count > 5000);
}

#[test]
fn replay_and_traces_give_the_same_model() {
    let Some(corpus) = corpus() else { return };
    let mut codes = Codes::read(&open(&corpus.join("benign/codes.json.gz"))).unwrap();
    let (mut count, mut different) = (0, 0);
    for file in blocks(&corpus) {
        let block = StoredBlock::read(&open(&file), &mut codes).unwrap();
        let traces = corpus.join("benign/traces").join(file.file_name().unwrap());
        let traces = read(&open(&traces)).unwrap();
        for (executed, told) in block.execute().unwrap().iter().zip(&traces.transactions) {
            let replayed = &executed.trace;
            let place = format!("{} {:?}", file.display(), told.hash);
            assert_eq!(replayed.hash, told.hash, "{place}");
            assert_eq!(replayed.success, told.success, "{place}");
            assert_eq!(replayed.gas_used, told.gas_used, "{place}");
            let all = same(&frames(replayed), &frames(told), &place)
                && same(&logs(replayed), &logs(told), &place)
                && same(&changes(replayed), &changes(told), &place);
            different += u32::from(!all);
            count += 1;
        }
    }
    println!("{count} transactions, {different} of them not the same from both");
    assert_eq!(different, 0);
    assert!(count > 5000);
}

/// Says what differs, if anything.
fn same(replayed: &[String], told: &[String], place: &str) -> bool {
    let differs = replayed.iter().zip(told).position(|(replayed, told)| replayed != told);
    if let Some(at) = differs {
        println!("{place}, entry {at}\n  replayed {}\n  told     {}", replayed[at], told[at]);
    } else if replayed.len() != told.len() {
        println!("{place}: {} replayed, {} told", replayed.len(), told.len());
    }
    replayed == told
}
