//! Texts of any kind: no panic, no hang, bounded memory.

use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use wk_config::{ConfigErrors, Environment, Loaded, load_texts};

fn read(text: String) -> Result<Loaded, ConfigErrors> {
    let environment = Environment::fixed([("X", "1")]);
    load_texts(vec![("a.yaml".to_owned(), text)], Path::new("."), &environment)
}

/// Reads and renders, and is done in time.
fn check(text: String) {
    let started = Instant::now();
    let shown = text.chars().take(80).collect::<String>();
    if let Err(errors) = read(text) {
        let rendered = errors.render(true);
        assert!(rendered.len() < 1 << 20, "{} bytes of errors: {shown}", rendered.len());
    }
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}: {shown}", started.elapsed());
}

#[test]
fn texts_that_blow_up_are_refused() {
    let bomb = |levels: usize, width: usize| {
        let mut text = "x-0: &a0 [1, 2]\n".to_owned();
        for level in 1..levels {
            let inner = vec![format!("*a{}", level - 1); width].join(", ");
            text.push_str(&format!("x-{level}: &a{level} [{inner}]\n"));
        }
        text
    };
    let error = read(bomb(30, 10)).unwrap_err().to_string();
    assert!(error.contains("too large"), "{error}");
    let error = read(bomb(200, 1)).unwrap_err().to_string();
    assert!(error.contains("inside each other"), "{error}");
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("a:\n ", "")] {
        check(open.repeat(100_000) + &close.repeat(100_000));
    }
    let nested_anchors: String = (0..60).map(|level| format!("&a{level} [")).collect();
    check(format!("x-a: {nested_anchors}{}{}", "1,".repeat(100_000), "]".repeat(60)));
    check("a: 1\n".repeat(500_000));
    check((0..300_000).fold(String::new(), |text, n| text + &format!("k{n}: 1\n")));
    check(format!("server: {{data_dir: '{}${{NOPE}}'}}", " ".repeat(3 << 20)));
    check(format!("server: {{data_dir: {}}}", "${NOPE}".repeat(400_000)));
    check("rules: [".to_owned() + &"${NOPE},".repeat(300_000) + "]");
    check(format!("server: {{listen: {}}}", ":".repeat(3 << 20)));
    check("rules:\n".to_owned() + &"- {id: x, on: evm.block, oops: 1}\n".repeat(20_000));
    check("rules:\n".to_owned() + &"- {id: x, on: evm.block}\n".repeat(20_000));
    check("? [a]\n: 1\n".to_owned());
    check("? \n: 1\n".to_owned());
    check("a: &a [*a]\n".to_owned());
    check("<<: &a {<<: {b: 1}}\n".to_owned());
    check("*a : 1".to_owned());
    check("&a a: *a\n*a : 2\n".to_owned());
}

/// Pieces that meet in configs, so that random texts get further than the first line.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "chains:",
        "mainnet:",
        "evm:",
        "rpc:",
        "rules:",
        "id:",
        "if:",
        "on:",
        "evm.block",
        "notify:",
        "receivers:",
        "stdout:",
        "route:",
        "server:",
        "listen:",
        "lists:",
        "contracts:",
        "address:",
        "abi:",
        "tests:",
        "a",
        "${X}",
        "${",
        "$",
        "{",
        "}",
        "[",
        "]",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        " ",
        ": ",
        ",",
        "'",
        "\"",
        "|",
        ">",
        ">-",
        "|+",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "? ",
        "# ",
        "~",
        "\\",
        "é",
        "钱",
        "\u{feff}",
        "\t",
        "\r\n",
        "---",
        "...",
        "0x11",
        "1e3",
        "-",
        "%YAML 1.2",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        check(text);
    }

    #[test]
    fn any_mix_of_pieces_is_answered(text in pieces()) {
        check(text);
    }

    #[test]
    fn a_good_config_with_a_wound_is_answered(
        at in 0usize..2_000, length in 0usize..40, patch in pieces()
    ) {
        let good = include_str!("good.yaml");
        let floor = |at: usize| (0..=at.min(good.len())).rev().find(|&at| good.is_char_boundary(at));
        let (start, end) = (floor(at).unwrap_or(0), floor(at + length).unwrap_or(0));
        check(format!("{}{patch}{}", &good[..start], &good[end..]));
    }
}
