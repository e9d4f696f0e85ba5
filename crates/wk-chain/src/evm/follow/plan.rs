//! Fetches that are on their way, handed out in the order in which they were asked for.

use std::collections::VecDeque;
use std::future::pending;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use wk_model::{B256, Height};

use crate::evm::fetch::{FetchError, Fetched, Want};

type Handle = AbortOnDropHandle<Result<Fetched, FetchError>>;

/// Fetches in order. Dropping the plan ends them.
#[derive(Default)]
pub(super) struct Plan(VecDeque<Planned>);

struct Planned {
    want: Want,
    since: Instant,
    handle: Handle,
}

/// A fetch that ended.
pub(super) struct Done {
    pub(super) want: Want,
    /// When it was asked for.
    pub(super) since: Instant,
    pub(super) outcome: Result<Fetched, FetchError>,
}

impl Plan {
    pub(super) fn push(&mut self, want: Want, handle: Handle) {
        self.0.push_back(Planned { want, since: Instant::now(), handle });
    }

    /// Before all others.
    pub(super) fn push_first(&mut self, want: Want, since: Instant, handle: Handle) {
        self.0.push_front(Planned { want, since, handle });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The highest height that was asked for.
    pub(super) fn last(&self) -> Option<Want> {
        self.0.back().map(|planned| planned.want)
    }

    pub(super) fn has_height(&self, height: Height) -> bool {
        self.0.iter().any(|planned| planned.want.height() == height)
    }

    pub(super) fn has_block(&self, hash: B256) -> bool {
        self.0
            .iter()
            .any(|planned| matches!(planned.want, Want::Block(block) if block.hash == hash))
    }

    /// The first fetch, when it has ended; waits forever while there is none.
    ///
    /// Cancel safe: a fetch that was not handed out stays first.
    pub(super) async fn next(&mut self) -> Done {
        loop {
            let Some(first) = self.0.front_mut() else { return pending().await };
            let outcome = (&mut first.handle).await;
            let Some(Planned { want, since, .. }) = self.0.pop_front() else { continue };
            match outcome {
                Ok(outcome) => return Done { want, since, outcome },
                // It was aborted or panicked: as if nobody had that block.
                Err(_) => return Done { want, since, outcome: Err(FetchError::Missing(want)) },
            }
        }
    }
}
