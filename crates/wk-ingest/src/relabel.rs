//! Relabelling as Prometheus does it: rules that rewrite, keep or drop label sets.

use md5::{Digest, Md5};
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wk_model::Problem;
use wk_model::series::Labels;

/// One step of relabelling; the keys and their defaults are Prometheus'.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RelabelConfig {
    /// Labels whose values, joined by `separator`, are what the step looks at.
    pub source_labels: Vec<String>,
    /// Stands between the joined values.
    pub separator: String,
    /// What the joined values must match as a whole.
    pub regex: String,
    /// For `hashmod`: what the hash is divided by.
    pub modulus: u64,
    /// The label that is written; `$1` and `${name}` are parts of the match.
    pub target_label: String,
    /// The value that is written; `$1` and `${name}` are parts of the match.
    pub replacement: String,
    /// What is done.
    pub action: RelabelAction,
}

/// What a relabelling step does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RelabelAction {
    /// Writes `replacement` to `target_label` where `regex` matches; an empty value removes it.
    #[default]
    Replace,
    /// Drops what does not match.
    Keep,
    /// Drops what matches.
    Drop,
    /// Drops where the joined values differ from `target_label`'s.
    KeepEqual,
    /// Drops where they are equal.
    DropEqual,
    /// Writes the rest of the values' MD5 hash divided by `modulus`.
    HashMod,
    /// Copies labels whose names match to the name `replacement`.
    LabelMap,
    /// Removes labels whose names match.
    LabelDrop,
    /// Removes labels whose names do not match.
    LabelKeep,
    /// Writes the joined values in lower case.
    Lowercase,
    /// Writes the joined values in upper case.
    Uppercase,
}

impl Default for RelabelConfig {
    fn default() -> RelabelConfig {
        RelabelConfig {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: RelabelAction::Replace,
        }
    }
}

/// Steps ready to be taken.
#[derive(Clone, Debug, Default)]
pub struct Relabelling(Vec<Step>);

#[derive(Clone, Debug)]
struct Step {
    config: RelabelConfig,
    regex: Regex,
}

impl Relabelling {
    /// Checks the steps and makes them ready. `path` is where they stand, for example
    /// `scrape_configs[0].relabel_configs`.
    pub fn build(configs: &[RelabelConfig], path: &str) -> Result<Relabelling, Vec<Problem>> {
        let mut steps = Vec::new();
        let mut problems = Vec::new();
        for (at, config) in configs.iter().enumerate() {
            let here = |key: &str| format!("{path}[{at}].{key}");
            if let Some((key, what, hint)) = fault(config) {
                problems.push(Problem::new(here(key), what).hint(hint));
            }
            match Regex::new(&format!("^(?s:{})$", config.regex)) {
                Ok(regex) => steps.push(Step { config: config.clone(), regex }),
                Err(error) => {
                    let what = format!("`{}` is no regular expression: {error}", config.regex);
                    problems.push(Problem::new(here("regex"), what));
                }
            }
        }
        if problems.is_empty() { Ok(Relabelling(steps)) } else { Err(problems) }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all steps; `None` means dropped.
    pub fn apply(&self, labels: Labels) -> Option<Labels> {
        self.0.iter().try_fold(labels, |labels, step| step.apply(labels))
    }
}

/// What no step may be: key, fault, and how to mend it.
fn fault(config: &RelabelConfig) -> Option<(&'static str, String, &'static str)> {
    use RelabelAction::{
        DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, Lowercase, Replace, Uppercase,
    };
    let action = config.action;
    let writes =
        matches!(action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual);
    if writes && config.target_label.is_empty() {
        let what = format!("{action:?} needs a label to work on");
        return Some(("target_label", what, "Name one with `target_label`."));
    }
    if action == HashMod && config.modulus == 0 {
        let what = "HashMod cannot divide by zero".to_owned();
        return Some(("modulus", what, "Give the number of parts with `modulus`."));
    }
    let by_name = matches!(action, LabelDrop | LabelKeep);
    if by_name && !(config.source_labels.is_empty() && config.target_label.is_empty()) {
        let what = format!("{action:?} looks at label names alone");
        return Some(("action", what, "Leave out all keys but `regex`."));
    }
    None
}

impl Step {
    fn apply(&self, labels: Labels) -> Option<Labels> {
        let config = &self.config;
        let target = config.target_label.as_str();
        let joined = || {
            let mut joined = String::new();
            for (at, name) in config.source_labels.iter().enumerate() {
                if at > 0 {
                    joined.push_str(&config.separator);
                }
                joined.push_str(labels.get(name).unwrap_or_default());
            }
            joined
        };
        match config.action {
            RelabelAction::Keep => self.regex.is_match(&joined()).then_some(labels),
            RelabelAction::Drop => (!self.regex.is_match(&joined())).then_some(labels),
            RelabelAction::KeepEqual => {
                (labels.get(target).unwrap_or_default() == joined()).then_some(labels)
            }
            RelabelAction::DropEqual => {
                (labels.get(target).unwrap_or_default() != joined()).then_some(labels)
            }
            RelabelAction::Replace => Some(self.replace(&joined(), &labels).unwrap_or(labels)),
            RelabelAction::Lowercase => Some(labels.with(target, &joined().to_lowercase())),
            RelabelAction::Uppercase => Some(labels.with(target, &joined().to_uppercase())),
            RelabelAction::HashMod => {
                let hash = Md5::digest(joined().as_bytes());
                let low = hash.last_chunk::<8>().copied().expect("an MD5 hash has 16 bytes");
                let part = u64::from_be_bytes(low) % config.modulus;
                Some(labels.with(target, &part.to_string()))
            }
            RelabelAction::LabelMap => {
                let mapped: Vec<(String, String)> = labels
                    .iter()
                    .filter(|(name, _)| self.regex.is_match(name))
                    .map(|(name, value)| {
                        let name = self.regex.replace(name, &config.replacement);
                        (name.into_owned(), value.to_string())
                    })
                    .collect();
                Some(mapped.iter().fold(labels, |labels, (name, value)| labels.with(name, value)))
            }
            RelabelAction::LabelDrop => Some(labels.filter(|name| !self.regex.is_match(name))),
            RelabelAction::LabelKeep => Some(labels.filter(|name| self.regex.is_match(name))),
        }
    }

    /// `None`: nothing changes.
    fn replace(&self, joined: &str, labels: &Labels) -> Option<Labels> {
        let captures = self.regex.captures(joined)?;
        let mut target = String::new();
        captures.expand(&self.config.target_label, &mut target);
        if target.is_empty() {
            return None;
        }
        let mut value = String::new();
        captures.expand(&self.config.replacement, &mut value);
        Some(labels.with(&target, &value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn relabelling(steps: Value) -> Relabelling {
        let configs: Vec<RelabelConfig> = serde_json::from_value(steps).unwrap();
        Relabelling::build(&configs, "relabel_configs").unwrap()
    }

    #[test]
    fn each_action_does_what_prometheus_does() {
        let check = |steps: Value, expected: Option<&str>| {
            let labels = Labels::from_pairs([("a", "foo"), ("b", "bar"), ("c", "baz")]);
            let seen = relabelling(steps.clone()).apply(labels).map(|labels| labels.to_string());
            assert_eq!(seen.as_deref(), expected, "{steps}");
        };
        check(
            json!([{"source_labels": ["a"], "regex": "f(.*)", "target_label": "d",
                "separator": ";", "replacement": "ch${1}-ch${1}"}]),
            Some(r#"{a="foo", b="bar", c="baz", d="choo-choo"}"#),
        );
        check(
            json!([{"source_labels": ["a", "b"], "regex": "f(.*);(.*)r", "target_label": "${1}x",
                "replacement": "$2"}]),
            Some(r#"{a="foo", b="bar", c="baz", oox="ba"}"#),
        );
        check(
            json!([{"source_labels": ["a"], "regex": "(f).*", "target_label": "b", "replacement": ""}]),
            Some(r#"{a="foo", c="baz"}"#),
        );
        check(json!([{"source_labels": ["a"], "regex": "o", "action": "keep"}]), None);
        check(json!([{"source_labels": ["a"], "regex": ".*o.*", "action": "drop"}]), None);
        check(
            json!([{"source_labels": ["a"], "regex": "x", "target_label": "d"}]),
            Some(r#"{a="foo", b="bar", c="baz"}"#),
        );
        check(json!([{"source_labels": ["a"], "target_label": "b", "action": "keepequal"}]), None);
        check(json!([{"source_labels": ["a"], "target_label": "a", "action": "dropequal"}]), None);
        // The value of Prometheus' own test.
        check(
            json!([{"source_labels": ["c"], "target_label": "d", "action": "hashmod",
                "modulus": 1000}]),
            Some(r#"{a="foo", b="bar", c="baz", d="976"}"#),
        );
        check(
            json!([{"regex": "(b.*)", "replacement": "bar_${1}", "action": "labelmap"}]),
            Some(r#"{a="foo", b="bar", bar_b="bar", c="baz"}"#),
        );
        check(json!([{"regex": "a|b", "action": "labeldrop"}]), Some(r#"{c="baz"}"#));
        check(json!([{"regex": "a|b", "action": "labelkeep"}]), Some(r#"{a="foo", b="bar"}"#));
        check(
            json!([{"source_labels": ["a"], "target_label": "a", "action": "uppercase"},
                {"source_labels": ["a", "a"], "separator": "", "target_label": "b",
                "action": "lowercase"}]),
            Some(r#"{a="FOO", b="foofoo", c="baz"}"#),
        );
    }

    #[test]
    fn faults_name_their_place() {
        let check = |step: Value, place: &str| {
            let config: RelabelConfig = serde_json::from_value(step).unwrap();
            let problems = Relabelling::build(&[config], "r").unwrap_err();
            assert!(format!("{:?}", problems[0]).contains(place), "{problems:?}");
        };
        check(json!({"source_labels": ["a"], "regex": "(", "target_label": "b"}), "r[0].regex");
        check(json!({"source_labels": ["a"]}), "r[0].target_label");
        check(json!({"target_label": "a", "action": "hashmod"}), "r[0].modulus");
        check(json!({"action": "labeldrop", "target_label": "a"}), "r[0].action");
    }
}
