//! Calls and events as a contract would encode them, from names and values as people write them.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, keccak256};
use serde_json::Value as Json;
use wk_chain::abi::{
    AbiError, DynSolValue, Event, Function, Item, ParamSpec, known_events, known_functions,
};
use wk_model::{Problem, evm};

use super::build::Builder;
use super::config::GivenEvent;
use crate::coerce::{coerce, zero};
use crate::names::{enumerate, shorten, unknown};

impl Builder<'_> {
    pub(super) fn call_data(
        &mut self,
        path: &str,
        text: &str,
        args: Option<&Json>,
        to: Address,
    ) -> Option<Bytes> {
        let at = format!("{path}.function");
        let function = if text.contains('(') {
            Arc::new(self.parsed(&at, Function::parse(text))?)
        } else {
            let abi =
                self.env.decoder.contract(&self.chain, &to).map(|contract| contract.abi.clone());
            let own = abi.iter().flat_map(|abi| abi.functions_named(text).cloned()).collect();
            self.one_of(&at, "function", text, own, known_functions(text), args)?
        };
        let values = self.values(&format!("{path}.args"), function.params(), args)?;
        let data = function.encode(&values).expect("the values were made for the parameters");
        Some(Bytes::from(data))
    }

    pub(super) fn log(&mut self, path: &str, given: &GivenEvent) -> Option<evm::Log> {
        let address = self.account(format!("{path}.contract"), &given.contract)?;
        let at = format!("{path}.event");
        let text = given.event.as_str();
        let event = if text.contains('(') {
            Arc::new(self.parsed(&at, Event::parse(text))?)
        } else {
            let abi = self
                .env
                .decoder
                .contract(&self.chain, &address)
                .map(|contract| contract.abi.clone());
            let own = abi.iter().flat_map(|abi| abi.events_named(text).cloned()).collect();
            self.one_of(&at, "event", text, own, known_events(text), given.args.as_ref())?
        };
        let values = self.values(&format!("{path}.args"), event.params(), given.args.as_ref())?;
        Some(encode(address, &event, &values))
    }

    fn parsed<I>(&mut self, path: &str, parsed: Result<I, AbiError>) -> Option<I> {
        parsed.map_err(|error| self.problem(error.problem(path))).ok()
    }

    /// The contract's own definition, else a well-known one; of several the one that the arguments
    /// fit by their number or names.
    fn one_of<I: Item>(
        &mut self,
        path: &str,
        noun: &str,
        name: &str,
        own: Vec<Arc<I>>,
        known: Vec<Arc<I>>,
        args: Option<&Json>,
    ) -> Option<Arc<I>> {
        let candidates = if own.is_empty() { known } else { own };
        let fits = |item: &&Arc<I>| match args {
            Some(Json::Array(args)) => args.len() == item.params().len(),
            Some(Json::Object(args)) => {
                args.keys().all(|key| item.params().iter().any(|param| *param.name == **key))
            }
            _ => item.params().is_empty(),
        };
        let fitting: Vec<&Arc<I>> = candidates.iter().filter(fits).collect();
        match (fitting.as_slice(), candidates.as_slice()) {
            ([one, ..], _) => Some(Arc::clone(one)),
            // What is wrong with the arguments is told when they are read.
            ([], [one, ..]) => Some(Arc::clone(one)),
            ([], []) => {
                let message = format!("no ABI is known that has the {noun} `{}`", shorten(name));
                self.problem(
                    Problem::new(path, message)
                        .hint("Write its full signature, with types and names."),
                );
                None
            }
        }
    }

    /// Values for all parameters: by name, in order, or zero.
    pub(super) fn values(
        &mut self,
        path: &str,
        params: &[ParamSpec],
        args: Option<&Json>,
    ) -> Option<Vec<DynSolValue>> {
        let names: Vec<&str> = params.iter().map(|param| &*param.name).collect();
        let before = self.problems.len();
        match args {
            Some(Json::Object(args)) => {
                for name in args.keys().filter(|name| !names.contains(&name.as_str())) {
                    let mut problem =
                        unknown(format!("{path}.{name}"), "parameter", name, names.iter().copied());
                    if names.is_empty() {
                        problem.hint = Some("There are none.".to_owned());
                    }
                    self.problem(problem);
                }
            }
            Some(Json::Array(args)) if args.len() != params.len() => {
                let message =
                    format!("{} values are given for {} parameters", args.len(), params.len());
                let hint = format!("Give, in order: {}.", enumerate(&names));
                self.problem(Problem::new(path, message).hint(hint));
            }
            None | Some(Json::Array(_) | Json::Null) => {}
            Some(_) => {
                let problem = Problem::new(path, "parameters are given by name or in order");
                self.problem(problem.hint("Write `{name: value}` or `[value]`."));
            }
        }
        if self.problems.len() > before {
            return None;
        }
        let mut values = Vec::with_capacity(params.len());
        for (index, param) in params.iter().enumerate() {
            let (arg, step) = match args {
                Some(Json::Object(args)) => (args.get(&*param.name), format!(".{}", param.name)),
                Some(Json::Array(args)) => (args.get(index), format!("[{index}]")),
                _ => (None, String::new()),
            };
            match arg {
                None => values.push(zero(&param.kind)),
                Some(arg) => values.extend(self.value(&format!("{path}{step}"), param, arg)),
            }
        }
        (values.len() == params.len()).then_some(values)
    }

    pub(super) fn value(
        &mut self,
        path: &str,
        param: &ParamSpec,
        arg: &Json,
    ) -> Option<DynSolValue> {
        let resolve = |name: &str| {
            let contract = self.env.decoder.contract_named(name)?;
            (contract.chain == self.chain).then_some(contract.address)
        };
        match coerce(&param.kind, &param.fields, arg, &resolve) {
            Ok(value) => Some(value),
            Err(misfit) => {
                let mut problem = Problem::new(format!("{path}{}", misfit.path), misfit.message);
                problem.hint = misfit.hint;
                self.problem(problem);
                None
            }
        }
    }
}

/// A log of `event` with these values, as a contract would emit it.
fn encode(address: Address, event: &Event, values: &[DynSolValue]) -> evm::Log {
    let mut topics = Vec::new();
    if !event.is_anonymous() {
        topics.push(event.topic0());
    }
    let mut rest = Vec::new();
    for (param, value) in event.params().iter().zip(values) {
        match (param.indexed, value) {
            (false, value) => rest.push(value.clone()),
            (true, DynSolValue::String(text)) => topics.push(keccak256(text.as_bytes())),
            (true, DynSolValue::Bytes(bytes)) => topics.push(keccak256(bytes)),
            (true, value) => topics.push(match value.as_word() {
                Some(word) => word,
                None => keccak256(value.abi_encode_packed()),
            }),
        }
    }
    let data = Bytes::from(DynSolValue::Tuple(rest).abi_encode_params());
    evm::Log { address, topics, data, index: 0 }
}
