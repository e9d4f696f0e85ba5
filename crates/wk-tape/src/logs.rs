//! Filters of `eth_getLogs` and of the `logs` subscription.

use alloy_primitives::{Address, B256};
use serde_json::Value;

use crate::RpcError;

/// Most addresses or topics at one place.
const MOST_CHOICES: usize = 1_000;

/// Which logs are asked for, the range of blocks aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogFilter {
    /// Any of these contracts; empty for all.
    addresses: Vec<Address>,
    /// For each place any of these topics; empty for all.
    topics: Vec<Vec<B256>>,
}

impl LogFilter {
    pub(crate) fn parse(filter: &Value) -> Result<LogFilter, RpcError> {
        let wrong = |what| RpcError::invalid_params(format!("malformed {what} in the filter"));
        let addresses =
            choices(&filter["address"]).ok_or_else(|| wrong("address"))?.unwrap_or_default();
        let topics = match &filter["topics"] {
            Value::Null => Vec::new(),
            Value::Array(places) if places.len() <= 4 => places
                .iter()
                .map(|place| Ok(choices(place).ok_or_else(|| wrong("topic"))?.unwrap_or_default()))
                .collect::<Result<_, RpcError>>()?,
            _ => return Err(wrong("topics")),
        };
        Ok(LogFilter { addresses, topics })
    }

    pub(crate) fn matches(&self, log: &Value) -> bool {
        let is = |value: &Value, choices: &[Address]| {
            value
                .as_str()
                .and_then(|text| text.parse().ok())
                .is_some_and(|it| choices.contains(&it))
        };
        if !self.addresses.is_empty() && !is(&log["address"], &self.addresses) {
            return false;
        }
        self.topics.iter().enumerate().all(|(place, choices)| {
            let topic = log["topics"].get(place);
            let topic: Option<B256> = topic.and_then(Value::as_str).and_then(|t| t.parse().ok());
            // A filter that names a place asks for logs that have it, even if any value will do.
            topic.is_some_and(|topic| choices.is_empty() || choices.contains(&topic))
        })
    }
}

/// One value, a list, or nothing. The outer `None` means malformed.
fn choices<T: std::str::FromStr>(value: &Value) -> Option<Option<Vec<T>>> {
    match value {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(vec![text.parse().ok()?])),
        Value::Array(list) if list.len() <= MOST_CHOICES => {
            list.iter().map(|one| one.as_str()?.parse().ok()).collect::<Option<_>>().map(Some)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn matches_as_the_specification_says() {
        let (a, b) = (format!("0x{:040x}", 0xa), format!("0x{:040x}", 0xb));
        let [t, u, v] = [1, 2, 3].map(|topic| format!("0x{topic:064x}"));
        let log = json!({"address": a, "topics": [t, u]});
        let cases = [
            (json!({}), true),
            (json!({"address": a}), true),
            (json!({"address": b}), false),
            (json!({"address": [b, a]}), true),
            (json!({"address": []}), true),
            (json!({"topics": []}), true),
            (json!({"topics": [t]}), true),
            (json!({"topics": [null, u]}), true),
            (json!({"topics": [u]}), false),
            (json!({"topics": [[v, t], [u]]}), true),
            (json!({"topics": [t, v]}), false),
            (json!({"topics": [t, u, null]}), false),
        ];
        for (filter, expected) in cases {
            let parsed = LogFilter::parse(&filter).expect("it is a filter");
            assert_eq!(parsed.matches(&log), expected, "{filter}");
        }
        let refused = [
            json!({"address": 1}),
            json!({"address": "0x12"}),
            json!({"topics": "0x"}),
            json!({"topics": [null, null, null, null, null]}),
        ];
        for filter in refused {
            assert!(LogFilter::parse(&filter).is_err(), "{filter}");
        }
    }
}
