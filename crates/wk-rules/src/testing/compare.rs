//! Which expected findings came, and which came that were not expected.

use serde_json::Value as Json;
use wk_model::{ConditionKey, Finding};

use super::config::ExpectConfig;
use super::report::{Difference, Missing, Unexpected};

/// A finding of a test.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) finding: Finding,
    /// What keeps it, for `http` rules.
    pub(super) condition: Option<ConditionKey>,
    pub(super) is_retracted: bool,
}

impl Seen {
    pub(super) fn rule(&self) -> &str {
        self.finding.source.name()
    }

    fn key(&self) -> &str {
        self.finding.evidence.get("key").and_then(Json::as_str).unwrap_or_default()
    }

    fn block(&self) -> Option<u64> {
        Some(self.finding.position.as_ref()?.block.height.0)
    }
}

/// Pairs expectations with findings so that as many as possible are met.
pub(super) fn compare(expect: &[ExpectConfig], seen: &[Seen]) -> (Vec<Missing>, Vec<Unexpected>) {
    let wanted: Vec<usize> = expect
        .iter()
        .enumerate()
        .flat_map(|(index, expect)| std::iter::repeat_n(index, expect.count.unwrap_or(1) as usize))
        .collect();
    let fits: Vec<Vec<usize>> = expect
        .iter()
        .map(|expect| {
            (0..seen.len()).filter(|i| differences(expect, &seen[*i]).is_empty()).collect()
        })
        .collect();
    let mut taken: Vec<Option<usize>> = vec![None; seen.len()];
    let mut unmet = Vec::new();
    for place in 0..wanted.len() {
        let mut tried = vec![false; seen.len()];
        if !assign(place, &wanted, &fits, &mut taken, &mut tried) {
            unmet.push(wanted[place]);
        }
    }
    let free: Vec<&Seen> =
        seen.iter().zip(&taken).filter(|(_, by)| by.is_none()).map(|(seen, _)| seen).collect();
    let mut missing: Vec<Missing> = Vec::new();
    for index in unmet {
        match missing.last_mut().filter(|last| last.index == index) {
            Some(last) => last.count += 1,
            None => missing.push(Missing {
                index,
                count: 1,
                expected: described(&expect[index]),
                nearest: nearest(&expect[index], &free),
            }),
        }
    }
    (missing, free.into_iter().map(unexpected).collect())
}

/// Finds a finding for one wanted place, moving others to other findings where that helps.
fn assign(
    place: usize,
    wanted: &[usize],
    fits: &[Vec<usize>],
    taken: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for &finding in &fits[wanted[place]] {
        if std::mem::replace(&mut tried[finding], true) {
            continue;
        }
        let is_free = match taken[finding] {
            None => true,
            // Places of one expectation are alike: moving one for the other gains nothing.
            Some(other) if wanted[other] == wanted[place] => false,
            Some(other) => assign(other, wanted, fits, taken, tried),
        };
        if is_free {
            taken[finding] = Some(place);
            return true;
        }
    }
    false
}

/// In what a finding is other than expected.
fn differences(expect: &ExpectConfig, seen: &Seen) -> Vec<Difference> {
    let ExpectConfig { rule, count: _, title, severity, key, block, evidence, retracted } = expect;
    let mut differences = Vec::new();
    let mut check = |what: &str, expected: String, found: String| {
        if expected != found {
            differences.push(Difference { what: what.to_owned(), expected, found });
        }
    };
    check("rule", rule.clone(), seen.rule().to_owned());
    if let Some(title) = title {
        check("title", title.clone(), seen.finding.title.clone());
    }
    if let Some(severity) = severity {
        check("severity", severity.to_string(), seen.finding.severity.to_string());
    }
    if let Some(key) = key {
        // Addresses may be written with their checksum.
        let found = seen.key();
        if !key.eq_ignore_ascii_case(found) {
            let found = if found.is_empty() { "none" } else { found };
            check("key", key.clone(), found.to_owned());
        }
    }
    if let Some(block) = block {
        let found = seen.block().map_or_else(|| "none".to_owned(), |block| block.to_string());
        check("block", block.to_string(), found);
    }
    let retracted = retracted.unwrap_or(false);
    check("retracted", retracted.to_string(), seen.is_retracted.to_string());
    for (name, expected) in evidence {
        let found = seen.finding.evidence.get(name).unwrap_or(&Json::Null);
        diff_json(&format!("evidence.{name}"), expected, found, &mut differences);
    }
    differences
}

/// Objects may have more fields than expected; numbers may be written as text.
fn diff_json(what: &str, expected: &Json, found: &Json, out: &mut Vec<Difference>) {
    match (expected, found) {
        (Json::Object(expected), Json::Object(found)) => {
            for (name, expected) in expected {
                let found = found.get(name).unwrap_or(&Json::Null);
                diff_json(&format!("{what}.{name}"), expected, found, out);
            }
        }
        (Json::Array(expected), Json::Array(found)) if expected.len() == found.len() => {
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                diff_json(&format!("{what}[{index}]"), expected, found, out);
            }
        }
        _ if plain(expected).eq_ignore_ascii_case(&plain(found)) => {}
        _ => out.push(Difference {
            what: what.to_owned(),
            expected: plain(expected),
            found: plain(found),
        }),
    }
}

fn plain(json: &Json) -> String {
    match json {
        Json::String(text) => text.clone(),
        Json::Null => "nothing".to_owned(),
        other => other.to_string(),
    }
}

/// The finding of the same rule that differs least.
fn nearest(expect: &ExpectConfig, free: &[&Seen]) -> Option<(String, Vec<Difference>)> {
    free.iter()
        .filter(|seen| seen.rule() == expect.rule)
        .map(|seen| (seen.finding.title.clone(), differences(expect, seen)))
        .min_by_key(|(_, differences)| differences.len())
}

fn described(expect: &ExpectConfig) -> String {
    let ExpectConfig { rule, count: _, title, severity, key, block, evidence, retracted } = expect;
    let mut text = rule.clone();
    let mut add = |name: &str, value: String| text.push_str(&format!(", {name} {value}"));
    title.iter().for_each(|title| add("title", format!("{title:?}")));
    severity.iter().for_each(|severity| add("severity", severity.to_string()));
    key.iter().for_each(|key| add("key", key.clone()));
    block.iter().for_each(|block| add("block", block.to_string()));
    if *retracted == Some(true) {
        text.push_str(", retracted");
    }
    if !evidence.is_empty() {
        let names: Vec<&str> = evidence.keys().map(String::as_str).collect();
        text.push_str(&format!(", with evidence {}", names.join(", ")));
    }
    text
}

fn unexpected(seen: &Seen) -> Unexpected {
    Unexpected {
        rule: seen.rule().to_owned(),
        title: seen.finding.title.clone(),
        severity: seen.finding.severity,
        block: seen.block(),
        key: Some(seen.key().to_owned()).filter(|key| !key.is_empty()),
        is_retracted: seen.is_retracted,
    }
}
