//! Pages of metrics as exporters show them: one visitor, three formats.

mod labels;
mod number;
mod protobuf;
mod text;

pub use labels::RawLabels;
pub use number::go_float;

use wk_model::series::{Exemplar, Histogram, Metadata};

/// The NaN that a page means; another bit pattern marks the end of a series.
const ORDINARY_NAN: u64 = 0x7ff8_0000_0000_0001;

/// A page's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4 or 1.0.0.
    Text,
    /// OpenMetrics text 0.0.1 or 1.0.0.
    OpenMetrics,
    /// `io.prometheus.client.MetricFamily`, each after its length.
    Protobuf,
}

impl Format {
    /// What a `Content-Type` header means; `None` if it is none of a page of metrics.
    pub fn from_content_type(content_type: &str) -> Option<Format> {
        let mut parts = content_type.split(';').map(str::trim);
        let media = parts.next()?.to_ascii_lowercase();
        match media.as_str() {
            "text/plain" => Some(Format::Text),
            "application/openmetrics-text" => Some(Format::OpenMetrics),
            "application/vnd.google.protobuf" => {
                let of = |key: &str| {
                    parts
                        .clone()
                        .find_map(|part| part.strip_prefix(key))
                        .map(|v| v.trim_matches('"'))
                };
                let family =
                    of("proto=").is_none_or(|name| name == "io.prometheus.client.MetricFamily");
                let delimited = of("encoding=").is_none_or(|name| name == "delimited");
                (family && delimited).then_some(Format::Protobuf)
            }
            _ => None,
        }
    }
}

/// What a sample holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Box<Histogram>),
}

/// Whoever takes what stands on a page. An error ends the reading.
pub trait Visitor {
    /// A sample. Labels contain the metric's name, in no order. Times are milliseconds since 1970.
    fn sample(
        &mut self,
        labels: &RawLabels,
        value: Value,
        time_ms: Option<i64>,
        exemplars: Vec<Exemplar>,
    ) -> Result<(), String>;

    /// What the page tells of a metric.
    fn metadata(&mut self, metric: &str, metadata: Metadata) -> Result<(), String>;
}

/// How pages are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Of a histogram that is both native and classic, take the classic buckets too.
    pub classic_too: bool,
}

/// A page that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// A line of a text.
    #[error("line {line} (`{text}`): {reason}")]
    Line {
        /// Counted from one.
        line: usize,
        /// Its beginning.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// The whole page.
    #[error("{0}")]
    Page(String),
}

/// Reads a page from its beginning to its end or to the first fault.
pub fn read(
    format: Format,
    body: &[u8],
    options: ReadOptions,
    visitor: &mut dyn Visitor,
) -> Result<(), PageError> {
    match format {
        Format::Text => text::read(body, text::Dialect::Prometheus, visitor),
        Format::OpenMetrics => text::read(body, text::Dialect::OpenMetrics, visitor),
        Format::Protobuf => protobuf::read(body, options, visitor),
    }
}

#[cfg(test)]
mod tests;
