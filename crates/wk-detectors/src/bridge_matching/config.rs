//! Settings of bridges: which events of which contracts pay in and out, and how they are matched.

use alloy_primitives::Address;
use schemars::JsonSchema;
use serde::Deserialize;
use wk_model::{ChainName, HumanDuration, OneOrMany};

/// A bridge in one direction: from the chain where people pay in to the one where it pays out.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BridgeConfig {
    /// Whose events these are. Sides that give their own `event` need none.
    #[serde(default)]
    pub kind: BridgeKind,
    /// Where people pay in.
    pub source: BridgeSide,
    /// Where the bridge pays out.
    pub target: BridgeSide,
    /// Which token of the source is which of the target. Empty: tokens are compared only where the
    /// events name both. A token that is missing from a list that is not empty fits none.
    #[serde(default)]
    pub tokens: Vec<TokenPair>,
    /// How old a deposit must be when it is released: the bridge's own waiting time.
    #[serde(default = "half_an_hour")]
    pub finality: HumanDuration,
    /// How far the source chain may have been looked at past a release, for a deposit that turns up
    /// to still withdraw what was told of the release.
    #[serde(default = "half_an_hour")]
    pub late: HumanDuration,
    /// Largest share of the amount that the bridge keeps, from 0 to 1.
    #[serde(default)]
    pub max_fee: f64,
    /// Deposits that were not released are kept for so long.
    #[serde(default = "a_year")]
    #[schemars(default)]
    pub keep: HumanDuration,
}

fn half_an_hour() -> HumanDuration {
    HumanDuration::seconds(1_800)
}

fn a_year() -> HumanDuration {
    HumanDuration::seconds(365 * 86_400)
}

/// Bridges whose events are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BridgeKind {
    /// `Deposited(bytes32 id, address token, address beneficiary, uint256 amount)` and
    /// `Released(…)` with the same parameters: what a plain lock-and-release bridge says.
    #[default]
    LockRelease,
    /// Nomad's `Send` and `Receive`, with the nonce of Home's `Dispatch` as the id.
    Nomad,
    /// The OP stack's `ERC20BridgeInitiated` and `ERC20BridgeFinalized`, which have no id.
    Standard,
}

/// One side of a bridge.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BridgeSide {
    /// A chain of `chains`.
    #[schemars(with = "String")]
    pub chain: ChainName,
    /// The contracts that emit the event, one address or a list.
    #[schemars(with = "OneOrMany<String>")]
    pub contracts: OneOrMany<Address>,
    /// The event, instead of the one that belongs to `kind`.
    #[serde(default)]
    pub event: Option<EventConfig>,
}

/// A token on both chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenPair {
    /// The token's contract on the source chain.
    #[schemars(with = "String")]
    pub source: Address,
    /// Its counterpart on the target chain.
    #[schemars(with = "String")]
    pub target: Address,
}

/// An event that pays in or out, and which of its parameters mean what.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventConfig {
    /// The event with the names of its parameters, such as
    /// `Deposited(bytes32 indexed id, address token, address to, uint256 amount)`.
    pub event: String,
    /// Parameter with the number or hash by which both sides know the transfer.
    #[serde(default)]
    pub id: Option<String>,
    /// The id when another event of the same transaction tells it.
    #[serde(default)]
    pub id_from: Option<IdFrom>,
    /// Only so many low bits of the id count, as where it also holds a chain's number.
    #[serde(default)]
    pub id_bits: Option<u16>,
    /// Parameter with the token on this chain.
    #[serde(default)]
    pub token: Option<String>,
    /// Parameter with the token on the other chain.
    #[serde(default)]
    pub other_token: Option<String>,
    /// Parameter with the amount.
    pub amount: String,
    /// Parameter with who gets it.
    pub beneficiary: String,
}

/// Another event of the same transaction that tells the id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdFrom {
    /// The event with the names of its parameters. The nearest one in the transaction's logs that
    /// is not taken yet is meant.
    pub event: String,
    /// Its parameter.
    pub param: String,
    /// Who emits it. Empty: anyone, which lets whoever is called in between forge an id, but only
    /// the id of a deposit.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub contracts: Vec<Address>,
}

impl BridgeKind {
    /// The event that pays in.
    pub fn deposit(self) -> EventConfig {
        match self {
            BridgeKind::LockRelease => plain("Deposited"),
            // Sources: nomad-xyz/monorepo, BridgeRouter.sol and Home.sol.
            BridgeKind::Nomad => EventConfig {
                event:
                    "Send(address indexed token, address indexed from, uint32 indexed toDomain, \
                        bytes32 toId, uint256 amount, bool fastLiquidityEnabled)"
                        .to_owned(),
                id: None,
                id_from: Some(IdFrom {
                    event: "Dispatch(bytes32 indexed messageHash, uint256 indexed leafIndex, \
                            uint64 indexed destinationAndNonce, bytes32 committedRoot, \
                            bytes message)"
                        .to_owned(),
                    param: "destinationAndNonce".to_owned(),
                    contracts: Vec::new(),
                }),
                id_bits: Some(32),
                token: Some("token".to_owned()),
                other_token: None,
                amount: "amount".to_owned(),
                beneficiary: "toId".to_owned(),
            },
            BridgeKind::Standard => standard("ERC20BridgeInitiated"),
        }
    }

    /// The event that pays out.
    pub fn release(self) -> EventConfig {
        match self {
            BridgeKind::LockRelease => plain("Released"),
            BridgeKind::Nomad => EventConfig {
                event: "Receive(uint64 indexed originAndNonce, address indexed token, \
                        address indexed recipient, address liquidityProvider, uint256 amount)"
                    .to_owned(),
                id: Some("originAndNonce".to_owned()),
                id_from: None,
                id_bits: Some(32),
                token: Some("token".to_owned()),
                other_token: None,
                amount: "amount".to_owned(),
                beneficiary: "recipient".to_owned(),
            },
            BridgeKind::Standard => standard("ERC20BridgeFinalized"),
        }
    }
}

fn plain(name: &str) -> EventConfig {
    EventConfig {
        event: format!(
            "{name}(bytes32 indexed id, address indexed token, address indexed beneficiary, \
             uint256 amount)"
        ),
        id: Some("id".to_owned()),
        id_from: None,
        id_bits: None,
        token: Some("token".to_owned()),
        other_token: None,
        amount: "amount".to_owned(),
        beneficiary: "beneficiary".to_owned(),
    }
}

/// Source: ethereum-optimism/optimism, StandardBridge.sol.
fn standard(name: &str) -> EventConfig {
    EventConfig {
        event: format!(
            "{name}(address indexed localToken, address indexed remoteToken, \
             address indexed from, address to, uint256 amount, bytes extraData)"
        ),
        id: None,
        id_from: None,
        id_bits: None,
        token: Some("localToken".to_owned()),
        other_token: Some("remoteToken".to_owned()),
        amount: "amount".to_owned(),
        beneficiary: "to".to_owned(),
    }
}
