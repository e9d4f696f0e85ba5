//! From a test's settings to blocks, with every fault told at its place.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde_json::Value as Json;
use wk_chain::abi::{DynSolType, DynSolValue, ParamSpec};
use wk_model::{ChainName, Problem, evm};

use super::config::{
    GivenBlock, GivenConfig, GivenEvent, GivenProbe, GivenTime, GivenTx, TestConfig,
};
use crate::coerce::amount;
use crate::config::Trigger;
use crate::env::{RuleEnv, address};
use crate::input::{ProbeAnswer, StateAnswers};
use crate::names::{enumerate, shorten, unknown};
use crate::rule::{Decode, Rule, StateTarget, Target};
use crate::{RuleSet, RuleSummary};

/// Sender of what has no other.
const SENDER: Address = {
    let mut bytes = [0; 20];
    bytes[19] = 0xf0;
    Address::new(bytes)
};
/// Most blocks that one step stands for.
const MOST_BLOCKS: u32 = 10_000;
/// Most findings that one expectation stands for.
pub(super) const MOST_FINDINGS: u32 = 1_000;

/// What a test does, step by step.
#[derive(Debug)]
pub(super) enum Step {
    Block(Box<BlockStep>),
    Revert(u32),
    Pending(Vec<evm::Transaction>),
    Probe(ProbeAnswer, Duration),
}

/// A block, or several alike, without what ties it to its place.
#[derive(Debug)]
pub(super) struct BlockStep {
    pub(super) number: Option<u64>,
    pub(super) time: Option<GivenTime>,
    pub(super) repeat: u32,
    pub(super) header: evm::Header,
    /// Hashes, indices and logs' places are set when the block is made.
    pub(super) transactions: Vec<evm::Transaction>,
    /// Why transactions failed, by their place.
    pub(super) reasons: HashMap<usize, String>,
    pub(super) state: StateAnswers,
    /// The rules whose reads are given here.
    pub(super) rules: Vec<String>,
}

/// Reads a test's settings.
pub(super) struct Builder<'a> {
    pub(super) set: &'a RuleSet,
    pub(super) env: &'a RuleEnv,
    pub(super) chain: ChainName,
    pub(super) problems: Vec<Problem>,
}

/// The chain of a test: the one it names, or the only one that its rules look at.
pub(super) fn chain(
    config: &TestConfig,
    set: &RuleSet,
    env: &RuleEnv,
) -> Result<ChainName, Problem> {
    if let Some(name) = &config.chain {
        let known = env.chains.iter().find(|chain| chain.as_str() == name);
        return known.cloned().ok_or_else(|| {
            unknown("chain", "chain", name, env.chains.iter().map(ChainName::as_str))
        });
    }
    let rules: Vec<RuleSummary> = set.rules();
    let mut chains: Vec<&ChainName> = rules.iter().flat_map(|rule| &rule.chains).collect();
    chains.sort();
    chains.dedup();
    match chains.as_slice() {
        [] => Ok(env.chains.first().cloned().unwrap_or_else(|| ChainName::new("test"))),
        [only] => Ok((*only).clone()),
        many => {
            let names: Vec<&str> = many.iter().map(|chain| chain.as_str()).collect();
            Err(Problem::new("chain", "the rules look at several chains")
                .hint(format!("Say which one the blocks belong to: {}.", enumerate(&names))))
        }
    }
}

impl Builder<'_> {
    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn steps(&mut self, given: &[GivenConfig]) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut height = 0u64;
        for (index, given) in given.iter().enumerate() {
            self.step(&format!("given[{index}]"), given, &mut height, &mut steps);
        }
        steps
    }

    fn step(&mut self, path: &str, given: &GivenConfig, height: &mut u64, steps: &mut Vec<Step>) {
        let GivenConfig { revert, block, txs, events, state, repeat, pending, probes } = given;
        let outside = !pending.is_empty() || !probes.is_empty();
        let in_block = block.is_some()
            || !txs.is_empty()
            || !events.is_empty()
            || !state.is_empty()
            || repeat.is_some();
        if let Some(count) = revert {
            if outside || in_block {
                self.problem(
                    Problem::new(format!("{path}.revert"), "a revert is a step of its own")
                        .hint("Put the new blocks into a step behind it."),
                );
            }
            *height = height.saturating_sub(u64::from(*count));
            steps.push(Step::Revert(*count));
            return;
        }
        if in_block || !outside {
            let step = self.block(path, given, height);
            steps.extend(step.map(|step| Step::Block(Box::new(step))));
        }
        let mut waiting = Vec::new();
        for (index, tx) in pending.iter().enumerate() {
            waiting.extend(self.pending(&format!("{path}.pending[{index}]"), tx));
        }
        if !waiting.is_empty() {
            steps.push(Step::Pending(waiting));
        }
        for (index, probe) in probes.iter().enumerate() {
            let step = self.probe(&format!("{path}.probes[{index}]"), probe);
            steps.extend(step.map(|(answer, after)| Step::Probe(answer, after)));
        }
    }

    fn block(&mut self, path: &str, given: &GivenConfig, height: &mut u64) -> Option<BlockStep> {
        let GivenBlock { number, time, gas_used, gas_limit, base_fee } =
            given.block.clone().unwrap_or_default();
        let repeat = given.repeat.unwrap_or(1);
        if repeat == 0 || repeat > MOST_BLOCKS {
            let message = format!("`repeat` must be from 1 to {MOST_BLOCKS}");
            self.problem(Problem::new(format!("{path}.repeat"), message));
            return None;
        }
        if number.is_some_and(|number| number <= *height) {
            let message = format!("block {height} was before; numbers only go up");
            self.problem(
                Problem::new(format!("{path}.block.number"), message)
                    .hint("To replace blocks, revert them first."),
            );
        }
        let first = number.unwrap_or(height.saturating_add(1));
        *height = first.saturating_add(u64::from(repeat) - 1);

        let base_fee = match &base_fee {
            None => U256::from(1_000_000_000_u64),
            Some(fee) => self.amount(format!("{path}.block.base_fee"), fee),
        };
        let mut transactions = Vec::new();
        let mut reasons = HashMap::new();
        for (index, tx) in given.txs.iter().enumerate() {
            let built = self.tx(&format!("{path}.txs[{index}]"), tx, base_fee);
            if let Some(reason) = &tx.revert_reason {
                reasons.insert(transactions.len(), reason.clone());
            }
            transactions.extend(built);
        }
        for (index, event) in given.events.iter().enumerate() {
            transactions.extend(self.own_tx(&format!("{path}.events[{index}]"), event, base_fee));
        }
        let gas: u64 = transactions
            .iter()
            .filter_map(|tx| tx.receipt.as_ref())
            .map(|receipt| receipt.gas_used)
            .fold(0, u64::saturating_add);
        let mut answers = StateAnswers::new();
        for (rule, value) in &given.state {
            self.state(&format!("{path}.state.{rule}"), rule, value, &mut answers);
        }
        Some(BlockStep {
            number,
            time,
            repeat,
            header: evm::Header {
                gas_used: gas_used.unwrap_or(gas),
                gas_limit: gas_limit.unwrap_or(30_000_000),
                base_fee_per_gas: Some(base_fee),
                ..evm::Header::default()
            },
            transactions,
            reasons,
            state: answers,
            rules: given.state.keys().cloned().collect(),
        })
    }

    fn amount(&mut self, path: String, value: &Json) -> U256 {
        amount(value).unwrap_or_else(|| {
            let message = format!("`{}` is no amount", shorten(&value.to_string()));
            self.problem(
                Problem::new(path, message)
                    .hint("Write wei as digits, or with a unit in quotes, such as \"1.5 ether\"."),
            );
            U256::ZERO
        })
    }

    /// The address of a contract's name, or a written one.
    pub(super) fn account(&mut self, path: String, text: &str) -> Option<Address> {
        let contract = self.env.decoder.contract_named(text);
        if let Some(contract) = contract.filter(|contract| contract.chain == self.chain) {
            return Some(contract.address);
        }
        if text.starts_with("0x") {
            if let Some(address) = address(text) {
                return Some(address);
            }
            let message = format!("`{}` is no address", shorten(text));
            self.problem(Problem::new(path, message).hint(
                "An address is `0x` and 40 hex digits; in mixed case they must be its EIP-55 \
                 checksum.",
            ));
            return None;
        }
        let names: Vec<Arc<str>> = self.env.decoder.contracts().map(|c| c.name.clone()).collect();
        let mut problem = unknown(path, "contract", text, names.iter().map(|name| &**name));
        if let Some(contract) = contract {
            problem.message =
                format!("`{text}` is on {}, the test on {}", contract.chain, self.chain);
            problem.hint = Some("Say with `chain` on which chain the test plays.".to_owned());
        }
        self.problem(problem);
        None
    }

    fn sender(&mut self, path: &str, from: Option<&String>) -> Address {
        from.and_then(|text| self.account(format!("{path}.from"), text)).unwrap_or(SENDER)
    }

    fn pending(&mut self, path: &str, given: &GivenTx) -> Option<evm::Transaction> {
        let mut tx = self.tx(path, given, U256::ZERO)?;
        let set = [
            ("status", given.status.is_some()),
            ("revert_reason", given.revert_reason.is_some()),
            ("gas_used", given.gas_used.is_some()),
            ("events", !given.events.is_empty()),
        ];
        for (key, _) in set.into_iter().filter(|(_, is_set)| *is_set) {
            let message = "nothing has come of a pending transaction yet";
            self.problem(Problem::new(format!("{path}.{key}"), message));
        }
        tx.receipt = None;
        Some(tx)
    }

    fn tx(&mut self, path: &str, given: &GivenTx, base_fee: U256) -> Option<evm::Transaction> {
        let GivenTx { from, to, value, function, args, input, .. } = given;
        let to_address = match to {
            None => None,
            Some(text) => Some(self.account(format!("{path}.to"), text)?),
        };
        let input = match (function, input) {
            (Some(_), Some(_)) => {
                let problem = Problem::new(
                    format!("{path}.input"),
                    "`function` and `input` exclude each other",
                );
                self.problem(problem.hint("Keep one of them."));
                return None;
            }
            (Some(function), None) => {
                let address = to_address.unwrap_or_default();
                self.call_data(path, function, args.as_ref(), address)?
            }
            (None, Some(text)) => match hex::decode(text) {
                Ok(bytes) => Bytes::from(bytes),
                Err(_) => {
                    let message = format!("`{}` is no call data in hex", shorten(text));
                    self.problem(Problem::new(format!("{path}.input"), message));
                    return None;
                }
            },
            (None, None) => Bytes::new(),
        };
        let success = given.status.unwrap_or(given.revert_reason.is_none());
        if success && given.revert_reason.is_some() {
            let message = "a transaction that succeeded has no `revert_reason`";
            self.problem(
                Problem::new(format!("{path}.revert_reason"), message)
                    .hint("Write `status: false`."),
            );
        }
        let gas_price = match &given.gas_price {
            None => base_fee,
            Some(price) => self.amount(format!("{path}.gas_price"), price),
        };
        let mut logs = Vec::new();
        for (index, event) in given.events.iter().enumerate() {
            let path = format!("{path}.events[{index}]");
            let own = [
                ("from", event.from.is_some()),
                ("to", event.to.is_some()),
                ("value", event.value.is_some()),
            ];
            for (key, _) in own.into_iter().filter(|(_, is_set)| *is_set) {
                let message = format!("`{key}` belongs to the transaction");
                self.problem(Problem::new(format!("{path}.{key}"), message));
            }
            logs.extend(self.log(&path, event));
        }
        if !success && !logs.is_empty() {
            let message = "a transaction that failed emits nothing";
            self.problem(Problem::new(format!("{path}.events"), message));
        }
        let from = self.sender(path, from.as_ref());
        let value = match value {
            None => U256::ZERO,
            Some(value) => self.amount(format!("{path}.value"), value),
        };
        let nonce = given.nonce.unwrap_or(0);
        let gas_used = given.gas_used.unwrap_or(21_000);
        Some(evm::Transaction {
            from,
            to: to_address,
            value,
            input,
            nonce,
            gas: gas_used.saturating_mul(2),
            gas_price: Some(gas_price),
            receipt: Some(evm::Receipt {
                success: Some(success),
                gas_used,
                effective_gas_price: Some(gas_price),
                contract_address: to_address.is_none().then(|| from.create(nonce)),
                logs,
                ..evm::Receipt::default()
            }),
            ..evm::Transaction::default()
        })
    }

    /// An event's own transaction.
    fn own_tx(
        &mut self,
        path: &str,
        event: &GivenEvent,
        base_fee: U256,
    ) -> Option<evm::Transaction> {
        let log = self.log(path, event)?;
        let tx = GivenTx {
            from: event.from.clone(),
            to: event.to.clone().or_else(|| Some(event.contract.clone())),
            value: event.value.clone(),
            ..GivenTx::default()
        };
        let mut tx = self.tx(path, &tx, base_fee)?;
        tx.receipt.iter_mut().for_each(|receipt| receipt.logs = vec![log.clone()]);
        Some(tx)
    }

    /// The answers to the reads of a rule.
    fn state(&mut self, path: &str, id: &str, value: &Json, answers: &mut StateAnswers) {
        let Some(rule) = self.rule(path, id, Trigger::EvmState) else { return };
        let Target::State(targets) = &rule.target else { return };
        let chain = self.chain.clone();
        for target in targets.iter().filter(|target| target.chain == chain) {
            let before = self.problems.len();
            self.answers(path, &rule, target, value, answers);
            if self.problems.len() > before {
                // The other contracts would only say the same again.
                return;
            }
        }
    }

    fn answers(
        &mut self,
        path: &str,
        rule: &Rule,
        target: &StateTarget,
        value: &Json,
        answers: &mut StateAnswers,
    ) {
        if rule.reads_by_name {
            let names: Vec<&str> = target.reads.iter().map(|read| read.name.as_str()).collect();
            let Some(values) = value.as_object() else {
                let hint = format!("Write a map with {}.", enumerate(&names));
                self.problem(Problem::new(path, "the rule has several reads").hint(hint));
                return;
            };
            for name in values.keys().filter(|name| !names.contains(&name.as_str())) {
                self.problem(unknown(
                    format!("{path}.{name}"),
                    "read",
                    name,
                    names.iter().copied(),
                ));
            }
            for read in &target.reads {
                let at = format!("{path}.{}", read.name);
                match values.get(&read.name) {
                    Some(value) => {
                        let answer = self.answer(&at, &read.decode, value);
                        answers.extend(answer.map(|answer| (read.request.clone(), Ok(answer))));
                    }
                    None => self.problem(Problem::new(at, format!("`{}` has no value", read.name))),
                }
            }
        } else {
            for read in &target.reads {
                let answer = self.answer(path, &read.decode, value);
                answers.extend(answer.map(|answer| (read.request.clone(), Ok(answer))));
            }
        }
    }

    /// A value as the chain would answer with it.
    fn answer(&mut self, path: &str, decode: &Decode, value: &Json) -> Option<Bytes> {
        let word = |kind: DynSolType| ParamSpec {
            name: "value".into(),
            kind,
            indexed: false,
            fields: Vec::new(),
        };
        match decode {
            Decode::Outputs(function, _) => {
                let values = match function.outputs() {
                    [one] => vec![self.value(path, one, value)?],
                    many => self.values(path, many, Some(value))?,
                };
                Some(Bytes::from(DynSolValue::Tuple(values).abi_encode_params()))
            }
            Decode::Balance => {
                let value = self.value(path, &word(DynSolType::Uint(256)), value)?;
                Some(Bytes::from(value.as_word()?.to_vec()))
            }
            Decode::Slot(kind) => {
                let value = self.value(path, &word(kind.clone()), value)?;
                let word = match value {
                    // Storage packs from the lowest byte on.
                    DynSolValue::FixedBytes(bytes, size) => {
                        B256::left_padding_from(&bytes[..size.min(32)])
                    }
                    value => value.as_word()?,
                };
                Some(Bytes::from(word.to_vec()))
            }
        }
    }

    fn rule(&mut self, path: &str, id: &str, trigger: Trigger) -> Option<Arc<Rule>> {
        let rules = self.set.rules();
        match self.set.rule_called(id) {
            Some(rule) if rule.trigger == trigger => Some(Arc::clone(rule)),
            Some(rule) => {
                let message = format!("`{id}` is an {} rule, not {trigger}", rule.trigger);
                self.problem(Problem::new(path, message));
                None
            }
            None => {
                let known = rules.iter().filter(|rule| rule.trigger == trigger);
                self.problem(unknown(path, "rule", id, known.map(|rule| rule.id.as_str())));
                None
            }
        }
    }

    fn probe(&mut self, path: &str, given: &GivenProbe) -> Option<(ProbeAnswer, Duration)> {
        let rule = self.rule(&format!("{path}.rule"), &given.rule, Trigger::Http)?;
        let Target::Http(http) = &rule.target else { return None };
        let status = given.status.unwrap_or(if given.error.is_some() { 0 } else { 200 });
        let no_answer = || "no answer".to_owned();
        let answer = ProbeAnswer {
            rule: given.rule.clone(),
            status,
            latency_ms: given
                .latency
                .map_or(50, |latency| u64::try_from(latency.0.as_millis()).unwrap_or(u64::MAX)),
            body: given.body.clone().unwrap_or_default(),
            truncated: false,
            headers: given.headers.clone(),
            tls_days_left: Some(given.tls_days_left.unwrap_or(90)),
            error: given.error.clone().or_else(|| (status == 0).then(no_answer)),
        };
        let after = given.after.unwrap_or(http.probe.interval).0;
        Some((answer, after))
    }
}
