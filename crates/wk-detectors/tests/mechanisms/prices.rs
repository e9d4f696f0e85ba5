//! Prices, shares, token rules, and steps put together so that someone loses.

use alloy_primitives::{I256, U256};
use wk_detectors::Class;

use crate::build::*;
use crate::{Case, Expect};

fn lend(answer: u128, amount: u128) -> Call {
    call("market", "takeOut(uint256)", &[num(amount)])
        .calls([ask("oracle", "getPrice()", &[], &[num(answer)]), transfer("usd", "evil", amount)])
}

/// A swap at a vault of many pools that are named by what they are made of.
fn keyed(fee: u128, forward: bool, given: u128, taken: u128) -> Call {
    let signature = "swap((address,address,uint24,int24,address),(bool,int256,uint160),bytes)";
    let minus =
        I256::try_from(given).unwrap().wrapping_neg().into_raw() & ((U256::ONE << 128) - num(1));
    let (high, low) = if forward { (minus, num(taken)) } else { (num(taken), minus) };
    call(
        "manager",
        signature,
        &[
            who("aaa"),
            who("bbb"),
            num(fee),
            num(60),
            who("zero"),
            num(u128::from(forward)),
            num(given),
            num(1),
            num(288),
            num(0),
        ],
    )
    .answers(&[(high << 128usize) | low])
}

fn unlocked(swaps: Vec<Call>, settled: Vec<Call>) -> Call {
    let unlock =
        call("evil", "unlockCallback(bytes)", &[num(32), num(0)]).calls(swaps).calls(settled);
    call("evil", "go()", &[]).calls([
        ask("aaa", "balanceOf(address)", &[who("evil")], &[num(0)]),
        ask("bbb", "balanceOf(address)", &[who("evil")], &[num(0)]),
        call("manager", "unlock(bytes)", &[num(32), num(0)]).calls([unlock]),
    ])
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = price_manipulation();
    cases.extend(donation());
    cases.extend(token_mechanics());
    cases.extend(business_logic());
    cases
}

fn price_manipulation() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::PriceManipulation;
    let around_a_loan = {
        let mut within: Vec<Call> = trade("pair", "evil", ("usd", 1000), ("tkn", 900)).into();
        within.push(transfer("tkn", "market", 10));
        within.push(lend(90, 600));
        within.extend(trade("pair", "evil", ("tkn", 880), ("usd", 950)));
        call("evil", "go()", &[]).calls([loan("evil", "usd", 1000, within)])
    };
    let not_traded_back = {
        let mut within: Vec<Call> = vec![lend(10, 1)];
        within.extend(trade("pair", "evil", ("usd", 1000), ("tkn", 900)));
        within.push(transfer("tkn", "market", 900));
        within.push(lend(90, 5000));
        call("evil", "go()", &[]).calls([loan("evil", "usd", 1000, within)])
    };
    let of_its_own_money = {
        let [give, swap] = trade("pair", "evil", ("eth", 1000), ("tkn", 100));
        let victim = call("market", "openPosition(uint256)", &[num(7)])
            .calls([reserves("pair", 2000, 100), transfer("usd", "evil", 900)]);
        call("evil", "go()", &[]).calls([reserves("pair", 1000, 200), give, swap, victim])
    };
    let one_of_many_pools = unlocked(
        vec![
            keyed(500, true, 1000, 900),
            call("market", "borrowAll()", &[]).calls([transfer("usd", "evil", 700)]),
            keyed(500, false, 900, 990),
        ],
        vec![transfer("aaa", "manager", 10)],
    );
    let circle = {
        let mut steps: Vec<Call> = trade("pair", "bot", ("usd", 1000), ("tkn", 900)).into();
        steps.extend(trade("other", "bot", ("tkn", 900), ("usd", 1010)));
        call("bot", "go()", &[]).calls(steps)
    };
    let two_of_many_pools = unlocked(
        vec![keyed(500, true, 1000, 900), keyed(3000, false, 900, 1010)],
        vec![
            call("manager", "take(address,address,uint256)", &[who("aaa"), who("evil"), num(10)])
                .calls([transfer("aaa", "evil", 10)]),
        ],
    );
    let fed_and_read = {
        let update = call("feed", "submit(uint256)", &[num(101)]);
        let read = call("vault", "payOut(uint256)", &[num(5)])
            .calls([ask("feed", "latestAnswer()", &[], &[num(101)]), transfer("usd", "keeper", 5)]);
        let before =
            call("vault", "touch()", &[]).calls([ask("feed", "latestAnswer()", &[], &[num(100)])]);
        call("keeper", "go()", &[]).calls([before, update, read])
    };
    let plain = {
        let [_, swap] = trade("pair", "user", ("usd", 1000), ("tkn", 900));
        let router = "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)";
        call("router", router, &[num(1000), num(1), num(160), who("user"), num(9)]).calls([
            reserves("pair", 10_000, 9_000),
            transfer_from("usd", "user", "pair", 1000),
            swap,
        ])
    };
    vec![
        (
            "traded there and back around a loan of another",
            Attack(class),
            tx("thief", around_a_loan),
        ),
        ("price moved and never moved back", Attack(class), tx("thief", not_traded_back)),
        ("moved with money of its own", Attack(class), tx("thief", of_its_own_money)),
        (
            "one of many pools of a contract, there and back",
            Attack(class),
            tx("thief", one_of_many_pools),
        ),
        ("arbitrage between two pools", Harmless(class), tx("trader", circle)),
        (
            "arbitrage between two pools of one contract",
            Harmless(class),
            tx("trader", two_of_many_pools),
        ),
        ("a feed brought up to date, then used", Harmless(class), tx("operator", fed_and_read)),
        ("a plain trade", Harmless(class), tx("user", plain)),
    ]
}

fn donation() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::DonationInflation;
    let put = |amount| {
        call("vault", "putIn(uint256)", &[num(amount)])
            .calls([transfer_from("usd", "evil", "vault", amount), call("vault", "noop()", &[])])
    };
    let out = |amount| {
        call("vault", "takeOut(uint256)", &[num(1)]).calls([transfer("usd", "evil", amount)])
    };
    let inflated = call("evil", "go()", &[]).calls([
        put(1),
        transfer("usd", "vault", 10_000),
        call("lender2", "borrow(uint256)", &[num(9)]).calls([transfer("dai", "evil", 9000)]),
        out(9_990),
    ]);
    let first_depositor = call("evil", "go()", &[]).calls([loan(
        "evil",
        "usd",
        20_000,
        vec![put(2), transfer("usd", "vault", 9_998), out(10_500)],
    )]);
    let share_read = {
        let snapshot = |rate| {
            ask(
                "ctoken",
                "getAccountSnapshot(address)",
                &[who("evil")],
                &[num(0), num(2), num(0), num(rate)],
            )
        };
        let borrow = |rate, amount| {
            call("market", "draw(uint256)", &[num(amount)])
                .calls([snapshot(rate), transfer("dai", "evil", amount)])
        };
        call("evil", "go()", &[]).calls([
            borrow(100, 1),
            transfer("usd", "ctoken", 5000),
            borrow(900, 4000),
        ])
    };
    let honest = call("wallet", "go()", &[]).calls([call("vault", "putIn(uint256)", &[num(50)])
        .calls([transfer_from("usd", "wallet", "vault", 50)])]);
    let both_ways = call("wallet", "go()", &[]).calls([
        call("vault", "putIn(uint256)", &[num(50)])
            .calls([transfer_from("usd", "wallet", "vault", 50)]),
        call("vault", "takeOut(uint256)", &[num(49)]).calls([transfer("usd", "wallet", 49)]),
    ]);
    let yield_paid = call("strategy", "harvest()", &[]).calls([
        ask("vault", "pricePerShare()", &[], &[num(1000)]),
        transfer("usd", "vault", 70),
        ask("vault", "pricePerShare()", &[], &[num(1010)]),
    ]);
    let diluted = call("evil", "go()", &[]).calls([
        put(1),
        transfer("usd", "vault", 200),
        call("savings", "invest()", &[]).calls([call("vault", "putIn(uint256)", &[num(100)])
            .calls([transfer_from("usd", "savings", "vault", 100)])]),
        out(301),
    ]);
    let paid_keeper = call("keeper", "go()", &[]).calls([
        call("vault", "tend()", &[]).calls([call("vault", "noop()", &[])]),
        transfer("usd", "vault", 70),
        call("vault", "report()", &[]).calls([
            ask("vault", "pricePerShare()", &[], &[num(1010)]),
            call("bounties", "pay(address)", &[who("keeper")])
                .calls([transfer("dai", "keeper", 5)]),
            call("vault", "noop()", &[]),
        ]),
    ]);
    vec![
        ("a later deposit diluted", Attack(class), tx("thief", diluted)),
        ("a keeper paid for what it brings", Harmless(class), tx("bot", paid_keeper)),
        ("a gift between deposit and loan", Attack(class), tx("thief", inflated)),
        ("first depositor's gift", Attack(class), tx("thief", first_depositor)),
        ("share price read after a gift", Attack(class), tx("thief", share_read)),
        ("a deposit", Harmless(class), tx("user", honest)),
        ("a deposit and a withdrawal", Harmless(class), tx("user", both_ways)),
        ("yield paid into a vault", Harmless(class), tx("keeper", yield_paid)),
    ]
}

fn token_mechanics() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::TokenMechanics;
    let buy = || trade("pair", "evil", ("usd", 1000), ("tkn", 900));
    let sell = |got| trade("pair", "evil", ("tkn", 880), ("usd", got));
    let around = |between: Vec<Call>| {
        let steps = buy().into_iter().chain(between).chain(sell(1500));
        call("evil", "go()", &[]).calls(steps)
    };
    let skimmed = around(vec![
        transfer("tkn", "pair", 10),
        call("pair", "skim(address)", &[who("evil")]).calls([transfer("tkn", "evil", 10)]),
        call("pair", "sync()", &[]),
    ]);
    let burnt = around(vec![
        balance("tkn", "pair", 5000),
        call("tkn", "punish(uint256)", &[num(4000)]),
        balance("tkn", "pair", 1000),
    ]);
    let acting = around(vec![call("tkn", "release()", &[]).calls([call("pair", "sync()", &[])])]);
    let plain = call("bot", "go()", &[]).calls(
        trade("pair", "bot", ("usd", 1000), ("tkn", 900)).into_iter().chain(trade(
            "pair2",
            "bot",
            ("tkn", 900),
            ("usd", 1001),
        )),
    );
    let taxed = {
        let [_, swap] = trade("pair", "user", ("tkn", 10), ("usd", 9));
        let router = "swapExactTokensForTokensSupportingFeeOnTransferTokens(uint256,uint256,address[],address,uint256)";
        let fee = transfer_from("tkn", "user", "pair", 10).calls([call("pair", "sync()", &[])]);
        call("router", router, &[num(10), num(1), num(160), who("user"), num(9)]).calls([fee, swap])
    };
    let tidied = call("bot", "go()", &[]).calls([
        call("pair", "skim(address)", &[who("bot")]).calls([transfer("tkn", "bot", 3)]),
        call("pair", "sync()", &[]),
    ]);
    vec![
        ("skimmed between trades", Attack(class), tx("thief", skimmed)),
        ("pool burnt from between trades", Attack(class), tx("thief", burnt)),
        ("token that syncs its pool between trades", Attack(class), tx("thief", acting)),
        ("trades at two pools", Harmless(class), tx("trader", plain)),
        ("a token with a fee is sold", Harmless(class), tx("user", taxed)),
        ("a pool is tidied up", Harmless(class), tx("bot owner", tidied)),
    ]
}

fn business_logic() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::BusinessLogic;
    let put = |who_: &str, amount| {
        call("farm", "lockUp(uint256)", &[num(amount)])
            .calls([transfer_from("usd", who_, "farm", amount)])
    };
    let out = |to: &str, amount| {
        call("farm", "unlock(uint256)", &[num(1)]).calls([transfer("usd", to, amount)])
    };
    let more_than_given = call("evil", "go()", &[]).calls([put("evil", 100), out("evil", 150)]);
    let borrowed = call("evil", "go()", &[]).calls([loan(
        "evil",
        "usd",
        1000,
        vec![
            put("evil", 1000),
            out("evil", 1000),
            call("farm", "reward()", &[]).calls([transfer("rwd", "evil", 77)]),
        ],
    )]);
    let again =
        call("evil", "go()", &[]).calls((0..8).map(|n| {
            call("farm", "claimFor(uint256)", &[num(n)]).calls([transfer("rwd", "evil", 5)])
        }));
    let from_nowhere = call("evil", "go()", &[]).calls(
        [balance("tkn", "evil", 0), call("tkn", "giveMe(uint256)", &[num(1_000_000)])]
            .into_iter()
            .chain(trade("pair", "evil", ("tkn", 900_000), ("usd", 5000))),
    );
    let claim = call("farm", "claimAll(uint256)", &[num(3)]).calls([transfer("rwd", "user", 5)]);
    let less = call("wallet", "go()", &[]).calls([put("wallet", 100), out("wallet", 100)]);
    let circle = {
        let mut steps: Vec<Call> = trade("pair", "bot", ("usd", 1000), ("tkn", 900)).into();
        steps.extend(trade("other", "bot", ("tkn", 900), ("usd", 1010)));
        call("bot", "go()", &[]).calls([loan("bot", "usd", 1000, steps)])
    };
    vec![
        ("more out than in", Attack(class), tx("thief", more_than_given)),
        ("reward for a borrowed moment", Attack(class), tx("thief", borrowed)),
        ("the same claim again and again", Attack(class), tx("thief", again)),
        ("units that nobody had", Attack(class), tx("thief", from_nowhere)),
        ("a claim", Harmless(class), tx("user", claim)),
        ("in and out the same", Harmless(class), tx("user", less)),
        ("arbitrage on credit", Harmless(class), tx("trader", circle)),
    ]
}
