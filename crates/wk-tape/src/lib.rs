//! A recorded chain, and a JSON-RPC node on loopback that plays it: for the demo and for tests.
//!
//! A [`Tape`] holds what a real node said: blocks, receipts, state answers, and the branches of its
//! reorgs. A [`TapeNode`] plays it block by block. Transactions, receipts and their roots are the
//! recorded ones; each header gets the time of playing and its hash is recomputed, so that a
//! watcher sees a chain that lives now and can verify every block of it.

mod answer;
mod demo;
mod gas;
mod json;
mod ledger;
mod lie;
mod logs;
mod node;
mod seal;
mod server;
mod tape;

pub use demo::{DEMO_CHAIN_ID, demo_config_yaml, demo_options, demo_tape};
pub use lie::{Lie, Script};
pub use node::{EndpointOptions, NodeUrls, Pace, StartNode, TapeNode, TapeOptions, Timing};
pub use seal::{BadHeader, header_hash};
pub use server::{JsonRpcServer, RpcError, Service, Subscriber};
pub use tape::{Entry, ReadTape, Recorded, Tape, WriteTape, state_key};
