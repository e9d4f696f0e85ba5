//! What rules remember between blocks: matches, values read, silences told. All of it is tied to
//! blocks, so that a revert takes it away again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use wk_model::{
    BlockRef, BlockTime, ChainName, EntryKind, Height, Timestamp, WindowEntry, WindowKey,
};

use crate::cel::Int;
use crate::series::{Item, Match, Series};

/// What all rules remember. Nothing in it is derived from anything but entries, so that what is
/// restored from entries, or left after a revert, is what would have come of the same blocks.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    rules: HashMap<Arc<str>, HashMap<ChainName, RuleMemory>>,
    /// Since when a probe's answers are bad, by rule. Not kept over a restart: the trouble then
    /// has to last anew.
    pub(crate) troubles: HashMap<Arc<str>, Timestamp>,
}

/// What one rule remembers of one chain.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleMemory {
    pub(crate) matches: HashMap<Arc<str>, Series>,
    /// Values read, silences told and the start, by key.
    pub(crate) marks: BTreeMap<Arc<str>, Vec<Mark>>,
    /// Matches of all keys.
    pub(crate) total: usize,
}

/// A value that was read, a silence that was told, or the start. At most one per block and key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    pub(crate) block: BlockRef,
    pub(crate) time: BlockTime,
    pub(crate) kind: EntryKind,
    pub(crate) value: Json,
}

/// Entries of a rule that nothing can need any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forget {
    /// The rule's id.
    pub rule: String,
    /// Entries of blocks from before this time.
    pub before: BlockTime,
}

impl Memory {
    /// What these entries tell, in whatever order they come. Entries that cannot be understood,
    /// such as those of a newer version, are passed over.
    pub fn restore(entries: Vec<WindowEntry>) -> Memory {
        let mut memory = Memory::default();
        for entry in entries {
            let WindowEntry { window, block, time, ordinal, kind, value } = entry;
            let WindowKey { rule, chain, key } = window;
            let own = memory.rule(&rule.into(), &chain);
            match kind {
                EntryKind::Match => {
                    if let Some(entry) = match_of(block, time, ordinal, &value) {
                        own.insert(&key, entry);
                    }
                }
                EntryKind::State | EntryKind::Start => {
                    own.mark(&key, Mark { block, time, kind, value });
                }
            }
        }
        memory
    }

    /// Everything that is remembered, in no order.
    pub fn entries(&self) -> Vec<WindowEntry> {
        let mut entries = Vec::new();
        for (rule, chains) in &self.rules {
            for (chain, own) in chains {
                for (key, series) in &own.matches {
                    entries.extend(series.iter().map(|entry| match_entry(rule, chain, key, entry)));
                }
                for (key, marks) in &own.marks {
                    entries.extend(marks.iter().map(|mark| mark_entry(rule, chain, key, mark)));
                }
            }
        }
        entries
    }

    /// Takes away what came from a block that is no longer part of the chain.
    pub fn revert(&mut self, chain: &ChainName, block: &BlockRef) {
        for own in self.rules.values_mut().filter_map(|chains| chains.get_mut(chain)) {
            let mut gone = 0;
            own.matches.retain(|_, series| {
                gone += series.remove(block);
                !series.is_empty()
            });
            own.total -= gone;
            own.marks.retain(|_, marks| {
                marks.retain(|mark| mark.block != *block);
                !marks.is_empty()
            });
        }
    }

    /// Forgets the rules that are not among `rules`.
    pub fn keep_rules<'a>(&mut self, rules: impl IntoIterator<Item = &'a str>) {
        let kept: std::collections::HashSet<&str> = rules.into_iter().collect();
        self.rules.retain(|rule, _| kept.contains(&**rule));
        self.troubles.retain(|rule, _| kept.contains(&**rule));
    }

    /// Number of matches and values that are remembered.
    pub fn len(&self) -> usize {
        let marks = |own: &RuleMemory| own.marks.values().map(Vec::len).sum::<usize>();
        self.rules.values().flat_map(HashMap::values).map(|own| own.total + marks(own)).sum()
    }

    /// True when nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn rule(&mut self, rule: &Arc<str>, chain: &ChainName) -> &mut RuleMemory {
        if !self.rules.contains_key(rule) {
            self.rules.insert(Arc::clone(rule), HashMap::new());
        }
        let chains = self.rules.get_mut(rule).expect("it was added if it was missing");
        if !chains.contains_key(chain) {
            chains.insert(chain.clone(), RuleMemory::default());
        }
        chains.get_mut(chain).expect("it was added if it was missing")
    }

    pub(crate) fn known(&mut self, rule: &str, chain: &ChainName) -> Option<&mut RuleMemory> {
        self.rules.get_mut(rule)?.get_mut(chain)
    }
}

impl RuleMemory {
    /// Puts a match at its place; returns its index among those of its key.
    pub(crate) fn insert(&mut self, key: &str, entry: Match) -> usize {
        if !self.matches.contains_key(key) {
            self.matches.insert(key.into(), Series::default());
        }
        let series = self.matches.get_mut(key).expect("it was added if it was missing");
        let (index, is_new) = series.insert(entry);
        self.total += usize::from(is_new);
        index
    }

    /// Puts a mark at its place, over one that is there already.
    pub(crate) fn mark(&mut self, key: &str, mark: Mark) {
        let marks = self.marks.entry(key.into()).or_default();
        let place = marks.partition_point(|other| other.block.height < mark.block.height);
        match marks.get_mut(place).filter(|other| other.block.height == mark.block.height) {
            Some(same) => *same = mark,
            None => marks.insert(place, mark),
        }
    }

    /// The newest mark of a kind in a block below `height`.
    pub(crate) fn mark_below(&self, key: &str, kind: EntryKind, height: Height) -> Option<&Mark> {
        let marks = self.marks.get(key)?;
        let end = marks.partition_point(|mark| mark.block.height < height);
        marks[..end].iter().rev().find(|mark| mark.kind == kind)
    }

    /// Of each key and kind keeps the newest mark at or below `floor`, and what is above it.
    pub(crate) fn prune_marks(&mut self, floor: Height) {
        for marks in self.marks.values_mut() {
            let until = marks.partition_point(|mark| mark.block.height <= floor);
            let mut newest = [EntryKind::State, EntryKind::Start]
                .map(|kind| marks[..until].iter().rposition(|mark| mark.kind == kind));
            newest.sort();
            let mut index = 0;
            marks.retain(|_| {
                let kept = index >= until || newest.contains(&Some(index));
                index += 1;
                kept
            });
        }
    }

    /// The time of the oldest entry that a store has to keep. Starts are kept anyway.
    pub(crate) fn oldest(&self) -> Option<BlockTime> {
        let matches = self.matches.values().flat_map(|series| series.iter().map(|m| m.time).min());
        let marks = self.marks.values().flatten().filter(|mark| mark.kind == EntryKind::State);
        matches.chain(marks.map(|mark| mark.time)).min()
    }
}

/// A match as it is stored.
pub(crate) fn match_entry(rule: &str, chain: &ChainName, key: &str, entry: &Match) -> WindowEntry {
    let mut value = json!({"met": entry.met});
    match &entry.item {
        Item::None => {}
        Item::Int(number) => value["int"] = json!(number.to_string()),
        Item::Text(text) => value["text"] = json!(text),
    }
    if entry.fired {
        value["fired"] = json!(true);
    }
    WindowEntry {
        window: WindowKey { rule: rule.to_owned(), chain: chain.clone(), key: key.to_owned() },
        block: entry.block,
        time: entry.time,
        ordinal: entry.ordinal,
        kind: EntryKind::Match,
        value,
    }
}

fn match_of(block: BlockRef, time: BlockTime, ordinal: u64, value: &Json) -> Option<Match> {
    let item = match (value.get("int"), value.get("text")) {
        (Some(number), _) => Item::Int(int(number.as_str()?)?),
        (None, Some(text)) => Item::Text(text.as_str()?.into()),
        (None, None) => Item::None,
    };
    let flag = |name: &str| value.get(name).and_then(Json::as_bool).unwrap_or(false);
    Some(Match { block, time, ordinal, item, met: flag("met"), fired: flag("fired") })
}

fn int(text: &str) -> Option<Int> {
    match text.strip_prefix('-') {
        Some(digits) => Some(-Int::from_digits(digits)?),
        None => Int::from_digits(text),
    }
}

/// A mark as it is stored. Matches have ordinals from 1 on, so a mark's 0 is its own.
pub(crate) fn mark_entry(rule: &str, chain: &ChainName, key: &str, mark: &Mark) -> WindowEntry {
    WindowEntry {
        window: WindowKey { rule: rule.to_owned(), chain: chain.clone(), key: key.to_owned() },
        block: mark.block,
        time: mark.time,
        ordinal: 0,
        kind: mark.kind,
        value: mark.value.clone(),
    }
}
