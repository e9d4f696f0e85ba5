//! What happens on the demo chain: ordinary life, and the troubles that the demo's rules find.

use alloy_primitives::{Address, I256, U256};
use wk_tape::Tape;
use wk_testkit::{Anvil, DynSolValue, Fixture, Tx, ether, number, text};

use crate::recorder::Recorder;

/// Blocks before the playing begins, about.
const HISTORY: u64 = 60;

/// Blocks that are played: nine minutes at one a second.
const LIVE: u64 = 540;

/// Troubles come again after so many blocks.
const CYCLE: u64 = 180;

// Who is who among anvil's accounts.
const OWNER: usize = 0;
const ALICE: usize = 1;
const BOB: usize = 2;
const CAROL: usize = 3;
const DAVE: usize = 4;
const WHALE: usize = 5;
const TRADER: usize = 6;
const KEEPER: usize = 7;
const MALLORY: usize = 8;

/// The oracle's price at rest: 3,000 dollars with 8 decimals.
const PRICE: i64 = 3_000 * 100_000_000;

/// Enough gas for every call here.
const GAS: u64 = 400_000;

/// Everything that the story acts on.
struct Story {
    recorder: Recorder,
    people: Vec<Address>,
    usdx: Address,
    weth: Address,
    vault: Address,
    counter: Address,
    counter_v1: Address,
    counter_v2: Address,
    oracle: Address,
    pool: Address,
    nft: Address,
    multi: Address,
    emitter: Address,
    dice: u64,
}

/// Tells the whole story.
pub(crate) async fn tell(anvil: Anvil) -> Tape {
    let mut story = set_the_stage(anvil).await;
    let begun = story.recorder.anvil.height().await;
    for block in begun..HISTORY {
        let txs = story.ordinary(block, block + 4 < HISTORY);
        story.recorder.block(&txs).await;
    }
    story.recorder.end_history();
    for live in 1..=LIVE {
        story.live(live).await;
    }
    story.recorder.finish().await
}

/// Deploys the contracts and gives everyone something to work with.
async fn set_the_stage(anvil: Anvil) -> Story {
    let people = anvil.accounts().to_vec();
    let mut recorder = Recorder::start(anvil).await;
    let six = DynSolValue::Uint(U256::from(6), 8);
    let dollar = [text("Demo Dollar"), text("USDX"), six];
    let usdx = recorder.deploy("usdx", Fixture::Token, &dollar).await;
    let weth = recorder.deploy("weth", Fixture::Weth, &[]).await;
    let vault = recorder.deploy("vault", Fixture::Vault, &[]).await;
    let counter_v1 = recorder.deploy("counter-v1", Fixture::CounterV1, &[]).await;
    let counter_v2 = recorder.deploy("counter-v2", Fixture::CounterV2, &[]).await;
    let counter = recorder.deploy("counter", Fixture::Proxy, &[counter_v1.into()]).await;
    let feed = [text("ETH / USD"), price(PRICE)];
    let oracle = recorder.deploy("oracle", Fixture::Oracle, &feed).await;
    let pool = recorder.deploy("pool", Fixture::Pool, &[usdx.into(), weth.into()]).await;
    let nft = recorder.deploy("nft", Fixture::Nft, &[]).await;
    let multi = recorder.deploy("multi", Fixture::Multi, &[]).await;
    let emitter = recorder.deploy("emitter", Fixture::Emitter, &[]).await;

    for (to, fixture, functions) in [
        (usdx, Fixture::Token, &["totalSupply", "decimals", "symbol", "name", "owner"][..]),
        (weth, Fixture::Weth, &["totalSupply", "decimals", "symbol", "name"]),
        (vault, Fixture::Vault, &["totalDeposits", "paused", "beats", "owner"]),
        (counter, Fixture::CounterV2, &["count", "version"]),
        (
            oracle,
            Fixture::Oracle,
            &[
                "latestAnswer",
                "latestRoundData",
                "latestRound",
                "latestTimestamp",
                "decimals",
                "description",
            ],
        ),
        (pool, Fixture::Pool, &["getReserves", "token0", "token1"]),
        (nft, Fixture::Nft, &["name", "symbol"]),
    ] {
        for function in functions {
            recorder.watch(to, fixture, function, &[]);
        }
    }
    for holder in people.iter().copied().chain([vault, pool]) {
        recorder.watch(usdx, Fixture::Token, "balanceOf", &[holder.into()]);
        recorder.watch(weth, Fixture::Weth, "balanceOf", &[holder.into()]);
        recorder.watch(vault, Fixture::Vault, "balanceOf", &[holder.into()]);
    }
    let mut story = Story {
        recorder,
        people,
        usdx,
        weth,
        vault,
        counter,
        counter_v1,
        counter_v2,
        oracle,
        pool,
        nft,
        multi,
        emitter,
        dice: 7,
    };
    story.hand_out().await;
    story
}

impl Story {
    async fn hand_out(&mut self) {
        let mints: Vec<Tx> = (0..9)
            .map(|who| self.usdx(OWNER, "mint", &[self.people[who].into(), dollars(5_000_000)]))
            .collect();
        self.recorder.block(&mints).await;
        let wraps: Vec<Tx> = [OWNER, ALICE, TRADER]
            .map(|who| self.call(who, self.weth, Fixture::Weth, "deposit", &[]).value(ether(1_500)))
            .into();
        self.recorder.block(&wraps).await;
        let mut approvals = Vec::new();
        for who in [OWNER, ALICE, TRADER] {
            let limit = number(ether(1_000_000));
            for (token, fixture) in [(self.usdx, Fixture::Token), (self.weth, Fixture::Weth)] {
                let args = [self.pool.into(), limit.clone()];
                approvals.push(self.call(who, token, fixture, "approve", &args));
            }
        }
        self.recorder.block(&approvals).await;
        let liquidity = [dollars(3_000_000), number(ether(1_000))];
        let liquidity = self.call(OWNER, self.pool, Fixture::Pool, "addLiquidity", &liquidity);
        self.recorder.block(&[liquidity]).await;
        let deposits: Vec<Tx> = [(ALICE, 200), (BOB, 50), (CAROL, 80), (DAVE, 400), (WHALE, 7_000)]
            .map(|(who, amount)| self.deposit(who, amount))
            .into();
        self.recorder.block(&deposits).await;
    }

    /// The `live`-th block that is played, from 1.
    async fn live(&mut self, live: u64) {
        // The first reorg takes back the large withdrawal of block 2; a later one a block of
        // ordinary life.
        match live {
            4 => return self.recorder.reorg(2).await,
            64 | 300 => return self.recorder.reorg(1).await,
            _ => {}
        }
        let mut txs = if live == 2 {
            vec![self.withdraw(WHALE, 1_500)]
        } else {
            // The keeper sleeps at first, and again in each cycle.
            let keeper_works = !matches!(live % CYCLE, 0..=31);
            self.ordinary(HISTORY + live, keeper_works)
        };
        txs.extend(self.trouble(live));
        self.recorder.block(&txs).await;
    }

    /// The trouble of a block, if any.
    fn trouble(&mut self, live: u64) -> Vec<Tx> {
        match live % CYCLE {
            6 => vec![self.withdraw(WHALE, 1_200)],
            7 => vec![self.set_price(PRICE * 65 / 100)],
            8 => {
                let even = (live / CYCLE).is_multiple_of(2);
                let to = if even { self.counter_v2 } else { self.counter_v1 };
                vec![self.call(OWNER, self.counter, Fixture::Proxy, "upgradeTo", &[to.into()])]
            }
            9..=15 => vec![self.withdraw(DAVE, 5)],
            17..=18 => vec![self.withdraw(BOB, 900), self.withdraw(MALLORY, 1)],
            22 => vec![self.set_price(PRICE)],
            26 => vec![self.swap(ALICE, self.usdx, U256::from(900_000_000_000u64))],
            34 => vec![self.swap(TRADER, self.weth, ether(200))],
            45 => vec![self.pause(true)],
            47 => vec![self.withdraw(ALICE, 1), self.withdraw(CAROL, 1)],
            50 => vec![self.pause(false)],
            75..=77 => vec![self.withdraw(MALLORY, 3), self.steal()],
            90 => {
                let spender = self.people[MALLORY];
                vec![self.usdx(CAROL, "approve", &[spender.into(), number(U256::MAX)])]
            }
            93 => vec![self.steal()],
            100 => {
                vec![self.usdx(OWNER, "mint", &[self.people[MALLORY].into(), dollars(9_000_000)])]
            }
            120 => vec![self.deposit(WHALE, 1_300)],
            // Paid back, so that every cycle can begin alike.
            121 => vec![self.deposit(DAVE, 40), self.deposit(BOB, 10)],
            _ => vec![],
        }
    }

    /// What happens every day.
    fn ordinary(&mut self, block: u64, keeper_works: bool) -> Vec<Tx> {
        let mut txs = Vec::new();
        let every = |blocks: u64| block.is_multiple_of(blocks);
        if keeper_works && every(5) {
            txs.push(self.call(KEEPER, self.vault, Fixture::Vault, "heartbeat", &[]));
        }
        for _ in 0..self.roll(3) {
            let (from, to) = (self.anyone(), self.anyone());
            let amount = dollars(10 + self.roll(490));
            txs.push(self.usdx(from, "transfer", &[self.people[to].into(), amount]));
        }
        if every(6) && !(7..=22).contains(&(block.saturating_sub(HISTORY) % CYCLE)) {
            let drift = i64::try_from(self.roll(1_800)).unwrap_or(0) - 900;
            txs.push(self.set_price(PRICE + drift * 1_000_000));
        }
        if every(4) {
            let small = if every(8) {
                self.swap(TRADER, self.weth, U256::from(300_000_000_000_000_000u64))
            } else {
                self.swap(TRADER, self.usdx, U256::from(900_000_000u64))
            };
            txs.push(small);
        }
        if every(9) {
            let (who, amount) = (self.anyone(), 1 + self.roll(4));
            txs.push(self.deposit(who, amount));
        }
        if every(13) {
            let who = [ALICE, CAROL, WHALE][usize::try_from(block / 13 % 3).unwrap_or(0)];
            txs.push(self.withdraw(who, 1));
        }
        if every(17) {
            let (who, id) = (self.anyone(), number(block));
            txs.push(self.call(
                who,
                self.nft,
                Fixture::Nft,
                "mint",
                &[self.people[who].into(), id],
            ));
        }
        if every(19) {
            let who = self.anyone();
            txs.push(self.call(who, self.counter, Fixture::CounterV1, "increment", &[]));
        }
        if every(23) {
            let (who, amount) = (self.anyone(), number(1 + self.roll(9)));
            let args = [self.people[who].into(), number(block % 7), amount];
            txs.push(self.call(who, self.multi, Fixture::Multi, "mint", &args));
        }
        if every(29) {
            let args = [number(self.roll(1_000))];
            txs.push(self.call(BOB, self.emitter, Fixture::Emitter, "whisper", &args));
        }
        if every(31) {
            let (from, to) = (self.anyone(), self.anyone());
            txs.push(Tx::to(self.people[to]).from(from).value(ether(1)).gas(21_000));
        }
        txs
    }

    fn call(
        &self,
        who: usize,
        to: Address,
        fixture: Fixture,
        function: &str,
        args: &[DynSolValue],
    ) -> Tx {
        // Tips between one and three gwei, so that there are percentiles to look at.
        let tip = 1_000_000_000 + (who as u64 * 7 + function.len() as u64) % 20 * 100_000_000;
        Tx::call(to, fixture, function, args).from(who).gas(GAS).tip(tip)
    }

    fn usdx(&self, who: usize, function: &str, args: &[DynSolValue]) -> Tx {
        self.call(who, self.usdx, Fixture::Token, function, args)
    }

    fn deposit(&self, who: usize, amount: u64) -> Tx {
        self.call(who, self.vault, Fixture::Vault, "deposit", &[]).value(ether(amount))
    }

    fn withdraw(&self, who: usize, amount: u64) -> Tx {
        self.call(who, self.vault, Fixture::Vault, "withdraw", &[number(ether(amount))])
    }

    fn pause(&self, paused: bool) -> Tx {
        self.call(OWNER, self.vault, Fixture::Vault, "setPaused", &[DynSolValue::Bool(paused)])
    }

    fn set_price(&self, to: i64) -> Tx {
        // `updatedAt` is not looked at in the demo, and must not depend on the time of recording.
        self.call(OWNER, self.oracle, Fixture::Oracle, "setPrice", &[price(to), number(0)])
    }

    fn swap(&self, who: usize, token: Address, amount: U256) -> Tx {
        let args = [token.into(), number(amount), number(0)];
        self.call(who, self.pool, Fixture::Pool, "swap", &args)
    }

    /// Mallory takes from Carol what she was allowed to, or tries to.
    fn steal(&self) -> Tx {
        let (from, to) = (self.people[CAROL], self.people[MALLORY]);
        let args = [from.into(), to.into(), dollars(100_000)];
        self.usdx(MALLORY, "transferFrom", &args)
    }

    /// One of the people who lead an ordinary life.
    fn anyone(&mut self) -> usize {
        [ALICE, BOB, CAROL, DAVE, WHALE, TRADER][usize::try_from(self.roll(6)).unwrap_or(0)]
    }

    /// A number below `sides`, the same in each recording.
    fn roll(&mut self, sides: u64) -> u64 {
        // Knuth's MMIX generator; its high bits are good enough for a story.
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }
}

fn dollars(amount: u64) -> DynSolValue {
    number(amount * 1_000_000)
}

fn price(value: i64) -> DynSolValue {
    DynSolValue::Int(I256::try_from(value).expect("64 bits fit"), 256)
}
