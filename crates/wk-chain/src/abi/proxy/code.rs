//! Contracts whose code alone says where it delegates to: minimal proxies and delegated accounts.

use alloy_primitives::Address;

/// EIP-7702: the code of an account that delegates is this and the address.
const DELEGATED: [u8; 3] = [0xef, 0x01, 0x00];

/// Who the code of a delegated account (EIP-7702) points to.
pub(super) fn delegate(code: &[u8]) -> Option<Address> {
    let address = code.strip_prefix(&DELEGATED)?;
    Some(Address::from(<[u8; 20]>::try_from(address).ok()?))
}

/// Who the code of a minimal proxy delegates every call to.
pub(super) fn minimal(code: &[u8]) -> Option<Address> {
    eip1167(code).or_else(|| SHAPES.iter().find_map(|shape| matched(shape, code)))
}

/// EIP-1167, also with an address that has leading zeros and so a shorter push.
fn eip1167(code: &[u8]) -> Option<Address> {
    const HEAD: [u8; 9] = [0x36, 0x3d, 0x3d, 0x37, 0x3d, 0x3d, 0x3d, 0x36, 0x3d];
    const TAIL: [u8; 9] = [0x5a, 0xf4, 0x3d, 0x82, 0x80, 0x3e, 0x90, 0x3d, 0x91];
    /// `PUSH1 offset JUMPI REVERT JUMPDEST RETURN`, where the offset depends on the push.
    const END: [u8; 4] = [0x57, 0xfd, 0x5b, 0xf3];
    const PUSH1: u8 = 0x60;

    let (push, rest) = code.strip_prefix(&HEAD)?.split_first()?;
    let length = push.checked_sub(PUSH1)?.checked_add(1).filter(|length| *length <= 20)?;
    let (address, rest) = rest.split_at_checked(usize::from(length))?;
    let rest = rest.strip_prefix(&TAIL)?.strip_prefix(&[PUSH1, 0x17 + length])?;
    (rest == END).then(|| Address::left_padding_from(address))
}

/// Other shapes of the runtime code, in hex: `@` is the address, `__` any byte, and `…` at the end
/// any bytes (immutable arguments).
const SHAPES: [&str; 14] = [
    // "More minimal" proxy by 0age; and with an event for plain transfers (0xSplits, new and old).
    "3d3d3d3d363d3d37363d73@5af43d3d93803e602a57fd5bf3",
    "36602c57343d527f9e4ac34f21c619cefc926c8bd93b54bf5a39c7ab2127a895af1cc0691d7e3dff593da1005b\
     3d3d3d3d363d3d37363d73@5af43d3d93803e605757fd5bf3",
    "36603057343d52307f830d2d700a97af574b186c80d40429385d24241565b08a7c559ba283a964d9b160203da2\
     3d3df35b3d3d3d3d363d3d37363d73@5af43d3d93803e605b57fd5bf3",
    // EIP-1167 with immutable arguments appended (OpenZeppelin, Solady).
    "363d3d373d3d3d363d73@5af43d82803e903d91602b57fd5bf3…",
    // With PUSH0: EIP-7511, and Solady's.
    "365f5f375f5f365f73@5af43d5f5f3e5f3d91602a57fd5bf3",
    "5f5f365f5f37365f73@5af43d5f5f3e6029573d5ffd5b3d5ff3",
    // Vyper's `create_forwarder_to` before 0.3.1, with and without the check of the result.
    "366000600037611000600036600073@5af4602c57600080fd5b6110006000f3",
    "366000600037611000600036600073@5af41558576110006000f3",
    // Clones with immutable arguments: new, old, and with a fixed length (Sudoswap).
    "3d3d3d3d363d3d3761____603736393661____013d73@5af43d3d93803e603557fd5bf3…",
    "363d3d3761____603836393d3d3d3661____013d73@5af43d82803e903d91603657fd5bf3…",
    "3d3d3d3d363d3d3760__603536393660__013d73@5af43d3d93803e603357fd5bf3…",
    // The same with an event for plain transfers (Solady, 0xSplits).
    "36602c57343d527f9e4ac34f21c619cefc926c8bd93b54bf5a39c7ab2127a895af1cc0691d7e3dff593da1005b\
     363d3d373d3d3d3d61____806062363936013d73@5af43d3d93803e606057fd5bf3…",
    "36602f57343d527f9e4ac34f21c619cefc926c8bd93b54bf5a39c7ab2127a895af1cc0691d7e3dff60203da13d\
     3df35b3d3d3d3d363d3d3761____606736393661____013d73@5af43d3d93803e606557fd5bf3…",
    // ERC-3448 MetaProxy.
    "363d3d373d3d3d3d60368038038091363936013d73@5af43d3d93803e603457fd5bf3…",
];

/// The address where a shape has `@`, when the code has that shape.
fn matched(shape: &str, code: &[u8]) -> Option<Address> {
    let mut address = None;
    let mut rest = code;
    let mut shape = shape.as_bytes();
    while let Some((first, after)) = shape.split_first() {
        match first {
            b'@' => {
                let (bytes, after_address) = rest.split_first_chunk::<20>()?;
                address = Some(Address::from(*bytes));
                rest = after_address;
                shape = after;
            }
            b'_' => {
                rest = rest.split_first()?.1;
                shape = &shape[2..];
            }
            // The first byte of `…`.
            0xe2 => return address,
            _ => {
                let (byte, after_byte) = rest.split_first()?;
                if *byte != (digit(shape[0]) << 4 | digit(shape[1])) {
                    return None;
                }
                rest = after_byte;
                shape = &shape[2..];
            }
        }
    }
    address.filter(|_| rest.is_empty())
}

fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => hex - b'a' + 10,
    }
}
