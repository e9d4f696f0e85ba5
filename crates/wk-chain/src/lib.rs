//! Chain clients: RPC pool, head following, reorgs, verification, coverage, ABI.

pub mod abi;
pub mod coverage;
pub mod evm;
pub mod rpc;
