//! Settings of endpoints and of the pool.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use wk_model::{ChainId, HumanDuration, Secret};

/// Everything a pool is built from.
#[derive(Clone, Debug, Default)]
pub struct PoolConfig {
    /// The endpoints, preferred first; key `rpc`.
    pub endpoints: Vec<EndpointConfig>,
    /// How they are used; key `rpc_options`.
    pub options: RpcConfig,
    /// The chain id that every endpoint must give; learned from the endpoints when not set.
    pub chain_id: Option<ChainId>,
    /// Expected time between blocks; learned when not set.
    pub block_time: Option<Duration>,
}

/// One RPC endpoint: a URL (`https://`, `http://`, `wss://` or `ws://`), or a mapping with more
/// settings.
#[derive(Clone, Debug, PartialEq, schemars::JsonSchema)]
#[serde(untagged)]
pub enum EndpointConfig {
    /// The URL alone.
    Url(Secret),
    /// The URL with settings.
    Settings(Box<EndpointSettings>),
}

/// An endpoint with settings.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointSettings {
    /// URL of the endpoint: `https://`, `http://`, `wss://` or `ws://`. It is never shown.
    pub url: Secret,
    /// Name by which metrics, findings and pages call it. Default: the URL's host and port; of a
    /// URL from `env:` or `file:`, the name of the variable or file.
    #[serde(default)]
    pub name: Option<String>,
    /// URL of the endpoint's WebSocket, for new heads without polling.
    #[serde(default)]
    pub ws: Option<Secret>,
    /// HTTP headers to send with each request, such as an API key.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Most requests per UTC day. When they are spent the endpoint rests until midnight UTC, and a
    /// finding says so. Each request of a batch counts.
    #[serde(default)]
    pub budget_per_day: Option<u64>,
    /// Most requests per second; half of them can be used for backfill. Each request of a batch
    /// counts.
    #[serde(default)]
    pub max_requests_per_second: Option<f64>,
    /// Whose the endpoint is.
    #[serde(default)]
    pub trust: Trust,
}

/// Whose an endpoint is. When two endpoints disagree and nothing else decides, the own one is
/// preferred.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// A node of ours.
    Own,
    /// Somebody else's.
    #[default]
    ThirdParty,
}

/// How the endpoints of a chain are used.
#[derive(Clone, Debug, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RpcConfig {
    /// Longest time for one request.
    pub timeout: HumanDuration,
    /// Longest time to connect.
    pub connect_timeout: HumanDuration,
    /// Longest time for one read with all its retries and failovers.
    pub total_timeout: HumanDuration,
    /// Largest answer, in bytes, after decompression.
    pub max_body_bytes: u64,
    /// Whether a slow read is asked of a second endpoint as well.
    pub hedge: bool,
    /// Requests in one batch, to begin with. Shrinks where an endpoint refuses, grows where it
    /// does not; 1 means no batches.
    pub batch_size: u32,
    /// Most requests in one batch.
    pub max_batch_size: u32,
    /// Most blocks in one `eth_getLogs`. Shrinks where an endpoint refuses.
    pub max_logs_range: u64,
    /// Time between two looks at the head where no WebSocket tells. Default: a quarter of the
    /// block time, at least 100 ms, at most 3 s.
    pub poll_interval: Option<HumanDuration>,
    /// A WebSocket that is silent for this long is dead, even if it is open. Default: three block
    /// times, at least 3 s.
    pub ws_silence: Option<HumanDuration>,
    /// Time between two pings on a WebSocket.
    pub ws_ping: HumanDuration,
    /// An endpoint lags when it is this many blocks behind, for `lag_time`.
    pub lag_blocks: u64,
    /// An endpoint lags when it has been `lag_blocks` behind for this long.
    pub lag_time: HumanDuration,
    /// Time between two comparisons of block hashes between endpoints.
    pub compare_interval: HumanDuration,
    /// Time between two checks of an endpoint's chain id.
    pub chain_id_interval: HumanDuration,
    /// Failures in a row after which an endpoint is left alone for a while.
    pub breaker_failures: u32,
    /// First quarantine of an endpoint that was caught; doubles each time, up to an hour.
    pub quarantine: HumanDuration,
}

impl Default for RpcConfig {
    fn default() -> RpcConfig {
        RpcConfig {
            timeout: HumanDuration::seconds(10),
            connect_timeout: HumanDuration::seconds(5),
            total_timeout: HumanDuration::seconds(30),
            max_body_bytes: 64 * 1024 * 1024,
            hedge: true,
            batch_size: 20,
            max_batch_size: 100,
            max_logs_range: 2_000,
            poll_interval: None,
            ws_silence: None,
            ws_ping: HumanDuration::seconds(20),
            lag_blocks: 3,
            lag_time: HumanDuration::seconds(10),
            compare_interval: HumanDuration::seconds(30),
            chain_id_interval: HumanDuration::seconds(300),
            breaker_failures: 5,
            quarantine: HumanDuration::seconds(60),
        }
    }
}

impl EndpointConfig {
    /// The endpoint at `url`, with nothing else set.
    pub fn url(url: &str) -> EndpointConfig {
        EndpointConfig::Url(Secret::parse(url))
    }

    /// All settings, those that were not given at their defaults.
    pub fn settings(&self) -> Cow<'_, EndpointSettings> {
        match self {
            EndpointConfig::Settings(settings) => Cow::Borrowed(settings),
            EndpointConfig::Url(url) => Cow::Owned(EndpointSettings::new(url.clone())),
        }
    }
}

impl EndpointSettings {
    /// The endpoint at `url`, with nothing else set.
    pub fn new(url: Secret) -> EndpointSettings {
        EndpointSettings {
            url,
            name: None,
            ws: None,
            headers: BTreeMap::new(),
            budget_per_day: None,
            max_requests_per_second: None,
            trust: Trust::default(),
        }
    }
}

impl<'de> Deserialize<'de> for EndpointConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EndpointConfig, D::Error> {
        deserializer.deserialize_any(EndpointVisitor)
    }
}

/// By hand, because an untagged enum would answer every mistake in a mapping with "did not match
/// any variant".
struct EndpointVisitor;

impl<'de> Visitor<'de> for EndpointVisitor {
    type Value = EndpointConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, or a mapping with the key `url`")
    }

    fn visit_str<E: serde::de::Error>(self, url: &str) -> Result<EndpointConfig, E> {
        Ok(EndpointConfig::url(url))
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<EndpointConfig, M::Error> {
        let settings = EndpointSettings::deserialize(MapAccessDeserializer::new(map))?;
        Ok(EndpointConfig::Settings(Box::new(settings)))
    }
}
