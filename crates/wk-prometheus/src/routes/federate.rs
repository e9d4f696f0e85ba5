//! `/federate`: the newest samples of chosen series as a page that another Prometheus scrapes.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State as Shared;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use wk_model::series::{Labels, SampleValue};
use wk_promql::{QueryError, Select};

use crate::answer::{part_of, stream_of};
use crate::exposition::Form;
use crate::failure::Failure;
use crate::parameters::Parameters;
use crate::routes::query::now_ms;
use crate::state::State;

/// The page; its errors are text, as its readers expect none.
pub(crate) async fn federate(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    parameters: Result<Parameters, Failure>,
) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let form = Form::accepted(accept);
    let page = async { samples(&state, parameters?).await };
    match page.await {
        Ok(samples) => page_of(form, samples),
        Err(failure) => failure.into_text().into_response(),
    }
}

/// A series' newest sample under its name and labels.
type Newest = BTreeMap<(Arc<str>, Labels), (i64, f64)>;

async fn samples(state: &Arc<State>, parameters: Parameters) -> Result<Newest, Failure> {
    let engine = state.engine(None);
    let end_ms = now_ms();
    let start_ms = end_ms.saturating_sub(engine.lookback_ms - 1);
    state
        .run(None, move |sources, work| {
            let mut newest = Newest::new();
            for matchers in &parameters.selectors("match[]", &work.cancel)? {
                let cancel = &work.cancel;
                let select = Select { matchers, start_ms, end_ms, cancel };
                for series in sources.series.select(&select)? {
                    let series = series?;
                    work.cancel.check()?;
                    // Histograms have no lines in these formats.
                    let Some(last) = series.points.last() else { continue };
                    let SampleValue::Float(value) = last.value else { continue };
                    if last.value.is_stale() {
                        continue;
                    }
                    let mut labels = series.labels;
                    for (name, value) in sources.external_labels.iter() {
                        if labels.get(name).is_none() {
                            labels = labels.with(name, value);
                        }
                    }
                    let key = (Arc::from(labels.metric_name()), labels);
                    newest.insert(key, (last.time_ms, value));
                    if newest.len() > engine.max_samples {
                        let limit = engine.max_samples;
                        return Err(QueryError::TooManySamples { limit }.into());
                    }
                }
            }
            Ok(newest)
        })
        .await
}

fn page_of(form: Form, samples: Newest) -> Response {
    let mut last = None;
    let lines = samples.into_iter().map(move |((metric, labels), (time_ms, value))| {
        let mut out = Vec::new();
        if last.as_ref() != Some(&metric) {
            form.kind_line(&mut out, &metric);
            last = Some(metric);
        }
        form.sample(&mut out, &labels, time_ms, value);
        out
    });
    stream_of(Box::new(lines.chain(part_of(form.end()))), form.content())
}
