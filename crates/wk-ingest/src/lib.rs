//! Samples from outside, decoded on their way into a store.

pub mod exposition;
mod fill;
pub mod protobuf;
pub mod relabel;
pub mod remote_write;
