//! `backtest`: rules or detectors over past blocks, and when they would have fired. Keeps and tells
//! nothing.

mod detectors;

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};
use wk_config::ChainConfig;
use wk_detectors::score::Looked;
use wk_engine::{Backtest, History};
use wk_model::{B256, Finding, Height, Severity, evm};
use wk_rules::BacktestSummary;

use super::{chain_of, load_existing, score};
use crate::arguments;
use crate::exit::{Code, Exit};
use crate::output::{Format, Output};
use crate::progress::Progress;

pub(crate) async fn run(
    command: arguments::Backtest,
    config: Option<&Path>,
    output: Output,
) -> Result<(), Exit> {
    if let (Some(from), Some(to)) = (command.from, command.to)
        && to < from
    {
        return Err(Exit::usage(format!("--from {from} is above --to {to}")));
    }
    let loaded = load_existing(config)?;
    let chain = chain_of(&loaded.config, command.chain.as_deref())?;
    let known = loaded.rules.rules();
    for id in &command.rule {
        if !known.iter().any(|rule| rule.id == *id) {
            return Err(Exit::new(Code::NotFound, format!("the config has no rule `{id}`")));
        }
    }
    let Some(ChainConfig::Evm(evm)) = loaded.config.chains.get(&chain) else {
        return Err(Exit::new(Code::NotFound, format!("the config has no chain `{chain}`")));
    };
    let unreachable = |reason: String| Exit::new(Code::Unreachable, reason);
    let history = History::open(&chain, evm).await.map_err(|e| unreachable(e.to_string()))?;
    let head = history.head().await;
    let head = head.ok_or_else(|| unreachable("no endpoint tells the newest block".to_owned()))?;
    let to = command.to.map_or(head, Height);
    let first_of = |last: u64| Height((head.0 + 1).saturating_sub(last));
    let from = command.from.map(Height).or(command.last.map(first_of)).unwrap_or(head);
    if from.max(to) > head {
        return Err(Exit::new(
            Code::NotFound,
            format!("block {} of `{chain}` does not exist yet; the newest is {head}", from.max(to)),
        ));
    }
    let mut scorer = command.labels.as_deref().map(score::scorer).transpose()?;
    if command.detectors {
        let each = command.findings;
        return detectors::run(&history, &loaded, (from, to), each, scorer, output).await;
    }
    let ids: Vec<&str> = command.rule.iter().map(String::as_str).collect();
    let mut backtest = Backtest::new(&history, &loaded, &chain, &ids);
    let mut blocks = history.blocks(from, to);
    let mut progress = Progress::new("blocks", to.above(from) + 1);
    let mut failed = Vec::new();
    while let Some(next) = blocks.next().await {
        progress.step();
        match next {
            Ok((block, _)) => {
                let findings = backtest.look(&block).await;
                if let Some(scorer) = &mut scorer {
                    looked(&block, &findings).iter().for_each(|looked| scorer.add(looked));
                }
            }
            Err(error) => failed.push(error.to_string()),
        }
    }
    progress.finish();
    let summary = backtest.summary();
    if let Some(scorer) = scorer {
        score::print(output, &scorer.finish())?;
    } else if command.findings {
        print_findings(output, &summary)?;
    } else {
        print_rules(output, &summary)?;
    }
    match failed.first() {
        None => Ok(()),
        Some(first) => Err(Exit::failure(format!(
            "{} blocks could not be had; the first: {first}",
            failed.len()
        ))),
    }
}

/// A block's transactions with what was found in each. The classes are those of the findings, and a
/// rule's own labels, so that a rule can say what it looks for.
fn looked(block: &evm::Block, findings: &[Finding]) -> Vec<Looked> {
    let mut by_tx: HashMap<B256, Vec<(String, Severity)>> = HashMap::new();
    for finding in findings {
        let Some(tx) = finding.position.as_ref().and_then(|position| position.tx) else { continue };
        let of = by_tx.entry(tx).or_default();
        of.push((finding.class.clone(), finding.severity));
        if let Some(class) = finding.labels.get("class") {
            of.push((class.clone(), finding.severity));
        }
    }
    block
        .transactions
        .iter()
        .map(|tx| Looked {
            tx: Some(tx.hash),
            sender: Some(tx.from),
            block: Some(block.header.height.0),
            time: Some(block.header.time.0),
            findings: by_tx.remove(&tx.hash).unwrap_or_default(),
        })
        .collect()
}

fn print_rules(output: Output, summary: &BacktestSummary) -> Result<(), Exit> {
    let rows: Vec<Value> = summary
        .rules
        .iter()
        .map(|(rule, outcome)| {
            json!({
                "rule": rule,
                "fired": outcome.fired,
                "first": outcome.first.map(|place| place.height),
                "first_time": outcome.first.map(|place| place.time.to_string()),
                "last": outcome.last.map(|place| place.height),
                "last_time": outcome.last.map(|place| place.time.to_string()),
                "per_day": outcome.per_day,
                "errors": outcome.errors,
                "note": outcome.left_out.as_ref().or(outcome.first_error.as_ref()),
            })
        })
        .collect();
    output.rows(&["rule", "fired", "first", "first_time", "last", "errors", "note"], &rows)?;
    if output.format == Format::Table {
        let BacktestSummary { blocks, transactions, logs, .. } = summary;
        output.text(&format!("{blocks} blocks, {transactions} transactions, {logs} logs"))?;
    }
    Ok(())
}

fn print_findings(output: Output, summary: &BacktestSummary) -> Result<(), Exit> {
    let mut findings: Vec<_> =
        summary.rules.values().flat_map(|outcome| &outcome.findings).collect();
    findings.sort_by_key(|finding| {
        finding.position.as_ref().map(|position| (position.block.height, position.log_index))
    });
    let rows: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let position = finding.position.as_ref();
            json!({
                "block": position.map(|position| position.block.height),
                "time": position.map(|position| position.time.to_string()),
                "rule": finding.source.name(),
                "severity": finding.severity,
                "title": finding.title,
                "tx": position.and_then(|position| position.tx),
                "evidence": finding.evidence,
            })
        })
        .collect();
    output.rows(&["block", "time", "rule", "severity", "title", "tx"], &rows)?;
    if output.format == Format::Table {
        for (rule, outcome) in summary.rules.iter().filter(|(_, outcome)| outcome.more > 0) {
            output.text(&format!("{rule}: {} more are not shown", outcome.more))?;
        }
    }
    Ok(())
}
