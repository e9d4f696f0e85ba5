//! Anything watched or operated, named by a path such as `chain/mainnet`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ChainName;

/// Names one asset: its kind and its name, joined by `/`.
///
/// Examples: `chain/mainnet`, `endpoint/mainnet/alchemy`, `contract/mainnet/vault`, `site/app`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AssetId(Arc<str>);

impl AssetId {
    /// The asset `kind/name`.
    pub fn new(kind: &str, name: impl fmt::Display) -> AssetId {
        AssetId(format!("{kind}/{name}").into())
    }

    /// The chain itself.
    pub fn chain(chain: &ChainName) -> AssetId {
        AssetId::new("chain", chain)
    }

    /// One RPC endpoint of a chain, by its shown name (never its URL: that may hold a key).
    pub fn endpoint(chain: &ChainName, endpoint: &str) -> AssetId {
        AssetId::new("endpoint", format_args!("{chain}/{endpoint}"))
    }

    /// A contract of a chain, by its name in the config or its address.
    pub fn contract(chain: &ChainName, contract: impl fmt::Display) -> AssetId {
        AssetId::new("contract", format_args!("{chain}/{contract}"))
    }

    /// A stored name, as it was written.
    pub fn parse(text: &str) -> AssetId {
        AssetId(text.into())
    }

    /// The whole path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssetId({})", self.0)
    }
}
