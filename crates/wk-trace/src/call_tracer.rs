//! geth's `callTracer`: a tree of objects, read with a stack of our own.

use alloy_primitives::{Address, B256};

use crate::builder::Builder;
use crate::json::{JsonError, Raw, Reader};
use crate::model::{FrameKind, NO_FRAME};

/// A frame whose object is still open.
#[derive(Debug, Default)]
struct Open {
    at: u32,
    kind: Kind,
    from: Option<Address>,
    to: Option<Address>,
    failed: bool,
    /// Frames of its own calls, for the places of its logs.
    children: Vec<u32>,
    /// Its logs, and how many of its calls began before each.
    logs: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Kind {
    #[default]
    Call,
    Static,
    Delegate,
    Create,
    SelfDestruct,
}

/// Reads the tree that comes next into `builder`.
pub(crate) fn read(reader: &mut Reader<'_>, builder: &mut Builder) -> Result<(), JsonError> {
    let mut stack: Vec<Open> = Vec::new();
    let mut gas = false;
    let mut logs = false;
    reader.expect(b'{', "a call frame was expected")?;
    push(&mut stack, builder);
    let mut first = true;
    while let Some(open) = stack.last_mut() {
        if reader.eat(b'}') {
            let open = stack.pop().expect("the loop saw it");
            close(open, builder);
            first = false;
            if stack.is_empty() {
                break;
            }
            // The parent's array of calls goes on, or the parent itself.
            if reader.eat(b',') {
                first = enter(reader, &mut stack, builder)?;
            } else {
                reader.expect(b']', "`,` or `]` was expected")?;
            }
            continue;
        }
        if !first {
            reader.expect(b',', "`,` or `}` was expected")?;
        }
        first = false;
        let key = reader.key()?;
        if key == b"calls" && reader.peek() == Some(b'[') {
            reader.expect(b'[', "`[` was expected")?;
            if !reader.eat(b']') {
                first = enter(reader, &mut stack, builder)?;
            }
            continue;
        }
        let value = reader.value()?;
        match key {
            b"type" => open.kind = kind(value.string().unwrap_or_default()),
            b"from" => open.from = value.address(),
            b"to" => open.to = value.address(),
            b"value" => builder.frame(open.at).value = value.number().unwrap_or_default(),
            b"gas" => {
                builder.frame(open.at).gas = value.small().unwrap_or_default();
                gas = true;
            }
            b"gasUsed" => builder.frame(open.at).gas_used = value.small().unwrap_or_default(),
            b"input" => {
                let span = builder.hex(value.string().unwrap_or_default());
                builder.frame(open.at).input = span;
            }
            b"output" => {
                let span = builder.hex(value.string().unwrap_or_default());
                builder.frame(open.at).output = span;
            }
            b"error" => {
                open.failed = value.string().is_some_and(|words| !words.is_empty());
                builder.frame(open.at).error = value.words();
            }
            b"logs" => {
                logs = true;
                read_logs(value, open, builder)?;
            }
            _ => {}
        }
    }
    let trace = builder.trace();
    trace.known.frames = true;
    trace.known.gas = gas;
    // geth leaves `logs` out of frames without logs, so only a tree with some tells that it has them.
    trace.known.logs |= logs;
    trace.known.log_places |= logs;
    Ok(())
}

/// Opens the next object of an array of calls, and says so; beyond our limits it is stepped over,
/// and the array's end may come first.
fn enter(
    reader: &mut Reader<'_>,
    stack: &mut Vec<Open>,
    builder: &mut Builder,
) -> Result<bool, JsonError> {
    loop {
        if reader.peek() == Some(b'{') && push(stack, builder) {
            reader.expect(b'{', "a call frame was expected")?;
            return Ok(true);
        }
        reader.value()?;
        if !reader.eat(b',') {
            reader.expect(b']', "`,` or `]` was expected")?;
            return Ok(false);
        }
    }
}

fn push(stack: &mut Vec<Open>, builder: &mut Builder) -> bool {
    let parent = stack.last().map(|open| open.at);
    match builder.open_frame(parent) {
        None => false,
        Some(at) => {
            if let Some(parent) = stack.last_mut() {
                parent.children.push(at);
            }
            stack.push(Open { at, ..Open::default() });
            true
        }
    }
}

fn close(open: Open, builder: &mut Builder) {
    let kind = match open.kind {
        Kind::Call => FrameKind::Call,
        Kind::Static => FrameKind::StaticCall,
        Kind::Delegate => FrameKind::Delegate,
        Kind::Create => FrameKind::Create,
        Kind::SelfDestruct => FrameKind::SelfDestruct,
    };
    let (from, to) = (open.from.unwrap_or_default(), open.to.unwrap_or_default());
    builder.set_parties(open.at, kind, from, to);
    if !open.failed {
        builder.frame(open.at).error = None;
    }
    for (log, calls_before) in open.logs {
        let before = open.children.get(calls_before).copied().unwrap_or(NO_FRAME);
        builder.trace().logs[log].before = before;
    }
}

fn kind(name: &[u8]) -> Kind {
    match name {
        b"STATICCALL" => Kind::Static,
        b"DELEGATECALL" | b"CALLCODE" => Kind::Delegate,
        b"CREATE" | b"CREATE2" => Kind::Create,
        b"SELFDESTRUCT" | b"SUICIDE" => Kind::SelfDestruct,
        _ => Kind::Call,
    }
}

fn read_logs(logs: Raw<'_>, open: &mut Open, builder: &mut Builder) -> Result<(), JsonError> {
    for log in logs.elements() {
        let fields = LogFields::read(log?)?;
        let Some(address) = fields.address else { continue };
        let data = builder.hex(fields.data);
        let place = builder.trace().logs.len();
        builder.log(address, fields.topics, data, open.at, NO_FRAME);
        if let Some(log) = builder.trace().logs.get_mut(place) {
            log.index = fields.index;
            open.logs.push((place, fields.position.unwrap_or(usize::MAX)));
        }
    }
    Ok(())
}

/// What every kind of source writes of a log.
#[derive(Debug, Default)]
pub(crate) struct LogFields<'a> {
    pub(crate) address: Option<Address>,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: &'a [u8],
    pub(crate) position: Option<usize>,
    pub(crate) index: Option<u64>,
}

impl<'a> LogFields<'a> {
    pub(crate) fn read(log: Raw<'a>) -> Result<LogFields<'a>, JsonError> {
        let mut fields = LogFields::default();
        for member in log.members() {
            let (key, value) = member?;
            match key {
                b"address" => fields.address = value.address(),
                b"data" => fields.data = value.string().unwrap_or_default(),
                b"position" => {
                    fields.position = value.small().and_then(|n| usize::try_from(n).ok());
                }
                b"index" => fields.index = value.small(),
                b"topics" => {
                    for topic in value.elements().take(4) {
                        fields.topics.extend(topic?.hash());
                    }
                }
                _ => {}
            }
        }
        Ok(fields)
    }
}
