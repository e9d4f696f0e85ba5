//! Blocks of exactly as many transactions as wanted, from a real node.

use serde_json::{Value, json};
use wk_testkit::{Anvil, Tx};

/// Base fee that each block is given: full blocks would drive it up without end.
const BASE_FEE: u64 = 1_000_000_000;
/// Gas beyond what a transaction uses in the end: calls need some to spare. Less than any uses, so
/// that no more transactions fit into a block.
const SPARE: u64 = 15_000;

/// One block's transactions, in order, all from the first account. The node's gas limit becomes
/// what they use, so that each block holds exactly these.
pub(crate) struct Load {
    block: Vec<Tx>,
    nonce: u64,
}

impl Load {
    /// A block of these transactions, each so often.
    ///
    /// # Panics
    /// When one of them fails.
    pub(crate) async fn prepare(anvil: &Anvil, kinds: &[(Tx, usize)]) -> Load {
        let mut block = Vec::new();
        let mut limit = 0;
        for (tx, count) in kinds {
            // The first one may write a slot for the first time.
            anvil.execute(tx).await;
            let receipt = anvil.execute(tx).await;
            assert_eq!(receipt["status"], "0x1", "{receipt}");
            let gas = quantity(&receipt["gasUsed"]);
            limit += gas * *count as u64;
            block.extend(std::iter::repeat_n(tx.clone().gas(gas + SPARE), *count));
        }
        anvil.rpc().call("evm_setBlockGasLimit", json!([format!("{:#x}", limit + SPARE)])).await;
        let account = anvil.accounts()[0];
        let nonce = anvil.rpc().call("eth_getTransactionCount", json!([account, "latest"])).await;
        Load { block, nonce: quantity(&nonce) }
    }

    /// Puts the transactions of so many blocks into the node's pool.
    pub(crate) async fn send(&mut self, anvil: &Anvil, blocks: u64) {
        for _ in 0..blocks {
            let from = self.nonce;
            self.nonce += self.block.len() as u64;
            let numbered = self.block.iter().cloned().zip(from..);
            let txs: Vec<Tx> = numbered.map(|(tx, nonce)| tx.nonce(nonce)).collect();
            anvil.send_all(&txs).await;
        }
    }
}

/// Makes one block.
pub(crate) async fn mine(anvil: &Anvil) {
    let fee = format!("{BASE_FEE:#x}");
    anvil.rpc().call("anvil_setNextBlockBaseFeePerGas", json!([fee])).await;
    anvil.rpc().call("evm_mine", json!([])).await;
}

fn quantity(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or_default();
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("the node writes hex")
}
