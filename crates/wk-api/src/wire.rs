//! What the API sends. Kept apart from the inner types, so that those may change.
//!
//! Times are milliseconds since the Unix epoch unless a name says otherwise; durations are seconds.
//! Amounts of 256 bits are decimal strings, hashes and addresses lower-case hex.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use wk_chain::rpc;
use wk_engine::{ChainState, ChainStatus};
use wk_model::{self as model, Severity};
use wk_rules::RuleSummary;
use wk_store::{
    BlockRow, CoverageSummary, FindingRow, FindingSource, OutboxCount, OutboxRow, Page,
    RuleErrorRow, TokenRow,
};

/// A page of a list, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageOf<T> {
    /// The items.
    items: Vec<T>,
    /// Pass as `cursor` for the next page; null at the end.
    next: Option<String>,
}

impl<T> PageOf<T> {
    pub(crate) fn new<R>(page: Page<R>, convert: impl Fn(R) -> T) -> PageOf<T> {
        PageOf {
            items: page.items.into_iter().map(convert).collect(),
            next: page.next.map(|cursor| cursor.to_string()),
        }
    }
}

/// A block's number and hash.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Block {
    height: u64,
    hash: String,
}

impl From<model::BlockRef> for Block {
    fn from(block: model::BlockRef) -> Block {
        Block { height: block.height.0, hash: block.hash.to_string() }
    }
}

/// A block with its parent and time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Link {
    block: Block,
    /// Parent's hash.
    parent: String,
    /// The block's own timestamp, in seconds.
    time: u64,
}

impl From<model::BlockLink> for Link {
    fn from(link: model::BlockLink) -> Link {
        Link { block: link.block.into(), parent: link.parent.to_string(), time: link.time.0 }
    }
}

/// Everything at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// Version of the program.
    pub(crate) version: &'static str,
    /// When it started.
    pub(crate) started_at: u64,
    /// Every chain.
    pub(crate) chains: Vec<Chain>,
    /// Standing findings by severity.
    pub(crate) open_findings: BTreeMap<String, u64>,
    /// Messages that wait or failed.
    pub(crate) outbox: OutboxCounts,
    /// Why the newest config was refused; null when it runs.
    pub(crate) config_error: Option<String>,
    /// When the running config was taken.
    pub(crate) config_loaded_at: u64,
    /// The program's tasks.
    pub(crate) tasks: Vec<Task>,
}

/// Messages that wait or failed.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct OutboxCounts {
    /// Waiting to be sent.
    pub(crate) due: u64,
    /// Given up; they can be sent again.
    pub(crate) dead: u64,
}

/// A task of the program.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Task {
    name: String,
    /// running, waiting (to be started again) or ended.
    state: &'static str,
    restarts: u64,
    last_failure: Option<String>,
}

impl From<wk_runtime::TaskStatus> for Task {
    fn from(task: wk_runtime::TaskStatus) -> Task {
        Task {
            name: task.name,
            state: match task.state {
                wk_runtime::TaskState::Running => "running",
                wk_runtime::TaskState::Waiting => "waiting",
                wk_runtime::TaskState::Ended => "ended",
            },
            restarts: task.restarts,
            last_failure: task.last_failure.map(|(_, reason)| reason),
        }
    }
}

/// A chain and its endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Chain {
    chain: String,
    /// EIP-155 chain id.
    chain_id: Option<u64>,
    /// starting, backfilling, live or stopped.
    state: &'static str,
    /// Why it stopped, and what to do.
    reason: Option<String>,
    /// The newest block that all rules have seen.
    head: Option<Link>,
    /// When that block was processed.
    processed_at: Option<u64>,
    safe: Option<Block>,
    finalized: Option<Block>,
    /// Observations that wait to be processed.
    queued: u64,
    /// How far the inspection of transactions is; none where it is turned off.
    inspection: Option<Inspection>,
    endpoints: Vec<Endpoint>,
}

/// How far the inspection of a chain's transactions is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Inspection)]
pub(crate) struct Inspection {
    /// What told of the newest inspected block: call_tracer, parity, transactions, or receipts, which
    /// see no calls.
    source: Option<String>,
    /// What better sources lack, and how to enable them.
    lacking: Option<String>,
    /// Every block up to this height was inspected or left out.
    inspected: Option<u64>,
    /// Blocks that wait to be inspected.
    pending: u64,
    /// Since when the one waits that waits longest.
    waiting_since: Option<u64>,
}

impl From<wk_engine::InspectionStatus> for Inspection {
    fn from(status: wk_engine::InspectionStatus) -> Inspection {
        let wk_engine::InspectionStatus { source, lacking, inspected, pending, waiting_since } =
            status;
        Inspection {
            source,
            lacking,
            inspected: inspected.map(|height| height.0),
            pending,
            waiting_since: waiting_since.map(|since| since.0),
        }
    }
}

impl Chain {
    pub(crate) fn new(status: ChainStatus, endpoints: Vec<rpc::EndpointStatus>) -> Chain {
        Chain {
            chain: status.chain.to_string(),
            chain_id: status.chain_id.map(|id| id.0),
            state: match status.state {
                ChainState::Starting => "starting",
                ChainState::Backfilling => "backfilling",
                ChainState::Live => "live",
                ChainState::Stopped => "stopped",
            },
            reason: status.reason,
            head: status.head.map(Link::from),
            processed_at: status.processed_at.map(|at| at.0),
            safe: status.safe.map(Block::from),
            finalized: status.finalized.map(Block::from),
            queued: status.queued,
            inspection: status.inspection.map(Inspection::from),
            endpoints: endpoints.into_iter().map(Endpoint::from).collect(),
        }
    }
}

/// An RPC endpoint. Holds no secrets: endpoints are known by their names.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Endpoint {
    name: String,
    /// http, web_socket or http_and_web_socket.
    kind: Value,
    /// unknown, healthy, limited, down or quarantined.
    health: Value,
    /// Why it is not healthy.
    reason: Option<String>,
    /// Whether requests go to it.
    in_use: bool,
    head: Option<Link>,
    /// Blocks behind the pool's highest head.
    behind: u64,
    latency_p50_seconds: Option<f64>,
    latency_p95_seconds: Option<f64>,
    /// Requests since the start.
    requests: u64,
    /// Failures since the start.
    errors_total: u64,
    /// Failures since the start, by class.
    errors: Value,
    /// The newest failure.
    last_error: Option<String>,
    /// State of the circuit breaker: closed, open or half_open.
    breaker: Value,
    /// Requests per day allowed and used today.
    budget: Value,
    client_version: Option<String>,
    chain_id: Option<u64>,
    /// Methods that it does not have.
    missing_methods: Vec<String>,
    web_socket_connected: Option<bool>,
}

impl From<rpc::EndpointStatus> for Endpoint {
    fn from(status: rpc::EndpointStatus) -> Endpoint {
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
        Endpoint {
            name: status.name.to_string(),
            kind: json(&status.kind),
            health: json(&status.health),
            reason: status.reason,
            in_use: status.in_use,
            head: status.head.map(Link::from),
            behind: status.behind,
            latency_p50_seconds: seconds(status.latency_p50),
            latency_p95_seconds: seconds(status.latency_p95),
            requests: status.requests,
            errors_total: status.errors.values().sum(),
            errors: json(&status.errors),
            last_error: status.last_error.map(|error| error.message),
            breaker: json(&status.breaker),
            budget: json(&status.budget),
            client_version: status.client_version,
            chain_id: status.chain_id.map(|id| id.0),
            missing_methods: status.missing_methods,
            web_socket_connected: status.ws.map(|ws| ws.connected),
        }
    }
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// A processed block.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProcessedBlock {
    link: Link,
    transactions: u64,
    logs: u64,
    /// seen, safe or finalized.
    finality: String,
    /// live, backfill, refill or rescan.
    intake: Value,
    /// Names of the checks that passed.
    checks: Vec<&'static str>,
    /// Why the other checks are missing; empty when all passed.
    shortfall: String,
    /// Endpoints that gave this hash.
    agreed: u8,
    seen_at: u64,
}

impl From<BlockRow> for ProcessedBlock {
    fn from(row: BlockRow) -> ProcessedBlock {
        let verification = row.verification.unwrap_or_default();
        ProcessedBlock {
            link: row.link.into(),
            transactions: row.counts.transactions,
            logs: row.counts.logs,
            finality: row.finality.to_string(),
            intake: json(&row.intake),
            checks: verification.passed.iter().map(model::Check::name).collect(),
            shortfall: verification.shortfall,
            agreed: verification.agreed,
            seen_at: row.seen_at.0,
        }
    }
}

/// Which blocks of a chain were looked at, in sum.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Coverage {
    chain: String,
    /// Lowest height that was ever looked at.
    from: u64,
    /// Highest height.
    to: u64,
    /// Every block from here to `to` was looked at.
    contiguous_from: Option<u64>,
    /// Blocks looked at.
    processed: u64,
    /// Blocks that exist and were not looked at yet.
    missing: u64,
    /// Where they are.
    holes: Vec<Range>,
    /// Blocks verified less strictly.
    weaker: u64,
    /// Blocks looked at again.
    rescanned: u64,
    /// The whole span in at most 200 parts, for drawing.
    bar: Vec<Part>,
}

/// Heights from–to, inclusive.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Range {
    from: u64,
    to: u64,
}

/// A part of the coverage bar.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Part {
    from: u64,
    to: u64,
    /// full, partial or hole.
    kind: &'static str,
    /// Why it is not full.
    why: String,
}

/// The most parts that a bar shows.
const PARTS: usize = 200;

impl From<CoverageSummary> for Coverage {
    fn from(summary: CoverageSummary) -> Coverage {
        let bar = bar(&summary);
        Coverage {
            chain: summary.chain.to_string(),
            from: summary.from.0,
            to: summary.to.0,
            contiguous_from: summary.contiguous_from.map(|height| height.0),
            processed: summary.processed,
            missing: summary.missing,
            holes: summary
                .holes
                .into_iter()
                .map(|(from, to)| Range { from: from.0, to: to.0 })
                .collect(),
            weaker: summary.weaker,
            rescanned: summary.rescanned,
            bar,
        }
    }
}

/// Holes and weaker ranges in order, with full parts between them.
fn bar(summary: &CoverageSummary) -> Vec<Part> {
    let mut marks: Vec<Part> = summary
        .holes
        .iter()
        .map(|(from, to)| Part {
            from: from.0,
            to: to.0,
            kind: "hole",
            why: "not looked at yet".into(),
        })
        .chain(summary.weaker_ranges.iter().map(|range| Part {
            from: range.from.0,
            to: range.to.0,
            kind: "partial",
            why: range.verification.shortfall.clone(),
        }))
        .collect();
    marks.sort_by_key(|part| part.from);
    // Holes first when there are too many to show: they matter most.
    if marks.len() > PARTS / 2 {
        marks.sort_by_key(|part| (part.kind != "hole", part.from));
        marks.truncate(PARTS / 2);
        marks.sort_by_key(|part| part.from);
    }
    let mut parts = Vec::new();
    let mut next = summary.from.0;
    for mark in marks {
        if mark.from > next {
            parts.push(Part { from: next, to: mark.from - 1, kind: "full", why: String::new() });
        }
        next = next.max(mark.to.saturating_add(1));
        parts.push(mark);
    }
    if next <= summary.to.0 {
        parts.push(Part { from: next, to: summary.to.0, kind: "full", why: String::new() });
    }
    parts
}

/// Blocks that were verified alike.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CoverageRange {
    from: u64,
    to: u64,
    /// False is a hole.
    processed: bool,
    /// Names of the checks that passed for each of them.
    checks: Vec<&'static str>,
    /// Why the other checks are missing.
    shortfall: String,
    /// Endpoints that agreed at the least.
    agreed: u8,
    /// How often they were looked at again.
    rescans: u32,
}

impl From<model::CoverageRange> for CoverageRange {
    fn from(range: model::CoverageRange) -> CoverageRange {
        CoverageRange {
            from: range.from.0,
            to: range.to.0,
            processed: range.processed,
            checks: range.verification.passed.iter().map(model::Check::name).collect(),
            shortfall: range.verification.shortfall,
            agreed: range.verification.agreed,
            rescans: range.rescans,
        }
    }
}

/// A finding and where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Finding {
    id: String,
    /// held, active, resolved or retracted.
    status: &'static str,
    /// Goes up each time it comes back after a retraction.
    revision: u32,
    /// rule, detector or system.
    source_kind: &'static str,
    /// The rule's id, the detector's name or the trouble's name.
    source: String,
    /// P0 (critical) to P3 (low).
    #[schema(value_type = String)]
    severity: Severity,
    /// 0 to 100.
    confidence: u8,
    class: String,
    asset: String,
    title: String,
    evidence: BTreeMap<String, Value>,
    labels: BTreeMap<String, String>,
    position: Option<Position>,
    /// seen, safe or finalized: how settled its block must be before anyone is told.
    deliver: String,
    seen_at: u64,
    changed_at: u64,
}

/// Where on a chain something happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Position {
    chain: String,
    height: u64,
    hash: String,
    /// The block's own timestamp, in seconds.
    time: u64,
    tx: Option<String>,
    log_index: Option<u64>,
}

impl From<FindingRow> for Finding {
    fn from(row: FindingRow) -> Finding {
        let finding = row.finding;
        Finding {
            id: finding.id.to_string(),
            status: row.status.name(),
            revision: row.revision,
            source_kind: finding.source.kind(),
            source: finding.source.name().to_owned(),
            severity: finding.severity,
            confidence: finding.confidence.0,
            class: finding.class,
            asset: finding.asset.to_string(),
            title: finding.title,
            evidence: finding.evidence,
            labels: finding.labels,
            position: finding.position.map(|position| Position {
                chain: position.chain.to_string(),
                height: position.block.height.0,
                hash: position.block.hash.to_string(),
                time: position.time.0,
                tx: position.tx.map(|tx| tx.to_string()),
                log_index: position.log_index,
            }),
            deliver: finding.deliver.to_string(),
            seen_at: finding.seen_at.0,
            changed_at: row.changed_at.0,
        }
    }
}

/// A message about a finding to one channel of one receiver.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Message {
    id: i64,
    finding: String,
    title: String,
    /// found, retracted or resolved.
    kind: &'static str,
    /// Receiver and channel, such as `oncall/slack`.
    target: String,
    idempotency_key: String,
    /// due, delivered, dead or dropped.
    state: &'static str,
    attempts: u32,
    next_attempt_at: u64,
    last_error: Option<String>,
    created_at: u64,
    settled_at: Option<u64>,
}

impl From<OutboxRow> for Message {
    fn from(row: OutboxRow) -> Message {
        Message {
            id: row.id.0,
            finding: row.finding.to_string(),
            title: row.notice.finding.title,
            kind: row.notice.kind.name(),
            target: row.receiver,
            idempotency_key: row.idempotency_key,
            state: row.state.name(),
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.0,
            last_error: row.last_error,
            created_at: row.created_at.0,
            settled_at: row.settled_at.map(|at| at.0),
        }
    }
}

/// A place where messages go: one channel of one receiver.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Target {
    /// Receiver and channel, such as `oncall/slack`.
    target: String,
    /// stdout, webhook or slack; null when the running config has no such target any more.
    channel: Option<&'static str>,
    /// Messages that wait to be sent.
    due: u64,
    /// When the oldest of them was made.
    oldest_due_at: Option<u64>,
    /// Messages that were given up; they can be sent again.
    dead: u64,
}

impl Target {
    pub(crate) fn new(
        target: String,
        channel: Option<&'static str>,
        count: Option<OutboxCount>,
    ) -> Target {
        Target {
            target,
            channel,
            due: count.as_ref().map_or(0, |count| count.due),
            oldest_due_at: count.as_ref().and_then(|count| count.oldest_due).map(|at| at.0),
            dead: count.map_or(0, |count| count.dead),
        }
    }
}

/// A block was processed, or taken back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BlockEvent {
    pub(crate) chain: String,
    pub(crate) link: Link,
    pub(crate) transactions: u64,
    /// Findings that it led to.
    pub(crate) findings: u64,
    /// True when it was taken back.
    pub(crate) reverted: bool,
}

/// A recent block and what it used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecentBlock {
    link: Link,
    transactions: u64,
    gas_used: u64,
    gas_limit: u64,
    /// In wei; a decimal string. Null on chains without EIP-1559.
    base_fee_per_gas: Option<String>,
    seen_at: u64,
    /// When it was taken back; null while it stands.
    reverted_at: Option<u64>,
}

impl From<wk_engine::RecentBlock> for RecentBlock {
    fn from(block: wk_engine::RecentBlock) -> RecentBlock {
        RecentBlock {
            link: block.link.into(),
            transactions: block.transactions,
            gas_used: block.gas_used,
            gas_limit: block.gas_limit,
            base_fee_per_gas: block.base_fee_per_gas.map(|fee| fee.to_string()),
            seen_at: block.seen_at.0,
            reverted_at: block.reverted_at.map(|at| at.0),
        }
    }
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// viewer (reads), operator (also acts) or admin (also manages tokens).
    pub(crate) role: String,
    /// The token's name; null without a token.
    pub(crate) token: Option<String>,
}

/// A rule of the running config, and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rule {
    id: String,
    /// What makes it look: evm.block, evm.tx, evm.event, evm.state, evm.pending or http.
    on: &'static str,
    /// The chains that it looks at; none for http.
    chains: Vec<String>,
    /// The contracts that it watches, as the config calls them; none for all.
    watch: Vec<String>,
    /// P0 (critical) to P3 (low).
    #[schema(value_type = String)]
    severity: Severity,
    class: String,
    /// seen, safe or finalized: how settled a block must be before anyone is told.
    deliver: String,
    /// Receivers that are told; none for those of the route.
    notify: Vec<String>,
    /// False when it is checked, but does not run.
    enabled: bool,
    description: Option<String>,
    runbook: Option<String>,
    /// All of it, as the config says; secrets are hidden.
    definition: Value,
    /// Findings of it that are kept, also those that were retracted.
    findings: u64,
    /// When the newest of them was made.
    last_fired_at: Option<u64>,
    /// How often it could not be evaluated.
    errors: u64,
    /// The newest error.
    last_error: Option<String>,
    last_error_at: Option<u64>,
}

impl Rule {
    pub(crate) fn new(
        rule: RuleSummary,
        found: Option<FindingSource>,
        error: Option<RuleErrorRow>,
    ) -> Rule {
        Rule {
            id: rule.id,
            on: rule.trigger.name(),
            chains: rule.chains.iter().map(ToString::to_string).collect(),
            watch: rule.watch,
            severity: rule.severity,
            class: rule.class,
            deliver: rule.deliver.to_string(),
            notify: rule.notify,
            enabled: rule.enabled,
            description: rule.description,
            runbook: rule.runbook,
            definition: rule.definition,
            findings: found.as_ref().map_or(0, |found| found.count),
            last_fired_at: found.map(|found| found.last_at.0),
            errors: error.as_ref().map_or(0, |error| error.count),
            last_error_at: error.as_ref().map(|error| error.last_at.0),
            last_error: error.map(|error| error.message),
        }
    }
}

/// How often a rule could not be evaluated.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleError {
    rule: String,
    count: u64,
    /// The newest error.
    message: String,
    first_at: u64,
    last_at: u64,
}

impl From<RuleErrorRow> for RuleError {
    fn from(row: RuleErrorRow) -> RuleError {
        RuleError {
            rule: row.rule,
            count: row.count,
            message: row.message,
            first_at: row.first_at.0,
            last_at: row.last_at.0,
        }
    }
}

/// An API token. The secret itself is shown once, when it is made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Token {
    id: i64,
    name: String,
    /// viewer, operator or admin.
    role: &'static str,
    created_at: u64,
    last_used_at: Option<u64>,
    expires_at: Option<u64>,
    revoked_at: Option<u64>,
}

impl From<TokenRow> for Token {
    fn from(row: TokenRow) -> Token {
        Token {
            id: row.id.0,
            name: row.name,
            role: row.role.name(),
            created_at: row.created_at.0,
            last_used_at: row.last_used_at.map(|at| at.0),
            expires_at: row.expires_at.map(|at| at.0),
            revoked_at: row.revoked_at.map(|at| at.0),
        }
    }
}

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What it is for.
    pub(crate) name: String,
    /// viewer, operator or admin.
    pub(crate) role: String,
    /// When it ends, in milliseconds since the Unix epoch; null for never.
    pub(crate) expires_at: Option<u64>,
}

/// A token that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeToken {
    pub(crate) token: Token,
    /// The secret. Shown this once.
    pub(crate) secret: String,
}

/// How many messages are sent again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Resent {
    pub(crate) resent: u64,
}

/// Which blocks.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeightQuery {
    /// Lowest height.
    pub(crate) from: Option<u64>,
    /// Highest height.
    pub(crate) to: Option<u64>,
    /// `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// Items per page, at most 1000. Default 100.
    pub(crate) limit: Option<u32>,
}

/// Which findings. Several values of one kind are separated by commas.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct FindingsQuery {
    /// held, active, resolved, retracted.
    pub(crate) status: Option<String>,
    /// P0, P1, P2, P3.
    pub(crate) severity: Option<String>,
    /// A rule's id, a detector's name or a trouble's name.
    pub(crate) source: Option<String>,
    /// A class, such as `reorg`.
    pub(crate) class: Option<String>,
    /// An asset, such as `contract/main/vault`.
    pub(crate) asset: Option<String>,
    /// A chain's name.
    pub(crate) chain: Option<String>,
    /// Made at this time or later, in milliseconds since the Unix epoch.
    pub(crate) since: Option<u64>,
    /// Made before this time.
    pub(crate) until: Option<u64>,
    /// Part of the title or of the evidence.
    pub(crate) text: Option<String>,
    /// `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// Items per page, at most 1000. Default 100.
    pub(crate) limit: Option<u32>,
}

/// Which messages.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutboxQuery {
    /// due, delivered, dead, dropped; several separated by commas.
    pub(crate) state: Option<String>,
    /// A target, such as `oncall/slack`.
    pub(crate) target: Option<String>,
    /// A finding's id.
    pub(crate) finding: Option<String>,
    /// `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// Items per page, at most 1000. Default 100.
    pub(crate) limit: Option<u32>,
}

/// How many of the newest blocks.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecentQuery {
    /// At most 600. Default 120.
    pub(crate) limit: Option<u32>,
}

/// Which live events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamQuery {
    /// block, finding, health; several separated by commas. Default: all.
    pub(crate) topics: Option<String>,
}

#[cfg(test)]
mod tests {
    use wk_model::{ChainName, Height, Verification};

    use super::*;

    #[test]
    fn a_bar_has_no_gap_between_its_parts() {
        let summary = CoverageSummary {
            chain: ChainName::new("main"),
            from: Height(10),
            to: Height(30),
            contiguous_from: Some(Height(16)),
            processed: 18,
            missing: 3,
            holes: vec![(Height(13), Height(15))],
            weaker: 2,
            weaker_ranges: vec![model::CoverageRange {
                from: Height(20),
                to: Height(21),
                verification: Verification::default(),
                processed: true,
                rescans: 0,
            }],
            rescanned: 0,
        };
        let parts: Vec<_> =
            bar(&summary).into_iter().map(|part| (part.from, part.to, part.kind)).collect();
        let expected = [
            (10, 12, "full"),
            (13, 15, "hole"),
            (16, 19, "full"),
            (20, 21, "partial"),
            (22, 30, "full"),
        ];
        assert_eq!(parts, expected);
    }
}
