//! What the inspection says of itself: that traces are missing, that blocks wait, that some were left
//! out.

use std::time::Duration;

use wk_chain::evm::{EvmConfig, HOW_TO_ENABLE, Lack, LackKind, TraceMode, TraceVia};
use wk_model::{
    AssetId, ChainName, Condition, ConditionKey, Finding, FindingBuilder, Height, Severity,
    Timestamp,
};
use wk_store::{InspectionSummary, PendingInspection};

use super::{Inspection, InspectionStatus};

/// The troubles' names.
const MISSING: &str = "traces_missing";
const WAITING: &str = "blocks_not_inspected";
const SKIPPED: &str = "inspection_skipped";

/// A block that waits for longer than this after a failure is worth a word.
const LONG: Duration = Duration::from_secs(30);
/// So is one that waits for this long without one.
const VERY_LONG: Duration = Duration::from_secs(600);
/// Time between two updates of what was said.
const AGAIN: Duration = Duration::from_secs(15);

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    via: Option<TraceVia>,
    /// What better ways lack; none when nothing does.
    lacking: Option<String>,
    /// Whether it was said that traces are missing; none before anything was said.
    missing: Option<bool>,
    /// When it was last said that blocks wait; none when it was said that they do not.
    waiting: Option<Option<(Timestamp, u64)>>,
}

impl Told {
    /// That traces are missing, or not any more; once.
    pub(super) fn traces(
        &mut self,
        chain: &ChainName,
        config: &EvmConfig,
        inspection: &Inspection,
        now: Timestamp,
    ) -> Option<Condition> {
        let Inspection { via, lacks, transactions, .. } = inspection;
        if *transactions == 0 {
            return None;
        }
        // Pruned and oversized traces of one block say nothing about the next.
        let missing: Vec<&Lack> =
            lacks.iter().filter(|lack| lack.kind == LackKind::Missing).collect();
        let is_missing = !via.tells_calls() && missing.len() == lacks.len() && !lacks.is_empty();
        if !via.tells_calls() && !is_missing {
            return None;
        }
        self.via = Some(*via);
        self.lacking = is_missing.then(|| {
            let said: Vec<String> = missing
                .iter()
                .map(|lack| format!("{}: {}", lack.via.method(), lack.detail))
                .collect();
            said.join("; ")
        });
        if self.missing.replace(is_missing) == Some(is_missing) {
            return None;
        }
        if !is_missing {
            return Some(Condition::Cleared(key(chain, MISSING)));
        }
        let severity = match config.traces {
            TraceMode::Auto | TraceMode::Off => Severity::P3,
            // They were asked for.
            TraceMode::CallTracer | TraceMode::Parity => Severity::P2,
        };
        // Those are executed again here.
        let others = match config.traces {
            TraceMode::Auto => " that touch no watched contract",
            TraceMode::CallTracer | TraceMode::Parity | TraceMode::Off => "",
        };
        let title = format!(
            "no endpoint of {chain} gives call traces: transactions{others} are inspected by their \
             receipts alone, which hides most attacks"
        );
        let lacking = self.lacking.clone().unwrap_or_default();
        let finding = FindingBuilder::system(MISSING, AssetId::chain(chain), severity, title, now)
            .evidence("endpoints", lacking)
            .evidence("fix", HOW_TO_ENABLE);
        Some(finding.raise(""))
    }

    /// That blocks wait for long, or not any more.
    pub(super) fn waiting(
        &mut self,
        chain: &ChainName,
        summary: &InspectionSummary,
        trouble: Option<&str>,
        now: Timestamp,
    ) -> Option<Condition> {
        let patience = if trouble.is_some() { LONG } else { VERY_LONG };
        let waited = summary.waiting_since.map_or(Duration::ZERO, |since| now.since(since));
        if waited < patience {
            let said = !matches!(self.waiting, Some(None));
            // What was open before a start is cleared once nothing waits.
            if !said || (self.waiting.is_none() && summary.pending > 0) {
                return None;
            }
            self.waiting = Some(None);
            return Some(Condition::Cleared(key(chain, WAITING)));
        }
        if let Some(Some((at, pending))) = self.waiting
            && (now.since(at) < AGAIN || pending == summary.pending)
        {
            return None;
        }
        self.waiting = Some(Some((now, summary.pending)));
        let lowest = summary.lowest.map_or(Height(0), |lowest| lowest.block.link.block.height);
        let reason = trouble.unwrap_or("the inspection is slower than the chain");
        let title = format!(
            "{} blocks of {chain}, from {lowest} on, are not inspected yet: {reason}",
            summary.pending
        );
        let finding =
            FindingBuilder::system(WAITING, AssetId::chain(chain), Severity::P2, title, now)
                .evidence("blocks", summary.pending)
                .evidence("lowest", lowest.0)
                .evidence("error", reason);
        Some(finding.raise(""))
    }
}

/// Blocks were left out for good.
pub(super) fn skipped(
    chain: &ChainName,
    oldest: &PendingInspection,
    newest: &PendingInspection,
    count: usize,
    now: Timestamp,
) -> Finding {
    let (from, to) = (oldest.block.link.block, newest.block.link.block);
    let title = format!(
        "{count} blocks of {chain}, {} to {}, were left out of the inspection: they are further \
         behind than `trace_options.window`",
        from.height, to.height
    );
    FindingBuilder::system(SKIPPED, AssetId::chain(chain), Severity::P2, title, now)
        .evidence("from", from.height.0)
        .evidence("to", to.height.0)
        .evidence("blocks", count)
        .evidence(
            "fix",
            format!(
                "look at them by `watchkeeper backtest --detectors --chain {chain} --from {} --to {}`",
                from.height, to.height
            ),
        )
        .once_per(&[from.hash.as_slice(), to.hash.as_slice()])
        .build()
}

/// What is left to take back when a chain is not inspected any more.
pub(super) fn all_clear(
    chain: &ChainName,
    open: impl Iterator<Item = ConditionKey>,
) -> Vec<Condition> {
    let ours = [key(chain, MISSING), key(chain, WAITING)];
    open.filter(|key| ours.contains(key)).map(Condition::Cleared).collect()
}

/// How far the inspection is.
pub(super) fn status(
    summary: &InspectionSummary,
    head: Option<Height>,
    told: &Told,
) -> InspectionStatus {
    let below_lowest = summary.lowest.map(|lowest| lowest.block.link.block.height.previous());
    InspectionStatus {
        source: told.via.map(|via| via.name().to_owned()),
        lacking: told.lacking.as_ref().map(|lacking| format!("{lacking}. {HOW_TO_ENABLE}")),
        inspected: below_lowest.unwrap_or(head),
        pending: summary.pending,
        waiting_since: summary.waiting_since,
    }
}

fn key(chain: &ChainName, trouble: &str) -> ConditionKey {
    ConditionKey {
        trouble: trouble.to_owned(),
        asset: AssetId::chain(chain),
        subject: String::new(),
    }
}
