//! What is asked of both, and where the newer answer is meant to differ.

/// A path and its parameters.
pub(super) type Question = (&'static str, Vec<(&'static str, String)>);

/// Times of instant queries: before, at, between, after samples, and where series end.
const TIMES: [&str; 5] =
    ["1699999999", "1700000000", "1700003003.456", "1700007190", "2023-11-15T00:15:00Z"];

/// Functions of one vector.
const VECTOR_FUNCTIONS: [&str; 21] = [
    "abs",
    "ceil",
    "floor",
    "exp",
    "ln",
    "log2",
    "log10",
    "sqrt",
    "sgn",
    "round",
    "timestamp",
    "sin",
    "tanh",
    "deg",
    "absent",
    "day_of_week",
    "days_in_month",
    "hour",
    "sort",
    "sort_desc",
    "scalar",
];

/// Functions of one range.
const RANGE_FUNCTIONS: [&str; 19] = [
    "rate",
    "increase",
    "irate",
    "delta",
    "idelta",
    "deriv",
    "changes",
    "resets",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "last_over_time",
    "present_over_time",
    "absent_over_time",
    "quantile_over_time",
];

const AGGREGATIONS: [&str; 8] = ["sum", "avg", "min", "max", "count", "stddev", "stdvar", "group"];

const OPERATORS: [&str; 13] =
    ["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">=", "and", "or", "unless"];

fn expressions() -> Vec<String> {
    let mut all: Vec<String> = [
        "up",
        "1",
        "-1e-7",
        "1e21",
        "0/0",
        "-1/0",
        "'text'",
        "up{job=~'a.*'}",
        "up{job!~'a.*'}",
        "{__name__=~'up|odd'}",
        "up{instance!=''}",
        "up{nothing=''}",
        "odd",
        "odd[61s]",
        "build_info",
        "up offset 5m",
        "up offset -5m",
        "up @ 1700003000",
        "up @ end()",
        "time()",
        "vector(time())",
        "histogram_quantile(0.9, rate(latency_seconds_bucket[301s]))",
        "histogram_quantile(0.5, sum by (le, job) (rate(latency_seconds_bucket[301s])))",
        "topk(2, temperature)",
        "bottomk by (job) (1, temperature)",
        "quantile(0.3, temperature)",
        "count_values('value', up)",
        "label_replace(up, 'x', '$1-y', 'instance', '(.*):.*')",
        "label_join(up, 'x', '/', 'job', 'instance')",
        "clamp(temperature, 0, 10)",
        "predict_linear(temperature[601s], 3600)",
        "holt_winters(temperature[601s], 0.5, 0.5)",
        "max_over_time(rate(requests_total[61s])[601s:30s])",
        "sum(up) by (job)",
        "avg_over_time(temperature[601s] offset 1m)",
        "sum without (instance, code) (requests_total)",
        "requests_total / on (job, instance) group_left up",
        "requests_total / ignoring (code) group_left () up",
        "sum by (job) (requests_total{code='500'}) / sum by (job) (requests_total)",
        "up == bool 1",
        "up > bool on (job, instance) temperature",
        "-up",
        "+(up)",
        "!up",
        "sum(",
        "up{",
        "up[5m",
        "rate(up)",
        "sum(up) + foo(up)",
        "up + on (job) up",
        "up{job='a' job='b'}",
        "'a' + 1",
        "up[5m] + 1",
        "",
        "  ",
        "absent(nothing{job='x',y=~'z'})",
        "#comment",
        "up # comment",
        "up{job=~'('}",
        "1 == 1",
        "1 == bool 1",
        "minute(vector(1700000000))",
        "year(vector(0))",
        "pi()",
        "sum(odd)",
        "stddev(odd)",
        "sort_desc(odd)",
        "odd > 0",
        "NaN",
        "Inf",
        "0x1F",
        "1h",
        "clamp_min(temperature, 5)",
        "round(temperature, 0.5)",
        "atan2(1, 2)",
        "temperature atan2 up",
        "rate(requests_total[1001s]) > 0.1 or vector(0)",
        "{__name__='up',job='api'}",
        "{}",
        "{job=~'.*'}",
        "group by (job) (up)",
        "up[0s]",
        "up[1h:]",
        "sum_over_time(up[301s:1m])",
        "(((up)))",
        "up{job=\"\\x61pi\"}",
        "sum by (job,) (up)",
    ]
    .map(str::to_owned)
    .to_vec();
    all.extend(VECTOR_FUNCTIONS.map(|name| format!("{name}(temperature)")));
    for name in RANGE_FUNCTIONS {
        let first = if name == "quantile_over_time" { "0.7, " } else { "" };
        for metric in ["requests_total", "temperature"] {
            // Ranges that are no multiple of the samples' distance: both ends fall between samples
            // at most steps, so that it does not matter which of them belongs to the range.
            all.push(format!("{name}({first}{metric}[307s])"));
        }
    }
    for name in AGGREGATIONS {
        all.extend(
            ["", " by (job)", " without (job)"].map(|by| format!("{name}{by} (temperature)")),
        );
    }
    for operator in OPERATORS {
        all.push(format!("temperature {operator} up"));
        all.push(format!("temperature {operator} 3"));
        all.push(format!("up {operator} on (job, instance) temperature"));
    }
    all
}

pub(super) fn questions() -> Vec<Question> {
    let mut all = Vec::new();
    let text = |parts: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        parts.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    for query in expressions() {
        for time in TIMES {
            all.push(("/api/v1/query", text(&[("query", &query), ("time", time)])));
        }
        for (start, end, step) in
            [("1700000001.5", "1700003601.5", "61"), ("1700006000", "1700009000", "2m")]
        {
            let range = [("query", &*query), ("start", start), ("end", end), ("step", step)];
            all.push(("/api/v1/query_range", text(&range)));
        }
        all.push(("/api/v1/format_query", text(&[("query", &query)])));
    }
    let long = "sum by (job) (rate(requests_total{code=~'2..|4..',job='node',instance='a:1'}[5m])) / \
                ignoring (code) group_left (x) -(max_over_time(temperature[1h:5m] offset 1w) + \
                histogram_quantile(0.99, sum without (instance) (latency_seconds_bucket)))";
    for query in [long, "1000000", "1e-9", "12345678.5", "topk(5,up)", "sum(up)by(job)", "up@1"] {
        all.push(("/api/v1/format_query", text(&[("query", query)])));
    }
    for range in [
        &[("query", "up"), ("start", "0"), ("end", "1"), ("step", "0")][..],
        &[("query", "up"), ("start", "0"), ("end", "1"), ("step", "-1")],
        &[("query", "up"), ("start", "2"), ("end", "1"), ("step", "1")],
        &[("query", "up"), ("start", "0"), ("end", "11000"), ("step", "1")],
        &[("query", "up"), ("start", "0"), ("end", "11001"), ("step", "1")],
        &[("query", "up"), ("start", "x"), ("end", "1"), ("step", "1")],
        &[("query", "up"), ("start", "0"), ("end", "1")],
        &[("query", "up"), ("start", "0"), ("end", "1"), ("step", "x")],
        &[("query", "up[5m]"), ("start", "0"), ("end", "1"), ("step", "1")],
        &[("query", "'x'"), ("start", "0"), ("end", "1"), ("step", "1")],
        &[("start", "0"), ("end", "1"), ("step", "1")],
    ] {
        all.push(("/api/v1/query_range", text(range)));
    }
    for one in [
        &[("query", "up"), ("time", "x")][..],
        &[("query", "up"), ("time", "1"), ("timeout", "x")],
        &[("query", "up"), ("time", "1700000000"), ("timeout", "10s")],
    ] {
        all.push(("/api/v1/query", text(one)));
    }
    for path in [
        "/api/v1/series",
        "/api/v1/labels",
        "/api/v1/label/job/values",
        "/api/v1/label/__name__/values",
        "/api/v1/label/nothing/values",
    ] {
        for given in [
            &[][..],
            &[("match[]", "up")],
            &[("match[]", "up"), ("match[]", "{__name__=~'req.*',code!='200'}")],
            &[("match[]", "up"), ("start", "1700000000"), ("end", "1700003600")],
            &[("match[]", "up"), ("start", "1800000000"), ("end", "1800003600")],
            &[("match[]", "{}")],
            &[("match[]", "up[5m]")],
            &[("match[]", "sum(up)")],
            &[("match[]", "up{")],
            &[("match[]", "nothing")],
            &[("start", "x")],
            &[("start", "2"), ("end", "1"), ("match[]", "up")],
        ] {
            all.push((path, text(given)));
        }
    }
    for path in [
        "/api/v1/metadata",
        "/api/v1/targets",
        "/api/v1/rules",
        "/api/v1/alerts",
        "/api/v1/alertmanagers",
        "/api/v1/targets/metadata",
        "/api/v1/status/walreplay",
    ] {
        all.push((path, Vec::new()));
    }
    for (path, given) in [
        ("/api/v1/rules", &[("type", "alert")][..]),
        ("/api/v1/rules", &[("type", "x")]),
        ("/api/v1/metadata", &[("limit", "x")]),
        ("/api/v1/metadata", &[("limit", "0"), ("metric", "up")]),
        ("/api/v1/targets", &[("state", "active")]),
        ("/api/v1/targets", &[("state", "dropped")]),
        ("/api/v1/targets/metadata", &[("match_target", "{")]),
        ("/api/v1/query_exemplars", &[("query", "up"), ("start", "0"), ("end", "1")]),
        ("/api/v1/query_exemplars", &[("query", "up"), ("start", "2"), ("end", "1")]),
        ("/api/v1/query_exemplars", &[("query", "up{"), ("start", "0"), ("end", "1")]),
    ] {
        all.push((path, text(given)));
    }
    all
}

/// Why an answer differs from that of Prometheus 2.42, where the newer way is the right one.
pub(super) fn known(path: &str, parameters: &[(&str, &str)]) -> Option<&'static str> {
    let given = |name: &str| parameters.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v);
    let query = given("query");
    let counts = ["rate(", "increase("].iter().any(|function| query.contains(function));
    match path {
        "/api/v1/targets" => Some("3.x counts dropped targets"),
        _ if query == "1h" => Some("3.x takes durations as numbers"),
        _ if query.starts_with("holt_winters") => {
            Some("3.x renames holt_winters, and has it behind a flag")
        }
        _ if query == "temperature atan2 up" => Some("3.x drops the name in atan2"),
        // Samples stand at whole steps, where 2.42 still takes the older end of the range.
        _ if query == "up[1h:]" => Some("3.x leaves the older end of ranges out"),
        "/api/v1/query" if query == "sort_desc(odd)" => Some("the order of equals is free"),
        // Windows that begin before the series do.
        "/api/v1/query_range" if counts && given("start") == "1700000001.5" => {
            Some("3.x bounds how far a counter is extended to its beginning")
        }
        _ => None,
    }
}
