//! What an `evm.state` rule reads, of which contracts, and the types of the answers.

use std::sync::Arc;

use alloy_primitives::{B256, U256};
use wk_chain::abi::{DynSolType, Function, Item};
use wk_model::{Address, ChainName, Problem};

use super::Compiler;
use super::watch::Watch;
use crate::cel::Type;
use crate::coerce::{amount, coerce};
use crate::config::ReadConfig;
use crate::convert::{param_type, params_type};
use crate::input::StateRead;
use crate::names::{enumerate, shorten, unknown};
use crate::rule::{Decode, Read, StateTarget, call};

/// Names that a read cannot have, since they mean something else already.
const TAKEN: [&str; 8] =
    ["previous", "block", "chain", "contract", "finality", "lists", "contracts", "count"];

type Reads = (Vec<StateTarget>, Vec<(Arc<str>, Type)>);

impl Compiler<'_> {
    /// What is read at each watched contract, and the types of the reads by name.
    pub(super) fn reads(&mut self, watch: &Watch) -> Option<Reads> {
        let config = self.config;
        let mut reads: Vec<(String, &str, &ReadConfig)> = Vec::new();
        if let Some(read) = &config.read {
            reads.push(("read".to_owned(), "value", read));
        }
        for (name, read) in &config.reads {
            self.read_name(name);
            reads.push((format!("reads.{name}"), name, read));
        }
        if reads.is_empty() {
            return None;
        }
        let places = self.places(watch, &reads);
        let mut targets = Vec::new();
        let mut types: Vec<(Arc<str>, Type)> = Vec::new();
        let mut is_whole = true;
        for (key, place, chain) in places {
            let mut target =
                StateTarget { chain: chain.clone(), key, address: place, reads: Vec::new() };
            for (path, name, read) in &reads {
                let Some((request, decode)) = self.read(path, read, &chain, place) else {
                    is_whole = false;
                    continue;
                };
                match types.iter().find(|(known, _)| &**known == *name) {
                    None => types.push(((*name).into(), decode.ty())),
                    Some((_, ty)) if *ty == decode.ty() => {}
                    Some((_, ty)) => {
                        let message =
                            format!("the watched contracts answer with {ty} and {}", decode.ty());
                        self.problem(
                            Problem::new(path.as_str(), message)
                                .hint("Make one rule for each kind of contract."),
                        );
                        is_whole = false;
                    }
                }
                target.reads.push(Read { name: (*name).to_owned(), request, decode });
            }
            targets.push(target);
            if !is_whole {
                // The other contracts would only say the same again.
                break;
            }
        }
        is_whole.then_some((targets, types))
    }

    fn read_name(&mut self, name: &str) {
        let identifier = name
            .chars()
            .enumerate()
            .all(|(i, c)| c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit()));
        if name.is_empty() || !identifier || TAKEN.contains(&name) {
            let message = format!("`{}` cannot be the name of a read", shorten(name));
            self.problem(
                Problem::new(format!("reads.{name}"), message).hint(format!(
                    "Use letters, digits and `_`, and none of {}.",
                    TAKEN.join(", ")
                )),
            );
        }
    }

    /// Where to read: at each watched contract; without `watch`, once on each chain that the rule
    /// and the reads' own contracts allow.
    fn places(
        &mut self,
        watch: &Watch,
        reads: &[(String, &str, &ReadConfig)],
    ) -> Vec<(String, Option<Address>, ChainName)> {
        let is_single = watch.watched.len() == 1;
        if !watch.watched.is_empty() {
            let place = |watched: &crate::rule::Watched| {
                let named = self.env.decoder.contract(&watched.chain, &watched.address);
                let name = named.map_or_else(
                    || format!("{:#x}", watched.address),
                    |contract| contract.name.to_string(),
                );
                let key = if is_single { String::new() } else { name };
                // An address may be watched on several chains: memory is by chain anyway.
                (key, Some(watched.address), watched.chain.clone())
            };
            return watch.watched.iter().map(place).collect();
        }
        let own_chains = reads.iter().filter_map(|(_, _, read)| {
            let name = read.contract.as_deref().or(read.balance.as_deref())?;
            Some(self.env.decoder.contract_named(name)?.chain.clone())
        });
        let mut chains: Vec<ChainName> = own_chains.collect();
        chains.sort();
        chains.dedup();
        if chains.len() > 1 {
            self.problem(
                Problem::new("reads", "the contracts are on different chains")
                    .hint("One rule reads from one chain, at one block."),
            );
            return Vec::new();
        }
        let chains = if chains.is_empty() || !self.config.chain.is_empty() {
            watch.chains.clone()
        } else {
            chains
        };
        chains.into_iter().map(|chain| (String::new(), None, chain)).collect()
    }

    fn read(
        &mut self,
        path: &str,
        config: &ReadConfig,
        chain: &ChainName,
        place: Option<Address>,
    ) -> Option<(StateRead, Decode)> {
        let ReadConfig { call, args, slot, kind, balance, contract } = config;
        let said: Vec<&str> =
            [("call", call.is_some()), ("slot", slot.is_some()), ("balance", balance.is_some())]
                .into_iter()
                .filter_map(|(key, is_set)| is_set.then_some(key))
                .collect();
        if said.len() != 1 {
            let message = if said.is_empty() {
                "it is not said what to read".to_owned()
            } else {
                format!("{} cannot be in one read", said.join(" and "))
            };
            self.problem(
                Problem::new(path, message).hint("Write one of `call`, `slot`, `balance`."),
            );
            return None;
        }
        for (key, is_set, needed) in
            [("args", !args.is_empty(), "call"), ("as", kind.is_some(), "slot")]
        {
            if is_set && !said.contains(&needed) {
                let message = format!("`{key}` belongs to `{needed}`");
                self.problem(Problem::new(format!("{path}.{key}"), message));
                return None;
            }
        }
        if let Some(account) = balance {
            let address = self.account(format!("{path}.balance"), account, chain)?;
            return Some((StateRead::Balance { address }, Decode::Balance));
        }
        let address = match (contract, place) {
            (Some(text), _) => self.account(format!("{path}.contract"), text, chain)?,
            (None, Some(address)) => address,
            (None, None) => {
                let problem = Problem::new(path, "it is not said which contract to read from");
                self.problem(problem.hint("Name it with `watch`, or with `contract` in the read."));
                return None;
            }
        };
        match (call, slot) {
            (Some(text), _) => self.call(path, text, args, chain, address),
            (None, Some(text)) => self.slot(path, text, kind.as_deref(), address),
            (None, None) => None,
        }
    }

    /// The address of a contract's name on `chain`, or a written one.
    fn account(&mut self, path: String, text: &str, chain: &ChainName) -> Option<Address> {
        if text.starts_with("0x") {
            return self.address_at(path, text);
        }
        let contract = self.contract_at(path.clone(), text)?;
        if contract.chain != *chain {
            let message = format!("`{}` is on {}, not on {chain}", contract.name, contract.chain);
            self.problem(Problem::new(path, message).hint("One rule reads from one chain."));
            return None;
        }
        Some(contract.address)
    }

    fn call(
        &mut self,
        path: &str,
        text: &str,
        args: &[serde_json::Value],
        chain: &ChainName,
        address: Address,
    ) -> Option<(StateRead, Decode)> {
        let at = format!("{path}.call");
        let function = self.function(&at, text, chain, address)?;
        let inputs = function.params();
        if inputs.len() != args.len() {
            let message = format!(
                "{} takes {} arguments, {} are given",
                function.signature(),
                inputs.len(),
                args.len()
            );
            let names: Vec<&str> = inputs.iter().map(|param| &*param.name).collect();
            let problem = Problem::new(format!("{path}.args"), message);
            self.problem(match names.is_empty() {
                true => problem.hint("Leave `args` out."),
                false => problem.hint(format!("Give, in order: {}.", enumerate(&names))),
            });
            return None;
        }
        let resolve = |name: &str| {
            let contract = self.env.decoder.contract_named(name)?;
            (contract.chain == *chain).then_some(contract.address)
        };
        let mut values = Vec::with_capacity(args.len());
        let mut misfits = Vec::new();
        for (index, (param, arg)) in inputs.iter().zip(args).enumerate() {
            match coerce(&param.kind, &param.fields, arg, &resolve) {
                Ok(value) => values.push(value),
                Err(misfit) => misfits.push((index, misfit)),
            }
        }
        if !misfits.is_empty() {
            for (index, misfit) in misfits {
                let place = format!("{path}.args[{index}]{}", misfit.path);
                let mut problem = Problem::new(place, misfit.message);
                problem.hint = misfit.hint;
                self.problem(problem);
            }
            return None;
        }
        let data = function.encode(&values).expect("the arguments were made for the parameters");
        let ty = match function.outputs() {
            [one] => param_type(one),
            many => params_type(&format!("answer of {}", function.name()), many),
        };
        Some((call(address, data), Decode::Outputs(function, ty)))
    }

    /// The function that `text` names or writes out.
    fn function(
        &mut self,
        path: &str,
        text: &str,
        chain: &ChainName,
        address: Address,
    ) -> Option<Arc<Function>> {
        if text.contains('(') {
            let function = match Function::parse(text) {
                Ok(function) => function,
                Err(error) => {
                    self.problem(error.problem(path));
                    return None;
                }
            };
            if function.outputs().is_empty() {
                let message = format!("`{}` does not say what it returns", shorten(text));
                self.problem(Problem::new(path, message).hint(format!(
                    "Write it behind, such as `function {} returns (uint256)`.",
                    function.signature()
                )));
                return None;
            }
            return Some(Arc::new(function));
        }
        let Some(contract) = self.env.decoder.contract(chain, &address).cloned() else {
            self.problem(no_abi(path, text));
            return None;
        };
        let found: Vec<&Arc<Function>> = contract.abi.functions_named(text).collect();
        match found.as_slice() {
            [function] if !function.outputs().is_empty() => Some(Arc::clone(function)),
            [function] => {
                let message = format!("`{}` returns nothing", function.signature());
                self.problem(Problem::new(path, message));
                None
            }
            [] if contract.abi.functions().is_empty() => {
                self.problem(no_abi(path, text));
                None
            }
            [] => {
                let names = contract.abi.functions().iter().map(|function| &**function.name());
                let mut problem = unknown(path, "function", text, names);
                problem.message =
                    format!("`{}` has no function `{}`", contract.name, shorten(text));
                self.problem(problem);
                None
            }
            many => {
                let forms: Vec<&str> =
                    many.iter().map(|function| &**function.signature()).collect();
                let message = format!("`{}` has several functions `{text}`", contract.name);
                self.problem(Problem::new(path, message).hint(format!(
                    "Write the one that is meant with what it returns: {}.",
                    enumerate(&forms)
                )));
                None
            }
        }
    }

    fn slot(
        &mut self,
        path: &str,
        text: &str,
        kind: Option<&str>,
        address: Address,
    ) -> Option<(StateRead, Decode)> {
        let slot: Option<U256> = amount(&serde_json::Value::String(text.to_owned()))
            .filter(|_| text.chars().all(|c| c.is_ascii_hexdigit() || c == 'x'));
        if slot.is_none() {
            let message = format!("`{}` is no storage slot", shorten(text));
            let problem = Problem::new(format!("{path}.slot"), message);
            self.problem(
                problem.hint("Write a number, or `0x` and up to 64 hex digits, in quotes."),
            );
        }
        let kind_text = kind.unwrap_or("uint256");
        let kind = DynSolType::parse(kind_text).ok().filter(|kind| {
            matches!(
                kind,
                DynSolType::Uint(_)
                    | DynSolType::Int(_)
                    | DynSolType::Address
                    | DynSolType::Bool
                    | DynSolType::FixedBytes(_)
            )
        });
        if kind.is_none() {
            let message = format!("`{}` does not fit in a slot", shorten(kind_text));
            let problem = Problem::new(format!("{path}.as"), message);
            self.problem(
                problem.hint("Use uint256, int256, address, bool, bytes32 or a narrower one."),
            );
        }
        let slot = B256::from(slot?);
        Some((StateRead::Storage { address, slot }, Decode::Slot(kind?)))
    }
}

fn no_abi(path: &str, name: &str) -> Problem {
    let message = format!("no ABI is known that has the function `{}`", shorten(name));
    Problem::new(path, message).hint(format!(
        "Write its signature, such as `function {}() returns (uint256)`.",
        shorten(name)
    ))
}
