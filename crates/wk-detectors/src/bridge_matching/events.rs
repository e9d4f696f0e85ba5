//! Reads deposits and releases out of a block's logs.

use std::collections::HashSet;

use alloy_json_abi::{Event, EventParam};
use alloy_primitives::{Address, B256, U256};
use thiserror::Error;
use wk_model::evm::{Block, Log};

use super::{BridgeConfig, BridgeEvent, EventConfig, Moved, Place};

/// Why the definition of an event cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EventError {
    /// The text is no event.
    #[error("`{event}` is no event: {reason}")]
    NoEvent {
        /// The text.
        event: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It has no parameter of that name.
    #[error("`{event}` has no parameter `{name}`")]
    NoParam {
        /// The event's name.
        event: String,
        /// The name.
        name: String,
    },
    /// The parameter is not one word, or lies behind one that is not.
    #[error("parameter `{name}` of `{event}` is of type {kind}, which is not read here")]
    NotAWord {
        /// The event's name.
        event: String,
        /// The parameter.
        name: String,
        /// Its type, or that of the one before it.
        kind: String,
    },
    /// Only one side has an id, so that nothing would ever match.
    #[error("the event of one side has an id and that of the other has none")]
    OneId,
}

impl BridgeConfig {
    /// Readers of what is paid in on the source and out on the target.
    ///
    /// # Errors
    /// When one of the events cannot be read, or when they cannot be matched.
    pub fn readers(&self) -> Result<(BridgeReader, BridgeReader), EventError> {
        let deposit = self.source.event.clone().unwrap_or_else(|| self.kind.deposit());
        let release = self.target.event.clone().unwrap_or_else(|| self.kind.release());
        let has_id = |event: &EventConfig| event.id.is_some() || event.id_from.is_some();
        if has_id(&deposit) != has_id(&release) {
            return Err(EventError::OneId);
        }
        Ok((
            BridgeReader::new(self.source.contracts.iter().copied(), &deposit)?,
            BridgeReader::new(self.target.contracts.iter().copied(), &release)?,
        ))
    }
}

/// Where in a log a parameter lies.
#[derive(Clone, Copy, Debug)]
enum Word {
    Topic(usize),
    Data(usize),
}

#[derive(Clone, Debug)]
struct IdReader {
    contracts: HashSet<Address>,
    topic: B256,
    topics: usize,
    word: Word,
}

/// Reads one kind of event of some contracts.
#[derive(Clone, Debug)]
pub struct BridgeReader {
    contracts: HashSet<Address>,
    topic: B256,
    topics: usize,
    id: Option<Word>,
    id_from: Option<IdReader>,
    id_mask: U256,
    token: Option<Word>,
    other_token: Option<Word>,
    amount: Word,
    beneficiary: Word,
}

impl BridgeReader {
    /// Makes a reader of an event of given contracts.
    ///
    /// # Errors
    /// When the event or one of its parameters does not exist or cannot be read.
    pub fn new(
        contracts: impl IntoIterator<Item = Address>,
        config: &EventConfig,
    ) -> Result<BridgeReader, EventError> {
        let event = parse(&config.event)?;
        let optional =
            |name: &Option<String>| name.as_ref().map(|name| word(&event, name)).transpose();
        let id_from = match &config.id_from {
            None => None,
            Some(from) => {
                let event = parse(&from.event)?;
                Some(IdReader {
                    contracts: from.contracts.iter().copied().collect(),
                    topic: event.selector(),
                    topics: topics(&event),
                    word: word(&event, &from.param)?,
                })
            }
        };
        Ok(BridgeReader {
            contracts: contracts.into_iter().collect(),
            topic: event.selector(),
            topics: topics(&event),
            id: optional(&config.id)?,
            id_from,
            id_mask: match config.id_bits {
                Some(bits) if bits < 256 => (U256::ONE << usize::from(bits)) - U256::ONE,
                _ => U256::MAX,
            },
            token: optional(&config.token)?,
            other_token: optional(&config.other_token)?,
            amount: word(&event, &config.amount)?,
            beneficiary: word(&event, &config.beneficiary)?,
        })
    }

    /// The events of a block, in order. Logs that are too short for their event are no events.
    pub fn read(&self, block: &Block) -> Vec<BridgeEvent> {
        let mut events = Vec::new();
        for transaction in &block.transactions {
            let logs = transaction.logs();
            // Ids that were given to an event already.
            let mut used = HashSet::new();
            for (at, log) in logs.iter().enumerate() {
                if !self.contracts.contains(&log.address)
                    || log.topics.first() != Some(&self.topic)
                    || log.topics.len() != self.topics
                {
                    continue;
                }
                let Some(moved) = self.moved(logs, at, &mut used) else { continue };
                let place = Place {
                    time: block.header.time,
                    block: block.header.block_ref(),
                    log_index: log.index,
                    tx: transaction.hash,
                };
                events.push(BridgeEvent { place, moved });
            }
        }
        events
    }

    fn moved(&self, logs: &[Log], at: usize, used: &mut HashSet<usize>) -> Option<Moved> {
        let log = &logs[at];
        let address = |word: Word| get(log, word).map(|word| Address::from_slice(&word[12..]));
        let id = match (&self.id, &self.id_from) {
            (Some(word), _) => Some(get(log, *word)?),
            (None, Some(reader)) => reader.nearest(logs, at, used),
            (None, None) => None,
        };
        let id = id.map(|id| B256::from(U256::from_be_bytes(id.0) & self.id_mask));
        Some(Moved {
            id,
            token: self.token.and_then(address),
            other_token: self.other_token.and_then(address),
            amount: U256::from_be_bytes(get(log, self.amount)?.0),
            beneficiary: address(self.beneficiary)?,
        })
    }
}

impl IdReader {
    fn nearest(&self, logs: &[Log], at: usize, used: &mut HashSet<usize>) -> Option<B256> {
        let (near, log) = logs
            .iter()
            .enumerate()
            .filter(|(place, log)| {
                log.topics.first() == Some(&self.topic)
                    && log.topics.len() == self.topics
                    && (self.contracts.is_empty() || self.contracts.contains(&log.address))
                    && !used.contains(place)
            })
            .min_by_key(|(place, _)| place.abs_diff(at))?;
        used.insert(near);
        get(log, self.word)
    }
}

fn get(log: &Log, word: Word) -> Option<B256> {
    match word {
        Word::Topic(at) => log.topics.get(at).copied(),
        Word::Data(at) => log.data.get(at * 32..at * 32 + 32).map(B256::from_slice),
    }
}

fn parse(text: &str) -> Result<Event, EventError> {
    let whole = match text.trim().strip_prefix("event ") {
        Some(_) => text.trim().to_owned(),
        None => format!("event {}", text.trim()),
    };
    Event::parse(&whole)
        .map_err(|error| EventError::NoEvent { event: text.to_owned(), reason: error.to_string() })
}

fn topics(event: &Event) -> usize {
    1 + event.inputs.iter().filter(|param| param.indexed).count()
}

fn word(event: &Event, name: &str) -> Result<Word, EventError> {
    let not_a_word = |param: &EventParam| EventError::NotAWord {
        event: event.name.clone(),
        name: name.to_owned(),
        kind: param.ty.clone(),
    };
    let (mut topic, mut data) = (1, 0);
    for param in &event.inputs {
        if param.name == name {
            // Indexed strings and arrays leave only their hash, which is no amount or account.
            let plain = !param.ty.contains(['[', '(']) && !matches!(&*param.ty, "bytes" | "string");
            return match (plain, param.indexed) {
                (false, _) => Err(not_a_word(param)),
                (true, true) => Ok(Word::Topic(topic)),
                (true, false) => Ok(Word::Data(data)),
            };
        }
        if param.indexed {
            topic += 1;
        } else if param.ty.starts_with("tuple")
            || (param.ty.contains('[') && !param.ty.ends_with("[]"))
        {
            // Its size is not one word, so what follows lies elsewhere.
            return Err(not_a_word(param));
        } else {
            data += 1;
        }
    }
    Err(EventError::NoParam { event: event.name.clone(), name: name.to_owned() })
}
