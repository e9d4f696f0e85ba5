//! Which implementation was behind which proxy, block by block, also while blocks are reverted.

use std::collections::{BTreeMap, HashMap, HashSet};

use alloy_primitives::{Address, B256, b256};
use wk_model::evm::{Block, Log};
use wk_model::proxy::{Change, LogPlace, Target, Upgrade};
use wk_model::{BlockRef, ChainName, Height};

use super::{Detection, MAX_NESTED};

/// `Upgraded(address)`, of EIP-1967, of beacons, and of OpenZeppelin before.
const UPGRADED: B256 = b256!("0xbc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b");
/// `BeaconUpgraded(address)`
const BEACON_UPGRADED: B256 =
    b256!("0x1cf3b03a6cf19fa2baba4df148e9dcabedea7f8a5c07840e207e5c089be95d3e");
/// `AdminChanged(address,address)`
const ADMIN_CHANGED: B256 =
    b256!("0x7e644d79422f17c01e4894b5f4f588d331ebfa28653d42ae832dc59e38c9798f");

/// Most changes that are kept for one proxy; the oldest go first. Bounds what a proxy that
/// upgrades itself all the time can cost.
const MAX_CHANGES: usize = 1_024;

/// A moment on a chain at which one asks what is behind a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// When the log at this place of the block was emitted.
    Log(Height, u64),
    /// When the transaction at this place of the block began.
    Tx(Height, u64),
    /// After all transactions of the block.
    End(Height),
}

/// What is behind the watched contracts, and was before.
#[derive(Clone, Debug, Default)]
pub struct Implementations {
    chains: HashMap<ChainName, HashMap<Address, Timeline>>,
}

/// The changes of one proxy or beacon.
#[derive(Clone, Debug, Default)]
struct Timeline {
    /// True for a watched contract; the others are beacons, and proxies behind proxies.
    root: bool,
    /// True while the state has to be read: never read, or changed in a way that logs do not tell.
    unread: bool,
    targets: Track<Target>,
    admins: Track<Option<Address>>,
}

impl Timeline {
    /// The beacons that it ever asked.
    fn beacons(&self) -> impl Iterator<Item = Address> + '_ {
        self.targets.0.values().filter_map(|entry| match entry.value {
            Target::Beacon(beacon) => Some(beacon),
            Target::Implementation(_) | Target::Nothing => None,
        })
    }

    /// True when its state was looked at, as that of a proxy behind a proxy is.
    fn was_read(&self) -> bool {
        self.targets.0.values().any(|entry| entry.tx_index.is_none())
    }
}

/// Drops beacons that no proxy asks any more, so that nothing remains of a reverted block.
fn forget_strangers(timelines: &mut HashMap<Address, Timeline>) {
    loop {
        let before = timelines.len();
        let asked: HashSet<Address> = timelines.values().flat_map(Timeline::beacons).collect();
        timelines.retain(|address, timeline| {
            timeline.root || timeline.was_read() || asked.contains(address)
        });
        if timelines.len() == before {
            break;
        }
    }
}

/// The values of one thing over time.
#[derive(Clone, Debug)]
struct Track<T>(BTreeMap<Key, Entry<T>>);

/// Height, and place in the block; a state read counts after all logs.
type Key = (Height, u64);

const AFTER_LOGS: u64 = u64::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry<T> {
    block: B256,
    /// The transaction that changed it; none when the state was read.
    tx_index: Option<u64>,
    value: T,
}

impl Implementations {
    /// Begins to watch a contract. Its state is unread.
    pub fn watch(&mut self, chain: &ChainName, address: Address) {
        let timeline = self.timeline(chain, address);
        timeline.root = true;
        timeline.unread = true;
    }

    /// Watches these contracts and no others. What is known of those that stay is kept; new ones are
    /// unread.
    pub fn watch_only(&mut self, contracts: &[(ChainName, Address)]) {
        let wanted: HashSet<(&ChainName, &Address)> =
            contracts.iter().map(|(chain, address)| (chain, address)).collect();
        for (chain, timelines) in &mut self.chains {
            for (address, timeline) in timelines.iter_mut() {
                timeline.root &= wanted.contains(&(chain, address));
            }
            forget_strangers(timelines);
        }
        for (chain, address) in contracts {
            if !self.timeline(chain, *address).root {
                self.watch(chain, *address);
            }
        }
    }

    /// Has a watched contract read again.
    pub fn doubt(&mut self, chain: &ChainName, address: &Address) {
        let timeline = self.chains.get_mut(chain).and_then(|of| of.get_mut(address));
        if let Some(timeline) = timeline {
            timeline.unread |= timeline.root;
        }
    }

    /// Watched contracts whose state should be read and told to `learn`: new ones, those whose
    /// beacon changed, and those that lost what was known by a revert.
    pub fn unread(&self, chain: &ChainName) -> Vec<Address> {
        let mut unread: Vec<Address> = self
            .chains
            .get(chain)
            .into_iter()
            .flatten()
            .filter(|(_, timeline)| timeline.root && timeline.unread)
            .map(|(address, _)| *address)
            .collect();
        unread.sort_unstable();
        unread
    }

    /// Takes up a look at the state of block `at`; gives what was not known before.
    ///
    /// Where a log of the same block says something else, the log counts: it is proven by the
    /// block's receipts root, the read is not. The contract is then read again with a later block.
    pub fn learn(
        &mut self,
        chain: &ChainName,
        at: BlockRef,
        detection: &Detection,
    ) -> Vec<Upgrade> {
        let mut found = Vec::new();
        let mut note = |address, change| {
            found.push(Upgrade { chain: chain.clone(), address, block: at, log: None, change });
        };
        if detection.proxies.is_empty() {
            note(detection.address, Change::Target(Target::Nothing));
        }
        for detected in &detection.proxies {
            let target = match (detected.beacon, detected.implementation) {
                (Some(beacon), _) => Target::Beacon(beacon),
                (None, Some(implementation)) => Target::Implementation(implementation),
                (None, None) => Target::Nothing,
            };
            note(detected.proxy, Change::Target(target));
            note(detected.proxy, Change::Admin(detected.admin));
            if let (Some(beacon), Some(implementation)) = (detected.beacon, detected.implementation)
            {
                note(beacon, Change::Target(Target::Implementation(implementation)));
            }
        }
        found.retain(|upgrade| self.is_news(upgrade));
        let all = found.len();
        found.retain(|upgrade| !self.is_logged(upgrade));
        self.timeline(chain, detection.address).unread = found.len() < all;
        for upgrade in &found {
            self.apply(upgrade);
        }
        found
    }

    /// Takes up the upgrades that a block's logs tell; gives those of watched proxies and beacons.
    /// Seeing a block twice changes nothing.
    pub fn observe(&mut self, chain: &ChainName, block: &Block) -> Vec<Upgrade> {
        let mut found = Vec::new();
        let at = block.header.block_ref();
        for tx in &block.transactions {
            for log in tx.logs() {
                let Some(change) = read_change(log) else { continue };
                // Looked up each time: a beacon may be new since the log before.
                let watched =
                    self.chains.get(chain).is_some_and(|of| of.contains_key(&log.address));
                if !watched {
                    continue;
                }
                let place = LogPlace { tx_index: tx.index, log_index: log.index };
                let upgrade = Upgrade {
                    chain: chain.clone(),
                    address: log.address,
                    block: at,
                    log: Some(place),
                    change,
                };
                self.apply(&upgrade);
                self.mark_unread(chain, &upgrade);
                found.push(upgrade);
            }
        }
        found
    }

    /// Takes up what was stored before. Watched contracts stay unread: code may have changed in
    /// silence since.
    pub fn restore(&mut self, upgrades: impl IntoIterator<Item = Upgrade>) {
        for upgrade in upgrades {
            self.apply(&upgrade);
        }
    }

    /// Forgets what a block brought, because it is no longer part of the chain.
    pub fn revert(&mut self, chain: &ChainName, block: &BlockRef) {
        let Some(timelines) = self.chains.get_mut(chain) else { return };
        let mut lost = false;
        for timeline in timelines.values_mut() {
            let targets = timeline.targets.revert(block);
            let admins = timeline.admins.revert(block);
            timeline.unread |= targets || admins;
            lost |= targets;
        }
        if lost {
            // What was lost may be a beacon's, or that of a proxy behind a proxy.
            for timeline in timelines.values_mut() {
                timeline.unread |= timeline.root;
            }
            forget_strangers(timelines);
        }
    }

    /// The code that ran, at that moment, for a contract; none when it is no proxy as far as known.
    pub fn at(&self, chain: &ChainName, address: &Address, moment: Moment) -> Option<Address> {
        let timelines = self.chains.get(chain)?;
        let mut implementation = None;
        let mut next = *address;
        // Each proxy may take a beacon on the way.
        for _ in 0..2 * MAX_NESTED {
            match timelines.get(&next).and_then(|timeline| timeline.targets.at(moment)) {
                Some(Target::Implementation(target)) => {
                    implementation = Some(target);
                    next = target;
                }
                Some(Target::Beacon(beacon)) => {
                    implementation = None;
                    next = beacon;
                }
                Some(Target::Nothing) | None => break,
            }
        }
        implementation
    }

    /// What is known to be behind a contract itself at that moment, not what is behind that.
    pub fn target_at(
        &self,
        chain: &ChainName,
        address: &Address,
        moment: Moment,
    ) -> Option<Target> {
        self.chains.get(chain)?.get(address)?.targets.at(moment)
    }

    /// The beacon that a contract asked at that moment.
    pub fn beacon_at(
        &self,
        chain: &ChainName,
        address: &Address,
        moment: Moment,
    ) -> Option<Address> {
        match self.target_at(chain, address, moment)? {
            Target::Beacon(beacon) => Some(beacon),
            Target::Implementation(_) | Target::Nothing => None,
        }
    }

    /// Who could upgrade a contract at that moment, where it says so.
    pub fn admin_at(
        &self,
        chain: &ChainName,
        address: &Address,
        moment: Moment,
    ) -> Option<Address> {
        self.chains.get(chain)?.get(address)?.admins.at(moment)?
    }

    /// All code that is known to have been behind a contract, newest first.
    pub fn ever(&self, chain: &ChainName, address: &Address) -> Vec<Address> {
        let Some(timelines) = self.chains.get(chain) else { return Vec::new() };
        let mut found = Vec::new();
        let mut open = vec![*address];
        for _ in 0..2 * MAX_NESTED {
            let mut next = Vec::new();
            for address in open {
                let Some(timeline) = timelines.get(&address) else { continue };
                for entry in timeline.targets.0.values().rev() {
                    match entry.value {
                        Target::Implementation(target) if !found.contains(&target) => {
                            found.push(target);
                            next.push(target);
                        }
                        Target::Beacon(beacon) if !next.contains(&beacon) => next.push(beacon),
                        Target::Implementation(_) | Target::Beacon(_) | Target::Nothing => {}
                    }
                }
            }
            open = next;
        }
        found
    }

    fn timeline(&mut self, chain: &ChainName, address: Address) -> &mut Timeline {
        // Not `entry`: that would take a clone of the name each time.
        if !self.chains.contains_key(chain) {
            self.chains.insert(chain.clone(), HashMap::new());
        }
        let timelines = self.chains.get_mut(chain).expect("inserted above");
        timelines.entry(address).or_default()
    }

    fn is_news(&self, upgrade: &Upgrade) -> bool {
        let moment = Moment::End(upgrade.block.height);
        let timeline = self.chains.get(&upgrade.chain).and_then(|of| of.get(&upgrade.address));
        match upgrade.change {
            Change::Target(target) => {
                timeline.and_then(|timeline| timeline.targets.at(moment)) != Some(target)
            }
            Change::Admin(admin) => {
                let known = timeline.and_then(|timeline| timeline.admins.at(moment));
                known != Some(admin) && (known.is_some() || admin.is_some())
            }
        }
    }

    /// True when a log of the same block says what a read is about.
    fn is_logged(&self, upgrade: &Upgrade) -> bool {
        let timeline = self.chains.get(&upgrade.chain).and_then(|of| of.get(&upgrade.address));
        timeline.is_some_and(|timeline| match upgrade.change {
            Change::Target(_) => timeline.targets.is_logged(upgrade.block.height),
            Change::Admin(_) => timeline.admins.is_logged(upgrade.block.height),
        })
    }

    fn apply(&mut self, upgrade: &Upgrade) {
        let Upgrade { chain, address, block, log, change } = upgrade;
        let key = (block.height, log.map_or(AFTER_LOGS, |place| place.log_index));
        let tx_index = log.map(|place| place.tx_index);
        let timeline = self.timeline(chain, *address);
        match change {
            Change::Target(value) => {
                timeline.targets.insert(key, Entry { block: block.hash, tx_index, value: *value });
            }
            Change::Admin(value) => {
                timeline.admins.insert(key, Entry { block: block.hash, tx_index, value: *value });
            }
        }
        // From now on the beacon's own upgrades matter.
        if let Change::Target(Target::Beacon(beacon)) = change {
            self.timeline(chain, *beacon);
        }
    }

    /// A new target may be a proxy or a beacon itself: only the state tells. Whoever stands
    /// before it is meant, for only watched contracts are read.
    fn mark_unread(&mut self, chain: &ChainName, upgrade: &Upgrade) {
        if !matches!(upgrade.change, Change::Target(_)) {
            return;
        }
        let Some(timelines) = self.chains.get(chain) else { return };
        let before: Vec<Address> = timelines
            .iter()
            .filter(|(_, timeline)| timeline.root)
            .filter(|(address, _)| {
                **address == upgrade.address
                    || self.passes(chain, address, &upgrade.address, upgrade.block.height)
            })
            .map(|(address, _)| *address)
            .collect();
        for address in before {
            self.timeline(chain, address).unread = true;
        }
    }

    /// True when the way from `address` leads through `through` at the end of the block.
    fn passes(
        &self,
        chain: &ChainName,
        address: &Address,
        through: &Address,
        height: Height,
    ) -> bool {
        let Some(timelines) = self.chains.get(chain) else { return false };
        let mut next = *address;
        for _ in 0..2 * MAX_NESTED {
            let target =
                timelines.get(&next).and_then(|timeline| timeline.targets.at(Moment::End(height)));
            match target {
                Some(Target::Implementation(target) | Target::Beacon(target)) => {
                    if target == *through {
                        return true;
                    }
                    next = target;
                }
                Some(Target::Nothing) | None => return false,
            }
        }
        false
    }
}

impl<T: Copy> Track<T> {
    fn insert(&mut self, key: Key, entry: Entry<T>) {
        let (height, _) = key;
        if entry.tx_index.is_some() {
            self.0.remove(&(height, AFTER_LOGS));
        } else if self.is_logged(height) {
            return;
        }
        self.0.insert(key, entry);
        while self.0.len() > MAX_CHANGES {
            self.0.pop_first();
        }
    }

    /// True when a log of the block at `height` changed it.
    fn is_logged(&self, height: Height) -> bool {
        let mut entries = self.0.range((height, 0)..=(height, AFTER_LOGS));
        entries.any(|(_, entry)| entry.tx_index.is_some())
    }

    fn at(&self, moment: Moment) -> Option<T> {
        let before = match moment {
            Moment::Log(height, log_index) => self.0.range(..(height, log_index)).next_back(),
            Moment::End(height) => self.0.range(..=(height, AFTER_LOGS)).next_back(),
            Moment::Tx(height, tx_index) => {
                self.0.range(..(height, AFTER_LOGS)).rev().find(|((at, _), entry)| {
                    *at < height || entry.tx_index.is_some_and(|index| index < tx_index)
                })
            }
        };
        if let Some((_, entry)) = before {
            return Some(entry.value);
        }
        // What a state read found was most likely so before; an upgrade made it so only then.
        let (_, first) = self.0.first_key_value()?;
        first.tx_index.is_none().then_some(first.value)
    }

    /// Removes what came with a block; true when something did.
    fn revert(&mut self, block: &BlockRef) -> bool {
        let lost: Vec<Key> = self
            .0
            .range((block.height, 0)..=(block.height, AFTER_LOGS))
            .filter(|(_, entry)| entry.block == block.hash)
            .map(|(key, _)| *key)
            .collect();
        for key in &lost {
            self.0.remove(key);
        }
        !lost.is_empty()
    }
}

impl<T> Default for Track<T> {
    fn default() -> Track<T> {
        Track(BTreeMap::new())
    }
}

/// What a log says about the contract that emitted it. Old contracts do not index the address.
fn read_change(log: &Log) -> Option<Change> {
    let first = *log.topics.first()?;
    let argument = |index: usize| {
        let word = match log.topics.get(1 + index) {
            Some(topic) => *topic,
            None => {
                let from = 32 * (index + 1 - log.topics.len());
                B256::from_slice(log.data.get(from..from + 32)?)
            }
        };
        let clean = word[..12].iter().all(|byte| *byte == 0);
        clean.then(|| Address::from_word(word))
    };
    match first {
        UPGRADED => Some(Change::Target(match argument(0)? {
            Address::ZERO => Target::Nothing,
            implementation => Target::Implementation(implementation),
        })),
        BEACON_UPGRADED => Some(Change::Target(match argument(0)? {
            Address::ZERO => Target::Nothing,
            beacon => Target::Beacon(beacon),
        })),
        ADMIN_CHANGED => {
            let admin = argument(1)?;
            Some(Change::Admin(Some(admin).filter(|admin| !admin.is_zero())))
        }
        _ => None,
    }
}
