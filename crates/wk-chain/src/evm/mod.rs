//! EVM chains: wire format, verification, head following, state, node facts.
