//! `test`: the config's own tests.

use std::path::Path;

use serde_json::{Value, json};

use super::load_existing;
use crate::arguments::Test;
use crate::exit::{Code, Exit};
use crate::output::{Format, Output};

pub(crate) fn run(command: Test, config: Option<&Path>, output: Output) -> Result<(), Exit> {
    let loaded = load_existing(config)?;
    let wanted = |name: &str| command.filter.as_deref().is_none_or(|part| name.contains(part));
    let reports: Vec<_> = loaded
        .tests
        .iter()
        .map(wk_rules::Test::run)
        .filter(|report| wanted(&report.name))
        .collect();
    let failed = reports.iter().filter(|report| !report.passed()).count();
    if output.format == Format::Table {
        for report in &reports {
            output.text(&report.to_string())?;
        }
        output.text(&format!("{} passed, {failed} failed", reports.len() - failed))?;
    } else {
        let rows: Vec<Value> = reports.iter().map(|report| json!(report)).collect();
        output.rows(&["name", "passed", "found"], &rows)?;
    }
    if failed > 0 { Err(Exit::quiet(Code::Findings)) } else { Ok(()) }
}
