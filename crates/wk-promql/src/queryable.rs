//! Where series come from: the seam to a store, and one in memory for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use wk_model::series::{CounterReset, Histogram, Labels, Point, SampleValue};

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

/// A source of series.
pub trait Queryable {
    /// The series that pass all matchers, with their samples of `start_ms..=end_ms`.
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<SeriesData>, QueryError>;
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
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<SeriesData>, QueryError> {
        if start_ms > end_ms {
            return Ok(Vec::new());
        }
        let found = self
            .series
            .iter()
            .filter(|(labels, _)| matchers.iter().all(|matcher| matcher.matches(labels)))
            .map(|(labels, points)| SeriesData {
                labels: labels.clone(),
                points: points
                    .range(start_ms..=end_ms)
                    .map(|(time, value)| Point { time_ms: *time, value: value.clone() })
                    .collect(),
            });
        Ok(found.filter(|series| !series.points.is_empty()).collect())
    }
}
