//! Findings.

use axum::Json;
use axum::extract::State;
use wk_model::{AssetId, ChainName, FindingId, Timestamp};
use wk_store::{Cursor, FindingQuery};

use super::{App, list};
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::wire::{Finding, FindingsQuery, PageOf};

/// Findings, newest first
#[utoipa::path(get, path = "/api/v1/findings", tag = "findings", params(FindingsQuery),
    responses((status = 200, body = PageOf<Finding>), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn findings(
    State(app): State<App>,
    Query(query): Query<FindingsQuery>,
) -> Result<Json<PageOf<Finding>>, Problem> {
    let query = FindingQuery {
        status: list(query.status.as_deref())?,
        severity: list(query.severity.as_deref())?,
        source: query.source,
        class: query.class,
        asset: query.asset.as_deref().map(AssetId::parse),
        chain: query.chain.as_deref().map(ChainName::new),
        since: query.since.map(Timestamp),
        until: query.until.map(Timestamp),
        text: query.text,
        cursor: query.cursor.map(Cursor::new),
        limit: query.limit.unwrap_or(0),
    };
    let page = app.handle.store.findings(query).await?;
    Ok(Json(PageOf::new(page, Finding::from)))
}

/// One finding with its evidence
#[utoipa::path(get, path = "/api/v1/findings/{id}", tag = "findings",
    params(("id" = String, Path, description = "Id of the finding")),
    responses((status = 200, body = Finding), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn finding(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Finding>, Problem> {
    let id: FindingId = id.parse().map_err(Problem::bad_request)?;
    let row = app.handle.store.finding(id).await?;
    let row = row.ok_or_else(|| Problem::not_found(format!("there is no finding {id}")))?;
    Ok(Json(row.into()))
}
