//! Queries as text: formatted, parsed; and the exemplars of what they select.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State as Shared;
use axum::response::Response;
use wk_model::series::Exemplar;
use wk_promql::{ExemplarSeries, ParseError, ParseOptions, Scope, parse_with, pretty_query};

use crate::answer::{Remarks, list, success, success_of};
use crate::failure::Failure;
use crate::json;
use crate::parameters::Parameters;
use crate::routes::query::timeout;
use crate::state::State;
use crate::time;
use crate::tree;

/// `format_query`: the query in its usual form.
pub(crate) async fn format(
    Shared(state): Shared<Arc<State>>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let formatted = state.run(None, move |_, _| {
        let query = parameters.get("query");
        pretty_query(query).map_err(|error| wrong(query, &error))
    });
    Ok(success_of(&formatted.await?))
}

/// `parse_query`: the syntax tree.
pub(crate) async fn parse(
    Shared(state): Shared<Arc<State>>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let parsed = state.run(None, move |_, _| {
        let query = parameters.get("query");
        let options = ParseOptions { experimental: true };
        let expr = parse_with(query, options).map_err(|error| wrong(query, &error))?;
        Ok(tree::tree(&expr))
    });
    Ok(success_of(&parsed.await?))
}

/// `query_exemplars`: exemplars of the series that the query selects.
pub(crate) async fn exemplars(
    Shared(state): Shared<Arc<State>>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let start_ms = parameters.time("start")?.unwrap_or(time::EARLIEST_MS);
    let end_ms = parameters.time("end")?.unwrap_or(time::LATEST_MS);
    if end_ms < start_ms {
        return Err(Failure::bad_data("end timestamp must not be before start timestamp"));
    }
    let found = state
        .run(timeout(&parameters)?, move |sources, work| {
            let query = parameters.get("query");
            let expr =
                parse_with(query, ParseOptions::default()).map_err(|error| wrong(query, &error))?;
            let selectors = tree::selectors(&expr).into_iter();
            let any_of: Vec<_> = selectors.map(|selector| selector.matchers.clone()).collect();
            let mut by_labels = BTreeMap::new();
            if any_of.is_empty() {
                return Ok(by_labels);
            }
            let scope = Scope { any_of: &any_of, start_ms, end_ms, cancel: &work.cancel };
            for series in sources.series.exemplars(&scope)? {
                by_labels.insert(series.labels.clone(), series);
            }
            Ok(by_labels)
        })
        .await?;
    Ok(success(list(found.into_values(), exemplar_series), &Remarks::default()))
}

fn exemplar_series(out: &mut Vec<u8>, series: &ExemplarSeries) {
    out.extend(br#"{"seriesLabels":"#);
    json::labels(out, &series.labels);
    out.extend(br#","exemplars":["#);
    for (at, exemplar) in series.exemplars.iter().enumerate() {
        let Exemplar { labels, time_ms, value } = exemplar;
        json::comma(out, at);
        out.extend(br#"{"labels":"#);
        json::labels(out, labels);
        out.extend(br#","value":"#);
        json::number(out, *value);
        out.extend(br#","timestamp":"#);
        json::seconds(out, *time_ms);
        out.push(b'}');
    }
    out.extend(b"]}");
}

fn wrong(query: &str, error: &ParseError) -> Failure {
    Failure::parameter("query", error.with_position(query))
}
