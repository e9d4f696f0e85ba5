//! The program's own metrics: catalogued signals in, Prometheus text out.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use wk_model::series::{METRIC_NAME, Metadata, MetricKind};
use wk_model::write::WriteBatch;
use wk_model::{Labels, Signal, SignalKind};

/// Every series of this program. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<RwLock<BTreeMap<&'static str, Family>>>);

#[derive(Debug)]
struct Family {
    signal: &'static Signal,
    series: BTreeMap<Labels, Value>,
}

#[derive(Clone, Debug)]
enum Value {
    Number(Arc<AtomicU64>),
    Buckets(Arc<Mutex<Buckets>>),
}

#[derive(Debug)]
struct Buckets {
    bounds: &'static [f64],
    counts: Vec<u64>,
    sum: f64,
}

/// A number that only goes up. Clones count together.
#[derive(Clone, Debug)]
pub struct Counter(Arc<AtomicU64>);

/// A number that goes up and down. Clones set the same number.
#[derive(Clone, Debug)]
pub struct Gauge(Arc<AtomicU64>);

/// Counts observations in buckets. Clones count together.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Mutex<Buckets>>);

/// One series as it is now: of a histogram, the count and the sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The signal's definition.
    pub signal: &'static Signal,
    /// Label values, in the signal's order.
    pub labels: Labels,
    /// The number; of a histogram, the sum of what was observed.
    pub value: f64,
    /// Of a histogram, how many were observed.
    pub count: Option<u64>,
}

impl Metrics {
    /// No series yet.
    pub fn new() -> Metrics {
        Metrics::default()
    }

    /// The counter of `signal` with these label values.
    ///
    /// # Panics
    /// When `signal` is no counter, or has another number of labels: a fault in the program.
    pub fn counter(&self, signal: &'static Signal, labels: &[&str]) -> Counter {
        assert_eq!(signal.kind, SignalKind::Counter, "{} is no counter", signal.name);
        match self.series(signal, labels) {
            Value::Number(number) => Counter(number),
            Value::Buckets(_) => unreachable!("a counter holds a number"),
        }
    }

    /// The gauge of `signal` with these label values.
    ///
    /// # Panics
    /// When `signal` is no gauge, or has another number of labels: a fault in the program.
    pub fn gauge(&self, signal: &'static Signal, labels: &[&str]) -> Gauge {
        assert_eq!(signal.kind, SignalKind::Gauge, "{} is no gauge", signal.name);
        match self.series(signal, labels) {
            Value::Number(number) => Gauge(number),
            Value::Buckets(_) => unreachable!("a gauge holds a number"),
        }
    }

    /// The histogram of `signal` with these label values.
    ///
    /// # Panics
    /// When `signal` is no histogram, or has another number of labels: a fault in the program.
    pub fn histogram(&self, signal: &'static Signal, labels: &[&str]) -> Histogram {
        match self.series(signal, labels) {
            Value::Buckets(buckets) => Histogram(buckets),
            Value::Number(_) => panic!("{} is no histogram", signal.name),
        }
    }

    /// Forgets the series with these label values: what they describe is gone.
    pub fn remove(&self, signal: &'static Signal, labels: &[&str]) {
        if let Some(family) = self.0.write().get_mut(signal.name) {
            family.series.retain(|have, _| have != labels);
        }
    }

    /// Forgets all series of `signal` for which `keep` is false.
    pub fn retain(&self, signal: &'static Signal, keep: impl Fn(&Labels) -> bool) {
        if let Some(family) = self.0.write().get_mut(signal.name) {
            family.series.retain(|labels, _| keep(labels));
        }
    }

    /// Every series as it is now, by name and labels.
    pub fn snapshot(&self) -> Vec<Series> {
        let mut all = Vec::new();
        for family in self.0.read().values() {
            for (labels, value) in &family.series {
                let (value, count) = match value {
                    Value::Number(number) => (load(number), None),
                    Value::Buckets(buckets) => {
                        let buckets = buckets.lock();
                        (buckets.sum, Some(buckets.counts.iter().sum()))
                    }
                };
                all.push(Series { signal: family.signal, labels: labels.clone(), value, count });
            }
        }
        all
    }

    /// Everything in Prometheus' text exposition format 0.0.4.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for (name, family) in self.0.read().iter() {
            if family.series.is_empty() {
                continue;
            }
            let signal = family.signal;
            let _ = writeln!(out, "# HELP {name} {}", escape(signal.help, false));
            let _ = writeln!(out, "# TYPE {name} {}", signal.kind.name());
            for (labels, value) in &family.series {
                render_series(&mut out, signal, labels, value);
            }
        }
        out
    }

    /// Adds everything to `batch` as it is now, with `time_ms` as the time and `extra` labels such as
    /// `job` on every series.
    pub fn write_to(&self, batch: &mut WriteBatch, time_ms: i64, extra: &[(&str, &str)]) {
        for (name, family) in self.0.read().iter() {
            let signal = family.signal;
            let kind = MetricKind::from_name(signal.kind.name());
            let help = signal.help.to_owned();
            batch.metadata(name, Metadata { kind, help, unit: String::new() });
            for (labels, value) in &family.series {
                let pairs = signal.labels.iter().copied().zip(labels.iter().map(String::as_str));
                let pairs: Vec<_> = pairs.chain(extra.iter().copied()).collect();
                let mut sample = |suffix: &str, bound: Option<&str>, value: f64| {
                    batch.start_series();
                    batch.label(METRIC_NAME, &format!("{name}{suffix}"));
                    pairs.iter().for_each(|(name, value)| batch.label(name, value));
                    bound.into_iter().for_each(|bound| batch.label("le", bound));
                    batch.float(time_ms, value);
                };
                match value {
                    Value::Number(number) => sample("", None, load(number)),
                    Value::Buckets(buckets) => {
                        let buckets = buckets.lock();
                        for (bound, seen) in buckets.cumulative() {
                            sample("_bucket", Some(&number_text(bound)), seen as f64);
                        }
                        let all: u64 = buckets.counts.iter().sum();
                        sample("_sum", None, buckets.sum);
                        sample("_count", None, all as f64);
                    }
                }
            }
        }
    }

    fn series(&self, signal: &'static Signal, labels: &[&str]) -> Value {
        assert_eq!(signal.labels.len(), labels.len(), "label values of {}", signal.name);
        // Looked up without allocating: this is on the way of every request.
        let same = |have: &Labels| have.iter().map(String::as_str).eq(labels.iter().copied());
        if let Some(family) = self.0.read().get(signal.name)
            && family.series.len() <= 8
            && let Some((_, value)) = family.series.iter().find(|(have, _)| same(have))
        {
            return value.clone();
        }
        let owned: Labels = labels.iter().map(|&label| label.to_owned()).collect();
        if let Some(family) = self.0.read().get(signal.name)
            && let Some(value) = family.series.get(&owned)
        {
            return value.clone();
        }
        let mut families = self.0.write();
        let family = families
            .entry(signal.name)
            .or_insert_with(|| Family { signal, series: BTreeMap::new() });
        let fresh = || match signal.kind {
            SignalKind::Counter | SignalKind::Gauge => Value::Number(Arc::default()),
            SignalKind::Histogram(bounds) => Value::Buckets(Arc::new(Mutex::new(Buckets {
                bounds,
                counts: vec![0; bounds.len() + 1],
                sum: 0.0,
            }))),
        };
        family.series.entry(owned).or_insert_with(fresh).clone()
    }
}

impl Counter {
    /// Counts one.
    pub fn inc(&self) {
        self.add(1.0);
    }

    /// Counts `by`; negative numbers count nothing.
    pub fn add(&self, by: f64) {
        if by > 0.0 {
            update(&self.0, |value| value + by);
        }
    }

    /// The count so far.
    pub fn get(&self) -> f64 {
        load(&self.0)
    }
}

impl Gauge {
    /// Sets the number.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds to the number.
    pub fn add(&self, by: f64) {
        update(&self.0, |value| value + by);
    }

    /// The number now.
    pub fn get(&self) -> f64 {
        load(&self.0)
    }
}

impl Histogram {
    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        let mut buckets = self.0.lock();
        let slot = buckets.bounds.partition_point(|bound| *bound < value);
        buckets.counts[slot] += 1;
        buckets.sum += value;
    }

    /// The upper bound of the bucket in which the `q` quantile (0–1) lies; none when empty.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let buckets = self.0.lock();
        let total: u64 = buckets.counts.iter().sum();
        let mut seen = 0;
        for (slot, count) in buckets.counts.iter().enumerate() {
            seen += count;
            if total > 0 && seen as f64 >= q * total as f64 {
                return Some(buckets.bounds.get(slot).copied().unwrap_or(f64::INFINITY));
            }
        }
        None
    }
}

impl Buckets {
    /// Upper bound of each bucket, and how many observations are not above it.
    fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(&self.counts).scan(0, |seen, (bound, count)| {
            *seen += count;
            Some((bound, *seen))
        })
    }
}

fn load(number: &AtomicU64) -> f64 {
    f64::from_bits(number.load(Ordering::Relaxed))
}

fn update(number: &AtomicU64, change: impl Fn(f64) -> f64) {
    let _ = number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
        Some(change(f64::from_bits(bits)).to_bits())
    });
}

fn render_series(out: &mut String, signal: &Signal, labels: &Labels, value: &Value) {
    let name = signal.name;
    match value {
        Value::Number(number) => {
            let _ = writeln!(
                out,
                "{name}{} {}",
                braces(signal, labels, None),
                number_text(load(number))
            );
        }
        Value::Buckets(buckets) => {
            let buckets = buckets.lock();
            let mut all = 0;
            for (bound, seen) in buckets.cumulative() {
                let braces = braces(signal, labels, Some(&number_text(bound)));
                let _ = writeln!(out, "{name}_bucket{braces} {seen}");
                all = seen;
            }
            let braces = braces(signal, labels, None);
            let _ = writeln!(out, "{name}_sum{braces} {}", number_text(buckets.sum));
            let _ = writeln!(out, "{name}_count{braces} {all}");
        }
    }
}

fn braces(signal: &Signal, labels: &Labels, bound: Option<&str>) -> String {
    let mut pairs: Vec<String> = signal
        .labels
        .iter()
        .zip(labels)
        .map(|(name, value)| format!("{name}=\"{}\"", escape(value, true)))
        .collect();
    pairs.extend(bound.map(|bound| format!("le=\"{bound}\"")));
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

fn escape(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

fn number_text(value: f64) -> String {
    if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use wk_model::Unit;

    use super::*;

    static CALLS: Signal = Signal {
        name: "wk_test_calls_total",
        kind: SignalKind::Counter,
        unit: Unit::Count,
        labels: &["method"],
        help: "Calls made",
    };
    static TOOK: Signal = Signal {
        name: "wk_test_seconds",
        kind: SignalKind::Histogram(&[0.1, 1.0]),
        unit: Unit::Seconds,
        labels: &[],
        help: "Time taken",
    };

    #[test]
    fn a_batch_holds_what_a_page_shows() {
        let metrics = Metrics::new();
        metrics.counter(&CALLS, &["eth_call"]).add(3.0);
        metrics.histogram(&TOOK, &[]).observe(0.5);
        let mut batch = WriteBatch::default();
        metrics.write_to(&mut batch, 7, &[("job", "watchkeeper")]);
        let seen: Vec<String> = batch
            .series()
            .map(|series| format!("{} {:?}", series.label_set(), series.floats))
            .collect();
        assert_eq!(
            seen,
            [
                r#"{__name__="wk_test_calls_total", job="watchkeeper", method="eth_call"} [(7, 3.0)]"#,
                r#"{__name__="wk_test_seconds_bucket", job="watchkeeper", le="0.1"} [(7, 0.0)]"#,
                r#"{__name__="wk_test_seconds_bucket", job="watchkeeper", le="1"} [(7, 1.0)]"#,
                r#"{__name__="wk_test_seconds_bucket", job="watchkeeper", le="+Inf"} [(7, 1.0)]"#,
                r#"{__name__="wk_test_seconds_sum", job="watchkeeper"} [(7, 0.5)]"#,
                r#"{__name__="wk_test_seconds_count", job="watchkeeper"} [(7, 1.0)]"#,
            ]
        );
        assert_eq!(batch.all_metadata()[0].1.kind, MetricKind::Counter);
    }

    #[test]
    fn renders_what_prometheus_reads() {
        let metrics = Metrics::new();
        metrics.counter(&CALLS, &["eth_\"call\"\n"]).inc();
        metrics.counter(&CALLS, &["eth_\"call\"\n"]).add(2.0);
        for value in [0.1, 0.5, 7.0] {
            metrics.histogram(&TOOK, &[]).observe(value);
        }
        let expected = "\
# HELP wk_test_calls_total Calls made
# TYPE wk_test_calls_total counter
wk_test_calls_total{method=\"eth_\\\"call\\\"\\n\"} 3
# HELP wk_test_seconds Time taken
# TYPE wk_test_seconds histogram
wk_test_seconds_bucket{le=\"0.1\"} 1
wk_test_seconds_bucket{le=\"1\"} 2
wk_test_seconds_bucket{le=\"+Inf\"} 3
wk_test_seconds_sum 7.6
wk_test_seconds_count 3
";
        assert_eq!(metrics.render(), expected);
        assert_eq!(metrics.histogram(&TOOK, &[]).quantile(0.5), Some(1.0));
    }

    #[test]
    fn a_removed_series_is_gone() {
        let metrics = Metrics::new();
        metrics.counter(&CALLS, &["a"]).inc();
        metrics.counter(&CALLS, &["b"]).inc();
        metrics.remove(&CALLS, &["a"]);
        assert_eq!(metrics.snapshot().len(), 1);
        assert_eq!(metrics.snapshot()[0].labels, ["b"]);
    }
}
