//! Resolves logs, calls and revert data to definitions: the contract's own first, then well-known.

use std::collections::HashMap;
use std::sync::Arc;

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{Address, Selector, U256};
use parking_lot::RwLock;
use wk_model::evm::{Block, Log, Transaction};
use wk_model::{BlockRef, ChainName, Height, Problem};

use super::collection::Abi;
use super::config::{Contract, ProxyMode};
use super::data::Fit;
use super::item::{CustomError, Event, Function, Item, ParamSpec};
use super::known;
use super::proxy::{Detection, Implementations, Moment, Target, Upgrade};

/// How much rarer contracts that are no proxies are read again.
const PLAIN_RARER: u64 = 20;

/// Decodes with the ABIs of the watched contracts and with well-known signatures. Cheap to clone;
/// clones share what is known about proxies.
#[derive(Clone, Debug)]
pub struct Decoder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    contracts: HashMap<ChainName, HashMap<Address, Arc<Contract>>>,
    names: HashMap<Arc<str>, Arc<Contract>>,
    /// Errors of all contracts: a revert may come from any contract that was called on the way.
    errors: Abi,
    /// What is known about proxies outlives the decoder: see `adopt`.
    proxies: RwLock<Arc<RwLock<Implementations>>>,
}

/// A log and what it says.
#[derive(Clone, Debug)]
pub struct DecodedLog<'a> {
    /// The log itself.
    pub log: &'a Log,
    /// The watched contract that emitted it, if it is one.
    pub contract: Option<Arc<Contract>>,
    /// The event; none when no definition fits, and then the log is all that is known.
    pub event: Option<DecodedEvent>,
}

/// A transaction and what it calls.
#[derive(Clone, Debug)]
pub struct DecodedCall<'a> {
    /// The transaction itself.
    pub tx: &'a Transaction,
    /// The watched contract that it calls, if it is one.
    pub contract: Option<Arc<Contract>>,
    /// What it calls.
    pub call: Call,
}

/// What a transaction calls.
#[derive(Clone, Debug)]
pub enum Call {
    /// It creates a contract; what comes after the init code is not decoded.
    Create,
    /// It carries no data: a plain transfer.
    Transfer,
    /// A function with its arguments.
    Function(DecodedFunction),
    /// No definition fits; the selector, where there are four bytes.
    Unknown(Option<Selector>),
}

impl DecodedCall<'_> {
    /// The function, where one was recognised.
    pub fn function(&self) -> Option<&DecodedFunction> {
        match &self.call {
            Call::Function(function) => Some(function),
            Call::Create | Call::Transfer | Call::Unknown(_) => None,
        }
    }
}

/// Revert data and what they say.
#[derive(Clone, Debug)]
pub struct DecodedError<'a> {
    /// The data themselves.
    pub data: &'a [u8],
    /// What they say.
    pub revert: Revert,
}

/// What revert data say.
#[derive(Clone, Debug)]
pub enum Revert {
    /// Nothing: `revert()`, out of gas, or an invalid opcode.
    Empty,
    /// `Error(string)`: a reason in words.
    Reason(String),
    /// `Panic(uint256)`: a failed check that the compiler wrote.
    Panic(U256),
    /// A custom error.
    Custom(Decoded<CustomError>),
    /// No definition fits; the selector, where there are four bytes.
    Unknown(Option<Selector>),
}

/// An event with its values.
pub type DecodedEvent = Decoded<Event>;

/// A function with its arguments.
pub type DecodedFunction = Decoded<Function>;

/// A definition with values for its parameters.
#[derive(Clone, Debug)]
pub struct Decoded<I> {
    /// The definition.
    pub item: Arc<I>,
    /// The values, in the order of the parameters.
    pub values: Vec<DynSolValue>,
    /// Where the definition comes from.
    pub origin: Origin,
}

/// Where a definition comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The ABI that is configured for the contract.
    Contract,
    /// The ABI that is configured for the implementation behind the contract.
    Implementation(Address),
    /// The table of well-known signatures: the standard or protocol.
    Known(&'static str),
}

/// One parameter with its value.
#[derive(Clone, Copy, Debug)]
pub struct Param<'a> {
    /// Its name; `arg0`, `arg1`, … where the source gives none.
    pub name: &'a str,
    /// Its type, as declared.
    pub kind: &'a DynSolType,
    /// True when it stands in the topics.
    pub indexed: bool,
    /// Its value; for an indexed parameter that does not fit in a topic, the hash.
    pub value: &'a DynSolValue,
    /// All of its definition.
    pub spec: &'a ParamSpec,
}

impl<I: Item> Decoded<I> {
    /// The bare name, such as `Transfer`.
    pub fn name(&self) -> &str {
        self.item.name()
    }

    /// The canonical signature, such as `Transfer(address,address,uint256)`.
    pub fn signature(&self) -> &str {
        self.item.signature()
    }

    /// The parameters with their values, in order.
    pub fn params(&self) -> impl Iterator<Item = Param<'_>> {
        self.item.params().iter().zip(&self.values).map(|(spec, value)| Param {
            name: &spec.name,
            kind: &spec.kind,
            indexed: spec.indexed,
            value,
            spec,
        })
    }

    /// The value of the parameter called `name`.
    pub fn get(&self, name: &str) -> Option<&DynSolValue> {
        self.params().find(|param| param.name == name).map(|param| param.value)
    }
}

impl Decoder {
    /// A decoder for these contracts. Problems have paths below `contracts`.
    pub fn build(contracts: Vec<Contract>) -> Result<Decoder, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut proxies = Implementations::default();
        let mut inner = Inner {
            contracts: HashMap::new(),
            names: HashMap::new(),
            errors: Abi::default(),
            proxies: RwLock::default(),
        };
        for contract in contracts {
            for error in contract.abi.errors() {
                inner.errors.add_error((**error).clone());
            }
            let contract = Arc::new(contract);
            let of_chain = inner.contracts.entry(contract.chain.clone()).or_default();
            if let Some(other) = of_chain.insert(contract.address, contract.clone()) {
                let problem = Problem::new(
                    format!("{}.address", contract.name),
                    format!("`{}` has the same address on {}", other.name, contract.chain),
                );
                problems.push(problem.hint("Keep one of the two; a contract has one name."));
            }
            if contract.proxy == ProxyMode::Auto {
                proxies.watch(&contract.chain, contract.address);
            }
            inner.names.insert(contract.name.clone(), contract);
        }
        inner.proxies = RwLock::new(Arc::new(RwLock::new(proxies)));
        if problems.is_empty() { Ok(Decoder(Arc::new(inner))) } else { Err(problems) }
    }

    /// Takes the place of `running`: from now on both share what is known about proxies, so that
    /// nothing is forgotten when the config changes, nor taken for a change in silence. Contracts
    /// that only this decoder watches are unread; those that it does not watch are let go.
    pub fn adopt(&self, running: &Decoder) {
        let shared = running.proxies();
        let watched: Vec<(ChainName, Address)> = self
            .contracts()
            .filter(|contract| contract.proxy == ProxyMode::Auto)
            .map(|contract| (contract.chain.clone(), contract.address))
            .collect();
        shared.write().watch_only(&watched);
        *self.0.proxies.write() = shared;
    }

    fn proxies(&self) -> Arc<RwLock<Implementations>> {
        Arc::clone(&self.0.proxies.read())
    }

    /// The watched contract at an address.
    pub fn contract(&self, chain: &ChainName, address: &Address) -> Option<&Arc<Contract>> {
        self.0.contracts.get(chain)?.get(address)
    }

    /// The watched contract with this name in the config.
    pub fn contract_named(&self, name: &str) -> Option<&Arc<Contract>> {
        self.0.names.get(name)
    }

    /// All watched contracts, in no order.
    pub fn contracts(&self) -> impl Iterator<Item = &Arc<Contract>> {
        self.0.names.values()
    }

    /// What a log in the block at `height` says.
    pub fn log<'a>(&self, chain: &ChainName, height: Height, log: &'a Log) -> DecodedLog<'a> {
        let contract = self.contract(chain, &log.address).cloned();
        let moment = Moment::Log(height, log.index);
        let event = contract
            .as_deref()
            .and_then(|contract| self.own(contract, moment, |abi| own_event(abi, log)))
            .or_else(|| known::event(log));
        DecodedLog { log, contract, event }
    }

    /// What a transaction in the block at `height` calls. A pending transaction is in none: for
    /// it, the height is that of the head.
    pub fn call<'a>(
        &self,
        chain: &ChainName,
        height: Height,
        tx: &'a Transaction,
    ) -> DecodedCall<'a> {
        let contract = tx.to.and_then(|to| self.contract(chain, &to)).cloned();
        let call = match (tx.to, tx.selector().map(Selector::from)) {
            (None, _) => Call::Create,
            (Some(_), None) if tx.input.is_empty() => Call::Transfer,
            (Some(_), None) => Call::Unknown(None),
            (Some(_), Some(selector)) => {
                let moment = match tx.receipt {
                    Some(_) => Moment::Tx(height, tx.index),
                    None => Moment::End(height),
                };
                contract
                    .as_deref()
                    .and_then(|contract| {
                        self.own(contract, moment, |abi| own_function(abi, selector, &tx.input))
                    })
                    .or_else(|| known::function(selector, &tx.input))
                    .map_or(Call::Unknown(Some(selector)), Call::Function)
            }
        };
        DecodedCall { tx, contract, call }
    }

    /// What revert data say. They may come from any contract that was called on the way, so the
    /// errors of all watched contracts are tried, those of `contract` first.
    pub fn revert<'a>(
        &self,
        chain: &ChainName,
        contract: Option<Address>,
        data: &'a [u8],
    ) -> DecodedError<'a> {
        let own = contract.and_then(|address| self.contract(chain, &address));
        let abis = own.map(|contract| &*contract.abi).into_iter().chain([&self.0.errors]);
        DecodedError { data, revert: known::revert(data, abis) }
    }

    /// Takes up the proxy upgrades that a block's logs tell; to be called before the block's logs
    /// are decoded. Gives those of watched contracts and their beacons.
    pub fn observe(&self, chain: &ChainName, block: &Block) -> Vec<Upgrade> {
        self.proxies().write().observe(chain, block)
    }

    /// Forgets the upgrades of a block that is no longer part of the chain.
    pub fn revert_block(&self, chain: &ChainName, block: &BlockRef) {
        self.proxies().write().revert(chain, block);
    }

    /// Watched contracts of which it has to be read whether they are proxies: see `proxy::detect`.
    pub fn unread(&self, chain: &ChainName) -> Vec<Address> {
        self.proxies().read().unread(chain)
    }

    /// Watched contracts that are to be read with the block at `height`: those that have to be, and
    /// those whose turn it is, because what is behind them can change without an event.
    pub fn due(&self, chain: &ChainName, height: Height) -> Vec<Address> {
        let mut due = self.unread(chain);
        let proxies = self.proxies();
        let proxies = proxies.read();
        let of_chain = self.0.contracts.get(chain).into_iter().flatten();
        for (address, contract) in of_chain {
            let known = proxies.target_at(chain, address, Moment::End(height));
            let every = match known {
                None => continue,
                // What is no proxy hardly becomes one.
                Some(Target::Nothing) => contract.reread_blocks.saturating_mul(PLAIN_RARER),
                Some(Target::Implementation(_) | Target::Beacon(_)) => contract.reread_blocks,
            };
            // Spread, so that no block has to wait for all of them.
            let place = u64::from_be_bytes(address.0[12..].try_into().expect("eight bytes"));
            let turn = height.0.wrapping_add(place).checked_rem(every);
            if turn == Some(0) && contract.proxy == ProxyMode::Auto && !due.contains(address) {
                due.push(*address);
            }
        }
        due.sort_unstable();
        due
    }

    /// A watched contract could not be read, or is to be read again.
    pub fn doubt(&self, chain: &ChainName, address: &Address) {
        self.proxies().write().doubt(chain, address);
    }

    /// What is known to be behind a contract itself, and who may upgrade it, after the block at
    /// `height`.
    pub fn behind(
        &self,
        chain: &ChainName,
        address: &Address,
        height: Height,
    ) -> (Option<Target>, Option<Address>) {
        let proxies = self.proxies();
        let proxies = proxies.read();
        let moment = Moment::End(height);
        let target = proxies.target_at(chain, address, moment);
        (target, proxies.admin_at(chain, address, moment))
    }

    /// Takes up what `proxy::detect` found in the state of block `at`; gives what is new.
    pub fn learn(&self, chain: &ChainName, at: BlockRef, detection: &Detection) -> Vec<Upgrade> {
        self.proxies().write().learn(chain, at, detection)
    }

    /// Takes up upgrades that were stored before.
    pub fn restore(&self, upgrades: impl IntoIterator<Item = Upgrade>) {
        self.proxies().write().restore(upgrades);
    }

    /// The code behind a contract at a moment; none when it is no proxy as far as known.
    pub fn implementation(
        &self,
        chain: &ChainName,
        address: &Address,
        moment: Moment,
    ) -> Option<Address> {
        self.proxies().read().at(chain, address, moment)
    }

    /// What the ABIs of a contract make of something: first that of the implementation behind it
    /// at that moment, then its own, then those of all its other implementations.
    fn own<I>(
        &self,
        contract: &Contract,
        moment: Moment,
        decode: impl Fn(&Abi) -> Option<(Arc<I>, Vec<DynSolValue>)>,
    ) -> Option<Decoded<I>> {
        let Contract { chain, address, abi, proxy, .. } = contract;
        let by = |implementation: Address| {
            let (item, values) = decode(&self.contract(chain, &implementation)?.abi)?;
            Some(Decoded { item, values, origin: Origin::Implementation(implementation) })
        };
        let current = match proxy {
            ProxyMode::Auto => self.proxies().read().at(chain, address, moment),
            ProxyMode::None => None,
        };
        current
            .and_then(by)
            .or_else(|| {
                let (item, values) = decode(abi)?;
                Some(Decoded { item, values, origin: Origin::Contract })
            })
            .or_else(|| match proxy {
                ProxyMode::Auto => {
                    let ever = self.proxies().read().ever(chain, address);
                    ever.into_iter().filter(|other| Some(*other) != current).find_map(by)
                }
                ProxyMode::None => None,
            })
    }
}

/// The event of a contract's own ABI that a log fits best: by the first topic, else as anonymous.
fn own_event(abi: &Abi, log: &Log) -> Option<(Arc<Event>, Vec<DynSolValue>)> {
    let named = log.topics.first().map_or(&[][..], |topic0| abi.with_topic0(topic0));
    best(named, Fit::Dirty, |event| event.fit(&log.topics, &log.data).ok())
        // Nothing but the shape tells what an anonymous log is: only clean values are believed.
        .or_else(|| {
            best(abi.anonymous(), Fit::Slack, |event| event.fit(&log.topics, &log.data).ok())
        })
}

fn own_function(
    abi: &Abi,
    selector: Selector,
    input: &[u8],
) -> Option<(Arc<Function>, Vec<DynSolValue>)> {
    best(abi.functions_selected(selector), Fit::Dirty, |function| function.fit(input).ok())
}

/// The item that fits best, the first of equals; none when no fit is as good as `worst`.
pub(super) fn best<I>(
    items: &[Arc<I>],
    worst: Fit,
    fit: impl Fn(&I) -> Option<(Vec<DynSolValue>, Fit)>,
) -> Option<(Arc<I>, Vec<DynSolValue>)> {
    let mut best: Option<(&Arc<I>, Vec<DynSolValue>, Fit)> = None;
    for item in items {
        let Some((values, fit)) = fit(item) else { continue };
        if fit > worst || best.as_ref().is_some_and(|(_, _, best)| *best <= fit) {
            continue;
        }
        best = Some((item, values, fit));
        if fit == Fit::Exact {
            break;
        }
    }
    best.map(|(item, values, _)| (item.clone(), values))
}
