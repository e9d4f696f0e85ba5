//! What the API tells of beside series: one trait for each part of the program that knows.

mod metadata;
mod rules;
mod status;
mod targets;

pub use metadata::{MetadataSource, MetricMetadata};
pub use rules::{Alert, AlertState, Health, Rule, RuleGroup, RuleKind, Rules};
pub use status::{
    BuildInfo, HeadStats, NamedCount, RuntimeInfo, StatusSource, TsdbStatus, WalReplay,
};
pub use targets::{ActiveTarget, DroppedTarget, TargetHealth, TargetMetadata, Targets};

/// Knows nothing: stands in for a part that is not running.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;
