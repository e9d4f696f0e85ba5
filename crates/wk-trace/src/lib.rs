//! One model of a transaction, whatever told of it: call tree, transfers, balance changes.
//!
//! [`read`] finds out by itself what it was given. Input is untrusted: sizes, frames and depths are
//! bounded, and what was left out is said in [`Completeness`].

mod builder;
mod call_tracer;
mod json;
mod model;
mod parity;
mod prestate;
mod read;
mod receipts;
mod transfers;
mod unpack;

pub use builder::Builder;
pub use json::JsonError;
pub use model::{
    Access, Asset, BalanceChange, Completeness, Created, Frame, FrameKind, Log, NO_FRAME, Party,
    SignatureCheck, Span, StorageAccess, StorageChange, TraceSource, Transfer, TransferKind,
    TxTrace,
};
pub use read::{ReadError, Traces, read};
pub use unpack::{UnpackError, unpack};

/// Frames of one transaction that are kept; what comes after is left out and marked.
pub const MAX_FRAMES: usize = 100_000;
/// Depth of the deepest frame that is kept: the protocol's own limit.
pub const MAX_DEPTH: u16 = 1024;
/// Logs of one transaction that are kept.
pub const MAX_LOGS: usize = 100_000;
/// Reads and writes of storage of one transaction that are kept.
pub const MAX_ACCESSES: usize = 200_000;
/// Bytes of call data, output and log data of one transaction that are kept.
pub const MAX_BYTES: usize = 256 << 20;
/// Transactions of one input that are kept.
pub const MAX_TRANSACTIONS: usize = 100_000;
