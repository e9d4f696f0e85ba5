//! Signatures as people write them: `event Transfer(address indexed from, address to, uint256 v)`.

use alloy_dyn_abi::DynSolType;

use super::item::{CustomError, Event, Function, ParamSpec};
use super::{AbiError, MAX_DEPTH, MAX_PARAMS};

/// One line of a human-readable ABI.
#[derive(Debug)]
pub(super) enum Line {
    Event(Event),
    Function(Function),
    Error(CustomError),
    /// A constructor, `receive` or `fallback`: nothing that a log or call is decoded with.
    Ignored,
}

/// What a signature is, where its text does not say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Event,
    Function,
    Error,
    /// To be guessed: `indexed` makes an event, as does a capital first letter.
    Any,
}

impl Event {
    /// Reads `event Transfer(address indexed from, address indexed to, uint256 value)`; the
    /// keyword may be left out. Errors carry the place in the text.
    pub fn parse(text: &str) -> Result<Event, AbiError> {
        match parse_line(text, Wanted::Event)? {
            Line::Event(event) => Ok(event),
            Line::Function(_) | Line::Error(_) | Line::Ignored => Err(not_a("event", text)),
        }
    }
}

impl Function {
    /// Reads `function balanceOf(address owner) view returns (uint256)`; the keyword may be left
    /// out. Errors carry the place in the text.
    pub fn parse(text: &str) -> Result<Function, AbiError> {
        match parse_line(text, Wanted::Function)? {
            Line::Function(function) => Ok(function),
            Line::Event(_) | Line::Error(_) | Line::Ignored => Err(not_a("function", text)),
        }
    }
}

impl CustomError {
    /// Reads `error InsufficientBalance(uint256 available, uint256 required)`; the keyword may be
    /// left out. Errors carry the place in the text.
    pub fn parse(text: &str) -> Result<CustomError, AbiError> {
        match parse_line(text, Wanted::Error)? {
            Line::Error(error) => Ok(error),
            Line::Event(_) | Line::Function(_) | Line::Ignored => Err(not_a("error", text)),
        }
    }
}

fn not_a(wanted: &str, text: &str) -> AbiError {
    let name = text.trim().split(['(', ' ']).next().unwrap_or_default();
    AbiError::new(format!("this is a `{name}`, and the signature of an {wanted} is needed"))
        .at(0, text.len())
}

/// Reads one signature.
pub(super) fn parse_line(text: &str, wanted: Wanted) -> Result<Line, AbiError> {
    let mut parser = Parser { text, at: 0, params: 0 };
    parser.line(wanted).map_err(|error| {
        let name = item_name(text);
        if name.is_empty() { error } else { error.of(name) }
    })
}

/// The name in front of the first parenthesis, for messages.
fn item_name(text: &str) -> &str {
    let head = text.split('(').next().unwrap_or_default().trim();
    head.rsplit(char::is_whitespace).next().unwrap_or_default()
}

/// Reads a type, such as `uint256[]`, with its fields where it is a tuple.
pub(super) fn parse_kind(text: &str) -> Result<(DynSolType, Vec<ParamSpec>), AbiError> {
    let mut parser = Parser { text, at: 0, params: 0 };
    let kind = parser.kind(0)?;
    parser.end()?;
    Ok(kind)
}

/// The type with the arrays that `arrays` puts behind it, such as `[][8]`.
pub(super) fn wrap(kind: DynSolType, arrays: &str) -> Result<DynSolType, AbiError> {
    let mut parser = Parser { text: arrays, at: 0, params: 0 };
    let kind = parser.arrays(kind)?;
    parser.end()?;
    Ok(kind)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    params: usize,
}

impl<'a> Parser<'a> {
    fn line(&mut self, wanted: Wanted) -> Result<Line, AbiError> {
        let start = self.peek_at();
        let mut name = self.word().ok_or_else(|| self.expected("a name"))?;
        let mut said = wanted;
        let keyword = match name {
            "event" => Some(Wanted::Event),
            "function" => Some(Wanted::Function),
            "error" => Some(Wanted::Error),
            "constructor" | "receive" | "fallback" => return Ok(Line::Ignored),
            "struct" | "enum" | "type" | "interface" | "contract" | "library" | "using"
            | "import" | "pragma" | "modifier" | "mapping" => {
                return Err(AbiError::new(format!("a `{name}` is no event, function or error"))
                    .hint(
                        "List signatures only; write a struct as a tuple where it is used, such as \
                         `event Filled((address maker, uint256 amount) order)`.",
                    )
                    .at(start, name.len()));
            }
            _ => None,
        };
        // `error(…)` and the like: then the keyword is the name.
        if let Some(keyword) = keyword
            && self.peek() != Some('(')
        {
            if wanted != Wanted::Any && wanted != keyword {
                return Err(AbiError::new(format!(
                    "this is a signature of {}, and one of {} is needed",
                    keyword.article(),
                    wanted.article()
                ))
                .at(start, name.len()));
            }
            said = keyword;
            name = self.word().ok_or_else(|| self.expected("a name"))?;
        }
        let params = self.params(0)?;
        let mut outputs = Vec::new();
        let mut anonymous = false;
        let mut looks_like_function = false;
        loop {
            let at = self.peek_at();
            let Some(word) = self.word() else { break };
            match word {
                "anonymous" => anonymous = true,
                "returns" => {
                    outputs = self.params(0)?;
                    looks_like_function = true;
                }
                "external" | "public" | "internal" | "private" | "view" | "pure" | "payable"
                | "nonpayable" | "constant" | "virtual" | "override" => looks_like_function = true,
                _ => {
                    return Err(AbiError::new(format!("`{word}` is not understood here"))
                        .hint("Write one signature per line.")
                        .at(at, word.len()));
                }
            }
        }
        // The short form of some tools: `balanceOf(address)(uint256)`.
        if self.peek() == Some('(') {
            outputs = self.params(0)?;
            looks_like_function = true;
        }
        if matches!(self.peek(), Some(';' | ',')) {
            self.at = self.peek_at() + 1;
        }
        self.end()?;

        let has_indexed = params.iter().any(|param| param.indexed);
        let capital = name.starts_with(|first: char| first.is_ascii_uppercase());
        let what = match said {
            Wanted::Any if has_indexed || anonymous => Wanted::Event,
            Wanted::Any if looks_like_function || !capital => Wanted::Function,
            Wanted::Any => Wanted::Event,
            said => said,
        };
        if has_indexed && what != Wanted::Event {
            return Err(AbiError::new("only an event's parameters can be `indexed`")
                .hint("Begin the line with `event`.")
                .at(start, name.len()));
        }
        match what {
            Wanted::Event | Wanted::Any => {
                if looks_like_function {
                    return Err(AbiError::new("this is a function, and an event is needed")
                        .at(start, self.text.len() - start));
                }
                Event::new(name, params, anonymous)
                    .map(Line::Event)
                    .map_err(|message| AbiError::new(message).at(start, self.text.len() - start))
            }
            Wanted::Function => Ok(Line::Function(Function::new(name, params, outputs))),
            Wanted::Error => Ok(Line::Error(CustomError::new(name, params))),
        }
    }

    /// `(type [indexed] [name], …)`
    fn params(&mut self, depth: usize) -> Result<Vec<ParamSpec>, AbiError> {
        if depth > MAX_DEPTH {
            return Err(AbiError::new(format!(
                "the type is nested deeper than {MAX_DEPTH} levels"
            ))
            .at(self.peek_at(), self.peek().map_or(0, char::len_utf8)));
        }
        self.expect('(')?;
        let mut params = Vec::new();
        while self.peek() != Some(')') {
            if !params.is_empty() {
                self.expect(',')?;
            }
            params.push(self.param(params.len(), depth)?);
            self.params += 1;
            if self.params > MAX_PARAMS {
                return Err(AbiError::new(format!("there are more than {MAX_PARAMS} parameters"))
                    .at(self.peek_at(), self.peek().map_or(0, char::len_utf8)));
            }
        }
        self.expect(')')?;
        Ok(params)
    }

    fn param(&mut self, index: usize, depth: usize) -> Result<ParamSpec, AbiError> {
        let (kind, fields) = self.kind(depth)?;
        let mut indexed = false;
        let mut name = None;
        loop {
            let at = self.peek_at();
            let Some(word) = self.word() else { break };
            match word {
                "indexed" if name.is_none() => {
                    if depth > 0 {
                        return Err(
                            AbiError::new("a tuple's field cannot be `indexed`").at(at, word.len())
                        );
                    }
                    indexed = true;
                }
                "memory" | "calldata" | "storage" if name.is_none() => {}
                "payable" if kind == DynSolType::Address && name.is_none() => {}
                _ if name.is_some() => {
                    return Err(AbiError::new(format!("`{word}` is one word too many"))
                        .hint(
                            "Separate parameters by commas: `address indexed to, uint256 amount`.",
                        )
                        .at(at, word.len()));
                }
                _ => name = Some(word),
            }
        }
        let name = name.map_or_else(|| format!("arg{index}").into(), Into::into);
        Ok(ParamSpec { name, kind, indexed, fields })
    }

    fn kind(&mut self, depth: usize) -> Result<(DynSolType, Vec<ParamSpec>), AbiError> {
        let start = self.peek_at();
        let (kind, fields) = if self.peek() == Some('(') {
            self.tuple(start, depth)?
        } else {
            let word = self.word().ok_or_else(|| self.expected("a type"))?;
            if word == "tuple" && self.peek() == Some('(') {
                self.tuple(start, depth)?
            } else {
                (elementary(word).map_err(|error| error.at(start, word.len()))?, Vec::new())
            }
        };
        let kind = self.arrays(kind)?;
        if kind.nesting_depth() > MAX_DEPTH {
            return Err(AbiError::new(format!(
                "the type is nested deeper than {MAX_DEPTH} levels"
            ))
            .at(start, self.at - start));
        }
        Ok((kind, fields))
    }

    /// `[]` and `[8]` behind a type.
    fn arrays(&mut self, mut kind: DynSolType) -> Result<DynSolType, AbiError> {
        let start = self.at;
        let mut levels = 0;
        while self.peek() == Some('[') {
            levels += 1;
            if levels > MAX_DEPTH {
                return Err(AbiError::new(format!(
                    "the type is nested deeper than {MAX_DEPTH} levels"
                ))
                .at(start, self.at - start));
            }
            self.expect('[')?;
            let at = self.peek_at();
            let length = self.word();
            self.expect(']')?;
            kind = match length {
                None => DynSolType::Array(Box::new(kind)),
                Some(digits) => {
                    let length: u32 =
                        digits.parse().ok().filter(|length| *length > 0).ok_or_else(|| {
                            AbiError::new(format!("`{digits}` is no length of an array"))
                                .at(at, digits.len())
                        })?;
                    DynSolType::FixedArray(Box::new(kind), length as usize)
                }
            };
        }
        Ok(kind)
    }

    fn tuple(
        &mut self,
        start: usize,
        depth: usize,
    ) -> Result<(DynSolType, Vec<ParamSpec>), AbiError> {
        let fields = self.params(depth + 1)?;
        if fields.is_empty() {
            return Err(AbiError::new("a tuple needs fields").at(start, self.at - start));
        }
        Ok((DynSolType::Tuple(fields.iter().map(|field| field.kind.clone()).collect()), fields))
    }

    /// The next character that is not white space.
    fn peek(&self) -> Option<char> {
        self.text[self.at..].trim_start().chars().next()
    }

    /// Where it stands.
    fn peek_at(&self) -> usize {
        self.text.len() - self.text[self.at..].trim_start().len()
    }

    /// The next word of letters, digits, `_`, `$` and `.`, if one comes next.
    fn word(&mut self) -> Option<&'a str> {
        let start = self.peek_at();
        let rest = &self.text[start..];
        let end = rest.find(|c: char| !is_word_char(c)).unwrap_or(rest.len());
        if end == 0 {
            return None;
        }
        self.at = start + end;
        Some(&rest[..end])
    }

    fn expect(&mut self, wanted: char) -> Result<(), AbiError> {
        if self.peek() != Some(wanted) {
            return Err(self.expected(&format!("`{wanted}`")));
        }
        self.at = self.peek_at() + wanted.len_utf8();
        Ok(())
    }

    fn end(&self) -> Result<(), AbiError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end of the signature")),
        }
    }

    fn expected(&self, wanted: &str) -> AbiError {
        let at = self.peek_at();
        match self.peek() {
            Some(found) => {
                AbiError::new(format!("{wanted} is expected instead of `{}`", found.escape_debug()))
                    .at(at, found.len_utf8())
            }
            None => {
                let (at, last) = self.text.char_indices().next_back().unwrap_or_default();
                let length = if self.text.is_empty() { 0 } else { last.len_utf8() };
                AbiError::new(format!("{wanted} is expected, but the text ends")).at(at, length)
            }
        }
    }
}

impl Wanted {
    fn article(self) -> &'static str {
        match self {
            Wanted::Event => "an event",
            Wanted::Function => "a function",
            Wanted::Error => "an error",
            Wanted::Any => "anything",
        }
    }
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.')
}

/// The type behind one word.
pub(super) fn elementary(word: &str) -> Result<DynSolType, AbiError> {
    let known = match word {
        "address" => Some(DynSolType::Address),
        "bool" => Some(DynSolType::Bool),
        "string" => Some(DynSolType::String),
        "bytes" => Some(DynSolType::Bytes),
        "byte" => Some(DynSolType::FixedBytes(1)),
        "function" => Some(DynSolType::Function),
        "uint" => Some(DynSolType::Uint(256)),
        "int" => Some(DynSolType::Int(256)),
        _ => None,
    };
    if let Some(kind) = known {
        return Ok(kind);
    }
    let digits = word.trim_start_matches(|c: char| !c.is_ascii_digit());
    let stem = &word[..word.len() - digits.len()];
    // A leading zero would be another spelling of the same type, with another hash.
    let size: Option<usize> = digits.parse().ok().filter(|_| !digits.starts_with('0'));
    match (stem, size) {
        ("uint", Some(bits)) if bits <= 256 && bits % 8 == 0 => Ok(DynSolType::Uint(bits)),
        ("int", Some(bits)) if bits <= 256 && bits % 8 == 0 => Ok(DynSolType::Int(bits)),
        ("bytes", Some(size)) if size <= 32 => Ok(DynSolType::FixedBytes(size)),
        ("uint" | "int", _) => Err(AbiError::new(format!("`{word}` is no type"))
            .hint("Integers have 8 to 256 bits in steps of 8, such as `uint256`.")),
        ("bytes", _) => Err(AbiError::new(format!("`{word}` is no type"))
            .hint("Fixed bytes go from `bytes1` to `bytes32`; `bytes` has any length.")),
        ("fixed" | "ufixed", _) => Err(AbiError::new(format!("`{word}` cannot be decoded"))
            .hint("No compiler emits fixed-point numbers; use an integer type.")),
        ("mapping", _) => Err(AbiError::new("a mapping cannot be a parameter")),
        _ => Err(AbiError::new(format!("`{word}` is no type")).hint(type_hint(word))),
    }
}

const TYPES: [&str; 12] = [
    "address", "bool", "string", "bytes", "bytes32", "uint256", "uint128", "uint64", "uint8",
    "int256", "int128", "int24",
];

fn type_hint(word: &str) -> String {
    let near = TYPES.into_iter().min_by_key(|name| distance(name, word));
    match near {
        Some(near) if distance(near, word) <= 2 => format!("Did you mean `{near}`?"),
        _ => "Write `address` for a contract, `uint8` for an enum, and the fields in parentheses \
              for a struct, such as `(address maker, uint256 amount)`."
            .to_owned(),
    }
}

/// Edits (one letter added, removed, changed or swapped) between two short words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // Nobody misses a type's name by that much; and it bounds the work.
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i.max(j)
            } else {
                let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}
