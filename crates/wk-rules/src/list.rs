//! Lists that rules look things up in: written in the config or kept in a file.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One entry of `lists:`: the items themselves, or where to find them.
///
/// ```yaml
/// lists:
///   treasury: ["0x1111111111111111111111111111111111111111"]
///   sanctioned: {file: lists/sanctioned.txt}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListConfig {
    /// Items written in the config.
    pub items: Vec<String>,
    /// A file with one item per line, relative to the config; empty lines and what follows a `#`
    /// do not count.
    pub file: Option<PathBuf>,
    /// What the items are. Default: addresses when all are, else integers when all are, else text.
    pub kind: Option<ListKind>,
}

/// What the items of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListKind {
    /// 20-byte addresses.
    Address,
    /// Integers.
    Int,
    /// Hashes, selectors and other bytes in hex.
    Bytes,
    /// Text.
    String,
}

/// The long form, as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LongForm {
    /// Items, besides those of the file.
    #[serde(default)]
    #[schemars(with = "Vec<serde_json::Value>")]
    items: Vec<String>,
    /// A file with one item per line, relative to the config; empty lines and what follows a `#`
    /// do not count.
    #[serde(default)]
    file: Option<PathBuf>,
    /// What the items are. Default: addresses when all are, else integers when all are, else text.
    #[serde(default, rename = "type")]
    kind: Option<ListKind>,
}

impl<'de> Deserialize<'de> for ListConfig {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = ListConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of items, or `{file: PATH}`")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> Result<ListConfig, A::Error> {
                let mut config = ListConfig::default();
                while let Some(item) = items.next_element()? {
                    config.items.push(item);
                }
                Ok(config)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                keys: A,
            ) -> Result<ListConfig, A::Error> {
                let LongForm { items, file, kind } =
                    LongForm::deserialize(serde::de::value::MapAccessDeserializer::new(keys))?;
                Ok(ListConfig { items, file, kind })
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for ListConfig {
    fn schema_name() -> Cow<'static, str> {
        "List".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // Items are taken as they are written: a plain number is its digits.
        let item = schemars::json_schema!({"type": ["string", "integer"]});
        let long = generator.subschema_for::<LongForm>();
        schemars::json_schema!({
            "description": "A list of items, or where to find them.",
            "anyOf": [{"type": "array", "items": item}, long]
        })
    }
}

/// A list could not be read from its file.
#[derive(Debug, thiserror::Error)]
pub enum ReadListError {
    /// The file could not be read.
    #[error("{path} could not be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than a list may be.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What a list's file may hold.
        limit: u64,
    },
}

/// A list's file may be this large: about 700,000 addresses.
const FILE_LIMIT: u64 = 32 << 20;

impl ListConfig {
    /// True when it can be written as a plain list.
    pub(crate) fn is_plain(&self) -> bool {
        self.file.is_none() && self.kind.is_none()
    }

    /// All items as text: those of the config, then those of the file, which lies relative to
    /// `base`. This is the only part of a list that touches the disk.
    pub fn read(&self, base: &Path) -> Result<Vec<String>, ReadListError> {
        let mut items = self.items.clone();
        if let Some(file) = &self.file {
            let path = base.join(file);
            let failed = |source| ReadListError::Read { path: path.clone(), source };
            if std::fs::metadata(&path).map_err(failed)?.len() > FILE_LIMIT {
                return Err(ReadListError::TooLarge { path, limit: FILE_LIMIT });
            }
            let text = std::fs::read_to_string(&path).map_err(failed)?;
            items.extend(text.lines().filter_map(|line| {
                let item = line.split('#').next().unwrap_or_default().trim();
                (!item.is_empty()).then(|| item.to_owned())
            }));
        }
        Ok(items)
    }
}
