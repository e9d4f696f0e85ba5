//! What the collectors measure about themselves.

use wk_model::{Signal, SignalKind, Unit};

/// Every signal of this crate, for the catalogue.
pub const SIGNALS: &[&Signal] =
    &[&PROBES, &PROBE_SECONDS, &PROBE_TLS_EXPIRY_SECONDS, &PENDING_SEEN, &PENDING_DROPPED];

pub(crate) static PROBES: Signal = Signal {
    name: "wk_http_probes_total",
    kind: SignalKind::Counter,
    unit: Unit::Count,
    labels: &["rule", "result"],
    help: "HTTP probes by what came of them: 1xx to 5xx, or error",
};

pub(crate) static PROBE_SECONDS: Signal = Signal {
    name: "wk_http_probe_duration_seconds",
    kind: SignalKind::Histogram(&[
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ]),
    unit: Unit::Seconds,
    labels: &["rule"],
    help: "Time from the start of an HTTP probe to its whole answer",
};

pub(crate) static PROBE_TLS_EXPIRY_SECONDS: Signal = Signal {
    name: "wk_http_probe_tls_expiry_seconds",
    kind: SignalKind::Gauge,
    unit: Unit::Seconds,
    labels: &["rule"],
    help: "Time left until the certificate of a probed site ends, at the last probe",
};

pub(crate) static PENDING_SEEN: Signal = Signal {
    name: "wk_pending_transactions_total",
    kind: SignalKind::Counter,
    unit: Unit::Count,
    labels: &["chain"],
    help: "Pending transactions handed to rules and simulation, each once",
};

pub(crate) static PENDING_DROPPED: Signal = Signal {
    name: "wk_pending_transactions_dropped_total",
    kind: SignalKind::Counter,
    unit: Unit::Count,
    labels: &["chain", "reason"],
    help: "Pending transactions that rules did not see: too many at once (lagged, waiting, full), \
           already gone or mined when asked for, or not to be read (failed)",
};
