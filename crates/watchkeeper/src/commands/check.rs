//! `check`: faults in a config, found without running it.

use std::path::Path;

use serde_json::json;
use wk_config::Environment;

use crate::arguments::Check;
use crate::exit::{Code, Exit};
use crate::output::{Format, Output};

pub(crate) fn run(_: Check, config: Option<&Path>, output: Output) -> Result<(), Exit> {
    let Some(path) = wk_config::find(config) else {
        let file = wk_config::DEFAULT_FILE;
        return Err(Exit::new(
            Code::NotFound,
            format!("there is no {file} here; name a config by --config FILE"),
        ));
    };
    match wk_config::load(&path, &Environment::system()) {
        Ok(loaded) => {
            let config = &loaded.config;
            let (chains, contracts) = (config.chains.len(), config.contracts.len());
            let (rules, receivers) = (config.rules.len(), config.receivers.len());
            if output.format == Format::Table {
                for warning in &loaded.warnings {
                    output.text(&warning.to_string())?;
                }
                output.text(&format!(
                    "{} is fine: {chains} chains, {contracts} contracts, {rules} rules, {receivers} receivers",
                    path.display()
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
        Err(errors) => {
            output.object(&json!({"ok": false, "errors": errors}))?;
            Err(Exit::quiet(Code::Config))
        }
    }
}
