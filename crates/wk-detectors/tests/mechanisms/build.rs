//! Call trees written by hand: accounts and functions by name.

use std::fmt::Write;

use alloy_primitives::{Address, U256, keccak256};
use wk_trace::{TxTrace, read};

/// One coin or token of eighteen decimals.
pub(crate) const ONE: u128 = 1_000_000_000_000_000_000;

/// The account with a name; `zero` and `0x…` stand for themselves.
pub(crate) fn address(name: &str) -> Address {
    match name {
        "zero" => Address::ZERO,
        "recover" => Address::with_last_byte(1),
        _ => Address::from_slice(&keccak256(name)[12..]),
    }
}

pub(crate) fn who(name: &str) -> U256 {
    U256::from_be_bytes(address(name).into_word().0)
}

pub(crate) fn num(number: u128) -> U256 {
    U256::from(number)
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    kind: &'static str,
    to: String,
    input: Vec<u8>,
    output: Vec<u8>,
    value: u128,
    calls: Vec<Call>,
}

fn words(words: &[U256]) -> Vec<u8> {
    words.iter().flat_map(U256::to_be_bytes::<32>).collect()
}

/// A call of a function, by its signature; an empty one is a bare payment.
pub(crate) fn call(to: &str, signature: &str, arguments: &[U256]) -> Call {
    let mut input = Vec::new();
    if !signature.is_empty() {
        input.extend(&keccak256(signature)[..4]);
        input.extend(words(arguments));
    }
    Call { kind: "CALL", to: to.to_owned(), input, output: Vec::new(), value: 0, calls: Vec::new() }
}

/// A question.
pub(crate) fn ask(to: &str, signature: &str, arguments: &[U256], answer: &[U256]) -> Call {
    Call { kind: "STATICCALL", ..call(to, signature, arguments) }.answers(answer)
}

pub(crate) fn delegate(to: &str, signature: &str, arguments: &[U256]) -> Call {
    Call { kind: "DELEGATECALL", ..call(to, signature, arguments) }
}

pub(crate) fn create(name: &str) -> Call {
    Call { kind: "CREATE", input: vec![0x60, 0x80, 0x60, 0x40], ..call(name, "", &[]) }
}

impl Call {
    pub(crate) fn calls(mut self, calls: impl IntoIterator<Item = Call>) -> Call {
        self.calls.extend(calls);
        self
    }

    pub(crate) fn value(mut self, value: u128) -> Call {
        self.value = value;
        self
    }

    pub(crate) fn answers(mut self, answer: &[U256]) -> Call {
        self.output = words(answer);
        self
    }

    /// Call data after the arguments, such as another call's.
    pub(crate) fn carrying(mut self, inner: &Call) -> Call {
        self.input.extend(who(&inner.to).to_be_bytes::<32>());
        self.input.extend(U256::from(inner.input.len()).to_be_bytes::<32>());
        self.input.extend(&inner.input);
        self
    }

    /// Init code.
    pub(crate) fn code(mut self, code: &[u8]) -> Call {
        self.input = code.to_vec();
        self
    }

    fn write(&self, from: Address, text: &mut String) {
        let to = address(&self.to);
        let hex = |bytes: &[u8]| alloy_primitives::hex::encode(bytes);
        write!(
            text,
            "{{\"type\":\"{}\",\"from\":\"{from:#x}\",\"to\":\"{to:#x}\",\"value\":\"0x{:x}\",\"input\":\"0x{}\",\"output\":\"0x{}\",\"calls\":[",
            self.kind,
            self.value,
            hex(&self.input),
            hex(&self.output),
        )
        .unwrap();
        let acting = if self.kind == "DELEGATECALL" { from } else { to };
        for (n, inner) in self.calls.iter().enumerate() {
            text.push_str(if n > 0 { "," } else { "" });
            inner.write(acting, text);
        }
        text.push_str("]}");
    }
}

/// The transaction that an account sends.
pub(crate) fn tx(sender: &str, first: Call) -> TxTrace {
    let mut text = String::new();
    first.write(address(sender), &mut text);
    read(text.as_bytes()).unwrap().transactions.remove(0)
}

pub(crate) fn transfer(token: &str, to: &str, amount: u128) -> Call {
    call(token, "transfer(address,uint256)", &[who(to), num(amount)]).answers(&[num(1)])
}

pub(crate) fn transfer_from(token: &str, from: &str, to: &str, amount: u128) -> Call {
    call(token, "transferFrom(address,address,uint256)", &[who(from), who(to), num(amount)])
        .answers(&[num(1)])
}

pub(crate) fn approve(token: &str, spender: &str) -> Call {
    call(token, "approve(address,uint256)", &[who(spender), U256::MAX]).answers(&[num(1)])
}

pub(crate) fn balance(token: &str, owner: &str, answer: u128) -> Call {
    ask(token, "balanceOf(address)", &[who(owner)], &[num(answer)])
}

pub(crate) fn reserves(pair: &str, left: u128, right: u128) -> Call {
    ask(pair, "getReserves()", &[], &[num(left), num(right), num(1)])
}

pub(crate) fn pay(to: &str, amount: u128) -> Call {
    call(to, "", &[]).value(amount)
}

/// A trade at a pair: the token in is sent first, the token out comes by the pair's own call.
pub(crate) fn trade(
    pair: &str,
    to: &str,
    token_in: (&str, u128),
    token_out: (&str, u128),
) -> [Call; 2] {
    let signature = "swap(uint256,uint256,address,bytes)";
    let arguments = [num(0), num(token_out.1), who(to), num(128), num(0)];
    [
        transfer(token_in.0, pair, token_in.1),
        call(pair, signature, &arguments).calls([transfer(token_out.0, to, token_out.1)]),
    ]
}

/// A loan for the time of `within`, called back and paid back.
pub(crate) fn loan(borrower: &str, token: &str, amount: u128, within: Vec<Call>) -> Call {
    let callback = call(
        borrower,
        "receiveFlashLoan(address[],uint256[],uint256[],bytes)",
        &[num(128), num(192), num(256), num(320)],
    );
    let inner = callback.calls(within).calls([transfer(token, "lender", amount)]);
    call(
        "lender",
        "flashLoan(address,address[],uint256[],bytes)",
        &[who(borrower), num(128), num(192), num(256)],
    )
    .calls([transfer(token, borrower, amount), inner])
}
