//! What a transaction is up to: one file per kind of attack, pure functions over its trace.
//!
//! Everything is relative to the attacker's side, see [`Case`]: a bot that trades, liquidates or
//! borrows for a moment is no attacker, whatever it earns.

mod access_control;
mod approval_drain;
mod arithmetic;
mod bridge;
mod case;
mod config;
mod donation;
mod fake_counterpart;
mod finding;
mod flash_loan;
mod flows;
mod governance;
mod instant_profit;
mod price_manipulation;
mod reentrancy;
mod signatures;
mod sybil;
mod token_mechanics;

use wk_trace::{Traces, TxTrace};

pub use case::{Case, Loan};
pub use config::Config;
pub use finding::{Class, Evidence, TxFinding};
pub use flows::{Flow, PoolTrades, Trade};
pub use signatures::Role;

/// What came of looking at a transaction.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What is wrong, surest first.
    pub findings: Vec<TxFinding>,
    /// What it is, without blame: `swap`, `arbitrage`, `liquidation`, `flash_loan`.
    pub labels: Vec<&'static str>,
}

/// Looks at all transactions of an input, and at what they are to each other when it is a block.
pub fn inspect_all(traces: &Traces, config: &Config) -> Vec<Report> {
    traces.transactions.iter().map(|trace| inspect(trace, config)).collect()
}

/// Looks at one transaction.
pub fn inspect(trace: &TxTrace, config: &Config) -> Report {
    // What failed changed nothing. It is no attack, though it may have been meant as one.
    if !trace.success {
        return Report::default();
    }
    let case = Case::new(trace);
    let mut findings = Vec::new();
    reentrancy::detect(&case, &config.reentrancy, &mut findings);
    price_manipulation::detect(&case, &config.price_manipulation, &mut findings);
    approval_drain::detect(&case, &config.approval_drain, &mut findings);
    fake_counterpart::detect(&case, &config.fake_counterpart, &mut findings);
    governance::detect(&case, &config.governance, &mut findings);
    access_control::detect(&case, &config.access_control, &mut findings);
    arithmetic::detect(&case, &config.arithmetic, &mut findings);
    bridge::detect(&case, &config.bridge, &mut findings);
    donation::detect(&case, &config.donation, &mut findings);
    token_mechanics::detect(&case, &config.token_mechanics, &mut findings);
    instant_profit::detect(&case, &config.instant_profit, &mut findings);
    sybil::detect(&case, &config.sybil, &mut findings);
    flash_loan::detect(&case, &config.flash_loan, &mut findings);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.confidence));
    Report { findings, labels: labels(&case) }
}

fn labels(case: &Case<'_>) -> Vec<&'static str> {
    let mut labels = Vec::new();
    if !case.pools().is_empty() {
        labels.push("swap");
    }
    if case.has_role(Role::Liquidation) {
        labels.push("liquidation");
    }
    if !case.loans().is_empty() {
        labels.push("flash_loan");
    }
    labels
}
