//! Prometheus' HTTP API over any source of series.

mod answer;
mod compress;
mod counted;
mod dashboards;
mod exposition;
mod failure;
mod json;
mod names;
mod parameters;
mod remote;
mod routes;
mod settings;
mod state;
mod stats;
mod time;
mod tree;
mod views;

pub use dashboards::dashboards;
pub use routes::router;
pub use settings::QuerySettings;
pub use state::Sources;
pub use views::{
    ActiveTarget, Alert, AlertState, BuildInfo, DroppedTarget, HeadStats, Health, MetadataSource,
    MetricMetadata, NamedCount, Nothing, Rule, RuleGroup, RuleKind, Rules, RuntimeInfo,
    StatusSource, TargetHealth, TargetMetadata, Targets, TsdbStatus, WalReplay,
};
