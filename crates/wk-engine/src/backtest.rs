//! Rules over past blocks, with nothing kept and nobody told.

use wk_chain::abi::Decoder;
use wk_chain::evm::state::StateReader;
use wk_config::Loaded;
use wk_model::{ChainName, Intake, evm};
use wk_rules::{BlockInput, Evaluation, Memory, RuleSet};
use wk_runtime::Clock;

use crate::{History, proxies, state_reads};

/// A run of some rules over past blocks of one chain, lowest first.
pub struct Backtest {
    chain: ChainName,
    rules: RuleSet,
    decoder: Decoder,
    reader: StateReader,
    memory: Memory,
    clock: Clock,
}

impl Backtest {
    /// A run of the rules with these ids, also disabled ones.
    pub fn new(history: &History, loaded: &Loaded, chain: &ChainName, ids: &[&str]) -> Backtest {
        Backtest {
            chain: chain.clone(),
            rules: loaded.rules.only(ids),
            decoder: loaded.decoder.clone(),
            reader: history.reader(),
            memory: Memory::default(),
            clock: Clock::system(),
        }
    }

    /// What the rules make of the next block.
    pub async fn look(&mut self, block: &evm::Block) -> Evaluation {
        let at = block.header.block_ref();
        self.decoder.observe(&self.chain, block);
        proxies::look(&self.decoder, &self.reader, &self.chain, at).await;
        let reads = self.rules.state_reads(&self.chain, block.header.height);
        let state = state_reads::answer(&self.reader, at, reads).await;
        let reasons = state_reads::revert_reasons(
            &self.reader,
            &self.decoder,
            &self.rules,
            &self.chain,
            block,
        );
        let input = BlockInput {
            chain: &self.chain,
            block,
            intake: Intake::Backfill,
            state: &state,
            revert_reasons: &reasons.await,
            holes: &[],
            now: self.clock.now(),
        };
        self.rules.evaluate(&mut self.memory, &input)
    }
}
