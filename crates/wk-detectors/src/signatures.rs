//! Functions that everybody knows, by what they mean to a detector. The tables are data: one names
//! functions, the other families of them, whose names tell what they do whatever they are given.

use std::collections::HashMap;
use std::sync::LazyLock;

use alloy_primitives::keccak256;

/// Columns: role, signature.
const FUNCTIONS: &str = include_str!("../data/functions.tsv");

/// Columns: role, names, lists of arguments. `up to 4` stands for any four of the usual types.
const FAMILIES: &str = include_str!("../data/families.tsv");

/// Types of which families take up to three …
const USUAL: [&str; 9] =
    ["address", "uint256", "bytes", "bool", "uint8", "string", "bytes32", "address[]", "uint256[]"];

/// … and those of which they take four.
const COMMON: [&str; 5] = ["address", "uint256", "bytes", "address[]", "uint256[]"];

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
    /// Proposals and votes alone: steps before something is decided.
    Ballot,
    /// Changes of who may do what.
    Ownership,
    /// What is to be called once, when a contract is new.
    Initializer,
    /// Names that say: not to be called from outside.
    InternalName,
    /// What lets tokens out of a bridge.
    BridgeRelease,
    /// Transfers to many.
    BatchTransfer,
    /// Payment of a debt.
    Repay,
    /// A new debt.
    Borrow,
    /// What lenders call on those to whom they lend for one transaction, and pools do not.
    FlashCallback,
    /// What something is worth, by whoever is asked.
    Price,
    /// What a share of a pool, vault or market is worth.
    SharePrice,
    /// Trades of tokens that take a fee from their own transfers.
    TaxedSwap,
    /// Approvals by signature.
    Permit,
    /// Approvals.
    Approval,
    /// Exchange of the code behind a proxy.
    Upgrade,
    /// Deposits at mixers, and withdrawals from them.
    Mixer,
    /// Names with which people are made to pay for nothing.
    Lure,
    /// By which owners take out what a contract holds.
    OwnerExit,
    /// `balanceOf(address)`.
    Balance,
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
            "ballot" => Role::Ballot,
            "ownership" => Role::Ownership,
            "initializer" => Role::Initializer,
            "internal_name" => Role::InternalName,
            "bridge_release" => Role::BridgeRelease,
            "batch_transfer" => Role::BatchTransfer,
            "repay" => Role::Repay,
            "borrow" => Role::Borrow,
            "flash_callback" => Role::FlashCallback,
            "price" => Role::Price,
            "share_price" => Role::SharePrice,
            "taxed_swap" => Role::TaxedSwap,
            "permit" => Role::Permit,
            "approval" => Role::Approval,
            "upgrade" => Role::Upgrade,
            "mixer" => Role::Mixer,
            "lure" => Role::Lure,
            "owner_exit" => Role::OwnerExit,
            "balance" => Role::Balance,
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
    let mut known = HashMap::new();
    for line in FUNCTIONS.lines().skip(1) {
        let (role, signature) = line.split_once('\t').expect("a test reads every line");
        learn(&mut known, Role::named(role).expect("a test reads every line"), signature);
    }
    for line in FAMILIES.lines().skip(1) {
        let mut columns = line.split('\t');
        let mut column = || columns.next().expect("a test reads every line");
        let role = Role::named(column()).expect("a test reads every line");
        let (names, arguments) = (column(), column());
        let arguments = if arguments == "up to 4" {
            usual_arguments()
        } else {
            arguments.split(';').map(str::to_owned).collect()
        };
        for name in names.split(',') {
            for list in &arguments {
                learn(&mut known, role, &format!("{name}({list})"));
            }
        }
    }
    known
});

fn learn(known: &mut HashMap<u32, Roles>, role: Role, signature: &str) {
    let hash = keccak256(signature);
    let selector = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    let roles = known.entry(selector).or_default();
    *roles = Roles(roles.0 | role.bit());
}

/// Every list of up to three usual types, and of four common ones.
fn usual_arguments() -> Vec<String> {
    let longer = |lists: &[String], types: &[&str]| -> Vec<String> {
        lists
            .iter()
            .flat_map(|list| types.iter().map(move |kind| format!("{list},{kind}")))
            .collect()
    };
    let one: Vec<String> = USUAL.iter().map(|&kind| kind.to_owned()).collect();
    let two = longer(&one, &USUAL);
    let three = longer(&two, &USUAL);
    let mut four: Vec<String> = COMMON.iter().map(|&kind| kind.to_owned()).collect();
    for _ in 0..3 {
        four = longer(&four, &COMMON);
    }
    let mut all = vec![String::new()];
    for lists in [one, two, three, four] {
        all.extend(lists);
    }
    all
}

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
        for line in FAMILIES.lines().skip(1) {
            let columns: Vec<&str> = line.split('\t').collect();
            let [role, names, _] = columns.as_slice() else { panic!("{line}") };
            assert!(Role::named(role).is_some() && !names.contains(' '), "{line}");
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
            (0x0902_f1ac, Role::Price),
            (0x3659_cfe6, Role::Upgrade),
            (0xd505_accf, Role::Permit),
        ] {
            assert!(roles(selector).has(role), "{selector:08x} {role:?}");
        }
    }
}
