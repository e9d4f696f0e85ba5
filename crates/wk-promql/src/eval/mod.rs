//! Evaluation: each node becomes series with one place per step, children first.

mod aggregate;
mod binary;
mod calls;
mod classic;
mod labels;
mod range;

use std::collections::HashMap;

use wk_model::series::{Labels, Point, SampleValue};

use crate::annotations::Annotations;
use crate::ast::{At, Expr, ExprKind, Selector, ValueType, When};
use crate::error::QueryError;
use crate::parser::{ParseOptions, parse_with};
use crate::queryable::{Cancel, Queryable, Select};

/// Settings of evaluation.
#[derive(Clone, Debug)]
pub struct Engine {
    /// How long a sample counts when no newer one came.
    pub lookback_ms: i64,
    /// Samples that one query may read and hold.
    pub max_samples: usize,
    /// Step of subqueries that name none.
    pub subquery_step_ms: i64,
    /// What the parser accepts.
    pub parse: ParseOptions,
}

impl Default for Engine {
    fn default() -> Engine {
        Engine {
            lookback_ms: 5 * 60_000,
            max_samples: 50_000_000,
            subquery_step_ms: 60_000,
            parse: ParseOptions::default(),
        }
    }
}

/// A query and the times it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The expression.
    pub text: &'a str,
    /// First time.
    pub start_ms: i64,
    /// Last time; the same for an instant query.
    pub end_ms: i64,
    /// Distance of the times; `None` makes it an instant query at `start_ms`.
    pub step_ms: Option<i64>,
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultSeries {
    /// Who it is.
    pub labels: Labels,
    /// One point in an instant vector, any number in a matrix.
    pub points: Vec<Point>,
}

/// The value of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A number.
    Scalar(f64),
    /// Text; bytes that are not UTF-8 are replaced.
    Text(String),
    /// Series with one point each; their order counts.
    Vector(Vec<ResultSeries>),
    /// Series with points, sorted by labels.
    Matrix(Vec<ResultSeries>),
}

/// The value and what is to be said about it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The value.
    pub output: Output,
    /// Warnings and infos.
    pub annotations: Annotations,
}

/// The times at which an expression is evaluated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    start: i64,
    step: i64,
    count: usize,
}

impl Steps {
    fn new(start: i64, end: i64, step: i64) -> Steps {
        let count = if end < start {
            0
        } else {
            (end.saturating_sub(start) / step.max(1)).saturating_add(1)
        };
        Steps { start, step: step.max(1), count: usize::try_from(count).unwrap_or(0) }
    }

    fn time(&self, at: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(i64::try_from(at).unwrap_or(i64::MAX)))
    }

    fn end(&self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }

    fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let steps = *self;
        (0..steps.count).map(move |at| steps.time(at))
    }
}

/// A series with one place per step.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    labels: Labels,
    /// The name is no longer true and goes at the end, unless a function sets another.
    drop_name: bool,
    values: Vec<Option<SampleValue>>,
}

/// What a node evaluates to.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Vec<f64>),
    Text(Vec<u8>),
    Vector(Vec<Series>),
}

/// A series' samples under a moving window.
pub(crate) struct RangeSeries {
    labels: Labels,
    drop_name: bool,
    points: Vec<Point>,
}

/// What a range selector or subquery reads.
pub(crate) struct Windows {
    series: Vec<RangeSeries>,
    range_ms: i64,
    when: When,
}

pub(crate) type Evaluated<T> = Result<T, QueryError>;

pub(crate) struct Evaluator<'a> {
    engine: &'a Engine,
    source: &'a dyn Queryable,
    cancel: &'a Cancel,
    /// First and last time of the whole query.
    bounds: (i64, i64),
    /// Whether the query is over a range; then sorting has no effect.
    is_range: bool,
    held: usize,
    annotations: Annotations,
}

impl Engine {
    /// Parses and evaluates; `cancel` ends it early.
    pub fn query(
        &self,
        source: &dyn Queryable,
        query: &Query<'_>,
        cancel: &Cancel,
    ) -> Result<Answer, QueryError> {
        let expr = parse_with(query.text, self.parse)
            .map_err(|error| QueryError::Parse(error.with_position(query.text)))?;
        let end = query.step_ms.map_or(query.start_ms, |_| query.end_ms);
        let steps = Steps::new(query.start_ms, end, query.step_ms.unwrap_or(1));
        if steps.count > self.max_samples {
            return Err(QueryError::TooManySamples { limit: self.max_samples });
        }
        let mut evaluator = Evaluator {
            engine: self,
            source,
            cancel,
            bounds: (query.start_ms, end),
            is_range: query.step_ms.is_some(),
            held: 0,
            annotations: Annotations::default(),
        };
        let output = evaluator.output(&expr, &steps)?;
        Ok(Answer { output, annotations: evaluator.annotations })
    }
}

impl Evaluator<'_> {
    fn output(&mut self, expr: &Expr, steps: &Steps) -> Evaluated<Output> {
        let kind = expr.value_type();
        if self.is_range && matches!(kind, ValueType::Matrix | ValueType::String) {
            let message = format!(
                "invalid expression type {:?} for range query, must be Scalar or instant Vector",
                kind.name()
            );
            return Err(QueryError::Parse(message));
        }
        if kind == ValueType::Matrix {
            let windows = self.windows(expr, steps)?;
            let reference = self.reference(&windows.when, steps.start);
            let lowest = reference.saturating_sub(windows.range_ms);
            let series = windows.series.into_iter().map(|mut series| {
                series.points.retain(|p| p.time_ms > lowest && p.time_ms <= reference);
                let labels = final_labels(&series.labels, series.drop_name);
                ResultSeries { labels, points: series.points }
            });
            let mut series: Vec<_> = series.filter(|series| !series.points.is_empty()).collect();
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            return Ok(Output::Matrix(series));
        }
        match self.eval(expr, steps)? {
            Value::Text(text) => Ok(Output::Text(String::from_utf8_lossy(&text).into_owned())),
            Value::Scalar(values) if self.is_range => {
                let point = |(time_ms, value): (i64, f64)| Point {
                    time_ms,
                    value: SampleValue::Float(value),
                };
                let points = steps.times().zip(values).map(point).collect();
                Ok(Output::Matrix(vec![ResultSeries { labels: Labels::default(), points }]))
            }
            Value::Scalar(values) => {
                Ok(Output::Scalar(values.first().copied().unwrap_or(f64::NAN)))
            }
            Value::Vector(series) => {
                let mut merged = self.cleaned(series, steps)?;
                if self.is_range {
                    merged.sort_by(|a, b| a.labels.cmp(&b.labels));
                    Ok(Output::Matrix(merged))
                } else {
                    Ok(Output::Vector(merged))
                }
            }
        }
    }

    /// Drops names that are to go and joins series that become the same.
    fn cleaned(&self, series: Vec<Series>, steps: &Steps) -> Evaluated<Vec<ResultSeries>> {
        let mut place: HashMap<Labels, usize> = HashMap::new();
        let mut merged: Vec<Series> = Vec::with_capacity(series.len());
        for mut one in series {
            one.labels = final_labels(&one.labels, one.drop_name);
            let Some(at) = place.get(&one.labels) else {
                place.insert(one.labels.clone(), merged.len());
                merged.push(one);
                continue;
            };
            for (into, value) in merged[*at].values.iter_mut().zip(one.values) {
                match (&into, value) {
                    (_, None) => {}
                    (None, value) => *into = value,
                    (Some(_), Some(_)) => return Err(same_labels()),
                }
            }
        }
        let result = merged.into_iter().map(|series| {
            let points = steps.times().zip(series.values);
            let points = points.filter_map(|(time_ms, v)| Some(Point { time_ms, value: v? }));
            ResultSeries { labels: series.labels, points: points.collect() }
        });
        Ok(result.filter(|series| !series.points.is_empty()).collect())
    }

    fn alive(&self) -> Evaluated<()> {
        self.cancel.check()
    }

    /// Counts samples against the limit.
    fn hold(&mut self, samples: usize) -> Evaluated<()> {
        self.held = self.held.saturating_add(samples);
        let limit = self.engine.max_samples;
        if self.held > limit { Err(QueryError::TooManySamples { limit }) } else { Ok(()) }
    }

    pub(crate) fn eval(&mut self, expr: &Expr, steps: &Steps) -> Evaluated<Value> {
        self.alive()?;
        if steps.count > 1 && is_constant(expr) {
            let once = Steps { count: 1, ..*steps };
            let repeat = |value: &Option<SampleValue>| vec![value.clone(); steps.count];
            return Ok(match self.eval(expr, &once)? {
                Value::Scalar(values) => Value::Scalar(vec![values[0]; steps.count]),
                Value::Vector(mut series) => {
                    self.hold(series.len().saturating_mul(steps.count))?;
                    for one in &mut series {
                        one.values = repeat(&one.values[0]);
                    }
                    Value::Vector(series)
                }
                text => text,
            });
        }
        match &expr.kind {
            ExprKind::Number(value) => Ok(Value::Scalar(vec![*value; steps.count])),
            ExprKind::Text(text) => Ok(Value::Text(text.clone())),
            ExprKind::Paren(inner) => self.eval(inner, steps),
            ExprKind::Selector(selector) => self.selector(selector, steps, false),
            ExprKind::Unary { negative, inner } => {
                let value = self.eval(inner, steps)?;
                Ok(if *negative { negated(value) } else { value })
            }
            ExprKind::Binary(binary) => self.binary(binary, &expr.span, steps),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate, steps),
            ExprKind::Call { function, arguments } => {
                self.call(function, arguments, &expr.span, steps)
            }
            ExprKind::Range { .. } | ExprKind::Subquery { .. } => {
                Err(QueryError::execution("a range vector is not a value here"))
            }
        }
    }

    /// Evaluates what the parser found to be a vector.
    pub(crate) fn vector(&mut self, expr: &Expr, steps: &Steps) -> Evaluated<Vec<Series>> {
        match self.eval(expr, steps)? {
            Value::Vector(series) => Ok(series),
            _ => Err(QueryError::execution("expected an instant vector")),
        }
    }

    pub(crate) fn scalar(&mut self, expr: &Expr, steps: &Steps) -> Evaluated<Vec<f64>> {
        match self.eval(expr, steps)? {
            Value::Scalar(values) => Ok(values),
            _ => Err(QueryError::execution("expected a scalar")),
        }
    }

    pub(crate) fn text(&mut self, expr: &Expr, steps: &Steps) -> Evaluated<Vec<u8>> {
        match self.eval(expr, steps)? {
            Value::Text(text) => Ok(text),
            _ => Err(QueryError::execution("expected a string")),
        }
    }

    /// The time that is read at a step.
    fn reference(&self, when: &When, time: i64) -> i64 {
        let base = match when.at {
            None => time,
            Some(At::Time(ms)) => ms,
            Some(At::Start) => self.bounds.0,
            Some(At::End) => self.bounds.1,
        };
        base.saturating_sub(when.offset_ms)
    }

    /// The newest sample at each step, or its time when `times` is set.
    fn selector(&mut self, selector: &Selector, steps: &Steps, times: bool) -> Evaluated<Value> {
        let lookback = self.engine.lookback_ms;
        let first = self.reference(&selector.when, steps.start);
        let last = self.reference(&selector.when, steps.end());
        let (source, cancel) = (self.source, self.cancel);
        let start_ms = first.saturating_sub(lookback - 1);
        let select = Select { matchers: &selector.matchers, start_ms, end_ms: last, cancel };
        let mut series = Vec::new();
        for data in source.select(&select)? {
            let data = data?;
            self.alive()?;
            self.hold(steps.count)?;
            let mut next = 0;
            let value_at = |time| {
                let reference = self.reference(&selector.when, time);
                while data.points.get(next).is_some_and(|point| point.time_ms <= reference) {
                    next += 1;
                }
                let point = &data.points[next.checked_sub(1)?];
                if point.value.is_stale() || point.time_ms <= reference.saturating_sub(lookback) {
                    None
                } else if times {
                    Some(SampleValue::Float(seconds(point.time_ms)))
                } else {
                    Some(point.value.clone())
                }
            };
            let values: Vec<_> = steps.times().map(value_at).collect();
            if values.iter().any(Option::is_some) {
                series.push(Series { labels: data.labels, drop_name: false, values });
            }
        }
        Ok(Value::Vector(series))
    }

    /// Reads what a range selector or subquery needs for all steps.
    fn windows(&mut self, expr: &Expr, steps: &Steps) -> Evaluated<Windows> {
        match &expr.bare().kind {
            ExprKind::Range { selector, range_ms } => {
                let ExprKind::Selector(selector) = &selector.kind else {
                    return Err(QueryError::execution("a range needs a selector"));
                };
                let when = selector.when;
                let first = self.reference(&when, steps.start);
                let last = self.reference(&when, steps.end());
                let from = first.saturating_sub(*range_ms - 1);
                let (source, cancel) = (self.source, self.cancel);
                let matchers = &selector.matchers;
                let select = Select { matchers, start_ms: from, end_ms: last, cancel };
                let mut series = Vec::new();
                for data in source.select(&select)? {
                    let mut data = data?;
                    self.alive()?;
                    data.points.retain(|point| !point.value.is_stale());
                    self.hold(data.points.len())?;
                    let (labels, points) = (data.labels, data.points);
                    series.push(RangeSeries { labels, drop_name: false, points });
                }
                Ok(Windows { series, range_ms: *range_ms, when })
            }
            ExprKind::Subquery { inner, range_ms, step_ms, when } => {
                let step = step_ms.unwrap_or(self.engine.subquery_step_ms).max(1);
                let low = self.reference(when, steps.start).saturating_sub(*range_ms);
                let end = self.reference(when, steps.end());
                // Aligned with the step, and after the left end of the window.
                let mut start = step.saturating_mul(low / step);
                if start <= low {
                    start = start.saturating_add(step);
                }
                let (range_ms, when) = (*range_ms, *when);
                let inner_steps = Steps::new(start, end, step);
                if inner_steps.count == 0 {
                    return Ok(Windows { series: Vec::new(), range_ms, when });
                }
                if inner_steps.count > self.engine.max_samples {
                    return Err(QueryError::TooManySamples { limit: self.engine.max_samples });
                }
                let series = self.vector(inner, &inner_steps)?;
                let series = series.into_iter().map(|one| RangeSeries {
                    labels: one.labels,
                    drop_name: one.drop_name,
                    points: inner_steps
                        .times()
                        .zip(one.values)
                        .filter_map(|(time_ms, v)| {
                            Some(Point { time_ms, value: range::without_hint(v?) })
                        })
                        .collect(),
                });
                Ok(Windows { series: series.collect(), range_ms, when })
            }
            _ => Err(QueryError::execution("expected a range vector")),
        }
    }
}

fn final_labels(labels: &Labels, drop_name: bool) -> Labels {
    if drop_name { labels.without_name() } else { labels.clone() }
}

pub(crate) fn same_labels() -> QueryError {
    QueryError::execution("vector cannot contain metrics with the same labelset")
}

#[allow(clippy::cast_precision_loss)] // Milliseconds of any sensible date are exact.
pub(crate) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn negated(value: Value) -> Value {
    match value {
        Value::Scalar(values) => Value::Scalar(values.into_iter().map(|v| -v).collect()),
        Value::Vector(mut series) => {
            for one in &mut series {
                one.drop_name = true;
                for value in one.values.iter_mut().flatten() {
                    *value = match &*value {
                        SampleValue::Float(number) => SampleValue::Float(-number),
                        SampleValue::Histogram(h) => binary::scaled(h, |count| -count),
                    };
                }
            }
            Value::Vector(series)
        }
        text => text,
    }
}

/// Whether every step gives the same, so that one is enough.
fn is_constant(expr: &Expr) -> bool {
    // Their answer depends on the time of the step even if their argument does not.
    const TIMED: [&str; 11] = [
        "days_in_month",
        "day_of_month",
        "day_of_week",
        "day_of_year",
        "hour",
        "minute",
        "month",
        "year",
        "predict_linear",
        "time",
        "timestamp",
    ];
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Text(_) => false,
        ExprKind::Selector(selector) => selector.when.at.is_some(),
        ExprKind::Range { selector, .. } => is_constant(selector),
        ExprKind::Subquery { when, .. } => when.at.is_some(),
        ExprKind::Paren(inner) | ExprKind::Unary { inner, .. } => is_constant(inner),
        ExprKind::Binary(binary) => fixed(&binary.left) && fixed(&binary.right),
        ExprKind::Aggregate(aggregate) => {
            fixed(&aggregate.inner) && aggregate.parameter.as_ref().is_none_or(fixed)
        }
        ExprKind::Call { function, arguments } => {
            !TIMED.contains(&function.name) && !arguments.is_empty() && arguments.iter().all(fixed)
        }
    }
}

fn fixed(expr: &Expr) -> bool {
    matches!(expr.bare().kind, ExprKind::Number(_) | ExprKind::Text(_)) || is_constant(expr)
}
