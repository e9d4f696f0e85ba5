//! geth's `prestateTracer` in diff mode: which storage changed, and nothing about calls.

use alloy_primitives::{Address, U256};
use std::collections::BTreeMap;

use crate::builder::Builder;
use crate::json::{JsonError, Raw};
use crate::parity::{key_address, key_number};

/// Puts the storage changes of `{"pre": …, "post": …}` into `builder`.
///
/// A slot that only `pre` names became zero, unless its account's storage is not in `post` at all
/// because nothing of it changed.
pub(crate) fn build(pre: Raw<'_>, post: Raw<'_>, builder: &mut Builder) -> Result<(), JsonError> {
    let mut slots: BTreeMap<(Address, U256), (U256, U256)> = BTreeMap::new();
    for (state, after) in [(pre, false), (post, true)] {
        for account in state.members() {
            let (address, fields) = account?;
            let Some(address) = key_address(address) else { continue };
            builder.party(address);
            let Some(storage) = fields.member("storage") else { continue };
            for slot in storage.members() {
                let (slot, value) = slot?;
                let Some(slot) = key_number(slot) else { continue };
                let value = value.number().unwrap_or_default();
                let entry = slots.entry((address, slot)).or_default();
                *(if after { &mut entry.1 } else { &mut entry.0 }) = value;
            }
        }
    }
    for ((address, slot), (from, to)) in slots {
        builder.storage(address, slot, from, to);
    }
    builder.trace().known.storage = true;
    Ok(())
}
