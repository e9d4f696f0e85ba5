//! A finding that goes all the way again and again, so that a broken way is noticed: stored, put
//! into the outbox, taken up by the deliverer, marked as delivered. Nobody is told of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::{debug, error};
use wk_config::ServerConfig;
use wk_model::{
    AssetId, CANARY, CANARY_TARGET, Condition, ConditionKey, FindingBuilder, FindingId, Severity,
    Timestamp,
};
use wk_runtime::{Clock, Metrics, StopToken, Wake};
use wk_store::{Commit, Store, StoreError};

use crate::side::SideEvent;
use crate::signals;

/// Time between two looks at the clock.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a canary may take to arrive before the way counts as broken, beside its interval.
const PATIENCE: Duration = Duration::from_secs(30);

/// The trouble that a canary is lost.
const LOST: &str = "canary_lost";

/// Which canary arrived last, and when. Clones look at the same.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals(Arc<watch::Sender<Option<(FindingId, Timestamp)>>>);

impl Default for Arrivals {
    fn default() -> Arrivals {
        Arrivals(Arc::new(watch::channel(None).0))
    }
}

impl Arrivals {
    /// A canary was marked as delivered.
    pub(crate) fn note(&self, canary: FindingId, now: Timestamp) {
        self.0.send_replace(Some((canary, now)));
    }

    /// When the last one arrived.
    pub(crate) fn last(&self) -> Option<Timestamp> {
        self.0.borrow().map(|(_, at)| at)
    }

    /// The longest time that may pass between two arrivals while all is well.
    pub(crate) fn patience(every: Duration) -> Duration {
        every.saturating_mul(2) + PATIENCE
    }
}

/// Sends canaries and waits for them.
#[derive(Clone)]
pub(crate) struct Canary {
    pub(crate) store: Store,
    pub(crate) arrivals: Arrivals,
    pub(crate) server: watch::Receiver<ServerConfig>,
    pub(crate) observations: mpsc::Sender<SideEvent>,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) wake_delivery: Wake,
}

impl Canary {
    /// Works until `stop`.
    pub(crate) async fn run(self, stop: StopToken) -> Result<(), StoreError> {
        // What an earlier run left on its way.
        self.store.forget_canaries().await?;
        let started = self.clock.now();
        let mut arrived = self.arrivals.0.subscribe();
        let mut due_at = started;
        let mut under_way: Option<(FindingId, Timestamp)> = None;
        loop {
            let now = self.clock.now();
            let every = self.server.borrow().canary.every.0;
            let last = *arrived.borrow_and_update();
            if let Some((canary, sent_at)) = under_way {
                if last.is_some_and(|(arrived, _)| arrived == canary) {
                    under_way = None;
                    self.store.forget_canaries().await?;
                    self.tell(Condition::Cleared(key())).await;
                } else if now.since(sent_at) > Arrivals::patience(every) {
                    under_way = None;
                    error!(sent = %sent_at, "a canary did not arrive: findings may not be told");
                    self.tell(lost(sent_at, now)).await;
                    self.forget().await;
                }
            }
            if under_way.is_none() && now >= due_at {
                due_at = now.after(every);
                under_way = Some((self.send(now).await, now));
            }
            let age = now.since(last.map_or(started, |(_, at)| at));
            self.metrics.gauge(&signals::CANARY_AGE_SECONDS, &[]).set(age.as_secs_f64());
            tokio::select! {
                biased;
                () = stop.stopped() => return Ok(()),
                _ = arrived.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Stores a canary. One that cannot be stored does not arrive, which is what counts.
    async fn send(&self, now: Timestamp) -> FindingId {
        let asset = AssetId::new("watchkeeper", CANARY);
        let canary = FindingBuilder::system(CANARY, asset, Severity::P3, CANARY, now).build();
        let id = canary.id;
        let mut commit = Commit::without_chain(now, Arc::new(|_| vec![CANARY_TARGET.to_owned()]));
        commit.findings = vec![canary];
        match tokio::time::timeout(PATIENCE, self.store.commit(commit)).await {
            Ok(Ok(_)) => self.wake_delivery.ring(),
            Ok(Err(fault)) => error!(error = %fault, "a canary cannot be stored"),
            Err(_) => error!("the store takes too long to store a canary"),
        }
        id
    }

    /// Removes what is lost; the store may be what is broken.
    async fn forget(&self) {
        match tokio::time::timeout(PATIENCE, self.store.forget_canaries()).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => debug!(error = %fault, "a lost canary cannot be removed yet"),
            Err(_) => debug!("the store takes too long to remove a lost canary"),
        }
    }

    async fn tell(&self, condition: Condition) {
        // With a broken store the queue fills up: the metric and the dead-man's ping still tell.
        let _ = self.observations.try_send(SideEvent::Condition(condition));
    }
}

fn lost(sent_at: Timestamp, now: Timestamp) -> Condition {
    let ConditionKey { trouble, asset, subject } = key();
    FindingBuilder::system(
        &trouble,
        asset,
        Severity::P1,
        "a canary did not arrive: findings may be stored late, or not be delivered; look at the \
         disk, and at the task `deliver`",
        now,
    )
    .evidence("sent_at", sent_at.to_string())
    .raise(&subject)
}

fn key() -> ConditionKey {
    let asset = AssetId::new("watchkeeper", "delivery");
    ConditionKey { trouble: LOST.to_owned(), asset, subject: String::new() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wk_config::CanaryConfig;
    use wk_model::HumanDuration;
    use wk_store::{Claim, Delivery, FindingQuery, OutboxQuery};
    use wk_testkit::wait_until;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// Does what the deliverer does with canaries.
    async fn deliver(store: &Store, arrivals: &Arrivals, now: Timestamp) -> usize {
        let lease = Duration::from_secs(60);
        let claim = Claim { now, lease, limit: 10, per_receiver: 10, busy: BTreeSet::new() };
        let rows = store.claim(claim).await.unwrap();
        for row in &rows {
            assert_eq!(row.receiver, CANARY_TARGET);
            store.settle(row.id, Delivery::Delivered, now).await.unwrap();
            arrivals.note(row.finding, now);
        }
        rows.len()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_canary_that_does_not_arrive_is_told_and_one_that_does_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let (metrics, clock) = (Metrics::new(), Clock::manual(Timestamp(1_795_383_364_000)));
        let store = Store::open(folder.path(), &metrics).unwrap();
        let every = Duration::from_secs(60);
        let canary = CanaryConfig { every: HumanDuration(every) };
        let (_server, server) = watch::channel(ServerConfig { canary, ..Default::default() });
        let (observations, mut told) = mpsc::channel(16);
        let (arrivals, stop) = (Arrivals::default(), StopToken::new());
        let canary = Canary {
            store: store.clone(),
            arrivals: arrivals.clone(),
            server,
            observations,
            metrics: metrics.clone(),
            clock: clock.clone(),
            wake_delivery: Wake::new(),
        };
        let run = tokio::spawn(canary.run(stop.clone()));
        let age = || metrics.gauge(&signals::CANARY_AGE_SECONDS, &[]).get();
        let arrive = async || {
            wait_until("a canary is delivered", SOON, async || {
                deliver(&store, &arrivals, clock.now()).await == 1
            })
            .await;
        };
        arrive().await;
        assert!(matches!(told.recv().await, Some(SideEvent::Condition(Condition::Cleared(_)))));
        // Nobody sees it.
        assert_eq!(store.findings(FindingQuery::default()).await.unwrap().items, []);
        assert_eq!(store.outbox(OutboxQuery::default()).await.unwrap().items, []);
        assert_eq!(store.finding_counts().await.unwrap(), []);
        assert_eq!(store.outbox_counts().await.unwrap(), []);

        // The next one is sent, and stays on the way.
        clock.advance(every);
        wait_until("the next canary is stored", SOON, async || {
            let rows = store.stats().await.unwrap().rows;
            rows.contains(&("outbox".to_owned(), 1))
        })
        .await;
        clock.advance(Arrivals::patience(every) + Duration::from_secs(1));
        let told_lost = tokio::time::timeout(SOON, told.recv()).await.unwrap();
        assert!(
            matches!(&told_lost, Some(SideEvent::Condition(Condition::Raised(key, _)))
                if key.trouble == LOST),
            "{told_lost:?}"
        );
        wait_until("the age is told", SOON, async || age() > 180.0).await;

        arrive().await;
        let told_over = tokio::time::timeout(SOON, told.recv()).await.unwrap();
        assert!(matches!(told_over, Some(SideEvent::Condition(Condition::Cleared(_)))));
        wait_until("the age begins anew", SOON, async || age() < 1.0).await;
        stop.stop();
        run.await.unwrap().unwrap();
    }
}
