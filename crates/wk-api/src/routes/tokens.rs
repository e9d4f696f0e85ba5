//! API tokens.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use wk_model::Timestamp;
use wk_store::{TokenId, TokenRow};

use super::App;
use crate::error::Problem;
use crate::extract::{Body, Path};
use crate::wire::{MadeToken, NewToken, Token};

/// All tokens, without their secrets
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", responses((status = 200, body = Vec<Token>)))]
pub(crate) async fn tokens(State(app): State<App>) -> Result<Json<Vec<Token>>, Problem> {
    let rows = app.handle.store.tokens().await?;
    Ok(Json(rows.into_iter().map(Token::from).collect()))
}

/// Make a token; its secret is shown this once
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = NewToken,
    responses((status = 201, body = MadeToken), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(app): State<App>,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    TokenRow::check_name(&new.name).map_err(Problem::bad_request)?;
    let role = new.role.parse().map_err(Problem::bad_request)?;
    let expires_at = new.expires_at.map(Timestamp);
    let now = app.handle.clock.now();
    let (row, secret) = app.handle.store.create_token(&new.name, role, expires_at, now).await?;
    let made = MadeToken { token: row.into(), secret: secret.reveal().to_owned() };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Make a token useless at once
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens",
    params(("id" = i64, Path, description = "Id of the token")),
    responses((status = 204), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn revoke(
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    if app.handle.store.revoke_token(TokenId(id), app.handle.clock.now()).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found(format!("there is no valid token {id}")))
}
