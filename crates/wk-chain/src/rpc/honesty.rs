//! Compares the endpoints' blocks, and quarantines those that sit on another fork.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use tracing::debug;
use wk_model::{B256, BlockLink, Height};
use wk_runtime::StopToken;

use super::call::{Rejection, Request};
use super::config::Trust;
use super::endpoint::IdentityState;
use super::heads::own_check_interval;
use super::pool::Inner;
use super::quarantine::Passed;
use super::status::{BreakerState, Trouble, TroubleKind};
use super::votes::{Ballot, HashVote, HashVotes, Outcome, take_forged, tally};
use super::wire;
use crate::evm::hash_holds;

/// Blocks below the lowest head at which hashes are compared: higher ones change by themselves.
pub(crate) const DEPTH: u64 = 3;
/// On fast chains, blocks younger than this are left alone.
const YOUNG: Duration = Duration::from_secs(2);
/// The first comparison comes soon, so that a wrong endpoint does not work for long.
const FIRST: Duration = Duration::from_secs(3);
/// A disagreement that ends within this time was a reorg on its way.
const SHORTEST_DOUBT: Duration = Duration::from_secs(1);
const LONGEST_DOUBT: Duration = Duration::from_secs(30);
/// Time between two looks into suspicions.
const SUSPICION_PAUSE: Duration = Duration::from_millis(500);
/// Heights that wait to be looked into.
const MOST_SUSPECTS: usize = 16;

/// What a comparison at one height came to.
#[derive(Debug, Default)]
struct Found {
    /// Endpoints that agree with the majority.
    good: Vec<usize>,
    /// Endpoints that do not, or about which nobody can tell.
    bad: Vec<usize>,
}

impl Inner {
    /// Compares hashes now and then, and where somebody saw a disagreement, until `stop`.
    pub(crate) async fn compare(self: Arc<Self>, stop: StopToken) {
        let interval = self.options.compare_interval.0;
        let mut due = Instant::now() + FIRST.min(interval);
        let mut looked = Instant::now();
        let mut compared: Vec<Option<Instant>> = vec![None; self.endpoints.len()];
        loop {
            let regular = tokio::select! {
                biased;
                () = stop.stopped() => return,
                () = async {
                    sleep_until(looked + SUSPICION_PAUSE).await;
                    self.suspicion.notified().await;
                } => false,
                () = sleep_until(due) => true,
            };
            let mut heights = std::mem::take(&mut *self.suspects.lock());
            let mut near_head = None;
            looked = Instant::now();
            let mut who: Vec<usize> = (0..self.endpoints.len()).collect();
            if regular {
                due = Instant::now() + interval;
                who.retain(|&place| self.affords_check(place, compared[place]));
                for &place in &who {
                    compared[place] = Some(Instant::now());
                }
                near_head = self.height_near_heads();
                let Some(finalized) = stop.run(self.finalized_height()).await else { return };
                // Who is far behind may be on another fork as well.
                let lowest = self.lowest_height();
                heights.extend(near_head.into_iter().chain(finalized).chain(lowest));
            }
            // Who forked off at some height still agrees below it: only agreement near the head
            // lets an endpoint back in, and only without a disagreement elsewhere.
            let mut good = BTreeSet::new();
            let mut bad = BTreeSet::new();
            for height in heights {
                let Some(found) = stop.run(self.check_height(height, &who)).await else { return };
                for &place in &found.good {
                    self.endpoints[place].state().agreed_at = Some(Instant::now());
                }
                if Some(height) == near_head {
                    good.extend(found.good);
                }
                bad.extend(found.bad);
            }
            for &place in good.difference(&bad) {
                self.endpoints[place].state().doubt = None;
                self.endpoints[place].passed(Passed::Hashes);
            }
        }
    }

    /// Whether a daily budget leaves room for one more own check.
    fn affords_check(&self, place: usize, last: Option<Instant>) -> bool {
        match (self.endpoints[place].budget(), last) {
            (Some(budget), Some(last)) => {
                // Two heights are compared each time.
                last.elapsed() >= own_check_interval(budget.per_day) * 2
            }
            (Some(_), None) | (None, _) => true,
        }
    }

    /// A height a little below the lowest head of those who are believed; of those who are not,
    /// when nobody is.
    fn height_near_heads(&self) -> Option<Height> {
        let nobody_believed = self.nobody_is_believed();
        let heads = self.endpoints.iter().filter_map(|endpoint| {
            let state = endpoint.state();
            let counts = match state.quarantine.kind() {
                None => true,
                Some(TroubleKind::WrongChain) => false,
                Some(_) => nobody_believed,
            };
            let counts = counts && state.breaker.state(Instant::now()) == BreakerState::Closed;
            state.heads.head().filter(|_| counts).map(|link| link.block.height)
        });
        let lowest = heads.min()?;
        let young = match self.common.lock().block_time() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a positive number that saturates"
            )]
            Some(time) => (YOUNG.as_secs_f64() / time.as_secs_f64().max(0.01)) as u64,
            None => 0,
        };
        lowest.0.checked_sub(DEPTH.max(young)).map(Height)
    }

    /// A height that even the endpoint that is furthest behind has.
    fn lowest_height(&self) -> Option<Height> {
        let heads = self.endpoints.iter().filter_map(|endpoint| {
            let state = endpoint.state();
            let counts = state.identity == IdentityState::Right
                && state.breaker.state(Instant::now()) == BreakerState::Closed;
            state.heads.head().filter(|_| counts).map(|link| link.block.height)
        });
        heads.min()?.0.checked_sub(DEPTH).map(Height)
    }

    /// The finalized height, by the endpoint that would be asked first. Not every client has it.
    async fn finalized_height(&self) -> Option<Height> {
        let request = Request::probe("eth_getBlockByNumber", json!(["finalized", false]));
        let place = self.best(&request)?;
        let reply = self.ask(place, &request).await.ok()?;
        wire::block_link(&reply.value).map(|link| link.block.height)
    }

    /// Compares the hashes at `height`. A disagreement that lasts has consequences.
    async fn check_height(&self, height: Height, who: &[usize]) -> Found {
        let mut ballots = self.ballots(height, who).await;
        let forged = self.expel_forged(height, &mut ballots);
        let outcome = tally(&ballots, self.common.lock().followed_at(height));
        let lasting = match outcome {
            Outcome::Alone if !forged.is_empty() => (ballots, Outcome::Agreed),
            Outcome::Alone | Outcome::Agreed => (ballots, outcome),
            Outcome::Minority { .. } | Outcome::Tie { .. } => {
                debug!(%height, "endpoints disagree; looking again");
                let block_time = self.common.lock().block_time().unwrap_or(SHORTEST_DOUBT);
                let doubt = (block_time * 2).clamp(SHORTEST_DOUBT, LONGEST_DOUBT);
                tokio::time::sleep(doubt).await;
                let mut ballots = self.ballots(height, who).await;
                self.expel_forged(height, &mut ballots);
                let outcome = tally(&ballots, self.common.lock().followed_at(height));
                (ballots, outcome)
            }
        };
        let mut found = self.conclude_votes(height, &lasting.0, &lasting.1);
        found.bad.extend(forged);
        found
    }

    /// Accuses those whose block has another hash than they say: no reorg does that.
    fn expel_forged(&self, height: Height, ballots: &mut Vec<Ballot>) -> Vec<usize> {
        let forged = take_forged(ballots);
        for ballot in &forged {
            let detail =
                format!("its block {height} does not have the hash that it gives, {}", ballot.hash);
            self.accuse(ballot.endpoint, Trouble::new(TroubleKind::WrongData, detail));
        }
        forged.into_iter().map(|ballot| ballot.endpoint).collect()
    }

    /// Accuses those who are wrong at `height`.
    fn conclude_votes(&self, height: Height, ballots: &[Ballot], outcome: &Outcome) -> Found {
        let hash_of = |place: usize| {
            ballots.iter().find(|ballot| ballot.endpoint == place).map(|ballot| ballot.hash)
        };
        let everyone = || ballots.iter().map(|ballot| ballot.endpoint).collect();
        match outcome {
            // Nobody to compare with: an endpoint that is the only one need not stay locked up.
            Outcome::Alone if self.endpoints_that_answer() > 1 => Found::default(),
            Outcome::Alone | Outcome::Agreed => Found { good: everyone(), bad: Vec::new() },
            Outcome::Minority { right, wrong } => {
                let count = ballots.len() - wrong.len();
                for &place in wrong {
                    let detail = format!(
                        "at height {height} it gives {}, {count} of {} endpoints give {right}",
                        hash_of(place).unwrap_or_default(),
                        ballots.len(),
                    );
                    self.accuse(place, Trouble::new(TroubleKind::Fork, detail));
                }
                let is_right = |ballot: &&Ballot| ballot.hash == *right;
                let good = ballots.iter().filter(is_right).map(|ballot| ballot.endpoint).collect();
                Found { good, bad: wrong.clone() }
            }
            Outcome::Tie { preferred, against } => {
                let given: BTreeSet<B256> = ballots.iter().map(|ballot| ballot.hash).collect();
                let others = |place: usize| {
                    let own = hash_of(place);
                    let others = given.iter().filter(|hash| Some(**hash) != own);
                    others.map(B256::to_string).collect::<Vec<_>>().join(", ")
                };
                for &place in against {
                    let detail = format!(
                        "at height {height} it gives {}, others give {}; nobody can tell who is \
                         right",
                        hash_of(place).unwrap_or_default(),
                        others(place),
                    );
                    self.accuse(place, Trouble::new(TroubleKind::Disagreement, detail));
                }
                for ballot in ballots.iter().filter(|ballot| Some(ballot.hash) == *preferred) {
                    let detail = format!(
                        "at height {height} it gives {}, others give {}; it is used because it \
                         agrees with what was followed, or is our own",
                        ballot.hash,
                        others(ballot.endpoint),
                    );
                    self.endpoints[ballot.endpoint].state().doubt =
                        Some(Trouble::new(TroubleKind::Disagreement, detail));
                    self.changed.notify_one();
                }
                Found { good: Vec::new(), bad: everyone() }
            }
        }
    }

    fn endpoints_that_answer(&self) -> usize {
        let answers = |endpoint: &&super::endpoint::Endpoint| {
            let state = endpoint.state();
            state.identity == IdentityState::Right
                && state.breaker.state(Instant::now()) == BreakerState::Closed
        };
        self.endpoints.iter().filter(answers).count()
    }

    /// The hashes that these endpoints give for `height`; those that have no such block, or do not
    /// answer, do not vote.
    async fn ballots(&self, height: Height, who: &[usize]) -> Vec<Ballot> {
        let asked = who.iter().map(|&place| async move {
            let (link, proven) = self.block_at(place, height).await?;
            let own = self.endpoints[place].trust == Trust::Own;
            Some(Ballot { endpoint: place, hash: link.block.hash, own, proven })
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// The endpoint's block at `height`, and whether it has the hash that it says; none when it
    /// serves another chain, is not that far, or does not answer.
    async fn block_at(&self, place: usize, height: Height) -> Option<(BlockLink, Option<bool>)> {
        let head = {
            let state = self.endpoints[place].state();
            if state.identity == IdentityState::Wrong {
                return None;
            }
            state.heads.head()
        };
        if head.is_some_and(|head| head.block.height < height) {
            return None;
        }
        let params = json!([format!("0x{:x}", height.0), false]);
        let request = Request::probe("eth_getBlockByNumber", params).validated(move |value| {
            match wire::block_link(value) {
                Some(link) if link.block.height == height => Ok(()),
                Some(_) => {
                    Err(Rejection::Inconsistent("it is a block of another height".to_owned()))
                }
                None if value.get() == "null" => {
                    Err(Rejection::Stale("it does not have the block".to_owned()))
                }
                None => Err(Rejection::Inconsistent("it is no block".to_owned())),
            }
        });
        let reply = self.ask_when_admitted(place, &request).await.ok()?;
        Some((wire::block_link(&reply.value)?, hash_holds(&reply.value)))
    }

    pub(crate) async fn block_hash_votes(&self, height: Height) -> HashVotes {
        let votes = (0..self.endpoints.len()).map(|place| async move {
            let endpoint = &self.endpoints[place];
            let (wrong, known) = {
                let state = endpoint.state();
                (state.identity == IdentityState::Wrong, state.heads.hash_at(height))
            };
            let hash = match known {
                _ if wrong => None,
                Some(hash) => Some(hash),
                None => self.block_at(place, height).await.map(|(link, _)| link.block.hash),
            };
            HashVote { endpoint: endpoint.name.clone(), hash }
        });
        let votes = join_all(votes).await;
        let hashes: BTreeSet<B256> = votes.iter().filter_map(|vote| vote.hash).collect();
        if hashes.len() > 1 {
            self.suspect(height.0);
        }
        HashVotes { height, votes }
    }

    /// Has the hashes at `height` compared soon.
    pub(crate) fn suspect(&self, height: u64) {
        let mut suspects = self.suspects.lock();
        suspects.insert(Height(height));
        while suspects.len() > MOST_SUSPECTS {
            suspects.pop_first();
        }
        drop(suspects);
        self.suspicion.notify_one();
    }
}
