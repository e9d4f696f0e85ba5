//! EVM chains: heads followed, blocks verified, holes refilled, reorgs told.

mod config;
mod digest;
mod encode;
mod fetch;
mod follow;
mod json;
mod metrics;
mod node;
mod range;
mod receipts;
mod resume;
mod signals;
pub mod state;
mod stats;
mod traces;
pub mod verify;
mod window;
pub mod wire;

pub use config::{Confirmations, EvmConfig, ReceiptSource, RescanConfig, StartAt, Verify};
pub use digest::digest;
pub use fetch::{FetchError, Fetched, Fetcher, Want};
pub use follow::{FollowError, FollowStatus, Follower};
pub use json::WireError;
pub use node::NodeProbe;
pub use range::{Blocks, RangeBlock, blocks};
pub use resume::Resume;
pub use signals::SIGNALS;
pub use traces::{
    BlockTraces, HOW_TO_ENABLE, Lack, LackKind, PendingOptions, TraceError, TraceMode,
    TraceOptions, TraceVia, TraceWatch, Tracer,
};
pub(crate) use verify::hash_holds;
