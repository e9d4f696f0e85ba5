//! Quantiles and fractions, of classic histograms (a series per bucket) and native ones.

use std::collections::HashMap;
use std::sync::Arc;

use wk_model::series::{Histogram, Labels, SampleValue};

use super::{Evaluated, Evaluator, Series, Steps, Value};
use crate::annotations::for_metric;
use crate::ast::{Expr, Span};
use crate::functions::Function;
use crate::histogram::{self, Bucket};

/// The label with a classic bucket's upper bound.
const BOUND: &str = "le";
/// Relative differences of counts below this are rounding errors.
const TOLERANCE: f64 = 1e-12;

/// Upper bound and cumulative count.
type Cumulative = (f64, f64);

/// Series of one histogram.
#[derive(Default)]
struct Group {
    labels: Labels,
    name: String,
    drop_name: bool,
    /// Places of bucket series, with their bounds.
    classic: Vec<(usize, f64)>,
    /// Places of series that may hold native histograms.
    native: Vec<usize>,
}

/// What is asked of each histogram at a step.
enum Ask {
    Quantile(f64),
    Fraction(f64, f64),
}

impl Evaluator<'_> {
    pub(super) fn classic_or_native(
        &mut self,
        function: &Function,
        arguments: &[Expr],
        steps: &Steps,
    ) -> Evaluated<Value> {
        match function.name {
            "histogram_quantile" => {
                let q = self.scalar(&arguments[0], steps)?;
                let series = self.vector(&arguments[1], steps)?;
                self.check_quantiles(&q, &arguments[0].span);
                let ask = |step: usize| Ask::Quantile(q[step]);
                Ok(Value::Vector(self.asked(&series, &arguments[1].span, steps, ask)))
            }
            "histogram_fraction" => {
                let low = self.scalar(&arguments[0], steps)?;
                let high = self.scalar(&arguments[1], steps)?;
                let series = self.vector(&arguments[2], steps)?;
                let ask = |step: usize| Ask::Fraction(low[step], high[step]);
                Ok(Value::Vector(self.asked(&series, &arguments[2].span, steps, ask)))
            }
            _ => {
                let series = self.vector(&arguments[0], steps)?;
                let label = self.text(&arguments[1], steps)?;
                let label = String::from_utf8_lossy(&label).into_owned();
                let mut out = Vec::new();
                for argument in &arguments[2..] {
                    let q = self.scalar(argument, steps)?;
                    self.check_quantiles(&q, &argument.span);
                    let ask = |step: usize| Ask::Quantile(q[step]);
                    let name = label_number(q.first().copied().unwrap_or(f64::NAN));
                    for mut one in self.asked(&series, &arguments[0].span, steps, ask) {
                        one.labels = one.labels.with(&label, &name);
                        out.push(one);
                    }
                }
                Ok(Value::Vector(out))
            }
        }
    }

    fn check_quantiles(&mut self, values: &[f64], span: &Span) {
        for q in values.iter().filter(|q| q.is_nan() || !(0.0..=1.0).contains(*q)) {
            self.bad_quantile(*q, span);
        }
    }

    fn asked(
        &mut self,
        series: &[Series],
        span: &Span,
        steps: &Steps,
        ask: impl Fn(usize) -> Ask,
    ) -> Vec<Series> {
        let mut out = Vec::new();
        for group in self.histograms(series, span) {
            let mut values = Vec::with_capacity(steps.count);
            for step in 0..steps.count {
                values.push(self.answer(&group, series, step, &ask(step), span));
            }
            if values.iter().any(Option::is_some) {
                out.push(Series { labels: group.labels, drop_name: group.drop_name, values });
            }
        }
        out
    }

    /// Sorts series by the histogram to which they belong.
    fn histograms(&mut self, series: &[Series], span: &Span) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut place: HashMap<Labels, usize> = HashMap::new();
        for (at, one) in series.iter().enumerate() {
            let has_floats = one.values.iter().any(|v| matches!(v, Some(SampleValue::Float(_))));
            let has_histograms =
                one.values.iter().any(|v| matches!(v, Some(SampleValue::Histogram(_))));
            let name = one.labels.metric_name();
            if has_histograms {
                let group = group_of(&mut groups, &mut place, one.labels.clone());
                groups[group].native.push(at);
            }
            if !has_floats {
                continue;
            }
            let text = one.labels.get(BOUND).unwrap_or("");
            let Some(bound) = parse_bound(text) else {
                let message =
                    format!("bucket label \"le\" is missing or has a malformed value of {text:?}");
                self.annotations.warn(span, for_metric(&message, name));
                continue;
            };
            let group =
                group_of(&mut groups, &mut place, one.labels.filter(|label| label != BOUND));
            groups[group].classic.push((at, bound));
        }
        groups
    }

    fn answer(
        &mut self,
        group: &Group,
        series: &[Series],
        step: usize,
        ask: &Ask,
        span: &Span,
    ) -> Option<SampleValue> {
        let buckets: Vec<Cumulative> = group
            .classic
            .iter()
            .filter_map(|(at, bound)| match &series[*at].values[step] {
                Some(SampleValue::Float(count)) => Some((*bound, *count)),
                _ => None,
            })
            .collect();
        let native = group.native.iter().find_map(|at| match &series[*at].values[step] {
            Some(SampleValue::Histogram(h)) => Some(Arc::clone(h)),
            _ => None,
        });
        let value = match (native, buckets.is_empty()) {
            (None, true) => return None,
            (Some(_), false) => {
                let message = "vector contains a mix of classic and native histograms";
                self.annotations.warn(span, for_metric(message, &group.name));
                return None;
            }
            (Some(h), true) => match ask {
                Ask::Quantile(q) => {
                    self.note_nan(*q, &h, &group.name, span);
                    histogram::quantile(*q, &h)
                }
                Ask::Fraction(low, high) => {
                    if nan_observed(&h) {
                        let message = "input to histogram_fraction has NaN observations, which \
                                       are excluded from all fractions";
                        self.annotations.info(span, for_metric(message, &group.name));
                    }
                    histogram::fraction(*low, *high, &h)
                }
            },
            (None, false) => match ask {
                Ask::Quantile(q) => {
                    let (value, forced) = classic_quantile(*q, buckets);
                    if forced {
                        let message = "input to histogram_quantile needed to be fixed for \
                             monotonicity (see https://prometheus.io/docs/prometheus/latest/\
                             querying/functions/#histogram_quantile)";
                        self.annotations.info(span, for_metric(message, &group.name));
                    }
                    value
                }
                Ask::Fraction(low, high) => classic_fraction(*low, *high, buckets),
            },
        };
        Some(SampleValue::Float(value))
    }

    fn note_nan(&mut self, q: f64, h: &Histogram, name: &str, span: &Span) {
        if !nan_observed(h) || !(0.0..=1.0).contains(&q) {
            return;
        }
        let result = if histogram::quantile(q, h).is_nan() {
            "input to histogram_quantile has NaN observations, result is NaN"
        } else {
            "input to histogram_quantile has NaN observations, result is skewed higher"
        };
        self.annotations.info(span, for_metric(result, name));
    }
}

/// Place of the group with these labels.
fn group_of(groups: &mut Vec<Group>, place: &mut HashMap<Labels, usize>, labels: Labels) -> usize {
    *place.entry(labels.clone()).or_insert_with(|| {
        let name = labels.metric_name().to_owned();
        groups.push(Group { labels, name, drop_name: true, ..Group::default() });
        groups.len() - 1
    })
}

/// NaN observations are counted and spoil the sum, but are in no bucket.
fn nan_observed(h: &Histogram) -> bool {
    let inside: f64 = histogram::buckets(h).iter().map(|bucket| bucket.count).sum();
    h.sum.is_nan() && h.count > inside
}

/// A number as label values carry it: whole numbers keep a `.0`.
fn label_number(value: f64) -> String {
    let text = crate::format::number(value);
    if value.is_finite() && !text.contains(['.', 'e']) { text + ".0" } else { text }
}

fn parse_bound(text: &str) -> Option<f64> {
    let plain = text.strip_prefix('+').unwrap_or(text);
    if plain.is_empty() || plain.starts_with('+') {
        return None;
    }
    crate::lexer::number(plain.strip_prefix('-').unwrap_or(plain))
        .map(|size| if plain.starts_with('-') { -size } else { size })
}

/// Sorted, equal bounds joined; `None` without a last bucket up to +Inf.
fn coalesced(mut buckets: Vec<Cumulative>) -> Option<Vec<Cumulative>> {
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    if buckets.last()?.0 != f64::INFINITY {
        return None;
    }
    let mut joined: Vec<Cumulative> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        match joined.last_mut() {
            Some(last) if last.0 == bucket.0 => last.1 += bucket.1,
            _ => joined.push(bucket),
        }
    }
    Some(joined)
}

/// Cumulative counts must not fall; says whether more than a rounding error was mended.
fn mend(buckets: &mut [Cumulative]) -> bool {
    let mut forced = false;
    let mut before = buckets[0].1;
    for bucket in &mut buckets[1..] {
        let count = bucket.1;
        let close = (count - before).abs() / (count.abs() + before.abs()) < TOLERANCE;
        if close || count < before {
            forced |= !close && count < before;
            bucket.1 = before;
        } else {
            before = count;
        }
    }
    forced
}

fn classic_quantile(q: f64, buckets: Vec<Cumulative>) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    }
    if !(0.0..=1.0).contains(&q) {
        return (if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY }, false);
    }
    let Some(mut buckets) = coalesced(buckets) else { return (f64::NAN, false) };
    let forced = mend(&mut buckets);
    let observations = buckets[buckets.len() - 1].1;
    if buckets.len() < 2 || observations == 0.0 || observations.is_nan() {
        return (f64::NAN, forced);
    }
    let mut rank = q * observations;
    let hit = buckets[..buckets.len() - 1].partition_point(|(_, count)| *count < rank);
    if hit == buckets.len() - 1 {
        return (buckets[buckets.len() - 2].0, forced);
    }
    let (end, mut count) = buckets[hit];
    if hit == 0 && end <= 0.0 {
        return (end, forced);
    }
    let mut start = 0.0;
    if hit > 0 {
        start = buckets[hit - 1].0;
        count -= buckets[hit - 1].1;
        rank -= buckets[hit - 1].1;
    }
    (start + (end - start) * (rank / count), forced)
}

fn classic_fraction(low: f64, high: f64, buckets: Vec<Cumulative>) -> f64 {
    let Some(mut cumulative) = coalesced(buckets) else { return f64::NAN };
    mend(&mut cumulative);
    let total = cumulative[cumulative.len() - 1].1;
    let mut before = (f64::NEG_INFINITY, 0.0);
    let mut plain = Vec::with_capacity(cumulative.len());
    for (upper, count) in cumulative {
        plain.push(Bucket { lower: before.0, upper, count: count - before.1 });
        before = (upper, count);
    }
    histogram::fraction_of(low, high, &plain, total, true)
}
