//! Answers written piece by piece, so that a large one is never held as text as a whole.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;

use crate::json;

/// Pieces are sent from this size on.
const PIECE: usize = 32 * 1024;
/// Points of a series that are written at once.
pub(crate) const POINTS: usize = 1024;

/// Parts of an answer's text, in order.
pub(crate) type Parts = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// What is said beside the data.
#[derive(Default)]
pub(crate) struct Remarks {
    pub(crate) warnings: Vec<String>,
    pub(crate) infos: Vec<String>,
}

impl Remarks {
    /// The one warning of lists that were cut.
    pub(crate) fn cut(was_cut: bool) -> Remarks {
        let warning = was_cut.then(|| "results truncated due to limit".to_owned());
        Remarks { warnings: warning.into_iter().collect(), infos: Vec::new() }
    }
}

/// One part made by a function that writes.
pub(crate) fn part(write: impl FnOnce(&mut Vec<u8>)) -> Parts {
    let mut out = Vec::new();
    write(&mut out);
    Box::new(std::iter::once(out))
}

/// `[…]` with a comma between the items.
pub(crate) fn list<T: 'static>(
    items: impl IntoIterator<Item = T, IntoIter: Send + 'static>,
    write: impl Fn(&mut Vec<u8>, &T) + Send + 'static,
) -> Parts {
    let items = items.into_iter().enumerate().map(move |(at, item)| {
        let mut out = Vec::new();
        json::comma(&mut out, at);
        write(&mut out, &item);
        out
    });
    Box::new(part_of("[").chain(items).chain(part_of("]")))
}

/// A part of fixed text.
pub(crate) fn part_of(text: &'static str) -> std::iter::Once<Vec<u8>> {
    std::iter::once(text.as_bytes().to_vec())
}

/// `{"status":"success","data":…}`
pub(crate) fn success(data: Parts, remarks: &Remarks) -> Response {
    let mut tail = Vec::new();
    for (name, texts) in [("warnings", &remarks.warnings), ("infos", &remarks.infos)] {
        if !texts.is_empty() {
            tail.extend(format!(",\"{name}\":").bytes());
            json::texts(&mut tail, texts.iter().map(String::as_str));
        }
    }
    tail.push(b'}');
    let head = part_of(r#"{"status":"success","data":"#);
    stream_of(Box::new(head.chain(data).chain(std::iter::once(tail))), "application/json")
}

/// The same for data that is small and has a plain shape.
pub(crate) fn success_of(data: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(data) {
        Ok(text) => success(Box::new(std::iter::once(text)), &Remarks::default()),
        Err(error) => {
            use axum::response::IntoResponse;
            crate::failure::Failure::internal(format!("writing the answer: {error}"))
                .into_response()
        }
    }
}

/// Parts as a body; each is made when the ones before were taken.
pub(crate) fn stream_of(parts: Parts, content: &'static str) -> Response {
    let joined = Joined(parts).map(Ok::<Bytes, std::convert::Infallible>);
    let mut response = Response::new(Body::from_stream(stream::iter(joined)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    response
}

/// Small parts joined to pieces worth sending.
struct Joined(Parts);

impl Iterator for Joined {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut piece = self.0.next()?;
        while piece.len() < PIECE {
            let Some(part) = self.0.next() else { break };
            piece.extend(part);
        }
        Some(piece.into())
    }
}
