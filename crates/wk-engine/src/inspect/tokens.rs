//! Names and decimals of tokens, so that people can read amounts.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use wk_chain::evm::state::StateReader;
use wk_model::{Address, BlockRef, U256};

/// Tokens that are remembered; when there are more, all are forgotten and asked for again.
const MOST: usize = 10_000;
/// Tokens that are asked for at once, on behalf of one block.
const MOST_AT_ONCE: usize = 16;
/// A finding waits no longer for names.
const PATIENCE: Duration = Duration::from_millis(800);
/// `symbol()` and `decimals()`.
const SYMBOL: [u8; 4] = [0x95, 0xd8, 0x9b, 0x41];
const DECIMALS: [u8; 4] = [0x31, 0x3c, 0xe5, 0x67];

/// How a token shows its amounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its own word for itself, cut to plain characters.
    pub symbol: String,
    /// Digits after the point of a whole unit.
    pub decimals: u8,
}

/// What is known of tokens. What is no token, or cannot be asked, is none.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<Address, Option<Token>>>);

impl Tokens {
    /// Asks for what is not known yet; what is not told in time stays unknown.
    pub(crate) async fn learn(&self, reader: &StateReader, at: BlockRef, tokens: &[Address]) {
        let unknown: Vec<Address> = {
            let known = self.0.lock();
            tokens.iter().filter(|token| !known.contains_key(*token)).copied().collect()
        };
        let asked = unknown.into_iter().take(MOST_AT_ONCE).map(|token| async move {
            let (symbol, decimals) =
                tokio::join!(reader.call(at, token, &SYMBOL), reader.call(at, token, &DECIMALS));
            let token_of = |symbol: &[u8], decimals: &[u8]| {
                Some(Token { symbol: read_symbol(symbol)?, decimals: read_decimals(decimals)? })
            };
            let told = match (symbol, decimals) {
                (Ok(symbol), Ok(decimals)) => token_of(&symbol, &decimals),
                _ => None,
            };
            (token, told)
        });
        let all = futures_util::future::join_all(asked);
        let Ok(told) = tokio::time::timeout(PATIENCE, all).await else { return };
        let mut known = self.0.lock();
        if known.len() + told.len() > MOST {
            known.clear();
        }
        known.extend(told);
    }

    pub(crate) fn get(&self, token: &Address) -> Option<Token> {
        self.0.lock().get(token).cloned().flatten()
    }
}

/// A symbol as ABI text, or as 32 bytes. It is the token's own word: only plain characters are kept.
fn read_symbol(data: &[u8]) -> Option<String> {
    let text = match data.len() {
        32 => data,
        64.. => {
            let length = usize::try_from(U256::from_be_slice(&data[32..64])).ok()?;
            data.get(64..64_usize.checked_add(length.min(64))?)?
        }
        _ => return None,
    };
    let plain: String = text
        .iter()
        .map(|byte| char::from(*byte))
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '$'))
        .take(16)
        .collect();
    (!plain.is_empty()).then_some(plain)
}

fn read_decimals(data: &[u8]) -> Option<u8> {
    let decimals = U256::from_be_slice(data.get(..32)?);
    u8::try_from(decimals).ok().filter(|decimals| *decimals <= 77)
}

/// An amount with its decimals, as people write it: `1,234.56`. At most six digits after the point.
pub(crate) fn shown(amount: U256, decimals: u8) -> String {
    let unit = U256::from(10).pow(U256::from(decimals));
    let whole = (amount / unit).to_string();
    let mut grouped = String::with_capacity(whole.len() + whole.len() / 3);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let rest = format!("{:0>width$}", (amount % unit).to_string(), width = usize::from(decimals));
    let rest: String = rest.chars().take(6).collect();
    match rest.trim_end_matches('0') {
        "" if whole == "0" && !amount.is_zero() => "less than 0.000001".to_owned(),
        "" => grouped,
        rest => format!("{grouped}.{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_well() {
        for (amount, decimals, expected) in [
            (0_u128, 18, "0"),
            (1, 18, "less than 0.000001"),
            (1_500_000_000_000_000_000, 18, "1.5"),
            (1_234_567_890_123, 6, "1,234,567.890123"),
            (999, 0, "999"),
            (1_000, 0, "1,000"),
            (1_000_001, 6, "1.000001"),
        ] {
            assert_eq!(shown(U256::from(amount), decimals), expected);
        }
        assert_eq!(shown(U256::MAX, 77), "1.15792");
    }

    #[test]
    fn symbols_come_as_text_and_as_bytes() {
        let text = |length: u8, text: &str| {
            let mut data = vec![0; 64];
            (data[31], data[63]) = (32, length);
            data.extend_from_slice(text.as_bytes());
            data.resize(data.len().next_multiple_of(32), 0);
            data
        };
        let mut bytes = b"MKR".to_vec();
        bytes.resize(32, 0);
        for (data, expected) in [
            (text(4, "USDC"), Some("USDC")),
            (text(9, "a\u{202e}<b> c"), Some("abc")),
            (bytes, Some("MKR")),
            (text(255, "X"), None),
            (vec![0; 32], None),
            (vec![], None),
            (vec![1; 40], None),
        ] {
            assert_eq!(read_symbol(&data).as_deref(), expected, "{data:?}");
        }
        assert_eq!(read_decimals(&[0xff; 32]), None);
        assert_eq!(read_decimals(&U256::from(18).to_be_bytes::<32>()), Some(18));
    }
}
