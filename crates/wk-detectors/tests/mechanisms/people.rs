//! People who are tricked, and calls that are handed on.

use wk_detectors::Class;

use crate::build::*;
use crate::{Case, Expect};

pub(crate) fn cases() -> Vec<Case> {
    use Expect::{Attack, Harmless};
    let class = Class::Phishing;
    let permit = |owner: &str, spender: &str| {
        call(
            "tkn",
            "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
            &[who(owner), who(spender), num(5), num(9), num(27), num(1), num(2)],
        )
    };
    let drained = call("evil", "go()", &[])
        .calls([permit("victim", "evil"), transfer_from("tkn", "victim", "thief", 5)]);
    let poisoned = call("evil", "go()", &[])
        .calls(["a", "b", "c", "d"].map(|owner| transfer_from("usd", owner, "lookalike", 0)));
    let lured = call("evil", "claimReward()", &[]).value(ONE);
    let approved = call("evil", "go()", &[])
        .calls(["a", "b", "c"].map(|owner| transfer_from("usd", owner, "thief", 900)));
    let collected = call("custodian", "collect()", &[]).calls([transfer_from(
        "usd",
        "depositor",
        "custody",
        900,
    )]);
    let own = call("router", "supply(uint256)", &[num(5)])
        .calls([permit("user", "router"), transfer_from("tkn", "user", "router", 5)]);
    let dropped =
        call("sender", "go()", &[]).calls(["a", "b", "c", "d"].map(|to| transfer("usd", to, 5)));
    let bought = call("shop", "claim()", &[]).value(ONE).calls([transfer("tkn", "user", 5)]);
    vec![
        ("a permit of another", Attack(class), tx("thief", drained)),
        ("poisoned histories", Attack(class), tx("thief", poisoned)),
        ("paid for a promise", Attack(class), tx("victim", lured)),
        ("approvals of many", Attack(class), tx("thief", approved)),
        ("one account's deposit collected", Harmless(class), tx("operator", collected)),
        ("a permit of one's own", Harmless(class), tx("user", own)),
        ("an airdrop", Harmless(class), tx("user", dropped)),
        ("bought by a promising name", Harmless(class), tx("user", bought)),
    ]
}

/// Attacks that come through two contracts which hand the sender's call on.
pub(crate) fn relayed() -> Vec<Case> {
    let through = |inner: Call| {
        call("first", "run()", &[]).calls([call("second", "run()", &[]).calls([inner])])
    };
    let out = |inner: Vec<Call>| {
        call("bank", "giveBack(uint256)", &[num(5)]).calls([pay("evil", 5).calls(inner)])
    };
    let again = through(
        call("evil", "go()", &[])
            .calls([call("bank", "putIn()", &[]).value(5), out(vec![out(vec![])])]),
    );
    let more = through(
        call("evil", "go()", &[]).calls([
            call("farm", "lockUp(uint256)", &[num(100)])
                .calls([transfer_from("usd", "evil", "farm", 100)]),
            call("farm", "unlock(uint256)", &[num(1)]).calls([transfer("usd", "evil", 150)]),
        ]),
    );
    let taken = call("first", "run()", &[]).calls([call("second", "run()", &[]).calls([call(
        "vault",
        "leave(uint256)",
        &[num(9)],
    )
    .calls([transfer("usd", "second", 900)])])]);
    vec![
        ("entered again", Expect::Attack(Class::Reentrancy), tx("thief", again)),
        ("more out than in", Expect::Attack(Class::BusinessLogic), tx("thief", more)),
        ("released for nothing", Expect::Attack(Class::AccessControl), tx("thief", taken)),
    ]
}
