//! The walk: transactions in order of time, accounts found on the way.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy_primitives::{Address, U256};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::graph::{Ending, Exchange, FundGraph, Tracer};
use super::labels::{LabelKind, Labels};
use super::ledger::{Ledger, Method, share};
use super::nets::Nets;
use super::{Asset, Move, Movement, Source};

/// How far and how finely value is followed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where it went, or where it came from.
    pub direction: Direction,
    /// How payments of mixed money are split.
    pub method: Method,
    /// Accounts this many steps away are shown, but not looked into.
    pub max_hops: u16,
    /// Accounts that got less than this share (0–1) of all that is followed of the asset are shown,
    /// but not looked into.
    pub min_share: f64,
    /// Accounts in the graph.
    pub max_addresses: usize,
    /// An account with more transactions in the window than this is taken for a service and not
    /// looked into.
    pub max_transactions: usize,
    /// Transactions that are looked at in all.
    pub max_steps: usize,
    /// Only these assets leave the first account; empty means all.
    #[serde(skip)]
    pub assets: BTreeSet<Asset>,
    /// Whether what is paid for something else in the same transaction is followed into that
    /// something, instead of to who was paid.
    pub exchanges: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            direction: Direction::Forward,
            method: Method::Haircut,
            max_hops: 6,
            min_share: 0.001,
            max_addresses: 500,
            max_transactions: 2_000,
            max_steps: 100_000,
            assets: BTreeSet::new(),
            exchanges: true,
        }
    }
}

/// Which way value is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To where it went.
    #[default]
    Forward,
    /// To where it came from.
    Backward,
}

/// Followed value that arrives somewhere.
#[derive(Default)]
struct Arrival {
    followed: BTreeMap<Asset, U256>,
    hops: u16,
}

struct Account {
    hops: u16,
    ledgers: HashMap<Asset, Ledger>,
}

struct Walk<'a, S: Source> {
    root: Address,
    settings: &'a Settings,
    labels: &'a Labels,
    source: &'a mut S,
    accounts: HashMap<Address, Account>,
    /// Transactions that wait, in their order.
    waiting: BTreeMap<(u64, u64), Movement>,
    now: (u64, u64),
    /// All that is followed of an asset: what left the root, and what it was exchanged into.
    base: HashMap<Asset, U256>,
    graph: FundGraph,
}

/// Follows all that an account paid (or got, backwards) in the window of a source.
///
/// # Errors
/// Only those of the source.
pub fn trace<S: Source>(
    root: Address,
    settings: &Settings,
    labels: &Labels,
    source: &mut S,
) -> Result<FundGraph, S::Error> {
    let tracer = Tracer { root, direction: settings.direction, method: settings.method };
    let mut walk = Walk {
        root,
        settings,
        labels,
        source,
        accounts: HashMap::new(),
        waiting: BTreeMap::new(),
        now: (0, 0),
        base: HashMap::new(),
        graph: FundGraph::new(tracer, labels.get(&root)),
    };
    walk.look_into(root, 0)?;
    let mut steps = 0;
    while let Some((key, movement)) = walk.waiting.pop_first() {
        steps += 1;
        if steps > settings.max_steps {
            walk.graph.note(format!(
                "stopped after {} transactions; the rest of the way is not shown",
                settings.max_steps
            ));
            break;
        }
        walk.now = key;
        walk.step(&movement)?;
    }
    let Walk { accounts, mut graph, .. } = walk;
    for (address, account) in accounts {
        if address != root {
            for (asset, ledger) in account.ledgers {
                graph.hold(address, asset, ledger.followed());
            }
        }
    }
    graph.finish();
    Ok(graph)
}

impl<S: Source> Walk<'_, S> {
    /// One transaction: who of the followed paid what to whom.
    fn step(&mut self, movement: &Movement) -> Result<(), S::Error> {
        let nets = Nets::of(&movement.moves);
        let mut arrivals: BTreeMap<Address, Arrival> = BTreeMap::new();
        // First all payments, then all receipts: what arrives now is not paid on by the same net.
        let mut kept: Vec<(Address, Asset, U256, U256)> = Vec::new();
        for (address, net) in &nets.accounts {
            let Some(account) = self.accounts.get_mut(address) else { continue };
            let hops = account.hops;
            let mut payments = Vec::new();
            for (asset, amount) in &net.paid {
                let followed = if *address == self.root {
                    let wanted = &self.settings.assets;
                    if wanted.is_empty() || wanted.contains(asset) { *amount } else { U256::ZERO }
                } else {
                    account.ledger(*address, *asset, self.source).debit(*amount)
                };
                payments.push((*asset, *amount, followed));
            }
            let to_sink = payments.iter().any(|(asset, amount, followed)| {
                !followed.is_zero()
                    && nets.receivers(*asset, *amount).iter().any(|(to, _)| self.hides(to))
            });
            if self.settings.exchanges && !net.got.is_empty() && !to_sink {
                self.exchange(movement, *address, &payments, &net.got, &nets, &mut kept);
                continue;
            }
            for (asset, amount, followed) in payments {
                if followed.is_zero() {
                    continue;
                }
                if *address == self.root {
                    self.add_base(asset, followed);
                }
                for (to, part) in nets.receivers(asset, amount) {
                    let part = share(part, followed, amount);
                    if part.is_zero() || to == self.root {
                        continue;
                    }
                    self.graph.edge(*address, to, asset, part, movement);
                    let arrival = arrivals.entry(to).or_default();
                    let sum = arrival.followed.entry(asset).or_default();
                    *sum = sum.saturating_add(part);
                    arrival.hops = match arrival.hops {
                        0 => hops.saturating_add(1),
                        known => known.min(hops.saturating_add(1)),
                    };
                }
            }
            for (asset, amount) in &net.got {
                if *address != self.root {
                    kept.push((*address, *asset, *amount, U256::ZERO));
                }
            }
        }
        for (address, asset, amount, followed) in kept {
            let method = self.settings.method;
            let arrived = arrivals.get(&address).and_then(|arrival| arrival.followed.get(&asset));
            let followed = followed.saturating_add(arrived.copied().unwrap_or_default());
            if let Some(account) = self.accounts.get_mut(&address) {
                account.ledger(address, asset, self.source).credit(method, amount, followed);
            }
        }
        for (address, arrival) in arrivals {
            self.arrive(address, &arrival, &nets)?;
        }
        Ok(())
    }

    /// An account paid with some assets and got others: the followed share stays with it.
    fn exchange(
        &mut self,
        movement: &Movement,
        address: Address,
        payments: &[(Asset, U256, U256)],
        got: &[(Asset, U256)],
        nets: &Nets,
        kept: &mut Vec<(Address, Asset, U256, U256)>,
    ) {
        // Of several assets paid, the one with the largest followed share counts: prices would be
        // needed for more.
        let part = payments.iter().copied().filter(|(_, amount, _)| !amount.is_zero()).max_by(
            |(_, a, a_followed), (_, b, b_followed)| {
                share(U256::from(1_000_000_000u64), *a_followed, *a).cmp(&share(
                    U256::from(1_000_000_000u64),
                    *b_followed,
                    *b,
                ))
            },
        );
        for (asset, amount) in got {
            let followed =
                part.map_or(U256::ZERO, |(_, paid, followed)| share(*amount, followed, paid));
            if address != self.root {
                kept.push((address, *asset, *amount, followed));
            }
            let Some((paid_asset, _, paid)) = part.filter(|_| !followed.is_zero()) else {
                continue;
            };
            if address != self.root {
                self.add_base(*asset, followed);
            }
            let with = nets.payers(*asset, *amount).into_iter().map(|(payer, _)| payer).collect();
            self.graph.exchange(Exchange {
                tx: movement.tx,
                account: address,
                paid: (paid_asset, paid),
                got: (*asset, followed),
                with,
            });
        }
    }

    fn add_base(&mut self, asset: Asset, amount: U256) {
        let base = self.base.entry(asset).or_default();
        *base = base.saturating_add(amount);
    }

    /// Whether what comes back from an account says nothing of where the payment went. What is burnt
    /// for something else, as when a coin is unwrapped, is exchanged.
    fn hides(&self, address: &Address) -> bool {
        let kind = self.labels.get(address).map(|(kind, _)| kind);
        matches!(kind, Some(LabelKind::Mixer | LabelKind::Bridge | LabelKind::Exchange))
    }

    /// Followed value came to an account: is it looked into?
    fn arrive(&mut self, address: Address, arrival: &Arrival, nets: &Nets) -> Result<(), S::Error> {
        if address == self.root {
            return Ok(());
        }
        let known = self.graph.has(&address);
        if !known && self.graph.len() >= self.settings.max_addresses {
            for (asset, amount) in &arrival.followed {
                self.graph.leave_out(*asset, *amount);
            }
            self.graph.unlink(address);
            return Ok(());
        }
        self.graph.receive(address, arrival.hops, &arrival.followed, self.labels.get(&address));
        if let Some(account) = self.accounts.get_mut(&address) {
            account.hops = account.hops.min(arrival.hops);
            return Ok(());
        }
        let ending =
            if let Some((kind, _)) = self.labels.get(&address).filter(|(kind, _)| kind.is_sink()) {
                Some(Ending::Label(kind))
            } else if arrival.hops >= self.settings.max_hops {
                Some(Ending::MaxHops)
            } else if self.is_small(&address) {
                Some(Ending::Small)
            } else {
                None
            };
        if let Some(ending) = ending {
            self.graph.end(address, ending);
            return Ok(());
        }
        if !self.look_into(address, arrival.hops)? {
            self.graph.end(address, Ending::Busy);
            return Ok(());
        }
        let Some(account) = self.accounts.get_mut(&address) else { return Ok(()) };
        let Some(net) = nets.accounts.get(&address) else { return Ok(()) };
        for (asset, amount) in &net.got {
            let followed = arrival.followed.get(asset).copied().unwrap_or_default();
            account.ledger(address, *asset, self.source).credit(
                self.settings.method,
                *amount,
                followed,
            );
        }
        Ok(())
    }

    fn is_small(&self, address: &Address) -> bool {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut to range")]
        let ppm = (self.settings.min_share.clamp(0.0, 1.0) * 1e6) as u64;
        self.graph.received(address).all(|(asset, amount)| {
            let base = self.base.get(&asset).copied().unwrap_or_default();
            amount < share(base, U256::from(ppm), U256::from(1_000_000u64))
        })
    }

    /// Fetches an account's transactions; false when it has too many.
    fn look_into(&mut self, address: Address, hops: u16) -> Result<bool, S::Error> {
        let most = if address == self.root {
            self.settings.max_steps
        } else {
            self.settings.max_transactions
        };
        let (movements, more) = self.source.movements(address, most)?;
        if more && address != self.root {
            return Ok(false);
        }
        if more {
            self.graph
                .note(format!("only the first {most} transactions of the address are followed"));
        }
        let mut account = Account { hops, ledgers: HashMap::new() };
        let mut movements: Vec<Movement> =
            movements.into_iter().map(|movement| self.turned(movement)).collect();
        movements.sort_by_key(|movement| (movement.height, movement.index));
        for movement in movements {
            let key = (movement.height, movement.index);
            let past = !self.accounts.is_empty() && key <= self.now;
            if !past {
                self.waiting.entry(key).or_insert(movement);
            } else if key < self.now {
                // What it got and paid before anything of ours came to it.
                let nets = Nets::of(&movement.moves);
                if let Some(net) = nets.accounts.get(&address) {
                    for (asset, amount) in &net.paid {
                        account.ledger(address, *asset, self.source).debit(*amount);
                    }
                    for (asset, amount) in &net.got {
                        let ledger = account.ledger(address, *asset, self.source);
                        ledger.credit(self.settings.method, *amount, U256::ZERO);
                    }
                }
            }
        }
        self.accounts.insert(address, account);
        Ok(true)
    }

    /// Backwards is forwards with time and payments turned around.
    fn turned(&self, mut movement: Movement) -> Movement {
        if self.settings.direction == Direction::Backward {
            movement.height = u64::MAX - movement.height;
            movement.index = u64::MAX - movement.index;
            for one in &mut movement.moves {
                *one = Move { from: one.to, to: one.from, ..*one };
            }
        }
        movement
    }
}

impl Account {
    fn ledger<S: Source>(&mut self, address: Address, asset: Asset, source: &mut S) -> &mut Ledger {
        self.ledgers.entry(asset).or_insert_with(|| {
            let mut ledger = Ledger::default();
            if let Some(opening) = source.opening(address, asset).filter(|amount| !amount.is_zero())
            {
                ledger.credit(Method::Haircut, opening, U256::ZERO);
            }
            ledger
        })
    }
}
