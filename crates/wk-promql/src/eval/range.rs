//! Functions over windows of samples.

use std::sync::Arc;

use wk_model::series::{CounterReset, Histogram, Labels, Point, SampleValue};

use super::aggregate::{average, extreme, float, sum, variance};
use super::{Evaluated, Evaluator, Series, Steps, Value, seconds};
use crate::ast::{Expr, Span};
use crate::functions::Function;
use crate::histogram;

/// One series' samples in one window.
pub(super) struct Window<'a> {
    points: &'a [Point],
    /// Left end, excluded, and right end, included.
    start: i64,
    end: i64,
    labels: &'a Labels,
}

impl Window<'_> {
    fn floats(&self) -> Vec<f64> {
        self.points.iter().filter_map(|point| number(&point.value)).collect()
    }

    fn histograms(&self) -> Vec<Arc<Histogram>> {
        let histogram = |point: &Point| match &point.value {
            SampleValue::Histogram(h) => Some(Arc::clone(h)),
            SampleValue::Float(_) => None,
        };
        self.points.iter().filter_map(histogram).collect()
    }

    fn timed_floats(&self) -> Vec<(i64, f64)> {
        let timed = |point: &Point| Some((point.time_ms, number(&point.value)?));
        self.points.iter().filter_map(timed).collect()
    }
}

fn number(value: &SampleValue) -> Option<f64> {
    match value {
        SampleValue::Float(value) => Some(*value),
        SampleValue::Histogram(_) => None,
    }
}

/// A value picked out of its series: the sample before it is not its neighbour any more, so what
/// was known about resets holds no longer.
pub(super) fn without_hint(value: SampleValue) -> SampleValue {
    match value {
        SampleValue::Histogram(h)
            if matches!(h.counter_reset, CounterReset::Reset | CounterReset::NotReset) =>
        {
            let plain = Histogram { counter_reset: CounterReset::Unknown, ..(*h).clone() };
            SampleValue::Histogram(Arc::new(plain))
        }
        other => other,
    }
}

/// Compensated addition (Neumaier): new sum and what it lost.
pub(super) fn add_kahan(value: f64, sum: f64, carry: f64) -> (f64, f64) {
    let next = sum + value;
    if next.is_infinite() {
        (next, 0.0)
    } else if sum.abs() >= value.abs() {
        (next, carry + ((sum - next) + value))
    } else {
        (next, carry + ((value - next) + sum))
    }
}

/// The quantile with linear interpolation between neighbours; sorts the values.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 <= rank < length.
pub(super) fn quantile_of(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    // NaN counts as the smallest.
    values.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.total_cmp(b),
        (left, right) => right.cmp(&left),
    });
    let rank = q * (float(values.len()) - 1.0);
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

impl Evaluator<'_> {
    /// Calls a function once per series and window.
    pub(super) fn range_call(
        &mut self,
        function: &Function,
        arguments: &[Expr],
        steps: &Steps,
    ) -> Evaluated<Value> {
        let is_matrix = |e: &&Expr| e.value_type() == crate::ast::ValueType::Matrix;
        let Some(matrix) = arguments.iter().find(is_matrix) else {
            return Err(crate::QueryError::execution("expected a range vector"));
        };
        let mut scalars = Vec::new();
        for argument in arguments.iter().filter(|e| !is_matrix(e)) {
            scalars.push((self.scalar(argument, steps)?, argument.span.clone()));
        }
        let windows = self.windows(matrix, steps)?;
        if function.name == "quantile_over_time" && !windows.series.is_empty() {
            let (values, span) = &scalars[0];
            for q in values.iter().filter(|q| q.is_nan() || !(0.0..=1.0).contains(*q)) {
                self.bad_quantile(*q, span);
            }
        }
        let keeps_name = matches!(function.name, "last_over_time" | "first_over_time");
        let mut out = Vec::with_capacity(windows.series.len());
        for series in &windows.series {
            self.alive()?;
            self.hold(steps.count)?;
            let (mut low, mut high) = (0, 0);
            let mut values = Vec::with_capacity(steps.count);
            for (step, time) in steps.times().enumerate() {
                let end = self.reference(&windows.when, time);
                let start = end.saturating_sub(windows.range_ms);
                let points = &series.points;
                while points.get(high).is_some_and(|point| point.time_ms <= end) {
                    high += 1;
                }
                while low < high && points[low].time_ms <= start {
                    low += 1;
                }
                let window =
                    Window { points: &points[low..high], start, end, labels: &series.labels };
                let scalar = |at: usize| scalars.get(at).map_or(f64::NAN, |(v, _)| v[step]);
                let parameters = (scalar(0), scalar(1));
                values.push(if window.points.is_empty() {
                    None
                } else {
                    self.over_window(function, &window, parameters, time, &matrix.span)
                });
            }
            if values.iter().any(Option::is_some) {
                let drop_name = series.drop_name || !keeps_name;
                out.push(Series { labels: series.labels.clone(), drop_name, values });
            }
        }
        Ok(Value::Vector(out))
    }

    fn over_window(
        &mut self,
        function: &Function,
        window: &Window<'_>,
        parameters: (f64, f64),
        time: i64,
        span: &Span,
    ) -> Option<SampleValue> {
        let name = window.labels.metric_name();
        let (first, last) = (window.points.first()?, window.points.last()?);
        match function.name {
            "rate" => return self.extrapolated(window, true, true, span),
            "increase" => return self.extrapolated(window, true, false, span),
            "delta" => return self.extrapolated(window, false, false, span),
            "irate" => return self.instant(window, true, span),
            "idelta" => return self.instant(window, false, span),
            "last_over_time" => return Some(last.value.clone()),
            "first_over_time" => return Some(first.value.clone()),
            "ts_of_last_over_time" => return Some(SampleValue::Float(seconds(last.time_ms))),
            "ts_of_first_over_time" => return Some(SampleValue::Float(seconds(first.time_ms))),
            "present_over_time" => return Some(SampleValue::Float(1.0)),
            "count_over_time" => return Some(SampleValue::Float(float(window.points.len()))),
            "changes" | "resets" => {
                let differs = if function.name == "changes" { changed } else { reset };
                let count = window.points.windows(2).filter(|p| differs(&p[0].value, &p[1].value));
                return Some(SampleValue::Float(float(count.count())));
            }
            _ => {}
        }
        let mut floats = window.floats();
        let mixed = !floats.is_empty() && floats.len() < window.points.len();
        if matches!(function.name, "sum_over_time" | "avg_over_time") {
            if mixed {
                let message = mixed_values(name);
                self.annotations.warn(span, message);
                return None;
            }
            if floats.is_empty() {
                let mean = function.name == "avg_over_time";
                return self.fold_histograms(&window.histograms(), mean, span);
            }
        }
        if floats.is_empty() {
            return None;
        }
        if mixed {
            let message = format!(
                "ignored histograms in a range containing both floats and histograms for metric \
                 name {name:?}"
            );
            self.annotations.info(span, message);
        }
        Some(SampleValue::Float(match function.name {
            "sum_over_time" => sum(&floats),
            "avg_over_time" => average(&floats),
            "min_over_time" => extreme(&floats, |new, old| new < old),
            "max_over_time" => extreme(&floats, |new, old| new > old),
            "stdvar_over_time" => variance(&floats),
            "stddev_over_time" => variance(&floats).sqrt(),
            "quantile_over_time" => quantile_of(parameters.0, &mut floats),
            "mad_over_time" => {
                let median = quantile_of(0.5, &mut floats);
                let mut off: Vec<f64> = floats.iter().map(|v| (v - median).abs()).collect();
                quantile_of(0.5, &mut off)
            }
            "ts_of_min_over_time" => time_of(window, |new, old| new <= old),
            "ts_of_max_over_time" => time_of(window, |new, old| new >= old),
            "deriv" => {
                let points = window.timed_floats();
                (points.len() > 1).then(|| regression(&points, points[0].0).0)?
            }
            "predict_linear" => {
                let points = window.timed_floats();
                let (slope, intercept) = (points.len() > 1).then(|| regression(&points, time))?;
                slope * parameters.0 + intercept
            }
            "double_exponential_smoothing" => smoothed(&floats, parameters.0, parameters.1)?,
            _ => return None,
        }))
    }

    /// rate, increase and delta: what the samples show, stretched to the window's ends unless the
    /// samples stop well before them.
    fn extrapolated(
        &mut self,
        window: &Window<'_>,
        is_counter: bool,
        is_rate: bool,
        span: &Span,
    ) -> Option<SampleValue> {
        let name = window.labels.metric_name();
        let floats = window.timed_floats();
        if is_counter && !floats.is_empty() {
            self.check_counter_name(name, span);
        }
        let points = window.points;
        if !floats.is_empty() && floats.len() < points.len() {
            let message = mixed_values(name);
            self.annotations.warn(span, message);
            return None;
        }
        let (first, last) = (points.first()?, points.last()?);
        if points.len() < 2 {
            return None;
        }
        // Change, value of the first sample: floats themselves, histograms by their count.
        let (result, change, begin) = if floats.is_empty() {
            let histograms = window.histograms();
            let result = self.histogram_change(&histograms, is_counter, name, span)?;
            let change = result.count;
            (SampleValue::Histogram(Arc::new(result)), change, histograms[0].count)
        } else {
            let mut change = floats[floats.len() - 1].1 - floats[0].1;
            if is_counter {
                for pair in floats.windows(2).filter(|pair| pair[1].1 < pair[0].1) {
                    change += pair[0].1;
                }
            }
            (SampleValue::Float(change), change, floats[0].1)
        };
        let mut to_start = seconds(first.time_ms.saturating_sub(window.start));
        let mut to_end = seconds(window.end.saturating_sub(last.time_ms));
        let sampled = seconds(last.time_ms.saturating_sub(first.time_ms));
        let average = sampled / (float(points.len()) - 1.0);
        let threshold = average * 1.1;
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if is_counter && change > 0.0 && begin >= 0.0 {
            // A counter cannot have been below zero.
            to_start = to_start.min(sampled * (begin / change));
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        let mut factor = (sampled + to_start + to_end) / sampled;
        if is_rate {
            factor /= seconds(window.end.saturating_sub(window.start));
        }
        Some(match result {
            SampleValue::Float(value) => SampleValue::Float(value * factor),
            SampleValue::Histogram(h) => {
                SampleValue::Histogram(Arc::new(histogram::map(&h, |count| count * factor)))
            }
        })
    }

    fn check_counter_name(&mut self, name: &str, span: &Span) {
        let counter = ["_total", "_sum", "_count", "_bucket"];
        if !name.is_empty() && !counter.iter().any(|suffix| name.ends_with(suffix)) {
            let message = format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \
                 {name:?}"
            );
            self.annotations.info(span, message);
        }
    }

    fn histogram_change(
        &mut self,
        points: &[Arc<Histogram>],
        is_counter: bool,
        name: &str,
        span: &Span,
    ) -> Option<Histogram> {
        let is_gauge = |h: &Histogram| h.counter_reset == CounterReset::Gauge;
        if is_counter && points.iter().any(|h| is_gauge(h)) {
            let message = format!("this native histogram metric is not a counter: {name:?}");
            self.annotations.warn(span, message);
        }
        let mut before = Arc::clone(&points[0]);
        // After a reset right behind the first sample, its buckets do not matter.
        if is_counter && histogram::was_reset(&points[1], &before) {
            before = Arc::new(Histogram {
                schema: points[1].schema,
                custom_bounds: Arc::clone(&points[1].custom_bounds),
                zero_threshold: points[1].zero_threshold,
                ..Histogram::default()
            });
        }
        let custom = before.has_custom_buckets();
        let last = &points[points.len() - 1];
        if points[1..].iter().any(|h| h.has_custom_buckets() != custom) {
            let message = format!(
                "vector contains a mix of histograms with exponential and custom buckets schemas \
                 for metric name {name:?}"
            );
            self.annotations.warn(span, message);
            return None;
        }
        let schema = points[1..].iter().map(|h| h.schema).chain([before.schema]).min()?;
        let (mut result, settled) =
            histogram::combine(&histogram::at_schema(last, schema), &before, -1.0).ok()?;
        let mut reconciled = settled.bounds_reconciled;
        if is_counter {
            let mut previous = &before;
            for point in &points[1..] {
                if histogram::was_reset(point, previous) {
                    let (sum, settled) = histogram::combine(&result, previous, 1.0).ok()?;
                    reconciled |= settled.bounds_reconciled;
                    result = sum;
                }
                previous = point;
            }
        } else if !is_gauge(&points[0]) || !is_gauge(last) {
            let message = format!("this native histogram metric is not a gauge: {name:?}");
            self.annotations.warn(span, message);
        }
        if reconciled {
            let message = "mismatched custom buckets were reconciled during subtraction";
            self.annotations.info(span, message);
        }
        result.counter_reset = CounterReset::Gauge;
        Some(histogram::compact(&result))
    }

    /// irate and idelta: the last two samples.
    fn instant(&mut self, window: &Window<'_>, is_rate: bool, span: &Span) -> Option<SampleValue> {
        let name = window.labels.metric_name();
        let [.., before, last] = window.points else { return None };
        let interval = seconds(last.time_ms.saturating_sub(before.time_ms));
        if interval == 0.0 {
            return None;
        }
        match (&before.value, &last.value) {
            (SampleValue::Float(old), SampleValue::Float(new)) => {
                if is_rate {
                    self.check_counter_name(name, span);
                }
                let change = if is_rate && new < old { *new } else { new - old };
                Some(SampleValue::Float(if is_rate { change / interval } else { change }))
            }
            (SampleValue::Histogram(old), SampleValue::Histogram(new)) => {
                let is_gauge = |h: &Histogram| h.counter_reset == CounterReset::Gauge;
                let kind = if is_rate { "counter" } else { "gauge" };
                let wrong = if is_rate {
                    is_gauge(old) || is_gauge(new)
                } else {
                    !is_gauge(old) || !is_gauge(new)
                };
                if wrong {
                    let message = format!("this native histogram metric is not a {kind}: {name:?}");
                    self.annotations.warn(span, message);
                }
                let mut result = Histogram::clone(new);
                if !is_rate || !histogram::was_reset(new, old) {
                    let Ok((difference, settled)) = histogram::combine(new, old, -1.0) else {
                        let message = format!(
                            "vector contains a mix of histograms with exponential and custom \
                             buckets schemas for metric name {name:?}"
                        );
                        self.annotations.warn(span, message);
                        return None;
                    };
                    if settled.bounds_reconciled {
                        let message =
                            "mismatched custom buckets were reconciled during subtraction";
                        self.annotations.info(span, message);
                    }
                    result = difference;
                }
                if is_rate {
                    result = histogram::map(&result, |count| count / interval);
                }
                result.counter_reset = CounterReset::Gauge;
                Some(SampleValue::Histogram(Arc::new(histogram::compact(&result))))
            }
            _ => {
                let message = mixed_values(name);
                self.annotations.warn(span, message);
                None
            }
        }
    }
}

fn mixed_values(name: &str) -> String {
    format!("encountered a mix of histograms and floats for metric name {name:?}")
}

fn changed(old: &SampleValue, new: &SampleValue) -> bool {
    match (old, new) {
        (SampleValue::Float(a), SampleValue::Float(b)) => a != b && !(a.is_nan() && b.is_nan()),
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => !histogram::equal(a, b),
        _ => true,
    }
}

fn reset(old: &SampleValue, new: &SampleValue) -> bool {
    match (old, new) {
        (SampleValue::Float(a), SampleValue::Float(b)) => b < a,
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => histogram::was_reset(b, a),
        _ => true,
    }
}

fn time_of(window: &Window<'_>, better: impl Fn(f64, f64) -> bool) -> f64 {
    let mut best: Option<(i64, f64)> = None;
    for (time, value) in window.timed_floats() {
        if best.is_none_or(|(_, old)| old.is_nan() || better(value, old)) {
            best = Some((time, value));
        }
    }
    best.map_or(f64::NAN, |(time, _)| seconds(time))
}

/// Slope per second and value at `origin` of the line of least squares.
fn regression(points: &[(i64, f64)], origin: i64) -> (f64, f64) {
    let first = points[0].1;
    if points.iter().all(|(_, value)| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (mut x, mut y, mut xy, mut xx) = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0));
    for (time, value) in points {
        let at = seconds(time.saturating_sub(origin));
        x = add_kahan(at, x.0, x.1);
        y = add_kahan(*value, y.0, y.1);
        xy = add_kahan(at * value, xy.0, xy.1);
        xx = add_kahan(at * at, xx.0, xx.1);
    }
    let n = float(points.len());
    let (x, y, xy, xx) = (x.0 + x.1, y.0 + y.1, xy.0 + xy.1, xx.0 + xx.1);
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

/// Holt's linear trend: level and slope, each smoothed.
fn smoothed(values: &[f64], factor: f64, trend_factor: f64) -> Option<f64> {
    let [first, second, ..] = values else { return None };
    let (mut level, mut slope, mut before) = (*first, second - first, 0.0);
    for (at, value) in values[1..].iter().enumerate() {
        if at > 0 {
            slope = trend_factor * (level - before) + (1.0 - trend_factor) * slope;
        }
        let next = factor * value + (1.0 - factor) * (level + slope);
        (before, level) = (level, next);
    }
    Some(level)
}
