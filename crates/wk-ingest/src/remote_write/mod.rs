//! Prometheus remote write, as a receiver: versions 1.0 and 2.0.
//!
//! What a sender must know is in the status: 4xx means that the same request never succeeds, 5xx that
//! it may later. Of a request with some bad series the good ones are kept, as the specification asks;
//! the answer is then 400 with the reasons, and the headers count what was kept.

mod histogram;
mod v1;
mod v2;

pub use histogram::encode as encode_histogram;
pub(crate) use histogram::{
    RawBuckets, finish as finish_histogram, observations, span as read_span,
};
pub use v1::{encode as encode_v1, write_pair as encode_label};
pub(crate) use v1::{exemplar as read_exemplar, pair as read_pair};

use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use wk_model::write::{SampleSink, WriteBatch, WriteError};

use crate::fill::{Fill, TooMuch};
use crate::protobuf::Malformed;

/// What was kept, told in every answer of version 2.0 and harmless in 1.0.
const WRITTEN: [&str; 3] = [
    "x-prometheus-remote-write-samples-written",
    "x-prometheus-remote-write-histograms-written",
    "x-prometheus-remote-write-exemplars-written",
];

/// How large requests may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the request's body once unpacked.
    pub body: usize,
    /// Bytes of memory that its series may take; below 4 GiB.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { body: 64 << 20, memory: 512 << 20 }
    }
}

/// What the HTTP layer answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Status of the answer.
    pub status: StatusCode,
    /// Its headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Its body: what is wrong and how to mend it. Empty when nothing is.
    pub message: String,
}

impl Reply {
    pub(crate) fn refuse(status: StatusCode, message: impl Into<String>) -> Reply {
        Reply { status, headers: Vec::new(), message: message.into() }
    }
}

/// The two messages of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

/// Takes a request into `sink`; blocks until that is durable. `batch` is only memory to use again.
pub fn receive(
    headers: &HeaderMap,
    body: &[u8],
    limits: Limits,
    batch: &mut WriteBatch,
    sink: &dyn SampleSink,
) -> Reply {
    let version = match version(headers) {
        Ok(version) => version,
        Err(message) => return Reply::refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, message),
    };
    let unpacked = match unpack(body, limits.body) {
        Ok(unpacked) => unpacked,
        Err(reply) => return reply,
    };
    batch.clear();
    let decoded = decode(version, &unpacked, limits.memory, batch);
    let reply = match decoded {
        Ok(decoded) => write(batch, decoded, sink),
        Err(DecodeError::Malformed(error)) => Reply::refuse(
            StatusCode::BAD_REQUEST,
            format!("the body is no {} message: {error}", version.message()),
        ),
        Err(DecodeError::TooMuch(error)) => {
            Reply::refuse(StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
        }
    };
    batch.clear();
    reply
}

/// What decoding left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Samples of series that were refused.
    pub refused: usize,
    /// The first reasons; not empty if a series was refused, even one without samples.
    pub reasons: Vec<String>,
}

/// Why a message cannot be decoded at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is no such message.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It takes more memory than allowed.
    #[error("{0}")]
    TooMuch(String),
}

impl From<TooMuch> for DecodeError {
    fn from(error: TooMuch) -> DecodeError {
        DecodeError::TooMuch(error.to_string())
    }
}

/// Adds the series of an unpacked message to `batch`, up to `memory` bytes.
pub fn decode(
    version: Version,
    message: &[u8],
    memory: usize,
    batch: &mut WriteBatch,
) -> Result<Decoded, DecodeError> {
    let mut fill = Fill::new(batch, memory);
    match version {
        Version::V1 => v1::decode(message, &mut fill)?,
        Version::V2 => v2::decode(message, &mut fill)?,
    }
    Ok(Decoded { refused: fill.refused, reasons: fill.reasons })
}

impl Version {
    /// The message's name.
    pub fn message(self) -> &'static str {
        match self {
            Version::V1 => "prometheus.WriteRequest",
            Version::V2 => "io.prometheus.write.v2.Request",
        }
    }
}

/// Which message the headers announce. Without a type it is the first, as older senders do it.
fn version(headers: &HeaderMap) -> Result<Version, String> {
    let text = |name| headers.get(&name).map_or(Ok(""), |value| value.to_str());
    let encoding = text(CONTENT_ENCODING).map_err(|_| "Content-Encoding is no text")?;
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("snappy") {
        return Err(format!("Content-Encoding `{encoding}` is not known here: use snappy"));
    }
    let content = text(CONTENT_TYPE).map_err(|_| "Content-Type is no text")?;
    let mut parts = content.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    if media.is_empty() {
        return Ok(Version::V1);
    }
    if !media.eq_ignore_ascii_case("application/x-protobuf") {
        return Err(format!(
            "Content-Type `{content}` is not known here: use application/x-protobuf"
        ));
    }
    let proto = parts.filter_map(|part| part.split_once('=')).find(|(key, _)| *key == "proto");
    match proto.map(|(_, name)| name.trim_matches('"')) {
        None | Some("prometheus.WriteRequest") => Ok(Version::V1),
        Some("io.prometheus.write.v2.Request") => Ok(Version::V2),
        Some(other) => Err(format!(
            "the message `{other}` is not known here: use prometheus.WriteRequest or \
             io.prometheus.write.v2.Request"
        )),
    }
}

/// Undoes snappy's block format, up to `limit` bytes.
fn unpack(body: &[u8], limit: usize) -> Result<Vec<u8>, Reply> {
    let broken = |error| {
        let message = format!("the body is not packed with snappy's block format: {error}");
        Reply::refuse(StatusCode::BAD_REQUEST, message)
    };
    let length = snap::raw::decompress_len(body).map_err(broken)?;
    if length > limit {
        let message = format!(
            "the request unpacks to {length} bytes and may have {limit}: send fewer samples at once \
             (max_samples_per_send in Prometheus)"
        );
        return Err(Reply::refuse(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    // Snappy packs at most about 64 bytes into three: a small body that promises much lies.
    if length > body.len().saturating_mul(64) {
        let message = "the body is shorter than what it promises to unpack to: it was cut off";
        return Err(Reply::refuse(StatusCode::BAD_REQUEST, message));
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(broken)
}

pub(crate) fn write(batch: &WriteBatch, decoded: Decoded, sink: &dyn SampleSink) -> Reply {
    let (floats, histograms) = batch.series().fold((0, 0), |(floats, histograms), series| {
        (floats + series.floats.len(), histograms + series.histograms.len())
    });
    let written = match batch.is_empty() {
        true => Ok(wk_model::write::Written::default()),
        false => sink.write(batch),
    };
    let written = match written {
        Ok(written) => written,
        Err(WriteError::Later(why)) => {
            let message = format!("nothing was kept, try again later: {why}");
            return Reply::refuse(StatusCode::SERVICE_UNAVAILABLE, message);
        }
        Err(WriteError::Never(why)) => {
            return Reply::refuse(StatusCode::BAD_REQUEST, format!("nothing was kept: {why}"));
        }
    };
    // A store counts both kinds together; what it refused is taken from the floats first.
    let kept_floats = floats.saturating_sub(written.refused);
    let kept_histograms = histograms.min(written.samples.saturating_sub(kept_floats));
    let counts = [kept_floats, kept_histograms, written.exemplars];
    let headers = WRITTEN.into_iter().zip(counts.map(|count| count.to_string())).collect();
    let refused = decoded.refused + written.refused;
    let mut reasons = decoded.reasons;
    reasons.extend(written.reasons);
    if refused == 0 && reasons.is_empty() {
        return Reply { status: StatusCode::NO_CONTENT, headers, message: String::new() };
    }
    let message =
        format!("{refused} samples were refused, {} kept: {}", written.samples, reasons.join("; "));
    Reply { status: StatusCode::BAD_REQUEST, headers, message }
}

#[cfg(test)]
mod tests;
