//! Samples as pages that a Prometheus scrapes: its text format and OpenMetrics.

use wk_ingest::exposition::go_float;
use wk_model::series::{Labels, METRIC_NAME};
use wk_promql::short_number;

use crate::names::is_plain;

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Prometheus' text format.
    Text,
    /// OpenMetrics.
    Open,
}

impl Form {
    /// The form that the caller likes best; text if it does not say.
    pub(crate) fn accepted(accept: &str) -> Form {
        let mut best = (Form::Text, 0.0);
        for item in accept.split(',') {
            let mut parts = item.split(';').map(str::trim);
            let form = match parts.next().unwrap_or("") {
                "application/openmetrics-text" => Form::Open,
                "text/plain" | "text/*" | "*/*" => Form::Text,
                _ => continue,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            let weight = weight.map_or(1.0, |text| text.parse().unwrap_or(0.0));
            if weight > best.1 {
                best = (form, weight);
            }
        }
        best.0
    }

    /// The content type of a page.
    pub(crate) fn content(self) -> &'static str {
        match self {
            Form::Text => "text/plain; version=0.0.4; charset=utf-8",
            Form::Open => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The line that says what the metric is; what left its exporter has no kind any more.
    pub(crate) fn kind_line(self, out: &mut Vec<u8>, metric: &str) {
        out.extend(b"# TYPE ");
        if is_plain(metric, true) {
            out.extend(metric.bytes());
        } else {
            quoted(out, metric);
        }
        out.extend(match self {
            Form::Text => &b" untyped\n"[..],
            Form::Open => b" unknown\n",
        });
    }

    /// The line of one sample.
    pub(crate) fn sample(self, out: &mut Vec<u8>, labels: &Labels, time_ms: i64, value: f64) {
        let metric = labels.metric_name();
        let plain = is_plain(metric, true);
        if plain {
            out.extend(metric.bytes());
        }
        let mut open = b'{';
        if !plain {
            out.push(open);
            quoted(out, metric);
            open = b',';
        }
        let rest = labels.iter().filter(|(name, _)| &**name != METRIC_NAME);
        let mut rest: Vec<(&str, &str)> = rest.map(|(n, v)| (&**n, &**v)).collect();
        // So that the scraper does not put its own there.
        if labels.get("instance").is_none() {
            rest.push(("instance", ""));
        }
        for (name, value) in rest {
            out.push(open);
            open = b',';
            if is_plain(name, false) {
                out.extend(name.bytes());
            } else {
                quoted(out, name);
            }
            out.push(b'=');
            quoted(out, value);
        }
        out.extend(b"} ");
        self.number(out, value);
        out.push(b' ');
        match self {
            Form::Text => out.extend(time_ms.to_string().bytes()),
            Form::Open => self.number(out, seconds(time_ms)),
        }
        out.push(b'\n');
    }

    /// The last line, if there is one.
    pub(crate) fn end(self) -> &'static str {
        match self {
            Form::Text => "",
            Form::Open => "# EOF\n",
        }
    }

    fn number(self, out: &mut Vec<u8>, value: f64) {
        let text = match self {
            Form::Text => short_number(value),
            Form::Open => go_float(value),
        };
        out.extend(text.bytes());
    }
}

#[allow(clippy::cast_precision_loss)] // Milliseconds of any sensible date are exact.
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_liked_form_is_taken() {
        for (accept, expected) in [
            ("", Form::Text),
            ("*/*", Form::Text),
            ("application/openmetrics-text; version=0.0.1; q=0.75,text/plain;q=0.5", Form::Open),
            ("application/openmetrics-text;q=0.2, text/plain;q=0.5", Form::Text),
            ("application/json", Form::Text),
        ] {
            assert_eq!(Form::accepted(accept), expected, "{accept}");
        }
    }

    #[test]
    fn numbers_are_written_as_go_does() {
        for (value, text, open) in [
            (0.0, "0", "0.0"),
            (-1.0, "-1", "-1.0"),
            (123_456.0, "123456", "123456.0"),
            (1_234_567.5, "1.2345675e+06", "1.2345675e+06"),
            (1e6, "1e+06", "1e+06"),
            (1e21, "1e+21", "1e+21"),
            (0.00001, "1e-05", "1e-05"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ] {
            for (form, expected) in [(Form::Text, text), (Form::Open, open)] {
                let mut out = Vec::new();
                form.number(&mut out, value);
                assert_eq!(String::from_utf8_lossy(&out), expected);
            }
        }
    }

    #[test]
    fn a_sample_is_a_line() {
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a\"b\n")]);
        let odd = Labels::from_pairs([("__name__", "a.b"), ("c.d", "x"), ("instance", "h")]);
        for (form, labels, value, expected) in [
            (Form::Text, &labels, 1.0, "up{job=\"a\\\"b\\n\",instance=\"\"} 1 1500\n"),
            (Form::Open, &labels, 1.0, "up{job=\"a\\\"b\\n\",instance=\"\"} 1.0 1.5\n"),
            (Form::Text, &odd, f64::NAN, "{\"a.b\",\"c.d\"=\"x\",instance=\"h\"} NaN 1500\n"),
        ] {
            let mut out = Vec::new();
            form.sample(&mut out, labels, 1500, value);
            assert_eq!(String::from_utf8(out).expect("it is text"), expected);
        }
    }
}
