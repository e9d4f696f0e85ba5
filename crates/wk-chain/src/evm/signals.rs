//! What is measured about a chain and its nodes.

use wk_model::{Signal, SignalKind, Unit};

/// Every signal of the EVM follower and the node probe, for the catalogue.
pub const SIGNALS: &[&Signal] = &[
    &HEIGHT,
    &HEAD_TIMESTAMP,
    &HEAD_AGE,
    &BLOCK_INTERVAL,
    &TRANSACTIONS,
    &TRANSACTIONS_FAILED,
    &LOGS,
    &FAILED_RATIO,
    &TRANSACTIONS_PER_SECOND,
    &GAS_PER_SECOND,
    &BLOCK_SIZE,
    &BLOCK_FULLNESS,
    &BASE_FEE,
    &NEXT_BASE_FEE,
    &PRIORITY_FEE,
    &BLOB_BASE_FEE,
    &CONFIRMATION,
    &FETCH_SECONDS,
    &FAILED_CHECKS,
    &REORGS,
    &REORG_DEPTH,
    &FINALITY_LAG_BLOCKS,
    &FINALITY_LAG_SECONDS,
    &MEMPOOL,
    &NODE_PEERS,
    &NODE_SYNCING,
    &NODE_INFO,
    &TRACED_BLOCKS,
    &TRACE_SECONDS,
];

macro_rules! signal {
    ($id:ident, $name:literal, $kind:expr, $unit:ident, $labels:expr, $help:literal) => {
        pub(super) static $id: Signal =
            Signal { name: $name, kind: $kind, unit: Unit::$unit, labels: &$labels, help: $help };
    };
}

/// From a fast L2 to finality that takes hours.
const LONG: &[f64] =
    &[0.25, 0.5, 1.0, 2.0, 5.0, 12.0, 30.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 21_600.0];
const SHORT: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const INTERVALS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 16.0, 24.0, 60.0, 300.0];
const SIZES: &[f64] = &[1e3, 5e3, 1e4, 2.5e4, 5e4, 1e5, 2.5e5, 5e5, 1e6, 2.5e6, 1e7];
const DEPTHS: &[f64] = &[1.0, 2.0, 3.0, 6.0, 12.0, 32.0, 64.0, 128.0, 256.0];

signal!(
    TRACED_BLOCKS,
    "wk_chain_traced_blocks_total",
    SignalKind::Counter,
    Count,
    ["chain", "source", "result"],
    "Blocks whose traces were asked for, by source (call_tracer, parity, transactions, receipts) and result (ok, failed, missing, pruned, too_large)"
);
signal!(
    TRACE_SECONDS,
    "wk_chain_trace_seconds",
    SignalKind::Histogram(SHORT),
    Seconds,
    ["chain", "source"],
    "Time that the traces of one block take to come, by source"
);
signal!(
    HEIGHT,
    "wk_chain_height",
    SignalKind::Gauge,
    Blocks,
    ["chain"],
    "Height of the newest block that was followed"
);
signal!(
    HEAD_TIMESTAMP,
    "wk_chain_head_timestamp_seconds",
    SignalKind::Gauge,
    Seconds,
    ["chain"],
    "Own timestamp of the newest block, as Unix time"
);
signal!(
    HEAD_AGE,
    "wk_chain_head_age_seconds",
    SignalKind::Gauge,
    Seconds,
    ["chain"],
    "Time since the newest block's own timestamp"
);
signal!(
    BLOCK_INTERVAL,
    "wk_chain_block_interval_seconds",
    SignalKind::Histogram(INTERVALS),
    Seconds,
    ["chain"],
    "Time between neighbouring blocks, by their timestamps; below two seconds, by their arrival"
);
signal!(
    TRANSACTIONS,
    "wk_chain_transactions_total",
    SignalKind::Counter,
    Count,
    ["chain", "kind"],
    "Transactions in followed blocks, also in blocks reverted later: user, or system (of the chain itself)"
);
signal!(
    TRANSACTIONS_FAILED,
    "wk_chain_transactions_failed_total",
    SignalKind::Counter,
    Count,
    ["chain"],
    "User transactions that failed, also in blocks reverted later"
);
signal!(
    LOGS,
    "wk_chain_logs_total",
    SignalKind::Counter,
    Count,
    ["chain"],
    "Event logs in followed blocks, also in blocks reverted later"
);
signal!(
    FAILED_RATIO,
    "wk_chain_failed_transaction_ratio",
    SignalKind::Gauge,
    Ratio,
    ["chain"],
    "Part of the user transactions of the last minute that failed"
);
signal!(
    TRANSACTIONS_PER_SECOND,
    "wk_chain_transactions_per_second",
    SignalKind::Gauge,
    Count,
    ["chain"],
    "User transactions per second over the last minute of blocks"
);
signal!(
    GAS_PER_SECOND,
    "wk_chain_gas_per_second",
    SignalKind::Gauge,
    Gas,
    ["chain"],
    "Gas used per second over the last minute of blocks"
);
signal!(
    BLOCK_SIZE,
    "wk_chain_block_size_bytes",
    SignalKind::Histogram(SIZES),
    Bytes,
    ["chain"],
    "Size of blocks, where the endpoint tells it"
);
signal!(
    BLOCK_FULLNESS,
    "wk_chain_block_fullness_ratio",
    SignalKind::Gauge,
    Ratio,
    ["chain"],
    "Gas used by the newest block, as part of its limit"
);
signal!(
    BASE_FEE,
    "wk_chain_base_fee_wei",
    SignalKind::Gauge,
    Wei,
    ["chain"],
    "Base fee per gas of the newest block"
);
signal!(
    NEXT_BASE_FEE,
    "wk_chain_next_base_fee_wei",
    SignalKind::Gauge,
    Wei,
    ["chain"],
    "Base fee per gas of the next block, by eth_feeHistory"
);
signal!(
    PRIORITY_FEE,
    "wk_chain_priority_fee_wei",
    SignalKind::Gauge,
    Wei,
    ["chain", "quantile"],
    "Priority fee per gas that user transactions of the newest block paid, weighted by gas"
);
signal!(
    BLOB_BASE_FEE,
    "wk_chain_blob_base_fee_wei",
    SignalKind::Gauge,
    Wei,
    ["chain"],
    "Base fee per blob gas, by eth_blobBaseFee or the newest blob transaction"
);
signal!(
    CONFIRMATION,
    "wk_chain_confirmation_seconds",
    SignalKind::Histogram(LONG),
    Seconds,
    ["chain", "level"],
    "Time from a block's own timestamp until it was seen, safe or finalized"
);
signal!(
    FETCH_SECONDS,
    "wk_chain_fetch_seconds",
    SignalKind::Histogram(SHORT),
    Seconds,
    ["chain"],
    "Time from the announcement of a head until its block was fetched and verified"
);
signal!(
    FAILED_CHECKS,
    "wk_chain_failed_checks_total",
    SignalKind::Counter,
    Count,
    ["chain", "check"],
    "Answers that failed a check of their block: of the parent, the header hash, a root or the bloom"
);
signal!(
    REORGS,
    "wk_chain_reorgs_total",
    SignalKind::Counter,
    Count,
    ["chain"],
    "Reorgs that were followed"
);
signal!(
    REORG_DEPTH,
    "wk_chain_reorg_depth_blocks",
    SignalKind::Histogram(DEPTHS),
    Blocks,
    ["chain"],
    "Depth of the reorgs that were followed"
);
signal!(
    FINALITY_LAG_BLOCKS,
    "wk_chain_finality_lag_blocks",
    SignalKind::Gauge,
    Blocks,
    ["chain", "level"],
    "Blocks from the newest safe or finalized block to the head"
);
signal!(
    FINALITY_LAG_SECONDS,
    "wk_chain_finality_lag_seconds",
    SignalKind::Gauge,
    Seconds,
    ["chain", "level"],
    "Time from the newest safe or finalized block's timestamp to the head's"
);
signal!(
    MEMPOOL,
    "wk_mempool_transactions",
    SignalKind::Gauge,
    Count,
    ["chain", "endpoint", "state"],
    "Transactions in the node's pool: pending, or queued behind a gap"
);
signal!(
    NODE_PEERS,
    "wk_node_peers",
    SignalKind::Gauge,
    Count,
    ["chain", "endpoint"],
    "Peers that the node is connected to"
);
signal!(
    NODE_SYNCING,
    "wk_node_syncing",
    SignalKind::Gauge,
    Flag,
    ["chain", "endpoint"],
    "1 while the node says that it is still syncing"
);
signal!(
    NODE_INFO,
    "wk_node_info",
    SignalKind::Gauge,
    Flag,
    ["chain", "endpoint", "client_version"],
    "What the node says of its software; the value is always 1"
);
