//! Users' tests of their rules: given blocks, expected findings.

mod build;
mod compare;
mod config;
mod encode;
mod report;
mod run;

pub use config::{
    ExpectConfig, GivenBlock, GivenConfig, GivenEvent, GivenProbe, GivenTime, GivenTx, TestConfig,
};
pub use report::{Difference, Missing, TestReport, Unexpected};
pub use run::Test;

use wk_model::Problem;

use crate::{RuleEnv, RuleSet};

/// The tests with these settings. Problems have paths from the list of tests, such as
/// `[2].given[0].block.time`.
pub fn build(
    tests: &[TestConfig],
    rules: &RuleSet,
    env: &RuleEnv,
) -> Result<Vec<Test>, Vec<Problem>> {
    let mut built = Vec::with_capacity(tests.len());
    let mut problems = Vec::new();
    for (index, config) in tests.iter().enumerate() {
        match Test::build(config, rules, env) {
            Ok(test) => built.push(test),
            Err(found) => {
                problems.extend(found.into_iter().map(|p| p.under(&format!("[{index}]"))));
            }
        }
    }
    if problems.is_empty() { Ok(built) } else { Err(problems) }
}
