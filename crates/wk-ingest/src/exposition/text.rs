//! The text formats: Prometheus' own and OpenMetrics.

use wk_model::series::{Exemplar, Label, Labels, METRIC_NAME, Metadata, MetricKind};

use super::{ORDINARY_NAN, PageError, RawLabels, Value, Visitor, go_float};

/// How much of a faulty line is shown, in characters.
const SHOWN: usize = 80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Prometheus,
    OpenMetrics,
}

pub(super) fn read(
    body: &[u8],
    dialect: Dialect,
    visitor: &mut dyn Visitor,
) -> Result<(), PageError> {
    let body = std::str::from_utf8(body).map_err(|error| {
        let line = body[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        PageError::Page(format!("line {line} holds bytes that are not UTF-8"))
    })?;
    let mut page =
        Page { dialect, visitor, labels: RawLabels::default(), family: None, ended: false };
    for (at, line) in body.split('\n').enumerate() {
        page.line(line).map_err(|reason| PageError::Line {
            line: at + 1,
            text: line.chars().take(SHOWN).collect(),
            reason,
        })?;
    }
    page.tell_family().map_err(PageError::Page)?;
    if dialect == Dialect::OpenMetrics && !page.ended {
        let reason = "the page does not end with `# EOF`: it was cut off, or is no OpenMetrics";
        return Err(PageError::Page(reason.to_owned()));
    }
    Ok(())
}

struct Page<'v> {
    dialect: Dialect,
    visitor: &'v mut dyn Visitor,
    labels: RawLabels,
    /// What the comments said of the metric that comes now.
    family: Option<(String, Metadata)>,
    ended: bool,
}

impl Page<'_> {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let strict = self.dialect == Dialect::OpenMetrics;
        let line = if strict { line } else { line.trim_matches([' ', '\t']) };
        if line.is_empty() {
            return Ok(());
        }
        if self.ended {
            return Err("something follows `# EOF`, which ends the page".to_owned());
        }
        match line.strip_prefix('#') {
            Some(comment) => self.comment(comment),
            None => self.sample(line),
        }
    }

    fn comment(&mut self, comment: &str) -> Result<(), String> {
        let mut cursor = Cursor(comment);
        cursor.blanks();
        if self.dialect == Dialect::OpenMetrics && cursor.0 == "EOF" {
            self.ended = true;
            return Ok(());
        }
        let keyword = cursor.until_blank();
        if !matches!(keyword, "HELP" | "TYPE" | "UNIT") {
            return Ok(());
        }
        cursor.blanks();
        let mut quoted = String::new();
        let name = match cursor.0.starts_with('"') {
            true => {
                cursor.quoted(&mut quoted)?;
                quoted.as_str()
            }
            false => cursor.until_blank(),
        };
        if name.is_empty() {
            return Err(format!("`# {keyword}` names no metric"));
        }
        cursor.blanks();
        let metadata = self.family_of(name)?;
        match keyword {
            "TYPE" => {
                let kind = cursor.0.trim_end();
                metadata.kind = MetricKind::from_name(kind);
                if metadata.kind == MetricKind::Unknown && !matches!(kind, "unknown" | "untyped") {
                    return Err(format!(
                        "`{kind}` is no type of metric; known are counter, gauge, histogram, \
                         gaugehistogram, summary, info, stateset, unknown"
                    ));
                }
            }
            "UNIT" => metadata.unit = cursor.0.trim_end().to_owned(),
            _ => metadata.help = unescape_help(cursor.0),
        }
        Ok(())
    }

    /// What is known of the metric; what was known of another one is told.
    fn family_of(&mut self, name: &str) -> Result<&mut Metadata, String> {
        if self.family.as_ref().is_none_or(|(known, _)| known != name) {
            self.tell_family()?;
        }
        let (_, metadata) =
            self.family.get_or_insert_with(|| (name.to_owned(), Metadata::default()));
        Ok(metadata)
    }

    fn tell_family(&mut self) -> Result<(), String> {
        match self.family.take() {
            Some((name, metadata)) => self.visitor.metadata(&name, metadata),
            None => Ok(()),
        }
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let mut cursor = Cursor(line);
        self.labels.clear();
        let name = cursor.name(true);
        if !name.is_empty() {
            self.labels.push(METRIC_NAME, name);
        }
        cursor.blanks();
        if cursor.eat('{') {
            self.read_labels(&mut cursor, name.is_empty())?;
        } else if name.is_empty() {
            return Err("a metric's name is missing at the beginning".to_owned());
        }
        cursor.blanks();
        let value = number(cursor.until_blank())?;
        cursor.blanks();
        let mut time_ms = None;
        if !cursor.0.is_empty() && !cursor.0.starts_with('#') {
            time_ms = Some(self.time(cursor.until_blank())?);
            cursor.blanks();
        }
        let mut exemplars = Vec::new();
        if self.dialect == Dialect::OpenMetrics && cursor.eat('#') {
            exemplars.push(self.exemplar(&mut cursor, time_ms)?);
            cursor.blanks();
        }
        if !cursor.0.is_empty() {
            return Err("there is more behind the sample than a time".to_owned());
        }
        self.visitor.sample(&self.labels, Value::Float(value), time_ms, exemplars)
    }

    /// Reads up to the closing brace. A quoted text alone in first place is the metric's name.
    fn read_labels(&mut self, cursor: &mut Cursor<'_>, nameless: bool) -> Result<(), String> {
        let mut quoted = String::new();
        let mut name_due = nameless;
        loop {
            cursor.blanks();
            if cursor.eat('}') {
                break;
            }
            quoted.clear();
            let label = match cursor.0.starts_with('"') {
                true => {
                    cursor.quoted(&mut quoted)?;
                    quoted.as_str()
                }
                false => cursor.name(false),
            };
            cursor.blanks();
            if name_due && !quoted.is_empty() && !cursor.0.starts_with('=') {
                self.labels.push(METRIC_NAME, label);
                name_due = false;
            } else {
                if label.is_empty() {
                    return Err("a label's name is missing".to_owned());
                }
                if label == METRIC_NAME {
                    return Err("the metric's name is given as a label".to_owned());
                }
                if !cursor.eat('=') {
                    return Err(format!("`=` is missing after the label `{label}`"));
                }
                cursor.blanks();
                let bound = match &self.family {
                    Some((_, Metadata { kind: MetricKind::Histogram, .. })) => "le",
                    Some((_, Metadata { kind: MetricKind::Summary, .. })) => "quantile",
                    _ => "",
                };
                let mut fault = Ok(());
                self.labels.push_with(label, |text| {
                    let start = text.len();
                    fault = cursor.quoted(text);
                    if label == bound
                        && let Ok(value) = text[start..].parse::<f64>()
                    {
                        text.truncate(start);
                        text.push_str(&go_float(value));
                    }
                });
                fault?;
            }
            cursor.blanks();
            if !cursor.eat(',') && !cursor.0.starts_with('}') {
                return Err("`,` or `}` is missing after a label's value".to_owned());
            }
        }
        match name_due {
            true => Err("the metric's name is missing, before or inside the braces".to_owned()),
            false => Ok(()),
        }
    }

    fn exemplar(&self, cursor: &mut Cursor<'_>, time_ms: Option<i64>) -> Result<Exemplar, String> {
        cursor.blanks();
        if !cursor.eat('{') {
            return Err("an exemplar begins with its labels in braces".to_owned());
        }
        let mut labels: Vec<Label> = Vec::new();
        loop {
            cursor.blanks();
            if cursor.eat('}') {
                break;
            }
            let (mut quoted, mut value) = (String::new(), String::new());
            let name = match cursor.0.starts_with('"') {
                true => {
                    cursor.quoted(&mut quoted)?;
                    quoted.as_str()
                }
                false => cursor.name(false),
            };
            if name.is_empty() || !cursor.eat('=') {
                return Err("an exemplar's label is not NAME=\"VALUE\"".to_owned());
            }
            cursor.quoted(&mut value)?;
            labels.push((name.into(), value.into()));
            if !cursor.eat(',') && !cursor.0.starts_with('}') {
                return Err("`,` or `}` is missing in an exemplar".to_owned());
            }
        }
        cursor.blanks();
        let value = number(cursor.until_blank())?;
        cursor.blanks();
        let own = match cursor.0.is_empty() {
            true => None,
            false => Some(self.time(cursor.until_blank())?),
        };
        // One without a time is as old as its sample; without either it is as old as the page.
        let time_ms = own.or(time_ms).unwrap_or(0);
        Ok(Exemplar { labels: Labels::new(labels), time_ms, value })
    }

    /// Milliseconds in one dialect, seconds in the other.
    fn time(&self, text: &str) -> Result<i64, String> {
        let wrong = || format!("`{text}` is no time");
        match self.dialect {
            Dialect::Prometheus => text.parse().map_err(|_| wrong()),
            Dialect::OpenMetrics => {
                let seconds: f64 = text.parse().map_err(|_| wrong())?;
                let ms = (seconds * 1_000.0).round();
                if !(-9e15..9e15).contains(&ms) {
                    return Err(wrong());
                }
                #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
                Ok(ms as i64)
            }
        }
    }
}

fn number(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is no number");
    let value: f64 = text.parse().map_err(|_| wrong())?;
    // Rust's name for it that Go does not know, and no exporter writes.
    if value.is_nan() {
        return Ok(f64::from_bits(ORDINARY_NAN));
    }
    Ok(value)
}

fn unescape_help(text: &str) -> String {
    let mut help = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        help.push_str(&rest[..at]);
        let (shown, length) = match rest[at + 1..].chars().next() {
            Some('n') => ("\n", 2),
            Some('\\') => ("\\", 2),
            Some('"') => ("\"", 2),
            _ => ("\\", 1),
        };
        help.push_str(shown);
        rest = &rest[at + length..];
    }
    help.push_str(rest);
    help
}

/// What is left of a line.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn blanks(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn eat(&mut self, wanted: char) -> bool {
        let rest = self.0.strip_prefix(wanted);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn split(&mut self, at: usize) -> &'a str {
        let (taken, rest) = self.0.split_at(at);
        self.0 = rest;
        taken
    }

    fn until_blank(&mut self) -> &'a str {
        let end = self.0.bytes().position(|byte| matches!(byte, b' ' | b'\t'));
        self.split(end.unwrap_or(self.0.len()))
    }

    /// A name without quotes, maybe empty; a metric's may contain colons.
    fn name(&mut self, metric: bool) -> &'a str {
        let fits = |at: usize, byte: u8| {
            byte.is_ascii_alphabetic()
                || byte == b'_'
                || (metric && byte == b':')
                || (at > 0 && byte.is_ascii_digit())
        };
        let end = self.0.bytes().enumerate().position(|(at, byte)| !fits(at, byte));
        self.split(end.unwrap_or(self.0.len()))
    }

    /// Appends a text in quotes without its escapes.
    fn quoted(&mut self, into: &mut String) -> Result<(), String> {
        if !self.eat('"') {
            return Err("a text in double quotes is missing".to_owned());
        }
        loop {
            let special = self.0.bytes().position(|byte| matches!(byte, b'"' | b'\\'));
            let Some(at) = special else {
                return Err("a text in double quotes does not end on its line".to_owned());
            };
            into.push_str(self.split(at));
            if self.eat('"') {
                return Ok(());
            }
            self.eat('\\');
            match self.0.chars().next() {
                Some('n') => into.push('\n'),
                Some(escaped @ ('\\' | '"')) => into.push(escaped),
                Some(other) => {
                    into.push('\\');
                    into.push(other);
                }
                None => continue,
            }
            let length = self.0.chars().next().map_or(0, char::len_utf8);
            self.split(length);
        }
    }
}
