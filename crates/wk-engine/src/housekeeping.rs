//! Regular looks at ourselves: coverage and task figures for the metrics.

use std::time::Duration;

use wk_runtime::StopToken;
use wk_store::StoreError;

use crate::{Handle, signals};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(10);

/// Looks until `stop`.
pub(crate) async fn run(handle: Handle, stop: StopToken) -> Result<(), StoreError> {
    loop {
        for status in handle.statuses.all() {
            let chain = status.chain.as_str();
            let Some(summary) = handle.store.coverage_summary(&status.chain).await? else {
                continue;
            };
            let metrics = &handle.metrics;
            let full = summary.processed.saturating_sub(summary.weaker);
            metrics.gauge(&signals::COVERAGE_BLOCKS, &[chain, "full"]).set(full as f64);
            metrics
                .gauge(&signals::COVERAGE_BLOCKS, &[chain, "partial"])
                .set(summary.weaker as f64);
            metrics.gauge(&signals::COVERAGE_HOLES, &[chain]).set(summary.missing as f64);
        }
        for task in handle.supervisor.tasks() {
            let restarts = handle.metrics.gauge(&signals::TASK_RESTARTS, &[&task.name]);
            restarts.set(task.restarts as f64);
        }
        if !stop.sleep(EVERY).await {
            return Ok(());
        }
    }
}
