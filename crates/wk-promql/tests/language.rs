//! What is a query and what is not; no text may bring the parser or the evaluator down.

use std::sync::Arc;

use proptest::prelude::*;
use wk_model::series::{Buckets, Histogram, Labels, SampleValue, stale_nan};
use wk_promql::{
    Cancel, Engine, MemorySeries, Output, ParseOptions, Query, QueryError, format_query, parse,
};

/// The query's error with its position, or its usual form.
fn check(query: &str, expected: &str) {
    let got = match parse(query) {
        Ok(expr) => expr.to_string(),
        Err(error) => error.with_position(query),
    };
    assert_eq!(got, expected, "{query}");
}

#[test]
fn queries_come_back_in_their_usual_form() {
    check("up", "up");
    check("1+2*3^2^2", "1 + 2 * 3 ^ 2 ^ 2");
    check("0x1F + 1_000 + 1h30m", "31 + 1000 + 5400");
    check("-foo ^ 2", "-foo ^ 2");
    check(
        r#"{ "http.requests", job = 'a' , x=~"b|c" }"#,
        r#"{__name__="http.requests",job="a",x=~"b|c"}"#,
    );
    check(r#"up{"a.b"="c"}"#, r#"up{"a.b"="c"}"#);
    check("rate(x[5m] offset -1d @ 12.5)", "rate(x[5m] @ 12.500 offset -1d)");
    check("x[1h:] @ start() offset 300", "x[1h:] @ start() offset 5m");
    check("sum by(a,)(x)", "sum by (a) (x)");
    check("topk(3, x) without (a)", "topk without (a) (3, x)");
    check("a/on(x)group_left(y)b", "a / on (x) group_left (y) b");
    check("a == bool 1", "a == bool 1");
    check("sum", "sum");
    check("# a remark\nup # and another", "up");
}

#[test]
fn errors_say_where_and_what() {
    check("", "1:1: parse error: no expression found in input");
    check("1 +", "1:4: parse error: unexpected end of input at the start of an expression");
    check(
        "up{",
        "1:4: parse error: unexpected end of input in label matching, expected identifier or \"}\"",
    );
    check("a\n  == )", "2:6: parse error: unexpected \")\" at the start of an expression");
    check("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher");
    check(
        "{x=~\".*\"}",
        "1:1: parse error: vector selector must contain at least one non-empty matcher",
    );
    check(
        "rate(x)",
        "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector",
    );
    check("rate(x[0s])", "1:8: parse error: duration must be greater than 0");
    check("1 == 1", "1:1: parse error: comparisons between scalars must use BOOL modifier");
    check(
        "1 and x",
        "1:1: parse error: set operator \"and\" not allowed in binary scalar expression",
    );
    check("nosuch(x)", "1:1: parse error: unknown function with name \"nosuch\"");
    check(
        "mad_over_time(x[1m])",
        "1:1: parse error: function \"mad_over_time\" is experimental and not enabled",
    );
    check("x offset 1m offset 1m", "1:13: parse error: offset may not be set multiple times");
    check(
        "round()",
        "1:1: parse error: expected at least 1 argument(s) in call to \"round\", got 0",
    );
    check("\"open", "1:1: parse error: unterminated quoted string");
    check(
        "a fill(0) b",
        "1:3: parse error: unexpected identifier \"fill\" after the end of the expression",
    );
}

#[test]
fn deep_queries_are_refused() {
    let deep = "(".repeat(100_000);
    assert!(parse(&deep).expect_err("too deep").message.contains("levels deep"));
    let long = vec!["1"; 100_000].join("+");
    assert!(parse(&long).expect_err("too deep").message.contains("levels deep"));
    let minus = "-".repeat(100_000) + "1";
    assert!(parse(&minus).is_err());
}

fn store() -> MemorySeries {
    let mut store = MemorySeries::default();
    for (at, value) in [1.0, 3.0, f64::NAN, 2.0, f64::INFINITY, 5.0].into_iter().enumerate() {
        let time = i64::try_from(at).expect("small") * 30_000;
        for (name, label) in [("a_total", "x"), ("a_total", "y"), ("b", "x")] {
            let labels = Labels::from_pairs([("__name__", name), ("l", label), ("le", "1")]);
            store.append(&labels, time, SampleValue::Float(value));
        }
        let histogram = Histogram {
            count: value,
            sum: value,
            zero_count: 1.0,
            positive: Buckets::from_sorted([(1, value), (3, 2.0)]),
            ..Histogram::default()
        };
        let labels = Labels::from_pairs([("__name__", "h")]);
        store.append(&labels, time, SampleValue::Histogram(Arc::new(histogram)));
    }
    let labels = Labels::from_pairs([("__name__", "b"), ("l", "x"), ("le", "1")]);
    store.append(&labels, 200_000, SampleValue::Float(stale_nan()));
    store
}

#[test]
fn samples_and_time_are_bounded() {
    let engine = Engine { max_samples: 10, ..Engine::default() };
    let query = Query { text: "a_total", start_ms: 0, end_ms: 150_000, step_ms: Some(30_000) };
    let go = Cancel::default();
    let error = engine.query(&store(), &query, &go).expect_err("12 samples");
    assert_eq!(error, QueryError::TooManySamples { limit: 10 });
    let endless = Query { text: "1", start_ms: 0, end_ms: i64::MAX, step_ms: Some(1) };
    let error = Engine::default().query(&store(), &endless, &go).expect_err("too many steps");
    assert!(matches!(error, QueryError::TooManySamples { .. }));
    let stop = Cancel::default();
    stop.cancel();
    let error = Engine::default().query(&store(), &query, &stop).expect_err("stopped");
    assert_eq!(error, QueryError::Stopped);
}

#[test]
fn an_instant_query_keeps_the_order_that_sort_gives() {
    let query = Query {
        text: "sort_desc(vector(1) or a_total)",
        start_ms: 30_000,
        end_ms: 0,
        step_ms: None,
    };
    let answer = Engine::default().query(&store(), &query, &Cancel::default());
    let Output::Vector(series) = answer.expect("a good query").output else { panic!("a vector") };
    assert_eq!(series.len(), 3);
    assert_eq!(series[0].points[0].value, SampleValue::Float(3.0));
    assert_eq!(series[2].points[0].value, SampleValue::Float(1.0));
}

/// Pieces of queries, so that random rows of them are often well-formed.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "a_total",
        "b",
        "h",
        "{l=\"x\"}",
        "[1m]",
        "[2m:30s]",
        "(",
        ")",
        "+",
        "-",
        "*",
        "/",
        "^",
        "%",
        "==",
        "bool",
        "and",
        "or",
        "unless",
        "on(l)",
        "ignoring(l)",
        "group_left()",
        "sum",
        "avg by(l)",
        "topk(2,",
        "quantile(0.5,",
        "count_values(\"v\",",
        "rate(",
        "increase(",
        "deriv(",
        "avg_over_time(",
        "histogram_quantile(0.9,",
        "label_replace(",
        "1",
        "NaN",
        "1e300",
        "offset 1m",
        "offset -1m",
        "@ 60",
        "@ start()",
        ",",
        "\"x\"",
        "absent(",
        "sort(",
        "clamp(",
        "predict_linear(",
        "scalar(",
        "vector(",
        "time()",
        "minute(",
        "timestamp(",
        "histogram_fraction(0,2,",
        "histogram_stddev(",
    ];
    (0..pieces.len()).prop_map(move |at| pieces[at].to_owned())
}

proptest! {
    #[test]
    fn any_text_parses_or_fails_without_panic(text in "\\PC{0,60}") {
        let _ = parse(&text).map_err(|error| error.with_position(&text));
    }

    #[test]
    fn rows_of_pieces_never_panic(pieces in proptest::collection::vec(piece(), 1..10)) {
        let mut text = pieces.join(" ");
        let open = text.matches('(').count().saturating_sub(text.matches(')').count());
        text.push_str(&")".repeat(open));
        let engine = Engine { parse: ParseOptions { experimental: true }, ..Engine::default() };
        for step_ms in [None, Some(45_000)] {
            let query = Query { text: &text, start_ms: 0, end_ms: 240_000, step_ms };
            let _ = engine.query(&store(), &query, &Cancel::default());
        }
    }

    #[test]
    fn formatting_again_changes_nothing(pieces in proptest::collection::vec(piece(), 1..6)) {
        let mut text = pieces.join(" ");
        let open = text.matches('(').count().saturating_sub(text.matches(')').count());
        text.push_str(&")".repeat(open));
        if let Ok(once) = format_query(&text) {
            prop_assert_eq!(format_query(&once), Ok(once.clone()));
        }
    }
}
