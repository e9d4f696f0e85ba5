//! What the pool shows: statuses, gauges, and the conditions that become findings.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use wk_model::{AssetId, ChainName, Condition, ConditionKey, FindingBuilder, Severity, Timestamp};

use super::endpoint::{Endpoint, IdentityState};
use super::pool::Inner;
use super::signals;
use super::status::{
    BreakerState, EndpointKind, EndpointStatus, Health, Quarantine, Trouble, TroubleKind, WsStatus,
};

impl Inner {
    /// Every endpoint as it is now.
    pub(crate) fn statuses(&self) -> Vec<EndpointStatus> {
        let highest = self.common.lock().frontier.height();
        let nobody_believed = self.nobody_is_believed();
        let runs = self.wishes.borrow().heads;
        let mut all: Vec<EndpointStatus> =
            self.endpoints.iter().map(|endpoint| self.status(endpoint, runs)).collect();
        for status in &mut all {
            let head = status.head.map(|link| link.block.height);
            status.behind = match (highest, head) {
                (Some(highest), Some(head)) => highest.above(head),
                _ => 0,
            };
            let kind = status.quarantine.as_ref().map(|quarantine| quarantine.trouble.kind);
            let believed =
                kind.is_none_or(|kind| nobody_believed && kind != TroubleKind::WrongChain);
            let spent = status.budget.is_some_and(|budget| budget.used >= budget.per_day);
            status.in_use = believed && !spent && status.health != Health::Down;
            if nobody_believed && status.in_use {
                let reason = status.reason.take().unwrap_or_default();
                status.reason =
                    Some(format!("{reason}; used all the same, since no endpoint is believed"));
            }
        }
        all
    }

    fn status(&self, endpoint: &Endpoint, runs: bool) -> EndpointStatus {
        let now = Instant::now();
        let wall = self.clock.now();
        let budget = endpoint.budget();
        let target = endpoint.address.target().ok();
        let kind = target.as_ref().map_or(endpoint.kind, |target| {
            match (target.http.is_some(), target.ws.is_some()) {
                (true, true) => EndpointKind::HttpAndWebSocket,
                (false, true) => EndpointKind::WebSocket,
                (_, false) => EndpointKind::Http,
            }
        });
        let ws = (kind != EndpointKind::Http).then(|| WsStatus {
            connected: endpoint.is_connected(),
            subscribed: endpoint.is_subscribed(),
            reconnects: endpoint.ws.condition().reconnects.load(Ordering::Relaxed),
        });
        let state = endpoint.state();
        let breaker = state.breaker_state(now);
        let limit = state.limited.wait(now);
        let quarantine = state.quarantine.active().map(|sentence| Quarantine {
            trouble: sentence.trouble.clone(),
            since: before(wall, now.saturating_duration_since(sentence.since)),
            until: wall.after(sentence.until.saturating_duration_since(now)),
            offences: state.quarantine.offences(),
        });
        let spent = budget.is_some_and(|budget| budget.used >= budget.per_day);
        let doubt = state.doubt.as_ref().or(state.chain_doubt.as_ref());
        let ws_broken = runs && ws.is_some_and(|ws| !ws.connected) && state.ws_broken.is_some();
        let last_error = state.last_error.as_ref().map(|error| error.message.as_str());
        let (health, reason) = if let Some(quarantine) = &quarantine {
            (Health::Quarantined, Some(quarantine.trouble.to_string()))
        } else if breaker != BreakerState::Closed {
            let error = last_error.unwrap_or("unknown");
            (Health::Down, Some(format!("requests fail: {error}")))
        } else if spent {
            (Health::Limited, Some("request budget of today is spent".to_owned()))
        } else if !limit.is_zero() {
            (Health::Limited, Some(format!("rate limited for {} s", limit.as_secs_f32().ceil())))
        } else if !state.answered {
            (Health::Unknown, last_error.map(str::to_owned))
        } else if let Some(doubt) = doubt {
            (Health::Limited, Some(doubt.to_string()))
        } else if ws_broken {
            (Health::Limited, Some("its WebSocket is not open".to_owned()))
        } else {
            (Health::Healthy, None)
        };
        EndpointStatus {
            name: endpoint.name.clone(),
            kind,
            trust: endpoint.trust,
            health,
            reason,
            in_use: true,
            head: state.heads.head(),
            head_seen_at: state.head_seen.map(|(_, at)| at),
            behind: 0,
            latency_p50: state.latency.quantile(0.5),
            latency_p95: state.latency.quantile(0.95),
            requests: state.requests,
            errors: state.errors.clone(),
            last_error: state.last_error.clone(),
            budget,
            breaker,
            rate_limited_until: (!limit.is_zero()).then(|| wall.after(limit)),
            quarantine,
            client_version: state.client_version.clone(),
            chain_id: state.chain_id,
            missing_methods: state.missing_methods(now),
            batch_size: u32::try_from(state.batch.size()).unwrap_or(u32::MAX),
            logs_range: state.logs.size(),
            head_regressions: state.regressions,
            ws,
        }
    }

    /// Brings the gauges up to date.
    fn set_gauges(&self, statuses: &[EndpointStatus]) {
        let flag = |on: bool| if on { 1.0 } else { 0.0 };
        let chain = self.chain.as_str();
        let now = self.clock.now();
        for status in statuses {
            let labels = [chain, status.name.as_str()];
            let set = |signal, value: f64| self.metrics.gauge(signal, &labels).set(value);
            if status.health != Health::Unknown {
                let up = status.breaker == BreakerState::Closed;
                set(&signals::ENDPOINT_UP, flag(up));
            }
            set(&signals::QUARANTINED, flag(status.quarantine.is_some()));
            set(&signals::BREAKER_OPEN, flag(status.breaker != BreakerState::Closed));
            set(&signals::BATCH_SIZE, f64::from(status.batch_size));
            set(&signals::LOGS_RANGE, status.logs_range as f64);
            if let Some(head) = status.head {
                set(&signals::HEAD_HEIGHT, head.block.height.0 as f64);
                let age = now.since(head.time.to_timestamp());
                set(&signals::HEAD_AGE, age.as_secs_f64());
            }
            if let Some(budget) = status.budget {
                let left = budget.per_day.saturating_sub(budget.used);
                set(&signals::BUDGET_REMAINING, left as f64);
            }
            if let Some(ws) = status.ws {
                set(&signals::WS_CONNECTED, flag(ws.connected));
            }
        }
        let wrong = |status: &&EndpointStatus| {
            let kind = status.quarantine.as_ref().map(|quarantine| quarantine.trouble.kind);
            kind != Some(TroubleKind::WrongChain)
        };
        let heights = || {
            let heads = statuses.iter().filter(wrong).filter_map(|status| status.head);
            heads.map(|head| head.block.height)
        };
        if let (Some(lowest), Some(highest)) = (heights().min(), heights().max()) {
            let spread = highest.above(lowest) as f64;
            self.metrics.gauge(&signals::HEAD_SPREAD, &[chain]).set(spread);
        }
        if let Some(time) = self.common.lock().block_time() {
            self.metrics.gauge(&signals::BLOCK_TIME, &[chain]).set(time.as_secs_f64());
        }
    }
}

fn before(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp(at.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
}

/// An endpoint that fails is told of after this long.
const DOWN: Duration = Duration::from_secs(15);
/// A WebSocket that does not come back is told of after this long.
const WS_DOWN: Duration = Duration::from_secs(60);
/// Rate limits are told of when they come this often in a row, or last.
const LIMITS: u32 = 3;
const LONG_LIMIT: Duration = Duration::from_secs(30);

/// Remembers which conditions were told, and tells what changed.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    /// Told as begun (true) or ended.
    told: BTreeMap<ConditionKey, bool>,
}

impl Reporter {
    /// Sets the gauges, and gives the conditions that began or ended since the last time.
    pub(crate) fn news(&mut self, inner: &Inner) -> Vec<Condition> {
        let statuses = inner.statuses();
        inner.set_gauges(&statuses);
        let extras: Vec<Extra> = inner.endpoints.iter().map(extra).collect();
        self.changes(conditions(&inner.chain, inner.clock.now(), &statuses, &extras))
    }

    fn changes(&mut self, now: Vec<(ConditionKey, Option<FindingBuilder>)>) -> Vec<Condition> {
        let mut news = Vec::new();
        for (key, finding) in now {
            if self.told.get(&key) == Some(&finding.is_some()) {
                continue;
            }
            self.told.insert(key.clone(), finding.is_some());
            news.push(match finding {
                Some(finding) => finding.raise(&key.subject),
                None => Condition::Cleared(key),
            });
        }
        news
    }
}

/// What decides on conditions and is not part of a status.
#[derive(Clone, Debug, Default)]
struct Extra {
    known: bool,
    doubt: Option<Trouble>,
    broken_for: Option<Duration>,
    ws_broken_for: Option<Duration>,
    limits_in_a_row: u32,
    limited_of_late: bool,
    limit: Duration,
    unsteady: Option<bool>,
}

fn extra(endpoint: &Endpoint) -> Extra {
    let now = Instant::now();
    let state = endpoint.state();
    Extra {
        known: state.identity != IdentityState::Unknown,
        doubt: state.doubt.clone().or(state.chain_doubt.clone()),
        broken_for: state.breaker.broken_for(now),
        ws_broken_for: state.ws_broken.map(|since| now.saturating_duration_since(since)),
        limits_in_a_row: state.limited.hits(),
        limited_of_late: state.limited.recent(now),
        limit: state.limited.wait(now),
        unsteady: state.is_unsteady(now),
    }
}

/// Every condition whose truth is known, with the finding when it is so.
fn conditions(
    chain: &ChainName,
    now: Timestamp,
    statuses: &[EndpointStatus],
    extras: &[Extra],
) -> Vec<(ConditionKey, Option<FindingBuilder>)> {
    let mut all = Vec::new();
    for (status, extra) in statuses.iter().zip(extras) {
        let asset = AssetId::endpoint(chain, status.name.as_str());
        let name = &status.name;
        let finding = |trouble: &str, severity: Severity, text: String| {
            let title = format!("{chain}: endpoint {name} {text}");
            FindingBuilder::system(trouble, asset.clone(), severity, title, now)
                .evidence("endpoint", name.as_str())
                .evidence("chain", chain.as_str())
        };
        let mut tell = |trouble: &str, finding: Option<FindingBuilder>| {
            let key = ConditionKey {
                trouble: trouble.to_owned(),
                asset: asset.clone(),
                subject: String::new(),
            };
            all.push((key, finding));
        };

        let sentence = status.quarantine.as_ref();
        for kind in TroubleKind::ALL {
            let caught = sentence.map(|sentence| &sentence.trouble).filter(|t| t.kind == kind);
            let doubted = extra.doubt.as_ref().filter(|doubt| doubt.kind == kind);
            match caught.or(doubted) {
                Some(trouble) => {
                    let (severity, next) = advice(kind);
                    let mut finding = finding(kind.condition(), severity, trouble.to_string())
                        .evidence("reason", trouble.detail.as_str())
                        .evidence("in_use", status.in_use)
                        .evidence("next", next);
                    if let Some(head) = status.head {
                        finding = finding.evidence("head", head.block.height.0);
                    }
                    tell(kind.condition(), Some(finding));
                }
                // Silence is no proof that a trouble is over.
                None if extra.known && extra.broken_for.is_none() => tell(kind.condition(), None),
                None => {}
            }
        }
        match extra.broken_for {
            Some(time) if time >= DOWN => {
                let last = status.last_error.as_ref();
                let mut finding = finding(
                    "endpoint_down",
                    Severity::P2,
                    format!("does not answer ({})", last.map_or("unknown", |e| e.class.name())),
                )
                .evidence(
                    "next",
                    "Other endpoints are used. Check that it runs and that its URL \
                                   and key are right.",
                );
                if let Some(last) = last {
                    finding = finding
                        .evidence("class", last.class.name())
                        .evidence("error", last.message.as_str());
                }
                tell("endpoint_down", Some(finding));
            }
            Some(_) => {}
            None if extra.known => tell("endpoint_down", None),
            None => {}
        }
        if (extra.limited_of_late && extra.limits_in_a_row >= LIMITS) || extra.limit >= LONG_LIMIT {
            let finding = finding(
                "endpoint_rate_limited",
                Severity::P3,
                "refuses requests for its rate limit".to_owned(),
            )
            .evidence("waits_in_a_row", extra.limits_in_a_row)
            .evidence(
                "next",
                "The chain is not affected, this monitor is. Set `max_requests_per_second`, or \
                 get a larger plan.",
            );
            tell("endpoint_rate_limited", Some(finding));
        } else if !extra.limited_of_late {
            tell("endpoint_rate_limited", None);
        }
        if let Some(unsteady) = extra.unsteady {
            let back = unsteady.then(|| {
                finding(
                    "endpoint_unsteady",
                    Severity::P3,
                    "goes back to older heads again and again".to_owned(),
                )
                .evidence("times", status.head_regressions)
                .evidence(
                    "next",
                    "Several nodes that are not equally far answer at this address. Use one with \
                     sticky sessions, or the nodes one by one.",
                )
            });
            tell("endpoint_unsteady", back);
        }
        if let Some(budget) = status.budget {
            let spent = (budget.used >= budget.per_day).then(|| {
                let text = format!("has spent its budget of {} requests", budget.per_day);
                finding("endpoint_budget_spent", Severity::P2, text).evidence(
                    "next",
                    "It rests until midnight UTC. Raise `budget_per_day`, or add an endpoint.",
                )
            });
            tell("endpoint_budget_spent", spent);
        }
        if status.ws.is_some() {
            match extra.ws_broken_for {
                Some(time) if time >= WS_DOWN => {
                    let text = "has no WebSocket".to_owned();
                    let finding = finding("endpoint_ws_down", Severity::P3, text).evidence(
                        "next",
                        "New heads come by polling. Check the `ws` URL, and whether a proxy cuts \
                         WebSockets.",
                    );
                    tell("endpoint_ws_down", Some(finding));
                }
                Some(_) => {}
                None if status.ws.is_some_and(|ws| ws.connected) => tell("endpoint_ws_down", None),
                None => {}
            }
        }
    }
    all.extend(chain_conditions(chain, now, statuses, extras));
    all
}

/// Conditions of all endpoints of a chain together.
fn chain_conditions(
    chain: &ChainName,
    now: Timestamp,
    statuses: &[EndpointStatus],
    extras: &[Extra],
) -> Vec<(ConditionKey, Option<FindingBuilder>)> {
    let asset = AssetId::chain(chain);
    let known = extras.iter().any(|extra| extra.known);
    let key = |trouble: &str| ConditionKey {
        trouble: trouble.to_owned(),
        asset: asset.clone(),
        subject: String::new(),
    };
    let names =
        || -> Vec<String> { statuses.iter().map(|status| status.name.to_string()).collect() };
    let finding = |trouble: &str, text: String| {
        let title = format!("{chain}: {text}");
        FindingBuilder::system(trouble, asset.clone(), Severity::P1, title, now)
            .evidence("endpoints", names())
    };
    let mut all = Vec::new();

    let long_down = |extra: &Extra| extra.broken_for.is_some_and(|broken| broken >= DOWN);
    if !extras.is_empty() && extras.iter().all(long_down) {
        let finding = finding("endpoints_down", "no endpoint answers".to_owned())
            .evidence("next", "Nothing is seen of this chain until one answers.");
        all.push((key("endpoints_down"), Some(finding)));
    } else if known && extras.iter().any(|extra| extra.broken_for.is_none()) {
        all.push((key("endpoints_down"), None));
    }

    let caught = statuses.iter().all(|status| status.quarantine.is_some());
    if caught && !statuses.is_empty() {
        let used: Vec<&str> = statuses
            .iter()
            .filter(|status| status.in_use)
            .map(|status| status.name.as_str())
            .collect();
        let text = match used.as_slice() {
            [] => "no endpoint is believed, and none is used".to_owned(),
            used => format!("no endpoint is believed; used all the same: {}", used.join(", ")),
        };
        let finding = finding("endpoints_untrusted", text)
            .evidence("next", "Add an endpoint that can be trusted, such as a node of your own.");
        all.push((key("endpoints_untrusted"), Some(finding)));
    } else if known {
        all.push((key("endpoints_untrusted"), None));
    }
    all
}

/// How bad a trouble is, and what to do.
fn advice(kind: TroubleKind) -> (Severity, &'static str) {
    match kind {
        TroubleKind::Lagging => {
            (Severity::P2, "It is not used until it has caught up. Check its sync state and load.")
        }
        TroubleKind::Empty => (
            Severity::P1,
            "What it left out was read elsewhere. If it happens again, remove the endpoint.",
        ),
        TroubleKind::Truncated => (
            Severity::P1,
            "What it left out was read elsewhere. If it happens again, remove the endpoint.",
        ),
        TroubleKind::Disagreement => {
            (Severity::P1, "Compare the block with a source you trust, and add a third endpoint.")
        }
        TroubleKind::WrongData => (
            Severity::P1,
            "Its data does not match the block header. If it happens again, remove the endpoint.",
        ),
        TroubleKind::Fork => (
            Severity::P1,
            "It is not used until it agrees again. If it is your node, check its version and \
             peers: it may have missed an upgrade.",
        ),
        TroubleKind::WrongChain => {
            (Severity::P1, "It is never used like this. Mend its URL, or `chain_id`.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::class::ErrorClass;
    use crate::rpc::status::{Budget, LastError};
    use crate::rpc::{EndpointName, Trust};

    fn healthy(name: &str) -> (EndpointStatus, Extra) {
        let status = EndpointStatus {
            name: EndpointName::new(name),
            kind: EndpointKind::Http,
            trust: Trust::ThirdParty,
            health: Health::Healthy,
            reason: None,
            in_use: true,
            head: None,
            head_seen_at: None,
            behind: 0,
            latency_p50: None,
            latency_p95: None,
            requests: 1,
            errors: BTreeMap::new(),
            last_error: None,
            budget: None,
            breaker: BreakerState::Closed,
            rate_limited_until: None,
            quarantine: None,
            client_version: None,
            chain_id: None,
            missing_methods: Vec::new(),
            batch_size: 20,
            logs_range: 2_000,
            head_regressions: 0,
            ws: None,
        };
        (status, Extra { known: true, ..Extra::default() })
    }

    fn caught(name: &str, kind: TroubleKind) -> (EndpointStatus, Extra) {
        let (mut status, extra) = healthy(name);
        status.quarantine = Some(Quarantine {
            trouble: Trouble::new(kind, "evidence"),
            since: Timestamp(0),
            until: Timestamp(0),
            offences: 1,
        });
        (status, extra)
    }

    fn broken(name: &str, seconds: u64) -> (EndpointStatus, Extra) {
        let (mut status, mut extra) = healthy(name);
        status.last_error = Some(LastError {
            at: Timestamp(0),
            class: ErrorClass::Connect,
            message: "refused".to_owned(),
        });
        extra.broken_for = Some(Duration::from_secs(seconds));
        (status, extra)
    }

    /// Severity and title of every condition that is so, and how many are known to be over.
    fn tell(endpoints: Vec<(EndpointStatus, Extra)>) -> (Vec<String>, usize) {
        let (statuses, extras): (Vec<_>, Vec<_>) = endpoints.into_iter().unzip();
        let all = conditions(&ChainName::new("main"), Timestamp(0), &statuses, &extras);
        let over = all.iter().filter(|(_, finding)| finding.is_none()).count();
        let raised = all.into_iter().filter_map(|(key, finding)| {
            let finding = finding?.build();
            assert_eq!(finding.class, key.trouble);
            assert!(finding.evidence.contains_key("next"), "what to do: {finding:?}");
            Some(format!("{} {}", finding.severity, finding.title))
        });
        (raised.collect(), over)
    }

    #[test]
    fn tells_what_is_so_and_what_is_over() {
        let check = |what: &str, endpoints, expected: &[&str], over: usize| {
            let expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(tell(endpoints), (expected, over), "{what}");
        };
        // Seven kinds of being caught, down, rate limited; the chain: down, untrusted.
        check("all is well", vec![healthy("a")], &[], 11);
        check(
            "one was caught",
            vec![caught("a", TroubleKind::Fork), healthy("b")],
            &["P1 main: endpoint a is on another fork: evidence"],
            19,
        );
        check(
            "all were caught",
            vec![caught("a", TroubleKind::Lagging)],
            &[
                "P2 main: endpoint a lags: evidence",
                "P1 main: no endpoint is believed; used all the same: a",
            ],
            9,
        );
        check("not known yet", vec![(healthy("a").0, Extra::default())], &[], 1);
        check("silence proves nothing", vec![broken("a", 5)], &[], 2);
        check(
            "down for long",
            vec![broken("a", 60)],
            &["P2 main: endpoint a does not answer (connect)", "P1 main: no endpoint answers"],
            2,
        );
        check(
            "one of two is down",
            vec![broken("a", 60), healthy("b")],
            &["P2 main: endpoint a does not answer (connect)"],
            12,
        );
        let limited = |limits_in_a_row, limited_of_late, seconds| {
            let (status, extra) = healthy("a");
            let limit = Duration::from_secs(seconds);
            (status, Extra { limits_in_a_row, limited_of_late, limit, ..extra })
        };
        let refuses = "P3 main: endpoint a refuses requests for its rate limit";
        check("one limit is nothing", vec![limited(1, true, 1)], &[], 10);
        check("three are", vec![limited(3, true, 1)], &[refuses], 10);
        check("a long one is", vec![limited(1, true, 60)], &[refuses], 10);
        check("long ago is over", vec![limited(3, false, 0)], &[], 11);
        let spent = |used| {
            let (status, extra) = healthy("a");
            (EndpointStatus { budget: Some(Budget { per_day: 100, used }), ..status }, extra)
        };
        let has_spent = "P2 main: endpoint a has spent its budget of 100 requests";
        check("some budget is left", vec![spent(99)], &[], 12);
        check("none is left", vec![spent(100)], &[has_spent], 11);
        let ws = |connected, broken: Option<u64>| {
            let (status, extra) = healthy("a");
            let ws = Some(WsStatus { connected, subscribed: connected, reconnects: 0 });
            let ws_broken_for = broken.map(Duration::from_secs);
            (EndpointStatus { ws, ..status }, Extra { ws_broken_for, ..extra })
        };
        let no_ws = "P3 main: endpoint a has no WebSocket";
        check("an open WebSocket", vec![ws(true, None)], &[], 12);
        check("a WebSocket that comes back", vec![ws(false, Some(5))], &[], 11);
        check("a WebSocket that does not", vec![ws(false, Some(90))], &[no_ws], 11);
    }

    #[test]
    fn tells_each_change_once() {
        let mut reporter = Reporter::default();
        let mut news = |(status, extra): (EndpointStatus, Extra)| {
            let chain = ChainName::new("main");
            let now = conditions(&chain, Timestamp(0), &[status], &[extra]);
            let fork = |condition: &Condition| match condition {
                Condition::Raised(key, _) if key.trouble == "endpoint_fork" => Some("begins"),
                Condition::Cleared(key) if key.trouble == "endpoint_fork" => Some("ends"),
                Condition::Raised(..) | Condition::Cleared(_) => None,
            };
            reporter.changes(now).iter().filter_map(fork).collect::<Vec<_>>()
        };
        // What a run before this one told may be over now: that is said once.
        assert_eq!(news(healthy("a")), ["ends"]);
        assert_eq!(news(healthy("a")), [""; 0]);
        assert_eq!(news(caught("a", TroubleKind::Fork)), ["begins"]);
        assert_eq!(news(caught("a", TroubleKind::Fork)), [""; 0]);
        assert_eq!(news(broken("a", 1)), [""; 0]);
        assert_eq!(news(healthy("a")), ["ends"]);
    }
}
