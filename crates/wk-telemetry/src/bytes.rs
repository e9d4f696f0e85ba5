//! Numbers and text as few bytes, and back with every length checked.

/// Appends to a buffer.
pub(crate) trait Put {
    fn put_u64(&mut self, value: u64);
    fn put_i64(&mut self, value: i64);
    fn put_f64(&mut self, value: f64);
    fn put_bytes(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    /// Seven bits a byte, the lowest first.
    fn put_u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.push((value & 0x7f) as u8);
    }

    /// Small numbers of both signs are short.
    fn put_i64(&mut self, value: i64) {
        self.put_u64((value.wrapping_shl(1) ^ (value >> 63)).cast_unsigned());
    }

    fn put_f64(&mut self, value: f64) {
        self.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    /// The length in front.
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_u64(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }
}

/// Takes from the front; `None` where the bytes end too early or make no sense.
pub(crate) struct Take<'a>(pub(crate) &'a [u8]);

impl<'a> Take<'a> {
    pub(crate) fn u64(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        let raw = self.u64()?;
        Some((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.u64()?.try_into().ok()
    }

    /// A number of things of which each takes at least `least` bytes.
    pub(crate) fn count(&mut self, least: usize) -> Option<usize> {
        let count = usize::try_from(self.u64()?).ok()?;
        (count.checked_mul(least)? <= self.0.len()).then_some(count)
    }

    pub(crate) fn f64(&mut self) -> Option<f64> {
        let (head, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(f64::from_bits(u64::from_le_bytes(*head)))
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u64()?).ok()?;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_can_be_taken(a: u64, b: i64, c in any::<u64>(), d in ".*") {
            let mut out = Vec::new();
            out.put_u64(a);
            out.put_i64(b);
            out.put_f64(f64::from_bits(c));
            out.put_bytes(d.as_bytes());
            let mut take = Take(&out);
            prop_assert_eq!(take.u64(), Some(a));
            prop_assert_eq!(take.i64(), Some(b));
            prop_assert_eq!(take.f64().map(f64::to_bits), Some(c));
            prop_assert_eq!(take.text(), Some(d.as_str()));
            prop_assert!(take.is_empty());
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut take = Take(&bytes);
            while take.text().is_some() || take.i64().is_some() {}
        }
    }
}
