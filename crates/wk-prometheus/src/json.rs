//! Writes JSON as Prometheus does, straight into bytes.

use wk_model::series::{Histogram, Labels, Point, SampleValue};
use wk_promql::format_number;

/// A JSON text with its quotes.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0..0x20 => {
                let [high, low] = [byte >> 4, byte & 15].map(|half| HEX[usize::from(half)]);
                out.extend([b'\\', b'u', b'0', b'0', high, low]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Texts as a list.
pub(crate) fn texts<'a>(out: &mut Vec<u8>, all: impl IntoIterator<Item = &'a str>) {
    out.push(b'[');
    for (at, one) in all.into_iter().enumerate() {
        comma(out, at);
        text(out, one);
    }
    out.push(b']');
}

/// The comma before all but the first.
pub(crate) fn comma(out: &mut Vec<u8>, at: usize) {
    if at > 0 {
        out.push(b',');
    }
}

/// Labels as an object.
pub(crate) fn labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (at, (name, value)) in labels.iter().enumerate() {
        comma(out, at);
        text(out, name);
        out.push(b':');
        text(out, value);
    }
    out.push(b'}');
}

/// Milliseconds as seconds with up to three places.
pub(crate) fn seconds(out: &mut Vec<u8>, ms: i64) {
    let size = ms.unsigned_abs();
    if ms < 0 {
        out.push(b'-');
    }
    out.extend((size / 1000).to_string().bytes());
    if !size.is_multiple_of(1000) {
        out.extend(format!(".{:03}", size % 1000).bytes());
    }
}

/// A sample's number, as text since JSON has neither NaN nor infinity.
pub(crate) fn number(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    out.extend(number_text(value).bytes());
    out.push(b'"');
}

/// The number of a scalar: never with an exponent, unlike a sample's.
pub(crate) fn scalar(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend(format!("\"{value}\"").bytes());
    } else {
        number(out, value);
    }
}

/// A number with its exponent only below 1e-6 and from 1e21, as samples are written.
pub(crate) fn number_text(value: f64) -> String {
    if (1e-6..1e-4).contains(&value.abs()) { format!("{value}") } else { format_number(value) }
}

/// `[time, "value"]` or `[time, {histogram}]`.
pub(crate) fn point(out: &mut Vec<u8>, point: &Point) {
    out.push(b'[');
    seconds(out, point.time_ms);
    out.push(b',');
    match &point.value {
        SampleValue::Float(value) => number(out, *value),
        SampleValue::Histogram(value) => histogram(out, value),
    }
    out.push(b']');
}

/// Count, sum and the buckets that hold something: `[which ends belong to it, lower, upper, count]`.
fn histogram(out: &mut Vec<u8>, histogram: &Histogram) {
    out.extend(br#"{"count":"#);
    number(out, histogram.count);
    out.extend(br#","sum":"#);
    number(out, histogram.sum);
    let filled = wk_promql::buckets(histogram).into_iter().filter(|bucket| bucket.count != 0.0);
    let mut some = false;
    for (at, bucket) in filled.enumerate() {
        some = true;
        out.extend(if at == 0 { &br#","buckets":["#[..] } else { b"," });
        let includes = |lower: bool, upper: bool| match (lower, upper) {
            (false, true) => b'0',
            (true, false) => b'1',
            (false, false) => b'2',
            (true, true) => b'3',
        };
        let custom = histogram.has_custom_buckets();
        let ends = if custom {
            includes(bucket.lower == f64::NEG_INFINITY, true)
        } else {
            includes(bucket.lower < 0.0, bucket.upper > 0.0)
        };
        out.extend([b'[', ends]);
        for value in [bucket.lower, bucket.upper, bucket.count] {
            out.push(b',');
            number(out, value);
        }
        out.push(b']');
    }
    out.extend(if some { &b"]}"[..] } else { b"}" });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("it is text")
    }

    #[test]
    fn times_have_up_to_three_places() {
        for (ms, expected) in
            [(0, "0"), (1000, "1"), (1001, "1.001"), (1100, "1.100"), (-10, "-0.010")]
        {
            assert_eq!(written(|out| seconds(out, ms)), expected);
        }
    }

    #[test]
    fn numbers_are_written_as_go_does() {
        for (value, expected) in [
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (1e-5, "0.00001"),
            (1e-7, "1e-07"),
            (1.5e-10, "1.5e-10"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e21, "1e+21"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(number_text(value), expected);
        }
    }

    #[test]
    fn histograms_tell_which_ends_belong_to_a_bucket() {
        use wk_model::series::{Buckets, CUSTOM_BUCKETS};

        let both = Histogram {
            zero_threshold: 0.001,
            zero_count: 12.0,
            count: 17.5,
            sum: -0.5,
            // Index 1 ends at 2; index 2, up to 4, is empty.
            positive: Buckets::from_sorted([(1, 2.5), (2, 0.0)]),
            negative: Buckets::from_sorted([(0, 3.0)]),
            ..Histogram::default()
        };
        let custom = Histogram {
            schema: CUSTOM_BUCKETS,
            count: 3.0,
            sum: 4.0,
            custom_bounds: [1.0, 2.0].into(),
            positive: Buckets::from_sorted([(0, 1.0), (2, 2.0)]),
            ..Histogram::default()
        };
        for (value, expected) in [
            (
                both,
                r#"{"count":"17.5","sum":"-0.5","buckets":[[1,"-1","-0.5","3"],[3,"-0.001","0.001","12"],[0,"1","2","2.5"]]}"#,
            ),
            (
                custom,
                r#"{"count":"3","sum":"4","buckets":[[3,"-Inf","1","1"],[0,"2","+Inf","2"]]}"#,
            ),
            (Histogram::default(), r#"{"count":"0","sum":"0"}"#),
        ] {
            assert_eq!(written(|out| histogram(out, &value)), expected);
        }
    }

    #[test]
    fn text_is_escaped() {
        let odd = "a\"b\\c\n\u{1}\u{1f}é";
        let made = written(|out| text(out, odd));
        assert_eq!(made, r#""a\"b\\c\n\u0001\u001fé""#);
        assert_eq!(serde_json::from_str::<String>(&made).expect("it is JSON"), odd);
    }
}
