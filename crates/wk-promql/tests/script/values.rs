//! A line of the test language: a series and its values.

use std::sync::Arc;

use wk_model::series::{
    Buckets, CUSTOM_BUCKETS, CounterReset, Histogram, Labels, SampleValue, stale_nan,
};
use wk_promql::{MatchOp, parse_selector};

/// A series and its values, `None` where there is none.
pub(super) struct Described {
    pub labels: Labels,
    pub values: Vec<Option<SampleValue>>,
    /// Whether the value says what is known about resets.
    pub hints: Vec<bool>,
}

/// A line that is nothing but a number.
pub(super) fn plain_number(line: &str) -> Option<f64> {
    let mut text = Text { rest: line };
    let value = text.number()?;
    text.rest.is_empty().then_some(value)
}

pub(super) fn described(line: &str) -> Result<Described, String> {
    let end = selector_end(line);
    let head = line[..end].trim();
    let labels = labels(head)?;
    let mut text = Text { rest: line[end..].trim() };
    let mut series = Described { labels, values: Vec::new(), hints: Vec::new() };
    while !text.rest.is_empty() {
        text.item(&mut series).ok_or_else(|| format!("bad value at {:?} in {line}", text.rest))?;
        text.rest = text.rest.trim_start();
    }
    Ok(series)
}

/// End of `name{…}`, quotes respected.
fn selector_end(line: &str) -> usize {
    let mut quote = None;
    let mut depth = 0;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q && !line[..at].ends_with('\\') => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            (None, c)
                if c.is_whitespace() && depth == 0 && !line[at..].trim_start().starts_with("{") =>
            {
                return at;
            }
            (None, c)
                if c.is_whitespace() && depth == 0 && line[at..].trim_start().starts_with("{{") =>
            {
                return at;
            }
            _ => {}
        }
    }
    line.len()
}

fn labels(head: &str) -> Result<Labels, String> {
    let bare = head.trim_end_matches("{}").trim();
    if bare.is_empty() {
        return Ok(Labels::default());
    }
    let matchers = parse_selector(bare).map_err(|error| format!("{head}: {error}"))?;
    if matchers.iter().any(|matcher| matcher.op != MatchOp::Equal) {
        return Err(format!("{head}: only = names a series"));
    }
    let pairs = matchers.iter().map(|m| (m.name.as_str(), m.value.as_str()));
    Ok(Labels::from_pairs(pairs))
}

struct Text<'a> {
    rest: &'a str,
}

impl Text<'_> {
    fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn number(&mut self) -> Option<f64> {
        let (sign, unsigned) = match self.rest.as_bytes().first()? {
            b'-' => (-1.0, &self.rest[1..]),
            b'+' => (1.0, &self.rest[1..]),
            _ => (1.0, self.rest),
        };
        let lower = unsigned.to_ascii_lowercase();
        for (word, value) in [("inf", f64::INFINITY), ("nan", f64::NAN)] {
            if lower.starts_with(word) {
                self.rest = &unsigned[3..];
                return Some(sign * value);
            }
        }
        let bytes = unsigned.as_bytes();
        let mut end = 0;
        while let Some(byte) = bytes.get(end) {
            let after_e = end > 0 && matches!(bytes[end - 1], b'e' | b'E');
            if byte.is_ascii_digit()
                || matches!(byte, b'.' | b'e' | b'E')
                || (after_e && matches!(byte, b'+' | b'-'))
            {
                end += 1;
            } else {
                break;
            }
        }
        let value: f64 = unsigned[..end].parse().ok()?;
        self.rest = &unsigned[end..];
        Some(sign * value)
    }

    fn repeats(&mut self) -> Option<usize> {
        if !self.take("x") {
            return Some(0);
        }
        let end = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let count = self.rest[..end].parse().ok()?;
        self.rest = &self.rest[end..];
        Some(count)
    }

    /// One item, which may stand for many values.
    fn item(&mut self, into: &mut Described) -> Option<()> {
        let mut push = |value: Option<SampleValue>, hint: bool| {
            into.values.push(value);
            into.hints.push(hint);
        };
        if self.take("_") {
            let count = self.repeats()?.max(1);
            (0..count).for_each(|_| push(None, false));
            return Some(());
        }
        if self.take("stale") {
            let count = self.repeats()?.max(1);
            (0..count).for_each(|_| push(Some(SampleValue::Float(stale_nan())), false));
            return Some(());
        }
        if self.rest.starts_with("{{") {
            let (mut current, hint) = self.histogram()?;
            let sign = if self.rest.starts_with("+{{") {
                1.0
            } else if self.rest.starts_with("-{{") {
                -1.0
            } else {
                0.0
            };
            let mut change = None;
            if sign != 0.0 {
                self.rest = &self.rest[1..];
                change = Some(self.histogram()?.0);
            }
            for _ in 0..=self.repeats()? {
                push(Some(SampleValue::Histogram(Arc::new(current.clone()))), hint);
                if let Some(change) = &change {
                    current = added(&current, change, sign);
                }
            }
            return Some(());
        }
        let mut value = self.number()?;
        let mut change = 0.0;
        if self.rest.starts_with(['+', '-']) {
            change = self.number()?;
        }
        for _ in 0..=self.repeats()? {
            push(Some(SampleValue::Float(value)), false);
            value += change;
        }
        Some(())
    }

    fn histogram(&mut self) -> Option<(Histogram, bool)> {
        let end = self.rest.find("}}")?;
        let mut inside = Text { rest: self.rest[2..end].trim() };
        self.rest = &self.rest[end + 2..];
        let mut histogram = Histogram::default();
        let (mut offset, mut negative_offset) = (0, 0);
        let (mut buckets, mut negative) = (Vec::new(), Vec::new());
        let mut hint = false;
        while !inside.rest.is_empty() {
            let (key, rest) = inside.rest.split_once(':')?;
            inside.rest = rest;
            #[allow(clippy::cast_possible_truncation)]
            match key {
                "schema" => histogram.schema = inside.number()? as i32,
                "sum" => histogram.sum = inside.number()?,
                "count" => histogram.count = inside.number()?,
                "z_bucket" => histogram.zero_count = inside.number()?,
                "z_bucket_w" => histogram.zero_threshold = inside.number()?,
                "offset" => offset = inside.number()? as i32,
                "n_offset" => negative_offset = inside.number()? as i32,
                "buckets" => buckets = inside.list()?,
                "n_buckets" => negative = inside.list()?,
                "custom_values" => histogram.custom_bounds = Arc::from(inside.list()?),
                "counter_reset_hint" => {
                    let end = inside.rest.find(' ').unwrap_or(inside.rest.len());
                    hint = true;
                    histogram.counter_reset = match &inside.rest[..end] {
                        "unknown" => CounterReset::Unknown,
                        "reset" => CounterReset::Reset,
                        "not_reset" => CounterReset::NotReset,
                        "gauge" => CounterReset::Gauge,
                        _ => return None,
                    };
                    inside.rest = &inside.rest[end..];
                }
                _ => return None,
            }
            inside.rest = inside.rest.trim_start();
        }
        histogram.positive = Buckets::from_sorted((offset..).zip(buckets));
        histogram.negative = Buckets::from_sorted((negative_offset..).zip(negative));
        assert!(histogram.schema == CUSTOM_BUCKETS || histogram.custom_bounds.is_empty());
        Some((histogram, hint))
    }

    fn list(&mut self) -> Option<Vec<f64>> {
        if !self.take("[") {
            return None;
        }
        let mut numbers = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            if self.take("]") {
                return Some(numbers);
            }
            numbers.push(self.number()?);
        }
    }
}

/// The series of `{{a}}+{{b}}x5`: both have the same layout, else the union of their buckets.
fn added(a: &Histogram, b: &Histogram, sign: f64) -> Histogram {
    let side = |a: &Buckets, b: &Buckets| {
        let mut all: std::collections::BTreeMap<i32, f64> = a.iter().collect();
        for (index, count) in b.iter() {
            *all.entry(index).or_default() += sign * count;
        }
        Buckets::from_sorted(all)
    };
    Histogram {
        zero_count: a.zero_count + sign * b.zero_count,
        count: a.count + sign * b.count,
        sum: a.sum + sign * b.sum,
        positive: side(&a.positive, &b.positive),
        negative: side(&a.negative, &b.negative),
        ..a.clone()
    }
}
