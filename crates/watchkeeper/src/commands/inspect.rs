//! `inspect`: what given transactions are up to, one JSON line each. Keeps and tells nothing.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wk_detectors::{Config, Report};
use wk_trace::{ReadError, TxTrace};

use crate::arguments::{self, InspectWhat};
use crate::exit::Exit;

/// Bytes of a file, packed or not, above which it is refused.
const MAX_BYTES: u64 = 1 << 30;

pub(crate) fn run(command: &arguments::Inspect) -> Result<(), Exit> {
    let InspectWhat::File { files } = &command.what;
    let config = Config::default();
    let mut failed = Vec::new();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for file in files {
        match lines(file, &config) {
            Ok(lines) => {
                for line in lines {
                    writeln!(out, "{line}")?;
                }
            }
            Err(reason) => failed.push(format!("{}: {reason}", file.display())),
        }
    }
    out.flush()?;
    match failed.as_slice() {
        [] => Ok(()),
        [first] => Err(Exit::failure(first.clone())),
        [first, rest @ ..] => Err(Exit::failure(format!("{first}\n(and {} more)", rest.len()))),
    }
}

fn lines(file: &Path, config: &Config) -> Result<Vec<Value>, String> {
    let mut packed = Vec::new();
    File::open(file)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut packed))
        .map_err(|error| error.to_string())?;
    let text = wk_trace::unpack(&packed, MAX_BYTES).map_err(|error| error.to_string())?;
    let start = Instant::now();
    let traces = wk_trace::read(&text).map_err(|error| match error {
        ReadError::NeedsReplay => {
            format!("{error}; this version reads traces, so give it the block's traces")
        }
        other => other.to_string(),
    })?;
    let count = u32::try_from(traces.transactions.len()).unwrap_or(u32::MAX).max(1);
    let reading = start.elapsed() / count;
    let start = Instant::now();
    let reports = wk_detectors::inspect_all(&traces, config);
    let looking = start.elapsed() / count;
    let pairs = traces.transactions.iter().zip(&reports);
    Ok(pairs.map(|(trace, report)| line(file, trace, report, reading + looking)).collect())
}

fn line(file: &Path, trace: &TxTrace, report: &Report, took: Duration) -> Value {
    json!({
        "file": file.display().to_string(),
        "tx": trace.hash,
        "source": trace.source.name(),
        "findings": report.findings,
        "frames": trace.frames.len(),
        "labels": report.labels,
        "ms": (took.as_secs_f64() * 1e6).round() / 1e3,
    })
}
