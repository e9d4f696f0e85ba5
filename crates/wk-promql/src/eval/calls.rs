//! Functions of instant vectors and scalars.

use std::sync::Arc;

use wk_model::series::{Histogram, Labels, METRIC_NAME, SampleValue};

use super::{Evaluated, Evaluator, Series, Steps, Value, seconds};
use crate::ast::{Expr, ExprKind, Span, ValueType};
use crate::functions::Function;
use crate::histogram;
use crate::matcher::{MatchOp, Matcher};

impl Evaluator<'_> {
    pub(super) fn call(
        &mut self,
        function: &Function,
        arguments: &[Expr],
        span: &Span,
        steps: &Steps,
    ) -> Evaluated<Value> {
        match function.name {
            "time" => Ok(Value::Scalar(steps.times().map(seconds).collect())),
            "pi" => Ok(Value::Scalar(vec![std::f64::consts::PI; steps.count])),
            "scalar" => {
                let series = self.vector(&arguments[0], steps)?;
                Ok(Value::Scalar((0..steps.count).map(|step| only(&series, step)).collect()))
            }
            "vector" => {
                let values = self.scalar(&arguments[0], steps)?;
                let values = values.into_iter().map(|v| Some(SampleValue::Float(v))).collect();
                let labels = Labels::default();
                Ok(Value::Vector(vec![Series { labels, drop_name: false, values }]))
            }
            "absent" => {
                let series = self.vector(&arguments[0], steps)?;
                Ok(absent(&arguments[0], &series, steps))
            }
            "absent_over_time" => {
                let present = crate::functions::find("present_over_time");
                let present = present.unwrap_or(function);
                match self.range_call(present, arguments, steps)? {
                    Value::Vector(series) => Ok(absent(&arguments[0], &series, steps)),
                    other => Ok(other),
                }
            }
            "timestamp" => self.timestamp(&arguments[0], steps),
            "label_replace" => self.label_replace(arguments, steps),
            "label_join" => self.label_join(arguments, steps),
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => {
                if self.is_range {
                    let message = "sort is ineffective for range queries since results are always \
                                   ordered by labels";
                    self.annotations.warn(span, message);
                }
                let descending = function.name.ends_with("_desc");
                if function.name.starts_with("sort_by_label") {
                    return self.sort_by_label(arguments, steps, descending);
                }
                let mut series = self.vector(&arguments[0], steps)?;
                if !self.is_range {
                    sort(&mut series, descending);
                }
                Ok(Value::Vector(series))
            }
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
                self.classic_or_native(function, arguments, steps)
            }
            "minute" | "hour" | "day_of_week" | "day_of_month" | "day_of_year"
            | "days_in_month" | "month" | "year"
                if arguments.is_empty() =>
            {
                let part = |time| Some(SampleValue::Float(date_part(function.name, seconds(time))));
                let values = steps.times().map(part).collect();
                let labels = Labels::default();
                Ok(Value::Vector(vec![Series { labels, drop_name: false, values }]))
            }
            _ if function.arguments.contains(&ValueType::Matrix) => {
                self.range_call(function, arguments, steps)
            }
            _ => self.map_call(function, arguments, steps),
        }
    }

    /// One value in, one out.
    fn map_call(
        &mut self,
        function: &Function,
        arguments: &[Expr],
        steps: &Steps,
    ) -> Evaluated<Value> {
        let mut series = self.vector(&arguments[0], steps)?;
        let mut scalars = Vec::new();
        for argument in &arguments[1..] {
            scalars.push(self.scalar(argument, steps)?);
        }
        for one in &mut series {
            one.drop_name = true;
            for (step, slot) in one.values.iter_mut().enumerate() {
                let scalar = |at: usize| scalars.get(at).map(|values| values[step]);
                *slot = match slot.take() {
                    None => None,
                    Some(SampleValue::Float(value)) => {
                        map_float(function.name, value, scalar(0), scalar(1))
                    }
                    Some(SampleValue::Histogram(h)) => map_histogram(function.name, &h),
                }
                .map(SampleValue::Float);
            }
        }
        series.retain(|one| one.values.iter().any(Option::is_some));
        Ok(Value::Vector(series))
    }

    fn timestamp(&mut self, argument: &Expr, steps: &Steps) -> Evaluated<Value> {
        if let ExprKind::Selector(selector) = &argument.bare().kind {
            let mut value = self.selector(selector, steps, true)?;
            if let Value::Vector(series) = &mut value {
                series.iter_mut().for_each(|one| one.drop_name = true);
            }
            return Ok(value);
        }
        let mut series = self.vector(argument, steps)?;
        for one in &mut series {
            one.drop_name = true;
            for (slot, time) in one.values.iter_mut().zip(steps.times()) {
                if slot.is_some() {
                    *slot = Some(SampleValue::Float(seconds(time)));
                }
            }
        }
        Ok(Value::Vector(series))
    }
}

/// The only number at a step; NaN when there is none or more than one.
fn only(series: &[Series], step: usize) -> f64 {
    let mut floats = series.iter().filter_map(|one| match &one.values[step] {
        Some(SampleValue::Float(value)) => Some(*value),
        _ => None,
    });
    match (floats.next(), floats.next()) {
        (Some(value), None) => value,
        _ => f64::NAN,
    }
}

/// One where there is no sample, with the labels that the selector fixes.
fn absent(argument: &Expr, series: &[Series], steps: &Steps) -> Value {
    let missing = |step: usize| {
        let present = series.iter().any(|one| one.values[step].is_some());
        (!present).then_some(SampleValue::Float(1.0))
    };
    let values: Vec<_> = (0..steps.count).map(missing).collect();
    let selector = match &argument.kind {
        ExprKind::Range { selector, .. } => &selector.kind,
        kind => kind,
    };
    let labels = match selector {
        ExprKind::Selector(selector) => fixed_labels(&selector.matchers),
        _ => Labels::default(),
    };
    Value::Vector(vec![Series { labels, drop_name: false, values }])
}

fn fixed_labels(matchers: &[Matcher]) -> Labels {
    let alone = |matcher: &&Matcher| {
        matcher.op == MatchOp::Equal
            && matcher.name != METRIC_NAME
            && matchers.iter().filter(|other| other.name == matcher.name).count() == 1
    };
    let fixed = matchers.iter().filter(alone);
    Labels::from_pairs(fixed.map(|matcher| (matcher.name.as_str(), matcher.value.as_str())))
}

/// Numbers in order, NaN last; histograms are left out.
fn sort(series: &mut Vec<Series>, descending: bool) {
    let number = |one: &Series| match one.values.first() {
        Some(Some(SampleValue::Float(value))) => Some(*value),
        _ => None,
    };
    series.retain(|one| number(one).is_some());
    series.sort_by(|a, b| {
        let (a, b) = (number(a).unwrap_or(f64::NAN), number(b).unwrap_or(f64::NAN));
        match (a.is_nan(), b.is_nan()) {
            (false, false) if descending => b.partial_cmp(&a).unwrap_or(std::cmp::Ordering::Equal),
            (false, false) => a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal),
            (left, right) => left.cmp(&right),
        }
    });
}

fn map_histogram(name: &str, h: &Arc<Histogram>) -> Option<f64> {
    Some(match name {
        "histogram_count" => h.count,
        "histogram_sum" => h.sum,
        "histogram_avg" => h.sum / h.count,
        "histogram_stdvar" => histogram::variance(h),
        "histogram_stddev" => histogram::variance(h).sqrt(),
        _ => return None,
    })
}

fn map_float(name: &str, v: f64, first: Option<f64>, second: Option<f64>) -> Option<f64> {
    let lowest = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) };
    let highest = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) };
    Some(match name {
        "abs" => v.abs(),
        "acos" => v.acos(),
        "acosh" => v.acosh(),
        "asin" => v.asin(),
        "asinh" => v.asinh(),
        "atan" => v.atan(),
        "atanh" => v.atanh(),
        "ceil" => v.ceil(),
        "clamp" => {
            let (low, high) = (first?, second?);
            if high < low {
                return None;
            }
            highest(low, lowest(high, v))
        }
        "clamp_max" => lowest(first?, v),
        "clamp_min" => highest(first?, v),
        "cos" => v.cos(),
        "cosh" => v.cosh(),
        "deg" => v * 180.0 / std::f64::consts::PI,
        "exp" => v.exp(),
        "floor" => v.floor(),
        "ln" => v.ln(),
        "log10" => v.log10(),
        "log2" => v.log2(),
        "rad" => v * std::f64::consts::PI / 180.0,
        "round" => {
            // The inverse, as 0.1 has no exact form but 10 has.
            let inverse = 1.0 / first.unwrap_or(1.0);
            (v * inverse + 0.5).floor() / inverse
        }
        "sgn" => {
            if v > 0.0 {
                1.0
            } else if v < 0.0 {
                -1.0
            } else {
                v
            }
        }
        "sin" => v.sin(),
        "sinh" => v.sinh(),
        "sqrt" => v.sqrt(),
        "tan" => v.tan(),
        "tanh" => v.tanh(),
        name if name.starts_with("histogram_") => return None,
        name => date_part(name, v),
    })
}

/// Part of the UTC date that is this many seconds after 1970.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn date_part(name: &str, unix: f64) -> f64 {
    // Ten times the age of the universe; beyond, and for NaN, there is no calendar.
    if unix.is_nan() || unix.abs() > 4e18 {
        return f64::NAN;
    }
    let unix = unix as i64;
    let days = unix.div_euclid(86_400);
    let second = unix.rem_euclid(86_400);
    let (year, month, day) = civil(days);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let part = match name {
        "minute" => second / 60 % 60,
        "hour" => second / 3600,
        "day_of_week" => (days + 4).rem_euclid(7),
        "day_of_month" => day,
        "day_of_year" => days - days_before(year) + 1,
        "days_in_month" => match month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        },
        "month" => month,
        _ => year,
    };
    part as f64
}

/// Days from 1970 to the first day of a year.
fn days_before(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

/// Year, month and day of a day counted from 1970, in the Gregorian calendar without end.
fn civil(days: i64) -> (i64, i64, i64) {
    // The average year is 365.2425 days; the guess is off by one at most.
    let mut year = 1970 + days.div_euclid(146_097) * 400;
    let rest = days.rem_euclid(146_097);
    year += rest * 400 / 146_097;
    while days_before(year + 1) <= days {
        year += 1;
    }
    while days_before(year) > days {
        year -= 1;
    }
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let lengths = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut day = days - days_before(year);
    let mut month = 1;
    for length in lengths {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    (year, month, day + 1)
}
