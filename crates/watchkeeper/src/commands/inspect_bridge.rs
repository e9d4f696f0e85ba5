//! `inspect bridge`: a bridge's past releases, each held against the deposits of its other chain.
//! Keeps and tells nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use wk_chain::evm::Blocks;
use wk_detectors::bridge_matching::{Flag, Limits, Matching, Outcome, Place, Rules, Side};
use wk_model::{Height, evm};

use super::{load_existing, open_history};
use crate::exit::{Code, Exit};
use crate::output::{Format, Output};
use crate::progress::Progress;

/// Blocks that are looked at when nobody says how many.
const BLOCKS: u64 = 1_000;

pub(crate) async fn run(
    name: &str,
    source_from: Option<u64>,
    target_from: Option<u64>,
    config: Option<&Path>,
    output: Output,
) -> Result<(), Exit> {
    let loaded = load_existing(config)?;
    let Some(bridge) = loaded.config.bridges.get(name) else {
        return Err(Exit::new(Code::NotFound, format!("the config has no bridge `{name}`")));
    };
    let (deposits, releases) = bridge.readers()?;
    let (source, source_head) = open_history(&loaded.config, &bridge.source.chain).await?;
    let (target, target_head) = open_history(&loaded.config, &bridge.target.chain).await?;
    let first = |given: Option<u64>, head: Height| {
        Height(given.unwrap_or((head.0 + 1).saturating_sub(BLOCKS)))
    };
    let source_from = first(source_from, source_head);
    let target_from = first(target_from, target_head);
    let count = (source_head.0 + 1).saturating_sub(source_from.0)
        + (target_head.0 + 1).saturating_sub(target_from.0);
    let mut progress = Progress::new("blocks", count);
    let mut sides = [
        Stream::new(source.blocks(source_from, source_head)),
        Stream::new(target.blocks(target_from, target_head)),
    ];
    let mut matching = Matching::new(Rules::of(bridge), Limits::default());
    let mut told: BTreeMap<Place, Flag> = BTreeMap::new();
    let mut counts = [0usize; 2];
    loop {
        let times = [sides[0].time().await, sides[1].time().await];
        // In order of time, as far as the chains' own clocks tell.
        let side = match times {
            [Some(source), Some(target)] => usize::from(target < source),
            [Some(_), None] => 0,
            [None, Some(_)] => 1,
            [None, None] => break,
        };
        let Some(block) = sides[side].waiting.take() else { break };
        progress.step();
        let (which, reader) = match side {
            0 => (Side::Source, &deposits),
            _ => (Side::Target, &releases),
        };
        let events = reader.read(&block);
        counts[side] += events.len();
        let header = &block.header;
        for outcome in matching.block(which, header.block_ref(), header.time, &events) {
            match outcome {
                Outcome::Flagged(flag) => {
                    told.insert(flag.release.place, *flag);
                }
                Outcome::Withdrawn(withdrawal) => {
                    told.remove(&withdrawal.release.place);
                }
            }
        }
    }
    progress.finish();
    let rows: Vec<Value> = told.values().map(row).collect();
    let columns = ["block", "time", "severity", "reason", "certain", "amount", "beneficiary", "tx"];
    output.rows(&columns, &rows)?;
    if output.format == Format::Table {
        output.text(&format!(
            "{} deposits, {} releases, {} of them not paid in for",
            counts[0],
            counts[1],
            rows.len()
        ))?;
    }
    let failed: Vec<&String> = sides.iter().flat_map(|side| &side.failed).collect();
    match failed.first() {
        None => Ok(()),
        Some(first) => Err(Exit::failure(format!(
            "{} blocks could not be had; the first: {first}",
            failed.len()
        ))),
    }
}

/// Blocks of a chain with the next one in hand.
struct Stream {
    blocks: Blocks,
    waiting: Option<Arc<evm::Block>>,
    failed: Vec<String>,
}

impl Stream {
    fn new(blocks: Blocks) -> Stream {
        Stream { blocks, waiting: None, failed: Vec::new() }
    }

    /// The time of the next block.
    async fn time(&mut self) -> Option<u64> {
        while self.waiting.is_none() {
            match self.blocks.next().await? {
                Ok((block, _)) => self.waiting = Some(block),
                Err(error) => self.failed.push(error.to_string()),
            }
        }
        self.waiting.as_ref().map(|block| block.header.time.0)
    }
}

fn row(flag: &Flag) -> Value {
    let place = &flag.release.place;
    json!({
        "block": place.block.height,
        "time": place.time.to_string(),
        "severity": flag.severity(),
        "confidence": flag.confidence(),
        "reason": flag.reason.name(),
        "certain": flag.certain,
        "amount": flag.release.moved.amount.to_string(),
        "beneficiary": flag.release.moved.beneficiary,
        "tx": place.tx,
        "evidence": flag.evidence(),
    })
}
