//! Which events or functions a rule means, and which of their parameters it sees.

use std::sync::Arc;

use wk_chain::abi::{
    Abi, AbiError, Contract, Event, Function, Item, ParamSpec, known_events, known_functions,
};
use wk_model::{OneOrMany, Problem};

use super::Compiler;
use super::watch::{Watch, path_of};
use crate::cel::Type;
use crate::convert::param_type;
use crate::names::{enumerate, shorten, unknown};
use crate::rule::Signature;

/// The definitions that a rule means.
pub(super) struct Definitions<I> {
    pub(super) signatures: Vec<Arc<Signature<I>>>,
    /// The parameters that the rule sees as variables.
    pub(super) params: Vec<(Arc<str>, Type)>,
}

/// What events and functions have in common, for finding them.
trait Definition: Item + Sized {
    const NOUN: &'static str;
    const EXAMPLE: &'static str;
    fn parse(text: &str) -> Result<Self, AbiError>;
    fn named(abi: &Abi, name: &str) -> Vec<Arc<Self>>;
    fn all(abi: &Abi) -> &[Arc<Self>];
    fn known(name: &str) -> Vec<Arc<Self>>;
    /// Tells apart what has one signature: for each parameter whether it is indexed.
    fn layout(&self) -> Vec<bool>;
}

impl Definition for Event {
    const NOUN: &'static str = "event";
    const EXAMPLE: &'static str = "Withdraw(address indexed to, uint256 amount)";

    fn parse(text: &str) -> Result<Event, AbiError> {
        Event::parse(text)
    }

    fn named(abi: &Abi, name: &str) -> Vec<Arc<Event>> {
        abi.events_named(name).cloned().collect()
    }

    fn all(abi: &Abi) -> &[Arc<Event>] {
        abi.events()
    }

    fn known(name: &str) -> Vec<Arc<Event>> {
        known_events(name)
    }

    fn layout(&self) -> Vec<bool> {
        self.params().iter().map(|param| param.indexed).chain([self.is_anonymous()]).collect()
    }
}

impl Definition for Function {
    const NOUN: &'static str = "function";
    const EXAMPLE: &'static str = "withdraw(uint256 amount)";

    fn parse(text: &str) -> Result<Function, AbiError> {
        Function::parse(text)
    }

    fn named(abi: &Abi, name: &str) -> Vec<Arc<Function>> {
        abi.functions_named(name).cloned().collect()
    }

    fn all(abi: &Abi) -> &[Arc<Function>] {
        abi.functions()
    }

    fn known(name: &str) -> Vec<Arc<Function>> {
        known_functions(name)
    }

    fn layout(&self) -> Vec<bool> {
        Vec::new()
    }
}

impl Compiler<'_> {
    /// The events that the rule means; none when something is wrong with them.
    pub(super) fn events(&mut self, watch: &Watch) -> Option<Definitions<Event>> {
        let texts = &self.config.event;
        let found = self.definitions::<Event>("event", texts, watch)?;
        let anonymous = found.iter().position(|event| event.is_anonymous());
        if anonymous.is_some() && watch.watched.is_empty() {
            let problem =
                Problem::new("event", "an anonymous event can only be known by its contract");
            self.problem(problem.hint("Say with `watch` whose event it is."));
            return None;
        }
        Some(self.seen_of(&found))
    }

    /// The functions that the rule means; none when something is wrong with them.
    pub(super) fn functions(&mut self, watch: &Watch) -> Option<Definitions<Function>> {
        let texts = &self.config.function;
        let found = self.definitions::<Function>("function", texts, watch)?;
        Some(self.seen_of(&found))
    }

    /// The parameters that all have; the others are noted, for those who ask for them.
    fn seen_of<I: Item>(&mut self, items: &[Arc<I>]) -> Definitions<I> {
        let found = seen(items);
        for item in items {
            for param in item.params() {
                if !found.params.iter().any(|(name, _)| *name == param.name) {
                    self.partial.push((Arc::clone(&param.name), Arc::clone(item.name())));
                }
            }
        }
        found
    }

    fn definitions<I: Definition>(
        &mut self,
        key: &str,
        texts: &OneOrMany<String>,
        watch: &Watch,
    ) -> Option<Vec<Arc<I>>> {
        let mut all: Vec<Arc<I>> = Vec::new();
        let mut is_whole = true;
        for (index, text) in texts.iter().enumerate() {
            let path = path_of(key, texts, index);
            let found = if text.contains('(') {
                self.written::<I>(&path, text, watch)
            } else if !watch.is_whole {
                Vec::new()
            } else {
                self.named::<I>(&path, text.trim(), watch)
            };
            is_whole &= !found.is_empty();
            for item in found {
                let same = |other: &&Arc<I>| {
                    other.signature() == item.signature() && other.layout() == item.layout()
                };
                if all.iter().find(same).is_none() {
                    all.push(item);
                }
            }
        }
        is_whole.then_some(all)
    }

    /// A full signature. Without any `indexed`, the layouts that ABIs know for it count as well:
    /// the word is easily forgotten.
    fn written<I: Definition>(&mut self, path: &str, text: &str, watch: &Watch) -> Vec<Arc<I>> {
        let written = match I::parse(text) {
            Ok(item) => Arc::new(item),
            Err(error) => {
                self.problem(error.problem(path));
                return Vec::new();
            }
        };
        let with_same_signature = |items: Vec<Arc<I>>| -> Vec<Arc<I>> {
            items.into_iter().filter(|item| item.signature() == written.signature()).collect()
        };
        let known = with_same_signature(I::known(written.name()));
        let in_abis: Vec<Arc<I>> = watch
            .contracts
            .iter()
            .flat_map(|contract| with_same_signature(I::named(&contract.abi, written.name())))
            .collect();
        let forgot_indexed = !text.contains("indexed");
        let fits = |item: &Arc<I>| item.layout() == written.layout();
        if !forgot_indexed && !in_abis.is_empty() && !in_abis.iter().any(fits) {
            let message =
                format!("the contract's ABI has other parameters of `{}` indexed", written.name());
            self.problem(
                Problem::new(path, message).hint(format!(
                    "Write only the name, `{}`, and the ABI is taken.",
                    written.name()
                )),
            );
            return Vec::new();
        }
        let mut found = vec![written];
        if forgot_indexed {
            found.extend(in_abis);
            found.extend(known);
        }
        found
    }

    /// A name: of the watched contracts' ABIs, else a well-known one.
    fn named<I: Definition>(&mut self, path: &str, name: &str, watch: &Watch) -> Vec<Arc<I>> {
        let mut found = Vec::new();
        let mut unknown_to = Vec::new();
        for contract in &watch.contracts {
            let own = I::named(&contract.abi, name);
            if own.is_empty() {
                unknown_to.push(contract);
            }
            found.extend(own);
        }
        if !unknown_to.is_empty() || watch.has_strangers() {
            // Some other contract of the list may be the one that has it, such as with
            // `watch: [a, b]` and `event: [OfA, OfB]`.
            if !found.is_empty() && !watch.has_strangers() {
                return found;
            }
            found.extend(self.well_known::<I>(path, name, &unknown_to));
        }
        found
    }

    fn well_known<I: Definition>(
        &mut self,
        path: &str,
        name: &str,
        unknown_to: &[&Arc<Contract>],
    ) -> Vec<Arc<I>> {
        let known = I::known(name);
        let noun = I::NOUN;
        let is_clear = known.iter().all(|item| item.signature() == known[0].signature());
        if let Some(contract) = unknown_to.iter().find(|contract| !I::all(&contract.abi).is_empty())
            && (known.is_empty() || !is_clear)
        {
            let mut names: Vec<&str> =
                I::all(&contract.abi).iter().map(|item| &**item.name()).collect();
            names.sort_unstable();
            names.dedup();
            let mut problem = unknown(path, noun, name, names.iter().copied());
            problem.message = format!("`{}` has no {noun} `{}`", contract.name, shorten(name));
            let others = format!("Its {noun}s: {}.", enumerate(&names));
            problem.hint = match problem.hint.take() {
                Some(hint) if hint.starts_with("Did you mean") => Some(format!("{hint} {others}")),
                _ => Some(others),
            };
            self.problem(problem);
            return Vec::new();
        }
        match known.as_slice() {
            [] => {
                let message = format!("no ABI is known that has the {noun} `{}`", shorten(name));
                self.problem(Problem::new(path, message).hint(match unknown_to.first() {
                    Some(contract) => format!(
                        "Give `{}` an `abi`, or write the full signature, such as `{}`.",
                        contract.name,
                        I::EXAMPLE
                    ),
                    None => format!("Write the full signature, such as `{}`.", I::EXAMPLE),
                }));
                Vec::new()
            }
            _ if !is_clear => {
                let forms: Vec<String> = known.iter().map(|item| written_out(&**item)).collect();
                let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
                let message = format!("`{name}` is the name of several {noun}s");
                self.problem(Problem::new(path, message).hint(format!(
                    "Write the signature of the one that is meant: {}.",
                    enumerate(&forms)
                )));
                Vec::new()
            }
            _ => known,
        }
    }
}

/// The full form of a definition, as people write it.
fn written_out<I: Item>(item: &I) -> String {
    let params = item.params().iter().map(|param| {
        let indexed = if param.indexed { "indexed " } else { "" };
        format!("{} {indexed}{}", wk_chain::abi::kind_name(&param.kind), param.name)
    });
    format!("`{}({})`", item.name(), params.collect::<Vec<_>>().join(", "))
}

/// The parameters that all definitions have: by place where all have one signature, else by name
/// and type.
fn seen<I: Item>(items: &[Arc<I>]) -> Definitions<I> {
    let Some((first, rest)) = items.split_first() else {
        return Definitions { signatures: Vec::new(), params: Vec::new() };
    };
    let same_signature = rest.iter().all(|item| item.signature() == first.signature());
    let same_names = |item: &&Arc<I>| {
        item.params().iter().map(|p| &p.name).eq(first.params().iter().map(|p| &p.name))
    };
    if same_signature && !rest.iter().all(|item| same_names(&item)) {
        // One signature under several layouts: the first one's names stand for the places.
        let params: Vec<(Arc<str>, Type)> = first
            .params()
            .iter()
            .map(|param| (Arc::clone(&param.name), place_type(items, param, first)))
            .collect();
        let signature = |item: &Arc<I>| {
            let mut signature = Signature::new(item, []);
            signature.order = (0..params.len()).collect();
            Arc::new(signature)
        };
        return Definitions { signatures: items.iter().map(signature).collect(), params };
    }
    let in_all = |param: &&ParamSpec| {
        rest.iter().all(|item| {
            item.params()
                .iter()
                .any(|other| other.name == param.name && param_type(other) == param_type(param))
        })
    };
    let params: Vec<(Arc<str>, Type)> = first
        .params()
        .iter()
        .filter(in_all)
        .map(|param| (Arc::clone(&param.name), param_type(param)))
        .collect();
    let signature =
        |item: &Arc<I>| Arc::new(Signature::new(item, params.iter().map(|(name, _)| &**name)));
    Definitions { signatures: items.iter().map(signature).collect(), params }
}

/// The type at one place: that of the parameter, or `dyn` where only some definitions have its
/// hash.
fn place_type<I: Item>(items: &[Arc<I>], param: &ParamSpec, first: &Arc<I>) -> Type {
    let place = first.params().iter().position(|other| std::ptr::eq(other, param));
    let of = |item: &Arc<I>| place.and_then(|place| item.params().get(place)).map(param_type);
    let ty = param_type(param);
    if items.iter().all(|item| of(item).as_ref() == Some(&ty)) { ty } else { Type::Dyn }
}
