//! Fees: the next base fee, and the history that wallets and monitors ask for.

use serde_json::{Value, json};

use crate::json::{quantity, to_u64};
use crate::seal::Sealed;

/// Base fee of the block after `block` (EIP-1559): moves by at most 1/8 towards half-full blocks.
pub(crate) fn next_base_fee(block: &Value) -> u64 {
    let number = |field: &str| to_u64(&block[field]).unwrap_or(0);
    let (base_fee, used) = (number("baseFeePerGas"), number("gasUsed"));
    let target = (number("gasLimit") / 2).max(1);
    let step = |excess: u64| {
        let step = u128::from(base_fee) * u128::from(excess) / u128::from(target) / 8;
        u64::try_from(step).unwrap_or(u64::MAX)
    };
    if used > target {
        base_fee.saturating_add(step(used - target).max(1))
    } else {
        base_fee - step(target - used)
    }
}

/// `eth_feeHistory` over `blocks`, oldest first, which must not be empty.
pub(crate) fn fee_history(blocks: &[&Sealed], percentiles: &[f64]) -> Value {
    let text = |block: &Sealed, field: &str| match &block.content.block[field] {
        Value::Null => json!("0x0"),
        value => value.clone(),
    };
    let mut base_fees: Vec<Value> =
        blocks.iter().map(|block| text(block, "baseFeePerGas")).collect();
    base_fees.extend(blocks.last().map(|block| quantity(next_base_fee(&block.content.block))));
    let used: Vec<f64> = blocks
        .iter()
        .map(|block| {
            let number = |field: &str| to_u64(&block.content.block[field]).unwrap_or(0) as f64;
            number("gasUsed") / number("gasLimit").max(1.0)
        })
        .collect();
    let mut history = json!({
        "oldestBlock": quantity(blocks.first().map_or(0, |block| block.number)),
        "baseFeePerGas": base_fees,
        "gasUsedRatio": used,
        "baseFeePerBlobGas": vec!["0x1"; blocks.len() + 1],
        "blobGasUsedRatio": vec![0.0; blocks.len()],
    });
    if !percentiles.is_empty() {
        history["reward"] = blocks.iter().map(|block| rewards(block, percentiles)).collect();
    }
    history
}

/// Priority fees at the percentiles of gas, cheapest first; zeros for an empty block.
fn rewards(block: &Sealed, percentiles: &[f64]) -> Value {
    let base_fee = to_u64(&block.content.block["baseFeePerGas"]).unwrap_or(0);
    let mut paid: Vec<(u64, u64)> = block
        .content
        .receipts
        .iter()
        .filter_map(|receipt| {
            let price = to_u64(&receipt["effectiveGasPrice"])?;
            Some((price.saturating_sub(base_fee), to_u64(&receipt["gasUsed"])?))
        })
        .collect();
    paid.sort_unstable();
    let all: u64 = paid.iter().map(|(_, gas)| gas).sum();
    let at = |percentile: f64| {
        let mut seen = 0;
        paid.iter()
            .find(|(_, gas)| {
                seen += gas;
                seen as f64 >= all as f64 * percentile / 100.0
            })
            .or(paid.last())
            .map_or(0, |(fee, _)| *fee)
    };
    percentiles.iter().map(|percentile| quantity(at(*percentile))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_fee_follows_fullness() {
        let check = |base_fee: u64, used: u64, expected: u64| {
            let block = json!({
                "baseFeePerGas": quantity(base_fee),
                "gasUsed": quantity(used),
                "gasLimit": quantity(30_000_000),
            });
            assert_eq!(next_base_fee(&block), expected, "{base_fee} with {used} gas");
        };
        check(1_000_000_000, 15_000_000, 1_000_000_000);
        check(1_000_000_000, 0, 875_000_000);
        check(1_000_000_000, 30_000_000, 1_125_000_000);
        check(7, 0, 7);
        check(7, 30_000_000, 8);
        check(u64::MAX, 30_000_000, u64::MAX);
    }
}
