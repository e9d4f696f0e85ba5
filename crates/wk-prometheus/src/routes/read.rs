//! `read`: series as samples or as packed chunks, for another Prometheus.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;
use wk_model::series::{Labels, Point, SampleValue};
use wk_promql::{MatchOp, QueryError, Select};

use crate::failure::Failure;
use crate::parameters::read_body;
use crate::remote::{
    ReadQuery, ReadRequest, chunked_response, chunks, frame, query_result, series,
};
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
    if request.wants_chunks {
        streamed(&state, request).await
    } else {
        samples(&state, request).await
    }
}

/// All at once.
async fn samples(state: &Arc<State>, request: ReadRequest) -> Result<Response, Failure> {
    let limit = state.settings.max_samples;
    let packed = state
        .run(None, move |sources, work| {
            let mut answer = Vec::new();
            let mut held = 0;
            for query in &request.queries {
                let mut result = Vec::new();
                each(sources, work, query, &mut |labels, points| {
                    held += points.len();
                    if held > limit {
                        return Err(QueryError::TooManySamples { limit }.into());
                    }
                    series(&mut result, labels, points);
                    Ok(())
                })?;
                query_result(&mut answer, &result);
            }
            snap::raw::Encoder::new()
                .compress_vec(&answer)
                .map_err(|error| Failure::internal(format!("packing the answer: {error}")))
        })
        .await?;
    let mut response = Response::new(Body::from(packed));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("snappy"));
    Ok(response)
}

/// Series by series, as fast as the reader takes them.
async fn streamed(state: &Arc<State>, request: ReadRequest) -> Result<Response, Failure> {
    let (sender, mut frames) = mpsc::channel::<Result<Bytes, Failure>>(WAITING);
    let task_state = state.clone();
    tokio::spawn(async move {
        let gone = sender.clone();
        let work = task_state.run(None, move |sources, work| {
            for (at, query) in request.queries.iter().enumerate() {
                each(sources, work, query, &mut |labels, points| {
                    if points.iter().any(|p| matches!(p.value, SampleValue::Histogram(_))) {
                        let message = "native histograms are only read as samples: leave \
                                       STREAMED_XOR_CHUNKS out of accepted_response_types";
                        return Err(QueryError::Execution(message.into()).into());
                    }
                    for some in chunks(points).chunks(CHUNKS) {
                        let frame = frame(&chunked_response(labels, some, at));
                        send(&sender, frame.into(), work)?;
                    }
                    Ok(())
                })?;
            }
            Ok(())
        });
        tokio::select! {
            biased;
            // The reader is gone: the work ends with its future.
            () = gone.closed() => {}
            done = work => if let Err(failure) = done {
                // If nobody takes it, the reader is gone and needs no reason.
                let _ = gone.send(Err(failure)).await;
            }
        }
    });
    // What fails before the first frame is still an error with a status.
    let first = frames.recv().await.transpose()?;
    let rest = stream::unfold(frames, |mut frames| async {
        let frame = frames.recv().await?;
        Some((frame.map_err(|failure| std::io::Error::other(failure.message().to_owned())), frames))
    });
    let first = stream::iter(first.map(Ok));
    let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    let mut response = Response::new(body);
    let content = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    Ok(response)
}

/// Waits for a slow reader, but not beyond the work's time.
fn send(
    sender: &mpsc::Sender<Result<Bytes, Failure>>,
    frame: Bytes,
    work: &Work,
) -> Result<(), Failure> {
    let sent = tokio::time::timeout_at(work.deadline.into(), sender.send(Ok(frame)));
    match tokio::runtime::Handle::current().block_on(sent) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(QueryError::Stopped.into()),
        Err(_) => Err(QueryError::TimedOut.into()),
    }
}

/// Takes a series.
type Take<'a> = dyn FnMut(&Labels, &[Point]) -> Result<(), Failure> + 'a;

/// Hands over the series of a query in the order of their labels, with the external ones.
fn each(
    sources: &Sources,
    work: &Work,
    query: &ReadQuery,
    take: &mut Take<'_>,
) -> Result<(), Failure> {
    // Our own series do not carry the labels that they get on their way out.
    let external = &sources.external_labels;
    let is_own = |name: &str, value: &str| external.get(name) == Some(value);
    let matchers = query.matchers.iter();
    let matchers: Vec<_> = matchers
        .filter(|m| !(m.op == MatchOp::Equal && is_own(&m.name, &m.value)))
        .cloned()
        .collect();
    let ReadQuery { start_ms, end_ms, .. } = *query;
    let select = Select { matchers: &matchers, start_ms, end_ms, cancel: &work.cancel };
    let mut found = Vec::new();
    for series in sources.series.select(&select)? {
        let mut series = series?;
        work.cancel.check()?;
        for (name, value) in external.iter() {
            if series.labels.get(name).is_none() {
                series.labels = series.labels.with(name, value);
            }
        }
        found.push(series);
    }
    // Readers merge several sources and count on the order.
    found.sort_by(|a, b| a.labels.cmp(&b.labels));
    found.iter().try_for_each(|series| {
        work.cancel.check()?;
        take(&series.labels, &series.points)
    })
}
