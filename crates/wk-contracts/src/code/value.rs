//! What is known of a word while code is walked through.

use std::ops::BitOr;

use alloy_primitives::U256;

use super::asm::op;

/// Where a word comes from: any number of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Taint(u8);

impl Taint {
    pub(super) const NONE: Taint = Taint(0);
    /// The call's data.
    pub(super) const CALLDATA: Taint = Taint(1);
    /// Who calls.
    pub(super) const CALLER: Taint = Taint(2);
    /// Who sent the transaction.
    pub(super) const ORIGIN: Taint = Taint(4);
    /// Storage, transient storage included.
    pub(super) const STORAGE: Taint = Taint(8);
    /// What another contract answered.
    pub(super) const ANSWER: Taint = Taint(16);
    /// Decides by who calls, or by a signature: a comparison of the caller with something that the
    /// contract knows, a look-up by caller, or an answer about the caller.
    pub(super) const AUTH: Taint = Taint(32);
    /// Compares the transaction's sender with something that the contract knows.
    pub(super) const ORIGIN_CHECK: Taint = Taint(64);

    pub(super) fn has(self, other: Taint) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is left of a word's origins when it is hashed: nobody chooses a hash.
    pub(super) fn hashed(self) -> Taint {
        Taint(self.0 & !(Taint::CALLDATA.0))
    }
}

impl BitOr for Taint {
    type Output = Taint;

    fn bitor(self, other: Taint) -> Taint {
        Taint(self.0 | other.0)
    }
}

/// What a word is, where more than its origin is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing more; copies of one word have the same number, so that a branch on one tells of all.
    /// Zero is no number.
    Unknown(u32),
    /// One exactly when the unknown word with this number is zero.
    IsZero(u32),
    /// This number.
    Known(U256),
    /// An unknown number plus this many: a place in memory that was made at run time.
    Pointer { base: u32, offset: i64 },
    /// Begins with the selector of a function that the code chose itself.
    Selected(u32),
    /// The first word of the call's data.
    FirstWord,
    /// The call's selector.
    Selector,
    /// One exactly when the selector is this.
    IsSelector(u32),
    /// One exactly when the selector is not this.
    IsNotSelector(u32),
}

/// A word of the stack or of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) kind: Kind,
    pub(super) taint: Taint,
}

impl Word {
    pub(super) fn known(value: U256) -> Word {
        Word { kind: Kind::Known(value), taint: Taint::NONE }
    }

    pub(super) fn from(taint: Taint) -> Word {
        Word { kind: Kind::Unknown(0), taint }
    }

    pub(super) fn value(self) -> Option<U256> {
        match self.kind {
            Kind::Known(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn small(self) -> Option<usize> {
        self.value().and_then(|value| usize::try_from(value).ok())
    }

    pub(super) fn is(self, taint: Taint) -> bool {
        self.taint.has(taint)
    }
}

/// The place in memory that a word names.
pub(super) fn cell(at: Word) -> Option<(u32, i64)> {
    match at.kind {
        Kind::Known(value) => i64::try_from(value).ok().map(|offset| (0, offset)),
        Kind::Pointer { base, offset } => Some((base, offset)),
        _ => None,
    }
}

pub(super) fn add(a: Word, b: Word, minus: bool) -> Word {
    let taint = a.taint | b.taint;
    let kind = match (a.kind, b.kind) {
        (Kind::Known(a), Kind::Known(b)) => {
            Kind::Known(if minus { a.wrapping_sub(b) } else { a.wrapping_add(b) })
        }
        (Kind::Pointer { base, offset }, Kind::Known(by)) => moved(base, offset, by, minus),
        (Kind::Known(by), Kind::Pointer { base, offset }) if !minus => {
            moved(base, offset, by, false)
        }
        _ => Kind::Unknown(0),
    };
    // `owner - caller` is a comparison too.
    if minus && kind == Kind::Unknown(0) { compare(a, b, false) } else { Word { kind, taint } }
}

fn moved(base: u32, offset: i64, by: U256, minus: bool) -> Kind {
    match i64::try_from(by)
        .ok()
        .and_then(|by| if minus { offset.checked_sub(by) } else { offset.checked_add(by) })
    {
        Some(offset) => Kind::Pointer { base, offset },
        None => Kind::Unknown(0),
    }
}

/// `a == b`, or for other than `equal` something that is zero exactly then.
pub(super) fn compare(a: Word, b: Word, equal: bool) -> Word {
    let mut taint = a.taint | b.taint;
    // What the contract knows: storage, a constant that is not nothing, an answer.
    let knows = |word: Word| {
        word.is(Taint::STORAGE)
            || word.is(Taint::ANSWER)
            || word.value().is_some_and(|value| value > U256::from(u16::MAX))
    };
    let signed =
        a.is(Taint::ANSWER) && b.is(Taint::STORAGE) || b.is(Taint::ANSWER) && a.is(Taint::STORAGE);
    if (a.is(Taint::CALLER) && knows(b)) || (b.is(Taint::CALLER) && knows(a)) || signed {
        taint = taint | Taint::AUTH;
    }
    if (a.is(Taint::ORIGIN) && knows(b)) || (b.is(Taint::ORIGIN) && knows(a)) {
        taint = taint | Taint::ORIGIN_CHECK;
    }
    let selector = |one: Word, other: Word| match (one.kind, other.value()) {
        (Kind::Selector, Some(value)) => u32::try_from(value).ok(),
        _ => None,
    };
    let kind = match (a.value(), b.value(), selector(a, b).or_else(|| selector(b, a))) {
        (Some(a), Some(b), _) => Kind::Known(if equal { U256::from(a == b) } else { a ^ b }),
        (_, _, Some(selector)) if equal => Kind::IsSelector(selector),
        (_, _, Some(selector)) => Kind::IsNotSelector(selector),
        _ => Kind::Unknown(0),
    };
    Word { kind, taint }
}

pub(super) fn combine(opcode: u8, a: Word, b: Word) -> Word {
    let taint = a.taint | b.taint;
    let shift_of_selector = U256::from(224u32);
    let selector_divisor = U256::ONE << 224;
    let kind = match (opcode, a.kind, b.kind) {
        (op::AND | op::OR, Kind::Selected(selector), _)
        | (op::AND | op::OR, _, Kind::Selected(selector)) => Kind::Selected(selector),
        (op::SHR, Kind::Known(by), Kind::FirstWord) if by == shift_of_selector => Kind::Selector,
        (op::DIV, Kind::FirstWord, Kind::Known(by)) if by == selector_divisor => Kind::Selector,
        (op::AND, Kind::Selector, _) | (op::AND, Kind::Known(_), Kind::Selector) => Kind::Selector,
        (_, Kind::Known(a), Kind::Known(b)) => Kind::Known(match opcode {
            op::AND => a & b,
            op::OR => a | b,
            op::LT => U256::from(a < b),
            op::GT => U256::from(a > b),
            op::SHL => shifted(a, b, true),
            op::SHR => shifted(a, b, false),
            op::DIV if !b.is_zero() => a / b,
            op::DIV => U256::ZERO,
            _ => return Word::from(taint),
        }),
        (op::AND | op::OR, Kind::Known(value), Kind::Unknown(_))
        | (op::AND | op::OR, Kind::Unknown(_), Kind::Known(value))
            if chosen(value).is_some() =>
        {
            Kind::Selected(chosen(value).unwrap_or_default())
        }
        // Rounding a place up or down to words keeps it; so does cutting an address to size.
        (op::AND, pointer @ Kind::Pointer { .. }, _)
        | (op::AND, Kind::Known(_), pointer @ Kind::Pointer { .. }) => pointer,
        _ => Kind::Unknown(0),
    };
    Word { kind, taint }
}

fn shifted(by: U256, value: U256, left: bool) -> U256 {
    match usize::try_from(by) {
        Ok(by) if by < 256 && left => value << by,
        Ok(by) if by < 256 => value >> by,
        _ => U256::ZERO,
    }
}

/// The selector that a word consists of, when it is nothing else, and no mask.
fn chosen(value: U256) -> Option<u32> {
    let selector = u32::try_from(value >> 224u32).ok()?;
    let rest = value << 32u32;
    (selector != 0 && selector != u32::MAX && rest.is_zero()).then_some(selector)
}
