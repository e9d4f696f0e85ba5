//! The keys that several kinds of rules share, and which keys belong together.

use wk_model::{HumanDuration, Problem, Secret};

use super::Compiler;
use super::names::Names;
use crate::cel::{CompileError, Program, Type};
use crate::config::{RuleConfig, Trigger, WindowConfig};
use crate::names::shorten;
use crate::rule::{Http, HttpProbe, Needs, Target, Window};
use crate::template::Template;
use crate::variables::Stat;
use crate::view::Slot;

/// How many keys a window remembers unless told otherwise.
const MAX_KEYS: u32 = 100_000;

/// A key, whether it is set, and the triggers that it belongs to.
type Belongs = (&'static str, bool, &'static [Trigger]);

/// The keys that do not belong to every trigger.
fn special_keys(config: &RuleConfig) -> Vec<Belongs> {
    use Trigger::{EvmBlock, EvmEvent, EvmPending, EvmState, EvmTx, Http};
    const EVM: &[Trigger] = &[EvmBlock, EvmTx, EvmEvent, EvmState, EvmPending];
    const IN_BLOCKS: &[Trigger] = &[EvmBlock, EvmTx, EvmEvent, EvmState];
    vec![
        ("chain", !config.chain.is_empty(), EVM),
        ("watch", !config.watch.is_empty(), &[EvmTx, EvmEvent, EvmState, EvmPending]),
        ("event", !config.event.is_empty(), &[EvmEvent]),
        ("function", !config.function.is_empty(), &[EvmTx, EvmPending]),
        ("window", config.window.is_some(), IN_BLOCKS),
        ("absent", config.absent.is_some(), &[EvmBlock, EvmTx, EvmEvent]),
        ("every", config.every.is_some(), &[EvmBlock, EvmState]),
        ("read", config.read.is_some(), &[EvmState]),
        ("reads", !config.reads.is_empty(), &[EvmState]),
        ("url", config.url.is_some(), &[Http]),
        ("method", config.method.is_some(), &[Http]),
        ("headers", !config.headers.is_empty(), &[Http]),
        ("body", config.body.is_some(), &[Http]),
        ("expect", config.expect.is_some(), &[Http]),
        ("interval", config.interval.is_some(), &[Http]),
        ("timeout", config.timeout.is_some(), &[Http]),
        ("for", config.hold.is_some(), &[Http]),
        ("deliver", config.deliver.is_some(), IN_BLOCKS),
    ]
}

/// What can be said of a key in the wrong place, beyond where it belongs.
fn special_hint(key: &str, trigger: Trigger) -> Option<&'static str> {
    match (key, trigger) {
        ("deliver", Trigger::Http) => Some("A probe has no block that could settle. Leave it out."),
        ("deliver", Trigger::EvmPending) => {
            Some("A pending transaction has no block that could settle. Leave it out.")
        }
        ("for", _) => Some(
            "It is for http. Over blocks, write a window, such as \
             `window: {over: 10 blocks, when: count >= 10}`.",
        ),
        ("watch", Trigger::EvmBlock) => Some("A block has no contract. Use evm.event or evm.tx."),
        _ => None,
    }
}

impl Compiler<'_> {
    pub(super) fn id(&mut self) {
        let id = &self.config.id;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.is_empty() || id.len() > 100 || !id.chars().all(fits) {
            let problem = Problem::new("id", format!("`{}` cannot be a rule's id", shorten(id)));
            self.problem(problem.hint("Use up to 100 letters, digits, `-`, `_` and `.`."));
        }
    }

    /// The trigger that `on` says or another key implies.
    pub(super) fn trigger(&mut self) -> Option<Trigger> {
        let config = self.config;
        if let Some(trigger) = config.on {
            return Some(trigger);
        }
        let implied = [
            (!config.event.is_empty(), Trigger::EvmEvent),
            (!config.function.is_empty(), Trigger::EvmTx),
            (config.read.is_some() || !config.reads.is_empty(), Trigger::EvmState),
            (config.url.is_some(), Trigger::Http),
        ];
        let found = implied.into_iter().find(|(is_said, _)| *is_said).map(|(_, trigger)| trigger);
        if found.is_none() {
            let names: Vec<&str> = Trigger::ALL.iter().map(|trigger| trigger.name()).collect();
            self.problem(
                Problem::new("on", "`on` is missing: what makes the rule look?").hint(format!(
                    "Write `on` with one of {}; or name an `event`.",
                    names.join(", ")
                )),
            );
        }
        found
    }

    /// Keys that belong to other triggers.
    pub(super) fn misplaced(&mut self, trigger: Trigger) {
        for (key, is_set, triggers) in special_keys(self.config) {
            if !is_set || triggers.contains(&trigger) {
                continue;
            }
            let names: Vec<&str> = triggers.iter().map(|trigger| trigger.name()).collect();
            let hint = special_hint(key, trigger)
                .map_or_else(|| format!("It belongs to {}.", names.join(", ")), ToOwned::to_owned);
            let message = format!("`{key}` does not belong to an {trigger} rule");
            self.problem(Problem::new(key, message).hint(hint));
        }
    }

    /// Keys that cannot stand together, or need one another.
    pub(super) fn contradictions(&mut self, trigger: Trigger) {
        let config = self.config;
        if config.window.is_some() && config.absent.is_some() {
            self.problem(
                Problem::new("absent", "`absent` and `window` cannot be in one rule")
                    .hint("Make two rules: one for too many, one for silence."),
            );
        }
        if config.absent.is_some_and(|absent| absent.0.is_zero()) {
            self.problem(Problem::new("absent", "a silence must be longer than zero"));
        }
        let has_filter = match trigger {
            Trigger::EvmBlock => config.condition.is_some() || config.window.is_some(),
            Trigger::EvmTx | Trigger::EvmPending => {
                config.condition.is_some()
                    || !config.watch.is_empty()
                    || !config.function.is_empty()
            }
            Trigger::EvmEvent => {
                config.condition.is_some() || !config.watch.is_empty() || !config.event.is_empty()
            }
            Trigger::EvmState | Trigger::Http => true,
        };
        if !has_filter {
            let (what, hint) = match trigger {
                Trigger::EvmBlock => ("block", "Say with `if` which blocks matter."),
                Trigger::EvmEvent => {
                    ("event", "Say with `watch`, `event` or `if` which events matter.")
                }
                _ => ("transaction", "Say with `watch`, `function` or `if` which ones matter."),
            };
            self.problem(
                Problem::new("", format!("the rule would fire on every {what}")).hint(hint),
            );
        }
        match (trigger, &config.read, config.reads.is_empty()) {
            (Trigger::EvmState, None, true) => self.problem(
                Problem::new("read", "an evm.state rule needs something to read").hint(
                    "For example `read: {call: \"function totalSupply() returns (uint256)\"}`.",
                ),
            ),
            (Trigger::EvmState, Some(_), false) => self.problem(
                Problem::new("reads", "`read` and `reads` cannot be in one rule")
                    .hint("Put the single read among `reads`, under a name."),
            ),
            _ => {}
        }
        if trigger == Trigger::Http && config.url.is_none() {
            self.problem(
                Problem::new("url", "an http rule needs the `url` to probe")
                    .hint("For example `url: https://app.example.org/health`."),
            );
        }
        if trigger == Trigger::Http && config.expect.is_some() && config.condition.is_some() {
            self.problem(
                Problem::new("if", "`expect` and `if` cannot be in one rule")
                    .hint("`expect` says what must hold, `if` what must not; keep one."),
            );
        }
    }

    pub(super) fn refused(&mut self, path: &str, error: CompileError) {
        let unknown = error.message.strip_prefix("unknown name `");
        let unknown = unknown.and_then(|rest| rest.strip_suffix('`'));
        let partial = self.partial.iter().find(|(name, _)| unknown == Some(name));
        let partial = partial.map(|(name, item)| {
            format!(
                "Only `{item}` has `{name}`, and a rule sees what all that it names have; make it a \
                 rule of its own."
            )
        });
        let mut problem = Problem::new(path, error.message).at(error.offset, error.len);
        problem.hint = partial.or(error.hint.map(|hint| sentence(&hint)));
        self.problem(problem);
    }

    /// A condition at `path`.
    pub(super) fn condition(&mut self, path: &str, text: &str, names: &Names) -> Option<Program> {
        let compiled = Program::condition(text, &names.env);
        compiled.map_err(|error| self.refused(path, error)).ok()
    }

    fn value(&mut self, path: &str, text: &str, names: &Names) -> Option<Program> {
        let compiled = Program::compile(text, &names.env);
        compiled.map_err(|error| self.refused(path, error)).ok()
    }

    /// The window, and the names that `when` and `title` may use with it.
    pub(super) fn window(&mut self, names: &Names) -> (Option<Window>, Option<Names>) {
        let Some(config) = &self.config.window else { return (None, None) };
        let WindowConfig { by, over, value, when, max_keys } = config;
        let by = by.as_deref().map(|text| self.value("window.by", text, names));
        let value_text = value.as_deref();
        let value = value_text.map(|text| self.value("window.value", text, names));
        if let (Some(Some(program)), Some(text)) = (&value, value_text)
            && *program.output().required() == Type::Int
            && program.output().is_optional()
        {
            let problem = Problem::new("window.value", "the number may be null here");
            self.problem(problem.hint(format!("Give it a default: `({text}).orValue(0)`.")));
        }
        if *max_keys == Some(0) {
            self.problem(Problem::new("window.max_keys", "at least one key must be remembered"));
        }
        let adds_up =
            value.iter().flatten().any(|program| *program.output().required() == Type::Int);
        let stats = names.with_window(adds_up, value.is_some());
        let compiled = Program::condition(when, &stats.env);
        let program = match compiled {
            Ok(program) => program,
            Err(error) => {
                self.refused("window.when", with_value_hint(when, error, value_text.is_some()));
                return (None, Some(stats));
            }
        };
        // A part that was refused has been told; the window is then not built.
        if matches!(by, Some(None)) || matches!(value, Some(None)) {
            return (None, Some(stats));
        }
        let is_pure = stats.slots_of(&program).all(|slot| {
            matches!(slot, Slot::Stat(_) | Slot::Constant | Slot::Chain | Slot::Finality)
        });
        let window = Window {
            by: by.flatten(),
            span: *over,
            value: value.flatten(),
            needs: needs(&stats, &program),
            when: program,
            is_pure,
            max_keys: usize::try_from(max_keys.unwrap_or(MAX_KEYS)).unwrap_or(usize::MAX),
        };
        (Some(window), Some(stats))
    }

    pub(super) fn title(&mut self, names: &Names) -> Option<Template> {
        let text = self.config.title.as_deref()?;
        match Template::compile(text, &names.env) {
            Ok(template) => Some(template),
            Err(errors) => {
                errors.into_iter().for_each(|error| self.refused("title", error));
                None
            }
        }
    }

    /// The probe of an `http` rule.
    pub(super) fn probe(&mut self, names: &Names) -> Option<Target> {
        let config = self.config;
        let url = config.url.clone()?;
        if let Secret::Literal(text) = &url
            && !["http://", "https://"]
                .iter()
                .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
        {
            self.problem(
                Problem::new("url", "a URL begins with http:// or https://")
                    .hint("Write it in full, such as https://app.example.org/health."),
            );
        }
        let interval = config.interval.unwrap_or(HumanDuration::seconds(30));
        let timeout = config.timeout.unwrap_or(HumanDuration::seconds(10)).min(interval);
        for (key, said) in [("interval", config.interval), ("timeout", config.timeout)] {
            if said.is_some_and(|duration| duration.0.is_zero()) {
                self.problem(Problem::new(key, format!("`{key}` must be longer than zero")));
            }
        }
        let standard = "status >= 200 && status < 400";
        let expect = match (&config.expect, &config.condition) {
            (Some(text), _) => Some(self.condition("expect", text, names)?),
            (None, None) => Some(self.condition("expect", standard, names)?),
            (None, Some(_)) => None,
        };
        let probe = HttpProbe {
            rule: config.id.clone(),
            url,
            method: config.method.unwrap_or_default(),
            headers: config.headers.clone(),
            body: config.body.clone(),
            interval,
            timeout,
        };
        let hold = config.hold.unwrap_or_default().0;
        Some(Target::Http(Box::new(Http { probe, expect, hold })))
    }
}

impl Window {
    /// The window, adding up what the title shows too.
    pub(super) fn with_needs_of(mut self, title: Option<&Template>, names: &Names) -> Window {
        for program in title.into_iter().flat_map(Template::programs) {
            let more = needs(names, program);
            self.needs.sum |= more.sum;
            self.needs.extremes |= more.extremes;
            self.needs.distinct |= more.distinct;
        }
        self
    }
}

fn needs(names: &Names, program: &Program) -> Needs {
    let mut needs = Needs::default();
    for slot in names.slots_of(program) {
        match slot {
            Slot::Stat(Stat::Sum) => needs.sum = true,
            Slot::Stat(Stat::Min | Stat::Max) => needs.extremes = true,
            Slot::Stat(Stat::Distinct) => needs.distinct = true,
            _ => {}
        }
    }
    needs
}

/// A sum without something to add up is a common slip.
fn with_value_hint(text: &str, mut error: CompileError, has_value: bool) -> CompileError {
    let name = text.get(error.offset..error.offset + error.len).unwrap_or_default();
    if matches!(name, "sum" | "min" | "max" | "distinct") {
        error.hint = Some(if has_value {
            "`window.value` has to be an int for this.".to_owned()
        } else {
            format!("Say with `window.value` what `{name}` is of, such as `value: amount`.")
        });
    }
    error
}

/// A hint as full sentences: a question, and what follows it.
fn sentence(hint: &str) -> String {
    if let Some((question, rest)) = hint.split_once("? ") {
        return format!("{}? {}", capital(question), sentence(rest));
    }
    let mut sentence = capital(hint);
    if !sentence.is_empty() && !sentence.ends_with(['.', '?', '!']) {
        sentence.push(if sentence.starts_with("Did you mean") { '?' } else { '.' });
    }
    sentence
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
