//! Signatures that everybody knows: token standards, proxies, access control, large protocols.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{B256, Selector, U256};
use wk_model::evm::Log;

use super::collection::Abi;
use super::data::{Fit, decode};
use super::decoder::{Decoded, DecodedEvent, DecodedFunction, Origin, Revert, best};
use super::item::{CustomError, Event, Function, Item};

/// Columns: first topic, number of topics, signature, standard or protocol.
const EVENTS: &str = include_str!("known_events.tsv");
/// Columns: selector, signature, standard or protocol.
const FUNCTIONS: &str = include_str!("known_functions.tsv");
/// Columns: selector, signature, standard or protocol.
const ERRORS: &str = include_str!("known_errors.tsv");

/// What no standard fixes is believed only when all values are clean.
const WORST: Fit = Fit::Slack;

struct Known<I> {
    item: Arc<I>,
    standard: &'static str,
}

type Table<K, I> = LazyLock<HashMap<K, Vec<Known<I>>>>;

static EVENTS_BY_TOPIC0: Table<B256, Event> = LazyLock::new(|| {
    table(EVENTS, 2, |signature| {
        let event = Event::parse(signature).expect("a test reads every line");
        (event.topic0(), event)
    })
});

static FUNCTIONS_BY_SELECTOR: Table<Selector, Function> = LazyLock::new(|| {
    table(FUNCTIONS, 1, |signature| {
        let function = Function::parse(signature).expect("a test reads every line");
        (function.selector(), function)
    })
});

static ERRORS_BY_SELECTOR: Table<Selector, CustomError> = LazyLock::new(|| {
    table(ERRORS, 1, |signature| {
        let error = CustomError::parse(signature).expect("a test reads every line");
        (error.selector(), error)
    })
});

/// Reads a table whose signature stands in column `column`, followed by the standard.
fn table<K: std::hash::Hash + Eq, I>(
    text: &'static str,
    column: usize,
    parse: impl Fn(&str) -> (K, I),
) -> HashMap<K, Vec<Known<I>>> {
    let mut table: HashMap<K, Vec<Known<I>>> = HashMap::new();
    for line in text.lines().skip(1) {
        let mut columns = line.split('\t').skip(column);
        let (Some(signature), Some(standard)) = (columns.next(), columns.next()) else { continue };
        let (key, item) = parse(signature);
        table.entry(key).or_default().push(Known { item: Arc::new(item), standard });
    }
    table
}

/// The well-known event that a log fits: by first topic, then number of topics, then best fit.
pub(super) fn event(log: &Log) -> Option<DecodedEvent> {
    let candidates = EVENTS_BY_TOPIC0.get(log.topics.first()?)?;
    pick(candidates, |event| event.fit(&log.topics, &log.data).ok())
}

/// The well-known function that call data fit.
pub(super) fn function(selector: Selector, input: &[u8]) -> Option<DecodedFunction> {
    let candidates = FUNCTIONS_BY_SELECTOR.get(&selector)?;
    pick(candidates, |function| function.fit(input).ok())
}

/// What revert data say, by these ABIs in order, then by the well-known errors.
pub(super) fn revert<'a>(data: &[u8], abis: impl Iterator<Item = &'a Abi>) -> Revert {
    let Some((selector, arguments)) = data.split_first_chunk::<4>() else {
        return if data.is_empty() { Revert::Empty } else { Revert::Unknown(None) };
    };
    match selector {
        // `Error(string)`
        [0x08, 0xc3, 0x79, 0xa0] => {
            if let Ok((values, _)) = decode([&DynSolType::String], arguments)
                && let Some(DynSolValue::String(reason)) = values.into_iter().next()
            {
                return Revert::Reason(reason);
            }
        }
        // `Panic(uint256)`
        [0x4e, 0x48, 0x7b, 0x71] => {
            if let Ok((values, _)) = decode([&DynSolType::Uint(256)], arguments)
                && let Some(DynSolValue::Uint(code, _)) = values.into_iter().next()
            {
                return Revert::Panic(code);
            }
        }
        _ => {}
    }
    let selector = Selector::from(*selector);
    abis.into_iter()
        .find_map(|abi| {
            best(abi.errors_selected(selector), Fit::Dirty, |error| error.fit(data).ok())
        })
        .map(|(item, values)| Decoded { item, values, origin: Origin::Contract })
        .or_else(|| {
            let candidates = ERRORS_BY_SELECTOR.get(&selector)?;
            pick(candidates, |error| error.fit(data).ok())
        })
        .map_or(Revert::Unknown(Some(selector)), Revert::Custom)
}

fn pick<I>(
    candidates: &[Known<I>],
    fit: impl Fn(&I) -> Option<(Vec<DynSolValue>, Fit)>,
) -> Option<Decoded<I>> {
    let mut best: Option<(Decoded<I>, Fit)> = None;
    for Known { item, standard } in candidates {
        let Some((values, fit)) = fit(item) else { continue };
        if fit > WORST || best.as_ref().is_some_and(|(_, best)| *best <= fit) {
            continue;
        }
        let origin = Origin::Known(standard);
        best = Some((Decoded { item: item.clone(), values, origin }, fit));
    }
    best.map(|(decoded, _)| decoded)
}

/// Well-known events with this bare name, by signature; several where the name is common or only
/// `indexed` differs.
pub fn known_events(name: &str) -> Vec<Arc<Event>> {
    named(&EVENTS_BY_TOPIC0, name)
}

/// Well-known functions with this bare name, by signature.
pub fn known_functions(name: &str) -> Vec<Arc<Function>> {
    named(&FUNCTIONS_BY_SELECTOR, name)
}

fn named<K, I: Item>(table: &HashMap<K, Vec<Known<I>>>, name: &str) -> Vec<Arc<I>> {
    let items = table.values().flatten().filter(|known| &**known.item.name() == name);
    let mut items: Vec<Arc<I>> = items.map(|known| known.item.clone()).collect();
    items.sort_by(|a, b| a.signature().cmp(b.signature()));
    items
}

/// What a code of `Panic(uint256)` means (Solidity documentation, "Panic via assert").
pub fn panic_meaning(code: U256) -> &'static str {
    match u64::try_from(code) {
        Ok(0x00) => "generic panic inserted by the compiler",
        Ok(0x01) => "assertion failed",
        Ok(0x11) => "arithmetic overflow or underflow",
        Ok(0x12) => "division or modulo by zero",
        Ok(0x21) => "value out of range of an enum",
        Ok(0x22) => "badly encoded storage byte array",
        Ok(0x31) => "pop from an empty array",
        Ok(0x32) => "array index out of bounds",
        Ok(0x41) => "too much memory allocated",
        Ok(0x51) => "call of an uninitialised internal function",
        _ => "unknown panic code",
    }
}
