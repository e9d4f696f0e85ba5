//! Requests that no honest client makes: refused with a reason, and nothing breaks.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Client, Source, serve, sources};
use wk_model::HumanDuration;
use wk_model::series::Labels;
use wk_prometheus::QuerySettings;
use wk_promql::{ExemplarSeries, QueryError, Queryable, Scope, Select, SeriesStream};

async fn server() -> Client {
    let mut source = Source::default();
    source.add(&[("__name__", "up")], 0, 1000, &[1.0; 100]);
    let settings = QuerySettings { max_samples: 50, ..QuerySettings::default() };
    serve(sources(source), settings).await
}

/// Sends the body by POST and expects the status and words of the reason.
async fn check(client: &Client, path: &str, content: &str, body: Vec<u8>, expected: (u16, &str)) {
    let request = client.http.post(client.url(path)).header("content-type", content);
    let answer = request.body(body).send().await.expect("it answers");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("the answer is text");
    assert_eq!(status, expected.0, "{path}: {text}");
    assert!(text.contains(expected.1), "{path}: {text}");
    assert!(text.contains(r#""status":"error""#), "{path}: {text}");
    assert!(text.len() < 4096, "{path}: a reason of {} bytes", text.len());
}

#[tokio::test]
async fn what_cannot_be_a_query_is_refused() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let client = server().await;
    let query = |text: &str| format!("time=1&query={text}").into_bytes();
    let deep = |open: &str, inner: &str, close: &str, times| {
        query(&format!("{}{inner}{}", open.repeat(times), close.repeat(times)))
    };
    let path = "/api/v1/query";
    for (body, expected) in [
        (query(&"a".repeat(10 << 20)), (413, "bytes at most")),
        (query(&"a".repeat(3 << 19)), (400, "bytes")),
        (deep("(", "1", ")", 100_000), (400, "parse error")),
        (deep("sum(", "up", ")", 10_000), (400, "parse error")),
        (query(&"-".repeat(100_000)), (400, "parse error")),
        (query(&format!("1{}", "^1".repeat(100_000))), (400, "parse error")),
        (query(&format!("up{{a=~\"{}\"}}", "(a{1,1000}){1,1000}")), (400, "regexp")),
        (query("up%ff"), (400, "not UTF-8")),
        (query("up%f"), (400, "invalid URL escape")),
        (query("%00"), (400, "parse error")),
        (b"query=up&time=99999999999999999999999999".to_vec(), (400, "valid timestamp")),
        (b"query=up&timeout=-1".to_vec(), (400, "timeout")),
        (b"query=up&limit=-1".to_vec(), (400, "non-negative")),
        (b"query=up&limit=99999999999999999999".to_vec(), (400, "whole number")),
        (b"query=up&lookback_delta=0".to_vec(), (400, "lookback_delta")),
        (b"query=up[100s]&time=100".to_vec(), (422, "too many samples")),
    ] {
        check(&client, path, FORM, body, expected).await;
    }
    let many = "match[]=up&".repeat(1000) + "match[]={";
    check(&client, "/api/v1/series", FORM, many.into_bytes(), (400, "parse error")).await;
    let range = b"query=up&start=0&end=1e15&step=1e-9".to_vec();
    check(&client, "/api/v1/query_range", FORM, range, (400, "step")).await;
    let range = b"query=up&start=-9e15&end=9e15&step=1".to_vec();
    check(&client, "/api/v1/query_range", FORM, range, (400, "11,000")).await;
    // The server is as well as before.
    let (status, _) = client.get(path, &[("query", "up"), ("time", "10")]).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn what_cannot_be_read_remotely_is_refused() {
    let client = server().await;
    let packed = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).expect("it is small");
    for (body, expected) in [
        (b"no snappy".to_vec(), (400, "unpacking")),
        // It says that it unpacks to 4 GB.
        (vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0], (413, "when unpacked")),
        (vec![0; 2 << 20], (413, "bytes at most")),
        (packed(&[0x0a, 0xff]), (400, "no ReadRequest")),
        (packed(&[0x0a, 2, 0x1a, 9]), (400, "cut")),
        (packed(&[0x0a, 4, 0x1a, 2, 0x08, 9]), (400, "type 9")),
        (packed(&[0x0a, 5, 0x1a, 3, 0x12, 1, 0xff]), (400, "UTF-8")),
        // All of 100 samples, where 50 may be held, as samples and as chunks.
        (packed(&[0x0a, 4, 0x10, 0xff, 0xff, 0x7f]), (422, "too many samples")),
        (packed(&[0x0a, 4, 0x10, 0xff, 0xff, 0x7f, 0x10, 1]), (422, "too many samples")),
    ] {
        check(&client, "/api/v1/read", "application/x-protobuf", body, expected).await;
    }
}

#[tokio::test]
async fn wrong_methods_and_paths_are_named() {
    let client = server().await;
    let put = client.http.put(client.url("/api/v1/query")).send().await.expect("it answers");
    assert_eq!(put.status(), 405);
    let (status, answer) = client.get("/api/v1/admin/tsdb/snapshot", &[]).await;
    assert_eq!((status, &answer["errorType"]), (404, &"not_found".into()));
    let (status, page) = client.text("/federate", &[("match[]", "up{")]).await;
    assert_eq!((status, page.contains("match[]")), (400, true), "{page}");
}

/// Reads for ever, until it is told to stop.
#[derive(Default)]
struct Endless {
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Queryable for Endless {
    fn select<'a>(&'a self, select: &Select<'a>) -> Result<SeriesStream<'a>, QueryError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        loop {
            if let Err(error) = select.cancel.check() {
                self.ended.fetch_add(1, Ordering::SeqCst);
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn series(&self, _: &Scope<'_>) -> Result<BTreeSet<Labels>, QueryError> {
        Ok(BTreeSet::new())
    }

    fn exemplars(&self, _: &Scope<'_>) -> Result<Vec<ExemplarSeries>, QueryError> {
        Ok(Vec::new())
    }
}

async fn until(count: &AtomicUsize, wanted: usize) {
    while count.load(Ordering::SeqCst) < wanted {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_query_ends_with_its_time_its_turn_or_its_client() {
    let source = Endless::default();
    let (begun, ended) = (source.begun.clone(), source.ended.clone());
    let settings = QuerySettings { max_concurrent: 1, ..QuerySettings::default() };
    let client = serve(sources(source), settings).await;
    let short = [("query", "up"), ("timeout", "20ms")];
    let (status, answer) = client.get("/api/v1/query", &short).await;
    assert_eq!((status, &answer["errorType"]), (503, &"timeout".into()));
    assert_eq!(ended.load(Ordering::SeqCst), 1);

    // One that would run for two minutes has the only turn.
    let (url, http) = (client.url("/api/v1/query?query=up"), client.http.clone());
    let long = tokio::spawn(async move { http.get(url).send().await.map(|_| ()) });
    until(&begun, 2).await;
    let (status, answer) = client.get("/api/v1/query", &short).await;
    assert_eq!((status, &answer["errorType"]), (503, &"timeout".into()));
    assert!(answer["error"].to_string().contains("queue"), "{answer}");
    assert_eq!(begun.load(Ordering::SeqCst), 2);

    // Its client goes away.
    long.abort();
    until(&ended, 2).await;
    let (status, _) = client.get("/api/v1/labels", &[]).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_request_may_not_ask_for_more_time_than_allowed() {
    let settings = QuerySettings { timeout: HumanDuration::millis(20), ..QuerySettings::default() };
    let client = serve(sources(Endless::default()), settings).await;
    let (status, _) = client.get("/api/v1/query", &[("query", "up"), ("timeout", "1h")]).await;
    assert_eq!(status, 503);
}

#[tokio::test]
async fn a_reader_that_does_not_read_gives_its_turn_back() {
    use std::io::Write as _;

    let mut source = Source::default();
    // Values whose bits have nothing in common, so that they stay as large as they are.
    let values: Vec<f64> = (1..20_000u32).map(|at| f64::from(at).sin().exp()).collect();
    for job in 0..60 {
        source.add(&[("__name__", "up"), ("job", &job.to_string())], 1, 1000, &values);
    }
    let settings = QuerySettings {
        timeout: HumanDuration::seconds(3),
        max_concurrent: 1,
        ..QuerySettings::default()
    };
    let client = serve(sources(source), settings).await;
    // All series up to 2^35 ms, as chunks.
    let query = b"\x10\xff\xff\xff\xff\x7f\x1a\x0e\x12\x08__name__\x1a\x02up";
    let mut request = vec![0x0a, u8::try_from(query.len()).expect("it is short")];
    request.extend(query);
    request.extend([0x10, 1]);
    let body = snap::raw::Encoder::new().compress_vec(&request).expect("it is small");
    let mut socket = std::net::TcpStream::connect(client.address).expect("it listens");
    let head = format!(
        "POST /api/v1/read HTTP/1.1\r\nHost: x\r\nContent-Encoding: snappy\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(&[head.as_bytes(), &body].concat()).expect("it takes the request");
    // Until the answer begins, the turn may not have been taken yet.
    let mut first = [0; 12];
    let reading = tokio::task::spawn_blocking(move || {
        std::io::Read::read_exact(&mut socket, &mut first).map(|()| (socket, first))
    });
    let (socket, first) = reading.await.expect("it reads").expect("it answers");
    assert_eq!(&first, b"HTTP/1.1 200");
    // Now nothing is read any more. Others get their turn when the time is up, at the latest.
    let mut turns = 0;
    for _ in 0..5 {
        let (status, _) = client.get("/api/v1/query", &[("query", "up"), ("time", "1")]).await;
        turns += usize::from(status == 200);
    }
    assert!(turns >= 4, "{turns}");
    drop(socket);
}
