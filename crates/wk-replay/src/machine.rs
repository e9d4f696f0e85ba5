//! Executes transactions of one block in order, and tells what each did.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, address};
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction};
use revm::context::{
    BlockEnv, CfgEnv, Context, ContextSetters, ContextTr, Evm, FrameStack, Journal, JournalTr,
    TxEnv,
};
use revm::database::CacheDB;
use revm::database_interface::DatabaseCommit;
use revm::handler::evm::{ContextDbError, FrameInitResult, FrameTr};
use revm::handler::instructions::EthInstructions;
use revm::handler::{
    EthFrame, EthPrecompiles, EvmTr, FrameInitOrResult, FrameResult, Handler, ItemOrResult,
    MainnetHandler, SystemCallTx,
};
use revm::interpreter::FrameInput;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_action::FrameInit;
use revm::primitives::hardfork::SpecId;
use revm::state::EvmState;
use wk_chain::evm::wire::{RawHeader, RawTransaction};
use wk_trace::TxTrace;

use crate::environment;
use crate::forks::Rules;
use crate::recorder::{Recorded, Recorder, instructions};
use crate::state::{Source, State, StateError};

/// Where the beacon chain's roots are kept (EIP-4788).
const BEACON_ROOTS: Address = address!("000f3df6d732807ef1319fb7b8bb8522d0beac02");
/// Where the hashes of earlier blocks are kept (EIP-2935).
const HISTORY: Address = address!("0000f90827f1c53a10cb7a02335b175320002935");

/// A transaction was not executed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ExecuteError {
    /// It may not stand in this block: wrong nonce, no money for its gas, and the like.
    #[error("the transaction is not valid here: {0}")]
    Invalid(String),
    /// State that it needs is not there.
    #[error("the transaction needs state that is not there")]
    State(#[source] StateError),
    /// The interpreter gave up.
    #[error("the transaction could not be executed: {0}")]
    Failed(String),
}

type Refused = EVMError<StateError, InvalidTransaction>;

impl From<Refused> for ExecuteError {
    fn from(error: Refused) -> ExecuteError {
        match error {
            EVMError::Transaction(invalid) => ExecuteError::Invalid(invalid.to_string()),
            EVMError::Header(invalid) => ExecuteError::Failed(invalid.to_string()),
            EVMError::Database(error) => ExecuteError::State(error),
            EVMError::Custom(words) => ExecuteError::Failed(words),
            EVMError::CustomAny(error) => ExecuteError::Failed(error.to_string()),
        }
    }
}

/// What came of a transaction.
#[derive(Clone, Debug)]
pub struct Executed {
    /// All it did.
    pub trace: TxTrace,
    /// Gas it used.
    pub gas_used: u64,
    /// Whether it succeeded.
    pub success: bool,
}

/// Executes transactions one after the other, each on the state that those before it left.
pub struct Machine<S: State> {
    engine: Engine<S>,
    height: u64,
}

impl<S: State> Machine<S> {
    /// A machine at the begin of the block with `header`, on the state before it.
    ///
    /// Protocol rules that change state before the first transaction are followed: beacon roots
    /// (EIP-4788) and block hashes (EIP-2935). Withdrawals and rewards come after the last one, and
    /// the one-off change of the DAO fork is not made.
    ///
    /// # Errors
    /// When state for that is not there.
    pub fn at_block(
        rules: Rules,
        header: &RawHeader,
        state: S,
    ) -> Result<Machine<S>, ExecuteError> {
        let mut machine = Machine::on_state(rules, header, state);
        if rules.spec.is_enabled_in(SpecId::CANCUN)
            && let Some(root) = header.parent_beacon_block_root
        {
            machine.system_call(BEACON_ROOTS, root)?;
        }
        if rules.spec.is_enabled_in(SpecId::PRAGUE) {
            machine.system_call(HISTORY, header.header.parent_hash)?;
        }
        Ok(machine)
    }

    /// A machine that executes as in the block with `header`, on the state that is given as it is.
    pub fn on_state(rules: Rules, header: &RawHeader, state: S) -> Machine<S> {
        let database = CacheDB::new(Source(state));
        let context: Recorded<S> =
            Context::<BlockEnv, TxEnv, CfgEnv, _, Journal<_>, ()>::new(database, rules.spec)
                .with_chain(Recorder::default())
                .with_cfg(environment::config(rules))
                .with_block(environment::block(rules, header));
        let evm = Evm::new(context, instructions(rules.spec), EthPrecompiles::new(rules.spec));
        Machine { engine: Engine { evm }, height: header.header.height.0 }
    }

    /// Lets transactions in that could not be in the block: whose nonce comes later, or which
    /// offer less than the base fee.
    #[must_use]
    pub fn lenient(mut self) -> Machine<S> {
        self.engine.evm.ctx.cfg.disable_nonce_check = true;
        self.engine.evm.ctx.cfg.disable_base_fee = true;
        self
    }

    /// Executes a transaction; what it changed stays for those after it.
    ///
    /// # Errors
    /// When it is not valid here, or state is missing; nothing has changed then.
    pub fn execute(&mut self, raw: &RawTransaction) -> Result<Executed, ExecuteError> {
        self.engine.evm.ctx.chain = Recorder::default();
        let result = self.run(environment::transaction(raw))?;
        let state = self.engine.evm.ctx.journal_mut().finalize();
        let mut recorder = std::mem::take(&mut self.engine.evm.ctx.chain);
        for ((account, slot), (from, to)) in changed_slots(&state) {
            recorder.builder.storage(account, slot, from, to);
        }
        self.engine.evm.ctx.db_mut().commit(state);
        let (gas_used, success) = (result.tx_gas_used(), result.is_success());
        let transaction = &raw.transaction;
        if recorder.builder.trace().frames.is_empty() {
            // It ran out of gas before its first frame.
            recorder.never_began(transaction.from, transaction.to);
        }
        let first = recorder.builder.frame(0);
        (first.gas, first.gas_used) = (transaction.gas, gas_used);
        let trace = recorder.builder.trace();
        trace.hash = Some(transaction.hash).filter(|hash| !hash.is_zero());
        trace.index = Some(transaction.index);
        trace.block = Some(self.height);
        trace.gas_used = Some(gas_used);
        trace.success = success;
        let known = &mut trace.known;
        known.frames = true;
        known.gas = true;
        known.logs = true;
        known.log_places = true;
        known.storage = true;
        known.accesses = true;
        let trace = recorder.builder.finish().expect("there is a frame with its parties");
        Ok(Executed { trace, gas_used, success })
    }

    fn run(&mut self, transaction: TxEnv) -> Result<ExecutionResult, ExecuteError> {
        self.engine.evm.ctx.set_tx(transaction);
        MainnetHandler::default().run(&mut self.engine).map_err(|error: Refused| {
            self.engine.evm.ctx.journal_mut().finalize();
            ExecuteError::from(error)
        })
    }

    fn system_call(&mut self, contract: Address, word: B256) -> Result<(), ExecuteError> {
        let call = TxEnv::new_system_tx(contract, Bytes::copy_from_slice(word.as_slice()));
        self.engine.evm.ctx.set_tx(call);
        let result = MainnetHandler::default()
            .run_system_call(&mut self.engine)
            .map_err(|error: Refused| ExecuteError::from(error));
        let state = self.engine.evm.ctx.journal_mut().finalize();
        result?;
        self.engine.evm.ctx.db_mut().commit(state);
        Ok(())
    }
}

type Slots = BTreeMap<(Address, U256), (U256, U256)>;

/// Slots whose value at the end is not that at the begin.
fn changed_slots(state: &EvmState) -> Slots {
    let mut slots = Slots::new();
    for (address, account) in state {
        for (slot, value) in &account.storage {
            if value.original_value != value.present_value {
                slots.insert((*address, *slot), (value.original_value, value.present_value));
            }
        }
    }
    slots
}

type Frame = EthFrame<EthInterpreter>;

/// revm's machine with a recorder at its frames. Nothing is done per instruction, so that it runs as
/// fast as without one.
struct Engine<S: State> {
    evm: Evm<Recorded<S>, (), EthInstructions<EthInterpreter, Recorded<S>>, EthPrecompiles, Frame>,
}

impl<S: State> EvmTr for Engine<S> {
    type Context = Recorded<S>;
    type Instructions = EthInstructions<EthInterpreter, Recorded<S>>;
    type Precompiles = EthPrecompiles;
    type Frame = Frame;

    fn all(&self) -> (&Self::Context, &Self::Instructions, &Self::Precompiles, &FrameStack<Frame>) {
        self.evm.all()
    }

    fn all_mut(
        &mut self,
    ) -> (&mut Self::Context, &mut Self::Instructions, &mut Self::Precompiles, &mut FrameStack<Frame>)
    {
        self.evm.all_mut()
    }

    fn frame_init(
        &mut self,
        input: FrameInit,
    ) -> Result<FrameInitResult<'_, Frame>, ContextDbError<Self::Context>> {
        let context = &mut self.evm.ctx;
        let nonce = match &input.frame_input {
            FrameInput::Create(inputs) => {
                let caller = context.journaled_state.state.get(&inputs.caller());
                caller.map_or(0, |caller| caller.info.nonce)
            }
            FrameInput::Call(_) | FrameInput::Empty => 0,
        };
        context.chain.begin(&input.frame_input, &context.local, nonce);
        let result = match self.evm.frame_init(input)? {
            ItemOrResult::Item(_) => None,
            ItemOrResult::Result(result) => Some(result),
        };
        match result {
            None => Ok(ItemOrResult::Item(self.evm.frame_stack.get())),
            Some(result) => {
                // Precompiles, accounts without code, and calls that cannot begin end at once.
                let context = &mut self.evm.ctx;
                context.chain.end(&result, &context.journaled_state.logs);
                Ok(ItemOrResult::Result(result))
            }
        }
    }

    fn frame_run(&mut self) -> Result<FrameInitOrResult<Frame>, ContextDbError<Self::Context>> {
        let next = self.evm.frame_run()?;
        let context = &mut self.evm.ctx;
        match &next {
            ItemOrResult::Item(_) => context.chain.pause(&context.journaled_state.logs),
            ItemOrResult::Result(result) => {
                context.chain.end(result, &context.journaled_state.logs);
            }
        }
        Ok(next)
    }

    fn frame_return_result(
        &mut self,
        result: <Frame as FrameTr>::FrameResult,
    ) -> Result<Option<FrameResult>, ContextDbError<Self::Context>> {
        self.evm.frame_return_result(result)
    }
}
