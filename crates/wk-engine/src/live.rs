//! What happens right now, numbered, for everyone who looks on.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::broadcast;
use wk_model::{BlockLink, ChainName};
use wk_store::FindingRow;

use crate::ChainStatus;

/// How many past events a late listener can still get.
const KEPT: usize = 1_024;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveEvent {
    /// A block was processed, or taken back.
    Block {
        /// Its chain.
        chain: ChainName,
        /// The block.
        link: BlockLink,
        /// Transactions in it.
        transactions: u64,
        /// Findings that it led to.
        findings: u64,
        /// True when it was taken back.
        reverted: bool,
    },
    /// A finding was made, released, retracted or resolved.
    Finding(Box<FindingRow>),
    /// The health of a chain, or of one of its endpoints, changed.
    Health(Box<ChainStatus>),
}

/// A live event with its number. Numbers go up by one and begin anew with the program.
#[derive(Clone, Debug)]
pub struct Numbered {
    /// The number.
    pub id: u64,
    /// The event.
    pub event: Arc<LiveEvent>,
}

/// Spreads live events. Nobody who listens slowly holds up who works: he loses the oldest.
#[derive(Clone, Debug)]
pub struct Live(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    past: Mutex<Past>,
    sender: broadcast::Sender<Numbered>,
}

#[derive(Debug, Default)]
struct Past {
    next: u64,
    events: VecDeque<Numbered>,
}

impl Default for Live {
    fn default() -> Live {
        let sender = broadcast::channel(KEPT).0;
        Live(Arc::new(Inner { past: Mutex::default(), sender }))
    }
}

impl Live {
    /// Tells everyone.
    pub fn tell(&self, event: LiveEvent) {
        let mut past = self.0.past.lock();
        let numbered = Numbered { id: past.next, event: Arc::new(event) };
        past.next += 1;
        if past.events.len() == KEPT {
            past.events.pop_front();
        }
        past.events.push_back(numbered.clone());
        // Sent under the lock, so that nobody sees numbers out of order. No listener is no error.
        let _ = self.0.sender.send(numbered);
    }

    /// The kept events after number `after`, and all that come. Without `after`: only what comes.
    pub fn listen(&self, after: Option<u64>) -> (Vec<Numbered>, broadcast::Receiver<Numbered>) {
        let past = self.0.past.lock();
        let missed = match after {
            None => Vec::new(),
            // A number from before a restart lies ahead of ours: give all we have.
            Some(after) if after >= past.next => past.events.iter().cloned().collect(),
            Some(after) => past.events.iter().filter(|event| event.id > after).cloned().collect(),
        };
        (missed, self.0.sender.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use wk_model::primitives::B256;
    use wk_model::{BlockRef, BlockTime, Height};

    use super::*;

    fn block(height: u64) -> LiveEvent {
        let block = BlockRef { height: Height(height), hash: B256::ZERO };
        LiveEvent::Block {
            chain: ChainName::new("main"),
            link: BlockLink { block, parent: B256::ZERO, time: BlockTime(0) },
            transactions: 0,
            findings: 0,
            reverted: false,
        }
    }

    #[test]
    fn a_late_listener_gets_what_he_missed() {
        let live = Live::default();
        for height in 0..3 {
            live.tell(block(height));
        }
        let (missed, mut receiver) = live.listen(Some(0));
        live.tell(block(3));
        let missed: Vec<u64> = missed.iter().map(|event| event.id).collect();
        assert_eq!(missed, [1, 2]);
        assert_eq!(receiver.try_recv().expect("it was told").id, 3);
        assert_eq!(live.listen(Some(99)).0.len(), 4, "a number from before a restart");
        assert!(live.listen(None).0.is_empty());
    }
}
