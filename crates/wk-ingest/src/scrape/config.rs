//! Settings of scraping: Prometheus' `scrape_configs`, key by key.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wk_model::{HumanDuration, Secret};

use crate::relabel::RelabelConfig;

/// What is scraped, and how: one entry of `scrape_configs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScrapeConfig {
    /// Name of the job: the label `job` of its targets, unless they have their own.
    pub job_name: String,
    /// How often each target is scraped.
    #[serde(default = "a_minute")]
    pub scrape_interval: HumanDuration,
    /// How long a scrape may take. Default: 10s, or the interval if that is shorter.
    #[serde(default)]
    pub scrape_timeout: Option<HumanDuration>,
    /// Path of the page.
    #[serde(default = "metrics_path")]
    pub metrics_path: String,
    /// How targets are reached.
    #[serde(default)]
    pub scheme: Scheme,
    /// Parameters of the URL.
    #[serde(default)]
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether labels on the page win over the target's labels of the same name. Otherwise the page's
    /// are kept as `exported_NAME`.
    #[serde(default)]
    pub honor_labels: bool,
    /// Whether times on the page are taken.
    #[serde(default = "yes")]
    pub honor_timestamps: bool,
    /// User and password.
    #[serde(default)]
    pub basic_auth: Option<BasicAuth>,
    /// The `Authorization` header.
    #[serde(default)]
    pub authorization: Option<Authorization>,
    /// Short for `authorization` with a bearer token.
    #[serde(default)]
    pub bearer_token: Option<Secret>,
    /// How certificates are checked.
    #[serde(default)]
    pub tls_config: TlsConfig,
    /// Whether redirects are followed.
    #[serde(default = "yes")]
    pub follow_redirects: bool,
    /// Targets given here.
    #[serde(default)]
    pub static_configs: Vec<TargetGroup>,
    /// Targets from files, which are read again when they change.
    #[serde(default)]
    pub file_sd_configs: Vec<FileSd>,
    /// Targets from a web server.
    #[serde(default)]
    pub http_sd_configs: Vec<HttpSd>,
    /// Rewrites targets before they are scraped.
    #[serde(default)]
    pub relabel_configs: Vec<RelabelConfig>,
    /// Rewrites what was scraped before it is kept.
    #[serde(default)]
    pub metric_relabel_configs: Vec<RelabelConfig>,
    /// Bytes of a page, once unpacked; a larger one is refused. 0: only the limit of 256 MB holds.
    #[serde(default)]
    pub body_size_limit: ByteSize,
    /// Samples of a page after relabelling; a page with more is refused. 0: no limit.
    #[serde(default)]
    pub sample_limit: usize,
    /// Labels of a series; a page with more is refused. 0: no limit.
    #[serde(default)]
    pub label_limit: usize,
    /// Bytes of a label's name. 0: no limit.
    #[serde(default)]
    pub label_name_length_limit: usize,
    /// Bytes of a label's value. 0: no limit.
    #[serde(default)]
    pub label_value_length_limit: usize,
    /// Targets of the job; with more, none is scraped. 0: no limit.
    #[serde(default)]
    pub target_limit: usize,
    /// Formats asked for, best first.
    #[serde(default = "protocols")]
    pub scrape_protocols: Vec<ScrapeProtocol>,
    /// The format of targets that do not say theirs.
    #[serde(default)]
    pub fallback_scrape_protocol: Option<ScrapeProtocol>,
    /// Whether a histogram that is both native and classic is kept as both.
    #[serde(default)]
    pub always_scrape_classic_histograms: bool,
}

/// How targets are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Plain.
    #[default]
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// User and password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// Name of the user.
    pub username: String,
    /// Their password: `env:NAME`, `file:PATH`, or the text itself.
    pub password: Secret,
}

/// The `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Authorization {
    /// The word before the credentials.
    #[serde(rename = "type", default = "bearer")]
    pub kind: String,
    /// `env:NAME`, `file:PATH`, or the text itself.
    pub credentials: Secret,
}

/// How certificates are checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificates of authorities that are trusted instead of the machine's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Takes any certificate. Whoever is on the way can then read and change what is scraped.
    pub insecure_skip_verify: bool,
}

/// Targets with labels in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TargetGroup {
    /// HOST:PORT of each.
    pub targets: Vec<String>,
    /// Labels that all of them get.
    pub labels: BTreeMap<String, String>,
}

/// Targets from files of YAML or JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSd {
    /// Paths; the last part may contain `*`.
    pub files: Vec<String>,
    /// How often they are looked at. Prometheus' default is 5m beside a watch on the files; here a
    /// look is all there is, and it is cheap.
    #[serde(default = "five_seconds")]
    pub refresh_interval: HumanDuration,
}

/// Targets from a web server, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSd {
    /// Where the list is.
    pub url: Secret,
    /// How often it is asked.
    #[serde(default = "a_minute")]
    pub refresh_interval: HumanDuration,
}

/// Formats of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScrapeProtocol {
    /// Protobuf, the only one with native histograms.
    PrometheusProto,
    /// Prometheus text 0.0.4.
    #[serde(rename = "PrometheusText0.0.4")]
    PrometheusText0_0_4,
    /// Prometheus text 1.0.0.
    #[serde(rename = "PrometheusText1.0.0")]
    PrometheusText1_0_0,
    /// OpenMetrics 0.0.1.
    #[serde(rename = "OpenMetricsText0.0.1")]
    OpenMetricsText0_0_1,
    /// OpenMetrics 1.0.0.
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetricsText1_0_0,
}

/// A number of bytes: `512`, `64KB`, `10MB`, `1GiB`; units are powers of 1,024, as in Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteSize(pub usize);

impl ByteSize {
    fn parse(text: &str) -> Result<ByteSize, String> {
        let wrong = || format!("`{text}` is no size; write for example 512B, 64KB, 10MB, 1GB");
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: usize = text[..digits].parse().map_err(|_| wrong())?;
        let unit = match text[digits..].trim() {
            "" | "B" => 1,
            "K" | "KB" | "KiB" => 1usize << 10,
            "M" | "MB" | "MiB" => 1 << 20,
            "G" | "GB" | "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        number.checked_mul(unit).map(ByteSize).ok_or_else(wrong)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}B", self.0))
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(usize),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(ByteSize(bytes)),
            Written::Text(text) => ByteSize::parse(&text).map_err(serde::de::Error::custom),
        }
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "integer"],
            "description": "Bytes, for example 512B, 64KB, 10MB, 1GB; units are powers of 1,024."
        })
    }
}

fn a_minute() -> HumanDuration {
    HumanDuration::seconds(60)
}

fn five_seconds() -> HumanDuration {
    HumanDuration::seconds(5)
}

fn metrics_path() -> String {
    "/metrics".to_owned()
}

fn bearer() -> String {
    "Bearer".to_owned()
}

fn yes() -> bool {
    true
}

fn protocols() -> Vec<ScrapeProtocol> {
    vec![
        ScrapeProtocol::OpenMetricsText1_0_0,
        ScrapeProtocol::OpenMetricsText0_0_1,
        ScrapeProtocol::PrometheusText1_0_0,
        ScrapeProtocol::PrometheusText0_0_4,
    ]
}
