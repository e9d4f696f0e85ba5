//! From a match to a finding: its name, title, evidence and labels.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use wk_chain::abi::{Call, Item};
use wk_model::{
    Address, AssetId, B256, BlockRef, ChainName, ChainPosition, Confidence, Finding, FindingId,
    HumanDuration, Source, Timestamp, evm,
};

use super::Run;
use crate::RuleSet;
use crate::cel::Value;
use crate::convert::{clip_json, to_json};
use crate::rule::{Rule, StateTarget};
use crate::template::one_line;
use crate::variables::{LogView, TxView};
use crate::view::{Args, View};

/// What a finding is about.
pub(crate) enum Subject<'a> {
    Block,
    Call {
        tx: &'a TxView<'a>,
    },
    Log {
        log: &'a LogView<'a>,
    },
    State {
        target: &'a StateTarget,
    },
    /// Nothing happened for a while.
    Silence,
    /// A window that an old block was put into: of the match itself only its place is known.
    Late {
        block: BlockRef,
        time: wk_model::BlockTime,
        ordinal: u64,
    },
}

impl Subject<'_> {
    /// Tells the subjects of one place apart where the ordinal does not.
    pub(crate) fn key(&self) -> &str {
        match self {
            Subject::State { target } => &target.key,
            Subject::Block
            | Subject::Call { .. }
            | Subject::Log { .. }
            | Subject::Silence
            | Subject::Late { .. } => "",
        }
    }

    pub(crate) fn position(&self, chain: &ChainName, block: &evm::Block) -> ChainPosition {
        let mut position = ChainPosition {
            chain: chain.clone(),
            block: block.header.block_ref(),
            time: block.header.time,
            tx: None,
            log_index: None,
        };
        match self {
            Subject::Block | Subject::State { .. } | Subject::Silence => {}
            Subject::Call { tx } => position.tx = Some(tx.tx.hash),
            Subject::Log { log } => {
                position.tx = Some(log.tx.tx.hash);
                position.log_index = Some(log.log.index);
            }
            Subject::Late { block, time, .. } => {
                position.block = *block;
                position.time = *time;
            }
        }
        position
    }

    /// The contract that it is about.
    fn address(&self) -> Option<Address> {
        match self {
            Subject::Call { tx } => tx.tx.to,
            Subject::Log { log } => Some(log.log.address),
            Subject::State { target } => target.address,
            Subject::Block | Subject::Silence | Subject::Late { .. } => None,
        }
    }
}

/// The name of a finding of a block. The same place gives the same name, however it is reached.
pub(super) fn id(
    rule: &Rule,
    chain: &ChainName,
    block: &B256,
    ordinal: u64,
    key: &str,
) -> FindingId {
    FindingId::of(&[
        b"rule",
        rule.id.as_bytes(),
        chain.as_str().as_bytes(),
        block.as_slice(),
        &ordinal.to_be_bytes(),
        key.as_bytes(),
    ])
}

impl Run<'_> {
    /// The finding, and what went wrong in its title.
    pub(super) fn finding(
        &self,
        rule: &Rule,
        view: &View<'_>,
        subject: &Subject<'_>,
        ordinal: u64,
        key: &str,
    ) -> (Finding, Option<String>) {
        let chain = self.input.chain;
        let position = subject.position(chain, self.input.block);
        let (title, fault) = title(rule, view, subject);
        let (asset, labels) = about(self.set, rule, chain, subject.address());
        let mut evidence = evidence(rule, view, subject);
        evidence.insert("block".to_owned(), json!(position.block.height.0));
        if let Subject::Late { .. } = subject {
            let filled = self.input.block.header.height;
            let told = format!("told late: block {filled} was looked at after this one");
            evidence.insert("late".to_owned(), json!(told));
        }
        let finding = Finding {
            id: id(rule, chain, &position.block.hash, ordinal, key),
            position: Some(position),
            deliver: rule.deliver,
            ..plain(rule, asset, title, evidence, labels, self.input.now)
        };
        (finding, fault)
    }
}

/// A finding of `rule` without a place; its name is to be set.
pub(super) fn plain(
    rule: &Rule,
    asset: AssetId,
    title: String,
    evidence: BTreeMap<String, Json>,
    labels: BTreeMap<String, String>,
    now: Timestamp,
) -> Finding {
    Finding {
        id: FindingId::of(&[b"rule", rule.id.as_bytes()]),
        source: Source::Rule(rule.id.to_string()),
        severity: rule.severity,
        confidence: Confidence::CERTAIN,
        class: rule.class.clone(),
        asset,
        title,
        evidence,
        labels,
        position: None,
        deliver: rule.deliver,
        notify: rule.notify.clone(),
        seen_at: now,
    }
}

/// The asset that a finding is about, and the labels: the contract's, then the rule's own.
pub(super) fn about(
    set: &RuleSet,
    rule: &Rule,
    chain: &ChainName,
    address: Option<Address>,
) -> (AssetId, BTreeMap<String, String>) {
    let contract = address.and_then(|address| set.decoder().contract(chain, &address));
    let asset = match (contract, address) {
        (Some(contract), _) => AssetId::contract(chain, &contract.name),
        (None, Some(address)) => AssetId::contract(chain, format_args!("{address:#x}")),
        (None, None) => AssetId::chain(chain),
    };
    let mut labels = contract.map(|contract| (*contract.labels).clone()).unwrap_or_default();
    labels.extend(rule.labels.clone());
    (asset, labels)
}

/// The rule's title, or one that says what happened.
pub(super) fn title(
    rule: &Rule,
    view: &View<'_>,
    subject: &Subject<'_>,
) -> (String, Option<String>) {
    // Of a late match nothing is known that most titles show.
    let late = matches!(subject, Subject::Late { .. });
    match &rule.title {
        Some(template) if !late || template.programs().all(|p| p.eval(view).is_ok()) => {
            let view = View { slots: &rule.title_slots, ..*view };
            template.render(&view)
        }
        Some(_) | None => (one_line(&standard_title(rule, view, subject)), None),
    }
}

fn standard_title(rule: &Rule, view: &View<'_>, subject: &Subject<'_>) -> String {
    let id = &rule.id;
    let what = match subject {
        Subject::Block => {
            let number = view.block.map_or(0, |block| block.block.header.height.0);
            format!("block {number} of {}", view.chain)
        }
        Subject::Call { tx } => call_text(tx, view),
        Subject::Log { log } => {
            let name = match view.args {
                Args::Event(event, _) => Some(event.name().to_owned()),
                Args::Any | Args::Function(..) => {
                    log.decoded().map(|event| event.name().to_owned())
                }
            };
            let contract =
                crate::variables::contract_name(log.tx.decoder, log.tx.chain, &log.log.address);
            format!("{} of {contract}", name.as_deref().unwrap_or("unknown event"))
        }
        Subject::State { target } => state_text(target, view),
        Subject::Silence => {
            let length = view.silence.map_or(Duration::ZERO, |(length, _)| length);
            format!("nothing for {}", HumanDuration(length))
        }
        Subject::Late { .. } => format!("a match on {}", view.chain),
    };
    match (view.stats, &rule.window) {
        (Some(stats), Some(window)) => {
            let by =
                if stats.key.is_empty() { String::new() } else { format!(" by {}", stats.key) };
            format!("{id}: {what}, {} in {}{by}", stats.count, window.span)
        }
        _ => format!("{id}: {what}"),
    }
}

pub(super) fn call_text(tx: &TxView<'_>, view: &View<'_>) -> String {
    let failed = tx.tx.receipt.as_ref().is_some_and(|receipt| receipt.success == Some(false));
    let contract = tx.contract().map_or_else(|| "a new contract".to_owned(), |c| c.to_string());
    let name = match (view.args, tx.call()) {
        (Args::Function(function, _), _) => function.name().to_owned(),
        (_, Call::Function(function)) => function.name().to_owned(),
        (_, Call::Create) => "deployment".to_owned(),
        (_, Call::Transfer) => "transfer".to_owned(),
        (_, Call::Unknown(_)) => "call".to_owned(),
    };
    let how = if failed { " failed" } else { "" };
    let reason = tx.revert_reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{name} to {contract} from {:#x}{how}{reason}", tx.tx.from)
}

fn state_text(target: &StateTarget, view: &View<'_>) -> String {
    let one = |place: usize, value: &Value| {
        let name = target.reads.get(place).map_or("value", |read| read.name.as_str());
        let before = view.previous.and_then(|previous| previous.get(place));
        match before.filter(|before| *before != value) {
            Some(before) => format!("{name} is {value}, was {before}"),
            None => format!("{name} is {value}"),
        }
    };
    let parts: Vec<String> = view.reads.iter().enumerate().map(|(i, v)| one(i, v)).collect();
    let contract = view.contract.map(|contract| format!("{contract}: ")).unwrap_or_default();
    format!("{contract}{}", parts.join(", "))
}

/// What convinced the rule.
pub(super) fn evidence(
    rule: &Rule,
    view: &View<'_>,
    subject: &Subject<'_>,
) -> BTreeMap<String, Json> {
    let mut evidence = BTreeMap::new();
    let mut put = |name: &str, value: Json| {
        evidence.insert(name.to_owned(), value);
    };
    match subject {
        Subject::Block => {
            if let Some(block) = view.block {
                put("transactions", json!(block.block.transactions.len()));
                put("gas_used", json!(block.block.header.gas_used));
                if let Some(fee) = block.block.header.base_fee_per_gas {
                    put("base_fee", json!(fee.to_string()));
                }
            }
        }
        Subject::Call { tx } => put_tx(tx, view, &mut put),
        Subject::Log { log } => {
            put("address", json!(format!("{:#x}", log.log.address)));
            put("log_index", json!(log.log.index));
            match view.args {
                Args::Event(event, values) => {
                    put("event", json!(event.text()));
                    put("args", args_json(event.item.params(), values));
                }
                Args::Any | Args::Function(..) => match log.decoded() {
                    Some(event) => {
                        put("event", json!(event.signature()));
                        put("args", Json::Object(event.to_json()));
                    }
                    None => put("topics", json!(log.log.topics)),
                },
            }
            put("tx", json!(log.tx.tx.hash));
            put("from", json!(format!("{:#x}", log.tx.tx.from)));
            put("to", json!(log.tx.tx.to.map(|to| format!("{to:#x}"))));
        }
        Subject::State { target } => {
            for (place, read) in target.reads.iter().enumerate() {
                put(&read.name, view.reads.get(place).map_or(Json::Null, to_json));
            }
            if let Some(previous) = view.previous {
                let one = |place: usize| previous.get(place).map_or(Json::Null, to_json);
                let all = if rule.reads_by_name {
                    let fields = target.reads.iter().enumerate();
                    Json::Object(fields.map(|(i, read)| (read.name.clone(), one(i))).collect())
                } else {
                    one(0)
                };
                put("previous", all);
            }
            if let Some(address) = target.address {
                put("address", json!(format!("{address:#x}")));
            }
        }
        Subject::Silence => {
            if let Some((length, last)) = view.silence {
                put("silence", json!(HumanDuration(length).to_string()));
                put("last", json!(last.map(|last| last.to_string())));
            }
        }
        Subject::Late { ordinal, .. } => {
            if matches!(rule.trigger, crate::config::Trigger::EvmEvent) {
                put("log_index", json!(ordinal.saturating_sub(1)));
            }
        }
    }
    if let Some(stats) = view.stats {
        let int = |number: Option<crate::cel::Int>| number.map(|number| json!(number.to_string()));
        put("count", json!(stats.count));
        if !stats.key.is_empty() {
            put("key", json!(stats.key));
        }
        if let Some(window) = &rule.window {
            put("window", json!(window.span.to_string()));
        }
        for (name, value) in [
            ("sum", int(stats.sum)),
            ("min", int(stats.min)),
            ("max", int(stats.max)),
            ("distinct", stats.distinct.map(|distinct| json!(distinct))),
        ] {
            value.into_iter().for_each(|value| put(name, value));
        }
    }
    put_rule(rule, &mut put);
    evidence.values_mut().for_each(clip_json);
    evidence
}

/// What the rule's author tells whoever is woken.
pub(super) fn put_rule(rule: &Rule, put: &mut impl FnMut(&str, Json)) {
    if let Some(description) = &rule.description {
        put("description", json!(description));
    }
    if let Some(runbook) = &rule.runbook {
        put("runbook", json!(runbook));
    }
}

pub(super) fn put_tx(tx: &TxView<'_>, view: &View<'_>, put: &mut impl FnMut(&str, Json)) {
    put("tx", json!(tx.tx.hash));
    put("from", json!(format!("{:#x}", tx.tx.from)));
    put("to", json!(tx.tx.to.map(|to| format!("{to:#x}"))));
    put("value", json!(tx.tx.value.to_string()));
    match (view.args, tx.call()) {
        (Args::Function(function, values), _) => {
            put("function", json!(function.text()));
            put("args", args_json(function.item.params(), values));
        }
        (_, Call::Function(function)) => {
            put("function", json!(function.signature()));
            put("args", Json::Object(function.to_json()));
        }
        (_, Call::Unknown(Some(selector))) => put("selector", json!(selector)),
        (_, Call::Unknown(None) | Call::Create | Call::Transfer) => {}
    }
    if let Some(success) = tx.tx.receipt.as_ref().and_then(|receipt| receipt.success) {
        put("success", json!(success));
    }
    if let Some(reason) = tx.revert_reason {
        put("revert_reason", json!(reason));
    }
}

fn args_json(params: &[wk_chain::abi::ParamSpec], values: &[Value]) -> Json {
    let fields = params.iter().zip(values);
    let fields: Map<String, Json> =
        fields.map(|(param, value)| (param.name.to_string(), to_json(value))).collect();
    Json::Object(fields)
}
