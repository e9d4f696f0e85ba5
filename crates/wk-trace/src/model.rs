//! The transaction as detectors see it.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, I256, U256};

/// An account of a transaction: its place in the transaction's table of addresses. Cheap to copy,
/// compare and index by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Party(pub(crate) u32);

impl Party {
    /// Its place, for tables with one row per party.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A piece of the transaction's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// What was told of the transaction, and what was not. `false` means: not told, so its absence
/// proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Every call frame is here.
    pub frames: bool,
    /// Every log is here.
    pub logs: bool,
    /// Each log's place among the frames was told, not guessed.
    pub log_places: bool,
    /// Gas per frame is here.
    pub gas: bool,
    /// Every storage slot that changed is here.
    pub storage: bool,
    /// Every read and write of storage is here.
    pub accesses: bool,
    /// Something was left out, since it was beyond our limits.
    pub cut: bool,
}

/// What kind of input told of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TraceSource {
    /// geth's `callTracer`.
    CallTracer,
    /// Flat traces of `trace_block`, `trace_transaction` or `trace_replay…`.
    Parity,
    /// geth's `prestateTracer`: state only.
    Prestate,
    /// Receipts alone: logs, but no calls.
    Receipts,
    /// Executed here.
    Replay,
}

impl TraceSource {
    /// Its name as data shows it.
    pub fn name(self) -> &'static str {
        match self {
            TraceSource::CallTracer => "call_tracer",
            TraceSource::Parity => "parity_trace",
            TraceSource::Prestate => "prestate_tracer",
            TraceSource::Receipts => "receipts",
            TraceSource::Replay => "replay",
        }
    }
}

/// A transaction, and all that is known of what it did.
#[derive(Clone, Debug)]
pub struct TxTrace {
    /// Its hash, where the input names it.
    pub hash: Option<B256>,
    /// Its block's number, where the input names it.
    pub block: Option<u64>,
    /// Its place in the block, where known.
    pub index: Option<u64>,
    /// What told of it.
    pub source: TraceSource,
    /// Who sent it.
    pub sender: Party,
    /// What it called or created first.
    pub target: Option<Party>,
    /// Whether it succeeded.
    pub success: bool,
    /// Gas it used in all, where known.
    pub gas_used: Option<u64>,
    /// Calls in the order in which they began; a frame's own calls follow it directly.
    pub frames: Vec<Frame>,
    /// Logs in order; nothing from reverted frames.
    pub logs: Vec<Log>,
    /// What really moved, in order; nothing from reverted frames.
    pub transfers: Vec<Transfer>,
    /// Contracts that came into being.
    pub created: Vec<Created>,
    /// Storage that changed, where known.
    pub storage: Vec<StorageChange>,
    /// Signatures that were looked at, in order, where the source tells of precompiles; none proves
    /// nothing.
    pub checks: Vec<SignatureCheck>,
    /// Reads and writes of storage in order, where known; those of reverted frames too.
    pub accesses: Vec<StorageAccess>,
    /// What was told, and what was not.
    pub known: Completeness,
    pub(crate) parties: Vec<Address>,
    pub(crate) bytes: Vec<u8>,
}

/// A call, a creation or a self-destruction.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The frame that made it; `None` for the first.
    pub parent: Option<u32>,
    /// The frame after its last descendant.
    pub end: u32,
    /// Depth below the transaction itself, which is 0.
    pub depth: u16,
    /// What kind of call.
    pub kind: FrameKind,
    /// The account that made it.
    pub from: Party,
    /// The account whose storage and balance it acts on.
    pub to: Party,
    /// The account whose code runs; differs from `to` for delegated calls.
    pub code: Party,
    /// Wei sent along.
    pub value: U256,
    /// Gas given.
    pub gas: u64,
    /// Gas used.
    pub gas_used: u64,
    /// Call data, or init code.
    pub input: Span,
    /// What it returned: data, code, or the reason of its revert.
    pub output: Span,
    /// It or a frame around it failed, so that nothing of it remains.
    pub reverted: bool,
    /// Its own error.
    pub error: Option<Box<str>>,
}

impl Frame {
    /// Whether control went into another account or a new one; delegated calls stay where they are.
    pub fn enters(&self) -> bool {
        matches!(self.kind, FrameKind::Call | FrameKind::StaticCall | FrameKind::Create)
    }

    /// Whether it may change anything: neither static nor reverted.
    pub fn acts(&self) -> bool {
        self.kind != FrameKind::StaticCall && !self.reverted
    }
}

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// `CALL`.
    Call,
    /// `STATICCALL`.
    StaticCall,
    /// `DELEGATECALL` or `CALLCODE`: other code on the caller's own storage.
    Delegate,
    /// `CREATE` or `CREATE2`.
    Create,
    /// `SELFDESTRUCT`: `to` gets the balance.
    SelfDestruct,
}

/// An event log.
#[derive(Clone, Debug)]
pub struct Log {
    /// Who emitted it.
    pub address: Party,
    /// Up to four topics.
    pub topics: Vec<B256>,
    /// The rest.
    pub data: Span,
    /// The frame that emitted it, or the one that most likely did; see [`Completeness::log_places`].
    pub frame: u32,
    /// The first frame that began after it.
    pub before: u32,
    /// Its number in the transaction or block, where told.
    pub index: Option<u64>,
}

/// Stands for a frame that is not known.
pub const NO_FRAME: u32 = u32::MAX;

/// What can be owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asset {
    /// The chain's own coin.
    Native,
    /// A token, by its contract.
    Token(Party),
}

/// How a transfer came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferKind {
    /// From one account to another.
    Move,
    /// New units; `from` is the zero address.
    Mint,
    /// Units that ended; `to` is the zero address.
    Burn,
}

/// Something moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The frame in which it moved.
    pub frame: u32,
    /// What.
    pub asset: Asset,
    /// From whom.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// How much, in the asset's smallest unit; 1 for what is not fungible.
    pub amount: U256,
    /// The id of what is not fungible.
    pub id: Option<U256>,
    /// How.
    pub kind: TransferKind,
    /// Who asked the token to move it, where calls told.
    pub by: Option<Party>,
}

/// A contract that came into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// It.
    pub party: Party,
    /// Who made it.
    pub by: Party,
    /// In which frame.
    pub frame: u32,
}

/// A storage slot that changed from the begin to the end of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageChange {
    /// Whose storage.
    pub account: Party,
    /// The slot.
    pub slot: U256,
    /// Before.
    pub from: U256,
    /// After.
    pub to: U256,
}

/// A question to the precompile that tells whose signature it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureCheck {
    /// The frame that asked.
    pub frame: u32,
    /// The first frame that began after it.
    pub before: u32,
    /// The account that asked.
    pub by: Party,
    /// Hash, parity and the signature's two numbers, a word each.
    pub question: Span,
    /// The signer's address as a word; nothing, or zero, when there is none.
    pub answer: Span,
}

/// How a slot was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Read; `cold` when it was the first touch of the transaction and paid as such (EIP-2929).
    Read {
        /// Whether it was the first touch.
        cold: bool,
    },
    /// Written.
    Write,
}

/// A read or a write of a storage slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageAccess {
    /// The frame in which it took place.
    pub frame: u32,
    /// The first frame that began after it.
    pub before: u32,
    /// Whose storage.
    pub account: Party,
    /// The slot.
    pub slot: U256,
    /// What was read, or what was written.
    pub value: U256,
    /// How.
    pub kind: Access,
}

/// What an account won and lost of one asset, all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceChange {
    /// The account.
    pub party: Party,
    /// The asset; ids of what is not fungible are counted, not told apart.
    pub asset: Asset,
    /// Sum of what came.
    pub received: U256,
    /// Sum of what went.
    pub sent: U256,
}

impl BalanceChange {
    /// What came less what went; saturates.
    pub fn net(&self) -> I256 {
        let (more, less, sign) = if self.received >= self.sent {
            (self.received, self.sent, false)
        } else {
            (self.sent, self.received, true)
        };
        let magnitude = I256::try_from(more - less).unwrap_or(I256::MAX);
        if sign { -magnitude } else { magnitude }
    }
}

impl TxTrace {
    /// The address of a party.
    pub fn address(&self, party: Party) -> Address {
        self.parties[party.index()]
    }

    /// The party with an address, if it takes part.
    pub fn party(&self, address: &Address) -> Option<Party> {
        let place = self.parties.iter().position(|known| known == address)?;
        u32::try_from(place).ok().map(Party)
    }

    /// Number of accounts that take part; parties' indexes are below it.
    pub fn party_count(&self) -> usize {
        self.parties.len()
    }

    /// All parties.
    pub fn parties(&self) -> impl Iterator<Item = Party> + use<> {
        (0..u32::try_from(self.parties.len()).unwrap_or(u32::MAX)).map(Party)
    }

    /// The bytes behind a span.
    pub fn bytes(&self, span: Span) -> &[u8] {
        self.bytes
            .get(span.start as usize..(span.start as usize + span.len as usize))
            .unwrap_or(&[])
    }

    /// Call data, or init code, of a frame.
    pub fn input(&self, frame: &Frame) -> &[u8] {
        self.bytes(frame.input)
    }

    /// What a frame returned.
    pub fn output(&self, frame: &Frame) -> &[u8] {
        self.bytes(frame.output)
    }

    /// The first four bytes of a call's data as a number; 0 when there are fewer, which no function
    /// in use has.
    pub fn selector(&self, frame: &Frame) -> u32 {
        if frame.kind == FrameKind::Create || frame.kind == FrameKind::SelfDestruct {
            return 0;
        }
        match self.input(frame).first_chunk::<4>() {
            Some(bytes) => u32::from_be_bytes(*bytes),
            None => 0,
        }
    }

    /// The `n`th 32-byte argument of a call.
    pub fn word(&self, frame: &Frame, n: usize) -> Option<U256> {
        let start = 4 + n * 32;
        self.input(frame).get(start..start + 32).map(U256::from_be_slice)
    }

    /// The `n`th 32-byte argument of a call as an address, if it can be one.
    pub fn word_address(&self, frame: &Frame, n: usize) -> Option<Address> {
        let start = 4 + n * 32;
        address_in(self.input(frame).get(start..start + 32)?)
    }

    /// The `n`th 32-byte word that a frame returned.
    pub fn output_word(&self, frame: &Frame, n: usize) -> Option<U256> {
        self.output(frame).get(n * 32..n * 32 + 32).map(U256::from_be_slice)
    }

    /// Frames from the one around `frame` outwards.
    pub fn ancestors(&self, frame: u32) -> impl Iterator<Item = (u32, &Frame)> {
        let mut next = self.frames.get(frame as usize).and_then(|frame| frame.parent);
        std::iter::from_fn(move || {
            let at = next?;
            let frame = &self.frames[at as usize];
            next = frame.parent;
            Some((at, frame))
        })
    }

    /// The decoded reason of a frame's revert: `Error(string)` or `Panic(uint256)`.
    pub fn revert_reason(&self, frame: &Frame) -> Option<String> {
        frame.error.as_ref()?;
        revert_reason(self.output(frame))
    }

    /// What each account won and lost of each asset, in order of account and asset.
    pub fn balance_changes(&self) -> Vec<BalanceChange> {
        let mut sums: HashMap<(Party, Asset), (U256, U256)> = HashMap::new();
        for transfer in &self.transfers {
            if transfer.from == transfer.to {
                continue;
            }
            let received = &mut sums.entry((transfer.to, transfer.asset)).or_default().0;
            *received = received.saturating_add(transfer.amount);
            let sent = &mut sums.entry((transfer.from, transfer.asset)).or_default().1;
            *sent = sent.saturating_add(transfer.amount);
        }
        let mut changes: Vec<BalanceChange> = sums
            .into_iter()
            .map(|((party, asset), (received, sent))| BalanceChange {
                party,
                asset,
                received,
                sent,
            })
            .collect();
        changes.sort_by_key(|change| (change.party, change.asset));
        changes
    }
}

/// An address in a 32-byte word: twelve zero bytes, then it.
pub(crate) fn address_in(word: &[u8]) -> Option<Address> {
    let (zeros, address) = word.split_first_chunk::<12>()?;
    (zeros == &[0; 12] && address.len() == 20).then(|| Address::from_slice(address))
}

fn revert_reason(output: &[u8]) -> Option<String> {
    let (selector, rest) = output.split_first_chunk::<4>()?;
    match selector {
        [0x08, 0xc3, 0x79, 0xa0] => {
            let len = U256::from_be_slice(rest.get(32..64)?);
            let len = usize::try_from(len).ok()?.min(1024);
            let text = rest.get(64..64 + len).or_else(|| rest.get(64..))?;
            Some(String::from_utf8_lossy(text).into_owned())
        }
        [0x4e, 0x48, 0x7b, 0x71] => {
            let code = U256::from_be_slice(rest.get(..32)?);
            Some(format!("panic 0x{code:x}"))
        }
        _ => None,
    }
}
