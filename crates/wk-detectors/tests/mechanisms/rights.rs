//! Rights taken, votes bought, code exchanged, owners gone astray.

use wk_detectors::Class;

use crate::build::*;
use crate::{Case, Expect};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = access_control();
    cases.extend(governance());
    cases.extend(proxy_upgrade());
    cases.extend(key_compromise());
    cases.extend(rug_pull());
    cases
}

fn access_control() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::AccessControl;
    let rights_taken = call("evil", "go()", &[]).calls([
        call("vault", "setOperator(address)", &[who("evil")]),
        call("vault", "move(uint256)", &[num(9)]).calls([transfer("usd", "evil", 900)]),
    ]);
    let possessed =
        call("evil", "go()", &[]).calls([call("vault", "run(address)", &[who("evil")])
            .calls([delegate("evil", "inside()", &[]).calls([transfer("usd", "thief", 900)])])]);
    let false_lender = call("evil", "go()", &[]).calls([call(
        "bot",
        "uniswapV3SwapCallback(int256,int256,bytes)",
        &[num(900), num(0), num(96), num(0)],
    )
    .calls([transfer("usd", "evil", 900)])]);
    let from_a_contract = call("evil", "go()", &[])
        .calls([call("vault", "poke()", &[]), transfer_from("usd", "vault", "evil", 900)]);
    let looked_and_took = call("evil", "go()", &[]).calls([
        balance("usd", "vault", 900),
        call("vault", "empty(uint256)", &[num(900)]).calls([transfer("usd", "evil", 900)]),
    ]);
    let initialised_again =
        call("vault", "initialize(address,address,bytes)", &[who("thief"), who("x"), num(96)]);
    let real_lender = call("bot", "go()", &[]).calls([call(
        "pool",
        "swap(address,bool,int256,uint160,bytes)",
        &[who("bot"), num(1), num(5), num(1), num(160), num(0)],
    )
    .calls([
        transfer("tkn", "bot", 50),
        call(
            "bot",
            "uniswapV3SwapCallback(int256,int256,bytes)",
            &[num(900), num(0), num(96), num(0)],
        )
        .calls([transfer("usd", "pool", 900)]),
    ])]);
    let new_proxy = call("deployer", "deploy()", &[]).calls([
        create("impl"),
        create("proxy").calls([delegate("impl", "initialize(address)", &[who("owner")])]),
    ]);
    let own_wallet = call("wallet", "act(bytes)", &[num(32)]).calls([delegate(
        "library",
        "send(uint256)",
        &[num(5)],
    )
    .calls([transfer("usd", "friend", 5)])]);
    vec![
        ("rights taken and used", Attack(class), tx("thief", rights_taken)),
        ("runs code of the caller", Attack(class), tx("thief", possessed)),
        ("a stranger plays the lender", Attack(class), tx("thief", false_lender)),
        ("taken from a contract by the spender", Attack(class), tx("thief", from_a_contract)),
        ("looked at and taken", Attack(class), tx("thief", looked_and_took)),
        ("initialised again", Attack(class), tx("thief", initialised_again)),
        ("a pool calls back", Harmless(class), tx("trader", real_lender)),
        ("a new proxy with new code", Harmless(class), tx("deployer owner", new_proxy)),
        ("a wallet and its library", Harmless(class), tx("user", own_wallet)),
    ]
}

fn governance() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::Governance;
    let execute = |paid: Vec<Call>| call("dao", "execute(uint256)", &[num(7)]).calls(paid);
    let bought = call("evil", "go()", &[]).calls([loan(
        "evil",
        "usd",
        1000,
        vec![
            call("dao", "castVote(uint256,bool)", &[num(7), num(1)]),
            execute(vec![transfer("usd", "evil", 600)]),
        ],
    )]);
    let own_proposal = call("evil", "go()", &[]).calls([execute(vec![
        call("treasury", "pay(uint256)", &[num(5)]).calls([transfer("usd", "evil", 500)]),
    ])]);
    let inside = call("evil", "go()", &[]).calls([loan(
        "evil",
        "usd",
        1000,
        vec![
            call("dao", "commitNow(uint256)", &[num(7)])
                .calls([delegate("evil", "init()", &[]).calls([transfer("usd", "evil", 900)])]),
        ],
    )]);
    let vote = call("dao", "castVote(uint256,uint8)", &[num(7), num(1)]).calls([ask(
        "gov",
        "getPriorVotes(address)",
        &[who("user")],
        &[num(5)],
    )]);
    let anybody = execute(vec![
        call("treasury", "pay(uint256)", &[num(5)]).calls([transfer("usd", "grantee", 500)]),
    ]);
    let paid_for_work = call("keeper", "go()", &[]).calls([
        execute(vec![
            call("treasury", "pay(uint256)", &[num(5)]).calls([transfer("usd", "grantee", 500)]),
        ]),
        call("dao", "thanks(uint256)", &[num(7)]).calls([transfer("usd", "keeper", 5)]),
    ]);
    let changed_and_used = call("evil", "go()", &[]).calls([
        execute(vec![call("risk", "setFactor(uint256)", &[num(5)])]),
        call("bank", "lend(uint256)", &[num(5)])
            .calls([ask("risk", "factor()", &[], &[num(5)]), transfer("usd", "evil", 500)]),
    ]);
    let by_a_bot = call("keeper", "go()", &[]).calls([execute(vec![
        call("treasury", "pay(uint256)", &[num(5)]).calls([transfer("usd", "grantee", 500)]),
    ])]);
    vec![
        ("votes bought for a moment", Attack(class), tx("thief", bought)),
        ("a proposal that pays who executes it", Attack(class), tx("thief", own_proposal)),
        ("committed into code of the borrower", Attack(class), tx("thief", inside)),
        ("a decision that is used at once", Attack(class), tx("thief", changed_and_used)),
        ("an executor paid for its work", Harmless(class), tx("bot", paid_for_work)),
        ("a vote", Harmless(class), tx("user", vote)),
        ("a proposal executed by anybody", Harmless(class), tx("user", anybody)),
        ("a proposal executed by a bot", Harmless(class), tx("operator", by_a_bot)),
    ]
}

fn proxy_upgrade() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::ProxyUpgrade;
    let fresh = call("evil", "go()", &[])
        .calls([create("code"), call("proxy", "upgradeTo(address)", &[who("code")])]);
    let drained = call("proxy", "upgradeToAndCall(address,bytes)", &[who("old"), num(64), num(0)])
        .calls([delegate("old", "out()", &[]).calls([transfer("usd", "thief", 900)])]);
    let by_admin = call("admin", "run()", &[]).calls([
        create("code"),
        call(
            "proxyadmin",
            "upgradeAndCall(address,address,bytes)",
            &[who("proxy"), who("code"), num(96), num(0)],
        )
        .calls([call(
            "proxy",
            "upgradeToAndCall(address,bytes)",
            &[who("code"), num(64), num(0)],
        )]),
    ]);
    let timelocked = call("timelock", "executeIt(bytes32)", &[num(5)]).calls([call(
        "proxy",
        "upgradeTo(address)",
        &[who("code")],
    )]);
    let first = call("deployer", "deploy()", &[]).calls([
        create("code"),
        create("proxy"),
        call("proxy", "upgradeTo(address)", &[who("code")]),
    ]);
    let plain = call("proxy", "work()", &[]).calls([delegate("code", "work()", &[])]);
    vec![
        ("fresh code", Attack(class), tx("thief", fresh)),
        ("upgraded and drained", Attack(class), tx("thief", drained)),
        ("fresh code by an admin", Attack(class), tx("owner", by_admin)),
        ("code that was there before", Harmless(class), tx("owner", timelocked)),
        ("a new proxy gets its code", Harmless(class), tx("owner", first)),
        ("a proxy at work", Harmless(class), tx("user", plain)),
    ]
}

fn key_compromise() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::KeyCompromise;
    let rescued = call(
        "vault",
        "rescueTokens(address,address,uint256)",
        &[who("usd"), who("thief"), num(900)],
    )
    .calls([transfer("usd", "thief", 900)]);
    let withdrawn =
        call("vault", "adminWithdraw(address)", &[who("thief")]).calls([pay("thief", 900)]);
    let scattered = call("vault", "run(bytes)", &[num(32), num(0)]).calls([
        transfer("usd", "loot", 9),
        transfer("dai", "loot", 8),
        transfer("tkn", "loot", 7),
    ]);
    let earned = call("rewards", "collect()", &[]).calls([
        transfer("usd", "user", 9),
        transfer("dai", "user", 8),
        transfer("tkn", "user", 7),
    ]);
    let own_withdrawal =
        call("vault", "withdrawMine(uint256)", &[num(5)]).calls([transfer("usd", "user", 5)]);
    let liquidity = call("pool", "removeBoth(uint256)", &[num(5)])
        .calls([transfer("usd", "user", 5), transfer("dai", "user", 4)]);
    let exchanged = call("vault", "migrateTokens(address,uint256)", &[who("old"), num(5)])
        .calls([transfer_from("old", "user", "vault", 5), transfer("new", "user", 5)]);
    vec![
        ("tokens rescued", Attack(class), tx("thief", rescued)),
        ("coins withdrawn by an admin", Attack(class), tx("thief", withdrawn)),
        ("everything leaves", Attack(class), tx("thief", scattered)),
        ("a withdrawal", Harmless(class), tx("user", own_withdrawal)),
        ("liquidity taken out", Harmless(class), tx("user", liquidity)),
        ("old tokens for new", Harmless(class), tx("user", exchanged)),
        ("several rewards collected", Harmless(class), tx("user", earned)),
    ]
}

fn rug_pull() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::RugPull;
    let burn = |held: (u128, u128), paid: (u128, u128), to: &str| {
        call("pair", "burn(address)", &[who(to)]).calls([
            balance("tkn", "pair", held.0),
            balance("usd", "pair", held.1),
            transfer("tkn", to, paid.0),
            transfer("usd", to, paid.1),
        ])
    };
    let removal = |burn: Call, to: &str| {
        call(
            "router",
            "removeLiquidity(address,address,uint256,uint256,uint256,address,uint256)",
            &[who("tkn"), who("usd"), num(5), num(0), num(0), who(to), num(9)],
        )
        .calls([transfer_from("pair", to, "pair", 5), burn])
    };
    let all = removal(burn((1000, 900), (999, 899), "dev"), "dev");
    let by_contract = call("locker", "unlockIt()", &[])
        .calls([removal(burn((1000, 900), (990, 890), "locker"), "locker")]);
    let directly = call("tool", "go()", &[])
        .calls([transfer("pair", "pair", 5), burn((50, 80), (50, 80), "tool")]);
    let part = removal(burn((1000, 900), (100, 90), "user"), "user");
    let most = removal(burn((1000, 900), (700, 630), "user"), "user");
    let sold = call("wallet", "go()", &[]).calls(trade("pair", "wallet", ("tkn", 10), ("usd", 9)));
    vec![
        ("all liquidity pulled", Attack(class), tx("dev", all)),
        ("all liquidity pulled by a locker", Attack(class), tx("dev", by_contract)),
        ("all liquidity pulled at the pair", Attack(class), tx("dev", directly)),
        ("a part of the liquidity", Harmless(class), tx("user", part)),
        ("most of the liquidity", Harmless(class), tx("user", most)),
        ("a sale", Harmless(class), tx("user", sold)),
    ]
}
