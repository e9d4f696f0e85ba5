//! Which type an expression has, and which are refused for their types.

mod cel_support;

use cel_support::World;
use wk_rules::cel::{Program, Type, Value, builtins, render};

#[test]
fn every_expression_has_a_type() {
    let world = World::new();
    let check = |text: &str, expected: &str| {
        let program = Program::compile(text, &world.env)
            .unwrap_or_else(|error| panic!("{}", render(text, &error)));
        assert_eq!(program.output().to_string(), expected, "{text}");
    };
    check("1", "int");
    check("1u", "int");
    check("1.5", "double");
    check("\"a\"", "string");
    check("b\"a\"", "bytes");
    check("null", "null");
    check("true", "bool");
    check("amount", "int");
    check("amount + 1", "int");
    check("amount > 1", "bool");
    check("price * 2", "double");
    check("to", "address");
    check("tx.to", "address or null");
    check("tx.receipt", "receipt or null");
    check("tx.receipt.gas_used", "int or null");
    check("tx.receipt.gas_used + 1", "int");
    check("tx.to.orValue(to)", "address");
    check("missing.orValue(0)", "int");
    check("missing.orValue(null)", "int or null");
    check("paused ? 1 : null", "int or null");
    check("paused ? null : tx.to", "address or null");
    check("paused ? amount : missing", "int or null");
    check("paused ? body.count : 1", "dyn");
    check("[]", "list<dyn>");
    check("[1]", "list<int>");
    check("[1, 2.5]", "list<double>");
    check("[1, null]", "list<int or null>");
    check("[to, \"0x8617e340b3d01fa5f11f306f4090fd50e238070d\"]", "list<address>");
    check("[[1], []]", "list<list<int>>");
    check("{}", "map<dyn, dyn>");
    check("{\"a\": 1}", "map<string, int>");
    check("{\"a\": 1, \"b\": 2.5}[\"a\"] == 1", "bool");
    check("{\"a\": [to]}", "map<string, list<address>>");
    check("lists.treasury", "list<address>");
    check("lists.treasury[0]", "address");
    check("lists.treasury + [to]", "list<address>");
    check("labels.team", "string");
    check("transfers.map(t, t.to)", "list<address>");
    check("transfers.filter(t, t.amount > 1)", "list<transfer>");
    check("transfers[0].to", "address");
    check("labels.map(k, k.size())", "list<int>");
    check("amounts.map(x, [x])", "list<list<int>>");
    check("body", "dyn");
    check("body.a.b[0]", "dyn");
    check("body.count + 1", "dyn");
    check("int(body.count)", "int");
    check("now - now", "duration");
    check("now - age", "timestamp");
    check("age + age", "duration");
    check("now.getHours()", "int");
    check("min(1, 2)", "int");
    check("max(price, 1)", "double");
    check("max(amounts)", "int");
    check("sum(amounts)", "int");
    check("[0.5].sum()", "double");
    check("data.slice(0, 4)", "bytes");
    check("lists.treasury.slice(1)", "list<address>");
    check("name.split(\",\")", "list<string>");
    check("keccak256(data)", "bytes");
    check("balance(to)", "int");
    check("-price", "double");
    check("-age", "duration");
    check("dyn(1)", "dyn");
    check("has(tx.to)", "bool");
    check("formatEther(amount) + \" ETH\"", "string");
}

#[test]
fn a_condition_is_a_bool() {
    let world = World::new();
    for text in ["amount > 1", "paused", "tx.receipt.success", "body.flag", "true"] {
        assert!(Program::condition(text, &world.env).is_ok(), "{text}");
    }
    for text in ["amount", "1", "\"true\"", "null", "to", "[true]", "paused ? 1 : 2"] {
        assert!(Program::condition(text, &world.env).is_err(), "{text}");
    }
    let holds = |text: &str| Program::condition(text, &world.env).unwrap().holds(&world);
    assert_eq!(holds("amount > 1"), Ok(true));
    assert_eq!(holds("paused"), Ok(false));
    assert!(holds("tx.receipt.success").is_err());
    assert!(holds("body.status").is_err());
}

#[test]
fn a_wished_type_reads_literals_and_refuses_others() {
    let world = World::new();
    let check = |text: &str, ty: Type, expected: Option<&str>| {
        let value = Program::compile_as(text, &world.env, &ty)
            .ok()
            .map(|program| program.eval(&world).unwrap().to_string());
        assert_eq!(value.as_deref(), expected, "{text} as {ty}");
    };
    let usdt = "0xdac17f958d2ee523a2206206994597c13d831ec7";
    check("\"0xdAC17F958D2ee523a2206206994597C13D831ec7\"", Type::Address, Some(usdt));
    check("0xdAC17F958D2ee523a2206206994597C13D831ec7", Type::Address, Some(usdt));
    check("\"0xdAC17F958D2ee523a2206206994597C13D831ec8\"", Type::Address, None);
    check("\"0xabcd\"", Type::Bytes, Some("0xabcd"));
    check("\"10m\"", Type::Duration, Some("10m"));
    check("\"2026-11-22T00:00:00Z\"", Type::Timestamp, Some("2026-11-22T00:00:00.000Z"));
    check("5", Type::Double, Some("5.0"));
    check("-5", Type::Double, Some("-5.0"));
    check("1e18", Type::Int, Some("1000000000000000000"));
    check("amount", Type::Double, None);
    check("amount", Type::String, None);
    check("null", Type::optional(Type::Int), Some("null"));
    check("null", Type::Int, None);
    check("[\"0xdac17f958d2ee523a2206206994597c13d831ec7\"]", Type::list(Type::Address), {
        Some("[0xdac17f958d2ee523a2206206994597c13d831ec7]")
    });
    check("[]", Type::list(Type::Address), Some("[]"));
    check("body.count", Type::Int, Some("3"));

    // What only evaluation can tell.
    let fault = |text: &str, ty: Type| {
        let program = Program::compile_as(text, &world.env, &ty).unwrap();
        assert_eq!(program.output(), &ty);
        program.eval(&world).unwrap_err().to_string()
    };
    assert_eq!(fault("body.status", Type::Int), "int is needed, this is string");
    assert_eq!(
        fault("missing", Type::Int),
        "`missing` is null here; guard it with `missing != null &&`"
    );
    assert_eq!(
        fault("body.items", Type::list(Type::String)),
        "list<string> is needed, this is list"
    );
}

#[test]
fn later_names_hide_earlier_ones() {
    let mut world = World::new();
    let slot = world.env.variable("amount", Type::String);
    world.values.resize(slot, Value::Null);
    world.values.push(Value::string("new"));
    assert_eq!(world.eval("amount + \"er\""), Ok(Value::string("newer")));
    world.env.function("size", vec![Type::Int], Type::Bool);
    let program = Program::compile("size(1)", &world.env).unwrap();
    assert_eq!(program.output(), &Type::Bool);
}

#[test]
fn values_survive_json() {
    let world = World::new();
    for text in [
        "amount",
        "-amount",
        "to",
        "data",
        "price",
        "now",
        "age",
        "-age",
        "name",
        "paused",
        "null",
        "amounts",
        "topics",
        "labels",
        "transfers",
        "transfers[0]",
        "tx",
        "{1: to}",
        "{true: [1]}",
        "{to: null}",
        "[1, null]",
        "pow(2, 500)",
        "price / 0.0",
        "lists.treasury",
    ] {
        let program = Program::compile(text, &world.env).unwrap();
        let value = program.eval(&world).unwrap();
        let json = serde_json::to_string(&value.to_json()).unwrap();
        let json = serde_json::from_str(&json).unwrap();
        assert_eq!(Value::from_json_as(&json, program.output()), Some(value), "{text}: {json}");
    }
    for (json, ty) in [
        (serde_json::json!("x"), Type::Int),
        (serde_json::json!(""), Type::Int),
        (serde_json::json!(1.5), Type::Int),
        (serde_json::json!("0x12"), Type::Address),
        (serde_json::json!(null), Type::Int),
        (serde_json::json!([1]), Type::list(Type::String)),
        (serde_json::json!({"a": 1}), Type::list(Type::Int)),
    ] {
        assert_eq!(Value::from_json_as(&json, &ty), None, "{json} as {ty}");
    }
}

#[test]
fn every_built_in_function_is_described() {
    for builtin in builtins() {
        assert!(builtin.doc.ends_with('.'), "{}", builtin.name);
        assert!(!builtin.signatures().is_empty(), "{}", builtin.name);
    }
}
