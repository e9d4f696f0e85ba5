//! Runs a test: makes the blocks, evaluates the rules, compares.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use alloy_primitives::{B256, keccak256};
use wk_model::{
    BlockTime, ChainName, Condition, ConditionKey, Finding, FindingId, Height, Intake, Problem,
    Timestamp, evm,
};

use super::build::{BlockStep, Builder, MOST_FINDINGS, Step, chain};
use super::compare::{Seen, compare};
use super::config::{ExpectConfig, GivenTime, TestConfig};
use super::report::TestReport;
use crate::env::RuleEnv;
use crate::input::{BlockInput, Evaluation, ProbeAnswer, RuleError, StateAnswers};
use crate::memory::Memory;
use crate::names::unknown;
use crate::{RuleSet, RuleSummary};

/// Time of a test's first block: 2026-01-01.
const START: u64 = 1_767_225_600;
/// Time between blocks unless told otherwise, in seconds.
const BLOCK_TIME: u64 = 12;

/// A test that can be run.
#[derive(Debug)]
pub struct Test {
    name: String,
    set: RuleSet,
    chain: ChainName,
    steps: Vec<Step>,
    expect: Vec<ExpectConfig>,
}

impl Test {
    /// The test with these settings, of some of `rules`. Problems have paths below the test, such
    /// as `given[0].events[1].args.amount`.
    pub fn build(
        config: &TestConfig,
        rules: &RuleSet,
        env: &RuleEnv,
    ) -> Result<Test, Vec<Problem>> {
        let known: Vec<RuleSummary> = rules.rules();
        let ids = || known.iter().map(|rule| rule.id.as_str());
        let mut problems = Vec::new();
        for (index, id) in config.rules.iter().enumerate() {
            if !ids().any(|known| known == id) {
                let path = if config.rules.0.len() == 1 {
                    "rules".to_owned()
                } else {
                    format!("rules[{index}]")
                };
                problems.push(unknown(path, "rule", id, ids()));
            }
        }
        let run: Vec<&str> = if config.rules.is_empty() {
            ids().collect()
        } else {
            config.rules.iter().map(String::as_str).collect()
        };
        for (index, expect) in config.expect.iter().enumerate() {
            let path = format!("expect[{index}].rule");
            if !ids().any(|known| known == expect.rule) {
                problems.push(unknown(path, "rule", &expect.rule, ids()));
            } else if !run.contains(&expect.rule.as_str()) {
                problems.push(
                    Problem::new(path, format!("`{}` is not run by this test", expect.rule))
                        .hint("Add it to the test's `rules`."),
                );
            }
            if expect.count.is_some_and(|count| count > MOST_FINDINGS) {
                let message = format!("`count` can be at most {MOST_FINDINGS}");
                problems.push(Problem::new(format!("expect[{index}].count"), message));
            }
        }
        let set = rules.only(&run);
        let chain = match chain(config, &set, env) {
            Ok(chain) => chain,
            Err(problem) => {
                problems.push(problem);
                return Err(problems);
            }
        };
        let mut builder = Builder { set: &set, env, chain: chain.clone(), problems };
        let steps = builder.steps(&config.given);
        let problems = builder.problems;
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Test { name: config.name.clone(), set, chain, steps, expect: config.expect.clone() })
    }

    /// Runs it.
    pub fn run(&self) -> TestReport {
        let mut stage = Stage {
            set: &self.set,
            chain: &self.chain,
            memory: Memory::default(),
            blocks: Vec::new(),
            made: 0,
            now: Timestamp(START * 1_000),
            seen: Vec::new(),
            errors: BTreeMap::new(),
        };
        for step in &self.steps {
            stage.step(step);
        }
        let (missing, unexpected) = compare(&self.expect, &stage.seen);
        let errors = stage.errors.into_values().collect();
        TestReport { name: self.name.clone(), found: stage.seen.len(), missing, unexpected, errors }
    }
}

/// A test while it runs.
struct Stage<'a> {
    set: &'a RuleSet,
    chain: &'a ChainName,
    memory: Memory,
    /// The chain, oldest first.
    blocks: Vec<MadeBlock>,
    /// Blocks and transactions made so far, also those that were reverted: no two have one hash.
    made: u64,
    now: Timestamp,
    seen: Vec<Seen>,
    errors: BTreeMap<String, RuleError>,
}

/// A block of the test's chain.
struct MadeBlock {
    header: evm::Header,
    /// What reads answer here.
    state: StateAnswers,
    /// Rules whose reads were given here or before.
    rules: Vec<String>,
}

impl Stage<'_> {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Block(block) => {
                for repeat in 0..block.repeat {
                    self.block(block, repeat == 0);
                }
            }
            Step::Revert(count) => {
                for _ in 0..*count {
                    self.revert();
                }
            }
            Step::Pending(transactions) => {
                for tx in transactions {
                    let mut tx = tx.clone();
                    tx.hash = self.hash(b"tx");
                    let evaluation = self.set.evaluate_pending(self.chain, &tx, self.now);
                    self.take(evaluation);
                }
            }
            Step::Probe(answer, after) => self.probe(answer, *after),
        }
    }

    fn block(&mut self, step: &BlockStep, is_first: bool) {
        let parent = self.blocks.last();
        let number = match (is_first, step.number, parent) {
            (true, Some(number), _) => number,
            (_, _, Some(parent)) => parent.header.height.0.saturating_add(1),
            (_, _, None) => 1,
        };
        let before = parent.map(|parent| parent.header.time.0);
        let time = match (step.time, before) {
            (Some(GivenTime::At(time)), _) if is_first => time,
            (Some(GivenTime::After(after)), Some(before)) => {
                before.saturating_add(after.0.as_secs())
            }
            (_, Some(before)) => before.saturating_add(BLOCK_TIME),
            (_, None) => START,
        };
        let mut header = evm::Header {
            height: Height(number),
            parent_hash: parent.map_or(B256::ZERO, |parent| parent.header.hash),
            time: BlockTime(time),
            ..step.header.clone()
        };
        let mut state = parent.map(|parent| parent.state.clone()).unwrap_or_default();
        state.extend(step.state.clone());
        let mut rules = parent.map(|parent| parent.rules.clone()).unwrap_or_default();
        rules.extend(
            step.rules.iter().filter(|rule| !rules.contains(rule)).cloned().collect::<Vec<_>>(),
        );

        header.hash = self.hash(b"block");
        let mut transactions = step.transactions.clone();
        let mut log_index = 0;
        let mut reasons = HashMap::new();
        for (index, tx) in transactions.iter_mut().enumerate() {
            tx.hash = self.hash(b"tx");
            tx.index = index as u64;
            for log in tx.receipt.iter_mut().flat_map(|receipt| &mut receipt.logs) {
                log.index = log_index;
                log_index += 1;
            }
            reasons.extend(step.reasons.get(&index).map(|reason| (tx.hash, reason.clone())));
        }
        let block = evm::Block { header: header.clone(), transactions };
        self.now = self.now.max(header.time.to_timestamp());
        let input = BlockInput {
            chain: self.chain,
            block: &block,
            intake: Intake::Live,
            state: &state,
            revert_reasons: &reasons,
            holes: &[],
            now: self.now,
        };
        let mut evaluation = self.set.evaluate(&mut self.memory, &input);
        // A rule whose state the test says nothing about does not look.
        let unread = |error: &RuleError| {
            self.set.rule_called(&error.rule).is_some_and(|rule| {
                rule.trigger == crate::Trigger::EvmState && !rules.contains(&error.rule)
            })
        };
        evaluation.errors.retain(|error| !unread(error));
        self.blocks.push(MadeBlock { header, state, rules });
        self.take(evaluation);
    }

    fn revert(&mut self) {
        let Some(block) = self.blocks.pop() else { return };
        let block = block.header.block_ref();
        self.memory.revert(self.chain, &block);
        for seen in &mut self.seen {
            let position = seen.finding.position.as_ref();
            seen.is_retracted |= position.is_some_and(|position| position.block == block);
        }
    }

    fn probe(&mut self, answer: &ProbeAnswer, after: Duration) {
        self.now = self.now.after(after);
        let evaluation = self.set.evaluate_probe(&mut self.memory, answer, self.now);
        self.take(evaluation);
    }

    fn take(&mut self, evaluation: Evaluation) {
        let Evaluation { findings, entries: _, conditions, errors } = evaluation;
        for finding in findings {
            self.found(finding, None);
        }
        for condition in conditions {
            match condition {
                Condition::Raised(key, finding) => {
                    let stands =
                        |seen: &Seen| !seen.is_retracted && seen.condition.as_ref() == Some(&key);
                    if !self.seen.iter().any(stands) {
                        self.found(*finding, Some(key));
                    }
                }
                Condition::Cleared(key) => {
                    for seen in self.seen.iter_mut() {
                        seen.is_retracted |= seen.condition.as_ref() == Some(&key);
                    }
                }
            }
        }
        for error in errors {
            let known = self.errors.entry(error.rule.clone());
            known.and_modify(|known| known.count += error.count).or_insert(error);
        }
    }

    fn found(&mut self, finding: Finding, condition: Option<ConditionKey>) {
        let same = |seen: &&mut Seen| id(seen) == finding.id && seen.condition == condition;
        match self.seen.iter_mut().find(same) {
            Some(seen) => seen.is_retracted = false,
            None => self.seen.push(Seen { finding, condition, is_retracted: false }),
        }
    }

    fn hash(&mut self, what: &[u8]) -> B256 {
        self.made += 1;
        keccak256([what, &self.made.to_be_bytes()].concat())
    }
}

fn id(seen: &Seen) -> FindingId {
    seen.finding.id
}
