//! A small world for rules: two chains, some contracts, lists; and rules written as JSON.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};
use wk_chain::abi::{AbiSource, Contract, ContractConfig, Decoder, Event};
use wk_model::evm::{Block, Header, Log, Receipt, Transaction};
use wk_model::primitives::keccak256;
use wk_model::{
    Address, B256, BlockTime, Bytes, ChainName, Height, Intake, Problem, Timestamp, U256,
};
use wk_rules::{
    BlockInput, Evaluation, List, ListConfig, Memory, RuleConfig, RuleEnv, RuleSet, StateAnswers,
    TestConfig, TestReport, testing,
};

pub(crate) const VAULT: &str = "0x1111111111111111111111111111111111111111";
pub(crate) const TOKEN: &str = "0x2222222222222222222222222222222222222222";
pub(crate) const PLAIN: &str = "0x3333333333333333333333333333333333333333";
pub(crate) const KNOWN: &str = "0x00000000000000000000000000000000000000aa";

fn contract(name: &str, chain: &str, address: &str, abi: &[&str]) -> Contract {
    let chains = [ChainName::new("main"), ChainName::new("side")];
    let signatures = abi.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let config = ContractConfig {
        chain: Some(chain.to_owned()),
        address: address.to_owned(),
        abi: (!abi.is_empty()).then_some(AbiSource::Signatures(signatures)),
        labels: BTreeMap::from([("team".to_owned(), "treasury".to_owned())]),
        ..ContractConfig::default()
    };
    config.build(name, &chains, &|_| unreachable!("no files")).expect("the contract is right")
}

pub(crate) fn env() -> RuleEnv {
    let contracts = vec![
        contract(
            "vault",
            "main",
            VAULT,
            &[
                "event Withdraw(address indexed to, uint256 amount)",
                "event Deposit(address indexed from, uint256 amount)",
                "event Heartbeat(uint256 indexed sequence)",
                "event Paused(address account)",
                "event Unpaused(address account)",
                "event Odd(address contract, bytes32 block, uint256 count, string indexed memo)",
                "function withdraw(address to, uint256 amount)",
                "function pause()",
                "function totalDeposits() view returns (uint256)",
                "function owner() view returns (address)",
                "function reserves() view returns (uint112 reserve0, uint112 reserve1)",
                "function shares(address account) view returns (uint256)",
            ],
        ),
        contract(
            "token",
            "main",
            TOKEN,
            &["event Transfer(address indexed from, address indexed to, uint256 value)"],
        ),
        contract("plain", "main", PLAIN, &[]),
        contract("bridge", "side", VAULT, &["event Withdraw(address indexed to, uint256 amount)"]),
    ];
    let list = |items: &[&str]| {
        let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
        let config = ListConfig { items: items.clone(), ..ListConfig::default() };
        List::build(&config, &items).expect("the list is right")
    };
    RuleEnv {
        chains: vec![ChainName::new("main"), ChainName::new("side")],
        decoder: Decoder::build(contracts).expect("the contracts are right"),
        lists: BTreeMap::from([
            ("treasury".to_owned(), list(&[KNOWN])),
            ("cold-wallets".to_owned(), list(&[KNOWN])),
            ("codes".to_owned(), list(&["1", "2"])),
        ]),
        broken: BTreeSet::from(["shattered".to_owned()]),
    }
}

pub(crate) fn configs(rules: Value) -> Vec<RuleConfig> {
    let rules = if rules.is_array() { rules } else { json!([rules]) };
    serde_json::from_value(rules).expect("the rules are well formed")
}

pub(crate) fn try_compile(rules: Value) -> Result<RuleSet, Vec<Problem>> {
    RuleSet::compile(&configs(rules), &env())
}

pub(crate) fn compile(rules: Value) -> RuleSet {
    match try_compile(rules.clone()) {
        Ok(set) => set,
        Err(problems) => panic!("{rules}\n{}", shown(&problems)),
    }
}

pub(crate) fn shown(problems: &[Problem]) -> String {
    let one = |problem: &Problem| {
        let Problem { path, span, message, hint } = problem;
        let span = span.map(|(at, len)| format!(" @{at}+{len}")).unwrap_or_default();
        let hint = hint.as_ref().map(|hint| format!("\n    {hint}")).unwrap_or_default();
        format!("{path}{span}: {message}{hint}")
    };
    problems.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// What becomes of a test of rules.
pub(crate) fn try_run(
    rules: Value,
    given: Value,
    expect: Value,
) -> Result<TestReport, Vec<Problem>> {
    let config = json!({"name": "test", "given": given, "expect": expect, "chain": "main"});
    let config: TestConfig = serde_json::from_value(config).expect("the test is well formed");
    let tests = testing::build(&[config], &compile(rules), &env())?;
    Ok(tests[0].run())
}

/// The rules find exactly what is expected.
pub(crate) fn check(rules: Value, given: Value, expect: Value) {
    let report = match try_run(rules.clone(), given.clone(), expect) {
        Ok(report) => report,
        Err(problems) => panic!("{given}\n{}", shown(&problems)),
    };
    assert!(report.passed(), "{rules}\n{report}");
}

/// A chain of blocks made by hand, 12 s apart, and the rules run over them.
pub(crate) struct Chain {
    name: ChainName,
    tip: Header,
    made: u64,
    pub(crate) state: StateAnswers,
}

impl Chain {
    pub(crate) fn new() -> Chain {
        let tip = Header { time: BlockTime(1_767_225_600), ..Header::default() };
        Chain { name: ChainName::new("main"), tip, made: 0, state: StateAnswers::new() }
    }

    pub(crate) fn tip(&self) -> &Header {
        &self.tip
    }

    /// The next block will be on top of this one.
    pub(crate) fn set_tip(&mut self, tip: &Header) {
        self.tip = tip.clone();
    }

    /// The next block, in which the vault pays these addresses these amounts, each in its own
    /// transaction.
    pub(crate) fn withdrawals(&mut self, paid: &[(u8, u64)]) -> Block {
        let event =
            Event::parse("Withdraw(address indexed to, uint256 amount)").expect("it is right");
        let vault: Address = VAULT.parse().expect("it is right");
        let log = |to: u8, amount: u64| Log {
            address: vault,
            topics: vec![event.topic0(), Address::with_last_byte(to).into_word()],
            data: Bytes::from(U256::from(amount).to_be_bytes_vec()),
            index: 0,
        };
        let logs: Vec<Log> = paid.iter().map(|(to, amount)| log(*to, *amount)).collect();
        self.block(logs)
    }

    /// The next block, with each log in its own transaction.
    pub(crate) fn block(&mut self, logs: Vec<Log>) -> Block {
        self.made += 1;
        let header = Header {
            height: self.tip.height.next(),
            hash: keccak256(self.made.to_be_bytes()),
            parent_hash: self.tip.hash,
            time: BlockTime(self.tip.time.0 + 12),
            ..Header::default()
        };
        self.tip = header.clone();
        let transaction = |(index, mut log): (usize, Log)| {
            log.index = index as u64;
            Transaction {
                hash: keccak256([header.hash.as_slice(), &index.to_be_bytes()].concat()),
                index: index as u64,
                to: Some(log.address),
                receipt: Some(Receipt {
                    success: Some(true),
                    logs: vec![log],
                    ..Receipt::default()
                }),
                ..Transaction::default()
            }
        };
        let transactions = logs.into_iter().enumerate().map(transaction).collect();
        Block { header, transactions }
    }

    pub(crate) fn evaluate(
        &self,
        set: &RuleSet,
        memory: &mut Memory,
        block: &Block,
        intake: Intake,
    ) -> Evaluation {
        self.evaluate_with(set, memory, block, intake, &[])
    }

    pub(crate) fn evaluate_with(
        &self,
        set: &RuleSet,
        memory: &mut Memory,
        block: &Block,
        intake: Intake,
        holes: &[(Height, Height)],
    ) -> Evaluation {
        let reasons: HashMap<B256, String> = HashMap::new();
        let input = BlockInput {
            chain: &self.name,
            block,
            intake,
            state: &self.state,
            revert_reasons: &reasons,
            holes,
            now: Timestamp(0),
        };
        set.evaluate(memory, &input)
    }

    /// What is remembered, in an order that can be compared.
    pub(crate) fn remembered(&self, memory: &Memory) -> Vec<String> {
        let mut entries: Vec<String> = memory
            .entries()
            .iter()
            .map(|entry| serde_json::to_string(entry).expect("an entry is JSON"))
            .collect();
        entries.sort();
        entries
    }
}
