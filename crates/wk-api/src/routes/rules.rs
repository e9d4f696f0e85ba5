//! Rules: what runs, what it found, and what could not be evaluated.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;

use super::App;
use crate::error::Problem;
use crate::wire::{Rule, RuleError};

/// The rules of the running config, in its order, with what each found
#[utoipa::path(get, path = "/api/v1/rules", tag = "rules",
    responses((status = 200, body = Vec<Rule>)))]
pub(crate) async fn rules(State(app): State<App>) -> Result<Json<Vec<Rule>>, Problem> {
    let store = &app.handle.store;
    let found = store.finding_sources().await?.into_iter().map(|row| (row.name.clone(), row));
    let mut found: HashMap<_, _> = found.collect();
    let errors = store.rule_errors().await?.into_iter().map(|row| (row.rule.clone(), row));
    let mut errors: HashMap<_, _> = errors.collect();
    let rules = app.handle.rules().into_iter().map(|rule| {
        let (found, error) = (found.remove(&rule.id), errors.remove(&rule.id));
        Rule::new(rule, found, error)
    });
    Ok(Json(rules.collect()))
}

/// Rules that could not be evaluated, with the newest error of each
#[utoipa::path(get, path = "/api/v1/rules/errors", tag = "rules",
    responses((status = 200, body = Vec<RuleError>)))]
pub(crate) async fn errors(State(app): State<App>) -> Result<Json<Vec<RuleError>>, Problem> {
    let rows = app.handle.store.rule_errors().await?;
    Ok(Json(rows.into_iter().map(RuleError::from).collect()))
}
