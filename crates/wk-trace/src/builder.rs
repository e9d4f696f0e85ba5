//! Puts a transaction together from whatever a source tells, in whatever order it tells it.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, U256};

use crate::json::hex_append;
use crate::model::{
    Access, Completeness, Created, Frame, FrameKind, Log, NO_FRAME, Party, SignatureCheck, Span,
    StorageAccess, StorageChange, TraceSource, TxTrace,
};
use crate::transfers;
use crate::{MAX_ACCESSES, MAX_BYTES, MAX_DEPTH, MAX_FRAMES, MAX_LOGS};

/// Above this many parties a hash table is faster than looking through the list.
const FEW: usize = 16;

/// A transaction that is being put together.
#[derive(Debug)]
pub struct Builder {
    trace: TxTrace,
    places: HashMap<Address, Party>,
}

impl Builder {
    /// An empty transaction told by `source`.
    pub fn new(source: TraceSource) -> Builder {
        let trace = TxTrace {
            hash: None,
            block: None,
            index: None,
            source,
            sender: Party(0),
            target: None,
            success: true,
            gas_used: None,
            frames: Vec::new(),
            logs: Vec::new(),
            transfers: Vec::new(),
            created: Vec::new(),
            storage: Vec::new(),
            accesses: Vec::new(),
            checks: Vec::new(),
            known: Completeness::default(),
            parties: Vec::new(),
            bytes: Vec::new(),
        };
        Builder { trace, places: HashMap::new() }
    }

    /// The transaction so far.
    pub fn trace(&mut self) -> &mut TxTrace {
        &mut self.trace
    }

    /// The party with this address, new or old.
    pub fn party(&mut self, address: Address) -> Party {
        let count = self.trace.parties.len();
        if count <= FEW {
            if let Some(party) = self.trace.party(&address) {
                return party;
            }
        } else if let Some(&party) = self.places.get(&address) {
            return party;
        }
        let party = Party(u32::try_from(count).expect("parties are bounded by bytes"));
        self.trace.parties.push(address);
        if count == FEW {
            let known = self.trace.parties.iter().zip(0..);
            self.places = known.map(|(&address, place)| (address, Party(place))).collect();
        } else if count > FEW {
            self.places.insert(address, party);
        }
        party
    }

    /// Keeps the bytes of `0x` text.
    pub(crate) fn hex(&mut self, text: &[u8]) -> Span {
        let start = self.trace.bytes.len();
        if start.saturating_add(text.len() / 2) > MAX_BYTES {
            self.trace.known.cut = true;
            return Span::default();
        }
        hex_append(text, &mut self.trace.bytes);
        self.span_from(start)
    }

    /// Keeps bytes.
    pub fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.trace.bytes.len();
        if start.saturating_add(bytes.len()) > MAX_BYTES {
            self.trace.known.cut = true;
            return Span::default();
        }
        self.trace.bytes.extend_from_slice(bytes);
        self.span_from(start)
    }

    fn span_from(&self, start: usize) -> Span {
        let len = self.trace.bytes.len() - start;
        let small = |n: usize| u32::try_from(n).expect("bytes are bounded");
        Span { start: small(start), len: small(len) }
    }

    /// Opens a frame below `parent`, to be filled in; none when it is beyond our limits.
    pub fn open_frame(&mut self, parent: Option<u32>) -> Option<u32> {
        let depth = match parent {
            None => 0,
            Some(parent) => self.trace.frames[parent as usize].depth + 1,
        };
        if self.trace.frames.len() >= MAX_FRAMES || depth > MAX_DEPTH {
            self.trace.known.cut = true;
            return None;
        }
        let at = u32::try_from(self.trace.frames.len()).expect("frames are bounded");
        self.trace.frames.push(Frame {
            parent,
            end: at + 1,
            depth,
            kind: FrameKind::Call,
            from: Party(0),
            to: Party(0),
            code: Party(0),
            value: U256::ZERO,
            gas: 0,
            gas_used: 0,
            input: Span::default(),
            output: Span::default(),
            reverted: false,
            error: None,
        });
        Some(at)
    }

    /// A frame that was opened.
    pub fn frame(&mut self, at: u32) -> &mut Frame {
        &mut self.trace.frames[at as usize]
    }

    /// Says who called whom in a frame. For delegated calls `to` is the code's account.
    pub fn set_parties(&mut self, at: u32, kind: FrameKind, from: Address, to: Address) {
        let from = self.party(from);
        let to = self.party(to);
        let frame = self.frame(at);
        frame.kind = kind;
        frame.from = from;
        frame.code = to;
        frame.to = if kind == FrameKind::Delegate { from } else { to };
    }

    /// Adds a log. `frame` and `before` may be [`NO_FRAME`]: then its place is guessed.
    pub fn log(
        &mut self,
        address: Address,
        topics: Vec<B256>,
        data: Span,
        frame: u32,
        before: u32,
    ) {
        if self.trace.logs.len() >= MAX_LOGS {
            self.trace.known.cut = true;
            return;
        }
        let address = self.party(address);
        self.trace.logs.push(Log { address, topics, data, frame, before, index: None });
    }

    /// Adds a storage change.
    pub fn storage(&mut self, account: Address, slot: U256, from: U256, to: U256) {
        let account = self.party(account);
        self.trace.storage.push(StorageChange { account, slot, from, to });
    }

    /// Adds a read or a write of a slot of the account on which `frame` acts, after all frames
    /// opened so far.
    pub fn access(&mut self, frame: u32, slot: U256, value: U256, kind: Access) {
        if self.trace.accesses.len() >= MAX_ACCESSES {
            self.trace.known.cut = true;
            return;
        }
        let account = self.frame(frame).to;
        let before = u32::try_from(self.trace.frames.len()).unwrap_or(NO_FRAME);
        self.trace.accesses.push(StorageAccess { frame, before, account, slot, value, kind });
    }

    /// The whole transaction; none when nothing says who sent it.
    pub fn finish(mut self) -> Option<TxTrace> {
        if self.trace.parties.is_empty() {
            return None;
        }
        self.leave_out_precompiles();
        self.close_frames();
        // Some tracers tell of logs that were undone, some do not; receipts never have them.
        let TxTrace { frames, logs, .. } = &mut self.trace;
        logs.retain(|log| frames.get(log.frame as usize).is_none_or(|frame| !frame.reverted));
        if let Some(first) = self.trace.frames.first() {
            (self.trace.sender, self.trace.target) = (first.from, Some(first.to));
            self.trace.success &= !first.reverted;
        }
        transfers::lift(&mut self);
        Some(self.trace)
    }

    /// Some nodes tell of calls of precompiles and some do not. They are part of the chain and not of
    /// its contracts, so none is kept, unless it was paid or is all that there is.
    fn leave_out_precompiles(&mut self) {
        let trace = &mut self.trace;
        let left_out = |frame: &Frame| {
            frame.parent.is_some()
                && matches!(
                    frame.kind,
                    FrameKind::Call | FrameKind::StaticCall | FrameKind::Delegate
                )
                && frame.value.is_zero()
                && is_precompile(&trace.parties[frame.code.index()])
        };
        if !trace.frames.iter().any(left_out) {
            return;
        }
        let kept: Vec<bool> = trace.frames.iter().map(|frame| !left_out(frame)).collect();
        // Where each frame, and what comes after the last one, will be.
        let mut places = Vec::with_capacity(kept.len() + 1);
        let mut next = 0;
        for kept in &kept {
            places.push(next);
            next += u32::from(*kept);
        }
        places.push(next);
        let place = |old: u32| places.get(old as usize).copied().unwrap_or(old);
        // What was asked about signatures is worth keeping where it was told.
        for (frame, next) in trace.frames.iter().zip(&places) {
            let recovers = left_out(frame) && trace.parties[frame.code.index()] == RECOVER;
            let Some(parent) = frame.parent.filter(|_| recovers && frame.error.is_none()) else {
                continue;
            };
            trace.checks.push(SignatureCheck {
                frame: place(parent),
                before: *next,
                by: frame.from,
                question: frame.input,
                answer: frame.output,
            });
        }
        let mut keep = kept.iter();
        trace.frames.retain(|_| *keep.next().expect("there is one for each frame"));
        for (at, frame) in (0_u32..).zip(&mut trace.frames) {
            frame.parent = frame.parent.map(place);
            frame.end = at + 1;
        }
        for log in &mut trace.logs {
            log.frame = place(log.frame);
            log.before = place(log.before);
        }
        for access in &mut trace.accesses {
            access.frame = place(access.frame);
            access.before = place(access.before);
        }
    }

    fn close_frames(&mut self) {
        let frames = &mut self.trace.frames;
        for at in 0..frames.len() {
            let around = frames[at].parent.is_some_and(|parent| frames[parent as usize].reverted);
            let frame = &mut frames[at];
            frame.reverted = around || frame.error.is_some();
            if frame.kind == FrameKind::Create && !frame.reverted {
                let created = Created {
                    party: frame.to,
                    by: frame.from,
                    frame: u32::try_from(at).unwrap_or(NO_FRAME),
                };
                self.trace.created.push(created);
            }
        }
        for at in (0..frames.len()).rev() {
            let end = frames[at].end;
            if let Some(parent) = frames[at].parent {
                let parent = &mut frames[parent as usize];
                parent.end = parent.end.max(end);
            }
        }
    }
}

/// The precompile that tells whose signature it is.
const RECOVER: Address = Address::with_last_byte(1);

/// Whether an address is one of Ethereum's precompiles: 0x01 to 0x11, and 0x100 (EIP-7951).
fn is_precompile(address: &Address) -> bool {
    let [head @ .., high, low] = &address.0.0;
    head == &[0; 18] && matches!((high, low), (0, 1..=0x11) | (1, 0))
}
