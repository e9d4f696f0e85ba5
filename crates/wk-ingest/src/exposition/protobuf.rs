//! `io.prometheus.client.MetricFamily`: the only format of pages that has native histograms.

use wk_model::series::{Exemplar, Histogram, METRIC_NAME, Metadata, MetricKind};

use super::{ORDINARY_NAN, PageError, RawLabels, ReadOptions, Value, Visitor, go_float};
use crate::protobuf::{Malformed, Reader, delimited, unzigzag};
use crate::remote_write::{
    RawBuckets, finish_histogram, observations, read_exemplar, read_pair, read_span,
};

/// Bytes of one metric of a family; a histogram with 160 native and 100 classic buckets has 10,000.
const LONGEST_METRIC: usize = 1 << 20;

pub(super) fn read(
    mut body: &[u8],
    options: ReadOptions,
    visitor: &mut dyn Visitor,
) -> Result<(), PageError> {
    let page = |error: Malformed| PageError::Page(format!("no page of metric families: {error}"));
    while let Some(message) = delimited(&mut body).map_err(page)? {
        family(message, options, visitor)
            .map_err(|(name, reason)| PageError::Page(format!("the metric `{name}`: {reason}")))?;
    }
    Ok(())
}

fn family<'a>(
    message: &'a [u8],
    options: ReadOptions,
    visitor: &mut dyn Visitor,
) -> Result<(), (&'a str, String)> {
    let (name, metadata) = header(message).map_err(|error| ("", error.to_string()))?;
    let failed = |reason| (name, reason);
    let mut metric = Metric { name, kind: metadata.kind, options, labels: RawLabels::default() };
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next_field().map_err(|e| failed(e.to_string()))? {
        if number == 4 {
            let bytes = field.bytes().map_err(|e| failed(e.to_string()))?;
            metric.read(bytes, visitor).map_err(failed)?;
        }
    }
    visitor.metadata(name, metadata).map_err(failed)
}

fn header(message: &[u8]) -> Result<(&str, Metadata), Malformed> {
    let mut reader = Reader::new(message);
    let (mut name, mut metadata) = ("", Metadata::default());
    // The first kind is a counter: it may be left out.
    metadata.kind = MetricKind::Counter;
    while let Some((number, field)) = reader.next_field()? {
        match number {
            1 => name = field.text()?,
            2 => metadata.help = field.text()?.to_owned(),
            3 => {
                metadata.kind = match field.unsigned()? {
                    0 => MetricKind::Counter,
                    1 => MetricKind::Gauge,
                    2 => MetricKind::Summary,
                    4 => MetricKind::Histogram,
                    5 => MetricKind::GaugeHistogram,
                    _ => MetricKind::Unknown,
                }
            }
            5 => metadata.unit = field.text()?.to_owned(),
            _ => {}
        }
    }
    Ok((name, metadata))
}

struct Metric<'a> {
    name: &'a str,
    kind: MetricKind,
    options: ReadOptions,
    labels: RawLabels,
}

/// Why a metric cannot be taken; the visitor's word or the bytes' fault.
type Outcome = Result<(), String>;

impl Metric<'_> {
    fn read(&mut self, message: &[u8], visitor: &mut dyn Visitor) -> Outcome {
        if message.len() > LONGEST_METRIC {
            return Err(format!("it has more than {LONGEST_METRIC} bytes"));
        }
        self.labels.clear();
        let (body, time_ms) = self.parts(message).map_err(|error| error.to_string())?;
        let Some((number, body)) = body else { return Ok(()) };
        let broken = |error: Malformed| error.to_string();
        match number {
            4 => self.summary(body, time_ms, visitor),
            7 => self.histogram(body, time_ms, visitor),
            _ => {
                let (value, exemplar) = simple(body).map_err(broken)?;
                let exemplars = exemplar.into_iter().collect();
                self.emit("", None, value, time_ms, exemplars, visitor)
            }
        }
    }

    /// Collects labels; gives the message with the value, by its field, and the time.
    #[expect(clippy::type_complexity, reason = "used once, right above")]
    fn parts<'m>(
        &mut self,
        message: &'m [u8],
    ) -> Result<(Option<(u32, Reader<'m>)>, Option<i64>), Malformed> {
        let mut reader = Reader::new(message);
        let (mut body, mut time_ms) = (None, None);
        while let Some((number, field)) = reader.next_field()? {
            match number {
                1 => {
                    let (name, value) = read_pair(field.message()?)?;
                    self.labels.push(name, value);
                }
                2 | 3 | 4 | 5 | 7 => body = Some((number, field.message()?)),
                6 => time_ms = Some(field.signed()?),
                _ => {}
            }
        }
        Ok((body, time_ms))
    }

    /// A sample with the metric's labels, its name with `suffix`, and one label more.
    fn emit(
        &mut self,
        suffix: &str,
        extra: Option<(&str, f64)>,
        value: f64,
        time_ms: Option<i64>,
        exemplars: Vec<Exemplar>,
        visitor: &mut dyn Visitor,
    ) -> Outcome {
        let value = if value.is_nan() { f64::from_bits(ORDINARY_NAN) } else { value };
        self.with_name(suffix, extra, |labels| {
            visitor.sample(labels, Value::Float(value), time_ms, exemplars)
        })
    }

    fn with_name(
        &mut self,
        suffix: &str,
        extra: Option<(&str, f64)>,
        then: impl FnOnce(&RawLabels) -> Outcome,
    ) -> Outcome {
        let own = self.labels.len();
        let name = self.name;
        self.labels.push_with(METRIC_NAME, |text| {
            text.push_str(name);
            text.push_str(suffix);
        });
        if let Some((label, value)) = extra {
            self.labels.push(label, &go_float(value));
        }
        let outcome = then(&self.labels);
        self.labels.truncate(own);
        outcome
    }

    fn summary(
        &mut self,
        mut message: Reader<'_>,
        time_ms: Option<i64>,
        visitor: &mut dyn Visitor,
    ) -> Outcome {
        let (mut count, mut sum, mut quantiles) = (0.0, 0.0, Vec::new());
        let mut read = || -> Result<(), Malformed> {
            while let Some((number, field)) = message.next_field()? {
                match number {
                    1 => count = observations(field.unsigned()?),
                    2 => sum = field.double()?,
                    3 => quantiles.push(two_doubles(field.message()?)?),
                    _ => {}
                }
            }
            Ok(())
        };
        read().map_err(|error| error.to_string())?;
        self.emit("_count", None, count, time_ms, Vec::new(), visitor)?;
        self.emit("_sum", None, sum, time_ms, Vec::new(), visitor)?;
        for (quantile, value) in quantiles {
            let extra = Some(("quantile", quantile));
            self.emit("", extra, value, time_ms, Vec::new(), visitor)?;
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        message: Reader<'_>,
        time_ms: Option<i64>,
        visitor: &mut dyn Visitor,
    ) -> Outcome {
        let parts = HistogramParts::read(message).map_err(|error| error.to_string())?;
        let native = parts.is_native();
        if !native || self.options.classic_too {
            self.classic(&parts, time_ms, visitor)?;
        }
        if !native {
            return Ok(());
        }
        let mut exemplars = parts.exemplars;
        if exemplars.is_empty() {
            exemplars = parts.classic.into_iter().filter_map(|bucket| bucket.exemplar).collect();
        }
        let mut histogram = parts.histogram;
        if self.kind == MetricKind::GaugeHistogram {
            histogram.counter_reset = wk_model::series::CounterReset::Gauge;
        }
        let histogram = finish_histogram(histogram, parts.positive, parts.negative, Vec::new())?;
        self.with_name("", None, |labels| {
            visitor.sample(labels, Value::Histogram(Box::new(histogram)), time_ms, exemplars)
        })
    }

    fn classic(
        &mut self,
        parts: &HistogramParts,
        time_ms: Option<i64>,
        visitor: &mut dyn Visitor,
    ) -> Outcome {
        let histogram = &parts.histogram;
        self.emit("_count", None, histogram.count, time_ms, Vec::new(), visitor)?;
        self.emit("_sum", None, histogram.sum, time_ms, Vec::new(), visitor)?;
        let mut infinite = false;
        for bucket in &parts.classic {
            infinite |= bucket.bound == f64::INFINITY;
            let exemplars = bucket.exemplar.iter().cloned().collect();
            let extra = Some(("le", bucket.bound));
            self.emit("_bucket", extra, bucket.count, time_ms, exemplars, visitor)?;
        }
        if infinite {
            return Ok(());
        }
        let extra = Some(("le", f64::INFINITY));
        self.emit("_bucket", extra, histogram.count, time_ms, Vec::new(), visitor)
    }
}

/// A histogram as its message has it, both kinds of buckets.
#[derive(Default)]
struct HistogramParts {
    histogram: Histogram,
    classic: Vec<ClassicBucket>,
    positive: RawBuckets,
    negative: RawBuckets,
    exemplars: Vec<Exemplar>,
}

struct ClassicBucket {
    bound: f64,
    count: f64,
    exemplar: Option<Exemplar>,
}

impl HistogramParts {
    fn read(mut message: Reader<'_>) -> Result<HistogramParts, Malformed> {
        let mut parts = HistogramParts::default();
        let HistogramParts { histogram, classic, positive, negative, exemplars } = &mut parts;
        while let Some((number, field)) = message.next_field()? {
            match number {
                1 if histogram.count == 0.0 => histogram.count = observations(field.unsigned()?),
                2 => histogram.sum = field.double()?,
                3 => classic.push(classic_bucket(field.message()?)?),
                4 if field.double()? > 0.0 => histogram.count = field.double()?,
                5 => histogram.schema = field.zigzag32()?,
                6 => histogram.zero_threshold = field.double()?,
                7 if histogram.zero_count == 0.0 => {
                    histogram.zero_count = observations(field.unsigned()?)
                }
                8 if field.double()? > 0.0 => histogram.zero_count = field.double()?,
                9 => negative.spans.push(read_span(field.message()?)?),
                10 => field.each_varint(|delta| negative.deltas.push(unzigzag(delta)))?,
                11 => field.each_fixed64(|bits| negative.counts.push(f64::from_bits(bits)))?,
                12 => positive.spans.push(read_span(field.message()?)?),
                13 => field.each_varint(|delta| positive.deltas.push(unzigzag(delta)))?,
                14 => field.each_fixed64(|bits| positive.counts.push(f64::from_bits(bits)))?,
                16 => exemplars.extend(exemplar(field.message()?)?),
                _ => {}
            }
        }
        Ok(parts)
    }

    fn is_native(&self) -> bool {
        self.histogram.zero_threshold > 0.0
            || self.histogram.zero_count > 0.0
            || !self.positive.spans.is_empty()
            || !self.negative.spans.is_empty()
    }
}

fn classic_bucket(mut message: Reader<'_>) -> Result<ClassicBucket, Malformed> {
    let mut bucket = ClassicBucket { bound: 0.0, count: 0.0, exemplar: None };
    while let Some((number, field)) = message.next_field()? {
        match number {
            1 if bucket.count == 0.0 => bucket.count = observations(field.unsigned()?),
            2 => bucket.bound = field.double()?,
            3 => bucket.exemplar = exemplar(field.message()?)?,
            4 if field.double()? > 0.0 => bucket.count = field.double()?,
            _ => {}
        }
    }
    Ok(bucket)
}

/// The value of a counter, gauge or untyped metric, and an exemplar.
fn simple(mut message: Reader<'_>) -> Result<(f64, Option<Exemplar>), Malformed> {
    let (mut value, mut found) = (0.0, None);
    while let Some((number, field)) = message.next_field()? {
        match number {
            1 => value = field.double()?,
            2 => found = exemplar(field.message()?)?,
            _ => {}
        }
    }
    Ok((value, found))
}

/// `None`: the exemplar is larger than any should be, and left out.
fn exemplar(message: Reader<'_>) -> Result<Option<Exemplar>, Malformed> {
    let read = read_exemplar(message, |time| timestamp(time.message()?))?;
    Ok(read.ok())
}

/// Milliseconds of a `google.protobuf.Timestamp`.
fn timestamp(mut message: Reader<'_>) -> Result<i64, Malformed> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    while let Some((number, field)) = message.next_field()? {
        match number {
            1 => seconds = field.signed()?,
            2 => nanos = field.signed()?,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000))
}

fn two_doubles(mut message: Reader<'_>) -> Result<(f64, f64), Malformed> {
    let (mut first, mut second) = (0.0, 0.0);
    while let Some((number, field)) = message.next_field()? {
        match number {
            1 => first = field.double()?,
            2 => second = field.double()?,
            _ => {}
        }
    }
    Ok((first, second))
}
