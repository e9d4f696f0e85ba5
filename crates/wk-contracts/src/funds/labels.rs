//! Who is behind an address, as far as a list says.

use std::collections::HashMap;

use alloy_primitives::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An entry of the list of known addresses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressLabel {
    /// The address, on all chains.
    #[schemars(with = "String")]
    pub address: Address,
    /// What it is.
    pub kind: LabelKind,
    /// Its name for people.
    #[serde(default)]
    pub name: String,
}

/// What a known address is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// Breaks the link between who pays in and who takes out.
    Mixer,
    /// Pays out on another chain.
    Bridge,
    /// A custodial exchange, which knows its customers.
    Exchange,
    /// Destroys what it gets.
    Burn,
    /// A public protocol, such as a lending market or a pool: money that stays in it is shared.
    Protocol,
    /// Someone's own address: followed like an unknown one.
    Wallet,
}

impl LabelKind {
    /// Its name as data shows it.
    pub fn name(self) -> &'static str {
        match self {
            LabelKind::Mixer => "mixer",
            LabelKind::Bridge => "bridge",
            LabelKind::Exchange => "exchange",
            LabelKind::Burn => "burn",
            LabelKind::Protocol => "protocol",
            LabelKind::Wallet => "wallet",
        }
    }

    /// Whether the way ends there.
    pub fn is_sink(self) -> bool {
        self != LabelKind::Wallet
    }
}

/// Known addresses.
#[derive(Clone, Debug, Default)]
pub struct Labels(HashMap<Address, (LabelKind, String)>);

impl Labels {
    /// The list's labels, with the zero address as the place where things are burnt. Of several for
    /// one address the last counts.
    pub fn new(labels: &[AddressLabel]) -> Labels {
        let mut known = HashMap::from([(Address::ZERO, (LabelKind::Burn, "zero".to_owned()))]);
        for label in labels {
            known.insert(label.address, (label.kind, label.name.clone()));
        }
        Labels(known)
    }

    /// What is known of an address.
    pub fn get(&self, address: &Address) -> Option<(LabelKind, &str)> {
        self.0.get(address).map(|(kind, name)| (*kind, name.as_str()))
    }
}
