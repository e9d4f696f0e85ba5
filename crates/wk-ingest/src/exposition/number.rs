//! Numbers as Prometheus writes them into label values.

use wk_promql::short_number;

/// The text of a bucket bound or quantile: `0.5`, `1.0`, `1e+06`, `+Inf`.
///
/// Go's `%g` in its shortest form, with `.0` added to what would look like an integer, as OpenMetrics
/// wants it.
pub fn go_float(value: f64) -> String {
    let text = short_number(value);
    let whole = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if whole { format!("{text}.0") } else { text }
}

#[cfg(test)]
mod tests {
    use super::go_float;

    #[test]
    fn bounds_are_written_as_prometheus_does() {
        let check = |value, expected: &str| assert_eq!(go_float(value), expected);
        check(1.0, "1.0");
        check(0.005, "0.005");
        check(0.00001, "1e-05");
        check(100_000.0, "100000.0");
        check(1_000_000.0, "1e+06");
        check(1_234_567.0, "1.234567e+06");
        check(123_456.7, "123456.7");
        check(1_234_567.5, "1.2345675e+06");
        check(0.0, "0.0");
        check(-2.5, "-2.5");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        check(f64::NAN, "NaN");
    }
}
