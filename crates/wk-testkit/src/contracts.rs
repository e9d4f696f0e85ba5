//! Our own contracts, compiled by `npm run contracts` and committed.

use alloy_dyn_abi::{DynSolValue, FunctionExt, JsonAbiExt};
use alloy_json_abi::JsonAbi;
use alloy_primitives::{B256, Bytes, U256, hex};
use serde_json::Value;

/// One of the contracts in `contracts/src`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fixture {
    /// ERC-20, mintable: `constructor(string name, string symbol, uint8 decimals)`.
    Token,
    /// Wrapped ether with the events of WETH9.
    Weth,
    /// Ether and token vault: `Deposit`, `Withdraw`, `Heartbeat`; fails in all ways.
    Vault,
    /// EIP-1967 proxy: `constructor(address implementation)`.
    Proxy,
    /// What the proxy runs at first.
    CounterV1,
    /// What it can be upgraded to.
    CounterV2,
    /// Price feed: `constructor(string description, int256 price)`.
    Oracle,
    /// Constant-product pool: `constructor(address token0, address token1)`.
    Pool,
    /// ERC-721.
    Nft,
    /// ERC-1155.
    Multi,
    /// Anonymous events, rich types, and any number of plain events.
    Emitter,
}

impl Fixture {
    /// All of them.
    pub const ALL: [Fixture; 11] = [
        Fixture::Token,
        Fixture::Weth,
        Fixture::Vault,
        Fixture::Proxy,
        Fixture::CounterV1,
        Fixture::CounterV2,
        Fixture::Oracle,
        Fixture::Pool,
        Fixture::Nft,
        Fixture::Multi,
        Fixture::Emitter,
    ];

    /// The compiled artefact, in Hardhat's shape.
    pub fn json(self) -> &'static str {
        macro_rules! artefact {
            ($name:literal) => {
                include_str!(concat!("../../../contracts/out/", $name, ".json"))
            };
        }
        match self {
            Fixture::Token => artefact!("Token"),
            Fixture::Weth => artefact!("Weth"),
            Fixture::Vault => artefact!("Vault"),
            Fixture::Proxy => artefact!("Proxy"),
            Fixture::CounterV1 => artefact!("CounterV1"),
            Fixture::CounterV2 => artefact!("CounterV2"),
            Fixture::Oracle => artefact!("Oracle"),
            Fixture::Pool => artefact!("Pool"),
            Fixture::Nft => artefact!("Nft"),
            Fixture::Multi => artefact!("Multi"),
            Fixture::Emitter => artefact!("Emitter"),
        }
    }

    /// Its ABI.
    pub fn abi(self) -> JsonAbi {
        serde_json::from_value(self.part("abi")).expect("the compiler wrote it")
    }

    /// Init code that deploys it.
    ///
    /// # Panics
    /// When `args` are not what the constructor takes.
    pub fn deploy_data(self, args: &[DynSolValue]) -> Bytes {
        let code = self.part("bytecode");
        let code = code.as_str().expect("the compiler wrote it");
        let mut data = hex::decode(code).expect("the compiler wrote it");
        if let Some(constructor) = self.abi().constructor {
            let args = constructor.abi_encode_input(args);
            data.extend(args.unwrap_or_else(|error| panic!("arguments of {self:?}: {error}")));
        }
        data.into()
    }

    /// Call data for a function.
    ///
    /// # Panics
    /// When there is no such function, or it does not take `args`.
    pub fn call_data(self, function: &str, args: &[DynSolValue]) -> Bytes {
        match self.function(function).abi_encode_input(args) {
            Ok(data) => data.into(),
            Err(error) => panic!("arguments of {self:?}.{function}: {error}"),
        }
    }

    /// What a function returned.
    ///
    /// # Panics
    /// When there is no such function, or it does not return such data.
    pub fn outputs(self, function: &str, data: &[u8]) -> Vec<DynSolValue> {
        match self.function(function).abi_decode_output(data) {
            Ok(values) => values,
            Err(error) => panic!("output of {self:?}.{function}: {error}"),
        }
    }

    /// The first topic of an event.
    ///
    /// # Panics
    /// When there is no such event.
    pub fn topic(self, event: &str) -> B256 {
        let abi = self.abi();
        let events = abi.event(event).unwrap_or_else(|| panic!("{self:?} has no event {event}"));
        events[0].selector()
    }

    fn function(self, name: &str) -> alloy_json_abi::Function {
        let abi = self.abi();
        let all = abi.function(name).unwrap_or_else(|| panic!("{self:?} has no function {name}"));
        all[0].clone()
    }

    fn part(self, name: &str) -> Value {
        let mut artefact: Value = serde_json::from_str(self.json()).expect("the compiler wrote it");
        artefact[name].take()
    }
}

/// Init code of a scene of `contracts/twins`: it deploys what an attack, or its harmless look-alike,
/// needs. Its function `actor()` tells whose `run()` plays the scene.
///
/// # Panics
/// When there is no such scene.
pub fn scene(name: &str) -> Bytes {
    let scenes = include_str!("../../../contracts/out/twins.json");
    let scenes: Value = serde_json::from_str(scenes).expect("the compiler wrote it");
    let code = scenes[name].as_str().unwrap_or_else(|| panic!("there is no scene `{name}`"));
    hex::decode(code).expect("the compiler wrote it").into()
}

/// A whole number as an argument.
pub fn number(value: impl Into<U256Number>) -> DynSolValue {
    DynSolValue::Uint(value.into().0, 256)
}

/// What [`number`] takes.
pub struct U256Number(U256);

impl From<U256> for U256Number {
    fn from(value: U256) -> U256Number {
        U256Number(value)
    }
}

impl From<u64> for U256Number {
    fn from(value: u64) -> U256Number {
        U256Number(U256::from(value))
    }
}

/// A text as an argument.
pub fn text(value: &str) -> DynSolValue {
    DynSolValue::String(value.to_owned())
}

/// So many whole ether, in wei.
pub fn ether(amount: u64) -> U256 {
    U256::from(amount) * U256::from(1_000_000_000_000_000_000u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_artefact_has_code_and_an_abi() {
        for fixture in Fixture::ALL {
            assert!(fixture.part("bytecode").as_str().unwrap().len() > 100, "{fixture:?}");
            assert!(fixture.abi().functions().count() > 0, "{fixture:?}");
        }
        // The selector that every ERC-20 has.
        let to = DynSolValue::Address(Default::default());
        let data = Fixture::Token.call_data("transfer", &[to, number(1)]);
        assert_eq!(hex::encode(&data[..4]), "a9059cbb");
    }
}
