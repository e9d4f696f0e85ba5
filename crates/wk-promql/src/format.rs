//! Writes a tree back as a query.

use std::fmt;

use wk_model::series::METRIC_NAME;

use crate::ast::{Aggregate, At, Binary, Cardinality, Expr, ExprKind, Selector, When};
use crate::error::ParseError;
use crate::matcher::MatchOp;

/// The query in its usual form, on one line: one space around operators, labels without blanks.
pub fn format_query(query: &str) -> Result<String, ParseError> {
    let options = crate::parser::ParseOptions { experimental: true };
    Ok(crate::parser::parse_with(query, options)?.to_string())
}

/// A label's name, quoted unless it is plain.
pub(crate) fn label_name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name.to_owned() } else { quote(name.as_bytes()) }
}

/// Text in double quotes with the escapes of the language.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                c if u32::from(c) < 0x20 || c == '\u{7f}' => {
                    out.push_str(&format!("\\x{:02x}", u32::from(c)));
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

/// A number as Prometheus' API writes it: with an exponent below 1e-4 and from 1e21 on.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        let size = value.abs();
        if size != 0.0 && !(1e-4..1e21).contains(&size) {
            let text = format!("{value:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(rest) => ('-', rest),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{exponent:0>2}")
        } else {
            format!("{value}")
        }
    }
}

/// A number as Go's `%g` writes it: with an exponent below 1e-4, and where more than six digits
/// would stand before the point. Queries and pages of samples have them so.
pub fn short_number(value: f64) -> String {
    if !(1e6..1e21).contains(&value.abs()) {
        return number(value);
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{digits}e+{exponent:0>2}")
}

/// Milliseconds as `1h30m`.
pub(crate) fn duration(ms: i64) -> String {
    const UNITS: [(&str, i64); 6] = [
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::from(if ms < 0 { "-" } else { "" });
    let mut rest = ms.abs();
    for (unit, size) in UNITS {
        // Weeks only when nothing is left, as Prometheus prints them.
        if rest >= size && (unit != "w" || rest % size == 0) {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    out
}

fn when(when: &When) -> String {
    let mut out = String::new();
    match when.at {
        None => {}
        Some(At::Start) => out.push_str(" @ start()"),
        Some(At::End) => out.push_str(" @ end()"),
        Some(At::Time(ms)) => {
            let sign = if ms < 0 { "-" } else { "" };
            out.push_str(&format!(" @ {sign}{}.{:03}", ms.abs() / 1000, ms.abs() % 1000));
        }
    }
    if when.offset_ms != 0 {
        out.push_str(&format!(" offset {}", duration(when.offset_ms)));
    }
    out
}

fn bare_selector(selector: &Selector) -> String {
    let plain = selector.name.as_deref().unwrap_or("");
    let mut skipped = plain.is_empty();
    let mut shown: Vec<String> = selector
        .matchers
        .iter()
        .filter(|m| {
            let is_name = !skipped && m.name == METRIC_NAME && m.op == MatchOp::Equal;
            skipped |= is_name;
            !is_name
        })
        .map(ToString::to_string)
        .collect();
    shown.sort();
    if shown.is_empty() { plain.to_owned() } else { format!("{plain}{{{}}}", shown.join(",")) }
}

fn names(labels: &[String]) -> String {
    labels.iter().map(|name| label_name(name)).collect::<Vec<_>>().join(", ")
}

/// An operator with its `bool` and matching.
pub(crate) fn operator(binary: &Binary) -> String {
    let mut out = binary.op.name().to_owned();
    if binary.returns_bool {
        out.push_str(" bool");
    }
    let matching = &binary.matching;
    if matching.given && (matching.on || !matching.labels.is_empty()) {
        let word = if matching.on { "on" } else { "ignoring" };
        out.push_str(&format!(" {word} ({})", names(&matching.labels)));
    }
    let group = match matching.cardinality {
        Cardinality::ManyToOne => "group_left",
        Cardinality::OneToMany => "group_right",
        Cardinality::OneToOne | Cardinality::ManyToMany => return out,
    };
    out.push_str(&format!(" {group} ({})", names(&matching.include)));
    out
}

/// An aggregation before its parenthesis: `sum by (job) `.
pub(crate) fn aggregation(aggregate: &Aggregate) -> String {
    let name = aggregate.op.name();
    if aggregate.without {
        format!("{name} without ({}) ", names(&aggregate.labels))
    } else if aggregate.labels.is_empty() {
        name.to_owned()
    } else {
        format!("{name} by ({}) ", names(&aggregate.labels))
    }
}

/// What follows the expression of a subquery: `[1h:5m] offset 1m`.
pub(crate) fn subquery(range_ms: i64, step_ms: Option<i64>, at: &When) -> String {
    let step = step_ms.map(duration).unwrap_or_default();
    format!("[{}:{step}]{}", duration(range_ms), when(at))
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(value) => f.write_str(&short_number(*value)),
            ExprKind::Text(text) => f.write_str(&quote(text)),
            ExprKind::Selector(s) => write!(f, "{}{}", bare_selector(s), when(&s.when)),
            ExprKind::Range { selector, range_ms } => match &selector.kind {
                ExprKind::Selector(s) => {
                    let range = duration(*range_ms);
                    write!(f, "{}[{range}]{}", bare_selector(s), when(&s.when))
                }
                _ => write!(f, "{selector}[{}]", duration(*range_ms)),
            },
            ExprKind::Subquery { inner, range_ms, step_ms, when: at } => {
                write!(f, "{inner}{}", subquery(*range_ms, *step_ms, at))
            }
            ExprKind::Paren(inner) => write!(f, "({inner})"),
            ExprKind::Unary { negative, inner } => {
                write!(f, "{}{inner}", if *negative { "-" } else { "+" })
            }
            ExprKind::Binary(binary) => {
                write!(f, "{} {} {}", binary.left, operator(binary), binary.right)
            }
            ExprKind::Aggregate(aggregate) => {
                f.write_str(&aggregation(aggregate))?;
                match &aggregate.parameter {
                    Some(parameter) => write!(f, "({parameter}, {})", aggregate.inner),
                    None => write!(f, "({})", aggregate.inner),
                }
            }
            ExprKind::Call { function, arguments } => {
                write!(f, "{}(", function.name)?;
                for (at, argument) in arguments.iter().enumerate() {
                    write!(f, "{}{argument}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
        }
    }
}
