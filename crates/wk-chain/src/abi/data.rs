//! ABI-encoded bytes into values, with memory bounded by the length of the bytes.
//!
//! The published decoders follow every offset, so that a few kilobytes of overlapping offsets can
//! stand for gigabytes of values. Here each byte is paid for from a budget of twice the length of
//! the data: no honest encoding needs more than once.

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{Address, B256, Function, I256, U256};

use super::MAX_DEPTH;

/// Bytes of a word, the unit of the encoding.
const WORD: usize = 32;

/// How well bytes fit the types that they were read as. The better sorts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// As a compiler would have encoded the values: nothing missing, nothing left.
    Exact,
    /// Clean values, but with bytes that belong to no value, or that belong to several.
    Slack,
    /// Some value has bits set outside its type's width.
    Dirty,
}

/// Why bytes do not hold values of some types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// A value, offset or length reaches beyond the end.
    #[error("they end too early")]
    Short,
    /// Offsets overlap so much that the values would be far larger than the data.
    #[error("their offsets overlap too often")]
    Overlap,
    /// The type is nested too deeply.
    #[error("the type is nested deeper than {MAX_DEPTH} levels")]
    Depth,
}

/// Values of these types, one after the other, as arguments and event data are encoded.
pub(super) fn decode<'k>(
    kinds: impl IntoIterator<Item = &'k DynSolType>,
    data: &[u8],
) -> Result<(Vec<DynSolValue>, Fit), DataError> {
    let mut reader = Reader::new(data);
    let values = kinds.into_iter().map(|kind| reader.next(kind)).collect::<Result<_, _>>()?;
    Ok((values, reader.fit()))
}

/// Reads one value after the other.
pub(super) struct Reader<'a> {
    data: &'a [u8],
    /// Where the next value's head stands.
    head: usize,
    /// Bytes read so far; a byte that is read twice counts twice.
    used: usize,
    clean: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Reader<'a> {
        Reader { data, head: 0, used: 0, clean: true }
    }

    /// The next value.
    pub(super) fn next(&mut self, kind: &DynSolType) -> Result<DynSolValue, DataError> {
        let mut head = self.head;
        let value = self.value(kind, 0, &mut head, 0)?;
        self.head = head;
        Ok(value)
    }

    /// A value of a type that fits in a word.
    pub(super) fn word(&mut self, kind: &DynSolType, word: &B256) -> DynSolValue {
        let (value, clean) = word_value(kind, word);
        self.clean &= clean;
        value
    }

    /// How well all that was read so far fits.
    pub(super) fn fit(&self) -> Fit {
        if !self.clean {
            Fit::Dirty
        } else if self.used == self.data.len() {
            Fit::Exact
        } else {
            Fit::Slack
        }
    }

    /// The value whose head stands at `head`; offsets count from `base`.
    fn value(
        &mut self,
        kind: &DynSolType,
        base: usize,
        head: &mut usize,
        depth: usize,
    ) -> Result<DynSolValue, DataError> {
        if depth > MAX_DEPTH {
            return Err(DataError::Depth);
        }
        match kind {
            DynSolType::Bytes => {
                let bytes = self.packed(base, head)?;
                Ok(DynSolValue::Bytes(bytes.to_vec()))
            }
            DynSolType::String => {
                let bytes = self.packed(base, head)?;
                // Text on chain need not be UTF-8; what is not is shown as U+FFFD.
                Ok(DynSolValue::String(String::from_utf8_lossy(bytes).into_owned()))
            }
            DynSolType::Array(inner) => {
                let at = self.follow(base, head)?;
                let length = self.size(at)?;
                let elements = at + WORD;
                let values = self.repeat(inner, length, elements, &mut { elements }, depth)?;
                Ok(DynSolValue::Array(values))
            }
            DynSolType::FixedArray(inner, length) => {
                let values = if inner.is_dynamic() {
                    let at = self.follow(base, head)?;
                    self.repeat(inner, *length, at, &mut { at }, depth)?
                } else {
                    self.repeat(inner, *length, base, head, depth)?
                };
                Ok(DynSolValue::FixedArray(values))
            }
            DynSolType::Tuple(kinds) => {
                let values = if kind.is_dynamic() {
                    let at = self.follow(base, head)?;
                    self.each(kinds, at, &mut { at }, depth)?
                } else {
                    self.each(kinds, base, head, depth)?
                };
                Ok(DynSolValue::Tuple(values))
            }
            word_kind => {
                let word = self.take(*head)?;
                *head += WORD;
                Ok(self.word(word_kind, &word))
            }
        }
    }

    fn each(
        &mut self,
        kinds: &[DynSolType],
        base: usize,
        head: &mut usize,
        depth: usize,
    ) -> Result<Vec<DynSolValue>, DataError> {
        kinds.iter().map(|kind| self.value(kind, base, head, depth + 1)).collect()
    }

    fn repeat(
        &mut self,
        kind: &DynSolType,
        length: usize,
        base: usize,
        head: &mut usize,
        depth: usize,
    ) -> Result<Vec<DynSolValue>, DataError> {
        // Before anything is allocated: the heads of all elements must be there.
        let heads = length
            .checked_mul(kind.minimum_words().max(1))
            .and_then(|words| words.checked_mul(WORD))
            .ok_or(DataError::Short)?;
        if heads > self.data.len().saturating_sub(*head) {
            return Err(DataError::Short);
        }
        if self.used.saturating_add(heads) > self.budget() {
            return Err(DataError::Overlap);
        }
        // Grown while elements are paid for: a claimed length alone costs little, at any depth.
        let mut values = Vec::with_capacity(length.min(256));
        for _ in 0..length {
            values.push(self.value(kind, base, head, depth + 1)?);
        }
        Ok(values)
    }

    /// The bytes of a `bytes` or `string`.
    fn packed(&mut self, base: usize, head: &mut usize) -> Result<&'a [u8], DataError> {
        let at = self.follow(base, head)?;
        let length = self.size(at)?;
        let start = at + WORD;
        let end = start.checked_add(length).ok_or(DataError::Short)?;
        let bytes = self.data.get(start..end).ok_or(DataError::Short)?;
        // Some contracts leave the padding of the last value out.
        let padded = length.next_multiple_of(WORD).min(self.data.len() - start);
        self.clean &= self.data[end..start + padded].iter().all(|byte| *byte == 0);
        self.pay(padded)?;
        Ok(bytes)
    }

    /// Where the tail of a dynamic value stands.
    fn follow(&mut self, base: usize, head: &mut usize) -> Result<usize, DataError> {
        let offset = self.size(*head)?;
        *head += WORD;
        base.checked_add(offset).ok_or(DataError::Short)
    }

    /// The word at `at` as a length or an offset.
    fn size(&mut self, at: usize) -> Result<usize, DataError> {
        let word = self.take(at)?;
        usize::try_from(U256::from_be_bytes(word.0)).map_err(|_| DataError::Short)
    }

    fn take(&mut self, at: usize) -> Result<B256, DataError> {
        let end = at.checked_add(WORD).ok_or(DataError::Short)?;
        let word = self.data.get(at..end).ok_or(DataError::Short)?;
        self.pay(WORD)?;
        Ok(B256::from_slice(word))
    }

    fn pay(&mut self, bytes: usize) -> Result<(), DataError> {
        self.used += bytes;
        if self.used > self.budget() { Err(DataError::Overlap) } else { Ok(()) }
    }

    fn budget(&self) -> usize {
        self.data.len().saturating_mul(2)
    }
}

/// The value in a word, and whether the bits outside the type's width are as they should be.
fn word_value(kind: &DynSolType, word: &B256) -> (DynSolValue, bool) {
    match kind {
        DynSolType::Bool => {
            let value = !word.is_zero();
            (DynSolValue::Bool(value), word[..31].iter().all(|byte| *byte == 0) && word[31] <= 1)
        }
        DynSolType::Uint(bits) => {
            let value = U256::from_be_bytes(word.0);
            let kept = if *bits < 256 { value & ((U256::ONE << *bits) - U256::ONE) } else { value };
            (DynSolValue::Uint(kept, *bits), kept == value)
        }
        DynSolType::Int(bits) => {
            let value = I256::from_be_bytes(word.0);
            let unused = 256 - *bits;
            let kept = value.wrapping_shl(unused).asr(unused);
            (DynSolValue::Int(kept, *bits), kept == value)
        }
        DynSolType::Address => {
            let value = Address::from_word(*word);
            (DynSolValue::Address(value), word[..12].iter().all(|byte| *byte == 0))
        }
        DynSolType::FixedBytes(size) => {
            let mut kept = *word;
            kept[*size..].fill(0);
            (DynSolValue::FixedBytes(kept, *size), kept == *word)
        }
        DynSolType::Function => {
            let value = Function::from_word(*word);
            (DynSolValue::Function(value), word[24..].iter().all(|byte| *byte == 0))
        }
        DynSolType::Bytes
        | DynSolType::String
        | DynSolType::Array(_)
        | DynSolType::FixedArray(..)
        | DynSolType::Tuple(_) => unreachable!("`is_word` types only"),
    }
}
