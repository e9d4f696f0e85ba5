//! Queries at one time and over a range.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::State as Shared;
use axum::response::Response;
use wk_promql::{Answer, Output, Query, ResultSeries};

use crate::answer::{POINTS, Parts, Remarks, part, part_of, success};
use crate::counted::Counted;
use crate::failure::Failure;
use crate::json;
use crate::parameters::Parameters;
use crate::state::State;
use crate::stats::{Detail, Stats};

/// Points that a series of a range query may have.
const MOST_POINTS: i64 = 11_000;

/// `query`: the value at one time.
pub(crate) async fn instant(
    Shared(state): Shared<Arc<State>>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let time_ms = parameters.time("time")?.unwrap_or_else(now_ms);
    let ask = Ask { start_ms: time_ms, end_ms: time_ms, step_ms: None };
    answer(&state, &parameters, ask).await
}

/// `query_range`: the values at times of equal distance.
pub(crate) async fn range(
    Shared(state): Shared<Arc<State>>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let start_ms = parameters.required_time("start")?;
    let end_ms = parameters.required_time("end")?;
    if end_ms < start_ms {
        return Err(Failure::parameter("end", "end timestamp must not be before start time"));
    }
    let step_ms = parameters
        .duration("step")?
        .ok_or_else(|| Failure::parameter("step", "cannot parse \"\" to a valid duration"))?;
    if step_ms <= 0 {
        let message = "zero or negative query resolution step widths are not accepted. \
                       Try a positive integer";
        return Err(Failure::parameter("step", message));
    }
    if end_ms.saturating_sub(start_ms) / step_ms > MOST_POINTS {
        let message = "exceeded maximum resolution of 11,000 points per timeseries. \
                       Try decreasing the query resolution (?step=XX)";
        return Err(Failure::bad_data(message));
    }
    answer(&state, &parameters, Ask { start_ms, end_ms, step_ms: Some(step_ms) }).await
}

/// The times that are asked for.
#[derive(Clone, Copy)]
struct Ask {
    start_ms: i64,
    end_ms: i64,
    step_ms: Option<i64>,
}

async fn answer(
    state: &Arc<State>,
    parameters: &Parameters,
    ask: Ask,
) -> Result<Response, Failure> {
    let limit = parameters.limit("limit")?;
    let timeout = timeout(parameters)?;
    let lookback = parameters.duration("lookback_delta")?;
    if lookback.is_some_and(|ms| ms <= 0) {
        return Err(Failure::parameter("lookback_delta", "it must be more than zero"));
    }
    let engine = state.engine(lookback);
    let detail = Detail::parse(parameters.get("stats"));
    let text = parameters.get("query").to_owned();
    let query_text = text.clone();
    let (answer, stats) = state
        .run(timeout, move |sources, work| {
            let source = Counted::new(&*sources.series);
            let Ask { start_ms, end_ms, step_ms } = ask;
            let query = Query { text: &query_text, start_ms, end_ms, step_ms };
            let began = Instant::now();
            let answer = engine.query(&source, &query, &work.cancel)?;
            let (waited, took, samples) = (work.waited, began.elapsed(), source.samples());
            Ok((answer, Stats { waited, took, samples }))
        })
        .await?;
    let mut remarks = Remarks {
        warnings: answer.annotations.warnings(&text),
        infos: answer.annotations.infos(&text),
    };
    let (result, was_cut) = result(answer, ask.start_ms, limit);
    if was_cut {
        remarks.warnings.extend(Remarks::cut(true).warnings);
    }
    let tail = part(|out| {
        stats.write(out, detail);
        out.push(b'}');
    });
    Ok(success(Box::new(result.chain(tail)), &remarks))
}

/// `"resultType":…,"result":…` and whether series were left out.
fn result(answer: Answer, time_ms: i64, limit: usize) -> (Parts, bool) {
    let cut = |mut series: Vec<ResultSeries>| {
        let was_cut = series.len() > limit;
        series.truncate(limit);
        (series, was_cut)
    };
    let plain = |kind: &str, write: &dyn Fn(&mut Vec<u8>)| {
        part(|out| {
            out.extend(format!("{{\"resultType\":\"{kind}\",\"result\":[").bytes());
            json::seconds(out, time_ms);
            out.push(b',');
            write(out);
            out.push(b']');
        })
    };
    match answer.output {
        Output::Scalar(value) => (plain("scalar", &|out| json::scalar(out, value)), false),
        Output::Text(text) => (plain("string", &|out| json::text(out, &text)), false),
        Output::Vector(series) => {
            let (series, was_cut) = cut(series);
            let items = series.into_iter().enumerate().map(|(at, one)| {
                let mut out = Vec::new();
                json::comma(&mut out, at);
                vector_item(&mut out, &one);
                out
            });
            let head = part_of(r#"{"resultType":"vector","result":["#);
            (Box::new(head.chain(items).chain(part_of("]"))), was_cut)
        }
        Output::Matrix(series) => {
            let (series, was_cut) = cut(series);
            let items = series.into_iter().enumerate().flat_map(|(at, one)| matrix_item(at, one));
            let head = part_of(r#"{"resultType":"matrix","result":["#);
            (Box::new(head.chain(items).chain(part_of("]"))), was_cut)
        }
    }
}

fn vector_item(out: &mut Vec<u8>, series: &ResultSeries) {
    out.extend(br#"{"metric":"#);
    json::labels(out, &series.labels);
    for point in &series.points {
        out.extend(match point.value {
            wk_model::series::SampleValue::Float(_) => &br#","value":"#[..],
            wk_model::series::SampleValue::Histogram(_) => br#","histogram":"#,
        });
        json::point(out, point);
    }
    out.push(b'}');
}

/// A series with many points is written in several parts.
fn matrix_item(at: usize, series: ResultSeries) -> impl Iterator<Item = Vec<u8>> {
    let mut head = Vec::new();
    json::comma(&mut head, at);
    head.extend(br#"{"metric":"#);
    json::labels(&mut head, &series.labels);
    let is_float = |point: &wk_model::series::Point| {
        matches!(point.value, wk_model::series::SampleValue::Float(_))
    };
    let (floats, histograms): (Vec<_>, Vec<_>) = series.points.into_iter().partition(is_float);
    let both = [(&br#","values":["#[..], floats), (br#","histograms":["#, histograms)];
    let lists = both.into_iter().filter(|(_, points)| !points.is_empty());
    let lists = lists.flat_map(|(open, points)| {
        let count = points.len().div_ceil(POINTS);
        (0..count).map(move |chunk| {
            let mut out = Vec::new();
            if chunk == 0 {
                out.extend(open);
            }
            let from = chunk * POINTS;
            for (at, point) in points.iter().enumerate().skip(from).take(POINTS) {
                json::comma(&mut out, at);
                json::point(&mut out, point);
            }
            if chunk + 1 == count {
                out.push(b']');
            }
            out
        })
    });
    std::iter::once(head).chain(lists).chain(part_of("}"))
}

/// The time that the request allows.
pub(crate) fn timeout(parameters: &Parameters) -> Result<Option<Duration>, Failure> {
    let given = parameters.duration("timeout")?;
    let duration = |ms: i64| {
        u64::try_from(ms)
            .map(Duration::from_millis)
            .map_err(|_| Failure::parameter("timeout", "it must not be negative"))
    };
    given.map(duration).transpose()
}

/// Milliseconds since 1970; before that, zero.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
