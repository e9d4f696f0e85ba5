//! Flat traces, as `trace_block`, `trace_transaction` and `trace_replayTransaction` give them.
//!
//! Some tools store them with `snake_case` names; both spellings are read.

use alloy_primitives::{Address, B256, U256};

use crate::builder::Builder;
use crate::json::{JsonError, Raw};
use crate::model::FrameKind;

/// One flat trace, its insides not read yet.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    action: Option<Raw<'a>>,
    result: Option<Raw<'a>>,
    error: Option<Box<str>>,
    kind: &'a [u8],
    /// Path from the first frame: which call of which call.
    path: Vec<u32>,
    /// Its transaction; none for block rewards.
    pub(crate) transaction: Option<B256>,
    pub(crate) index: Option<u64>,
    pub(crate) block: Option<u64>,
}

impl<'a> Item<'a> {
    pub(crate) fn read(raw: Raw<'a>) -> Result<Item<'a>, JsonError> {
        let mut item = Item {
            action: None,
            result: None,
            error: None,
            kind: b"",
            path: Vec::new(),
            transaction: None,
            index: None,
            block: None,
        };
        for member in raw.members() {
            let (key, value) = member?;
            match key {
                b"action" => item.action = Some(value),
                b"result" => item.result = value.is_object().then_some(value),
                b"error" => item.error = value.words(),
                b"type" => item.kind = value.string().unwrap_or_default(),
                b"traceAddress" | b"trace_address" => {
                    for step in value.elements() {
                        let step = step?.small().and_then(|step| u32::try_from(step).ok());
                        item.path.push(step.unwrap_or(u32::MAX));
                    }
                }
                b"transactionHash" | b"transaction_hash" => item.transaction = value.hash(),
                b"transactionPosition" | b"transaction_position" => item.index = value.small(),
                b"blockNumber" | b"block_number" => item.block = value.small(),
                _ => {}
            }
        }
        Ok(item)
    }

    /// Whether it is a frame of a transaction, and no block reward.
    pub(crate) fn is_frame(&self) -> bool {
        matches!(self.kind, b"call" | b"create" | b"suicide")
    }
}

/// Puts the flat traces of one transaction into `builder`.
pub(crate) fn build(mut items: Vec<Item<'_>>, builder: &mut Builder) -> Result<(), JsonError> {
    // Calls come in the order in which they began; a source that mixed them is put right.
    if !items.is_sorted_by(|left, right| left.path <= right.path) {
        items.sort_by(|left, right| left.path.cmp(&right.path));
    }
    // The open frame of each depth; `None` where it was beyond our limits.
    let mut open: Vec<Option<u32>> = Vec::new();
    for item in items {
        let depth = item.path.len();
        if depth > open.len() {
            // Its parent was never told of.
            builder.trace().known.cut = true;
            continue;
        }
        open.truncate(depth);
        let parent = match open.last() {
            None => None,
            Some(Some(parent)) => Some(*parent),
            Some(None) => {
                open.push(None);
                continue;
            }
        };
        if parent.is_none() && !builder.trace().frames.is_empty() {
            continue;
        }
        let at = builder.open_frame(parent);
        open.push(at);
        if let Some(at) = at {
            fill(at, item, builder)?;
        }
    }
    let trace = builder.trace();
    trace.known.frames = true;
    trace.known.gas = true;
    Ok(())
}

#[derive(Default)]
struct Action<'a> {
    call_type: &'a [u8],
    from: Option<Address>,
    to: Option<Address>,
    value: U256,
    gas: u64,
    input: &'a [u8],
}

fn fill(at: u32, item: Item<'_>, builder: &mut Builder) -> Result<(), JsonError> {
    let mut action = Action::default();
    for member in item.action.into_iter().flat_map(Raw::members) {
        let (key, value) = member?;
        match key {
            b"callType" | b"call_type" => action.call_type = value.string().unwrap_or_default(),
            b"from" | b"address" => action.from = value.address(),
            b"to" | b"refundAddress" | b"refund_address" => action.to = value.address(),
            b"value" | b"balance" => action.value = value.number().unwrap_or_default(),
            b"gas" => action.gas = value.small().unwrap_or_default(),
            b"input" | b"init" => action.input = value.string().unwrap_or_default(),
            _ => {}
        }
    }
    let mut output: &[u8] = b"";
    let mut gas_used = 0;
    let mut created = None;
    for member in item.result.into_iter().flat_map(Raw::members) {
        let (key, value) = member?;
        match key {
            b"gasUsed" | b"gas_used" => gas_used = value.small().unwrap_or_default(),
            b"output" | b"code" => output = value.string().unwrap_or_default(),
            b"address" => created = value.address(),
            _ => {}
        }
    }
    let kind = match (item.kind, action.call_type) {
        (b"create", _) => FrameKind::Create,
        (b"suicide", _) => FrameKind::SelfDestruct,
        (_, b"staticcall") => FrameKind::StaticCall,
        (_, b"delegatecall" | b"callcode") => FrameKind::Delegate,
        _ => FrameKind::Call,
    };
    let to = if kind == FrameKind::Create { created } else { action.to };
    builder.set_parties(at, kind, action.from.unwrap_or_default(), to.unwrap_or_default());
    let (input, output) = (builder.hex(action.input), builder.hex(output));
    let frame = builder.frame(at);
    frame.value = action.value;
    frame.gas = action.gas;
    frame.gas_used = gas_used;
    frame.input = input;
    frame.output = output;
    frame.error = item.error.filter(|words| !words.is_empty());
    Ok(())
}

/// Puts the storage part of a `stateDiff` into `builder`.
pub(crate) fn state_diff(diff: Raw<'_>, builder: &mut Builder) -> Result<(), JsonError> {
    for account in diff.members() {
        let (address, change) = account?;
        let Some(address) = key_address(address) else { continue };
        let Some(storage) = change.member("storage") else { continue };
        for slot in storage.members() {
            let (slot, change) = slot?;
            let Some(slot) = key_number(slot) else { continue };
            let (from, to) = match (change.member("*"), change.member("+"), change.member("-")) {
                (Some(both), _, _) => (both.member("from"), both.member("to")),
                (_, Some(to), _) => (None, Some(to)),
                (_, _, Some(from)) => (Some(from), None),
                _ => continue,
            };
            let number = |raw: Option<Raw<'_>>| raw.and_then(Raw::number).unwrap_or_default();
            builder.storage(address, slot, number(from), number(to));
        }
    }
    builder.trace().known.storage = true;
    Ok(())
}

pub(crate) fn key_address(text: &[u8]) -> Option<Address> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

pub(crate) fn key_number(text: &[u8]) -> Option<U256> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
