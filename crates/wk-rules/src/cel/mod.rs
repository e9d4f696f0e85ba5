//! The expression language: CEL syntax over 256-bit integers, addresses and bytes.
