//! Heads that were announced and that nobody has: most were reorged away, some never were.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use wk_model::B256;

use crate::rpc::{EndpointName, HeadSeen, Pool, Trouble, TroubleKind};

/// Such heads, and who announced how many of them in a row.
#[derive(Default)]
pub(super) struct Phantoms {
    hashes: BTreeMap<B256, Instant>,
    counts: BTreeMap<EndpointName, u32>,
}

/// For so long, a head that cannot be had is not tried again.
const IGNORED_FOR: Duration = Duration::from_secs(10);
/// After so many in a row, an endpoint is accused.
const IN_A_ROW: u32 = 3;

impl Phantoms {
    /// The head cannot be had from anybody.
    pub(super) fn missed(&mut self, head: &HeadSeen, pool: &Pool) {
        self.hashes.retain(|_, since| since.elapsed() < IGNORED_FOR);
        self.hashes.insert(head.link.block.hash, Instant::now());
        let count = self.counts.entry(head.endpoint.clone()).or_default();
        *count += 1;
        if *count == IN_A_ROW {
            *count = 0;
            let detail =
                format!("announced {IN_A_ROW} blocks in a row that nobody has, nor itself");
            pool.accuse(&head.endpoint, Trouble::new(TroubleKind::WrongData, detail));
        }
    }

    /// A head of this endpoint was followed.
    pub(super) fn followed(&mut self, endpoint: &EndpointName) {
        self.counts.remove(endpoint);
    }

    /// Whether the head was tried a moment ago.
    pub(super) fn contains(&self, hash: B256) -> bool {
        self.hashes.get(&hash).is_some_and(|since| since.elapsed() < IGNORED_FOR)
    }
}
