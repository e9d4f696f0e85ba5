//! Why a frame failed, in geth's words, so that all sources say the same.

use revm::interpreter::InstructionResult;

/// Nothing when it succeeded.
pub(crate) fn reason(result: InstructionResult) -> Option<Box<str>> {
    use InstructionResult as Result;
    if result.is_ok() {
        return None;
    }
    let words = match result {
        Result::Revert => "execution reverted",
        Result::OutOfGas
        | Result::MemoryOOG
        | Result::MemoryLimitOOG
        | Result::PrecompileOOG
        | Result::InvalidOperandOOG
        | Result::ReentrancySentryOOG => "out of gas",
        Result::CallTooDeep => "max call depth exceeded",
        Result::OutOfFunds => "insufficient balance for transfer",
        Result::InvalidJump => "invalid jump destination",
        Result::StackUnderflow => "stack underflow",
        Result::StackOverflow => "stack limit reached",
        Result::OpcodeNotFound | Result::InvalidFEOpcode | Result::NotActivated => "invalid opcode",
        Result::StateChangeDuringStaticCall | Result::CallNotAllowedInsideStatic => {
            "write protection"
        }
        Result::OutOfOffset => "return data out of bounds",
        Result::CreateCollision => "contract address collision",
        Result::CreateContractSizeLimit => "max code size exceeded",
        Result::CreateInitCodeSizeLimit => "max initcode size exceeded",
        Result::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
        Result::NonceOverflow => "nonce uint64 overflow",
        other => return Some(format!("{other:?}").into()),
    };
    Some(words.into())
}
