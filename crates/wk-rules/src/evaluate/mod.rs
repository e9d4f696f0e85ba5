//! Rules over a block: what matches, what is found, what is remembered.
//!
//! Nothing here fails as a whole. A rule that cannot be evaluated at some place is told as an error
//! and finds nothing there; the others do not notice.

mod findings;
mod outside;
mod silence;
mod state;
mod windows;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use wk_chain::abi::Event;
use wk_model::{ChainPosition, evm};

use crate::RuleSet;
use crate::cel::Value;
use crate::input::{BlockInput, Evaluation, RuleError};
use crate::memory::Memory;
use crate::rule::{Rule, Signature, Target};
use crate::ruleset::LogRule;
use crate::variables::{BlockView, LogView, TxView};
use crate::view::{Args, View};
use findings::Subject;

impl RuleSet {
    /// What the rules make of a block.
    ///
    /// Looking at a block again gives the same findings, by their ids. When its content has changed
    /// (`Intake::Rescan`), what is new in it is found and remembered as if it had always been there;
    /// what is gone from it has to be reverted by the caller, if it is to be forgotten. A block below
    /// others (`Intake::Refill`) is put in its place: windows that end behind it are looked at again,
    /// and what they would have told is told now. Reads of later blocks are not compared anew.
    pub fn evaluate(&self, memory: &mut Memory, input: &BlockInput<'_>) -> Evaluation {
        let Some(index) = self.index(input.chain) else { return Evaluation::default() };
        let block = BlockView { chain: input.chain, block: input.block };
        let mut run = Run {
            set: self,
            memory,
            input,
            block: &block,
            out: Evaluation::default(),
            errors: Errors::default(),
            late: BTreeMap::new(),
        };
        for tx in &input.block.transactions {
            run.transaction(tx, index);
        }
        for place in &index.blocks {
            run.whole_block(self.rule(*place));
        }
        for place in &index.state {
            run.state(self.rule(*place));
        }
        run.look_again();
        for place in &index.silence {
            run.silence(self.rule(*place));
        }
        let Run { mut out, errors, .. } = run;
        out.errors = errors.into_vec();
        out
    }
}

/// One block's evaluation.
struct Run<'a> {
    set: &'a RuleSet,
    memory: &'a mut Memory,
    input: &'a BlockInput<'a>,
    block: &'a BlockView<'a>,
    out: Evaluation,
    errors: Errors,
    /// Windows that a match was put into below others: by rule and key, the first and last index.
    late: BTreeMap<(Arc<str>, Arc<str>), (usize, usize)>,
}

/// Errors by rule, the first of each with a count: a rule that fails on every log of a block says
/// so once.
#[derive(Default)]
pub(crate) struct Errors(BTreeMap<Arc<str>, RuleError>);

impl Errors {
    pub(crate) fn add(&mut self, rule: &Rule, position: Option<ChainPosition>, message: String) {
        let error = self.0.entry(Arc::clone(&rule.id)).or_insert_with(|| RuleError {
            rule: rule.id.to_string(),
            position,
            message,
            count: 0,
        });
        error.count += 1;
    }

    pub(crate) fn into_vec(self) -> Vec<RuleError> {
        self.0.into_values().collect()
    }
}

/// A log's decoded values by definition: rules that name the same event share the work.
type Decoded = Vec<(*const Event, Result<Rc<Vec<Value>>, String>)>;

impl<'a> Run<'a> {
    fn transaction(&mut self, tx: &'a evm::Transaction, index: &crate::ruleset::Index) {
        let input = self.input;
        let height = input.block.header.height;
        let reason = input.revert_reasons.get(&tx.hash).map(String::as_str);
        let tx = TxView::new(input.chain, height, tx, self.set.decoder(), reason);
        for place in index.calls.of(tx.tx) {
            self.call(self.set.rule(place), &tx);
        }
        if !index.has_logs() {
            return;
        }
        for log in tx.tx.logs() {
            let log = LogView::new(&tx, log);
            let mut decoded = Decoded::new();
            for log_rule in index.logs(log.log) {
                self.log(log_rule, &log, &mut decoded);
            }
        }
    }

    fn call(&mut self, rule: &Rule, tx: &TxView<'_>) {
        let Target::Calls(calls) = &rule.target else { return };
        let subject = Subject::Call { tx };
        let selector = tx.tx.selector();
        let named = calls.functions.iter().find(|f| selector == Some(f.item.selector().0));
        let values;
        let args = match named {
            None => Args::Any,
            Some(function) => match function.item.decode_input(&tx.tx.input) {
                Ok(decoded) => {
                    values = function.values(&decoded);
                    Args::Function(function, &values)
                }
                // Anyone can send four bytes and rubbish: that is no call of the function.
                Err(_) => return,
            },
        };
        let view = View { tx: Some(tx), args, ..self.view(rule) };
        self.candidate(rule, &view, &subject, tx.tx.index + 1);
    }

    fn log(&mut self, log_rule: &LogRule, log: &LogView<'_>, decoded: &mut Decoded) {
        let rule = self.set.rule(log_rule.rule);
        let Target::Logs(logs) = &rule.target else { return };
        let subject = Subject::Log { log };
        let mut fault = None;
        let mut found = None;
        for event in log_rule.signatures.iter().filter_map(|place| logs.events.get(*place)) {
            match values(event, log.log, decoded) {
                Ok(values) => {
                    found = Some((event, values));
                    break;
                }
                Err(error) => fault = fault.or(Some((event, error))),
            }
        }
        let args = match (&found, fault) {
            (Some((event, values)), _) => Args::Event(event, values),
            (None, None) => Args::Any,
            // Of a watched contract this means that the rule has the event wrong, for example
            // without `indexed`, and would never fire. Others' logs are merely something else.
            (None, Some((event, error))) => {
                if !logs.watch.is_empty() && !event.item.is_anonymous() {
                    let message = format!("a log begins like `{}`, but {error}", event.text());
                    self.fail(rule, &subject, message);
                }
                return;
            }
        };
        let view = View { tx: Some(log.tx), log: Some(log), args, ..self.view(rule) };
        self.candidate(rule, &view, &subject, log.log.index + 1);
    }

    fn whole_block(&mut self, rule: &Rule) {
        if self.input.block.header.height.0.is_multiple_of(rule.every) {
            let view = self.view(rule);
            self.candidate(rule, &view, &Subject::Block, 1);
        }
    }

    /// A rule's view of the block alone.
    fn view<'r>(&self, rule: &'r Rule) -> View<'r>
    where
        'a: 'r,
    {
        View { block: Some(self.block), ..View::new(rule, self.input.chain) }
    }

    /// Something that the rule looks at: when the condition holds, it is a match.
    fn candidate(&mut self, rule: &Rule, view: &View<'_>, subject: &Subject<'_>, ordinal: u64) {
        let holds = rule.condition.as_ref().map_or(Ok(true), |condition| condition.holds(view));
        match holds {
            Ok(true) => self.matched(rule, view, subject, ordinal),
            Ok(false) => {}
            Err(error) => self.fail(rule, subject, format!("if: {error}")),
        }
    }

    fn matched(&mut self, rule: &Rule, view: &View<'_>, subject: &Subject<'_>, ordinal: u64) {
        if rule.absent.is_some() {
            self.remember_sign_of_life(rule, ordinal);
        } else if let Some(window) = &rule.window {
            self.count(rule, window, view, subject, ordinal);
        } else {
            self.fire(rule, view, subject, ordinal, subject.key());
        }
    }

    /// States a finding.
    fn fire(
        &mut self,
        rule: &Rule,
        view: &View<'_>,
        subject: &Subject<'_>,
        ordinal: u64,
        key: &str,
    ) {
        let (finding, fault) = self.finding(rule, view, subject, ordinal, key);
        self.out.findings.push(finding);
        if let Some(fault) = fault {
            self.fail(rule, subject, fault);
        }
    }

    fn fail(&mut self, rule: &Rule, subject: &Subject<'_>, message: String) {
        let position = subject.position(self.input.chain, self.input.block);
        self.errors.add(rule, Some(position), message);
    }
}

/// A log's values by a definition, decoded once.
fn values(
    event: &Arc<Signature<Event>>,
    log: &evm::Log,
    decoded: &mut Decoded,
) -> Result<Rc<Vec<Value>>, String> {
    let item = Arc::as_ptr(&event.item);
    if let Some((_, known)) = decoded.iter().find(|(other, _)| *other == item) {
        return known.clone();
    }
    let values = match event.item.decode(log) {
        Ok(values) => Ok(Rc::new(event.values(&values))),
        Err(error) => Err(error.to_string()),
    };
    decoded.push((item, values.clone()));
    values
}
