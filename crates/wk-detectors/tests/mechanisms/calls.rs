//! Calls into what has not ended, and calls that others were made to make.

use wk_detectors::Class;

use crate::build::*;
use crate::{Case, Expect};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = reentrancy();
    cases.extend(arbitrary_call());
    cases.extend(signature_replay());
    cases
}

fn reentrancy() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::Reentrancy;
    let out = |inner: Vec<Call>| {
        call("bank", "giveBack(uint256)", &[num(5)]).calls([pay("evil", 5).calls(inner)])
    };
    let same = call("evil", "go()", &[])
        .calls([call("bank", "putIn()", &[]).value(5), out(vec![out(vec![])])]);
    let hooked = call("evil", "go()", &[]).calls([call("market", "supplyOut(uint256)", &[num(5)])
        .calls([transfer("tkn", "evil", 5).calls([call(
            "evil",
            "tokensReceived(address,address,address,uint256,bytes,bytes)",
            &[
                who("market"),
                who("market"),
                who("evil"),
                num(5),
                num(192),
                num(224),
                num(0),
                num(0),
            ],
        )
        .calls([
            call("market", "lendOut(uint256)", &[num(9)]).calls([transfer("usd", "evil", 9)])
        ])])])]);
    let read_only = call("evil", "go()", &[]).calls([call("pool", "leave(uint256)", &[num(5)])
        .calls([
            pay("evil", 5).calls([call("market", "lendOut(uint256)", &[num(9)])
                .calls([ask("pool", "worth()", &[], &[num(7)]), transfer("usd", "evil", 9)])]),
            transfer("usd", "evil", 1),
        ])]);
    let by_helper =
        call("evil", "go()", &[]).calls([
            call("helper", "start()", &[]).calls([
                call("bank", "putIn()", &[]).value(5),
                call("bank", "giveBack(uint256)", &[num(5)]).calls([pay("helper", 5).calls([
                    call("bank", "giveBack(uint256)", &[num(5)]).calls([pay("helper", 5)]),
                ])]),
                pay("evil", 10),
            ]),
            call("other", "log()", &[]),
            call("another", "log()", &[]),
        ]);
    let wrapped = call("wallet", "go()", &[]).calls([call("bank", "giveBack(uint256)", &[num(5)])
        .calls([pay("wallet", 5).calls([call("weth", "deposit()", &[]).value(5)])])]);
    let repaid = call("bot", "go()", &[]).calls([loan(
        "bot",
        "usd",
        1000,
        vec![
            transfer("usd", "pair", 1000),
            call(
                "pair",
                "swap(uint256,uint256,address,bytes)",
                &[num(0), num(9), who("bot"), num(128), num(0)],
            )
            .calls([transfer("tkn", "bot", 9)]),
            transfer("tkn", "pair2", 9),
            call(
                "pair2",
                "swap(uint256,uint256,address,bytes)",
                &[num(0), num(1001), who("bot"), num(128), num(0)],
            )
            .calls([transfer("usd", "bot", 1001)]),
        ],
    )]);
    let honest_hook = call("wallet", "go()", &[]).calls([call(
        "market",
        "supplyOut(uint256)",
        &[num(5)],
    )
    .calls([transfer("tkn", "wallet", 5).calls([call(
        "wallet",
        "tokensReceived(address,address,address,uint256,bytes,bytes)",
        &[who("market"), who("market"), who("wallet"), num(5), num(192), num(224), num(0), num(0)],
    )])])]);
    vec![
        ("the same function", Attack(class), tx("thief", same)),
        ("another function, by a token's hook", Attack(class), tx("thief", hooked)),
        ("read only", Attack(class), tx("thief", read_only)),
        ("by a helper that was there before", Attack(class), tx("thief", by_helper)),
        ("a payment is wrapped", Harmless(class), tx("user", wrapped)),
        ("a loan paid back", Harmless(class), tx("trader", repaid)),
        ("an honest hook", Harmless(class), tx("user", honest_hook)),
    ]
}

fn arbitrary_call() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::ArbitraryCall;
    let through = |inner: Call| {
        call("evil", "go()", &[])
            .calls([call("router", "perform(bytes)", &[num(32)]).carrying(&inner).calls([inner])])
    };
    let victim = through(transfer_from("usd", "victim", "evil", 500));
    let own_money = through(transfer("usd", "evil", 500));
    let approved = {
        let inner = approve("usd", "evil");
        call("evil", "go()", &[]).calls([
            call("router", "perform(bytes)", &[num(32)]).carrying(&inner).calls([inner]),
            transfer_from("usd", "router", "evil", 500),
        ])
    };
    let swapped = call("wallet", "go()", &[]).calls([call("router", "perform(bytes)", &[num(32)])
        .carrying(&transfer_from("usd", "wallet", "pair", 500))
        .calls([
            transfer_from("usd", "wallet", "pair", 500),
            call(
                "pair",
                "swap(uint256,uint256,address,bytes)",
                &[num(0), num(9), who("wallet"), num(128), num(0)],
            )
            .calls([transfer("tkn", "wallet", 9)]),
        ])]);
    let order = call("solver", "go()", &[]).calls([call(
        "book",
        "fill(address,uint256)",
        &[who("maker"), num(5)],
    )
    .calls([
        transfer_from("usd", "maker", "solver", 500),
        transfer_from("tkn", "solver", "maker", 9),
    ])]);
    let own_wallet = {
        let inner = transfer("usd", "friend", 500);
        call("wallet", "execute(address,uint256,bytes)", &[who("usd"), num(0), num(96)])
            .carrying(&inner)
            .calls([inner])
    };
    vec![
        ("told to pull from someone", Attack(class), tx("thief", victim)),
        ("told to pay", Attack(class), tx("thief", own_money)),
        ("told to approve", Attack(class), tx("thief", approved)),
        ("a trade through a router", Harmless(class), tx("user", swapped)),
        ("an order is filled", Harmless(class), tx("solver owner", order)),
        ("one's own wallet", Harmless(class), tx("user", own_wallet)),
    ]
}

fn signature_replay() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::SignatureReplay;
    let checked = |hash: u128, signer: &str| {
        let mut ask = ask("recover", "", &[], &[who(signer)]);
        ask = ask.code(
            &[num(hash), num(27), num(5), num(6)].map(|word| word.to_be_bytes::<32>()).concat(),
        );
        ask
    };
    let claim = |hash, signer: &str| {
        call("drop", "claimSigned(uint256)", &[num(hash)])
            .calls([checked(hash, signer), transfer("rwd", "evil", 9)])
    };
    let nobody = |after: Vec<Call>| {
        call("drop", "claimSigned(uint256)", &[num(3)]).calls([checked(3, "zero")]).calls(after)
    };
    let twice = call("evil", "go()", &[]).calls([claim(1, "signer"), claim(1, "signer")]);
    let forged = call("evil", "go()", &[]).calls([nobody(vec![transfer("rwd", "evil", 9)])]);
    let permit = || {
        call(
            "weth",
            "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
            &[who("victim"), who("router"), num(5), num(9), num(27), num(1), num(2)],
        )
    };
    let unchecked = call("evil", "go()", &[]).calls([call(
        "router",
        "outWithPermit(address)",
        &[who("victim")],
    )
    .calls([
        permit(),
        transfer_from("weth", "victim", "router", 5),
        transfer("weth", "evil", 5),
    ])]);
    let two = call("wallet", "go()", &[]).calls([claim(1, "signer"), claim(2, "signer")]);
    let falls_back = call("evil", "go()", &[]).calls([nobody(vec![
        ask("signer", "isValidSignature(bytes32,bytes)", &[num(3), num(64), num(0)], &[num(1)]),
        transfer("rwd", "evil", 9),
    ])]);
    let own = call("router", "swapWithPermit(uint256)", &[num(5)]).calls([
        call(
            "tkn",
            "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
            &[who("user"), who("router"), num(5), num(9), num(27), num(1), num(2)],
        )
        .calls([checked(9, "user")]),
        transfer_from("tkn", "user", "router", 5),
    ]);
    vec![
        ("the same signature twice", Attack(class), tx("thief", twice)),
        ("signed by nobody", Attack(class), tx("thief", forged)),
        ("a permit that nobody checked", Attack(class), tx("thief", unchecked)),
        ("two signatures", Harmless(class), tx("user", two)),
        ("a contract's own check after the first", Harmless(class), tx("user", falls_back)),
        ("a permit of one's own", Harmless(class), tx("user", own)),
    ]
}
