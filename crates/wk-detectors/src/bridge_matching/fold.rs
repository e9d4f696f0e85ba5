//! The fold over both chains' blocks: what was paid in, what was paid out, and what is told of it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use alloy_primitives::{Address, B256};
use wk_model::{BlockRef, BlockTime, Height};

use super::bucket::{Bucket, Reason};
use super::flag::{Flag, Outcome, Withdrawal};
use super::{BridgeConfig, BridgeEvent, Place, Side};

/// What is valid, in the form that the fold uses.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Counterpart of each source token on the target chain.
    pub tokens: HashMap<Address, Address>,
    /// Least age of a deposit when it is released.
    pub finality: Duration,
    /// How far the source may be past a release for a late deposit to count still.
    pub late: Duration,
    /// Largest share of the amount that the bridge keeps, in millionths.
    pub max_fee_ppm: u32,
    /// How long deposits that were not released are kept.
    pub keep: Duration,
}

impl Rules {
    /// The rules of a bridge's settings; a fee outside of 0–1 is cut to that range.
    pub fn of(config: &BridgeConfig) -> Rules {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut to range")]
        let max_fee_ppm = (config.max_fee.clamp(0.0, 1.0) * 1e6).round() as u32;
        Rules {
            tokens: config.tokens.iter().map(|pair| (pair.source, pair.target)).collect(),
            finality: config.finality.0,
            late: config.late.0,
            max_fee_ppm,
            keep: config.keep.0,
        }
    }
}

/// Bounds of what is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Deposits and releases in all; about 300 bytes each.
    pub events: usize,
    /// Deposits, and releases, of one id, or of one token and beneficiary.
    pub bucket: usize,
    /// Blocks of each chain that can be reverted, when nobody says what is final.
    pub blocks: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { events: 1_000_000, bucket: 1_024, blocks: 100_000 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Id(B256),
    Party(Address, Option<Address>),
}

#[derive(Debug)]
struct SeenBlock {
    block: BlockRef,
    time: BlockTime,
    events: Vec<(Key, Place)>,
}

#[derive(Debug, Default)]
struct Chain {
    /// Blocks that can be reverted, lowest first.
    blocks: VecDeque<SeenBlock>,
    /// Time of the newest block that cannot.
    settled: Option<BlockTime>,
    /// Height up to which no block can be reverted.
    finalized: Option<Height>,
    /// Time of the oldest block that cannot be reverted.
    settled_since: Option<BlockTime>,
}

impl Chain {
    fn since(&self) -> Option<BlockTime> {
        let oldest = self.blocks.front().map(|seen| seen.time);
        match (self.settled_since, oldest) {
            (Some(settled), Some(oldest)) => Some(settled.min(oldest)),
            (settled, oldest) => settled.or(oldest),
        }
    }

    fn until(&self) -> Option<BlockTime> {
        self.blocks.back().map(|seen| seen.time).max(self.settled)
    }
}

/// Holds releases against deposits. Feed it each chain's blocks in order; the two chains may be as
/// far apart as they are.
#[derive(Debug)]
pub struct Matching {
    rules: Rules,
    limits: Limits,
    source: Chain,
    target: Chain,
    buckets: HashMap<Key, Bucket>,
    /// Releases that are flagged and may still be withdrawn, by their time.
    flagged: BTreeSet<(Place, Key)>,
    /// All deposits that are kept, by their time.
    deposits: BTreeSet<(Place, Key)>,
    /// Pairs whose deposit and release are known, by the release's time.
    matched: BTreeSet<(Place, Key)>,
    /// Time of the newest deposit that was forgotten without a release.
    forgotten: Option<BlockTime>,
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> std::cmp::Ordering {
        let parts = |key: &Key| match key {
            Key::Id(id) => (*id, Address::ZERO, None),
            Key::Party(beneficiary, token) => (B256::ZERO, *beneficiary, *token),
        };
        parts(self).cmp(&parts(other))
    }
}

impl Matching {
    /// A fold that has seen nothing.
    pub fn new(rules: Rules, limits: Limits) -> Matching {
        Matching {
            rules,
            limits,
            source: Chain::default(),
            target: Chain::default(),
            buckets: HashMap::new(),
            flagged: BTreeSet::new(),
            deposits: BTreeSet::new(),
            matched: BTreeSet::new(),
            forgotten: None,
        }
    }

    /// A block of one side with what was paid in (source) or out (target) in it. A block that is
    /// known already changes nothing.
    pub fn block(
        &mut self,
        side: Side,
        block: BlockRef,
        time: BlockTime,
        events: &[BridgeEvent],
    ) -> Vec<Outcome> {
        let chain = self.chain(side);
        if chain.blocks.iter().rev().take(256).any(|seen| seen.block == block) {
            return Vec::new();
        }
        let before = (chain.since(), chain.until());
        let mut keys = Vec::new();
        let mut touched: Vec<Key> = Vec::new();
        for event in events {
            let key = self.key(event, side);
            let bucket = self.buckets.entry(key).or_default();
            let (held, added) = match side {
                Side::Source => (bucket.deposits.len(), bucket.add_deposit(*event)),
                Side::Target => (bucket.releases.len(), bucket.add_release(*event)),
            };
            if !added {
                continue;
            }
            keys.push((key, event.place));
            if side == Side::Source {
                self.deposits.insert((event.place, key));
            }
            if held >= self.limits.bucket {
                self.thin(side, key);
            }
            touched.push(key);
        }
        touched.sort_unstable();
        touched.dedup();
        let chain = self.chain(side);
        chain.blocks.push_back(SeenBlock { block, time, events: keys });
        let after = (chain.since(), chain.until());
        let mut outcomes = Vec::new();
        for key in touched {
            let fresh = if side == Side::Target { Some(block) } else { None };
            self.rejudge(key, fresh, &mut outcomes);
        }
        if side == Side::Source {
            self.source_moved(before, after, &mut outcomes);
        }
        self.prune();
        outcomes
    }

    /// A block of one side never happened.
    pub fn revert(&mut self, side: Side, block: &BlockRef) -> Vec<Outcome> {
        let chain = self.chain(side);
        let before = (chain.since(), chain.until());
        let Some(at) = chain.blocks.iter().rposition(|seen| seen.block == *block) else {
            return Vec::new();
        };
        let seen = chain.blocks.remove(at).expect("its place was just found");
        let after = (chain.since(), chain.until());
        let mut outcomes = Vec::new();
        let mut touched = Vec::new();
        for (key, place) in seen.events {
            let Some(bucket) = self.buckets.get_mut(&key) else { continue };
            match side {
                Side::Source => {
                    bucket.deposits.retain(|deposit| deposit.place != place);
                    self.deposits.remove(&(place, key));
                }
                Side::Target => {
                    let gone = bucket.releases.iter().position(|j| j.release.place == place);
                    if let Some(gone) = gone {
                        let judged = bucket.releases.remove(gone);
                        self.matched.remove(&(place, key));
                        if self.flagged.remove(&(place, key)) {
                            let release = judged.release;
                            outcomes.push(withdrawn(release, None));
                        }
                    }
                }
            }
            touched.push(key);
        }
        touched.sort_unstable();
        touched.dedup();
        for key in touched {
            self.rejudge(key, None, &mut outcomes);
        }
        if side == Side::Source {
            self.source_moved(before, after, &mut outcomes);
        }
        outcomes
    }

    /// Blocks of one side up to a height cannot be reverted any more.
    pub fn finalized(&mut self, side: Side, height: Height) {
        let chain = self.chain(side);
        chain.finalized = chain.finalized.max(Some(height));
        while chain.blocks.front().is_some_and(|seen| seen.block.height <= height) {
            chain.settle_front();
        }
        self.prune();
    }

    /// Releases that are told to be invalid and may still be withdrawn, oldest first.
    pub fn flags(&self) -> impl Iterator<Item = Flag> {
        self.flagged.iter().filter_map(|(place, key)| self.flag(key, *place))
    }

    /// Deposits and releases that are remembered.
    pub fn len(&self) -> usize {
        self.deposits.len() + self.flagged.len() + self.matched.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Deposits that were not released yet.
    pub fn open_deposits(&self) -> usize {
        self.deposits.len().saturating_sub(self.matched.len())
    }

    fn chain(&mut self, side: Side) -> &mut Chain {
        match side {
            Side::Source => &mut self.source,
            Side::Target => &mut self.target,
        }
    }

    fn key(&self, event: &BridgeEvent, side: Side) -> Key {
        let moved = &event.moved;
        if let Some(id) = moved.id {
            return Key::Id(id);
        }
        // Both sides must come to the same: the token on the target chain.
        let token = match side {
            Side::Target => moved.token,
            Side::Source => moved
                .other_token
                .or_else(|| moved.token.and_then(|token| self.rules.tokens.get(&token).copied())),
        };
        let comparable = moved.other_token.is_some() || !self.rules.tokens.is_empty();
        Key::Party(moved.beneficiary, if comparable { token } else { None })
    }

    /// Judges a bucket again and tells what changed. Releases of the block `fresh` were not told of.
    fn rejudge(&mut self, key: Key, fresh: Option<BlockRef>, outcomes: &mut Vec<Outcome>) {
        let Some(bucket) = self.buckets.get_mut(&key) else { return };
        if bucket.is_empty() {
            self.buckets.remove(&key);
            return;
        }
        let verdicts = bucket.judge(&self.rules);
        let mut told = Vec::new();
        for (judged, verdict) in bucket.releases.iter_mut().zip(verdicts) {
            let (place, release) = (judged.release.place, judged.release);
            let new = fresh == Some(place.block);
            match (&verdict, new || judged.verdict != verdict) {
                (_, false) => {}
                (Ok(deposit), true) => {
                    self.matched.insert((place, key));
                    if self.flagged.remove(&(place, key)) {
                        outcomes.push(withdrawn(release, Some(*deposit)));
                    }
                }
                (Err(_), true) => {
                    self.matched.remove(&(place, key));
                    self.flagged.insert((place, key));
                    told.push(place);
                }
            }
            judged.verdict = verdict;
        }
        for place in told {
            let flag = self.flag(&key, place).expect("it was flagged just now");
            outcomes.push(Outcome::Flagged(Box::new(flag)));
        }
    }

    fn flag(&self, key: &Key, place: Place) -> Option<Flag> {
        let bucket = self.buckets.get(key)?;
        let judged = bucket.releases.iter().find(|judged| judged.release.place == place)?;
        let Err(reason) = &judged.verdict else { return None };
        let needed = place.time.0.saturating_sub(self.rules.finality.as_secs());
        let behind = self.source.until().is_none_or(|until| until.0 < needed);
        // A wrong twin of the same id, or a used one, needs no deposit that we might have missed.
        let missing = **reason == Reason::NoDeposit
            && (self.forgotten.is_some()
                || self.source.since().is_none_or(|since| since.0 > needed));
        Some(Flag {
            release: judged.release,
            reason: Reason::clone(reason),
            certain: !behind && !missing,
            needs_source_until: BlockTime(needed),
            deposits_may_be_missing: missing,
        })
    }

    /// The source chain is known up to another time: what could not be certain may be so now, or no
    /// longer.
    fn source_moved(
        &mut self,
        (since, before): (Option<BlockTime>, Option<BlockTime>),
        (since_after, after): (Option<BlockTime>, Option<BlockTime>),
        outcomes: &mut Vec<Outcome>,
    ) {
        let needs = |time: Option<BlockTime>| {
            time.map_or(0, |time| time.0.saturating_add(self.rules.finality.as_secs()))
        };
        let (low, high) = (needs(before.min(after)), needs(before.max(after)));
        // How far back it is known bears on all of them.
        let (from, to) = match since == since_after {
            true if low == high => return,
            true => (low.saturating_add(1), high),
            false => (0, u64::MAX),
        };
        let told: Vec<Flag> = self
            .flagged
            .range((first_at(from), Key::Id(B256::ZERO))..)
            .take_while(|(place, _)| place.time.0 <= to)
            .filter_map(|(place, key)| self.flag(key, *place))
            .collect();
        for flag in told {
            // What was told just now for another reason is not told twice.
            let known = outcomes
                .iter()
                .any(|outcome| matches!(outcome, Outcome::Flagged(other) if **other == flag));
            if !known {
                outcomes.push(Outcome::Flagged(Box::new(flag)));
            }
        }
    }

    /// Forgets what can no longer change anything, and the oldest beyond the limits.
    fn prune(&mut self) {
        for side in [Side::Source, Side::Target] {
            let most = self.limits.blocks;
            let chain = self.chain(side);
            while chain.blocks.len() > most {
                chain.settle_front();
            }
        }
        let Some(until) = self.source.until() else { return };
        // A pair is of no more use when neither side can be reverted.
        while let Some((place, key)) = self.matched.first().copied() {
            if !self.target.is_final(&place.block) {
                break;
            }
            let pair = self.buckets.get(&key).and_then(|bucket| {
                let judged = bucket.releases.iter().find(|j| j.release.place == place)?;
                judged.verdict.as_ref().ok().copied()
            });
            if pair.is_some_and(|deposit| !self.source.is_final(&deposit.block)) {
                break;
            }
            self.matched.pop_first();
            self.drop_release(key, place);
            if let Some(deposit) = pair {
                self.drop_deposit(key, deposit);
            }
        }
        let late = self.rules.late.as_secs();
        while let Some((place, key)) = self.flagged.first().copied() {
            let over = self.flagged.len() > self.limits.events;
            let settled =
                place.time.0.saturating_add(late) < until.0 && self.target.is_final(&place.block);
            if !over && !settled {
                break;
            }
            self.flagged.pop_first();
            self.drop_release(key, place);
        }
        while let Some((place, key)) = self.deposits.first().copied() {
            let over = self.len() > self.limits.events;
            let old = place.time.0.saturating_add(self.rules.keep.as_secs()) < until.0
                && self.source.is_final(&place.block);
            if !over && !old {
                break;
            }
            self.forget(key, place);
        }
    }

    /// Takes the oldest out of a bucket that has too many.
    fn thin(&mut self, side: Side, key: Key) {
        let Some(bucket) = self.buckets.get(&key) else { return };
        match side {
            Side::Source => {
                if let Some(place) = bucket.deposits.first().map(|deposit| deposit.place) {
                    self.forget(key, place);
                }
            }
            Side::Target => {
                if let Some(place) = bucket.releases.first().map(|j| j.release.place) {
                    self.flagged.remove(&(place, key));
                    self.matched.remove(&(place, key));
                    self.drop_release(key, place);
                }
            }
        }
    }

    fn forget(&mut self, key: Key, place: Place) {
        let used = self.buckets.get(&key).and_then(|bucket| {
            bucket.releases.iter().find(|j| j.verdict == Ok(place)).map(|j| j.release.place)
        });
        match used {
            // Its release goes along: on its own it would look forged.
            Some(release) => {
                self.matched.remove(&(release, key));
                self.drop_release(key, release);
            }
            None => self.forgotten = self.forgotten.max(Some(place.time)),
        }
        self.drop_deposit(key, place);
    }

    fn drop_deposit(&mut self, key: Key, place: Place) {
        self.deposits.remove(&(place, key));
        if let Some(bucket) = self.buckets.get_mut(&key) {
            bucket.deposits.retain(|deposit| deposit.place != place);
            if bucket.is_empty() {
                self.buckets.remove(&key);
            }
        }
    }

    fn drop_release(&mut self, key: Key, place: Place) {
        if let Some(bucket) = self.buckets.get_mut(&key) {
            bucket.releases.retain(|judged| judged.release.place != place);
            if bucket.is_empty() {
                self.buckets.remove(&key);
            }
        }
    }
}

impl Chain {
    fn settle_front(&mut self) {
        if let Some(seen) = self.blocks.pop_front() {
            self.settled_since =
                Some(self.settled_since.map_or(seen.time, |since| since.min(seen.time)));
            self.settled = self.settled.max(Some(seen.time));
            self.finalized = self.finalized.max(Some(seen.block.height));
        }
    }

    fn is_final(&self, block: &BlockRef) -> bool {
        self.finalized.is_some_and(|height| block.height <= height)
    }
}

fn withdrawn(release: BridgeEvent, deposit: Option<Place>) -> Outcome {
    Outcome::Withdrawn(Box::new(Withdrawal { release, deposit }))
}

/// The lowest place that an event of a time can have.
fn first_at(time: u64) -> Place {
    let block = BlockRef { height: Height(0), hash: B256::ZERO };
    Place { time: BlockTime(time), block, log_index: 0, tx: B256::ZERO }
}
