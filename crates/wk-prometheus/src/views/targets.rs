//! What is scraped.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Nothing;

/// Whether the last scrape worked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetHealth {
    /// It was not scraped yet.
    #[default]
    Unknown,
    /// It worked.
    Up,
    /// It failed.
    Down,
}

/// A target that is scraped.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveTarget {
    /// Labels before relabelling.
    pub discovered_labels: BTreeMap<String, String>,
    /// Labels that its series get.
    pub labels: BTreeMap<String, String>,
    /// Name of its scrape config.
    pub scrape_pool: String,
    /// Where it is scraped.
    pub scrape_url: String,
    /// The same as seen from other machines.
    pub global_url: String,
    /// Why the last scrape failed; empty if it did not.
    pub last_error: String,
    /// Time of the last scrape, RFC 3339.
    pub last_scrape: String,
    /// How long that took, in seconds.
    pub last_scrape_duration: f64,
    /// Whether it worked.
    pub health: TargetHealth,
    /// Between two scrapes, for example `15s`.
    pub scrape_interval: String,
    /// Longest time of a scrape, for example `10s`.
    pub scrape_timeout: String,
}

/// A target that relabelling left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedTarget {
    /// Labels before relabelling.
    pub discovered_labels: BTreeMap<String, String>,
    /// Name of its scrape config.
    pub scrape_pool: String,
}

/// What one target tells of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TargetMetadata {
    /// The target's labels.
    pub target: BTreeMap<String, String>,
    /// The metric.
    pub metric: String,
    /// Its kind in Prometheus' words.
    #[serde(rename = "type")]
    pub kind: String,
    /// For people.
    pub help: String,
    /// Empty if none was given.
    pub unit: String,
}

/// Knows what is scraped. Calls answer from memory.
pub trait Targets: Send + Sync {
    /// Targets that are scraped, in the order in which they are shown.
    fn active(&self) -> Vec<ActiveTarget>;

    /// Targets that relabelling left out; not all of them when there are very many.
    fn dropped(&self) -> Vec<DroppedTarget>;

    /// How many were left out, by scrape config.
    fn dropped_counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for target in self.dropped() {
            *counts.entry(target.scrape_pool).or_default() += 1;
        }
        counts
    }

    /// Names of the scrape configs.
    fn scrape_pools(&self) -> Vec<String>;

    /// What targets tell of their metrics.
    fn metadata(&self) -> Vec<TargetMetadata>;
}

impl Targets for Nothing {
    fn active(&self) -> Vec<ActiveTarget> {
        Vec::new()
    }

    fn dropped(&self) -> Vec<DroppedTarget> {
        Vec::new()
    }

    fn scrape_pools(&self) -> Vec<String> {
        Vec::new()
    }

    fn metadata(&self) -> Vec<TargetMetadata> {
        Vec::new()
    }
}
