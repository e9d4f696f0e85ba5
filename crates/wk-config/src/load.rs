//! From files to a config that can be used, or to everything that is wrong with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wk_chain::abi::Decoder;
use wk_model::Secret;
use wk_rules::RuleSet;

use crate::check::{Found, Names, check};
use crate::config::Config;
use crate::de;
use crate::diagnostic::{ConfigErrors, Diagnostic, diagnose};
use crate::fault::{Fault, FaultSeverity, Faults};
use crate::homes::homes;
use crate::interpolate::Environment;
use crate::merge::merge;
use crate::path::{Dropped, is_unresolved, locate, place_of};
use crate::sources::{Sources, folder, read};
use crate::tree::{Node, Value};
use crate::yaml::Reader;

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "watchkeeper.yaml";

/// A config that was found good, and what was made of it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings. Receivers that follow from defaults are written out.
    pub config: Config,
    /// The rules, compiled.
    pub rules: RuleSet,
    /// The rules' tests, ready to run.
    pub tests: Arc<[wk_rules::Test]>,
    /// Knows the contracts and their ABIs.
    pub decoder: Decoder,
    /// Folder that relative paths in the config count from.
    pub base: PathBuf,
    /// What was read: config files (of a folder also the folder itself), ABIs, lists. A change of
    /// any of them can change the config.
    pub files: Vec<PathBuf>,
    /// What is strange, but no reason to refuse the config.
    pub warnings: Vec<Diagnostic>,
}

/// Where the config is: `given`, else `watchkeeper.yaml` in the current folder if there is one.
/// None means that there is no config, and the defaults count.
pub fn find(given: Option<&Path>) -> Option<PathBuf> {
    match given {
        Some(path) => Some(path.to_owned()),
        None => Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()),
    }
}

/// Reads a config file, or all `*.yaml` and `*.yml` files of a folder in name order: maps merge,
/// lists append, and what two files set is an error.
pub fn load(path: &Path, environment: &Environment) -> Result<Loaded, ConfigErrors> {
    let mut files = vec![path.to_owned()];
    let mut faults = Faults::default();
    let mut texts = Vec::new();
    let is_folder = path.is_dir();
    if is_folder {
        match folder(path) {
            Ok(found) => files.extend(found),
            Err(error) => faults.push(
                Fault::nowhere(format!("cannot read the folder `{}`: {error}", path.display()))
                    .hint("Name a file, or a folder that can be read."),
            ),
        }
        if files.len() == 1 && !faults.has_errors() {
            faults.push(
                Fault::nowhere(format!("`{}` holds no *.yaml file", path.display()))
                    .hint("Everything has its default. Is it the right folder?")
                    .warning(),
            );
        }
    }
    for file in &files[usize::from(is_folder)..] {
        match read(file) {
            Ok(text) => texts.push((file.display().to_string(), text)),
            Err(error) => faults.push(
                Fault::nowhere(format!("cannot use `{}`: {error}", file.display()))
                    .hint("Name a YAML file by `--config FILE`, or a folder of them."),
            ),
        }
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let base = if is_folder { path } else { parent.unwrap_or(Path::new(".")) };
    build(texts, base, files, faults, environment)
}

/// Reads a config from texts with the names of their files. Relative paths in it count from `base`.
pub fn load_texts(
    texts: Vec<(String, String)>,
    base: &Path,
    environment: &Environment,
) -> Result<Loaded, ConfigErrors> {
    build(texts, base, Vec::new(), Faults::default(), environment)
}

/// Reads a config from one text that has no file. Relative paths in it count from the current
/// folder.
pub fn load_text(text: &str, environment: &Environment) -> Result<Loaded, ConfigErrors> {
    load_texts(vec![("config".to_owned(), text.to_owned())], Path::new("."), environment)
}

/// A config that watches the chain behind one endpoint, as `main`, and prints what it finds.
/// `url` may be a reference, such as `env:RPC_URL`.
pub fn for_rpc_url(url: &str) -> Result<Loaded, ConfigErrors> {
    compile(Config::for_rpc_url(Secret::parse(url)), Path::new("."))
}

/// Checks a config that was made by the program itself, such as that of the demo, and compiles it.
/// Its faults have keys, but no places.
pub fn compile(config: Config, base: &Path) -> Result<Loaded, ConfigErrors> {
    let tree = Tree::default();
    let names = Names::of(&config);
    finish(config, names, base, Vec::new(), Faults::default(), &tree)
}

/// What was read, as far as it is needed to say where something is.
#[derive(Default)]
struct Tree {
    sources: Sources,
    root: Option<Node>,
    dropped: Dropped,
    unresolved: Dropped,
}

fn build(
    texts: Vec<(String, String)>,
    base: &Path,
    files: Vec<PathBuf>,
    faults: Faults,
    environment: &Environment,
) -> Result<Loaded, ConfigErrors> {
    let mut tree = Tree::default();
    let mut reader = Reader::new(environment);
    reader.faults = faults;
    for (shown, text) in texts {
        let file = tree.sources.add(shown, text);
        let node = reader.read(file, tree.sources.text(file));
        let Some(node) = node.filter(|node| !node.is_null()) else { continue };
        match &mut tree.root {
            None => tree.root = Some(node),
            Some(root) => merge(root, node, "", &mut reader.faults),
        }
    }
    let mut faults = reader.faults;
    tree.unresolved = reader.unresolved;
    if let Some(Node { value: Value::Map(entries), .. }) = &mut tree.root {
        // A place for anchors.
        entries.retain(|entry| !entry.key.starts_with("x-"));
    }
    let Tree { root, dropped, unresolved, .. } = &mut tree;
    let config = match root {
        None => Some(Config::default()),
        Some(root) => de::read::<Config>(root, dropped, unresolved, &mut faults, homes),
    };
    let Some(config) = config else {
        return Err(ConfigErrors::new(faults, &tree.sources, files));
    };
    let names = written_names(&config, &tree);
    finish(config, names, base, files, faults, &tree)
}

fn finish(
    config: Config,
    names: Names,
    base: &Path,
    mut files: Vec<PathBuf>,
    mut faults: Faults,
    tree: &Tree,
) -> Result<Loaded, ConfigErrors> {
    let Tree { sources, root, dropped, unresolved } = tree;
    let checked = check(&config, names, base);
    for Found { problem, severity, related } in checked.findings {
        if faults.is_full() {
            // Looking for the places of thousands takes time, and nobody reads them.
            faults.more += usize::from(severity == FaultSeverity::Error);
            continue;
        }
        let told = |root| is_unresolved(&problem.path, root, dropped, unresolved);
        if root.as_ref().is_some_and(told) {
            continue;
        }
        let fault = locate(problem, root.as_ref(), dropped, sources);
        let related = related.and_then(|(what, path)| {
            Some((what.to_owned(), place_of(&path, root.as_ref()?, dropped)))
        });
        faults.push(Fault { severity, related, ..fault });
    }
    files.extend(checked.files);
    files.sort();
    files.dedup();
    let (Some(decoder), Some(rules), false) = (checked.decoder, checked.rules, faults.has_errors())
    else {
        return Err(ConfigErrors::new(faults, sources, files));
    };
    Ok(Loaded {
        config: config.complete(),
        rules,
        tests: checked.tests.into(),
        decoder,
        base: base.to_owned(),
        files,
        warnings: diagnose(faults, sources),
    })
}

/// All names in the config, those of entries that were left out too.
fn written_names(config: &Config, tree: &Tree) -> Names {
    let mut names = Names::of(config);
    let Some(root) = &tree.root else { return names };
    let section = |key: &str| root.entry(key).map_or(&[][..], |entry| entry.value.entries());
    let keys = |key: &str| section(key).iter().map(|entry| entry.key.clone());
    names.chains.extend(keys("chains"));
    names.contracts.extend(keys("contracts"));
    names.lists.extend(keys("lists"));
    names.receivers.extend(keys("receivers"));
    let list = |key: &str| match root.entry(key).map(|entry| &entry.value.value) {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    let ids = list("rules").iter().filter_map(|rule| rule.entry("id"));
    names.rules.extend(ids.filter_map(|id| match &id.value.value {
        Value::Scalar(scalar) => Some(scalar.text.clone()),
        Value::List(_) | Value::Map(_) => None,
    }));
    let is_broken = |node: &Node| has_any(node, &tree.dropped) || has_any(node, &tree.unresolved);
    for part in ["chains", "contracts", "lists", "receivers"] {
        let broken = section(part).iter().filter(|entry| is_broken(&entry.value));
        names.broken.extend(broken.map(|entry| format!("{part}.{}", entry.key)));
    }
    for part in ["rules", "tests"] {
        // Counted as in the typed config, which lacks what was left out as a whole.
        let kept = list(part).iter().filter(|item| !tree.dropped.contains(&item.id)).enumerate();
        let broken = kept.filter(|(_, item)| is_broken(item));
        names.broken.extend(broken.map(|(index, _)| format!("{part}[{index}]")));
    }
    names
}

/// Whether `node` or something in it is one of `ids`.
fn has_any(node: &Node, ids: &Dropped) -> bool {
    ids.contains(&node.id)
        || match &node.value {
            Value::Scalar(_) => false,
            Value::List(items) => items.iter().any(|item| has_any(item, ids)),
            Value::Map(entries) => entries.iter().any(|entry| has_any(&entry.value, ids)),
        }
}
