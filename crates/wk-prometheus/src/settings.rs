//! Limits of queries: `queries`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use wk_model::{HumanDuration, Problem};

/// What a query may cost.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuerySettings {
    /// A query that takes longer is ended with an error; waiting for its turn counts. A request may
    /// ask for less, never for more.
    pub timeout: HumanDuration,
    /// Samples that one query may read and hold; more is an error, not a truncated answer.
    pub max_samples: usize,
    /// Queries that are evaluated at the same time; others wait for their turn.
    pub max_concurrent: usize,
    /// How long a sample counts when no newer one came. A request may ask for another time.
    pub lookback: HumanDuration,
}

impl Default for QuerySettings {
    fn default() -> QuerySettings {
        QuerySettings {
            timeout: HumanDuration::seconds(120),
            max_samples: 50_000_000,
            max_concurrent: 20,
            lookback: HumanDuration::seconds(300),
        }
    }
}

impl QuerySettings {
    /// What cannot work, each with its key.
    pub fn problems(&self) -> Vec<Problem> {
        let zero = [
            ("timeout", self.timeout.0 == Duration::ZERO),
            ("max_samples", self.max_samples == 0),
            ("max_concurrent", self.max_concurrent == 0),
            ("lookback", self.lookback.0 < Duration::from_millis(1)),
        ];
        let named = zero.into_iter().filter(|(_, wrong)| *wrong);
        named.map(|(key, _)| Problem::new(key, "it must be more than zero")).collect()
    }
}
