//! Where series come from: the seam to a store, and one in memory for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use wk_model::series::{CounterReset, Exemplar, Histogram, Labels, Point, SampleValue};

use crate::error::QueryError;
use crate::matcher::Matcher;

/// A series and its samples in the order of time, stale marks included.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesData {
    /// Who it is, with `__name__`.
    pub labels: Labels,
    /// Rising times, each once.
    pub points: Vec<Point>,
}

/// A series and its exemplars in the order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarSeries {
    /// Who it is, with `__name__`.
    pub labels: Labels,
    /// Rising times.
    pub exemplars: Vec<Exemplar>,
}

/// The samples that a part of a query needs.
#[derive(Clone, Copy, Debug)]
pub struct Select<'a> {
    /// All must pass.
    pub matchers: &'a [Matcher],
    /// First time, milliseconds since 1970.
    pub start_ms: i64,
    /// Last time, included.
    pub end_ms: i64,
    /// Ends the reading early.
    pub cancel: &'a Cancel,
}

/// Series of which something is asked that needs none of their samples.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// A series must pass all matchers of one of these; with none given, all series count.
    pub any_of: &'a [Vec<Matcher>],
    /// First time, milliseconds since 1970. A source may tell of more than this span.
    pub start_ms: i64,
    /// Last time, included.
    pub end_ms: i64,
    /// Ends the reading early.
    pub cancel: &'a Cancel,
}

impl Scope<'_> {
    /// Whether the series is one of those that are meant.
    pub fn holds(&self, labels: &Labels) -> bool {
        self.any_of.is_empty()
            || self.any_of.iter().any(|all| all.iter().all(|matcher| matcher.matches(labels)))
    }
}

/// Series one after another, read as they are needed.
pub type SeriesStream<'a> = Box<dyn Iterator<Item = Result<SeriesData, QueryError>> + 'a>;

/// A source of series.
///
/// It is read on a blocking thread, one series after another, so that limits, deadlines and a stop
/// take effect between two of them.
pub trait Queryable: Send + Sync {
    /// The series that pass all matchers and have samples in the span, each label set once, in any
    /// order. A source that works long between two series looks at the cancellation itself.
    fn select<'a>(&'a self, select: &Select<'a>) -> Result<SeriesStream<'a>, QueryError>;

    /// The label sets of the series meant.
    fn series(&self, scope: &Scope<'_>) -> Result<BTreeSet<Labels>, QueryError>;

    /// The names of labels that the series meant have.
    fn label_names(&self, scope: &Scope<'_>) -> Result<BTreeSet<Arc<str>>, QueryError> {
        let series = self.series(scope)?;
        Ok(series.iter().flat_map(Labels::iter).map(|(name, _)| name.clone()).collect())
    }

    /// The values of one label that the series meant have.
    fn label_values(
        &self,
        name: &str,
        scope: &Scope<'_>,
    ) -> Result<BTreeSet<Arc<str>>, QueryError> {
        let series = self.series(scope)?;
        Ok(series.iter().filter_map(|labels| labels.get(name)).map(Arc::from).collect())
    }

    /// The exemplars of the series meant within the span.
    fn exemplars(&self, scope: &Scope<'_>) -> Result<Vec<ExemplarSeries>, QueryError>;
}

/// Ends a query from outside or at a deadline. Copies share the flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Cancel {
    /// Ends by itself at this time.
    pub fn at(deadline: Instant) -> Cancel {
        Cancel { flag: Arc::default(), deadline: Some(deadline) }
    }

    /// Ends what runs with it.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// An error once the query has to end.
    pub fn check(&self) -> Result<(), QueryError> {
        if self.flag.load(Ordering::Relaxed) {
            return Err(QueryError::Stopped);
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(QueryError::TimedOut),
            _ => Ok(()),
        }
    }
}

/// Series held in memory.
#[derive(Debug, Default)]
pub struct MemorySeries {
    series: BTreeMap<Labels, BTreeMap<i64, SampleValue>>,
}

impl MemorySeries {
    /// Adds a sample; one of the same time is replaced. Says for a histogram that comes after
    /// another whether the counter was reset in between, as a store does when it packs chunks.
    pub fn append(&mut self, labels: &Labels, time_ms: i64, value: SampleValue) {
        let points = self.series.entry(labels.clone()).or_default();
        let value = match value {
            SampleValue::Histogram(histogram) if !value_is_stale(&histogram) => {
                let before = points.range(..time_ms).next_back().map(|(_, value)| value);
                let mut histogram = Arc::unwrap_or_clone(histogram);
                histogram.counter_reset = known_reset(&histogram, before);
                SampleValue::Histogram(Arc::new(histogram))
            }
            other => other,
        };
        points.insert(time_ms, value);
    }
}

fn value_is_stale(histogram: &Histogram) -> bool {
    wk_model::series::is_stale(histogram.sum)
}

fn known_reset(histogram: &Histogram, before: Option<&SampleValue>) -> CounterReset {
    match (histogram.counter_reset, before) {
        (CounterReset::Gauge, _) => CounterReset::Gauge,
        (CounterReset::Reset, _) => CounterReset::Reset,
        (_, Some(SampleValue::Histogram(before)))
            if !value_is_stale(before) && before.counter_reset != CounterReset::Gauge =>
        {
            let plain = Histogram { counter_reset: CounterReset::Unknown, ..histogram.clone() };
            if crate::histogram::was_reset(&plain, before) {
                CounterReset::Reset
            } else {
                CounterReset::NotReset
            }
        }
        _ => CounterReset::Unknown,
    }
}

impl Queryable for MemorySeries {
    fn select<'a>(&'a self, select: &Select<'a>) -> Result<SeriesStream<'a>, QueryError> {
        let Select { matchers, start_ms, end_ms, cancel } = *select;
        let found = self
            .series
            .iter()
            .filter(|(labels, _)| matchers.iter().all(|matcher| matcher.matches(labels)))
            .map(move |(labels, points)| {
                cancel.check()?;
                Ok(SeriesData { labels: labels.clone(), points: within(points, start_ms, end_ms) })
            });
        Ok(Box::new(found.filter(|series| !matches!(series, Ok(s) if s.points.is_empty()))))
    }

    fn series(&self, scope: &Scope<'_>) -> Result<BTreeSet<Labels>, QueryError> {
        let found = self.series.iter().filter(|(labels, points)| {
            scope.holds(labels) && !within(points, scope.start_ms, scope.end_ms).is_empty()
        });
        Ok(found.map(|(labels, _)| labels.clone()).collect())
    }

    fn exemplars(&self, _: &Scope<'_>) -> Result<Vec<ExemplarSeries>, QueryError> {
        Ok(Vec::new())
    }
}

fn within(points: &BTreeMap<i64, SampleValue>, start_ms: i64, end_ms: i64) -> Vec<Point> {
    if start_ms > end_ms {
        return Vec::new();
    }
    points
        .range(start_ms..=end_ms)
        .map(|(time, value)| Point { time_ms: *time, value: value.clone() })
        .collect()
}
