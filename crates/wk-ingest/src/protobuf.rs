//! Protobuf's wire format: a reader that borrows, and a writer. Messages are read by their fields.

/// What a message is made of: the field's number and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Integers, booleans and enumerations.
    Varint(u64),
    /// `double`, `fixed64`, `sfixed64`, as bits.
    Fixed64(u64),
    /// `float`, `fixed32`, `sfixed32`, as bits.
    Fixed32(u32),
    /// Text, bytes, messages and packed lists.
    Bytes(&'a [u8]),
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes end inside a value.
    #[error("the message ends inside a value: it was cut off on its way")]
    CutOff,
    /// A number of more than 64 bits.
    #[error("a number has more than 64 bits: these bytes are no protobuf")]
    LongVarint,
    /// A wire type that does not exist, or groups.
    #[error("field {field} has the wire type {wire}: these bytes are no protobuf")]
    WireType {
        /// The field's number.
        field: u32,
        /// The unknown type.
        wire: u8,
    },
    /// A field with another type than the message has there.
    #[error(
        "field {0} of the message has another type than its definition: is it another message?"
    )]
    OtherType(u32),
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
}

/// Reads the fields of one message, in the order in which they come.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Over a whole message.
    pub fn new(message: &'a [u8]) -> Reader<'a> {
        Reader(message)
    }

    /// Bytes that were not read yet.
    pub fn remaining(&self) -> usize {
        self.0.len()
    }

    /// Number and value of the next field; `None` at the end.
    #[inline]
    pub fn next_field(&mut self) -> Result<Option<(u32, Field<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed::LongVarint)?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            #[expect(clippy::cast_possible_truncation, reason = "three bits")]
            wire => return Err(Malformed::WireType { field: number, wire: wire as u8 }),
        };
        Ok(Some((number, Field { number, value })))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        if let Some((&first, rest)) = self.0.split_first()
            && first < 0x80
        {
            self.0 = rest;
            return Ok(u64::from(first));
        }
        let mut value = 0u64;
        for (at, &byte) in self.0.iter().take(10).enumerate() {
            if at == 9 && byte > 1 {
                return Err(Malformed::LongVarint);
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.0 = &self.0[at + 1..];
                return Ok(value);
            }
        }
        Err(if self.0.len() < 10 { Malformed::CutOff } else { Malformed::LongVarint })
    }

    #[inline]
    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed::CutOff)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed::CutOff)?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed::CutOff)?;
        self.0 = rest;
        Ok(*taken)
    }
}

/// A field that knows its number, for errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    number: u32,
    value: Value<'a>,
}

impl<'a> Field<'a> {
    /// The bytes of a message, of a list or of `bytes`.
    #[inline]
    pub fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed::OtherType(self.number)),
        }
    }

    /// The fields of a message inside.
    #[inline]
    pub fn message(self) -> Result<Reader<'a>, Malformed> {
        self.bytes().map(Reader)
    }

    /// A text.
    #[inline]
    pub fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed::NotUtf8)
    }

    /// `uint64`, `uint32`, `bool`.
    #[inline]
    pub fn unsigned(self) -> Result<u64, Malformed> {
        match self.value {
            Value::Varint(value) | Value::Fixed64(value) => Ok(value),
            Value::Fixed32(value) => Ok(u64::from(value)),
            Value::Bytes(_) => Err(Malformed::OtherType(self.number)),
        }
    }

    /// `int64`, `sfixed64`: two's complement.
    #[inline]
    pub fn signed(self) -> Result<i64, Malformed> {
        self.unsigned().map(u64::cast_signed)
    }

    /// `int32` and enumerations, which come with 64 bits; others than 32 bits are cut as protobuf says.
    #[expect(clippy::cast_possible_truncation, reason = "protobuf's rule for 32-bit fields")]
    pub fn int32(self) -> Result<i32, Malformed> {
        self.signed().map(|value| value as i32)
    }

    /// `sint64`, zigzag.
    pub fn zigzag(self) -> Result<i64, Malformed> {
        self.unsigned().map(unzigzag)
    }

    /// `sint32`, zigzag.
    #[expect(clippy::cast_possible_truncation, reason = "protobuf's rule for 32-bit fields")]
    pub fn zigzag32(self) -> Result<i32, Malformed> {
        self.zigzag().map(|value| value as i32)
    }

    /// `double`.
    #[inline]
    pub fn double(self) -> Result<f64, Malformed> {
        match self.value {
            Value::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(Malformed::OtherType(self.number)),
        }
    }

    /// Calls for each number of a list, packed or one element of an unpacked one.
    pub fn each_varint(self, mut then: impl FnMut(u64)) -> Result<(), Malformed> {
        match self.value {
            Value::Bytes(bytes) => {
                let mut reader = Reader(bytes);
                while !reader.0.is_empty() {
                    then(reader.varint()?);
                }
            }
            Value::Varint(value) => then(value),
            _ => return Err(Malformed::OtherType(self.number)),
        }
        Ok(())
    }

    /// The same for `double`, `fixed64` as bits.
    pub fn each_fixed64(self, mut then: impl FnMut(u64)) -> Result<(), Malformed> {
        match self.value {
            Value::Bytes(bytes) => {
                let (chunks, rest) = bytes.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(Malformed::CutOff);
                }
                chunks.iter().for_each(|chunk| then(u64::from_le_bytes(*chunk)));
            }
            Value::Fixed64(value) => then(value),
            _ => return Err(Malformed::OtherType(self.number)),
        }
        Ok(())
    }
}

/// The number behind a zigzag code.
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// The zigzag code of a number.
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Reads one message after its length, as a stream of messages has them. `None` at the end.
pub fn delimited<'a>(stream: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    if stream.is_empty() {
        return Ok(None);
    }
    let mut reader = Reader(stream);
    let length = reader.varint()?;
    let message = reader.take(length)?;
    *stream = reader.0;
    Ok(Some(message))
}

/// Writes a message.
#[derive(Clone, Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// The message written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// An integer, boolean or enumeration. Zero is written too.
    pub fn varint(&mut self, field: u32, value: u64) {
        self.push_varint(u64::from(field) << 3);
        self.push_varint(value);
    }

    /// `int64` or `int32`.
    pub fn signed(&mut self, field: u32, value: i64) {
        self.varint(field, value.cast_unsigned());
    }

    /// `double`.
    pub fn double(&mut self, field: u32, value: f64) {
        self.push_varint(u64::from(field) << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Text or bytes.
    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        self.push_varint(u64::from(field) << 3 | 2);
        self.push_varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A message inside, of up to 256 MiB.
    pub fn message(&mut self, field: u32, fill: impl FnOnce(&mut Writer)) {
        self.push_varint(u64::from(field) << 3 | 2);
        let length_at = self.0.len();
        self.0.push(0);
        fill(self);
        let length = self.0.len() - length_at - 1;
        let mut code = Writer::default();
        code.push_varint(length as u64);
        self.0.splice(length_at..=length_at, code.0);
    }

    /// A packed list of integers.
    pub fn packed(&mut self, field: u32, values: impl IntoIterator<Item = u64>) {
        self.message(field, |list| values.into_iter().for_each(|value| list.push_varint(value)));
    }

    /// A packed list of `double`.
    pub fn packed_doubles(&mut self, field: u32, values: impl IntoIterator<Item = f64>) {
        self.message(field, |list| {
            values.into_iter().for_each(|value| list.0.extend_from_slice(&value.to_le_bytes()));
        });
    }

    fn push_varint(&mut self, value: u64) {
        push_varint(&mut self.0, value);
    }
}

/// Appends a number of variable length, as lengths in front of messages are written.
pub fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits")]
        out.push(value as u8 & 0x7f | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "less than 0x80")]
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while let Ok(Some((_, field))) = reader.next_field() {
                let _ = (field.text(), field.each_varint(drop), field.each_fixed64(drop));
            }
        }

        #[test]
        fn what_is_written_is_read(number: u64, signed: i64, real: f64, text: String, list: Vec<u64>) {
            let mut writer = Writer::default();
            writer.varint(1, number);
            writer.signed(2, signed);
            writer.double(3, real);
            writer.message(4, |inner| inner.bytes(1, text.as_bytes()));
            writer.packed(5, list.iter().copied());
            writer.varint(6, zigzag(signed));
            let mut reader = Reader::new(writer.as_bytes());
            let mut next = || reader.next_field().unwrap().unwrap().1;
            prop_assert_eq!(next().unsigned().unwrap(), number);
            prop_assert_eq!(next().signed().unwrap(), signed);
            prop_assert_eq!(next().double().unwrap().to_bits(), real.to_bits());
            let mut inner = next().message().unwrap();
            prop_assert_eq!(inner.next_field().unwrap().unwrap().1.text().unwrap(), text);
            let mut read = Vec::new();
            next().each_varint(|value| read.push(value)).unwrap();
            prop_assert_eq!(read, list);
            prop_assert_eq!(next().zigzag().unwrap(), signed);
        }
    }

    #[test]
    fn broken_messages_say_why() {
        let check = |bytes: &[u8], expected| {
            assert_eq!(Reader::new(bytes).next_field(), Err(expected), "{bytes:?}");
        };
        check(&[0x0a, 5, b'a'], Malformed::CutOff);
        check(&[0x08], Malformed::CutOff);
        check(&[0x0b], Malformed::WireType { field: 1, wire: 3 });
        check(&[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], Malformed::LongVarint);
    }
}
