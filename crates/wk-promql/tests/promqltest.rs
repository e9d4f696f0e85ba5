//! Runs Prometheus' own PromQL tests, given as a folder, and counts what passes.
//!
//! The folder is `WK_PROMQLTEST_DIR`, else `shared/corpus/promqltest` beside the repository.

mod script;

use std::fmt::Write as _;
use std::path::PathBuf;

use script::run;

/// Cases of the default folder that passed when this was last raised. It may only rise.
const FLOOR: usize = 794;

#[test]
fn prometheus_own_tests_pass() {
    let chosen = std::env::var_os("WK_PROMQLTEST_DIR").map(PathBuf::from);
    let beside =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/promqltest");
    let folder = chosen.clone().unwrap_or(beside);
    if !folder.is_dir() {
        println!("skipped: no folder {}; name one in WK_PROMQLTEST_DIR", folder.display());
        return;
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder was found above")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    files.sort();
    let mut report = String::new();
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).expect("a test file is readable text");
        let result = run(&text);
        for (line, reason) in &result.failures {
            writeln!(report, "  {name}:{line}: {reason}").expect("writing to memory");
        }
        let (good, bad) = (result.passed, result.failures.len());
        writeln!(report, "{name}: {good} passed, {bad} failed").expect("writing to memory");
        passed += good;
        failed += bad;
    }
    println!("{report}total: {passed} passed, {failed} failed");
    if chosen.is_none() {
        assert!(passed >= FLOOR, "{passed} cases pass, {FLOOR} did before; see the list above");
    }
}
