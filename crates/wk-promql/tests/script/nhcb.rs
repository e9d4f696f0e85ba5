//! Classic histograms made into native ones with custom buckets.

use std::collections::BTreeMap;
use std::sync::Arc;

use wk_model::series::{Buckets, CUSTOM_BUCKETS, Histogram, METRIC_NAME, SampleValue};

use super::Loaded;

#[derive(Default)]
struct Parts {
    /// Upper bound and cumulative count.
    buckets: Vec<(f64, f64)>,
    sum: f64,
    count: Option<f64>,
}

pub(super) fn converted(points: &[Loaded]) -> Vec<Loaded> {
    let mut all: BTreeMap<_, Parts> = BTreeMap::new();
    for (labels, time, value) in points {
        let SampleValue::Float(value) = value else { continue };
        let name = labels.metric_name();
        if let (Some(base), Some(bound)) = (name.strip_suffix("_bucket"), labels.get("le")) {
            let bound = bound.trim_start_matches('+').parse().expect("a bound is a number");
            let key = (labels.with("le", "").with(METRIC_NAME, base), *time);
            all.entry(key).or_default().buckets.push((bound, *value));
        } else if let Some(base) = name.strip_suffix("_sum") {
            all.entry((labels.with(METRIC_NAME, base), *time)).or_default().sum = *value;
        } else if let Some(base) = name.strip_suffix("_count") {
            all.entry((labels.with(METRIC_NAME, base), *time)).or_default().count = Some(*value);
        }
    }
    all.retain(|_, parts| !parts.buckets.is_empty());
    let native = all.into_iter().map(|((labels, time), mut parts)| {
        parts.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        parts.buckets.dedup_by_key(|bucket| bucket.0);
        let total = parts.buckets.last().map_or(0.0, |bucket| bucket.1);
        let bounds = parts.buckets.iter().map(|b| b.0).filter(|bound| bound.is_finite());
        let mut before = 0.0;
        let own = parts.buckets.iter().map(|(_, count)| {
            let own = count - before;
            before = *count;
            own
        });
        let own: Vec<f64> = own.collect();
        let histogram = Histogram {
            schema: CUSTOM_BUCKETS,
            count: parts.count.unwrap_or(total),
            sum: parts.sum,
            custom_bounds: bounds.collect::<Vec<_>>().into(),
            positive: Buckets::from_sorted((0..).zip(own).filter(|(_, count)| *count != 0.0)),
            ..Histogram::default()
        };
        (labels, time, SampleValue::Histogram(Arc::new(histogram)))
    });
    native.collect()
}
