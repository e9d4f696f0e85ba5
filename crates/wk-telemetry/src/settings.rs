//! Settings of the store.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use wk_model::HumanDuration;

/// Settings of the telemetry store: `telemetry`. Bytes are plain numbers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long samples are kept; files go as a whole, once their newest sample is older.
    pub retention: HumanDuration,
    /// How much older than the newest sample of its series a sample may be when it comes in.
    pub out_of_order: HumanDuration,
    /// How far ahead of this machine's clock a sample may be when it comes in.
    pub ahead: HumanDuration,
    /// How long samples stay in memory, and in the write-ahead log, before they go into a file.
    pub flush_every: HumanDuration,
    /// Bytes of samples in memory at which they go into a file earlier.
    pub memory_bytes: u64,
    /// Series that may have samples in memory at the same time. What comes in of further ones is
    /// refused and told.
    pub max_series: usize,
    /// Labels that a series may have.
    pub max_labels: usize,
    /// Bytes of a label's name.
    pub max_label_name_bytes: usize,
    /// Bytes of a label's value.
    pub max_label_value_bytes: usize,
    /// Exemplars that are kept per series until they go into a file; older ones give way.
    pub max_exemplars: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            retention: HumanDuration::seconds(31 * 86_400),
            out_of_order: HumanDuration::seconds(3_600),
            ahead: HumanDuration::seconds(600),
            flush_every: HumanDuration::seconds(2 * 3_600),
            memory_bytes: 512 << 20,
            max_series: 1_000_000,
            max_labels: 128,
            max_label_name_bytes: 1_024,
            max_label_value_bytes: 16_384,
            max_exemplars: 100,
        }
    }
}

/// Milliseconds of a duration, as times are counted here.
pub(crate) fn millis(duration: HumanDuration) -> i64 {
    let HumanDuration(duration): HumanDuration = duration;
    i64::try_from(Duration::as_millis(&duration)).unwrap_or(i64::MAX)
}
