//! The server itself: what it is, how it runs, whether it is well.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::Response;
use wk_promql::FUNCTIONS;
use wk_promql::ast::AggregateOp;

use crate::answer::success_of;
use crate::failure::Failure;
use crate::parameters::Parameters;
use crate::state::State;

/// Entries of a list that are told when no number is given, and the most that are.
const USUAL_ENTRIES: usize = 10;
const MOST_ENTRIES: usize = 10_000;

/// `status/config`
pub(crate) async fn config(Shared(state): Shared<Arc<State>>) -> Response {
    success_of(&BTreeMap::from([("yaml", state.sources.status.config())]))
}

/// `status/flags`
pub(crate) async fn flags(Shared(state): Shared<Arc<State>>) -> Response {
    success_of(&state.sources.status.flags())
}

/// `status/runtimeinfo`
pub(crate) async fn runtime_info(Shared(state): Shared<Arc<State>>) -> Response {
    success_of(&state.sources.status.runtime_info())
}

/// `status/buildinfo`
pub(crate) async fn build_info(Shared(state): Shared<Arc<State>>) -> Response {
    success_of(&state.sources.status.build_info())
}

/// `status/walreplay`
pub(crate) async fn wal_replay(Shared(state): Shared<Arc<State>>) -> Response {
    success_of(&state.sources.status.wal_replay())
}

/// `status/tsdb`
pub(crate) async fn tsdb(
    Shared(state): Shared<Arc<State>>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let limit = match parameters.get("limit") {
        "" => USUAL_ENTRIES,
        text => text
            .parse()
            .ok()
            .filter(|limit| (1..=MOST_ENTRIES).contains(limit))
            .ok_or_else(|| Failure::bad_data("limit must be a positive number up to 10000"))?,
    };
    let status = state.run(None, move |sources, _| Ok(sources.status.tsdb(limit))).await?;
    Ok(success_of(&status))
}

/// `notifications`: what an operator should see; findings have their own place.
pub(crate) async fn notifications() -> Response {
    success_of(&[(); 0])
}

/// `features`: what can be asked for.
pub(crate) async fn features(Shared(state): Shared<Arc<State>>) -> Response {
    let api = ["exclude_alerts", "label_values_match", "query_stats", "query_warnings"];
    let promql = ["at_modifier", "negative_offset", "subqueries", "native_histograms"];
    let mut all = BTreeMap::from([
        ("api".to_owned(), map(api.map(|name| (name, true)))),
        ("promql".to_owned(), map(promql.map(|name| (name, true)))),
        ("promql_functions".to_owned(), map(FUNCTIONS.iter().map(|f| (f.name, !f.experimental)))),
        (
            "promql_operators".to_owned(),
            map(AggregateOp::ALL.iter().map(|(name, op)| (*name, !op.is_experimental()))),
        ),
    ]);
    for (group, more) in state.sources.status.features() {
        all.entry(group).or_default().extend(more);
    }
    success_of(&all)
}

fn map<'a>(all: impl IntoIterator<Item = (&'a str, bool)>) -> BTreeMap<String, bool> {
    all.into_iter().map(|(name, on)| (name.to_owned(), on)).collect()
}

/// `/-/healthy`: that this is answered says all.
pub(crate) async fn healthy() -> &'static str {
    "Watchkeeper is healthy.\n"
}

/// `/-/ready`: whether queries can be answered.
pub(crate) async fn ready(Shared(state): Shared<Arc<State>>) -> (StatusCode, &'static str) {
    if state.sources.status.ready() {
        (StatusCode::OK, "Watchkeeper is ready.\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "Watchkeeper is not ready: it reads its log again.\n")
    }
}
