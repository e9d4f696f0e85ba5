//! A query's syntax tree in the shape of Prometheus' `parse_query`.

use serde_json::{Value, json};
use wk_promql::ast::{At, Cardinality, Expr, ExprKind, Selector, ValueType, When};
use wk_promql::{Function, Matcher, short_number};

/// The tree; the parser bounds its depth.
pub(crate) fn tree(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number(value) => json!({"type": "numberLiteral", "val": short_number(*value)}),
        ExprKind::Text(text) => {
            json!({"type": "stringLiteral", "val": String::from_utf8_lossy(text)})
        }
        ExprKind::Selector(selector) => with_place(
            json!({
                "type": "vectorSelector",
                "name": selector.name.as_deref().unwrap_or(""),
                "matchers": matchers(&selector.matchers),
            }),
            &selector.when,
        ),
        ExprKind::Range { selector, range_ms } => match &selector.kind {
            ExprKind::Selector(Selector { name, matchers: all, when }) => with_place(
                json!({
                    "type": "matrixSelector",
                    "name": name.as_deref().unwrap_or(""),
                    "range": range_ms,
                    "matchers": matchers(all),
                }),
                when,
            ),
            _ => tree(selector),
        },
        ExprKind::Subquery { inner, range_ms, step_ms, when } => with_place(
            json!({
                "type": "subquery",
                "expr": tree(inner),
                "range": range_ms,
                "step": step_ms.unwrap_or(0),
            }),
            when,
        ),
        ExprKind::Paren(inner) => json!({"type": "parenExpr", "expr": tree(inner)}),
        ExprKind::Unary { negative, inner } => {
            let op = if *negative { "-" } else { "+" };
            json!({"type": "unaryExpr", "op": op, "expr": tree(inner)})
        }
        ExprKind::Binary(binary) => {
            let vectors = [&binary.left, &binary.right]
                .iter()
                .all(|side| side.value_type() == ValueType::Vector);
            let matching = vectors.then(|| {
                let matching = &binary.matching;
                json!({
                    "card": cardinality(matching.cardinality),
                    "labels": matching.labels,
                    "on": matching.on,
                    "include": matching.include,
                })
            });
            json!({
                "type": "binaryExpr",
                "op": binary.op.name(),
                "lhs": tree(&binary.left),
                "rhs": tree(&binary.right),
                "matching": matching,
                "bool": binary.returns_bool,
            })
        }
        ExprKind::Aggregate(aggregate) => json!({
            "type": "aggregation",
            "op": aggregate.op.name(),
            "expr": tree(&aggregate.inner),
            "param": aggregate.parameter.as_ref().map(tree),
            "grouping": aggregate.labels,
            "without": aggregate.without,
        }),
        ExprKind::Call { function, arguments } => json!({
            "type": "call",
            "func": signature(function),
            "args": arguments.iter().map(tree).collect::<Vec<_>>(),
        }),
    }
}

/// Every selector of the tree.
pub(crate) fn selectors(expr: &Expr) -> Vec<&Selector> {
    let mut found = Vec::new();
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        match &expr.kind {
            ExprKind::Number(_) | ExprKind::Text(_) => {}
            ExprKind::Selector(selector) => found.push(selector),
            ExprKind::Range { selector: inner, .. }
            | ExprKind::Subquery { inner, .. }
            | ExprKind::Paren(inner)
            | ExprKind::Unary { inner, .. } => open.push(inner),
            ExprKind::Binary(binary) => open.extend([&binary.left, &binary.right]),
            ExprKind::Aggregate(aggregate) => {
                open.push(&aggregate.inner);
                open.extend(&aggregate.parameter);
            }
            ExprKind::Call { arguments, .. } => open.extend(arguments),
        }
    }
    found
}

fn with_place(mut node: Value, when: &When) -> Value {
    let (timestamp, bound) = match when.at {
        None => (None, None),
        Some(At::Time(ms)) => (Some(ms), None),
        Some(At::Start) => (None, Some("start")),
        Some(At::End) => (None, Some("end")),
    };
    node["offset"] = json!(when.offset_ms);
    node["timestamp"] = json!(timestamp);
    node["startOrEnd"] = json!(bound);
    node
}

fn matchers(all: &[Matcher]) -> Value {
    let one = |matcher: &Matcher| json!({"name": matcher.name, "value": matcher.value, "type": matcher.op.symbol()});
    all.iter().map(one).collect()
}

fn cardinality(cardinality: Cardinality) -> &'static str {
    match cardinality {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    }
}

fn kind(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Scalar => "scalar",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
        ValueType::String => "string",
    }
}

fn signature(function: &Function) -> Value {
    // How many arguments may be left out; -1 for any number of them.
    let variadic = match function.most() {
        Some(most) => i64::try_from(most - function.least()).unwrap_or(0),
        None => -1,
    };
    json!({
        "name": function.name,
        "argTypes": function.arguments.iter().map(|one| kind(*one)).collect::<Vec<_>>(),
        "variadic": variadic,
        "returnType": kind(function.returns),
    })
}
