//! What a detector says of a transaction.

use alloy_primitives::U256;
use serde::Serialize;
use serde_json::{Map, Value};
use wk_model::{Confidence, Severity};
use wk_trace::{Asset, Party};

use crate::case::Case;

/// Kinds of attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A contract entered again before it had settled.
    Reentrancy,
    /// A price moved for the moment in which someone relies on it.
    PriceManipulation,
    /// Something done that the caller should not have been allowed to do.
    AccessControl,
    /// A protocol's own steps put together so that it loses.
    BusinessLogic,
    /// A token whose own rules (fees, burns, rebases) are turned against a pool.
    TokenMechanics,
    /// A contract made to call whatever the caller says.
    ArbitraryCall,
    /// Overflow or underflow.
    Arithmetic,
    /// A bridge's message or release that should not be.
    Bridge,
    /// A share price inflated by a gift.
    DonationInflation,
    /// A vote bought or a proposal forced.
    Governance,
    /// A signature or message used where or as often as it should not be.
    SignatureReplay,
    /// An owner's rights used to take everything.
    KeyCompromise,
    /// Chance that the player could foresee.
    Randomness,
    /// Liquidity or holders' money taken by those who had made the token.
    RugPull,
    /// People made to approve, pay or copy what they should not.
    Phishing,
    /// Code behind a proxy exchanged for other code.
    ProxyUpgrade,
    /// Money on its way to or from where tracks end, or a lot of it at once.
    FundFlow,
    /// A contract that looks made for an attack which has not begun.
    AttackContract,
    /// A contract used as it never was before.
    UnusualUse,
}

impl Class {
    /// Its name as data shows it.
    pub fn name(self) -> &'static str {
        match self {
            Class::Reentrancy => "reentrancy",
            Class::PriceManipulation => "price_manipulation",
            Class::AccessControl => "access_control",
            Class::BusinessLogic => "business_logic",
            Class::TokenMechanics => "token_mechanics",
            Class::ArbitraryCall => "arbitrary_call",
            Class::Arithmetic => "arithmetic",
            Class::Bridge => "bridge",
            Class::DonationInflation => "donation_inflation",
            Class::Governance => "governance",
            Class::SignatureReplay => "signature_replay",
            Class::KeyCompromise => "key_compromise",
            Class::Randomness => "randomness",
            Class::RugPull => "rug_pull",
            Class::Phishing => "phishing",
            Class::ProxyUpgrade => "proxy_upgrade",
            Class::FundFlow => "fund_flow",
            Class::AttackContract => "attack_contract",
            Class::UnusualUse => "unusual_use",
        }
    }
}

/// What convinced a detector: names and values; amounts are decimal strings, addresses lower-case
/// hex.
pub type Evidence = Map<String, Value>;

/// A detector's statement about a transaction.
#[derive(Clone, Debug, Serialize)]
pub struct TxFinding {
    /// Who says so.
    pub detector: &'static str,
    /// What kind of attack it is.
    pub class: Class,
    /// How bad it is.
    pub severity: Severity,
    /// How sure the detector is.
    pub confidence: Confidence,
    /// What convinced it.
    pub evidence: Evidence,
}

impl TxFinding {
    pub(crate) fn new(
        detector: &'static str,
        class: Class,
        severity: Severity,
        confidence: u8,
    ) -> TxFinding {
        let confidence = Confidence(confidence);
        TxFinding { detector, class, severity, confidence, evidence: Evidence::new() }
    }

    /// Adds a plain value.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> TxFinding {
        self.evidence.insert(name.to_owned(), value.into());
        self
    }

    /// Adds an account.
    #[must_use]
    pub(crate) fn party(self, case: &Case<'_>, name: &str, party: Party) -> TxFinding {
        let address = hex(case, party);
        self.with(name, address)
    }

    /// Adds what the attacker's side has won in all.
    #[must_use]
    pub(crate) fn gains(self, case: &Case<'_>) -> TxFinding {
        let gains: Vec<Value> = case
            .gains()
            .iter()
            .take(8)
            .map(|(asset, amount)| moved(case, *asset, *amount))
            .collect();
        self.with("gains", gains)
    }
}

pub(crate) fn hex(case: &Case<'_>, party: Party) -> String {
    format!("{:#x}", case.trace.address(party))
}

/// An asset and an amount as data shows them.
pub(crate) fn moved(case: &Case<'_>, asset: Asset, amount: U256) -> Value {
    let asset = match asset {
        Asset::Native => "native".to_owned(),
        Asset::Token(token) => hex(case, token),
    };
    serde_json::json!({"asset": asset, "amount": amount.to_string()})
}
