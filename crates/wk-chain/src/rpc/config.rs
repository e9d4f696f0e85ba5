//! Settings of endpoints and of the pool.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use wk_model::{ChainId, HumanDuration, Problem, Secret};

use super::call::EndpointName;
use super::status::EndpointKind;
use super::target;

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
    /// Longest time for one read with all its retries and failovers. Backfill, which can wait for
    /// rate limits to pass, has four times as long.
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
            chain_id_interval: HumanDuration::seconds(60),
            breaker_failures: 5,
            quarantine: HumanDuration::seconds(60),
        }
    }
}

impl EndpointConfig {
    /// Whether it may have a WebSocket; a URL in a variable or file may be one.
    pub(crate) fn may_push(&self) -> bool {
        let settings = self.settings();
        settings.ws.is_some()
            || literal_url(&settings.url).is_none_or(|url| url.is_ok_and(|url| target::is_ws(&url)))
    }

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

/// An endpoint whose settings were found good.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) name: EndpointName,
    pub(crate) kind: EndpointKind,
    pub(crate) settings: EndpointSettings,
}

impl PoolConfig {
    /// The endpoints with their names, or everything that is wrong. Reads no secrets.
    pub(crate) fn check(&self) -> Result<Vec<Spec>, Vec<Problem>> {
        let PoolConfig { endpoints, options, chain_id: _, block_time: _ } = self;
        let mut problems = check_options(options);
        if endpoints.is_empty() {
            problems.push(
                Problem::new("rpc", "no endpoint is given")
                    .hint("List at least one URL, such as `rpc: [\"https://rpc.example\"]`."),
            );
        }
        let mut specs: Vec<Spec> = Vec::new();
        for (place, endpoint) in endpoints.iter().enumerate() {
            let path = format!("rpc[{place}]");
            let settings = endpoint.settings().into_owned();
            let url_path = match endpoint {
                EndpointConfig::Url(_) => path.clone(),
                EndpointConfig::Settings(_) => format!("{path}.url"),
            };
            problems.extend(check_endpoint(&settings, &path, &url_path));
            let name = settings.name.clone().unwrap_or_else(|| default_name(&settings.url));
            let taken = |name: &str| specs.iter().any(|spec| spec.name.as_str() == name);
            let name = match settings.name {
                Some(_) if taken(&name) => {
                    problems.push(
                        Problem::new(format!("{path}.name"), format!("`{name}` is taken"))
                            .hint("Give each endpoint of a chain a name of its own."),
                    );
                    name
                }
                Some(_) => name,
                None => (1..)
                    .map(|n| if n == 1 { name.clone() } else { format!("{name}#{n}") })
                    .find(|name| !taken(name))
                    .expect("only as many names are taken as there are endpoints"),
            };
            let kind = kind(&settings);
            specs.push(Spec { name: EndpointName::new(&name), kind, settings });
        }
        if problems.is_empty() { Ok(specs) } else { Err(problems) }
    }
}

/// What a URL that is not a reference says; nothing is known of those in variables and files.
fn literal_url(secret: &Secret) -> Option<Result<url::Url, String>> {
    match secret {
        Secret::Literal(text) => Some(target::parse_url(text)),
        Secret::Env(_) | Secret::File(_) => None,
    }
}

/// How an endpoint is reached. A URL in a variable or file is taken for HTTP; when it turns out to
/// be a WebSocket's, requests go there.
fn kind(settings: &EndpointSettings) -> EndpointKind {
    match literal_url(&settings.url) {
        Some(Ok(url)) if target::is_ws(&url) => EndpointKind::WebSocket,
        _ if settings.ws.is_some() => EndpointKind::HttpAndWebSocket,
        _ => EndpointKind::Http,
    }
}

fn default_name(url: &Secret) -> String {
    match url {
        Secret::Literal(_) => match literal_url(url) {
            Some(Ok(url)) => target::host_and_port(&url),
            _ => "endpoint".to_owned(),
        },
        Secret::Env(name) => name.clone(),
        Secret::File(path) => path
            .file_stem()
            .map_or_else(|| "endpoint".to_owned(), |stem| stem.to_string_lossy().into_owned()),
    }
}

fn check_endpoint(settings: &EndpointSettings, path: &str, url_path: &str) -> Vec<Problem> {
    let EndpointSettings {
        url,
        name,
        ws,
        headers,
        budget_per_day,
        max_requests_per_second,
        trust: _,
    } = settings;
    let mut problems = Vec::new();
    if let Some(Err(message)) = literal_url(url) {
        problems.push(Problem::new(url_path, message).hint(URL_HINT));
    }
    match ws.as_ref().and_then(literal_url) {
        Some(Err(message)) => {
            problems.push(Problem::new(format!("{path}.ws"), message).hint(URL_HINT));
        }
        Some(Ok(ws)) if !target::is_ws(&ws) => problems.push(
            Problem::new(format!("{path}.ws"), "this is not a WebSocket's URL")
                .hint("It must begin with wss:// or ws://."),
        ),
        Some(Ok(_)) | None => {}
    }
    if ws.is_some() && matches!(literal_url(url), Some(Ok(url)) if target::is_ws(&url)) {
        problems.push(
            Problem::new(format!("{path}.ws"), "`url` is a WebSocket's already")
                .hint("Make `url` the https:// URL, or remove `ws`."),
        );
    }
    if let Some(name) = name
        && (name.is_empty()
            || name.len() > 64
            || name.chars().any(|c| c.is_control() || c.is_whitespace() || c == '/'))
    {
        problems.push(
            Problem::new(format!("{path}.name"), "this cannot be an endpoint's name")
                .hint("Use up to 64 characters without spaces and slashes, such as `own-node`."),
        );
    }
    for name in headers.keys() {
        if name.parse::<reqwest::header::HeaderName>().is_err() {
            problems.push(
                Problem::new(format!("{path}.headers"), format!("`{name}` is no header name"))
                    .hint("Header names hold letters, digits and hyphens, such as `x-api-key`."),
            );
        }
    }
    if *budget_per_day == Some(0) {
        problems.push(
            Problem::new(format!("{path}.budget_per_day"), "a budget of 0 allows nothing")
                .hint("Give a number above 0, or remove the key for no budget."),
        );
    }
    if let Some(rate) = max_requests_per_second
        && !(rate.is_finite() && *rate >= 0.01)
    {
        problems.push(
            Problem::new(
                format!("{path}.max_requests_per_second"),
                format!("{rate} is no request rate"),
            )
            .hint("Give a number of at least 0.01, or remove the key for no limit."),
        );
    }
    problems
}

const URL_HINT: &str =
    "Write for example `https://rpc.example/key`, `ws://127.0.0.1:8546` or `env:RPC_URL`.";

fn check_options(options: &RpcConfig) -> Vec<Problem> {
    let RpcConfig {
        timeout,
        connect_timeout,
        total_timeout,
        max_body_bytes,
        hedge: _,
        batch_size,
        max_batch_size,
        max_logs_range,
        poll_interval,
        ws_silence,
        ws_ping,
        lag_blocks,
        lag_time,
        compare_interval,
        chain_id_interval,
        breaker_failures,
        quarantine,
    } = options;
    let mut problems = Vec::new();
    let mut wrong = |key: &str, message: String, hint: &str| {
        problems.push(Problem::new(format!("rpc_options.{key}"), message).hint(hint));
    };
    let shortest = HumanDuration::millis(10);
    let longest = HumanDuration::seconds(7 * 86_400);
    let durations = [
        ("timeout", Some(*timeout)),
        ("connect_timeout", Some(*connect_timeout)),
        ("total_timeout", Some(*total_timeout)),
        ("poll_interval", *poll_interval),
        ("ws_silence", *ws_silence),
        ("ws_ping", Some(*ws_ping)),
        ("lag_time", Some(*lag_time)),
        ("compare_interval", Some(*compare_interval)),
        ("chain_id_interval", Some(*chain_id_interval)),
        ("quarantine", Some(*quarantine)),
    ];
    for (key, duration) in durations {
        if let Some(duration) = duration.filter(|duration| *duration < shortest) {
            wrong(key, format!("{duration} is too short"), "The shortest time is 10ms.");
        }
        if let Some(duration) = duration.filter(|duration| *duration > longest) {
            wrong(key, format!("{duration} is too long"), "The longest time is 7d.");
        }
    }
    if total_timeout < timeout {
        wrong(
            "total_timeout",
            format!("{total_timeout} is less than `timeout` ({timeout})"),
            "A read needs the time of at least one request; three times `timeout` leaves room \
             for failover.",
        );
    }
    if *max_body_bytes < 64 * 1024 || *max_body_bytes > 4 * 1024 * 1024 * 1024 {
        wrong(
            "max_body_bytes",
            format!("{max_body_bytes} bytes cannot be right"),
            "Blocks of busy chains need some 10 MB; give 65536 (64 KiB) to 4294967296 (4 GiB).",
        );
    }
    for (key, number) in [
        ("batch_size", u64::from(*batch_size)),
        ("max_batch_size", u64::from(*max_batch_size)),
        ("max_logs_range", *max_logs_range),
        ("lag_blocks", *lag_blocks),
        ("breaker_failures", u64::from(*breaker_failures)),
    ] {
        if number == 0 {
            wrong(key, "0 is too few".to_owned(), "Give at least 1.");
        }
    }
    if batch_size > max_batch_size {
        wrong(
            "batch_size",
            format!("{batch_size} is more than `max_batch_size` ({max_batch_size})"),
            "Lower it, or raise `max_batch_size`.",
        );
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn endpoints(value: serde_json::Value) -> Result<Vec<EndpointConfig>, String> {
        // From text, as a file would be: a value in memory hands out owned strings only.
        serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())
    }

    fn check(
        rpc: serde_json::Value,
        options: serde_json::Value,
    ) -> Result<Vec<String>, Vec<String>> {
        let config = PoolConfig {
            endpoints: endpoints(rpc).expect("the shape is right"),
            options: serde_json::from_value(options).expect("the shape is right"),
            ..PoolConfig::default()
        };
        let line = |problem: &Problem| format!("{}: {}", problem.path, problem.message);
        match config.check() {
            Ok(specs) => {
                Ok(specs.iter().map(|spec| format!("{} {:?}", spec.name, spec.kind)).collect())
            }
            Err(problems) => Err(problems.iter().map(line).collect()),
        }
    }

    #[test]
    fn names_endpoints_by_host_and_never_by_key() {
        let rpc = json!([
            "https://rpc.example/v2/k3y?apikey=k3y",
            "https://k3y:k3y@rpc.example/other",
            "http://127.0.0.1:8545",
            "wss://rpc.example:8443/k3y",
            "env:MAINNET_URL",
            "file:/run/secrets/alchemy.url",
            {"url": "http://127.0.0.1:8545", "name": "own", "ws": "ws://127.0.0.1:8546", "trust": "own"},
            "http://[::1]:8545",
        ]);
        let expected = [
            "rpc.example Http",
            "rpc.example#2 Http",
            "127.0.0.1:8545 Http",
            "rpc.example:8443 WebSocket",
            "MAINNET_URL Http",
            "alchemy Http",
            "own HttpAndWebSocket",
            "[::1]:8545 Http",
        ];
        assert_eq!(check(rpc, json!({})), Ok(expected.map(str::to_owned).to_vec()));
    }

    #[test]
    fn says_where_and_what_is_wrong() {
        let one = || json!(["http://127.0.0.1:8545"]);
        for (rpc, options, expected) in [
            (json!([]), json!({}), "rpc: no endpoint is given"),
            (json!(["rpc.example/k3y"]), json!({}), "rpc[0]: the URL has no scheme"),
            (
                json!([{"url": "ipc:///k3y"}]),
                json!({}),
                "rpc[0].url: the URL's scheme is none of https, http, wss and ws",
            ),
            (
                json!([{"url": "http://a", "ws": "http://b"}]),
                json!({}),
                "rpc[0].ws: this is not a WebSocket's URL",
            ),
            (
                json!([{"url": "ws://a", "ws": "ws://b"}]),
                json!({}),
                "rpc[0].ws: `url` is a WebSocket's already",
            ),
            (
                json!([{"url": "http://a", "name": "x"}, {"url": "http://b", "name": "x"}]),
                json!({}),
                "rpc[1].name: `x` is taken",
            ),
            (
                json!([{"url": "http://a", "name": "a b"}]),
                json!({}),
                "rpc[0].name: this cannot be an endpoint's name",
            ),
            (
                json!([{"url": "http://a", "headers": {"x key": "v"}}]),
                json!({}),
                "rpc[0].headers: `x key` is no header name",
            ),
            (
                json!([{"url": "http://a", "budget_per_day": 0}]),
                json!({}),
                "rpc[0].budget_per_day: a budget of 0 allows nothing",
            ),
            (
                json!([{"url": "http://a", "max_requests_per_second": -1.0}]),
                json!({}),
                "rpc[0].max_requests_per_second: -1 is no request rate",
            ),
            (one(), json!({"timeout": "1ms"}), "rpc_options.timeout: 1ms is too short"),
            (one(), json!({"lag_time": "8d"}), "rpc_options.lag_time: 8d is too long"),
            (
                one(),
                json!({"timeout": "40s"}),
                "rpc_options.total_timeout: 30s is less than `timeout` (40s)",
            ),
            (
                one(),
                json!({"max_body_bytes": 1}),
                "rpc_options.max_body_bytes: 1 bytes cannot be right",
            ),
            (one(), json!({"lag_blocks": 0}), "rpc_options.lag_blocks: 0 is too few"),
            (
                one(),
                json!({"batch_size": 200}),
                "rpc_options.batch_size: 200 is more than `max_batch_size` (100)",
            ),
        ] {
            assert_eq!(check(rpc, options), Err(vec![expected.to_owned()]));
        }
    }

    #[test]
    fn refuses_wrong_shapes_with_a_sentence() {
        for (rpc, expected) in [
            (
                json!([5]),
                "invalid type: integer `5`, expected a URL, or a mapping with the key `url`",
            ),
            (json!([{"ur": "http://a"}]), "unknown field `ur`"),
            (json!([{"name": "a"}]), "missing field `url`"),
            (json!([{"url": "http://a", "trust": "mine"}]), "unknown variant `mine`"),
        ] {
            let error = endpoints(rpc).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }
}
