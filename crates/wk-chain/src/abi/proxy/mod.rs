//! Proxies: what stands behind a contract, and since when.
//!
//! `detect` reads a contract's code and slots; `Implementations` keeps what was read and what
//! upgrade logs said, block by block, and answers which code a log or a call was run by.

mod code;
mod detect;
mod history;

pub use detect::{Detected, Detection, ProxyKind, Read, ReadFault, detect, slots};
pub use history::{Implementations, Moment};
pub use wk_model::proxy::{Change, LogPlace, Target, Upgrade};

/// Most proxies behind one another that are followed.
pub const MAX_NESTED: usize = 4;
