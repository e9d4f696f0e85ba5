//! Numbers, bridges, chance, and money on its way.

use alloy_primitives::{I256, U256};
use wk_detectors::Class;

use crate::build::*;
use crate::{Case, Expect};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = arithmetic();
    cases.extend(bridge());
    cases.extend(randomness());
    cases.extend(fund_flow());
    cases
}

fn arithmetic() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::Arithmetic;
    let half = U256::ONE << 255;
    let sums = call(
        "tkn",
        "sendFor(address,uint256,uint256)",
        &[who("thief"), half + num(77), half - num(70)],
    );
    let times =
        call("tkn", "payEach(address[],uint256)", &[num(64), half, num(2), who("a"), who("b")]);
    let huge = call("evil", "go()", &[]).calls([
        call("tkn", "shift(uint256)", &[num(1)]),
        ask("tkn", "balanceOf(address)", &[who("evil")], &[U256::MAX - num(5)]),
        transfer("tkn", "pair", 1000),
        call(
            "pair",
            "swap(uint256,uint256,address,bytes)",
            &[num(0), num(9), who("evil"), num(128), num(0)],
        )
        .calls([transfer("usd", "evil", 9)]),
    ]);
    let rounded = call("evil", "go()", &[]).calls([
        call("market", "giveBack(uint256)", &[num(1)])
            .calls([transfer_from("share", "evil", "market", 1), transfer("usd", "evil", 5 * ONE)]),
        call("market", "more()", &[]),
    ]);
    let unlimited =
        call("wallet", "go()", &[]).calls([approve("usd", "router"), approve("dai", "router")]);
    let minus = I256::try_from(500).unwrap().wrapping_neg().into_raw();
    let negative = call("bot", "go()", &[]).calls([call(
        "pool",
        "swap(address,bool,int256,uint160,bytes)",
        &[who("bot"), num(1), minus, num(4_295_128_740), num(160), num(0)],
    )
    .calls([transfer("tkn", "bot", 50)])]);
    let everything = call("bot", "go()", &[]).calls([call(
        "router",
        "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)",
        &[half, num(1), num(160), who("bot"), num(9), num(2), who("usd"), who("tkn")],
    )]);
    let text = call(
        "registry",
        "store(bytes32,bytes32)",
        &[U256::from(0x75u64) << 248, U256::from(0x8bu64) << 248],
    );
    vec![
        ("two numbers that add up to little", Attack(class), tx("thief", sums)),
        ("a number times a list's length", Attack(class), tx("thief", times)),
        ("a balance that cannot be", Attack(class), tx("thief", huge)),
        ("rounded to nothing", Attack(class), tx("thief", rounded)),
        ("unlimited approvals", Harmless(class), tx("user", unlimited)),
        ("a negative amount", Harmless(class), tx("trader", negative)),
        ("half of all numbers for everything", Harmless(class), tx("trader", everything)),
        ("text", Harmless(class), tx("user", text)),
    ]
}

fn bridge() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::Bridge;
    let message = |words: &[U256], calls: Vec<Call>| {
        call("bridge", "relayMessage(uint256,address,address,uint256,uint256,bytes)", words)
            .calls(calls)
    };
    let own_books = message(
        &[num(1), who("far"), who("books"), num(0), num(9), num(192), num(0)],
        vec![
            ask("books", "keys()", &[], &[num(5)]),
            ask("books", "seen(uint256)", &[num(1)], &[num(0)]),
            call("books", "putKeys(bytes,bytes)", &[num(64), num(96), num(0)]),
        ],
    );
    let to_itself =
        call("evil", "go()", &[]).calls([call("bridge", "process(bytes)", &[num(32), num(0)])
            .calls([call("vaultrouter", "handleIt(uint256)", &[num(5)])
                .calls([transfer("usd", "thief", 900)])])]);
    let nothing = call("evil", "go()", &[]).calls([call("bridge", "lock(uint256)", &[num(1)])
        .calls([call(
            "zero",
            "transferFrom(address,address,uint256)",
            &[who("evil"), who("bridge"), num(900)],
        )])]);
    let relayed = call("bridge", "process(bytes)", &[num(32), num(0)]).calls([call(
        "vaultrouter",
        "handleIt(uint256)",
        &[num(5)],
    )
    .calls([transfer("usd", "recipient", 900)])]);
    let deposit = call("bridge", "lock(uint256)", &[num(1)])
        .calls([transfer_from("usd", "user", "bridge", 900)]);
    let app = message(
        &[num(1), who("far"), who("app"), num(0), num(9), num(192), num(0)],
        vec![
            ask("books", "keys()", &[], &[num(5)]),
            ask("books", "seen(uint256)", &[num(1)], &[num(0)]),
            call("app", "note(bytes)", &[num(32), num(0)]),
        ],
    );
    vec![
        ("a message to the bridge's own books", Attack(class), tx("thief", own_books)),
        ("a release by whom it pays", Attack(class), tx("thief", to_itself)),
        ("a deposit of nothing", Attack(class), tx("thief", nothing)),
        ("a release by a relayer", Harmless(class), tx("relayer", relayed)),
        ("a deposit", Harmless(class), tx("user", deposit)),
        ("a message to an application", Harmless(class), tx("relayer", app)),
    ]
}

fn randomness() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::Randomness;
    let play = |player: &str, won: u128| {
        let calls = (won > 0).then(|| pay(player, won));
        call("game", "roll(uint256)", &[num(3)]).value(10).calls(calls)
    };
    let once = call("evil", "go()", &[]).value(10).calls([play("evil", 19), pay("thief", 19)]);
    let often = call("evil", "go()", &[]).value(30).calls([
        play("evil", 19),
        play("evil", 19),
        play("evil", 19),
        pay("thief", 57),
    ]);
    let made = create("evil").value(10).calls([play("evil", 19), pay("thief", 19)]);
    let lost = call("wallet", "go()", &[]).value(10).calls([play("wallet", 0)]);
    let change = call("wallet", "go()", &[]).value(10).calls([play("wallet", 3)]);
    let directly = play("user", 0);
    vec![
        ("a game won for sure", Attack(class), tx("thief", once)),
        ("a game won three times", Attack(class), tx("thief", often)),
        ("a game won by a contract that is made for it", Attack(class), tx("thief", made)),
        ("a game lost", Harmless(class), tx("user", lost)),
        ("change comes back", Harmless(class), tx("user", change)),
        ("a bet", Harmless(class), tx("user", directly)),
    ]
}

fn fund_flow() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::FundFlow;
    let from = call(
        "mixer",
        "withdraw(bytes,bytes32,bytes32,address,address,uint256,uint256)",
        &[num(224), num(1), num(2), who("fresh"), who("relayer"), num(1), num(0), num(0)],
    )
    .calls([pay("fresh", 100)]);
    let to = call("mixer", "deposit(bytes32)", &[num(7)]).value(100);
    let large = call("vault", "takeAll()", &[]).calls([pay("thief", 5000 * ONE)]);
    let small = call("vault", "takeAll()", &[]).calls([pay("user", 5 * ONE)]);
    let commit = call("registry", "deposit(bytes32)", &[num(7)]);
    let exchange = call("vault", "swapFor()", &[]).value(1).calls([transfer("usd", "user", 5)]);
    vec![
        ("from a mixer", Attack(class), tx("relayer", from)),
        ("to a mixer", Attack(class), tx("thief", to)),
        ("very much at once", Attack(class), tx("thief", large)),
        ("little", Harmless(class), tx("user", small)),
        ("a commitment without money", Harmless(class), tx("user", commit)),
        ("an exchange", Harmless(class), tx("user", exchange)),
    ]
}
