//! Which pending transactions may touch watched contracts, before they are executed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use wk_chain::abi::Decoder;
use wk_chain::evm::state::StateReader;
use wk_chain::evm::wire::RawTransaction;
use wk_chain::evm::{EvmConfig, TraceWatch};
use wk_chain::rpc::{Pool, Purpose};
use wk_model::{Address, BlockRef, ChainName};
use wk_trace::TxTrace;

/// Functions that are remembered to have led to watched contracts.
const MAX_TOUCHING: usize = 65_536;
/// Contracts of which it is remembered whether their code names a watched one.
const MAX_KNOWN: usize = 65_536;
/// Bytes of call data that are searched for addresses.
const MAX_SEARCHED: usize = 64 << 10;

/// A contract and one of its functions.
type Function = (Address, [u8; 4]);

/// Functions by which transactions have come to watched contracts, learnt from blocks. Clones share
/// them.
#[derive(Clone, Default)]
pub(crate) struct Touching(Arc<Mutex<HashSet<Function>>>);

impl Touching {
    /// A transaction of a block in which a watched contract took part.
    pub(crate) fn learn(&self, trace: &TxTrace) {
        let Some(first) = trace.frames.first() else { return };
        let function = (trace.address(first.to), trace.selector(first).to_be_bytes());
        let mut functions = self.0.lock();
        if functions.len() >= MAX_TOUCHING && !functions.contains(&function) {
            // Which one goes hardly matters: it is learnt again.
            let any = functions.iter().next().copied();
            any.map(|any| functions.remove(&any));
        }
        functions.insert(function);
    }

    fn leads(&self, function: &Function) -> bool {
        self.0.lock().contains(function)
    }
}

/// Tells which transactions are worth executing. Clones share what was learnt.
#[derive(Clone)]
pub(super) struct Candidates {
    chain: ChainName,
    all: bool,
    touching: Touching,
    reader: StateReader,
    names: Arc<Mutex<HashMap<Address, bool>>>,
}

/// What can be said without asking anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    Yes,
    No,
    /// The code of the contract that is called may tell.
    AskCode(Address),
}

impl Candidates {
    pub(super) fn new(
        chain: &ChainName,
        config: &EvmConfig,
        pool: &Pool,
        touching: &Touching,
    ) -> Candidates {
        Candidates {
            chain: chain.clone(),
            all: config.pending.watch == TraceWatch::All,
            touching: touching.clone(),
            reader: StateReader::new(pool, Purpose::Live),
            names: Arc::default(),
        }
    }

    /// Whether a transaction may touch a watched contract, or that must be asked for.
    pub(super) fn may_be(&self, decoder: &Decoder, raw: &RawTransaction) -> bool {
        match self.guess(decoder, raw) {
            Guess::Yes => true,
            Guess::No => false,
            Guess::AskCode(called) => self.names.lock().get(&called).copied().unwrap_or(true),
        }
    }

    /// Whether a transaction touches a watched contract, as far as its call and the called
    /// contract's code say. A node that does not answer leaves it open: then it does.
    pub(super) async fn is_one(
        &self,
        decoder: &Decoder,
        raw: &RawTransaction,
        at: BlockRef,
    ) -> bool {
        let called = match self.guess(decoder, raw) {
            Guess::Yes => return true,
            Guess::No => return false,
            Guess::AskCode(called) => called,
        };
        if let Some(names) = self.names.lock().get(&called) {
            return *names;
        }
        let Ok(code) = self.reader.code(at, called).await else { return true };
        let names = pushed(&code).any(|address| decoder.contract(&self.chain, &address).is_some());
        let mut known = self.names.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        // Where there is no code yet, there may be later.
        if !code.is_empty() {
            known.insert(called, names);
        }
        names
    }

    fn guess(&self, decoder: &Decoder, raw: &RawTransaction) -> Guess {
        let transaction = &raw.transaction;
        let Some(called) = transaction.to else { return Guess::Yes };
        let is_watched = |address: &Address| decoder.contract(&self.chain, address).is_some();
        let function = (called, transaction.selector().unwrap_or_default());
        if is_watched(&called) || self.touching.leads(&function) {
            return Guess::Yes;
        }
        if transaction.input.is_empty() {
            // Coins for somebody: what receives them seldom does more.
            return Guess::No;
        }
        let input = &transaction.input[..transaction.input.len().min(MAX_SEARCHED)];
        let named = || {
            input.windows(20).any(|window| is_watched(&Address::from_slice(window)))
                || raw.access_list.iter().any(|(address, _)| is_watched(address))
        };
        if self.all || named() { Guess::Yes } else { Guess::AskCode(called) }
    }
}

/// The addresses that code carries in itself, and whatever else looks like one.
fn pushed(code: &[u8]) -> impl Iterator<Item = Address> {
    const PUSH20: u8 = 0x73;
    let places = code.windows(21).filter(|window| window[0] == PUSH20);
    places.map(|window| Address::from_slice(&window[1..]))
}
