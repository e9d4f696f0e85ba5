//! Pages in every format.

use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Seen(Vec<String>);

impl Visitor for Seen {
    fn sample(
        &mut self,
        labels: &RawLabels,
        value: Value,
        time_ms: Option<i64>,
        exemplars: Vec<Exemplar>,
    ) -> Result<(), String> {
        let labels = wk_model::series::Labels::from_pairs(labels.iter());
        let value = match value {
            Value::Float(value) => value.to_string(),
            Value::Histogram(histogram) => format!("histogram of {}", histogram.count),
        };
        let exemplars: Vec<_> = exemplars.iter().map(|e| (&e.labels, e.value, e.time_ms)).collect();
        self.0.push(format!("{labels} {value} {time_ms:?} {exemplars:?}"));
        Ok(())
    }

    fn metadata(&mut self, _: &str, _: Metadata) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn lines_give_series() {
    let check = |format, page: &str, expected: &[&str]| {
        let mut seen = Seen::default();
        read(format, page.as_bytes(), ReadOptions::default(), &mut seen).unwrap();
        assert_eq!(seen.0, expected, "{page}");
    };
    let bucket = r#"{__name__="h_bucket", le="1.0"} 2 None []"#;
    check(Format::Text, "# TYPE h histogram\nh_bucket{le=\"1\"} 2\n", &[bucket]);
    check(Format::OpenMetrics, "# TYPE h histogram\nh_bucket{le=\"1.0\"} 2\n# EOF\n", &[bucket]);
    check(
        Format::Text,
        "a{b=\"x\\\"y\\\\z\\n\",} +Inf 1500\n{\"dotted.name\", \"q l\"=\"v\"} 1\n",
        &[
            r#"{__name__="a", b="x\"y\\z\n"} inf Some(1500) []"#,
            r#"{__name__="dotted.name", q l="v"} 1 None []"#,
        ],
    );
    check(
        Format::OpenMetrics,
        "a_total{b=\"c\"} 1 1.5 # {trace_id=\"t\"} 0.5 1.25\n# EOF",
        &[r#"{__name__="a_total", b="c"} 1 Some(1500) [({trace_id="t"}, 0.5, 1250)]"#],
    );
}

#[test]
fn faults_name_their_line() {
    let check = |format, page: &str, expected: &str| {
        let outcome = read(format, page.as_bytes(), ReadOptions::default(), &mut Seen::default());
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains(expected), "{page}: {error}");
    };
    check(Format::Text, "a 1\nb x\n", "line 2 (`b x`): `x` is no number");
    check(Format::Text, "a{b=\"c} 1\n", "does not end on its line");
    check(Format::Text, "{b=\"c\"} 1\n", "name is missing");
    check(Format::OpenMetrics, "a 1\n", "# EOF");
    check(Format::OpenMetrics, "# EOF\na 1\n", "ends the page");
    check(Format::Protobuf, "\u{5}abc", "cut off");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in "[ab#{}=\", \\\\1\n]{0,60}") {
        for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
            for page in [bytes.as_slice(), text.as_bytes()] {
                let _ = read(format, page, ReadOptions::default(), &mut Seen::default());
            }
        }
    }
}
