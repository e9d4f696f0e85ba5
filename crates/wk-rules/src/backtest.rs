//! Rules over history: how often each would have fired, when, and on what.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use wk_model::{BlockTime, ChainName, Finding, Height, Intake, Timestamp, evm};

use crate::input::{BlockInput, Evaluation, StateAnswers};
use crate::memory::Memory;
use crate::{RuleSet, Trigger};

/// Findings that are kept of each rule; what comes after is only counted.
const KEPT: usize = 1_000;

/// Days of which a rule's findings are counted apart; about 27 years.
const DAYS: usize = 10_000;

/// Runs rules over blocks of the past. Feed them in order.
#[derive(Debug)]
pub struct Backtest {
    set: RuleSet,
    chain: ChainName,
    memory: Memory,
    blocks: u64,
    transactions: u64,
    logs: u64,
    first: Option<Place>,
    last: Option<Place>,
    rules: BTreeMap<String, RuleOutcome>,
}

/// A block's place in history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Block number.
    pub height: Height,
    /// The block's time, in seconds since 1970.
    pub time: BlockTime,
}

/// What came of a backtest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BacktestSummary {
    /// The chain.
    pub chain: ChainName,
    /// The first block.
    pub from: Option<Place>,
    /// The last block.
    pub to: Option<Place>,
    /// Number of blocks.
    pub blocks: u64,
    /// Number of transactions in them.
    pub transactions: u64,
    /// Number of event logs in them.
    pub logs: u64,
    /// What each rule would have done, by id; also rules that would have done nothing.
    pub rules: BTreeMap<String, RuleOutcome>,
}

/// What one rule would have done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RuleOutcome {
    /// How often it would have fired.
    pub fired: u64,
    /// Where it would have fired first.
    pub first: Option<Place>,
    /// Where it would have fired last.
    pub last: Option<Place>,
    /// How often per day (`2026-11-22`, UTC by block time); days without are left out.
    pub per_day: BTreeMap<String, u64>,
    /// How often it could not be evaluated.
    pub errors: u64,
    /// Why the first time.
    pub first_error: Option<String>,
    /// What it would have found: the first 1000.
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub more: u64,
    /// Why it was left out; none when it ran.
    pub left_out: Option<String>,
}

impl Backtest {
    /// A backtest of all running rules of `rules` that look at `chain`; use `RuleSet::only` for
    /// some, or for disabled ones.
    pub fn new(rules: &RuleSet, chain: &ChainName) -> Backtest {
        let outcome = |trigger: Trigger| RuleOutcome {
            left_out: match trigger {
                Trigger::EvmBlock | Trigger::EvmTx | Trigger::EvmEvent | Trigger::EvmState => None,
                Trigger::EvmPending => {
                    Some("no node remembers which transactions were pending".to_owned())
                }
                Trigger::Http => Some("no site can be probed in the past".to_owned()),
            },
            ..RuleOutcome::default()
        };
        let runs =
            rules.running().filter(|rule| rule.trigger == Trigger::Http || rule.looks_at(chain));
        let outcomes = runs.map(|rule| (rule.id.to_string(), outcome(rule.trigger))).collect();
        Backtest {
            set: rules.clone(),
            chain: chain.clone(),
            memory: Memory::default(),
            blocks: 0,
            transactions: 0,
            logs: 0,
            first: None,
            last: None,
            rules: outcomes,
        }
    }

    /// Looks at the next block, and returns what it brought. `state` answers
    /// `RuleSet::state_reads` at the block; `revert_reasons` are those wanted, as far as known.
    pub fn block(
        &mut self,
        block: &evm::Block,
        state: &StateAnswers,
        revert_reasons: &HashMap<alloy_primitives::B256, String>,
    ) -> Evaluation {
        let header = &block.header;
        let place = Place { height: header.height, time: header.time };
        self.blocks += 1;
        self.transactions += block.transactions.len() as u64;
        self.logs += block.transactions.iter().map(|tx| tx.logs().len() as u64).sum::<u64>();
        self.first.get_or_insert(place);
        self.last = Some(place);
        let input = BlockInput {
            chain: &self.chain,
            block,
            intake: Intake::Backfill,
            state,
            revert_reasons,
            holes: &[],
            // So that a backtest of the same blocks says the same.
            now: header.time.to_timestamp(),
        };
        let evaluation = self.set.evaluate(&mut self.memory, &input);
        // History does not revert: nothing behind this block is needed but what windows reach.
        if self.blocks.is_multiple_of(1_024) {
            self.set.prune(&mut self.memory, &self.chain, header.height, header.time);
        }
        self.count(place, &evaluation);
        evaluation
    }

    fn count(&mut self, place: Place, evaluation: &Evaluation) {
        let day = day(place.time.to_timestamp());
        for finding in &evaluation.findings {
            let outcome = self.rules.entry(finding.source.name().to_owned()).or_default();
            outcome.fired += 1;
            outcome.first.get_or_insert(place);
            outcome.last = Some(place);
            if outcome.per_day.len() < DAYS || outcome.per_day.contains_key(&day) {
                *outcome.per_day.entry(day.clone()).or_default() += 1;
            }
            if outcome.findings.len() < KEPT {
                outcome.findings.push(finding.clone());
            } else {
                outcome.more += 1;
            }
        }
        for error in &evaluation.errors {
            let outcome = self.rules.entry(error.rule.clone()).or_default();
            outcome.errors += error.count;
            outcome.first_error.get_or_insert_with(|| error.message.clone());
        }
    }

    /// What came of it so far.
    pub fn summary(&self) -> BacktestSummary {
        BacktestSummary {
            chain: self.chain.clone(),
            from: self.first,
            to: self.last,
            blocks: self.blocks,
            transactions: self.transactions,
            logs: self.logs,
            rules: self.rules.clone(),
        }
    }
}

/// The UTC date of a time.
fn day(time: Timestamp) -> String {
    let text = time.to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}
