//! Follows value from an address over hops: who has it in the end, and which way it went.
//!
//! Transactions are looked at in the order in which they happened. Within one, each account's sums
//! per asset count, so that routers and pools that only hand on vanish, and what an account pays
//! with one asset and gets back in another stays its own (an exchange).
//!
//! How much of what an account pays out is followed value is a matter of convention: by share of
//! all that it has ([`Method::Haircut`]), or first in, first out ([`Method::Fifo`]). Both are in use
//! by analysts and courts; neither is the truth.
//!
//! Weaknesses: what an account owned before the window counts as clean only where the source of
//! transfers tells it; an accomplice who pays something back in the same transaction makes a payment
//! look like an exchange, so exchanges are shown with their counterparties.

mod graph;
mod labels;
mod ledger;
mod nets;
mod trace;

pub use graph::{Ending, Exchange, FundEdge, FundGraph, FundNode, Tracer};
pub use labels::{AddressLabel, LabelKind, Labels};
pub use ledger::Method;
pub use trace::{Direction, Settings, trace};

use alloy_primitives::{Address, B256, U256};
use serde::Serialize;

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asset {
    /// The chain's own coin, in wei.
    Native,
    /// A token, in its smallest unit.
    Token(Address),
}

impl Asset {
    /// `native`, or the token's address.
    pub fn name(self) -> String {
        match self {
            Asset::Native => "native".to_owned(),
            Asset::Token(token) => format!("{token:#x}"),
        }
    }
}

impl Serialize for Asset {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

/// A movement of value in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// What.
    pub asset: Asset,
    /// From whom; the zero address for what is new.
    pub from: Address,
    /// To whom; the zero address for what ends.
    pub to: Address,
    /// How much, in the asset's smallest unit.
    pub amount: U256,
}

/// A transaction with all that it moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Its block.
    pub height: u64,
    /// Its place in the block.
    pub index: u64,
    /// Its hash.
    pub tx: B256,
    /// Its block's time, in seconds since the Unix epoch.
    pub time: u64,
    /// What moved, all of it, in order.
    pub moves: Vec<Move>,
}

/// Where transfers come from: a node, a store, a list.
pub trait Source {
    /// Why it could not answer.
    type Error;

    /// Transactions in the window that move anything to or from an address, oldest first, at most
    /// `most` and whether there are more.
    fn movements(
        &mut self,
        address: Address,
        most: usize,
    ) -> Result<(Vec<Movement>, bool), Self::Error>;

    /// What an address owned of an asset before the window; none where it is not known.
    fn opening(&mut self, address: Address, asset: Asset) -> Option<U256>;
}

/// A list of transactions as a source.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    movements: Vec<Movement>,
    by_address: std::collections::HashMap<Address, Vec<u32>>,
    opening: std::collections::HashMap<(Address, Asset), U256>,
}

impl Listed {
    /// A source of these transactions; their order does not matter.
    pub fn new(mut movements: Vec<Movement>) -> Listed {
        movements.sort_by_key(|movement| (movement.height, movement.index));
        let mut listed = Listed::default();
        for (at, movement) in (0u32..).zip(&movements) {
            for address in movement.moves.iter().flat_map(|one| [one.from, one.to]) {
                let places = listed.by_address.entry(address).or_default();
                if places.last() != Some(&at) {
                    places.push(at);
                }
            }
        }
        listed.movements = movements;
        listed
    }

    /// With what an address owned of an asset before.
    #[must_use]
    pub fn with_opening(mut self, address: Address, asset: Asset, amount: U256) -> Listed {
        self.opening.insert((address, asset), amount);
        self
    }

    /// Transactions in it.
    pub fn len(&self) -> usize {
        self.movements.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.movements.is_empty()
    }
}

impl Source for Listed {
    type Error = std::convert::Infallible;

    fn movements(
        &mut self,
        address: Address,
        most: usize,
    ) -> Result<(Vec<Movement>, bool), Self::Error> {
        let places = self.by_address.get(&address).map_or(&[][..], Vec::as_slice);
        let found = places.iter().take(most).map(|at| self.movements[*at as usize].clone());
        Ok((found.collect(), places.len() > most))
    }

    fn opening(&mut self, address: Address, asset: Asset) -> Option<U256> {
        self.opening.get(&(address, asset)).copied()
    }
}
