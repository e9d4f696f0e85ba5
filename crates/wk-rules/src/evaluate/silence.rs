//! Rules with `absent`: fire when nothing matched for a while, once per silence.

use serde_json::{Value as Json, json};
use wk_model::{BlockTime, EntryKind, Height};

use super::Run;
use super::findings::Subject;
use crate::memory::{Mark, mark_entry, match_entry};
use crate::rule::Rule;
use crate::series::{Item, Match};
use crate::view::View;

impl Run<'_> {
    /// Notes that something matched.
    pub(super) fn remember_sign_of_life(&mut self, rule: &Rule, ordinal: u64) {
        let header = &self.input.block.header;
        let entry = Match {
            block: header.block_ref(),
            time: header.time,
            ordinal,
            item: Item::None,
            met: false,
            fired: false,
        };
        let own = self.memory.rule(&rule.id, self.input.chain);
        // One sign of life per block is enough, and keeps a busy contract cheap.
        let newest = own.matches.get("").and_then(|series| series.last_until(header.height));
        if newest.is_some_and(|newest| newest.block == entry.block && newest.ordinal < ordinal) {
            return;
        }
        self.out.entries.push(match_entry(&rule.id, self.input.chain, "", &entry));
        own.insert("", entry);
    }

    /// Fires in the block in which the silence is longer than the rule allows for the first time.
    ///
    /// Silence counts in the chain's own time, from the last match or from the first block that
    /// the rule saw. Across blocks that were not looked at nothing is said.
    pub(super) fn silence(&mut self, rule: &Rule) {
        let Some(absent) = rule.absent else { return };
        let chain = self.input.chain;
        let header = &self.input.block.header;
        let (height, now) = (header.height, header.time);
        let own = self.memory.rule(&rule.id, chain);
        let last = own.matches.get("").and_then(|series| series.last_until(height));
        let last: Option<(Height, BlockTime)> = last.map(|last| (last.block.height, last.time));
        let start = own.mark_below("", EntryKind::Start, height.next());
        let start = start.map(|start| (start.block.height, start.time));
        let has_started = own.marks.get("").is_some_and(|marks| !marks.is_empty());
        if start.is_none() && !has_started {
            let mark = Mark {
                block: header.block_ref(),
                time: now,
                kind: EntryKind::Start,
                value: Json::Null,
            };
            self.out.entries.push(mark_entry(&rule.id, chain, "", &mark));
            own.mark("", mark);
            return;
        }
        // The later of the two, by height.
        let Some((since, since_time)) = last.max(start) else { return };
        let silence = now.since(since_time);
        let told = own.mark_below("", EntryKind::State, height);
        let is_told = told.is_some_and(|told| told.block.height > since);
        let has_hole = self.input.holes.iter().any(|(from, to)| *to > since && *from < height);
        if silence <= absent || is_told || has_hole {
            return;
        }
        let mark = Mark {
            block: header.block_ref(),
            time: now,
            kind: EntryKind::State,
            value: json!({"silent_since": since.0}),
        };
        self.out.entries.push(mark_entry(&rule.id, chain, "", &mark));
        own.mark("", mark);
        let last_time = last.map(|(_, time)| time.to_timestamp());
        let view = View {
            slots: &rule.title_slots,
            silence: Some((silence, last_time)),
            ..self.view(rule)
        };
        self.fire(rule, &view, &Subject::Silence, 0, "");
    }
}
