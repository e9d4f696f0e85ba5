//! From settings to rules that can run, with every fault told at its place.

mod definitions;
mod names;
mod parts;
mod reads;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;

use wk_model::{Finality, Problem, Severity};

use crate::RuleSet;
use crate::config::{RuleConfig, Trigger};
use crate::env::RuleEnv;
use crate::names::shorten;
use crate::rule::{Calls, Logs, ObjectTypes, Rule, Target};
use definitions::Definitions;
use names::{Constants, Names};
use watch::Watch;

impl RuleSet {
    /// Rules that can run. Problems have paths from the list of rules, such as `[3].if`; all are
    /// told, not only the first. Disabled rules are checked like the others.
    pub fn compile(rules: &[RuleConfig], env: &RuleEnv) -> Result<RuleSet, Vec<Problem>> {
        let constants = Constants::new(env);
        let mut compiled = Vec::with_capacity(rules.len());
        let mut problems = Vec::new();
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (index, config) in rules.iter().enumerate() {
            let mut compiler = Compiler {
                env,
                constants: &constants,
                config,
                problems: Vec::new(),
                partial: Vec::new(),
                is_consequence: false,
            };
            if let Some(earlier) = first.insert(&config.id, index) {
                let message = format!("another rule is called `{}` as well", shorten(&config.id));
                compiler.problem(Problem::new("id", message).hint(format!(
                    "It is the rule at place {} of the list; findings are known by the rule's id.",
                    earlier + 1
                )));
            }
            compiled.extend(compiler.rule().map(Arc::new));
            let found = compiler.problems.into_iter();
            problems.extend(found.map(|problem| problem.under(&format!("[{index}]"))));
        }
        if problems.is_empty() {
            Ok(RuleSet::new(compiled, env.decoder.clone(), env.chains.clone()))
        } else {
            Err(problems)
        }
    }
}

/// Compiles one rule.
struct Compiler<'a> {
    env: &'a RuleEnv,
    constants: &'a Constants,
    config: &'a RuleConfig,
    /// Paths are those below the rule.
    problems: Vec<Problem>,
    /// Parameters that only some of the rule's events or functions have, and which.
    partial: Vec<(Arc<str>, Arc<str>)>,
    /// Something that the rule refers to is broken, and that has been told.
    is_consequence: bool,
}

impl Compiler<'_> {
    fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    fn rule(&mut self) -> Option<Rule> {
        self.id();
        let trigger = self.trigger()?;
        self.misplaced(trigger);
        self.contradictions(trigger);
        let watch = self.watch(trigger);
        if self.is_consequence {
            return None;
        }
        match trigger {
            Trigger::EvmBlock => self.blocks(&watch),
            Trigger::EvmTx | Trigger::EvmPending => self.calls(trigger, &watch),
            Trigger::EvmEvent => self.logs(&watch),
            Trigger::EvmState => self.state(&watch),
            Trigger::Http => self.http(&watch),
        }
    }

    fn blocks(&mut self, watch: &Watch) -> Option<Rule> {
        let names = Names::blocks(self.constants);
        self.assemble(Trigger::EvmBlock, watch, names, Some(Target::Blocks))
    }

    fn calls(&mut self, trigger: Trigger, watch: &Watch) -> Option<Rule> {
        let functions = self.functions(watch)?;
        let Definitions { signatures, params } = functions;
        let names = Names::calls(self.constants, trigger, !signatures.is_empty(), &params);
        let calls = Calls { watch: watch.watched.clone(), functions: signatures };
        self.assemble(trigger, watch, names, Some(Target::Calls(calls)))
    }

    fn logs(&mut self, watch: &Watch) -> Option<Rule> {
        let events = self.events(watch)?;
        let Definitions { signatures, params } = events;
        let names = Names::logs(self.constants, !signatures.is_empty(), &params);
        let logs = Logs { watch: watch.watched.clone(), events: signatures };
        self.assemble(Trigger::EvmEvent, watch, names, Some(Target::Logs(logs)))
    }

    fn state(&mut self, watch: &Watch) -> Option<Rule> {
        let (targets, types) = self.reads(watch)?;
        let by_name = self.config.read.is_none();
        let names = Names::state(self.constants, by_name, &types);
        self.assemble(Trigger::EvmState, watch, names, Some(Target::State(targets)))
    }

    fn http(&mut self, watch: &Watch) -> Option<Rule> {
        let names = Names::http(self.constants);
        let target = self.probe(&names);
        self.assemble(Trigger::Http, watch, names, target)
    }

    /// Compiles what all rules have, and puts the rule together.
    fn assemble(
        &mut self,
        trigger: Trigger,
        watch: &Watch,
        names: Names,
        target: Option<Target>,
    ) -> Option<Rule> {
        let config = self.config;
        let condition = config.condition.as_deref().map(|text| self.condition("if", text, &names));
        let (window, stats) = self.window(&names);
        let absent = config.absent.map(|absent| absent.0);
        let title_names = match (absent, stats) {
            (Some(_), _) => Names::silence(self.constants),
            (None, Some(stats)) => stats,
            (None, None) => names.clone(),
        };
        let title = self.title(&title_names);
        if !self.problems.is_empty() {
            return None;
        }

        let condition = condition.flatten();
        let window = window.map(|window| window.with_needs_of(title.as_ref(), &title_names));
        let programs = || {
            let window = window
                .iter()
                .flat_map(|window| window.by.iter().chain(&window.value).chain([&window.when]));
            let title = title.iter().flat_map(|title| title.programs());
            condition.iter().chain(window).chain(title)
        };
        let uses_revert_reason = programs().any(|program| {
            program
                .references()
                .iter()
                .any(|reference| reference.path == "tx.revert_reason" || reference.path == "tx")
        });
        let uses_previous = match &condition {
            Some(condition) => names.reads_previous(condition),
            None => trigger == Trigger::EvmState,
        };
        let Names { slots, block, tx, event, args, event_params, previous, by_name, .. } = names;
        let slots = if window.is_some() { title_names.slots.clone() } else { slots };
        Some(Rule {
            id: config.id.as_str().into(),
            trigger,
            enabled: config.is_enabled(),
            chains: watch.chains.clone(),
            watch: config.watch.0.clone(),
            slots,
            title_slots: title_names.slots,
            types: ObjectTypes { block, tx, event },
            args,
            event_params,
            previous,
            reads_by_name: by_name,
            condition,
            uses_previous,
            uses_revert_reason,
            window,
            absent,
            every: config.every.map_or(1, |blocks| blocks.0),
            target: target?,
            title,
            severity: config.severity.unwrap_or(Severity::P2),
            class: config.class.clone().unwrap_or_else(|| config.id.clone()),
            deliver: config.deliver.unwrap_or(Finality::Seen),
            notify: config.notify.0.clone(),
            labels: config.labels.clone(),
            description: config.description.clone(),
            runbook: config.runbook.clone(),
            definition: serde_json::to_value(config).unwrap_or_default(),
        })
    }
}
