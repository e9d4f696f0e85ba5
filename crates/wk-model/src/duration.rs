//! Durations as people write them: `250ms`, `12s`, `10m`, `1h30m`, `7d`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A duration in a config: numbers with the units `ms`, `s`, `m`, `h`, `d`, largest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(pub Duration);

impl HumanDuration {
    /// A duration of whole seconds.
    pub const fn seconds(seconds: u64) -> HumanDuration {
        HumanDuration(Duration::from_secs(seconds))
    }

    /// A duration of whole milliseconds.
    pub const fn millis(millis: u64) -> HumanDuration {
        HumanDuration(Duration::from_millis(millis))
    }
}

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for HumanDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<HumanDuration, String> {
        let wrong =
            || format!("`{text}` is no duration; write for example 250ms, 12s, 10m, 1h30m, 7d");
        let mut rest = text.trim();
        let mut total = 0u64;
        let mut last_unit = u64::MAX;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let (_, unit) = UNITS
                .into_iter()
                .find(|(name, _)| *name == &rest[..letters])
                .filter(|(_, unit)| *unit < last_unit)
                .ok_or_else(wrong)?;
            rest = &rest[letters..];
            last_unit = unit;
            total =
                number.checked_mul(unit).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
        }
        Ok(HumanDuration(Duration::from_millis(total)))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (name, unit) in UNITS {
            if rest >= unit {
                write!(f, "{}{name}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A duration such as 250ms, 12s, 10m, 1h30m or 7d.",
            "pattern": "^([0-9]+(ms|s|m|h|d))+$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_what_people_write() {
        for (text, ms) in [
            ("250ms", 250),
            ("12s", 12_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            let duration: HumanDuration = text.parse().expect("it is a duration");
            assert_eq!(duration.0, Duration::from_millis(ms));
            assert_eq!(duration.to_string(), text);
        }
        for text in ["", "5", "m", "5 m", "30m1h", "1s1s", "-1s", "1.5h", "99999999999999d"] {
            assert!(text.parse::<HumanDuration>().is_err(), "{text}");
        }
    }
}
