//! Which series, labels and values there are.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::response::Response;
use wk_promql::{Cancel, Matcher, Scope};

use crate::answer::{Remarks, list, success};
use crate::failure::Failure;
use crate::json;
use crate::names;
use crate::parameters::Parameters;
use crate::routes::query::timeout;
use crate::state::State;
use crate::time;

/// What `match[]`, `start` and `end` ask for.
struct Asked {
    any_of: Vec<Vec<Matcher>>,
    start_ms: i64,
    end_ms: i64,
}

impl Asked {
    fn parse(parameters: &Parameters, cancel: &Cancel) -> Result<Asked, Failure> {
        Ok(Asked {
            any_of: parameters.selectors("match[]", cancel)?,
            start_ms: parameters.time("start")?.unwrap_or(time::EARLIEST_MS),
            end_ms: parameters.time("end")?.unwrap_or(time::LATEST_MS),
        })
    }

    fn scope<'a>(&'a self, cancel: &'a Cancel) -> Scope<'a> {
        let Asked { any_of, start_ms, end_ms } = self;
        Scope { any_of, start_ms: *start_ms, end_ms: *end_ms, cancel }
    }
}

/// `series`: label sets.
pub(crate) async fn series(
    Shared(state): Shared<Arc<State>>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    if parameters.all("match[]").next().is_none() {
        return Err(Failure::bad_data("no match[] parameter provided"));
    }
    let (limit, timeout) = (parameters.limit("limit")?, timeout(&parameters)?);
    let found = state
        .run(timeout, move |sources, work| {
            let asked = Asked::parse(&parameters, &work.cancel)?;
            Ok(sources.series.series(&asked.scope(&work.cancel))?)
        })
        .await?;
    let remarks = Remarks::cut(found.len() > limit);
    Ok(success(list(found.into_iter().take(limit), json::labels), &remarks))
}

/// `labels`: names of labels.
pub(crate) async fn names(
    Shared(state): Shared<Arc<State>>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let (limit, timeout) = (parameters.limit("limit")?, timeout(&parameters)?);
    let found = state
        .run(timeout, move |sources, work| {
            let asked = Asked::parse(&parameters, &work.cancel)?;
            Ok(sources.series.label_names(&asked.scope(&work.cancel))?)
        })
        .await?;
    let remarks = Remarks::cut(found.len() > limit);
    Ok(success(list(found.into_iter().take(limit), |out, name| json::text(out, name)), &remarks))
}

/// `label/…/values`: values of one label.
pub(crate) async fn values(
    Shared(state): Shared<Arc<State>>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let name = names::unescaped(&name);
    if name.is_empty() {
        return Err(Failure::bad_data("invalid label name: \"\""));
    }
    let (limit, timeout) = (parameters.limit("limit")?, timeout(&parameters)?);
    let found = state
        .run(timeout, move |sources, work| {
            let asked = Asked::parse(&parameters, &work.cancel)?;
            Ok(sources.series.label_values(&name, &asked.scope(&work.cancel))?)
        })
        .await?;
    let remarks = Remarks::cut(found.len() > limit);
    Ok(success(list(found.into_iter().take(limit), |out, value| json::text(out, value)), &remarks))
}
