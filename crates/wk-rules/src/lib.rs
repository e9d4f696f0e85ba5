//! Users' rules: CEL conditions over blocks, transactions, events and state, with windows and backtests.

mod backtest;
pub mod cel;
mod coerce;
mod compile;
mod config;
mod convert;
mod env;
mod evaluate;
mod input;
mod list;
mod memory;
mod names;
mod reference;
mod rule;
mod ruleset;
mod series;
mod template;
pub mod testing;
mod variables;
mod view;

pub use backtest::{Backtest, BacktestSummary, Place, RuleOutcome};
pub use config::{Blocks, HttpMethod, ReadConfig, RuleConfig, Trigger, WindowConfig, WindowSpan};
pub use env::{List, RuleEnv};
pub use input::{BlockInput, Evaluation, ProbeAnswer, RuleError, StateAnswers, StateRead};
pub use list::{ListConfig, ListKind, ReadListError};
pub use memory::{Forget, Memory};
pub use reference::{Reference, TriggerReference, VariableReference, reference};
pub use rule::HttpProbe;
pub use ruleset::{LogInterest, RuleSet, RuleSummary};
pub use testing::{Test, TestConfig, TestReport};
