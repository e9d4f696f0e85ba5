//! Deposits and releases that may belong together, and which do.

use alloy_primitives::{Address, U256};

use super::fold::Rules;
use super::{BridgeEvent, Place};

/// In what a release differs from the deposit of the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Difference {
    /// Another token.
    Token,
    /// More than was paid in, or less than the fee explains.
    Amount,
    /// Another beneficiary.
    Beneficiary,
}

impl Difference {
    /// Its name as data shows it.
    pub fn name(self) -> &'static str {
        match self {
            Difference::Token => "token",
            Difference::Amount => "amount",
            Difference::Beneficiary => "beneficiary",
        }
    }
}

/// Why a release is not valid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No deposit is like it.
    NoDeposit,
    /// A deposit has its id, and says something else.
    Differs {
        /// That deposit.
        deposit: Place,
        /// In what.
        differences: Vec<Difference>,
    },
    /// Its deposit was released before.
    AlreadyReleased {
        /// That deposit.
        deposit: Place,
        /// The release that it was for.
        by: Place,
    },
    /// Its deposit was not final yet.
    TooYoung {
        /// That deposit.
        deposit: Place,
        /// Seconds from the deposit to the release; below zero when the release came first.
        age: i64,
    },
}

impl Reason {
    /// Its name as data shows it.
    pub fn name(&self) -> &'static str {
        match self {
            Reason::NoDeposit => "no_deposit",
            Reason::Differs { .. } => "differs",
            Reason::AlreadyReleased { .. } => "already_released",
            Reason::TooYoung { .. } => "too_young",
        }
    }
}

/// The deposit that a release is for, or why it is not valid.
pub(super) type Verdict = Result<Place, Box<Reason>>;

/// A release with what is thought of it: the deposit that it is for, or why it is not valid.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) release: BridgeEvent,
    pub(super) verdict: Verdict,
}

/// Events of one id, or where a bridge has none, of one token and beneficiary.
///
/// What is thought of the releases follows from the two lists alone and not from the order in which
/// they grew, so that late events and reverts need no rules of their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Bucket {
    /// In order of their places.
    pub(super) deposits: Vec<BridgeEvent>,
    /// In order of their places.
    pub(super) releases: Vec<Judged>,
}

impl Bucket {
    pub(super) fn is_empty(&self) -> bool {
        self.deposits.is_empty() && self.releases.is_empty()
    }

    pub(super) fn add_deposit(&mut self, deposit: BridgeEvent) -> bool {
        match self.deposits.binary_search_by_key(&deposit.place, |known| known.place) {
            Ok(_) => false,
            Err(at) => {
                self.deposits.insert(at, deposit);
                true
            }
        }
    }

    pub(super) fn add_release(&mut self, release: BridgeEvent) -> bool {
        match self.releases.binary_search_by_key(&release.place, |known| known.release.place) {
            Ok(_) => false,
            Err(at) => {
                // Not judged yet: whatever is thought of it will be news.
                self.releases
                    .insert(at, Judged { release, verdict: Err(Box::new(Reason::NoDeposit)) });
                true
            }
        }
    }

    /// Judges all releases anew: each takes the oldest deposit that fits and is free.
    pub(super) fn judge(&self, rules: &Rules) -> Vec<Verdict> {
        let mut taken: Vec<Option<Place>> = vec![None; self.deposits.len()];
        self.releases
            .iter()
            .map(|judged| {
                let release = &judged.release;
                let mut refused: Option<Box<Reason>> = None;
                for (deposit, taken) in self.deposits.iter().zip(&mut taken) {
                    match fits(deposit, release, *taken, rules) {
                        Ok(()) => {
                            *taken = Some(release.place);
                            return Ok(deposit.place);
                        }
                        // The refusal that came closest to a match says most.
                        Err(reason) => {
                            if refused.as_ref().is_none_or(|have| rank(&reason) > rank(have)) {
                                refused = Some(reason);
                            }
                        }
                    }
                }
                Err(refused.unwrap_or_else(|| Box::new(Reason::NoDeposit)))
            })
            .collect()
    }
}

fn rank(reason: &Reason) -> u8 {
    match reason {
        Reason::NoDeposit => 0,
        Reason::Differs { .. } => 1,
        Reason::TooYoung { .. } => 2,
        Reason::AlreadyReleased { .. } => 3,
    }
}

fn fits(
    deposit: &BridgeEvent,
    release: &BridgeEvent,
    taken: Option<Place>,
    rules: &Rules,
) -> Result<(), Box<Reason>> {
    let mut differences = Vec::new();
    if !same_token(deposit, release, rules) {
        differences.push(Difference::Token);
    }
    if !same_amount(deposit.moved.amount, release.moved.amount, rules.max_fee_ppm) {
        differences.push(Difference::Amount);
    }
    if deposit.moved.beneficiary != release.moved.beneficiary {
        differences.push(Difference::Beneficiary);
    }
    if !differences.is_empty() {
        // Without an id, another amount is simply another deposit.
        return Err(Box::new(match release.moved.id {
            Some(_) => Reason::Differs { deposit: deposit.place, differences },
            None => Reason::NoDeposit,
        }));
    }
    if let Some(by) = taken {
        return Err(Box::new(Reason::AlreadyReleased { deposit: deposit.place, by }));
    }
    let seconds = |place: Place| i64::try_from(place.time.0).unwrap_or(i64::MAX);
    let age = seconds(release.place).saturating_sub(seconds(deposit.place));
    if age < i64::try_from(rules.finality.as_secs()).unwrap_or(i64::MAX) {
        return Err(Box::new(Reason::TooYoung { deposit: deposit.place, age }));
    }
    Ok(())
}

/// Whether both speak of one token, as far as their events and the map of tokens tell.
fn same_token(deposit: &BridgeEvent, release: &BridgeEvent, rules: &Rules) -> bool {
    let (paid, released) = (&deposit.moved, &release.moved);
    let told: Option<Address> =
        paid.other_token.or_else(|| paid.token.and_then(|token| rules.tokens.get(&token).copied()));
    match (told, released.token) {
        (Some(expected), Some(token)) => expected == token,
        // A map that lacks the token vouches for nothing; without a map there is nothing to ask.
        _ => match (paid.token, released.other_token) {
            (Some(token), Some(expected)) => token == expected,
            _ => rules.tokens.is_empty(),
        },
    }
}

/// Whether what is released is what was paid in, less a fee of at most `max_fee_ppm` millionths.
fn same_amount(paid: U256, released: U256, max_fee_ppm: u32) -> bool {
    if released > paid {
        return false;
    }
    let whole = U256::from(1_000_000u32);
    let (each, rest) = paid.div_rem(whole);
    let ppm = U256::from(max_fee_ppm);
    paid - released <= each * ppm + rest * ppm / whole
}
