//! Recording and alerting rules and what they found.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Nothing;

/// Whether the last evaluation worked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It was not evaluated yet.
    #[default]
    Unknown,
    /// It worked.
    Ok,
    /// It failed.
    Err,
}

/// How far an alert is; a rule is as far as its furthest alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Its rule was not evaluated yet.
    Unknown,
    /// Its condition does not hold.
    #[default]
    Inactive,
    /// It holds, but not yet for long enough.
    Pending,
    /// It holds.
    Firing,
}

/// An alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Labels, with `alertname`.
    pub labels: BTreeMap<String, String>,
    /// Filled templates.
    pub annotations: BTreeMap<String, String>,
    /// How far it is.
    pub state: AlertState,
    /// Since when its condition holds, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_at: Option<String>,
    /// Since when it fires only by `keep_firing_for`, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_since: Option<String>,
    /// The expression's value; written with an exponent.
    #[serde(serialize_with = "with_exponent")]
    pub value: f64,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// What is only told of its kind.
    #[serde(flatten)]
    pub kind: RuleKind,
    /// Name of the alert or of the recorded metric.
    pub name: String,
    /// The expression as the tree of `wk-promql` is printed.
    pub query: String,
    /// Whether the last evaluation worked.
    pub health: Health,
    /// Why it failed; empty if it did not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_error: String,
    /// How long the last evaluation took, in seconds.
    pub evaluation_time: f64,
    /// When that was, RFC 3339.
    pub last_evaluation: String,
}

impl Rule {
    /// Labels that are added.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        match &self.kind {
            RuleKind::Recording { labels } | RuleKind::Alerting { labels, .. } => labels,
        }
    }
}

/// What is only told of one kind of rules.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum RuleKind {
    /// Writes series.
    Recording {
        /// Labels that are added.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        labels: BTreeMap<String, String>,
    },
    /// Makes alerts.
    #[serde(rename_all = "camelCase")]
    Alerting {
        /// The furthest of its alerts.
        state: AlertState,
        /// `for`, in seconds.
        duration: f64,
        /// `keep_firing_for`, in seconds.
        keep_firing_for: f64,
        /// Labels that are added, with their templates.
        labels: BTreeMap<String, String>,
        /// Templates.
        annotations: BTreeMap<String, String>,
        /// Its alerts that are pending or firing.
        alerts: Vec<Alert>,
    },
}

/// Rules that are evaluated one after another.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleGroup {
    /// Its name, unique within the file.
    pub name: String,
    /// Where it was read.
    pub file: String,
    /// In the order of evaluation.
    pub rules: Vec<Rule>,
    /// Between two evaluations, in seconds.
    pub interval: f64,
    /// Alerts or series that one rule may give; 0 for no limit.
    pub limit: usize,
    /// How long the last evaluation took, in seconds.
    pub evaluation_time: f64,
    /// When that was, RFC 3339.
    pub last_evaluation: String,
}

/// Knows the rules. Calls answer from memory.
pub trait Rules: Send + Sync {
    /// All groups, sorted by file and name.
    fn groups(&self) -> Vec<RuleGroup>;

    /// Addresses of the Alertmanagers that alerts go to.
    fn alertmanagers(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Rules for Nothing {
    fn groups(&self) -> Vec<RuleGroup> {
        Vec::new()
    }
}

/// `1e+00`, as Prometheus writes an alert's value.
fn with_exponent<S: serde::Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if !value.is_finite() {
        return serializer.serialize_str(&crate::json::number_text(*value));
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, size) = match exponent.strip_prefix('-') {
        Some(size) => ('-', size),
        None => ('+', exponent),
    };
    serializer.serialize_str(&format!("{digits}e{sign}{size:0>2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alerting_rule_is_written_as_prometheus_does() {
        let alert = Alert {
            labels: BTreeMap::from([("alertname".into(), "Down".into())]),
            state: AlertState::Firing,
            active_at: Some("2026-01-01T00:00:00Z".into()),
            value: 0.05,
            ..Alert::default()
        };
        let rule = Rule {
            kind: RuleKind::Alerting {
                state: AlertState::Firing,
                duration: 60.0,
                keep_firing_for: 0.0,
                labels: BTreeMap::new(),
                annotations: BTreeMap::new(),
                alerts: vec![alert],
            },
            name: "Down".into(),
            query: "up == 0".into(),
            health: Health::Ok,
            last_error: String::new(),
            evaluation_time: 0.001,
            last_evaluation: "2026-01-01T00:00:00Z".into(),
        };
        let written = serde_json::to_value(&rule).expect("it can be written");
        let expected = serde_json::json!({
            "type": "alerting", "name": "Down", "query": "up == 0", "state": "firing",
            "duration": 60.0, "keepFiringFor": 0.0, "labels": {}, "annotations": {}, "health": "ok",
            "evaluationTime": 0.001, "lastEvaluation": "2026-01-01T00:00:00Z",
            "alerts": [{
                "labels": {"alertname": "Down"}, "annotations": {}, "state": "firing",
                "activeAt": "2026-01-01T00:00:00Z", "value": "5e-02",
            }],
        });
        assert_eq!(written, expected);
    }
}
