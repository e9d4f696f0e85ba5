//! Walks through code with words whose origin is known instead of their value, and notes what it
//! comes to.
//!
//! Every branch whose condition is not known is taken both ways. A place is visited once per
//! function, set of checks passed and return addresses on the stack, so that loops end; all steps
//! together are bounded, and [`Walked::complete`] says whether the bound was met.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use alloy_primitives::U256;

use super::asm::{arity, jump_destinations, op, push_len};
use super::known::KNOWN;
use super::value::{Kind, Taint, Word, add, cell, combine, compare};

/// Words of memory that one path knows.
const MAX_CELLS: usize = 256;
/// Ways that wait to be walked; with the cells, some twenty megabytes.
const MAX_WAITING: usize = 1_024;
/// The machine's own limit of its stack.
const STACK: usize = 1_024;
/// Events of one way that are kept.
const MAX_PENDING: usize = 64;

/// Something that the code can come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Event {
    /// `DELEGATECALL` or `CALLCODE` to an address from the call's data.
    DelegateToGiven,
    /// A call whose target and whole data come from the call's data.
    ArbitraryCall,
    /// A branch that compares `ORIGIN` with what the contract knows.
    OriginCheck,
    /// `SELFDESTRUCT`.
    SelfDestruct,
    /// `CREATE2` of code from the call's data.
    CreateGiven,
    /// `SSTORE` in a function that sets up, with nothing asked before.
    UnguardedSetup,
}

/// How the way to an event was guarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Guard {
    /// Somebody asked who calls.
    pub(super) caller: bool,
    /// Somebody asked storage.
    pub(super) storage: bool,
}

/// What the walk came to.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Events with where, in which function (none: before any is told apart, or in the fallback)
    /// and how guarded; the least guarded way counts.
    pub(super) events: BTreeMap<(Event, usize, Option<u32>), Guard>,
    /// Selectors that the code compares the call's with.
    pub(super) selectors: BTreeSet<u32>,
    /// Selectors that it calls others with.
    pub(super) calls: BTreeSet<u32>,
    /// Whether every way was walked to its end.
    pub(super) complete: bool,
    /// Instructions walked.
    pub(super) steps: usize,
}

#[derive(Clone)]
struct State {
    at: usize,
    stack: Vec<Word>,
    memory: HashMap<(u32, i64), Word>,
    /// Origins of what was written to places that are not known.
    elsewhere: Taint,
    function: Option<u32>,
    guard: Guard,
    /// What was come to on this way, and counts when the way does not end in a revert.
    pending: Vec<Pending>,
    /// The last place of [`State::place`].
    last: u64,
}

/// An event with where, in which function and how guarded.
type Pending = (Event, usize, Option<u32>, Guard);

/// How a way ended.
enum End {
    /// What it did stays, as far as is seen.
    Stays,
    /// It is undone.
    Undone,
    /// It came to a place that was walked on from before.
    Joins(u64),
}

struct Walker<'c> {
    code: &'c [u8],
    jumps: Vec<bool>,
    waiting: Vec<State>,
    visited: HashSet<u64>,
    /// From which place which was come to.
    edges: Vec<(u64, u64)>,
    /// Places from which a way ended well.
    well: HashSet<u64>,
    /// What ways came to that joined others, and where.
    joined: Vec<(u64, Vec<Pending>)>,
    bases: u32,
    walked: Walked,
}

/// Walks through a code with at most so many instructions.
pub(super) fn walk(code: &[u8], most: usize) -> Walked {
    let mut walker = Walker {
        code,
        jumps: jump_destinations(code),
        waiting: vec![State {
            at: 0,
            stack: Vec::new(),
            memory: HashMap::new(),
            elsewhere: Taint::NONE,
            function: None,
            guard: Guard::default(),
            pending: Vec::new(),
            last: 0,
        }],
        visited: HashSet::new(),
        edges: Vec::new(),
        well: HashSet::new(),
        joined: Vec::new(),
        bases: 0,
        walked: Walked { complete: true, ..Walked::default() },
    };
    while let Some(state) = walker.waiting.pop() {
        if walker.walked.steps >= most || walker.waiting.len() > MAX_WAITING {
            walker.walked.complete = false;
            break;
        }
        walker.run(state, most);
    }
    walker.settle();
    walker.walked
}

impl Walker<'_> {
    /// Walks one way until it ends or was walked before. What it came to counts unless it ends in a
    /// revert, which undoes it.
    fn run(&mut self, mut state: State, most: usize) {
        match self.end_of(&mut state, most) {
            End::Undone => {}
            End::Joins(place) => {
                if !state.pending.is_empty() {
                    self.joined.push((place, state.pending));
                }
            }
            End::Stays => {
                self.well.insert(state.last);
                self.count(state.pending);
            }
        }
    }

    /// Counts what ways came to that joined others which end well.
    fn settle(&mut self) {
        let mut from: HashMap<u64, Vec<u64>> = HashMap::new();
        for (place, next) in &self.edges {
            from.entry(*next).or_default().push(*place);
        }
        let mut open: Vec<u64> = self.well.iter().copied().collect();
        while let Some(place) = open.pop() {
            for before in from.get(&place).into_iter().flatten() {
                if self.well.insert(*before) {
                    open.push(*before);
                }
            }
        }
        for (place, pending) in std::mem::take(&mut self.joined) {
            // Of a walk that was not complete nobody knows how it ends.
            if self.well.contains(&place) || !self.walked.complete {
                self.count(pending);
            }
        }
    }

    fn end_of(&mut self, state: &mut State, most: usize) -> End {
        loop {
            // Beyond the code's end everything stops well.
            let Some(&opcode) = self.code.get(state.at) else { return End::Stays };
            self.walked.steps += 1;
            if self.walked.steps >= most {
                self.walked.complete = false;
                return End::Stays;
            }
            if opcode == op::JUMPDEST {
                let place = state.place(&self.jumps);
                self.edges.push((state.last, place));
                state.last = place;
                if !self.visited.insert(place) {
                    return End::Joins(place);
                }
            }
            let Some((takes, _)) = arity(opcode) else { return End::Undone };
            if state.stack.len() < usize::from(takes) || state.stack.len() > STACK {
                return End::Undone;
            }
            match opcode {
                op::STOP | op::RETURN => return End::Stays,
                op::REVERT => return End::Undone,
                op::SELFDESTRUCT => {
                    self.note(Event::SelfDestruct, state);
                    return End::Stays;
                }
                op::JUMP => match state.pop() {
                    to if to.small().is_some_and(|to| self.is_jump(to)) => {
                        state.at = to.small().unwrap_or(state.at);
                    }
                    to if to.value().is_some() => return End::Undone,
                    // It goes on somewhere that is not known.
                    _ => {
                        self.walked.complete = false;
                        return End::Stays;
                    }
                },
                op::JUMPI => {
                    if !self.branch(state) {
                        return End::Undone;
                    }
                }
                _ => {
                    if !self.plain(state, opcode) {
                        return End::Undone;
                    }
                    if let Some(top) = state.stack.last_mut()
                        && top.kind == Kind::Unknown(0)
                    {
                        self.bases += 1;
                        top.kind = Kind::Unknown(self.bases);
                    }
                    state.at += 1 + push_len(opcode);
                }
            }
        }
    }

    fn is_jump(&self, to: usize) -> bool {
        self.jumps.get(to).copied().unwrap_or(false)
    }

    /// A branch: goes on at one side and leaves the other for later. False when both are closed.
    fn branch(&mut self, state: &mut State) -> bool {
        let to = state.pop();
        self.walked.complete &= to.value().is_some();
        let to = to.small().filter(|to| self.is_jump(*to));
        let condition = state.pop();
        if condition.is(Taint::ORIGIN_CHECK) {
            // It decides whether or not what follows is undone.
            self.count(vec![(Event::OriginCheck, state.at, state.function, state.guard)]);
        }
        state.guard.caller |= condition.is(Taint::AUTH) || condition.is(Taint::ORIGIN_CHECK);
        state.guard.storage |= condition.is(Taint::STORAGE);
        let next = state.at + 1;
        let (mut taken, mut passed) = (to.is_some(), true);
        let mut function = [state.function, state.function];
        match condition.kind {
            Kind::Known(value) => (taken, passed) = (taken && !value.is_zero(), value.is_zero()),
            Kind::IsSelector(selector) => function[0] = Some(selector),
            Kind::IsNotSelector(selector) => function[1] = Some(selector),
            _ => {}
        }
        if let Kind::IsSelector(selector) | Kind::IsNotSelector(selector) = condition.kind {
            self.walked.selectors.insert(selector);
        }
        match (taken, passed) {
            (false, false) => return false,
            (true, true) => {
                let mut other = state.clone();
                (other.at, other.function) = (next, function[1]);
                // On one of the two sides the word is zero, on the other it is not.
                match condition.kind {
                    Kind::Unknown(number) => {
                        other.is_zero(number, true);
                        state.is_zero(number, false);
                    }
                    Kind::IsZero(number) => {
                        other.is_zero(number, false);
                        state.is_zero(number, true);
                    }
                    _ => {}
                }
                self.waiting.push(other);
                (state.at, state.function) = (to.unwrap_or(next), function[0]);
            }
            (true, false) => (state.at, state.function) = (to.unwrap_or(next), function[0]),
            (false, true) => (state.at, state.function) = (next, function[1]),
        }
        true
    }

    /// An instruction that goes on to the next. False when the way ends.
    fn plain(&mut self, state: &mut State, opcode: u8) -> bool {
        match opcode {
            op::PUSH0..=op::PUSH32 => {
                let start = state.at + 1;
                let data = self.code.get(start..start + push_len(opcode)).unwrap_or(&[]);
                state.push(Word::known(U256::from_be_slice(data)));
            }
            op::DUP1..=0x8f => {
                let depth = usize::from(opcode - op::DUP1) + 1;
                let Some(at) = state.stack.len().checked_sub(depth) else { return false };
                state.push(state.stack[at]);
            }
            op::SWAP1..=0x9f => {
                let depth = usize::from(opcode - op::SWAP1) + 2;
                let Some(at) = state.stack.len().checked_sub(depth) else { return false };
                let top = state.stack.len() - 1;
                state.stack.swap(at, top);
            }
            op::ADD | op::SUB => {
                let (a, b) = (state.pop(), state.pop());
                state.push(add(a, b, opcode == op::SUB));
            }
            op::EQ | op::XOR => {
                let (a, b) = (state.pop(), state.pop());
                state.push(compare(a, b, opcode == op::EQ));
            }
            op::ISZERO => {
                let a = state.pop();
                let kind = match a.kind {
                    Kind::Known(value) => Kind::Known(U256::from(value.is_zero())),
                    Kind::IsSelector(selector) => Kind::IsNotSelector(selector),
                    Kind::IsNotSelector(selector) => Kind::IsSelector(selector),
                    Kind::Unknown(number) => Kind::IsZero(number),
                    // One exactly when the word is not zero, and so as good as the word.
                    Kind::IsZero(number) => Kind::Unknown(number),
                    _ => Kind::Unknown(0),
                };
                state.push(Word { kind, taint: a.taint });
            }
            op::LT
            | op::GT
            | op::SLT
            | op::SGT
            | op::AND
            | op::OR
            | op::DIV
            | op::SHR
            | op::SHL => {
                let (a, b) = (state.pop(), state.pop());
                state.push(combine(opcode, a, b));
            }
            op::CALLER => state.push(Word::from(Taint::CALLER)),
            op::ORIGIN => state.push(Word::from(Taint::ORIGIN)),
            op::PC => state.push(Word::known(U256::from(state.at))),
            op::CALLDATALOAD => {
                let first = state.pop().value().is_some_and(|at| at.is_zero());
                let kind = if first { Kind::FirstWord } else { Kind::Unknown(0) };
                state.push(Word { kind, taint: Taint::CALLDATA });
            }
            op::CALLDATACOPY | op::CODECOPY | op::RETURNDATACOPY | op::EXTCODECOPY | op::MCOPY => {
                if opcode == op::EXTCODECOPY {
                    state.pop();
                }
                let (to, from, len) = (state.pop(), state.pop(), state.pop());
                let taint = match opcode {
                    op::CALLDATACOPY => Taint::CALLDATA,
                    op::RETURNDATACOPY => Taint::ANSWER,
                    op::MCOPY => state.read(from, len),
                    _ => Taint::NONE,
                };
                self.store(state, to, Word::from(taint));
            }
            op::MLOAD => {
                let at = state.pop();
                let word = state.load(at);
                // What is not known may still be a place: the same one, wherever it is used.
                let word = if matches!(word.kind, Kind::Unknown(_)) {
                    self.bases += 1;
                    Word { kind: Kind::Pointer { base: self.bases, offset: 0 }, ..word }
                } else {
                    word
                };
                // Read again, it is the same.
                if let Some(cell) = cell(at) {
                    state.keep(cell, word);
                }
                state.push(word);
            }
            op::MSTORE => {
                let (to, word) = (state.pop(), state.pop());
                self.store(state, to, word);
            }
            op::SLOAD | op::TLOAD => {
                let slot = state.pop();
                // A look-up by caller decides by who calls.
                let by_caller = if slot.is(Taint::CALLER) { Taint::AUTH } else { Taint::NONE };
                state.push(Word::from(Taint::STORAGE | by_caller));
            }
            op::SSTORE => {
                let sets_up = state
                    .function
                    .is_some_and(|selector| KNOWN.initializers.contains_key(&selector));
                if sets_up && !state.guard.storage && !state.guard.caller {
                    self.note(Event::UnguardedSetup, state);
                }
                state.pop();
                state.pop();
            }
            op::KECCAK256 => {
                let (at, len) = (state.pop(), state.pop());
                let taint = state.read(at, len).hashed();
                state.push(Word::from(taint));
            }
            op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL => self.call(state, opcode),
            op::CREATE | op::CREATE2 => {
                let (_, at, len) = (state.pop(), state.pop(), state.pop());
                if opcode == op::CREATE2 {
                    state.pop();
                    if state.read(at, len).has(Taint::CALLDATA) && !state.reads_known(at) {
                        self.note(Event::CreateGiven, state);
                    }
                }
                state.push(Word::from(Taint::NONE));
            }
            op::POP => {
                state.pop();
            }
            _ => {
                let Some((takes, puts)) = arity(opcode) else { return false };
                let mut taint = Taint::NONE;
                for _ in 0..takes {
                    taint = taint | state.pop().taint;
                }
                for _ in 0..puts {
                    state.push(Word::from(taint));
                }
            }
        }
        true
    }

    fn call(&mut self, state: &mut State, opcode: u8) {
        let (_gas, target) = (state.pop(), state.pop());
        if matches!(opcode, op::CALL | op::CALLCODE) {
            state.pop();
        }
        let (at, len, out, out_len) = (state.pop(), state.pop(), state.pop(), state.pop());
        let said = state.read(at, len);
        let first = cell(at).and_then(|cell| state.memory.get(&cell).copied());
        match first.map(|word| word.kind) {
            Some(Kind::Selected(selector)) => {
                self.walked.calls.insert(selector);
            }
            Some(Kind::Known(word)) if len.small() != Some(0) => {
                let selector = u32::try_from(word >> 224u32).unwrap_or(0);
                if selector != 0 {
                    self.walked.calls.insert(selector);
                }
            }
            _ => {}
        }
        // The way by which a known function is called on a given contract, such as a token, is
        // ordinary; only data of the caller's own choice makes it do anything.
        let data_is_given = first.is_some_and(|word| {
            let chosen = matches!(word.kind, Kind::Known(_) | Kind::Selected(_));
            !chosen && word.is(Taint::CALLDATA)
        }) && len.small().is_none_or(|len| len > 4);
        let given = target.is(Taint::CALLDATA) && !target.is(Taint::STORAGE);
        match opcode {
            op::DELEGATECALL | op::CALLCODE if given => self.note(Event::DelegateToGiven, state),
            op::CALL if given && data_is_given => self.note(Event::ArbitraryCall, state),
            _ => {}
        }
        // An answer to a question about the caller, or about a signature, decides by it.
        let about = said.has(Taint::CALLER) || target.value() == Some(U256::from(1));
        let auth = if about { Taint::AUTH } else { Taint::NONE };
        let answer = Word::from(Taint::ANSWER | auth);
        if out_len.small() != Some(0) {
            self.store(state, out, answer);
        }
        state.elsewhere = state.elsewhere | auth;
        state.push(answer);
    }

    fn store(&mut self, state: &mut State, to: Word, word: Word) {
        match cell(to) {
            Some(cell) => state.keep(cell, word),
            None => state.elsewhere = state.elsewhere | word.taint,
        }
    }

    fn note(&mut self, event: Event, state: &mut State) {
        let pending = (event, state.at, state.function, state.guard);
        if state.pending.len() < MAX_PENDING && !state.pending.contains(&pending) {
            state.pending.push(pending);
        }
    }

    fn count(&mut self, pending: Vec<Pending>) {
        for (event, at, function, way) in pending {
            let guard = self
                .walked
                .events
                .entry((event, at, function))
                .or_insert(Guard { caller: true, storage: true });
            // The least guarded way is the one that an attacker takes.
            if (way.caller, way.storage) < (guard.caller, guard.storage) {
                *guard = way;
            }
        }
    }
}

impl State {
    /// From here on it is known of an unknown word, and of its copies, whether it is zero.
    fn is_zero(&mut self, number: u32, zero: bool) {
        for word in self.stack.iter_mut().filter(|_| number != 0) {
            match word.kind {
                Kind::Unknown(other) if other == number && zero => {
                    word.kind = Kind::Known(U256::ZERO);
                }
                Kind::IsZero(other) if other == number => {
                    word.kind = Kind::Known(U256::from(zero));
                }
                _ => {}
            }
        }
    }

    fn pop(&mut self) -> Word {
        // Instructions are run only when the stack has what they take.
        self.stack.pop().unwrap_or(Word::from(Taint::NONE))
    }

    fn push(&mut self, word: Word) {
        self.stack.push(word);
    }

    /// What tells one visit of a place from another.
    fn place(&self, jumps: &[bool]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.at, self.function, self.guard, self.stack.len()).hash(&mut hasher);
        for word in &self.stack {
            let returns = word.small().filter(|to| jumps.get(*to).copied().unwrap_or(false));
            returns.hash(&mut hasher);
        }
        hasher.finish()
    }

    fn load(&self, at: Word) -> Word {
        match cell(at) {
            Some(cell) => match self.memory.get(&cell) {
                Some(word) => *word,
                None => Word::from(self.elsewhere),
            },
            None => Word::from(self.elsewhere),
        }
    }

    fn keep(&mut self, cell: (u32, i64), word: Word) {
        if self.memory.len() < MAX_CELLS || self.memory.contains_key(&cell) {
            self.memory.insert(cell, word);
        } else {
            self.elsewhere = self.elsewhere | word.taint;
        }
    }

    /// Origins of what lies in a range of memory.
    fn read(&self, at: Word, len: Word) -> Taint {
        let Some((base, start)) = cell(at) else { return self.elsewhere };
        let words = len.small().map_or(16, |len| len.div_ceil(32).min(64));
        let reach = i64::try_from(words * 32).unwrap_or(i64::MAX);
        // Arguments of calls begin four bytes after a word's begin.
        (-3..reach)
            .filter_map(|by| self.memory.get(&(base, start.saturating_add(by))))
            .fold(if base == 0 { Taint::NONE } else { self.elsewhere }, |all, word| {
                all | word.taint
            })
    }

    /// Whether what begins at a place was written by the code itself.
    fn reads_known(&self, at: Word) -> bool {
        cell(at)
            .and_then(|cell| self.memory.get(&cell))
            .is_some_and(|word| !word.is(Taint::CALLDATA))
    }
}
