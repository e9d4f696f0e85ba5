//! Each mechanism in shapes written by hand: at least three attacks and three harmless look-alikes.
//!
//! None is a copy of a real transaction, and names of functions are invented where they may be: what
//! is told apart here is told apart by what happens.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use wk_detectors::{Class, Config, inspect};
use wk_model::Severity;
use wk_trace::TxTrace;

mod build;
mod calls;
mod limits;
mod money;
mod people;
mod prices;
mod rights;
mod urgent;

/// What is expected of a transaction.
pub(crate) enum Expect {
    /// A finding of this class, at any severity.
    Attack(Class),
    /// Nothing of this class, and nothing urgent of any.
    Harmless(Class),
}

pub(crate) type Case = (&'static str, Expect, TxTrace);

fn cases() -> Vec<Case> {
    let all = [prices::cases(), rights::cases(), calls::cases(), money::cases(), people::cases()];
    all.into_iter().flatten().collect()
}

#[test]
fn attacks_are_told_from_their_look_alikes() {
    let mut wrong = Vec::new();
    for (name, expect, trace) in cases() {
        assert!(trace.success, "{name}");
        let report = inspect(&trace, &Config::default());
        let has = |class: Class| report.findings.iter().any(|finding| finding.class == class);
        let urgent = report.findings.iter().any(|finding| finding.severity <= Severity::P1);
        let fine = match expect {
            Expect::Attack(class) => has(class),
            Expect::Harmless(class) => !has(class) && !urgent,
        };
        if !fine {
            let found: Vec<String> = report
                .findings
                .iter()
                .map(|f| {
                    format!("{}/{}/{:?} {:?}", f.detector, f.class.name(), f.severity, f.evidence)
                })
                .collect();
            wrong.push(format!("{name}: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_mechanism_has_three_attacks_and_three_look_alikes() {
    let mut counts: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for (_, expect, _) in cases() {
        match expect {
            Expect::Attack(class) => counts.entry(class.name()).or_default().0 += 1,
            Expect::Harmless(class) => counts.entry(class.name()).or_default().1 += 1,
        }
    }
    for (class, (attacks, harmless)) in counts {
        assert!(attacks >= 3 && harmless >= 3, "{class}: {attacks} and {harmless}");
    }
}

/// Every attack is still found when the sender's call goes through two contracts more.
#[test]
fn nothing_is_hidden_by_what_hands_a_call_on() {
    for (name, expect, trace) in people::relayed() {
        let Expect::Attack(class) = expect else { continue };
        let report = inspect(&trace, &Config::default());
        assert!(report.findings.iter().any(|finding| finding.class == class), "{name}");
    }
}
