//! The server itself.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Nothing;

/// What was built. Clients decide by `version` what they may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildInfo {
    /// The version of Prometheus whose API and language are spoken, not that of this program.
    pub version: String,
    /// This program's name and version.
    pub revision: String,
    /// Empty: there is no branch.
    pub branch: String,
    /// Empty: it does not matter who built it.
    pub build_user: String,
    /// Empty: builds can be repeated, so there is no date in them.
    pub build_date: String,
    /// Empty: this is no Go program.
    pub go_version: String,
}

/// The version of Prometheus that the API and the language follow.
const SPOKEN: &str = "3.5.0";

impl Default for BuildInfo {
    fn default() -> BuildInfo {
        BuildInfo {
            version: SPOKEN.to_owned(),
            revision: concat!("watchkeeper-", env!("CARGO_PKG_VERSION")).to_owned(),
            branch: String::new(),
            build_user: String::new(),
            build_date: String::new(),
            go_version: String::new(),
        }
    }
}

/// How it runs. Names are Prometheus', of which some speak of Go; those stay empty or zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeInfo {
    /// RFC 3339.
    pub start_time: String,
    /// Working folder.
    #[serde(rename = "CWD")]
    pub cwd: String,
    /// The machine.
    pub hostname: String,
    /// RFC 3339.
    pub server_time: String,
    /// Whether the last reload of the config was taken.
    pub reload_config_success: bool,
    /// When that was, RFC 3339.
    pub last_config_time: String,
    /// Damaged records that were found.
    pub corruption_count: u64,
    /// Tasks at work.
    pub goroutine_count: u64,
    /// Threads for work.
    #[serde(rename = "GOMAXPROCS")]
    pub gomaxprocs: u64,
    /// Bytes of memory allowed; 0 for no limit.
    #[serde(rename = "GOMEMLIMIT")]
    pub gomemlimit: u64,
    /// Empty.
    #[serde(rename = "GOGC")]
    pub gogc: String,
    /// Empty.
    #[serde(rename = "GODEBUG")]
    pub godebug: String,
    /// How long samples are kept, for example `15d`.
    pub storage_retention: String,
}

/// A name and how often it occurs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NamedCount {
    /// A metric, a label or `label=value`.
    pub name: String,
    /// Series, values or bytes.
    pub value: u64,
}

/// What is in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeadStats {
    /// Series.
    pub num_series: u64,
    /// Different pairs of labels.
    pub num_label_pairs: u64,
    /// Chunks of samples.
    pub chunk_count: u64,
    /// Oldest sample, milliseconds since 1970.
    pub min_time: i64,
    /// Newest sample, milliseconds since 1970.
    pub max_time: i64,
}

/// What the store holds; each list from the largest on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TsdbStatus {
    /// What is in memory.
    pub head_stats: HeadStats,
    /// Series by name of the metric.
    pub series_count_by_metric_name: Vec<NamedCount>,
    /// Different values by label.
    pub label_value_count_by_label_name: Vec<NamedCount>,
    /// Bytes of the values by label.
    pub memory_in_bytes_by_label_name: Vec<NamedCount>,
    /// Series by `label=value`.
    pub series_count_by_label_value_pair: Vec<NamedCount>,
}

/// How far the log was read again after a start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WalReplay {
    /// First segment.
    pub min: u64,
    /// Last segment.
    pub max: u64,
    /// The one that is read.
    pub current: u64,
}

/// Knows the server.
pub trait StatusSource: Send + Sync {
    /// What was built.
    fn build_info(&self) -> BuildInfo {
        BuildInfo::default()
    }

    /// How it runs.
    fn runtime_info(&self) -> RuntimeInfo;

    /// The config with its secrets hidden, as YAML.
    fn config(&self) -> String;

    /// Options of the command line.
    fn flags(&self) -> BTreeMap<String, String>;

    /// What the store holds, with so many entries in each list. May take as long as a query.
    fn tsdb(&self, limit: usize) -> TsdbStatus;

    /// How far the log was read again.
    fn wal_replay(&self) -> WalReplay;

    /// What else can be asked for, by group, beside what the API itself knows.
    fn features(&self) -> BTreeMap<String, BTreeMap<String, bool>> {
        BTreeMap::new()
    }

    /// Whether queries can be answered.
    fn ready(&self) -> bool;
}

impl StatusSource for Nothing {
    fn runtime_info(&self) -> RuntimeInfo {
        RuntimeInfo::default()
    }

    fn config(&self) -> String {
        String::new()
    }

    fn flags(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn tsdb(&self, _: usize) -> TsdbStatus {
        TsdbStatus::default()
    }

    fn wal_replay(&self) -> WalReplay {
        WalReplay::default()
    }

    fn ready(&self) -> bool {
        true
    }
}
