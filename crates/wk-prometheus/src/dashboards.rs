//! Grafana dashboards made from the catalogue of metrics: a metric that is added has its panel.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wk_model::{Signal, SignalKind, Unit};

/// A dashboard's name, title and the beginnings of its metrics' names.
struct Board {
    name: &'static str,
    title: &'static str,
    prefixes: &'static [&'static str],
}

/// From the most to the least particular; the last takes what is left.
const BOARDS: [Board; 6] = [
    Board { name: "rpc", title: "Endpoints", prefixes: &["wk_rpc_"] },
    Board {
        name: "chains",
        title: "Chains",
        prefixes: &["wk_chain_", "wk_coverage_", "wk_node_", "wk_mempool_", "wk_skipped_"],
    },
    Board {
        name: "security",
        title: "Transactions and contracts",
        prefixes: &[
            "wk_contract_",
            "wk_detector_",
            "wk_inspect",
            "wk_uninspected_",
            "wk_pending_",
            "wk_simulat",
            "wk_seen_",
        ],
    },
    Board {
        name: "alerting",
        title: "Findings and messages",
        prefixes: &[
            "wk_findings_",
            "wk_rule_",
            "wk_deliver",
            "wk_outbox_",
            "wk_canary_",
            "wk_deadman_",
        ],
    },
    Board { name: "store", title: "Store", prefixes: &["wk_store_", "wk_commit_"] },
    Board { name: "program", title: "Program", prefixes: &[""] },
];

/// Panels in a row, and how wide and high each is on Grafana's grid of 24 columns.
const IN_ROW: usize = 3;
const WIDTH: usize = 8;
const HEIGHT: usize = 8;

/// File name and JSON of each dashboard that has metrics.
pub fn dashboards<'a>(signals: impl IntoIterator<Item = &'a Signal>) -> Vec<(String, Value)> {
    let mut boards: BTreeMap<usize, Vec<&Signal>> = BTreeMap::new();
    for signal in signals {
        let takes = |board: &Board| board.prefixes.iter().any(|p| signal.name.starts_with(p));
        let at = BOARDS.iter().position(takes).unwrap_or(BOARDS.len() - 1);
        boards.entry(at).or_default().push(signal);
    }
    let made = boards.into_iter().map(|(at, mut signals)| {
        signals.sort_by_key(|signal| signal.name);
        let board = &BOARDS[at];
        (format!("watchkeeper-{}.json", board.name), dashboard(board, &signals))
    });
    made.collect()
}

fn dashboard(board: &Board, signals: &[&Signal]) -> Value {
    let variables = variables(signals);
    let panels: Vec<Value> =
        signals.iter().enumerate().map(|(at, signal)| panel(at, signal, &variables)).collect();
    let source = json!({
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
    });
    let narrowing = variables.iter().map(|(label, metric)| {
        json!({
            "name": label, "label": label, "type": "query",
            "datasource": datasource(),
            "query": {"query": format!("label_values({metric}, {label})"), "refId": label},
            "refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".*",
        })
    });
    json!({
        "uid": format!("watchkeeper-{}", board.name),
        "title": format!("Watchkeeper: {}", board.title),
        "tags": ["watchkeeper"],
        "schemaVersion": 39,
        "editable": true,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": std::iter::once(source).chain(narrowing).collect::<Vec<_>>()},
        "panels": panels,
    })
}

/// Labels that most of the metrics have, each with a metric that has it: by these one narrows down.
fn variables(signals: &[&Signal]) -> Vec<(&'static str, String)> {
    let mut seen: BTreeMap<&'static str, (usize, String)> = BTreeMap::new();
    for signal in signals {
        for label in signal.labels {
            let (count, _) = seen.entry(label).or_insert_with(|| (0, series(signal)));
            *count += 1;
        }
    }
    let often = seen.into_iter().filter(|(_, (count, _))| count * 2 >= signals.len());
    often.map(|(label, (_, metric))| (label, metric)).collect()
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// A metric's name as its series have it.
fn series(signal: &Signal) -> String {
    match signal.kind {
        SignalKind::Counter | SignalKind::Gauge => signal.name.to_owned(),
        SignalKind::Histogram(_) => format!("{}_bucket", signal.name),
    }
}

fn panel(at: usize, signal: &Signal, variables: &[(&'static str, String)]) -> Value {
    let narrowed: Vec<String> = variables
        .iter()
        .filter(|(label, _)| signal.labels.contains(label))
        .map(|(label, _)| format!("{label}=~\"${label}\""))
        .collect();
    let selector = match narrowed.as_slice() {
        [] => series(signal),
        all => format!("{}{{{}}}", series(signal), all.join(",")),
    };
    let by = signal.labels.join(", ");
    let legend: Vec<String> =
        signal.labels.iter().map(|label| format!("{{{{{label}}}}}")).collect();
    let legend = legend.join(" ");
    let rate = format!("rate({selector}[$__rate_interval])");
    let targets: Vec<(String, String)> = match signal.kind {
        SignalKind::Counter => vec![(format!("sum by ({by}) ({rate})"), legend)],
        SignalKind::Gauge => vec![(format!("max by ({by}) ({selector})"), legend)],
        SignalKind::Histogram(_) => {
            let groups = if by.is_empty() { "le".to_owned() } else { format!("le, {by}") };
            let quantile = |(text, name): (&str, &str)| {
                let expression = format!("histogram_quantile({text}, sum by ({groups}) ({rate}))");
                (expression, format!("{name} {legend}").trim_end().to_owned())
            };
            [("0.5", "median"), ("0.9", "90 %"), ("0.99", "99 %")].map(quantile).to_vec()
        }
    };
    let targets: Vec<Value> = targets
        .into_iter()
        .zip('A'..)
        .map(|((expression, legend), id)| {
            let legend = if legend.is_empty() { signal.name.to_owned() } else { legend };
            json!({
                "refId": id.to_string(), "datasource": datasource(), "editorMode": "code",
                "range": true, "expr": expression, "legendFormat": legend,
            })
        })
        .collect();
    json!({
        "id": at + 1,
        "type": "timeseries",
        "title": signal.name,
        "description": signal.help,
        "datasource": datasource(),
        "gridPos": {
            "x": at % IN_ROW * WIDTH, "y": at / IN_ROW * HEIGHT, "w": WIDTH, "h": HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": unit(signal)}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": true}},
        "targets": targets,
    })
}

/// Grafana's name of the unit; what is counted is shown per second.
fn unit(signal: &Signal) -> &'static str {
    let per_second = signal.kind == SignalKind::Counter;
    match (signal.unit, per_second) {
        (Unit::Seconds, false) => "s",
        // Seconds per second are a part of the time.
        (Unit::Seconds, true) | (Unit::Ratio, _) => "percentunit",
        (Unit::Bytes, false) => "bytes",
        (Unit::Bytes, true) => "Bps",
        (Unit::Count, true) => "cps",
        (Unit::Flag, _) => "bool_yes_no",
        (Unit::Gas | Unit::Wei | Unit::Blocks, _) | (Unit::Count, false) => "short",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNALS: [Signal; 5] = [
        Signal {
            name: "wk_chain_height",
            kind: SignalKind::Gauge,
            unit: Unit::Blocks,
            labels: &["chain"],
            help: "Height",
        },
        Signal {
            name: "wk_chain_fetch_seconds",
            kind: SignalKind::Histogram(&[1.0]),
            unit: Unit::Seconds,
            labels: &["chain"],
            help: "Time",
        },
        Signal {
            name: "wk_chain_traced_blocks_total",
            kind: SignalKind::Counter,
            unit: Unit::Count,
            labels: &["chain", "source", "result"],
            help: "Blocks",
        },
        Signal {
            name: "wk_queue_depth",
            kind: SignalKind::Gauge,
            unit: Unit::Count,
            labels: &[],
            help: "Depth",
        },
        Signal {
            name: "wk_start_seconds",
            kind: SignalKind::Histogram(&[1.0]),
            unit: Unit::Seconds,
            labels: &[],
            help: "Start",
        },
    ];

    fn expressions(board: &Value) -> Vec<String> {
        let panels = board["panels"].as_array().expect("it has panels").iter();
        let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("it has targets"));
        targets.map(|target| target["expr"].as_str().expect("it is text").to_owned()).collect()
    }

    #[test]
    fn every_metric_has_a_panel_that_can_be_asked() {
        let made = dashboards(&SIGNALS);
        let names: Vec<&str> = made.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["watchkeeper-chains.json", "watchkeeper-program.json"]);
        let all: Vec<String> = made.iter().flat_map(|(_, board)| expressions(board)).collect();
        assert_eq!(
            all,
            [
                r#"histogram_quantile(0.5, sum by (le, chain) (rate(wk_chain_fetch_seconds_bucket{chain=~"$chain"}[$__rate_interval])))"#,
                r#"histogram_quantile(0.9, sum by (le, chain) (rate(wk_chain_fetch_seconds_bucket{chain=~"$chain"}[$__rate_interval])))"#,
                r#"histogram_quantile(0.99, sum by (le, chain) (rate(wk_chain_fetch_seconds_bucket{chain=~"$chain"}[$__rate_interval])))"#,
                r#"max by (chain) (wk_chain_height{chain=~"$chain"})"#,
                r#"sum by (chain, source, result) (rate(wk_chain_traced_blocks_total{chain=~"$chain"}[$__rate_interval]))"#,
                "max by () (wk_queue_depth)",
                "histogram_quantile(0.5, sum by (le) (rate(wk_start_seconds_bucket[$__rate_interval])))",
                "histogram_quantile(0.9, sum by (le) (rate(wk_start_seconds_bucket[$__rate_interval])))",
                "histogram_quantile(0.99, sum by (le) (rate(wk_start_seconds_bucket[$__rate_interval])))",
            ]
        );
        for expression in all {
            // Grafana puts durations and values in the places of its variables.
            let asked = expression.replace("$__rate_interval", "1m").replace("$chain", ".*");
            wk_promql::parse(&asked).unwrap_or_else(|error| panic!("{asked}: {error}"));
        }
        let variables = made[0].1["templating"]["list"].as_array().expect("it has variables");
        assert_eq!(
            variables[1]["query"]["query"],
            "label_values(wk_chain_fetch_seconds_bucket, chain)"
        );
    }
}
