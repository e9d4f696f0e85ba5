//! What wakes people, and what must not.

use wk_detectors::{Config, inspect};
use wk_model::Severity;
use wk_trace::TxTrace;

use crate::build::*;

fn urgent() -> Vec<(&'static str, bool, TxTrace)> {
    let burn = |owner: &str| {
        call("land", "_burn(address,address,uint256)", &[who(owner), who(owner), num(7)])
    };
    // Asked to hand over what it has, an old vault that is none lets the new one pay for it.
    let migrated = |old: Vec<Call>| {
        call("evil", "go()", &[]).calls([
            balance("usd", "vault", 9000),
            call("vault", "moveOver(address,uint256)", &[who("old"), num(9000)]).calls(
                [call("old", "handOver(address,uint256)", &[who("evil"), num(9000)])]
                    .into_iter()
                    .chain(old),
            ),
            call("vault", "takeAll()", &[]).calls([transfer("usd", "evil", 9000)]),
        ])
    };
    let pledges = |name: &str, thing: u128| {
        create(name).calls([
            call("bank", "pledge(uint256)", &[num(thing)])
                .calls([transfer_from("nft", name, "bank", thing)]),
            call("bank", "takeBack(uint256)", &[num(thing)]).calls([transfer("nft", name, thing)]),
            transfer("nft", "evil", thing),
        ])
    };
    let passed_on = |things: [u128; 4]| {
        let steps = ["a", "b", "c", "d"].iter().zip(things);
        let steps =
            steps.flat_map(|(name, thing)| [transfer("nft", name, thing), pledges(name, thing)]);
        call("evil", "go()", &[]).calls(steps)
    };
    // Through a bot's own executor, to which the coins come back.
    let drained = call("bot", "go()", &[]).calls([
        call("evil", "run(address)", &[who("victim")]).calls([
            call(
                "router",
                "pullFor(address,address,uint256)",
                &[who("victim"), who("evil"), num(900)],
            )
            .calls([transfer_from("usd", "victim", "evil", 900)]),
            transfer("usd", "shop", 900),
            call("shop", "sellFor(uint256)", &[num(900)]).calls([pay("evil", 5)]),
            pay("bot", 5),
        ]),
        pay("thief", 5),
    ]);
    vec![
        ("somebody else's land burnt", true, tx("thief", burn("holder"))),
        ("one's own land burnt", false, tx("holder", burn("holder"))),
        ("two detectors at one victim", true, tx("thief", migrated(vec![]))),
        ("one thing pledged four times", true, tx("thief", passed_on([5, 5, 5, 5]))),
        ("four things pledged", false, tx("farmer", passed_on([5, 6, 7, 8]))),
        ("a drain through an executor", true, tx("thief", drained)),
    ]
}

#[test]
fn strong_evidence_is_urgent() {
    for (name, expected, trace) in urgent() {
        let report = inspect(&trace, &Config::default());
        let found = report.findings.iter().any(|finding| finding.severity <= Severity::P1);
        assert_eq!(found, expected, "{name}: {:#?}", report.findings);
    }
}
