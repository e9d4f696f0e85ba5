//! Watched contracts: what they cost, how risky they are; and where money went.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use wk_chain::abi::{self, Item};
use wk_contracts::code::CodeFinding;
use wk_contracts::cost::{Stats, forecast};
use wk_contracts::funds::{Direction, Method, Settings};
use wk_contracts::risk::PastFindings;
use wk_engine::{ExamineError, Examined, FundsError};
use wk_model::{Address, AssetId, ChainName, FindingStatus, Height, Severity, Timestamp};
use wk_store::FindingQuery;

use super::App;
use crate::error::Problem;
use crate::extract::{Path, Query};

/// Past findings count for so long, in milliseconds.
const PAST: u64 = 90 * 86_400_000;
/// Past findings that are counted at most.
const MAX_PAST: u32 = 1_000;

/// A watched contract.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WatchedContract {
    /// Its name in the config.
    name: String,
    /// The chain it is on.
    chain: String,
    /// Its address.
    address: String,
    /// Its labels.
    labels: BTreeMap<String, String>,
}

/// Sums of calls: of one function, or of all.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallCosts {
    /// The function: its selector, `receive` or `create`; null for all together.
    function: Option<String>,
    /// Its signature, where the contract's ABI has it.
    signature: Option<String>,
    calls: u64,
    failed: u64,
    /// Failed of all calls, from 0 to 1.
    error_rate: Option<f64>,
    /// Number of failed calls by reason.
    errors: BTreeMap<String, u64>,
    /// Gas used; a decimal string.
    gas: String,
    /// Gas used by calls that failed; a decimal string.
    failed_gas: String,
    /// Gas per call, off by at most 1 %.
    gas_p50: Option<f64>,
    gas_p95: Option<f64>,
    gas_p99: Option<f64>,
    /// Paid for gas, in wei; a decimal string.
    fees: String,
    /// The same in the currency of the config's `coin_prices`; null where it has no price.
    fees_fiat: Option<f64>,
    /// Gas whose price is not known and which `fees` lacks; a decimal string.
    gas_without_price: String,
    /// What could be saved.
    advice: Vec<CostAdvice>,
}

/// Gas that could be saved.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CostAdvice {
    /// What to do.
    text: String,
    /// Calls in which it was seen.
    calls: u64,
    /// Gas in all of them; a decimal string.
    gas: String,
}

/// What a contract cost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContractCosts {
    contract: WatchedContract,
    /// Nothing before is known: when the program started.
    since: u64,
    /// All its functions together.
    total: CallCosts,
    /// The functions, most gas first, at most 50.
    functions: Vec<CallCosts>,
    /// How gas per call changes from day to day (median slope); null with fewer than two days.
    gas_trend_per_day: Option<f64>,
    /// Fees by day.
    days: Vec<DayCosts>,
    /// What the next seven days are expected to cost; empty with fewer than three weeks of days.
    forecast: Vec<ForecastDay>,
}

/// What a day cost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DayCosts {
    /// Its begin, in seconds since the Unix epoch (UTC).
    day: u64,
    /// Paid for gas, in wei; a decimal string.
    fees: String,
}

/// What a future day is expected to cost, in whole coins.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForecastDay {
    /// Days from the last known one.
    ahead: usize,
    value: f64,
    /// In nine of ten cases it is not below.
    low: f64,
    /// In nine of ten cases it is not above.
    high: f64,
}

/// Which days.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct DayQuery {
    /// From the day of this time on, in seconds since the Unix epoch.
    from: Option<u64>,
    /// Up to the day of this time, in seconds since the Unix epoch.
    to: Option<u64>,
}

/// How risky a contract is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContractRisk {
    contract: WatchedContract,
    /// At this block.
    height: u64,
    /// 0 (nothing speaks against it) to 100.
    score: u8,
    /// The part of it that comes from what is not known.
    unknown: u8,
    /// What it is made of, largest first.
    items: Vec<RiskItem>,
    /// Where it hands its calls on to.
    implementation: Option<String>,
    /// Who can change its code.
    admin: Option<String>,
    /// Its owner.
    owner: Option<String>,
    /// Holes in its code and its implementation's, as far as the code tells.
    holes: Vec<CodeHole>,
}

/// An item of a risk score.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RiskItem {
    name: String,
    title: String,
    /// What it adds.
    points: u8,
    /// What it could add.
    worst: u8,
    /// Whether the fact is known.
    known: bool,
    /// The fact.
    fact: String,
}

/// A hole in a code.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CodeHole {
    check: String,
    severity: String,
    /// In percent.
    confidence: u8,
    /// The function by which it is reached; null for the fallback.
    selector: Option<String>,
    /// Byte of the code.
    at: usize,
    /// Some state is asked on the way.
    behind_storage: bool,
    why: String,
}

/// What to follow.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct FundsQuery {
    /// First block.
    from: u64,
    /// Last block; at most 2,000 blocks at once.
    to: u64,
    /// `forward` to where it went, `backward` to where it came from. Default `forward`.
    direction: Option<String>,
    /// `haircut` or `fifo`. Default `haircut`.
    method: Option<String>,
    /// Steps away from the address. Default 6.
    max_hops: Option<u16>,
    /// Smaller shares (0–1) are not looked into. Default 0.001.
    min_share: Option<f64>,
}

/// The watched contracts
#[utoipa::path(get, path = "/api/v1/contracts", tag = "contracts",
    responses((status = 200, body = Vec<WatchedContract>)))]
pub(crate) async fn contracts(State(app): State<App>) -> Json<Vec<WatchedContract>> {
    let contracts = app.handle.contracts();
    Json(contracts.iter().map(|contract| WatchedContract::from(&**contract)).collect())
}

/// What a contract cost since the start, from receipts and, where the node has them, traces
#[utoipa::path(get, path = "/api/v1/contracts/{contract}/costs", tag = "contracts",
    params(("contract" = String, Path, description = "Name in the config"), DayQuery),
    responses((status = 200, body = ContractCosts), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn costs(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<DayQuery>,
) -> Result<Json<ContractCosts>, Problem> {
    let contract = app.handle.contract(&name).ok_or_else(|| unknown(&name))?;
    let (from, to) = (query.from.unwrap_or(0), query.to.unwrap_or(u64::MAX));
    let costs = &app.handle.costs;
    let price = app.handle.coin_price(&contract.chain);
    let summary = costs.summary(&contract.chain, &contract.address, from, to).unwrap_or_default();
    let mut series: Vec<f64> =
        summary.fees_per_day.iter().map(|(_, fees)| f64::from(*fees) / 1e18).collect();
    // The newest day is not over.
    series.pop();
    let ahead = forecast(&series, 7, 7, 0.9).map(|forecast| forecast.points).unwrap_or_default();
    Ok(Json(ContractCosts {
        contract: WatchedContract::from(&*contract),
        since: app.handle.started_at.0,
        total: CallCosts::new(None, &summary.total, price),
        functions: summary
            .functions
            .iter()
            .map(|(key, stats)| {
                let function = key.function.to_string();
                let signature = signature(&contract, &function);
                CallCosts { signature, ..CallCosts::new(Some(function), stats, price) }
            })
            .collect(),
        gas_trend_per_day: summary.gas_trend.map(|trend| trend.per_day),
        days: summary
            .fees_per_day
            .iter()
            .map(|(day, fees)| DayCosts { day: *day, fees: fees.to_string() })
            .collect(),
        forecast: ahead
            .into_iter()
            .map(|point| ForecastDay {
                ahead: point.ahead,
                value: point.value,
                low: point.low,
                high: point.high,
            })
            .collect(),
    }))
}

/// How risky a contract is, item by item; reads its state from the chain
#[utoipa::path(get, path = "/api/v1/contracts/{contract}/risk", tag = "contracts",
    params(("contract" = String, Path, description = "Name in the config")),
    responses((status = 200, body = ContractRisk), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn risk(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<ContractRisk>, Problem> {
    let contract = app.handle.contract(&name).ok_or_else(|| unknown(&name))?;
    let past = past(&app, &contract).await?;
    let examined = app.handle.examine(&contract, Some(past)).await;
    match examined {
        None => Err(Problem::not_ready("no block of its chain was processed yet")),
        Some(Err(error @ ExamineError::NoContract { .. })) => {
            Err(Problem::not_found(error.to_string()))
        }
        Some(Err(error @ ExamineError::Read(_))) => Err(Problem::not_ready(error.to_string())),
        Some(Ok(examined)) => Ok(Json(ContractRisk::new(&contract, &examined))),
    }
}

/// Follow money from an address over blocks of a chain, to mixers, bridges, exchanges or holders
#[utoipa::path(get, path = "/api/v1/chains/{chain}/funds/{address}", tag = "contracts",
    params(("chain" = String, Path, description = "Name in the config"), ("address" = String, Path, description = "Where to begin"), FundsQuery),
    responses((status = 200, body = Value), (status = 400, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn funds(
    State(app): State<App>,
    Path((chain, address)): Path<(String, String)>,
    Query(query): Query<FundsQuery>,
) -> Result<Json<Value>, Problem> {
    let address: Address =
        address.parse().map_err(|_| Problem::bad_request(format!("`{address}` is no address")))?;
    let direction = match query.direction.as_deref() {
        None | Some("forward") => Direction::Forward,
        Some("backward") => Direction::Backward,
        Some(other) => {
            let detail = format!("`{other}` is no direction; use forward or backward");
            return Err(Problem::bad_request(detail));
        }
    };
    let method = match query.method.as_deref() {
        None | Some("haircut") => Method::Haircut,
        Some("fifo") => Method::Fifo,
        Some(other) => {
            let detail = format!("`{other}` is no method; use haircut or fifo");
            return Err(Problem::bad_request(detail));
        }
    };
    let defaults = Settings::default();
    let settings = Settings {
        direction,
        method,
        max_hops: query.max_hops.unwrap_or(defaults.max_hops),
        min_share: query.min_share.unwrap_or(defaults.min_share),
        ..defaults
    };
    let chain = ChainName::new(&chain);
    let blocks = (Height(query.from), Height(query.to));
    let graph = app.handle.funds(&chain, blocks, address, &settings).await;
    match graph {
        Ok(graph) => Ok(Json(graph.to_json())),
        Err(error @ FundsError::NoChain(_)) => Err(Problem::not_found(error.to_string())),
        Err(error @ (FundsError::Range | FundsError::Gather(_))) => {
            Err(Problem::bad_request(error.to_string()))
        }
        Err(error @ (FundsError::Busy | FundsError::Fetch(_))) => {
            Err(Problem::not_ready(error.to_string()))
        }
    }
}

/// The signature that a selector stands for in the contract's ABI.
fn signature(contract: &abi::Contract, selector: &str) -> Option<String> {
    let functions = contract.abi.functions().iter();
    let mut fits = functions.filter(|function| function.selector().to_string() == selector);
    fits.next().map(|function| function.signature().to_string())
}

fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("no contract `{name}` is watched"))
}

/// What was found at a contract in the last 90 days and not taken back.
async fn past(app: &App, contract: &abi::Contract) -> Result<PastFindings, Problem> {
    let now = app.handle.clock.now();
    let query = FindingQuery {
        asset: Some(AssetId::contract(&contract.chain, &contract.name)),
        since: Some(Timestamp(now.0.saturating_sub(PAST))),
        limit: MAX_PAST,
        ..FindingQuery::default()
    };
    let mut past = PastFindings::default();
    for row in app.handle.store.findings(query).await?.items {
        match (row.status, row.finding.severity) {
            (FindingStatus::Retracted, _) => {}
            (_, Severity::P0 | Severity::P1) => past.urgent += 1,
            (_, Severity::P2 | Severity::P3) => past.minor += 1,
        }
    }
    Ok(past)
}

impl From<&abi::Contract> for WatchedContract {
    fn from(contract: &abi::Contract) -> WatchedContract {
        WatchedContract {
            name: contract.name.to_string(),
            chain: contract.chain.to_string(),
            address: hex(&contract.address),
            labels: BTreeMap::clone(&contract.labels),
        }
    }
}

impl CallCosts {
    fn new(function: Option<String>, stats: &Stats, price: Option<f64>) -> CallCosts {
        let quantile = |share: f64| stats.gas_per_call.quantile(share).map(f64::round);
        let advice = stats.advice.iter().map(|(advice, (calls, gas))| CostAdvice {
            text: advice.text().to_owned(),
            calls: *calls,
            gas: gas.to_string(),
        });
        CallCosts {
            function,
            signature: None,
            calls: stats.calls,
            failed: stats.failed,
            error_rate: stats.error_rate(),
            errors: stats.errors.clone(),
            gas: stats.gas.to_string(),
            failed_gas: stats.failed_gas.to_string(),
            gas_p50: quantile(0.5),
            gas_p95: quantile(0.95),
            gas_p99: quantile(0.99),
            fees: stats.fees.to_string(),
            fees_fiat: price.map(|price| f64::from(stats.fees) / 1e18 * price),
            gas_without_price: stats.gas_without_price.to_string(),
            advice: advice.collect(),
        }
    }
}

impl ContractRisk {
    fn new(contract: &abi::Contract, examined: &Examined) -> ContractRisk {
        let behind = examined.implementation.as_ref();
        let own = examined.code.findings.iter();
        let holes = own.chain(behind.into_iter().flat_map(|(_, report)| &report.findings));
        let items = examined.risk.items.iter().map(|item| RiskItem {
            name: item.name.to_owned(),
            title: item.title.to_owned(),
            points: item.points,
            worst: item.worst,
            known: item.known,
            fact: item.fact.clone(),
        });
        ContractRisk {
            contract: WatchedContract::from(contract),
            height: examined.block.height.0,
            score: examined.risk.score,
            unknown: examined.risk.unknown,
            items: items.collect(),
            implementation: behind.map(|(target, _)| hex(target)),
            admin: examined.admin.as_ref().map(hex),
            owner: examined.owner.as_ref().map(hex),
            holes: holes.map(CodeHole::from).collect(),
        }
    }
}

impl From<&CodeFinding> for CodeHole {
    fn from(finding: &CodeFinding) -> CodeHole {
        CodeHole {
            check: finding.check.name().to_owned(),
            severity: finding.severity.to_string(),
            confidence: finding.confidence.0,
            selector: finding.selector.clone(),
            at: finding.at,
            behind_storage: finding.behind_storage,
            why: finding.why.clone(),
        }
    }
}

fn hex(address: &Address) -> String {
    format!("{address:#x}")
}
