//! Waiting for a condition with a deadline, instead of sleeping.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Time between two looks.
const STEP: Duration = Duration::from_millis(5);

/// Waits until `condition` is true.
///
/// # Panics
/// When it is not within `deadline`; the message says `what` was waited for.
pub async fn wait_until(what: &str, deadline: Duration, mut condition: impl AsyncFnMut() -> bool) {
    wait_for(what, deadline, async || condition().await.then_some(())).await;
}

/// Waits until `look` finds something, and returns it.
///
/// # Panics
/// When it does not within `deadline`; the message says `what` was waited for.
pub async fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain: {what}");
        sleep(STEP).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_as_long_as_needed() {
        let mut looks = 0;
        wait_until("three looks", Duration::from_secs(10), async || {
            looks += 1;
            looks == 3
        })
        .await;
        assert_eq!(looks, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "waited 20ms in vain: a pig that flies")]
    async fn says_what_did_not_come() {
        wait_until("a pig that flies", Duration::from_millis(20), async || false).await;
    }
}
