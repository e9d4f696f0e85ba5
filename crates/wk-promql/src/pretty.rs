//! Writes a tree over several lines where one would be too long.

use crate::ast::{Expr, ExprKind};
use crate::error::ParseError;
use crate::format::{aggregation, operator, subquery};
use crate::parser::{ParseOptions, parse_with};

/// Bytes of an expression that stay on one line.
const LINE: usize = 100;

/// The query as Prometheus formats it: what is longer than 100 bytes is broken up and indented.
pub fn pretty_query(query: &str) -> Result<String, ParseError> {
    let expr = parse_with(query, ParseOptions { experimental: true })?;
    Ok(pretty(&expr, 0))
}

fn pretty(expr: &Expr, level: usize) -> String {
    let indent = "  ".repeat(level);
    let line = expr.to_string();
    if line.len() <= LINE {
        // Prometheus leaves a short subquery where it is.
        return match expr.kind {
            ExprKind::Subquery { .. } => line,
            _ => format!("{indent}{line}"),
        };
    }
    let below = |expr: &Expr| pretty(expr, level + 1);
    match &expr.kind {
        ExprKind::Number(_)
        | ExprKind::Text(_)
        | ExprKind::Selector(_)
        | ExprKind::Range { .. } => {
            format!("{indent}{line}")
        }
        ExprKind::Subquery { inner, range_ms, step_ms, when } => {
            format!("{}{}", pretty(inner, level), subquery(*range_ms, *step_ms, when))
        }
        ExprKind::Paren(inner) => format!("{indent}(\n{}\n{indent})", below(inner)),
        ExprKind::Unary { negative, inner } => {
            let sign = if *negative { '-' } else { '+' };
            format!("{indent}{sign}{}", pretty(inner, level).trim())
        }
        ExprKind::Binary(binary) => {
            let (left, right) = (below(&binary.left), below(&binary.right));
            format!("{left}\n{indent}{}\n{right}", operator(binary))
        }
        ExprKind::Aggregate(aggregate) => {
            let head = aggregation(aggregate);
            let parameter = aggregate.parameter.as_ref().map(|p| format!("{},\n", below(p)));
            let inner = below(&aggregate.inner);
            format!("{indent}{head}(\n{}{inner}\n{indent})", parameter.unwrap_or_default())
        }
        ExprKind::Call { function, arguments } => {
            let arguments: Vec<_> = arguments.iter().map(below).collect();
            format!("{indent}{}(\n{}\n{indent})", function.name, arguments.join(",\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_queries_are_broken_up() {
        let name = "a_rather_long_name_of_a_metric_that_counts_total";
        let selector = format!("{name}{{instance=\"localhost:9090\",job=\"x\"}}[5m]");
        for (query, expected) in [
            ("sum by(job)(up)".to_owned(), "sum by (job) (up)".to_owned()),
            (
                format!("sum by(job)(rate({selector}))"),
                format!("sum by (job) (\n  rate({selector})\n)"),
            ),
            (format!("{name}_more/{name}"), format!("  {name}_more\n/\n  {name}")),
        ] {
            assert_eq!(pretty_query(&query).expect("it is a query"), expected);
        }
    }
}
