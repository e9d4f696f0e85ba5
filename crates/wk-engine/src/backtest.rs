//! Rules over a chain's past, with nothing kept and nobody told.

use wk_chain::abi::Decoder;
use wk_chain::evm::state::StateReader;
use wk_config::Loaded;
use wk_model::{ChainName, Finding, evm};
use wk_rules::{BacktestSummary, RuleSet};

use crate::{History, proxies, state_reads};

/// A run of some rules over past blocks of one chain, lowest first.
pub struct Backtest {
    chain: ChainName,
    rules: RuleSet,
    decoder: Decoder,
    reader: StateReader,
    run: wk_rules::Backtest,
}

impl Backtest {
    /// A run of the rules with these ids, also disabled ones; of all running rules when there are
    /// none.
    pub fn new(history: &History, loaded: &Loaded, chain: &ChainName, ids: &[&str]) -> Backtest {
        let rules = if ids.is_empty() { loaded.rules.clone() } else { loaded.rules.only(ids) };
        Backtest {
            chain: chain.clone(),
            run: wk_rules::Backtest::new(&rules, chain),
            rules,
            decoder: loaded.decoder.clone(),
            reader: history.reader(),
        }
    }

    /// Looks at the next block, with what the rules want to know of its state, and tells what was
    /// found in it.
    pub async fn look(&mut self, block: &evm::Block) -> Vec<Finding> {
        let Backtest { chain, rules, decoder, reader, run } = self;
        let at = block.header.block_ref();
        decoder.observe(chain, block);
        proxies::look(decoder, reader, chain, at, decoder.unread(chain)).await;
        let reads = rules.state_reads(chain, block.header.height);
        let state = state_reads::answer(reader, at, reads).await;
        let reasons = state_reads::revert_reasons(reader, decoder, rules, chain, block).await;
        run.block(block, &state, &reasons).findings
    }

    /// What came of it so far.
    pub fn summary(&self) -> BacktestSummary {
        self.run.summary()
    }
}
