//! A block's content in 32 bytes, to tell later whether something else was processed.

use wk_model::primitives::Keccak256;
use wk_model::{B256, evm};

/// The digest of what rules see of a block: its transactions, how they ended, and their logs.
///
/// Of a block whose checks all passed it follows from the block's hash; of others, such as blocks
/// without receipts, it may change when the rest becomes known.
pub fn digest(block: &evm::Block) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(block.header.hash);
    for transaction in &block.transactions {
        hasher.update(transaction.hash);
        hasher.update([match &transaction.receipt {
            None => 0,
            Some(evm::Receipt { success: None, .. }) => 1,
            Some(evm::Receipt { success: Some(false), .. }) => 2,
            Some(evm::Receipt { success: Some(true), .. }) => 3,
        }]);
        for log in transaction.logs() {
            let evm::Log { address, topics, data, index } = log;
            hasher.update(address);
            hasher.update(index.to_be_bytes());
            hasher.update((topics.len() as u64).to_be_bytes());
            for topic in topics {
                hasher.update(topic);
            }
            hasher.update((data.len() as u64).to_be_bytes());
            hasher.update(data);
        }
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_that_a_rule_may_see_changes_the_digest() {
        let mut block = evm::Block { header: evm::Header::default(), transactions: Vec::new() };
        let mut digests = vec![digest(&block)];
        block.transactions.push(evm::Transaction::default());
        digests.push(digest(&block));
        block.transactions[0].receipt = Some(evm::Receipt::default());
        digests.push(digest(&block));
        for change in [
            (|receipt: &mut evm::Receipt| receipt.success = Some(false)) as fn(&mut evm::Receipt),
            |receipt| receipt.success = Some(true),
            |receipt| receipt.logs.push(evm::Log::default()),
            |receipt| receipt.logs[0].topics.push(B256::ZERO),
            |receipt| receipt.logs[0].data = vec![0; 32].into(),
            |receipt| receipt.logs.push(evm::Log::default()),
        ] {
            change(block.transactions[0].receipt.as_mut().unwrap());
            digests.push(digest(&block));
        }
        let count = digests.len();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }
}
