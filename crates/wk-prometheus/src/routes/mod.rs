//! All routes.

mod labels;
mod query;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::failure::Failure;
use crate::settings::QuerySettings;
use crate::state::{Sources, State};

/// Prometheus' API. Its paths begin with `/api/v1`, as a data source's address has them appended;
/// it is nested under a prefix where those paths are taken.
pub fn router(sources: Sources, settings: QuerySettings) -> Router {
    let state = Arc::new(State::new(sources, settings));
    let api = Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/series", get(labels::series).post(labels::series))
        .route("/labels", get(labels::names).post(labels::names))
        .route("/label/{name}/values", get(labels::values));
    Router::new()
        .nest("/api/v1", api)
        .method_not_allowed_fallback(async || Failure::wrong_method())
        .with_state(state)
}
