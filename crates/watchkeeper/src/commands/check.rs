//! `check`: faults in a config, found without running it.

use std::path::Path;

use serde_json::{Value, json};
use wk_config::{ConfigErrors, Diagnostic, Environment};

use super::existing;
use crate::arguments::Check;
use crate::exit::{Code, Exit};
use crate::output::{Format, Output};

pub(crate) fn run(_: Check, config: Option<&Path>, output: Output) -> Result<(), Exit> {
    let path = existing(config)?;
    match wk_config::load(&path, &Environment::system()) {
        Ok(loaded) => {
            let config = &loaded.config;
            let (chains, contracts) = (config.chains.len(), config.contracts.len());
            let (rules, receivers) = (config.rules.len(), config.receivers.len());
            if output.format == Format::Csv {
                faults(output, &loaded.warnings)?;
            } else if output.format == Format::Table {
                for warning in &loaded.warnings {
                    output.text(&warning.to_string())?;
                }
                let count = |number: usize, thing: &str| {
                    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
                };
                output.text(&format!(
                    "{} is fine: {}, {}, {}, {}",
                    path.display(),
                    count(chains, "chain"),
                    count(contracts, "contract"),
                    count(rules, "rule"),
                    count(receivers, "receiver"),
                ))?;
            } else {
                output.object(&json!({
                    "ok": true, "chains": chains, "contracts": contracts, "rules": rules,
                    "receivers": receivers, "warnings": loaded.warnings, "errors": [],
                }))?;
            }
            Ok(())
        }
        Err(errors) if output.format == Format::Table => {
            Err(Exit::new(Code::Config, errors.to_string()))
        }
        Err(errors) if output.format == Format::Csv => {
            faults(output, errors.errors.iter().chain(&errors.warnings))?;
            Err(Exit::quiet(Code::Config))
        }
        Err(errors) => {
            let ConfigErrors { errors, more, warnings, files: _ } = errors;
            output.object(&json!({
                "ok": false, "errors": errors, "more": more, "warnings": warnings,
            }))?;
            Err(Exit::quiet(Code::Config))
        }
    }
}

/// One row per fault; none for a good config.
fn faults<'a>(
    output: Output,
    faults: impl IntoIterator<Item = &'a Diagnostic>,
) -> std::io::Result<()> {
    let row = |fault: &Diagnostic| {
        let at = fault.at.as_ref();
        json!({
            "severity": fault.severity,
            "file": at.map(|at| at.file.as_str()),
            "line": at.map(|at| at.line),
            "column": at.map(|at| at.column),
            "key": fault.key,
            "message": fault.message,
            "hint": fault.hint,
        })
    };
    let rows: Vec<Value> = faults.into_iter().map(row).collect();
    output.rows(&["severity", "file", "line", "column", "key", "message", "hint"], &rows)
}
