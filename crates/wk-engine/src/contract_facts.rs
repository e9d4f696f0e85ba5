//! Finds out about a contract what its risk depends on, from a node: code, proxy, who controls it.

use serde_json::json;
use wk_chain::evm::state::{ReadState, StateReader};
use wk_chain::rpc::{Pool, Purpose, Request};
use wk_contracts::code::{CodeReport, ProxyKind, inspect};
use wk_contracts::risk::{CodeState, Control, Facts, Mint, Oracle, PastFindings, RiskScore, score};
use wk_model::primitives::b256;
use wk_model::{Address, B256, BlockRef, Bytes, Height, U256};

/// `bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1)`
const IMPLEMENTATION: B256 =
    b256!("0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
/// `bytes32(uint256(keccak256("eip1967.proxy.beacon")) - 1)`
const BEACON: B256 = b256!("0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50");
/// `bytes32(uint256(keccak256("eip1967.proxy.admin")) - 1)`
const ADMIN: B256 = b256!("0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103");
/// `keccak256("PROXIABLE")` (EIP-1822)
const PROXIABLE: B256 = b256!("0xc5f16f0fcc639fa48a6947836d9850f504798523bf8c9a3a87d5876cf622bcf7");

/// Owners of owners that are looked up.
const MAX_OWNERS: usize = 4;

/// What was found out about a contract.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The contract.
    pub address: Address,
    /// At which block.
    pub block: BlockRef,
    /// Its own code.
    pub code: CodeReport,
    /// Where it hands calls on to, and that code.
    pub implementation: Option<(Address, CodeReport)>,
    /// Who controls its code, by address, where somebody does.
    pub admin: Option<Address>,
    /// Its owner, where it tells one.
    pub owner: Option<Address>,
    /// The facts.
    pub facts: Facts,
    /// What they amount to.
    pub risk: RiskScore,
}

/// A contract cannot be examined.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// There is no code.
    #[error("{address:#x} has no code at block {height}: it is no contract, or on another chain")]
    NoContract {
        /// The address.
        address: Address,
        /// The block.
        height: Height,
    },
    /// The node does not tell.
    #[error("the contract cannot be read")]
    Read(#[from] ReadState),
}

/// Finds out about a contract at a block. `past` is what was found at it before, where somebody
/// knows; whether its source is published nobody here knows.
///
/// # Errors
/// When there is no contract or its code cannot be read; what else cannot be read is unknown.
pub async fn examine(
    pool: &Pool,
    block: BlockRef,
    address: Address,
    past: Option<PastFindings>,
) -> Result<Examined, ExamineError> {
    let reader = StateReader::new(pool, Purpose::Backfill);
    let bytes = reader.code(block, address).await?;
    if bytes.is_empty() {
        return Err(ExamineError::NoContract { address, height: block.height });
    }
    let code = inspect(&bytes);
    let asker = Asker { reader: &reader, block };
    let target = asker.implementation(address, &code).await;
    let implementation = match target {
        Some(target) => {
            let bytes = reader.code(block, target).await?;
            Some((target, inspect(&bytes)))
        }
        None => None,
    };
    let logic = implementation.as_ref().map_or(&code, |(_, report)| report);
    let (admin, upgrade) = asker.upgrade(address, &code, logic).await;
    let owner = asker.address_of(address, OWNER).await;
    let owner_control = match owner {
        Some(owner) => asker.control(owner).await,
        None => None,
    };
    let facts = Facts {
        upgrade,
        owner: owner_control,
        mint: mint(logic, owner_control),
        oracle: oracle(logic),
        paused: asker.paused(address, logic).await,
        age: age(pool, block, address).await,
        verified: None,
        code: worst(CodeState::of(&code), implementation.as_ref().map(|(_, report)| report)),
        findings: past,
    };
    let risk = score(&facts);
    Ok(Examined { address, block, code, implementation, admin, owner, facts, risk })
}

/// `owner()`
const OWNER: [u8; 4] = [0x8d, 0xa5, 0xcb, 0x5b];
/// `implementation()`
const GET_IMPLEMENTATION: [u8; 4] = [0x5c, 0x60, 0xda, 0x1b];
/// `getMinDelay()` of OpenZeppelin's timelock
const MIN_DELAY: [u8; 4] = [0xf2, 0x7a, 0x0c, 0x92];
/// `delay()` of Compound's timelock
const DELAY: [u8; 4] = [0x6a, 0x42, 0xb8, 0xf8];
/// `getThreshold()` of a Safe
const THRESHOLD: [u8; 4] = [0xe7, 0x52, 0x35, 0xb8];
/// `paused()`
const PAUSED: [u8; 4] = [0x5c, 0x97, 0x5a, 0xbb];

struct Asker<'a> {
    reader: &'a StateReader,
    block: BlockRef,
}

impl Asker<'_> {
    async fn word(&self, of: Address, function: [u8; 4]) -> Option<U256> {
        let answer = self.reader.call(self.block, of, &function).await.ok()?;
        answer.get(..32).map(U256::from_be_slice)
    }

    async fn address_of(&self, of: Address, function: [u8; 4]) -> Option<Address> {
        as_address(self.word(of, function).await?)
    }

    async fn slot(&self, of: Address, slot: B256) -> Option<Address> {
        let word = self.reader.storage(self.block, of, slot.into()).await.ok()?;
        as_address(word.into()).filter(|address| !address.is_zero())
    }

    async fn implementation(&self, address: Address, code: &CodeReport) -> Option<Address> {
        let proxy = code.proxy?;
        match proxy.kind {
            ProxyKind::Minimal => proxy.target,
            ProxyKind::Eip1967 => self.slot(address, IMPLEMENTATION).await,
            ProxyKind::Eip1822 => self.slot(address, PROXIABLE).await,
            ProxyKind::Beacon => match self.slot(address, BEACON).await {
                Some(beacon) => self.address_of(beacon, GET_IMPLEMENTATION).await,
                None => self.slot(address, IMPLEMENTATION).await,
            },
        }
        .filter(|target| *target != address)
    }

    /// Who can change the code: the proxy's admin, the beacon's owner, or where the implementation
    /// does it (UUPS), its owner.
    async fn upgrade(
        &self,
        address: Address,
        code: &CodeReport,
        logic: &CodeReport,
    ) -> (Option<Address>, Option<Control>) {
        let admin = match code.proxy.map(|proxy| proxy.kind) {
            Some(ProxyKind::Minimal) => return (None, Some(Control::Nobody)),
            None if code.delegates => return (None, None),
            // An implementation that can upgrade itself names the slot, and is no proxy itself.
            None => return (None, code.complete.then_some(Control::Nobody)),
            Some(ProxyKind::Beacon) => match self.slot(address, BEACON).await {
                Some(beacon) => self.address_of(beacon, OWNER).await,
                None => None,
            },
            Some(ProxyKind::Eip1967 | ProxyKind::Eip1822) => {
                match self.slot(address, ADMIN).await {
                    Some(admin) => Some(admin),
                    None if logic.has(UPGRADES) => self.address_of(address, OWNER).await,
                    None => None,
                }
            }
        };
        match admin {
            Some(admin) => (Some(admin), self.control(admin).await),
            None => (None, None),
        }
    }

    /// What kind of account commands: through owners of owners, as a proxy's admin has one.
    async fn control(&self, mut address: Address) -> Option<Control> {
        for _ in 0..MAX_OWNERS {
            if address.is_zero() {
                return Some(Control::Nobody);
            }
            let code = self.reader.code(self.block, address).await.ok()?;
            if code.is_empty() || code.starts_with(&[0xef, 0x01, 0x00]) {
                return Some(Control::Key);
            }
            for function in [MIN_DELAY, DELAY] {
                if let Some(seconds) = self.word(address, function).await {
                    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
                    return Some(Control::Timelock { seconds });
                }
            }
            if let Some(threshold) = self.word(address, THRESHOLD).await {
                let threshold = u64::try_from(threshold).unwrap_or(u64::MAX);
                return Some(Control::Multisig { threshold });
            }
            match self.address_of(address, OWNER).await {
                Some(owner) if owner != address => address = owner,
                _ => return Some(Control::Contract),
            }
        }
        Some(Control::Contract)
    }

    async fn paused(&self, address: Address, logic: &CodeReport) -> Option<bool> {
        match self.word(address, PAUSED).await {
            Some(word) if word <= U256::ONE => Some(word == U256::ONE),
            Some(_) => None,
            // It has no such function, and so is never paused by it.
            None => (logic.complete && !logic.has(&[u32::from_be_bytes(PAUSED)])).then_some(false),
        }
    }
}

/// `upgradeTo(address)`, `upgradeToAndCall(address,bytes)`
const UPGRADES: &[u32] = &[0x3659_cfe6, 0x4f1e_f286];
/// `mint(address,uint256)`, `mint(uint256)`, `issue(uint256)`
const MINTS: &[u32] = &[0x40c1_0f19, 0xa071_2d68, 0xcc87_2b66];
/// `latestRoundData()`, `latestAnswer()`, `getRoundData(uint80)`, `getPrice(address)`, `getAssetPrice(address)`
const FEEDS: &[u32] = &[0xfeaf_968c, 0x50d2_5bcd, 0x9a6f_c8f5, 0x4197_6e09, 0xb359_6f07];
/// `observe(uint32[])`, `consult(address,uint256)`, `price0CumulativeLast()`
const AVERAGES: &[u32] = &[0x883b_dbfd, 0x3ddac953, 0x5909_c0d5];
/// `getReserves()`, `slot0()`, `getAmountsOut(uint256,address[])`, `get_virtual_price()`
const SPOTS: &[u32] = &[0x0902_f1ac, 0x3850_c7bd, 0xd06c_a61f, 0xbb7b_8b80];

fn mint(logic: &CodeReport, owner: Option<Control>) -> Option<Mint> {
    match (logic.has(MINTS), owner) {
        (true, Some(Control::Key)) => Some(Mint::Key),
        (true, _) => Some(Mint::Guarded),
        (false, _) => logic.complete.then_some(Mint::None),
    }
}

fn oracle(logic: &CodeReport) -> Option<Oracle> {
    if logic.asks(SPOTS) {
        Some(Oracle::Spot)
    } else if logic.asks(AVERAGES) {
        Some(Oracle::Average)
    } else if logic.asks(FEEDS) {
        Some(Oracle::Feed)
    } else {
        logic.complete.then_some(Oracle::None)
    }
}

/// The worse of a proxy's code and its implementation's.
fn worst(own: Option<CodeState>, implementation: Option<&CodeReport>) -> Option<CodeState> {
    let Some(report) = implementation else { return own };
    let rank = |state: Option<CodeState>| match state {
        Some(CodeState::Hole) => 3,
        Some(CodeState::Minor) => 2,
        None => 1,
        Some(CodeState::Clean) => 0,
    };
    let other = CodeState::of(report);
    if rank(other) > rank(own) { other } else { own }
}

/// Seconds since the contract was created: by halving, since when its address has code. Needs a node
/// that knows old states. A contract that was destroyed and made again counts from either.
async fn age(pool: &Pool, block: BlockRef, address: Address) -> Option<u64> {
    let has_code = async |height: u64| -> Option<bool> {
        let params = json!([address, format!("0x{height:x}")]);
        let code: Bytes =
            pool.call(Request::backfill("eth_getCode", params)).await.ok()?.parse().ok()?;
        Some(!code.is_empty())
    };
    // Code at `high`, none below `low`.
    let (mut low, mut high) = (0, block.height.0);
    while low < high {
        let middle = low + (high - low) / 2;
        if has_code(middle).await? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    let time = async |height: u64| -> Option<u64> {
        let params = json!([format!("0x{height:x}"), false]);
        let reply = pool.call(Request::backfill("eth_getBlockByNumber", params)).await.ok()?;
        let header: serde_json::Value = reply.parse().ok()?;
        let text = header["timestamp"].as_str()?;
        u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    };
    Some(time(block.height.0).await?.saturating_sub(time(high).await?))
}

fn as_address(word: U256) -> Option<Address> {
    let bytes = word.to_be_bytes::<32>();
    let (zeros, address) = bytes.split_first_chunk::<12>()?;
    (*zeros == [0; 12]).then(|| Address::from_slice(address))
}

#[cfg(test)]
mod tests {
    use wk_model::primitives::keccak256;

    use super::*;

    #[test]
    fn selectors_and_slots_are_those_of_their_names() {
        let selector = |text: &str| {
            let hash = keccak256(text);
            [hash[0], hash[1], hash[2], hash[3]]
        };
        for (text, expected) in [
            ("owner()", OWNER),
            ("implementation()", GET_IMPLEMENTATION),
            ("getMinDelay()", MIN_DELAY),
            ("delay()", DELAY),
            ("getThreshold()", THRESHOLD),
            ("paused()", PAUSED),
        ] {
            assert_eq!(selector(text), expected, "{text}");
        }
        for (names, expected) in [
            (&["upgradeTo(address)", "upgradeToAndCall(address,bytes)"][..], UPGRADES),
            (&["mint(address,uint256)", "mint(uint256)", "issue(uint256)"], MINTS),
            (
                &[
                    "latestRoundData()",
                    "latestAnswer()",
                    "getRoundData(uint80)",
                    "getPrice(address)",
                    "getAssetPrice(address)",
                ],
                FEEDS,
            ),
            (
                &["observe(uint32[])", "consult(address,uint256)", "price0CumulativeLast()"],
                AVERAGES,
            ),
            (
                &[
                    "getReserves()",
                    "slot0()",
                    "getAmountsOut(uint256,address[])",
                    "get_virtual_price()",
                ],
                SPOTS,
            ),
        ] {
            let have: Vec<u32> =
                names.iter().map(|text| u32::from_be_bytes(selector(text))).collect();
            assert_eq!(have, expected, "{names:?}");
        }
        for (text, slot) in [
            ("eip1967.proxy.implementation", IMPLEMENTATION),
            ("eip1967.proxy.beacon", BEACON),
            ("eip1967.proxy.admin", ADMIN),
        ] {
            let expected = U256::from_be_bytes(keccak256(text).0) - U256::ONE;
            assert_eq!(U256::from_be_bytes(slot.0), expected, "{text}");
        }
        assert_eq!(keccak256("PROXIABLE"), PROXIABLE);
    }
}
