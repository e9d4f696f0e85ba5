//! Chunks: a run of one series' values, or of times that several series share, as few bytes.
//!
//! Bits come back as they were, also those of NaNs. A chunk carries no checksum and no count: whoever
//! keeps it does.

use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, data_types::Number};

/// More values than this do not go into one chunk.
pub const MAX_CHUNK_VALUES: usize = 1 << 16;
/// Half of `pco`'s usual level: the benchmark `chunks` tells size and speed.
const LEVEL: usize = 4;
/// Whole numbers up to here are exact as `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Decimals with up to four places are kept as whole numbers.
const SCALES: [f64; 5] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];

const CONSTANT: u8 = 0;
const FLOATS: u8 = 1;
/// This plus the index in `SCALES`.
const SCALED: u8 = 2;

/// A chunk could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// Nothing, or too much, for one chunk.
    #[error("a chunk holds 1 to {MAX_CHUNK_VALUES} values, not {0}")]
    Count(usize),
    /// The bytes are not those of a chunk with that many values.
    #[error("the bytes are no chunk of {0} values")]
    Malformed(usize),
    /// The compressor refused.
    #[error("the compressor refused")]
    Compressor(#[from] pco::errors::PcoError),
}

/// Appends `times`, in Unix milliseconds, to `out`.
pub fn write_times(times: &[i64], out: &mut Vec<u8>) -> Result<(), ChunkError> {
    check_count(times.len())?;
    compress(times, out)
}

/// Reads `count` times.
pub fn read_times(bytes: &[u8], count: usize) -> Result<Vec<i64>, ChunkError> {
    check_count(count)?;
    decompress(bytes, count)
}

/// Appends `values` to `out`.
///
/// Values that are equal, whole or decimal with few places are kept as such, with the few that are not,
/// for example staleness markers, beside them.
pub fn write_values(values: &[f64], out: &mut Vec<u8>) -> Result<(), ChunkError> {
    check_count(values.len())?;
    let most = values.len() / 16 + 1;
    let usual = values.iter().copied().find(|value| !value.is_nan()).unwrap_or(values[0]);
    if let Some(odd) = odd_ones(values, most, |value| value.to_bits() == usual.to_bits()) {
        out.push(CONSTANT);
        write_odd(&odd, values, out);
        out.extend_from_slice(&usual.to_le_bytes());
        return Ok(());
    }
    for (tag, scale) in (SCALED..).zip(SCALES) {
        let exact = |value: f64| scaled(value, scale).is_some();
        if let Some(odd) = odd_ones(values, most, exact) {
            let mut last = 0;
            let whole: Vec<i64> = values
                .iter()
                .map(|value| {
                    last = scaled(*value, scale).unwrap_or(last);
                    last
                })
                .collect();
            out.push(tag);
            write_odd(&odd, values, out);
            return compress(&whole, out);
        }
    }
    out.push(FLOATS);
    compress(values, out)
}

/// Reads `count` values.
pub fn read_values(bytes: &[u8], count: usize) -> Result<Vec<f64>, ChunkError> {
    check_count(count)?;
    let malformed = || ChunkError::Malformed(count);
    let (tag, mut rest) = bytes.split_first().ok_or_else(malformed)?;
    if *tag == FLOATS {
        return decompress(rest, count);
    }
    let odd = read_odd(&mut rest, count).ok_or_else(malformed)?;
    let mut values = if *tag == CONSTANT {
        let usual = rest.try_into().map(f64::from_le_bytes).map_err(|_| malformed())?;
        vec![usual; count]
    } else {
        let scale = *SCALES.get(usize::from(*tag - SCALED)).ok_or_else(malformed)?;
        decompress::<i64>(rest, count)?.into_iter().map(|whole| unscaled(whole, scale)).collect()
    };
    for (at, value) in odd {
        values[at] = value;
    }
    Ok(values)
}

fn check_count(count: usize) -> Result<(), ChunkError> {
    if (1..=MAX_CHUNK_VALUES).contains(&count) { Ok(()) } else { Err(ChunkError::Count(count)) }
}

/// Where the values are that do not fit, unless there are more than `most`.
fn odd_ones(values: &[f64], most: usize, fits: impl Fn(f64) -> bool) -> Option<Vec<usize>> {
    let mut odd = Vec::new();
    for (at, value) in values.iter().enumerate() {
        if !fits(*value) {
            if odd.len() == most {
                return None;
            }
            odd.push(at);
        }
    }
    Some(odd)
}

/// `value` times `scale` as a whole number, if it comes back bit by bit.
#[expect(clippy::cast_possible_truncation, reason = "below 2^53 in size, and whole")]
fn scaled(value: f64, scale: f64) -> Option<i64> {
    let whole = (value * scale).round();
    (whole.abs() < EXACT && unscaled(whole as i64, scale).to_bits() == value.to_bits())
        .then_some(whole as i64)
}

#[expect(clippy::cast_precision_loss, reason = "what was written is below 2^53 in size")]
fn unscaled(whole: i64, scale: f64) -> f64 {
    whole as f64 / scale
}

fn write_odd(odd: &[usize], values: &[f64], out: &mut Vec<u8>) {
    write_u16(odd.len(), out);
    for at in odd {
        write_u16(*at, out);
        out.extend_from_slice(&values[*at].to_le_bytes());
    }
}

fn read_odd(bytes: &mut &[u8], count: usize) -> Option<Vec<(usize, f64)>> {
    let odd = take(bytes).map(u16::from_le_bytes)?;
    let mut values = Vec::new();
    for _ in 0..odd {
        let at = usize::from(u16::from_le_bytes(take(bytes)?));
        let value = f64::from_le_bytes(take(bytes)?);
        values.push((at < count).then_some((at, value))?);
    }
    Some(values)
}

fn write_u16(number: usize, out: &mut Vec<u8>) {
    let number = u16::try_from(number).expect("below the most values of a chunk");
    out.extend_from_slice(&number.to_le_bytes());
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

fn compress<T: Number>(numbers: &[T], out: &mut Vec<u8>) -> Result<(), ChunkError> {
    let config = ChunkConfig::default().with_compression_level(LEVEL);
    let file = FileCompressor::default();
    let mut chunk = file.chunk_compressor(numbers, &config)?;
    file.write_header(&mut *out)?;
    chunk.write_meta(&mut *out)?;
    chunk.write_page(0, &mut *out)?;
    Ok(())
}

fn decompress<T: Number + Default>(bytes: &[u8], count: usize) -> Result<Vec<T>, ChunkError> {
    let (file, rest) = FileDecompressor::new(bytes)?;
    let (mut chunk, rest) = file.chunk_decompressor::<T, _>(rest)?;
    let mut numbers = vec![T::default(); count];
    let progress = chunk.page_decompressor(rest, count)?.read(&mut numbers)?;
    if progress.n_processed != count {
        return Err(ChunkError::Malformed(count));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    fn check(values: &[f64]) -> usize {
        let mut out = Vec::new();
        write_values(values, &mut out).unwrap();
        assert_eq!(bits(&read_values(&out, values.len()).unwrap()), bits(values));
        out.len()
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            (-1000_i32..1000).prop_map(|n| f64::from(n) / 100.0),
            (0_u32..10).prop_map(f64::from),
            Just(-0.0),
            Just(f64::from_bits(wk_model::series::STALE_NAN_BITS)),
        ]
    }

    proptest! {
        #[test]
        fn values_come_back_bit_by_bit(values in prop::collection::vec(value(), 1..600)) {
            check(&values);
        }

        #[test]
        fn times_come_back(times in prop::collection::vec(any::<i64>(), 1..600)) {
            let mut out = Vec::new();
            write_times(&times, &mut out).unwrap();
            prop_assert_eq!(read_times(&out, times.len()).unwrap(), times);
        }

        #[test]
        fn any_bytes_are_refused_or_read(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            count in 1_usize..600,
        ) {
            if let Ok(values) = read_values(&bytes, count) {
                prop_assert_eq!(values.len(), count);
            }
        }
    }

    #[test]
    fn a_marker_among_equal_values_costs_ten_bytes() {
        let mut values = vec![7.5; 480];
        let plain = check(&values);
        values[479] = wk_model::series::stale_nan();
        assert_eq!((plain, check(&values)), (11, 21));
    }

    #[test]
    fn decimals_are_kept_as_whole_numbers() {
        let values: Vec<f64> = (0..480).map(|n| f64::from(2_000 + n * 7 % 13) / 100.0).collect();
        let bytes = check(&values);
        assert!(bytes < 480, "{bytes}");
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        for count in [0, MAX_CHUNK_VALUES + 1] {
            let outcome = write_values(&vec![1.0; count], &mut Vec::new());
            assert!(matches!(outcome, Err(ChunkError::Count(n)) if n == count));
        }
    }
}
