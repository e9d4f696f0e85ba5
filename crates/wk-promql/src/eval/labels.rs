//! Functions that change or sort by labels.

use std::collections::HashSet;

use wk_model::series::{Labels, METRIC_NAME};

use super::{Evaluated, Evaluator, Series, Steps, Value, same_labels};
use crate::ast::Expr;
use crate::error::QueryError;
use crate::matcher::compile;

impl Evaluator<'_> {
    fn plain_text(&mut self, expr: &Expr, steps: &Steps) -> Evaluated<String> {
        let text = self.text(expr, steps)?;
        String::from_utf8(text).map_err(|error| {
            let text = crate::format::quote(error.as_bytes());
            QueryError::execution(format!("invalid UTF-8 in {text}"))
        })
    }

    pub(super) fn label_replace(&mut self, arguments: &[Expr], steps: &Steps) -> Evaluated<Value> {
        let target =
            self.label_argument(&arguments[1], steps, "destination label name in label_replace()")?;
        let template = self.plain_text(&arguments[2], steps)?;
        let source = self.plain_text(&arguments[3], steps)?;
        let pattern_text = self.plain_text(&arguments[4], steps)?;
        let pattern = compile(&pattern_text).map_err(|_| {
            let message = format!("invalid regular expression in label_replace(): {pattern_text}");
            QueryError::execution(message)
        })?;
        let mut series = self.vector(&arguments[0], steps)?;
        for one in &mut series {
            let value = one.labels.get(&source).unwrap_or("").to_owned();
            let Some(captures) = pattern.captures(&value) else { continue };
            let mut made = String::new();
            captures.expand(&template, &mut made);
            one.labels = one.labels.with(&target, &made);
            if target == METRIC_NAME {
                one.drop_name = false;
            }
        }
        distinct(series)
    }

    pub(super) fn label_join(&mut self, arguments: &[Expr], steps: &Steps) -> Evaluated<Value> {
        let target =
            self.label_argument(&arguments[1], steps, "destination label name in label_join()")?;
        let separator = self.plain_text(&arguments[2], steps)?;
        let mut sources = Vec::new();
        for argument in &arguments[3..] {
            sources.push(self.label_argument(
                argument,
                steps,
                "source label name in label_join()",
            )?);
        }
        let mut series = self.vector(&arguments[0], steps)?;
        for one in &mut series {
            let values: Vec<&str> =
                sources.iter().map(|name| one.labels.get(name).unwrap_or("")).collect();
            let made = values.join(&separator);
            one.labels = one.labels.with(&target, &made);
            if target == METRIC_NAME {
                one.drop_name = false;
            }
        }
        distinct(series)
    }

    fn label_argument(&mut self, expr: &Expr, steps: &Steps, what: &str) -> Evaluated<String> {
        let text = self.text(expr, steps)?;
        match String::from_utf8(text) {
            Ok(name) if !name.is_empty() => Ok(name),
            Ok(name) => Err(QueryError::execution(format!("invalid {what}: {name}"))),
            Err(error) => {
                let name = crate::format::quote(error.as_bytes());
                Err(QueryError::execution(format!("invalid {what}: {name}")))
            }
        }
    }

    pub(super) fn sort_by_label(
        &mut self,
        arguments: &[Expr],
        steps: &Steps,
        descending: bool,
    ) -> Evaluated<Value> {
        let mut series = self.vector(&arguments[0], steps)?;
        let mut names = Vec::new();
        for argument in &arguments[1..] {
            names.push(self.plain_text(argument, steps)?);
        }
        let compare = |a: &Labels, b: &Labels| {
            for name in &names {
                let (x, y) = (a.get(name).unwrap_or(""), b.get(name).unwrap_or(""));
                match natural(x, y) {
                    std::cmp::Ordering::Equal => {}
                    other => return other,
                }
            }
            a.cmp(b)
        };
        series.sort_by(|a, b| compare(&a.labels, &b.labels));
        if descending {
            series.reverse();
        }
        Ok(Value::Vector(series))
    }
}

fn distinct(series: Vec<Series>) -> Evaluated<Value> {
    let mut seen = HashSet::new();
    if series.iter().all(|one| seen.insert(one.labels.clone())) {
        Ok(Value::Vector(series))
    } else {
        Err(same_labels())
    }
}

/// Text order, with runs of digits compared as numbers.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
        let (x, y) = (digits(a), digits(b));
        if x > 0 && y > 0 {
            let (m, n) = (a[..x].trim_start_matches('0'), b[..y].trim_start_matches('0'));
            let order = m.len().cmp(&n.len()).then_with(|| m.cmp(n));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[x..], &b[y..]);
            continue;
        }
        let (mut left, mut right) = (a.chars(), b.chars());
        match (left.next(), right.next()) {
            (Some(p), Some(q)) if p == q => (a, b) = (left.as_str(), right.as_str()),
            (p, q) => return p.cmp(&q),
        }
    }
}
