//! How well the detectors do on real attacks, real blocks and mutations of the attacks.
//!
//! Prints what it measures; asserts the bars. Attacks whose hash ends in an odd digit are reported
//! apart, since thresholds are chosen on the others.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "what is measured is the point")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wk_detectors::{Config, Report, inspect};
use wk_model::Severity;
use wk_testkit::corpus;
use wk_trace::{TxTrace, read, unpack};

mod mutate;

fn open(file: &Path) -> Vec<u8> {
    unpack(&std::fs::read(file).unwrap(), 1 << 30).unwrap().into_owned()
}

struct Attack {
    name: String,
    labels: Vec<String>,
    held_out: bool,
    trace: TxTrace,
}

fn attacks(corpus: &Path) -> Vec<Attack> {
    let labels: Value =
        serde_json::from_slice(&std::fs::read(corpus.join("attacks/labels.json")).unwrap())
            .unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    labels
        .as_array()
        .unwrap()
        .iter()
        .map(|attack| {
            let traces = read(&open(&corpus.join(text(&attack["file"])))).unwrap();
            let [trace] = traces.transactions.as_slice() else { panic!("one tree each") };
            let last = text(&attack["tx"]).pop().unwrap().to_digit(16).unwrap();
            Attack {
                name: text(&attack["name"]),
                labels: attack["labels"].as_array().unwrap().iter().map(text).collect(),
                held_out: last % 2 == 1,
                trace: trace.clone(),
            }
        })
        .collect()
}

#[derive(Clone, Copy, Debug, Default)]
struct Score {
    all: u32,
    any: u32,
    urgent: u32,
    right: u32,
    first: u32,
}

impl Score {
    fn add(&mut self, labels: &[String], reports: &[Report]) {
        let findings = || reports.iter().flat_map(|report| &report.findings);
        let right = |class: &str| labels.iter().any(|label| label == class);
        self.all += 1;
        self.any += u32::from(findings().next().is_some());
        self.urgent += u32::from(findings().any(|finding| finding.severity <= Severity::P1));
        self.right += u32::from(findings().any(|finding| right(finding.class.name())));
        self.first += u32::from(findings().next().is_some_and(|f| right(f.class.name())));
    }

    fn share(self, part: u32) -> f64 {
        f64::from(part) / f64::from(self.all.max(1))
    }
}

fn print(name: &str, score: Score) {
    println!(
        "{name:<28} {:>3}  any {:.2}  P0/P1 {:.2}  right class {:.2}  first class {:.2}",
        score.all,
        score.share(score.any),
        score.share(score.urgent),
        score.share(score.right),
        score.share(score.first)
    );
}

#[test]
fn attacks_are_found_and_named() {
    let Some(corpus) = corpus() else { return };
    let config = Config::default();
    let (mut all, mut tuned, mut held) = (Score::default(), Score::default(), Score::default());
    let mut classes: BTreeMap<String, Score> = BTreeMap::new();
    for attack in attacks(&corpus) {
        let report = [inspect(&attack.trace, &config)];
        all.add(&attack.labels, &report);
        let half = if attack.held_out { &mut held } else { &mut tuned };
        half.add(&attack.labels, &report);
        for label in &attack.labels {
            classes.entry(label.clone()).or_default().add(std::slice::from_ref(label), &report);
        }
        let found: Vec<String> = report[0]
            .findings
            .iter()
            .map(|f| {
                let pattern = f.evidence.get("pattern").or(f.evidence.get("rule"));
                let pattern =
                    pattern.and_then(Value::as_str).map_or(String::new(), |p| format!("({p})"));
                format!("{}/{}/{:?}{pattern}", f.detector, f.class.name(), f.severity)
            })
            .collect();
        println!("{:<20} {:?} -> {found:?}", attack.name, attack.labels);
    }
    print("all", all);
    print("hash even (tuned on)", tuned);
    print("hash odd (held out)", held);
    for (class, score) in &classes {
        print(class, *score);
    }
    assert!(all.share(all.any) >= 0.94, "any alert: {all:?}");
    assert!(all.share(all.urgent) >= 0.75, "P0/P1: {all:?}");
    assert!(all.share(all.right) >= 0.85, "right class: {all:?}");
    for (class, bar) in [("reentrancy", 0.90), ("price_manipulation", 0.75)] {
        let score = classes[class];
        assert!(score.share(score.right) >= bar, "{class}: {score:?}");
    }
}

#[test]
fn mutated_attacks_are_still_found() {
    let Some(corpus) = corpus() else { return };
    let config = Config::default();
    let attacks = attacks(&corpus);
    let mut plain = Score::default();
    for attack in &attacks {
        plain.add(&attack.labels, &[inspect(&attack.trace, &config)]);
    }
    for mutation in mutate::ALL {
        let mut score = Score::default();
        let mut lost = Vec::new();
        for attack in &attacks {
            let reports: Vec<Report> = mutate::mutate(&attack.trace, mutation)
                .iter()
                .map(|text| inspect(&read(text.as_bytes()).unwrap().transactions[0], &config))
                .collect();
            let before = inspect(&attack.trace, &config);
            if !before.findings.is_empty() && reports.iter().all(|r| r.findings.is_empty()) {
                lost.push(attack.name.as_str());
            }
            score.add(&attack.labels, &reports);
        }
        print(&format!("{mutation:?}"), score);
        println!("  lost: {lost:?}");
        let dropped = plain.share(plain.any) - score.share(score.any);
        let renamed = plain.share(plain.right) - score.share(score.right);
        let bar = if mutation == mutate::Mutation::Unnamed { 0.20 } else { 0.10 };
        assert!(dropped <= bar, "{mutation:?} lowers recall by {dropped:.2}");
        assert!(renamed <= bar, "{mutation:?} lowers the right class by {renamed:.2}");
    }
}

#[test]
fn ordinary_blocks_are_left_alone() {
    for logs in [true, false] {
        ordinary_blocks(logs);
    }
}

/// With logs in place, and with call frames alone.
fn ordinary_blocks(logs: bool) {
    let Some(corpus) = corpus() else { return };
    println!("logs: {logs}");
    let config = Config::default();
    let (mut all, mut large, mut urgent, mut urgent_large) = (0_u32, 0_u32, 0_u32, 0_u32);
    let mut lesser: BTreeMap<(Severity, &str), u32> = BTreeMap::new();
    let mut by_worst: BTreeMap<Severity, u32> = BTreeMap::new();
    for folder in ["benign/traces", "mev"] {
        let mut files: Vec<PathBuf> = std::fs::read_dir(corpus.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with(".json.gz"))
            .collect();
        files.sort();
        for file in files {
            let mut text = String::from_utf8(open(&file)).unwrap();
            if !logs {
                text = text.replace("\"logs\":", "\"none\":");
            }
            for trace in read(text.as_bytes()).unwrap().transactions {
                let big = trace.frames.len() >= 5;
                all += 1;
                large += u32::from(big);
                let report = inspect(&trace, &config);
                for finding in &report.findings {
                    *lesser.entry((finding.severity, finding.detector)).or_default() += 1;
                }
                if let Some(worst) = report.findings.iter().min_by_key(|finding| finding.severity) {
                    *by_worst.entry(worst.severity).or_default() += 1;
                    if !logs {
                        println!(
                            "  {:?} {:?} {} frames: {} {} {:?} {:?}",
                            worst.severity,
                            trace.hash,
                            trace.frames.len(),
                            worst.detector,
                            worst.class.name(),
                            worst.evidence.get("pattern").or(worst.evidence.get("rule")),
                            report.labels,
                        );
                    }
                }
                if let Some(finding) =
                    report.findings.iter().find(|finding| finding.severity <= Severity::P1)
                {
                    urgent += 1;
                    urgent_large += u32::from(big);
                    println!("{} {:?}: {finding:?}", file.display(), trace.hash);
                }
            }
        }
    }
    let per_thousand = |part: u32, of: u32| f64::from(part) * 1000.0 / f64::from(of.max(1));
    println!("{all} transactions, {large} with five or more frames");
    println!(
        "P0/P1 per 1,000: {:.2}; of large ones {:.2}",
        per_thousand(urgent, all),
        per_thousand(urgent_large, large)
    );
    println!("findings: {lesser:?}");
    let rate = |severity| per_thousand(by_worst.get(&severity).copied().unwrap_or(0), all);
    let (p2, p3) = (rate(Severity::P2), rate(Severity::P3));
    println!("transactions by their worst finding, per 1,000: P2 {p2:.2}, P3 {p3:.2}");
    assert!(p2 <= 2.0 && p3 <= 5.0, "P2 {p2:.2}, P3 {p3:.2}");
    assert!(per_thousand(urgent, all) <= 0.1);
    assert!(per_thousand(urgent_large, large) <= 1.0);
}

#[test]
fn every_kind_of_trace_can_be_looked_at() {
    let Some(corpus) = corpus() else { return };
    for entry in std::fs::read_dir(corpus.join("rpc")).unwrap() {
        let traces = read(&open(&entry.unwrap().path())).unwrap();
        let reports = wk_detectors::inspect_all(&traces, &Config::default());
        assert_eq!(reports.len(), traces.transactions.len());
    }
}
