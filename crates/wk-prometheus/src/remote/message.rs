//! The messages of remote read.

use wk_model::series::{Buckets, CounterReset, Histogram, Labels, Point, SampleValue};
use wk_promql::{MatchOp, Matcher};

use super::chunk::Chunk;
use super::wire::{self, Fields, Value};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadRequest {
    /// Each gets a result of its own.
    pub(crate) queries: Vec<ReadQuery>,
    /// Whether chunks are taken, and liked better than samples.
    pub(crate) wants_chunks: bool,
    /// Whether samples are taken; if nothing is said, they are.
    pub(crate) takes_samples: bool,
}

/// One selection.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadQuery {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) matchers: Vec<Matcher>,
}

impl ReadRequest {
    /// Reads the message.
    pub(crate) fn parse(message: &[u8]) -> Result<ReadRequest, String> {
        let mut request = ReadRequest::default();
        let mut accepted = Vec::new();
        for field in Fields(message) {
            let (field, value) = field.map_err(|_| "the request is no ReadRequest".to_owned())?;
            match (field, value) {
                (1, Value::Bytes(query)) => request.queries.push(ReadQuery::parse(query)?),
                (2, Value::Number(kind)) => accepted.push(kind),
                // A list of numbers may be packed; each of these is one byte.
                (2, Value::Bytes(packed)) => accepted.extend(packed.iter().map(|k| u64::from(*k))),
                _ => {}
            }
        }
        request.wants_chunks = accepted.first() == Some(&1);
        request.takes_samples = accepted.is_empty() || accepted.contains(&0);
        Ok(request)
    }
}

impl ReadQuery {
    fn parse(message: &[u8]) -> Result<ReadQuery, String> {
        let mut query = ReadQuery::default();
        for field in Fields(message) {
            let (field, value) = field.map_err(|_| "a query of the request is cut".to_owned())?;
            match (field, value) {
                (1, Value::Number(ms)) => query.start_ms = ms.cast_signed(),
                (2, Value::Number(ms)) => query.end_ms = ms.cast_signed(),
                (3, Value::Bytes(one)) => query.matchers.push(matcher(one)?),
                _ => {}
            }
        }
        Ok(query)
    }
}

fn matcher(message: &[u8]) -> Result<Matcher, String> {
    let text = |bytes| {
        std::str::from_utf8(bytes).map_err(|_| "a matcher of the request is not UTF-8".to_owned())
    };
    let (mut op, mut name, mut value) = (MatchOp::Equal, "", "");
    for field in Fields(message) {
        match field.map_err(|_| "a matcher of the request is cut".to_owned())? {
            (1, Value::Number(number)) => {
                op = match number {
                    0 => MatchOp::Equal,
                    1 => MatchOp::NotEqual,
                    2 => MatchOp::Matches,
                    3 => MatchOp::NotMatches,
                    other => return Err(format!("there is no matcher of type {other}")),
                }
            }
            (2, Value::Bytes(bytes)) => name = text(bytes)?,
            (3, Value::Bytes(bytes)) => value = text(bytes)?,
            _ => {}
        }
    }
    Matcher::new(name, op, value)
}

/// Appends a series to the message of a result.
pub(crate) fn series(out: &mut Vec<u8>, labels: &Labels, points: &[Point]) {
    wire::message(out, 1, |out| {
        write_labels(out, labels);
        for point in points {
            match &point.value {
                SampleValue::Float(value) => wire::message(out, 2, |out| {
                    wire::double(out, 1, *value);
                    wire::number(out, 2, point.time_ms.cast_unsigned());
                }),
                SampleValue::Histogram(value) => {
                    wire::message(out, 4, |out| histogram(out, value, point.time_ms));
                }
            }
        }
    });
}

/// Appends the result of one query to the whole answer.
pub(crate) fn query_result(out: &mut Vec<u8>, result: &[u8]) {
    wire::bytes(out, 1, result);
}

/// One message of a streamed answer: some chunks of one series.
pub(crate) fn chunked_response(labels: &Labels, chunks: &[Chunk], query: usize) -> Vec<u8> {
    /// XOR, the encoding of floats.
    const XOR: u64 = 1;
    let mut out = Vec::new();
    wire::message(&mut out, 1, |out| {
        write_labels(out, labels);
        for chunk in chunks {
            wire::message(out, 2, |out| {
                wire::number(out, 1, chunk.start_ms.cast_unsigned());
                wire::number(out, 2, chunk.end_ms.cast_unsigned());
                wire::number(out, 3, XOR);
                wire::bytes(out, 4, &chunk.data);
            });
        }
    });
    wire::number(&mut out, 2, query as u64);
    out
}

/// A message of a stream: its length, its checksum, itself.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 16);
    wire::varint(&mut out, message.len() as u64);
    out.extend(castagnoli(message).to_be_bytes());
    out.extend(message);
    out
}

/// CRC-32 with Castagnoli's polynomial, bit by bit; the frames are few and the rest costs more.
fn castagnoli(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

fn write_labels(out: &mut Vec<u8>, labels: &Labels) {
    for (name, value) in labels.iter() {
        wire::message(out, 1, |out| {
            wire::bytes(out, 1, name.as_bytes());
            wire::bytes(out, 2, value.as_bytes());
        });
    }
}

fn histogram(out: &mut Vec<u8>, histogram: &Histogram, time_ms: i64) {
    wire::double(out, 2, histogram.count);
    wire::double(out, 3, histogram.sum);
    wire::number(out, 4, wire::zigzag(i64::from(histogram.schema)));
    wire::double(out, 5, histogram.zero_threshold);
    wire::double(out, 7, histogram.zero_count);
    buckets(out, &histogram.negative, 8, 10);
    buckets(out, &histogram.positive, 11, 13);
    let hint = match histogram.counter_reset {
        CounterReset::Unknown => 0,
        CounterReset::Reset => 1,
        CounterReset::NotReset => 2,
        CounterReset::Gauge => 3,
    };
    wire::number(out, 14, hint);
    wire::number(out, 15, time_ms.cast_unsigned());
    if !histogram.custom_bounds.is_empty() {
        doubles(out, 16, &histogram.custom_bounds);
    }
}

fn buckets(out: &mut Vec<u8>, buckets: &Buckets, spans: u64, counts: u64) {
    for span in &buckets.spans {
        wire::message(out, spans, |out| {
            wire::number(out, 1, wire::zigzag(i64::from(span.offset)));
            wire::number(out, 2, u64::from(span.length));
        });
    }
    if !buckets.counts.is_empty() {
        doubles(out, counts, &buckets.counts);
    }
}

fn doubles(out: &mut Vec<u8>, field: u64, values: &[f64]) {
    wire::message(out, field, |out| out.extend(values.iter().flat_map(|v| v.to_le_bytes())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read() {
        let mut message = Vec::new();
        wire::message(&mut message, 1, |out| {
            wire::number(out, 1, 1000);
            wire::number(out, 2, (-5i64).cast_unsigned());
            wire::message(out, 3, |out| {
                wire::number(out, 1, 2);
                wire::bytes(out, 2, b"job");
                wire::bytes(out, 3, b"a|b");
            });
        });
        wire::bytes(&mut message, 2, &[1, 0]);
        let request = ReadRequest::parse(&message).expect("it is a request");
        assert!(request.wants_chunks && request.takes_samples);
        let query = &request.queries[0];
        assert_eq!((query.start_ms, query.end_ms), (1000, -5));
        assert_eq!(query.matchers[0].to_string(), "job=~\"a|b\"");
        for cut in 1..message.len() {
            // Whatever is cut is refused or understood in part, but never a panic.
            let _ = ReadRequest::parse(&message[..cut]);
        }
        assert!(ReadRequest::parse(b"nonsense").is_err());
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value that catalogues of checksums give for CRC-32C.
        assert_eq!(castagnoli(b"123456789"), 0xe306_9283);
    }
}
