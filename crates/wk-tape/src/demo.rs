//! The demo: a recorded chain of our own contracts, how it is played, and what watches it.

use std::time::Duration;

use crate::{EndpointOptions, Lie, NodeUrls, Pace, Tape, TapeOptions, Timing};

/// EIP-155 chain id of the demo chain.
pub const DEMO_CHAIN_ID: u64 = 77_177;

/// The live block with which the third endpoint begins to lie: at once, since it takes a few blocks
/// and a second look until a watcher may say that it is no reorg on its way.
const LIES_FROM: usize = 1;

/// The recorded chain of the demo.
pub fn demo_tape() -> Tape {
    Tape::read(&include_bytes!("../demo.tape.gz")[..]).expect("the tape in the program is whole")
}

/// How the demo is played: a block a second, two honest endpoints and a liar.
pub fn demo_options() -> TapeOptions {
    let honest = |millis| EndpointOptions { lies: vec![], delay: Duration::from_millis(millis) };
    let liar = EndpointOptions {
        lies: vec![(LIES_FROM, Lie::OtherFork)],
        // Slow enough never to be the first to announce a block: what is shown is how it is caught.
        delay: Duration::from_millis(120),
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{Entry, Recorded, header_hash};

    fn blocks(tape: &Tape) -> Vec<&Recorded> {
        let blocks = tape.entries.iter().flat_map(|entry| match entry {
            Entry::Block(block) => std::slice::from_ref(block),
            Entry::Reorg { blocks, .. } => blocks,
        });
        blocks.collect()
    }

    #[test]
    fn every_recorded_header_hashes_to_its_hash() {
        let tape = demo_tape();
        assert_eq!(tape.chain_id, DEMO_CHAIN_ID);
        for Recorded { block, .. } in blocks(&tape) {
            let hash = header_hash(block).expect("anvil writes whole headers");
            assert_eq!(Value::String(hash.to_string()), block["hash"], "{}", block["number"]);
        }
    }

    #[test]
    fn the_story_begins_at_once_with_a_reorg_that_takes_something_back() {
        let tape = demo_tape();
        assert!(tape.history > 50 && tape.entries.len() - tape.history > 300);
        let live = &tape.entries[tape.history..];
        assert!(matches!(&live[3], Entry::Reorg { drop: 2, blocks } if blocks.len() == 2));
        let Entry::Block(withdrawal) = &live[1] else { panic!("the second live entry is a block") };
        assert_eq!(withdrawal.receipts.len(), 1);
        assert_eq!(withdrawal.receipts[0]["logs"][0]["address"], tape.contracts["vault"]);
    }

    #[test]
    fn the_config_names_the_contracts_of_the_tape() {
        let tape = demo_tape();
        let config = include_str!("../demo.yaml");
        for name in ["vault", "usdx", "oracle", "pool", "counter"] {
            let address = &tape.contracts[name];
            let section = config.split(&format!("\n  {name}:")).nth(1).expect("it is listed");
            let line = section.lines().find(|line| line.trim_start().starts_with("address:"));
            assert_eq!(line.map(str::trim), Some(&*format!("address: \"{address}\"")), "{name}");
        }
    }

    #[test]
    fn the_config_gets_the_urls_of_the_endpoints() {
        let urls = [1, 2, 3].map(|port| NodeUrls {
            http: format!("http://127.0.0.1:{port}"),
            ws: format!("ws://127.0.0.1:{port}"),
        });
        let config = demo_config_yaml(&urls);
        assert!(!config.contains(":1854"), "a placeholder is left");
        for NodeUrls { http, ws } in &urls {
            assert!(config.contains(&format!("url: \"{http}\", ws: \"{ws}\"")), "{http}");
        }
    }
}
