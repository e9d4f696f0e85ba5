//! Search: what a pasted hash, address, number or name may mean.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wk_engine::Named;
use wk_model::{Address, B256, FindingId};
use wk_store::FindingQuery;

use super::App;
use crate::error::Problem;
use crate::extract::Query;

/// Hits of one kind that are shown.
const MOST: u8 = 8;
/// Characters of a search text that are used.
const LONGEST: usize = 200;

/// What to look for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    /// A transaction's or block's hash, an address, a block number, a finding's id, or part of a
    /// name or of a finding. Nothing finds nothing.
    #[serde(default)]
    q: String,
}

/// Something that fits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hit {
    /// transaction, block, address, contract, chain, endpoint, rule or finding.
    kind: &'static str,
    /// Its chain, where it is on one.
    chain: Option<String>,
    /// Hash, height, address, name or id, by which it is asked for.
    id: String,
    /// More about it, for people.
    title: String,
}

/// What a text may mean: exact hits first
#[utoipa::path(get, path = "/api/v1/search", tag = "status", params(SearchQuery),
    responses((status = 200, body = Vec<Hit>)))]
pub(crate) async fn search(
    State(app): State<App>,
    Query(query): Query<SearchQuery>,
) -> Result<Json<Vec<Hit>>, Problem> {
    let text: String = query.q.trim().chars().take(LONGEST).collect();
    let mut hits = Vec::new();
    if text.is_empty() {
        return Ok(Json(hits));
    }
    if let Ok(hash) = text.parse::<B256>() {
        let named = app.handle.named(hash).await;
        hits.extend(named.into_iter().map(|(chain, named)| match named {
            Named::Transaction(height) => Hit {
                kind: "transaction",
                chain: Some(chain.to_string()),
                id: format!("{hash:#x}"),
                title: height.to_string(),
            },
            Named::Block(height) => Hit {
                kind: "block",
                chain: Some(chain.to_string()),
                id: height.to_string(),
                title: format!("{hash:#x}"),
            },
        }));
    }
    if let Ok(id) = text.parse::<FindingId>()
        && let Some(row) = app.handle.store.finding(id).await?
    {
        hits.push(finding(row));
    }
    hits.extend(heights(&app, &text));
    hits.extend(by_name(&app, &text));
    // Stored text has hashes and addresses in lower case.
    let needle = if text.starts_with("0x") { text.to_ascii_lowercase() } else { text };
    let query = FindingQuery { text: Some(needle), limit: MOST.into(), ..FindingQuery::default() };
    for row in app.handle.store.findings(query).await?.items {
        let hit = finding(row);
        if hits.iter().all(|known| known.id != hit.id) {
            hits.push(hit);
        }
    }
    Ok(Json(hits))
}

fn finding(row: wk_store::FindingRow) -> Hit {
    Hit {
        kind: "finding",
        chain: row.chain.map(|chain| chain.to_string()),
        id: row.finding.id.to_string(),
        title: row.finding.title,
    }
}

/// Contracts by name or address, chains, endpoints and rules by name; and any other address.
fn by_name(app: &App, text: &str) -> Vec<Hit> {
    let needle = text.to_lowercase();
    let fits = |name: &str| name.to_lowercase().contains(&needle);
    let address: Option<Address> = text.parse().ok();
    let contracts: Vec<Hit> = app
        .handle
        .contracts()
        .iter()
        .filter(|contract| Some(contract.address) == address || fits(&contract.name))
        .take(MOST.into())
        .map(|contract| Hit {
            kind: "contract",
            chain: Some(contract.chain.to_string()),
            id: contract.name.to_string(),
            title: format!("{:#x}", contract.address),
        })
        .collect();
    let statuses = app.handle.statuses.all();
    let mut hits = Vec::new();
    if let Some(address) = address.filter(|_| contracts.is_empty()) {
        hits.extend(statuses.iter().map(|status| Hit {
            kind: "address",
            chain: Some(status.chain.to_string()),
            id: format!("{address:#x}"),
            title: String::new(),
        }));
    }
    hits.extend(contracts);
    for status in &statuses {
        let chain = status.chain.to_string();
        let hit = |kind, id: String| {
            let title = String::new();
            Hit { kind, chain: Some(chain.clone()), id, title }
        };
        if fits(&chain) {
            hits.push(hit("chain", chain.clone()));
        }
        let endpoints = app.handle.endpoints(&status.chain).unwrap_or_default();
        let endpoints = endpoints.iter().map(|endpoint| endpoint.name.to_string());
        hits.extend(endpoints.filter(|name| fits(name)).map(|name| hit("endpoint", name)));
    }
    let rules = app.handle.rules().into_iter().filter(|rule| fits(&rule.id)).take(MOST.into());
    hits.extend(rules.map(|rule| Hit {
        kind: "rule",
        chain: None,
        id: rule.id,
        title: rule.description.unwrap_or_default(),
    }));
    hits
}

/// The block at this height, on each chain that has come so far.
fn heights(app: &App, text: &str) -> Vec<Hit> {
    let digits: String = text.chars().filter(|c| !matches!(c, ',' | ' ' | '_')).collect();
    let Ok(height) = digits.parse::<u64>() else { return Vec::new() };
    let reached = app
        .handle
        .statuses
        .all()
        .into_iter()
        .filter(|status| status.head.is_some_and(|head| head.block.height.0 >= height));
    reached
        .map(|status| Hit {
            kind: "block",
            chain: Some(status.chain.to_string()),
            id: height.to_string(),
            title: String::new(),
        })
        .collect()
}
