//! Settings of the learned profiles.

use schemars::JsonSchema;
use serde::Deserialize;

/// Settings of the detector `unusual_use`: when a contract's learned profile is sure enough to speak,
/// and how far beyond its bounds is unusual.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether contracts' use is learned and judged at all.
    pub enabled: bool,
    /// Transactions that must have been learned before anything is judged, and calls of a function
    /// before it is.
    pub warm_up: u32,
    /// Blocks since something new was last learned (a function, a caller) before the next new one is
    /// unusual.
    pub settled_blocks: u32,
    /// How many times the most gas so far is unusual.
    pub gas_factor: u32,
    /// How many times as many calls, in a transaction or a block, as ever before are unusual.
    pub calls_factor: u32,
    /// How many times the greatest amount of an asset that ever left is unusual.
    pub outflow_factor: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            enabled: true,
            warm_up: 200,
            settled_blocks: 7_200,
            gas_factor: 4,
            calls_factor: 4,
            outflow_factor: 5,
        }
    }
}
