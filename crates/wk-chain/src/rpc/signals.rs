//! The metrics of the pool.

use wk_model::{Signal, SignalKind, Unit};

/// Every metric of the pool.
pub const SIGNALS: &[&Signal] = &[
    &REQUEST_SECONDS,
    &ERRORS,
    &RETRIES,
    &HEDGES,
    &ENDPOINT_UP,
    &HEAD_HEIGHT,
    &HEAD_AGE,
    &HEAD_SPREAD,
    &LB_INCONSISTENCIES,
    &QUARANTINED,
    &ACCUSATIONS,
    &BREAKER_OPEN,
    &BREAKER_OPENED,
    &RATE_LIMITED,
    &BUDGET_REMAINING,
    &BATCH_SIZE,
    &LOGS_RANGE,
    &WS_CONNECTED,
    &WS_RECONNECTS,
    &BLOCK_TIME,
];

const ENDPOINT: &[&str] = &["chain", "endpoint"];

pub(crate) static REQUEST_SECONDS: Signal = Signal {
    name: "wk_rpc_request_seconds",
    kind: SignalKind::Histogram(&[
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ]),
    unit: Unit::Seconds,
    labels: &["chain", "endpoint", "method", "class"],
    help: "Time from sending a JSON-RPC request to the last byte of its answer; class is ok or \
           the class of the failure, method is other for methods that are not listed",
};
pub(crate) static ERRORS: Signal = Signal {
    name: "wk_rpc_errors_total",
    kind: SignalKind::Counter,
    unit: Unit::Count,
    labels: &["chain", "endpoint", "class"],
    help: "Failed JSON-RPC requests by class of the failure; requests of a batch count one by one",
};
pub(crate) static RETRIES: Signal = Signal {
    name: "wk_rpc_retries_total",
    kind: SignalKind::Counter,
    unit: Unit::Count,
    labels: &["chain"],
    help: "Attempts that followed a failed attempt of the same read, at the same endpoint or another",
};
pub(crate) static HEDGES: Signal = Signal {
    name: "wk_rpc_hedges_total",
    kind: SignalKind::Counter,
    unit: Unit::Count,
    labels: &["chain", "won"],
    help: "Reads that were asked of a second endpoint because the first was slow; won tells \
           whether the second answered first",
};
pub(crate) static ENDPOINT_UP: Signal = Signal {
    name: "wk_rpc_endpoint_up",
    kind: SignalKind::Gauge,
    unit: Unit::Flag,
    labels: ENDPOINT,
    help: "Whether the endpoint answers; a quarantined endpoint that answers is up",
};
pub(crate) static HEAD_HEIGHT: Signal = Signal {
    name: "wk_rpc_head_height",
    kind: SignalKind::Gauge,
    unit: Unit::Blocks,
    labels: ENDPOINT,
    help: "Height of the endpoint's newest head",
};
pub(crate) static HEAD_AGE: Signal = Signal {
    name: "wk_rpc_head_age_seconds",
    kind: SignalKind::Gauge,
    unit: Unit::Seconds,
    labels: ENDPOINT,
    help: "Time since the endpoint's newest head was produced, by the block's own timestamp",
};
pub(crate) static HEAD_SPREAD: Signal = Signal {
    name: "wk_rpc_head_spread_blocks",
    kind: SignalKind::Gauge,
    unit: Unit::Blocks,
    labels: &["chain"],
    help: "Blocks between the highest and the lowest head among the endpoints of the chain",
};
pub(crate) static LB_INCONSISTENCIES: Signal = Signal {
    name: "wk_rpc_lb_inconsistencies_total",
    kind: SignalKind::Counter,
    unit: Unit::Count,
    labels: ENDPOINT,
    help: "Times that the endpoint's head went back to an older block of the same chain: the mark \
           of a balancer in front of nodes that are not equally far",
};
pub(crate) static QUARANTINED: Signal = Signal {
    name: "wk_rpc_quarantined",
    kind: SignalKind::Gauge,
    unit: Unit::Flag,
    labels: ENDPOINT,
    help: "Whether the endpoint is in quarantine: it was caught and is not believed",
};
pub(crate) static ACCUSATIONS: Signal = Signal {
    name: "wk_rpc_accusations_total",
    kind: SignalKind::Counter,
    unit: Unit::Count,
    labels: &["chain", "endpoint", "trouble"],
    help: "Times that the endpoint was caught, by what it was caught at",
};
pub(crate) static BREAKER_OPEN: Signal = Signal {
    name: "wk_rpc_breaker_open",
    kind: SignalKind::Gauge,
    unit: Unit::Flag,
    labels: ENDPOINT,
    help: "Whether the endpoint's circuit breaker is open or half open",
};
pub(crate) static BREAKER_OPENED: Signal = Signal {
    name: "wk_rpc_breaker_opened_total",
    kind: SignalKind::Counter,
    unit: Unit::Count,
    labels: ENDPOINT,
    help: "Times that the endpoint's circuit breaker opened",
};
pub(crate) static RATE_LIMITED: Signal = Signal {
    name: "wk_rpc_rate_limited_total",
    kind: SignalKind::Counter,
    unit: Unit::Count,
    labels: ENDPOINT,
    help: "Requests that the endpoint refused for its rate limit, over HTTP or JSON-RPC",
};
pub(crate) static BUDGET_REMAINING: Signal = Signal {
    name: "wk_rpc_budget_remaining",
    kind: SignalKind::Gauge,
    unit: Unit::Count,
    labels: ENDPOINT,
    help: "Requests that the endpoint's budget still allows this UTC day; only where there is one",
};
pub(crate) static BATCH_SIZE: Signal = Signal {
    name: "wk_rpc_batch_size",
    kind: SignalKind::Gauge,
    unit: Unit::Count,
    labels: ENDPOINT,
    help: "Requests that go into one batch, as learned from what the endpoint accepts",
};
pub(crate) static LOGS_RANGE: Signal = Signal {
    name: "wk_rpc_logs_range_blocks",
    kind: SignalKind::Gauge,
    unit: Unit::Blocks,
    labels: ENDPOINT,
    help: "Blocks that go into one eth_getLogs, as learned from what the endpoint accepts",
};
pub(crate) static WS_CONNECTED: Signal = Signal {
    name: "wk_rpc_ws_connected",
    kind: SignalKind::Gauge,
    unit: Unit::Flag,
    labels: ENDPOINT,
    help: "Whether the endpoint's WebSocket is open; only where there is one",
};
pub(crate) static WS_RECONNECTS: Signal = Signal {
    name: "wk_rpc_ws_reconnects_total",
    kind: SignalKind::Counter,
    unit: Unit::Count,
    labels: ENDPOINT,
    help: "Times that the endpoint's WebSocket broke or could not be opened",
};
pub(crate) static BLOCK_TIME: Signal = Signal {
    name: "wk_rpc_block_time_seconds",
    kind: SignalKind::Gauge,
    unit: Unit::Seconds,
    labels: &["chain"],
    help: "Time between blocks as configured, else as learned from the heads; polling follows it",
};

/// Methods that metrics name, and `batch`; all others are `other`, so that the number of series is
/// bounded.
const METHODS: &[&str] = &[
    "admin_nodeInfo",
    "admin_peers",
    "batch",
    "debug_getBadBlocks",
    "debug_traceBlockByHash",
    "debug_traceBlockByNumber",
    "debug_traceTransaction",
    "eth_blobBaseFee",
    "eth_blockNumber",
    "eth_call",
    "eth_capabilities",
    "eth_chainId",
    "eth_config",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_gasPrice",
    "eth_getBalance",
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getBlockReceipts",
    "eth_getCode",
    "eth_getLogs",
    "eth_getProof",
    "eth_getStorageAt",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_maxPriorityFeePerGas",
    "eth_simulateV1",
    "eth_syncing",
    "net_listening",
    "net_peerCount",
    "net_version",
    "optimism_syncStatus",
    "trace_block",
    "trace_transaction",
    "txpool_content",
    "txpool_status",
    "web3_clientVersion",
];

/// The method as the label `method` shows it.
pub(crate) fn method_label(method: &str) -> &'static str {
    METHODS.binary_search(&method).map_or("other", |place| METHODS[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_methods_share_one_label() {
        assert!(METHODS.is_sorted());
        assert_eq!(method_label("eth_getLogs"), "eth_getLogs");
        assert_eq!(method_label("eth_call"), "eth_call");
        assert_eq!(method_label("attacker_chosen"), "other");
    }

    #[test]
    fn names_follow_the_prometheus_rules() {
        for signal in SIGNALS {
            let name = signal.name;
            assert!(name.starts_with("wk_rpc_"), "{name}");
            assert_eq!(name.ends_with("_total"), signal.kind == SignalKind::Counter, "{name}");
            let in_seconds = signal.unit == Unit::Seconds;
            assert_eq!(name.ends_with("_seconds"), in_seconds, "{name}");
            assert!(!signal.help.ends_with('.'), "{name}");
        }
    }
}
