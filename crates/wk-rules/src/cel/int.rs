//! The language's one integer: signed, exact, 512 bits wide, never wrapping.
//!
//! Twice the width of the EVM's words, so that a product of any two of them is exact: whoever can
//! choose an amount cannot make a rule overflow that multiplies it once.

use std::cmp::Ordering;
use std::fmt;

use alloy_primitives::{I256, U256, U512};

/// A whole number from −(2^512−1) to 2^512−1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Int {
    // Zero is never negative, so that equal numbers are equal bits.
    negative: bool,
    magnitude: U512,
}

impl Int {
    /// Zero.
    pub const ZERO: Int = Int { negative: false, magnitude: U512::ZERO };
    /// One.
    pub const ONE: Int = Int { negative: false, magnitude: U512::ONE };

    fn new(negative: bool, magnitude: U512) -> Int {
        Int { negative: negative && !magnitude.is_zero(), magnitude }
    }

    /// True below zero.
    pub fn is_negative(self) -> bool {
        self.negative
    }

    /// True for zero.
    pub fn is_zero(self) -> bool {
        self.magnitude.is_zero()
    }

    /// The number without its sign.
    #[must_use]
    pub fn abs(self) -> Int {
        Int { negative: false, magnitude: self.magnitude }
    }

    /// The sum, or none when it is out of range.
    pub fn checked_add(self, other: Int) -> Option<Int> {
        if self.negative == other.negative {
            let magnitude = self.magnitude.checked_add(other.magnitude)?;
            return Some(Int::new(self.negative, magnitude));
        }
        Some(if self.magnitude >= other.magnitude {
            Int::new(self.negative, self.magnitude - other.magnitude)
        } else {
            Int::new(other.negative, other.magnitude - self.magnitude)
        })
    }

    /// The difference, or none when it is out of range.
    pub fn checked_sub(self, other: Int) -> Option<Int> {
        self.checked_add(-other)
    }

    /// The product, or none when it is out of range.
    pub fn checked_mul(self, other: Int) -> Option<Int> {
        let magnitude = self.magnitude.checked_mul(other.magnitude)?;
        Some(Int::new(self.negative != other.negative, magnitude))
    }

    /// The quotient, rounded towards zero; none when `other` is zero.
    pub fn checked_div(self, other: Int) -> Option<Int> {
        let magnitude = self.magnitude.checked_div(other.magnitude)?;
        Some(Int::new(self.negative != other.negative, magnitude))
    }

    /// What division leaves, with the sign of `self`; none when `other` is zero.
    pub fn checked_rem(self, other: Int) -> Option<Int> {
        let magnitude = self.magnitude.checked_rem(other.magnitude)?;
        Some(Int::new(self.negative, magnitude))
    }

    /// `self` to the power of `exponent`, or none when it is out of range.
    pub fn checked_pow(self, exponent: u32) -> Option<Int> {
        if self.magnitude <= U512::ONE {
            let negative = self.negative && exponent % 2 == 1;
            let magnitude = if exponent == 0 { U512::ONE } else { self.magnitude };
            return Some(Int::new(negative, magnitude));
        }
        // Any other base leaves the range at an exponent of 512, so the loop is short.
        let mut power = Int::ONE;
        for _ in 0..exponent {
            power = power.checked_mul(self)?;
        }
        Some(power)
    }

    /// The number that decimal `digits` write; none for other characters or beyond the range.
    pub fn from_digits(digits: &str) -> Option<Int> {
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Int::new(false, U512::from_str_radix(digits, 10).ok()?))
    }

    /// The number that the bytes write, highest first; none beyond 64 bytes.
    pub fn from_be_bytes(bytes: &[u8]) -> Option<Int> {
        Some(Int::new(false, U512::try_from_be_slice(bytes)?))
    }

    /// The number as an EVM word, when it is in 0..2^256.
    pub fn to_u256(self) -> Option<U256> {
        if self.negative || self.magnitude.bit_len() > 256 {
            return None;
        }
        let limbs = self.magnitude.as_limbs();
        Some(U256::from_limbs([limbs[0], limbs[1], limbs[2], limbs[3]]))
    }

    /// The number, when it is in 0..2^64.
    pub fn to_u64(self) -> Option<u64> {
        if self.negative {
            return None;
        }
        u64::try_from(self.magnitude).ok()
    }

    /// The number, when it is in the range of 64 signed bits.
    pub fn to_i64(self) -> Option<i64> {
        let magnitude = i128::from(u64::try_from(self.magnitude).ok()?);
        i64::try_from(if self.negative { -magnitude } else { magnitude }).ok()
    }

    /// The nearest double, ties to even.
    pub fn to_f64(self) -> f64 {
        let bits = self.magnitude.bit_len();
        let magnitude = if bits <= 64 {
            self.magnitude.as_limbs()[0] as f64
        } else {
            let shift = bits - 64;
            let mut top = (self.magnitude >> shift).as_limbs()[0];
            // What is cut off can only break a tie: one bit below the double's precision tells it.
            if self.magnitude.trailing_zeros() < shift {
                top |= 1;
            }
            let scale = i32::try_from(shift).expect("a shift within 512 bits");
            top as f64 * 2f64.powi(scale)
        };
        if self.negative { -magnitude } else { magnitude }
    }

    /// The double's whole part; none when it is infinite, no number, or out of range.
    pub fn from_f64(value: f64) -> Option<Int> {
        Int::split_f64(value).map(|(whole, _)| whole)
    }

    /// Compares with a double, exactly; none when it is no number.
    pub fn compare_f64(self, other: f64) -> Option<Ordering> {
        if other.is_nan() {
            return None;
        }
        let Some((whole, has_fraction)) = Int::split_f64(other) else {
            // Infinite or beyond the range: further out than any integer.
            return Some(if other > 0.0 { Ordering::Less } else { Ordering::Greater });
        };
        Some(match self.cmp(&whole) {
            Ordering::Equal if has_fraction && other > 0.0 => Ordering::Less,
            Ordering::Equal if has_fraction => Ordering::Greater,
            ordering => ordering,
        })
    }

    /// The double's whole part, and whether anything is left.
    fn split_f64(value: f64) -> Option<(Int, bool)> {
        if !value.is_finite() {
            return None;
        }
        let bits = value.to_bits();
        let exponent = i32::try_from((bits >> 52) & 0x7ff).expect("eleven bits");
        let fraction = bits & ((1 << 52) - 1);
        // value = mantissa * 2^shift, exactly.
        let (mantissa, shift) =
            if exponent == 0 { (fraction, -1074) } else { (fraction | (1 << 52), exponent - 1075) };
        let negative = value.is_sign_negative();
        if let Ok(up) = usize::try_from(shift) {
            let used = 64 - usize::try_from(mantissa.leading_zeros()).expect("at most 64");
            if used + up > 512 {
                return None;
            }
            return Some((Int::new(negative, U512::from(mantissa) << up), false));
        }
        let down = shift.unsigned_abs();
        let whole = mantissa.checked_shr(down).unwrap_or(0);
        let left = whole.checked_shl(down).unwrap_or(0) != mantissa;
        Some((Int::new(negative, U512::from(whole)), left))
    }
}

impl std::ops::Neg for Int {
    type Output = Int;

    fn neg(self) -> Int {
        Int::new(!self.negative, self.magnitude)
    }
}

impl Ord for Int {
    fn cmp(&self, other: &Int) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude.cmp(&other.magnitude),
            (true, true) => other.magnitude.cmp(&self.magnitude),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Int {
    fn partial_cmp(&self, other: &Int) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<U256> for Int {
    fn from(value: U256) -> Int {
        let [a, b, c, d] = value.into_limbs();
        Int { negative: false, magnitude: U512::from_limbs([a, b, c, d, 0, 0, 0, 0]) }
    }
}

impl From<I256> for Int {
    fn from(value: I256) -> Int {
        let magnitude = Int::from(value.unsigned_abs());
        if value.is_negative() { -magnitude } else { magnitude }
    }
}

impl From<u64> for Int {
    fn from(value: u64) -> Int {
        Int { negative: false, magnitude: U512::from(value) }
    }
}

impl From<i64> for Int {
    fn from(value: i64) -> Int {
        Int::new(value < 0, U512::from(value.unsigned_abs()))
    }
}

impl From<usize> for Int {
    fn from(value: usize) -> Int {
        Int { negative: false, magnitude: U512::from(value) }
    }
}

impl fmt::Display for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        fmt::Display::fmt(&self.magnitude, f)
    }
}

impl fmt::Debug for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
