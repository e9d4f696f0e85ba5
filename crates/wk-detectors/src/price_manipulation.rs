//! A pool is traded one way and back in one transaction, and someone pays for it.
//!
//! Trading back and forth costs fees, so nobody does it for the trades' sake: between them someone
//! relied on the price. Pools are found by what they got and gave, so that any kind of exchange
//! counts: pairs, curves, vaults whose shares are bought and sold.
//!
//! Known weaknesses: a manipulation that is not traded back (its loss is taken elsewhere) is left
//! to `moved_oracle`, `flash_loan` and `instant_profit`; one over several transactions is not seen; of
//! contracts that hold many pools only those are looked at whose calls name the pool.

use std::collections::BTreeSet;

use wk_model::Severity;

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding, hex};
use crate::flows::{RoundTrip, round_trips};

settings! { "price_manipulation";
    /// How much of a trade must be traded back, in percent of it.
    min_unwound_percent: u8 = 30,
}

const NAME: &str = "price_manipulation";

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    if !config.enabled || case.pools().is_empty() || case.gains().is_empty() {
        return;
    }
    let borrowed = !case.loans().is_empty();
    let trips: Vec<_> = round_trips(case)
        .into_iter()
        .filter(|trip| trip.unwound >= config.min_unwound_percent)
        // Who tries a token by buying and selling it loses by it.
        .filter(|trip| borrowed || !loses(case, trip))
        .collect();
    let Some(widest) = trips.iter().max_by_key(|trip| trip.frames.1 - trip.frames.0) else {
        return;
    };
    let pools: BTreeSet<String> = trips.iter().map(|trip| hex(case, trip.pool)).collect();
    let trades: usize = trips.iter().map(|trip| trip.trades).sum();
    let severity = if borrowed || trades > 4 { Severity::P0 } else { Severity::P1 };
    findings.push(
        TxFinding::new(NAME, Class::PriceManipulation, severity, if borrowed { 85 } else { 78 })
            .party(case, "pool", widest.pool)
            .with("pool_id", widest.id.map(|id| format!("{id:#x}")))
            .with("pools", pools.into_iter().take(8).collect::<Vec<_>>())
            .with("first_frame", widest.frames.0)
            .with("last_frame", widest.frames.1)
            .with("trades", trades)
            .with("traded_back_percent", widest.unwound)
            .with("borrowed", borrowed)
            .gains(case),
    );
}

/// Whether the attacker's side spent in all what it traded here.
fn loses(case: &Case<'_>, trip: &RoundTrip) -> bool {
    let (left, right) = trip.assets;
    case.losses().iter().any(|(asset, _)| *asset == left || *asset == right)
}
