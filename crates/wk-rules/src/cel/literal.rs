//! Text that stands for an address, bytes, an amount or a time: at load in a literal, later in a
//! string that is converted.

use alloy_primitives::{Address, Bytes};
use wk_model::Timestamp;

use super::calendar::{LATEST, days_from_civil, days_in_month, zone};
use super::{Int, Millis};

/// Text does not say what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// What is wrong.
    pub(super) message: String,
    /// How to mend it.
    pub(super) hint: Option<String>,
}

fn malformed(message: impl Into<String>, hint: &str) -> Malformed {
    Malformed { message: message.into(), hint: Some(hint.to_owned()) }
}

/// `0x` and 40 hex digits. Mixed case is a checksum (EIP-55) and has to be right.
pub(super) fn address(text: &str) -> Result<Address, Malformed> {
    let hint = "an address is 0x and 40 hex digits";
    let shown = shorten(text);
    let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
        let hint = if text.contains('.') && !text.contains(' ') {
            "names are not resolved; write the address itself, 0x and 40 hex digits"
        } else {
            hint
        };
        return Err(malformed(format!("`{shown}` is not a 20-byte address"), hint));
    };
    if let Some(wrong) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
        let message = format!(
            "`{shown}` is not a 20-byte address: `{}` is no hex digit",
            wrong.escape_debug()
        );
        return Err(malformed(message, hint));
    }
    if digits.len() != 40 {
        let message = format!(
            "`{shown}` is not a 20-byte address: it has {} hex digits, not 40",
            digits.len()
        );
        return Err(malformed(message, hint));
    }
    let address: Address = digits.parse().expect("40 hex digits");
    let is_mixed = digits.contains(|c: char| c.is_ascii_lowercase())
        && digits.contains(|c: char| c.is_ascii_uppercase());
    let right = address.to_checksum(None);
    if is_mixed && right[2..] != *digits {
        let message = format!("the checksum of `{shown}` is wrong: a digit may be mistyped");
        let hint = format!("if the digits are right, write {right}");
        return Err(malformed(message, &hint));
    }
    Ok(address)
}

/// `0x` and two hex digits per byte.
pub(super) fn hex_bytes(text: &str) -> Result<Bytes, Malformed> {
    let hint = "bytes are 0x and two hex digits each";
    let shown = shorten(text);
    let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
        return Err(malformed(format!("`{shown}` does not begin with 0x"), hint));
    };
    match alloy_primitives::hex::decode(digits) {
        Ok(bytes) => Ok(bytes.into()),
        Err(_) if !digits.len().is_multiple_of(2) => {
            Err(malformed(format!("`{shown}` has an odd number of hex digits"), hint))
        }
        Err(_) => Err(malformed(format!("`{shown}` is not hex"), hint)),
    }
}

/// A decimal number such as `1.5` or `2e6`, times 10 to the power of `decimals`, exactly.
pub(super) fn units(text: &str, decimals: u32) -> Result<Int, Malformed> {
    let shown = shorten(text);
    let wrong = || {
        let hint = "an amount is written like \"1.5\": digits, and at most one `.`";
        malformed(format!("`{shown}` is no amount"), hint)
    };
    let trimmed = text.trim();
    let (negative, number) = match trimmed.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, trimmed),
    };
    let (number, exponent) = match number.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().map_err(|_| wrong())?),
        None => (number, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0
        || (number.contains('.') && fraction.is_empty())
        || !is_digits(whole)
        || !is_digits(fraction)
    {
        return Err(wrong());
    }
    let too_large = || malformed(format!("`{shown}` is larger than 256 bits"), "write less");
    // What is left of 10^(decimals + exponent) once the fraction's digits are taken as whole.
    let fraction = fraction.trim_end_matches('0');
    let places = i64::try_from(fraction.len()).map_err(|_| wrong())?;
    let shift = i64::from(decimals) + i64::from(exponent) - places;
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Ok(Int::ZERO);
    }
    // Any number of 512 bits has fewer digits; more would only cost time.
    if significant.len() > 200 {
        return Err(too_large());
    }
    let number = Int::from_digits(significant).ok_or_else(too_large)?;
    let ten = Int::from(10u64);
    let amount = match u32::try_from(shift) {
        Ok(shift) => ten
            .checked_pow(shift.min(1_000))
            .and_then(|scale| number.checked_mul(scale))
            .ok_or_else(too_large)?,
        Err(_) => {
            let excess = u32::try_from(-shift).unwrap_or(u32::MAX);
            let scale = ten.checked_pow(excess.min(1_000));
            let remainder = scale.and_then(|scale| number.checked_rem(scale));
            if remainder != Some(Int::ZERO) {
                let message = format!("`{shown}` has more than {decimals} decimals");
                return Err(malformed(message, "the smallest amount is one unit"));
            }
            scale.and_then(|scale| number.checked_div(scale)).ok_or_else(too_large)?
        }
    };
    if amount.to_u256().is_none() {
        return Err(too_large());
    }
    Ok(if negative { -amount } else { amount })
}

/// The whole number that a double's text writes, such as `1e18`; none with a fraction.
pub(super) fn whole_double(text: &str) -> Option<Int> {
    units(text, 0).ok()
}

/// Milliseconds per unit; zero for what is finer than the language's times.
const DURATION_UNITS: [(&str, i64); 7] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
    ("us", 0),
    ("ns", 0),
];

/// `1h30m`, `1.5s`, `-10m`, `250ms`: numbers with units, in whole milliseconds.
pub(super) fn duration(text: &str) -> Result<Millis, Malformed> {
    let shown = shorten(text);
    let wrong = || {
        let hint = "write for example 250ms, 12s, 10m, 1h30m, 7d";
        malformed(format!("`{shown}` is no duration"), hint)
    };
    let (sign, mut rest) = match text.trim().strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.trim()),
    };
    if rest == "0" {
        return Ok(Millis(0));
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = 0i64;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let &(_, millis) =
            DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let fine = || {
            malformed(
                format!("`{shown}` is finer than a millisecond"),
                "durations are whole milliseconds",
            )
        };
        if millis == 0 {
            return Err(fine());
        }
        let part = scaled(number, millis).map_err(|fault| match fault {
            Scale::NoNumber => wrong(),
            Scale::NotWhole => fine(),
        })?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = tail;
    }
    Ok(Millis(sign * total))
}

enum Scale {
    NoNumber,
    NotWhole,
}

/// A decimal number times `unit`, exactly.
fn scaled(number: &str, unit: i64) -> Result<i64, Scale> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.len() + fraction.len() == 0 || fraction.len() > 9 {
        return Err(if fraction.len() > 9 { Scale::NotWhole } else { Scale::NoNumber });
    }
    let digits = format!("{whole}{fraction}");
    let digits: i128 = digits.parse().map_err(|_| Scale::NoNumber)?;
    let places = u32::try_from(fraction.len()).expect("at most nine");
    let divisor = 10i128.pow(places);
    let product = digits.checked_mul(i128::from(unit)).ok_or(Scale::NoNumber)?;
    if product % divisor != 0 {
        return Err(Scale::NotWhole);
    }
    i64::try_from(product / divisor).map_err(|_| Scale::NoNumber)
}

/// RFC 3339, such as `2026-11-22T21:36:04Z` or `2026-11-22T23:36:04.5+02:00`.
pub(super) fn timestamp(text: &str) -> Result<Timestamp, Malformed> {
    let shown = shorten(text);
    parse_timestamp(text.trim()).ok_or_else(|| {
        let hint = "write RFC 3339 from 1970 on, such as 2026-11-22T21:36:04Z";
        malformed(format!("`{shown}` is no time"), hint)
    })
}

fn parse_timestamp(text: &str) -> Option<Timestamp> {
    if !text.is_ascii() || text.len() < 20 {
        return None;
    }
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok()
    };
    let sign = |at: usize, signs: &str| text.get(at..=at).is_some_and(|c| signs.contains(c));
    let separated =
        sign(4, "-") && sign(7, "-") && sign(10, "Tt ") && sign(13, ":") && sign(16, ":");
    if !separated {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let in_range = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let mut rest = &text[19..];
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let end = fraction.find(|c: char| !c.is_ascii_digit())?;
        if !(1..=9).contains(&end) {
            return None;
        }
        // Finer than a millisecond is cut off, as block times never are finer.
        let digits = format!("{:0<3}", &fraction[..end]);
        millis = digits[..3].parse().ok()?;
        rest = &fraction[end..];
    }
    let offset_minutes = zone(rest)?;
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
        - offset_minutes * 60;
    let timestamp = Timestamp(u64::try_from(seconds * 1_000 + millis).ok()?);
    (timestamp <= LATEST).then_some(timestamp)
}

/// Long text is cut where an error quotes it.
pub(super) fn shorten(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown: String =
        text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
