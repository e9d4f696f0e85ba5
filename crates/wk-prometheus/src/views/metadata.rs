//! What metrics are.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Nothing;

/// What was told of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MetricMetadata {
    /// Its kind in Prometheus' words.
    #[serde(rename = "type")]
    pub kind: String,
    /// For people.
    pub help: String,
    /// Empty if none was given.
    pub unit: String,
}

/// Knows what metrics are.
pub trait MetadataSource: Send + Sync {
    /// All metrics, or the one named; several entries where producers disagree.
    fn metadata(&self, metric: Option<&str>) -> BTreeMap<String, Vec<MetricMetadata>>;
}

impl MetadataSource for Nothing {
    fn metadata(&self, _: Option<&str>) -> BTreeMap<String, Vec<MetricMetadata>> {
        BTreeMap::new()
    }
}
