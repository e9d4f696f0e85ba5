//! Health: for people, for Prometheus and for whoever restarts programs.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use wk_model::FindingStatus;

use super::App;
use super::chains::chain_of;
use crate::auth::Caller;
use crate::error::Problem;
use crate::wire::{Me, OutboxCounts, Status, Task};

/// Everything at a glance
#[utoipa::path(get, path = "/api/v1/status", tag = "status", responses((status = 200, body = Status)))]
pub(crate) async fn status(State(app): State<App>) -> Result<Json<Status>, Problem> {
    let handle = &app.handle;
    let mut open_findings = BTreeMap::new();
    for count in handle.store.finding_counts().await? {
        if count.status == FindingStatus::Active {
            *open_findings.entry(count.severity.to_string()).or_default() += count.count;
        }
    }
    let mut outbox = OutboxCounts::default();
    for count in handle.store.outbox_counts().await? {
        outbox.due += count.due;
        outbox.dead += count.dead;
    }
    let config = handle.config();
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        started_at: handle.started_at.0,
        chains: handle.statuses.all().into_iter().map(|status| chain_of(&app, status)).collect(),
        open_findings,
        outbox,
        config_error: config.error,
        config_loaded_at: config.loaded_at.0,
        tasks: handle.supervisor.tasks().into_iter().map(Task::from).collect(),
    }))
}

/// Who asks, and what they may do
#[utoipa::path(get, path = "/api/v1/me", tag = "status", responses((status = 200, body = Me)))]
pub(crate) async fn me(Extension(Caller { role, token }): Extension<Caller>) -> Json<Me> {
    Json(Me { role: role.to_string(), token })
}

/// Prometheus' text format.
pub(crate) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.handle.metrics.render())
}

/// The program runs.
pub(crate) async fn healthy() -> &'static str {
    "healthy\n"
}

/// Every chain is followed.
pub(crate) async fn ready(State(app): State<App>) -> Result<&'static str, Problem> {
    app.handle.ready().map_err(Problem::not_ready)?;
    Ok("ready\n")
}
