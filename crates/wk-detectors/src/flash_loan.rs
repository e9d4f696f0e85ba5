//! Borrowed for a moment, and someone only lost.
//!
//! An arbitrage leaves every pool with something for what it gave, a liquidation is named so. When
//! the borrower wins and a contract has given without getting, it was not a trade.
//!
//! Who pays a debt off with a loan and takes the security out unwinds a position of its own; that is
//! left alone unless a new debt is made too.
//!
//! Known weaknesses: rewards that are claimed with the help of a loan look the same; a victim that
//! got worthless tokens for what it gave is not counted as one that only lost.

use wk_model::Severity;
use wk_trace::{Asset, Party};

use crate::case::Case;
use crate::config::settings;
use crate::finding::{Class, TxFinding, hex, moved};
use crate::mev::liquidates_itself;
use crate::signatures::Role;

settings! { "flash_loan";
}

const NAME: &str = "flash_loan_attack";

pub(crate) fn detect(case: &Case<'_>, config: &Config, findings: &mut Vec<TxFinding>) {
    let looks = config.enabled
        && !case.loans().is_empty()
        && !case.gains().is_empty()
        && (!case.has_role(Role::Liquidation) || liquidates_itself(case))
        && (!case.has_role(Role::Repay) || case.has_role(Role::Borrow));
    if !looks {
        return;
    }
    let losers = losers(case);
    let Some(first) = losers.first() else { return };
    let loans: Vec<_> = case
        .loans()
        .iter()
        .take(8)
        .map(|loan| {
            serde_json::json!({
                "lender": hex(case, loan.lender),
                "lent": moved(case, loan.asset, loan.amount),
                "frame": loan.asked,
            })
        })
        .collect();
    findings.push(
        TxFinding::new(NAME, Class::BusinessLogic, Severity::P1, 60)
            .party(case, "victim", *first)
            .with(
                "victims",
                losers.iter().take(8).map(|party| hex(case, *party)).collect::<Vec<_>>(),
            )
            .with("loans", loans)
            .gains(case),
    );
}

/// Parties that gave the attacker's side something, and got nothing from anyone.
pub(crate) fn losers(case: &Case<'_>) -> Vec<Party> {
    let mut losers: Vec<Party> = Vec::new();
    for flow in case.flows() {
        let gave = case.wins(flow.to)
            && !case.wins(flow.from)
            && case.is_active(flow.from)
            && flow.asset != Asset::Token(flow.from);
        if gave && !losers.contains(&flow.from) && losers.len() < 64 && case.only_lost(flow.from) {
            losers.push(flow.from);
        }
    }
    losers
}
