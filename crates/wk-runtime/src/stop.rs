//! The word that a task listens for: stop now.

use std::future::Future;

use tokio_util::sync::CancellationToken;

/// Tells tasks to stop. Children stop with their parent, not the other way round.
#[derive(Clone, Debug, Default)]
pub struct StopToken(CancellationToken);

impl StopToken {
    /// A token that nothing has stopped yet.
    pub fn new() -> StopToken {
        StopToken::default()
    }

    /// A token that stops with this one.
    pub fn child(&self) -> StopToken {
        StopToken(self.0.child_token())
    }

    /// Says stop.
    pub fn stop(&self) {
        self.0.cancel();
    }

    /// Whether stop was said.
    pub fn is_stopped(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for the word.
    pub async fn stopped(&self) {
        self.0.cancelled().await;
    }

    /// Runs `work` until it ends or stop is said; `None` means stopped.
    pub async fn run<F: Future>(&self, work: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.stopped() => None,
            output = work => Some(output),
        }
    }

    /// Sleeps; false when stop was said meanwhile.
    pub async fn sleep(&self, duration: std::time::Duration) -> bool {
        self.run(tokio::time::sleep(duration)).await.is_some()
    }
}
