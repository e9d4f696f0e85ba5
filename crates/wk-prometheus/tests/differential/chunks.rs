//! Streamed remote read: a reader of our own takes the real one's chunks and ours alike.

use super::*;

/// What is left of a message.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn varint(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.take(1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }

    /// Number of the field, and its number or bytes.
    fn field(&mut self) -> (u64, u64, &'a [u8]) {
        let key = self.varint();
        match key & 7 {
            0 => (key >> 3, self.varint(), &[]),
            2 => {
                let length = usize::try_from(self.varint()).expect("it is short");
                (key >> 3, 0, self.take(length))
            }
            other => panic!("wire type {other}"),
        }
    }
}

struct BitText<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl BitText<'_> {
    fn bits(&mut self, count: usize) -> u64 {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u64::from(self.bytes[self.at / 8] >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        value
    }

    fn varint(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.bits(8);
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
}

/// Times and the bits of values.
fn unpacked(data: &[u8]) -> Vec<(i64, u64)> {
    let mut text = BitText { bytes: data, at: 0 };
    let count = text.bits(16);
    let mut out = Vec::new();
    let (mut time, mut distance, mut value) = (0i64, 0i64, 0u64);
    let (mut leading, mut trailing) = (0, 0);
    for at in 0..count {
        match at {
            0 => {
                let raw = text.varint();
                time = (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed();
            }
            1 => distance = text.varint().cast_signed(),
            _ => {
                let ones = (0..4).take_while(|_| text.bits(1) == 1).count();
                let width = [0, 14, 17, 20, 64][ones];
                let mut change = text.bits(width).cast_signed();
                if (1..64).contains(&width) && change > 1 << (width - 1) {
                    change -= 1 << width;
                }
                distance += change;
            }
        }
        time += distance;
        if at == 0 {
            value = text.bits(64);
        } else if text.bits(1) == 1 {
            if text.bits(1) == 1 {
                leading = usize::try_from(text.bits(5)).expect("5 bits");
                let width = usize::try_from(text.bits(6)).expect("6 bits");
                trailing = 64 - leading - if width == 0 { 64 } else { width };
            }
            value ^= text.bits(64 - leading - trailing) << trailing;
        }
        out.push((time, value));
    }
    out
}

/// Series by their labels as text, from a streamed answer.
type Unpacked = BTreeMap<String, Vec<(i64, u64)>>;

async fn read(client: &Client, request: &[u8]) -> Unpacked {
    let packed = snap::raw::Encoder::new().compress_vec(request).expect("it is small");
    let answer = client
        .http
        .post(client.url("/api/v1/read"))
        .header("content-encoding", "snappy")
        .header("content-type", "application/x-protobuf")
        .body(packed)
        .send()
        .await
        .expect("it answers");
    assert_eq!(answer.status(), 200);
    let content = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    assert_eq!(answer.headers()["content-type"], content);
    let body = answer.bytes().await.expect("the answer comes");
    let mut text = Text(&body);
    let mut all = Unpacked::new();
    while !text.0.is_empty() {
        let length = usize::try_from(text.varint()).expect("it is short");
        // The checksum; ours has a test of its own.
        text.take(4);
        let mut message = Text(text.take(length));
        while !message.0.is_empty() {
            let (1, _, series) = message.field() else { continue };
            let (mut labels, mut samples) = (Vec::new(), Vec::new());
            let mut series = Text(series);
            while !series.0.is_empty() {
                match series.field() {
                    (1, _, label) => labels.push(String::from_utf8_lossy(label).into_owned()),
                    (_, _, chunk) => {
                        let mut chunk = Text(chunk);
                        while !chunk.0.is_empty() {
                            if let (4, _, data) = chunk.field() {
                                samples.extend(unpacked(data));
                            }
                        }
                    }
                }
            }
            all.entry(labels.join(",")).or_default().extend(samples);
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streamed_chunks_are_those_of_prometheus() {
    if missing() {
        return;
    }
    let all = described();
    let (real, ours) = (prometheus(&all).await, ours(&all).await);
    // `{__name__=~".+"}` over all samples, chunks only: the fields of a ReadRequest.
    let matcher = [b"\x08\x02\x12\x08__name__\x1a\x02.+".as_slice()].concat();
    let mut query = vec![0x08, 0x00, 0x10];
    let mut end = 2_000_000_000_000u64;
    while end >= 0x80 {
        query.push(end.to_le_bytes()[0] | 0x80);
        end >>= 7;
    }
    query.push(end.to_le_bytes()[0]);
    query.extend([0x1a, u8::try_from(matcher.len()).expect("it is short")]);
    query.extend(matcher);
    let mut request = vec![0x0a, u8::try_from(query.len()).expect("it is short")];
    request.extend(query);
    request.extend([0x10, 0x01]);
    let (real, ours) = (read(&real.client, &request).await, read(&ours, &request).await);
    assert_eq!(ours.len(), all.len());
    assert_eq!(ours.values().map(Vec::len).sum::<usize>(), all.len() * SAMPLES);
    for (labels, samples) in &ours {
        let theirs = real.get(labels).unwrap_or_else(|| panic!("{labels} is not there"));
        let nan = |bits: u64| if f64::from_bits(bits).is_nan() { f64::NAN.to_bits() } else { bits };
        let plain = |all: &[(i64, u64)]| -> Vec<(i64, u64)> {
            all.iter().map(|(time, bits)| (*time, nan(*bits))).collect()
        };
        assert_eq!(plain(samples), plain(theirs), "{labels}");
    }
}
