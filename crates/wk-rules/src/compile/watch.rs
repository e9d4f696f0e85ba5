//! Which contracts on which chains a rule watches.

use std::sync::Arc;

use wk_chain::abi::Contract;
use wk_model::{Address, ChainName, OneOrMany, Problem};

use super::Compiler;
use crate::config::Trigger;
use crate::env::address;
use crate::names::{shorten, unknown};
use crate::rule::Watched;

/// What a rule watches.
pub(super) struct Watch {
    /// The chains that it looks at.
    pub(super) chains: Vec<ChainName>,
    pub(super) watched: Vec<Watched>,
    /// Contracts with a name in the config, each once.
    pub(super) contracts: Vec<Arc<Contract>>,
    /// False when an entry was refused: what its contract knows is then not asked.
    pub(super) is_whole: bool,
}

/// One entry of `watch`.
enum Entry {
    Contract(Arc<Contract>),
    Address(Address),
}

/// The path of an entry of a key that takes one or many.
pub(super) fn path_of(key: &str, values: &OneOrMany<String>, index: usize) -> String {
    if values.0.len() == 1 { key.to_owned() } else { format!("{key}[{index}]") }
}

impl Compiler<'_> {
    /// Resolves `chain` and `watch`.
    pub(super) fn watch(&mut self, trigger: Trigger) -> Watch {
        let before = self.problems.len();
        let said = self.chains();
        let mut entries = Vec::new();
        for (index, text) in self.config.watch.iter().enumerate() {
            let path = path_of("watch", &self.config.watch, index);
            entries.extend(self.entry(path.clone(), text).map(|entry| (path, entry)));
        }
        let named = entries.iter().filter_map(|(_, entry)| match entry {
            Entry::Contract(contract) => Some(&contract.chain),
            Entry::Address(_) => None,
        });
        let chains = match said {
            Some(chains) => chains,
            None => {
                let mut chains: Vec<ChainName> = named.cloned().collect();
                chains.sort();
                chains.dedup();
                if chains.is_empty() { self.env.chains.clone() } else { chains }
            }
        };
        let chains = if trigger == Trigger::Http { Vec::new() } else { chains };
        let mut watch = self.resolve(chains, entries);
        watch.is_whole = self.problems.len() == before;
        watch
    }

    fn resolve(&mut self, chains: Vec<ChainName>, entries: Vec<(String, Entry)>) -> Watch {
        let mut watch =
            Watch { chains, watched: Vec::new(), contracts: Vec::new(), is_whole: true };
        for (path, entry) in entries {
            match entry {
                Entry::Contract(contract) if !watch.chains.contains(&contract.chain) => {
                    let message = format!(
                        "`{}` is on {}, where this rule does not look",
                        contract.name, contract.chain
                    );
                    self.problem(Problem::new(path, message).hint(
                        "Leave `chain` out: the rule then looks at the contract's own chain.",
                    ));
                }
                Entry::Contract(contract) => watch.add(contract),
                Entry::Address(address) => {
                    for chain in watch.chains.clone() {
                        match self.env.decoder.contract(&chain, &address) {
                            Some(contract) => watch.add(Arc::clone(contract)),
                            None => watch.add_address(chain, address),
                        }
                    }
                }
            }
        }
        watch
    }

    /// The chains that the rule names; none when it names none.
    fn chains(&mut self) -> Option<Vec<ChainName>> {
        if self.config.chain.is_empty() {
            return None;
        }
        let mut chains = Vec::new();
        for (index, name) in self.config.chain.iter().enumerate() {
            let known = self.env.chains.iter().find(|chain| chain.as_str() == name);
            match known {
                Some(chain) => chains.push(chain.clone()),
                None if self.env.broken.contains(name) => self.is_consequence = true,
                None => {
                    let path = path_of("chain", &self.config.chain, index);
                    let names = self.env.chains.iter().map(ChainName::as_str);
                    self.problem(unknown(path, "chain", name, names));
                }
            }
        }
        Some(chains)
    }

    fn entry(&mut self, path: String, text: &str) -> Option<Entry> {
        if text.starts_with("0x") {
            return self.address_at(path, text).map(Entry::Address);
        }
        self.contract_at(path, text).map(Entry::Contract)
    }

    /// The contract called `name`; a problem when there is none.
    pub(super) fn contract_at(&mut self, path: String, name: &str) -> Option<Arc<Contract>> {
        let found = self.env.decoder.contract_named(name).cloned();
        if found.is_none() {
            if self.env.broken.contains(name) {
                self.is_consequence = true;
            } else {
                let names: Vec<Arc<str>> =
                    self.env.decoder.contracts().map(|contract| contract.name.clone()).collect();
                let mut problem = unknown(path, "contract", name, names.iter().map(|name| &**name));
                if names.is_empty() {
                    problem = problem.hint(
                        "Name it under `contracts`, or write its address: `0x` and 40 hex digits.",
                    );
                }
                self.problem(problem);
            }
        }
        found
    }

    pub(super) fn address_at(&mut self, path: String, text: &str) -> Option<Address> {
        let found = address(text);
        if found.is_none() {
            let message = format!("`{}` is no address", shorten(text));
            self.problem(Problem::new(path, message).hint(
                "An address is `0x` and 40 hex digits; in mixed case they must be its EIP-55 \
                 checksum.",
            ));
        }
        found
    }
}

impl Watch {
    fn add(&mut self, contract: Arc<Contract>) {
        self.add_address(contract.chain.clone(), contract.address);
        if !self.contracts.iter().any(|other| other.name == contract.name) {
            self.contracts.push(contract);
        }
    }

    fn add_address(&mut self, chain: ChainName, address: Address) {
        let watched = Watched { chain, address };
        if !self.watched.contains(&watched) {
            self.watched.push(watched);
        }
    }

    /// Whether some watched contract has no name in the config, or all are watched.
    pub(super) fn has_strangers(&self) -> bool {
        self.watched.is_empty() || self.watched.len() > self.contracts.len()
    }
}
