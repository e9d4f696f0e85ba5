//! The root settings, composed of the parts' own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use wk_chain::abi::ContractConfig;
use wk_chain::evm::EvmConfig;
use wk_chain::rpc::EndpointConfig;
use wk_collectors::{ProbeConfig, ProbeMethod};
use wk_contracts::funds::AddressLabel;
use wk_detectors::bridge_matching::BridgeConfig;
use wk_model::{ChainName, OneOrMany, Secret};
use wk_notifiers::ReceiverConfig;
use wk_rules::{HttpMethod, HttpProbe, ListConfig, RuleConfig, TestConfig};

use crate::server::ServerConfig;

/// Settings of Watchkeeper. Every key may be left out; an empty file is valid.
///
/// Any value may contain environment variables: `${NAME}`, `${NAME:-default}` or
/// `${NAME:?message}`; `$${NAME}` is the text itself. Keys that begin with `x-` are ignored at the
/// root: a place for YAML anchors.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where Watchkeeper answers, and where it keeps its data.
    pub server: ServerConfig,
    /// Chains to watch, by a name of your choice.
    #[schemars(with = "BTreeMap<String, ChainConfig>")]
    pub chains: BTreeMap<ChainName, ChainConfig>,
    /// Contracts to watch, by the names that rules use.
    pub contracts: BTreeMap<String, ContractConfig>,
    /// Bridges of which every release is held against the deposits of the other chain, by a name of
    /// your choice; one entry per direction.
    pub bridges: BTreeMap<String, BridgeConfig>,
    /// Known addresses: mixers, bridges, exchanges and others where followed money ends.
    pub labels: Vec<AddressLabel>,
    /// What one coin of a chain is worth, by the chain's name, in a currency of your choice: for what
    /// contracts cost.
    #[schemars(with = "BTreeMap<String, f64>")]
    pub coin_prices: BTreeMap<ChainName, f64>,
    /// Lists that rules look things up in, as `lists.NAME`.
    pub lists: BTreeMap<String, ListConfig>,
    /// What to look for.
    pub rules: Vec<RuleConfig>,
    /// Attacks to look for in what transactions do, on every chain whose `evm.traces` is not `off`.
    /// All detectors are on unless they are turned off here.
    pub detectors: wk_detectors::Config,
    /// Tests of rules, run by `watchkeeper test`.
    pub tests: Vec<TestConfig>,
    /// Who can be told, by a name of your choice. Without any, findings are printed on standard
    /// output.
    pub receivers: BTreeMap<String, ReceiverConfig>,
    /// Who is told of what.
    pub route: RouteConfig,
}

/// A chain to watch: one entry of `chains`, with exactly one family as its key.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChainConfig {
    /// An EVM chain.
    Evm(EvmConfig),
}

/// Who is told of what: `route`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteConfig {
    /// Receivers that hear of findings whose rule has no `notify`, and of Watchkeeper's own
    /// findings; one name or a list. Default: all receivers.
    pub receiver: OneOrMany<String>,
}

impl Config {
    /// A config that watches the chain behind one endpoint, as `main`, and prints what it finds.
    pub(crate) fn for_rpc_url(url: Secret) -> Config {
        let rpc = OneOrMany(vec![EndpointConfig::Url(url)]);
        let evm = EvmConfig { rpc, ..EvmConfig::default() };
        Config {
            chains: BTreeMap::from([(ChainName::new("main"), ChainConfig::Evm(evm))]),
            ..Config::default()
        }
        .complete()
    }

    /// With the receivers that the defaults name written out: nothing is found without someone
    /// being told.
    #[must_use]
    pub(crate) fn complete(mut self) -> Config {
        if self.receivers.is_empty() {
            let stdout = ReceiverConfig { stdout: Some(Default::default()), ..Default::default() };
            self.receivers.insert("stdout".to_owned(), stdout);
        }
        if self.route.receiver.is_empty() {
            self.route.receiver = OneOrMany(self.receivers.keys().cloned().collect());
        }
        self
    }
}

/// The settings of the probe that a rule asks for.
pub fn probe_config(probe: HttpProbe) -> ProbeConfig {
    let HttpProbe { rule, url, method, headers, body, interval, timeout } = probe;
    let method = match method {
        HttpMethod::Get => ProbeMethod::Get,
        HttpMethod::Head => ProbeMethod::Head,
        HttpMethod::Post => ProbeMethod::Post,
    };
    ProbeConfig { rule, url, method, headers, body, interval: interval.0, timeout: timeout.0 }
}

/// The JSON schema (draft 07) of a config file, for editors. The same for the same program.
pub fn schema() -> serde_json::Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<Config>().to_value();
    if let Some(root) = schema.as_object_mut() {
        // Anchors live under keys of the user's choice.
        root.insert("patternProperties".to_owned(), serde_json::json!({"^x-": true}));
    }
    schema
}
