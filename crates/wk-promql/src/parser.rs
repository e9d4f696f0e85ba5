//! Builds the tree by operator precedence, bounded in depth.

use crate::ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Cardinality, Expr, ExprKind, Matching, Selector,
    Span, When,
};
use crate::error::ParseError;
use crate::functions;
use crate::lexer::{Token, number, tokens};
use crate::matcher::{MatchOp, Matcher};
use wk_model::series::METRIC_NAME;

/// Levels that a tree may have. Evaluation recurses, so this bounds its stack.
const MAX_HEIGHT: usize = 200;
/// Bytes that a query may have.
const MAX_BYTES: usize = 1 << 20;

/// What is accepted beyond the stable language.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParseOptions {
    /// Functions and aggregations that Prometheus has behind a feature flag.
    pub experimental: bool,
}

/// Parses a query of the stable language and checks its types.
pub fn parse(query: &str) -> Result<Expr, ParseError> {
    parse_with(query, ParseOptions::default())
}

/// Parses a query and checks its types.
pub fn parse_with(query: &str, options: ParseOptions) -> Result<Expr, ParseError> {
    if query.len() > MAX_BYTES {
        let message = format!("query has more than {MAX_BYTES} bytes");
        return Err(ParseError::new(0..0, message));
    }
    let mut parser = Parser { tokens: tokens(query)?, at: 0, depth: 0, options };
    if parser.peek() == &Token::End {
        return Err(ParseError::new(0..0, "no expression found in input".into()));
    }
    let expr = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(expr),
        _ => Err(parser.unexpected("after the end of the expression")),
    }
}

/// Parses `name{label="value"}` to its matchers.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let expr = parse(text)?;
    match expr.kind {
        ExprKind::Selector(selector) if selector.when == When::default() => Ok(selector.matchers),
        _ => Err(ParseError::new(expr.span, "expected a selector such as up{job=\"x\"}".into())),
    }
}

pub(crate) struct Parser {
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
    options: ParseOptions,
}

pub(crate) type Parsed<T> = Result<T, ParseError>;

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn span(&self) -> Span {
        self.tokens[self.at].1.clone()
    }

    /// End of the token before.
    fn last_end(&self) -> usize {
        self.tokens[self.at.saturating_sub(1)].1.end
    }

    fn advance(&mut self) -> Token {
        let token = self.tokens[self.at].0.clone();
        // The last token is `End` and stays.
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn take(&mut self, sign: &'static str) -> bool {
        let found = self.peek() == &Token::Sign(sign);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, sign: &'static str, place: &str) -> Parsed<()> {
        if self.take(sign) {
            return Ok(());
        }
        Err(self.unexpected(&format!("{place}, expected {sign:?}")))
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn unexpected(&self, place: &str) -> ParseError {
        let what = match self.peek() {
            Token::Word(word) => format!("identifier {word:?}"),
            Token::Number(number) => format!("number \"{number}\""),
            Token::Duration(ms) => format!("duration \"{ms}ms\""),
            Token::Text(text) => format!("string {:?}", String::from_utf8_lossy(text)),
            Token::Sign(sign) => format!("{sign:?}"),
            Token::End => "end of input".to_owned(),
        };
        ParseError::new(self.span(), format!("unexpected {what} {place}"))
    }

    fn node(kind: ExprKind, span: Span, below: usize) -> Parsed<Expr> {
        if below >= MAX_HEIGHT {
            let message = format!("expression is nested more than {MAX_HEIGHT} levels deep");
            return Err(ParseError::new(span, message));
        }
        let expr = Expr { kind, span, height: below + 1 };
        crate::check::check(&expr)?;
        Ok(expr)
    }

    /// An expression whose operators all bind tighter than `above`.
    fn expression(&mut self, above: u8) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > MAX_HEIGHT {
            let message = format!("expression is nested more than {MAX_HEIGHT} levels deep");
            return Err(ParseError::new(self.span(), message));
        }
        let mut left = self.unary()?;
        while let Some(op) = self.operator()? {
            if op.precedence() <= above {
                break;
            }
            self.advance();
            let (returns_bool, matching) = self.modifiers(op)?;
            // The power operator binds to the right: 2^3^2 is 2^9.
            let bound = op.precedence() - u8::from(op == BinaryOp::Pow);
            let right = self.expression(bound)?;
            let span = left.span.start..right.span.end;
            let below = left.height.max(right.height);
            let binary = Binary { op, left, right, returns_bool, matching };
            left = Parser::node(ExprKind::Binary(Box::new(binary)), span, below)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Parsed<Option<BinaryOp>> {
        Ok(Some(match self.peek() {
            Token::Sign(sign) => match *sign {
                "+" => BinaryOp::Add,
                "-" => BinaryOp::Sub,
                "*" => BinaryOp::Mul,
                "/" => BinaryOp::Div,
                "%" => BinaryOp::Mod,
                "^" => BinaryOp::Pow,
                "==" => BinaryOp::Eq,
                "!=" => BinaryOp::Ne,
                "<" => BinaryOp::Lt,
                "<=" => BinaryOp::Le,
                ">" => BinaryOp::Gt,
                ">=" => BinaryOp::Ge,
                "</" | ">/" => {
                    let message = format!("operator {sign:?} is experimental and not supported");
                    return Err(ParseError::new(self.span(), message));
                }
                _ => return Ok(None),
            },
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "and" => BinaryOp::And,
                "or" => BinaryOp::Or,
                "unless" => BinaryOp::Unless,
                "atan2" => BinaryOp::Atan2,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        }))
    }

    fn modifiers(&mut self, op: BinaryOp) -> Parsed<(bool, Matching)> {
        let mut matching = Matching {
            cardinality: if op.is_set() { Cardinality::ManyToMany } else { Cardinality::OneToOne },
            on: false,
            given: false,
            labels: Vec::new(),
            include: Vec::new(),
        };
        let span = self.span();
        let returns_bool = self.take_word("bool");
        if returns_bool && !op.is_comparison() {
            let message = "bool modifier can only be used on comparison operators";
            return Err(ParseError::new(span, message.into()));
        }
        if self.is_word("on") || self.is_word("ignoring") {
            matching.on = self.take_word("on");
            if !matching.on {
                self.advance();
            }
            matching.given = true;
            matching.labels = self.label_list()?;
            let span = self.span();
            if self.is_word("group_left") || self.is_word("group_right") {
                if op.is_set() {
                    let message = format!("no grouping allowed for {:?} operation", op.name());
                    return Err(ParseError::new(span, message));
                }
                matching.cardinality = match self.take_word("group_left") {
                    true => Cardinality::ManyToOne,
                    false => {
                        self.advance();
                        Cardinality::OneToMany
                    }
                };
                if self.peek() == &Token::Sign("(") {
                    matching.include = self.label_list()?;
                }
                let both = matching.include.iter().find(|name| matching.labels.contains(name));
                if let (true, Some(name)) = (matching.on, both) {
                    let message =
                        format!("label {name:?} must not occur in ON and GROUP clause at once");
                    return Err(ParseError::new(span, message));
                }
            }
        }
        for word in ["fill", "fill_left", "fill_right"] {
            if self.is_word(word)
                && self.tokens.get(self.at + 1).map(|t| &t.0) == Some(&Token::Sign("("))
            {
                let message = format!("modifier {word:?} is experimental and not supported");
                return Err(ParseError::new(self.span(), message));
            }
        }
        Ok((returns_bool, matching))
    }

    /// `(name, "quoted name", …)`, a last comma allowed.
    fn label_list(&mut self) -> Parsed<Vec<String>> {
        self.expect("(", "in grouping opts")?;
        let mut labels = Vec::new();
        while !self.take(")") {
            let span = self.span();
            match self.advance() {
                Token::Word(word) if !word.contains(':') => labels.push(word),
                Token::Text(text) => labels.push(utf8(text, &span)?),
                _ => {
                    self.at -= 1;
                    return Err(self.unexpected("in grouping opts, expected label"));
                }
            }
            if !self.take(",") {
                self.expect(")", "in grouping opts")?;
                break;
            }
        }
        Ok(labels)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let start = self.span().start;
        let negative = self.take("-");
        if !negative && !self.take("+") {
            let primary = self.primary()?;
            return self.postfix(primary);
        }
        let mut inner = self.expression(BinaryOp::Mul.precedence())?;
        let span = start..inner.span.end;
        if let ExprKind::Number(number) = &mut inner.kind {
            *number = if negative { -*number } else { *number };
            inner.span = span;
            return Ok(inner);
        }
        let below = inner.height;
        Parser::node(ExprKind::Unary { negative, inner: Box::new(inner) }, span, below)
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let span = self.span();
        match self.peek().clone() {
            Token::Number(number) => {
                self.advance();
                Parser::node(ExprKind::Number(number), span, 0)
            }
            Token::Duration(ms) => {
                self.advance();
                Parser::node(ExprKind::Number(seconds(ms)), span, 0)
            }
            Token::Text(text) => {
                self.advance();
                Parser::node(ExprKind::Text(text), span, 0)
            }
            Token::Sign("(") => {
                self.advance();
                let inner = self.expression(0)?;
                self.expect(")", "in parenthesised expression")?;
                let below = inner.height;
                let span = span.start..self.last_end();
                Parser::node(ExprKind::Paren(Box::new(inner)), span, below)
            }
            Token::Sign("{") => self.selector(None, span),
            Token::Word(word) => self.word(word, span),
            _ => Err(self.unexpected("at the start of an expression")),
        }
    }

    fn word(&mut self, word: String, span: Span) -> Parsed<Expr> {
        self.advance();
        let lower = word.to_ascii_lowercase();
        let opens = self.peek() == &Token::Sign("(");
        let aggregate = AggregateOp::ALL.iter().find(|(name, _)| *name == lower);
        if let Some((_, op)) = aggregate
            && (opens || self.is_word("by") || self.is_word("without"))
        {
            return self.aggregate(*op, span);
        }
        if opens {
            return self.call(&word, span);
        }
        if self.peek() != &Token::Sign("{")
            && let Some(value) = number(&word).filter(|_| matches!(&*lower, "inf" | "nan"))
        {
            return Parser::node(ExprKind::Number(value), span, 0);
        }
        const RESERVED: [&str; 6] = ["by", "without", "on", "ignoring", "offset", "bool"];
        if RESERVED.contains(&&*lower) && self.peek() != &Token::Sign("{") {
            self.at -= 1;
            return Err(self.unexpected("at the start of an expression"));
        }
        self.selector(Some(word), span)
    }

    fn aggregate(&mut self, op: AggregateOp, span: Span) -> Parsed<Expr> {
        if op.is_experimental() && !self.options.experimental {
            let message = format!("{}() is experimental and not enabled", op.name());
            return Err(ParseError::new(span, message));
        }
        let mut grouping = self.grouping()?;
        self.expect("(", "in aggregation")?;
        let mut arguments = self.arguments()?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let span = span.start..self.last_end();
        let wanted = 1 + usize::from(op.parameter().is_some());
        if arguments.len() != wanted {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, \
                 got {}",
                arguments.len()
            );
            return Err(ParseError::new(span, message));
        }
        let below = arguments.iter().map(|expr| expr.height).max().unwrap_or(0);
        let inner = arguments.pop().expect("the number of arguments was checked");
        let parameter = arguments.pop();
        let (without, labels) = grouping.unwrap_or_default();
        let aggregate = Aggregate { op, inner, parameter, without, labels };
        Parser::node(ExprKind::Aggregate(Box::new(aggregate)), span, below)
    }

    fn grouping(&mut self) -> Parsed<Option<(bool, Vec<String>)>> {
        let without = self.take_word("without");
        if !without && !self.take_word("by") {
            return Ok(None);
        }
        Ok(Some((without, self.label_list()?)))
    }

    /// Expressions up to and with `)`.
    fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        let mut arguments = Vec::new();
        if self.take(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            if !self.take(",") {
                self.expect(")", "in arguments")?;
                return Ok(arguments);
            }
        }
    }

    fn call(&mut self, name: &str, span: Span) -> Parsed<Expr> {
        let Some(function) = functions::find(name) else {
            let message = format!("unknown function with name {name:?}");
            return Err(ParseError::new(span, message));
        };
        if function.experimental && !self.options.experimental {
            let message = format!("function {name:?} is experimental and not enabled");
            return Err(ParseError::new(span, message));
        }
        self.advance();
        let arguments = self.arguments()?;
        let span = span.start..self.last_end();
        let below = arguments.iter().map(|expr| expr.height).max().unwrap_or(0);
        Parser::node(ExprKind::Call { function, arguments }, span, below)
    }
}

impl Parser {
    /// `{label="value", …}` after an optional name.
    fn selector(&mut self, name: Option<String>, span: Span) -> Parsed<Expr> {
        let bad = |span: &Span, message: String| ParseError::new(span.clone(), message);
        let mut matchers = Vec::new();
        if let Some(name) = &name {
            let matcher = Matcher::new(METRIC_NAME, MatchOp::Equal, name);
            matchers.push(matcher.map_err(|message| bad(&span, message))?);
        }
        let mut quoted_name: Option<String> = None;
        if self.take("{") {
            while !self.take("}") {
                let at = self.span();
                let (label, quoted) = match self.advance() {
                    Token::Word(word) if !word.contains(':') => (word, false),
                    Token::Text(text) => (utf8(text, &at)?, true),
                    _ => {
                        self.at -= usize::from(self.peek() != &Token::End);
                        return Err(
                            self.unexpected("in label matching, expected identifier or \"}\"")
                        );
                    }
                };
                let op = match self.peek() {
                    Token::Sign("=") => MatchOp::Equal,
                    Token::Sign("!=") => MatchOp::NotEqual,
                    Token::Sign("=~") => MatchOp::Matches,
                    Token::Sign("!~") => MatchOp::NotMatches,
                    Token::Sign("," | "}") if quoted => {
                        if let Some(first) = name.as_ref().or(quoted_name.as_ref()) {
                            let message = format!(
                                "metric name must not be set twice: {first:?} or {label:?}"
                            );
                            return Err(bad(&at, message));
                        }
                        let matcher = Matcher::new(METRIC_NAME, MatchOp::Equal, &label);
                        matchers.push(matcher.map_err(|message| bad(&at, message))?);
                        quoted_name = Some(label);
                        if !self.take(",") {
                            self.expect("}", "in label matching")?;
                            break;
                        }
                        continue;
                    }
                    _ => {
                        return Err(
                            self.unexpected("in label matching, expected label matching operator")
                        );
                    }
                };
                self.advance();
                let at = self.span();
                let Token::Text(value) = self.advance() else {
                    self.at -= usize::from(self.peek() != &Token::End);
                    return Err(self.unexpected("in label matching, expected string"));
                };
                let value = utf8(value, &at)?;
                if label == METRIC_NAME
                    && op == MatchOp::Equal
                    && let Some(first) = name.as_ref().or(quoted_name.as_ref())
                {
                    let message =
                        format!("metric name must not be set twice: {first:?} or {value:?}");
                    return Err(bad(&at, message));
                }
                let matcher = Matcher::new(&label, op, &value);
                matchers.push(matcher.map_err(|message| bad(&at, message))?);
                if !self.take(",") {
                    self.expect("}", "in label matching")?;
                    break;
                }
            }
        }
        let span = span.start..self.last_end();
        if !matchers.iter().any(|matcher| !matcher.matches_value("")) {
            let message = "vector selector must contain at least one non-empty matcher";
            return Err(bad(&span, message.into()));
        }
        let selector = Selector { name, matchers, when: When::default() };
        Parser::node(ExprKind::Selector(selector), span, 0)
    }

    /// `[5m]`, `[5m:1m]`, `offset 5m`, `@ 12`, in any sensible order.
    fn postfix(&mut self, mut expr: Expr) -> Parsed<Expr> {
        loop {
            if self.take("[") {
                expr = self.range(expr)?;
            } else if self.is_word("offset") {
                let at = self.span();
                self.advance();
                let offset = self.signed_ms("offset")?;
                let end = self.last_end();
                let when = self.when(&mut expr, &at)?;
                if when.offset_ms != 0 {
                    let message = "offset may not be set multiple times";
                    return Err(ParseError::new(at, message.into()));
                }
                when.offset_ms = offset;
                expr.span.end = end;
            } else if self.peek() == &Token::Sign("@") {
                let at = self.span();
                self.advance();
                let time = self.at_time()?;
                let end = self.last_end();
                let when = self.when(&mut expr, &at)?;
                if when.at.is_some() {
                    let message = "@ <timestamp> may not be set multiple times";
                    return Err(ParseError::new(at, message.into()));
                }
                when.at = Some(time);
                expr.span.end = end;
            } else {
                return Ok(expr);
            }
        }
    }

    fn range(&mut self, expr: Expr) -> Parsed<Expr> {
        let opened = self.span();
        let range_ms = self.positive_ms("range")?;
        let below = expr.height;
        if self.take(":") {
            let step_ms = match self.peek() {
                Token::Sign("]") => None,
                _ => Some(self.positive_ms("subquery step")?),
            };
            self.expect("]", "in subquery selector")?;
            let span = expr.span.start..self.last_end();
            let inner = Box::new(expr);
            let kind = ExprKind::Subquery { inner, range_ms, step_ms, when: When::default() };
            return Parser::node(kind, span, below);
        }
        self.expect("]", "in range selector")?;
        match &expr.kind {
            ExprKind::Selector(selector) if selector.when == When::default() => {}
            ExprKind::Selector(_) => {
                let message = "no offset or @ modifiers allowed before range";
                return Err(ParseError::new(opened, message.into()));
            }
            _ => {
                let message = "ranges only allowed for vector selectors";
                return Err(ParseError::new(opened, message.into()));
            }
        }
        let span = expr.span.start..self.last_end();
        Parser::node(ExprKind::Range { selector: Box::new(expr), range_ms }, span, below)
    }

    /// The place in the node that holds offset and `@`.
    fn when<'a>(&self, expr: &'a mut Expr, at: &Span) -> Parsed<&'a mut When> {
        let inner = match &mut expr.kind {
            ExprKind::Range { selector, .. } => &mut selector.kind,
            kind => kind,
        };
        match inner {
            ExprKind::Selector(Selector { when, .. }) | ExprKind::Subquery { when, .. } => Ok(when),
            _ => Err(ParseError::new(
                at.clone(),
                "offset and @ modifiers must be preceded by an instant vector selector or range \
                 vector selector or a subquery"
                    .into(),
            )),
        }
    }

    fn positive_ms(&mut self, what: &str) -> Parsed<i64> {
        let span = self.span();
        let ms = self.signed_ms(what)?;
        match ms {
            1.. => Ok(ms),
            _ => Err(ParseError::new(span, "duration must be greater than 0".into())),
        }
    }

    /// A duration, or a number of seconds.
    fn signed_ms(&mut self, what: &str) -> Parsed<i64> {
        let span = self.span();
        let negative = self.take("-");
        if !negative {
            self.take("+");
        }
        let ms = match self.advance() {
            Token::Duration(ms) => ms,
            Token::Number(seconds) => milliseconds(seconds)
                .ok_or_else(|| ParseError::new(span, "duration out of range".into()))?,
            Token::Sign("(") | Token::Word(_) => {
                let message = format!("an expression as {what} is experimental and not supported");
                return Err(ParseError::new(span, message));
            }
            _ => {
                self.at -= usize::from(self.peek() != &Token::End);
                return Err(self.unexpected(&format!("in {what}, expected number or duration")));
            }
        };
        Ok(if negative { -ms } else { ms })
    }

    fn at_time(&mut self) -> Parsed<At> {
        for (word, time) in [("start", At::Start), ("end", At::End)] {
            if self.take_word(word) {
                self.expect("(", "in @")?;
                self.expect(")", "in @")?;
                return Ok(time);
            }
        }
        let span = self.span();
        let negative = self.take("-");
        if !negative {
            self.take("+");
        }
        let seconds = match self.advance() {
            Token::Number(seconds) => seconds,
            Token::Duration(ms) => seconds(ms),
            Token::Word(word) => number(&word).ok_or_else(|| {
                ParseError::new(
                    span.clone(),
                    format!("unexpected {word:?} in @, expected timestamp"),
                )
            })?,
            _ => {
                self.at -= usize::from(self.peek() != &Token::End);
                return Err(self.unexpected("in @, expected timestamp"));
            }
        };
        let ms = milliseconds(if negative { -seconds } else { seconds }).ok_or_else(|| {
            ParseError::new(span, format!("timestamp out of bounds for @ modifier: {seconds}"))
        })?;
        Ok(At::Time(ms))
    }
}

fn utf8(text: Vec<u8>, span: &Span) -> Parsed<String> {
    String::from_utf8(text)
        .map_err(|_| ParseError::new(span.clone(), "text is not valid UTF-8".into()))
}

#[allow(clippy::cast_precision_loss)] // The lexer bounds durations far below 2^53.
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// Seconds to milliseconds; `None` when out of range or not a number.
#[allow(clippy::cast_possible_truncation)] // The range is checked.
fn milliseconds(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1000.0).round();
    (ms.abs() < 9e15).then_some(ms as i64)
}
