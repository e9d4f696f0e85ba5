//! Regular looks at ourselves: coverage and task figures for the metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use wk_chain::rpc::{EndpointName, Health};
use wk_model::ChainName;
use wk_runtime::StopToken;
use wk_store::StoreError;

use crate::{Handle, LiveEvent, signals};

/// Time between two looks at the endpoints.
const EVERY: Duration = Duration::from_secs(1);
/// Of so many looks one is at everything.
const ROUND: u64 = 10;

/// Looks until `stop`.
pub(crate) async fn run(handle: Handle, stop: StopToken) -> Result<(), StoreError> {
    let mut seen = BTreeMap::new();
    for look in 0u64.. {
        tell_health(&handle, &mut seen);
        if look % ROUND == 0 {
            count(&handle).await?;
        }
        if !stop.sleep(EVERY).await {
            break;
        }
    }
    Ok(())
}

/// How an endpoint is doing, and why.
type EndpointHealth = (EndpointName, Health, Option<String>);

/// Tells listeners of chains whose endpoints are doing otherwise than at the last look.
fn tell_health(handle: &Handle, seen: &mut BTreeMap<ChainName, Vec<EndpointHealth>>) {
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

/// Figures for the metrics.
async fn count(handle: &Handle) -> Result<(), StoreError> {
    for status in handle.statuses.all() {
        let chain = status.chain.as_str();
        let Some(summary) = handle.store.coverage_summary(&status.chain).await? else {
            continue;
        };
        let metrics = &handle.metrics;
        let full = summary.processed.saturating_sub(summary.weaker);
        metrics.gauge(&signals::COVERAGE_BLOCKS, &[chain, "full"]).set(full as f64);
        metrics.gauge(&signals::COVERAGE_BLOCKS, &[chain, "partial"]).set(summary.weaker as f64);
        metrics.gauge(&signals::COVERAGE_HOLES, &[chain]).set(summary.missing as f64);
    }
    for task in handle.supervisor.tasks() {
        let restarts = handle.metrics.gauge(&signals::TASK_RESTARTS, &[&task.name]);
        restarts.set(task.restarts as f64);
    }
    Ok(())
}
