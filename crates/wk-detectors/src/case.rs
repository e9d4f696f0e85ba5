//! A transaction with its sides drawn: who acts for the sender, and who was acted upon.

use std::collections::HashMap;

use alloy_primitives::U256;
use wk_trace::{Asset, Frame, FrameKind, Party, TransferKind, TxTrace};

use crate::flows::{self, Flow, PoolTrades};
use crate::signatures::{Role, Roles, roles};

/// Steps that one detector may take in one transaction before it gives up.
pub(crate) const BUDGET: usize = 4_000_000;

/// Contracts in a row that merely hand a call on, each taken for the sender's own.
const MAX_RELAYS: usize = 12;

/// Contracts that only one that was made for a purpose calls.
const MANY: usize = 3;

/// Assets that were spent which are looked for where they came from.
const MAX_UNSEEN: usize = 32;

/// Frames of a transaction in which contracts are looked at for whom they serve.
const MAX_SERVED: usize = 100;

/// What is known of a party.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// Of the attacker's side: the sender, its own contract, what those created.
    side: bool,
    /// Got what the side sent, took part in nothing, and got nothing from others.
    beneficiary: bool,
    /// Made or got calls with data.
    active: bool,
    /// Something of it moved as a token.
    token: bool,
    /// Money went through it, and nothing stayed or came from it.
    conduit: bool,
    /// Came into being in this transaction.
    fresh: bool,
    /// Gave more of something than it got.
    lost: bool,
    /// Got more of something than it gave.
    gained: bool,
}

/// Units of an asset, the smallest there are, that are spent without thought.
const DUST: u64 = 1000;

/// Something lent for a moment.
#[derive(Clone, Copy, Debug)]
pub struct Loan {
    /// Who lent.
    pub lender: Party,
    /// What.
    pub asset: Asset,
    /// How much.
    pub amount: U256,
    /// The call by which it was asked for.
    pub asked: u32,
    /// The lender's call back.
    pub callback: u32,
}

/// A transaction with what all detectors need to know of it.
///
/// The *side* is the sender, the contract it called (unless that is a well-known public entry point
/// such as a router), contracts that merely hand the sender's call on, and whatever these created.
/// Beneficiaries are counted to it when winnings are added up.
#[derive(Debug)]
pub struct Case<'t> {
    /// The transaction.
    pub trace: &'t TxTrace,
    standings: Vec<Standing>,
    functions: Vec<(u32, Roles)>,
    all_roles: Roles,
    flows: Vec<Flow>,
    nets: HashMap<(Party, Asset), (U256, U256)>,
    gains: Vec<(Asset, U256)>,
    losses: Vec<(Asset, U256)>,
    appeared: Vec<(Asset, U256)>,
    pools: Vec<PoolTrades>,
    loans: Vec<Loan>,
}

impl<'t> Case<'t> {
    /// Draws the sides of a transaction.
    pub fn new(trace: &'t TxTrace) -> Case<'t> {
        let functions: Vec<(u32, Roles)> = trace
            .frames
            .iter()
            .map(|frame| {
                let selector = trace.selector(frame);
                (selector, roles(selector))
            })
            .collect();
        let all_roles = functions.iter().fold(Roles::default(), |all, (_, roles)| all.and(*roles));
        let mut case = Case {
            trace,
            standings: vec![Standing::default(); trace.party_count()],
            functions,
            all_roles,
            flows: flows::flows(trace),
            nets: HashMap::new(),
            gains: Vec::new(),
            losses: Vec::new(),
            appeared: Vec::new(),
            pools: Vec::new(),
            loans: Vec::new(),
        };
        case.draw_side();
        case.drop_own_tokens();
        case.find_beneficiaries();
        case.add_up();
        case.set_apart_unseen();
        if !case.flows.is_empty() && trace.frames.len() > 1 {
            case.loans = case.find_loans();
            case.pools = flows::pools(&case);
        }
        case
    }

    /// A frame's selector; 0 for none.
    pub fn selector(&self, frame: u32) -> u32 {
        self.functions[frame as usize].0
    }

    pub(crate) fn roles(&self, frame: u32) -> Roles {
        self.functions[frame as usize].1
    }

    /// Whether any frame's function has a role.
    pub fn has_role(&self, role: Role) -> bool {
        self.all_roles.has(role)
    }

    /// A frame.
    pub fn frame(&self, at: u32) -> &'t Frame {
        &self.trace.frames[at as usize]
    }

    /// All frames with their places.
    pub fn frames(&self) -> impl Iterator<Item = (u32, &'t Frame)> + use<'t> {
        (0..).zip(&self.trace.frames)
    }

    /// Frames below one.
    pub fn below(&self, at: u32) -> impl Iterator<Item = (u32, &'t Frame)> + use<'t> {
        let end = self.frame(at).end;
        let frames = &self.trace.frames[at as usize + 1..end as usize];
        (at + 1..end).zip(frames)
    }

    /// Whether a party acts for the sender.
    pub fn is_side(&self, party: Party) -> bool {
        self.standings[party.index()].side
    }

    /// Whether winnings of a party are winnings of the attacker's side.
    pub fn wins(&self, party: Party) -> bool {
        let standing = self.standings[party.index()];
        standing.side || standing.beneficiary
    }

    /// Whether a party made or got calls with data.
    pub fn is_active(&self, party: Party) -> bool {
        self.standings[party.index()].active
    }

    /// Whether something of this party moved as a token.
    pub fn is_token(&self, party: Party) -> bool {
        self.standings[party.index()].token
    }

    /// Whether money only went through it.
    pub fn is_conduit(&self, party: Party) -> bool {
        self.standings[party.index()].conduit
    }

    /// Whether it came into being in this transaction.
    pub fn is_fresh(&self, party: Party) -> bool {
        self.standings[party.index()].fresh
    }

    /// Whether a frame is a token's transfer from the side to someone else, unasked for.
    pub(crate) fn is_gift(&self, at: u32) -> bool {
        let frame = self.frame(at);
        self.selector(at) == 0xa905_9cbb
            && self.is_side(frame.from)
            && self
                .trace
                .word_address(frame, 0)
                .and_then(|address| self.trace.party(&address))
                .is_some_and(|party| !self.is_side(party))
    }

    /// What moved between whom, with mints and burns ascribed to who made them.
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// What a party got and gave of an asset.
    pub fn got_and_gave(&self, party: Party, asset: Asset) -> (U256, U256) {
        self.nets.get(&(party, asset)).copied().unwrap_or_default()
    }

    /// Whether a party gave something in all, and got nothing in all.
    pub fn only_lost(&self, party: Party) -> bool {
        let standing = self.standings[party.index()];
        standing.lost && !standing.gained
    }

    /// Whether a party lost anything in all.
    pub fn lost_something(&self, party: Party) -> bool {
        self.standings[party.index()].lost
    }

    /// What the attacker's side won in all, by asset.
    pub fn gains(&self) -> &[(Asset, U256)] {
        &self.gains
    }

    /// What the attacker's side spent in all, by asset.
    pub fn losses(&self) -> &[(Asset, U256)] {
        &self.losses
    }

    /// What the attacker's side spent though it had never been seen to get it, by asset: it must have
    /// come into being, or have been credited, without a transfer.
    pub fn appeared(&self) -> &[(Asset, U256)] {
        &self.appeared
    }

    /// Parties that traded one asset for another.
    pub fn pools(&self) -> &[PoolTrades] {
        &self.pools
    }

    /// What the attacker's side borrowed for a moment.
    pub fn loans(&self) -> &[Loan] {
        &self.loans
    }

    fn draw_side(&mut self) {
        let trace = self.trace;
        self.standings[trace.sender.index()].side = true;
        let mut at = 0;
        for _ in 0..MAX_RELAYS {
            let Some(frame) = trace.frames.get(at as usize) else { break };
            if frame.kind != FrameKind::Create {
                let public =
                    self.roles(at).has(Role::PublicEntry) || self.roles(at).has(Role::Token);
                let relay = at > 0;
                if public || frame.end - at == 1 || (relay && self.serves_others(frame.to)) {
                    break;
                }
            }
            self.standings[frame.to.index()].side = true;
            match self.relayed(at) {
                Some(next) => at = next,
                None => break,
            }
        }
        self.follow_borrower();
        for created in &trace.created {
            self.standings[created.party.index()].fresh = true;
            if self.standings[created.by.index()].side {
                self.standings[created.party.index()].side = true;
            }
        }
        for frame in &trace.frames {
            self.standings[frame.from.index()].active = true;
            if frame.kind != FrameKind::SelfDestruct && frame.input != wk_trace::Span::default() {
                self.standings[frame.to.index()].active |= !trace.input(frame).is_empty();
            }
        }
        for transfer in &trace.transfers {
            if let Asset::Token(token) = transfer.asset {
                self.standings[token.index()].token = true;
            }
        }
    }

    /// Who is called back by a lender is who acts, even when the sender came to it through a
    /// protocol: then the protocol is not of the side.
    fn follow_borrower(&mut self) {
        if !self.has_role(Role::FlashCallback) {
            return;
        }
        let mut borrower = None;
        for (at, frame) in self.frames() {
            let called_back = frame.kind == FrameKind::Call
                && !frame.reverted
                && frame.depth > 1
                && self.roles(at).has(Role::FlashCallback);
            if !called_back {
                continue;
            }
            if self.standings[frame.to.index()].side {
                return;
            }
            borrower.get_or_insert(frame.to);
        }
        if let Some(borrower) = borrower {
            self.standings.iter_mut().for_each(|standing| standing.side = false);
            self.standings[self.trace.sender.index()].side = true;
            self.standings[borrower.index()].side = true;
        }
    }

    /// The call that a contract merely hands on: nearly all that happens in frame `at` happens in it,
    /// and it never calls back.
    fn relayed(&self, at: u32) -> Option<u32> {
        let frame = self.frame(at);
        let mut only = None;
        let mut next = at + 1;
        while next < frame.end {
            let child = self.frame(next);
            let delegated = child.kind == FrameKind::Delegate && child.to == frame.to;
            let acts = child.kind == FrameKind::Call && child.from == frame.to && !child.reverted;
            if acts && (self.selector(next) != 0 || child.value.is_zero()) {
                if only.is_some() {
                    return None;
                }
                only = Some(next);
            }
            // Delegated code is looked into, other calls are stepped over.
            next = if delegated { next + 1 } else { child.end };
        }
        let only = only?;
        let (relay, roles) = (self.frame(only), self.roles(only));
        let public = [
            Role::PublicEntry,
            Role::Token,
            Role::Governance,
            Role::BridgeRelease,
            Role::Upgrade,
            Role::LoanCallback,
            Role::Liquidation,
            Role::Borrow,
            Role::Mixer,
        ];
        let known = public.iter().any(|role| roles.has(*role)) || self.selector(only) == 0;
        let size = relay.end - only;
        let most = u64::from(size) * 10 > u64::from(frame.end - at).saturating_sub(2) * 7;
        // Money that is handed back is no call.
        let calls_back = self.below(only).any(|(at, below)| {
            let pays = below.kind == FrameKind::Call && self.trace.input(self.frame(at)).is_empty();
            below.from == relay.to && below.to == frame.to && below.enters() && !pays
        });
        (!known && size > 1 && most && !calls_back).then_some(only)
    }

    /// Whether a contract is not the sender's own: it only loses, or takes from people who take no
    /// part. In long transactions it is taken for the sender's own all the same, since what acts a lot
    /// has been made for it.
    fn serves_others(&self, contract: Party) -> bool {
        let trace = self.trace;
        if trace.frames.len() > MAX_SERVED {
            return false;
        }
        let mut sums: Vec<(Asset, U256, U256)> = Vec::new();
        for flow in self.flows.iter().filter(|flow| flow.from != flow.to) {
            if flow.from != contract && flow.to != contract {
                continue;
            }
            let place = sums.iter().position(|sum| sum.0 == flow.asset).unwrap_or(sums.len());
            if place == sums.len() {
                sums.push((flow.asset, U256::ZERO, U256::ZERO));
            }
            let sum = if flow.to == contract { &mut sums[place].1 } else { &mut sums[place].2 };
            *sum = sum.saturating_add(flow.amount);
        }
        let loses = sums.iter().any(|(_, got, gave)| gave > got);
        let gains = sums.iter().any(|(_, got, gave)| got > gave);
        if loses && !gains && !self.acts_widely(contract) {
            return true;
        }
        let takes_no_part = |owner: Party| {
            owner != trace.sender
                && owner != contract
                && !trace.frames.iter().any(|frame| frame.from == owner || frame.to == owner)
        };
        trace.transfers.iter().any(|transfer| {
            transfer.by == Some(contract)
                && transfer.kind == TransferKind::Move
                && matches!(transfer.asset, Asset::Token(_))
                && !transfer.amount.is_zero()
                && takes_no_part(transfer.from)
        })
    }

    /// Whether a contract calls several others for more than tokens: what is made for a purpose does,
    /// even when what it came by was never seen to come.
    fn acts_widely(&self, contract: Party) -> bool {
        let mut called: Vec<Party> = Vec::new();
        for (at, frame) in self.frames() {
            let acts = frame.from == contract
                && frame.kind == FrameKind::Call
                && frame.to != contract
                && self.selector(at) != 0
                && !self.roles(at).has(Role::Token);
            if acts && !called.contains(&frame.to) {
                called.push(frame.to);
            }
        }
        called.len() >= MANY
    }

    /// Tokens that are the side's own contracts are worth nothing: whoever gets them got nothing.
    fn drop_own_tokens(&mut self) {
        let standings = &self.standings;
        self.flows.retain(|flow| match flow.asset {
            Asset::Token(token) => !standings[token.index()].side,
            Asset::Native => true,
        });
    }

    fn find_beneficiaries(&mut self) {
        for flow in &self.flows {
            let from_side = self.standings[flow.from.index()].side;
            let to = &mut self.standings[flow.to.index()];
            if !to.side && !to.active && from_side {
                to.beneficiary = true;
            }
        }
        for flow in &self.flows {
            if !self.standings[flow.from.index()].side {
                self.standings[flow.to.index()].beneficiary = false;
            }
        }
    }

    fn add_up(&mut self) {
        let mut sums: HashMap<Asset, (U256, U256)> = HashMap::new();
        for flow in &self.flows {
            if flow.from == flow.to {
                continue;
            }
            let got = &mut self.nets.entry((flow.to, flow.asset)).or_default().0;
            *got = got.saturating_add(flow.amount);
            let gave = &mut self.nets.entry((flow.from, flow.asset)).or_default().1;
            *gave = gave.saturating_add(flow.amount);
            let wins = |party: Party| {
                let standing = self.standings[party.index()];
                standing.side || standing.beneficiary
            };
            match (wins(flow.from), wins(flow.to)) {
                (false, true) => {
                    let won = &mut sums.entry(flow.asset).or_default().0;
                    *won = won.saturating_add(flow.amount);
                }
                (true, false) => {
                    let spent = &mut sums.entry(flow.asset).or_default().1;
                    *spent = spent.saturating_add(flow.amount);
                }
                _ => {}
            }
        }
        for flow in &self.flows {
            for party in [flow.from, flow.to] {
                self.standings[party.index()].conduit = true;
            }
        }
        for ((party, _), (got, gave)) in &self.nets {
            let standing = &mut self.standings[party.index()];
            standing.conduit &= got == gave;
            standing.lost |= gave > got;
            standing.gained |= got > gave;
        }
        for (asset, (won, spent)) in sums {
            if won > spent {
                self.gains.push((asset, won - spent));
            } else if spent - won > U256::from(DUST) {
                self.losses.push((asset, spent - won));
            }
        }
        self.gains.sort();
        self.losses.sort();
    }

    /// Tells losses from what the side never had before: spent by contracts that are new, or that had
    /// less when someone asked.
    fn set_apart_unseen(&mut self) {
        let losses = std::mem::take(&mut self.losses);
        for (place, (asset, lost)) in losses.into_iter().enumerate() {
            if place >= MAX_UNSEEN {
                self.losses.push((asset, lost));
                continue;
            }
            let givers: Vec<Party> = self
                .nets
                .iter()
                .filter(|((party, of), (got, gave))| {
                    *of == asset && gave > got && self.standings[party.index()].side
                })
                .map(|((party, _), _)| *party)
                .collect();
            let unseen =
                |giver: &Party| self.standings[giver.index()].fresh || self.had_less(*giver, asset);
            let list = if !givers.is_empty() && givers.iter().all(unseen) {
                &mut self.appeared
            } else {
                &mut self.losses
            };
            list.push((asset, lost));
        }
    }

    /// Whether an account gave more of a token than it had when someone first asked, and what it got
    /// since.
    fn had_less(&self, account: Party, asset: Asset) -> bool {
        let Asset::Token(token) = asset else { return false };
        if !self.has_role(Role::Balance) {
            return false;
        }
        let address = self.trace.address(account);
        let asked = self.frames().find(|(at, frame)| {
            frame.to == token
                && frame.kind == FrameKind::StaticCall
                && !frame.reverted
                && self.roles(*at).has(Role::Balance)
                && self.trace.word_address(frame, 0) == Some(address)
        });
        let Some((at, frame)) = asked else { return false };
        let Some(had) = self.trace.output_word(frame, 0) else { return false };
        let start = self.flows.partition_point(|flow| flow.frame < at);
        let (mut got, mut gave) = (had, U256::ZERO);
        for flow in self.flows[start..].iter().filter(|flow| flow.asset == asset) {
            if flow.to == account {
                got = got.saturating_add(flow.amount);
            }
            if flow.from == account {
                gave = gave.saturating_add(flow.amount);
            }
        }
        gave > got.saturating_add(U256::from(DUST))
    }

    /// Loans: the side asks, gets, is called back, and gives at least as much back before the asked
    /// call ends.
    fn find_loans(&self) -> Vec<Loan> {
        let mut loans = Vec::new();
        let mut budget = BUDGET;
        for (callback, frame) in self.frames() {
            let called_back = frame.kind == FrameKind::Call
                && !frame.reverted
                && self.is_side(frame.to)
                && !self.is_side(frame.from)
                && frame.parent.is_some()
                && self.selector(callback) != 0;
            if !called_back {
                continue;
            }
            let asked = self.trace.ancestors(callback).find(|(_, above)| {
                above.kind == FrameKind::Call && self.is_side(above.from) && !self.is_side(above.to)
            });
            let Some((asked, asked_frame)) = asked else { continue };
            let start = self.flows.partition_point(|flow| flow.frame < asked);
            let mut lent: Vec<Loan> = Vec::new();
            for flow in self.flows[start..].iter().take_while(|flow| flow.frame < callback) {
                budget = budget.saturating_sub(1);
                if self.is_side(flow.to) && !self.is_side(flow.from) && lent.len() < 16 {
                    lent.push(Loan {
                        lender: flow.from,
                        asset: flow.asset,
                        amount: flow.amount,
                        asked,
                        callback,
                    });
                }
            }
            for loan in lent {
                let mut back = U256::ZERO;
                let after = self.flows.partition_point(|flow| flow.frame < callback);
                let until = asked_frame.end;
                for flow in self.flows[after..].iter().take_while(|flow| flow.frame < until) {
                    budget = budget.saturating_sub(1);
                    if flow.asset == loan.asset && flow.to == loan.lender {
                        back = back.saturating_add(flow.amount);
                    }
                }
                if back >= loan.amount {
                    loans.push(loan);
                }
            }
            if budget == 0 {
                break;
            }
        }
        loans
    }
}

/// Whom a mint came from or a burn went to: who asked for it where the function says that a minter
/// did, else the token itself.
pub(crate) fn maker(trace: &TxTrace, transfer: &wk_trace::Transfer) -> Option<Party> {
    let Asset::Token(token) = transfer.asset else { return None };
    let other = match transfer.kind {
        TransferKind::Move => return None,
        TransferKind::Mint => transfer.to,
        TransferKind::Burn => transfer.from,
    };
    let frame = trace.frames.get(transfer.frame as usize)?;
    // mint(address,uint256), burn(address,uint256), burnFrom(address,uint256)
    let by_maker = frame.to == token
        && matches!(trace.selector(frame), 0x40c1_0f19 | 0x9dc2_9fac | 0x79cc_6790);
    match transfer.by {
        Some(by) if by_maker && by != other => Some(by),
        _ => Some(token),
    }
}
