//! Real peers for tests: anvil, a fault proxy, compiled contract fixtures.
