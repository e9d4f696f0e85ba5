//! Detectors over past blocks: what they would have told, and how often per 1,000 transactions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use wk_config::Loaded;
use wk_detectors::score::Scorer;
use wk_engine::History;
use wk_model::{Height, Severity};
use wk_runtime::with_causes;

use crate::commands::score;
use crate::exit::Exit;
use crate::output::{Format, Output};
use crate::progress::Progress;

/// Findings that are shown one by one at most.
const MOST_SHOWN: usize = 10_000;

/// What one detector said.
#[derive(Default)]
struct Tally {
    fired: u64,
    severe: u64,
    first: Option<Height>,
    last: Option<Height>,
}

pub(super) async fn run(
    history: &History,
    loaded: &Loaded,
    (from, to): (Height, Height),
    each: bool,
    mut scorer: Option<Scorer>,
    output: Output,
) -> Result<(), Exit> {
    let inspector = history.inspector();
    let detectors = Arc::new(loaded.config.detectors.clone());
    let mut blocks = history.blocks(from, to);
    let mut progress = Progress::new("blocks", to.above(from) + 1);
    let mut tallies: BTreeMap<&'static str, Tally> = BTreeMap::new();
    let (mut looked_at, mut transactions, mut blind) = (0_u64, 0_u64, 0_u64);
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    while let Some(next) = blocks.next().await {
        progress.step();
        let block = match next {
            Ok((block, _)) => block,
            Err(error) => {
                failed.push(error.to_string());
                continue;
            }
        };
        let (looked, traces) = match inspector.block(&block, 0, &detectors).await {
            Ok(looked) => looked,
            Err(error) => {
                failed.push(with_causes(&error));
                continue;
            }
        };
        looked_at += 1;
        transactions += looked.len() as u64;
        blind += if traces.via.tells_calls() { 0 } else { looked.len() as u64 };
        let height = block.header.height;
        for one in &looked {
            if let Some(scorer) = &mut scorer {
                let (block, time) = (Some(height.0), Some(block.header.time.0));
                scorer.add(&score::looked(&one.trace, &one.report, one.trace.hash, block, time));
            }
            for finding in &one.report.findings {
                let tally = tallies.entry(finding.detector).or_default();
                tally.fired += 1;
                tally.severe += u64::from(finding.severity <= Severity::P1);
                tally.first.get_or_insert(height);
                tally.last = Some(height);
                if each && found.len() < MOST_SHOWN {
                    found.push(json!({
                        "block": height,
                        "time": block.header.time.to_string(),
                        "detector": finding.detector,
                        "class": finding.class,
                        "severity": finding.severity,
                        "confidence": finding.confidence,
                        "tx": one.trace.hash,
                        "evidence": finding.evidence,
                    }));
                }
            }
        }
    }
    progress.finish();
    if let Some(scorer) = scorer {
        score::print(output, &scorer.finish())?;
    } else if each {
        let columns = ["block", "time", "detector", "class", "severity", "confidence", "tx"];
        output.rows(&columns, &found)?;
    } else {
        let rows: Vec<Value> =
            tallies.iter().map(|(detector, tally)| row(detector, tally, transactions)).collect();
        let columns =
            ["detector", "fired", "severe", "per_1000", "severe_per_1000", "first", "last"];
        output.rows(&columns, &rows)?;
    }
    if output.format == Format::Table {
        output.text(&format!("{looked_at} blocks, {transactions} transactions"))?;
        if blind > 0 {
            output.text(&format!(
                "of {blind} transactions only the receipts were had, which hides most attacks; {}",
                wk_chain::evm::HOW_TO_ENABLE
            ))?;
        }
    }
    match failed.first() {
        None => Ok(()),
        Some(first) => Err(Exit::failure(format!(
            "{} blocks could not be inspected; the first: {first}",
            failed.len()
        ))),
    }
}

fn row(detector: &str, tally: &Tally, transactions: u64) -> Value {
    let Tally { fired, severe, first, last } = tally;
    let per_1000 = |count: u64| match transactions {
        0 => 0.0,
        all => (count as f64 * 1e6 / all as f64).round() / 1e3,
    };
    json!({
        "detector": detector,
        "fired": fired,
        "severe": severe,
        "per_1000": per_1000(*fired),
        "severe_per_1000": per_1000(*severe),
        "first": first,
        "last": last,
    })
}
