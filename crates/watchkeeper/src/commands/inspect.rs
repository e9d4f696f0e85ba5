//! `inspect`: what given transactions are up to, one JSON line each, from files or from a node. Keeps
//! and tells nothing.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wk_config::ChainConfig;
use wk_detectors::{Config, Report};
use wk_engine::{History, LookedAt};
use wk_model::B256;
use wk_replay::{Codes, StoredBlock};
use wk_runtime::with_causes;
use wk_trace::{ReadError, Traces, TxTrace};

use super::{chain_of, inspect_bridge, inspect_contract, load_existing, score};
use crate::arguments::{self, InspectWhat};
use crate::exit::{Code, Exit};
use crate::output::Output;

/// Bytes of a file, packed or not, above which it is refused.
const MAX_BYTES: u64 = 1 << 30;

pub(crate) async fn run(
    command: arguments::Inspect,
    config: Option<&Path>,
    output: Output,
) -> Result<(), Exit> {
    match command.what {
        InspectWhat::File { files, codes, labels: None } => inspect_files(&files, codes.as_deref()),
        InspectWhat::File { files, codes, labels: Some(labels) } => {
            score_files(&files, codes.as_deref(), &labels, output)
        }
        InspectWhat::Tx { hash, rpc, chain } => inspect_tx(hash, rpc, chain, config).await,
        InspectWhat::Contract { address, node, at } => {
            inspect_contract::contract(address, &node, at, config, output).await
        }
        InspectWhat::Bridge { name, source_from, target_from } => {
            inspect_bridge::run(&name, source_from, target_from, config, output).await
        }
        InspectWhat::Code { files, watched } => {
            inspect_contract::code(&files, &watched, config, output)
        }
    }
}

/// Asks the node for the transaction's block, its receipt and its trace.
async fn inspect_tx(
    hash: B256,
    rpc: Option<String>,
    chain: Option<String>,
    config: Option<&Path>,
) -> Result<(), Exit> {
    let loaded = match &rpc {
        Some(url) => wk_config::for_rpc_url(url)
            .map_err(|errors| Exit::new(Code::Config, errors.to_string()))?,
        None => load_existing(config)?,
    };
    let chain = chain_of(&loaded.config, chain.as_deref())?;
    let ChainConfig::Evm(evm) = &loaded.config.chains[&chain];
    let unreachable = |reason: String| Exit::new(Code::Unreachable, reason);
    let history = History::open(&chain, evm).await.map_err(|e| unreachable(e.to_string()))?;
    let height = history.height_of(hash).await.map_err(unreachable)?;
    let missing = || Exit::new(Code::NotFound, format!("no block of `{chain}` holds {hash}"));
    let height = height.ok_or_else(missing)?;
    let (block, _) = history
        .blocks(height, height)
        .next()
        .await
        .ok_or_else(missing)?
        .map_err(|error| unreachable(error.to_string()))?;
    let start = Instant::now();
    let detectors = Arc::new(loaded.config.detectors);
    let looked = history.inspector().transaction(&block, hash, &detectors).await;
    let (looked, traces) = looked.map_err(|error| unreachable(with_causes(&error)))?;
    for lack in traces.lacks.iter().filter(|_| !traces.via.tells_calls()) {
        tracing::warn!("no calls are seen, {}: {}", lack.via.method(), lack.detail);
    }
    let LookedAt { trace, report } = looked.first().ok_or_else(missing)?;
    let line = line(None, trace, report, start.elapsed());
    writeln!(std::io::stdout().lock(), "{line}")?;
    Ok(())
}

fn inspect_files(files: &[PathBuf], codes: Option<&Path>) -> Result<(), Exit> {
    let config = Config::default();
    let mut codes = read_codes(codes)?;
    let mut failed = Vec::new();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for file in files {
        match lines(file, &mut codes, &config) {
            Ok(lines) => {
                for line in lines {
                    writeln!(out, "{line}")?;
                }
            }
            Err(reason) => failed.push(format!("{}: {reason}", file.display())),
        }
    }
    out.flush()?;
    told(&failed)
}

fn read_codes(file: Option<&Path>) -> Result<Codes, Exit> {
    match file {
        None => Ok(Codes::default()),
        Some(file) => open(file)
            .and_then(|text| Codes::read(&text).map_err(|error| with_causes(&error)))
            .map_err(|reason| Exit::failure(format!("{}: {reason}", file.display()))),
    }
}

/// Says which files failed.
fn told(failed: &[String]) -> Result<(), Exit> {
    match failed {
        [] => Ok(()),
        [first] => Err(Exit::failure(first.clone())),
        [first, rest @ ..] => Err(Exit::failure(format!("{first}\n(and {} more)", rest.len()))),
    }
}

/// How good the findings are, held against labels.
fn score_files(
    files: &[PathBuf],
    codes: Option<&Path>,
    labels: &Path,
    output: Output,
) -> Result<(), Exit> {
    let mut scorer = score::scorer(labels)?;
    let config = Config::default();
    let mut codes = read_codes(codes)?;
    let mut failed = Vec::new();
    for file in files {
        match look(file, &mut codes, &config) {
            Ok((traces, reports, _)) => {
                for (trace, report) in traces.transactions.iter().zip(&reports) {
                    // Files of one trace are often named after it.
                    let tx = trace.hash.or_else(|| named_after(file));
                    scorer.add(&score::looked(trace, report, tx, trace.block, None));
                }
            }
            Err(reason) => failed.push(format!("{}: {reason}", file.display())),
        }
    }
    score::print(output, &scorer.finish())?;
    told(&failed)
}

/// The transaction that a file's name is.
fn named_after(file: &Path) -> Option<B256> {
    file.file_name()?.to_str()?.split('.').next()?.parse().ok()
}

fn open(file: &Path) -> Result<Vec<u8>, String> {
    let mut packed = Vec::new();
    File::open(file)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut packed))
        .map_err(|error| with_causes(&error))?;
    Ok(wk_trace::unpack(&packed, MAX_BYTES).map_err(|error| with_causes(&error))?.into_owned())
}

/// Executes a block again.
fn replay(text: &[u8], codes: &mut Codes) -> Result<Traces, String> {
    let stored = StoredBlock::read(text, codes).map_err(|error| with_causes(&error))?;
    let executed = stored.execute().map_err(|error| with_causes(&error))?;
    let header = &stored.block.header.header;
    Ok(Traces {
        whole_block: true,
        block: Some(header.height.0),
        beneficiary: Some(header.beneficiary),
        transactions: executed.into_iter().map(|executed| executed.trace).collect(),
    })
}

fn lines(file: &Path, codes: &mut Codes, config: &Config) -> Result<Vec<Value>, String> {
    let (traces, reports, took) = look(file, codes, config)?;
    let pairs = traces.transactions.iter().zip(&reports);
    Ok(pairs.map(|(trace, report)| line(Some(file), trace, report, took)).collect())
}

/// The transactions of a file, what was found in each, and the time per transaction.
fn look(
    file: &Path,
    codes: &mut Codes,
    config: &Config,
) -> Result<(Traces, Vec<Report>, Duration), String> {
    let text = open(file)?;
    let start = Instant::now();
    let traces = match wk_trace::read(&text) {
        Err(ReadError::NeedsReplay) => replay(&text, codes)?,
        read => read.map_err(|error| with_causes(&error))?,
    };
    let count = u32::try_from(traces.transactions.len()).unwrap_or(u32::MAX).max(1);
    let reading = start.elapsed() / count;
    let start = Instant::now();
    let reports = wk_detectors::inspect_all(&traces, config);
    let looking = start.elapsed() / count;
    Ok((traces, reports, reading + looking))
}

fn line(file: Option<&Path>, trace: &TxTrace, report: &Report, took: Duration) -> Value {
    json!({
        "file": file.map(|file| file.display().to_string()),
        "tx": trace.hash,
        "source": trace.source.name(),
        "findings": report.findings,
        "frames": trace.frames.len(),
        "labels": report.labels,
        "ms": (took.as_secs_f64() * 1e6).round() / 1e3,
    })
}
