//! Packs answers by gzip for those who take it, piece by piece.

use std::io::Write as _;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt, stream};

/// Packs what the inner routes answer unless they did so themselves.
pub(crate) async fn compress(request: Request, next: Next) -> Response {
    let takes = takes_gzip(request.headers());
    let response = next.run(request).await;
    if !takes || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from_stream(packed(body)))
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let refused = matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

fn packed(body: Body) -> impl futures_util::Stream<Item = Result<Bytes, axum::Error>> + Send {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    stream::unfold(Some((body.into_data_stream(), encoder)), |open| async {
        let (mut body, mut encoder) = open?;
        loop {
            let written = match body.next().await {
                None => {
                    return Some((
                        encoder.finish().map(Bytes::from).map_err(axum::Error::new),
                        None,
                    ));
                }
                Some(Err(error)) => return Some((Err(error), None)),
                Some(Ok(piece)) => encoder.write_all(&piece),
            };
            if let Err(error) = written {
                return Some((Err(axum::Error::new(error)), None));
            }
            let ready = std::mem::take(encoder.get_mut());
            if !ready.is_empty() {
                return Some((Ok(Bytes::from(ready)), Some((body, encoder))));
            }
        }
    })
}
