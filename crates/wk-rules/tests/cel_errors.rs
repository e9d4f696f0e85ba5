//! Wrong expressions, as their writers see them refused.

mod cel_support;

use std::fmt::Write as _;

use cel_support::World;
use wk_rules::cel::{Program, render};

const WRONG: &[&str] = &[
    // Names
    "amout > ether(\"1000\")",
    "tx.form == to",
    "gas_used > 21000",
    "recipient == to",
    "tx.receipt.gasUsed > 21000",
    "lists.tresury.size() > 0",
    "ethr(\"1000\") < amount",
    "name.toLowerCase() == \"vault\"",
    "amounts.any(x, x > 1)",
    "amount.value > 1",
    "name.length > 3",
    "ether > 1",
    "paused == True",
    // Types
    "amount > \"1000\"",
    "amount > \"1.5\"",
    "amount * 1.5 > 10",
    "amount == to",
    "to == 0",
    "to == \"0x8617e340b3d01fa5f11f306f4090fd50e23807\"",
    "to == \"0x8617E340B3D01FA5F11F306F4090FD50E238070d\"",
    "to == \"vitalik.eth\"",
    "to == 0x8617e340b3d01fa5f11f306f4090fd50e238070",
    "to in [\"0x1234\"]",
    "name in lists.treasury",
    "amount in lists.treasury",
    "amount in 5",
    "\"Vault\" in name",
    "data == \"abc\"",
    "age > 600",
    "now > \"yesterday\"",
    "amount == null",
    "amount",
    "to && paused",
    "!amount",
    "paused ? amount : name",
    "[1, \"a\"].size() > 0",
    "1 < amount < 10",
    "name + amount == \"\"",
    "name[0] == \"V\"",
    "amounts[\"0\"] > 1",
    // Calls
    "ether(\"1,000\") < amount",
    "ether(price) < amount",
    "ether() < amount",
    "name.startsWith() || paused",
    "startsWith(name, \"V\")",
    "name.matches(\"(\") || paused",
    "name.matches(name)",
    "units(\"1.5\", 0) < amount",
    "duration(\"10 minutes\") < age",
    "amounts.all(1, true)",
    "amounts.all(x, x)",
    "has(amount)",
    "balance(amount) > 1",
    "missing.orValue(\"0\") > 1",
    "price.orValue(1.0) > 1.0",
    "amount / 0 > 1 || 1 / 0 > 1",
    // Syntax
    "",
    "amount = 5",
    "amount > 5 and paused",
    "amount > 5 OR paused",
    "not paused",
    "amount not in [1]",
    "amount > 5 & paused",
    "amount => 5",
    "(amount > 5 && (paused || true)",
    "amounts.all(x, x > 1",
    "[1, 2 == amounts",
    "amount > 5)",
    "(amount > 5]",
    "amount >",
    "amount > > 5",
    "amount > 1,000",
    "amount > 1_000",
    "age > 10m",
    "amount > 5 ether",
    "amount > 5ether",
    "name == \"Vault",
    "name == “Vault”",
    "paused ？ 1 ：2",
    "amount ≥ 5",
    "name == \"\\d\"",
    "amount > 115792089237316195423570985008687907853269984665640564039457584007913129639936",
    "to == 0xZZ",
    "paused ? 1",
    "amount > 5;",
    "tx.",
    "$amount > 5",
    "amount ** 2 > 5",
    "amount > 1 &&\n  to = tx.from",
    "名字 == \"金库\" && amout > 5",
];

#[test]
fn wrong_expressions_say_where_and_how_to_mend_them() {
    let world = World::new();
    let mut shown = String::new();
    for text in WRONG {
        let error = Program::condition(text, &world.env).expect_err(text);
        assert!(error.offset + error.len <= text.len(), "{text}");
        writeln!(shown, "{}", render(text, &error)).unwrap();
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn size_and_depth_are_bounded() {
    let world = World::new();
    let check = |text: String, reason: &str| {
        // A small stack, as a worker thread may have left.
        let env = world.env.clone();
        let message = std::thread::Builder::new()
            .stack_size(1 << 20)
            .spawn(move || Program::condition(&text, &env).unwrap_err().message)
            .unwrap()
            .join()
            .unwrap();
        assert!(message.contains(reason), "{message}");
    };
    let deep = "nested more than";
    check(format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000)), deep);
    check("(".repeat(16_000), deep);
    check("[".repeat(16_000), deep);
    check("{1:".repeat(5_000), deep);
    check("!".repeat(16_000), deep);
    check("-".repeat(16_000), deep);
    check(format!("{}true", "true ? 1 : ".repeat(1_000)), deep);
    check(format!("{}1", "1 + ".repeat(4_000)), deep);
    check(format!("tx{}", ".a".repeat(8_000)), deep);
    check(format!("tx{}", "[0]".repeat(5_000)), deep);
    check(format!("name{}", ".trim()".repeat(2_000)), deep);
    check("abs(".repeat(4_000), deep);
    check("amounts.all(x, ".repeat(1_000), deep);
    check(format!("{}true", "true ? true : ".repeat(1_000)), deep);
    check(format!("paused || {}", " ".repeat(20_000)), "the most is 16384");
    let pattern = "a{1000}".repeat(50);
    check(format!("name.matches(\"({pattern}){{1000}}\")"), "too large");
    check(format!("name.matches(\"{}\")", "(".repeat(2_000)), "pattern is wrong");

    // The deepest that is taken runs in the same stack.
    let nested = format!("{}paused{}", "(".repeat(60), ")".repeat(60));
    let chained = format!("{}1 > 0", "1 + ".repeat(60));
    let macros = format!("{}true{}", "[1].all(x, ".repeat(30), ")".repeat(30));
    let many = vec!["amount == 1"; 1_000].join(" || ");
    for text in [nested, chained, macros, many] {
        std::thread::Builder::new()
            .stack_size(1 << 20)
            .spawn(move || {
                let world = World::new();
                let program = Program::condition(&text, &world.env).unwrap();
                program.holds(&world).unwrap();
            })
            .unwrap()
            .join()
            .unwrap();
    }
}
