//! A new use against what is known.

use std::collections::BTreeSet;

use alloy_primitives::{Address, U256};
use serde::Serialize;
use serde_json::{Value, json};
use wk_model::{Confidence, Severity};

use super::config::Config;
use super::observe::{FunctionUse, Use};
use super::profile::{Function, Profile};
use crate::access_control;
use crate::finding::{Class, Evidence, TxFinding};

const NAME: &str = "unusual_use";
/// Deviations that are told of one transaction.
const MAX_TOLD: usize = 16;

/// In what a use differs from all before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deviation {
    /// What differs: `new_function`, `new_caller`, `called_by_contract`, `gas`, `calls`, `outflow`,
    /// `new_asset_leaves` or `frequency`.
    pub kind: &'static str,
    /// The function as hex, where it is about one.
    pub function: Option<String>,
    /// What was known.
    pub usual: Value,
    /// What was seen.
    pub seen: Value,
}

impl Profile {
    /// Whether enough is known to judge.
    pub fn is_warm(&self, config: &Config) -> bool {
        config.enabled && self.transactions >= u64::from(config.warm_up)
    }

    /// In what a transaction's use of the contract, in a block at `height`, differs from all before.
    pub fn judge(&self, height: u64, seen: &Use, config: &Config) -> Vec<Deviation> {
        let mut found = Vec::new();
        if !self.is_warm(config) {
            return found;
        }
        for (selector, called) in &seen.functions {
            match self.functions.get(selector) {
                Some(known) => {
                    self.judge_function(height, *selector, known, called, config, &mut found)
                }
                None if !self.crowded && settled(self.newest_function(), height, config) => {
                    found.push(Deviation {
                        kind: "new_function",
                        function: Some(hex(*selector)),
                        usual: json!(self.functions.len()),
                        seen: json!(called.calls),
                    });
                }
                None => {}
            }
        }
        for (asset, amount) in &seen.outflow {
            let (kind, usual) = match self.outflow.get(asset) {
                Some(bound) if bound.is_exceeded(*amount, config.outflow_factor) => {
                    ("outflow", bound.most)
                }
                None if !self.many_assets => ("new_asset_leaves", U256::ZERO),
                Some(_) | None => continue,
            };
            found.push(Deviation {
                kind,
                function: None,
                usual: json!(usual.to_string()),
                seen: json!({"asset": format!("{asset:#x}"), "amount": amount.to_string()}),
            });
        }
        found
    }

    fn judge_function(
        &self,
        height: u64,
        selector: u32,
        known: &Function,
        called: &FunctionUse,
        config: &Config,
        found: &mut Vec<Deviation>,
    ) {
        if known.calls.count < u64::from(config.warm_up) {
            return;
        }
        let mut say = |kind, usual, seen| {
            found.push(Deviation { kind, function: Some(hex(selector)), usual, seen });
        };
        if let Some(gas) = called.gas
            && known.gas.count >= u64::from(config.warm_up)
            && known.gas.is_exceeded(U256::from(gas), config.gas_factor)
        {
            say("gas", json!(known.gas.most.to_string()), json!(gas));
        }
        if known.calls.is_exceeded(U256::from(called.calls), config.calls_factor) {
            say("calls", json!(known.calls.most.to_string()), json!(called.calls));
        }
        if !called.by_sender && !known.by_contract {
            say("called_by_contract", json!(false), json!(true));
        }
        let newest = known.callers.values().copied().max().unwrap_or(0);
        if !known.crowd && settled(newest, height, config) {
            let stranger = called.callers.iter().find(|one| !known.callers.contains_key(*one));
            if let Some(stranger) = stranger {
                say("new_caller", json!(known.callers.len()), json!(format!("{stranger:#x}")));
            }
        }
    }

    /// The most transactions of one block that are not unusual yet.
    fn most_usual_per_block(&self, config: &Config) -> U256 {
        self.per_block.most.saturating_mul(U256::from(config.calls_factor.max(1)))
    }

    /// The block in which a function was last used for the first time.
    fn newest_function(&self) -> u64 {
        self.functions.values().map(|function| function.first).max().unwrap_or(0)
    }
}

/// What is to be said of the transactions of a block at `height` that use a contract, each with its
/// use: places among them, and findings.
pub fn unusual_uses(
    contract: &Address,
    profile: &Profile,
    height: u64,
    uses: &[Use],
    config: &Config,
) -> Vec<(usize, TxFinding)> {
    let mut crowd = frequency(profile, uses.len(), config);
    let mut found = Vec::new();
    for (place, one) in uses.iter().enumerate() {
        let mut deviations = profile.judge(height, one, config);
        // It is the block that is unusual: the first transaction that is one too many stands for it.
        let too_many = U256::from(place) >= profile.most_usual_per_block(config);
        deviations.extend(crowd.take_if(|_| too_many));
        if !deviations.is_empty() {
            found.push((place, finding(contract, profile, &deviations)));
        }
    }
    found
}

/// What a detector says of a contract, seen in the light of its use so far: deployers initialise what
/// is new; what has been in use for long is taken over that way.
pub fn hold_against(profile: &Profile, finding: &mut TxFinding) {
    let initialised = finding.detector == access_control::NAME
        && finding.evidence.get("pattern").is_some_and(|one| one == access_control::INITIALISED);
    if initialised && profile.transactions > 0 {
        finding.severity = finding.severity.min(Severity::P1);
        finding.confidence = finding.confidence.max(Confidence(65));
        finding.evidence.insert("in_use_through_block".to_owned(), json!(profile.through));
    }
}

fn finding(contract: &Address, profile: &Profile, deviations: &[Deviation]) -> TxFinding {
    let kinds: BTreeSet<&str> = deviations.iter().map(|deviation| deviation.kind).collect();
    let (severity, confidence) = match kinds.len() {
        0 | 1 => (Severity::P3, 25),
        2 => (Severity::P3, 40),
        _ => (Severity::P2, 50),
    };
    let mut evidence = Evidence::new();
    evidence.insert("victim".to_owned(), json!(format!("{contract:#x}")));
    evidence.insert("kinds".to_owned(), json!(kinds));
    evidence.insert("deviations".to_owned(), json!(&deviations[..deviations.len().min(MAX_TOLD)]));
    evidence.insert("learned_from_transactions".to_owned(), json!(profile.transactions));
    evidence.insert("learned_through_block".to_owned(), json!(profile.through));
    TxFinding {
        detector: NAME,
        class: Class::UnusualUse,
        severity,
        confidence: Confidence(confidence),
        evidence,
    }
}

/// Whether a block's transactions use the contract far more often than those of any block before.
fn frequency(profile: &Profile, uses: usize, config: &Config) -> Option<Deviation> {
    let exceeded = profile.is_warm(config)
        && profile.per_block.is_exceeded(U256::from(uses), config.calls_factor);
    exceeded.then(|| Deviation {
        kind: "frequency",
        function: None,
        usual: json!(profile.per_block.most.to_string()),
        seen: json!(uses),
    })
}

/// Whether nothing new has come up for long enough that the next new thing is unusual.
fn settled(newest: u64, height: u64, config: &Config) -> bool {
    height.saturating_sub(newest) >= u64::from(config.settled_blocks)
}

fn hex(selector: u32) -> String {
    format!("0x{selector:08x}")
}
