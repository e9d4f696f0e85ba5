//! What a transaction brought, for those who look on; and what a failed rule says.

use tracing::debug;
use wk_model::{AssetId, Condition, FindingBuilder, FindingStatus, Severity, Timestamp};
use wk_rules::{Evaluation, RuleError};
use wk_runtime::Metrics;
use wk_store::{Commit, Committed, FindingRow, RuleFailure};

use crate::{Live, LiveEvent, signals};

/// Tells live listeners what became of findings, and counts the new ones.
pub(crate) fn tell_findings(live: &Live, metrics: &Metrics, committed: &Committed) {
    for row in &committed.new {
        let severity = row.finding.severity.to_string();
        metrics.counter(&signals::FINDINGS, &[row.finding.source.kind(), &severity]).inc();
    }
    let tell = |rows: &[FindingRow]| {
        for row in rows {
            live.tell(LiveEvent::Finding(Box::new(row.clone())));
        }
    };
    tell(&committed.new);
    tell(&committed.released);
    tell(&committed.retracted);
    tell(&committed.resolved);
    debug_assert!(
        committed.resolved.iter().all(|row| row.status == FindingStatus::Resolved),
        "the store says what it did"
    );
}

/// Puts what the rules made of something into the transaction.
pub(crate) fn take(commit: &mut Commit, evaluation: Evaluation, metrics: &Metrics) {
    let Evaluation { findings, entries, conditions, errors } = evaluation;
    commit.findings.extend(findings);
    commit.entries.extend(entries);
    commit.conditions.extend(conditions);
    for error in errors {
        debug!(rule = error.rule, message = error.message, "a rule could not be evaluated");
        metrics.counter(&signals::EVALUATION_ERRORS, &[&error.rule]).add(error.count as f64);
        commit.conditions.push(rule_failed(&error, commit.at));
        commit.rule_errors.push(RuleFailure {
            rule: error.rule,
            message: error.message,
            count: error.count,
        });
    }
}

/// A rule that cannot be evaluated sees nothing: that is a trouble of its own.
fn rule_failed(error: &RuleError, now: Timestamp) -> Condition {
    FindingBuilder::system(
        "rule_evaluation_error",
        AssetId::new("rule", &error.rule),
        Severity::P2,
        format!("rule {} cannot be evaluated: {}", error.rule, error.message),
        now,
    )
    .evidence("error", error.message.clone())
    .raise("")
}
