//! Finds out whether a contract is a proxy, of which kind, and what is behind it.

use std::collections::HashSet;
use std::future::Future;

use alloy_primitives::{Address, B256, Bytes, b256, bytes};

use super::{MAX_NESTED, code};

/// Storage slots that proxies keep their addresses in. Tests recompute each from its formula.
pub mod slots {
    use super::{B256, b256};

    /// EIP-1967 implementation: `keccak256("eip1967.proxy.implementation") - 1`.
    pub const EIP1967_IMPLEMENTATION: B256 =
        b256!("0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
    /// EIP-1967 beacon: `keccak256("eip1967.proxy.beacon") - 1`.
    pub const EIP1967_BEACON: B256 =
        b256!("0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50");
    /// EIP-1967 admin: `keccak256("eip1967.proxy.admin") - 1`.
    pub const EIP1967_ADMIN: B256 =
        b256!("0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103");
    /// EIP-1822: `keccak256("PROXIABLE")`.
    pub const EIP1822: B256 =
        b256!("0xc5f16f0fcc639fa48a6947836d9850f504798523bf8c9a3a87d5876cf622bcf7");
    /// OpenZeppelin before EIP-1967: `keccak256("org.zeppelinos.proxy.implementation")`.
    pub const ZEPPELIN_IMPLEMENTATION: B256 =
        b256!("0x7050c9e0f4ca769c69bd3a8ef740bc37934f8e2c036e5a723fd8ee048ed3f8c3");
    /// OpenZeppelin before EIP-1967: `keccak256("org.zeppelinos.proxy.admin")`.
    pub const ZEPPELIN_ADMIN: B256 =
        b256!("0x10d6a54a4754c8869d6886b5f5d7fbfa5b4522237ea5c60d11bc4e7a1ff9390b");
}

/// Something to read from the chain's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A contract's code.
    Code(Address),
    /// A storage slot.
    Storage(Address, B256),
    /// What a call answers.
    Call(Address, Bytes),
}

/// Why a contract could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ReadFault<E> {
    /// A read failed: nothing is known, which is not the same as being no proxy.
    #[error("cannot read the state of {address}")]
    Read {
        /// The contract that was looked at.
        address: Address,
        /// Why.
        source: E,
    },
    /// Other than one answer for each read.
    #[error("{asked} reads of {address} got {answered} answers")]
    Answers {
        /// The contract that was looked at.
        address: Address,
        /// Number of reads.
        asked: usize,
        /// Number of answers.
        answered: usize,
    },
}

/// What was found out about one contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// The contract.
    pub address: Address,
    /// The proxies from the contract on, outermost first; empty when it is none.
    pub proxies: Vec<Detected>,
    /// True when the chain of proxies was not followed to its end: too long, or a circle.
    pub cut: bool,
}

impl Detection {
    /// The code that runs in the end; none when the contract is no proxy, or points nowhere.
    pub fn implementation(&self) -> Option<Address> {
        self.proxies.last()?.implementation
    }
}

/// One proxy and where it points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detected {
    /// The proxy.
    pub proxy: Address,
    /// Its kind.
    pub kind: ProxyKind,
    /// The beacon it asks, if it is a beacon proxy.
    pub beacon: Option<Address>,
    /// What it delegates to; none when it points nowhere, or the beacon has no answer.
    pub implementation: Option<Address>,
    /// Who may upgrade it, where the proxy itself says so.
    pub admin: Option<Address>,
}

/// How a proxy knows what to delegate to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProxyKind {
    /// EIP-1967: transparent and UUPS proxies.
    Eip1967,
    /// EIP-1967 with a beacon.
    Beacon,
    /// EIP-1822, the first UUPS.
    Eip1822,
    /// OpenZeppelin before EIP-1967 (USDC, for example).
    Zeppelin,
    /// Safe: the singleton's address is in slot 0.
    Safe,
    /// EIP-897: it answers `implementation()` and `proxyType()` (Aragon, and so Lido).
    Eip897,
    /// The address is in the code (EIP-1167 and its relatives): never changes.
    Minimal,
    /// An account that delegates (EIP-7702): changes without an event.
    Delegated,
}

impl ProxyKind {
    /// The short name, such as `eip1967`.
    pub fn name(self) -> &'static str {
        match self {
            ProxyKind::Eip1967 => "eip1967",
            ProxyKind::Beacon => "beacon",
            ProxyKind::Eip1822 => "eip1822",
            ProxyKind::Zeppelin => "zeppelin",
            ProxyKind::Safe => "safe",
            ProxyKind::Eip897 => "eip897",
            ProxyKind::Minimal => "minimal",
            ProxyKind::Delegated => "delegated",
        }
    }

    /// True when an upgrade emits an event by which it is noticed. The others have to be read
    /// again from time to time; and so do these, because code can write a slot in silence.
    pub fn tells_upgrades(self) -> bool {
        match self {
            ProxyKind::Eip1967 | ProxyKind::Beacon | ProxyKind::Zeppelin | ProxyKind::Minimal => {
                true
            }
            ProxyKind::Eip1822 | ProxyKind::Safe | ProxyKind::Eip897 | ProxyKind::Delegated => {
                false
            }
        }
    }
}

/// Looks at a contract and at what is behind it.
///
/// `read` answers a batch of reads in the same order, all in the state of one block; a call that
/// reverts is answered with `None`.
pub async fn detect<R, F, E>(address: Address, mut read: R) -> Result<Detection, ReadFault<E>>
where
    R: FnMut(Vec<Read>) -> F,
    F: Future<Output = Vec<Result<Option<Bytes>, E>>>,
{
    let mut detection = Detection { address, proxies: Vec::new(), cut: false };
    let mut seen = HashSet::from([address]);
    let mut next = address;
    loop {
        let reads = first_reads(next);
        let answers = all(next, reads.len(), read(reads).await)?;
        let Some(mut detected) = classify(next, &answers) else { break };
        let second = second_reads(&detected);
        if !second.is_empty() {
            let answers = all(next, second.len(), read(second).await)?;
            match complete(detected, &answers) {
                Some(complete) => detected = complete,
                None => break,
            }
        }
        let implementation = detected.implementation;
        detection.proxies.push(detected);
        let Some(implementation) = implementation else { break };
        if !seen.insert(implementation) || detection.proxies.len() == MAX_NESTED {
            // The last one is looked at by nobody, but then nobody nests proxies that deep.
            detection.cut = true;
            break;
        }
        next = implementation;
    }
    Ok(detection)
}

/// What tells most kinds apart.
fn first_reads(address: Address) -> Vec<Read> {
    let mut reads = vec![Read::Code(address)];
    reads.extend(SLOTS.map(|slot| Read::Storage(address, slot)));
    reads
}

/// What a second look is for: where the first did not tell all.
fn second_reads(detected: &Detected) -> Vec<Read> {
    let proxy = detected.proxy;
    // `implementation()` and `proxyType()`
    let (implementation, proxy_type) = (bytes!("0x5c60da1b"), bytes!("0x4555d5c9"));
    match (detected.kind, detected.beacon) {
        (ProxyKind::Beacon, Some(beacon)) => vec![Read::Call(beacon, implementation)],
        (ProxyKind::Safe, _) => vec![Read::Storage(proxy, B256::ZERO)],
        (ProxyKind::Eip897, _) => {
            vec![Read::Call(proxy, implementation), Read::Call(proxy, proxy_type)]
        }
        _ => Vec::new(),
    }
}

/// A proxy with what the second look found; none when it turns out to be no proxy.
fn complete(mut detected: Detected, answers: &[Bytes]) -> Option<Detected> {
    detected.implementation = answers.first().and_then(address_in);
    if detected.kind == ProxyKind::Eip897 {
        // 1: fixed, 2: upgradeable. A beacon has no type.
        let kind = answers.get(1).filter(|answer| answer.len() == 32)?;
        let (last, zeros) = kind.split_last()?;
        let valid = matches!(last, 1 | 2) && zeros.iter().all(|byte| *byte == 0);
        if !valid || detected.implementation.is_none() {
            return None;
        }
    }
    Some(detected)
}

const SLOTS: [B256; 6] = [
    slots::EIP1967_IMPLEMENTATION,
    slots::EIP1967_BEACON,
    slots::EIP1967_ADMIN,
    slots::EIP1822,
    slots::ZEPPELIN_IMPLEMENTATION,
    slots::ZEPPELIN_ADMIN,
];

fn all<E>(
    address: Address,
    asked: usize,
    answers: Vec<Result<Option<Bytes>, E>>,
) -> Result<Vec<Bytes>, ReadFault<E>> {
    if answers.len() != asked {
        return Err(ReadFault::Answers { address, asked, answered: answers.len() });
    }
    answers
        .into_iter()
        .map(|answer| match answer {
            Ok(bytes) => Ok(bytes.unwrap_or_default()),
            Err(source) => Err(ReadFault::Read { address, source }),
        })
        .collect()
}

/// The kind of a contract by its code and slots; none when it is no proxy. What may be an EIP-897
/// proxy has to be asked.
fn classify(proxy: Address, answers: &[Bytes]) -> Option<Detected> {
    let [code, eip1967, beacon, admin, eip1822, zeppelin, zeppelin_admin] = answers else {
        return None;
    };
    if code.is_empty() {
        return None;
    }
    let found = |kind, implementation| {
        Some(Detected { proxy, kind, beacon: None, implementation, admin: None })
    };
    // What the code says outweighs what slots say: the code of these never reads a slot.
    if let Some(delegate) = code::delegate(code) {
        return found(ProxyKind::Delegated, Some(delegate));
    }
    if let Some(implementation) = code::minimal(code) {
        return found(ProxyKind::Minimal, Some(implementation));
    }
    if let Some(implementation) = address_in(eip1967) {
        let mut detected = found(ProxyKind::Eip1967, Some(implementation))?;
        detected.admin = address_in(admin);
        return Some(detected);
    }
    if let Some(beacon) = address_in(beacon) {
        let mut detected = found(ProxyKind::Beacon, None)?;
        detected.beacon = Some(beacon);
        detected.admin = address_in(admin);
        return Some(detected);
    }
    if let Some(implementation) = address_in(eip1822) {
        return found(ProxyKind::Eip1822, Some(implementation));
    }
    if let Some(implementation) = address_in(zeppelin) {
        let mut detected = found(ProxyKind::Zeppelin, Some(implementation))?;
        detected.admin = address_in(zeppelin_admin);
        return Some(detected);
    }
    if is_safe(code) {
        return found(ProxyKind::Safe, None);
    }
    if may_delegate(code) {
        return found(ProxyKind::Eip897, None);
    }
    None
}

/// A short contract with the byte of `DELEGATECALL`, which may of course be data.
fn may_delegate(code: &[u8]) -> bool {
    const LONGEST: usize = 4_096;
    const DELEGATECALL: u8 = 0xf4;
    code.len() <= LONGEST && code.contains(&DELEGATECALL)
}

/// A Safe's proxy answers `masterCopy()` itself: its code compares call data with that selector,
/// padded to a word.
fn is_safe(code: &[u8]) -> bool {
    const PUSH32_MASTER_COPY: [u8; 33] = {
        let mut bytes = [0; 33];
        bytes[0] = 0x7f;
        bytes[1] = 0xa6;
        bytes[2] = 0x19;
        bytes[3] = 0x48;
        bytes[4] = 0x6e;
        bytes
    };
    // A proxy is short; a whole contract that happens to compare the selector is not one.
    const LONGEST: usize = 512;
    code.len() <= LONGEST && code.windows(33).any(|window| window == PUSH32_MASTER_COPY)
}

/// The address in a word, when there is one and nothing else. Answers may come without the
/// leading zeros, or be longer when a contract returns more.
fn address_in(answer: &Bytes) -> Option<Address> {
    let word = match answer.len() {
        0 => return None,
        1..32 => B256::left_padding_from(answer),
        _ => B256::from_slice(&answer[..32]),
    };
    let clean = word[..12].iter().all(|byte| *byte == 0);
    Some(Address::from_word(word)).filter(|address| clean && !address.is_zero())
}
