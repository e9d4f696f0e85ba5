//! Watched contracts themselves: what they cost, how they are built, how risky they are, and where
//! their money went. Pure: whoever asks brings the traces, the code, the facts and the transfers.

pub mod code;
pub mod cost;
pub mod funds;
pub mod risk;
