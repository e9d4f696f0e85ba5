//! All routes.

mod expressions;
mod federate;
mod labels;
mod query;
mod read;
mod status;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post};

use crate::compress::compress;
use crate::failure::Failure;
use crate::settings::QuerySettings;
use crate::state::{Sources, State};

/// Prometheus' API. Its paths begin with `/api/v1`, as clients append them to the address that they
/// are given; it is nested under a prefix where those paths are taken. Routes that receive samples
/// are merged to it by whoever keeps them.
///
/// Bodies are bounded by the routes themselves, in size and in time.
pub fn router(sources: Sources, settings: QuerySettings) -> Router {
    let state = Arc::new(State::new(sources, settings));
    let api = Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/query_exemplars", get(expressions::exemplars).post(expressions::exemplars))
        .route("/format_query", get(expressions::format).post(expressions::format))
        .route("/parse_query", get(expressions::parse).post(expressions::parse))
        .route("/series", get(labels::series).post(labels::series))
        .route("/labels", get(labels::names).post(labels::names))
        .route("/label/{name}/values", get(labels::values))
        .route("/metadata", get(views::metadata))
        .route("/targets", get(views::targets))
        .route("/targets/metadata", get(views::target_metadata))
        .route("/scrape_pools", get(views::scrape_pools))
        .route("/rules", get(views::rules))
        .route("/alerts", get(views::alerts))
        .route("/alertmanagers", get(views::alertmanagers))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/runtimeinfo", get(status::runtime_info))
        .route("/status/buildinfo", get(status::build_info))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/walreplay", get(status::wal_replay))
        .route("/notifications", get(status::notifications))
        .route("/features", get(status::features))
        .route("/read", post(read::read));
    Router::new()
        .nest("/api/v1", api)
        .route("/federate", get(federate::federate))
        .route("/-/healthy", get(status::healthy))
        .route("/-/ready", get(status::ready))
        .fallback(async || Failure::not_found("there is no such path in Prometheus' API"))
        .method_not_allowed_fallback(async || Failure::wrong_method())
        .layer(from_fn(compress))
        .layer(DefaultBodyLimit::disable())
        .with_state(state)
}
