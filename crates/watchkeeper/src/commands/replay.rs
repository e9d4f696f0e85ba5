//! `replay`: past blocks looked at again, and kept what is found.

use std::path::Path;

use serde_json::json;
use wk_engine::ReplayError;
use wk_model::Height;

use super::{chain_of, load_existing, store_exit};
use crate::arguments::Replay;
use crate::exit::{Code, Exit};
use crate::output::Output;
use crate::progress::Progress;

pub(crate) async fn run(
    command: Replay,
    config: Option<&Path>,
    output: Output,
) -> Result<(), Exit> {
    if command.to < command.from {
        let (from, to) = (command.from, command.to);
        return Err(Exit::usage(format!("--from {from} is above --to {to}")));
    }
    let loaded = load_existing(config)?;
    let chain = chain_of(&loaded.config, command.chain.as_deref())?;
    let (from, to) = (Height(command.from), Height(command.to));
    let mut progress = Progress::new("blocks", to.above(from) + 1);
    let replayed = wk_engine::replay(&loaded, &chain, from, to, || progress.step()).await;
    progress.finish();
    let replayed = replayed.map_err(|error| match error {
        ReplayError::Open(error) => store_exit(&error),
        error @ ReplayError::Ahead { .. } => Exit::new(Code::NotFound, error.to_string()),
        ReplayError::History(error) => Exit::new(Code::Unreachable, error.to_string()),
        error @ (ReplayError::Chain(_) | ReplayError::Store(_)) => Exit::failure(error.to_string()),
    })?;
    output.object(&json!({
        "blocks": replayed.blocks,
        "failed": replayed.failed,
        "new_findings": replayed.findings,
    }))?;
    if replayed.failed > 0 {
        return Err(Exit::failure(format!("{} blocks could not be had", replayed.failed)));
    }
    Ok(())
}
