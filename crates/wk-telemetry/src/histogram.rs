//! Native histograms and exemplars as bytes.

use std::sync::Arc;

use wk_model::series::{Buckets, CounterReset, Exemplar, Histogram, Labels, Span};

use crate::bytes::{Put, Take};

/// Appends the histogram.
pub(crate) fn put_histogram(out: &mut Vec<u8>, histogram: &Histogram) {
    out.push(match histogram.counter_reset {
        CounterReset::Unknown => 0,
        CounterReset::Reset => 1,
        CounterReset::NotReset => 2,
        CounterReset::Gauge => 3,
    });
    out.put_i64(histogram.schema.into());
    for number in [histogram.zero_threshold, histogram.zero_count, histogram.count, histogram.sum] {
        out.put_f64(number);
    }
    for buckets in [&histogram.positive, &histogram.negative] {
        out.put_u64(buckets.spans.len() as u64);
        for span in &buckets.spans {
            out.put_i64(span.offset.into());
            out.put_u64(span.length.into());
        }
        put_numbers(out, &buckets.counts);
    }
    put_numbers(out, &histogram.custom_bounds);
}

/// Takes a histogram.
pub(crate) fn take_histogram(take: &mut Take<'_>) -> Option<Histogram> {
    let counter_reset = match take.byte()? {
        0 => CounterReset::Unknown,
        1 => CounterReset::Reset,
        2 => CounterReset::NotReset,
        3 => CounterReset::Gauge,
        _ => return None,
    };
    Some(Histogram {
        counter_reset,
        schema: take.i64()?.try_into().ok()?,
        zero_threshold: take.f64()?,
        zero_count: take.f64()?,
        count: take.f64()?,
        sum: take.f64()?,
        positive: take_buckets(take)?,
        negative: take_buckets(take)?,
        custom_bounds: Arc::from(take_numbers(take)?),
    })
}

/// Appends the exemplar.
pub(crate) fn put_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    out.put_i64(exemplar.time_ms);
    out.put_f64(exemplar.value);
    out.put_u64(exemplar.labels.iter().count() as u64);
    for (name, value) in exemplar.labels.iter() {
        out.put_bytes(name.as_bytes());
        out.put_bytes(value.as_bytes());
    }
}

/// Takes an exemplar.
pub(crate) fn take_exemplar(take: &mut Take<'_>) -> Option<Exemplar> {
    let (time_ms, value) = (take.i64()?, take.f64()?);
    let mut pairs = Vec::new();
    for _ in 0..take.count(2)? {
        pairs.push((take.text()?, take.text()?));
    }
    Some(Exemplar { labels: Labels::from_pairs(pairs), time_ms, value })
}

fn put_numbers(out: &mut Vec<u8>, numbers: &[f64]) {
    out.put_u64(numbers.len() as u64);
    numbers.iter().for_each(|number| out.put_f64(*number));
}

fn take_numbers(take: &mut Take<'_>) -> Option<Vec<f64>> {
    (0..take.count(8)?).map(|_| take.f64()).collect()
}

fn take_buckets(take: &mut Take<'_>) -> Option<Buckets> {
    let mut spans = Vec::new();
    for _ in 0..take.count(2)? {
        spans.push(Span { offset: take.i64()?.try_into().ok()?, length: take.u32()? });
    }
    Some(Buckets { spans, counts: take_numbers(take)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_histogram_comes_back() {
        let histogram = Histogram {
            schema: -3,
            zero_threshold: 0.001,
            zero_count: 2.0,
            count: 9.0,
            sum: -4.5,
            positive: Buckets::from_sorted([(-3, 1.0), (5, 2.0)]),
            negative: Buckets::from_sorted([(0, 4.0)]),
            custom_bounds: Arc::from([1.0, 2.0]),
            counter_reset: CounterReset::Gauge,
        };
        let exemplar =
            Exemplar { labels: Labels::from_pairs([("trace_id", "ab")]), time_ms: -7, value: 0.5 };
        let mut out = Vec::new();
        put_histogram(&mut out, &histogram);
        put_exemplar(&mut out, &exemplar);
        let mut take = Take(&out);
        assert_eq!(take_histogram(&mut take), Some(histogram));
        assert_eq!(take_exemplar(&mut take), Some(exemplar));
        assert!(take.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_histogram_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = take_histogram(&mut Take(&bytes));
            let _ = take_exemplar(&mut Take(&bytes));
        }
    }
}
