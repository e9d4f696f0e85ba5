//! How risky a watched contract is, item by item, from facts that somebody found out.
//!
//! The score is the sum of the items' points, capped at 100. An unknown fact is shown as unknown and
//! costs half of what its worst answer would: it is never as good as a good answer. All weights
//! stand in one table, [`ITEMS`]; they are a judgement and not a measurement.

use serde::Serialize;
use serde_json::{Value, json};

use crate::code::{Check, CodeReport};

/// What is known of a contract; `None` is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Who can change its code.
    pub upgrade: Option<Control>,
    /// Who can do what only an owner can.
    pub owner: Option<Control>,
    /// Who can make new units of it.
    pub mint: Option<Mint>,
    /// Where it gets prices from.
    pub oracle: Option<Oracle>,
    /// Whether it is paused now.
    pub paused: Option<bool>,
    /// Seconds since it was created.
    pub age: Option<u64>,
    /// Whether its source is published and fits its code.
    pub verified: Option<bool>,
    /// Whether its code was looked at, and what the worst was.
    pub code: Option<CodeState>,
    /// What was found at it before.
    pub findings: Option<PastFindings>,
}

/// Who can do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Nobody.
    Nobody,
    /// Whoever, after waiting so many seconds in public.
    Timelock {
        /// Least seconds between proposal and execution.
        seconds: u64,
    },
    /// Several signers together.
    Multisig {
        /// How many are needed.
        threshold: u64,
    },
    /// Another contract, of an unknown kind.
    Contract,
    /// One key.
    Key,
}

/// Who can make new units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mint {
    /// It has no such function.
    None,
    /// Someone may.
    Guarded,
    /// Its owner is one key, and may.
    Key,
}

/// Where prices come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Oracle {
    /// It asks for none.
    None,
    /// A feed.
    Feed,
    /// A mean over time.
    Average,
    /// The state of a pool at this moment, which one transaction can move.
    Spot,
}

/// What looking at the code gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeState {
    /// Nothing.
    Clean,
    /// Something minor, or something that state may guard.
    Minor,
    /// A hole that nothing guards, as far as is seen.
    Hole,
}

/// Findings of the last 90 days that were not retracted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PastFindings {
    /// P0 and P1.
    pub urgent: u64,
    /// P2 and P3.
    pub minor: u64,
}

/// A row of the table of weights: a fact, and what its worst answer costs.
pub struct Row {
    /// Its name in data.
    pub name: &'static str,
    /// What it is about, for people.
    pub title: &'static str,
    /// Points of its worst answer.
    pub worst: u8,
    /// Points (0–100 % of the worst) and words of what is known; none when it is not.
    pub judge: fn(&Facts) -> Option<(u8, String)>,
}

/// All items with their weights.
pub const ITEMS: [Row; 9] = [
    Row { name: "upgrade", title: "who can change its code", worst: 30, judge: upgrade },
    Row { name: "owner", title: "who owns it", worst: 15, judge: owner },
    Row { name: "mint", title: "who can mint", worst: 15, judge: mint },
    Row { name: "oracle", title: "where its prices come from", worst: 20, judge: oracle },
    Row { name: "code", title: "holes in its code", worst: 35, judge: code },
    Row { name: "verified", title: "published source", worst: 10, judge: verified },
    Row { name: "age", title: "how long it has stood", worst: 10, judge: age },
    Row { name: "paused", title: "paused", worst: 10, judge: paused },
    Row { name: "findings", title: "findings of the last 90 days", worst: 25, judge: findings },
];

/// One item of a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RiskItem {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// What it adds to the score.
    pub points: u8,
    /// What it could add at most.
    pub worst: u8,
    /// Whether the fact is known.
    pub known: bool,
    /// The fact in words.
    pub fact: String,
}

/// A contract's score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RiskScore {
    /// 0 (nothing speaks against it) to 100.
    pub score: u8,
    /// The part of it that comes from what is not known.
    pub unknown: u8,
    /// What it is made of, largest first.
    pub items: Vec<RiskItem>,
}

/// Adds up what is known of a contract.
pub fn score(facts: &Facts) -> RiskScore {
    let mut items: Vec<RiskItem> = ITEMS
        .iter()
        .map(|row| {
            let (share, known, fact) = match (row.judge)(facts) {
                Some((share, fact)) => (share.min(100), true, fact),
                None => (50, false, "unknown".to_owned()),
            };
            let points = u16::from(row.worst) * u16::from(share) / 100;
            RiskItem {
                name: row.name,
                title: row.title,
                points: u8::try_from(points).unwrap_or(row.worst),
                worst: row.worst,
                known,
                fact,
            }
        })
        .collect();
    items.sort_by_key(|item| std::cmp::Reverse(item.points));
    let sum = |known: Option<bool>| {
        let points = items
            .iter()
            .filter(|item| known.is_none_or(|known| item.known == known))
            .map(|item| u16::from(item.points));
        u8::try_from(points.sum::<u16>().min(100)).unwrap_or(100)
    };
    RiskScore { score: sum(None), unknown: sum(Some(false)), items }
}

impl RiskScore {
    /// As JSON.
    pub fn to_json(&self) -> Value {
        json!(self)
    }
}

impl CodeState {
    /// What a report of the code amounts to. A walk that was not complete and found nothing proves
    /// nothing.
    pub fn of(report: &CodeReport) -> Option<CodeState> {
        let hole = report.findings.iter().any(|finding| {
            !finding.behind_storage
                && finding.check != Check::CreateGivenCode
                && finding.check != Check::TxOrigin
        });
        match (hole, report.findings.is_empty(), report.complete) {
            (true, _, _) => Some(CodeState::Hole),
            (false, false, _) => Some(CodeState::Minor),
            (false, true, true) => Some(CodeState::Clean),
            (false, true, false) => None,
        }
    }
}

fn control(control: Control) -> (u8, String) {
    match control {
        Control::Nobody => (0, "nobody".to_owned()),
        Control::Timelock { seconds } if seconds >= 86_400 => {
            (15, format!("a timelock of {} hours", seconds / 3_600))
        }
        Control::Timelock { seconds } => (50, format!("a timelock of only {seconds} seconds")),
        Control::Multisig { threshold } if threshold >= 2 => {
            (40, format!("a multisig of {threshold} signers, at once"))
        }
        Control::Multisig { .. } => (90, "a multisig that one signer commands".to_owned()),
        Control::Contract => (60, "a contract of an unknown kind, no timelock was seen".to_owned()),
        Control::Key => (100, "one key (EOA), at once".to_owned()),
    }
}

fn upgrade(facts: &Facts) -> Option<(u8, String)> {
    facts.upgrade.map(control)
}

fn owner(facts: &Facts) -> Option<(u8, String)> {
    facts.owner.map(control)
}

fn mint(facts: &Facts) -> Option<(u8, String)> {
    Some(match facts.mint? {
        Mint::None => (0, "nobody".to_owned()),
        Mint::Guarded => (40, "someone whom it knows".to_owned()),
        Mint::Key => (100, "its owner, who is one key".to_owned()),
    })
}

fn oracle(facts: &Facts) -> Option<(u8, String)> {
    Some(match facts.oracle? {
        Oracle::None => (0, "none asked".to_owned()),
        Oracle::Feed => (20, "a price feed".to_owned()),
        Oracle::Average => (40, "a mean over time of a pool".to_owned()),
        Oracle::Spot => (100, "a pool's state at this moment".to_owned()),
    })
}

fn code(facts: &Facts) -> Option<(u8, String)> {
    Some(match facts.code? {
        CodeState::Clean => (0, "none seen".to_owned()),
        CodeState::Minor => (40, "something minor, or guarded by state".to_owned()),
        CodeState::Hole => (100, "one that nothing guards, as far as is seen".to_owned()),
    })
}

fn verified(facts: &Facts) -> Option<(u8, String)> {
    Some(if facts.verified? { (0, "yes".to_owned()) } else { (100, "no".to_owned()) })
}

fn age(facts: &Facts) -> Option<(u8, String)> {
    let days = facts.age? / 86_400;
    let share = match days {
        0..=6 => 100,
        7..=29 => 70,
        30..=179 => 40,
        180..=364 => 20,
        _ => 0,
    };
    Some((share, format!("{days} days")))
}

fn paused(facts: &Facts) -> Option<(u8, String)> {
    Some(if facts.paused? { (100, "yes".to_owned()) } else { (0, "no".to_owned()) })
}

fn findings(facts: &Facts) -> Option<(u8, String)> {
    let past = facts.findings?;
    let share = match (past.urgent, past.minor) {
        (0, 0) => 0,
        (0, 1..=4) => 20,
        (0, _) => 40,
        (1, _) => 70,
        _ => 100,
    };
    Some((share, format!("{} urgent, {} minor", past.urgent, past.minor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            upgrade: Some(Control::Nobody),
            owner: Some(Control::Nobody),
            mint: Some(Mint::None),
            oracle: Some(Oracle::None),
            paused: Some(false),
            age: Some(400 * 86_400),
            verified: Some(true),
            code: Some(CodeState::Clean),
            findings: Some(PastFindings::default()),
        }
    }

    #[test]
    fn each_fact_counts_and_unknown_is_never_good() {
        assert_eq!(score(&good()).score, 0);
        for (name, facts, expected) in [
            ("upgrade", Facts { upgrade: Some(Control::Key), ..good() }, 30),
            (
                "upgrade",
                Facts { upgrade: Some(Control::Timelock { seconds: 172_800 }), ..good() },
                4,
            ),
            ("upgrade", Facts { upgrade: None, ..good() }, 15),
            ("oracle", Facts { oracle: Some(Oracle::Spot), ..good() }, 20),
            ("code", Facts { code: Some(CodeState::Hole), ..good() }, 35),
            ("age", Facts { age: Some(3_600), ..good() }, 10),
            ("verified", Facts { verified: None, ..good() }, 5),
            ("paused", Facts { paused: Some(true), ..good() }, 10),
            (
                "findings",
                Facts { findings: Some(PastFindings { urgent: 2, minor: 0 }), ..good() },
                25,
            ),
            ("mint", Facts { mint: Some(Mint::Key), ..good() }, 15),
        ] {
            let risk = score(&facts);
            assert_eq!((risk.score, risk.items[0].name), (expected, name));
        }
    }

    #[test]
    fn nothing_known_is_half_of_the_worst_and_said_so() {
        let risk = score(&Facts::default());
        assert!(risk.items.iter().all(|item| !item.known && item.fact == "unknown"));
        let worst: u16 = ITEMS.iter().map(|row| u16::from(row.worst)).sum();
        assert!(u16::from(risk.score) * 2 >= worst - 9, "{}", risk.score);
        assert_eq!(risk.score, risk.unknown);
    }

    #[test]
    fn the_sum_is_capped() {
        let bad = Facts {
            upgrade: Some(Control::Key),
            owner: Some(Control::Key),
            mint: Some(Mint::Key),
            oracle: Some(Oracle::Spot),
            paused: Some(true),
            age: Some(0),
            verified: Some(false),
            code: Some(CodeState::Hole),
            findings: Some(PastFindings { urgent: 9, minor: 9 }),
        };
        assert_eq!(score(&bad).score, 100);
        assert_eq!(score(&bad).unknown, 0);
    }
}
