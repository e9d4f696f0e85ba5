//! Files that derive from the code: written by `generate`, compared by `tidy`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::tidy::metadata;

/// Each generated file, and the arguments of `watchkeeper` that print it.
const FILES: [(&str, &[&str]); 5] = [
    ("schemas/config.json", &["schema", "config"]),
    ("schemas/openapi.json", &["schema", "openapi"]),
    ("docs/reference/metrics.md", &["schema", "metrics"]),
    ("docs/reference/rules.md", &["schema", "rules"]),
    ("docs/reference/cli.md", &["schema", "cli"]),
];

/// Writes all generated files.
pub(crate) fn write(root: &Path) -> Result<()> {
    let program = program(root)?;
    for (file, arguments) in FILES {
        let path = root.join(file);
        let folder = path.parent().expect("a file lies in a folder");
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fs::write(&path, print(&program, arguments)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Names the generated files that differ from what the code gives.
pub(crate) fn check(root: &Path) -> Result<()> {
    let program = program(root)?;
    let mut stale = Vec::new();
    for (file, arguments) in FILES {
        let have = fs::read_to_string(root.join(file)).unwrap_or_default();
        if have != print(&program, arguments)? {
            stale.push(file);
        }
    }
    ensure!(stale.is_empty(), "stale: {}; run `cargo xtask generate`", stale.join(", "));
    Ok(())
}

/// Builds the program as the tests do, so that nothing is built twice, and says where it is.
fn program(root: &Path) -> Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--profile", "quick"])
        .args(["--workspace", "--bins", "--tests"])
        .current_dir(root)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the program cannot be built");
    let metadata = metadata(root)?;
    let target = metadata["target_directory"].as_str().context("cargo names no target folder")?;
    Ok(Path::new(target).join("quick/watchkeeper"))
}

fn print(program: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() {
        bail!(
            "`watchkeeper {}` failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let mut text = String::from_utf8(output.stdout).context("the output is no text")?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
