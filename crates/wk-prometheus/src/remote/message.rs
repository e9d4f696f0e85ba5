//! The messages of remote read.

use wk_ingest::protobuf::{Malformed, Reader, Writer, push_varint};
use wk_ingest::remote_write::{encode_histogram, encode_label};
use wk_model::series::{Labels, Point, SampleValue};
use wk_promql::{MatchOp, Matcher};

use super::chunk::Chunk;

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
        let wrong = |error: Malformed| format!("the request is no ReadRequest: {error}");
        let mut request = ReadRequest::default();
        let mut accepted = Vec::new();
        let mut fields = Reader::new(message);
        while let Some((number, field)) = fields.next_field().map_err(wrong)? {
            match number {
                1 => request.queries.push(ReadQuery::parse(field.message().map_err(wrong)?)?),
                2 => field.each_varint(|kind| accepted.push(kind)).map_err(wrong)?,
                _ => {}
            }
        }
        request.wants_chunks = accepted.first() == Some(&1);
        request.takes_samples = accepted.is_empty() || accepted.contains(&0);
        Ok(request)
    }
}

impl ReadQuery {
    fn parse(mut fields: Reader<'_>) -> Result<ReadQuery, String> {
        let wrong = |error: Malformed| format!("a query of the request is wrong: {error}");
        let mut query = ReadQuery::default();
        while let Some((number, field)) = fields.next_field().map_err(wrong)? {
            match number {
                1 => query.start_ms = field.signed().map_err(wrong)?,
                2 => query.end_ms = field.signed().map_err(wrong)?,
                3 => query.matchers.push(matcher(field.message().map_err(wrong)?)?),
                _ => {}
            }
        }
        Ok(query)
    }
}

fn matcher(mut fields: Reader<'_>) -> Result<Matcher, String> {
    let wrong = |error: Malformed| format!("a matcher of the request is wrong: {error}");
    let (mut kind, mut name, mut value) = (0, "", "");
    while let Some((number, field)) = fields.next_field().map_err(wrong)? {
        match number {
            1 => kind = field.unsigned().map_err(wrong)?,
            2 => name = field.text().map_err(wrong)?,
            3 => value = field.text().map_err(wrong)?,
            _ => {}
        }
    }
    let op = match kind {
        0 => MatchOp::Equal,
        1 => MatchOp::NotEqual,
        2 => MatchOp::Matches,
        3 => MatchOp::NotMatches,
        other => return Err(format!("there is no matcher of type {other}")),
    };
    Matcher::new(name, op, value)
}

/// Adds a series to the message of a result.
pub(crate) fn series(result: &mut Writer, labels: &Labels, points: &[Point]) {
    result.message(1, |series| {
        write_labels(series, labels);
        for point in points {
            match &point.value {
                SampleValue::Float(value) => series.message(2, |sample| {
                    sample.double(1, *value);
                    sample.signed(2, point.time_ms);
                }),
                SampleValue::Histogram(value) => {
                    series.message(4, |message| encode_histogram(point.time_ms, value, message));
                }
            }
        }
    });
}

/// One message of a streamed answer: some chunks of one series.
pub(crate) fn chunked_response(labels: &Labels, chunks: &[Chunk], query: usize) -> Vec<u8> {
    /// XOR, the encoding of floats.
    const XOR: u64 = 1;
    let mut response = Writer::default();
    response.message(1, |series| {
        write_labels(series, labels);
        for chunk in chunks {
            series.message(2, |message| {
                message.signed(1, chunk.start_ms);
                message.signed(2, chunk.end_ms);
                message.varint(3, XOR);
                message.bytes(4, &chunk.data);
            });
        }
    });
    response.varint(2, query as u64);
    response.into_bytes()
}

/// A message of a stream: its length, its checksum, itself.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 16);
    push_varint(&mut out, message.len() as u64);
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

fn write_labels(series: &mut Writer, labels: &Labels) {
    for (name, value) in labels.iter() {
        encode_label(series, name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read() {
        let mut message = Writer::default();
        message.message(1, |query| {
            query.varint(1, 1000);
            query.signed(2, -5);
            query.message(3, |matcher| {
                matcher.varint(1, 2);
                matcher.bytes(2, b"job");
                matcher.bytes(3, b"a|b");
            });
        });
        message.bytes(2, &[1, 0]);
        let message = message.into_bytes();
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
