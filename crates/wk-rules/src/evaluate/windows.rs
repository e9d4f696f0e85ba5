//! Rules with a window: count matches per key, and fire once per crossing.

use std::sync::Arc;

use alloy_primitives::{hex, keccak256};

use super::Run;
use super::findings::Subject;
use crate::cel::{Type, Value};
use crate::config::WindowSpan;
use crate::memory::match_entry;
use crate::rule::{Rule, Window};
use crate::series::{Item, Match, Series, within};
use crate::view::{Stats, View};

/// Matches that one rule may remember on one chain. About 150 MiB.
const MAX_MATCHES: usize = 1_000_000;

/// Longest key that is kept as it is, in bytes; of longer ones the hash is kept.
const LONGEST_KEY: usize = 200;

impl Run<'_> {
    /// Adds a match to its window, and fires when `when` becomes true with it.
    pub(super) fn count(
        &mut self,
        rule: &Rule,
        window: &Window,
        view: &View<'_>,
        subject: &Subject<'_>,
        ordinal: u64,
    ) {
        match self.try_count(rule, window, view, subject, ordinal) {
            Ok(()) => {}
            Err(message) => self.fail(rule, subject, message),
        }
    }

    fn try_count(
        &mut self,
        rule: &Rule,
        window: &Window,
        view: &View<'_>,
        subject: &Subject<'_>,
        ordinal: u64,
    ) -> Result<(), String> {
        let key = match &window.by {
            Some(by) => {
                let value = by.eval(view).map_err(|error| format!("window.by: {error}"))?;
                short(value.to_string())
            }
            None => String::new(),
        };
        let item = match &window.value {
            None => Item::None,
            Some(program) => {
                let value = program.eval(view).map_err(|error| format!("window.value: {error}"))?;
                match (value, program.output()) {
                    (Value::Int(number), Type::Int) => Item::Int(number),
                    (value, _) => Item::Text(short(value.to_string()).into()),
                }
            }
        };

        let header = &self.input.block.header;
        let own = self.memory.rule(&rule.id, self.input.chain);
        if !own.matches.contains_key(key.as_str()) && own.matches.len() >= window.max_keys {
            return Err(format!(
                "{} keys are remembered already, and this is a new one; raise `window.max_keys` or \
                 group by something coarser",
                own.matches.len()
            ));
        }
        if own.total >= MAX_MATCHES {
            return Err(format!(
                "{MAX_MATCHES} matches are remembered already; shorten `window.over` or match less"
            ));
        }
        let entry = Match {
            block: header.block_ref(),
            time: header.time,
            ordinal,
            item,
            met: false,
            fired: false,
        };
        let index = own.insert(&key, entry);
        let series = own.matches.get_mut(key.as_str()).expect("the match was put into it");
        let outcome = ask(window, series, index, &key, view);
        let is_behind = index + 1 < series.len();
        if let Err(message) = outcome {
            // The match counts all the same: only the question could not be answered.
            self.keep(rule, &key, index, is_behind);
            return Err(message);
        }
        let (met, stats) = outcome.expect("the error was handled");
        let crosses = met && !was_met(series, window.span, index);
        if let Some(entry) = series.get_mut(index) {
            entry.met = met;
            entry.fired = crosses;
        }
        self.keep(rule, &key, index, is_behind);
        if crosses {
            let view = View { stats: Some(&stats), ..*view };
            self.fire(rule, &view, subject, ordinal, &key);
        }
        Ok(())
    }

    /// Hands out a match to be stored, and notes that later windows have to be looked at again.
    fn keep(&mut self, rule: &Rule, key: &str, index: usize, is_behind: bool) {
        let own = self.memory.rule(&rule.id, self.input.chain);
        let entry = own.matches.get(key).and_then(|series| series.get(index));
        let entry = entry.map(|entry| match_entry(&rule.id, self.input.chain, key, entry));
        self.out.entries.extend(entry);
        if is_behind {
            let place = (Arc::clone(&rule.id), Arc::<str>::from(key));
            let (_, last) = self.late.entry(place).or_insert((index, index));
            *last = index.max(*last);
        }
    }

    /// Looks again at windows that end behind a block that came late: a crossing that the block
    /// completes is told now. One that was told and would not have been stays told.
    pub(super) fn look_again(&mut self) {
        for ((id, key), (_, last)) in std::mem::take(&mut self.late) {
            let Some(rule) = self.set.rule_called(&id).cloned() else { continue };
            if let Some(window) = rule.window.as_ref().filter(|window| window.is_pure) {
                self.look_again_at(&rule, window, &key, last);
            }
        }
    }

    fn look_again_at(&mut self, rule: &Arc<Rule>, window: &Window, key: &Arc<str>, last: usize) {
        let chain = self.input.chain;
        let mut index = last + 1;
        // Whether the match before crosses the line anew shows in whether it was met before.
        let mut has_changed = true;
        loop {
            let view = self.view(rule);
            let Some(own) = self.memory.known(&rule.id, chain) else { return };
            let Some(series) = own.matches.get_mut(key) else { return };
            let reaches = series.window_start(window.span, index) <= last || has_changed;
            if index >= series.len() || !reaches {
                return;
            }
            let Ok((met, stats)) = ask(window, series, index, key, &view) else { return };
            let crosses = met && !was_met(series, window.span, index);
            let Some(entry) = series.get_mut(index) else { return };
            let tells = crosses && !entry.fired;
            has_changed = entry.met != met;
            if has_changed || tells {
                entry.met = met;
                entry.fired |= tells;
                self.out.entries.push(match_entry(&rule.id, chain, key, entry));
            }
            let (block, time, ordinal) = (entry.block, entry.time, entry.ordinal);
            if tells {
                let view = View { stats: Some(&stats), ..view };
                let subject = Subject::Late { block, time, ordinal };
                self.fire(rule, &view, &subject, ordinal, key);
            }
            index += 1;
        }
    }
}

/// Whether `when` is true with the match at `index`, and what the window adds up to.
fn ask(
    window: &Window,
    series: &mut Series,
    index: usize,
    key: &str,
    view: &View<'_>,
) -> Result<(bool, Stats), String> {
    let sums = series
        .sums(window.span, window.needs, index)
        .ok_or_else(|| "the sum over the window is too large".to_owned())?;
    let rate = match window.span {
        WindowSpan::Time(length) => sums.count as f64 / length.0.as_secs_f64(),
        WindowSpan::Blocks(blocks) => sums.count as f64 / blocks as f64,
    };
    let stats = Stats {
        key: key.to_owned(),
        count: sums.count,
        rate,
        sum: sums.sum,
        min: sums.min,
        max: sums.max,
        distinct: sums.distinct,
    };
    let view = View { stats: Some(&stats), ..*view };
    let met = window.when.holds(&view).map_err(|error| format!("window.when: {error}"))?;
    Ok((met, stats))
}

/// Whether `when` was true already with the match before, and the window has not run empty since.
fn was_met(series: &Series, span: WindowSpan, index: usize) -> bool {
    let Some(entry) = series.get(index) else { return false };
    let before = index.checked_sub(1).and_then(|before| series.get(before));
    before.is_some_and(|before| before.met && within(span, before, entry.block.height, entry.time))
}

/// Keys are chosen by whoever sends transactions: long ones are kept as their hash.
fn short(text: String) -> String {
    if text.len() <= LONGEST_KEY {
        return text;
    }
    format!("keccak256:{}", hex::encode(keccak256(text.as_bytes())))
}
