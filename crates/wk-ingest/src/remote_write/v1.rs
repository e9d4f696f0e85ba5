//! `prometheus.WriteRequest`.

use wk_model::series::{Exemplar, Label, Labels, Metadata, MetricKind};
use wk_model::write::WriteBatch;

use super::{DecodeError, histogram};
use crate::fill::Fill;
use crate::protobuf::{Field, Malformed, Reader, Writer};

pub(super) fn decode(message: &[u8], fill: &mut Fill<'_>) -> Result<(), DecodeError> {
    let mut request = Reader::new(message);
    while let Some((number, field)) = request.next_field()? {
        match number {
            1 => series(field.message()?, fill)?,
            3 => metadata(field.message()?, fill)?,
            _ => {}
        }
    }
    Ok(())
}

#[inline]
fn series<'a>(mut message: Reader<'a>, fill: &mut Fill<'_>) -> Result<(), DecodeError> {
    fill.start()?;
    let (mut sorted, mut last) = (true, "");
    let mut wrong = None;
    while let Some((number, field)) = message.next_field()? {
        match number {
            1 => {
                let (name, value) = pair(field.message()?)?;
                sorted &= last < name;
                last = name;
                fill.label(name, value)?;
            }
            2 => {
                let (time_ms, value) = sample(field.message()?)?;
                fill.float(time_ms, value)?;
            }
            3 => match exemplar(field.message()?, |time| time.signed())? {
                Ok(exemplar) => fill.exemplar(exemplar)?,
                Err(reason) => wrong = Some(reason),
            },
            4 => match histogram::decode(field.message()?)? {
                Ok((time_ms, histogram)) => fill.histogram(time_ms, histogram)?,
                Err(reason) => wrong = Some(reason),
            },
            _ => {}
        }
    }
    fill.end(sorted, wrong);
    Ok(())
}

/// Name and value of a label.
#[inline]
pub(crate) fn pair<'a>(mut message: Reader<'a>) -> Result<(&'a str, &'a str), Malformed> {
    let (mut name, mut value) = ("", "");
    while let Some((number, field)) = message.next_field()? {
        match number {
            1 => name = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// Time and value: the same fields in both versions.
#[inline]
pub(super) fn sample(mut message: Reader<'_>) -> Result<(i64, f64), Malformed> {
    let (mut time_ms, mut value) = (0, 0.0);
    while let Some((number, field)) = message.next_field()? {
        match number {
            1 => value = field.double()?,
            2 => time_ms = field.signed()?,
            _ => {}
        }
    }
    Ok((time_ms, value))
}

/// Bytes of an exemplar; the specification of OpenMetrics allows 128 characters of labels.
pub(super) const LONGEST_EXEMPLAR: usize = 4_096;

/// An exemplar, or why it is left out; messages differ in how they write its time.
pub(crate) fn exemplar(
    mut message: Reader<'_>,
    time: impl Fn(Field<'_>) -> Result<i64, Malformed>,
) -> Result<Result<Exemplar, String>, Malformed> {
    if message.remaining() > LONGEST_EXEMPLAR {
        return Ok(Err(format!("an exemplar has more than {LONGEST_EXEMPLAR} bytes")));
    }
    let mut labels: Vec<Label> = Vec::new();
    let (mut value, mut time_ms) = (0.0, 0);
    while let Some((number, field)) = message.next_field()? {
        match number {
            1 => {
                let (name, text) = pair(field.message()?)?;
                labels.push((name.into(), text.into()));
            }
            2 => value = field.double()?,
            3 => time_ms = time(field)?,
            _ => {}
        }
    }
    Ok(Ok(Exemplar { labels: Labels::new(labels), time_ms, value }))
}

fn metadata(mut message: Reader<'_>, fill: &mut Fill<'_>) -> Result<(), DecodeError> {
    let mut kind = MetricKind::Unknown;
    let (mut name, mut help, mut unit) = ("", "", "");
    while let Some((number, field)) = message.next_field()? {
        match number {
            1 => kind = metric_kind(field.unsigned()?),
            2 => name = field.text()?,
            4 => help = field.text()?,
            5 => unit = field.text()?,
            _ => {}
        }
    }
    if !name.is_empty() {
        let metadata = Metadata { kind, help: help.to_owned(), unit: unit.to_owned() };
        fill.metadata(name, metadata)?;
    }
    Ok(())
}

/// The kinds' numbers: the same in both versions.
const KINDS: [MetricKind; 8] = [
    MetricKind::Unknown,
    MetricKind::Counter,
    MetricKind::Gauge,
    MetricKind::Histogram,
    MetricKind::GaugeHistogram,
    MetricKind::Summary,
    MetricKind::Info,
    MetricKind::StateSet,
];

pub(super) fn metric_kind(number: u64) -> MetricKind {
    let known = usize::try_from(number).ok().and_then(|at| KINDS.get(at));
    known.copied().unwrap_or_default()
}

/// Writes a batch as a message, labels in the order of their names as the protocol wants them.
pub fn encode(batch: &WriteBatch, writer: &mut Writer) {
    writer.clear();
    let mut pairs = Vec::new();
    for series in batch.series() {
        pairs.clear();
        pairs.extend(series.labels());
        pairs.sort_unstable();
        writer.message(1, |message| {
            for (name, value) in &pairs {
                write_pair(message, name, value);
            }
            for &(time_ms, value) in series.floats {
                message.message(2, |sample| {
                    sample.double(1, value);
                    sample.signed(2, time_ms);
                });
            }
            for exemplar in series.exemplars {
                message.message(3, |inner| {
                    for (name, value) in exemplar.labels.iter() {
                        write_pair(inner, name, value);
                    }
                    inner.double(2, exemplar.value);
                    inner.signed(3, exemplar.time_ms);
                });
            }
            for (time_ms, value) in series.histograms {
                message.message(4, |inner| histogram::encode(*time_ms, value, inner));
            }
        });
    }
    for (name, metadata) in batch.all_metadata() {
        writer.message(3, |message| {
            let kind = KINDS.iter().position(|kind| *kind == metadata.kind).unwrap_or_default();
            message.varint(1, kind as u64);
            message.bytes(2, name.as_bytes());
            message.bytes(4, metadata.help.as_bytes());
            message.bytes(5, metadata.unit.as_bytes());
        });
    }
}

/// Writes a label into the message of its series.
pub fn write_pair(message: &mut Writer, name: &str, value: &str) {
    message.message(1, |label| {
        label.bytes(1, name.as_bytes());
        label.bytes(2, value.as_bytes());
    });
}
