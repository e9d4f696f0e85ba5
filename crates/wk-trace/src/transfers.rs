//! What moved: coins from frames, tokens from logs, or from calls where no logs were told.

use alloy_primitives::{Address, B256, U256, b256};

use crate::builder::Builder;
use crate::model::{
    Asset, Frame, FrameKind, Log, NO_FRAME, Party, Transfer, TransferKind, TxTrace, address_in,
};

/// Selectors of the token standards (ERC-20, ERC-721, ERC-1155, WETH9) and of the customs around
/// them.
mod selector {
    pub(super) const TRANSFER: u32 = 0xa905_9cbb; // transfer(address,uint256)
    pub(super) const TRANSFER_FROM: u32 = 0x23b8_72dd; // transferFrom(address,address,uint256)
    pub(super) const SAFE_TRANSFER_FROM: u32 = 0x4284_2e0e; // safeTransferFrom(address,address,uint256)
    pub(super) const SAFE_TRANSFER_FROM_DATA: u32 = 0xb88d_4fde; // safeTransferFrom(address,address,uint256,bytes)
    pub(super) const SAFE_TRANSFER_1155: u32 = 0xf242_432a; // safeTransferFrom(address,address,uint256,uint256,bytes)
    pub(super) const TRANSFER_AND_CALL: u32 = 0x4000_aea0; // transferAndCall(address,uint256,bytes), ERC-677
    pub(super) const SEND_777: u32 = 0x9bd9_bbc6; // send(address,uint256,bytes), ERC-777
    pub(super) const OPERATOR_SEND_777: u32 = 0x62ad_1b83; // operatorSend(address,address,uint256,bytes,bytes)
    pub(super) const DEPOSIT: u32 = 0xd0e3_0db0; // deposit(), WETH9
    pub(super) const WITHDRAW: u32 = 0x2e1a_7d4d; // withdraw(uint256), WETH9
    pub(super) const MINT_TO: u32 = 0x40c1_0f19; // mint(address,uint256)
    pub(super) const MINT_PAIR: u32 = 0x6a62_7842; // mint(address), Uniswap V2 pair
    pub(super) const BURN: u32 = 0x4296_6c68; // burn(uint256)
    pub(super) const BURN_OF: u32 = 0x9dc2_9fac; // burn(address,uint256)
    pub(super) const BURN_FROM: u32 = 0x79cc_6790; // burnFrom(address,uint256)
}

const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
const TRANSFER_SINGLE: B256 =
    b256!("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62");
const WETH_DEPOSIT: B256 =
    b256!("e1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c");
const WETH_WITHDRAWAL: B256 =
    b256!("7fcf532c15f0a6db0bd6d0e038bea71d30d808c7d98cb3bf7268a95bf5081b65");

/// Finds out what moved, once all frames and logs are there.
pub(crate) fn lift(builder: &mut Builder) {
    let zero = builder.party(Address::ZERO);
    let mut transfers = Vec::new();
    for at in 0..builder.trace().frames.len() {
        lift_frame(builder, at, zero, &mut transfers);
    }
    place_logs(builder.trace(), &transfers);
    if builder.trace().known.logs {
        from_logs(builder, zero, &mut transfers);
    }
    builder.trace().transfers = transfers;
}

fn lift_frame(builder: &mut Builder, at: usize, zero: Party, transfers: &mut Vec<Transfer>) {
    let frame = &builder.trace().frames[at];
    if frame.reverted {
        return;
    }
    let place = u32::try_from(at).unwrap_or(NO_FRAME);
    let pays = matches!(frame.kind, FrameKind::Call | FrameKind::Create | FrameKind::SelfDestruct);
    if pays && !frame.value.is_zero() {
        transfers.push(Transfer {
            frame: place,
            asset: Asset::Native,
            from: frame.from,
            to: frame.to,
            amount: frame.value,
            id: None,
            kind: TransferKind::Move,
            by: Some(frame.from),
        });
    }
    if frame.kind != FrameKind::Call {
        return;
    }
    let (token, caller) = (frame.to, frame.from);
    let Some(moved) = moved(builder.trace(), at) else { return };
    let (from, to) = (builder.party_of(moved.from, zero), builder.party_of(moved.to, zero));
    let kind = match (moved.from, moved.to) {
        (End::Nobody, _) => TransferKind::Mint,
        (_, End::Nobody) => TransferKind::Burn,
        _ if from == zero => TransferKind::Mint,
        _ if to == zero => TransferKind::Burn,
        _ => TransferKind::Move,
    };
    transfers.push(Transfer {
        frame: place,
        asset: Asset::Token(token),
        from,
        to,
        amount: moved.amount,
        id: moved.id,
        kind,
        by: Some(caller),
    });
}

impl Builder {
    fn party_of(&mut self, end: End, zero: Party) -> Party {
        match end {
            End::Nobody => zero,
            End::Known(party) => party,
            End::Named(address) => self.party(address),
        }
    }
}

/// One end of a transfer.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Nobody,
    Known(Party),
    Named(Address),
}

struct Moved {
    from: End,
    to: End,
    amount: U256,
    id: Option<U256>,
}

/// What a call asks its target to move as a token, if it did so.
fn moved(trace: &TxTrace, at: usize) -> Option<Moved> {
    let frame = &trace.frames[at];
    let selector = trace.selector(frame);
    let address = |n| trace.word_address(frame, n).map(End::Named);
    let caller = End::Known(frame.from);
    let number = |n| trace.word(frame, n);
    let fungible = |from, to, amount| Moved { from, to, amount, id: None };
    let single = |from, to, id, amount| Moved { from, to, amount, id: Some(id) };
    let moved = match selector {
        selector::TRANSFER | selector::TRANSFER_AND_CALL | selector::SEND_777 => {
            fungible(caller, address(0)?, number(1)?)
        }
        selector::TRANSFER_FROM => fungible(address(0)?, address(1)?, number(2)?),
        selector::OPERATOR_SEND_777 => fungible(address(0)?, address(1)?, number(2)?),
        selector::SAFE_TRANSFER_FROM | selector::SAFE_TRANSFER_FROM_DATA => {
            single(address(0)?, address(1)?, number(2)?, U256::ONE)
        }
        selector::SAFE_TRANSFER_1155 => single(address(0)?, address(1)?, number(2)?, number(3)?),
        selector::MINT_TO => fungible(End::Nobody, address(0)?, number(1)?),
        selector::MINT_PAIR => {
            // A pair answers with the liquidity it made; other `mint(address)` answer nothing.
            let amount =
                (trace.output(frame).len() == 32).then(|| trace.output_word(frame, 0))??;
            fungible(End::Nobody, address(0)?, amount)
        }
        selector::BURN => fungible(caller, End::Nobody, number(0)?),
        selector::BURN_OF | selector::BURN_FROM => fungible(address(0)?, End::Nobody, number(1)?),
        selector::DEPOSIT if !frame.value.is_zero() && is_leaf(trace, at) => {
            fungible(End::Nobody, caller, frame.value)
        }
        selector::WITHDRAW => {
            // WETH pays out the same amount at once; a vault's `withdraw` does other things.
            let amount = number(0)?;
            let paid = children(trace, at).any(|child| {
                child.to == frame.from && child.value == amount && !amount.is_zero() && child.acts()
            });
            paid.then(|| fungible(caller, End::Nobody, amount))?
        }
        _ => return None,
    };
    let refused =
        trace.output(frame).len() == 32 && trace.output_word(frame, 0) == Some(U256::ZERO);
    let answers = matches!(selector, selector::TRANSFER | selector::TRANSFER_FROM);
    if (answers && refused) || is_forwarded(trace, at) {
        return None;
    }
    Some(moved)
}

/// Whether the frame makes no calls that change anything, other than delegated ones.
fn is_leaf(trace: &TxTrace, at: usize) -> bool {
    let frame = &trace.frames[at];
    !trace.frames[at + 1..frame.end as usize]
        .iter()
        .any(|below| below.kind == FrameKind::Call && below.from == frame.to)
}

/// Frames called by the account of frame `at`, itself or through delegated code.
fn children(trace: &TxTrace, at: usize) -> impl Iterator<Item = &Frame> {
    let (account, end) = (trace.frames[at].to, trace.frames[at].end as usize);
    trace.frames[at + 1..end].iter().filter(move |below| below.from == account)
}

/// Whether a proxy merely hands on the same call, so that it was counted already.
fn is_forwarded(trace: &TxTrace, at: usize) -> bool {
    let frame = &trace.frames[at];
    let Some(parent) = frame.parent else { return false };
    let mut parent = &trace.frames[parent as usize];
    // Delegated code in between is still the proxy.
    while parent.kind == FrameKind::Delegate {
        match parent.parent {
            Some(above) => parent = &trace.frames[above as usize],
            None => return false,
        }
    }
    let (own, above) = (trace.input(frame), trace.input(parent));
    parent.kind == FrameKind::Call
        && parent.to == frame.from
        && own.len() >= 36
        && above.len() >= own.len()
        && own == &above[..own.len()]
}

/// Gives logs without a place the frame of the transfer they tell of, or the one before.
fn place_logs(trace: &mut TxTrace, lifted: &[Transfer]) {
    let count = u32::try_from(trace.frames.len()).unwrap_or(NO_FRAME);
    let mut logs = std::mem::take(&mut trace.logs);
    let mut next = 0;
    let mut last = 0;
    for log in &mut logs {
        if log.frame == NO_FRAME {
            let wanted = log_transfer(trace, log);
            if let Some(found) = wanted.and_then(|(from, to, _)| {
                lifted[next..].iter().position(|transfer| {
                    transfer.asset == Asset::Token(log.address)
                        && (transfer.kind != TransferKind::Move
                            || (
                                Some(trace.address(transfer.from)),
                                Some(trace.address(transfer.to)),
                            ) == (from, to))
                })
            }) {
                last = lifted[next + found].frame;
                next += found + 1;
            }
            log.frame = last;
            log.before = last + 1;
        } else if log.before == NO_FRAME {
            log.before = trace.frames.get(log.frame as usize).map_or(count, |frame| frame.end);
        }
    }
    if trace.known.log_places {
        put_in_order(&trace.frames, &mut logs);
    }
    trace.logs = logs;
}

/// Puts logs in the order in which they were emitted.
///
/// Nodes tell after how many of its frame's calls a log came, and some leave out calls of
/// precompiles when they count. Numbers of logs leave no doubt, where they are told.
fn put_in_order(frames: &[Frame], logs: &mut [Log]) {
    if logs.iter().all(|log| log.index.is_some()) {
        logs.sort_by_key(|log| log.index);
        let mut least = 0;
        for log in logs {
            least = log.before.max(least);
            log.before = least;
        }
    } else {
        logs.sort_by_key(|log| {
            let depth = frames.get(log.frame as usize).map_or(0, |frame| frame.depth);
            (log.before, std::cmp::Reverse(depth))
        });
    }
}

type Ends = (Option<Address>, Option<Address>, U256);

/// Ends and amount of a log that tells of a token's transfer.
fn log_transfer(trace: &TxTrace, log: &Log) -> Option<Ends> {
    let topic = |n: usize| log.topics.get(n).and_then(|topic| address_in(topic.as_slice()));
    let word = |n: usize| trace.bytes(log.data).get(n * 32..n * 32 + 32).map(U256::from_be_slice);
    match (log.topics.first()?, log.topics.len()) {
        (&TRANSFER, 3) => Some((topic(1), topic(2), word(0)?)),
        (&TRANSFER, 4) => Some((topic(1), topic(2), U256::ONE)),
        (&TRANSFER_SINGLE, 4) => Some((topic(2), topic(3), word(1)?)),
        (&WETH_DEPOSIT, 2) => Some((Some(Address::ZERO), topic(1), word(0)?)),
        (&WETH_WITHDRAWAL, 2) => Some((topic(1), Some(Address::ZERO), word(0)?)),
        _ => None,
    }
}

/// Replaces the tokens' transfers that calls tell of by those that logs tell of.
fn from_logs(builder: &mut Builder, zero: Party, transfers: &mut Vec<Transfer>) {
    let lifted = std::mem::take(transfers);
    let logs = std::mem::take(&mut builder.trace().logs);
    let mut told = Vec::with_capacity(lifted.len());
    for log in &logs {
        let Some((Some(from), Some(to), amount)) = log_transfer(builder.trace(), log) else {
            continue;
        };
        let reverted =
            builder.trace().frames.get(log.frame as usize).is_some_and(|frame| frame.reverted);
        if reverted {
            continue;
        }
        let (from, to) = (builder.party(from), builder.party(to));
        let id = match log.topics.len() {
            4 if log.topics[0] == TRANSFER => Some(U256::from_be_bytes(log.topics[3].0)),
            4 => builder.trace().bytes(log.data).get(..32).map(U256::from_be_slice),
            _ => None,
        };
        let kind = if from == zero {
            TransferKind::Mint
        } else if to == zero {
            TransferKind::Burn
        } else {
            TransferKind::Move
        };
        told.push(Transfer {
            frame: log.frame,
            asset: Asset::Token(log.address),
            from,
            to,
            amount,
            id,
            kind,
            by: asker(builder.trace(), log),
        });
    }
    // Coins and what calls told are in the order of frames already.
    let mut told = told.into_iter().peekable();
    for transfer in lifted {
        while let Some(earlier) = told.next_if(|told| told.frame < transfer.frame) {
            transfers.push(earlier);
        }
        if transfer.asset == Asset::Native {
            transfers.push(transfer);
        }
    }
    transfers.extend(told);
    builder.trace().logs = logs;
}

/// Who called the token that emitted a log.
fn asker(trace: &TxTrace, log: &Log) -> Option<Party> {
    let mut at = log.frame;
    loop {
        let frame = trace.frames.get(at as usize)?;
        if frame.to == log.address && frame.kind == FrameKind::Call {
            return Some(frame.from);
        }
        at = frame.parent?;
    }
}
