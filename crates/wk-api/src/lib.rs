//! The HTTP side: JSON API with OpenAPI, live events, metrics, health and the status page.

mod auth;
mod description;
mod error;
mod extract;
mod routes;
mod serve;
mod wire;

pub use routes::openapi;
pub use serve::{ApiError, ServeOptions, serve};
