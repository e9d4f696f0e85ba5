//! Executes transactions here: mined ones again, pending ones ahead of their block.
//!
//! Whatever a node tells of a transaction's inside can be had without it, from the state before the
//! block: call frames, logs in place, every read and write of storage. [`Machine`] executes
//! transactions one after the other on a [`State`], each seeing what those before it changed, and
//! gives a [`wk_trace::TxTrace`] for each. [`StoredBlock`] is a block with all the state that it
//! needs, as a file keeps it; [`NodeState`] asks a node for what is needed, once.

mod environment;
mod forks;
mod halt;
mod machine;
mod node;
mod recorder;
mod state;
mod stored;

pub use forks::Rules;
pub use machine::{ExecuteError, Executed, Machine};
pub use node::{CodeCache, NodeState, SimulateError, simulate};
pub use state::{Account, Code, Prestate, State, StateError};
pub use stored::{Codes, ReadStored, StoredBlock};
