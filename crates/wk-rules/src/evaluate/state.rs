//! `evm.state` rules: understand what was read, compare it with the read before.

use serde_json::{Map, Value as Json, json};
use wk_model::{Bytes, EntryKind};

use super::Run;
use super::findings::Subject;
use crate::cel::Value;
use crate::memory::{Mark, mark_entry};
use crate::rule::{Rule, StateTarget, Target};
use crate::variables::contract_name;
use crate::view::View;

/// Longest answer that is understood and remembered, in bytes.
const LONGEST_ANSWER: usize = 8 << 10;

impl Run<'_> {
    pub(super) fn state(&mut self, rule: &Rule) {
        let Target::State(targets) = &rule.target else { return };
        if !self.input.block.header.height.0.is_multiple_of(rule.every) {
            return;
        }
        for (place, target) in targets.iter().enumerate() {
            if target.chain == *self.input.chain {
                self.state_of(rule, target, place as u64 + 1);
            }
        }
    }

    fn state_of(&mut self, rule: &Rule, target: &StateTarget, ordinal: u64) {
        let subject = Subject::State { target };
        let (raw, values) = match self.answers(target) {
            Ok(answers) => answers,
            Err(message) => return self.fail(rule, &subject, message),
        };
        let header = &self.input.block.header;
        let own = self.memory.rule(&rule.id, self.input.chain);
        let before = own.mark_below(&target.key, EntryKind::State, header.height);
        let previous = before.and_then(|mark| remembered(target, &mark.value));
        let was_met = before.is_some_and(|mark| mark.value["met"] == json!(true));

        let contract = target.address.map(|address| {
            contract_name(self.set.decoder(), self.input.chain, &address).to_string()
        });
        let view = View {
            reads: &values,
            previous: previous.as_deref(),
            contract: contract.as_deref(),
            ..self.view(rule)
        };
        let holds = match &rule.condition {
            None => Ok(previous.as_ref().is_some_and(|previous| *previous != values)),
            Some(condition) => condition.holds(&view),
        };
        let met = match holds {
            Ok(met) => met,
            // There is nothing to compare the first read with.
            Err(_) if rule.uses_previous && previous.is_none() => false,
            Err(error) => {
                self.remember_read(rule, target, raw, was_met);
                return self.fail(rule, &subject, format!("if: {error}"));
            }
        };
        self.remember_read(rule, target, raw, met);
        // A level fires when it is reached, a change each time; a window counts every read.
        let fires = met && (rule.uses_previous || rule.window.is_some() || !was_met);
        if fires {
            self.matched(rule, &view, &subject, ordinal);
        }
    }

    /// The raw answers and their values, in the order of the reads.
    fn answers(&self, target: &StateTarget) -> Result<(Vec<Bytes>, Vec<Value>), String> {
        let mut raw = Vec::with_capacity(target.reads.len());
        let mut values = Vec::with_capacity(target.reads.len());
        for read in &target.reads {
            let name = &read.name;
            let answer = match self.input.state.get(&read.request) {
                Some(Ok(answer)) => answer,
                Some(Err(reason)) => return Err(format!("{name} could not be read: {reason}")),
                None => return Err(format!("{name} was not read at this block")),
            };
            if answer.len() > LONGEST_ANSWER {
                return Err(format!(
                    "{name} is {} bytes long; at most {LONGEST_ANSWER} are understood",
                    answer.len()
                ));
            }
            let value = read.decode.value(answer).map_err(|reason| format!("{name}: {reason}"))?;
            raw.push(answer.clone());
            values.push(value);
        }
        Ok((raw, values))
    }

    fn remember_read(&mut self, rule: &Rule, target: &StateTarget, raw: Vec<Bytes>, met: bool) {
        let names = target.reads.iter().map(|read| read.name.clone());
        let reads: Map<String, Json> =
            names.zip(raw).map(|(name, raw)| (name, json!(raw))).collect();
        let header = &self.input.block.header;
        let mark = Mark {
            block: header.block_ref(),
            time: header.time,
            kind: EntryKind::State,
            value: json!({"reads": reads, "met": met}),
        };
        self.out.entries.push(mark_entry(&rule.id, self.input.chain, &target.key, &mark));
        self.memory.rule(&rule.id, self.input.chain).mark(&target.key, mark);
    }
}

/// The values of an earlier read; none when the rule has read something else since.
fn remembered(target: &StateTarget, value: &Json) -> Option<Vec<Value>> {
    let one = |read: &crate::rule::Read| {
        let raw: Bytes = value["reads"][read.name.as_str()].as_str()?.parse().ok()?;
        read.decode.value(&raw).ok()
    };
    target.reads.iter().map(one).collect()
}
