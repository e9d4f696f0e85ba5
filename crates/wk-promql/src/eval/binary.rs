//! Operators between two expressions, with vector matching.

use std::collections::HashMap;
use std::sync::Arc;

use wk_model::series::{CounterReset, Histogram, Labels, METRIC_NAME, SampleValue};

use super::{Evaluated, Evaluator, Series, Steps, Value};
use crate::ast::{Binary, BinaryOp, Cardinality, Matching, Span};
use crate::error::QueryError;
use crate::histogram;

impl Evaluator<'_> {
    pub(super) fn binary(&mut self, node: &Binary, span: &Span, steps: &Steps) -> Evaluated<Value> {
        let left = self.eval(&node.left, steps)?;
        let right = self.eval(&node.right, steps)?;
        match (left, right) {
            (Value::Scalar(left), Value::Scalar(right)) => {
                let apply = |(l, r): (&f64, &f64)| match compare(node.op, *l, *r) {
                    Some(holds) => f64::from(u8::from(holds)),
                    None => arithmetic(node.op, *l, *r),
                };
                Ok(Value::Scalar(left.iter().zip(&right).map(apply).collect()))
            }
            (Value::Vector(series), Value::Scalar(scalar)) => {
                Ok(Value::Vector(self.with_scalar(node, span, series, &scalar, false)))
            }
            (Value::Scalar(scalar), Value::Vector(series)) => {
                Ok(Value::Vector(self.with_scalar(node, span, series, &scalar, true)))
            }
            (Value::Vector(left), Value::Vector(right)) if node.op.is_set() => {
                Ok(Value::Vector(set(node, left, right, steps)))
            }
            (Value::Vector(left), Value::Vector(right)) => {
                Ok(Value::Vector(self.matched(node, span, left, right, steps)?))
            }
            _ => Err(QueryError::execution("operators need numbers or instant vectors")),
        }
    }

    fn with_scalar(
        &mut self,
        node: &Binary,
        span: &Span,
        mut series: Vec<Series>,
        scalar: &[f64],
        swapped: bool,
    ) -> Vec<Series> {
        let filters = node.op.is_comparison() && !node.returns_bool;
        for one in &mut series {
            one.drop_name |= !filters;
            for (slot, number) in one.values.iter_mut().zip(scalar) {
                let Some(value) = slot.take() else { continue };
                let number = SampleValue::Float(*number);
                let (l, r) = if swapped { (&number, &value) } else { (&value, &number) };
                *slot = match self.element(node.op, l, r, span) {
                    Element::Value(result) => Some(result),
                    Element::Holds(holds) if node.returns_bool => Some(truth(holds)),
                    // A filter keeps the vector's value, on whichever side it stands.
                    Element::Holds(holds) => holds.then_some(value),
                    Element::Nothing => None,
                };
            }
        }
        series.retain(|one| one.values.iter().any(Option::is_some));
        series
    }

    /// One pair of values.
    fn element(
        &mut self,
        op: BinaryOp,
        left: &SampleValue,
        right: &SampleValue,
        span: &Span,
    ) -> Element {
        use SampleValue::{Float, Histogram};
        match (left, right) {
            (Float(l), Float(r)) => match compare(op, *l, *r) {
                Some(holds) => Element::Holds(holds),
                None => Element::Value(Float(arithmetic(op, *l, *r))),
            },
            (Histogram(h), Float(factor)) | (Float(factor), Histogram(h))
                if op == BinaryOp::Mul =>
            {
                Element::Value(scaled(h, |count| count * factor))
            }
            (Histogram(h), Float(divisor)) if op == BinaryOp::Div => {
                Element::Value(divided(h, *divisor))
            }
            (Histogram(l), Histogram(r)) => match op {
                BinaryOp::Add | BinaryOp::Sub => self.combined(op, l, r, span),
                BinaryOp::Eq => Element::Holds(histogram::equal(l, r)),
                BinaryOp::Ne => Element::Holds(!histogram::equal(l, r)),
                _ => self.mismatch(op, "histogram", "histogram", span),
            },
            (Histogram(_), Float(_)) => self.mismatch(op, "histogram", "float", span),
            (Float(_), Histogram(_)) => self.mismatch(op, "float", "histogram", span),
        }
    }

    fn combined(
        &mut self,
        op: BinaryOp,
        left: &Histogram,
        right: &Histogram,
        span: &Span,
    ) -> Element {
        let (sign, operation) =
            if op == BinaryOp::Add { (1.0, "addition") } else { (-1.0, "subtraction") };
        match histogram::combine(left, right, sign) {
            Ok((mut sum, settled)) => {
                self.note_settled(settled, operation, span);
                if op == BinaryOp::Sub {
                    sum.counter_reset = CounterReset::Gauge;
                }
                Element::Value(SampleValue::Histogram(Arc::new(histogram::compact(&sum))))
            }
            Err(histogram::Incompatible) => {
                let message = format!(
                    "incompatible bucket layout encountered for binary operator {}",
                    op.name()
                );
                self.annotations.warn(span, message);
                Element::Nothing
            }
        }
    }

    fn mismatch(&mut self, op: BinaryOp, left: &str, right: &str, span: &Span) -> Element {
        let name = op.name();
        let message = format!(
            "incompatible sample types encountered for binary operator {name:?}: \
             {left} {name} {right}"
        );
        self.annotations.info(span, message);
        Element::Nothing
    }

    fn matched(
        &mut self,
        node: &Binary,
        span: &Span,
        left: Vec<Series>,
        right: Vec<Series>,
        steps: &Steps,
    ) -> Evaluated<Vec<Series>> {
        let swapped = node.matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let mut keys: HashMap<Labels, usize> = HashMap::new();
        let mut key_of = |series: &Series| {
            let labels = signature(&series.labels, &node.matching);
            let next = keys.len();
            *keys.entry(labels).or_insert(next)
        };
        let one_keys: Vec<usize> = one.iter().map(&mut key_of).collect();
        let many_keys: Vec<usize> = many.iter().map(&mut key_of).collect();
        let mut out: Vec<Series> = Vec::new();
        let mut place: HashMap<(Labels, bool), usize> = HashMap::new();
        // Which pair makes which series of the answer, so that labels are built once.
        let mut made: HashMap<(usize, usize), usize> = HashMap::new();
        let mut one_at: Vec<Option<usize>> = vec![None; keys.len()];
        let mut seen: Vec<bool> = vec![false; keys.len()];
        for step in 0..steps.count {
            self.alive()?;
            one_at.fill(None);
            seen.fill(false);
            for (at, series) in one.iter().enumerate() {
                if series.values[step].is_none() {
                    continue;
                }
                if let Some(other) = one_at[one_keys[at]].replace(at) {
                    let side = if swapped { "left" } else { "right" };
                    return Err(duplicates(node, side, &one[other].labels, &series.labels));
                }
            }
            let mut given: HashMap<usize, ()> = HashMap::new();
            for (at, series) in many.iter().enumerate() {
                let Some(value) = &series.values[step] else { continue };
                let Some(partner) = one_at[many_keys[at]] else { continue };
                let Some(other) = &one[partner].values[step] else { continue };
                if node.matching.cardinality == Cardinality::OneToOne
                    && std::mem::replace(&mut seen[many_keys[at]], true)
                {
                    return Err(QueryError::execution(
                        "multiple matches for labels: many-to-one matching must be explicit \
                         (group_left/group_right)",
                    ));
                }
                let target = *made.entry((at, partner)).or_insert_with(|| {
                    let labels = result_labels(&series.labels, &one[partner].labels, node);
                    let drop_name =
                        node.returns_bool || (node.op.is_comparison() && series.drop_name);
                    *place.entry((labels.clone(), drop_name)).or_insert_with(|| {
                        out.push(Series { labels, drop_name, values: vec![None; steps.count] });
                        out.len() - 1
                    })
                });
                if given.insert(target, ()).is_some() {
                    return Err(QueryError::execution(
                        "multiple matches for labels: grouping labels must ensure unique matches",
                    ));
                }
                let (l, r) = if swapped { (other, value) } else { (value, other) };
                out[target].values[step] = match self.element(node.op, l, r, span) {
                    Element::Value(result) => Some(result),
                    Element::Holds(holds) if node.returns_bool => Some(truth(holds)),
                    Element::Holds(holds) => holds.then(|| l.clone()),
                    Element::Nothing => None,
                };
            }
        }
        out.retain(|series| series.values.iter().any(Option::is_some));
        self.hold(out.len())?;
        Ok(out)
    }
}

enum Element {
    Value(SampleValue),
    Holds(bool),
    Nothing,
}

fn truth(holds: bool) -> SampleValue {
    SampleValue::Float(f64::from(u8::from(holds)))
}

/// A histogram with its counts changed; of a counter times a negative number comes a gauge.
pub(super) fn scaled(h: &Histogram, f: impl Fn(f64) -> f64) -> SampleValue {
    let mut out = histogram::map(h, &f);
    if f(1.0) < 0.0 {
        out.counter_reset = CounterReset::Gauge;
    }
    SampleValue::Histogram(Arc::new(out))
}

fn divided(h: &Histogram, divisor: f64) -> SampleValue {
    let mut out = histogram::map(h, |count| count / divisor);
    if divisor < 0.0 {
        out.counter_reset = CounterReset::Gauge;
    }
    if divisor == 0.0 {
        // Divided by zero, buckets say nothing any more; count and sum do.
        out.positive = wk_model::series::Buckets::default();
        out.negative = wk_model::series::Buckets::default();
    }
    SampleValue::Histogram(Arc::new(out))
}

fn compare(op: BinaryOp, l: f64, r: f64) -> Option<bool> {
    Some(match op {
        BinaryOp::Eq => l == r,
        BinaryOp::Ne => l != r,
        BinaryOp::Lt => l < r,
        BinaryOp::Le => l <= r,
        BinaryOp::Gt => l > r,
        BinaryOp::Ge => l >= r,
        _ => return None,
    })
}

fn arithmetic(op: BinaryOp, l: f64, r: f64) -> f64 {
    match op {
        BinaryOp::Add => l + r,
        BinaryOp::Sub => l - r,
        BinaryOp::Mul => l * r,
        BinaryOp::Div => l / r,
        BinaryOp::Mod => l % r,
        BinaryOp::Pow => l.powf(r),
        BinaryOp::Atan2 => l.atan2(r),
        _ => f64::NAN,
    }
}

fn signature(labels: &Labels, matching: &Matching) -> Labels {
    let named = |name: &str| matching.labels.iter().any(|label| label == name);
    if matching.on {
        labels.filter(named)
    } else {
        labels.filter(|name| name != METRIC_NAME && !named(name))
    }
}

fn result_labels(many: &Labels, one: &Labels, node: &Binary) -> Labels {
    let matching = &node.matching;
    let named = |name: &str| matching.labels.iter().any(|label| label == name);
    let mut labels = if node.op.is_comparison() { many.clone() } else { many.without_name() };
    if matching.cardinality == Cardinality::OneToOne {
        labels = labels.filter(|name| named(name) == matching.on);
    }
    for name in &matching.include {
        labels = labels.with(name, one.get(name).unwrap_or(""));
    }
    labels
}

fn duplicates(node: &Binary, side: &str, a: &Labels, b: &Labels) -> QueryError {
    let group = signature(a, &node.matching);
    let (first, second) = if a <= b { (a, b) } else { (b, a) };
    QueryError::execution(format!(
        "found duplicate series for the match group {group} on the {side} hand-side of the \
         operation: [{first}, {second}];many-to-many matching not allowed: matching labels must \
         be unique on one side"
    ))
}

fn set(node: &Binary, mut left: Vec<Series>, mut right: Vec<Series>, steps: &Steps) -> Vec<Series> {
    let mut keys: HashMap<Labels, usize> = HashMap::new();
    let mut key_of = |series: &Series| {
        let labels = signature(&series.labels, &node.matching);
        let next = keys.len();
        *keys.entry(labels).or_insert(next)
    };
    let left_keys: Vec<usize> = left.iter().map(&mut key_of).collect();
    let right_keys: Vec<usize> = right.iter().map(&mut key_of).collect();
    let mut present = vec![false; keys.len()];
    let (rule, rule_keys) = match node.op {
        BinaryOp::Or => (&left, &left_keys),
        _ => (&right, &right_keys),
    };
    // At each step the ruling side's keys decide about the other side's values.
    let mut marks = Vec::with_capacity(steps.count);
    for step in 0..steps.count {
        present.fill(false);
        for (series, key) in rule.iter().zip(rule_keys) {
            present[*key] |= series.values[step].is_some();
        }
        marks.push(present.clone());
    }
    let wanted = node.op == BinaryOp::And;
    let (ruled, ruled_keys) = match node.op {
        BinaryOp::Or => (&mut right, &right_keys),
        _ => (&mut left, &left_keys),
    };
    for (series, key) in ruled.iter_mut().zip(ruled_keys) {
        for (slot, mark) in series.values.iter_mut().zip(&marks) {
            if mark[*key] != wanted {
                *slot = None;
            }
        }
    }
    if node.op == BinaryOp::Or {
        left.append(&mut right);
    }
    left.retain(|series| series.values.iter().any(Option::is_some));
    left
}
