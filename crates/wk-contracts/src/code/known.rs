//! Functions and slots that mean something wherever they appear.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use alloy_primitives::{B256, b256, keccak256};

/// `bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1)`
pub(super) const SLOT_IMPLEMENTATION: B256 =
    b256!("0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
/// `bytes32(uint256(keccak256("eip1967.proxy.beacon")) - 1)`
pub(super) const SLOT_BEACON: B256 =
    b256!("0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50");
/// `keccak256("PROXIABLE")` (EIP-1822)
pub(super) const SLOT_PROXIABLE: B256 =
    b256!("0xc5f16f0fcc639fa48a6947836d9850f504798523bf8c9a3a87d5876cf622bcf7");

/// Functions that set a contract up and are meant to work once.
const INITIALIZERS: &[&str] = &[
    "initialize()",
    "initialize(address)",
    "initialize(address,address)",
    "initialize(address,address,address)",
    "initialize(address,address,address,address)",
    "initialize(address,uint256)",
    "initialize(address,bytes)",
    "initialize(bytes)",
    "initialize(uint256)",
    "initialize(string,string)",
    "initialize(string,string,uint8)",
    "initialize(string,string,address)",
    "init()",
    "init(address)",
    "init(address,address)",
    "init(bytes)",
    "setup(address)",
    "initWallet(address[],uint256,uint256)",
    "initMultiowned(address[],uint256)",
    "initDaylimit(uint256)",
    "initializeOwner(address)",
    "__Ownable_init()",
    // Pools and their like that were drained through it.
    "init(address,address,address)",
    "initialize(address[])",
];

/// What lenders call back.
const FLASH_CALLBACKS: &[&str] = &[
    "onFlashLoan(address,address,uint256,uint256,bytes)",
    "executeOperation(address[],uint256[],uint256[],address,bytes)",
    "executeOperation(address,uint256,uint256,address,bytes)",
    "executeOperation(address,uint256,uint256,bytes)",
    "receiveFlashLoan(address[],uint256[],uint256[],bytes)",
    "callFunction(address,(address,uint256),bytes)",
    "uniswapV2Call(address,uint256,uint256,bytes)",
    "uniswapV3FlashCallback(uint256,uint256,bytes)",
    "uniswapV3SwapCallback(int256,int256,bytes)",
    "pancakeCall(address,uint256,uint256,bytes)",
    "pancakeV3FlashCallback(uint256,uint256,bytes)",
    "BiswapCall(address,uint256,uint256,bytes)",
    "DPPFlashLoanCall(address,uint256,uint256,bytes)",
    "DVMFlashLoanCall(address,uint256,uint256,bytes)",
    "DSPFlashLoanCall(address,uint256,uint256,bytes)",
    "DODOFlashLoanCall(address,uint256,uint256,bytes)",
    "onMorphoFlashLoan(uint256,bytes)",
    "unlockCallback(bytes)",
];

/// What asks for a flash loan.
const FLASH_LOANS: &[&str] = &[
    "flashLoan(address,address[],uint256[],bytes)",
    "flashLoan(address,address[],uint256[],uint256[],address,bytes,uint16)",
    "flashLoanSimple(address,address,uint256,bytes,uint16)",
    "flashLoan(address,address,uint256,bytes)",
    "flashLoan(uint256,uint256,address,bytes)",
    "flashLoan(address,uint256,bytes)",
    "flash(address,uint256,uint256,bytes)",
    "operate((address,uint256)[],(uint8,uint256,(bool,uint8,uint8,uint256),uint256,uint256,address,uint256,bytes)[])",
];

/// Trades and oracles' sources.
const MARKETS: &[&str] = &[
    "swap(uint256,uint256,address,bytes)",
    "swap(address,bool,int256,uint160,bytes)",
    "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)",
    "swapExactTokensForTokensSupportingFeeOnTransferTokens(uint256,uint256,address[],address,uint256)",
    "swapExactETHForTokens(uint256,address[],address,uint256)",
    "exchange(int128,int128,uint256,uint256)",
    "getReserves()",
    "sync()",
    "skim(address)",
    "borrow(uint256)",
    "mint(uint256)",
    "redeem(uint256)",
    "deposit(uint256,address)",
    "withdraw(uint256,address,address)",
];

/// Tokens.
const TOKENS: &[&str] = &[
    "transfer(address,uint256)",
    "transferFrom(address,address,uint256)",
    "approve(address,uint256)",
    "balanceOf(address)",
];

/// What contracts that serve the public have and attack contracts do not.
const PUBLIC: &[&str] = &[
    "name()",
    "symbol()",
    "decimals()",
    "totalSupply()",
    "supportsInterface(bytes4)",
    "implementation()",
    "transferOwnership(address)",
];

pub(super) struct Known {
    pub(super) initializers: HashMap<u32, &'static str>,
    pub(super) flash_callbacks: HashMap<u32, &'static str>,
    pub(super) flash_loans: HashSet<u32>,
    pub(super) markets: HashSet<u32>,
    pub(super) tokens: HashSet<u32>,
    pub(super) public: HashSet<u32>,
}

pub(super) static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let named = |list: &'static [&'static str]| list.iter().map(|text| (selector(text), *text));
    let set = |list: &'static [&'static str]| list.iter().map(|text| selector(text)).collect();
    Known {
        initializers: named(INITIALIZERS).collect(),
        flash_callbacks: named(FLASH_CALLBACKS).collect(),
        flash_loans: set(FLASH_LOANS),
        markets: set(MARKETS),
        tokens: set(TOKENS),
        public: set(PUBLIC),
    }
});

pub(super) fn selector(signature: &str) -> u32 {
    let hash = keccak256(signature.as_bytes());
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}
