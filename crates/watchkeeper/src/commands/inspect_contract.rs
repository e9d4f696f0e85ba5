//! `inspect contract` and `inspect code`: what contracts are made of. Keeps and tells nothing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wk_contracts::code::{
    AttackLikeness, CodeReport, MAX_CODE, SUSPICIOUS, attack_likeness, inspect,
};
use wk_contracts::risk::RiskScore;
use wk_engine::{ExamineError, Examined, examine};
use wk_model::{Address, Height};

use super::{history, load};
use crate::arguments::Node;
use crate::exit::{Code, Exit};
use crate::output::{Format, Output};

/// Bytes of a file; hex takes two for one, and a line's end.
const MAX_FILE: u64 = 2 * MAX_CODE as u64 + 1_024;

pub(crate) async fn contract(
    address: Address,
    node: &Node,
    at: Option<u64>,
    config: Option<&Path>,
    output: Output,
) -> Result<(), Exit> {
    let (_, chain, history, head) = history(node, config).await?;
    let at = at.map_or(head, Height);
    let block = match history.blocks(at, at).next().await {
        Some(Ok((block, _))) => block.header.block_ref(),
        Some(Err(error)) => return Err(Exit::new(Code::Unreachable, error.to_string())),
        None => return Err(Exit::failure("the block was not read")),
    };
    let examined =
        examine(history.pool(), block, address, None).await.map_err(|error| match error {
            ExamineError::NoContract { .. } => {
                Exit::new(Code::NotFound, format!("{error} (`{chain}`)"))
            }
            other => Exit::from(other),
        })?;
    if output.format != Format::Table {
        return Ok(output.object(&shown(&examined))?);
    }
    let mut text = format!("contract  {address:#x} at block {}\n", block.height);
    if let Some((target, _)) = &examined.implementation {
        text.push_str(&format!("hands on  to {target:#x}\n"));
    }
    for (name, who) in [("admin", examined.admin), ("owner", examined.owner)] {
        if let Some(who) = who {
            text.push_str(&format!("{name:<8}  {who:#x}\n"));
        }
    }
    text.push('\n');
    text.push_str(&code_text(&examined.code));
    if let Some((_, report)) = &examined.implementation {
        text.push_str("implementation:\n");
        text.push_str(&code_text(report));
    }
    text.push_str(&risk_text(&examined.risk));
    Ok(output.text(&text)?)
}

fn shown(examined: &Examined) -> Value {
    let Examined { address, block, code, implementation, admin, owner, facts: _, risk } = examined;
    json!({
        "address": address,
        "height": block.height,
        "code": code,
        "implementation": implementation.as_ref().map(|(target, report)| {
            json!({"address": target, "code": report})
        }),
        "admin": admin,
        "owner": owner,
        "risk": risk,
    })
}

pub(crate) fn code(
    files: &[PathBuf],
    watched: &[Address],
    config: Option<&Path>,
    output: Output,
) -> Result<(), Exit> {
    let loaded = load(config)?;
    let mut ours: HashSet<Address> = watched.iter().copied().collect();
    ours.extend(loaded.decoder.contracts().map(|contract| contract.address));
    let mut rows = Vec::new();
    for file in files {
        let bytes = read(file)?;
        let (report, likeness) =
            (inspect(&bytes), attack_likeness(&bytes, |address| ours.contains(address)));
        rows.push((file, report, likeness));
    }
    if output.format == Format::Table {
        let mut text = String::new();
        for (file, report, likeness) in &rows {
            text.push_str(&format!("{}\n", file.display()));
            text.push_str(&code_text(report));
            text.push_str(&likeness_text(likeness));
        }
        return Ok(output.text(&text)?);
    }
    let rows: Vec<Value> = rows
        .iter()
        .map(|(file, report, likeness)| {
            let mut row = json!(report);
            row["file"] = file.display().to_string().into();
            row["attack_likeness"] = json!(likeness);
            row
        })
        .collect();
    Ok(output.rows(&["file", "size", "proxy", "complete", "findings", "attack_likeness"], &rows)?)
}

fn read(file: &Path) -> Result<Vec<u8>, Exit> {
    use std::io::Read;
    let wrong = |reason: String| Exit::failure(format!("{}: {reason}", file.display()));
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(wrong(format!("longer than {MAX_CODE} bytes of code")));
    }
    let hex = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| wk_model::primitives::hex::decode(text.trim()).ok());
    Ok(hex.unwrap_or(bytes))
}

fn code_text(report: &CodeReport) -> String {
    let mut text = format!("code      {} bytes, {} functions", report.size, report.selectors.len());
    if let Some(proxy) = &report.proxy {
        text.push_str(&format!(", proxy ({:?})", proxy.kind).to_lowercase());
    }
    if let Some(target) = &report.delegation {
        text.push_str(&format!(", an account that runs the code of {target}"));
    }
    text.push_str(if report.complete {
        "\n"
    } else {
        "; too many ways to walk all: there may be more\n"
    });
    for finding in &report.findings {
        let function = finding.selector.as_deref().unwrap_or("fallback");
        let guarded = if finding.behind_storage { " (some state is asked first)" } else { "" };
        text.push_str(&format!(
            "  {} {} % {}: {} in {function}, byte {}{guarded}\n",
            finding.severity,
            finding.confidence.0,
            finding.check.name(),
            finding.why,
            finding.at
        ));
    }
    text
}

fn likeness_text(likeness: &AttackLikeness) -> String {
    let word = if likeness.score >= SUSPICIOUS { "suspicious" } else { "not suspicious" };
    let mut text = format!("attack-likeness {} of 100: {word}\n", likeness.score);
    for item in &likeness.items {
        text.push_str(&format!(
            "  +{:<3} {:<20} {}\n",
            item.weight,
            item.sign,
            item.found.join(" ")
        ));
    }
    text
}

fn risk_text(risk: &RiskScore) -> String {
    let mut text =
        format!("risk      {} of 100, {} of it from what is not known\n", risk.score, risk.unknown);
    for item in &risk.items {
        text.push_str(&format!(
            "  {:>3} of {:<3} {:<30} {}\n",
            item.points, item.worst, item.title, item.fact
        ));
    }
    text
}
