//! How a watched contract is usually used, learned from settled blocks, and what in a new transaction
//! is not so: gas, frequency, counterparties, the mix of functions, and what leaves.
//!
//! [`use_of`] says what a transaction does with a contract, [`Profile::learn`] takes that in, and
//! [`Profile::judge`] holds a new use against it. The bounds are those of Trace2Inv's guards, as far as
//! calls show them. Nothing here waits, asks or looks at a clock.
//!
//! Judging changes nothing, and only finalized blocks are to be learned, whose order does not matter:
//! so a block that is reverted leaves nothing, whatever came between.
//!
//! Known weaknesses: whoever uses a contract slowly more strangely teaches that, since every settled
//! block counts; the first days of a contract, an upgrade or a new partner are unlike what was before,
//! so that one deviation alone is of the lowest severity; a contract that is seldom used never leaves its
//! warm-up; how much is much is told by the greatest number so far, not by a distribution.

mod bound;
mod config;
mod judge;
mod observe;
mod profile;

pub use config::Config;
pub use judge::{Deviation, hold_against, unusual_uses};
pub use observe::{FunctionUse, Use, use_of};
pub use profile::Profile;
