//! Prometheus' test language: load series, evaluate, compare.

mod nhcb;
mod values;

use wk_model::series::{Histogram, Labels, SampleValue};
use wk_promql::{
    Cancel, Engine, MemorySeries, Output, ParseOptions, Query, ResultSeries, duration_ms,
};

use values::{Described, described};

/// What became of one file.
#[derive(Default)]
pub(crate) struct Outcome {
    pub passed: usize,
    /// Line and reason.
    pub failures: Vec<(usize, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Fail,
    Warn,
    Info,
    NoWarn,
    NoInfo,
    Ordered,
}

enum Match {
    Any,
    Exactly(String),
    Pattern(regex::Regex),
}

#[derive(Default)]
struct Expected {
    kinds: Vec<(Kind, Match)>,
    text: Option<String>,
    /// Start, end and step of a range vector.
    range: Option<(i64, i64, i64)>,
    scalar: Option<f64>,
    series: Vec<Described>,
}

/// Runs a file's commands in order.
pub(crate) fn run(text: &str) -> Outcome {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .map(|line| if line.starts_with('#') { "" } else { line })
        .collect();
    let mut outcome = Outcome::default();
    let mut store = MemorySeries::default();
    let mut at = 0;
    while at < lines.len() {
        let number = at + 1;
        let head = lines[at];
        at += 1;
        if head.is_empty() {
            continue;
        }
        if head == "clear" {
            store = MemorySeries::default();
            continue;
        }
        let mut body = Vec::new();
        while at < lines.len() && !lines[at].is_empty() {
            body.push(lines[at]);
            at += 1;
        }
        if head.starts_with("load") {
            if let Err(reason) = load(&mut store, head, &body) {
                outcome.failures.push((number, reason));
            }
        } else {
            match check(&store, head, &body) {
                Ok(()) => outcome.passed += 1,
                Err(reason) => outcome.failures.push((number, format!("{reason} | {head}"))),
            }
        }
    }
    outcome
}

fn time(word: &str) -> Result<i64, String> {
    if let Some(rest) = word.strip_prefix('-') {
        return Ok(-time(rest)?);
    }
    match word.parse::<f64>() {
        #[allow(clippy::cast_possible_truncation)]
        Ok(seconds) => Ok((seconds * 1000.0) as i64),
        Err(_) => duration_ms(word).map_err(|reason| format!("{word}: {reason}")),
    }
}

fn load(store: &mut MemorySeries, head: &str, body: &[&str]) -> Result<(), String> {
    let mut words = head.split_whitespace();
    let with_nhcb = words.next() == Some("load_with_nhcb");
    let step = time(words.next().ok_or("load needs an interval")?)?;
    let mut all = Vec::new();
    for line in body {
        all.push(described(line)?);
    }
    let mut points = Vec::new();
    for series in &all {
        let mut at = 0;
        for value in &series.values {
            if let Some(value) = value {
                points.push((series.labels.clone(), at, value.clone()));
            }
            at += step;
        }
    }
    if with_nhcb {
        points.extend(nhcb::converted(&points));
    }
    for (labels, at, value) in points {
        store.append(&labels, at, value);
    }
    Ok(())
}

fn check(store: &MemorySeries, head: &str, body: &[&str]) -> Result<(), String> {
    let (command, rest) = head.split_once(char::is_whitespace).ok_or("not a command")?;
    let mut expected = expectations(body)?;
    match command {
        "eval" => {}
        "eval_fail" => expected.kinds.push((Kind::Fail, Match::Any)),
        "eval_warn" => expected.kinds.push((Kind::Warn, Match::Any)),
        "eval_info" => expected.kinds.push((Kind::Info, Match::Any)),
        "eval_ordered" => expected.kinds.push((Kind::Ordered, Match::Any)),
        other => return Err(format!("unknown command {other}")),
    }
    let mut rest = rest.trim();
    let mut word = || -> Result<&str, String> {
        let (word, after) = rest.split_once(char::is_whitespace).ok_or("line ends early")?;
        rest = after.trim_start();
        Ok(word)
    };
    let (start, end, step) = match word()? {
        "instant" => {
            word()?;
            let at = time(word()?)?;
            (at, at, None)
        }
        "range" => {
            word()?;
            let start = time(word()?)?;
            word()?;
            let end = time(word()?)?;
            word()?;
            (start, end, Some(time(word()?)?))
        }
        other => return Err(format!("unknown kind of evaluation {other}")),
    };
    let parse = ParseOptions { experimental: true };
    let engine = Engine { parse, ..Engine::default() };
    let query = Query { text: rest, start_ms: start, end_ms: end, step_ms: step };
    let answer = engine.query(store, &query, &Cancel::default());
    let fails: Vec<_> = expected.kinds.iter().filter(|(kind, _)| *kind == Kind::Fail).collect();
    let answer = match (answer, fails.is_empty()) {
        (Err(error), true) => return Err(format!("failed: {error}")),
        (Ok(_), false) => return Err("should fail but has an answer".to_owned()),
        (Err(error), false) => {
            let text = error.to_string();
            let missed = fails.iter().any(|(_, wanted)| !wanted.holds(&text));
            return if missed { Err(format!("fails in other words: {text}")) } else { Ok(()) };
        }
        (Ok(answer), true) => answer,
    };
    let warnings = answer.annotations.warnings(rest);
    let infos = answer.annotations.infos(rest);
    remarks(&expected, Kind::Warn, Kind::NoWarn, &warnings)?;
    remarks(&expected, Kind::Info, Kind::NoInfo, &infos)?;
    compare(&expected, answer.output, start, step)
}

fn remarks(expected: &Expected, some: Kind, none: Kind, got: &[String]) -> Result<(), String> {
    let wanted: Vec<&Match> =
        expected.kinds.iter().filter(|(kind, _)| *kind == some).map(|(_, m)| m).collect();
    for one in &wanted {
        if !got.iter().any(|text| one.holds(text)) {
            return Err(format!("expected {some:?} not among {got:?}"));
        }
    }
    if !wanted.is_empty() {
        for text in got {
            if !wanted.iter().any(|one| one.holds(text)) {
                return Err(format!("unexpected {some:?} {text:?}"));
            }
        }
    }
    if expected.kinds.iter().any(|(kind, _)| *kind == none) && !got.is_empty() {
        return Err(format!("{none:?}, but got {got:?}"));
    }
    Ok(())
}

impl Match {
    fn holds(&self, text: &str) -> bool {
        match self {
            Match::Any => true,
            Match::Exactly(wanted) => wanted == text,
            Match::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

fn expectations(body: &[&str]) -> Result<Expected, String> {
    let mut expected = Expected::default();
    for line in body {
        let Some(rest) = line.strip_prefix("expect ") else {
            if let Some(message) = line.strip_prefix("expected_fail_message ") {
                expected.kinds.push((Kind::Fail, Match::Exactly(message.trim().to_owned())));
            } else if let Some(pattern) = line.strip_prefix("expected_fail_regexp ") {
                let pattern = regex::Regex::new(pattern.trim()).map_err(|e| e.to_string())?;
                expected.kinds.push((Kind::Fail, Match::Pattern(pattern)));
            } else if let Some(value) = values::plain_number(line) {
                expected.scalar = Some(value);
            } else {
                expected.series.push(described(line)?);
            }
            continue;
        };
        let rest = rest.trim();
        let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let rest = rest.trim();
        let kind = match kind {
            "fail" => Kind::Fail,
            "warn" => Kind::Warn,
            "info" => Kind::Info,
            "no_warn" => Kind::NoWarn,
            "no_info" => Kind::NoInfo,
            "ordered" => Kind::Ordered,
            "string" => {
                expected.text = Some(rest[1..rest.len() - 1].to_owned());
                continue;
            }
            "range" => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                let [_, _, start, _, end, _, step] = words[..] else {
                    return Err(format!("unknown expectation {line}"));
                };
                expected.range = Some((time(start)?, time(end)?, time(step)?));
                continue;
            }
            _ => return Err(format!("unknown expectation {line}")),
        };
        let wanted = if let Some(message) = rest.strip_prefix("msg:") {
            Match::Exactly(message.trim().to_owned())
        } else if let Some(pattern) = rest.strip_prefix("regex:") {
            Match::Pattern(regex::Regex::new(pattern.trim()).map_err(|e| e.to_string())?)
        } else {
            Match::Any
        };
        expected.kinds.push((kind, wanted));
    }
    Ok(expected)
}

fn compare(
    expected: &Expected,
    output: Output,
    start: i64,
    step: Option<i64>,
) -> Result<(), String> {
    let (got, start, step) = match output {
        Output::Text(text) => {
            return match &expected.text {
                Some(wanted) if *wanted == text => Ok(()),
                wanted => Err(format!("text {text:?}, expected {wanted:?}")),
            };
        }
        Output::Scalar(value) => {
            return match expected.scalar {
                Some(wanted) if close(wanted, value) => Ok(()),
                wanted => Err(format!("scalar {value}, expected {wanted:?}")),
            };
        }
        Output::Vector(series) => (series, start, 1),
        Output::Matrix(series) => match expected.range {
            Some((start, _, step)) => (series, start, step),
            None => (series, start, step.unwrap_or(1)),
        },
    };
    let ordered = expected.kinds.iter().any(|(kind, _)| *kind == Kind::Ordered);
    let shown = |series: &[ResultSeries]| {
        let text = format!("{series:?}");
        text.chars().take(300).collect::<String>()
    };
    let wanted: Vec<&Described> =
        expected.series.iter().filter(|s| s.values.iter().any(Option::is_some)).collect();
    if wanted.len() != got.len() {
        let (some, other) = (got.len(), wanted.len());
        return Err(format!("{some} series, expected {other}: {}", shown(&got)));
    }
    for (at, one) in wanted.iter().enumerate() {
        let found = got.iter().position(|series| series.labels == one.labels);
        let Some(place) = found else {
            return Err(format!("no series {}: {}", one.labels, shown(&got)));
        };
        if ordered && place != at {
            return Err(format!("{} is at place {place}, expected {at}", one.labels));
        }
        let mut points = Vec::new();
        let mut time = start;
        for (value, check_hint) in one.values.iter().zip(&one.hints) {
            if let Some(value) = value {
                points.push((time, value, *check_hint));
            }
            time += step;
        }
        let series = &got[place];
        if points.len() != series.points.len() {
            return Err(format!(
                "{}: {} points, expected {}: {}",
                one.labels,
                series.points.len(),
                points.len(),
                shown(&got[place..=place])
            ));
        }
        for ((time, value, check_hint), point) in points.iter().zip(&series.points) {
            if *time != point.time_ms || !same(value, &point.value, *check_hint) {
                return Err(format!(
                    "{} at {}: {:?}, expected {value:?} at {time}",
                    one.labels, point.time_ms, point.value
                ));
            }
        }
    }
    Ok(())
}

fn same(wanted: &SampleValue, got: &SampleValue, check_hint: bool) -> bool {
    match (wanted, got) {
        (SampleValue::Float(a), SampleValue::Float(b)) => close(*a, *b),
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => {
            same_histogram(a, b) && (!check_hint || a.counter_reset == b.counter_reset)
        }
        _ => false,
    }
}

fn same_histogram(a: &Histogram, b: &Histogram) -> bool {
    let filled = |buckets: &wk_model::series::Buckets| {
        buckets.iter().filter(|(_, count)| *count != 0.0).collect::<Vec<_>>()
    };
    let equal = |a: &wk_model::series::Buckets, b: &wk_model::series::Buckets| {
        let (a, b) = (filled(a), filled(b));
        a.len() == b.len() && a.iter().zip(&b).all(|(x, y)| x.0 == y.0 && close(x.1, y.1))
    };
    a.schema == b.schema
        && close(a.count, b.count)
        && close(a.sum, b.sum)
        && close(a.zero_threshold, b.zero_threshold)
        && close(a.zero_count, b.zero_count)
        && (!a.has_custom_buckets() || a.custom_bounds == b.custom_bounds)
        && equal(&a.positive, &b.positive)
        && equal(&a.negative, &b.negative)
}

/// Equal up to one part in a million.
fn close(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    let difference = (a - b).abs();
    a == b
        || (a == 0.0 || b == 0.0) && difference < 1e-6 * f64::MIN_POSITIVE
        || difference / (a.abs() + b.abs()).min(f64::MAX) < 1e-6
}

/// Used by the parts of this module.
type Loaded = (Labels, i64, SampleValue);
