//! The `evm:` section of a chain: how an EVM chain is followed, verified and looked at again.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wk_model::primitives::B256;
use wk_model::{ChainId, Height, HumanDuration, OneOrMany, Problem, Secret};

use super::traces::{PendingOptions, TraceMode, TraceOptions};
use crate::rpc::{EndpointConfig, PoolConfig, RpcConfig};

/// Settings of an EVM chain: `chains.NAME.evm`.
///
/// Only `rpc` is needed; everything else has a default that suits a public chain.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvmConfig {
    /// Endpoints, best first: one URL, or a list of URLs and of mappings with `url` and more
    /// settings. Two or more from different providers let Watchkeeper compare their answers.
    pub rpc: OneOrMany<EndpointConfig>,
    /// WebSocket URLs for new heads and pending transactions: the first belongs to the first
    /// endpoint of `rpc`, and so on; further ones are endpoints of their own. Without any, the head
    /// is polled.
    pub ws: OneOrMany<Secret>,
    /// How the endpoints are used: timeouts, sizes, hedging, comparison.
    pub rpc_options: RpcConfig,
    /// The chain's EIP-155 id. When it is missing, the first endpoint's answer counts; an endpoint
    /// that answers with another id is not used.
    pub chain_id: Option<u64>,
    /// Where to begin on the first start: `latest`, `finalized`, or a block number. Later starts
    /// go on where the last one stopped.
    pub from: StartAt,
    /// Blocks on top of a block that make it `safe` and `finalized`. When given, they are used in
    /// place of the chain's own `safe` and `finalized` tags. A chain without tags uses 12 and 64.
    pub confirmations: Option<Confirmations>,
    /// Expected time between blocks, such as `12s` or `200ms`. Learned from the chain when missing.
    pub block_time: Option<HumanDuration>,
    /// How deep a reorg may be, in blocks, to be followed. A deeper one is a P0 finding, and the
    /// chain is not followed further.
    pub reorg_window: u32,
    /// Follows a reorg that is deeper than `reorg_window` or changes a finalized block, when its
    /// new branch contains the block with this hash. The P0 finding names the hash to set here.
    #[schemars(with = "Option<String>", extend("pattern" = "^0x[0-9a-fA-F]{64}$"))]
    pub accept_branch: Option<B256>,
    /// When more blocks than this were missed during a stop, the head is followed at once and the
    /// missed blocks are filled in behind it; up to this many are read in order first.
    pub max_catchup_gap: u64,
    /// What to do with a block that fails a check on every endpoint: `strict` leaves a hole and
    /// keeps trying, `lenient` processes it and says in the coverage what failed.
    pub verify: Verify,
    /// Where receipts come from. `auto` tries `block` first, then `transaction`, then `logs`.
    pub receipts: ReceiptSource,
    /// The later second look at blocks near the head, which catches late truth.
    pub rescan: RescanConfig,
    /// Without a new block for this long, the chain counts as halted. By default 10 block times,
    /// and never less than a minute.
    pub halt_after: Option<HumanDuration>,
    /// Blocks that are fetched at the same time while catching up, 1 to 256.
    pub parallel: u16,
    /// Where call traces come from: `auto` takes what the endpoints can do; `off` inspects no
    /// transactions of this chain. Which attacks are looked for, `detectors` says.
    pub traces: TraceMode,
    /// A block explorer, such as `https://etherscan.io`: findings in transactions link to it.
    pub explorer: Option<String>,
    /// How traces are asked for, and which transactions are told of.
    pub trace_options: TraceOptions,
    /// Whether pending transactions are executed ahead of their block and looked at by all
    /// detectors.
    pub pending: PendingOptions,
    /// How often each node is asked for its version, peers, sync state, transaction pool and fees;
    /// `0s` turns this off.
    pub node_facts_every: HumanDuration,
}

/// Where to begin when a chain is watched for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// At the newest block.
    #[default]
    Latest,
    /// At the newest finalized block.
    Finalized,
    /// At this block.
    Height(Height),
}

/// Blocks on top of a block that make it settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Confirmations {
    /// Blocks on top of a `safe` block.
    pub safe: u32,
    /// Blocks on top of a `finalized` block.
    pub finalized: u32,
}

impl Default for Confirmations {
    fn default() -> Confirmations {
        Confirmations { safe: 12, finalized: 64 }
    }
}

/// What to do with a block that fails a check on every endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// Leave a hole, tell, and keep trying.
    #[default]
    Strict,
    /// Process it; the coverage says what failed. For chains that hash blocks in their own way.
    Lenient,
}

/// Where receipts come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptSource {
    /// What the endpoints can do, best first.
    #[default]
    Auto,
    /// `eth_getBlockReceipts`: all receipts of a block in one request.
    Block,
    /// `eth_getTransactionReceipt` for each transaction, in batches.
    Transaction,
    /// `eth_getLogs` by block hash: logs only. Whether a transaction failed stays unknown, and the
    /// receipts root cannot be checked.
    Logs,
}

/// The later second look at blocks near the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RescanConfig {
    /// Blocks below the head that are looked at again; 0 turns it off.
    pub depth: u32,
    /// Time between two looks.
    pub every: HumanDuration,
}

impl Default for RescanConfig {
    fn default() -> RescanConfig {
        RescanConfig { depth: 32, every: HumanDuration::seconds(600) }
    }
}

impl Default for EvmConfig {
    fn default() -> EvmConfig {
        EvmConfig {
            rpc: OneOrMany::default(),
            ws: OneOrMany::default(),
            rpc_options: RpcConfig::default(),
            chain_id: None,
            from: StartAt::Latest,
            confirmations: None,
            block_time: None,
            reorg_window: 256,
            accept_branch: None,
            max_catchup_gap: 5_000,
            verify: Verify::Strict,
            receipts: ReceiptSource::Auto,
            rescan: RescanConfig::default(),
            halt_after: None,
            parallel: 8,
            traces: TraceMode::Auto,
            explorer: None,
            trace_options: TraceOptions::default(),
            pending: PendingOptions::default(),
            node_facts_every: HumanDuration::seconds(15),
        }
    }
}

impl EvmConfig {
    /// The faults that a schema cannot see. Paths are relative to the section.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.rpc.0.is_empty() && self.ws.0.is_empty() {
            problems.push(
                Problem::new("rpc", "no endpoint to ask")
                    .hint("Name at least one URL, such as `rpc: http://127.0.0.1:8545`."),
            );
        }
        if !(1..=256).contains(&self.parallel) {
            problems.push(
                Problem::new("parallel", format!("{} is out of range", self.parallel))
                    .hint("Use a number from 1 to 256; 8 is the default."),
            );
        }
        if self.reorg_window == 0 {
            problems.push(
                Problem::new("reorg_window", "must be at least 1 block")
                    .hint("Leave the key out for the default of 256 blocks."),
            );
        }
        if let Some(Confirmations { safe, finalized }) = self.confirmations
            && safe > finalized
        {
            problems.push(
                Problem::new(
                    "confirmations.safe",
                    format!("{safe} is more than the {finalized} for `finalized`"),
                )
                .hint("A finalized block is at least as deep as a safe one."),
            );
        }
        if let Some(explorer) = &self.explorer
            && !(explorer.starts_with("https://") || explorer.starts_with("http://"))
        {
            problems.push(
                Problem::new("explorer", format!("`{explorer}` is no URL"))
                    .hint("Write the explorer's address, such as `https://etherscan.io`."),
            );
        }
        let options = self.trace_options.problems();
        problems.extend(options.into_iter().map(|problem| problem.under("trace_options")));
        if self.pending.simulate && !self.pool().endpoints.iter().any(EndpointConfig::may_push) {
            problems.push(
                Problem::new("pending.simulate", "no endpoint has a WebSocket")
                    .hint("Pending transactions come by WebSocket: name one under `ws`."),
            );
        }
        let pending = self.pending.problems();
        problems.extend(pending.into_iter().map(|problem| problem.under("pending")));
        let zero = Some(HumanDuration::default());
        for (path, value) in [
            ("block_time", self.block_time),
            ("halt_after", self.halt_after),
            ("rescan.every", Some(self.rescan.every)),
        ] {
            if value == zero {
                problems.push(Problem::new(path, "must be longer than zero"));
            }
        }
        problems
    }

    /// What the pool of endpoints is built from.
    pub fn pool(&self) -> PoolConfig {
        let mut sockets = self.ws.0.iter();
        let mut endpoints: Vec<EndpointConfig> = Vec::new();
        for endpoint in &self.rpc.0 {
            let mut settings = endpoint.settings().into_owned();
            if let Some(ws) = sockets.next() {
                settings.ws.get_or_insert_with(|| ws.clone());
            }
            endpoints.push(EndpointConfig::Settings(Box::new(settings)));
        }
        endpoints.extend(sockets.cloned().map(EndpointConfig::Url));
        PoolConfig {
            endpoints,
            options: self.rpc_options.clone(),
            chain_id: self.chain_id.map(ChainId),
            block_time: self.block_time.map(|time| time.0),
        }
    }

    /// How long without a new block counts as a halt, at this time between blocks.
    pub fn halt_after(&self, block_time: Duration) -> Duration {
        self.halt_after
            .map_or_else(|| (block_time * 10).max(Duration::from_secs(60)), |after| after.0)
    }
}

impl Serialize for StartAt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            StartAt::Latest => serializer.serialize_str("latest"),
            StartAt::Finalized => serializer.serialize_str("finalized"),
            StartAt::Height(height) => serializer.serialize_u64(height.0),
        }
    }
}

impl<'de> Deserialize<'de> for StartAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StartAt, D::Error> {
        struct Start;

        impl Visitor<'_> for Start {
            type Value = StartAt;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`latest`, `finalized` or a block number")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<StartAt, E> {
                match text {
                    "latest" => Ok(StartAt::Latest),
                    "finalized" => Ok(StartAt::Finalized),
                    _ => text.parse().map(|height| StartAt::Height(Height(height))).map_err(|_| {
                        E::custom(format!(
                            "`{text}` is no start; use latest, finalized or a block number"
                        ))
                    }),
                }
            }

            fn visit_u64<E: Error>(self, height: u64) -> Result<StartAt, E> {
                Ok(StartAt::Height(Height(height)))
            }

            fn visit_i64<E: Error>(self, height: i64) -> Result<StartAt, E> {
                u64::try_from(height)
                    .map(|height| StartAt::Height(Height(height)))
                    .map_err(|_| E::custom(format!("{height} is no block number")))
            }
        }

        deserializer.deserialize_any(Start)
    }
}

impl JsonSchema for StartAt {
    fn schema_name() -> Cow<'static, str> {
        "StartAt".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where to begin: latest, finalized, or a block number.",
            "anyOf": [
                { "type": "string", "enum": ["latest", "finalized"] },
                { "type": "integer", "minimum": 0 }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(config: Value, expected: Result<fn(&EvmConfig) -> bool, &str>) {
        let parsed: Result<EvmConfig, _> = serde_json::from_value(config.clone());
        match (parsed, expected) {
            (Ok(parsed), Ok(holds)) => assert!(holds(&parsed), "{config}: {parsed:?}"),
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{config}: {error}");
            }
            (parsed, expected) => panic!("{config}: {parsed:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn reads_what_people_write() {
        check(json!({}), Ok(|config| config.reorg_window == 256 && config.rescan.depth == 32));
        check(json!({"rpc": "http://a"}), Ok(|config| config.rpc.0.len() == 1));
        check(json!({"rpc": ["http://a", "http://b"]}), Ok(|config| config.rpc.0.len() == 2));
        check(json!({"from": "finalized"}), Ok(|config| config.from == StartAt::Finalized));
        check(json!({"from": 17}), Ok(|config| config.from == StartAt::Height(Height(17))));
        check(json!({"from": "17"}), Ok(|config| config.from == StartAt::Height(Height(17))));
        check(
            json!({"confirmations": {"safe": 1}}),
            Ok(|config| config.confirmations == Some(Confirmations { safe: 1, finalized: 64 })),
        );
        check(json!({"verify": "lenient"}), Ok(|config| config.verify == Verify::Lenient));
        check(json!({"from": "yesterday"}), Err("use latest, finalized or a block number"));
        check(json!({"from": -1}), Err("-1 is no block number"));
        check(json!({"form": 1}), Err("unknown field `form`"));
        check(json!({"rescan": {"deep": 1}}), Err("unknown field `deep`"));
        check(json!({"block_time": "12"}), Err("is no duration"));
    }

    #[test]
    fn sockets_belong_to_endpoints_in_order() {
        let config: EvmConfig = serde_json::from_value(json!({
            "rpc": ["http://a", {"url": "http://b", "ws": "ws://own"}],
            "ws": ["ws://a", "ws://b", "ws://c"],
        }))
        .unwrap();
        let endpoints: Vec<(Secret, Option<Secret>)> = config
            .pool()
            .endpoints
            .iter()
            .map(|endpoint| (endpoint.settings().url.clone(), endpoint.settings().ws.clone()))
            .collect();
        let secret = Secret::parse;
        let expected = [
            (secret("http://a"), Some(secret("ws://a"))),
            (secret("http://b"), Some(secret("ws://own"))),
            (secret("ws://c"), None),
        ];
        assert_eq!(endpoints, expected);
    }

    #[test]
    fn names_what_does_not_fit_together() {
        let cases = [
            (json!({}), vec!["rpc"]),
            (json!({"rpc": "http://a", "parallel": 0}), vec!["parallel"]),
            (json!({"rpc": "http://a", "reorg_window": 0}), vec!["reorg_window"]),
            (
                json!({"rpc": "http://a", "confirmations": {"safe": 9, "finalized": 3}}),
                vec!["confirmations.safe"],
            ),
            (json!({"rpc": "http://a", "halt_after": "0s"}), vec!["halt_after"]),
            (
                json!({"rpc": "http://a", "pending": {"simulate": true, "timeout": "2h"}}),
                vec!["pending.simulate", "pending.timeout"],
            ),
            (
                json!({"rpc": "http://a", "trace_options": {"parallel": 0, "window": 0}}),
                vec!["trace_options.parallel", "trace_options.window"],
            ),
            (json!({"ws": "ws://a"}), vec![]),
        ];
        for (config, expected) in cases {
            let parsed: EvmConfig = serde_json::from_value(config.clone()).unwrap();
            let paths: Vec<String> = parsed.problems().into_iter().map(|p| p.path).collect();
            assert_eq!(paths, expected, "{config}");
        }
    }
}
