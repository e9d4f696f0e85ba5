//! Whether a code hands its calls on, and how it knows to whom.

use alloy_primitives::Address;
use serde::Serialize;

use super::asm::{instructions, op};
use super::known::{SLOT_BEACON, SLOT_IMPLEMENTATION, SLOT_PROXIABLE};

/// How a proxy knows whom to hand calls on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyKind {
    /// EIP-1167: for good, in its code.
    Minimal,
    /// EIP-1967: from the slot of the implementation.
    Eip1967,
    /// EIP-1967: from a beacon.
    Beacon,
    /// EIP-1822.
    Eip1822,
}

/// A proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Proxy {
    /// How it knows.
    pub kind: ProxyKind,
    /// Whom, where the code says so itself.
    pub target: Option<Address>,
}

/// Length of the longest minimal proxy, with its arguments left out.
const MINIMAL: usize = 64;

pub(super) fn proxy(code: &[u8]) -> Option<Proxy> {
    let mut delegates = false;
    let mut kind = None;
    let mut constant = None;
    for (count, instruction) in instructions(code).enumerate() {
        match instruction.opcode {
            op::DELEGATECALL => {
                delegates = true;
                // Minimal proxies and their kin are next to nothing but this.
                if count < 24 && instruction.at < MINIMAL && constant.is_some() {
                    return Some(Proxy { kind: ProxyKind::Minimal, target: constant });
                }
            }
            op::PUSH20 if instruction.data.len() == 20 && instruction.at < MINIMAL => {
                constant = Some(Address::from_slice(instruction.data));
            }
            op::PUSH32 => {
                let found = match instruction.data {
                    slot if slot == SLOT_BEACON.as_slice() => Some(ProxyKind::Beacon),
                    slot if slot == SLOT_IMPLEMENTATION.as_slice() => Some(ProxyKind::Eip1967),
                    slot if slot == SLOT_PROXIABLE.as_slice() => Some(ProxyKind::Eip1822),
                    _ => None,
                };
                // A beacon proxy may also name the slot of the implementation.
                if found == Some(ProxyKind::Beacon) || kind.is_none() {
                    kind = found.or(kind);
                }
            }
            _ => {}
        }
    }
    kind.filter(|_| delegates).map(|kind| Proxy { kind, target: None })
}
