//! What bytes on an EVM chain mean: ABIs, decoded events, calls and errors, transfers, proxies.
//!
//! The definitions are our own and not `alloy-json-abi`'s, because that one refuses a whole file
//! for one odd item without naming it, and forgets the names of tuples' fields; types and values
//! are `alloy-dyn-abi`'s. Decoding is our own as well, for the reason given in `data`.

mod collection;
mod config;
mod data;
mod decoder;
mod error;
mod human;
mod item;
mod known;
mod normalise;
mod parse;
pub mod proxy;
mod value;

pub use alloy_dyn_abi::{DynSolType, DynSolValue};

pub use collection::Abi;
pub use config::{AbiSource, Contract, ContractConfig, ProxyMode};
pub use data::DataError;
pub use decoder::{
    Call, Decoded, DecodedCall, DecodedError, DecodedEvent, DecodedFunction, DecodedLog, Decoder,
    Origin, Param, Revert,
};
pub use error::AbiError;
pub use item::{
    CustomError, DecodeError, EncodeError, Event, Function, Item, ParamSpec, kind_name,
};
pub use known::{known_events, known_functions, panic_meaning};
pub use normalise::{Standard, Transfer, Transfers, transfers};
pub use parse::parse_abi;
pub use value::{Shown, to_json};

/// Longest text that is read as an ABI, in bytes. Artefacts with their sources stay below.
pub const MAX_TEXT: usize = 8 << 20;

/// Most items (events, functions, errors) of one ABI.
pub const MAX_ITEMS: usize = 10_000;

/// Most parameters of one item, fields of tuples included.
pub const MAX_PARAMS: usize = 256;

/// Deepest nesting of arrays and tuples in a type.
pub const MAX_DEPTH: usize = 16;
