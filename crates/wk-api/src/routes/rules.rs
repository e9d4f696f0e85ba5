//! Rules: those that could not be evaluated.

use axum::Json;
use axum::extract::State;

use super::App;
use crate::error::Problem;
use crate::wire::RuleError;

/// Rules that could not be evaluated, with the newest error of each
#[utoipa::path(get, path = "/api/v1/rules/errors", tag = "rules",
    responses((status = 200, body = Vec<RuleError>)))]
pub(crate) async fn errors(State(app): State<App>) -> Result<Json<Vec<RuleError>>, Problem> {
    let rows = app.handle.store.rule_errors().await?;
    Ok(Json(rows.into_iter().map(RuleError::from).collect()))
}
