//! All items of one contract's ABI, found by the hashes that stand on chain.

use std::collections::HashMap;
use std::sync::Arc;

use alloy_primitives::{B256, Selector};

use super::item::{CustomError, Event, Function, Item};

/// A contract's events, functions and errors, in the order of the source.
#[derive(Clone, Debug, Default)]
pub struct Abi {
    events: Vec<Arc<Event>>,
    functions: Vec<Arc<Function>>,
    errors: Vec<Arc<CustomError>>,
    by_topic0: HashMap<B256, Vec<Arc<Event>>>,
    anonymous: Vec<Arc<Event>>,
    by_function: HashMap<Selector, Vec<Arc<Function>>>,
    by_error: HashMap<Selector, Vec<Arc<CustomError>>>,
}

impl Abi {
    /// True when there is nothing to decode with.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.functions.is_empty() && self.errors.is_empty()
    }

    /// The events, in the order of the source.
    pub fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// The functions, in the order of the source.
    pub fn functions(&self) -> &[Arc<Function>] {
        &self.functions
    }

    /// The custom errors, in the order of the source.
    pub fn errors(&self) -> &[Arc<CustomError>] {
        &self.errors
    }

    /// Events with this bare name or canonical signature; several where it is overloaded.
    pub fn events_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<Event>> {
        named(&self.events, name)
    }

    /// Functions with this bare name or canonical signature; several where it is overloaded.
    pub fn functions_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<Function>> {
        named(&self.functions, name)
    }

    /// Errors with this bare name or canonical signature; several where it is overloaded.
    pub fn errors_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<CustomError>> {
        named(&self.errors, name)
    }

    /// Events whose signature hashes to `topic0`: more than one where only `indexed` differs.
    pub(super) fn with_topic0(&self, topic0: &B256) -> &[Arc<Event>] {
        self.by_topic0.get(topic0).map_or(&[], Vec::as_slice)
    }

    pub(super) fn anonymous(&self) -> &[Arc<Event>] {
        &self.anonymous
    }

    pub(super) fn functions_selected(&self, selector: Selector) -> &[Arc<Function>] {
        self.by_function.get(&selector).map_or(&[], Vec::as_slice)
    }

    pub(super) fn errors_selected(&self, selector: Selector) -> &[Arc<CustomError>] {
        self.by_error.get(&selector).map_or(&[], Vec::as_slice)
    }

    /// Adds an event unless the same is there already.
    pub(super) fn add_event(&mut self, event: Event) {
        let same = self.with_topic0(&event.topic0()).iter().chain(&self.anonymous).any(|other| {
            other.signature() == event.signature()
                && other.is_anonymous() == event.is_anonymous()
                && other.layout().eq(event.layout())
        });
        if same {
            return;
        }
        let event = Arc::new(event);
        if event.is_anonymous() {
            self.anonymous.push(event.clone());
        } else {
            self.by_topic0.entry(event.topic0()).or_default().push(event.clone());
        }
        self.events.push(event);
    }

    /// Adds a function unless the same is there already.
    pub(super) fn add_function(&mut self, function: Function) {
        let others = self.by_function.entry(function.selector()).or_default();
        if others.iter().any(|other| other.signature() == function.signature()) {
            return;
        }
        let function = Arc::new(function);
        others.push(function.clone());
        self.functions.push(function);
    }

    /// Adds an error unless the same is there already.
    pub(super) fn add_error(&mut self, error: CustomError) {
        let others = self.by_error.entry(error.selector()).or_default();
        if others.iter().any(|other| other.signature() == error.signature()) {
            return;
        }
        let error = Arc::new(error);
        others.push(error.clone());
        self.errors.push(error);
    }

    /// Number of items.
    pub(super) fn len(&self) -> usize {
        self.events.len() + self.functions.len() + self.errors.len()
    }
}

fn named<'a, I: Item>(items: &'a [Arc<I>], name: &'a str) -> impl Iterator<Item = &'a Arc<I>> {
    items.iter().filter(move |item| &**item.name() == name || &**item.signature() == name)
}
