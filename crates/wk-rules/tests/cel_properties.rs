//! What holds for any expression: it agrees with plain arithmetic, survives printing, never
//! panics.

mod cel_support;

use cel_support::World;
use proptest::prelude::*;
use wk_model::U256;
use wk_rules::cel::ast::{Expr, ExprKind, IntLiteral, Operator};
use wk_rules::cel::{Int, Program, Type, TypeEnv, Value, parse, render};

/// Integer and boolean expressions, with what they should give: none for any error.
#[derive(Clone, Debug)]
enum Number {
    Literal(u32),
    Variable(usize),
    Negate(Box<Number>),
    Binary(Operator, Box<Number>, Box<Number>),
    Choice(Box<Truth>, Box<Number>, Box<Number>),
}

#[derive(Clone, Debug)]
enum Truth {
    Literal(bool),
    Compare(Operator, Box<Number>, Box<Number>),
    Not(Box<Truth>),
    All(Vec<Truth>),
    Any(Vec<Truth>),
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// The reference: 128 bits are plenty for literals of 32 bits at this depth, or it is an error
/// here and the case is skipped.
fn number(expr: &Number, values: &[i64; 4]) -> Outcome<i128> {
    match expr {
        Number::Literal(value) => Ok(i128::from(*value)),
        Number::Variable(index) => Ok(i128::from(values[*index])),
        Number::Negate(operand) => number(operand, values)?.checked_neg().ok_or(Failure::TooWide),
        Number::Binary(operator, left, right) => {
            let (left, right) = (number(left, values)?, number(right, values)?);
            match operator {
                Operator::Add => left.checked_add(right).ok_or(Failure::TooWide),
                Operator::Subtract => left.checked_sub(right).ok_or(Failure::TooWide),
                Operator::Multiply => left.checked_mul(right).ok_or(Failure::TooWide),
                Operator::Divide | Operator::Remainder if right == 0 => Err(Failure::Error),
                Operator::Divide => left.checked_div(right).ok_or(Failure::TooWide),
                Operator::Remainder => left.checked_rem(right).ok_or(Failure::TooWide),
                _ => unreachable!(),
            }
        }
        Number::Choice(condition, then, otherwise) => {
            if truth(condition, values)? {
                number(then, values)
            } else {
                number(otherwise, values)
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Failure {
    /// The expression fails.
    Error,
    /// The reference cannot tell.
    TooWide,
}

type Outcome<T> = Result<T, Failure>;

fn truth(expr: &Truth, values: &[i64; 4]) -> Outcome<bool> {
    match expr {
        Truth::Literal(value) => Ok(*value),
        Truth::Compare(operator, left, right) => {
            let (left, right) = (number(left, values)?, number(right, values)?);
            Ok(match operator {
                Operator::Equal => left == right,
                Operator::NotEqual => left != right,
                Operator::Less => left < right,
                Operator::LessOrEqual => left <= right,
                Operator::Greater => left > right,
                Operator::GreaterOrEqual => left >= right,
                _ => unreachable!(),
            })
        }
        Truth::Not(operand) => Ok(!truth(operand, values)?),
        Truth::All(operands) => absorb(operands, values, false),
        Truth::Any(operands) => absorb(operands, values, true),
    }
}

fn absorb(operands: &[Truth], values: &[i64; 4], decisive: bool) -> Outcome<bool> {
    let outcomes: Vec<_> = operands.iter().map(|operand| truth(operand, values)).collect();
    if outcomes.contains(&Err(Failure::TooWide)) {
        return Err(Failure::TooWide);
    }
    if outcomes.contains(&Ok(decisive)) {
        return Ok(decisive);
    }
    if outcomes.contains(&Err(Failure::Error)) { Err(Failure::Error) } else { Ok(!decisive) }
}

fn number_expr(expr: &Number) -> Expr {
    Expr::new(match expr {
        Number::Literal(value) => {
            ExprKind::Int(IntLiteral { value: U256::from(*value), hex: None })
        }
        Number::Variable(index) => ExprKind::Name(NAMES[*index].to_owned()),
        Number::Negate(operand) => ExprKind::Negate(Box::new(number_expr(operand))),
        Number::Binary(operator, left, right) => binary(*operator, left, right),
        Number::Choice(condition, then, otherwise) => ExprKind::Choice {
            condition: Box::new(truth_expr(condition)),
            then: Box::new(number_expr(then)),
            otherwise: Box::new(number_expr(otherwise)),
        },
    })
}

fn truth_expr(expr: &Truth) -> Expr {
    Expr::new(match expr {
        Truth::Literal(value) => ExprKind::Bool(*value),
        Truth::Compare(operator, left, right) => binary(*operator, left, right),
        Truth::Not(operand) => ExprKind::Not(Box::new(truth_expr(operand))),
        Truth::All(operands) => ExprKind::All(operands.iter().map(truth_expr).collect()),
        Truth::Any(operands) => ExprKind::Any(operands.iter().map(truth_expr).collect()),
    })
}

fn binary(operator: Operator, left: &Number, right: &Number) -> ExprKind {
    let (left, right) = (Box::new(number_expr(left)), Box::new(number_expr(right)));
    ExprKind::Binary { operator, left, right }
}

const SUMS: [Operator; 5] =
    [Operator::Add, Operator::Subtract, Operator::Multiply, Operator::Divide, Operator::Remainder];

const RELATIONS: [Operator; 6] = [
    Operator::Equal,
    Operator::NotEqual,
    Operator::Less,
    Operator::LessOrEqual,
    Operator::Greater,
    Operator::GreaterOrEqual,
];

fn any_number(depth: u32) -> BoxedStrategy<Number> {
    let leaf = prop_oneof![
        (0u32..5).prop_map(Number::Literal),
        any::<u32>().prop_map(Number::Literal),
        (0usize..4).prop_map(Number::Variable),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let below = any_number(depth - 1);
    prop_oneof![
        2 => leaf,
        1 => below.clone().prop_map(|operand| Number::Negate(Box::new(operand))),
        5 => (proptest::sample::select(&SUMS[..]), below.clone(), below.clone()).prop_map(
            |(operator, left, right)| Number::Binary(operator, Box::new(left), Box::new(right))
        ),
        1 => (any_truth(depth - 1), below.clone(), below).prop_map(|(condition, then, otherwise)| {
            Number::Choice(Box::new(condition), Box::new(then), Box::new(otherwise))
        }),
    ]
    .boxed()
}

fn any_truth(depth: u32) -> BoxedStrategy<Truth> {
    if depth == 0 {
        return any::<bool>().prop_map(Truth::Literal).boxed();
    }
    let below = any_truth(depth - 1);
    let number = any_number(depth - 1);
    prop_oneof![
        1 => any::<bool>().prop_map(Truth::Literal),
        4 => (proptest::sample::select(&RELATIONS[..]), number.clone(), number).prop_map(
            |(operator, left, right)| Truth::Compare(operator, Box::new(left), Box::new(right))
        ),
        1 => below.clone().prop_map(|operand| Truth::Not(Box::new(operand))),
        2 => proptest::collection::vec(below.clone(), 2..4).prop_map(Truth::All),
        2 => proptest::collection::vec(below, 2..4).prop_map(Truth::Any),
    ]
    .boxed()
}

fn any_expr() -> impl Strategy<Value = Expr> {
    let name = || {
        "[a-z_][a-z0-9_]{0,5}".prop_filter("a word of the syntax", |name| {
            !["in", "true", "false", "null", "not"].contains(&name.as_str())
        })
    };
    let leaf = prop_oneof![
        Just(ExprKind::Null),
        any::<bool>().prop_map(ExprKind::Bool),
        any::<[u8; 32]>().prop_map(|word| ExprKind::Int(IntLiteral {
            value: U256::from_be_bytes(word),
            hex: None
        })),
        any::<u64>().prop_map(|word| ExprKind::Int(IntLiteral {
            value: U256::from(word),
            hex: Some(format!("{word:X}"))
        })),
        (0.0..1e300f64).prop_map(|number| ExprKind::Double(format!("{number:?}"))),
        any::<String>().prop_map(ExprKind::String),
        any::<Vec<u8>>().prop_map(ExprKind::Bytes),
        name().prop_map(ExprKind::Name),
    ]
    .prop_map(Expr::new);
    leaf.prop_recursive(6, 40, 4, move |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let several = |range| proptest::collection::vec(inner.clone(), range);
        let operators: Vec<Operator> =
            SUMS.into_iter().chain(RELATIONS).chain([Operator::In]).collect();
        prop_oneof![
            (boxed(), name()).prop_map(|(operand, name)| ExprKind::Field { operand, name }),
            (boxed(), boxed()).prop_map(|(operand, index)| ExprKind::Index { operand, index }),
            (name(), several(0..4))
                .prop_map(|(function, arguments)| ExprKind::Call { function, arguments }),
            (boxed(), name(), several(0..4)).prop_map(|(receiver, function, arguments)| {
                ExprKind::Method { receiver, function, arguments }
            }),
            several(0..4).prop_map(ExprKind::List),
            proptest::collection::vec((inner.clone(), inner.clone()), 0..3).prop_map(ExprKind::Map),
            boxed().prop_map(ExprKind::Not),
            boxed().prop_map(ExprKind::Negate),
            several(2..4).prop_map(ExprKind::All),
            several(2..4).prop_map(ExprKind::Any),
            (proptest::sample::select(operators), boxed(), boxed())
                .prop_map(|(operator, left, right)| ExprKind::Binary { operator, left, right }),
            (boxed(), boxed(), boxed()).prop_map(|(condition, then, otherwise)| {
                ExprKind::Choice { condition, then, otherwise }
            }),
        ]
        .prop_map(Expr::new)
    })
}

/// Where grown expressions begin.
const SEEDS: &[&str] = &[
    "amount",
    "to",
    "paused",
    "price",
    "name",
    "data",
    "now",
    "age",
    "topics",
    "amounts",
    "labels",
    "tx",
    "transfers",
    "body",
    "previous",
    "missing",
    "lists",
    "item",
    "0",
    "1",
    "2",
    "1.5",
    "0.0",
    "1e30",
    "null",
    "true",
    "\"\"",
    "\"a\"",
    "\"Vault A\"",
    "\"10m\"",
    "\"1.5\"",
    "\"0xabcd\"",
    "\"+08:00\"",
    "\"status\"",
    "\"你好\"",
    "b\"a\\xff\"",
    "0xabcd",
    "\"true\"",
    "[]",
    "{}",
    "0xdAC17F958D2ee523a2206206994597C13D831ec7",
    "\"2026-11-22T21:36:04Z\"",
    "\"0x52908400098527886E0F7030069857D2E4169EE7\"",
    "\"transfer(address,uint256)\"",
    "115792089237316195423570985008687907853269984665640564039457584007913129639935",
];

/// Ways to make one of several; `A`, `B` and `C` stand for what was made before.
const FORMS: &[&str] = &[
    "A + B",
    "A - B",
    "A * B",
    "A / B",
    "A % B",
    "A == B",
    "A != B",
    "A < B",
    "A >= B",
    "A in B",
    "A && B",
    "A || B",
    "!A",
    "-A",
    "A ? B : C",
    "[A, B]",
    "[A]",
    "{A: B}",
    "{A: B, C: B}",
    "A[B]",
    "A.from",
    "A.to",
    "A.receipt",
    "A.gas_used",
    "A.treasury",
    "A.words",
    "A.team",
    "A.amount",
    "A.status",
    "A.items",
    "A.nested",
    "A.owner",
    "has(A.to)",
    "has(A.team)",
    "has(A.receipt)",
    "A.all(item, B)",
    "A.exists(item, B)",
    "A.exists_one(item, B)",
    "A.filter(item, B)",
    "A.map(item, B)",
    "A.map(item, B, C)",
    "A.exists(item, item == B)",
    "A.map(item, [item, item])",
    "A.map(item, item + item)",
    "A.filter(item, item != B)",
    "A.orValue(B)",
    "A.matches(\"^.a\")",
    "balance(A)",
    "broken(A)",
];

/// Builds expressions out of those that passed before, so that they become deep and still pass.
fn grow(mut seed: u64, steps: usize) {
    let mut world = World::new();
    // Stands for itself where no macro gives it.
    world.env.variable("item", Type::Dyn);
    world.values.push(Value::from(1u64));
    let calls: Vec<String> = wk_rules::cel::builtins()
        .iter()
        .flat_map(|builtin| {
            let name = builtin.name;
            ["N(A)", "N(A, B)", "A.N()", "A.N(B)", "A.N(B, C)"].map(|form| form.replace('N', name))
        })
        .collect();
    let forms: Vec<&str> = FORMS.iter().copied().chain(calls.iter().map(String::as_str)).collect();
    let mut pick = |count: usize| {
        // Knuth's constants; the high bits are the random ones.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).expect("31 bits") % count
    };
    let mut pool: Vec<String> = SEEDS.iter().map(|text| (*text).to_owned()).collect();
    for _ in 0..steps {
        let form = forms[pick(forms.len())];
        let text: String = form
            .chars()
            .map(|c| match c {
                'A' | 'B' | 'C' => format!("({})", pool[pick(pool.len())]),
                c => c.to_string(),
            })
            .collect();
        if text.len() > 2_000 {
            continue;
        }
        if never_panics(&text, &world) {
            pool.push(text);
        }
    }
}

/// Text that is nearly an expression: its words in any order.
fn any_jumble() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "amount",
        "to",
        "tx",
        ".",
        "from",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "?",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        ">=",
        "in",
        "null",
        "true",
        "1",
        "0x1f",
        "1.5",
        "\"a\"",
        "'",
        "\"",
        "b\"\\xff\"",
        "lists",
        "treasury",
        "all",
        "exists",
        "x",
        "has",
        "ether",
        "size",
        "orValue",
        "map",
        "filter",
        "amounts",
        "body",
        "labels",
        "missing",
        "duration",
        "\"10m\"",
        "now",
        "age",
        "matches",
        "\"(\"",
        "min",
        "sum",
        "address",
        "\\",
        "0xdAC17F958D2ee523a2206206994597C13D831ec7",
        "//",
        "\n",
        "你",
        "（",
        "=",
        "and",
        "data",
        "slice",
        "substring",
        "name",
        "split",
        "pow",
        "99999999999999999999",
        "units",
        "price",
    ];
    proptest::collection::vec(proptest::sample::select(WORDS), 0..24)
        .prop_map(|words| words.join(" "))
}

/// Whether it passes the checks. What passes gives a value of its type, or an error in its place.
fn never_panics(text: &str, world: &World) -> bool {
    match Program::compile(text, &world.env) {
        Ok(program) => {
            match program.eval_within(world, 20_000) {
                Ok(value) => {
                    let output = program.output();
                    assert!(value.is_a(output), "{text} is {value}: {output}");
                    let json = value.to_json();
                    assert!(Value::from_json_as(&json, output).is_some(), "{text}: {json}");
                }
                Err(error) => {
                    assert!(text.get(error.offset..error.offset + error.len).is_some(), "{text}");
                }
            }
            true
        }
        Err(error) => {
            assert!(error.offset + error.len <= text.len(), "{text:?}: {error:?}");
            assert!(text.is_char_boundary(error.offset));
            assert!(text.is_char_boundary(error.offset + error.len));
            let shown = render(text, &error);
            assert!(shown.contains('^'));
            false
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "callers hand in doubles below 2^127")]
fn whole(double: f64) -> i128 {
    double as i128
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn it_agrees_with_plain_arithmetic(expr in any_truth(5), values in any::<[i64; 4]>()) {
        let mut env = TypeEnv::new();
        let mut scope = Vec::new();
        for (name, value) in NAMES.iter().zip(values) {
            env.variable(name, Type::Int);
            scope.push(Value::from(value));
        }
        let expected = truth(&expr, &values);
        if expected == Err(Failure::TooWide) {
            return Ok(());
        }
        let text = truth_expr(&expr).to_string();
        match Program::condition(&text, &env) {
            Ok(program) => {
                let found = program.holds(&scope).map_err(|_| Failure::Error);
                prop_assert_eq!(found, expected, "{}", text);
            }
            // A part that fails whatever the variables are is refused at load.
            Err(error) => {
                let fails = ["division by zero", "overflows"];
                prop_assert!(fails.iter().any(|it| error.message.contains(it)), "{}: {}", text, error);
            }
        }
    }

    #[test]
    fn what_is_printed_parses_to_the_same(expr in any_expr()) {
        let text = expr.to_string();
        prop_assume!(text.len() <= wk_rules::cel::MAX_LENGTH);
        match parse(&text) {
            Ok(parsed) => prop_assert_eq!(parsed, expr, "{}", text),
            Err(error) => prop_assert!(error.message.contains("nested"), "{}: {}", text, error),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        never_panics(&text, &World::new());
    }

    #[test]
    fn any_jumble_is_read_or_refused(text in any_jumble()) {
        never_panics(&text, &World::new());
    }

    #[test]
    fn any_expression_is_read_or_refused(expr in any_expr()) {
        never_panics(&expr.to_string(), &World::new());
    }

    #[test]
    fn ints_compare_with_doubles_exactly(number in any::<i64>(), double in any::<f64>()) {
        let int = Int::from(number);
        prop_assert_eq!(int.compare_f64(number as f64), Some(i128::from(number).cmp(&(whole(number as f64)))));
        if double.is_finite() && double.abs() < 1e30 {
            let expected = i128::from(number).cmp(&whole(double)).then(
                0.0f64.partial_cmp(&(double - double.trunc())).unwrap()
            );
            prop_assert_eq!(int.compare_f64(double), Some(expected));
            prop_assert_eq!(Int::from_f64(double).map(|int| int.to_string()), Some(whole(double).to_string()));
        }
        prop_assert_eq!(int.to_f64(), number as f64);
        prop_assert_eq!(Int::from(number).to_string(), number.to_string());
    }

    #[test]
    fn wide_ints_become_the_nearest_double(high in any::<u128>(), low in any::<u128>(), shift in 0u32..380) {
        let wide = Int::from_digits(&high.to_string()).unwrap();
        prop_assert_eq!(wide.to_f64(), high as f64);
        // The nearest double of a number that is a double is itself.
        let double = (low as f64) * 2f64.powi(i32::try_from(shift).unwrap());
        prop_assert_eq!(Int::from_f64(double).unwrap().to_f64(), double);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_passes_gives_what_its_type_says(seed in any::<u64>()) {
        grow(seed, 1_500);
    }
}
