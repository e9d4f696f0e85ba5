//! Native histograms as both messages of remote write carry them.

use std::sync::Arc;

use wk_model::series::{Buckets, CUSTOM_BUCKETS, CounterReset, Histogram, Span};

use crate::protobuf::{Malformed, Reader, Writer, unzigzag, zigzag};

/// Bytes of one histogram; 160 buckets, as Prometheus' own producers keep to, need at most 3,000.
const LONGEST: usize = 256 << 10;

/// Time in milliseconds and histogram of a message, or what is wrong with it.
pub(super) fn decode(
    mut message: Reader<'_>,
) -> Result<Result<(i64, Histogram), String>, Malformed> {
    if message.remaining() > LONGEST {
        return Ok(Err(format!("a histogram has more than {LONGEST} bytes")));
    }
    let mut time_ms = 0;
    let mut histogram = Histogram::default();
    let (mut positive, mut negative) = (RawBuckets::default(), RawBuckets::default());
    let mut bounds = Vec::new();
    while let Some((number, field)) = message.next_field()? {
        match number {
            1 => histogram.count = observations(field.unsigned()?),
            2 => histogram.count = field.double()?,
            3 => histogram.sum = field.double()?,
            4 => histogram.schema = field.zigzag32()?,
            5 => histogram.zero_threshold = field.double()?,
            6 => histogram.zero_count = observations(field.unsigned()?),
            7 => histogram.zero_count = field.double()?,
            8 => negative.spans.push(span(field.message()?)?),
            9 => field.each_varint(|delta| negative.deltas.push(unzigzag(delta)))?,
            10 => field.each_fixed64(|bits| negative.counts.push(f64::from_bits(bits)))?,
            11 => positive.spans.push(span(field.message()?)?),
            12 => field.each_varint(|delta| positive.deltas.push(unzigzag(delta)))?,
            13 => field.each_fixed64(|bits| positive.counts.push(f64::from_bits(bits)))?,
            14 => {
                histogram.counter_reset = match field.unsigned()? {
                    1 => CounterReset::Reset,
                    2 => CounterReset::NotReset,
                    3 => CounterReset::Gauge,
                    _ => CounterReset::Unknown,
                }
            }
            15 => time_ms = field.signed()?,
            16 => field.each_fixed64(|bits| bounds.push(f64::from_bits(bits)))?,
            _ => {}
        }
    }
    Ok(finish(histogram, positive, negative, bounds).map(|histogram| (time_ms, histogram)))
}

/// Buckets as they travel: differences from one to the next, or absolute counts.
#[derive(Default)]
pub(crate) struct RawBuckets {
    pub(crate) spans: Vec<Span>,
    pub(crate) deltas: Vec<i64>,
    pub(crate) counts: Vec<f64>,
}

impl RawBuckets {
    fn finish(self, side: &str) -> Result<Buckets, String> {
        let RawBuckets { spans, deltas, mut counts } = self;
        if counts.is_empty() {
            let mut value = 0i64;
            for delta in deltas {
                value = value.wrapping_add(delta);
                counts.push(real(value));
            }
        }
        let named: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
        if named != counts.len() as u64 {
            let found = counts.len();
            return Err(format!("its {side} spans name {named} buckets, but {found} counts came"));
        }
        if spans.iter().skip(1).any(|span| span.offset < 0) {
            return Err(format!("a {side} span begins before the one before it ends"));
        }
        if counts.iter().any(|count| *count < 0.0) {
            return Err(format!("a {side} bucket has a negative count"));
        }
        Ok(Buckets { spans, counts })
    }
}

/// Puts a histogram's parts together and checks that they fit.
pub(crate) fn finish(
    histogram: Histogram,
    positive: RawBuckets,
    negative: RawBuckets,
    bounds: Vec<f64>,
) -> Result<Histogram, String> {
    let schema = histogram.schema;
    if schema != CUSTOM_BUCKETS && !(-4..=8).contains(&schema) {
        return Err(format!("its schema is {schema}: known are -4 to 8 and {CUSTOM_BUCKETS}"));
    }
    if schema == CUSTOM_BUCKETS && !bounds.windows(2).all(|pair| pair[0] < pair[1]) {
        return Err("its custom bounds do not rise".to_owned());
    }
    if schema != CUSTOM_BUCKETS && !bounds.is_empty() {
        return Err(format!("it has custom bounds, but its schema is {schema}"));
    }
    Ok(Histogram {
        positive: positive.finish("positive")?,
        negative: negative.finish("negative")?,
        custom_bounds: Arc::from(bounds),
        ..histogram
    })
}

/// A run of buckets.
pub(crate) fn span(mut message: Reader<'_>) -> Result<Span, Malformed> {
    let mut span = Span { offset: 0, length: 0 };
    while let Some((number, field)) = message.next_field()? {
        match number {
            1 => span.offset = field.zigzag32()?,
            2 => span.length = u32::try_from(field.unsigned()?).unwrap_or(u32::MAX),
            _ => {}
        }
    }
    Ok(span)
}

#[expect(clippy::cast_precision_loss, reason = "counts are floats in the store, as in Prometheus")]
pub(crate) fn observations(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts are floats in the store, as in Prometheus")]
fn real(value: i64) -> f64 {
    value as f64
}

/// Writes a histogram with float counts, as remote write 1.0 and remote read carry it.
pub fn encode(time_ms: i64, histogram: &Histogram, writer: &mut Writer) {
    writer.double(2, histogram.count);
    writer.double(3, histogram.sum);
    writer.varint(4, zigzag(histogram.schema.into()));
    writer.double(5, histogram.zero_threshold);
    writer.double(7, histogram.zero_count);
    for (side, spans, counts) in [(&histogram.negative, 8, 10), (&histogram.positive, 11, 13)] {
        for span in &side.spans {
            writer.message(spans, |message| {
                message.varint(1, zigzag(span.offset.into()));
                message.varint(2, span.length.into());
            });
        }
        writer.packed_doubles(counts, side.counts.iter().copied());
    }
    let reset = match histogram.counter_reset {
        CounterReset::Unknown => 0,
        CounterReset::Reset => 1,
        CounterReset::NotReset => 2,
        CounterReset::Gauge => 3,
    };
    writer.varint(14, reset);
    writer.signed(15, time_ms);
    writer.packed_doubles(16, histogram.custom_bounds.iter().copied());
}
