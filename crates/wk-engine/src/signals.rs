//! What the engine measures about itself.

use wk_model::{Signal, SignalKind, Unit};

/// Every signal of this crate, for the catalogue.
pub const SIGNALS: &[&Signal] = &[
    &PROCESSED_BLOCKS,
    &PROCESSED_HEIGHT,
    &PROCESSING_SECONDS,
    &SEEN_TO_STORED_SECONDS,
    &QUEUE_DEPTH,
    &FINDINGS,
    &EVALUATION_ERRORS,
    &COVERAGE_BLOCKS,
    &COVERAGE_HOLES,
    &OUTBOX_ROWS,
    &DELIVERIES,
    &DELIVERY_SECONDS,
    &DELIVERY_LAG_SECONDS,
    &COMMIT_FAILURES,
    &TASK_RESTARTS,
    &BUILD_INFO,
    &START_TIME,
    &RELOADS,
    &CONFIG_VALID,
    &CANARY_AGE_SECONDS,
    &STORE_BYTES,
    &PRUNED_ROWS,
    &DEADMAN_PINGS,
    &INSPECTED_TRANSACTIONS,
    &INSPECTED_HEIGHT,
    &INSPECTION_LAG,
    &UNINSPECTED_BLOCKS,
    &INSPECTION_SECONDS,
    &INSPECTION_FAILURES,
    &SKIPPED_INSPECTIONS,
    &DETECTOR_FINDINGS,
    &SIMULATED,
    &SIMULATION_SECONDS,
    &PENDING_KEPT,
    &CONTRACT_CALLS,
    &CONTRACT_GAS,
];

const FAST: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
const SLOW: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

macro_rules! signal {
    ($id:ident, $name:literal, $kind:expr, $unit:ident, $labels:expr, $help:literal) => {
        pub(crate) static $id: Signal =
            Signal { name: $name, kind: $kind, unit: Unit::$unit, labels: &$labels, help: $help };
    };
}

signal!(
    SIMULATED,
    "wk_simulated_transactions_total",
    SignalKind::Counter,
    Count,
    ["chain", "result"],
    "Executions of pending transactions ahead of their block, by result: clean, flagged, failed"
);
signal!(
    SIMULATION_SECONDS,
    "wk_simulation_duration_seconds",
    SignalKind::Histogram(FAST),
    Seconds,
    ["chain"],
    "Time to fetch the state for a pending transaction, execute it and look at it"
);
signal!(
    PENDING_KEPT,
    "wk_pending_kept",
    SignalKind::Gauge,
    Count,
    ["chain"],
    "Pending transactions that may be executed again on newer state"
);
signal!(
    INSPECTED_TRANSACTIONS,
    "wk_inspected_transactions_total",
    SignalKind::Counter,
    Count,
    ["chain"],
    "Transactions that all detectors have looked at"
);
signal!(
    INSPECTED_HEIGHT,
    "wk_inspected_height",
    SignalKind::Gauge,
    Blocks,
    ["chain"],
    "Height up to which every block's transactions were inspected, or left out"
);
signal!(
    INSPECTION_LAG,
    "wk_inspection_lag_blocks",
    SignalKind::Gauge,
    Blocks,
    ["chain"],
    "Blocks between the newest processed one and the height up to which all were inspected"
);
signal!(
    UNINSPECTED_BLOCKS,
    "wk_uninspected_blocks",
    SignalKind::Gauge,
    Blocks,
    ["chain"],
    "Processed blocks whose transactions wait to be inspected"
);
signal!(
    INSPECTION_SECONDS,
    "wk_inspection_seconds",
    SignalKind::Histogram(SLOW),
    Seconds,
    ["chain"],
    "Time from storing a block until what its transactions did is stored"
);
signal!(
    INSPECTION_FAILURES,
    "wk_inspection_failures_total",
    SignalKind::Counter,
    Count,
    ["chain"],
    "Inspections of blocks that failed, each of which is tried again"
);
signal!(
    SKIPPED_INSPECTIONS,
    "wk_skipped_inspections_total",
    SignalKind::Counter,
    Blocks,
    ["chain"],
    "Blocks that waited to be inspected, and were left out because the chain went too far ahead"
);
signal!(
    DETECTOR_FINDINGS,
    "wk_detector_findings_total",
    SignalKind::Counter,
    Count,
    ["chain", "detector", "severity"],
    "Findings in transactions, by detector and severity"
);
signal!(
    PROCESSED_BLOCKS,
    "wk_processed_blocks_total",
    SignalKind::Counter,
    Count,
    ["chain", "intake"],
    "Blocks that all rules have seen, by the way they came in"
);
signal!(
    CONTRACT_CALLS,
    "wk_contract_calls_total",
    SignalKind::Counter,
    Count,
    ["chain", "contract", "result"],
    "Transactions that called a watched contract, by what came of them; blocks that were reverted later stay counted"
);
signal!(
    CONTRACT_GAS,
    "wk_contract_gas_total",
    SignalKind::Counter,
    Gas,
    ["chain", "contract"],
    "Gas used by transactions that called a watched contract; blocks that were reverted later stay counted"
);
signal!(
    PROCESSED_HEIGHT,
    "wk_processed_height",
    SignalKind::Gauge,
    Blocks,
    ["chain"],
    "Height of the newest processed block"
);
signal!(
    PROCESSING_SECONDS,
    "wk_processing_seconds",
    SignalKind::Histogram(FAST),
    Seconds,
    ["chain"],
    "Time that rules and storing take for one batch of blocks"
);
signal!(
    SEEN_TO_STORED_SECONDS,
    "wk_seen_to_stored_seconds",
    SignalKind::Histogram(FAST),
    Seconds,
    ["chain"],
    "Time from handing on a live block until its findings are stored"
);
signal!(
    QUEUE_DEPTH,
    "wk_queue_depth",
    SignalKind::Gauge,
    Count,
    ["chain"],
    "Observations that wait to be processed; intake slows down when the queue is full"
);
signal!(
    FINDINGS,
    "wk_findings_total",
    SignalKind::Counter,
    Count,
    ["source", "severity"],
    "Findings made, by the kind of source and severity"
);
signal!(
    EVALUATION_ERRORS,
    "wk_rule_evaluation_errors_total",
    SignalKind::Counter,
    Count,
    ["rule"],
    "Evaluations that failed; each is shown with the rule and hides nothing else"
);
signal!(
    COVERAGE_BLOCKS,
    "wk_coverage_blocks",
    SignalKind::Gauge,
    Blocks,
    ["chain", "verified"],
    "Blocks looked at since the first one, by how they were verified: full or partial"
);
signal!(
    COVERAGE_HOLES,
    "wk_coverage_hole_blocks",
    SignalKind::Gauge,
    Blocks,
    ["chain"],
    "Blocks known to exist that were not looked at yet"
);
signal!(
    OUTBOX_ROWS,
    "wk_outbox_messages",
    SignalKind::Gauge,
    Count,
    ["state"],
    "Messages in the outbox: due, delivered or dead"
);
signal!(
    DELIVERIES,
    "wk_deliveries_total",
    SignalKind::Counter,
    Count,
    ["receiver", "result"],
    "Attempts to deliver a message: ok, retry or dead"
);
signal!(
    DELIVERY_SECONDS,
    "wk_delivery_seconds",
    SignalKind::Histogram(FAST),
    Seconds,
    ["receiver"],
    "Time that one attempt to deliver takes"
);
signal!(
    DELIVERY_LAG_SECONDS,
    "wk_delivery_lag_seconds",
    SignalKind::Histogram(SLOW),
    Seconds,
    ["receiver"],
    "Time from making a finding until its message is delivered"
);
signal!(
    COMMIT_FAILURES,
    "wk_commit_failures_total",
    SignalKind::Counter,
    Count,
    ["chain"],
    "Batches that could not be stored and are tried again"
);
signal!(
    TASK_RESTARTS,
    "wk_task_restarts",
    SignalKind::Gauge,
    Count,
    ["task"],
    "How often a task was started again after a failure"
);
signal!(
    BUILD_INFO,
    "wk_build_info",
    SignalKind::Gauge,
    Flag,
    ["version"],
    "Version of the running program; the value is always 1"
);
signal!(
    START_TIME,
    "wk_start_time_seconds",
    SignalKind::Gauge,
    Seconds,
    [],
    "When the program started, as Unix time"
);
signal!(
    RELOADS,
    "wk_config_reloads_total",
    SignalKind::Counter,
    Count,
    ["result"],
    "Reloads of the config: ok or failed"
);
signal!(
    CONFIG_VALID,
    "wk_config_last_reload_success",
    SignalKind::Gauge,
    Flag,
    [],
    "1 when the newest config was taken, 0 when it was refused and the old one runs on"
);
signal!(
    CANARY_AGE_SECONDS,
    "wk_canary_age_seconds",
    SignalKind::Gauge,
    Seconds,
    [],
    "Time since a canary last went all the way from finding to delivery"
);
signal!(
    STORE_BYTES,
    "wk_store_bytes",
    SignalKind::Gauge,
    Bytes,
    ["file"],
    "Room that the store takes on disk: its database, and its write-ahead log"
);
signal!(
    PRUNED_ROWS,
    "wk_store_pruned_rows_total",
    SignalKind::Counter,
    Count,
    [],
    "Rows that were forgotten because they were older than server.retention says"
);
signal!(
    DEADMAN_PINGS,
    "wk_deadman_pings_total",
    SignalKind::Counter,
    Count,
    ["result"],
    "Pings to server.deadman: ok, failed, or withheld because not all is well"
);
