//! What the compiler does not check: layers, headers, licences, freshness, twins of documents.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::generate;

/// Each crate sees only crates of lower layers; `None` is for tests and automation.
const LAYERS: [(&str, Option<u8>); 22] = [
    ("wk-model", Some(0)),
    ("wk-runtime", Some(1)),
    ("wk-tape", Some(2)),
    ("wk-store", Some(2)),
    ("wk-chain", Some(2)),
    ("wk-trace", Some(2)),
    ("wk-ingest", Some(3)),
    ("wk-notifiers", Some(3)),
    ("wk-collectors", Some(3)),
    ("wk-contracts", Some(3)),
    ("wk-detectors", Some(3)),
    ("wk-replay", Some(3)),
    ("wk-rules", Some(3)),
    ("wk-promql", Some(1)),
    ("wk-telemetry", Some(2)),
    ("wk-config", Some(4)),
    ("wk-prometheus", Some(4)),
    ("wk-engine", Some(5)),
    ("wk-api", Some(6)),
    ("watchkeeper", Some(7)),
    ("wk-testkit", None),
    ("xtask", None),
];

/// Licences that a dependency may have. No GPL, AGPL, BUSL or SSPL.
const LICENCES: [&str; 14] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "MIT-0",
    "Unlicense",
    "Unicode-3.0",
    // Root certificates, as data.
    "CDLA-Permissive-2.0",
    // File-level copyleft: used unchanged.
    "MPL-2.0",
];

/// Licences of what only builds and tests the web interface, beside those.
const TOOL_LICENCES: [&str; 3] = ["BlueOak-1.0.0", "Python-2.0", "CC-BY-4.0"];

/// Documents that exist in English and Chinese.
const TWINS: [(&str, &str); 1] = [("README.md", "README.zh-CN.md")];

/// Runs every check and names all that fails.
pub(crate) fn run(root: &Path) -> Result<()> {
    let metadata = metadata(root)?;
    let mut faults = Vec::new();
    layers(&metadata, &mut faults);
    licences(&metadata, &mut faults);
    ui_licences(root, &mut faults)?;
    headers(root, &mut faults)?;
    twins(root, &mut faults);
    if let Err(error) = generate::check(root) {
        faults.push(format!("{error:#}"));
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("{} faults\n  {}", faults.len(), faults.join("\n  "))
}

pub(crate) fn metadata(root: &Path) -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata gave no JSON")
}

fn members(metadata: &Value) -> impl Iterator<Item = &Value> {
    array(&metadata["packages"]).filter(|package| package["source"].is_null())
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn layers(metadata: &Value, faults: &mut Vec<String>) {
    let layers: BTreeMap<&str, Option<u8>> = LAYERS.into_iter().collect();
    for package in members(metadata) {
        let name = text(&package["name"]);
        let Some(&layer) = layers.get(name) else {
            faults.push(format!("crate `{name}` has no layer; add it to xtask/src/tidy.rs"));
            continue;
        };
        for dependency in array(&package["dependencies"]) {
            // Tests may use anything.
            if text(&dependency["kind"]) == "dev" {
                continue;
            }
            let below = text(&dependency["name"]);
            match (layer, layers.get(below)) {
                (Some(own), Some(Some(other))) if *other >= own => {
                    faults.push(format!("`{name}` (layer {own}) uses `{below}` (layer {other})"));
                }
                (Some(_), Some(None)) => {
                    faults.push(format!("`{name}` uses `{below}`, which is for tests only"));
                }
                _ => {}
            }
        }
    }
}

fn licences(metadata: &Value, faults: &mut Vec<String>) {
    for package in array(&metadata["packages"]) {
        let licence = text(&package["license"]);
        if !allowed(licence) {
            let (name, version) = (text(&package["name"]), text(&package["version"]));
            faults.push(format!("`{name}` {version} has the licence `{licence}`"));
        }
    }
}

/// Licences of the web interface's packages, as its lock file tells them.
fn ui_licences(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    let path = root.join("ui/package-lock.json");
    let read = fs::read_to_string(&path).context("cannot read ui/package-lock.json")?;
    let lock: Value = serde_json::from_str(&read).context("ui/package-lock.json is no JSON")?;
    for (name, package) in lock["packages"].as_object().into_iter().flatten() {
        let licence = text(&package["license"]);
        let tool = package["dev"] == Value::Bool(true);
        let fits = match tool {
            true => allowed(licence) || TOOL_LICENCES.contains(&licence),
            false => allowed(licence) && licence != "MPL-2.0",
        };
        if !name.is_empty() && !fits {
            faults.push(format!("`{name}` in ui/package-lock.json has the licence `{licence}`"));
        }
    }
    Ok(())
}

/// Whether an SPDX expression can be met: one side of each `OR`, all sides of each `AND`.
fn allowed(expression: &str) -> bool {
    let expression = expression.trim();
    if let Some(inner) = expression.strip_prefix('(')
        && let Some((inner, rest)) = inner.split_once(')')
    {
        let rest = rest.trim();
        return match rest.split_once(' ') {
            None => allowed(inner),
            Some(("AND", right)) => allowed(inner) && allowed(right),
            Some(("OR", right)) => allowed(inner) || allowed(right),
            Some(_) => false,
        };
    }
    // The old `MIT/Apache-2.0` means OR.
    if let Some((left, right)) = expression.split_once(" OR ").or(expression.split_once('/')) {
        return allowed(left) || allowed(right);
    }
    if let Some((left, right)) = expression.split_once(" AND ") {
        return allowed(left) && allowed(right);
    }
    LICENCES.contains(&expression)
}

fn headers(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    let mut files = Vec::new();
    for folder in ["crates", "xtask"] {
        sources(&root.join(folder), &mut files)?;
    }
    for file in files {
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if !text.starts_with("//! ") {
            let file = file.strip_prefix(root).unwrap_or(&file);
            faults.push(format!("{} does not open with a `//!` sentence", file.display()));
        }
    }
    Ok(())
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn twins(root: &Path, faults: &mut Vec<String>) {
    let chapters = |file: &str| {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        text.lines().filter(|line| line.starts_with("## ")).count()
    };
    for (english, chinese) in TWINS {
        let (left, right) = (chapters(english), chapters(chinese));
        if left == 0 || left != right {
            faults.push(format!("{english} has {left} chapters, {chinese} has {right}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_expression_is_met_or_not() {
        for (expression, expected) in [
            ("MIT", true),
            ("MIT OR Apache-2.0", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0", false),
            ("MIT OR Apache-2.0 OR LGPL-2.1-or-later", true),
            ("Apache-2.0 AND ISC", true),
            ("MIT AND GPL-2.0", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND AGPL-3.0", false),
            ("BUSL-1.1", false),
            ("", false),
        ] {
            assert_eq!(allowed(expression), expected, "{expression}");
        }
    }
}
