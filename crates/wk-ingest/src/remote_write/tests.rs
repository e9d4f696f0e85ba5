//! Requests of both versions, good and bad.

use std::sync::Mutex;

use http::header::HeaderValue;
use proptest::prelude::*;
use wk_model::write::Written;

use super::*;
use crate::protobuf::Writer;

#[derive(Default)]
struct Kept(Mutex<Vec<String>>);

impl SampleSink for Kept {
    fn write(&self, batch: &WriteBatch) -> Result<Written, WriteError> {
        let mut kept = self.0.lock().unwrap();
        kept.extend(batch.series().map(|s| format!("{} {:?}", s.label_set(), s.floats)));
        Ok(Written { samples: batch.samples(), ..Written::default() })
    }
}

fn send(kind: &'static str, message: &[u8]) -> (Reply, Vec<String>) {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
    let body = snap::raw::Encoder::new().compress_vec(message).unwrap();
    let kept = Kept::default();
    let mut batch = WriteBatch::default();
    let reply = receive(&headers, &body, Limits::default(), &mut batch, &kept);
    (reply, kept.0.into_inner().unwrap())
}

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

fn message(labels: &[(&str, &str)]) -> Writer {
    let mut batch = WriteBatch::default();
    batch.start_series();
    labels.iter().for_each(|(name, value)| batch.label(name, value));
    batch.float(1_000, 1.5);
    let mut writer = Writer::default();
    encode_v1(&batch, &mut writer);
    writer
}

#[test]
fn the_first_version_is_kept_or_refused_with_a_reason() {
    let (reply, kept) = send(V1, message(&[("__name__", "up"), ("job", "a")]).as_bytes());
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert_eq!(reply.headers[0], ("x-prometheus-remote-write-samples-written", "1".to_owned()));
    assert_eq!(kept, [r#"{__name__="up", job="a"} [(1000, 1.5)]"#]);
    let check = |kind, message: &[u8], status: StatusCode, reason: &str| {
        let (reply, kept) = send(kind, message);
        assert_eq!((reply.status, kept.len()), (status, 0), "{reply:?}");
        assert!(reply.message.contains(reason), "{reply:?}");
    };
    let bad = StatusCode::BAD_REQUEST;
    check(V1, message(&[("job", "a")]).as_bytes(), bad, "no metric name");
    let twice = message(&[("__name__", "up"), ("a", "1"), ("a", "2")]);
    check(V1, twice.as_bytes(), bad, "twice");
    check(V1, b"\x0a\x7f", bad, "cut off");
    check("text/plain", b"", StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/x-protobuf");
}

#[test]
fn the_second_version_refers_to_its_texts() {
    let request = |references: [u64; 2]| {
        let mut writer = Writer::default();
        ["", "__name__", "up"].iter().for_each(|text| writer.bytes(4, text.as_bytes()));
        writer.message(5, |series| {
            series.packed(1, references);
            series.message(2, |sample| {
                sample.double(1, 2.0);
                sample.signed(2, 7);
            });
        });
        writer
    };
    let (reply, kept) = send(V2, request([1, 2]).as_bytes());
    assert_eq!(
        (reply.status, kept),
        (StatusCode::NO_CONTENT, vec![r#"{__name__="up"} [(7, 2.0)]"#.to_owned()])
    );
    let (reply, kept) = send(V2, request([1, 9]).as_bytes());
    assert_eq!((reply.status, kept.len()), (StatusCode::BAD_REQUEST, 0), "{reply:?}");
}

#[test]
fn large_promises_are_refused_unread() {
    let limits = Limits { body: 1_000, memory: 1_000 };
    let body = snap::raw::Encoder::new().compress_vec(&[0; 2_000]).unwrap();
    let kept = Kept::default();
    let reply = receive(&HeaderMap::new(), &body, limits, &mut WriteBatch::default(), &kept);
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    let long = "x".repeat(900);
    let message = message(&[("__name__", &long), ("a", "b")]);
    let mut batch = WriteBatch::default();
    let outcome = decode(Version::V1, message.as_bytes(), 900, &mut batch);
    assert!(matches!(outcome, Err(DecodeError::TooMuch(_))), "{outcome:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
        for version in [Version::V1, Version::V2] {
            let _ = decode(version, &bytes, 1 << 20, &mut WriteBatch::default());
        }
        let kept = Kept::default();
        let batch = &mut WriteBatch::default();
        receive(&HeaderMap::new(), &bytes, Limits::default(), batch, &kept);
    }
}
