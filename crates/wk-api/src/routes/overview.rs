//! The last hours at a glance: what was found at each kind of asset, in slots for drawing.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wk_model::{Severity, Timestamp};

use super::App;
use crate::error::Problem;
use crate::extract::Query;

/// The longest time that can be asked for.
const MOST_HOURS: u32 = 24 * 31;
/// The most slots that it is divided into.
const MOST_SLOTS: u32 = 400;

/// Which hours.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct OverviewQuery {
    /// Hours back from now, at most 744. Default 24.
    hours: Option<u32>,
    /// Slots that the time is divided into, at most 400. Default 48.
    slots: Option<u32>,
}

/// What was found lately, by kind of asset.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    /// Begin of the first slot.
    since: u64,
    /// Length of a slot in milliseconds.
    slot_ms: u64,
    /// Number of slots; the last one ends now.
    slots: u32,
    /// Before this time the program did not run, or ran before: a slot without findings says
    /// nothing there.
    watched_since: u64,
    /// The kinds of assets, by name.
    domains: Vec<Domain>,
}

/// One kind of asset.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Domain {
    /// Such as chain, endpoint or contract.
    kind: String,
    /// Standing findings by severity; as in the status, but of this kind only.
    open: BTreeMap<String, u64>,
    /// Slots in which something was found that was not taken back.
    slots: Vec<DomainSlot>,
}

/// What was found in a slot.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainSlot {
    /// Its number, from 0.
    slot: u32,
    /// The worst severity: P0 to P3.
    #[schema(value_type = String)]
    worst: Severity,
    findings: u64,
}

/// What was found in the last hours, by kind of asset and slot of time
#[utoipa::path(get, path = "/api/v1/overview", tag = "status", params(OverviewQuery),
    responses((status = 200, body = Overview), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn overview(
    State(app): State<App>,
    Query(query): Query<OverviewQuery>,
) -> Result<Json<Overview>, Problem> {
    let hours = query.hours.unwrap_or(24).clamp(1, MOST_HOURS);
    let slots = query.slots.unwrap_or(48).clamp(1, MOST_SLOTS);
    let slot_ms = (u64::from(hours) * 3_600_000).div_ceil(u64::from(slots));
    let now = app.handle.clock.now();
    // The last slot ends with the present one of a fixed grid, so that slots do not wander.
    let end = (now.0 / slot_ms + 1) * slot_ms;
    let since = Timestamp(end.saturating_sub(slot_ms * u64::from(slots)));
    let step = Duration::from_millis(slot_ms);
    let history = app.handle.store.finding_history(since, step, slots).await?;
    let domains = history.into_iter().map(|kind| Domain {
        kind: kind.kind,
        open: Severity::ALL
            .into_iter()
            .zip(kind.open)
            .filter(|(_, count)| *count > 0)
            .map(|(severity, count)| (severity.to_string(), count))
            .collect(),
        slots: kind
            .slots
            .into_iter()
            .map(|(slot, worst, findings)| DomainSlot { slot, worst, findings })
            .collect(),
    });
    Ok(Json(Overview {
        since: since.0,
        slot_ms,
        slots,
        watched_since: app.handle.started_at.0,
        domains: domains.collect(),
    }))
}
