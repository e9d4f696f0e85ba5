//! Writes down what is executed: frames, logs in place, reads and writes of storage.

use alloy_primitives::{Address, U256};
use revm::bytecode::opcode;
use revm::context::{BlockEnv, CfgEnv, Context, Journal, LocalContextTr, TxEnv};
use revm::database::CacheDB;
use revm::handler::FrameResult;
use revm::handler::instructions::EthInstructions;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::InputsTr;
use revm::interpreter::{
    CallInputs, CallScheme, CreateInputs, FrameInput, Host, Instruction, InstructionContext,
    InstructionExecResult, InstructionResult, instructions,
};
use revm::primitives::Log;
use revm::primitives::hardfork::SpecId;
use wk_trace::{Access, Builder, FrameKind, NO_FRAME, TraceSource};

use crate::halt;
use crate::state::{Source, State};

pub(crate) type Database<S> = CacheDB<Source<S>>;
pub(crate) type Recorded<S> =
    Context<BlockEnv, TxEnv, CfgEnv, Database<S>, Journal<Database<S>>, Recorder>;

/// A frame that has not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// Its place; none when it is beyond what a trace keeps.
    at: Option<u32>,
    /// Logs that were kept when it began.
    kept: usize,
}

/// What was written down of the transaction that runs.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) builder: Builder,
    open: Vec<Open>,
    /// Logs that were written down already.
    logs: usize,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder { builder: Builder::new(TraceSource::Replay), open: Vec::new(), logs: 0 }
    }
}

impl Recorder {
    fn current(&self) -> Option<u32> {
        self.open.last().and_then(|open| open.at)
    }

    fn next(&mut self) -> u32 {
        u32::try_from(self.builder.trace().frames.len()).unwrap_or(NO_FRAME)
    }

    /// The current frame makes a call next, or has come to its end.
    pub(crate) fn pause(&mut self, logs: &[Log]) {
        let before = self.next();
        self.see_logs(logs, before);
    }

    /// Writes down the logs that have come since the last look, as the current frame's; `before` is
    /// the frame that begins next.
    fn see_logs(&mut self, logs: &[Log], before: u32) {
        let Some(frame) = self.current() else {
            self.logs = logs.len();
            return;
        };
        for log in logs.get(self.logs..).unwrap_or_default() {
            let data = self.builder.keep(&log.data.data);
            self.builder.log(log.address, log.data.topics().to_vec(), data, frame, before);
        }
        self.logs = logs.len();
    }

    pub(crate) fn begin(&mut self, input: &FrameInput, local: &impl LocalContextTr, nonce: u64) {
        let at = match self.open.last() {
            None => self.builder.open_frame(None),
            Some(Open { at: Some(parent), .. }) => self.builder.open_frame(Some(*parent)),
            Some(Open { at: None, .. }) => None,
        };
        self.open.push(Open { at, kept: self.builder.trace().logs.len() });
        let Some(at) = at else { return };
        match input {
            FrameInput::Empty => {}
            FrameInput::Call(inputs) => self.begin_call(at, inputs, local),
            FrameInput::Create(inputs) => self.begin_create(at, inputs, nonce),
        }
    }

    fn begin_call(&mut self, at: u32, inputs: &CallInputs, local: &impl LocalContextTr) {
        let kind = match inputs.scheme {
            CallScheme::Call => FrameKind::Call,
            CallScheme::StaticCall => FrameKind::StaticCall,
            CallScheme::DelegateCall | CallScheme::CallCode => FrameKind::Delegate,
        };
        // For delegated calls `caller` is the caller's caller; who delegates is the target.
        let from = if kind == FrameKind::Delegate { inputs.target_address } else { inputs.caller };
        self.builder.set_parties(at, kind, from, inputs.bytecode_address);
        let input = self.builder.keep(&inputs.input.as_bytes_local(local));
        let frame = self.builder.frame(at);
        frame.input = input;
        frame.gas = inputs.gas_limit;
        frame.value = inputs.value.get();
    }

    fn begin_create(&mut self, at: u32, inputs: &CreateInputs, nonce: u64) {
        let created = inputs.created_address(nonce);
        self.builder.set_parties(at, FrameKind::Create, inputs.caller(), created);
        let input = self.builder.keep(inputs.init_code());
        let frame = self.builder.frame(at);
        frame.input = input;
        frame.gas = inputs.gas_limit();
        frame.value = inputs.value();
    }

    /// The frame that began last and has not ended has ended now.
    pub(crate) fn end(&mut self, result: &FrameResult, logs: &[Log]) {
        let outcome = result.interpreter_result();
        if outcome.result.is_ok() {
            self.pause(logs);
        }
        let Some(open) = self.open.pop() else { return };
        if !outcome.result.is_ok() {
            // What it logged was undone with it.
            self.builder.trace().logs.truncate(open.kept);
            self.logs = logs.len();
        }
        let Some(at) = open.at else { return };
        let answers = outcome.result.is_ok() || outcome.result == InstructionResult::Revert;
        let output = if answers { &outcome.output[..] } else { &[] };
        let output = self.builder.keep(output);
        if !outcome.result.is_ok() && self.builder.frame(at).kind == FrameKind::Create {
            // Nothing came into being, so that there is no address, as nodes tell it.
            let nobody = self.builder.party(Address::ZERO);
            let frame = self.builder.frame(at);
            (frame.to, frame.code) = (nobody, nobody);
        }
        let frame = self.builder.frame(at);
        frame.output = output;
        frame.gas_used = outcome.gas.total_gas_spent();
        frame.error = halt::reason(outcome.result);
    }

    /// The transaction failed before its first frame began.
    pub(crate) fn never_began(&mut self, from: Address, to: Option<Address>) {
        let Some(at) = self.builder.open_frame(None) else { return };
        let kind = if to.is_none() { FrameKind::Create } else { FrameKind::Call };
        self.builder.set_parties(at, kind, from, to.unwrap_or_default());
        self.builder.frame(at).error = Some("out of gas".into());
    }

    fn self_destructs(&mut self, contract: Address, target: Address, balance: U256) {
        let Some(parent) = self.current() else { return };
        let Some(at) = self.builder.open_frame(Some(parent)) else { return };
        self.builder.set_parties(at, FrameKind::SelfDestruct, contract, target);
        self.builder.frame(at).value = balance;
    }
}

/// The interpreter's instructions, with those that touch storage or end a contract written down.
pub(crate) fn instructions<S: State>(spec: SpecId) -> EthInstructions<EthInterpreter, Recorded<S>> {
    let mut all = EthInstructions::new_mainnet_with_spec(spec);
    let table = all.instruction_table_mut();
    table[opcode::SLOAD as usize] = Instruction::new(sload::<S>);
    table[opcode::SSTORE as usize] = Instruction::new(sstore::<S>);
    table[opcode::SELFDESTRUCT as usize] = Instruction::new(self_destruct::<S>);
    all
}

type Call<'a, S> = InstructionContext<'a, Recorded<S>, EthInterpreter>;

fn sload<S: State>(call: Call<'_, S>) -> InstructionExecResult {
    let InstructionContext { interpreter, host } = call;
    let slot = interpreter.stack.peek(0)?;
    let gas = interpreter.gas.remaining();
    instructions::host::sload(InstructionContext { interpreter, host })?;
    let value = interpreter.stack.peek(0)?;
    let cold = interpreter.gas.remaining() < gas;
    if let Some(frame) = host.chain.current() {
        host.chain.builder.access(frame, slot, value, Access::Read { cold });
    }
    Ok(())
}

fn sstore<S: State>(call: Call<'_, S>) -> InstructionExecResult {
    let InstructionContext { interpreter, host } = call;
    let (slot, value) = (interpreter.stack.peek(0)?, interpreter.stack.peek(1)?);
    instructions::host::sstore(InstructionContext { interpreter, host })?;
    if let Some(frame) = host.chain.current() {
        host.chain.builder.access(frame, slot, value, Access::Write);
    }
    Ok(())
}

fn self_destruct<S: State>(call: Call<'_, S>) -> InstructionExecResult {
    let InstructionContext { interpreter, host } = call;
    let contract = interpreter.input.target_address();
    let target = Address::from_word(interpreter.stack.peek(0)?.into());
    let balance = host.balance(contract).map(|balance| balance.data).unwrap_or_default();
    let result = instructions::host::selfdestruct(InstructionContext { interpreter, host });
    if result == Err(InstructionResult::SelfDestruct) {
        host.chain.self_destructs(contract, target, balance);
    }
    result
}
