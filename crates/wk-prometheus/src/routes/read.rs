//! `read`: series as samples or as packed chunks, for another Prometheus.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use wk_ingest::protobuf::Writer;
use wk_model::series::{Point, SampleValue};
use wk_promql::{MatchOp, Matcher, QueryError, Select, SeriesData};

use crate::failure::Failure;
use crate::parameters::read_body;
use crate::remote::{ReadQuery, ReadRequest, chunked_response, chunks, frame, series};
use crate::state::{Sources, State, Work};

/// Bytes that a request may have, packed and unpacked: it is a list of selectors.
const LARGEST_REQUEST: usize = 1 << 20;
/// Frames that wait for a slow reader.
const WAITING: usize = 8;
/// Chunks that are sent in one frame.
const CHUNKS: usize = 64;

/// Answers a remote read request.
pub(crate) async fn read(
    Shared(state): Shared<Arc<State>>,
    request: Request,
) -> Result<Response, Failure> {
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "snappy") {
        return Err(Failure::unsupported("the body must be a ReadRequest, packed by snappy"));
    }
    let packed = read_body(request.into_body(), LARGEST_REQUEST).await?;
    let wrong = |error: snap::Error| Failure::bad_data(format!("unpacking the body: {error}"));
    if snap::raw::decompress_len(&packed).map_err(wrong)? > LARGEST_REQUEST {
        let message = format!("the body may have {LARGEST_REQUEST} bytes when unpacked");
        return Err(Failure::too_large(message));
    }
    let message = snap::raw::Decoder::new().decompress_vec(&packed).map_err(wrong)?;
    let request = ReadRequest::parse(&message).map_err(Failure::bad_data)?;
    if !request.wants_chunks {
        return samples(&state, request).await;
    }
    match streamed(&state, request.clone()).await {
        Err(Ended::Histograms) if request.takes_samples => samples(&state, request).await,
        answer => answer.map_err(Failure::from),
    }
}

/// Why a stream ends early.
enum Ended {
    /// There are native histograms, which chunks of floats cannot hold.
    Histograms,
    /// Anything else.
    Failed(Failure),
}

impl From<Ended> for Failure {
    fn from(ended: Ended) -> Failure {
        match ended {
            Ended::Histograms => {
                let message = "native histograms are only read as samples: add SAMPLES to \
                               accepted_response_types";
                QueryError::Execution(message.into()).into()
            }
            Ended::Failed(failure) => failure,
        }
    }
}

/// All at once.
async fn samples(state: &Arc<State>, request: ReadRequest) -> Result<Response, Failure> {
    let limit = state.settings.max_samples;
    let packed = state
        .run(None, move |sources, work| {
            let mut answer = Writer::default();
            for found in gather(sources, work, &request.queries, limit)? {
                let mut result = Writer::default();
                for one in found {
                    work.cancel.check()?;
                    series(&mut result, &one.labels, &one.points);
                }
                answer.bytes(1, result.as_bytes());
            }
            snap::raw::Encoder::new()
                .compress_vec(answer.as_bytes())
                .map_err(|error| Failure::internal(format!("packing the answer: {error}")))
        })
        .await?;
    let mut response = Response::new(Body::from(packed));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("snappy"));
    Ok(response)
}

/// Frames on their way to the reader.
type Frames = mpsc::Sender<Result<Bytes, Ended>>;

/// Series by series, as fast as the reader takes them.
async fn streamed(state: &Arc<State>, request: ReadRequest) -> Result<Response, Ended> {
    let (sender, mut frames): (Frames, _) = mpsc::channel(WAITING);
    let (state, limit) = (state.clone(), state.settings.max_samples);
    tokio::spawn(async move {
        let gone = sender.clone();
        let work = state.run(None, move |sources, work| {
            let found = gather(sources, work, &request.queries, limit)?;
            let is_histogram = |point: &Point| matches!(point.value, SampleValue::Histogram(_));
            let mut points = found.iter().flatten().flat_map(|series| &series.points);
            if points.any(is_histogram) {
                return Ok(Err(Ended::Histograms));
            }
            for (at, found) in found.into_iter().enumerate() {
                for series in found {
                    for some in chunks(&series.points).chunks(CHUNKS) {
                        let frame = frame(&chunked_response(&series.labels, some, at));
                        send(&sender, frame.into(), work)?;
                    }
                }
            }
            Ok(Ok(()))
        });
        tokio::select! {
            biased;
            // The reader is gone: the work ends with its future.
            () = gone.closed() => {}
            done = work => {
                if let Err(ended) = done.unwrap_or_else(|failure| Err(Ended::Failed(failure))) {
                    // If nobody takes it, the reader is gone and needs no reason.
                    let _ = gone.send(Err(ended)).await;
                }
            }
        }
    });
    // What fails before the first frame is still an error with a status.
    let first = frames.recv().await.transpose()?;
    let rest = stream::unfold(frames, |mut frames| async {
        let frame = frames.recv().await?;
        let broken = |ended| std::io::Error::other(Failure::from(ended).message().to_owned());
        Some((frame.map_err(broken), frames))
    });
    let body = Body::from_stream(stream::iter(first.map(Ok)).chain(rest));
    let mut response = Response::new(body);
    let content = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    Ok(response)
}

/// Waits for a slow reader, but not beyond the work's time.
fn send(sender: &Frames, frame: Bytes, work: &Work) -> Result<(), Failure> {
    let sent = tokio::time::timeout_at(work.deadline.into(), sender.send(Ok(frame)));
    match tokio::runtime::Handle::current().block_on(sent) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(QueryError::Stopped.into()),
        Err(_) => Err(QueryError::TimedOut.into()),
    }
}

/// The series of each query in the order of their labels, with the external ones.
fn gather(
    sources: &Sources,
    work: &Work,
    queries: &[ReadQuery],
    limit: usize,
) -> Result<Vec<Vec<SeriesData>>, Failure> {
    let external = &sources.external_labels;
    // Our own series do not carry the labels that they get on their way out.
    let is_added = |matcher: &Matcher| {
        matcher.op == MatchOp::Equal && external.get(&matcher.name) == Some(&*matcher.value)
    };
    let mut held = 0;
    let mut all = Vec::new();
    for query in queries {
        let ReadQuery { start_ms, end_ms, ref matchers } = *query;
        let matchers: Vec<_> = matchers.iter().filter(|m| !is_added(m)).cloned().collect();
        let select = Select { matchers: &matchers, start_ms, end_ms, cancel: &work.cancel };
        let mut found = Vec::new();
        for series in sources.series.select(&select)? {
            let mut series = series?;
            work.cancel.check()?;
            held += series.points.len();
            if held > limit {
                return Err(QueryError::TooManySamples { limit }.into());
            }
            for (name, value) in external.iter() {
                if series.labels.get(name).is_none() {
                    series.labels = series.labels.with(name, value);
                }
            }
            found.push(series);
        }
        // Readers merge several sources and count on the order.
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        all.push(found);
    }
    Ok(all)
}
