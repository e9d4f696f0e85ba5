//! Aggregations: grouping once per series, then one pass per step.

use std::collections::HashMap;
use std::sync::Arc;

use wk_model::series::{CounterReset, Histogram, Labels, METRIC_NAME, SampleValue};

use super::range::{add_kahan, quantile_of};
use super::{Evaluated, Evaluator, Series, Steps, Value};
use crate::ast::{Aggregate, AggregateOp, Span};
use crate::error::QueryError;
use crate::histogram::{self, Settled};

/// Prometheus takes the parameter of topk as a 64-bit integer.
const INT64_END: f64 = 9_223_372_036_854_775_808.0;

struct Group {
    labels: Labels,
    drop_name: bool,
    /// Places of its series.
    members: Vec<usize>,
}

impl Evaluator<'_> {
    pub(super) fn aggregate(&mut self, node: &Aggregate, steps: &Steps) -> Evaluated<Value> {
        if node.op == AggregateOp::CountValues {
            return self.count_values(node, steps);
        }
        let parameter = match &node.parameter {
            Some(parameter) => self.scalar(parameter, steps)?,
            None => Vec::new(),
        };
        let series = self.vector(&node.inner, steps)?;
        let groups = groups(&series, node);
        match node.op {
            AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio => self.picked(node, &series, &groups, &parameter, steps),
            _ => self.folded(node, &series, &groups, &parameter, steps),
        }
    }

    fn folded(
        &mut self,
        node: &Aggregate,
        series: &[Series],
        groups: &[Group],
        parameter: &[f64],
        steps: &Steps,
    ) -> Evaluated<Value> {
        if let (AggregateOp::Quantile, Some(expr)) = (node.op, &node.parameter)
            && !series.is_empty()
        {
            for q in parameter.iter().filter(|q| q.is_nan() || !(0.0..=1.0).contains(*q)) {
                self.bad_quantile(*q, &expr.span);
            }
        }
        let mut out = Vec::with_capacity(groups.len());
        let mut floats = Vec::new();
        let mut histograms = Vec::new();
        for group in groups {
            self.alive()?;
            let mut values = Vec::with_capacity(steps.count);
            for step in 0..steps.count {
                floats.clear();
                histograms.clear();
                for member in &group.members {
                    match &series[*member].values[step] {
                        None => {}
                        Some(SampleValue::Float(value)) => floats.push(*value),
                        Some(SampleValue::Histogram(h)) => histograms.push(Arc::clone(h)),
                    }
                }
                let q = parameter.get(step).copied().unwrap_or(f64::NAN);
                values.push(self.fold(node.op, &mut floats, &histograms, q, &node.inner.span));
            }
            let labels = group.labels.clone();
            out.push(Series { labels, drop_name: group.drop_name, values });
        }
        Ok(Value::Vector(out))
    }

    pub(super) fn bad_quantile(&mut self, q: f64, span: &Span) {
        let got = crate::format::number(q);
        let message = format!("quantile value should be between 0 and 1, got {got}");
        self.annotations.warn(span, message);
    }

    fn fold(
        &mut self,
        op: AggregateOp,
        floats: &mut [f64],
        histograms: &[Arc<Histogram>],
        q: f64,
        span: &Span,
    ) -> Option<SampleValue> {
        if floats.is_empty() && histograms.is_empty() {
            return None;
        }
        match op {
            AggregateOp::Group => return Some(SampleValue::Float(1.0)),
            AggregateOp::Count => {
                return Some(SampleValue::Float(float(floats.len() + histograms.len())));
            }
            AggregateOp::Sum | AggregateOp::Avg if !histograms.is_empty() => {
                if !floats.is_empty() {
                    let message = "encountered a mix of histograms and floats for aggregation";
                    self.annotations.warn(span, message);
                    return None;
                }
                return self.fold_histograms(histograms, op == AggregateOp::Avg, span);
            }
            _ => {}
        }
        if !histograms.is_empty() {
            let message = format!("ignored histogram in {} aggregation", op.name());
            self.annotations.info(span, message);
        }
        if floats.is_empty() {
            return None;
        }
        Some(SampleValue::Float(match op {
            AggregateOp::Sum => sum(floats),
            AggregateOp::Avg => average(floats),
            AggregateOp::Min => extreme(floats, |new, old| new < old),
            AggregateOp::Max => extreme(floats, |new, old| new > old),
            AggregateOp::Stddev => variance(floats).sqrt(),
            AggregateOp::Stdvar => variance(floats),
            _ => quantile_of(q, floats),
        }))
    }

    /// Sum or mean of histograms; none when their buckets cannot be combined.
    pub(super) fn fold_histograms(
        &mut self,
        histograms: &[Arc<Histogram>],
        mean: bool,
        span: &Span,
    ) -> Option<SampleValue> {
        let mut total = Histogram::clone(histograms.first()?);
        let any = |hint| histograms.iter().any(|h| h.counter_reset == hint);
        let mut settled = Settled {
            resets_collided: any(CounterReset::Reset) && any(CounterReset::NotReset),
            bounds_reconciled: false,
        };
        for next in &histograms[1..] {
            let Ok((sum, step)) = histogram::combine(&total, next, 1.0) else {
                let message = "vector contains a mix of histograms with exponential and custom \
                               buckets schemas for metric name \"\"";
                self.annotations.warn(span, message);
                return None;
            };
            settled.bounds_reconciled |= step.bounds_reconciled;
            total = sum;
        }
        self.note_settled(settled, "aggregation", span);
        if mean {
            let count = float(histograms.len());
            total = histogram::map(&total, |value| value / count);
        }
        Some(SampleValue::Histogram(Arc::new(histogram::compact(&total))))
    }

    pub(super) fn note_settled(&mut self, settled: Settled, operation: &str, span: &Span) {
        if settled.resets_collided {
            let message = format!("conflicting counter resets during histogram {operation}");
            self.annotations.warn(span, message);
        }
        if settled.bounds_reconciled {
            let message = format!("mismatched custom buckets were reconciled during {operation}");
            self.annotations.info(span, message);
        }
    }

    /// topk, bottomk, limitk, limit_ratio: some of the series, unchanged.
    fn picked(
        &mut self,
        node: &Aggregate,
        series: &[Series],
        groups: &[Group],
        parameter: &[f64],
        steps: &Steps,
    ) -> Evaluated<Value> {
        let mut kept: Vec<Vec<Option<SampleValue>>> = vec![vec![None; steps.count]; series.len()];
        let mut order = Vec::new();
        for (step, k) in parameter.iter().copied().enumerate() {
            self.alive()?;
            if node.op == AggregateOp::LimitRatio {
                if k.is_nan() {
                    return Err(QueryError::execution("Ratio value is NaN"));
                }
            } else if k.is_nan() {
                return Err(QueryError::execution("Parameter value is NaN"));
            } else if k >= INT64_END {
                let message = format!("Scalar value {} overflows int64", crate::format::number(k));
                return Err(QueryError::execution(message));
            } else if k <= -INT64_END {
                let message = format!("Scalar value {} underflows int64", crate::format::number(k));
                return Err(QueryError::execution(message));
            }
            if k.abs() > 1.0 && node.op == AggregateOp::LimitRatio {
                let capped = k.signum();
                let message = format!(
                    "ratio value should be between -1 and 1, got {}, capping to {}",
                    crate::format::number(k),
                    crate::format::number(capped)
                );
                let span = node.parameter.as_ref().map_or(0..0, |expr| expr.span.clone());
                self.annotations.warn(&span, message);
            }
            for group in groups {
                let present = group.members.iter().filter(|m| series[**m].values[step].is_some());
                let chosen = match node.op {
                    AggregateOp::Limitk => present.copied().take(count(k)).collect(),
                    AggregateOp::LimitRatio => {
                        present.copied().filter(|m| in_ratio(&series[*m].labels, k)).collect()
                    }
                    _ => self.extremes(node, present.copied().collect(), series, step, count(k)),
                };
                for member in chosen {
                    kept[member][step].clone_from(&series[member].values[step]);
                    if step == 0 {
                        order.push(member);
                    }
                }
            }
        }
        if self.is_range || steps.count > 1 {
            order = (0..series.len()).collect();
        }
        let out = order.into_iter().map(|at| Series {
            labels: series[at].labels.clone(),
            drop_name: series[at].drop_name,
            values: std::mem::take(&mut kept[at]),
        });
        Ok(Value::Vector(out.filter(|s| s.values.iter().any(Option::is_some)).collect()))
    }

    fn extremes(
        &mut self,
        node: &Aggregate,
        members: Vec<usize>,
        series: &[Series],
        step: usize,
        k: usize,
    ) -> Vec<usize> {
        let mut numbers: Vec<(usize, f64)> = Vec::with_capacity(members.len());
        for member in members {
            match &series[member].values[step] {
                Some(SampleValue::Float(value)) => numbers.push((member, *value)),
                Some(SampleValue::Histogram(_)) if k > 0 => {
                    let message = format!("ignored histogram in {} aggregation", node.op.name());
                    self.annotations.info(&node.inner.span, message);
                }
                _ => {}
            }
        }
        let top = node.op == AggregateOp::Topk;
        // NaN comes last either way; equal values keep their order.
        numbers.sort_by(|(_, a), (_, b)| match (a.is_nan(), b.is_nan()) {
            (true, true) => std::cmp::Ordering::Equal,
            (true, false) => std::cmp::Ordering::Greater,
            (false, true) => std::cmp::Ordering::Less,
            _ if top => b.total_cmp(a),
            _ => a.total_cmp(b),
        });
        numbers.into_iter().take(k).map(|(member, _)| member).collect()
    }

    fn count_values(&mut self, node: &Aggregate, steps: &Steps) -> Evaluated<Value> {
        let name = match &node.parameter {
            Some(parameter) => self.text(parameter, steps)?,
            None => Vec::new(),
        };
        let name = match String::from_utf8(name) {
            Ok(name) if !name.is_empty() => name,
            Ok(name) => return Err(bad_label(name.as_bytes())),
            Err(error) => return Err(bad_label(error.as_bytes())),
        };
        let series = self.vector(&node.inner, steps)?;
        let mut out: Vec<Series> = Vec::new();
        let mut place: HashMap<Labels, usize> = HashMap::new();
        for group in groups(&series, node) {
            for member in &group.members {
                for (step, value) in series[*member].values.iter().enumerate() {
                    let text = match value {
                        None => continue,
                        Some(SampleValue::Float(value)) => plain_number(*value),
                        Some(SampleValue::Histogram(h)) => histogram::text(h),
                    };
                    let labels = group.labels.with(&name, &text);
                    let at = *place.entry(labels.clone()).or_insert_with(|| {
                        out.push(Series {
                            labels,
                            drop_name: group.drop_name,
                            values: vec![None; steps.count],
                        });
                        out.len() - 1
                    });
                    let slot = &mut out[at].values[step];
                    let count = match slot {
                        Some(SampleValue::Float(count)) => *count,
                        _ => 0.0,
                    };
                    *slot = Some(SampleValue::Float(count + 1.0));
                }
            }
            self.hold(out.len())?;
        }
        if name == METRIC_NAME {
            out.iter_mut().for_each(|series| series.drop_name = false);
        }
        Ok(Value::Vector(out))
    }
}

fn bad_label(name: &[u8]) -> QueryError {
    QueryError::execution(format!("invalid label name {}", crate::format::quote(name)))
}

/// A number without exponent.
fn plain_number(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { crate::format::number(value) }
}

fn groups(series: &[Series], node: &Aggregate) -> Vec<Group> {
    let named = |name: &str| node.labels.iter().any(|label| label == name);
    let mut groups: Vec<Group> = Vec::new();
    let mut place: HashMap<Labels, usize> = HashMap::new();
    for (at, one) in series.iter().enumerate() {
        let labels = if node.without {
            one.labels.filter(|name| name != METRIC_NAME && !named(name))
        } else {
            one.labels.filter(named)
        };
        let group = *place.entry(labels.clone()).or_insert_with(|| {
            groups.push(Group { labels, drop_name: false, members: Vec::new() });
            groups.len() - 1
        });
        groups[group].members.push(at);
        groups[group].drop_name |= one.drop_name;
    }
    groups
}

#[allow(clippy::cast_precision_loss)] // Far fewer than 2^53.
pub(super) fn float(count: usize) -> f64 {
    count as f64
}

/// The whole number of a parameter whose range was checked; below one is none.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn count(k: f64) -> usize {
    if k < 1.0 { 0 } else { k as usize }
}

/// Whether the series is in the sample; r and r - 1 part all series in two.
fn in_ratio(labels: &Labels, ratio: f64) -> bool {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    labels.hash(&mut hasher);
    #[allow(clippy::cast_precision_loss)]
    let place = hasher.finish() as f64 / u64::MAX as f64;
    if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
}

pub(super) fn sum(floats: &[f64]) -> f64 {
    let (mut total, mut carry) = (0.0, 0.0);
    for value in floats {
        (total, carry) = add_kahan(*value, total, carry);
    }
    if f64::is_infinite(total) { total } else { total + carry }
}

/// The mean; when the sum overflows it is kept as a running mean.
pub(super) fn average(floats: &[f64]) -> f64 {
    let (mut total, mut carry) = (0.0, 0.0);
    let mut running = false;
    let mut count = 0.0;
    for value in floats {
        count += 1.0;
        if !running {
            let (next, next_carry) = add_kahan(*value, total, carry);
            if next.is_finite() || count == 1.0 || !f64::is_finite(*value) {
                (total, carry) = (next, next_carry);
                continue;
            }
            running = f64::is_finite(total);
            if !running {
                (total, carry) = (next, next_carry);
                continue;
            }
            total /= count - 1.0;
            carry /= count - 1.0;
        }
        let part = (count - 1.0) / count;
        (total, carry) = add_kahan(value / count, part * total, part * carry);
    }
    if running {
        return if total.is_infinite() { total } else { total + carry };
    }
    if total.is_infinite() { total } else { total / count + carry / count }
}

pub(super) fn extreme(floats: &[f64], better: impl Fn(f64, f64) -> bool) -> f64 {
    floats.iter().copied().fold(f64::NAN, |best, value| {
        if best.is_nan() || better(value, best) { value } else { best }
    })
}

/// Population variance by Welford's method, compensated.
pub(super) fn variance(floats: &[f64]) -> f64 {
    let (mut mean, mut mean_carry, mut squares, mut squares_carry) = (0.0, 0.0, 0.0, 0.0);
    let mut count = 0.0;
    for value in floats {
        count += 1.0;
        let delta = value - (mean + mean_carry);
        (mean, mean_carry) = add_kahan(delta / count, mean, mean_carry);
        let after = value - (mean + mean_carry);
        (squares, squares_carry) = add_kahan(delta * after, squares, squares_carry);
    }
    (squares + squares_carry) / count
}
