//! Who is asked: by freshness, trust, health, limits and speed.

use std::time::Duration;

use wk_model::Height;

use super::status::TroubleKind;

/// One endpoint as the choice sees it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Why it is not believed.
    pub(crate) quarantine: Option<TroubleKind>,
    /// This request tried it already and shall not, or not yet: how long from now.
    pub(crate) barred: Option<Duration>,
    /// How long until its breaker lets a request pass.
    pub(crate) breaker: Duration,
    /// How long until its limits let this request pass.
    pub(crate) limit: Duration,
    pub(crate) budget_spent: bool,
    pub(crate) method_missing: bool,
    pub(crate) head: Option<Height>,
    /// Average time for this method.
    pub(crate) latency: Option<Duration>,
    pub(crate) in_flight: u32,
}

/// Why an endpoint is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It was tried; it may be tried again after this long.
    Tried(Duration),
    /// It was tried, or shall be avoided.
    Barred,
    WrongChain,
    Quarantined(TroubleKind),
    BreakerOpen(Duration),
    Limited(Duration),
    BudgetSpent,
    MethodMissing,
    /// Its head is below the height that is asked for.
    Behind(Height),
}

impl Why {
    /// How long until it makes sense to look again; none when nothing will change soon.
    fn wait(self) -> Option<Duration> {
        match self {
            Why::Tried(wait) | Why::BreakerOpen(wait) | Why::Limited(wait) => Some(wait),
            Why::Behind(_) => Some(HEAD_WAIT),
            Why::Barred
            | Why::WrongChain
            | Why::Quarantined(_)
            | Why::BudgetSpent
            | Why::MethodMissing => None,
        }
    }

    /// In words.
    pub(crate) fn text(self) -> String {
        match self {
            Why::Tried(_) => "tried".to_owned(),
            Why::Barred => "tried or avoided".to_owned(),
            Why::WrongChain => "serves another chain".to_owned(),
            Why::Quarantined(kind) => format!("quarantined: {}", kind.word()),
            Why::BreakerOpen(_) => "failed too often, left alone for a while".to_owned(),
            Why::Limited(wait) => format!("rate limited for {wait:?}"),
            Why::BudgetSpent => "request budget of today is spent".to_owned(),
            Why::MethodMissing => "does not have the method".to_owned(),
            Why::Behind(head) => format!("its head is {head}"),
        }
    }
}

/// While no endpoint has reached a height, look again this often.
const HEAD_WAIT: Duration = Duration::from_millis(50);

/// Who is asked, best first, and who is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranking {
    pub(crate) order: Vec<usize>,
    pub(crate) passed_over: Vec<(usize, Why)>,
}

impl Ranking {
    /// How long until somebody may be asked; none when there is nobody to wait for.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.passed_over.iter().filter_map(|(_, why)| why.wait()).min()
    }
}

/// Ranks the endpoints for a request that needs the block at `pinned`.
///
/// Believed endpoints come first, the fastest before the others. When none of them can be asked,
/// those are used whose fault can be seen in the answer itself (they lag, or sent bad data: what
/// they send is verified). Those that are said to be on another fork are used only when every
/// endpoint is accused: then the least bad is better than none. Who serves another chain is never
/// used.
pub(crate) fn rank(candidates: &[Candidate], pinned: Option<Height>) -> Ranking {
    let mut ranking = Ranking::default();
    // Endpoint and whether it is ready.
    let mut believed = Vec::new();
    let mut checkable = Vec::new();
    let mut accused = Vec::new();
    let mut believed_exists = false;
    for (place, candidate) in candidates.iter().enumerate() {
        let usable = !candidate.budget_spent && !candidate.method_missing;
        believed_exists |= usable && candidate.quarantine.is_none();
        match (hindrance(candidate, pinned), candidate.quarantine) {
            (Some(why), _) => ranking.passed_over.push((place, why)),
            (None, None) => believed.push(place),
            (None, Some(kind)) if is_checkable(kind) => checkable.push((kind, place)),
            (None, Some(kind)) => accused.push((kind, place)),
        }
    }
    believed.sort_by_key(|&place| {
        let candidate = &candidates[place];
        (pinned.is_some() && candidate.head.is_none(), cost(candidate), place)
    });
    let by_badness =
        |&(kind, place): &(TroubleKind, usize)| (kind, cost(&candidates[place]), place);
    checkable.sort_by_key(by_badness);
    accused.sort_by_key(by_badness);

    let use_checkable = believed.is_empty() && !waits_briefly(&ranking, candidates);
    let use_accused = !believed_exists;
    ranking.order = believed;
    for (group, used) in [(checkable, use_checkable), (accused, use_accused)] {
        for (kind, place) in group {
            if used {
                ranking.order.push(place);
            } else {
                ranking.passed_over.push((place, Why::Quarantined(kind)));
            }
        }
    }
    ranking
}

/// Whether what such an endpoint sends can be checked without believing it.
fn is_checkable(kind: TroubleKind) -> bool {
    match kind {
        TroubleKind::Lagging
        | TroubleKind::Empty
        | TroubleKind::Truncated
        | TroubleKind::WrongData => true,
        TroubleKind::Disagreement | TroubleKind::Fork | TroubleKind::WrongChain => false,
    }
}

/// Whether a believed endpoint will be there in a moment: better than one that was caught.
fn waits_briefly(ranking: &Ranking, candidates: &[Candidate]) -> bool {
    ranking.passed_over.iter().any(|(place, why)| {
        candidates[*place].quarantine.is_none()
            && !matches!(why, Why::BreakerOpen(_))
            && why.wait().is_some_and(|wait| wait <= BRIEFLY)
    })
}

const BRIEFLY: Duration = Duration::from_millis(250);

/// Why an endpoint cannot be asked now, whether it is believed or not.
fn hindrance(candidate: &Candidate, pinned: Option<Height>) -> Option<Why> {
    let Candidate {
        quarantine,
        barred,
        breaker,
        limit,
        budget_spent,
        method_missing,
        head,
        latency: _,
        in_flight: _,
    } = *candidate;
    if quarantine == Some(TroubleKind::WrongChain) {
        Some(Why::WrongChain)
    } else if budget_spent {
        Some(Why::BudgetSpent)
    } else if method_missing {
        Some(Why::MethodMissing)
    } else if barred == Some(Duration::MAX) {
        Some(Why::Barred)
    } else if let Some(wait) = barred.filter(|wait| !wait.is_zero()) {
        Some(Why::Tried(wait))
    } else if !breaker.is_zero() {
        Some(Why::BreakerOpen(breaker))
    } else if !limit.is_zero() {
        Some(Why::Limited(limit))
    } else {
        // An endpoint whose head is not known yet may have it.
        let behind = |head: &Height| pinned.is_some_and(|pinned| *head < pinned);
        head.filter(behind).map(Why::Behind)
    }
}

/// What asking costs: its mean time, more while it is busy. An endpoint that was not asked of late
/// costs nothing: that is how it gets asked.
fn cost(candidate: &Candidate) -> Duration {
    let busy = 1.0 + f64::from(candidate.in_flight) / 8.0;
    candidate.latency.unwrap_or_default().mul_f64(busy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use TroubleKind::*;

    fn at(ms: u64) -> Candidate {
        Candidate {
            quarantine: None,
            barred: None,
            breaker: Duration::ZERO,
            limit: Duration::ZERO,
            budget_spent: false,
            method_missing: false,
            head: Some(Height(100)),
            latency: Some(Duration::from_millis(ms)),
            in_flight: 0,
        }
    }

    fn caught(kind: TroubleKind) -> Candidate {
        Candidate { quarantine: Some(kind), ..at(10) }
    }

    #[test]
    fn chooses_by_freshness_trust_health_limits_and_speed() {
        let second = Duration::from_secs(1);
        let moment = Duration::from_millis(100);
        let check = |name: &str, candidates: &[Candidate], expected: &[usize], wait| {
            let ranking = rank(candidates, Some(Height(100)));
            assert_eq!(ranking.order, expected, "{name}: {ranking:?}");
            assert_eq!(ranking.wait(), wait, "{name}: {ranking:?}");
            let all = ranking.order.len() + ranking.passed_over.len();
            assert_eq!(all, candidates.len(), "{name}: everyone is accounted for");
        };
        check("nobody", &[], &[], None);
        check("the fastest first", &[at(30), at(10), at(20)], &[1, 2, 0], None);
        check("the configured order decides a tie", &[at(10), at(10)], &[0, 1], None);
        check("not asked of late", &[at(10), Candidate { latency: None, ..at(0) }], &[1, 0], None);
        check(
            "a busy one costs more",
            &[Candidate { in_flight: 16, ..at(10) }, at(20)],
            &[1, 0],
            None,
        );
        check(
            "a known head before an unknown one",
            &[Candidate { head: None, ..at(1) }, at(20)],
            &[1, 0],
            None,
        );
        check(
            "behind the height asked for",
            &[Candidate { head: Some(Height(99)), ..at(1) }, at(20)],
            &[1],
            Some(HEAD_WAIT),
        );
        check(
            "waits for the head",
            &[Candidate { head: Some(Height(99)), ..at(1) }],
            &[],
            Some(HEAD_WAIT),
        );
        check(
            "limits and breakers",
            &[
                Candidate { limit: second, ..at(1) },
                Candidate { breaker: 2 * second, ..at(1) },
                Candidate { budget_spent: true, ..at(1) },
                Candidate { method_missing: true, ..at(1) },
                at(50),
            ],
            &[4],
            Some(second),
        );
        check("nothing to wait for", &[Candidate { budget_spent: true, ..at(1) }], &[], None);
        check(
            "tried",
            &[
                Candidate { barred: Some(Duration::MAX), ..at(1) },
                Candidate { barred: Some(moment), ..at(1) },
            ],
            &[],
            Some(moment),
        );
        check(
            "tried long enough ago",
            &[Candidate { barred: Some(Duration::ZERO), ..at(1) }],
            &[0],
            None,
        );
        check("the believed before the caught", &[caught(Lagging), at(900)], &[1], None);
        check("never another chain", &[caught(WrongChain)], &[], None);
        check(
            "nobody is believed: the least bad",
            &[caught(Fork), caught(Empty), caught(WrongChain)],
            &[1, 0],
            None,
        );
        check(
            "a believed one that is down lets those in whose answers can be checked",
            &[
                Candidate { breaker: second, ..at(1) },
                caught(WrongData),
                caught(Fork),
                caught(Lagging),
            ],
            &[3, 1],
            Some(second),
        );
        check(
            "a believed one that comes back in a moment is waited for",
            &[Candidate { limit: moment, ..at(1) }, caught(Lagging)],
            &[],
            Some(moment),
        );
        check(
            "another fork is used when the believed have nothing left to give",
            &[Candidate { budget_spent: true, ..at(1) }, caught(Disagreement)],
            &[1],
            None,
        );
        check(
            "a caught one that also lags behind the height",
            &[Candidate { head: Some(Height(5)), ..caught(Lagging) }],
            &[],
            Some(HEAD_WAIT),
        );
    }
}
