//! Time series as Prometheus knows them: labels, samples, native histograms.

use std::fmt;
use std::sync::Arc;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// The bit pattern that marks a series as ended; another NaN is an ordinary value.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The schema number of histograms whose bucket bounds are given one by one.
pub const CUSTOM_BUCKETS: i32 = -53;

/// The value that marks a series as ended.
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether this very NaN marks the end of a series.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// Name and value of a label.
pub type Label = (Arc<str>, Arc<str>);

/// Label pairs sorted by name, each name once and no value empty; a copy shares them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[Label]>);

impl Default for Labels {
    fn default() -> Labels {
        Labels(Arc::from(Vec::new()))
    }
}

impl Labels {
    /// Sorts the pairs; the last of equal names wins, an empty value means that there is no label.
    pub fn new(mut pairs: Vec<Label>) -> Labels {
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let mut kept: Vec<Label> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match kept.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => kept.push(pair),
            }
        }
        kept.retain(|(_, value)| !value.is_empty());
        Labels(Arc::from(kept))
    }

    /// The same for borrowed text.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
        Labels::new(pairs.into_iter().map(|(n, v)| (Arc::from(n), Arc::from(v))).collect())
    }

    /// Value of the label; `None` when there is none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| &**n == name).map(|(_, value)| &**value)
    }

    /// Name of the metric, or the empty text.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// The pairs in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Label> {
        self.0.iter()
    }

    /// The labels for which the test holds.
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Labels {
        if self.0.iter().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        Labels(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }

    /// Without the metric's name.
    pub fn without_name(&self) -> Labels {
        self.filter(|name| name != METRIC_NAME)
    }

    /// With this label set, or removed when the value is empty.
    pub fn with(&self, name: &str, value: &str) -> Labels {
        let mut pairs = self.0.to_vec();
        pairs.push((Arc::from(name), Arc::from(value)));
        Labels::new(pairs)
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (name, value)) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A value at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// What was measured.
    pub value: SampleValue,
}

/// A number or a histogram.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    /// A number; [`is_stale`] tells the end of a series.
    Float(f64),
    /// A native histogram; a stale sum tells the end of a series.
    Histogram(Arc<Histogram>),
}

impl SampleValue {
    /// Whether this marks the end of a series.
    pub fn is_stale(&self) -> bool {
        match self {
            SampleValue::Float(value) => is_stale(*value),
            SampleValue::Histogram(histogram) => is_stale(histogram.sum),
        }
    }
}

/// What is known about a counter histogram going back to zero before this sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CounterReset {
    /// Nothing: the reader must compare with the sample before.
    #[default]
    Unknown,
    /// It was reset.
    Reset,
    /// It was not reset.
    NotReset,
    /// Not a counter at all.
    Gauge,
}

/// A run of neighbouring buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Gap to the end of the span before; in the first span the index of its first bucket.
    pub offset: i32,
    /// Number of buckets.
    pub length: u32,
}

/// Sparse buckets of one side: runs of indices and their counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    /// Runs in rising order.
    pub spans: Vec<Span>,
    /// One absolute count for each bucket of the runs.
    pub counts: Vec<f64>,
}

impl Buckets {
    /// Index and count of every bucket, in rising order.
    pub fn iter(&self) -> impl Iterator<Item = (i32, f64)> + '_ {
        let mut next = 0i32;
        self.spans
            .iter()
            .flat_map(move |span| {
                let first = next.saturating_add(span.offset);
                next = first.saturating_add_unsigned(span.length);
                first..next
            })
            .zip(self.counts.iter().copied())
    }

    /// Builds runs from rising indices.
    pub fn from_sorted(buckets: impl IntoIterator<Item = (i32, f64)>) -> Buckets {
        let mut built = Buckets::default();
        let mut next = 0i32;
        for (index, count) in buckets {
            match built.spans.last_mut() {
                Some(span) if index == next => span.length += 1,
                _ => built.spans.push(Span { offset: index.wrapping_sub(next), length: 1 }),
            }
            next = index.saturating_add(1);
            built.counts.push(count);
        }
        built
    }
}

/// A native histogram with float counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Resolution: a bucket's bound is 2^(2^-schema) times the one before; or [`CUSTOM_BUCKETS`].
    pub schema: i32,
    /// Half the width of the bucket around zero.
    pub zero_threshold: f64,
    /// Observations in the bucket around zero.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Buckets above zero, or the custom buckets.
    pub positive: Buckets,
    /// Buckets below zero, by absolute value.
    pub negative: Buckets,
    /// Upper bounds of custom buckets; the last bucket, up to +Inf, has none.
    pub custom_bounds: Arc<[f64]>,
    /// Whether the counter went back to zero.
    pub counter_reset: CounterReset,
}

impl Histogram {
    /// Whether bucket bounds are given one by one.
    pub fn has_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS
    }
}

/// A trace or other reference that stands for one observation behind a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// What it refers to, for example `trace_id`.
    pub labels: Labels,
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// The observed value.
    pub value: f64,
}

/// What a metric is, as its producer declared it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Not declared.
    #[default]
    Unknown,
    /// Only rises, but for resets.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Buckets, sum and count; classic or native.
    Histogram,
    /// A histogram that may fall.
    GaugeHistogram,
    /// Quantiles, sum and count.
    Summary,
    /// Facts as labels, the value is 1.
    Info,
    /// One of several states is 1.
    StateSet,
}

impl MetricKind {
    /// All of them with Prometheus' name.
    const NAMES: [(MetricKind, &'static str); 8] = [
        (MetricKind::Unknown, "unknown"),
        (MetricKind::Counter, "counter"),
        (MetricKind::Gauge, "gauge"),
        (MetricKind::Histogram, "histogram"),
        (MetricKind::GaugeHistogram, "gaugehistogram"),
        (MetricKind::Summary, "summary"),
        (MetricKind::Info, "info"),
        (MetricKind::StateSet, "stateset"),
    ];

    /// Prometheus' name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("unknown", |(_, name)| name)
    }

    /// From Prometheus' name; `untyped` is the older word for unknown.
    pub fn from_name(name: &str) -> MetricKind {
        Self::NAMES
            .iter()
            .find(|(_, known)| *known == name)
            .map_or(MetricKind::Unknown, |(k, _)| *k)
    }
}

/// What is told of a metric beside its samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Kind.
    pub kind: MetricKind,
    /// For people.
    pub help: String,
    /// For example `seconds`; empty if none was given.
    pub unit: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_unique() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "1"), ("b", "3"), ("c", "")]);
        assert_eq!(labels.to_string(), r#"{a="1", b="3"}"#);
        assert_eq!(labels.with("a", "").to_string(), r#"{b="3"}"#);
    }

    #[test]
    fn kinds_come_back_from_their_names() {
        for (kind, name) in MetricKind::NAMES {
            assert_eq!((kind.name(), MetricKind::from_name(name)), (name, kind));
        }
        assert_eq!(MetricKind::from_name("untyped"), MetricKind::Unknown);
    }

    #[test]
    fn buckets_come_back_from_their_spans() {
        let pairs = vec![(-3, 1.0), (-2, 2.0), (0, 4.0), (7, 1.0)];
        let buckets = Buckets::from_sorted(pairs.clone());
        assert_eq!(buckets.spans.len(), 3);
        assert_eq!(buckets.iter().collect::<Vec<_>>(), pairs);
    }
}
