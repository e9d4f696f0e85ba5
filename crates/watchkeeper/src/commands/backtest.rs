//! `backtest`: rules over past blocks, and when they would have fired. Keeps and tells nothing.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use wk_config::{ChainConfig, Loaded};
use wk_engine::{Backtest, History};
use wk_model::{ChainName, Finding, Height};

use super::{chain_of, load_existing};
use crate::arguments;
use crate::exit::{Code, Exit};
use crate::output::{Format, Output};
use crate::progress::Progress;

/// What one rule did.
#[derive(Default)]
struct Tally {
    fired: u64,
    first: Option<(Height, String)>,
    last: Option<(Height, String)>,
    errors: u64,
    last_error: Option<String>,
}

pub(crate) async fn run(
    command: arguments::Backtest,
    config: Option<&Path>,
    output: Output,
) -> Result<(), Exit> {
    let loaded = load_existing(config)?;
    let chain = chain_of(&loaded.config, command.chain.as_deref())?;
    let mut tallies = chosen(&loaded, &chain, &command.rule)?;
    let Some(ChainConfig::Evm(evm)) = loaded.config.chains.get(&chain) else {
        return Err(Exit::new(Code::NotFound, format!("the config has no chain `{chain}`")));
    };
    let history = History::open(&chain, evm)
        .await
        .map_err(|error| Exit::new(Code::Unreachable, error.to_string()))?;
    let to = match command.to.map(Height) {
        Some(to) => to,
        None => history
            .head()
            .await
            .ok_or_else(|| Exit::new(Code::Unreachable, "no endpoint tells the newest block"))?,
    };
    let from = Height(command.from);
    if to < from {
        return Err(Exit::failure(format!("--from {from} is above --to {to}")));
    }
    let ids: Vec<&str> = tallies.keys().map(String::as_str).collect();
    let mut backtest = Backtest::new(&history, &loaded, &chain, &ids);
    let mut blocks = history.blocks(from, to);
    let mut progress = Progress::new("blocks", to.above(from) + 1);
    let (mut looked_at, mut failed) = (0u64, Vec::new());
    let mut findings = Vec::new();
    while let Some(next) = blocks.next().await {
        progress.step();
        let (block, _) = match next {
            Ok(block) => block,
            Err(error) => {
                failed.push(error.to_string());
                continue;
            }
        };
        looked_at += 1;
        let evaluation = backtest.look(&block).await;
        for error in evaluation.errors {
            let tally = tallies.entry(error.rule).or_default();
            tally.errors += error.count;
            tally.last_error = Some(error.message);
        }
        for finding in evaluation.findings {
            let tally = tallies.entry(finding.source.name().to_owned()).or_default();
            let time = block.header.time.to_string();
            tally.fired += 1;
            tally.first.get_or_insert_with(|| (block.header.height, time.clone()));
            tally.last = Some((block.header.height, time));
            if command.findings {
                findings.push(finding);
            }
        }
    }
    progress.finish();
    if command.findings {
        print_findings(output, &findings)?;
    } else {
        print_tallies(output, &tallies)?;
        if output.format == Format::Table {
            output.text(&format!("{looked_at} blocks, {from} to {to}"))?;
        }
    }
    match failed.first() {
        None => Ok(()),
        Some(first) => Err(Exit::failure(format!(
            "{} blocks could not be had; the first: {first}",
            failed.len()
        ))),
    }
}

/// The rules to run: those that were named, else all that look at blocks of the chain.
fn chosen(
    loaded: &Loaded,
    chain: &ChainName,
    asked: &[String],
) -> Result<BTreeMap<String, Tally>, Exit> {
    let rules = loaded.rules.rules();
    for id in asked {
        if !rules.iter().any(|rule| rule.id == *id) {
            return Err(Exit::new(Code::NotFound, format!("the config has no rule `{id}`")));
        }
    }
    let wanted = rules.into_iter().filter(|rule| {
        if asked.is_empty() {
            rule.enabled && rule.chains.contains(chain)
        } else {
            asked.contains(&rule.id)
        }
    });
    Ok(wanted.map(|rule| (rule.id, Tally::default())).collect())
}

fn print_tallies(output: Output, tallies: &BTreeMap<String, Tally>) -> Result<(), Exit> {
    let rows: Vec<Value> = tallies
        .iter()
        .map(|(rule, tally)| {
            let (first, first_time) = tally.first.clone().unzip();
            let (last, last_time) = tally.last.clone().unzip();
            json!({
                "rule": rule, "fired": tally.fired, "first": first, "first_time": first_time,
                "last": last, "last_time": last_time, "errors": tally.errors,
                "last_error": tally.last_error,
            })
        })
        .collect();
    let columns =
        ["rule", "fired", "first", "first_time", "last", "last_time", "errors", "last_error"];
    output.rows(&columns, &rows)?;
    Ok(())
}

fn print_findings(output: Output, findings: &[Finding]) -> Result<(), Exit> {
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
    Ok(())
}
