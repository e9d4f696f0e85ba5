//! Errors in the shape of Prometheus' API.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use wk_promql::QueryError;

use crate::json;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Failure {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Failure {
        Failure { status, kind, message: message.into() }
    }

    /// The request cannot be understood.
    pub(crate) fn bad_data(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, "bad_data", message)
    }

    /// A parameter of the request cannot be understood.
    pub(crate) fn parameter(name: &str, message: impl std::fmt::Display) -> Failure {
        Failure::bad_data(format!("invalid parameter \"{name}\": {message}"))
    }

    /// The body is larger than any sensible one.
    pub(crate) fn too_large(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "bad_data", message)
    }

    /// The body does not come.
    pub(crate) fn too_slow(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::REQUEST_TIMEOUT, "timeout", message)
    }

    /// The body is in a form that is not spoken here.
    pub(crate) fn unsupported(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_data", message)
    }

    /// The method is not one of this path's.
    pub(crate) fn wrong_method() -> Failure {
        let message = "this path knows other methods only";
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, "bad_data", message)
    }

    /// There is nothing by that name.
    pub(crate) fn not_found(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// The query's time was up before it had its turn.
    pub(crate) fn queued_too_long() -> Failure {
        let message = "query timed out in query queue: other queries take too long, \
                       narrow them or raise the number of queries at a time";
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", message)
    }

    /// Our own fault.
    pub(crate) fn internal(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// The message alone.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// As an answer of text, for paths whose answers are no JSON.
    pub(crate) fn into_text(self) -> Response {
        (self.status, format!("{}\n", self.message)).into_response()
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Failure {
        let message = error.to_string();
        match error {
            QueryError::Parse(_) => Failure::parameter("query", message),
            QueryError::Execution(_) | QueryError::TooManySamples { .. } => {
                Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", message)
            }
            // Nobody listens any more; nginx's number for that is Prometheus', too.
            QueryError::Stopped => {
                let status = StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST);
                Failure::new(status, "canceled", message)
            }
            QueryError::TimedOut => {
                Failure::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", message)
            }
            QueryError::Storage(_) => Failure::internal(message),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut body = Vec::new();
        body.extend(br#"{"status":"error","errorType":"#);
        json::text(&mut body, self.kind);
        body.extend(br#","error":"#);
        json::text(&mut body, &self.message);
        body.push(b'}');
        let mut response = (self.status, body).into_response();
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}
