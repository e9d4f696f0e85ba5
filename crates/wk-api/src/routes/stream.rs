//! Live events as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use wk_engine::{LiveEvent, Numbered};

use super::App;
use super::chains::chain_of;
use crate::error::Problem;
use crate::extract::Query;
use crate::wire::{BlockEvent, Finding, StreamQuery};

/// Names of the topics, as `event:` gives them.
const TOPICS: [&str; 3] = ["block", "finding", "health"];

/// Blocks, findings and health as they happen (server-sent events)
///
/// The data of a `block` event is a `BlockEvent`, that of a `finding` event a `Finding`, that of a
/// `health` event the `Chain` whose health, or that of an endpoint of it, changed.
///
/// Each event has an `id`; a client that comes back with `Last-Event-ID` gets what it missed, as far
/// as it is kept (1,024 events). An event `lost` says that the client was too slow and how many
/// events it did not get. A comment comes every 15 seconds while nothing happens. 256 clients may
/// listen at the same time; others are refused with status 503.
#[utoipa::path(get, path = "/api/v1/stream", tag = "status", params(StreamQuery),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = 503, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn stream(
    State(app): State<App>,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let topics: Vec<String> = match &query.topics {
        None => TOPICS.map(str::to_owned).to_vec(),
        Some(text) => text.split(',').map(str::to_owned).collect(),
    };
    if let Some(unknown) = topics.iter().find(|topic| !TOPICS.contains(&topic.as_str())) {
        let known = TOPICS.join(", ");
        return Err(Problem::bad_request(format!("`{unknown}` is no topic; use {known}")));
    }
    let place = Arc::clone(&app.listeners).try_acquire_owned().map_err(|_| {
        Problem::not_ready("as many clients as are allowed listen already; try again later")
    })?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let (missed, receiver) = app.handle.live.listen(last);
    let listener = Listener { app, missed: missed.into(), receiver, topics, _place: place };
    let events = unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

struct Listener {
    app: App,
    missed: std::collections::VecDeque<Numbered>,
    receiver: Receiver<Numbered>,
    topics: Vec<String>,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next event that was asked for; none at the end of the program.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let numbered = match self.missed.pop_front() {
                Some(numbered) => numbered,
                None => match self.app.stop.run(self.receiver.recv()).await? {
                    Ok(numbered) => numbered,
                    Err(RecvError::Lagged(count)) => {
                        return Some(Event::default().event("lost").data(count.to_string()));
                    }
                    Err(RecvError::Closed) => return None,
                },
            };
            let topic = match *numbered.event {
                LiveEvent::Block { .. } => "block",
                LiveEvent::Finding(_) => "finding",
                LiveEvent::Health(_) => "health",
            };
            if self.topics.iter().any(|wanted| wanted == topic) {
                let data = self.data(&numbered.event);
                let id = numbered.id.to_string();
                return Some(Event::default().id(id).event(topic).data(data));
            }
        }
    }

    /// What happened, as JSON on one line.
    fn data(&self, event: &LiveEvent) -> String {
        let json = match event {
            LiveEvent::Block { chain, link, transactions, findings, reverted } => {
                serde_json::to_string(&BlockEvent {
                    chain: chain.to_string(),
                    link: (*link).into(),
                    transactions: *transactions,
                    findings: *findings,
                    reverted: *reverted,
                })
            }
            LiveEvent::Finding(row) => serde_json::to_string(&Finding::from((**row).clone())),
            LiveEvent::Health(status) => {
                serde_json::to_string(&chain_of(&self.app, (**status).clone()))
            }
        };
        json.unwrap_or_default()
    }
}
