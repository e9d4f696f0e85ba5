//! Real peers for tests: anvil, a proxy that makes any fault, a webhook receiver, our contracts.
//!
//! Everything listens on 127.0.0.1 at a free port and ends when it is dropped. The functions here
//! panic with a sentence when something fails: they stand in tests, where that is a failed test.

mod anvil;
mod chain;
mod contracts;
mod corpus;
mod fault;
mod proxy;
mod receiver;
mod rpc;
mod wait;

pub use alloy_dyn_abi::DynSolValue;
pub use wk_tape::NodeUrls;

pub use anvil::{Anvil, AnvilOptions, Mining, StartAnvil};
pub use chain::Tx;
pub use contracts::{Fixture, ether, number, scene, text};
pub use corpus::corpus;
pub use fault::{Fault, RateLimit};
pub use proxy::FaultProxy;
pub use receiver::{Received, Receiver, Trouble};
pub use rpc::{Rpc, RpcFailure, http_client};
pub use wait::{wait_for, wait_until};

/// Starts anvil with default options, or with the given ones; returns from the test when anvil is
/// not installed, and fails it when that happens in CI (`CI=true`).
///
/// ```no_run
/// # async fn a_test() {
/// let anvil = wk_testkit::anvil_or_skip!();
/// anvil.mine(3).await;
/// # }
/// ```
#[macro_export]
macro_rules! anvil_or_skip {
    () => {
        $crate::anvil_or_skip!($crate::AnvilOptions::default())
    };
    ($options:expr) => {
        match $crate::Anvil::start_or_skip($options).await {
            Some(anvil) => anvil,
            None => return,
        }
    };
}
