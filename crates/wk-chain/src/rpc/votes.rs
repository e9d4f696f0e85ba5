//! Which hash the endpoints give for one height.

use wk_model::{B256, Height};

use super::call::EndpointName;

/// The hashes that the endpoints gave for one height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashVotes {
    /// The height.
    pub height: Height,
    /// One vote per endpoint.
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
