//! What every request can reach, and how work that blocks is run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use wk_model::series::Labels;
use wk_promql::{Cancel, Engine, QueryError, Queryable};

use crate::failure::Failure;
use crate::settings::QuerySettings;
use crate::views::{MetadataSource, Rules, StatusSource, Targets};

/// What Prometheus' API answers from.
#[derive(Clone)]
pub struct Sources {
    /// Series.
    pub series: Arc<dyn Queryable>,
    /// What is scraped.
    pub targets: Arc<dyn Targets>,
    /// Recording and alerting rules.
    pub rules: Arc<dyn Rules>,
    /// What metrics are.
    pub metadata: Arc<dyn MetadataSource>,
    /// The server itself.
    pub status: Arc<dyn StatusSource>,
    /// Labels that tell this server's series from those of others, where they leave it: federation
    /// and remote read.
    pub external_labels: Labels,
}

/// Shared by all requests.
pub(crate) struct State {
    pub(crate) sources: Sources,
    pub(crate) settings: QuerySettings,
    turns: Arc<Semaphore>,
}

/// What a piece of work is told.
pub(crate) struct Work {
    /// Ends the work at its deadline or when the client went away.
    pub(crate) cancel: Cancel,
    /// When it ends at the latest.
    pub(crate) deadline: Instant,
    /// How long it had waited for its turn.
    pub(crate) waited: Duration,
}

/// Ends the work when the request is dropped, which happens when its client goes away.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl State {
    pub(crate) fn new(sources: Sources, settings: QuerySettings) -> State {
        // A semaphore cannot hold more, and no machine has that many threads.
        let turns = settings.max_concurrent.clamp(1, Semaphore::MAX_PERMITS);
        State { sources, settings, turns: Arc::new(Semaphore::new(turns)) }
    }

    /// The evaluator, with another look-back if the request asks for one.
    pub(crate) fn engine(&self, lookback_ms: Option<i64>) -> Engine {
        let lookback = i64::try_from(self.settings.lookback.0.as_millis()).unwrap_or(i64::MAX);
        Engine {
            lookback_ms: lookback_ms.unwrap_or(lookback),
            max_samples: self.settings.max_samples,
            ..Engine::default()
        }
    }

    /// Runs what blocks on a thread of its own, in its turn and within its time.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<State>,
        timeout: Option<Duration>,
        work: impl FnOnce(&Sources, &Work) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let most = self.settings.timeout.0;
        let timeout = timeout.map_or(most, |asked| asked.min(most));
        let began = Instant::now();
        let deadline = began.checked_add(timeout).ok_or(QueryError::TimedOut)?;
        let turn = tokio::time::timeout(timeout, self.turns.clone().acquire_owned())
            .await
            .map_err(|_| Failure::queued_too_long())?
            .map_err(|_| Failure::internal("the server stops"))?;
        let task = Work { cancel: Cancel::at(deadline), deadline, waited: began.elapsed() };
        let _guard = CancelOnDrop(task.cancel.clone());
        let state = self.clone();
        let ran = tokio::task::spawn_blocking(move || {
            // The turn ends with the work, not with the request: what runs on counts.
            let _turn = turn;
            task.cancel.check()?;
            work(&state.sources, &task)
        });
        ran.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a query broke off");
            Err(Failure::internal("the query broke off; the log says where"))
        })
    }
}
