//! Which chain the endpoints serve, and which of them serve another.

use std::collections::BTreeMap;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};
use wk_model::ChainId;

use super::ask::Miss;
use super::call::Attempt;
use super::class::{ErrorClass, Remedy};
use super::endpoint::IdentityState;
use super::pool::Inner;
use super::quarantine::Passed;
use super::status::{Trouble, TroubleKind};

/// What the chain ids that endpoints gave come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The chain id to hold everybody to; none while nobody answered.
    pub(crate) expected: Option<ChainId>,
    /// Known from the config, learned before, or given by more than half of those who answered.
    pub(crate) settled: bool,
}

/// Decides from what is `known` (configured, or learned before), else by majority, else by who is
/// listed first: that is a guess, and is told as one.
pub(crate) fn decide(known: Option<ChainId>, given: &[Option<ChainId>]) -> Identity {
    if known.is_some() {
        return Identity { expected: known, settled: true };
    }
    let answers: Vec<ChainId> = given.iter().copied().flatten().collect();
    let mut counts: BTreeMap<ChainId, usize> = BTreeMap::new();
    for id in &answers {
        *counts.entry(*id).or_default() += 1;
    }
    let majority = counts.iter().find(|(_, count)| **count * 2 > answers.len());
    match majority {
        Some((&id, _)) => Identity { expected: Some(id), settled: true },
        None => Identity { expected: answers.first().copied(), settled: false },
    }
}

/// A majority is waited for no longer than this; who answers later is heard later.
const MAJORITY: Duration = Duration::from_secs(3);

impl Inner {
    /// Finds out which chain the endpoint serves. As long as it is not known which chain it should
    /// be, all endpoints are asked, so that the first to answer does not decide alone.
    pub(crate) async fn find_identity(&self, place: usize) -> Result<(), Miss> {
        if self.common.lock().known_id().is_some() {
            return self.check_identity(place).await;
        }
        let _gate = self.identity_gate.lock().await;
        let unknown =
            |place: usize| self.endpoints[place].state().identity == IdentityState::Unknown;
        if !unknown(place) {
            return Ok(());
        }
        let mut asked: FuturesUnordered<_> = (0..self.endpoints.len())
            .filter(|&other| unknown(other))
            .map(|other| async move { (other, self.ask_chain_id(other).await) })
            .collect();
        let deadline = Instant::now() + MAJORITY.min(self.options.timeout.0);
        let mut own_miss = None;
        loop {
            if !unknown(place) && self.most_agree() {
                return Ok(());
            }
            let answer = tokio::select! {
                biased;
                answer = asked.next() => answer,
                () = sleep_until(deadline) => None,
            };
            match answer {
                Some((other, Ok(id))) => self.identified(other, id),
                Some((other, Err(miss))) if other == place => own_miss = Some(miss),
                Some((_, Err(_))) => {}
                None if !unknown(place) => return Ok(()),
                None => {
                    return Err(own_miss.unwrap_or_else(|| {
                        Miss::Failed(Attempt {
                            endpoint: self.endpoints[place].name.clone(),
                            class: ErrorClass::Timeout,
                            message: "it did not say which chain it serves".to_owned(),
                            rpc: None,
                            remedy: Remedy::Retry,
                            took: MAJORITY,
                        })
                    }));
                }
            }
        }
    }

    /// Whether more than half of all endpoints give the same chain id: those who did not answer
    /// yet cannot change it.
    fn most_agree(&self) -> bool {
        let given: Vec<_> =
            self.endpoints.iter().map(|endpoint| endpoint.state().chain_id).collect();
        let expected = decide(None, &given).expected;
        let agree = given.iter().filter(|id| id.is_some() && **id == expected).count();
        agree * 2 > given.len()
    }

    /// Asks the endpoint which chain it serves, and draws the conclusions.
    pub(crate) async fn check_identity(&self, place: usize) -> Result<(), Miss> {
        let id = self.ask_chain_id(place).await?;
        self.identified(place, id);
        Ok(())
    }

    /// The endpoint gave this chain id, or cannot tell (none).
    pub(crate) fn identified(&self, place: usize, id: Option<ChainId>) {
        let Some(id) = id else {
            // It can be held to nothing but its blocks.
            self.endpoints[place].state().identity = IdentityState::Right;
            return;
        };
        self.endpoints[place].state().chain_id = Some(id);
        let given: Vec<_> =
            self.endpoints.iter().map(|endpoint| endpoint.state().chain_id).collect();
        let identity = {
            let mut common = self.common.lock();
            let identity = decide(common.known_id(), &given);
            common.learned_id = identity.expected;
            identity
        };
        let Identity { expected: Some(expected), settled } = identity else { return };
        let differs = given.iter().flatten().any(|id| *id != expected);
        for (endpoint, id) in self.endpoints.iter().zip(&given) {
            let Some(id) = *id else { continue };
            let right = id == expected;
            {
                let mut state = endpoint.state();
                state.identity = if right { IdentityState::Right } else { IdentityState::Wrong };
                let guess = Trouble::new(
                    TroubleKind::Disagreement,
                    format!(
                        "it gives chain id {expected} and is believed only because it is listed \
                         first; set `chain_id`"
                    ),
                );
                state.chain_doubt = (right && !settled && differs).then_some(guess);
            }
            if right {
                endpoint.passed(Passed::ChainId);
            } else {
                let detail = if settled {
                    format!("it gives chain id {id}, expected is {expected}")
                } else {
                    format!("it gives chain id {id}, others give {expected}; set `chain_id`")
                };
                if endpoint.accuse(Trouble::new(TroubleKind::WrongChain, detail)) {
                    self.changed.notify_one();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_decides_then_the_majority_then_the_order() {
        for (known, given, expected, settled) in [
            (None, &[][..], None, false),
            (None, &[None, None], None, false),
            (None, &[Some(1)], Some(1), true),
            (None, &[None, Some(5), Some(1), Some(1)], Some(1), true),
            (None, &[Some(5), Some(1)], Some(5), false),
            (None, &[None, Some(1), Some(5)], Some(1), false),
            (None, &[Some(1), Some(5), Some(7)], Some(1), false),
            (Some(9), &[Some(1), Some(1)], Some(9), true),
        ] {
            let given: Vec<_> = given.iter().map(|id: &Option<u64>| id.map(ChainId)).collect();
            let identity = decide(known.map(ChainId), &given);
            let expected = Identity { expected: expected.map(ChainId), settled };
            assert_eq!(identity, expected, "{known:?} {given:?}");
        }
    }
}
