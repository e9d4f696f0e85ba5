//! How good findings are, held against what is known of the transactions: recall, precision, false
//! alarms, lead time.
//!
//! Labels are a JSON list of objects; `tx` names the transaction and `labels` its classes, `name`,
//! `attacker` and `victim` are used where given, all else is ignored. Transactions that no label
//! names count as harmless: with incomplete labels, what is called a false alarm may be none.

use std::collections::{BTreeMap, HashMap, HashSet};

use alloy_primitives::{Address, B256};
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;
use wk_model::Severity;

/// Bytes of a list of labels.
pub const MAX_LABELS: usize = 256 << 20;
/// False alarms that are named.
const MAX_NAMED: usize = 100;

/// What is known of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Label {
    /// The transaction.
    pub tx: B256,
    /// Its classes; an empty list says that it is known to be harmless.
    pub labels: Vec<String>,
    /// What people call it.
    #[serde(default)]
    pub name: Option<String>,
    /// Who did it. What the same account did before counts for the lead time.
    #[serde(default, deserialize_with = "lenient")]
    pub attacker: Option<Address>,
}

/// The list of labels cannot be used.
#[derive(Debug, Error)]
pub enum LabelsError {
    /// It is too long.
    #[error("the labels are {0} bytes long; {MAX_LABELS} are read")]
    Long(usize),
    /// It is no list of labels.
    #[error("the labels cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

/// Reads a list of labels.
///
/// # Errors
/// When it is too long, or no such list.
pub fn read_labels(text: &[u8]) -> Result<Vec<Label>, LabelsError> {
    if text.len() > MAX_LABELS {
        return Err(LabelsError::Long(text.len()));
    }
    Ok(serde_json::from_slice(text)?)
}

/// An address, or nothing where the list has something else.
fn lenient<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_str().and_then(|text| text.parse().ok()))
}

/// A transaction that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Which.
    pub tx: Option<B256>,
    /// Who sent it.
    pub sender: Option<Address>,
    /// Its block's height, where known.
    pub block: Option<u64>,
    /// Its block's time in seconds since the Unix epoch, where known.
    pub time: Option<u64>,
    /// Class and severity of what was found in it.
    pub findings: Vec<(String, Severity)>,
}

/// How many of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ratio {
    /// Those that count.
    pub of: u64,
    /// All.
    pub all: u64,
}

impl Ratio {
    fn add(&mut self, counts: bool) {
        self.of += u64::from(counts);
        self.all += 1;
    }

    /// From 0 to 1; none of nothing.
    pub fn share(self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        (self.all > 0).then(|| self.of as f64 / self.all as f64)
    }
}

/// How one class did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassScore {
    /// Transactions of this class in which it was found.
    pub recall: Ratio,
    /// Transactions in which it was found that are of this class.
    pub precision: Ratio,
}

/// How early an attack was seen coming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// The attack, by name or transaction.
    pub name: String,
    /// Blocks from the first finding about the attacker to the attack.
    pub blocks: Option<u64>,
    /// Seconds between their blocks.
    pub seconds: Option<u64>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scorecard {
    /// Transactions that were looked at.
    pub transactions: u64,
    /// Labels whose transaction was not looked at.
    pub missing: u64,
    /// Attacks in which anything was found.
    pub recall: Ratio,
    /// Attacks with a finding of P0 or P1.
    pub urgent_recall: Ratio,
    /// Attacks with a finding of one of their classes.
    pub right_class: Ratio,
    /// Transactions with a finding that are attacks.
    pub precision: Ratio,
    /// Transactions with a P0 or P1 that are attacks.
    pub urgent_precision: Ratio,
    /// Harmless transactions with any finding.
    pub false_alarms: Ratio,
    /// Harmless transactions with a P0 or P1.
    pub urgent_false_alarms: Ratio,
    /// By class.
    pub classes: BTreeMap<String, ClassScore>,
    /// Attacks in which nothing was found.
    pub missed: Vec<String>,
    /// Harmless transactions with a P0 or P1, at most a hundred.
    pub accused: Vec<B256>,
    /// Attacks whose attacker was found out before, where heights or times are known.
    pub leads: Vec<Lead>,
}

/// Holds findings against labels, transaction by transaction, oldest first.
#[derive(Clone, Debug)]
pub struct Scorer {
    labels: HashMap<B256, Label>,
    seen: HashSet<B256>,
    attackers: HashSet<Address>,
    first: HashMap<Address, (Option<u64>, Option<u64>)>,
    card: Scorecard,
}

impl Scorer {
    /// A scorer that holds these labels; several of one transaction are put together.
    pub fn new(labels: Vec<Label>) -> Scorer {
        let mut by_tx: HashMap<B256, Label> = HashMap::new();
        for label in labels {
            match by_tx.get_mut(&label.tx) {
                Some(known) => known.labels.extend(label.labels),
                None => {
                    by_tx.insert(label.tx, label);
                }
            }
        }
        let attackers = by_tx.values().filter_map(|label| label.attacker).collect();
        Scorer {
            labels: by_tx,
            seen: HashSet::new(),
            attackers,
            first: HashMap::new(),
            card: Scorecard::default(),
        }
    }

    /// Adds a transaction. One that was added before is not counted again.
    pub fn add(&mut self, looked: &Looked) {
        if looked.tx.is_some_and(|tx| self.labels.contains_key(&tx) && !self.seen.insert(tx)) {
            return;
        }
        let found = !looked.findings.is_empty();
        let urgent = looked.findings.iter().any(|(_, severity)| *severity <= Severity::P1);
        let label = looked.tx.and_then(|tx| self.labels.get(&tx));
        let classes: &[String] = label.map_or(&[], |label| &label.labels);
        let attack = !classes.is_empty();
        let card = &mut self.card;
        card.transactions += 1;
        if attack {
            card.recall.add(found);
            card.urgent_recall.add(urgent);
            let right = |(class, _): &(String, Severity)| classes.contains(class);
            card.right_class.add(looked.findings.iter().any(right));
        } else {
            card.false_alarms.add(found);
            card.urgent_false_alarms.add(urgent);
            if let Some(tx) = looked.tx.filter(|_| urgent && card.accused.len() < MAX_NAMED) {
                card.accused.push(tx);
            }
        }
        if found {
            card.precision.add(attack);
        }
        if urgent {
            card.urgent_precision.add(attack);
        }
        let mut named: Vec<&String> = looked.findings.iter().map(|(class, _)| class).collect();
        named.sort();
        named.dedup();
        for class in &named {
            card.classes
                .entry((*class).clone())
                .or_default()
                .precision
                .add(classes.contains(class));
        }
        let mut own: Vec<&String> = classes.iter().collect();
        own.sort();
        own.dedup();
        for class in own {
            let has = named.contains(&class);
            card.classes.entry(class.clone()).or_default().recall.add(has);
        }
        if let Some(label) = label.filter(|_| attack) {
            let name = label.name.clone().unwrap_or_else(|| format!("{:#x}", label.tx));
            if !found {
                card.missed.push(name.clone());
            }
            let attacker = label.attacker.or(looked.sender);
            if let Some((block, time)) = attacker.and_then(|attacker| self.first.get(&attacker)) {
                let since =
                    |then: &Option<u64>, now: Option<u64>| Some(now?.saturating_sub((*then)?));
                let lead = Lead {
                    name,
                    blocks: since(block, looked.block),
                    seconds: since(time, looked.time),
                };
                if lead.blocks.is_some() || lead.seconds.is_some() {
                    card.leads.push(lead);
                }
            }
        }
        if let Some(sender) =
            looked.sender.filter(|sender| found && self.attackers.contains(sender))
        {
            self.first.entry(sender).or_insert((looked.block, looked.time));
        }
    }

    /// What came of it.
    pub fn finish(mut self) -> Scorecard {
        let missing = self.labels.len() - self.seen.len();
        self.card.missing = missing as u64;
        self.card
    }
}

impl Scorecard {
    /// As JSON: shares from 0 to 1, false alarms per 1,000 harmless transactions.
    pub fn to_json(&self) -> Value {
        let shown =
            |ratio: Ratio| json!({"of": ratio.of, "all": ratio.all, "share": ratio.share()});
        let per_1000 = |ratio: Ratio| ratio.share().map(|share| share * 1_000.0);
        let classes: BTreeMap<&str, Value> = self
            .classes
            .iter()
            .map(|(class, score)| {
                let value =
                    json!({"recall": shown(score.recall), "precision": shown(score.precision)});
                (class.as_str(), value)
            })
            .collect();
        let leads: Vec<Value> = self
            .leads
            .iter()
            .map(|lead| json!({"name": lead.name, "blocks": lead.blocks, "seconds": lead.seconds}))
            .collect();
        json!({
            "transactions": self.transactions,
            "labels_without_transaction": self.missing,
            "recall": shown(self.recall),
            "urgent_recall": shown(self.urgent_recall),
            "right_class": shown(self.right_class),
            "precision": shown(self.precision),
            "urgent_precision": shown(self.urgent_precision),
            "false_positives_per_1000": per_1000(self.false_alarms),
            "urgent_false_positives_per_1000": per_1000(self.urgent_false_alarms),
            "classes": classes,
            "missed": self.missed,
            "accused": self.accused,
            "leads": leads,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(tx: u8, sender: u8, block: u64, findings: &[(&str, Severity)]) -> Looked {
        Looked {
            tx: Some(B256::repeat_byte(tx)),
            sender: Some(Address::repeat_byte(sender)),
            block: Some(block),
            time: Some(block * 12),
            findings: findings
                .iter()
                .map(|(class, severity)| ((*class).to_owned(), *severity))
                .collect(),
        }
    }

    #[test]
    fn findings_are_held_against_labels() {
        let tx = |n: u8| format!("{:#x}", B256::repeat_byte(n));
        let labels = json!([
            {"tx": tx(1), "labels": ["reentrancy"], "name": "one", "attacker": Address::repeat_byte(7), "more": 1},
            {"tx": tx(2), "labels": ["bridge", "governance"], "attacker": "unknown"},
            {"tx": tx(3), "labels": ["bridge"], "name": "three"},
            {"tx": tx(4), "labels": []},
            {"tx": tx(9), "labels": ["bridge"]},
        ]);
        let mut scorer = Scorer::new(read_labels(labels.to_string().as_bytes()).unwrap());
        for one in [
            looked(8, 7, 10, &[("access_control", Severity::P2)]),
            looked(1, 7, 15, &[("reentrancy", Severity::P0), ("reentrancy", Severity::P2)]),
            looked(1, 7, 15, &[]),
            looked(2, 6, 16, &[("reentrancy", Severity::P2)]),
            looked(3, 6, 17, &[]),
            looked(4, 6, 18, &[("bridge", Severity::P1)]),
            looked(5, 5, 19, &[]),
            Looked::default(),
        ] {
            scorer.add(&one);
        }
        let card = scorer.finish();
        let ratio = |of, all| Ratio { of, all };
        assert_eq!((card.transactions, card.missing), (7, 1));
        assert_eq!(card.recall, ratio(2, 3));
        assert_eq!(card.urgent_recall, ratio(1, 3));
        assert_eq!(card.right_class, ratio(1, 3));
        assert_eq!(card.precision, ratio(2, 4));
        assert_eq!(card.urgent_precision, ratio(1, 2));
        assert_eq!(card.false_alarms, ratio(2, 4));
        assert_eq!(card.urgent_false_alarms, ratio(1, 4));
        assert_eq!(card.classes["reentrancy"].recall, ratio(1, 1));
        assert_eq!(card.classes["reentrancy"].precision, ratio(1, 2));
        assert_eq!(card.classes["bridge"].recall, ratio(0, 2));
        assert_eq!(card.missed, ["three"]);
        assert_eq!(card.accused, [B256::repeat_byte(4)]);
        assert_eq!(
            card.leads,
            [Lead { name: "one".to_owned(), blocks: Some(5), seconds: Some(60) }]
        );
        assert_eq!(card.to_json()["false_positives_per_1000"], 500.0);
    }

    #[test]
    fn faulty_labels_are_refused() {
        for text in ["", "{}", "[{}]", "[{\"tx\": \"0x1\", \"labels\": []}]"] {
            assert!(read_labels(text.as_bytes()).is_err(), "{text}");
        }
    }
}
