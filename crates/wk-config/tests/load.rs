//! Configs as users keep them: a file, a folder, variables, anchors, defaults.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use wk_config::{
    Anonymous, ChainConfig, ConfigErrors, Environment, Loaded, compile, for_rpc_url, load,
    load_texts, schema,
};
use wk_model::ChainName;

const GOOD: &str = include_str!("good.yaml");

fn environment() -> Environment {
    Environment::fixed([("RPC_URL", "http://127.0.0.1:8545"), ("PORT", "7171")])
}

fn text(text: &str) -> Result<Loaded, ConfigErrors> {
    load_texts(vec![("a.yaml".to_owned(), text.to_owned())], Path::new("."), &environment())
}

fn folder(files: &[(&str, &str)]) -> (TempDir, Result<Loaded, ConfigErrors>) {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, text) in files {
        fs::create_dir_all(folder.path().join(name).parent().expect("it is in the folder"))
            .expect("made");
        fs::write(folder.path().join(name), text).expect("written");
    }
    let loaded = load(folder.path(), &environment());
    (folder, loaded)
}

/// Messages of the errors with `file:line:column` of each, without the folder's own path.
fn places(folder: &TempDir, errors: ConfigErrors) -> Vec<String> {
    let short = |file: &str| {
        let prefix = format!("{}/", folder.path().display());
        file.strip_prefix(&prefix).unwrap_or(file).to_owned()
    };
    let mut all = Vec::new();
    for error in errors.errors {
        let places = error.at.iter().chain(error.related.iter().map(|related| &related.at));
        let places: Vec<String> =
            places.map(|at| format!("{}:{}:{}", short(&at.file), at.line, at.column)).collect();
        all.push(format!("{} {}", places.join(" "), error.message));
    }
    all
}

#[test]
fn a_good_config_loads() {
    let Loaded { config, decoder, warnings, .. } = text(GOOD).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].message.contains("SLACK_URL"), "{}", warnings[0]);
    let ChainConfig::Evm(evm) = &config.chains[&ChainName::new("mainnet")];
    assert_eq!(evm.rpc.0.len(), 2);
    assert_eq!(config.contracts["vault"].address, "0x1111111111111111111111111111111111111111");
    assert_eq!(config.lists["treasury"].items[0], "0x2222222222222222222222222222222222222222");
    // Titles are templates of their own.
    assert_eq!(
        config.rules[0].title.as_deref(),
        Some("${formatUnits(amount, 18)} tokens to ${to}")
    );
    assert!(decoder.contract_named("vault").is_some());
    assert_eq!(config.route.receiver.0, ["console"]);
}

#[test]
fn nothing_is_a_config_and_someone_is_told_all_the_same() {
    for empty in ["", "# only a comment\n", "---\n", "{}", "rules:\nchains:\n", "\u{feff}"] {
        let Loaded { config, .. } =
            text(empty).unwrap_or_else(|error| panic!("{empty:?}\n{error}"));
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:7070");
        assert_eq!(config.server.anonymous(), Anonymous::Viewer);
        assert_eq!(config.route.receiver.0, ["stdout"]);
        assert!(config.receivers["stdout"].stdout.is_some());
    }
}

#[test]
fn without_a_route_everyone_is_told() {
    let loaded = text("receivers: {a: {stdout: {}}, b: {stdout: {}}}").unwrap();
    assert_eq!(loaded.config.route.receiver.0, ["a", "b"]);
}

#[test]
fn values_keep_what_was_written() {
    let loaded = text(
        "server: {listen: \"0.0.0.0:${PORT}\"}\n\
         lists:\n  numbers: [340282366920938463463374607431768211456, 007, 1e3, 0xFF, true, null]\n",
    );
    let errors = loaded.unwrap_err();
    // `null` is nothing, and that is no item.
    assert_eq!(errors.errors.len(), 1, "{errors}");
    let loaded = text(
        "server: {listen: \"0.0.0.0:${PORT}\"}\n\
         lists:\n  numbers: [340282366920938463463374607431768211456, 007, 1e3, 0xFF, true]\n",
    )
    .unwrap();
    let items = &loaded.config.lists["numbers"].items;
    assert_eq!(items, &["340282366920938463463374607431768211456", "007", "1e3", "0xFF", "true"]);
    assert_eq!(loaded.config.server.listen.port(), 7171);
    assert_eq!(loaded.config.server.anonymous(), Anonymous::None);
}

#[test]
fn numbers_and_switches_may_come_from_variables() {
    let environment = Environment::fixed([("ID", "1"), ("ON", "false"), ("URL", "http://a")]);
    let yaml = "chains: {a: {evm: {rpc: \"${URL}\", chain_id: \"${ID}\", reorg_window: 1_000}}}\n\
                rules: [{id: b, on: evm.block, if: gas_used > 5, enabled: \"${ON}\"}]\n";
    let texts = vec![("a.yaml".to_owned(), yaml.to_owned())];
    let loaded = load_texts(texts, Path::new("."), &environment).unwrap();
    let ChainConfig::Evm(evm) = &loaded.config.chains[&ChainName::new("a")];
    assert_eq!((evm.chain_id, evm.reorg_window), (Some(1), 1_000));
    assert_eq!(loaded.config.rules[0].enabled, Some(false));
}

#[test]
fn a_folder_is_one_config() {
    let (folder, loaded) = folder(&[
        (
            "10-chains.yaml",
            "chains: {a: {evm: {rpc: http://one}}}\nrules: [{id: x, on: evm.block, if: gas_used > 5}]",
        ),
        (
            "20-more.yml",
            "chains: {b: {evm: {rpc: http://two}}}\nrules: [{id: y, on: evm.block, if: gas_used > 5}]",
        ),
        ("30-empty.yaml", "# nothing\n"),
        (".hidden.yaml", "unknown: 1"),
        ("readme.txt", "unknown: 1"),
        ("abi/vault.txt", "event Deposit(uint256 amount)\n"),
        (
            "contracts.yaml",
            "contracts: {vault: {chain: a, address: 0x1111111111111111111111111111111111111111, \
             abi: abi/vault.txt}}",
        ),
    ]);
    let Loaded { config, files, decoder, .. } = loaded.unwrap();
    assert_eq!(config.chains.len(), 2);
    let ids: Vec<&str> = config.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids, ["x", "y"]);
    assert_eq!(decoder.contract_named("vault").unwrap().abi.events().len(), 1);
    let files: Vec<String> = files
        .iter()
        .map(|file| file.strip_prefix(folder.path()).unwrap().display().to_string())
        .collect();
    let expected =
        ["", "10-chains.yaml", "20-more.yml", "30-empty.yaml", "abi/vault.txt", "contracts.yaml"];
    assert_eq!(files, expected);
}

#[test]
fn what_two_files_set_is_told_with_both_places() {
    let (dir, loaded) = folder(&[
        ("a.yaml", "server: {listen: 127.0.0.1:1, data_dir: a}\nroute:\n  receiver: x\n"),
        ("b.yaml", "receivers: {x: {stdout: {}}}\nserver:\n  listen: 127.0.0.1:2\n"),
        ("c.yaml", "route: {receiver: [x]}\n"),
        ("d.yaml", "- a list\n"),
    ]);
    let expected = [
        "b.yaml:3:3 a.yaml:1:10 `server.listen` is set in two files",
        "c.yaml:1:9 a.yaml:3:3 `route.receiver` is set in two files",
        "d.yaml:1:1 a config file is a map of settings",
    ];
    assert_eq!(places(&dir, loaded.unwrap_err()), expected);
}

#[test]
fn all_files_of_a_folder_are_read_even_if_one_is_no_yaml() {
    let (dir, loaded) = folder(&[
        ("a.yaml", "server: [\n"),
        ("b.yaml", "server: {listn: 127.0.0.1:2}\n"),
        ("c.yaml", "rules:\n  - id: x\n    on: evm.block\n    severity: P9\n"),
    ]);
    let places = places(&dir, loaded.unwrap_err());
    assert_eq!(places.len(), 3, "{places:#?}");
    assert!(places[0].starts_with("a.yaml:"), "{places:#?}");
    assert!(places[1].starts_with("b.yaml:1:10 unknown field `listn`"), "{places:#?}");
    assert!(places[2].starts_with("c.yaml:4:15 unknown value `P9`"), "{places:#?}");
}

#[test]
fn missing_and_unreadable_files_are_named() {
    let missing = load(Path::new("no/such/file.yaml"), &environment()).unwrap_err();
    assert!(missing.to_string().contains("cannot use `no/such/file.yaml`"), "{missing}");
    let (dir, loaded) = folder(&[]);
    assert_eq!(loaded.unwrap().warnings.len(), 1);
    let file = dir.path().join("binary.yaml");
    fs::write(&file, b"a: 1\nb: \xff\n").unwrap();
    let error = load(&file, &environment()).unwrap_err().to_string();
    assert!(error.contains("no UTF-8 text: the first bad byte stands in line 2"), "{error}");
    fs::write(&file, vec![b'#'; 5 << 20]).unwrap();
    let error = load(&file, &environment()).unwrap_err().to_string();
    assert!(error.contains("longer than 4 MiB"), "{error}");
}

#[test]
fn anchors_and_merge_keys_spare_repetition() {
    let loaded = text(
        "x-rule: &rule {on: evm.block, if: gas_used > 5, severity: P0, notify: console}\n\
         chains: {a: {evm: {rpc: http://one}}}\n\
         receivers: {console: {stdout: {}}}\n\
         rules:\n  - {<<: *rule, id: one}\n  - {id: two, severity: P3, <<: [*rule]}\n",
    )
    .unwrap();
    let severities: Vec<String> =
        loaded.config.rules.iter().map(|rule| rule.severity.unwrap().to_string()).collect();
    assert_eq!(severities, ["P0", "P3"]);
}

#[test]
fn a_fault_in_one_place_does_not_hide_the_others() {
    let errors = text(
        "chains: {a: {evm: {rpc: http://one}}}\n\
         receivers: {console: {stdout: {}}}\n\
         rules:\n\
         - {id: one, on: evm.block, if: gas_used > 5, severty: P1}\n\
         - {id: two, on: evm.block, if: gas_used > 5, severity: 1}\n\
         - {on: evm.block, if: gas_used > 5}\n\
         - {id: four, on: evm.block, if: gas_used > 5, notify: nobody}\n",
    )
    .unwrap_err();
    let lines: Vec<usize> =
        errors.errors.iter().map(|error| error.at.as_ref().unwrap().line).collect();
    assert_eq!(lines, [4, 5, 6, 7], "{errors}");
    // Indexes count as they are written, although the third rule was left out.
    assert!(errors.errors[3].message.contains("nobody"), "{errors}");
}

#[test]
fn an_endpoint_is_a_config() {
    let loaded = for_rpc_url("http://127.0.0.1:8545").unwrap();
    assert_eq!(loaded.config.chains.len(), 1);
    assert_eq!(loaded.config.route.receiver.0, ["stdout"]);
    // A config made by the program is checked like any other, only without places.
    assert_eq!(compile(loaded.config.clone(), Path::new(".")).unwrap().config, loaded.config);
    let errors = for_rpc_url("ftp://127.0.0.1").unwrap_err();
    assert!(errors.errors[0].key.starts_with("chains.main.evm.rpc"), "{errors}");
    assert_eq!(errors.errors[0].at, None);
}

#[test]
fn secrets_that_cannot_be_read_are_warnings() {
    let loaded = text(
        "chains: {a: {evm: {rpc: [env:WK_NO_URL, {url: http://one, headers: {K: file:no/key}}]}}}\n\
         receivers: {b: {webhook: {url: http://two, secret: env:WK_NO_SECRET}}}\n",
    )
    .unwrap();
    let shown: Vec<String> = loaded
        .warnings
        .iter()
        .map(|warning| {
            let at = warning.at.as_ref().expect("it has a place");
            format!("{}:{} {} {}", at.line, at.column, warning.key, warning.message)
        })
        .collect();
    let expected = [
        "1:26 chains.a.evm.rpc[0] environment variable `WK_NO_URL` is not set",
        "1:72 chains.a.evm.rpc[1].headers.K cannot read the secret file `no/key`",
        "2:52 receivers.b.webhook.secret environment variable `WK_NO_SECRET` is not set",
    ];
    assert_eq!(shown.len(), expected.len(), "{shown:#?}");
    for (shown, expected) in shown.iter().zip(expected) {
        assert!(shown.starts_with(expected), "{shown}, not {expected}");
    }
}

#[test]
fn configs_can_be_compared() {
    let (one, two) = (text(GOOD).unwrap().config, text(GOOD).unwrap().config);
    assert_eq!(one, two);
    let other = text(&GOOD.replace("P1", "P2")).unwrap().config;
    assert_ne!(one.rules, other.rules);
    assert_eq!(one.chains, other.chains);
}

#[test]
fn the_schema_is_the_same_each_time_and_knows_every_section() {
    let one = schema();
    assert_eq!(one, schema());
    assert_eq!(one["$schema"], "http://json-schema.org/draft-07/schema#");
    for section in
        ["server", "chains", "contracts", "lists", "rules", "tests", "receivers", "route"]
    {
        assert!(one["properties"][section].is_object(), "{section}");
    }
    // Editors show the description where the cursor stands.
    assert!(one["definitions"]["RuleConfig"]["properties"]["if"]["description"].is_string());
}
