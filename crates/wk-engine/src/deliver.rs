//! Carries stored messages to their channels, and writes down what came of it.
//!
//! Works from outbox rows alone, so what it does after a crash is what it does every day. A message
//! may go out twice after a crash between sending and writing that down; both carry the same
//! idempotency key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};
use wk_model::{CANARY_TARGET, Timestamp};
use wk_notifiers::{Message, Receivers, Retry, SendError};
use wk_runtime::{Backoff, Clock, Metrics, StopToken, Wake};
use wk_store::{Claim, Delivery, OutboxRow, Store, StoreError};

use crate::canary::Arrivals;
use crate::signals;

/// How long a claimed row belongs to us; longer than any channel's timeout times the rows of a turn.
const LEASE: Duration = Duration::from_secs(300);
/// Rows that one target gets in one turn.
const PER_TARGET: u32 = 16;
/// Looks for due rows at least this often, whatever was rung: `watchkeeper findings resend` writes
/// beside us and cannot ring.
const EVERY: Duration = Duration::from_secs(1);
/// First and longest wait between two attempts.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// A message that could not be delivered for this long is dead: listed, and sent again on request.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Delivers what is due, each target by itself: one that hangs holds up only its own messages.
pub(crate) struct Deliverer {
    pub(crate) store: Store,
    pub(crate) receivers: watch::Receiver<Arc<Receivers>>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) wake: Wake,
    pub(crate) canaries: Arrivals,
}

impl Deliverer {
    /// Delivers until `stop`; then finishes the messages that are on their way.
    pub(crate) async fn run(&self, stop: StopToken) -> Result<(), StoreError> {
        let mut turns: JoinSet<(String, Result<(), StoreError>)> = JoinSet::new();
        let mut busy = BTreeSet::new();
        loop {
            let mut wait = EVERY;
            if !stop.is_stopped() {
                for (target, rows) in self.claim(&busy).await? {
                    busy.insert(target.clone());
                    let turn = self.turn(target.clone(), rows, stop.clone());
                    turns.spawn(async move { (target, turn.await) });
                }
                if let Some(next) = self.store.next_due(busy.clone()).await? {
                    wait = next.since(self.clock.now()).min(EVERY);
                }
                self.count_rows().await?;
            } else if turns.is_empty() {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = stop.stopped(), if !stop.is_stopped() => {}
                Some(ended) = turns.join_next() => match ended {
                    Ok((target, result)) => {
                        busy.remove(&target);
                        result?;
                    }
                    // The supervisor names the task; its rows come back when the lease ends.
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                },
                () = self.wake.rung() => {}
                () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => {}
            }
        }
    }

    async fn claim(
        &self,
        busy: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Vec<OutboxRow>>, StoreError> {
        let claim = Claim {
            now: self.clock.now(),
            lease: LEASE,
            limit: 16 * PER_TARGET,
            per_receiver: PER_TARGET,
            busy: busy.clone(),
        };
        let mut targets: BTreeMap<String, Vec<OutboxRow>> = BTreeMap::new();
        for row in self.store.claim(claim).await? {
            targets.entry(row.receiver.clone()).or_default().push(row);
        }
        Ok(targets)
    }

    /// Sends the rows of one target in order, and stops at the first that fails: what comes after
    /// would fail too, or overtake it.
    fn turn(
        &self,
        target: String,
        rows: Vec<OutboxRow>,
        stop: StopToken,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let channel = self.receivers.borrow().channel(&target).cloned();
        let (store, clock, metrics) =
            (self.store.clone(), self.clock.clone(), self.metrics.clone());
        let canaries = self.canaries.clone();
        async move {
            let mut rows = rows.into_iter();
            for row in rows.by_ref() {
                if stop.is_stopped() {
                    break;
                }
                let started = Instant::now();
                let sent = match &channel {
                    // It has come as far as it can without bothering people.
                    _ if target == CANARY_TARGET => Ok(()),
                    Some(channel) => {
                        channel.send(&Message::new(&row.notice), &row.idempotency_key).await
                    }
                    None => Err(SendError {
                        retry: Retry::No,
                        reason: format!("the config has no receiver `{target}` any more"),
                    }),
                };
                let took = started.elapsed().as_secs_f64();
                metrics.histogram(&signals::DELIVERY_SECONDS, &[&target]).observe(took);
                let now = clock.now();
                let delivery = settle(&row, sent, now);
                let result = match &delivery {
                    Delivery::Delivered => "ok",
                    Delivery::Failed { reason, .. } => {
                        warn!(%target, finding = %row.finding, %reason, "message not taken; trying again");
                        "retry"
                    }
                    Delivery::Dead { reason } => {
                        warn!(%target, finding = %row.finding, %reason, "message given up; `watchkeeper findings dead` lists it");
                        "dead"
                    }
                };
                metrics.counter(&signals::DELIVERIES, &[&target, result]).inc();
                let delivered = delivery == Delivery::Delivered;
                let failed = matches!(delivery, Delivery::Failed { .. });
                store.settle(row.id, delivery, now).await?;
                if delivered && target == CANARY_TARGET {
                    canaries.note(row.finding, now);
                } else if delivered {
                    let lag = now.since(row.notice.at).as_secs_f64();
                    metrics.histogram(&signals::DELIVERY_LAG_SECONDS, &[&target]).observe(lag);
                    info!(%target, finding = %row.finding, kind = %row.notice.kind, "delivered");
                } else if failed {
                    break;
                }
            }
            // What was claimed and not tried is due again at once.
            let now = clock.now();
            for row in rows {
                store.release(row.id, now).await?;
            }
            Ok(())
        }
    }

    async fn count_rows(&self) -> Result<(), StoreError> {
        let (mut due, mut dead) = (0, 0);
        for count in self.store.outbox_counts().await? {
            due += count.due;
            dead += count.dead;
        }
        self.metrics.gauge(&signals::OUTBOX_ROWS, &["due"]).set(due as f64);
        self.metrics.gauge(&signals::OUTBOX_ROWS, &["dead"]).set(dead as f64);
        Ok(())
    }
}

/// What becomes of a row after an attempt.
fn settle(row: &OutboxRow, sent: Result<(), SendError>, now: Timestamp) -> Delivery {
    let error = match sent {
        Ok(()) => return Delivery::Delivered,
        Err(error) => error,
    };
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let wait = match error.retry {
        Retry::No => return Delivery::Dead { reason: error.reason },
        Retry::After(wait) => wait,
        Retry::Backoff => {
            let longest = backoff.step(row.attempts.saturating_sub(1));
            backoff = Backoff::new(longest, longest);
            backoff.next_wait()
        }
    };
    if now.after(wait).since(row.created_at) > GIVE_UP_AFTER {
        let reason = format!("gave up after {} attempts: {}", row.attempts, error.reason);
        return Delivery::Dead { reason };
    }
    Delivery::Failed { reason: error.reason, next_attempt_at: now.after(wait) }
}
