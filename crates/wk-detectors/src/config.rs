//! Settings of the detectors, each from its own file.

use schemars::JsonSchema;
use serde::Deserialize;
use wk_model::{Finality, OneOrMany, Severity};

use crate::{
    access_control, approval_drain, arbitrary_call, arithmetic, attacker_contract, bridge,
    donation, emptied, fake_counterpart, flash_loan, fund_flow, governance, instant_profit,
    key_compromise, moved_oracle, phishing, price_manipulation, proxy_upgrade, reentrancy,
    rug_pull, signature_replay, sybil, token_mechanics, unexplained_gain, usage,
};

/// Which detectors look at transactions, and how strictly.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is less severe than this is not told: P0 (critical) to P3 (low). Default: all is told.
    pub min_severity: Option<Severity>,
    /// How settled a block must be before findings in its transactions are told: `seen` is at once,
    /// and is taken back if the block is reverted.
    pub deliver: Finality,
    /// Receivers of the detectors' findings; one name or a list. Default: those of `route`.
    pub notify: OneOrMany<String>,
    /// A contract is entered again before its first call has ended.
    pub reentrancy: reentrancy::Config,
    /// A pool is traded one way and back around something else.
    pub price_manipulation: price_manipulation::Config,
    /// Tokens of people who take no part are pulled by a contract that was told to.
    pub approval_drain: approval_drain::Config,
    /// A protocol trusts a contract of the caller's.
    pub fake_counterpart: fake_counterpart::Config,
    /// Votes, proposals and their execution together with gain.
    pub governance: governance::Config,
    /// Ownership taken, contracts initialised again, internal functions called from outside.
    pub access_control: access_control::Config,
    /// Numbers so large that sums wrap around.
    pub arithmetic: arithmetic::Config,
    /// A message from another chain that changes the bridge itself.
    pub bridge: bridge::Config,
    /// Shares made dearer by a gift.
    pub donation: donation::Config,
    /// Pools out of step with their tokens.
    pub token_mechanics: token_mechanics::Config,
    /// A contract that gives back more than it got, at once.
    pub instant_profit: instant_profit::Config,
    /// Many fresh contracts that each claim the same.
    pub sybil: sybil::Config,
    /// Borrowed money, and someone who only lost.
    pub flash_loan: flash_loan::Config,
    /// A price that someone relies on, moved between the attacker's steps.
    pub moved_oracle: moved_oracle::Config,
    /// Calls that a contract makes because the caller wrote them into its call data.
    pub arbitrary_call: arbitrary_call::Config,
    /// Signatures used again, given by nobody, or never looked at.
    pub signature_replay: signature_replay::Config,
    /// Approvals, payments and histories that people were tricked into.
    pub phishing: phishing::Config,
    /// An owner's way out of a contract, used.
    pub key_compromise: key_compromise::Config,
    /// Liquidity pulled, or new units sold at once.
    pub rug_pull: rug_pull::Config,
    /// Code behind a proxy exchanged for fresh code.
    pub proxy_upgrade: proxy_upgrade::Config,
    /// New contracts made of an attack's parts.
    pub attacker_contract: attacker_contract::Config,
    /// Money to and from mixers, and much money at once.
    pub fund_flow: fund_flow::Config,
    /// Contracts that hold nothing any more.
    pub emptied: emptied::Config,
    /// Gains that nothing explains.
    pub unexplained_gain: unexplained_gain::Config,
    /// Watched contracts used as they never were before: live only, since it is learned.
    pub unusual_use: usage::Config,
}

/// Declares a detector's settings: whether it is on, and what else it has.
macro_rules! settings {
    ($detector:literal; $($(#[$doc:meta])* $name:ident: $kind:ty = $default:expr,)*) => {
        #[doc = concat!("Settings of the detector `", $detector, "`.")]
        #[derive(Clone, Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct Config {
            /// Whether it looks at all.
            pub enabled: bool,
            $($(#[$doc])* pub $name: $kind,)*
        }

        impl Default for Config {
            fn default() -> Config {
                Config { enabled: true, $($name: $default,)* }
            }
        }
    };
}
pub(crate) use settings;
