//! All rules, and which of them a log, a transaction or a block concerns.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use alloy_primitives::{Address, B256, Selector};
use wk_chain::abi::Decoder;
use wk_model::{BlockTime, ChainName, Height, evm};

use crate::config::Trigger;
use crate::input::StateRead;
use crate::memory::{Forget, Memory};
use crate::rule::{Calls, HttpProbe, Logs, Rule, Target};

/// Rules that can run. Clones share them.
#[derive(Clone, Debug)]
pub struct RuleSet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rules: Vec<Arc<Rule>>,
    decoder: Decoder,
    chains: Vec<ChainName>,
    indices: HashMap<ChainName, Index>,
    /// The rules that run.
    runs: HashSet<Arc<str>>,
    probes: HashMap<Arc<str>, usize>,
}

/// A rule in brief, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSummary {
    /// The rule's id.
    pub id: String,
    /// What makes it look.
    pub trigger: Trigger,
    /// The chains that it looks at; none for `http`.
    pub chains: Vec<ChainName>,
    /// Whether it runs.
    pub enabled: bool,
    /// The contracts that it watches, as the config calls them; none for all.
    pub watch: Vec<String>,
    /// How bad what it finds is.
    pub severity: wk_model::Severity,
    /// What kind of thing it finds.
    pub class: String,
    /// How settled a block must be before anyone is told.
    pub deliver: wk_model::Finality,
    /// The receivers that it names; none for those of the route.
    pub notify: Vec<String>,
    /// What it means, for people.
    pub description: Option<String>,
    /// Address of the page that says what to do.
    pub runbook: Option<String>,
    /// All of it, as the config says; secrets are hidden.
    pub definition: serde_json::Value,
}

/// The logs of a chain that some rule looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogInterest {
    /// Emitters with the first topics that matter; no topics means all of its logs.
    pub contracts: Vec<(Address, Vec<B256>)>,
    /// First topics that matter whoever emits them.
    pub topics: Vec<B256>,
    /// Some rule looks at every log.
    pub all: bool,
}

/// Which rules of one chain something concerns. Numbers are places in the list of rules.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) blocks: Vec<usize>,
    pub(crate) state: Vec<usize>,
    pub(crate) silence: Vec<usize>,
    pub(crate) calls: CallIndex,
    pub(crate) pending: CallIndex,
    logs_at: HashMap<(Address, B256), Vec<LogRule>>,
    logs_from: HashMap<Address, Vec<LogRule>>,
    logs_of: HashMap<B256, Vec<LogRule>>,
    logs_any: Vec<LogRule>,
}

/// A rule that a log may concern, and the definitions that it may be by. None: whatever it is.
#[derive(Debug)]
pub(crate) struct LogRule {
    pub(crate) rule: usize,
    pub(crate) signatures: Vec<usize>,
}

/// Which rules a transaction concerns.
#[derive(Debug, Default)]
pub(crate) struct CallIndex {
    at: HashMap<(Address, Selector), Vec<usize>>,
    to: HashMap<Address, Vec<usize>>,
    of: HashMap<Selector, Vec<usize>>,
    any: Vec<usize>,
}

impl RuleSet {
    pub(crate) fn new(rules: Vec<Arc<Rule>>, decoder: Decoder, chains: Vec<ChainName>) -> RuleSet {
        RuleSet::indexed(rules, decoder, chains, |rule| rule.enabled)
    }

    fn indexed(
        rules: Vec<Arc<Rule>>,
        decoder: Decoder,
        chains: Vec<ChainName>,
        runs: impl Fn(&Rule) -> bool,
    ) -> RuleSet {
        let running = || rules.iter().enumerate().filter(|(_, rule)| runs(rule));
        let index = |chain: &ChainName| {
            let mut index = Index::default();
            running().for_each(|(place, rule)| index.add(chain, place, rule));
            index
        };
        let indices = chains.iter().map(|chain| (chain.clone(), index(chain))).collect();
        let probes = running()
            .filter(|(_, rule)| rule.trigger == Trigger::Http)
            .map(|(place, rule)| (Arc::clone(&rule.id), place))
            .collect();
        let runs = running().map(|(_, rule)| Arc::clone(&rule.id)).collect();
        RuleSet(Arc::new(Inner { rules, decoder, chains, indices, runs, probes }))
    }

    /// Only the rules with these ids, also those that are disabled: for tests and backtests.
    pub fn only(&self, ids: &[&str]) -> RuleSet {
        let inner = &self.0;
        let rules = inner.rules.iter().filter(|rule| ids.contains(&&*rule.id)).cloned().collect();
        RuleSet::indexed(rules, inner.decoder.clone(), inner.chains.clone(), |_| true)
    }

    /// All rules in brief, in the order of the config.
    pub fn rules(&self) -> Vec<RuleSummary> {
        let summary = |rule: &Arc<Rule>| RuleSummary {
            id: rule.id.to_string(),
            trigger: rule.trigger,
            chains: rule.chains.clone(),
            enabled: rule.enabled,
            watch: rule.watch.clone(),
            severity: rule.severity,
            class: rule.class.clone(),
            deliver: rule.deliver,
            notify: rule.notify.clone(),
            description: rule.description.clone(),
            runbook: rule.runbook.clone(),
            definition: rule.definition.clone(),
        };
        self.0.rules.iter().map(summary).collect()
    }

    /// What the rules want to know of a chain's state at `height`, each read once.
    pub fn state_reads(&self, chain: &ChainName, height: Height) -> Vec<StateRead> {
        let Some(index) = self.index(chain) else { return Vec::new() };
        let due = index.state.iter().map(|place| self.rule(*place));
        let due = due.filter(|rule| height.0.is_multiple_of(rule.every));
        let targets = due.flat_map(|rule| match &rule.target {
            Target::State(targets) => targets.as_slice(),
            Target::Blocks | Target::Calls(_) | Target::Logs(_) | Target::Http(_) => &[],
        });
        let reads =
            targets.filter(|target| target.chain == *chain).flat_map(|target| &target.reads);
        let mut seen = HashSet::new();
        reads.map(|read| &read.request).filter(|request| seen.insert(*request)).cloned().collect()
    }

    /// The failed transactions of a block of which some rule shows why they failed. Finding that
    /// out takes a replay of the call.
    pub fn revert_reasons_wanted<'a>(
        &self,
        chain: &ChainName,
        block: &'a evm::Block,
    ) -> Vec<&'a evm::Transaction> {
        let Some(index) = self.index(chain) else { return Vec::new() };
        let wanted = |tx: &&evm::Transaction| {
            tx.receipt.as_ref().is_some_and(|receipt| receipt.success == Some(false))
                && index.calls.of(tx).any(|place| self.rule(place).uses_revert_reason)
        };
        block.transactions.iter().filter(wanted).collect()
    }

    /// The logs of a chain that some rule looks at.
    pub fn log_interest(&self, chain: &ChainName) -> LogInterest {
        let Some(index) = self.index(chain) else { return LogInterest::default() };
        let mut contracts: HashMap<Address, Option<BTreeSet<B256>>> = HashMap::new();
        for (address, topic) in index.logs_at.keys() {
            let topics = contracts.entry(*address).or_insert_with(|| Some(BTreeSet::new()));
            topics.iter_mut().for_each(|topics| topics.extend([*topic]));
        }
        contracts.extend(index.logs_from.keys().map(|address| (*address, None)));
        let mut contracts: Vec<(Address, Vec<B256>)> = contracts
            .into_iter()
            .map(|(address, topics)| (address, topics.into_iter().flatten().collect()))
            .collect();
        contracts.sort_unstable();
        let mut topics: Vec<B256> = index.logs_of.keys().copied().collect();
        topics.sort_unstable();
        LogInterest { contracts, topics, all: !index.logs_any.is_empty() }
    }

    /// Whether some rule looks at the chain's pending transactions.
    pub fn needs_pending(&self, chain: &ChainName) -> bool {
        self.index(chain).is_some_and(|index| !index.pending.is_empty())
    }

    /// The probes that `http` rules ask for.
    pub fn http_probes(&self) -> Vec<HttpProbe> {
        let mut places: Vec<usize> = self.0.probes.values().copied().collect();
        places.sort_unstable();
        let probe = |place| match &self.rule(place).target {
            Target::Http(http) => Some(http.probe.clone()),
            Target::Blocks | Target::Calls(_) | Target::Logs(_) | Target::State(_) => None,
        };
        places.into_iter().filter_map(probe).collect()
    }

    /// Forgets what no rule can need any more once `floor` is final: everything that is out of
    /// reach of windows that end there or later. `floor` has to be at or below the finalized block
    /// and below the lowest hole. Says what a store may forget as well.
    pub fn prune(
        &self,
        memory: &mut Memory,
        chain: &ChainName,
        floor: Height,
        floor_time: BlockTime,
    ) -> Vec<Forget> {
        let mut forget = Vec::new();
        for rule in &self.0.rules {
            let Some(own) = memory.known(&rule.id, chain) else { continue };
            let mut gone = 0;
            own.matches.retain(|_, series| {
                gone += match &rule.window {
                    Some(window) => series.prune(window.span, (floor, floor_time)),
                    None => series.keep_last(floor),
                };
                !series.is_empty()
            });
            own.total -= gone;
            own.prune_marks(floor);
            let before = own.oldest().map_or(floor_time, |oldest| oldest.min(floor_time));
            forget.push(Forget { rule: rule.id.to_string(), before });
        }
        forget
    }

    pub(crate) fn rule(&self, place: usize) -> &Arc<Rule> {
        &self.0.rules[place]
    }

    pub(crate) fn index(&self, chain: &ChainName) -> Option<&Index> {
        self.0.indices.get(chain)
    }

    pub(crate) fn decoder(&self) -> &Decoder {
        &self.0.decoder
    }

    /// The rules that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.0.rules.iter().filter(|rule| self.0.runs.contains(&rule.id))
    }

    /// The running `http` rule with this id.
    pub(crate) fn probe_rule(&self, id: &str) -> Option<&Arc<Rule>> {
        self.0.probes.get(id).map(|place| self.rule(*place))
    }

    pub(crate) fn rule_called(&self, id: &str) -> Option<&Arc<Rule>> {
        self.0.rules.iter().find(|rule| &*rule.id == id)
    }
}

impl Index {
    fn add(&mut self, chain: &ChainName, place: usize, rule: &Rule) {
        if !rule.looks_at(chain) {
            return;
        }
        match &rule.target {
            Target::Blocks => self.blocks.push(place),
            Target::State(_) => self.state.push(place),
            Target::Logs(logs) => self.add_logs(chain, place, logs),
            Target::Calls(calls) if rule.trigger == Trigger::EvmPending => {
                self.pending.add(chain, place, calls);
            }
            Target::Calls(calls) => self.calls.add(chain, place, calls),
            Target::Http(_) => {}
        }
        if rule.absent.is_some() {
            self.silence.push(place);
        }
    }

    fn add_logs(&mut self, chain: &ChainName, rule: usize, logs: &Logs) {
        let addresses: Vec<Address> = logs
            .watch
            .iter()
            .filter(|watched| watched.chain == *chain)
            .map(|watched| watched.address)
            .collect();
        if !logs.watch.is_empty() && addresses.is_empty() {
            return;
        }
        if logs.events.is_empty() {
            match addresses.as_slice() {
                [] => self.logs_any.push(LogRule { rule, signatures: Vec::new() }),
                all => {
                    for address in all {
                        let rules = self.logs_from.entry(*address).or_default();
                        rules.push(LogRule { rule, signatures: Vec::new() });
                    }
                }
            }
            return;
        }
        for (signature, event) in logs.events.iter().enumerate() {
            let topic0 = event.item.topic0();
            if addresses.is_empty() {
                join(self.logs_of.entry(topic0).or_default(), rule, signature);
            }
            for address in &addresses {
                let rules = if event.item.is_anonymous() {
                    self.logs_from.entry(*address).or_default()
                } else {
                    self.logs_at.entry((*address, topic0)).or_default()
                };
                join(rules, rule, signature);
            }
        }
    }

    /// The rules that a log may concern, each once for each way in which it may.
    pub(crate) fn logs(&self, log: &evm::Log) -> impl Iterator<Item = &LogRule> {
        let topic0 = log.topics.first();
        let at = topic0.and_then(|topic0| self.logs_at.get(&(log.address, *topic0)));
        let from = self.logs_from.get(&log.address);
        let of = topic0.and_then(|topic0| self.logs_of.get(topic0));
        [at, from, of].into_iter().flatten().flatten().chain(&self.logs_any)
    }

    /// Whether any rule looks at logs.
    pub(crate) fn has_logs(&self) -> bool {
        !(self.logs_at.is_empty()
            && self.logs_from.is_empty()
            && self.logs_of.is_empty()
            && self.logs_any.is_empty())
    }
}

/// Adds a definition to the rule's entry: one log concerns a rule once.
fn join(rules: &mut Vec<LogRule>, rule: usize, signature: usize) {
    match rules.last_mut().filter(|last| last.rule == rule) {
        Some(last) => last.signatures.push(signature),
        None => rules.push(LogRule { rule, signatures: vec![signature] }),
    }
}

impl CallIndex {
    fn add(&mut self, chain: &ChainName, rule: usize, calls: &Calls) {
        let addresses: Vec<Address> = calls
            .watch
            .iter()
            .filter(|watched| watched.chain == *chain)
            .map(|watched| watched.address)
            .collect();
        if !calls.watch.is_empty() && addresses.is_empty() {
            return;
        }
        let selectors: BTreeSet<Selector> =
            calls.functions.iter().map(|function| function.item.selector()).collect();
        match (addresses.is_empty(), selectors.is_empty()) {
            (true, true) => self.any.push(rule),
            (true, false) => {
                for selector in selectors {
                    self.of.entry(selector).or_default().push(rule);
                }
            }
            (false, true) => {
                for address in addresses {
                    self.to.entry(address).or_default().push(rule);
                }
            }
            (false, false) => {
                for address in addresses {
                    for selector in &selectors {
                        self.at.entry((address, *selector)).or_default().push(rule);
                    }
                }
            }
        }
    }

    /// The rules that a transaction concerns, each once.
    pub(crate) fn of(&self, tx: &evm::Transaction) -> impl Iterator<Item = usize> {
        let selector = tx.selector().map(Selector::from);
        let at = tx.to.zip(selector).and_then(|key| self.at.get(&key));
        let to = tx.to.and_then(|to| self.to.get(&to));
        let of = selector.and_then(|selector| self.of.get(&selector));
        [at, to, of].into_iter().flatten().flatten().chain(&self.any).copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at.is_empty() && self.to.is_empty() && self.of.is_empty() && self.any.is_empty()
    }
}
