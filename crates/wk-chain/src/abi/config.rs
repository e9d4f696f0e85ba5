//! The settings of one watched contract, and the contract they name.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use alloy_primitives::{Address, hex};
use schemars::JsonSchema;
use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use wk_model::{ChainName, Problem};

use super::human::{Line, Wanted, parse_line};
use super::{Abi, MAX_ITEMS, parse_abi};

/// Blocks between two looks at what is behind a proxy, by default.
const REREAD_BLOCKS: u64 = 25;

/// A contract to watch, under the name that rules use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractConfig {
    /// The chain it is on: a name under `chains`. May be left out when there is only one chain.
    #[serde(default)]
    pub chain: Option<String>,
    /// Its address: `0x` and 40 hex digits. When upper and lower case are mixed, they must be the
    /// EIP-55 checksum.
    #[schemars(regex(pattern = r"^0x[0-9a-fA-F]{40}$"))]
    pub address: String,
    /// Its ABI: the path of a file (Foundry, Hardhat or Truffle artefact, plain ABI JSON, saved
    /// Etherscan answer, or signatures line by line), relative to the config file; or a list of
    /// signatures such as `event Withdraw(address indexed to, uint256 amount)`. For a proxy, the
    /// implementation's ABI. Without it, only well-known events and calls are decoded.
    #[serde(default)]
    pub abi: Option<AbiSource>,
    /// `auto` finds out whether the contract is a proxy (EIP-1967, EIP-1822, beacon, minimal and
    /// others) and follows its upgrades; `none` takes it as it is.
    #[serde(default)]
    pub proxy: ProxyMode,
    /// Blocks between two looks at what is behind a proxy, and at who may upgrade it: a change
    /// without an event is a finding. Default 25; 0 looks only when an event says that something
    /// changed.
    #[serde(default)]
    pub proxy_reread_blocks: Option<u32>,
    /// Labels that findings about the contract carry, for routing.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Where an ABI comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AbiSource {
    /// The path of a file.
    File(String),
    /// Signatures, one by one.
    Signatures(Vec<String>),
}

/// Whether a contract may be a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyMode {
    /// Find out, and follow upgrades.
    #[default]
    Auto,
    /// It is none, or shall be taken as none.
    None,
}

/// A watched contract with its ABI.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its name in the config.
    pub name: Arc<str>,
    /// The chain it is on.
    pub chain: ChainName,
    /// Its address.
    pub address: Address,
    /// Its ABI; empty when none is given.
    pub abi: Arc<Abi>,
    /// Whether to look for an implementation behind it.
    pub proxy: ProxyMode,
    /// Blocks between two looks at what is behind it; 0 for none.
    pub reread_blocks: u64,
    /// Labels for findings about it.
    pub labels: Arc<BTreeMap<String, String>>,
}

impl ContractConfig {
    /// The contract called `name`. `chains` are all configured chains; `read` gives the content of
    /// a file by its path as written. Problems have paths below this contract, such as `address`.
    pub fn build(
        &self,
        name: &str,
        chains: &[ChainName],
        read: &dyn Fn(&str) -> io::Result<String>,
    ) -> Result<Contract, Vec<Problem>> {
        let ContractConfig { chain, address, abi, proxy, proxy_reread_blocks, labels } = self;
        let chain = resolve_chain(chain.as_deref(), chains);
        let address = parse_address(address);
        let abi = abi.as_ref().map_or_else(|| Ok(Abi::default()), |source| source.load(read));
        match (chain, address, abi) {
            (Ok(chain), Ok(address), Ok(abi)) => Ok(Contract {
                name: name.into(),
                chain,
                address,
                abi: Arc::new(abi),
                proxy: *proxy,
                reread_blocks: proxy_reread_blocks.map_or(REREAD_BLOCKS, u64::from),
                labels: Arc::new(labels.clone()),
            }),
            (chain, address, abi) => Err(chain
                .err()
                .into_iter()
                .chain(address.err())
                .chain(abi.err().into_iter().flatten())
                .collect()),
        }
    }
}

fn resolve_chain(chain: Option<&str>, chains: &[ChainName]) -> Result<ChainName, Problem> {
    let names = || chains.iter().map(ChainName::as_str).collect::<Vec<_>>().join(", ");
    match (chain, chains) {
        (Some(name), _) => {
            chains.iter().find(|known| known.as_str() == name).cloned().ok_or_else(|| {
                let problem = Problem::new("chain", format!("there is no chain `{name}`"));
                if chains.is_empty() {
                    problem.hint("Add it under `chains`.")
                } else {
                    problem.hint(format!("Configured chains: {}.", names()))
                }
            })
        }
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(Problem::new("", "no chain is configured for this contract")
            .hint("Add a chain under `chains`.")),
        (None, _) => Err(Problem::new("", "`chain` is missing")
            .hint(format!("Say on which chain the contract is; there are {}.", names()))),
    }
}

/// Reads an address as people write it.
fn parse_address(text: &str) -> Result<Address, Problem> {
    let text = text.trim();
    let problem = |message: String| Problem::new("address", message);
    let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
        let problem = problem(format!("`{}` is no address", super::error::shortened(text)));
        return Err(problem.hint(if text.ends_with(".eth") {
            "Names are not resolved; write the address itself."
        } else {
            "An address is `0x` and 40 hex digits; keep it in quotes."
        }));
    };
    if digits.len() != 40 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        let found = match digits.chars().find(|digit| !digit.is_ascii_hexdigit()) {
            Some(odd) => format!("it has `{}`", odd.escape_debug()),
            None => format!("it has {} digits", digits.len()),
        };
        return Err(problem(format!("the address is not valid: {found}"))
            .hint("An address is `0x` and 40 hex digits; keep it in quotes."));
    }
    let mut bytes = [0; 20];
    hex::decode_to_slice(digits, &mut bytes).expect("40 hex digits were counted");
    let address = Address::from(bytes);
    let mixed = digits.bytes().any(|digit| digit.is_ascii_uppercase())
        && digits.bytes().any(|digit| digit.is_ascii_lowercase());
    let checksummed = address.to_checksum(None);
    if mixed && checksummed[2..] != *digits {
        return Err(problem("the address fails its EIP-55 checksum".to_owned()).hint(format!(
            "A digit may be mistyped. If you are sure of the digits, write {checksummed}."
        )));
    }
    Ok(address)
}

impl AbiSource {
    /// The ABI; problems have the path `abi`, or `abi[N]` for one signature.
    fn load(&self, read: &dyn Fn(&str) -> io::Result<String>) -> Result<Abi, Vec<Problem>> {
        match self {
            AbiSource::File(path) => {
                let text = read(path).map_err(|error| {
                    let problem = Problem::new("abi", format!("cannot read `{path}`: {error}"));
                    vec![problem.hint(if path.contains('(') {
                        "To give signatures, write a list: `abi: [\"event …\"]`."
                    } else {
                        "The path counts from the folder of the config file."
                    })]
                })?;
                parse_abi(&text).map_err(|error| {
                    // The place is one in the other file, not in the config.
                    let mut problem = error.problem("abi");
                    problem.message = format!("`{path}`: {}", problem.message);
                    problem.span = None;
                    vec![problem]
                })
            }
            AbiSource::Signatures(lines) => load_signatures(lines),
        }
    }
}

fn load_signatures(lines: &[String]) -> Result<Abi, Vec<Problem>> {
    if lines.len() > MAX_ITEMS {
        return Err(vec![Problem::new("abi", format!("more than {MAX_ITEMS} signatures"))]);
    }
    let mut abi = Abi::default();
    let mut problems = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        match parse_line(line, Wanted::Any) {
            Ok(Line::Event(event)) => abi.add_event(event),
            Ok(Line::Function(function)) => abi.add_function(function),
            Ok(Line::Error(error)) => abi.add_error(error),
            Ok(Line::Ignored) => {}
            Err(error) => problems.push(error.problem(format!("abi[{index}]"))),
        }
    }
    if problems.is_empty() { Ok(abi) } else { Err(problems) }
}

impl<'de> Deserialize<'de> for AbiSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AbiSource, D::Error> {
        struct PathOrList;

        impl<'de> Visitor<'de> for PathOrList {
            type Value = AbiSource;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the path of an ABI file, or a list of signatures")
            }

            fn visit_str<E: serde::de::Error>(self, path: &str) -> Result<AbiSource, E> {
                Ok(AbiSource::File(path.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<AbiSource, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(AbiSource::Signatures)
            }
        }

        deserializer.deserialize_any(PathOrList)
    }
}

impl JsonSchema for AbiSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AbiSource".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The path of an ABI file, or a list of human-readable signatures.",
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}}
            ]
        })
    }
}
