//! Files that derive from the code: written by `generate`, compared by `tidy`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

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
    for (file, arguments) in FILES {
        let path = root.join(file);
        let folder = path.parent().expect("a file lies in a folder");
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fs::write(&path, print(root, arguments)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Names the generated files that differ from what the code gives.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut stale = Vec::new();
    for (file, arguments) in FILES {
        let have = fs::read_to_string(root.join(file)).unwrap_or_default();
        if have != print(root, arguments)? {
            stale.push(file);
        }
    }
    ensure!(stale.is_empty(), "stale: {}; run `cargo xtask generate`", stale.join(", "));
    Ok(())
}

fn print(root: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--profile", "quick", "--package", "watchkeeper", "--"])
        .args(arguments)
        .current_dir(root)
        .output()
        .context("cannot run cargo")?;
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
