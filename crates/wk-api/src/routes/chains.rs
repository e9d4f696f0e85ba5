//! Chains, their blocks, and which of those were looked at.

use axum::Json;
use axum::extract::State;
use wk_engine::ChainStatus;
use wk_model::{ChainName, Height};
use wk_store::{BlockQuery, CoverageQuery, Cursor};

use super::App;
use crate::error::Problem;
use crate::extract::{Path, Query};
use crate::wire::{
    Chain, Coverage, CoverageRange, HeightQuery, PageOf, ProcessedBlock, RecentBlock, RecentQuery,
};

/// All chains with their endpoints
#[utoipa::path(get, path = "/api/v1/chains", tag = "chains", responses((status = 200, body = Vec<Chain>)))]
pub(crate) async fn chains(State(app): State<App>) -> Json<Vec<Chain>> {
    let all = app.handle.statuses.all();
    Json(all.into_iter().map(|status| chain_of(&app, status)).collect())
}

/// One chain with its endpoints
#[utoipa::path(get, path = "/api/v1/chains/{chain}", tag = "chains",
    params(("chain" = String, Path, description = "Name in the config")),
    responses((status = 200, body = Chain), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn chain(
    State(app): State<App>,
    Path(chain): Path<String>,
) -> Result<Json<Chain>, Problem> {
    let status = known(&app, &chain)?;
    Ok(Json(chain_of(&app, status)))
}

/// Processed blocks, newest first
#[utoipa::path(get, path = "/api/v1/chains/{chain}/blocks", tag = "chains",
    params(("chain" = String, Path, description = "Name in the config"), HeightQuery),
    responses((status = 200, body = PageOf<ProcessedBlock>), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn blocks(
    State(app): State<App>,
    Path(chain): Path<String>,
    Query(query): Query<HeightQuery>,
) -> Result<Json<PageOf<ProcessedBlock>>, Problem> {
    let chain = known(&app, &chain)?.chain;
    let query = BlockQuery {
        from: query.from.map(Height),
        to: query.to.map(Height),
        cursor: query.cursor.map(Cursor::new),
        limit: query.limit.unwrap_or(0),
    };
    let page = app.handle.store.blocks(&chain, query).await?;
    Ok(Json(PageOf::new(page, ProcessedBlock::from)))
}

/// Which blocks were looked at, in sum
#[utoipa::path(get, path = "/api/v1/chains/{chain}/coverage", tag = "chains",
    params(("chain" = String, Path, description = "Name in the config")),
    responses((status = 200, body = Coverage), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn coverage(
    State(app): State<App>,
    Path(chain): Path<String>,
) -> Result<Json<Coverage>, Problem> {
    let chain = known(&app, &chain)?.chain;
    let summary = app.handle.store.coverage_summary(&chain).await?;
    let summary = summary.ok_or_else(|| Problem::not_found("no block was processed yet"))?;
    Ok(Json(summary.into()))
}

/// Ranges of blocks that were verified alike, highest first
#[utoipa::path(get, path = "/api/v1/chains/{chain}/coverage/ranges", tag = "chains",
    params(("chain" = String, Path, description = "Name in the config"), HeightQuery),
    responses((status = 200, body = PageOf<CoverageRange>), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn coverage_ranges(
    State(app): State<App>,
    Path(chain): Path<String>,
    Query(query): Query<HeightQuery>,
) -> Result<Json<PageOf<CoverageRange>>, Problem> {
    let chain = known(&app, &chain)?.chain;
    let query = CoverageQuery {
        from: query.from.map(Height),
        to: query.to.map(Height),
        cursor: query.cursor.map(Cursor::new),
        limit: query.limit.unwrap_or(0),
    };
    let page = app.handle.store.coverage(&chain, query).await?;
    Ok(Json(PageOf::new(page, CoverageRange::from)))
}

/// The newest blocks since the start with what they used, in the order in which they were processed;
/// those that were taken back stand beside those that came for them
#[utoipa::path(get, path = "/api/v1/chains/{chain}/recent", tag = "chains",
    params(("chain" = String, Path, description = "Name in the config"), RecentQuery),
    responses((status = 200, body = Vec<RecentBlock>), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn recent(
    State(app): State<App>,
    Path(chain): Path<String>,
    Query(query): Query<RecentQuery>,
) -> Result<Json<Vec<RecentBlock>>, Problem> {
    let chain = known(&app, &chain)?.chain;
    let blocks = app.handle.recent.blocks(&chain, query.limit.unwrap_or(120).min(600) as usize);
    Ok(Json(blocks.into_iter().map(RecentBlock::from).collect()))
}

/// A chain as the API shows it.
pub(super) fn chain_of(app: &App, status: ChainStatus) -> Chain {
    let endpoints = app.handle.endpoints(&status.chain).unwrap_or_default();
    Chain::new(status, endpoints)
}

fn known(app: &App, chain: &str) -> Result<ChainStatus, Problem> {
    let status = app.handle.statuses.get(&ChainName::new(chain));
    status.ok_or_else(|| Problem::not_found(format!("there is no chain `{chain}`")))
}
