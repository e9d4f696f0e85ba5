//! Which hash the endpoints give for one height, and who is right when they differ.

use std::collections::{BTreeMap, BTreeSet};

use wk_model::{B256, Height};

use super::call::EndpointName;

/// The hashes that the endpoints gave for one height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashVotes {
    /// The height.
    pub height: Height,
    /// One vote per endpoint; those that serve another chain have none.
    pub votes: Vec<HashVote>,
}

/// What one endpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashVote {
    /// Who.
    pub endpoint: EndpointName,
    /// The hash; none when the endpoint has no such block yet or did not answer.
    pub hash: Option<B256>,
}

impl HashVotes {
    /// How many endpoints gave `hash`.
    pub fn agreed(&self, hash: B256) -> u8 {
        let count = self.votes.iter().filter(|vote| vote.hash == Some(hash)).count();
        u8::try_from(count).unwrap_or(u8::MAX)
    }

    /// The endpoints that gave another hash than `hash`.
    pub fn against(&self, hash: B256) -> impl Iterator<Item = &HashVote> {
        self.votes.iter().filter(move |vote| vote.hash.is_some_and(|other| other != hash))
    }
}

/// What the votes come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Fewer than two endpoints gave a hash: nothing to compare.
    Alone,
    /// All gave the same hash.
    Agreed,
    /// More than half gave `right`; these endpoints did not.
    Minority { right: B256, wrong: Vec<usize> },
    /// No majority. `preferred` is the hash to go on with, if anything speaks for one; `against`
    /// are the endpoints that gave another.
    Tie { preferred: Option<B256>, against: Vec<usize> },
}

/// One endpoint's hash, with what decides when there is no majority.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ballot {
    /// The endpoint's place in the pool.
    pub(crate) endpoint: usize,
    pub(crate) hash: B256,
    /// The endpoint is a node of ours.
    pub(crate) own: bool,
    /// The header that it gave has this hash; none when that cannot be told.
    pub(crate) proven: Option<bool>,
}

/// Takes out the ballots whose header has another hash than they say. While no header can be shown
/// to have its hash, that says nothing: not every chain hashes its headers as Ethereum does.
pub(crate) fn take_forged(ballots: &mut Vec<Ballot>) -> Vec<Ballot> {
    if ballots.iter().all(|ballot| ballot.proven != Some(true)) {
        return Vec::new();
    }
    ballots.extract_if(.., |ballot| ballot.proven == Some(false)).collect()
}

/// Counts the votes. Without a majority, the hash of the block that was followed is preferred, then
/// the one that our own nodes give.
pub(crate) fn tally(ballots: &[Ballot], followed: Option<B256>) -> Outcome {
    let mut counts: BTreeMap<B256, usize> = BTreeMap::new();
    for ballot in ballots {
        *counts.entry(ballot.hash).or_default() += 1;
    }
    let others = |hash: Option<B256>| -> Vec<usize> {
        let is_other = |ballot: &&Ballot| Some(ballot.hash) != hash;
        ballots.iter().filter(is_other).map(|ballot| ballot.endpoint).collect()
    };
    if ballots.len() < 2 {
        return Outcome::Alone;
    }
    if counts.len() == 1 {
        return Outcome::Agreed;
    }
    let majority = counts.iter().find(|(_, count)| **count * 2 > ballots.len());
    if let Some((&right, _)) = majority {
        return Outcome::Minority { right, wrong: others(Some(right)) };
    }
    let own: BTreeSet<B256> =
        ballots.iter().filter(|ballot| ballot.own).map(|ballot| ballot.hash).collect();
    let only_own = own.first().copied().filter(|_| own.len() == 1);
    let preferred = followed.filter(|hash| counts.contains_key(hash)).or(only_own);
    Outcome::Tie { preferred, against: others(preferred) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_majority_is_right_and_a_tie_is_left_to_what_was_followed() {
        let hash = B256::with_last_byte;
        // Votes as hash, or hash + 100 for a node of ours; the followed hash; the outcome.
        let check = |votes: &[u8], followed: Option<u8>, expected: Outcome| {
            let ballots: Vec<Ballot> = votes
                .iter()
                .enumerate()
                .map(|(endpoint, vote)| Ballot {
                    endpoint,
                    hash: hash(vote % 100),
                    own: *vote >= 100,
                    proven: None,
                })
                .collect();
            assert_eq!(tally(&ballots, followed.map(hash)), expected, "{votes:?} {followed:?}");
        };
        let minority =
            |right, wrong: &[usize]| Outcome::Minority { right: hash(right), wrong: wrong.into() };
        let tie = |preferred: Option<u8>, against: &[usize]| Outcome::Tie {
            preferred: preferred.map(hash),
            against: against.into(),
        };
        check(&[], None, Outcome::Alone);
        check(&[1], Some(2), Outcome::Alone);
        check(&[1, 1], Some(2), Outcome::Agreed);
        check(&[1, 1, 1], None, Outcome::Agreed);
        check(&[1, 2, 1], None, minority(1, &[1]));
        // The majority beats what was followed, and our own nodes: a reorg is ordinary.
        check(&[1, 2, 1], Some(2), minority(1, &[1]));
        check(&[1, 102, 1], None, minority(1, &[1]));
        check(&[1, 2, 1, 3, 1], None, minority(1, &[1, 3]));
        check(&[1, 2], None, tie(None, &[0, 1]));
        check(&[1, 2], Some(2), tie(Some(2), &[0]));
        check(&[1, 2], Some(9), tie(None, &[0, 1]));
        check(&[101, 2], None, tie(Some(1), &[1]));
        check(&[101, 2], Some(2), tie(Some(2), &[0]));
        check(&[101, 102], None, tie(None, &[0, 1]));
        check(&[1, 2, 3], None, tie(None, &[0, 1, 2]));
        check(&[1, 2, 1, 2], Some(1), tie(Some(1), &[1, 3]));
    }

    #[test]
    fn a_forged_ballot_does_not_count_where_another_is_proven() {
        let check = |proofs: &[Option<bool>], expected: &[usize]| {
            let ballot = |(endpoint, proven): (usize, &Option<bool>)| Ballot {
                endpoint,
                hash: B256::ZERO,
                own: false,
                proven: *proven,
            };
            let mut ballots: Vec<Ballot> = proofs.iter().enumerate().map(ballot).collect();
            let forged = take_forged(&mut ballots);
            assert_eq!(forged.iter().map(|b| b.endpoint).collect::<Vec<_>>(), expected);
            assert_eq!(ballots.len(), proofs.len() - expected.len());
        };
        check(&[], &[]);
        check(&[Some(true), Some(false), None], &[1]);
        check(&[Some(false), Some(true), Some(false)], &[0, 2]);
        check(&[Some(false), Some(false), None], &[]);
    }
}
