//! Users' tests of their rules: given blocks, expected findings.

mod config;

pub use config::{
    ExpectConfig, GivenBlock, GivenConfig, GivenEvent, GivenProbe, GivenTime, GivenTx, TestConfig,
};
