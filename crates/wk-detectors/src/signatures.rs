//! Functions that everybody knows, by what they mean to a detector. The table is data.

use std::collections::HashMap;
use std::sync::LazyLock;

use alloy_primitives::keccak256;

/// Columns: role, signature.
const FUNCTIONS: &str = include_str!("../data/functions.tsv");

/// What a well-known function means to a detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// The token standards' own functions.
    Token,
    /// What tokens call on those who send or get them.
    TokenHook,
    /// What lenders and pools call on those who borrow for a moment.
    LoanCallback,
    /// Where anybody enters a public protocol: routers, wallets, vaults.
    PublicEntry,
    /// One contract that holds many pools, so that trades in it say little about one price.
    SharedPool,
    /// Liquidation of someone's debt.
    Liquidation,
    /// Functions that bring a pool out of step with its balances.
    PoolTrick,
    /// Proposals, votes and their execution.
    Governance,
    /// Changes of who may do what.
    Ownership,
    /// What is to be called once, when a contract is new.
    Initializer,
    /// Names that say: not to be called from outside.
    InternalName,
    /// What lets tokens out of a bridge.
    BridgeRelease,
    /// What changes who may let tokens out of a bridge.
    BridgeAdmin,
    /// Transfers to many, or on behalf of others with a fee.
    BatchTransfer,
    /// Payment of a debt.
    Repay,
    /// A new debt.
    Borrow,
    /// What lenders call on those to whom they lend for one transaction, and pools do not.
    FlashCallback,
}

impl Role {
    fn named(name: &str) -> Option<Role> {
        Some(match name {
            "token" => Role::Token,
            "token_hook" => Role::TokenHook,
            "loan_callback" => Role::LoanCallback,
            "public_entry" => Role::PublicEntry,
            "shared_pool" => Role::SharedPool,
            "liquidation" => Role::Liquidation,
            "pool_trick" => Role::PoolTrick,
            "governance" => Role::Governance,
            "ownership" => Role::Ownership,
            "initializer" => Role::Initializer,
            "internal_name" => Role::InternalName,
            "bridge_release" => Role::BridgeRelease,
            "bridge_admin" => Role::BridgeAdmin,
            "batch_transfer" => Role::BatchTransfer,
            "repay" => Role::Repay,
            "borrow" => Role::Borrow,
            "flash_callback" => Role::FlashCallback,
            _ => return None,
        })
    }

    fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// The roles of one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles(u32);

impl Roles {
    pub(crate) fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    pub(crate) fn and(self, other: Roles) -> Roles {
        Roles(self.0 | other.0)
    }
}

static ROLES: LazyLock<HashMap<u32, Roles>> = LazyLock::new(|| {
    let mut roles: HashMap<u32, Roles> = HashMap::new();
    for line in FUNCTIONS.lines().skip(1) {
        let (role, signature) = line.split_once('\t').expect("a test reads every line");
        let role = Role::named(role).expect("a test reads every line");
        let hash = keccak256(signature);
        let selector = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        let known = roles.entry(selector).or_default();
        *known = Roles(known.0 | role.bit());
    }
    roles
});

/// The roles of the function with this selector.
pub(crate) fn roles(selector: u32) -> Roles {
    ROLES.get(&selector).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_names_a_role_and_a_signature() {
        for line in FUNCTIONS.lines().skip(1) {
            let (role, signature) = line.split_once('\t').unwrap();
            assert!(Role::named(role).is_some(), "{line}");
            assert!(signature.ends_with(')') && !signature.contains(' '), "{line}");
        }
    }

    #[test]
    fn well_known_selectors_have_their_roles() {
        for (selector, role) in [
            (0xa905_9cbb, Role::Token),
            (0x75ab_9782, Role::TokenHook),
            (0x10d1_e85c, Role::LoanCallback),
            (0x920f_5c84, Role::LoanCallback),
            (0x8b41_8713, Role::LoanCallback),
            (0xf5e3_c462, Role::Liquidation),
            (0x8bdb_3913, Role::PublicEntry),
            (0xe46d_cfeb, Role::Initializer),
            (0x8430_4ad7, Role::Initializer),
            (0xf2fd_e38b, Role::Ownership),
            (0xbc25_cf77, Role::PoolTrick),
        ] {
            assert!(roles(selector).has(role), "{selector:08x} {role:?}");
        }
    }
}
