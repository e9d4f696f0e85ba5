//! What expressions give: one line per behaviour.

mod cel_support;

use cel_support::World;
use wk_rules::cel::{Fault, Program, Value};

/// Each expression gives the value that the other one writes, as text.
fn check(cases: &[(&str, &str)]) {
    let world = World::new();
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let outcome = match world.eval(text) {
            Ok(value) => value.to_string(),
            Err(error) => format!("error: {error}"),
        };
        if outcome != *expected {
            wrong.push(format!("{text}\n  is       {outcome}\n  expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Each expression is true.
fn check_true(cases: &[&str]) {
    let world = World::new();
    for text in cases {
        assert_eq!(world.eval(text), Ok(Value::Bool(true)), "{text}");
    }
}

#[test]
fn arithmetic_is_exact_and_never_wraps() {
    check(&[
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 2 - 3", "5"),
        ("100 / 10 / 5", "2"),
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("7 % 3", "1"),
        ("-7 % 3", "-1"),
        ("7 % -3", "1"),
        ("-(3 + 4)", "-7"),
        ("--5", "5"),
        ("2 - -3", "5"),
        ("0 - 1", "-1"),
        ("-0", "0"),
        ("10u + 5u", "15"),
        ("0xff", "255"),
        ("0XFFu", "255"),
        ("0x0", "0"),
        (
            "115792089237316195423570985008687907853269984665640564039457584007913129639935 + 1",
            "115792089237316195423570985008687907853269984665640564039457584007913129639936",
        ),
        (
            "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "115792089237316195423570985008687907853269984665640564039457584007913129639935",
        ),
        ("pow(2, 255) * 2 / pow(2, 250)", "64"),
        ("pow(2, 256) * pow(2, 255) > 0", "true"),
        ("pow(2, 511) - 1 + pow(2, 511) > pow(2, 511)", "true"),
        ("(pow(2, 511) - 1) * 2 + tx.value", "error: `+` overflows"),
        ("amount * amount / amount == amount", "true"),
        (
            "amount * amount * amount * amount * amount * amount * amount * amount",
            "error: `*` overflows",
        ),
        (
            "0 - amount * amount * amount * amount * amount * amount * amount * amount",
            "error: `*` overflows",
        ),
        ("amount / (amount - amount)", "error: division by zero"),
        ("amount % (amount - amount)", "error: division by zero"),
        ("pow(amount, 1000)", "error: `pow` overflows"),
        ("pow(amount - amount, 0)", "1"),
        ("pow(-2, 3)", "-8"),
        ("1.5 + 2.5", "4.0"),
        ("1.5 * 2", "3.0"),
        ("2 * 1.5", "3.0"),
        ("1 / 2.0", "0.5"),
        ("1.0 / 0.0", "inf"),
        ("-1.0 / 0.0", "-inf"),
        ("0.0 / 0.0", "NaN"),
        ("price * 2", "2.5"),
        (".5 + 1e1", "10.5"),
        ("1e-2", "0.01"),
        ("\"a\" + 'b'", "ab"),
        ("b'a' + b\"b\"", "0x6162"),
        ("data + \"0xff\"", "0xa9059cbb01ff"),
        ("[1, 2] + [3]", "[1, 2, 3]"),
        ("amounts + [9]", "[3, 1, 2, 9]"),
    ]);
}

#[test]
fn precedence_is_cels() {
    check(&[
        ("true || false && false", "true"),
        ("(true || false) && false", "false"),
        ("!true || true", "true"),
        ("!(true || true)", "false"),
        ("1 + 1 == 2 && 2 < 3", "true"),
        ("1 < 2 == true", "true"),
        ("false == !true", "true"),
        ("true ? 1 : 2", "1"),
        ("false ? 1 : true ? 2 : 3", "2"),
        ("1 > 2 ? 3 : 4 + 1", "5"),
        ("true ? (false ? 1 : 2) : 3", "2"),
        ("-2 * -3", "6"),
        ("1 + 2 in [3]", "true"),
        ("!(1 in [2])", "true"),
        ("-amounts[0] + 1", "-2"),
        ("!paused && !paused", "true"),
        ("2 * 3 % 4", "2"),
        ("true // a comment", "true"),
        ("1 +\n  // a comment\n  2", "3"),
    ]);
}

#[test]
fn comparisons_cross_int_and_double_exactly() {
    check_true(&[
        "1 < 2",
        "2 <= 2",
        "3 > 2",
        "3 >= 3",
        "1 != 2",
        "1 == 1.0",
        "1 < 1.5",
        "-1 > -1.5",
        "price > 1",
        "2 > price",
        "amount > 1e18",
        "amount >= 1.5e21",
        "amount == 1500e18",
        "amount < 1e23",
        "100000000000000000000000 == 1e23",
        "99999999999999999999999 < 1e23",
        "9007199254740993 != double(9007199254740993)",
        "9007199254740993 > double(9007199254740993)",
        "9007199254740992 == double(9007199254740993)",
        "pow(2, 500) > double(1)",
        "pow(2, 300) == double(pow(2, 300))",
        "pow(2, 300) + 1 > double(pow(2, 300))",
        "1 < 1.0 / 0.0",
        "pow(2, 500) < 1.0 / 0.0",
        "-pow(2, 500) > -1.0 / 0.0",
        "!(1 < 0.0 / 0.0) && !(1 >= 0.0 / 0.0) && 1 != 0.0 / 0.0",
        "0.0 / 0.0 != 0.0 / 0.0",
        "0 == -0.0",
        "\"a\" < \"b\"",
        "\"B\" < \"a\"",
        "b'a' < b'b'",
        "false < true",
        "to > tx.from",
        "now > timestamp(\"2026-01-01T00:00:00Z\")",
        "age < duration(\"13m\")",
        "[1, 2] == [1, 2]",
        "[1, 2] != [2, 1]",
        "[1] == [1.0]",
        "[] == []",
        "amounts == [3, 1, 2]",
        "{\"a\": 1} == {\"a\": 1}",
        "{\"a\": 1} != {\"a\": 2}",
        "labels == {\"team\": \"treasury\"}",
        "transfers[0] != transfers[1]",
        "transfers[0] == transfers[0]",
    ]);
}

#[test]
fn addresses_and_bytes_compare_with_literals() {
    check_true(&[
        "to == \"0x8617E340B3D01FA5F11F306F4090FD50E238070D\"",
        "to == \"0x8617e340b3d01fa5f11f306f4090fd50e238070d\"",
        "to == 0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0x8617e340b3d01fa5f11f306f4090fd50e238070d == to",
        "to == address(\"0x8617e340b3d01fa5f11f306f4090fd50e238070d\")",
        "to != address(0)",
        "address(0) == \"0x0000000000000000000000000000000000000000\"",
        "tx.from in lists.treasury",
        "!(to in lists.treasury)",
        "\"0x52908400098527886E0F7030069857D2E4169EE7\" in lists.treasury",
        "0x52908400098527886E0F7030069857D2E4169EE7 in lists.treasury",
        "to in [\"0x8617e340b3d01fa5f11f306f4090fd50e238070d\"]",
        "to in [0x8617e340b3d01fa5f11f306f4090fd50e238070d, tx.from]",
        "to in [tx.from, \"0x8617e340b3d01fa5f11f306f4090fd50e238070d\"]",
        "[to, \"0x8617e340b3d01fa5f11f306f4090fd50e238070d\"].size() == 2",
        "(paused ? tx.from : \"0x8617e340b3d01fa5f11f306f4090fd50e238070d\") == to",
        "lists.treasury.exists(a, a == \"0x52908400098527886E0F7030069857D2E4169EE7\")",
        "data == \"0xa9059cbb01\"",
        "data == 0xa9059cbb01",
        "data.startsWith(\"0xa9059cbb\")",
        "data.startsWith(selector(\"transfer(address,uint256)\"))",
        "data.slice(0, 4) == selector(\"transfer(address,uint256)\")",
        "data.contains(\"0x059c\")",
        "!data.contains(\"0x059b\")",
        "data.endsWith(\"0x01\")",
        "topics[0] == 0x0101010101010101010101010101010101010101010101010101010101010101",
        "topics[1] in [\"0x0202020202020202020202020202020202020202020202020202020202020202\"]",
        "topics[0] != topics[1]",
        "tx.hash == \"0xabababababababababababababababababababababababababababababababab\"",
        "keccak256(\"\") == \"0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470\"",
        "keccak256(\"Transfer(address,address,uint256)\") == \
         0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
        "keccak256(b\"\") == keccak256(\"\")",
        "address(topics[0].slice(12)) == address(bytes(\"0x0101010101010101010101010101010101010101\"))",
        "bytes(to).size() == 20",
        "int(bytes(\"0x0100\")) == 256",
        "address(bytes(\"0x000000000000000000000000\") + bytes(to)) == to",
    ]);
}

#[test]
fn nothing_is_null_unless_it_may_be() {
    check(&[
        ("tx.to == null", "true"),
        ("tx.to != null", "false"),
        ("null == null", "true"),
        ("has(tx.to)", "false"),
        ("has(tx.from)", "true"),
        ("tx.to == to", "false"),
        ("tx.to in [to]", "false"),
        ("tx.to in lists.treasury", "false"),
        ("previous == null", "false"),
        ("previous + 1", "8"),
        ("previous > 5", "true"),
        ("previous == 7", "true"),
        ("missing == 7", "false"),
        ("missing + 1", "error: `missing` is null here; guard it with `missing != null &&`"),
        (
            "tx.max_fee_per_gas > 1",
            "error: `tx.max_fee_per_gas` is null here; guard it with `tx.max_fee_per_gas != null &&`",
        ),
        ("missing != null && missing > 1", "false"),
        ("missing > 1 && missing != null", "false"),
        ("missing == null || missing > 1", "true"),
        ("missing.orValue(3) + 1", "4"),
        ("previous.orValue(amount / (amount - amount))", "7"),
        ("tx.to.orValue(\"0x8617e340b3d01fa5f11f306f4090fd50e238070d\") == to", "true"),
        ("missing != null ? missing : 0", "0"),
        ("has(tx.receipt)", "false"),
        ("tx.receipt.gas_used == 21000", "false"),
        ("has(tx.receipt.gas_used)", "false"),
        ("tx.receipt == null", "true"),
        ("-missing", "error: `missing` is null here; guard it with `missing != null &&`"),
        ("tx.receipt.success", "null"),
        (
            "tx.receipt.success && true",
            "error: `tx.receipt.success` is null here; guard it with `tx.receipt.success != null &&`",
        ),
        ("paused ? null : 5", "5"),
        ("paused ? 5 : null", "null"),
        ("[1, null]", "[1, null]"),
        ("null in [1, null]", "true"),
        ("abs(missing)", "error: `missing` is null here; guard it with `missing != null &&`"),
    ]);
}

#[test]
fn what_decides_outweighs_an_error_on_either_side() {
    check(&[
        ("paused && amount / (amount - amount) > 1 || true", "true"),
        ("paused && missing > 1", "false"),
        ("missing > 1 && paused", "false"),
        ("missing > 1 || !paused", "true"),
        ("!paused || missing > 1", "true"),
        (
            "missing > 1 || paused",
            "error: `missing` is null here; guard it with `missing != null &&`",
        ),
        (
            "paused || missing > 1 || paused",
            "error: `missing` is null here; guard it with `missing != null &&`",
        ),
        (
            "missing > 1 && !paused",
            "error: `missing` is null here; guard it with `missing != null &&`",
        ),
        ("missing > 1 && broken(1) && paused", "false"),
        ("broken(1) && missing > 1", "error: the node did not answer"),
        ("amounts.exists(x, 1 / (x - 3) > 0 || x == 2)", "true"),
        ("amounts.exists(x, 6 / (x - 3) > 100)", "error: division by zero"),
        ("amounts.all(x, 6 / (x - 3) > 100)", "false"),
        ("amounts.all(x, 6 / (x - 3) < 100)", "error: division by zero"),
        ("amounts.exists_one(x, 6 / (x - 3) > 100)", "error: division by zero"),
        ("paused ? amount / (amount - amount) : 1", "1"),
        ("!(missing > 1)", "error: `missing` is null here; guard it with `missing != null &&`"),
    ]);
}

#[test]
fn macros_walk_lists_and_maps() {
    check(&[
        ("amounts.all(x, x > 0)", "true"),
        ("amounts.all(x, x > 1)", "false"),
        ("amounts.exists(x, x == 2)", "true"),
        ("amounts.exists(x, x == 9)", "false"),
        ("amounts.exists_one(x, x > 2)", "true"),
        ("amounts.existsOne(x, x > 1)", "false"),
        ("amounts.filter(x, x > 1)", "[3, 2]"),
        ("amounts.map(x, x * 10)", "[30, 10, 20]"),
        ("amounts.map(x, x > 1, x * 10)", "[30, 20]"),
        ("amounts.map(x, amounts.map(y, x * y).sum()).sum()", "36"),
        ("amounts.filter(x, x > 1).map(x, x + 1).size()", "2"),
        ("transfers.map(t, t.amount).sum()", "6"),
        ("transfers.filter(t, t.to == to).size()", "3"),
        ("transfers.exists(t, t.amount > 2 && t.to == to)", "true"),
        ("labels.exists(key, labels[key] == \"treasury\")", "true"),
        ("labels.all(key, key.startsWith(\"t\"))", "true"),
        ("labels.map(key, key + \"=\" + labels[key])", "[team=treasury]"),
        ("[].all(x, x > 1)", "true"),
        ("[].exists(x, x > 1)", "false"),
        ("[1, 2].exists(amount, amount == 2)", "true"),
        ("topics.map(t, t.size())", "[32, 32]"),
        ("has(labels.team)", "true"),
        ("has(labels.nobody)", "false"),
        ("has(body.status)", "true"),
        ("has(body.nothing)", "false"),
        ("has(body.nested.deep)", "true"),
        ("has({\"a\": 1}.a)", "true"),
    ]);
}

#[test]
fn lists_maps_and_fields() {
    check(&[
        ("[1, 2, 3][1]", "2"),
        ("amounts[0]", "3"),
        ("amounts[amounts.size() - 1]", "2"),
        ("amounts[3]", "error: index 3 is outside a list of 3"),
        ("amounts[-1]", "error: index -1 is outside a list of 3"),
        (
            "amounts[pow(2, 300)] == 1",
            &format!(
                "error: index {} is outside a list of 3",
                "2037035976334486086268445688409378161051468393665936250636140449354381299763336706183397376"
            ),
        ),
        ("labels[\"team\"]", "treasury"),
        ("labels.team", "treasury"),
        ("labels[\"x\"]", "error: no such key: x"),
        ("labels.x", "error: no such key: x"),
        ("{1: \"a\", 2: \"b\"}[2]", "b"),
        ("{\"a\": [1, 2]}.a[0]", "1"),
        ("{\"b\": 2, \"a\": 1}", "{a: 1, b: 2}"),
        ("{to: 1}[to]", "1"),
        ("{1: 2,}", "{1: 2}"),
        ("[1, 2,]", "[1, 2]"),
        ("{}", "{}"),
        ("{amounts[0]: 1, 3: 2}", "error: the key 3 occurs twice"),
        ("2 in {1: 1, 2: 1}", "true"),
        ("\"team\" in labels", "true"),
        ("3 in amounts", "true"),
        ("3.0 in [1, 2, 3]", "true"),
        ("2 in [1.5, 2.0]", "true"),
        ("\"a\" in lists.words", "true"),
        ("5 in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "true"),
        ("amount in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "false"),
        ("price in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "false"),
        ("tx[\"value\"] == tx.value", "true"),
        ("lists.words[1]", "b"),
        ("tx.from == tx[\"from\"]", "true"),
        ("transfers[1].amount", "2"),
        ("balance(to)", "134"),
        ("balance(\"0x8617e340b3d01fa5f11f306f4090fd50e238070d\") > 100", "true"),
        ("balance(tx.to)", "error: `tx.to` is null here; guard it with `tx.to != null &&`"),
        ("balance(body.status)", "error: address is needed, this is string"),
        ("broken(missing)", "error: the node did not answer"),
        ("broken(body.count)", "error: the node did not answer"),
        ("broken(body.status)", "error: int or null is needed, this is string"),
    ]);
}

#[test]
fn json_is_checked_when_it_is_there() {
    check(&[
        ("body.status == \"ok\"", "true"),
        ("body.count == 3", "true"),
        ("body.count > 2 && body.ratio < 1", "true"),
        ("body.count * 2", "6"),
        ("body.count * 0.5", "1.5"),
        ("body.ratio + 1", "1.5"),
        ("body.items.size()", "3"),
        ("body.items.exists(x, x == 2)", "true"),
        ("body.items[0]", "1"),
        ("body[\"items\"][1]", "2"),
        ("body.nested.deep == null", "true"),
        ("body.status > 3", "error: string is needed, this is int"),
        ("body.status + 1", "error: `+` does not work on string and int"),
        ("body.gone", "error: no such key: gone"),
        ("body.status.gone", "error: a list or map is needed, this is string"),
        ("body.count.size()", "error: text, bytes, a list or a map is needed, this is int"),
        ("body.status && true", "error: bool is needed, this is string"),
        ("body.owner == tx.from", "true"),
        ("body.owner in lists.treasury", "true"),
        ("address(body.owner) in lists.treasury", "true"),
        ("body.status in lists.treasury", "false"),
        ("ether(body.status)", "error: `ok` is no amount"),
        ("body.nested == {\"deep\": null}", "true"),
        ("dyn(1) == \"1\"", "false"),
        ("dyn(\"a\").startsWith(\"a\")", "true"),
        ("dyn([1, 2]) == [1, 2]", "true"),
        ("body.items.map(x, x * 2).sum()", "12"),
        ("max(body.count, 7)", "7"),
    ]);
}

#[test]
fn amounts_are_exact() {
    check(&[
        ("ether(\"1.5\")", "1500000000000000000"),
        ("ether(2)", "2000000000000000000"),
        ("ether(0.1)", "100000000000000000"),
        ("ether(-0.1)", "-100000000000000000"),
        ("ether(1e3)", "1000000000000000000000"),
        ("ether(\"1000\")", "1000000000000000000000"),
        ("ether(\"0.000000000000000001\")", "1"),
        ("ether(\"-1\")", "-1000000000000000000"),
        ("ether(\".5\") == ether(\"0.50\")", "true"),
        ("ether(amounts[0])", "3000000000000000000"),
        ("gwei(30)", "30000000000"),
        ("gwei(\"0.5\")", "500000000"),
        ("units(\"2.5\", 6)", "2500000"),
        ("units(2.5, 6)", "2500000"),
        ("units(1000, 6)", "1000000000"),
        ("units(\"1e6\", 6)", "1000000000000"),
        ("units(\"1\", 0)", "1"),
        ("units(\"1\", amounts[0])", "1000"),
        ("amount > ether(\"1000\")", "true"),
        ("amount > ether(\"1500\")", "false"),
        ("amount == ether(\"1500\")", "true"),
        ("formatEther(amount)", "1500"),
        ("formatUnits(2500000, 6)", "2.5"),
        ("formatUnits(-5, 6)", "-0.000005"),
        ("formatUnits(0, 18)", "0"),
        ("formatUnits(7, 0)", "7"),
        ("units(name, 18)", "error: `Vault A` is no amount"),
        ("units(\"1\", amounts[0] * 100)", "error: 300 decimals: a token has 0 to 255"),
        ("units(amount, 200)", "error: `units` overflows"),
    ]);
}

#[test]
fn numbers_and_conversions() {
    check(&[
        ("abs(-5)", "5"),
        ("abs(-1.5)", "1.5"),
        ("abs(duration(\"-5m\"))", "5m"),
        ("min(3, 1, 2)", "1"),
        ("max(3, 1, 2)", "3"),
        ("min(amounts)", "1"),
        ("max(amounts)", "3"),
        ("max(price, 2)", "2.0"),
        ("max(amount, tx.value) == amount", "true"),
        ("min(now, now - age) == now - age", "true"),
        ("max(amounts.filter(x, x > 9))", "error: max of an empty list"),
        ("max([0.0 / 0.0, 1.0])", "1.0"),
        ("sum(amounts)", "6"),
        ("[1.5, 2.5].sum()", "4.0"),
        ("[price].filter(x, x > 9.0).sum()", "0.0"),
        ("amounts.filter(x, x > 9).sum()", "0"),
        ("[previous].sum()", "7"),
        ("[missing].sum()", "error: `+` does not work on int and null"),
        ("max([missing])", "error: a number or time is needed, this is null"),
        ("int(\"42\")", "42"),
        ("int(\"-42\")", "-42"),
        ("int(\"0xff\")", "255"),
        ("int(1.9)", "1"),
        ("int(-1.9)", "-1"),
        ("int(double(pow(2, 300))) == pow(2, 300)", "true"),
        ("int(now)", "1795383364"),
        ("int(age)", "754"),
        ("int(name)", "error: `Vault A` is no whole number"),
        ("int(price / 0.0)", "error: `int` overflows"),
        ("uint(5)", "5"),
        ("uint(5 - amounts[0] * 2)", "error: -1 is below zero"),
        ("double(1)", "1.0"),
        ("double(\"1.5\")", "1.5"),
        ("double(name)", "error: `Vault A` is no number"),
        ("string(1)", "1"),
        ("string(true)", "true"),
        ("string(1.5)", "1.5"),
        ("string(to)", "0x8617e340b3d01fa5f11f306f4090fd50e238070d"),
        ("string(b\"abc\")", "abc"),
        ("string(data)", "error: these bytes are no UTF-8 text; hex() shows any bytes"),
        ("string(age)", "12m34s"),
        ("string(now)", "2026-11-22T21:36:04.123Z"),
        ("hex(data)", "0xa9059cbb01"),
        ("hex(255)", "0xff"),
        ("data.hex()", "0xa9059cbb01"),
        ("bool(\"true\")", "true"),
        ("bool(name)", "error: `Vault A` is neither true nor false"),
        ("bytes(\"abc\")", "0x616263"),
        ("bytes(\"0xabcd\")", "0xabcd"),
        ("address(1)", "0x0000000000000000000000000000000000000001"),
        ("address(data)", "error: 0xa9059cbb01 is no address"),
        (
            "address(pow(2, 200) * amounts[0])",
            "error: 4820814132776970826625886277023487807566608981348378505904128 is no address",
        ),
    ]);
}

#[test]
fn text() {
    check(&[
        ("name.startsWith(\"Vault\")", "true"),
        ("name.endsWith(\"A\")", "true"),
        ("name.contains(\"ult\")", "true"),
        ("name.contains(\"x\")", "false"),
        ("name.size()", "7"),
        ("size(name)", "7"),
        ("size(\"你好\")", "2"),
        ("size(b\"\\xff\\x00\")", "2"),
        ("name.lowerAscii()", "vault a"),
        ("name.upperAscii()", "VAULT A"),
        ("\"  x \".trim()", "x"),
        ("name.replace(\"A\", \"B\")", "Vault B"),
        ("name.split(\" \")", "[Vault, A]"),
        ("\"ab\".split(\"\")", "[a, b]"),
        ("[\"a\", \"b\"].join(\"-\")", "a-b"),
        ("[\"a\", \"b\"].join()", "ab"),
        ("name.indexOf(\"A\")", "6"),
        ("name.indexOf(\"Z\")", "-1"),
        ("\"你好吗\".substring(1)", "好吗"),
        ("\"你好吗\".substring(1, 2)", "好"),
        ("name.substring(9)", "error: index 9 is outside a list of 7"),
        ("name.substring(amounts[0], amounts[1])", "error: the end 1 lies before the start 3"),
        ("name.matches(\"^Vault [A-Z]$\")", "true"),
        ("name.matches(r\"\\d+\")", "false"),
        ("matches(name, \"(?i)vault\")", "true"),
        ("\"你\".matches(\"^.$\")", "true"),
        ("\"a\\n\\t\\\"\\'\\\\\\x41\\u4f60\\U0001F600\\101\"", "a\n\t\"'\\A你😀A"),
        ("'''a'b\"c\nd'''", "a'b\"c\nd"),
        ("\"\"\"x\"y\"\"\"", "x\"y"),
        ("r\"a\\n\"", "a\\n"),
        ("b\"\\xff\\377a\"", "0xffff61"),
        ("rb'\\x'", "0x5c78"),
        ("b\"你\"", "0xe4bda0"),
    ]);
}

#[test]
fn times() {
    check(&[
        ("now - age", "2026-11-22T21:23:30.123Z"),
        ("now + duration(\"1h\") - now", "1h"),
        ("now - \"10m\" < now", "true"),
        ("age > duration(\"10m\")", "true"),
        ("age > \"10m\"", "true"),
        ("now > \"2026-11-22T00:00:00Z\"", "true"),
        ("now - timestamp(\"2026-11-22T21:36:04Z\")", "123ms"),
        ("timestamp(\"2026-11-22T23:36:04.5+02:00\")", "2026-11-22T21:36:04.500Z"),
        ("timestamp(0)", "1970-01-01T00:00:00.000Z"),
        ("timestamp(1795383364) < now", "true"),
        ("duration(\"1h30m\")", "1h30m"),
        ("duration(\"1.5h\")", "1h30m"),
        ("duration(\"-90s\")", "-1m30s"),
        ("duration(\"2d\") == duration(\"48h\")", "true"),
        ("duration(\"1m\") * 3", "3m"),
        ("3 * duration(\"1m\")", "3m"),
        ("duration(\"1m\") / 4", "15s"),
        ("duration(\"1m\") + duration(\"1s\") - duration(\"2s\")", "59s"),
        ("age * pow(10, 30)", "error: `*` overflows"),
        ("timestamp(0) + age - age - age", "error: `-` overflows"),
        ("timestamp(253402300799)", "9999-12-31T23:59:59.000Z"),
        ("timestamp(253402300799 + amounts[0])", "error: `timestamp` overflows"),
        ("timestamp(253402300799) + age", "error: `+` overflows"),
        ("timestamp(253402300799).getFullYear(\"+08:00\")", "10000"),
        ("now.getFullYear()", "2026"),
        ("now.getMonth()", "10"),
        ("now.getDate()", "22"),
        ("now.getDayOfMonth()", "21"),
        ("now.getDayOfWeek()", "0"),
        ("now.getDayOfYear()", "325"),
        ("now.getHours()", "21"),
        ("now.getHours(\"+08:00\")", "5"),
        ("now.getDate(\"+08:00\")", "23"),
        ("now.getHours(\"-05:30\")", "16"),
        ("now.getMinutes()", "36"),
        ("now.getSeconds()", "4"),
        ("now.getMilliseconds()", "123"),
        ("now.getHours(\"Mars\") > 1 || !paused", "true"),
        ("age.getHours()", "0"),
        ("age.getMinutes()", "12"),
        ("age.getSeconds()", "754"),
        ("age.getMilliseconds()", "754000"),
        ("duration(name)", "error: `Vault A` is no duration"),
        ("timestamp(name)", "error: `Vault A` is no time"),
    ]);
}

#[test]
fn work_is_bounded() {
    let world = World::new();
    let all = "lists.treasury.all(a, lists.treasury.all(b, lists.treasury.all(c, \
               lists.treasury.all(d, lists.treasury.all(e, a != tx.to)))))";
    for text in [
        all,
        "amounts.map(a, amounts.map(b, amounts.map(c, amounts.map(d, amounts.map(e, \
         amounts.map(f, amounts.map(g, amounts.map(h, amounts.map(i, amounts.map(j, \
         amounts.map(k, amounts.map(l, 1)))))))))))).size() > 0",
    ] {
        // Nothing outweighs it, whatever stands beside.
        for text in [text.to_owned(), format!("{text} || !paused"), format!("{text} && paused")] {
            let error = world.eval(&text).unwrap_err();
            assert!(matches!(error.fault, Fault::TooCostly { .. }), "{error}");
        }
    }
    let program = Program::compile("amounts.all(x, x > 0)", &world.env).unwrap();
    assert!(program.eval_within(&world, 5).is_err());
    assert!(program.eval_within(&world, 50).is_ok());

    // Text cannot be blown up either.
    let mut text = "name".to_owned();
    for _ in 0..6 {
        text = format!("{text}.replace(\"\", name + name + name + name + name + name)");
    }
    let error = world.eval(&text).unwrap_err();
    assert!(matches!(error.fault, Fault::TooLarge { .. } | Fault::TooCostly { .. }), "{error}");
}

#[test]
fn an_error_names_its_place() {
    let world = World::new();
    let check = |text: &str, part: &str| {
        let error = world.eval(text).unwrap_err();
        assert_eq!(&text[error.offset..error.offset + error.len], part, "{text}");
    };
    check("1 + amount / (amount - amount)", "amount / (amount - amount)");
    check("paused || tx.max_fee_per_gas > 1", "tx.max_fee_per_gas");
    check("1 > 0 && labels.x == \"\"", "labels.x");
    check("amounts.map(x, 1 / (x - 3))", "1 / (x - 3)");
    check("name == \"\" || int(name) > 1", "int(name)");
}

#[test]
fn a_program_tells_what_it_reads() {
    let world = World::new();
    let check = |text: &str, expected: &[&str]| {
        let program = Program::compile(text, &world.env).unwrap();
        let paths: Vec<&str> = program.references().iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, expected, "{text}");
    };
    check("1 == 1", &[]);
    check("amount > 1 && amount < 5", &["amount"]);
    check("amount > ether(\"1000\") && !(to in lists.treasury)", &["amount", "to"]);
    check("tx.from == to && tx.receipt.gas_used > 1", &["to", "tx.from", "tx.receipt.gas_used"]);
    check("has(tx.to)", &["tx.to"]);
    check("transfers.exists(t, t.amount > 1)", &["transfers"]);
    check("amounts.exists(amount, amount > price)", &["price", "amounts"]);
    check("balance(tx.from) > 1", &["tx.from"]);
    check("tx == tx", &["tx"]);
    let program = Program::compile("balance(to) > balance(tx.from)", &world.env).unwrap();
    assert_eq!(program.calls(), [0]);
}
