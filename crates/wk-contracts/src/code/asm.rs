//! Bytecode taken apart: instructions, places to jump to, the compiler's metadata left out.

/// Bytes of code that are read; the protocol's own limit is 24,576, some chains allow more.
pub const MAX_CODE: usize = 128 << 10;

pub(super) mod op {
    //! The opcodes that are treated by name.
    pub(in crate::code) const STOP: u8 = 0x00;
    pub(in crate::code) const ADD: u8 = 0x01;
    pub(in crate::code) const SUB: u8 = 0x03;
    pub(in crate::code) const DIV: u8 = 0x04;
    pub(in crate::code) const LT: u8 = 0x10;
    pub(in crate::code) const GT: u8 = 0x11;
    pub(in crate::code) const SLT: u8 = 0x12;
    pub(in crate::code) const SGT: u8 = 0x13;
    pub(in crate::code) const EQ: u8 = 0x14;
    pub(in crate::code) const ISZERO: u8 = 0x15;
    pub(in crate::code) const AND: u8 = 0x16;
    pub(in crate::code) const OR: u8 = 0x17;
    pub(in crate::code) const XOR: u8 = 0x18;
    pub(in crate::code) const SHL: u8 = 0x1b;
    pub(in crate::code) const SHR: u8 = 0x1c;
    pub(in crate::code) const KECCAK256: u8 = 0x20;
    pub(in crate::code) const ORIGIN: u8 = 0x32;
    pub(in crate::code) const CALLER: u8 = 0x33;
    pub(in crate::code) const CALLDATALOAD: u8 = 0x35;
    pub(in crate::code) const CALLDATACOPY: u8 = 0x37;
    pub(in crate::code) const CODECOPY: u8 = 0x39;
    pub(in crate::code) const EXTCODECOPY: u8 = 0x3c;
    pub(in crate::code) const RETURNDATACOPY: u8 = 0x3e;
    pub(in crate::code) const POP: u8 = 0x50;
    pub(in crate::code) const MLOAD: u8 = 0x51;
    pub(in crate::code) const MSTORE: u8 = 0x52;
    pub(in crate::code) const SLOAD: u8 = 0x54;
    pub(in crate::code) const SSTORE: u8 = 0x55;
    pub(in crate::code) const JUMP: u8 = 0x56;
    pub(in crate::code) const JUMPI: u8 = 0x57;
    pub(in crate::code) const PC: u8 = 0x58;
    pub(in crate::code) const JUMPDEST: u8 = 0x5b;
    pub(in crate::code) const TLOAD: u8 = 0x5c;
    pub(in crate::code) const MCOPY: u8 = 0x5e;
    pub(in crate::code) const PUSH0: u8 = 0x5f;
    pub(in crate::code) const PUSH4: u8 = 0x63;
    pub(in crate::code) const PUSH20: u8 = 0x73;
    pub(in crate::code) const PUSH32: u8 = 0x7f;
    pub(in crate::code) const DUP1: u8 = 0x80;
    pub(in crate::code) const SWAP1: u8 = 0x90;
    pub(in crate::code) const CREATE: u8 = 0xf0;
    pub(in crate::code) const CALL: u8 = 0xf1;
    pub(in crate::code) const CALLCODE: u8 = 0xf2;
    pub(in crate::code) const RETURN: u8 = 0xf3;
    pub(in crate::code) const DELEGATECALL: u8 = 0xf4;
    pub(in crate::code) const CREATE2: u8 = 0xf5;
    pub(in crate::code) const STATICCALL: u8 = 0xfa;
    pub(in crate::code) const REVERT: u8 = 0xfd;
    pub(in crate::code) const SELFDESTRUCT: u8 = 0xff;
}

/// An instruction with what it pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction<'c> {
    /// Where it lies.
    pub at: usize,
    /// Its opcode.
    pub opcode: u8,
    /// The bytes that it pushes; fewer than it says where the code ends.
    pub data: &'c [u8],
}

/// The instructions of a code, from its begin.
pub fn instructions(code: &[u8]) -> impl Iterator<Item = Instruction<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let opcode = *code.get(at)?;
        let len = push_len(opcode);
        let data = &code[(at + 1).min(code.len())..(at + 1 + len).min(code.len())];
        let instruction = Instruction { at, opcode, data };
        at += 1 + len;
        Some(instruction)
    })
}

pub(super) fn push_len(opcode: u8) -> usize {
    if (0x60..=op::PUSH32).contains(&opcode) { usize::from(opcode) - 0x5f } else { 0 }
}

/// The code without the compiler's CBOR metadata at its end, as solc and vyper append it: a map
/// whose length stands in the last two bytes.
pub fn without_metadata(code: &[u8]) -> &[u8] {
    let Some((rest, len)) = code.split_last_chunk::<2>() else { return code };
    let len = usize::from(u16::from_be_bytes(*len));
    let Some(start) = rest.len().checked_sub(len) else { return code };
    // A map of one to four entries with text keys of three to twelve letters (`bzzr0`, `ipfs`, …).
    match rest.get(start..start + 2) {
        Some([0xa1..=0xa4, 0x63..=0x6c]) => &code[..start],
        _ => code,
    }
}

/// Places that can be jumped to.
pub(super) fn jump_destinations(code: &[u8]) -> Vec<bool> {
    let mut places = vec![false; code.len()];
    for instruction in instructions(code) {
        if instruction.opcode == op::JUMPDEST {
            places[instruction.at] = true;
        }
    }
    places
}

/// How many words an instruction takes from the stack and puts on it; none for what is no
/// instruction.
pub(super) fn arity(opcode: u8) -> Option<(u8, u8)> {
    Some(match opcode {
        0x00 | 0x5b => (0, 0),
        0x01..=0x07 | 0x0a | 0x0b | 0x10..=0x14 | 0x16..=0x18 | 0x1a..=0x1d | 0x20 => (2, 1),
        0x08 | 0x09 => (3, 1),
        0x15 | 0x19 | 0x1e | 0x31 | 0x35 | 0x3b | 0x3f | 0x40 | 0x49 | 0x51 | 0x54 | 0x5c => (1, 1),
        0x30 | 0x32..=0x34 | 0x36 | 0x38 | 0x3a | 0x3d | 0x41..=0x48 | 0x4a | 0x58..=0x5a => (0, 1),
        0x37 | 0x39 | 0x3e | 0x5e => (3, 0),
        0x3c => (4, 0),
        0x50 | 0x56 | 0xff => (1, 0),
        0x52 | 0x53 | 0x55 | 0x57 | 0x5d | 0xf3 | 0xfd => (2, 0),
        0x5f..=0x7f => (0, 1),
        0x80..=0x9f => (0, 0),
        0xa0..=0xa4 => (opcode - 0xa0 + 2, 0),
        0xf0 => (3, 1),
        0xf1 | 0xf2 => (7, 1),
        0xf4 | 0xfa => (6, 1),
        0xf5 => (4, 1),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_no_code() {
        // PUSH2 5b5b, JUMPDEST, PUSH3 cut off
        let code = [0x61, 0x5b, 0x5b, 0x5b, 0x62, 0x01];
        let found: Vec<(usize, u8, usize)> =
            instructions(&code).map(|one| (one.at, one.opcode, one.data.len())).collect();
        assert_eq!(found, [(0, 0x61, 2), (3, 0x5b, 0), (4, 0x62, 1)]);
        assert_eq!(jump_destinations(&code), [false, false, false, true, false, false]);
    }

    #[test]
    fn metadata_is_left_out() {
        let mut code = vec![0x60, 0x00, 0xfe];
        let metadata = [&[0xa1, 0x64][..], b"solc", &[0x43, 0, 8, 20]].concat();
        code.extend(&metadata);
        code.extend(u16::try_from(metadata.len()).unwrap().to_be_bytes());
        assert_eq!(without_metadata(&code), [0x60, 0x00, 0xfe]);
        for code in [&[][..], &[0x00], &[0xff, 0xff], &[0x60, 0x00, 0x00, 0x01]] {
            assert_eq!(without_metadata(code), code);
        }
    }
}
