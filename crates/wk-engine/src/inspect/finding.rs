//! From what a detector says of a transaction to a finding that people can read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};
use wk_chain::abi::Decoder;
use wk_detectors::{Case, Class, Config, Evidence, TxFinding};
use wk_model::{
    Address, AssetId, B256, BlockLink, ChainName, ChainPosition, Finding, FindingId, Source,
    Timestamp, U256,
};
use wk_trace::{Asset, FrameKind, Party, TxTrace};

use super::look::LookedAt;
use super::tokens::{Tokens, shown};

/// Losers that are named.
const MOST_LOSSES: usize = 5;
/// Calls that are shown.
const MOST_FRAMES: usize = 12;
/// Watched contracts that are named.
const MOST_CONTRACTS: usize = 10;
/// From this on, in percent, a detector is sure enough to be quoted without a "possible".
const SURE: u8 = 80;

/// Where and by whose settings a transaction is looked at.
pub(crate) struct Place<'a> {
    pub(crate) chain: &'a ChainName,
    /// The block; none while there is none yet.
    pub(crate) link: Option<BlockLink>,
    /// What told of the calls.
    pub(crate) source: &'a str,
    pub(crate) decoder: &'a Decoder,
    pub(crate) tokens: &'a Tokens,
    pub(crate) config: &'a Config,
    pub(crate) explorer: Option<&'a str>,
    pub(crate) now: Timestamp,
}

/// Something that somebody lost.
struct Loss {
    party: Party,
    asset: Asset,
    amount: U256,
}

/// Tokens that the findings of a transaction speak of.
pub(crate) fn tokens_of(looked: &LookedAt) -> BTreeSet<Address> {
    if looked.report.findings.is_empty() {
        return BTreeSet::new();
    }
    let trace = &looked.trace;
    let case = Case::new(trace);
    let losses = losses(trace, &case).into_iter().map(|loss| loss.asset);
    let gains = case.gains().iter().map(|(asset, _)| *asset);
    let token = |asset: Asset| match asset {
        Asset::Native => None,
        Asset::Token(token) => Some(trace.address(token)),
    };
    losses.chain(gains).filter_map(token).collect()
}

/// Whether any contract of the chain is watched.
pub(super) fn is_any_watched(decoder: &Decoder, chain: &ChainName) -> bool {
    decoder.contracts().any(|contract| contract.chain == *chain)
}

/// Whether a transaction concerns a watched contract: one takes part, or is named as a victim before
/// it does.
pub(crate) fn concerns_watched(decoder: &Decoder, chain: &ChainName, looked: &LookedAt) -> bool {
    let named = |said: &TxFinding| named_victim(&said.evidence);
    !watched(decoder, chain, &looked.trace).is_empty()
        || looked
            .report
            .findings
            .iter()
            .filter_map(named)
            .any(|victim| decoder.contract(chain, &victim).is_some())
}

pub(super) fn named_victim(said: &Evidence) -> Option<Address> {
    said.get("victim").and_then(Value::as_str)?.parse().ok()
}

/// Watched contracts that take part in a transaction.
pub(crate) fn watched(
    decoder: &Decoder,
    chain: &ChainName,
    trace: &TxTrace,
) -> Vec<(Party, std::sync::Arc<wk_chain::abi::Contract>)> {
    let contract = |party: Party| {
        let contract = decoder.contract(chain, &trace.address(party))?;
        Some((party, std::sync::Arc::clone(contract)))
    };
    trace.parties().filter_map(contract).collect()
}

/// All findings of a transaction, each detector's surest one of each class.
pub(crate) fn findings(place: &Place<'_>, looked: &LookedAt) -> Vec<Finding> {
    let LookedAt { trace, report } = looked;
    let Some(hash) = trace.hash.filter(|_| !report.findings.is_empty()) else { return Vec::new() };
    let case = Case::new(trace);
    let view = View { place, trace, case: &case, hash, labels: &report.labels };
    let mut told: Vec<(&str, Class)> = Vec::new();
    let mut findings = Vec::new();
    for found in &report.findings {
        if told.contains(&(found.detector, found.class)) {
            continue;
        }
        let first = told.iter().all(|(detector, _)| *detector != found.detector);
        told.push((found.detector, found.class));
        findings.push(view.finding(found, first));
    }
    findings
}

struct View<'a> {
    place: &'a Place<'a>,
    trace: &'a TxTrace,
    case: &'a Case<'a>,
    hash: B256,
    labels: &'a [&'static str],
}

impl View<'_> {
    /// What a detector says, for the first time or beside what it said before.
    fn finding(&self, found: &TxFinding, first: bool) -> Finding {
        let Place { chain, link, source, decoder, config, explorer, now, .. } = self.place;
        let TxFinding { detector, class, severity, confidence, evidence: said } = found;
        let takes_part = watched(decoder, chain, self.trace);
        let losses = losses(self.trace, self.case);
        let victim = self.victim(said, &losses);
        // A victim may be named before it takes any part.
        let victim_contract = victim.and_then(|address| decoder.contract(chain, &address));
        let mut contracts: Vec<_> = takes_part.iter().map(|(_, contract)| contract).collect();
        if let Some(contract) = victim_contract
            && !contracts.iter().any(|other| other.name == contract.name)
        {
            contracts.push(contract);
        }
        let mut evidence: BTreeMap<String, Value> =
            said.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut put = |name: &str, value: Value| evidence.insert(name.to_owned(), value);
        put("tx", json!(self.hash));
        if let Some(link) = link {
            put("block", json!(link.block.height.0));
        }
        put("sender", json!(hex(self.trace.address(self.trace.sender))));
        put("target", json!(self.trace.target.map(|target| hex(self.trace.address(target)))));
        put("traces", json!(source));
        put("frames", json!(self.frames(said)));
        let won: Vec<String> =
            self.case.gains().iter().take(8).map(|(a, n)| self.amount(*a, *n)).collect();
        put("won", json!(won));
        let lost = losses.iter().take(MOST_LOSSES).map(|loss| {
            json!({
                "account": hex(self.trace.address(loss.party)),
                "name": self.name(loss.party),
                "asset": self.asset(loss.asset),
                "amount": loss.amount.to_string(),
                "shown": self.amount(loss.asset, loss.amount),
            })
        });
        put("losses", lost.collect());
        if !self.labels.is_empty() {
            put("kind_of_transaction", json!(self.labels));
        }
        if let Some(explorer) = explorer {
            put("link", json!(format!("{}/tx/{}", explorer.trim_end_matches('/'), self.hash)));
        }
        if !contracts.is_empty() {
            let names = contracts.iter().take(MOST_CONTRACTS);
            put("contracts", names.map(|contract| contract.name.to_string()).collect());
        }
        let asset = match (victim, victim_contract.or(contracts.first().copied())) {
            (_, Some(contract)) => AssetId::contract(chain, &contract.name),
            (Some(victim), None) => AssetId::contract(chain, hex(victim)),
            (None, None) => match self.trace.target {
                Some(target) => AssetId::contract(chain, hex(self.trace.address(target))),
                None => AssetId::chain(chain),
            },
        };
        // The first contract named has the last word.
        let labels = contracts.iter().rev().flat_map(|contract| (*contract.labels).clone());
        Finding {
            id: id(chain, &self.hash, detector, (!first).then_some(*class)),
            source: Source::Detector((*detector).to_owned()),
            severity: *severity,
            confidence: *confidence,
            class: class.name().to_owned(),
            asset,
            title: self.title(found, victim, &losses),
            evidence,
            labels: labels.collect(),
            position: link.map(|link| ChainPosition {
                chain: (*chain).clone(),
                block: link.block,
                time: link.time,
                tx: Some(self.hash),
                log_index: None,
            }),
            deliver: config.deliver,
            notify: config.notify.0.clone(),
            seen_at: *now,
        }
    }

    /// What attack, on whom, who lost how much, and in whose transaction.
    fn title(&self, found: &TxFinding, victim: Option<Address>, losses: &[Loss]) -> String {
        let words = found.class.name().replace('_', " ");
        let mut title: String = if found.confidence.0 >= SURE {
            let mut letters = words.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters).collect()
        } else {
            format!("Possible {words}")
        };
        let (what, preposition) = match found.class {
            // Worth a look, and no attack by themselves.
            Class::FundFlow | Class::ProxyUpgrade | Class::UnusualUse => ("", "at"),
            // Words that say it all.
            Class::AttackContract | Class::KeyCompromise | Class::Phishing | Class::RugPull => {
                ("", "against")
            }
            _ => (" attack", "against"),
        };
        title.push_str(what);
        if let Some(victim) = victim {
            let _ = write!(title, " {preposition} {}", self.name_at(victim));
        }
        let is_victim = |loss: &Loss| Some(self.trace.address(loss.party)) == victim;
        let loss = losses.iter().find(|loss| is_victim(loss)).or(losses.first());
        if let Some(loss) = loss {
            let whose = if is_victim(loss) { "it".to_owned() } else { self.name(loss.party) };
            let _ = write!(title, ": {whose} lost {}", self.amount(loss.asset, loss.amount));
        }
        if let Some((asset, amount)) = self.case.gains().first() {
            let comma = if loss.is_some() { "," } else { ":" };
            let sender = self.name(self.trace.sender);
            let _ = write!(title, "{comma} {sender} won {}", self.amount(*asset, *amount));
        }
        title
    }

    /// Whom the detector names, else who lost.
    fn victim(&self, said: &Evidence, losses: &[Loss]) -> Option<Address> {
        let lost = losses.first().map(|loss| self.trace.address(loss.party));
        let Place { chain, decoder, .. } = self.place;
        let known = |address: &Address| {
            self.trace.party(address).is_some() || decoder.contract(chain, address).is_some()
        };
        named_victim(said).filter(known).or(lost)
    }

    fn name(&self, party: Party) -> String {
        self.name_at(self.trace.address(party))
    }

    /// A watched contract's name, else the address.
    fn name_at(&self, address: Address) -> String {
        let Place { chain, decoder, .. } = self.place;
        decoder.contract(chain, &address).map_or_else(|| hex(address), |c| c.name.to_string())
    }

    fn asset(&self, asset: Asset) -> String {
        match asset {
            Asset::Native => "native".to_owned(),
            Asset::Token(token) => hex(self.trace.address(token)),
        }
    }

    fn amount(&self, asset: Asset, amount: U256) -> String {
        let token = match asset {
            Asset::Native => return format!("{} native coins", shown(amount, 18)),
            Asset::Token(token) => token,
        };
        match self.place.tokens.get(&self.trace.address(token)) {
            Some(known) => format!("{} {}", shown(amount, known.decimals), known.symbol),
            None => format!("{amount} units of {}", self.name(token)),
        }
    }

    /// The calls that the detector points at with those around them, else the first ones.
    fn frames(&self, said: &wk_detectors::Evidence) -> Vec<String> {
        let frames = &self.trace.frames;
        let mut chosen: BTreeSet<u32> = BTreeSet::new();
        let pointed = said.iter().filter(|(name, _)| name.ends_with("frame"));
        for at in pointed.filter_map(|(_, value)| u32::try_from(value.as_u64()?).ok()) {
            if (at as usize) < frames.len() {
                chosen.insert(at);
                chosen.extend(self.trace.ancestors(at).map(|(at, _)| at));
            }
        }
        if chosen.is_empty() {
            let outer = (0..).zip(frames).filter(|(_, frame)| frame.depth <= 1);
            chosen.extend(outer.map(|(at, _)| at));
        }
        chosen.into_iter().take(MOST_FRAMES).map(|at| self.frame(at)).collect()
    }

    fn frame(&self, at: u32) -> String {
        let frame = &self.trace.frames[at as usize];
        let kind = match frame.kind {
            FrameKind::Call => "calls",
            FrameKind::StaticCall => "asks",
            FrameKind::Delegate => "runs the code of",
            FrameKind::Create => "creates",
            FrameKind::SelfDestruct => "destructs itself for",
        };
        let (from, to) = (self.name(frame.from), self.name(frame.code));
        let mut text = format!("#{at} depth {}: {from} {kind} {to}", frame.depth);
        let selector = self.trace.selector(frame);
        if selector != 0 {
            let _ = write!(text, " 0x{selector:08x}");
        }
        if !frame.value.is_zero() {
            let _ = write!(text, " with {}", self.amount(Asset::Native, frame.value));
        }
        if frame.reverted {
            text.push_str(", reverted");
        }
        text
    }
}

/// The same transaction and detector give the same name, in whatever block: a finding that comes back
/// after a reorg is known. What a detector says besides is named after its class, too.
fn id(chain: &ChainName, tx: &B256, detector: &str, besides: Option<Class>) -> FindingId {
    let (detector, chain) = (detector.as_bytes(), chain.as_str().as_bytes());
    match besides {
        None => FindingId::of(&[b"detector", detector, chain, tx.as_slice()]),
        Some(class) => {
            let class = class.name().as_bytes();
            FindingId::of(&[b"detector", detector, class, chain, tx.as_slice()])
        }
    }
}

/// Who lost what, those who won nothing first; without the sender's side.
fn losses(trace: &TxTrace, case: &Case<'_>) -> Vec<Loss> {
    let mut losses: Vec<(bool, Loss)> = Vec::new();
    for change in trace.balance_changes() {
        let address = trace.address(change.party);
        if change.sent <= change.received || case.wins(change.party) || address.is_zero() {
            continue;
        }
        let amount = change.sent - change.received;
        let traded = !case.only_lost(change.party);
        losses.push((traded, Loss { party: change.party, asset: change.asset, amount }));
    }
    losses.sort_by_key(|(traded, _)| *traded);
    losses.into_iter().map(|(_, loss)| loss).collect()
}

fn hex(address: Address) -> String {
    format!("{address:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_findings_never_change() {
        let chain = ChainName::new("mainnet");
        let tx = B256::repeat_byte(7);
        let first = id(&chain, &tx, "instant_profit", None);
        assert_eq!(first.to_string(), "aa77c6d35d98200f3a79ef9f89041e77");
        let besides = id(&chain, &tx, "instant_profit", Some(Class::Randomness));
        assert_eq!(besides.to_string(), "3dd943378a57d319188d848f0a977d8f");
        assert_ne!(besides, id(&chain, &tx, "instant_profit", Some(Class::BusinessLogic)));
    }
}
