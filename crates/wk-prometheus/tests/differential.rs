//! The same series and questions for a real Prometheus and for this API.
//!
//! Needs `prometheus` and `promtool` in the path; without them the test says so and is skipped.

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use common::real::{Prometheus, missing};
use common::{Client, Source, serve, sources};
use queries::{known, questions};
use serde_json::Value;
use wk_prometheus::QuerySettings;

/// First sample of all series, and the steps between and after.
const START: i64 = 1_700_000_000;
const STEP: i64 = 15;
const SAMPLES: usize = 480;

/// Labels, the name first, and values.
type Described = (Vec<(&'static str, String)>, Vec<f64>);

/// Series of every kind that queries treat differently.
fn described() -> Vec<Described> {
    let mut all = Vec::new();
    let mut seed = 42u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        f64::from(u32::try_from(seed >> 40).expect("24 bits")) / f64::from(1u32 << 24)
    };
    for instance in ["a:1", "b:1", "c:1"] {
        for job in ["node", "api"] {
            let base = |name: &str| {
                vec![
                    ("__name__", name.to_owned()),
                    ("instance", instance.to_owned()),
                    ("job", job.to_owned()),
                ]
            };
            let with = |name: &str, label: &'static str, value: &str| {
                let mut labels = base(name);
                labels.push((label, value.to_owned()));
                labels
            };
            let up = (0..SAMPLES).map(|at| if at % 97 == 3 { 0.0 } else { 1.0 }).collect();
            all.push((base("up"), up));
            all.push((base("temperature"), (0..SAMPLES).map(|_| random() * 80.0 - 20.0).collect()));
            for code in ["200", "404", "500"] {
                let mut total = 0.0;
                let count = (0..SAMPLES).map(|at| {
                    total = if at % 211 == 200 { 0.0 } else { total + (random() * 9.0).floor() };
                    total
                });
                all.push((with("requests_total", "code", code), count.collect()));
            }
            let bounds = ["0.1", "0.5", "1", "5", "+Inf"];
            let mut counts = [0.0; 5];
            let mut rows: Vec<Vec<f64>> = vec![Vec::new(); bounds.len()];
            for _ in 0..SAMPLES {
                let mut below = 0.0;
                for (count, row) in counts.iter_mut().zip(&mut rows) {
                    below += (random() * 3.0).floor();
                    *count += below;
                    row.push(*count);
                }
            }
            for (bound, row) in bounds.iter().zip(rows) {
                all.push((with("latency_seconds_bucket", "le", bound), row));
            }
            let odd = [f64::NAN, f64::INFINITY, -0.0, 1e-7, 1e21, 123_456_789.125, -5.5e-300];
            all.push((base("odd"), odd.into_iter().cycle().take(SAMPLES).collect()));
        }
    }
    all.push((
        vec![("__name__", "build_info".into()), ("version", "1\"2\\3\né".into())],
        vec![1.0; SAMPLES],
    ));
    all
}

async fn prometheus(all: &[Described]) -> Prometheus {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut page = String::new();
    let mut families: BTreeMap<&str, Vec<&Described>> = BTreeMap::new();
    for series in all {
        families.entry(&series.0[0].1).or_default().push(series);
    }
    for (name, family) in families {
        let _ = writeln!(page, "# TYPE {name} unknown");
        for (labels, values) in family {
            let labels: Vec<String> = labels[1..]
                .iter()
                .map(|(name, value)| {
                    let value =
                        value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                    format!("{name}=\"{value}\"")
                })
                .collect();
            let labels = labels.join(",");
            for (value, time) in values.iter().zip((START..).step_by(15)) {
                let value = match value {
                    v if v.is_nan() => "NaN".to_owned(),
                    v if v.is_infinite() => "+Inf".to_owned(),
                    v => format!("{v:e}"),
                };
                let _ = writeln!(page, "{name}{{{labels}}} {value} {time}");
            }
        }
    }
    page.push_str("# EOF\n");
    let (input, data) = (folder.path().join("page"), folder.path().join("data"));
    std::fs::write(&input, page).expect("the folder can be written");
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&input, &data])
        .output()
        .expect("promtool runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Prometheus::start(folder, "global: {}\n").await
}

/// Our API over the same series.
async fn ours(all: &[Described]) -> Client {
    let mut source = Source::default();
    for (labels, values) in all {
        let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (*n, v.as_str())).collect();
        source.add(&labels, START * 1000, STEP * 1000, values);
    }
    serve(sources(source), QuerySettings::default()).await
}

/// Alike but for the last digits of numbers, which hang on the order of additions, and for the
/// order of vectors, which is not told.
fn alike(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::String(a), Value::String(b)) => a == b || close(a, b),
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b)))
        }
        _ => left == right,
    }
}

fn close(a: &str, b: &str) -> bool {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => false,
    }
}

/// Vectors come in any order unless a query sorts them.
fn in_order(mut answer: Value, sorted: bool) -> Value {
    if let Some(list) = answer.pointer_mut("/data/result").and_then(Value::as_array_mut)
        && !sorted
        && list.first().is_some_and(Value::is_object)
    {
        list.sort_by_key(|item| item["metric"].to_string());
    }
    // The words of errors are our own, and 2.42 has no remarks yet.
    if let Some(answer) = answer.as_object_mut() {
        for key in ["error", "infos", "warnings"] {
            answer.remove(key);
        }
    }
    answer
}

#[path = "differential/chunks.rs"]
mod chunks;
#[path = "differential/queries.rs"]
mod queries;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr)] // The figures are the result; those who ask see them.
async fn answers_are_those_of_prometheus() {
    if missing() {
        return;
    }
    let all = described();
    let real = prometheus(&all).await;
    let ours = ours(&all).await;
    let asked = questions();
    let mut differing = Vec::new();
    let mut expected = BTreeMap::new();
    for (path, parameters) in &asked {
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let sorted = parameters.iter().any(|(_, value)| value.starts_with("sort"));
        let (real_status, real_answer) = real.client.get(path, &parameters).await;
        let (status, answer) = ours.get(path, &parameters).await;
        let (real_answer, answer) = (in_order(real_answer, sorted), in_order(answer, sorted));
        if status == real_status && alike(&answer, &real_answer) {
            continue;
        }
        if let Some(reason) = known(path, &parameters) {
            *expected.entry(reason).or_insert(0) += 1;
            continue;
        }
        let cut = |value: &Value| value.to_string().chars().take(700).collect::<String>();
        let (answer, real) = (cut(&answer), cut(&real_answer));
        differing.push(format!(
            "{path} {parameters:?}\n  ours {status}: {answer}\n  real {real_status}: {real}"
        ));
    }
    eprintln!("{} questions, {} answers differ", asked.len(), differing.len());
    for (reason, count) in &expected {
        eprintln!("{count} differ as expected: {reason}");
    }
    assert!(asked.len() >= 500, "{} questions", asked.len());
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
