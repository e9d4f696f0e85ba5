//! Records the demo's tape from a real anvil: `cargo run -p wk-testkit [FILE]`.
//!
//! Run it again when the contracts or the story change; `demo.yaml` names the same addresses as
//! long as the order of deployments stays.

mod recorder;
mod story;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wk_tape::DEMO_CHAIN_ID;
use wk_testkit::{Anvil, AnvilOptions};

/// Timestamp of the recorded genesis block; playing gives the blocks other times.
const GENESIS_TIME: u64 = 1_767_225_600;

#[tokio::main]
async fn main() -> ExitCode {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wk-tape/demo.tape.gz");
    let path = std::env::args_os().nth(1).map_or(default, PathBuf::from);
    let options = AnvilOptions {
        chain_id: Some(DEMO_CHAIN_ID),
        timestamp: Some(GENESIS_TIME),
        ..AnvilOptions::default()
    };
    let told = match Anvil::start(options).await {
        Ok(anvil) => record(anvil, &path).await,
        Err(error) => Err(error.to_string()),
    };
    let (text, code) = match told {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(text) => (text, ExitCode::FAILURE),
    };
    // Nobody is left to tell when stdout is closed.
    let _ = writeln!(std::io::stdout(), "{text}");
    code
}

async fn record(anvil: Anvil, path: &Path) -> Result<String, String> {
    let tape = story::tell(anvil).await;
    let wrong = |error: &dyn std::error::Error| format!("{}: {error}", path.display());
    let file = File::create(path).map_err(|error| wrong(&error))?;
    let mut out = BufWriter::new(file);
    tape.write(&mut out).map_err(|error| wrong(&error))?;
    out.flush().map_err(|error| wrong(&error))?;
    Ok(format!("{} blocks in {}", tape.blocks(), path.display()))
}
