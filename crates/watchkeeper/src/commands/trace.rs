//! `trace funds`: where money went, or came from. Keeps and tells nothing.

use std::path::Path;

use serde_json::Value;
use wk_contracts::funds::{Direction, FundGraph, Labels, Method, Settings};
use wk_engine::Gathered;
use wk_model::Height;

use super::history;
use crate::arguments::{self, TraceFunds, TraceMethod, TraceWhat};
use crate::exit::{Code, Exit};
use crate::output::{Format, Output};
use crate::progress::Progress;

/// Blocks that are looked at when nobody says how many.
const BLOCKS: u64 = 1_000;

pub(crate) async fn run(
    command: arguments::Trace,
    config: Option<&Path>,
    output: Output,
) -> Result<(), Exit> {
    let TraceWhat::Funds(command) = command.what;
    let (loaded, chain, history, head) = history(&command.node, config).await?;
    let to = command.to.map_or(head, Height);
    let from = command.from.map_or(Height((to.0 + 1).saturating_sub(BLOCKS)), Height);
    if to < from {
        return Err(Exit::usage(format!("--from {from} is above --to {to}")));
    }
    if to > head {
        return Err(Exit::new(
            Code::NotFound,
            format!("block {to} of `{chain}` does not exist yet; the newest is {head}"),
        ));
    }
    let mut gathered = Gathered::default();
    let mut blocks = history.blocks(from, to);
    let mut progress = Progress::new("blocks", to.above(from) + 1);
    let mut failed = Vec::new();
    while let Some(next) = blocks.next().await {
        progress.step();
        match next {
            Ok((block, _)) => gathered.look(history.pool(), &block).await?,
            Err(error) => failed.push(error.to_string()),
        }
    }
    progress.finish();
    let labels = Labels::new(&loaded.config.labels);
    let graph =
        gathered.follow(history.pool(), command.address, &settings(&command), &labels).await;
    print(output, &command, &graph)?;
    match failed.first() {
        None => Ok(()),
        Some(first) => Err(Exit::failure(format!(
            "{} blocks could not be had, so the way may be longer; the first: {first}",
            failed.len()
        ))),
    }
}

fn settings(command: &TraceFunds) -> Settings {
    Settings {
        direction: if command.backward { Direction::Backward } else { Direction::Forward },
        method: match command.method {
            TraceMethod::Haircut => Method::Haircut,
            TraceMethod::Fifo => Method::Fifo,
        },
        max_hops: command.max_hops,
        min_share: command.min_share,
        max_addresses: command.max_addresses,
        assets: command.asset.iter().copied().collect(),
        exchanges: !command.no_exchanges,
        ..Settings::default()
    }
}

fn print(output: Output, command: &TraceFunds, graph: &FundGraph) -> Result<(), Exit> {
    if command.dot {
        return Ok(output.text(&graph.to_dot())?);
    }
    let json = graph.to_json();
    match output.format {
        Format::Table => output.text(&graph.to_tree())?,
        Format::Json => output.object(&json)?,
        // One payment a line.
        Format::Jsonl | Format::Csv => {
            let edges: &[Value] = json["edges"].as_array().map_or(&[], Vec::as_slice);
            let columns = [
                "from",
                "to",
                "asset",
                "amount",
                "transactions",
                "first_tx",
                "first_time",
                "last_time",
            ];
            output.rows(&columns, edges)?;
        }
    }
    Ok(())
}
