//! Chain clients: RPC pool, head following, reorgs, verification, coverage, ABI.
