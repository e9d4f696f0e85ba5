//! The demo: a recorded chain of our own contracts, how it is played, and what watches it.

use std::time::Duration;

use crate::{EndpointOptions, Lie, NodeUrls, Pace, Tape, TapeOptions, Timing};

/// EIP-155 chain id of the demo chain.
pub const DEMO_CHAIN_ID: u64 = 77_177;

/// Live blocks after which the third endpoint begins to lie: after the first reorg, which all
/// endpoints must show alike.
const LIES_AFTER: usize = 5;

/// The recorded chain of the demo.
pub fn demo_tape() -> Tape {
    Tape::read(&include_bytes!("../demo.tape.gz")[..]).expect("the tape in the program is whole")
}

/// How the demo is played: a block a second, two honest endpoints and a liar.
pub fn demo_options() -> TapeOptions {
    let honest = |millis| EndpointOptions { lies: vec![], delay: Duration::from_millis(millis) };
    let liar = EndpointOptions {
        lies: vec![(LIES_AFTER, Lie::OtherFork)],
        delay: Duration::from_millis(1),
    };
    TapeOptions {
        pace: Pace::Every(Duration::from_secs(1)),
        timing: Timing::Now,
        history: None,
        idle: true,
        endpoints: vec![honest(2), honest(5), liar],
    }
}

/// The config that watches the demo: `demo.yaml`, with the URLs of the three endpoints.
///
/// # Panics
/// When there are not three endpoints: a fault in the program.
pub fn demo_config_yaml(urls: &[NodeUrls]) -> String {
    let [first, second, third] = urls else { panic!("the demo has three endpoints") };
    include_str!("../demo.yaml")
        .replace("http://127.0.0.1:18545", &first.http)
        .replace("ws://127.0.0.1:18545", &first.ws)
        .replace("http://127.0.0.1:18546", &second.http)
        .replace("ws://127.0.0.1:18546", &second.ws)
        .replace("http://127.0.0.1:18547", &third.http)
        .replace("ws://127.0.0.1:18547", &third.ws)
}
