//! What the shape of a config cannot say: names that exist, files that can be read, rules that
//! compile.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::error::Error as _;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use wk_chain::abi::{AbiSource, Contract, ContractConfig, Decoder, MAX_TEXT};
use wk_chain::evm::EvmConfig;
use wk_chain::rpc::{EndpointConfig, EndpointSettings, Pool};
use wk_model::{ChainName, Problem, Secret};
use wk_notifiers::Receivers;
use wk_rules::{HttpProbe, List, RuleEnv, RuleSet};
use wk_runtime::{Clock, Metrics, read_secret};

use crate::config::{ChainConfig, Config, probe_config};
use crate::fault::FaultSeverity;
use crate::nearest::nearest;

/// What is wrong, and what was made of the config on the way.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) findings: Vec<Found>,
    /// None when the contracts do not fit together.
    pub(crate) decoder: Option<Decoder>,
    /// None when some rule does not compile.
    pub(crate) rules: Option<RuleSet>,
    /// The rules' tests, ready to run.
    pub(crate) tests: Vec<wk_rules::Test>,
    /// Files that were read, or should have been.
    pub(crate) files: Vec<PathBuf>,
}

/// One thing that is wrong.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) problem: Problem,
    pub(crate) severity: FaultSeverity,
    /// Another key that has to do with it, and how.
    pub(crate) related: Option<(&'static str, String)>,
}

/// All names in a config, also those of entries that could not be read.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) chains: BTreeSet<String>,
    pub(crate) contracts: BTreeSet<String>,
    pub(crate) lists: BTreeSet<String>,
    pub(crate) receivers: BTreeSet<String>,
    pub(crate) rules: BTreeSet<String>,
    /// Entries with faults, such as `contracts.vault` or `rules[3]`. What else is said of them, and of those who
    /// use them, may be a mere consequence.
    pub(crate) broken: BTreeSet<String>,
}

impl Names {
    /// The names in a config without faults so far.
    pub(crate) fn of(config: &Config) -> Names {
        let keys = |keys: &mut dyn Iterator<Item = &String>| keys.cloned().collect();
        Names {
            chains: config.chains.keys().map(|name| name.as_str().to_owned()).collect(),
            contracts: keys(&mut config.contracts.keys()),
            lists: keys(&mut config.lists.keys()),
            receivers: keys(&mut config.receivers.keys()),
            rules: config.rules.iter().map(|rule| rule.id.clone()).collect(),
            broken: BTreeSet::new(),
        }
    }
}

/// Everything that is wrong with `config`. Relative paths in it count from `base`.
pub(crate) fn check(config: &Config, mut names: Names, base: &Path) -> Checked {
    let mut checked = Checked::default();
    checked.names(config);
    checked.server(config);
    checked.chains(config, &mut names);
    checked.contracts(config, &mut names, base);
    let lists = checked.lists(config, &mut names, base);
    checked.receivers(config, &names);
    checked.bridges(config, &names);
    checked.prices(config, &names);
    checked.rules(config, &names, lists);
    checked
}

impl Checked {
    fn error(&mut self, problem: Problem) {
        self.findings.push(Found { problem, severity: FaultSeverity::Error, related: None });
    }

    fn warn(&mut self, problem: Problem) {
        self.findings.push(Found { problem, severity: FaultSeverity::Warning, related: None });
    }

    /// Names are parts of asset ids, metrics' labels and pages' addresses.
    fn names(&mut self, config: &Config) {
        let sections = [
            ("chains", config.chains.keys().map(ChainName::as_str).collect::<Vec<_>>()),
            ("contracts", config.contracts.keys().map(String::as_str).collect()),
            ("lists", config.lists.keys().map(String::as_str).collect()),
            ("receivers", config.receivers.keys().map(String::as_str).collect()),
            ("bridges", config.bridges.keys().map(String::as_str).collect()),
        ];
        for (section, names) in sections {
            for name in names {
                let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
                if name.is_empty() || name.chars().count() > 64 || !name.chars().all(fits) {
                    let message = format!("`{name}` cannot be a name");
                    self.error(
                        Problem::new(format!("{section}.{name}"), message).hint(
                            "Use up to 64 letters, digits, `-`, `_` and `.`, without spaces.",
                        ),
                    );
                }
            }
        }
    }

    fn server(&mut self, config: &Config) {
        for problem in config.server.problems() {
            self.error(problem.under("server"));
        }
        if let Some(deadman) = &config.server.deadman
            && let Some(problem) = unreadable("server.deadman.url".to_owned(), &deadman.url)
        {
            self.warn(problem);
        }
        let Some(text) = &config.server.public_url else { return };
        let good = url::Url::parse(text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !good {
            self.error(
                Problem::new(
                    "server.public_url",
                    format!("`{text}` is no URL that people can open"),
                )
                .hint("Write it in full, such as https://watchkeeper.example.org."),
            );
        }
    }

    fn chains(&mut self, config: &Config, names: &mut Names) {
        for (name, chain) in &config.chains {
            let ChainConfig::Evm(evm) = chain;
            let mut problems = evm.problems();
            let pool = Pool::build(name, &evm.pool(), Clock::system(), &Metrics::new());
            for problem in pool.err().unwrap_or_default() {
                if problems.iter().all(|told| told.path != problem.path) {
                    problems.push(problem);
                }
            }
            for problem in unreadable_secrets(evm) {
                self.warn(problem.under(&format!("chains.{name}.evm")));
            }
            for problem in problems {
                self.error(problem.under(&format!("chains.{name}.evm")));
                names.broken.insert(format!("chains.{name}"));
            }
        }
        if config.chains.is_empty() && names.chains.is_empty() && !config.rules.is_empty() {
            self.warn(
                Problem::new("rules", "no chain is configured: the rules have nothing to look at")
                    .hint("Add one, such as `chains: {mainnet: {evm: {rpc: \"${RPC_URL}\"}}}`."),
            );
        }
    }

    fn lists(&mut self, config: &Config, names: &mut Names, base: &Path) -> BTreeMap<String, List> {
        let mut lists = BTreeMap::new();
        for (name, list) in &config.lists {
            self.files.extend(list.file.iter().map(|file| base.join(file)));
            let built = match list.read(base) {
                Ok(items) => List::build(list, &items),
                Err(error) => {
                    let file = list.file.as_deref().unwrap_or(Path::new("")).display();
                    let why =
                        error.source().map_or_else(|| error.to_string(), |why| why.to_string());
                    let hint = "The path counts from the folder of the config file.";
                    Err(vec![
                        Problem::new("file", format!("cannot read `{file}`: {why}")).hint(hint),
                    ])
                }
            };
            match built {
                Ok(list) => {
                    lists.insert(name.clone(), list);
                }
                Err(problems) => {
                    names.broken.insert(format!("lists.{name}"));
                    for problem in problems {
                        self.error(problem.under(&format!("lists.{name}")));
                    }
                }
            }
        }
        lists
    }

    fn prices(&mut self, config: &Config, names: &Names) {
        for (chain, price) in &config.coin_prices {
            let path = format!("coin_prices.{chain}");
            if !names.chains.contains(chain.as_str()) {
                self.error(Problem::new(&*path, format!("there is no chain `{chain}`")));
            }
            if !price.is_finite() || *price < 0.0 {
                self.error(Problem::new(&*path, format!("`{price}` is no price")));
            }
        }
    }

    /// Both chains of a bridge must exist, and its events must be readable.
    fn bridges(&mut self, config: &Config, names: &Names) {
        for (name, bridge) in &config.bridges {
            for (key, side) in [("source", &bridge.source), ("target", &bridge.target)] {
                let path = format!("bridges.{name}.{key}");
                if !names.chains.contains(side.chain.as_str()) {
                    let known: Vec<&str> = names.chains.iter().map(String::as_str).collect();
                    let message = format!("there is no chain `{}`", side.chain);
                    let hint = format!("The config has: {}.", known.join(", "));
                    self.error(Problem::new(format!("{path}.chain"), message).hint(hint));
                }
                if side.contracts.is_empty() {
                    let message = "a side of a bridge needs at least one contract";
                    self.error(Problem::new(format!("{path}.contracts"), message));
                }
            }
            if let Err(fault) = bridge.readers() {
                self.error(Problem::new(format!("bridges.{name}"), fault.to_string()));
            }
            if !(0.0..=1.0).contains(&bridge.max_fee) {
                let message = format!("`{}` is no share from 0 to 1", bridge.max_fee);
                self.error(Problem::new(format!("bridges.{name}.max_fee"), message));
            }
        }
    }

    fn rules(&mut self, config: &Config, names: &Names, lists: BTreeMap<String, List>) {
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (index, rule) in config.rules.iter().enumerate() {
            if let Some(earlier) = first.get(rule.id.as_str()) {
                self.findings.push(Found {
                    problem: Problem::new(
                        format!("rules[{index}].id"),
                        format!("another rule is called `{}` as well", rule.id),
                    )
                    .hint("Findings are known by the rule's id; give each rule its own."),
                    severity: FaultSeverity::Error,
                    related: Some(("the other rule", format!("rules[{earlier}].id"))),
                });
            } else {
                first.insert(&rule.id, index);
            }
        }
        let nothing = || Decoder::build(Vec::new()).expect("no contracts are no two of a kind");
        let decoder = self.decoder.clone().unwrap_or_else(nothing);
        let unusable = |section: &'static str, known: &BTreeSet<String>| -> BTreeSet<String> {
            let broken = |name: &&String| names.broken.contains(&format!("{section}.{name}"));
            known.iter().filter(broken).cloned().collect()
        };
        let mut broken = unusable("contracts", &names.contracts);
        broken.extend(unusable("lists", &names.lists));
        let env = RuleEnv {
            chains: names.chains.iter().map(|name| ChainName::new(name)).collect(),
            decoder,
            lists,
            broken,
        };
        match RuleSet::compile(&config.rules, &env) {
            Ok(rules) => {
                self.probes(config, &rules);
                self.tests(config, names, &rules, &env);
                self.rules = Some(rules);
            }
            Err(problems) => {
                self.refused_rules(problems, &names.broken);
                self.names_in_tests(config, names);
            }
        }
    }

    /// Builds the tests when everything that they build on is whole.
    fn tests(&mut self, config: &Config, names: &Names, rules: &RuleSet, env: &RuleEnv) {
        let is_error = |found: &Found| found.severity == FaultSeverity::Error;
        let whole = names.broken.is_empty() && names.rules.len() == config.rules.len();
        if !whole || self.findings.iter().any(is_error) {
            return self.names_in_tests(config, names);
        }
        match wk_rules::testing::build(&config.tests, rules, env) {
            Ok(tests) => self.tests = tests,
            Err(problems) => {
                for problem in problems {
                    self.error(problem.under("tests"));
                }
            }
        }
    }

    /// Tells what the rules' compiler found, without what was told before or follows from it.
    fn refused_rules(&mut self, problems: Vec<Problem>, broken: &BTreeSet<String>) {
        let problems = || problems.iter().cloned().map(|problem| problem.under("rules"));
        let rule = |path: &str| path.split_inclusive(']').next().unwrap_or_default().to_owned();
        // Rules of the same name were told with both places.
        let told: HashSet<String> =
            self.findings.iter().map(|found| found.problem.path.clone()).collect();
        // Without its contracts, a rule's events and variables mean nothing.
        let is_watch = |path: &str| path.contains(".watch");
        let lost: HashSet<String> = problems()
            .filter(|problem| is_watch(&problem.path))
            .map(|problem| rule(&problem.path))
            .collect();
        for mut problem in problems() {
            let rule = rule(&problem.path);
            // What is missing of a rule may be what was wrong in it.
            let follows = broken.contains(&rule)
                || lost.contains(&rule) && !is_watch(&problem.path)
                || told.contains(&problem.path);
            if problem.hint.is_none() && problem.span.is_some() {
                problem = problem.hint(
                    "Conditions are CEL, such as `amount > ether(\"10\") && to in lists.known`.",
                );
            }
            if !follows {
                self.error(problem);
            }
        }
    }

    fn probes(&mut self, config: &Config, rules: &RuleSet) {
        for probe in rules.http_probes() {
            let place = config.rules.iter().position(|rule| rule.id == probe.rule);
            let path = format!("rules[{}]", place.expect("a probe belongs to a rule"));
            let HttpProbe { url, headers, .. } = &probe;
            let secrets = headers.iter().map(|(name, value)| (format!("headers.{name}"), value));
            let unreadable: Vec<Problem> = [("url".to_owned(), url)]
                .into_iter()
                .chain(secrets)
                .filter_map(|(path, secret)| unreadable(path, secret))
                .collect();
            unreadable.into_iter().for_each(|problem| self.warn(problem.under(&path)));
            for problem in probe_config(probe).problems() {
                self.error(problem.under(&path));
            }
        }
    }

    fn names_in_tests(&mut self, config: &Config, names: &Names) {
        let known: Vec<&str> = names.rules.iter().map(String::as_str).collect();
        let mut unknown = Vec::new();
        for (index, test) in config.tests.iter().enumerate() {
            let rules = test.rules.iter().enumerate();
            let rules = rules.map(|(i, name)| (format!("tests[{index}].rules[{i}]"), name));
            let expected = test.expect.iter().enumerate();
            let expected = expected
                .map(|(i, expect)| (format!("tests[{index}].expect[{i}].rule"), &expect.rule));
            for (path, name) in rules.chain(expected) {
                if !known.contains(&name.as_str()) {
                    unknown.push(unknown_name(path, "rule", name, &known, "rules"));
                }
            }
        }
        unknown.into_iter().for_each(|problem| self.error(problem));
    }

    fn contracts(&mut self, config: &Config, names: &mut Names, base: &Path) {
        let chains: Vec<ChainName> = names.chains.iter().map(|name| ChainName::new(name)).collect();
        let files = RefCell::new(Vec::new());
        let read = |path: &str| {
            let path = base.join(path);
            files.borrow_mut().push(path.clone());
            read_text(&path)
        };
        let mut built: Vec<Contract> = Vec::new();
        for (name, contract) in &config.contracts {
            match contract.build(name, &chains, &read) {
                Ok(contract) if contract.address.is_zero() => {
                    names.broken.insert(format!("contracts.{name}"));
                    self.error(
                        Problem::new(
                            format!("contracts.{name}.address"),
                            "the zero address is no contract",
                        )
                        .hint("Write the address of the contract itself."),
                    );
                }
                Ok(contract) => built.push(contract),
                Err(problems) => {
                    names.broken.insert(format!("contracts.{name}"));
                    for mut problem in problems {
                        if problem.hint.is_none() && is_split(contract, &problem.path) {
                            problem =
                                problem.hint("Quote it: inside `[…]` a comma ends the entry.");
                        }
                        self.error(problem.under(&format!("contracts.{name}")));
                    }
                }
            }
        }
        self.files.extend(files.into_inner());
        match Decoder::build(built) {
            Ok(decoder) => self.decoder = Some(decoder),
            Err(problems) => {
                names
                    .broken
                    .extend(config.contracts.keys().map(|name| format!("contracts.{name}")));
                for problem in problems {
                    self.error(problem.under("contracts"));
                }
            }
        }
    }

    fn receivers(&mut self, config: &Config, names: &Names) {
        match Receivers::build(&config.receivers) {
            Ok(receivers) => {
                for problem in receivers.check_secrets() {
                    self.warn(problem.under("receivers"));
                }
            }
            Err(problems) => {
                // What is missing of a receiver may be what was wrong in it.
                let whole = |problem: &Problem| !is_below(problem, &names.broken, "receivers");
                for problem in problems.into_iter().filter(whole) {
                    self.error(problem.under("receivers"));
                }
            }
        }
        // Without receivers there is one that follows from defaults.
        let implied = names.receivers.is_empty().then_some("stdout");
        let known: Vec<&str> = names.receivers.iter().map(String::as_str).chain(implied).collect();
        let mut told = BTreeSet::new();
        let routed = config
            .route
            .receiver
            .iter()
            .enumerate()
            .map(|(i, name)| (format!("route.receiver[{i}]"), name));
        let notified = config.rules.iter().enumerate().flat_map(|(rule, config)| {
            let names = config.notify.iter().enumerate();
            names.map(move |(i, name)| (format!("rules[{rule}].notify[{i}]"), name))
        });
        let of_detectors = config.detectors.notify.iter().enumerate();
        let of_detectors = of_detectors.map(|(i, name)| (format!("detectors.notify[{i}]"), name));
        let mut unknown = Vec::new();
        for (path, name) in routed.chain(notified).chain(of_detectors) {
            told.insert(name.as_str());
            if !known.contains(&name.as_str()) {
                unknown.push(unknown_name(path, "receiver", name, &known, "receivers"));
            }
        }
        // A receiver that nobody names is often one whose name is misspelt elsewhere.
        let all_known = unknown.is_empty();
        unknown.into_iter().for_each(|problem| self.error(problem));
        if all_known && !config.route.receiver.is_empty() {
            for name in config.receivers.keys().filter(|name| !told.contains(name.as_str())) {
                self.warn(
                    Problem::new(
                        format!("receivers.{name}"),
                        format!("no route and no rule names the receiver `{name}`"),
                    )
                    .hint("Add it to `route.receiver` or to a rule's `notify`, or remove it."),
                );
            }
        }
    }
}

/// Whether a problem of a section is about one of the `broken` entries itself.
fn is_below(problem: &Problem, broken: &BTreeSet<String>, section: &str) -> bool {
    broken.contains(&format!("{section}.{}", problem.path))
}

/// Secrets of endpoints that cannot be read now. A warning only: the endpoint is shown as failing,
/// and the others go on.
fn unreadable_secrets(evm: &EvmConfig) -> Vec<Problem> {
    let mut secrets: Vec<(String, &Secret)> = Vec::new();
    for (index, endpoint) in evm.rpc.0.iter().enumerate() {
        match endpoint {
            EndpointConfig::Url(url) => secrets.push((format!("rpc[{index}]"), url)),
            EndpointConfig::Settings(settings) => {
                let EndpointSettings { url, ws, headers, .. } = &**settings;
                secrets.push((format!("rpc[{index}].url"), url));
                secrets.extend(ws.iter().map(|ws| (format!("rpc[{index}].ws"), ws)));
                let headers = headers.iter();
                secrets.extend(
                    headers.map(|(name, value)| (format!("rpc[{index}].headers.{name}"), value)),
                );
            }
        }
    }
    secrets.extend(evm.ws.0.iter().enumerate().map(|(index, ws)| (format!("ws[{index}]"), ws)));
    secrets.into_iter().filter_map(|(path, secret)| unreadable(path, secret)).collect()
}

fn unreadable(path: String, secret: &Secret) -> Option<Problem> {
    let error = read_secret(secret).err()?;
    let hint = match secret {
        Secret::Env(name) => format!("Set the environment variable `{name}`."),
        Secret::File(_) | Secret::Literal(_) => {
            "The path counts from the folder in which Watchkeeper is started.".to_owned()
        }
    };
    Some(Problem::new(path, error.to_string()).hint(hint))
}

/// Whether the signature at `path` has lost its half at a comma: `[event E(uint256 a, uint256 b)]`.
fn is_split(contract: &ContractConfig, path: &str) -> bool {
    let Some(AbiSource::Signatures(lines)) = &contract.abi else { return false };
    let line = lines.iter().enumerate().find(|(index, _)| path == format!("abi[{index}]"));
    line.is_some_and(|(_, line)| line.matches('(').count() != line.matches(')').count())
}

/// A name that nothing has.
fn unknown_name(path: String, what: &str, name: &str, known: &[&str], section: &str) -> Problem {
    let problem = Problem::new(path, format!("there is no {what} `{name}`"));
    match (nearest(name, known.iter().copied()), known) {
        (Some(near), _) => problem.hint(format!("Did you mean `{near}`?")),
        (None, []) => problem.hint(format!("Add it under `{section}`.")),
        (None, known) => {
            problem.hint(format!("Add it under `{section}`; there are {}.", known.join(", ")))
        }
    }
}

/// A file that the config names, within a bound.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_TEXT as u64 + 1).read_to_string(&mut text)?;
    if text.len() > MAX_TEXT {
        let message = format!("the file is longer than {} MiB", MAX_TEXT >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}
