//! What holds for any rules over any blocks: reverts leave no trace, a stop changes nothing, order
//! loses nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use wk_model::evm::{Block, Log};
use wk_model::primitives::keccak256;
use wk_model::{
    BlockRef, BlockTime, Bytes, ChainName, EntryKind, Finding, Intake, U256, WindowEntry,
};
use wk_rules::{Evaluation, Forget, Memory, RuleSet};

use crate::support::{Chain, KNOWN, PLAIN, TOKEN, VAULT, compile, try_compile};

/// One rule of each kind that remembers something, and some that do not.
fn all_rules() -> Vec<Value> {
    let withdraw = |id: &str, window: Value| json!({"id": id, "watch": "vault", "event": "Withdraw", "window": window});
    vec![
        json!({"id": "each", "watch": "vault", "event": "Withdraw", "if": "amount > 2"}),
        json!({"id": "block", "on": "evm.block", "if": "log_count > 1"}),
        json!({"id": "tx", "on": "evm.tx", "watch": "vault", "if": "tx.index == 1"}),
        withdraw("count-time", json!({"by": "to", "over": "40s", "when": "count > 2"})),
        withdraw("count-blocks", json!({"over": "3 blocks", "when": "count > 3"})),
        withdraw(
            "sum",
            json!({"by": "to", "over": "1m", "value": "amount", "when": "sum >= 6 && max < 4"}),
        ),
        withdraw(
            "falls",
            json!({"over": "30s", "value": "amount", "when": "count < 3 && min > 0"}),
        ),
        withdraw(
            "distinct",
            json!({"over": "1m", "value": "to", "when": "distinct > 2 || rate > 0.1"}),
        ),
        withdraw("own", json!({"by": "to", "over": "1m", "when": "count > 1 && amount > 1"})),
        json!({"id": "silent", "watch": "vault", "event": "Withdraw", "if": "amount > 3", "absent": "20s"}),
        json!({"id": "level", "watch": "vault", "read": {"call": "totalDeposits"}, "if": "value > 2"}),
        json!({"id": "change", "watch": ["vault", "plain"], "read": {"slot": "0"}, "if": "value > previous", "every": 2}),
        json!({"id": "state-window", "watch": "vault", "read": {"balance": "vault"}, "if": "value > 1", "window": {"over": "1m", "value": "value", "when": "sum > 5"}}),
    ]
}

fn some_rules() -> impl Strategy<Value = Vec<Value>> {
    let all = all_rules();
    let count = all.len();
    proptest::sample::subsequence(all, 1..=count)
}

/// What the vault pays in a block, to whom.
fn payments() -> impl Strategy<Value = Vec<(u8, u64)>> {
    proptest::collection::vec((1u8..4, 0u64..5), 0..4)
}

/// A store as the engine keeps one: entries by name, reverts by block, pruned when told.
#[derive(Default)]
struct Stored(BTreeMap<String, WindowEntry>);

impl Stored {
    fn add(&mut self, entries: &[WindowEntry]) {
        for entry in entries {
            let name = format!("{:?} {:?} {}", entry.window, entry.block, entry.ordinal);
            self.0.insert(name, entry.clone());
        }
    }

    fn revert(&mut self, block: &BlockRef) {
        self.0.retain(|_, entry| entry.block != *block);
    }

    fn forget(&mut self, forget: &[Forget]) {
        let all: Vec<WindowEntry> = self.0.values().cloned().collect();
        self.0.retain(|_, entry| {
            let of_rule = forget.iter().find(|forget| forget.rule == entry.window.rule);
            let is_old = of_rule.is_some_and(|forget| entry.time < forget.before);
            let is_last_read = entry.kind == EntryKind::State
                && !all.iter().any(|other| {
                    other.kind == EntryKind::State
                        && other.window == entry.window
                        && of_rule.is_some_and(|forget| other.time < forget.before)
                        && other.block.height > entry.block.height
                });
            !is_old || entry.kind == EntryKind::Start || is_last_read
        });
    }

    /// A restart: nothing is left but what was stored, read back as it was written.
    fn restore(&self) -> Memory {
        let text = serde_json::to_string(&self.0.values().rev().collect::<Vec<_>>());
        let text = text.expect("entries are JSON");
        Memory::restore(serde_json::from_str(&text).expect("what was written can be read"))
    }
}

/// Runs rules over blocks. What state holds follows from the block's hash.
struct World {
    set: RuleSet,
    chain: Chain,
    memory: Memory,
    stored: Stored,
    findings: Vec<Finding>,
}

impl World {
    fn new(rules: &[Value]) -> World {
        World {
            set: compile(Value::Array(rules.to_vec())),
            chain: Chain::new(),
            memory: Memory::default(),
            stored: Stored::default(),
            findings: Vec::new(),
        }
    }

    fn see(&mut self, block: &Block, intake: Intake) -> Evaluation {
        let main = ChainName::new("main");
        let height = block.header.height;
        let reads = self.set.state_reads(&main, height).into_iter().enumerate();
        self.chain.state = reads
            .map(|(i, read)| {
                let value = U256::from(block.header.hash[i] % 5);
                (read, Ok(Bytes::from(value.to_be_bytes_vec())))
            })
            .collect();
        let evaluation = self.chain.evaluate(&self.set, &mut self.memory, block, intake);
        assert_eq!(evaluation.errors, []);
        self.stored.add(&evaluation.entries);
        self.findings.extend(evaluation.findings.clone());
        evaluation
    }

    fn revert(&mut self, block: &Block) {
        let block = block.header.block_ref();
        self.memory.revert(&ChainName::new("main"), &block);
        self.stored.revert(&block);
        self.findings.retain(|f| f.position.as_ref().is_none_or(|p| p.block != block));
    }

    fn prune(&mut self, floor: &Block) {
        let (height, time) = (floor.header.height, floor.header.time);
        let forget = self.set.prune(&mut self.memory, &ChainName::new("main"), height, time);
        self.stored.forget(&forget);
    }

    fn remembered(&self) -> Vec<String> {
        self.chain.remembered(&self.memory)
    }
}

fn blocks(chain: &mut Chain, contents: &[Vec<(u8, u64)>]) -> Vec<Block> {
    contents.iter().map(|paid| chain.withdrawals(paid)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// fold(common, a, revert a, b) = fold(common, b): findings, memory and what is stored.
    #[test]
    fn a_revert_leaves_no_trace(
        rules in some_rules(),
        common in proptest::collection::vec(payments(), 0..8),
        a in proptest::collection::vec(payments(), 1..6),
        b in proptest::collection::vec(payments(), 0..6),
    ) {
        let mut chain = Chain::new();
        let common = blocks(&mut chain, &common);
        let fork = chain.tip().clone();
        let a = blocks(&mut chain, &a);
        chain.set_tip(&fork);
        let b = blocks(&mut chain, &b);

        let mut there_and_back = World::new(&rules);
        common.iter().chain(&a).for_each(|block| drop(there_and_back.see(block, Intake::Live)));
        a.iter().rev().for_each(|block| there_and_back.revert(block));
        b.iter().for_each(|block| drop(there_and_back.see(block, Intake::Live)));

        let mut straight = World::new(&rules);
        common.iter().chain(&b).for_each(|block| drop(straight.see(block, Intake::Live)));

        prop_assert_eq!(&there_and_back.findings, &straight.findings);
        prop_assert_eq!(there_and_back.remembered(), straight.remembered());
        let stored = |world: &World| world.stored.0.clone();
        prop_assert_eq!(stored(&there_and_back), stored(&straight));
    }

    /// Stopping anywhere and starting from what was stored, forgetting what is final, and reverting
    /// above it changes no finding.
    #[test]
    fn a_stop_changes_nothing(
        rules in some_rules(),
        contents in proptest::collection::vec(payments(), 1..25),
        stops in proptest::collection::vec(any::<bool>(), 25),
        depths in proptest::collection::vec(0usize..4, 25),
    ) {
        let mut chain = Chain::new();
        let blocks = blocks(&mut chain, &contents);
        let mut straight = World::new(&rules);
        let mut stopped = World::new(&rules);
        let (mut seen, mut told) = (Vec::new(), Vec::new());
        for (i, block) in blocks.iter().enumerate() {
            seen.extend(straight.see(block, Intake::Live).findings);
            told.extend(stopped.see(block, Intake::Live).findings);
            // A reorg to the same blocks: they go and come back.
            let depth = depths[i].min(i);
            for block in blocks[i - depth..=i].iter().rev().take(depth) {
                stopped.revert(block);
            }
            for block in blocks[i - depth..=i].iter().skip(1) {
                stopped.see(block, Intake::Live);
            }
            if let Some(finalized) = i.checked_sub(4) {
                stopped.prune(&blocks[finalized]);
            }
            if stops[i] {
                stopped.memory = stopped.stored.restore();
            }
        }
        prop_assert_eq!(seen, told);
        prop_assert_eq!(&straight.findings, &stopped.findings);
        prop_assert!(stopped.memory.len() <= straight.memory.len());
    }

    /// In whatever order blocks come, nothing that is told in order stays untold, by the same
    /// names. Only silence and comparisons with the read before depend on the order; they are left
    /// out, and so is a `when` that reads the event itself.
    #[test]
    fn late_blocks_lose_nothing(
        contents in proptest::collection::vec(payments(), 2..12),
        order in Just((0..12usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let rules: Vec<Value> = all_rules()
            .into_iter()
            .filter(|rule| {
                let id = rule["id"].as_str().unwrap_or_default();
                !matches!(id, "own" | "silent" | "level" | "change")
            })
            .collect();
        let mut chain = Chain::new();
        let blocks = blocks(&mut chain, &contents);
        let mut straight = World::new(&rules);
        blocks.iter().for_each(|block| drop(straight.see(block, Intake::Live)));
        let mut shuffled = World::new(&rules);
        for place in order.into_iter().filter(|place| *place < blocks.len()) {
            shuffled.see(&blocks[place], Intake::Refill);
        }
        for finding in &straight.findings {
            let told = shuffled.findings.iter().any(|other| other.id == finding.id);
            prop_assert!(told, "{} was not told", finding.title);
        }
        // Which matches are inside the line is the same; only which of them spoke may differ.
        let met = |world: &World| -> BTreeMap<String, bool> {
            let matches = world.memory.entries().into_iter();
            matches
                .filter(|entry| entry.kind == EntryKind::Match)
                .map(|e| (format!("{:?} {} {}", e.window, e.block, e.ordinal), e.value["met"] == json!(true)))
                .collect()
        };
        prop_assert_eq!(met(&straight), met(&shuffled));
        // And what is stored is what is remembered.
        let restored = shuffled.stored.restore();
        prop_assert_eq!(shuffled.chain.remembered(&restored), shuffled.remembered());
    }

    /// Blocks whose times do not go up, and amounts of any size, upset nothing.
    #[test]
    fn nothing_panics(
        rules in some_rules(),
        steps in proptest::collection::vec((payments(), any::<u32>(), any::<bool>()), 1..20),
    ) {
        let mut world = World::new(&rules);
        let mut chain = Chain::new();
        for (mut paid, time, huge) in steps {
            if huge {
                paid.push((1, u64::MAX));
            }
            let mut block = chain.withdrawals(&paid);
            block.header.time = BlockTime(u64::from(time));
            world.see(&block, Intake::Live);
        }
    }

    /// Logs are written by strangers: whatever is in them, no rule panics, and those of contracts
    /// that nobody watches are no errors.
    #[test]
    fn strange_logs_upset_nothing(
        logs in proptest::collection::vec(
            (0usize..4, 0usize..5, 0usize..5, proptest::collection::vec(any::<u8>(), 0..100)),
            0..12,
        ),
    ) {
        let signatures = ["Withdraw(address,uint256)", "Transfer(address,address,uint256)", "Odd(address,bytes32,uint256,string)", "Unknown()"];
        let mut rules = all_rules();
        rules.push(json!({"id": "odd", "watch": "vault", "event": "Odd", "if": "memo != 0x00 && event.args.count >= 0"}));
        rules.push(json!({"id": "anyones", "event": "Transfer(address indexed from, address indexed to, uint256 value)", "if": "value > 0"}));
        rules.push(json!({"id": "open", "on": "evm.event", "if": "event.name != null || event.args.size() > 0"}));
        let mut world = World::new(&rules);
        let mut chain = Chain::new();
        let addresses = [VAULT, TOKEN, PLAIN, KNOWN];
        let logs: Vec<Log> = logs
            .into_iter()
            .map(|(address, signature, topics, data)| {
                let topic0 = signatures.get(signature).map(|text| keccak256(text.as_bytes()));
                let rest = (0..topics).map(|i| keccak256(i.to_be_bytes()));
                Log {
                    address: addresses[address].parse().expect("it is right"),
                    topics: topic0.into_iter().chain(rest).take(4).collect(),
                    data: Bytes::from(data),
                    index: 0,
                }
            })
            .collect();
        let block = chain.block(logs);
        let evaluation = chain.evaluate(&world.set, &mut world.memory, &block, Intake::Live);
        prop_assert!(evaluation.errors.iter().all(|error| error.rule != "anyones" && error.rule != "open"));
    }

    /// Settings are written by people in a hurry: whatever stands where a text belongs, compiling
    /// ends with rules or with problems.
    #[test]
    fn strange_settings_upset_nothing(
        texts in proptest::collection::vec("[a-z0-9 ${}()\"'.,<>&|!=+*/-]{0,24}|\\PC{0,12}", 8),
        trigger in 0usize..6,
    ) {
        let trigger = ["evm.block", "evm.tx", "evm.event", "evm.state", "evm.pending", "http"][trigger];
        let rule = json!({
            "id": texts[0], "on": trigger, "watch": texts[1], "event": [texts[2], "Withdraw"], "if": texts[3],
            "title": texts[4], "window": {"over": "1m", "by": texts[5], "value": texts[6], "when": texts[7]},
            "read": {"call": texts[2], "args": [texts[1]], "contract": texts[1]}, "url": texts[0],
        });
        let known = json!({"id": "a", "watch": "vault", "event": "Withdraw", "if": texts[3], "title": texts[4], "window": {"over": "1m", "by": texts[5], "value": texts[6], "when": texts[7]}});
        for rule in [rule, known] {
            if let Err(problems) = try_compile(rule) {
                prop_assert!(!problems.is_empty());
            }
        }
    }
}
