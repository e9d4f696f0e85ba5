//! How good findings are, held against labels: read, printed.

use std::path::Path;

use serde_json::{Value, json};
use wk_detectors::Report;
use wk_detectors::score::{Looked, Ratio, Scorecard, Scorer, read_labels};
use wk_model::B256;
use wk_trace::TxTrace;

use crate::exit::{Code, Exit};
use crate::output::{Format, Output};

/// A scorer with the labels of a file.
pub(crate) fn scorer(file: &Path) -> Result<Scorer, Exit> {
    let wrong = |reason: String| Exit::new(Code::Usage, format!("{}: {reason}", file.display()));
    let text = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let labels = read_labels(&text).map_err(|error| wrong(error.to_string()))?;
    Ok(Scorer::new(labels))
}

/// A transaction as the scorer takes it.
pub(crate) fn looked(
    trace: &TxTrace,
    report: &Report,
    tx: Option<B256>,
    block: Option<u64>,
    time: Option<u64>,
) -> Looked {
    let findings = report.findings.iter();
    Looked {
        tx,
        sender: Some(trace.address(trace.sender)),
        block,
        time,
        findings: findings.map(|one| (one.class.name().to_owned(), one.severity)).collect(),
    }
}

/// Prints what came of it.
pub(crate) fn print(output: Output, card: &Scorecard) -> Result<(), Exit> {
    if output.format != Format::Table {
        return Ok(output.object(&card.to_json())?);
    }
    let row = |measure: &str, ratio: Ratio| json!({"measure": measure, "share": percent(ratio), "of": ratio.of, "all": ratio.all});
    let mut rows = vec![
        row("recall: attacks with any finding", card.recall),
        row("recall: attacks with a P0 or P1", card.urgent_recall),
        row("recall: attacks with their class", card.right_class),
        row("precision: findings at attacks", card.precision),
        row("precision: P0 and P1 at attacks", card.urgent_precision),
    ];
    for (name, ratio) in [
        ("false positives per 1,000", card.false_alarms),
        ("P0 and P1 false positives per 1,000", card.urgent_false_alarms),
    ] {
        let share = ratio.share().map(|share| format!("{:.2}", share * 1_000.0));
        rows.push(json!({"measure": name, "share": share, "of": ratio.of, "all": ratio.all}));
    }
    output.rows(&["measure", "share", "of", "all"], &rows)?;
    let classes: Vec<Value> = card
        .classes
        .iter()
        .map(|(class, score)| {
            json!({
                "class": class,
                "recall": percent(score.recall),
                "attacks": score.recall.all,
                "precision": percent(score.precision),
                "found": score.precision.all,
            })
        })
        .collect();
    output.text("")?;
    output.rows(&["class", "recall", "attacks", "precision", "found"], &classes)?;
    let leads: Vec<Value> = card
        .leads
        .iter()
        .map(|lead| json!({"attack": lead.name, "blocks": lead.blocks, "seconds": lead.seconds}))
        .collect();
    output.text("")?;
    if leads.is_empty() {
        output.text("lead time: no attacker had a finding before the attack")?;
    } else {
        output.rows(&["attack", "blocks", "seconds"], &leads)?;
    }
    output.text(&format!(
        "{} transactions; {} labels whose transaction was not among them; missed: {}",
        card.transactions,
        card.missing,
        if card.missed.is_empty() { "none".to_owned() } else { card.missed.join(", ") }
    ))?;
    Ok(())
}

fn percent(ratio: Ratio) -> Option<String> {
    ratio.share().map(|share| format!("{:.1} %", share * 100.0))
}
