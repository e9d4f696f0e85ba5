//! Every file of `wrong/` is refused with a place, a key and a way to mend it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use wk_config::{ConfigErrors, Environment, load_texts};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong")
}

fn wrong_configs() -> Vec<(String, ConfigErrors)> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .expect("it can be read")
        .map(|entry| {
            entry.expect("it can be read").file_name().into_string().expect("it can be read")
        })
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    let environment = Environment::fixed([("RPC_URL", "http://127.0.0.1:8545"), ("HOME", "/root")]);
    names
        .into_iter()
        .map(|name| {
            let text = fs::read_to_string(folder().join(&name)).expect("it can be read");
            let loaded = load_texts(vec![(name.clone(), text)], &folder(), &environment);
            match loaded {
                Ok(_) => (
                    name,
                    ConfigErrors { errors: vec![], more: 0, warnings: vec![], files: vec![] },
                ),
                Err(errors) => (name, errors),
            }
        })
        .collect()
}

#[test]
fn shows_what_is_wrong_where_and_how_to_mend_it() {
    let mut shown = String::new();
    for (name, errors) in wrong_configs() {
        let errors = errors.to_string().replace(&folder().display().to_string(), "");
        let _ = writeln!(shown, "──── {name}\n{errors}\n");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn names_file_line_column_key_and_fix_of_each() {
    let all = wrong_configs();
    assert!(all.len() >= 40, "{} wrong configs", all.len());
    for (name, errors) in all {
        assert!(!errors.errors.is_empty(), "{name}");
        for error in errors.errors {
            let at = error.at.as_ref().unwrap_or_else(|| panic!("{name}: no place: {error}"));
            assert_eq!(at.file, name);
            assert!(at.line > 0 && at.column > 0 && at.length > 0, "{name}: {error}");
            assert!(error.hint.is_some(), "{name}: no fix: {error}");
            // Texts that are no YAML may have no keys.
            let syntax = ["unclosed-bracket.yaml", "list-as-root.yaml", "two-documents.yaml"];
            assert!(!error.key.is_empty() || syntax.contains(&&*name), "{name}: no key: {error}");
        }
    }
}

#[test]
fn machines_read_the_same() {
    let (_, errors) =
        wrong_configs().into_iter().find(|(name, _)| name == "unknown-field.yaml").unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&errors).unwrap());
}
