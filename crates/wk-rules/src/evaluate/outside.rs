//! Rules over what is outside of blocks: pending transactions and HTTP probes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value as Json, json};
use wk_model::{
    AssetId, ChainName, Condition, ConditionKey, Fact, FindingId, Height, Secret, Timestamp, evm,
};

use super::Errors;
use super::findings::{self, Subject, about, plain, put_rule};
use crate::RuleSet;
use crate::convert::clip_json;
use crate::input::{Evaluation, ProbeAnswer};
use crate::memory::Memory;
use crate::rule::{Http, Rule, Target};
use crate::template::one_line;
use crate::variables::TxView;
use crate::view::{Args, View};

/// Name of the facts that HTTP probes state.
const PROBE_FACT: &str = "http_probe";

impl RuleSet {
    /// What `evm.pending` rules make of a transaction that waits for inclusion. Looking at one again
    /// gives the same findings, by their ids.
    pub fn evaluate_pending(
        &self,
        chain: &ChainName,
        tx: &evm::Transaction,
        now: Timestamp,
    ) -> Evaluation {
        let mut out = Evaluation::default();
        let mut errors = Errors::default();
        let Some(index) = self.index(chain) else { return out };
        // Proxies are resolved as they are at the newest block.
        let tx = TxView::new(chain, Height(u64::MAX), tx, self.decoder(), None);
        for place in index.pending.of(tx.tx) {
            let rule = self.rule(place);
            match self.pending(rule, &tx, now) {
                Ok(Some((finding, fault))) => {
                    out.findings.push(finding);
                    fault.into_iter().for_each(|fault| errors.add(rule, None, fault));
                }
                Ok(None) => {}
                Err(message) => errors.add(rule, None, message),
            }
        }
        out.errors = errors.into_vec();
        out
    }

    fn pending(
        &self,
        rule: &Rule,
        tx: &TxView<'_>,
        now: Timestamp,
    ) -> Result<Option<(wk_model::Finding, Option<String>)>, String> {
        let Target::Calls(calls) = &rule.target else { return Ok(None) };
        let selector = tx.tx.selector();
        let named = calls.functions.iter().find(|f| selector == Some(f.item.selector().0));
        let values;
        let args = match named {
            None => Args::Any,
            Some(function) => match function.item.decode_input(&tx.tx.input) {
                Ok(decoded) => {
                    values = function.values(&decoded);
                    Args::Function(function, &values)
                }
                Err(_) => return Ok(None),
            },
        };
        let view = View { tx: Some(tx), args, ..View::new(rule, tx.chain) };
        if let Some(condition) = &rule.condition
            && !condition.holds(&view).map_err(|error| format!("if: {error}"))?
        {
            return Ok(None);
        }
        let subject = Subject::Call { tx };
        let (title, fault) = findings::title(rule, &view, &subject);
        let (asset, labels) = about(self, rule, tx.chain, tx.tx.to);
        let mut finding =
            plain(rule, asset, title, findings::evidence(rule, &view, &subject), labels, now);
        finding.id = FindingId::of(&[
            b"rule",
            rule.id.as_bytes(),
            tx.chain.as_str().as_bytes(),
            b"pending",
            tx.tx.hash.as_slice(),
        ]);
        Ok(Some((finding, fault)))
    }

    /// What the rules make of a fact; those that no rule asks for are passed over.
    pub fn evaluate_fact(&self, memory: &mut Memory, fact: &Fact) -> Evaluation {
        if fact.name != PROBE_FACT {
            return Evaluation::default();
        }
        match ProbeAnswer::deserialize(&fact.value) {
            Ok(answer) => self.evaluate_probe(memory, &answer, fact.at),
            Err(_) => Evaluation::default(),
        }
    }

    /// What the `http` rule that asked makes of an answer: its condition begins, goes on or ends.
    pub fn evaluate_probe(
        &self,
        memory: &mut Memory,
        answer: &ProbeAnswer,
        now: Timestamp,
    ) -> Evaluation {
        let mut out = Evaluation::default();
        let Some(rule) = self.probe_rule(&answer.rule) else { return out };
        let Target::Http(http) = &rule.target else { return out };
        let mut errors = Errors::default();
        let chain = ChainName::new("");
        let view = View { probe: Some(answer), ..View::new(rule, &chain) };
        let key = key(rule, http);
        match is_bad(rule, http, answer, &view) {
            // Whether all is well is not known: what stands, stands.
            Err(message) => errors.add(rule, None, message),
            Ok(false) => {
                memory.troubles.remove(&rule.id);
                out.conditions.push(Condition::Cleared(key));
            }
            Ok(true) => {
                let since = *memory.troubles.entry(rule.id.clone()).or_insert(now);
                if now.since(since) >= http.hold {
                    let (finding, fault) = trouble(rule, answer, &view, &key, now);
                    fault.into_iter().for_each(|fault| errors.add(rule, None, fault));
                    out.conditions.push(Condition::Raised(key, Box::new(finding)));
                }
            }
        }
        out.errors = errors.into_vec();
        out
    }
}

fn is_bad(rule: &Rule, http: &Http, answer: &ProbeAnswer, view: &View<'_>) -> Result<bool, String> {
    match (&http.expect, &rule.condition) {
        // What must hold of an answer cannot hold of none.
        (Some(_), _) if answer.error.is_some() || answer.status == 0 => Ok(true),
        (Some(expect), _) => {
            let good = expect.holds(view).map_err(|error| format!("expect: {error}"))?;
            Ok(!good)
        }
        (None, Some(condition)) => condition.holds(view).map_err(|error| format!("if: {error}")),
        (None, None) => Ok(false),
    }
}

fn trouble(
    rule: &Rule,
    answer: &ProbeAnswer,
    view: &View<'_>,
    key: &ConditionKey,
    now: Timestamp,
) -> (wk_model::Finding, Option<String>) {
    let (title, fault) = match &rule.title {
        Some(template) => template.render(view),
        None => (one_line(&standard_title(rule, answer, key)), None),
    };
    let mut evidence: BTreeMap<String, Json> = BTreeMap::new();
    let mut put = |name: &str, value: Json| {
        evidence.insert(name.to_owned(), value);
    };
    put("status", json!(answer.status));
    put("latency_ms", json!(answer.latency_ms));
    if let Some(error) = &answer.error {
        put("error", json!(error));
    }
    if let Some(days) = answer.tls_days_left {
        put("tls_days_left", json!(days));
    }
    if !answer.body.is_empty() {
        put("body", json!(answer.body.chars().take(500).collect::<String>()));
    }
    put_rule(rule, &mut put);
    evidence.values_mut().for_each(clip_json);
    let mut finding = plain(rule, key.asset.clone(), title, evidence, rule.labels.clone(), now);
    finding.id = FindingId::of(&[b"rule", rule.id.as_bytes(), b"http", &now.0.to_be_bytes()]);
    (finding, fault)
}

fn standard_title(rule: &Rule, answer: &ProbeAnswer, key: &ConditionKey) -> String {
    let site = key.asset.as_str().strip_prefix("site/").unwrap_or(key.asset.as_str());
    let what = match &answer.error {
        Some(error) => format!("gives no answer: {error}"),
        None if answer.status == 0 => "gives no answer".to_owned(),
        None => format!("answers with {} after {} ms", answer.status, answer.latency_ms),
    };
    if site == &*rule.id { format!("{site} {what}") } else { format!("{}: {site} {what}", rule.id) }
}

/// Names the trouble: the rule's id, at the site that the URL shows.
fn key(rule: &Rule, http: &Http) -> ConditionKey {
    let site = host(&http.probe.url).unwrap_or(&rule.id);
    ConditionKey {
        trouble: rule.id.to_string(),
        asset: AssetId::new("site", site),
        subject: String::new(),
    }
}

/// The host of a URL that is no secret; never what stands before an `@`, which may be one.
fn host(url: &Secret) -> Option<&str> {
    let Secret::Literal(url) = url else { return None };
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    (!host.is_empty()).then_some(host)
}
