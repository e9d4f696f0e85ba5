//! What is scraped, which rules there are, what metrics are.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State as Shared;
use axum::response::Response;
use serde::Serialize;
use wk_model::series::Labels;
use wk_promql::Matcher;

use crate::answer::success_of;
use crate::failure::Failure;
use crate::parameters::Parameters;
use crate::state::State;
use crate::views::{ActiveTarget, Alert, DroppedTarget, Rule, RuleGroup, RuleKind};

/// `metadata`: what metrics are.
pub(crate) async fn metadata(
    Shared(state): Shared<Arc<State>>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let limit = parameters.loose_limit("limit")?.unwrap_or(usize::MAX);
    let per_metric = parameters.loose_limit("limit_per_metric")?.unwrap_or(usize::MAX);
    let metric = match parameters.get("metric") {
        "" => None,
        metric => Some(metric),
    };
    let all = state.sources.metadata.metadata(metric);
    let cut = all.into_iter().take(limit).map(|(metric, mut entries)| {
        if per_metric > 0 {
            entries.truncate(per_metric);
        }
        (metric, entries)
    });
    Ok(success_of(&cut.collect::<BTreeMap<_, _>>()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetLists {
    active_targets: Vec<ActiveTarget>,
    dropped_targets: Vec<DroppedTarget>,
    dropped_target_counts: BTreeMap<String, usize>,
}

/// `targets`: what is scraped, what relabelling left out.
pub(crate) async fn targets(
    Shared(state): Shared<Arc<State>>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let wanted = parameters.get("state").to_lowercase();
    let pool = parameters.get("scrapePool");
    let fits = |own: &str| pool.is_empty() || own == pool;
    let (active, dropped) = match wanted.as_str() {
        "active" => (true, false),
        "dropped" => (false, true),
        _ => (true, true),
    };
    let targets = &state.sources.targets;
    let mut lists = TargetLists {
        active_targets: Vec::new(),
        dropped_targets: Vec::new(),
        dropped_target_counts: BTreeMap::new(),
    };
    if active {
        lists.active_targets = targets.active();
        lists.active_targets.retain(|target| fits(&target.scrape_pool));
    }
    if dropped {
        lists.dropped_targets = targets.dropped();
        lists.dropped_targets.retain(|target| fits(&target.scrape_pool));
        lists.dropped_target_counts = targets.dropped_counts();
    }
    Ok(success_of(&lists))
}

/// `scrape_pools`: names of scrape configs.
pub(crate) async fn scrape_pools(Shared(state): Shared<Arc<State>>) -> Response {
    let pools = state.sources.targets.scrape_pools();
    success_of(&BTreeMap::from([("scrapePools", pools)]))
}

#[derive(Serialize)]
struct OfTarget {
    target: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    help: String,
    unit: String,
}

/// `targets/metadata`: what each target tells of its metrics.
pub(crate) async fn target_metadata(
    Shared(state): Shared<Arc<State>>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let limit = parameters.loose_limit("limit")?.unwrap_or(usize::MAX);
    let metric = parameters.get("metric");
    let matchers = match parameters.get("match_target") {
        "" => Vec::new(),
        text => wk_promql::parse_selector(text)
            .map_err(|error| Failure::parameter("match_target", error.with_position(text)))?,
    };
    let found: Vec<OfTarget> = state
        .sources
        .targets
        .metadata()
        .into_iter()
        .filter(|entry| metric.is_empty() || entry.metric == metric)
        .filter(|entry| fits_all(&matchers, &entry.target))
        .take(limit)
        .map(|entry| OfTarget {
            target: entry.target,
            metric: metric.is_empty().then_some(entry.metric),
            kind: entry.kind,
            help: entry.help,
            unit: entry.unit,
        })
        .collect();
    Ok(success_of(&found))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupList {
    groups: Vec<RuleGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_next_token: Option<String>,
}

/// `rules`: groups with their rules and alerts.
pub(crate) async fn rules(
    Shared(state): Shared<Arc<State>>,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let (alerting, recording) = match parameters.get("type").to_lowercase().as_str() {
        "" => (true, true),
        "alert" => (true, false),
        "record" => (false, true),
        other => return Err(Failure::parameter("type", format!("not supported value {other:?}"))),
    };
    let without_alerts = parameters.flag("exclude_alerts")?;
    let list = state.run(None, move |sources, work| {
        let mut groups = sources.rules.groups();
        let any_of = parameters.selectors("match[]", &work.cancel)?;
        keep(&mut groups, &parameters, &any_of, (alerting, recording));
        if without_alerts {
            for rule in groups.iter_mut().flat_map(|group| &mut group.rules) {
                if let RuleKind::Alerting { alerts, .. } = &mut rule.kind {
                    alerts.clear();
                }
            }
        }
        let group_next_token = page(&mut groups, &parameters)?;
        Ok(GroupList { groups, group_next_token })
    });
    Ok(success_of(&list.await?))
}

/// Leaves the rules that are asked for, and the groups that have some.
fn keep(
    groups: &mut Vec<RuleGroup>,
    parameters: &Parameters,
    any_of: &[Vec<Matcher>],
    (alerting, recording): (bool, bool),
) {
    let named = |parameter: &str, name: &str| {
        let mut wanted = parameters.all(parameter).peekable();
        wanted.peek().is_none() || wanted.any(|one| one == name)
    };
    groups.retain(|group| named("rule_group[]", &group.name) && named("file[]", &group.file));
    for group in groups.iter_mut() {
        group.rules.retain(|rule: &Rule| {
            let kind = match rule.kind {
                RuleKind::Alerting { .. } => alerting,
                RuleKind::Recording { .. } => recording,
            };
            let labelled = any_of.is_empty() || any_of.iter().any(|m| fits_all(m, rule.labels()));
            kind && labelled && named("rule_name[]", &rule.name)
        });
    }
    groups.retain(|group| !group.rules.is_empty());
}

/// Leaves one page of the groups and tells where the next begins.
fn page(groups: &mut Vec<RuleGroup>, parameters: &Parameters) -> Result<Option<String>, Failure> {
    let token = |group: &RuleGroup| format!("{};{}", group.file, group.name);
    let from = parameters.get("group_next_token");
    let limit = match (parameters.get("group_limit"), from) {
        ("", "") => return Ok(None),
        ("", _) => {
            let message = "group_limit needs to be present in order to paginate over the groups";
            return Err(Failure::parameter("group_limit", message));
        }
        (text, _) => text.parse::<usize>().ok().filter(|limit| *limit > 0).ok_or_else(|| {
            Failure::parameter("group_limit", "group_limit needs to be greater than 0")
        })?,
    };
    if !from.is_empty() {
        let at = groups.iter().position(|group| token(group) == from).ok_or_else(|| {
            let message = "no such group any more; ask again without it";
            Failure::parameter("group_next_token", message)
        })?;
        groups.drain(..at);
    }
    let next = groups.get(limit).map(token);
    groups.truncate(limit);
    Ok(next)
}

/// `alerts`: all that are pending or firing.
pub(crate) async fn alerts(Shared(state): Shared<Arc<State>>) -> Response {
    let rules = state.sources.rules.groups().into_iter().flat_map(|group| group.rules);
    let alerts = rules.flat_map(|rule| match rule.kind {
        RuleKind::Alerting { alerts, .. } => alerts,
        RuleKind::Recording { .. } => Vec::new(),
    });
    success_of(&BTreeMap::from([("alerts", alerts.collect::<Vec<Alert>>())]))
}

#[derive(Serialize)]
struct Address {
    url: String,
}

/// `alertmanagers`: where alerts go to.
pub(crate) async fn alertmanagers(Shared(state): Shared<Arc<State>>) -> Response {
    let urls = state.sources.rules.alertmanagers().into_iter().map(|url| Address { url });
    success_of(&BTreeMap::from([
        ("activeAlertmanagers", urls.collect::<Vec<_>>()),
        ("droppedAlertmanagers", Vec::new()),
    ]))
}

fn fits_all(matchers: &[Matcher], labels: &BTreeMap<String, String>) -> bool {
    let labels = Labels::from_pairs(labels.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    matchers.iter().all(|matcher| matcher.matches(&labels))
}
