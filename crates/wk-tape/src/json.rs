//! Reading and writing the hex quantities of Ethereum's JSON.

use alloy_primitives::{B256, U256};
use serde_json::Value;

/// A quantity such as `0x1f`.
pub(crate) fn quantity(number: u64) -> Value {
    Value::String(format!("{number:#x}"))
}

/// The number in a quantity; none when it is no quantity of 64 bits.
pub(crate) fn to_u64(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// The number in a quantity; none when it is no quantity of 256 bits.
pub(crate) fn to_u256(value: &Value) -> Option<U256> {
    U256::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// A hash of 32 bytes.
pub(crate) fn to_hash(value: &Value) -> Option<B256> {
    value.as_str().filter(|text| text.starts_with("0x"))?.parse().ok()
}

/// A hash as JSON.
pub(crate) fn hash(hash: B256) -> Value {
    Value::String(format!("{hash}"))
}
