//! Work that must happen: looked up from stored rows each time, so the path after a crash is the
//! path of every day.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::warn;

use crate::{Backoff, StopToken};

/// Compares what is with what should be and does what is missing. Takes no input; running it twice
/// does no harm.
pub trait Reconciler: Send {
    /// One round.
    fn activate(&mut self) -> impl Future<Output = Result<Outcome, String>> + Send;
}

/// What a round left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing more to do now.
    Idle,
    /// Some work was done and there is more: go on at once.
    More,
    /// Nothing to do until this much time has passed.
    Wait(Duration),
}

/// Rings a reconciler awake before its time. Clones ring the same bell; rings are not counted.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// A bell that was not rung.
    pub fn new() -> Wake {
        Wake::default()
    }

    /// Rings. If nobody waits, the next wait ends at once.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits for a ring.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

/// Runs `reconciler` at least each `every`, sooner when `wake` rings, until `stop`.
///
/// A failed round is logged and tried again with backoff, up to `every`.
pub async fn reconcile(
    name: &str,
    mut reconciler: impl Reconciler,
    every: Duration,
    wake: Wake,
    stop: StopToken,
) {
    let mut backoff = Backoff::new(Duration::from_millis(100), every);
    loop {
        let wait = match stop.run(reconciler.activate()).await {
            None => return,
            Some(Ok(outcome)) => {
                backoff.reset();
                match outcome {
                    Outcome::Idle => every,
                    Outcome::More => Duration::ZERO,
                    Outcome::Wait(wait) => wait.min(every),
                }
            }
            Some(Err(error)) => {
                let wait = backoff.next_wait();
                warn!(reconciler = name, %error, ?wait, "round failed; trying again");
                wait
            }
        };
        tokio::select! {
            biased;
            () = stop.stopped() => return,
            () = wake.rung() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}
