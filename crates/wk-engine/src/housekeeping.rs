//! Regular looks at ourselves: figures for the metrics, and forgetting what is too old.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tracing::info;
use wk_chain::rpc::{EndpointName, Health};
use wk_config::{RetentionConfig, ServerConfig};
use wk_model::{ChainName, Timestamp};
use wk_runtime::StopToken;
use wk_store::{Retention, StoreError};

use crate::{Handle, LiveEvent, signals};

/// Time between two looks at the endpoints.
const EVERY: Duration = Duration::from_secs(1);
/// Of so many looks one is at everything.
const ROUND: u64 = 10;
/// Time between two rounds of forgetting: small rounds disturb nobody.
const PRUNE_EVERY: Duration = Duration::from_secs(15 * 60);

/// How an endpoint is doing, and why.
type EndpointHealth = (EndpointName, Health, Option<String>);

/// Looks after what nobody else does.
#[derive(Clone)]
pub(crate) struct Housekeeping {
    pub(crate) handle: Handle,
    pub(crate) server: watch::Receiver<ServerConfig>,
}

impl Housekeeping {
    /// Looks until `stop`.
    pub(crate) async fn run(self, stop: StopToken) -> Result<(), StoreError> {
        let mut seen = BTreeMap::new();
        let mut pruned_at = None;
        for look in 0u64.. {
            self.tell_health(&mut seen);
            if look % ROUND == 0 {
                self.measure().await?;
                self.forget(&mut pruned_at).await?;
            }
            if !stop.sleep(EVERY).await {
                break;
            }
        }
        Ok(())
    }

    /// Tells listeners of chains whose endpoints are doing otherwise than at the last look.
    fn tell_health(&self, seen: &mut BTreeMap<ChainName, Vec<EndpointHealth>>) {
        let handle = &self.handle;
        let statuses = handle.statuses.all();
        seen.retain(|chain, _| statuses.iter().any(|status| status.chain == *chain));
        for status in statuses {
            let endpoints = handle.endpoints(&status.chain).unwrap_or_default();
            let now: Vec<EndpointHealth> = endpoints
                .into_iter()
                .map(|endpoint| (endpoint.name, endpoint.health, endpoint.reason))
                .collect();
            if seen.get(&status.chain) != Some(&now) {
                seen.insert(status.chain.clone(), now);
                handle.live.tell(LiveEvent::Health(Box::new(status)));
            }
        }
    }

    async fn measure(&self) -> Result<(), StoreError> {
        let Handle { store, metrics, statuses, supervisor, .. } = &self.handle;
        for status in statuses.all() {
            let chain = status.chain.as_str();
            let Some(summary) = store.coverage_summary(&status.chain).await? else {
                continue;
            };
            let full = summary.processed.saturating_sub(summary.weaker);
            let blocks = |verified| metrics.gauge(&signals::COVERAGE_BLOCKS, &[chain, verified]);
            blocks("full").set(full as f64);
            blocks("partial").set(summary.weaker as f64);
            metrics.gauge(&signals::COVERAGE_HOLES, &[chain]).set(summary.missing as f64);
        }
        for task in supervisor.tasks() {
            let restarts = metrics.gauge(&signals::TASK_RESTARTS, &[&task.name]);
            restarts.set(task.restarts as f64);
        }
        let size = store.size();
        metrics.gauge(&signals::STORE_BYTES, &["database"]).set(size.database_bytes as f64);
        metrics.gauge(&signals::STORE_BYTES, &["wal"]).set(size.wal_bytes as f64);
        Ok(())
    }

    /// Forgets what is too old, when it is time.
    async fn forget(&self, pruned_at: &mut Option<Timestamp>) -> Result<(), StoreError> {
        let Handle { store, metrics, clock, .. } = &self.handle;
        let now = clock.now();
        if pruned_at.is_some_and(|at| now.since(at) < PRUNE_EVERY) {
            return Ok(());
        }
        let retention = retention(&self.server.borrow().retention, now);
        // What rules remember is forgotten by the pipelines, as windows move on; that of rules
        // that are gone by nobody else.
        let summaries = self.handle.rules.borrow().set.rules();
        let rules = summaries.into_iter().map(|rule| rule.id).collect();
        let rows = store.prune(retention).await? + store.keep_rules(rules).await?;
        metrics.counter(&signals::PRUNED_ROWS, &[]).add(rows as f64);
        if rows > 0 {
            info!(rows, "forgot what is older than server.retention says");
        }
        *pruned_at = Some(now);
        Ok(())
    }
}

/// What is too old at `now`.
fn retention(config: &RetentionConfig, now: Timestamp) -> Retention {
    let RetentionConfig { findings, deliveries, dead_letters } = config;
    let before = |kept: Duration| {
        let kept = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
        Some(Timestamp(now.0.saturating_sub(kept)))
    };
    Retention {
        deliveries_before: before(deliveries.0),
        dead_letters_before: before(dead_letters.0),
        findings_before: before(findings.0),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wk_config::Environment;
    use wk_model::{AssetId, FindingBuilder, Severity};
    use wk_runtime::{Clock, Metrics, Supervisor, Wake};
    use wk_store::{Commit, FindingQuery, Store};

    use super::*;
    use crate::ConfigState;
    use crate::engine::rules_of;

    const NOW: Timestamp = Timestamp(1_795_383_364_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn housekeeping(folder: &std::path::Path, clock: &Clock, config: &str) -> Housekeeping {
        let loaded = wk_config::load_text(config, &Environment::system()).unwrap();
        let metrics = Metrics::new();
        let (_, server) = watch::channel(loaded.config.server.clone());
        let (_, rules) = watch::channel(rules_of(&loaded));
        let (_, receivers) = watch::channel(Default::default());
        let handle = Handle {
            store: Store::open(folder, &metrics).unwrap(),
            metrics,
            live: crate::Live::default(),
            statuses: crate::Statuses::default(),
            clock: clock.clone(),
            supervisor: Supervisor::new(clock.clone()),
            costs: crate::Costs::default(),
            started_at: NOW,
            recent: Default::default(),
            pools: Default::default(),
            chains: Default::default(),
            looking_turn: Default::default(),
            labels: Default::default(),
            prices: Default::default(),
            funds_turn: Default::default(),
            config: Arc::new(ConfigState { loaded_at: NOW, error: None }.into()),
            wake_delivery: Wake::new(),
            rules,
            receivers,
        };
        Housekeeping { handle, server }
    }

    async fn find(housekeeping: &Housekeeping, clock: &Clock) {
        let now = clock.now();
        let mut commit = Commit::without_chain(now, Arc::new(|_| Vec::new()));
        let asset = AssetId::new("site", "app");
        let finding = FindingBuilder::system("slow", asset, Severity::P3, "slow", now);
        commit.findings = vec![finding.build()];
        housekeeping.handle.store.commit(commit).await.unwrap();
    }

    #[tokio::test]
    async fn findings_are_kept_as_long_as_the_config_says() {
        // Days until a finding goes, by the config.
        let check = async |config: &str, kept: u32| {
            let folder = tempfile::tempdir().unwrap();
            let clock = Clock::manual(NOW);
            let housekeeping = housekeeping(folder.path(), &clock, config);
            find(&housekeeping, &clock).await;
            let mut pruned_at = None;
            let count = async || {
                let page = housekeeping.handle.store.findings(FindingQuery::default()).await;
                page.unwrap().items.len()
            };
            for day in 0..=kept {
                housekeeping.forget(&mut pruned_at).await.unwrap();
                assert_eq!(count().await, 1, "{config}: on day {day}");
                clock.advance(DAY);
            }
            housekeeping.forget(&mut pruned_at).await.unwrap();
            assert_eq!(count().await, 0, "{config}: after {kept} days");
            assert_eq!(housekeeping.handle.metrics.counter(&signals::PRUNED_ROWS, &[]).get(), 1.0);
        };
        check("", 90).await;
        check("server: {retention: {findings: 2d}}", 2).await;
    }

    #[tokio::test]
    async fn the_room_of_the_store_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOW);
        let housekeeping = housekeeping(folder.path(), &clock, "");
        find(&housekeeping, &clock).await;
        housekeeping.measure().await.unwrap();
        let metrics = &housekeeping.handle.metrics;
        assert!(metrics.gauge(&signals::STORE_BYTES, &["database"]).get() > 0.0);
        assert!(metrics.gauge(&signals::STORE_BYTES, &["wal"]).get() > 0.0);
    }
}
