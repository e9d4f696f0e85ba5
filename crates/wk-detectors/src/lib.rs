//! What a transaction is up to: one file per kind of attack, pure functions over its trace.
//!
//! Everything is relative to the attacker's side, see [`Case`]: a bot that trades, liquidates or
//! borrows for a moment is no attacker, whatever it earns.

mod access_control;
mod approval_drain;
mod arbitrary_call;
mod arithmetic;
mod attacker_contract;
mod bridge;
pub mod bridge_matching;
mod case;
mod config;
mod donation;
mod emptied;
mod fake_counterpart;
mod finding;
mod flash_loan;
mod flows;
mod fund_flow;
mod governance;
mod instant_profit;
mod key_compromise;
mod mev;
mod moved_oracle;
mod phishing;
mod price_manipulation;
mod proxy_upgrade;
mod reentrancy;
mod rug_pull;
pub mod score;
mod shared_pools;
mod signature_replay;
mod signatures;
mod sybil;
mod token_mechanics;
mod unexplained_gain;
pub mod usage;

use wk_model::Severity;
use wk_trace::{Traces, TxTrace};

pub use attacker_contract::NAME as ATTACKER_CONTRACT;
pub use case::{Case, Loan};
pub use config::Config;
pub use finding::{Class, Evidence, TxFinding};
pub use flows::{Flow, PoolTrades, Trade};
pub use mev::{Sandwich, Swap, arbitrages, sandwiches, swaps};
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
    let looked = traces.transactions.iter().map(|trace| look(trace, config));
    let (mut reports, swaps): (Vec<Report>, Vec<Vec<Swap>>) = looked.unzip();
    if traces.whole_block {
        let block: Vec<_> = traces.transactions.iter().zip(swaps).collect();
        for sandwich in sandwiches(&block) {
            for place in [sandwich.front, sandwich.back] {
                let labels = &mut reports[place].labels;
                if !labels.contains(&"sandwich") {
                    labels.push("sandwich");
                }
            }
            for place in sandwich.victims {
                let labels = &mut reports[place].labels;
                if !labels.contains(&"sandwiched") {
                    labels.push("sandwiched");
                }
            }
        }
    }
    reports
}

/// Looks at one transaction.
pub fn inspect(trace: &TxTrace, config: &Config) -> Report {
    look(trace, config).0
}

fn look(trace: &TxTrace, config: &Config) -> (Report, Vec<Swap>) {
    // What failed changed nothing. It is no attack, though it may have been meant as one.
    if !trace.success {
        return (Report::default(), Vec::new());
    }
    let swaps = mev::swaps(trace);
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
    arbitrary_call::detect(&case, &config.arbitrary_call, &mut findings);
    signature_replay::detect(&case, &config.signature_replay, &mut findings);
    phishing::detect(&case, &config.phishing, &mut findings);
    key_compromise::detect(&case, &config.key_compromise, &mut findings);
    rug_pull::detect(&case, &config.rug_pull, &mut findings);
    proxy_upgrade::detect(&case, &config.proxy_upgrade, &mut findings);
    attacker_contract::detect(&case, &config.attacker_contract, &mut findings);
    fund_flow::detect(&case, &config.fund_flow, &mut findings);
    emptied::detect(&case, &config.emptied, &mut findings);
    let labels = labels(&case, &swaps);
    // Trades around a circle and liquidations are how bots earn; making contracts for it is not.
    let liquidation = labels.contains(&"liquidation") && !mev::liquidates_itself(&case);
    let explained = (labels.contains(&"arbitrage") || liquidation)
        && (case.loans().is_empty() || trace.created.is_empty());
    moved_oracle::detect(&case, explained, &config.moved_oracle, &mut findings);
    unexplained_gain::detect(&case, explained, &config.unexplained_gain, &mut findings);
    corroborate(&mut findings);
    findings.retain(|finding| config.min_severity.is_none_or(|least| finding.severity <= least));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.confidence));
    (Report { findings, labels }, swaps)
}

/// How sure a detector must be to second another, in percent.
const SECONDS: u8 = 50;

/// Two detectors that independently see trouble of middling severity at one victim make it urgent,
/// where nothing is yet.
fn corroborate(findings: &mut [TxFinding]) {
    if findings.iter().any(|finding| finding.severity < Severity::P2) {
        return;
    }
    let counts =
        |finding: &TxFinding| finding.severity == Severity::P2 && finding.confidence.0 >= SECONDS;
    let seconded_by = |finding: &TxFinding| {
        let victim = finding.evidence.get("victim").filter(|_| counts(finding))?;
        let second = findings.iter().find(|other| {
            other.detector != finding.detector
                && counts(other)
                && other.evidence.get("victim") == Some(victim)
        })?;
        Some(second.detector)
    };
    let seconded: Vec<Option<&str>> = findings.iter().map(seconded_by).collect();
    let surest = (0..findings.len())
        .filter(|place| seconded[*place].is_some())
        .max_by_key(|place| (findings[*place].confidence, std::cmp::Reverse(*place)));
    if let Some(place) = surest {
        findings[place].severity = Severity::P1;
        findings[place].evidence.insert("seconded_by".to_owned(), seconded[place].into());
    }
}

fn labels(case: &Case<'_>, swaps: &[Swap]) -> Vec<&'static str> {
    let mut labels = Vec::new();
    if !case.pools().is_empty() || swaps.iter().any(|swap| !swap.reverted) {
        labels.push("swap");
    }
    if !arbitrages(swaps).is_empty() || mev::circles(case, swaps) {
        labels.push("arbitrage");
    }
    if mev::liquidates(case) {
        labels.push("liquidation");
    }
    if !case.loans().is_empty() {
        labels.push("flash_loan");
    }
    labels
}
