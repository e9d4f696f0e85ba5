//! Messages: what was sent, what waits, what was given up and can be sent again.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use wk_store::{Cursor, OutboxId};

use super::{App, list};
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::wire::{Message, OutboxQuery, PageOf, Resent, Target};

/// Messages, newest first
#[utoipa::path(get, path = "/api/v1/outbox", tag = "messages", params(OutboxQuery),
    responses((status = 200, body = PageOf<Message>), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn messages(
    State(app): State<App>,
    Query(query): Query<OutboxQuery>,
) -> Result<Json<PageOf<Message>>, Problem> {
    let finding = query.finding.as_deref().map(str::parse).transpose();
    let query = wk_store::OutboxQuery {
        state: list(query.state.as_deref())?,
        receiver: query.target,
        finding: finding.map_err(Problem::bad_request)?,
        cursor: query.cursor.map(Cursor::new),
        limit: query.limit.unwrap_or(0),
    };
    let page = app.handle.store.outbox(query).await?;
    Ok(Json(PageOf::new(page, Message::from)))
}

/// Where messages go, and how many wait or were given up there
#[utoipa::path(get, path = "/api/v1/targets", tag = "messages",
    responses((status = 200, body = Vec<Target>)))]
pub(crate) async fn targets(State(app): State<App>) -> Result<Json<Vec<Target>>, Problem> {
    let counts = app.handle.store.outbox_counts().await?;
    let mut counts: BTreeMap<_, _> =
        counts.into_iter().map(|count| (count.receiver.clone(), count)).collect();
    let mut targets: Vec<Target> = app
        .handle
        .targets()
        .into_iter()
        .map(|(target, channel)| {
            let count = counts.remove(&target);
            Target::new(target, Some(channel), count)
        })
        .collect();
    // Messages may still wait for what the config has no more.
    targets
        .extend(counts.into_iter().map(|(target, count)| Target::new(target, None, Some(count))));
    Ok(Json(targets))
}

/// Send every message that was given up once more
#[utoipa::path(post, path = "/api/v1/outbox/resend", tag = "messages",
    responses((status = 200, body = Resent)))]
pub(crate) async fn resend_all(State(app): State<App>) -> Result<Json<Resent>, Problem> {
    Ok(Json(Resent { resent: app.handle.resend_all().await? }))
}

/// Send one message that was given up once more
#[utoipa::path(post, path = "/api/v1/outbox/{id}/resend", tag = "messages",
    params(("id" = i64, Path, description = "Id of the message")),
    responses((status = 200, body = Resent), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn resend(
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<Json<Resent>, Problem> {
    if app.handle.resend(OutboxId(id)).await? {
        return Ok(Json(Resent { resent: 1 }));
    }
    Err(Problem::not_found(format!("there is no dead message {id}")))
}
