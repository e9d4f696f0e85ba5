//! YAML text → tree, with bounds on everything that a small text could blow up.

use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span};

use crate::fault::{Fault, Faults};
use crate::interpolate::{Environment, interpolate};
use crate::offsets::source_range;
use crate::path::Dropped;
use crate::sources::Place;
use crate::tree::{Entry, Node, Scalar, Style, Value, join};

/// Maps and lists inside each other, aliases included.
const MAX_DEPTH: usize = 64;
/// Values in one config, aliases included.
const MAX_NODES: usize = 250_000;
/// Bytes of all values and keys of one config, aliases and variables included.
const MAX_BYTES: usize = 32 << 20;

/// Reads texts into trees; its bounds hold for all of them together.
pub(crate) struct Reader<'a> {
    environment: &'a Environment,
    next_id: u32,
    nodes: usize,
    bytes: usize,
    pub(crate) faults: Faults,
    /// Values whose variables could not be put in.
    pub(crate) unresolved: Dropped,
}

/// Boxed: faults are rare and large.
type Outcome<T> = Result<T, Box<Fault>>;

enum Frame {
    List { place: Place, anchor: usize, items: Vec<Node> },
    Map { place: Place, anchor: usize, entries: Vec<Entry>, key: Option<(String, Place)> },
}

/// The state of one text.
struct Text<'t> {
    text: &'t str,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    root: Option<Node>,
    documents: usize,
}

struct Anchored {
    node: Node,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(environment: &'a Environment) -> Reader<'a> {
        Reader {
            environment,
            next_id: 0,
            nodes: 0,
            bytes: 0,
            faults: Faults::default(),
            unresolved: Dropped::new(),
        }
    }

    /// The tree of `text`; none when nothing is written in it, or when it is no YAML. What is
    /// wrong goes to `faults`.
    pub(crate) fn read(&mut self, file: u32, text: &str) -> Option<Node> {
        let options = granit_parser::options! {
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        let mut state =
            Text { text, frames: Vec::new(), anchors: HashMap::new(), root: None, documents: 0 };
        for event in Parser::new_from_str_with_options(text, options) {
            let outcome = match event {
                Ok((event, span)) => {
                    let range = span.byte_range().expect("a text in memory has byte offsets");
                    // A block scalar ends with its line breaks, and may begin after the text.
                    let start = range.start.min(text.len());
                    let place = Place { file, start, end: range.end.clamp(start, text.len()) };
                    if let Some(fault) = meaningless_tag(&event, &span, place) {
                        Err(fault.into())
                    } else {
                        self.event(&mut state, event, place, span.start.col())
                    }
                }
                Err(error) => Err(syntax_fault(&error, file, &state).into()),
            };
            if let Err(fault) = outcome {
                let key = state.path();
                self.faults.push(fault.key(key));
                return None;
            }
            if self.faults.is_full() {
                return None;
            }
        }
        state.root
    }

    fn event(
        &mut self,
        state: &mut Text<'_>,
        event: Event<'_>,
        place: Place,
        column: usize,
    ) -> Outcome<()> {
        match event {
            Event::DocumentStart(..) => {
                state.documents += 1;
                if state.documents > 1 {
                    return Err(Fault::at(place, "a file holds one YAML document")
                        .hint("Put the second document into a file of its own, in a folder.")
                        .into());
                }
            }
            Event::Scalar(text, style, anchor, _) => {
                let style = scalar_style(style);
                // The parser writes a value that is not there as `~`.
                let text = if place.start == place.end && style == Style::Plain {
                    ""
                } else {
                    text.as_ref()
                };
                if state.wants_key() {
                    self.spend(1, text.len(), place)?;
                    if text.is_empty() && style == Style::Plain {
                        return Err(Fault::at(place, "a key is missing before the `:`")
                            .hint("Write `key: value`.")
                            .into());
                    }
                    state.give_key(text.to_owned(), place);
                } else {
                    let node = self.scalar(state, text, style, place, column)?;
                    self.finish(state, node, anchor)?;
                }
            }
            Event::Alias(anchor) => {
                let Some(anchored) = state.anchors.get(&anchor) else {
                    return Err(Fault::at(place, "an alias stands inside the value it names")
                        .hint("Write the value out.")
                        .into());
                };
                if state.frames.len() + anchored.depth > MAX_DEPTH {
                    return Err(too_deep(place).into());
                }
                let (nodes, bytes) = weight(&anchored.node);
                self.spend(nodes, bytes, place)?;
                let mut node = anchored.node.clone();
                self.renumber(&mut node);
                if state.wants_key() {
                    let Value::Scalar(scalar) = node.value else {
                        return Err(no_text_key(place).into());
                    };
                    state.give_key(scalar.text, place);
                } else {
                    self.finish(state, node, 0)?;
                }
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(state, place)?;
                state.frames.push(Frame::List { place, anchor, items: Vec::new() });
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(state, place)?;
                state.frames.push(Frame::Map { place, anchor, entries: Vec::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let frame = state.frames.pop().expect("the parser pairs starts and ends");
                let (node, anchor) = match frame {
                    Frame::List { mut place, anchor, items } => {
                        place.end = place.end.max(items.last().map_or(0, |last| last.place.end));
                        (self.node(place, Value::List(items)), anchor)
                    }
                    Frame::Map { mut place, anchor, entries, .. } => {
                        let entries = self.settle(entries, || state.path());
                        place.end = place.end.max(entries.last().map_or(0, |e| e.value.place.end));
                        (self.node(place, Value::Map(entries)), anchor)
                    }
                };
                self.finish(state, node, anchor)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A scalar with its variables put in.
    fn scalar(
        &mut self,
        state: &Text<'_>,
        raw: &str,
        style: Style,
        place: Place,
        indent: usize,
    ) -> Outcome<Node> {
        self.spend(1, raw.len(), place)?;
        let mut scalar = Scalar { text: raw.to_owned(), style, indent, edits: Vec::new() };
        let mut resolved = true;
        match interpolate(raw, self.environment) {
            Ok((text, edits)) => {
                self.spend(0, text.len(), place)?;
                (scalar.text, scalar.edits) = (text, edits);
            }
            Err(bad) => {
                resolved = false;
                for bad in bad {
                    let range = (bad.offset, bad.length);
                    let place = source_range(state.text, place, &scalar, range);
                    let fault = Fault::at(place, bad.message).hint(bad.hint).key(state.path());
                    self.faults.push(fault);
                }
            }
        }
        let node = self.node(place, Value::Scalar(scalar));
        if !resolved {
            self.unresolved.insert(node.id);
        }
        Ok(node)
    }

    /// A map's entries without repeated keys, and with the maps under `<<` merged in.
    fn settle(&mut self, entries: Vec<Entry>, path: impl Fn() -> String) -> Vec<Entry> {
        let mut places: HashMap<String, Place> = HashMap::with_capacity(entries.len());
        let (mut kept, mut merged): (Vec<Entry>, Vec<Node>) = (Vec::new(), Vec::new());
        for entry in entries {
            if let Some(first) = places.get(&entry.key) {
                self.faults.push(
                    Fault::at(entry.key_place, format!("key `{}` is written twice", entry.key))
                        .hint("Remove one of the two, or give it another name.")
                        .related("it was first written here", *first)
                        .key(join(&path(), &entry.key)),
                );
                continue;
            }
            places.insert(entry.key.clone(), entry.key_place);
            match (entry.key.as_str(), entry.value.value) {
                ("<<", Value::Map(entries)) => {
                    merged.push(Node { value: Value::Map(entries), ..entry.value });
                }
                ("<<", Value::List(items))
                    if items.iter().all(|item| matches!(item.value, Value::Map(_))) =>
                {
                    merged.extend(items);
                }
                (_, value) => kept.push(Entry { value: Node { value, ..entry.value }, ..entry }),
            }
        }
        let mut have: HashSet<String> = kept.iter().map(|entry| entry.key.clone()).collect();
        for node in merged {
            let Value::Map(entries) = node.value else { continue };
            kept.extend(entries.into_iter().filter(|entry| have.insert(entry.key.clone())));
        }
        kept
    }

    fn finish(&mut self, state: &mut Text<'_>, node: Node, anchor: usize) -> Outcome<()> {
        if anchor != 0 {
            // The copy counts like an alias: anchors may stand inside of anchors.
            let (nodes, bytes) = weight(&node);
            self.spend(nodes, bytes, node.place)?;
            let anchored = Anchored { node: node.clone(), depth: height(&node) };
            state.anchors.insert(anchor, anchored);
        }
        match state.frames.last_mut() {
            None => state.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, .. }) => {
                let (key, key_place) = key.take().expect("a value comes after its key");
                entries.push(Entry { key, key_place, value: node });
            }
        }
        Ok(())
    }

    fn open(&mut self, state: &Text<'_>, place: Place) -> Outcome<()> {
        if state.wants_key() {
            return Err(no_text_key(place).into());
        }
        if state.frames.len() >= MAX_DEPTH {
            return Err(too_deep(place).into());
        }
        self.spend(1, 0, place)
    }

    fn node(&mut self, place: Place, value: Value) -> Node {
        self.next_id += 1;
        Node { id: self.next_id, place, value }
    }

    fn renumber(&mut self, node: &mut Node) {
        self.next_id += 1;
        if self.unresolved.contains(&node.id) {
            self.unresolved.insert(self.next_id);
        }
        node.id = self.next_id;
        match &mut node.value {
            Value::Scalar(_) => {}
            Value::List(items) => items.iter_mut().for_each(|item| self.renumber(item)),
            Value::Map(entries) => entries.iter_mut().for_each(|e| self.renumber(&mut e.value)),
        }
    }

    fn spend(&mut self, nodes: usize, bytes: usize, place: Place) -> Outcome<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.nodes > MAX_NODES || self.bytes > MAX_BYTES {
            let message = format!(
                "the config is too large: at most {MAX_NODES} values and {} MiB of text, aliases \
                 and variables written out",
                MAX_BYTES >> 20
            );
            return Err(Fault::at(place, message)
                .hint("Move long lists into files of their own, and use fewer aliases.")
                .into());
        }
        Ok(())
    }
}

impl Text<'_> {
    /// Whether the next value is a key of the innermost map.
    fn wants_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame::Map { key: None, .. }))
    }

    fn give_key(&mut self, text: String, place: Place) {
        if let Some(Frame::Map { key, .. }) = self.frames.last_mut() {
            *key = Some((text, place));
        }
    }

    /// The innermost `[` or `{` that is not closed yet.
    fn open_bracket(&self) -> Option<Place> {
        self.frames.iter().rev().find_map(|frame| {
            let (Frame::List { place, .. } | Frame::Map { place, .. }) = frame;
            let place = Place { end: place.start + 1, ..*place };
            let opens = self.text[place.start..].starts_with(['[', '{']);
            // A map that begins with a bracket's own map, as in `{a: 1}: 2`, is no flow map; keys
            // of that kind are refused anyway.
            opens.then_some(place)
        })
    }

    /// The keys from the root to where the reader is.
    fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.frames {
            match frame {
                Frame::List { items, .. } => path.push_str(&format!("[{}]", items.len())),
                Frame::Map { key: Some((key, _)), .. } => path = join(&path, key),
                Frame::Map { key: None, .. } => {}
            }
        }
        path
    }
}

/// Values and bytes of a tree.
fn weight(node: &Node) -> (usize, usize) {
    let sum = |(nodes, bytes): (usize, usize), (more, text): (usize, usize)| {
        (nodes.saturating_add(more), bytes.saturating_add(text))
    };
    match &node.value {
        Value::Scalar(scalar) => (1, scalar.text.len()),
        Value::List(items) => items.iter().map(weight).fold((1, 0), sum),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| sum(weight(&entry.value), (0, entry.key.len())))
            .fold((1, 0), sum),
    }
}

/// Maps and lists inside each other in a tree.
fn height(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(_) => 0,
        Value::List(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        Value::Map(entries) => 1 + entries.iter().map(|e| height(&e.value)).max().unwrap_or(0),
    }
}

fn scalar_style(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

/// What a value means is decided by the setting it is for, so no tag could change anything.
fn meaningless_tag(event: &Event<'_>, span: &Span, place: Place) -> Option<Fault> {
    let allowed = match event {
        Event::Scalar(..) => "str",
        Event::SequenceStart(..) => "seq",
        Event::MappingStart(..) => "map",
        _ => return None,
    };
    let tag = event.tag().filter(|tag| tag.core_suffix() != Some(allowed))?;
    let place = match span.tag_span().and_then(|span| span.byte_range()) {
        Some(range) => Place { start: range.start, end: range.end, ..place },
        None => place,
    };
    Some(
        Fault::at(place, format!("the tag `{}` means nothing here", tag.original()))
            .hint("Remove it; quote a text that begins with `!`."),
    )
}

fn too_deep(place: Place) -> Fault {
    Fault::at(place, format!("more than {MAX_DEPTH} maps and lists stand inside each other"))
        .hint("No setting is that deep; look for brackets or indentation gone wrong.")
}

fn no_text_key(place: Place) -> Fault {
    Fault::at(place, "a key is a list or a map")
        .hint("Keys are texts. Quote a text that begins with `[`, `{` or `?`.")
}

/// What the parser says, with what to do about it.
fn syntax_fault(error: &ScanError, file: u32, state: &Text<'_>) -> Fault {
    let text = state.text;
    let offset = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let end = text[offset..].chars().next().map_or(offset, |c| offset + c.len_utf8());
    let place = Place { file, start: offset, end };
    let (message, hint) = match error.kind() {
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabNotAllowed => {
            ("a tab is used as indentation", "YAML is indented by spaces.")
        }
        ErrorKind::UnclosedQuotedScalar => {
            ("a quoted text is not closed", "Add the closing quote; `''` is a quote inside '…'.")
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::InvalidColonPlacement => (
            "a `[` or `{` is not closed, or a comma is missing",
            "Close the bracket, separate the entries by commas, and quote texts with `:`.",
        ),
        ErrorKind::MappingValueNotAllowed => (
            "a second `:` in one line",
            "Quote the value when it contains `: `, or put the inner key on a line of its own.",
        ),
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidIndentation => (
            "the indentation fits no map above",
            "Indent keys of the same map by the same number of spaces.",
        ),
        ErrorKind::SimpleKeyExpected => {
            ("a key without `:`", "Write `key: value`; a long text needs quotes or `|`.")
        }
        ErrorKind::BlockSequenceEntryNotAllowed | ErrorKind::ExpectedBlockSequenceEntry => (
            "a `- ` where no list can be",
            "Put the list on the lines below its key, each entry indented alike.",
        ),
        ErrorKind::UnknownAnchor => (
            "an alias without its anchor",
            "Quote a text that begins with `*`; an anchor is written `&name` before its alias.",
        ),
        ErrorKind::UnexpectedCharacter { .. } => {
            ("a text begins with a character that YAML reserves", "Put the text in quotes.")
        }
        ErrorKind::UnknownQuotedScalarEscape | ErrorKind::InvalidQuotedScalarHexEscape => (
            "an unknown escape in a \"…\" text",
            "Write `\\\\` for a backslash, or use '…', which knows no escapes.",
        ),
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => (
            "text after a closing quote",
            "Quote the whole value; `''` is a quote inside '…', `\\\"` inside \"…\".",
        ),
        ErrorKind::RecursionLimitExceeded => return too_deep(place),
        _ => {
            return Fault::at(place, format!("no YAML: {}", error.info()))
                .hint("Check the indentation, the quotes and the brackets of this line.");
        }
    };
    let place = match state.open_bracket() {
        Some(bracket) if message.starts_with("a `[`") => bracket,
        _ => place,
    };
    Fault::at(place, message).hint(hint)
}
