//! `coverage`: which blocks were looked at, and how each was verified.

use std::path::Path;

use serde_json::{Value, json};
use wk_model::{ChainName, Check, CoverageRange};
use wk_store::{CoverageQuery, CoverageSummary, Store};

use super::{data_dir, open_to_read};
use crate::arguments::Coverage;
use crate::exit::{Code, Exit};
use crate::output::{Format, Output};

pub(crate) async fn run(
    command: Coverage,
    config: Option<&Path>,
    output: Output,
) -> Result<(), Exit> {
    let store = open_to_read(&data_dir(command.data_dir, config)?)?;
    let chains: Vec<ChainName> = match &command.chain {
        Some(name) => vec![ChainName::new(name)],
        None => store.chains().await?.into_iter().map(|row| row.chain).collect(),
    };
    let mut summaries = Vec::new();
    for chain in &chains {
        match store.coverage_summary(chain).await? {
            Some(summary) => summaries.push(summary),
            None if command.chain.is_some() => {
                return Err(Exit::new(
                    Code::NotFound,
                    format!("no block of `{chain}` was processed yet"),
                ));
            }
            None => {}
        }
    }
    if command.ranges {
        let mut rows = Vec::new();
        for chain in &chains {
            rows.extend(ranges(&store, chain).await?);
        }
        let columns = ["chain", "from", "to", "state", "checks", "agreed", "rescans", "shortfall"];
        output.rows(&columns, &rows)?;
    } else {
        let rows: Vec<Value> = summaries.iter().map(row).collect();
        let columns =
            ["chain", "from", "to", "contiguous", "processed", "missing", "weaker", "rescanned"];
        output.rows(&columns, &rows)?;
        if output.format == Format::Table {
            explain(output, &summaries)?;
        }
    }
    let missing: u64 = summaries.iter().map(|summary| summary.missing).sum();
    if missing > 0 { Err(Exit::quiet(Code::Findings)) } else { Ok(()) }
}

fn row(summary: &CoverageSummary) -> Value {
    let contiguous = summary.contiguous_from.map(|from| format!("{from}–{}", summary.to));
    json!({
        "chain": summary.chain,
        "from": summary.from,
        "to": summary.to,
        "contiguous": contiguous,
        "contiguous_from": summary.contiguous_from,
        "processed": summary.processed,
        "missing": summary.missing,
        "holes": summary.holes,
        "weaker": summary.weaker,
        "rescanned": summary.rescanned,
    })
}

/// Holes and weaker ranges in words.
fn explain(output: Output, summaries: &[CoverageSummary]) -> Result<(), Exit> {
    for summary in summaries {
        for (from, to) in &summary.holes {
            output.text(&format!("{}: hole {from}–{to}, not looked at yet", summary.chain))?;
        }
        for range in &summary.weaker_ranges {
            output.text(&format!(
                "{}: {}–{} verified less strictly: {}",
                summary.chain, range.from, range.to, range.verification.shortfall
            ))?;
        }
    }
    Ok(())
}

async fn ranges(store: &Store, chain: &ChainName) -> Result<Vec<Value>, Exit> {
    let mut rows = Vec::new();
    let mut query = CoverageQuery::default();
    loop {
        let page = store.coverage(chain, query.clone()).await?;
        rows.extend(page.items.iter().map(|range| range_row(chain, range)));
        query.cursor = page.next;
        if query.cursor.is_none() {
            return Ok(rows);
        }
    }
}

fn range_row(chain: &ChainName, range: &CoverageRange) -> Value {
    let verification = &range.verification;
    let state = match (range.processed, verification.is_full()) {
        (false, _) => "hole",
        (true, true) => "full",
        (true, false) => "partial",
    };
    let checks: Vec<&str> = verification.passed.iter().map(Check::name).collect();
    json!({
        "chain": chain,
        "from": range.from,
        "to": range.to,
        "state": state,
        "checks": checks.join(","),
        "agreed": verification.agreed,
        "rescans": range.rescans,
        "shortfall": verification.shortfall,
    })
}
