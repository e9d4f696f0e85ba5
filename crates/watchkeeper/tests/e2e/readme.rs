//! The README's path to the first alert, as a newcomer walks it; the same in both languages.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{BINARY, Ended, run_with};
use serde_json::Value;
use wk_testkit::{Anvil, anvil_or_skip, http_client};

const READMES: [(&str, &str); 2] = [
    ("README.md", include_str!("../../../../README.md")),
    ("README.zh-CN.md", include_str!("../../../../README.zh-CN.md")),
];

/// The fenced blocks of this language, without their indentation.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for line in text.lines() {
        let rest = line.trim_start();
        match &mut open {
            None if rest == format!("```{language}") => {
                open = Some((line.len() - rest.len(), String::new()));
            }
            Some((_, block)) if rest == "```" => {
                blocks.push(std::mem::take(block));
                open = None;
            }
            Some((indentation, block)) => {
                block.push_str(line.get(*indentation..).unwrap_or_default());
                block.push('\n');
            }
            None => {}
        }
    }
    blocks
}

/// What differs between languages taken out: comments, and names for people.
fn without_words(yaml: &str) -> String {
    let lines = yaml.lines().map(|line| line.split('#').next().unwrap_or_default().trim_end());
    lines.filter(|line| !line.contains("name: ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn both_languages_show_the_same_commands_and_configs() {
    let [(_, english), (_, chinese)] = READMES;
    for kind in ["sh", "yaml"] {
        let words =
            |text| blocks(text, kind).iter().map(|code| without_words(code)).collect::<Vec<_>>();
        assert_eq!(words(english), words(chinese));
    }
    assert_eq!(english.matches("\n## ").count(), chinese.matches("\n## ").count());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_does_what_it_says() {
    let anvil = anvil_or_skip!();
    anvil.mine(20).await;
    for (name, text) in READMES {
        let yaml = blocks(text, "yaml");
        let [first, contract, ..] = &yaml[..] else { panic!("{name} has two configs") };
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::write(folder.path().join("watchkeeper.yaml"), first).expect("it can be written");
        for (command, said) in [
            ("check", "is fine: 1 chain, 0 contracts, 1 rule, 1 receiver"),
            ("test", "1 passed, 0 failed"),
            ("backtest --last 100", "large-payment"),
            ("doctor", "chain id"),
        ] {
            assert!(text.contains(&format!("   watchkeeper {command}\n")), "{name}: {command}");
            let ended = step(folder.path(), &anvil, command).await;
            assert_eq!(ended.code, Some(0), "{name}: {command}: {ended:#?}");
            assert!(ended.stdout.contains(said), "{name}: {command}: {ended:#?}");
        }
        pay(&anvil, text, folder.path()).await;

        // The second config stands beside the chain of the first.
        let (chains, _) = first.split_once("rules:").expect("it has rules");
        std::fs::write(folder.path().join("watchkeeper.yaml"), format!("{chains}{contract}"))
            .expect("it can be written");
        let ended = step(folder.path(), &anvil, "check").await;
        assert_eq!(ended.code, Some(0), "{name}: {ended:#?}");
    }
}

async fn step(folder: &Path, anvil: &Anvil, command: &str) -> Ended {
    let arguments: Vec<&str> = command.split_whitespace().collect();
    run_with(folder, &arguments, &[("RPC_URL", &anvil.http_url())]).await
}

/// The last step: the program watches, the payment is made as the README makes it, a line appears.
async fn pay(anvil: &Anvil, text: &str, folder: &Path) {
    let mut child = Running(
        Command::new(BINARY)
            .args(["run", "--listen", "127.0.0.1:0"])
            .current_dir(folder)
            .env("RPC_URL", anvil.http_url())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program can be started"),
    );
    let stdout = child.0.stdout.take().expect("it is piped");
    let (told, mut lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = told.send(line);
        }
    });
    let commands = blocks(text, "sh");
    let curl = commands.iter().find(|block| block.starts_with("curl ")).expect("it shows curl");
    let (_, body) = curl.split_once("-d '").expect("with a body");
    let body: Value = serde_json::from_str(body.trim().trim_end_matches('\'')).expect("JSON");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    // Whoever is quicker than the program's start pays once more.
    loop {
        let sent = http_client().post(anvil.http_url()).json(&body).send().await;
        let answer: Value = sent.expect("anvil answers").json().await.expect("JSON");
        assert!(answer["result"].is_string(), "{answer}");
        anvil.mine(1).await;
        match tokio::time::timeout(Duration::from_secs(2), lines.recv()).await {
            Ok(Some(line)) => {
                assert!(line.contains("150 ether from 0x"), "{line}");
                return;
            }
            Ok(None) => panic!("the program ended"),
            Err(_) => assert!(tokio::time::Instant::now() < deadline, "no line appeared"),
        }
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
