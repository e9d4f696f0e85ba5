//! Reads an ABI in whatever form people have it: artefact, plain JSON, explorer's answer, or text.

use std::borrow::Cow;

use alloy_dyn_abi::DynSolType;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::shortened;
use super::human::{self, Line, Wanted};
use super::item::{CustomError, Event, Function, ParamSpec};
use super::{Abi, AbiError, MAX_DEPTH, MAX_ITEMS, MAX_PARAMS, MAX_TEXT};

/// Reads an ABI; the form is recognised.
///
/// Known forms: artefacts of Foundry, Hardhat and Truffle, a plain JSON array, the answers of
/// Etherscan and its likes to `getabi` and `getsourcecode`, Sourcify and compiler metadata, a JSON
/// array of signatures, and signatures line by line.
pub fn parse_abi(text: &str) -> Result<Abi, AbiError> {
    if text.len() > MAX_TEXT {
        return Err(AbiError::new(format!(
            "it is {} MiB long, and at most {} MiB are read",
            text.len() >> 20,
            MAX_TEXT >> 20
        ))
        .hint("Take the `abi` part alone out of the file."));
    }
    parse_form(text, 0)
}

/// A form may wrap another, as a string in JSON does; `wrapped` counts how often that was so.
fn parse_form(text: &str, wrapped: usize) -> Result<Abi, AbiError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if wrapped > 3 {
        return Err(AbiError::new("JSON is wrapped in strings too often"));
    }
    match text.bytes().next() {
        None => Err(AbiError::new("it is empty").hint(FORMS)),
        Some(b'[') => parse_array(text),
        Some(b'{') => parse_object(text, wrapped),
        Some(b'"') => {
            let inner: String = serde_json::from_str(text).map_err(not_json)?;
            parse_form(&inner, wrapped + 1)
        }
        Some(b'<') => Err(AbiError::new("it is a web page, not an ABI")
            .hint("Download the answer of the explorer's API, or copy the ABI from its page.")),
        Some(_) => parse_lines(text),
    }
}

const FORMS: &str = "Give a Foundry, Hardhat or Truffle artefact, an ABI as JSON, a saved \
                     Etherscan answer, or signatures line by line.";

/// The parts of the known JSON objects that matter; all others are skipped unread.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    abi: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    contracts: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
}

fn parse_object(text: &str, wrapped: usize) -> Result<Abi, AbiError> {
    let object: Object<'_> = serde_json::from_str(text).map_err(not_json)?;
    if let Some(abi) = object.abi {
        return match abi.get().bytes().next() {
            Some(b'[') => parse_array(abi.get()),
            Some(b'"') => parse_form(abi.get(), wrapped + 1),
            _ => Err(AbiError::new("its `abi` is no array").hint(FORMS)),
        };
    }
    if let Some(result) = object.result {
        return parse_explorer(object.status, result, wrapped);
    }
    if let Some(output) = object.output {
        // Compiler metadata.
        return parse_form(output.get(), wrapped + 1);
    }
    if object.contracts.is_some() {
        return Err(AbiError::new("it is a compiler's output for many contracts")
            .hint("Give the artefact of one contract, such as out/Vault.sol/Vault.json."));
    }
    if object.kind.is_some() {
        let mut abi = Abi::default();
        add_item(&mut abi, 0, text)?;
        return Ok(abi);
    }
    Err(AbiError::new("this JSON has no `abi`").hint(FORMS))
}

/// An answer of Etherscan, Blockscout or Routescan.
fn parse_explorer(
    status: Option<&RawValue>,
    result: &RawValue,
    wrapped: usize,
) -> Result<Abi, AbiError> {
    /// One entry of `getsourcecode`.
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Source<'a> {
        #[serde(rename = "ABI", borrow)]
        abi: Cow<'a, str>,
    }

    let ok = status.is_none_or(|status| status.get().trim_matches('"') == "1");
    if let Ok(text) = serde_json::from_str::<String>(result.get()) {
        return if ok && text.trim_start().starts_with(['[', '{']) {
            parse_form(&text, wrapped + 1)
        } else {
            Err(refused(&text))
        };
    }
    if let Ok(sources) = serde_json::from_str::<Vec<Source<'_>>>(result.get())
        && let Some(source) = sources.first()
    {
        return if source.abi.trim_start().starts_with('[') {
            parse_form(&source.abi, wrapped + 1)
        } else {
            Err(refused(&source.abi))
        };
    }
    if result.get().starts_with('[') {
        return parse_array(result.get());
    }
    Err(AbiError::new("the explorer's answer has no ABI in `result`").hint(FORMS))
}

/// The explorer's own words, with what to do about it.
fn refused(said: &str) -> AbiError {
    let lower = said.to_lowercase();
    let hint = if lower.contains("not verified") {
        "Verify the contract's source there, or use the ABI of your own build."
    } else if lower.contains("rate limit") {
        "Ask again later, and save the answer then."
    } else if lower.contains("api key") || lower.contains("apikey") {
        "Ask again with a valid API key, and save the answer then."
    } else {
        "Ask the explorer again, and save the answer then."
    };
    AbiError::new(format!("the explorer answered an error: {}", shortened(said))).hint(hint)
}

fn parse_array(text: &str) -> Result<Abi, AbiError> {
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(not_json)?;
    if items.len() > MAX_ITEMS {
        return Err(too_many(items.len()));
    }
    let mut abi = Abi::default();
    for (index, item) in items.into_iter().enumerate() {
        add_item(&mut abi, index, item.get())?;
    }
    Ok(abi)
}

fn parse_lines(text: &str) -> Result<Abi, AbiError> {
    let mut abi = Abi::default();
    let mut rest = text;
    while let Some((statement, offset, after)) = next_statement(text, rest) {
        rest = after;
        if statement.is_empty() {
            continue;
        }
        let line = human::parse_line(statement, Wanted::Any).map_err(|mut error| {
            if let Some((at, _)) = &mut error.span {
                *at += offset;
            }
            if abi.is_empty() && !statement.contains('(') {
                error = error.hint(FORMS);
            }
            error
        })?;
        add_line(&mut abi, line);
        if abi.len() > MAX_ITEMS {
            return Err(too_many(abi.len()));
        }
    }
    if abi.is_empty() {
        return Err(AbiError::new("it has no event, function or error").hint(FORMS));
    }
    Ok(abi)
}

/// The next signature of `rest`, where it begins in `text`, and what follows it. A signature ends
/// at `;` or at the end of a line outside parentheses; comments are `//` to the end of the line.
fn next_statement<'a>(text: &'a str, rest: &'a str) -> Option<(&'a str, usize, &'a str)> {
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';' || c == ',');
    if rest.is_empty() {
        return None;
    }
    let offset = text.len() - rest.len();
    if rest.starts_with("//") {
        let end = rest.find('\n').unwrap_or(rest.len());
        return Some(("", offset, &rest[end..]));
    }
    let mut depth = 0usize;
    for (at, c) in rest.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ';' => return Some((rest[..at].trim_end(), offset, &rest[at + 1..])),
            '\n' if depth == 0 => return Some((rest[..at].trim_end(), offset, &rest[at..])),
            '/' if depth == 0 && rest[at..].starts_with("//") => {
                return Some((rest[..at].trim_end(), offset, &rest[at..]));
            }
            _ => {}
        }
    }
    Some((rest.trim_end(), offset, ""))
}

fn add_line(abi: &mut Abi, line: Line) {
    match line {
        Line::Event(event) => abi.add_event(event),
        Line::Function(function) => abi.add_function(function),
        Line::Error(error) => abi.add_error(error),
        Line::Ignored => {}
    }
}

/// One item of a JSON ABI.
#[derive(Deserialize)]
struct JsonItem<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    inputs: Vec<JsonParam<'a>>,
    #[serde(borrow, default)]
    outputs: Vec<JsonParam<'a>>,
    #[serde(default)]
    anonymous: bool,
}

/// A parameter of an item, or a field of a tuple.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonParam<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(default)]
    indexed: bool,
    #[serde(borrow, default)]
    components: Vec<JsonParam<'a>>,
    #[serde(borrow, default)]
    internal_type: Option<Cow<'a, str>>,
}

fn add_item(abi: &mut Abi, index: usize, text: &str) -> Result<(), AbiError> {
    if text.starts_with('"') {
        let signature: String = serde_json::from_str(text).map_err(not_json)?;
        let line = human::parse_line(&signature, Wanted::Any).map_err(|mut error| {
            error.span = None;
            error
        })?;
        add_line(abi, line);
        return Ok(());
    }
    let item: JsonItem<'_> = serde_json::from_str(text).map_err(|error| {
        AbiError::new(format!("it is no item of an ABI: {}", plain(&error)))
            .hint("An item has `type`, `name` and `inputs`.")
            .of(format!("item {index}"))
    })?;
    let kind = item.kind.as_deref().unwrap_or("function");
    let label = match &item.name {
        Some(name) => format!("{kind} {name}"),
        None => format!("item {index} ({kind})"),
    };
    add_json(abi, kind, &item).map_err(|error| error.of(label))
}

fn add_json(abi: &mut Abi, kind: &str, item: &JsonItem<'_>) -> Result<(), AbiError> {
    match kind {
        "constructor" | "fallback" | "receive" => return Ok(()),
        "event" | "function" | "error" => {}
        other => {
            return Err(AbiError::new(format!("`{}` is no type of an item", shortened(other)))
                .hint("Types are event, function, error, constructor, fallback and receive."));
        }
    }
    let name = item.name.as_deref().unwrap_or_default();
    let valid = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$'));
    if name.is_empty() || !valid || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(AbiError::new(format!("`{}` is no name", shortened(name))));
    }
    let mut budget = MAX_PARAMS;
    let inputs = specs(&item.inputs, 0, &mut budget)?;
    match kind {
        "event" => abi.add_event(Event::new(name, inputs, item.anonymous).map_err(AbiError::new)?),
        "error" => abi.add_error(CustomError::new(name, inputs)),
        _ => {
            let outputs = specs(&item.outputs, 0, &mut budget)?;
            abi.add_function(Function::new(name, inputs, outputs));
        }
    }
    Ok(())
}

fn specs(
    params: &[JsonParam<'_>],
    depth: usize,
    budget: &mut usize,
) -> Result<Vec<ParamSpec>, AbiError> {
    params.iter().enumerate().map(|(index, param)| spec(param, index, depth, budget)).collect()
}

fn spec(
    param: &JsonParam<'_>,
    index: usize,
    depth: usize,
    budget: &mut usize,
) -> Result<ParamSpec, AbiError> {
    *budget = budget
        .checked_sub(1)
        .ok_or_else(|| AbiError::new(format!("there are more than {MAX_PARAMS} parameters")))?;
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    let name: std::sync::Arc<str> = match param.name.as_deref() {
        None | Some("") => format!("arg{index}").into(),
        Some(name) => name.into(),
    };
    let (kind, fields) = kind(param, depth, budget).map_err(|mut error| {
        error.message = format!("parameter `{}`: {}", shortened(&name), error.message);
        error
    })?;
    if depth == 0 && kind.nesting_depth() > MAX_DEPTH {
        return Err(too_deep());
    }
    Ok(ParamSpec { name, kind, indexed: param.indexed, fields })
}

fn kind(
    param: &JsonParam<'_>,
    depth: usize,
    budget: &mut usize,
) -> Result<(DynSolType, Vec<ParamSpec>), AbiError> {
    let text = param.kind.trim();
    let Some(arrays) = text.strip_prefix("tuple") else {
        return match human::parse_kind(text) {
            Ok(kind) => Ok(kind),
            Err(mut error) => {
                error.span = None;
                library_kind(text, param.internal_type.as_deref()).ok_or(error)
            }
        };
    };
    let fields = specs(&param.components, depth + 1, budget)?;
    if fields.is_empty() {
        return Err(AbiError::new("it is a tuple without `components`"));
    }
    let tuple = DynSolType::Tuple(fields.iter().map(|field| field.kind.clone()).collect());
    Ok((human::wrap(tuple, arrays)?, fields))
}

/// Libraries' ABIs name enums and contracts where others say `uint8` and `address`.
fn library_kind(text: &str, internal: Option<&str>) -> Option<(DynSolType, Vec<ParamSpec>)> {
    let stem = match internal?.split_whitespace().next()? {
        "enum" => DynSolType::Uint(8),
        "contract" => DynSolType::Address,
        _ => return None,
    };
    let arrays = text.find('[').map_or("", |at| &text[at..]);
    Some((human::wrap(stem, arrays).ok()?, Vec::new()))
}

fn too_many(found: usize) -> AbiError {
    AbiError::new(format!("it has {found} items, and at most {MAX_ITEMS} are read"))
}

fn too_deep() -> AbiError {
    AbiError::new(format!("a type is nested deeper than {MAX_DEPTH} levels"))
}

fn not_json(error: serde_json::Error) -> AbiError {
    let place = match (error.line(), error.column()) {
        (0, _) => String::new(),
        (line, column) => format!(" at line {line}, column {column}"),
    };
    let hint = if error.is_eof() { "The file seems to be cut off." } else { FORMS };
    AbiError::new(format!("it is not valid JSON{place}: {}", plain(&error))).hint(hint)
}

/// The parser's message without its own place.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    shortened(&text[..end])
}
