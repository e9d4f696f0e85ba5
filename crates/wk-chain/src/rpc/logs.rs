//! Logs over a range of blocks: as large a part at once as an endpoint serves without cutting it
//! short.

use serde_json::{Value, json};
use tokio::time::Instant;
use wk_model::Height;

use super::ask::Miss;
use super::call::{Attempt, CallError, Purpose, Rejection, Reply, Request};
use super::class::{ErrorClass, Remedy};
use super::pool::Inner;
use super::sizes::{cut, is_suspiciously_round};
use super::wire;

/// A question for logs over a range of blocks.
#[derive(Clone, Debug)]
pub struct LogsQuery {
    /// `address` and `topics` of the filter object; `fromBlock` and `toBlock` are added.
    pub filter: Value,
    /// Lowest height.
    pub from: Height,
    /// Highest height, inclusive; not below `from`.
    pub to: Height,
    /// What it is for.
    pub purpose: Purpose,
}

/// Logs of a part of the range that was asked for.
#[derive(Clone, Debug)]
pub struct LogsPage {
    /// Lowest height.
    pub from: Height,
    /// Highest height, inclusive.
    pub to: Height,
    /// The array of logs.
    pub reply: Reply,
    /// The number of logs is suspiciously round and the range cannot be cut further: there may be
    /// more.
    pub maybe_truncated: bool,
}

impl Inner {
    pub(crate) async fn logs(&self, query: &LogsQuery) -> Result<LogsPage, CallError> {
        let from = query.from.0;
        let mut to = query.to.0.max(from);
        loop {
            if let Some(place) = self.best(&request(query, to)) {
                let range = self.endpoints[place].state().logs.size();
                to = to.min(from.saturating_add(range - 1));
            }
            let request = request(query, to);
            let outcome = match self.best(&request) {
                None => self.call(&request).await,
                Some(place) => match self.ask(place, &request).await {
                    Ok(reply) => Ok(reply),
                    Err(Miss::Refused(_)) => self.call(&request).await,
                    Err(Miss::Failed(attempt)) => match self.shrink(&attempt, from, to) {
                        Some(shorter) => {
                            to = shorter;
                            continue;
                        }
                        None => self.call_after(&request, vec![attempt]).await,
                    },
                },
            };
            let asked = (to - from).saturating_add(1);
            match outcome {
                Ok(reply) => {
                    let rows = wire::array_len(&reply.value).unwrap_or_default();
                    let round = is_suspiciously_round(rows);
                    if let Some(place) = self.place(&reply.endpoint) {
                        let mut state = self.endpoints[place].state();
                        match cut(from, to, &Remedy::Retry).filter(|_| round) {
                            Some(shorter) => {
                                state.logs.refused(asked, None, Instant::now());
                                to = shorter;
                                continue;
                            }
                            None => state.logs.accepted(asked, Instant::now()),
                        }
                    }
                    let (from, to) = (Height(from), Height(to));
                    return Ok(LogsPage { from, to, reply, maybe_truncated: round });
                }
                Err(error) => {
                    let last = error.attempts.last();
                    match last.and_then(|attempt| self.shrink(attempt, from, to)) {
                        Some(shorter) => to = shorter,
                        None => return Err(error),
                    }
                }
            }
        }
    }

    /// The shorter range to try after a failure that may come from the length of the range; the
    /// endpoint's length is remembered.
    fn shrink(&self, attempt: &Attempt, from: u64, to: u64) -> Option<u64> {
        let may_be_size = match attempt.class {
            ErrorClass::Timeout => true,
            _ => matches!(attempt.remedy, Remedy::Smaller { .. }),
        };
        if !may_be_size {
            return None;
        }
        let shorter = cut(from, to, &attempt.remedy)?;
        let place = self.place(&attempt.endpoint)?;
        let mut state = self.endpoints[place].state();
        state.logs.refused((to - from).saturating_add(1), Some(shorter - from + 1), Instant::now());
        Some(shorter)
    }
}

fn request(query: &LogsQuery, to: u64) -> Request {
    let LogsQuery { filter, from, to: _, purpose } = query;
    let mut filter = match filter {
        Value::Object(filter) => filter.clone(),
        _ => serde_json::Map::new(),
    };
    filter.insert("fromBlock".to_owned(), json!(format!("0x{:x}", from.0)));
    filter.insert("toBlock".to_owned(), json!(format!("0x{to:x}")));
    Request::new("eth_getLogs", json!([filter]), *purpose)
        // An endpoint that has not reached the range answers with nothing, as if there were none.
        .pinned(Height(to))
        .validated(|value| match wire::first_byte(value.get().as_bytes()) {
            Some(b'[') => Ok(()),
            _ => Err(Rejection::Inconsistent("the logs are no array".to_owned())),
        })
}
