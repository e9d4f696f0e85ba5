//! What a transaction amounts to: who paid whom in the end, and who exchanged what.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};

use super::ledger::share;
use super::{Asset, Move};

/// Parties of one asset in one transaction that are told apart. With more, the smallest are left out
/// of who-paid-whom.
const MAX_PARTIES: usize = 256;

/// What one account paid and got in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Net {
    pub(super) paid: Vec<(Asset, U256)>,
    pub(super) got: Vec<(Asset, U256)>,
}

/// A transaction's result.
#[derive(Clone, Debug, Default)]
pub(super) struct Nets {
    pub(super) accounts: BTreeMap<Address, Net>,
    payers: BTreeMap<Asset, Vec<(Address, U256)>>,
    receivers: BTreeMap<Asset, Vec<(Address, U256)>>,
}

impl Nets {
    /// Adds up the movements of a transaction.
    pub(super) fn of(moves: &[Move]) -> Nets {
        let mut sums: BTreeMap<(Asset, Address), (U256, U256)> = BTreeMap::new();
        for one in moves.iter().filter(|one| one.from != one.to && !one.amount.is_zero()) {
            let out = &mut sums.entry((one.asset, one.from)).or_default().0;
            *out = out.saturating_add(one.amount);
            let into = &mut sums.entry((one.asset, one.to)).or_default().1;
            *into = into.saturating_add(one.amount);
        }
        let mut nets = Nets::default();
        for ((asset, address), (out, into)) in sums {
            let net = nets.accounts.entry(address).or_default();
            if out > into {
                net.paid.push((asset, out - into));
                nets.payers.entry(asset).or_default().push((address, out - into));
            } else if into > out {
                net.got.push((asset, into - out));
                nets.receivers.entry(asset).or_default().push((address, into - out));
            }
        }
        for parties in nets.payers.values_mut().chain(nets.receivers.values_mut()) {
            if parties.len() > MAX_PARTIES {
                parties.sort_by_key(|(_, amount)| std::cmp::Reverse(*amount));
                parties.truncate(MAX_PARTIES);
            }
        }
        nets
    }

    /// Who got what an account paid of an asset, split by what each got in all.
    pub(super) fn receivers(&self, asset: Asset, amount: U256) -> Vec<(Address, U256)> {
        split(self.receivers.get(&asset), amount)
    }

    /// Who paid what an account got of an asset, split by what each paid in all.
    pub(super) fn payers(&self, asset: Asset, amount: U256) -> Vec<(Address, U256)> {
        split(self.payers.get(&asset), amount)
    }
}

fn split(parties: Option<&Vec<(Address, U256)>>, amount: U256) -> Vec<(Address, U256)> {
    let Some(parties) = parties else { return Vec::new() };
    let whole = parties.iter().fold(U256::ZERO, |sum, (_, part)| sum.saturating_add(*part));
    let mut left = amount;
    let mut parts: Vec<(Address, U256)> = parties
        .iter()
        .map(|(address, part)| {
            let part = share(amount, *part, whole).min(left);
            left -= part;
            (*address, part)
        })
        .collect();
    // What rounding leaves over goes to the first, so that nothing is lost.
    if let Some((_, first)) = parts.first_mut() {
        *first = first.saturating_add(left);
    }
    parts.retain(|(_, part)| !part.is_zero());
    parts
}
