//! Finds out what an input is, and reads all its transactions.

use std::collections::HashMap;

use alloy_primitives::B256;

use crate::builder::Builder;
use crate::json::{JsonError, Raw, Reader};
use crate::model::{TraceSource, TxTrace};
use crate::{MAX_TRANSACTIONS, call_tracer, parity, prestate, receipts};

/// Wrappers around wrappers that are opened, such as JSON-RPC around an array around `{result}`.
const MAX_WRAPPERS: usize = 8;

/// Why an input could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is not JSON where it should be.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A node's answer, and it is an error.
    #[error("a node's error answer: {0}")]
    Answer(String),
    /// A block and the state before it, which must be executed first.
    #[error("a block and its pre-state: executing it is needed to trace it")]
    NeedsReplay,
    /// JSON, but no kind of trace.
    #[error(
        "no known kind of trace: callTracer, trace_block, trace_replay…, prestateTracer or receipts is read"
    )]
    Unknown,
}

/// The transactions of one input, in its order.
#[derive(Debug, Default)]
pub struct Traces {
    /// They belong to one block and are all of it, in order.
    pub whole_block: bool,
    /// The block's number, where named.
    pub block: Option<u64>,
    /// Who made the block, where named.
    pub beneficiary: Option<alloy_primitives::Address>,
    /// The transactions.
    pub transactions: Vec<TxTrace>,
}

impl Traces {
    fn push(&mut self, builder: Builder) {
        if self.transactions.len() < MAX_TRANSACTIONS {
            self.transactions.extend(builder.finish());
        }
    }
}

/// Reads one or several JSON texts of any known kind, one after another.
pub fn read(text: &[u8]) -> Result<Traces, ReadError> {
    let mut traces = Traces::default();
    let mut reader = Reader::new(text);
    let mut texts = 0;
    while reader.peek().is_some() {
        let raw = reader.value()?;
        read_value(raw, None, 0, &mut traces)?;
        texts += 1;
    }
    if texts != 1 {
        traces.whole_block = false;
    }
    if texts == 0 { Err(ReadError::Unknown) } else { Ok(traces) }
}

/// Members that tell the kinds apart.
#[derive(Default)]
struct Shape<'a> {
    result: Option<Raw<'a>>,
    error: Option<Raw<'a>>,
    action: bool,
    from: bool,
    input: bool,
    kind: bool,
    calls: bool,
    trace: Option<Raw<'a>>,
    traces: Option<Raw<'a>>,
    transactions: Option<Raw<'a>>,
    pre_state: bool,
    pre: Option<Raw<'a>>,
    post: Option<Raw<'a>>,
    logs: Option<Raw<'a>>,
    gas_used: Option<u64>,
    status: Option<Raw<'a>>,
    state_diff: Option<Raw<'a>>,
    hash: Option<B256>,
    number: Option<u64>,
    miner: Option<Raw<'a>>,
    cumulative: bool,
}

impl<'a> Shape<'a> {
    fn of(raw: Raw<'a>) -> Result<Shape<'a>, JsonError> {
        let mut shape = Shape::default();
        for member in raw.members() {
            let (key, value) = member?;
            match key {
                b"result" => shape.result = Some(value),
                b"error" => shape.error = Some(value),
                b"action" => shape.action = true,
                b"from" => shape.from = true,
                b"input" => shape.input = true,
                b"type" => shape.kind = true,
                b"calls" => shape.calls = true,
                b"trace" => shape.trace = Some(value),
                b"traces" => shape.traces = Some(value),
                b"transactions" => shape.transactions = Some(value),
                b"pre_state" => shape.pre_state = true,
                b"pre" => shape.pre = Some(value),
                b"post" => shape.post = Some(value),
                b"logs" => shape.logs = Some(value),
                b"gasUsed" => shape.gas_used = value.small(),
                b"status" => shape.status = Some(value),
                b"stateDiff" => shape.state_diff = Some(value),
                b"hash" | b"txHash" | b"transactionHash" => shape.hash = value.hash(),
                b"number" | b"block_number" | b"blockNumber" => shape.number = value.small(),
                b"miner" => shape.miner = Some(value),
                b"cumulativeGasUsed" => shape.cumulative = true,
                _ => {}
            }
        }
        Ok(shape)
    }
}

fn read_value(
    raw: Raw<'_>,
    hash: Option<B256>,
    wrappers: usize,
    traces: &mut Traces,
) -> Result<(), ReadError> {
    if wrappers > MAX_WRAPPERS {
        return Err(ReadError::Unknown);
    }
    if raw.is_array() {
        return read_array(raw, wrappers, traces);
    }
    if !raw.is_object() {
        return Err(ReadError::Unknown);
    }
    let shape = Shape::of(raw)?;
    let hash = shape.hash.or(hash);
    // A frame may be failed and have `error`; an answer has it beside `jsonrpc`, without a frame.
    if shape.action {
        let items = vec![parity::Item::read(raw)?];
        return read_parity(items, traces);
    }
    if let Some(result) = shape.result.filter(|result| result.is_object() || result.is_array()) {
        return read_value(result, hash, wrappers + 1, traces);
    }
    if shape.pre_state {
        return Err(ReadError::NeedsReplay);
    }
    if let Some(flat) = shape.traces {
        traces.whole_block = true;
        traces.block = shape.number;
        traces.beneficiary = shape.miner.and_then(Raw::address);
        return read_array(flat, wrappers + 1, traces);
    }
    if let Some(transactions) = shape.transactions {
        traces.whole_block = true;
        traces.block = shape.number;
        traces.beneficiary = shape.miner.and_then(Raw::address);
        for (transaction, index) in transactions.elements().zip(0..) {
            read_derived(transaction?, index, shape.number, traces)?;
        }
        return Ok(());
    }
    if let (Some(pre), Some(post)) = (shape.pre, shape.post) {
        let mut builder = Builder::new(TraceSource::Prestate);
        builder.trace().hash = hash;
        prestate::build(pre, post, &mut builder)?;
        traces.push(builder);
        return Ok(());
    }
    if let Some(flat) = shape.trace.filter(|trace| trace.is_array()) {
        let mut builder = Builder::new(TraceSource::Parity);
        builder.trace().hash = hash;
        let items: Result<Vec<_>, _> =
            flat.elements().map(|item| parity::Item::read(item?)).collect();
        parity::build(items?, &mut builder)?;
        if let Some(diff) = shape.state_diff.filter(|diff| diff.is_object()) {
            parity::state_diff(diff, &mut builder)?;
        }
        traces.push(builder);
        return Ok(());
    }
    if shape.logs.is_some() && (shape.cumulative || shape.status.is_some()) {
        let mut builder = Builder::new(TraceSource::Receipts);
        receipts::build(raw, &mut builder)?;
        traces.push(builder);
        return Ok(());
    }
    if shape.from && (shape.input || shape.kind || shape.calls) {
        let mut builder = Builder::new(TraceSource::CallTracer);
        builder.trace().hash = hash;
        call_tracer::read(&mut Reader::new(raw.text()), &mut builder)?;
        traces.push(builder);
        return Ok(());
    }
    match shape.error {
        Some(error) => {
            let text = error.member("message").unwrap_or(error);
            let words = text.words().unwrap_or_default();
            Err(ReadError::Answer(words.into()))
        }
        None => Err(ReadError::Unknown),
    }
}

/// Flat traces, receipts, trees, or wrappers around any of them.
fn read_array(raw: Raw<'_>, wrappers: usize, traces: &mut Traces) -> Result<(), ReadError> {
    let mut elements = raw.elements().peekable();
    let flat = match elements.peek() {
        Some(Ok(first)) => Shape::of(*first)?.action,
        _ => false,
    };
    if flat {
        let items: Result<Vec<_>, _> = elements.map(|item| parity::Item::read(item?)).collect();
        return read_parity(items?, traces);
    }
    for (element, index) in elements.zip(0..) {
        let before = traces.transactions.len();
        read_value(element?, None, wrappers + 1, traces)?;
        for trace in &mut traces.transactions[before..] {
            trace.index = trace.index.or(Some(index));
        }
    }
    traces.whole_block |= traces.transactions.len() > 1;
    Ok(())
}

/// Flat traces of any number of transactions.
fn read_parity(items: Vec<parity::Item<'_>>, traces: &mut Traces) -> Result<(), ReadError> {
    let mut order: Vec<Vec<parity::Item<'_>>> = Vec::new();
    let mut places: HashMap<Option<B256>, usize> = HashMap::new();
    for item in items.into_iter().filter(parity::Item::is_frame) {
        let place = *places.entry(item.transaction).or_insert(order.len());
        if place == order.len() {
            order.push(Vec::new());
        }
        order[place].push(item);
    }
    traces.whole_block |= order.len() > 1;
    for items in order {
        let Some(first) = items.first() else { continue };
        let mut builder = Builder::new(TraceSource::Parity);
        let trace = builder.trace();
        (trace.hash, trace.index, trace.block) = (first.transaction, first.index, first.block);
        traces.block = traces.block.or(first.block);
        parity::build(items, &mut builder)?;
        traces.push(builder);
    }
    Ok(())
}

/// A transaction with its tree, or its flat traces, under `trace`; its logs and status beside it.
fn read_derived(
    raw: Raw<'_>,
    index: u64,
    block: Option<u64>,
    traces: &mut Traces,
) -> Result<(), ReadError> {
    let shape = Shape::of(raw)?;
    let Some(told) = shape.trace.filter(|told| told.is_object() || told.is_array()) else {
        return Err(ReadError::Unknown);
    };
    let flat = told.is_array();
    let source = if flat { TraceSource::Parity } else { TraceSource::CallTracer };
    let mut builder = Builder::new(source);
    let trace = builder.trace();
    (trace.hash, trace.index, trace.block) = (shape.hash, Some(index), block);
    trace.gas_used = shape.gas_used;
    if flat {
        let items: Result<Vec<_>, _> =
            told.elements().map(|item| parity::Item::read(item?)).collect();
        parity::build(items?, &mut builder)?;
    } else {
        call_tracer::read(&mut Reader::new(told.text()), &mut builder)?;
    }
    if let Some(logs) = shape.logs
        && builder.trace().logs.is_empty()
    {
        receipts::read_logs(logs, &mut builder)?;
    }
    traces.push(builder);
    Ok(())
}
