//! Tokens to an expression, by operator precedence.
//!
//! Nesting is bounded, so no text can exhaust the stack here or in what walks the result.

use super::CompileError;
use super::ast::{Expr, ExprKind, Operator, Span};
use super::lexer::{Lexer, Token, TokenKind};

/// Longest text that is read, in bytes.
pub const MAX_LENGTH: usize = 16 * 1024;

/// Deepest nesting of parentheses, operators and calls.
pub const MAX_DEPTH: usize = 64;

/// Reads an expression without checking what its names mean.
pub fn parse(text: &str) -> Result<Expr, CompileError> {
    if text.len() > MAX_LENGTH {
        return Err(CompileError {
            offset: 0,
            len: 1,
            message: format!("this expression has {} bytes; the most is {MAX_LENGTH}", text.len()),
            hint: Some("move long lists to `lists:` and use `in lists.NAME`".to_owned()),
        });
    }
    let mut lexer = Lexer::new(text);
    let token = lexer.next()?;
    if token.kind == TokenKind::End {
        return Err(fault(token.span, "the expression is empty", None));
    }
    let mut parser = Parser { text, lexer, token, last: Span::default(), nesting: 0 };
    let expr = parser.choice()?;
    if parser.token.kind != TokenKind::End {
        return Err(parser.no_operator(None));
    }
    Ok(expr)
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    /// The token to be read next.
    token: Token,
    /// Where the token read last stands.
    last: Span,
    nesting: usize,
}

/// Items between brackets, and the closing bracket's place.
type Bracketed<T> = (Vec<T>, Span);

impl Parser<'_> {
    fn advance(&mut self) -> Result<Token, CompileError> {
        let next = self.lexer.next()?;
        let token = std::mem::replace(&mut self.token, next);
        self.last = token.span;
        Ok(token)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.token.kind, TokenKind::Sign(found) if found == sign)
    }

    /// Reads `sign` when it is next.
    fn accept(&mut self, sign: &str) -> Result<bool, CompileError> {
        let found = self.is(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, CompileError>,
    ) -> Result<T, CompileError> {
        if self.nesting >= MAX_DEPTH {
            return Err(too_deep(self.token.span));
        }
        self.nesting += 1;
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    fn build(&self, span: Span, at: Span, kind: ExprKind) -> Result<Expr, CompileError> {
        let expr = Expr::at(span, at, kind);
        if expr.depth() > MAX_DEPTH {
            return Err(too_deep(at));
        }
        Ok(expr)
    }

    /// `condition ? then : otherwise`, and all that binds tighter.
    fn choice(&mut self) -> Result<Expr, CompileError> {
        self.nested(|parser| {
            let condition = parser.any()?;
            if !parser.is("?") {
                return Ok(condition);
            }
            let mark = parser.advance()?.span;
            let then = parser.nested(Parser::any)?;
            if !parser.accept(":")? {
                return Err(match parser.token.kind {
                    TokenKind::End => fault(
                        mark,
                        "this `?` has no `:`",
                        Some("a choice is written condition ? then : otherwise"),
                    ),
                    _ => parser.no_operator(Some((mark, ":"))),
                });
            }
            let otherwise = parser.choice()?;
            let span = condition.span.to(otherwise.span);
            let kind = ExprKind::Choice {
                condition: Box::new(condition),
                then: Box::new(then),
                otherwise: Box::new(otherwise),
            };
            parser.build(span, mark, kind)
        })
    }

    fn any(&mut self) -> Result<Expr, CompileError> {
        self.chain("||", Parser::all, ExprKind::Any)
    }

    fn all(&mut self) -> Result<Expr, CompileError> {
        self.chain("&&", |parser| parser.binary(0), ExprKind::All)
    }

    /// Operands joined by one operator, side by side: a long list of alternatives is not deep.
    fn chain(
        &mut self,
        sign: &'static str,
        operand: impl Fn(&mut Self) -> Result<Expr, CompileError>,
        kind: impl Fn(Vec<Expr>) -> ExprKind,
    ) -> Result<Expr, CompileError> {
        let first = operand(self)?;
        if !self.is(sign) {
            return Ok(first);
        }
        let at = self.token.span;
        let mut operands = vec![first];
        while self.accept(sign)? {
            operands.push(operand(self)?);
        }
        let span = operands[0].span.to(operands[operands.len() - 1].span);
        self.build(span, at, kind(operands))
    }

    /// Comparisons and arithmetic that bind at least as tightly as `least`; left to right.
    fn binary(&mut self, least: u8) -> Result<Expr, CompileError> {
        let mut left = self.unary()?;
        while let Some(operator) = self.operator().filter(|found| found.precedence() >= least) {
            let at = self.advance()?.span;
            let right = self.binary(operator.precedence() + 1)?;
            let span = left.span.to(right.span);
            let kind = ExprKind::Binary { operator, left: Box::new(left), right: Box::new(right) };
            left = self.build(span, at, kind)?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<Operator> {
        let written = match &self.token.kind {
            TokenKind::Word(word) => word.as_str(),
            TokenKind::Sign(sign) => sign,
            _ => return None,
        };
        [
            Operator::Equal,
            Operator::NotEqual,
            Operator::Less,
            Operator::LessOrEqual,
            Operator::Greater,
            Operator::GreaterOrEqual,
            Operator::In,
            Operator::Add,
            Operator::Subtract,
            Operator::Multiply,
            Operator::Divide,
            Operator::Remainder,
        ]
        .into_iter()
        .find(|operator| operator.symbol() == written)
    }

    fn unary(&mut self) -> Result<Expr, CompileError> {
        let wrap = if self.is("!") {
            ExprKind::Not
        } else if self.is("-") {
            ExprKind::Negate
        } else {
            return self.postfix();
        };
        let at = self.advance()?.span;
        let operand = self.nested(Parser::unary)?;
        self.build(at.to(operand.span), at, wrap(Box::new(operand)))
    }

    /// A value, and the fields, indices and method calls behind it.
    fn postfix(&mut self) -> Result<Expr, CompileError> {
        let mut expr = self.primary()?;
        loop {
            if self.accept(".")? {
                expr = self.member(expr)?;
            } else if self.is("[") {
                let open = self.advance()?.span;
                let index = self.choice()?;
                if !self.is("]") {
                    return Err(self.no_operator(Some((open, "]"))));
                }
                let close = self.advance()?.span;
                let span = expr.span.to(close);
                let kind = ExprKind::Index { operand: Box::new(expr), index: Box::new(index) };
                expr = self.build(span, open.to(close), kind)?;
            } else {
                return Ok(expr);
            }
        }
    }

    /// What follows a dot: a field, or a method call.
    fn member(&mut self, operand: Expr) -> Result<Expr, CompileError> {
        let TokenKind::Word(name) = self.token.kind.clone() else {
            let message = "a field's name is expected after `.`";
            return Err(fault(self.token.span, message, None));
        };
        let at = self.advance()?.span;
        let operand = Box::new(operand);
        if !self.is("(") {
            let span = operand.span.to(at);
            return self.build(span, at, ExprKind::Field { operand, name });
        }
        let (arguments, close) = self.arguments()?;
        let span = operand.span.to(close);
        let kind = ExprKind::Method { receiver: operand, function: name, arguments };
        self.build(span, at, kind)
    }

    fn primary(&mut self) -> Result<Expr, CompileError> {
        if let TokenKind::Sign(sign) = self.token.kind {
            return match sign {
                "(" => self.parenthesised(),
                "[" => self.list(),
                "{" => self.map(),
                _ => Err(self.no_value()),
            };
        }
        if self.token.kind == TokenKind::End {
            return Err(self.no_value());
        }
        let Token { span, kind } = self.advance()?;
        let kind = match kind {
            TokenKind::Word(word) => return self.word(word, span),
            TokenKind::Int(literal) => ExprKind::Int(literal),
            TokenKind::Double(text) => ExprKind::Double(text),
            TokenKind::String(text) => ExprKind::String(text),
            TokenKind::Bytes(bytes) => ExprKind::Bytes(bytes),
            TokenKind::Sign(_) | TokenKind::End => unreachable!("both are handled above"),
        };
        self.build(span, span, kind)
    }

    fn parenthesised(&mut self) -> Result<Expr, CompileError> {
        let open = self.advance()?.span;
        let mut inner = self.choice()?;
        if !self.is(")") {
            return Err(self.no_operator(Some((open, ")"))));
        }
        let close = self.advance()?.span;
        // The parentheses belong to the place, so that a caret covers them.
        inner.span = open.to(close);
        Ok(inner)
    }

    fn word(&mut self, word: String, at: Span) -> Result<Expr, CompileError> {
        let kind = match word.as_str() {
            "true" => ExprKind::Bool(true),
            "false" => ExprKind::Bool(false),
            "null" => ExprKind::Null,
            "in" => {
                let hint = Some("write value in list");
                return Err(fault(at, "`in` needs a value before it", hint));
            }
            "not" | "NOT" if !self.is("(") && self.begins_value() => {
                return Err(fault(at, "`not` is no operator", Some("\"not\" is `!`")));
            }
            _ if self.is("(") => {
                let (arguments, close) = self.arguments()?;
                let kind = ExprKind::Call { function: word, arguments };
                return self.build(at.to(close), at, kind);
            }
            _ => ExprKind::Name(word),
        };
        self.build(at, at, kind)
    }

    fn begins_value(&self) -> bool {
        match &self.token.kind {
            TokenKind::Word(word) => word != "in",
            TokenKind::Int(_)
            | TokenKind::Double(_)
            | TokenKind::String(_)
            | TokenKind::Bytes(_) => true,
            TokenKind::Sign(sign) => matches!(*sign, "(" | "!"),
            TokenKind::End => false,
        }
    }

    /// `(a, b)` behind a name.
    fn arguments(&mut self) -> Result<Bracketed<Expr>, CompileError> {
        self.bracketed(")", false, Parser::choice)
    }

    fn list(&mut self) -> Result<Expr, CompileError> {
        let open = self.token.span;
        let (items, close) = self.bracketed("]", true, Parser::choice)?;
        self.build(open.to(close), open.to(close), ExprKind::List(items))
    }

    fn map(&mut self) -> Result<Expr, CompileError> {
        let open = self.token.span;
        let (entries, close) = self.bracketed("}", true, |parser| {
            let key = parser.choice()?;
            if !parser.accept(":")? {
                return Err(fault(
                    parser.token.span,
                    "a map's entry needs `:` and a value",
                    Some("a map is written {\"key\": value}"),
                ));
            }
            Ok((key, parser.choice()?))
        })?;
        self.build(open.to(close), open.to(close), ExprKind::Map(entries))
    }

    /// From an opening bracket to its closing one, items with commas between.
    fn bracketed<T>(
        &mut self,
        close: &'static str,
        may_end_in_comma: bool,
        item: impl Fn(&mut Self) -> Result<T, CompileError>,
    ) -> Result<Bracketed<T>, CompileError> {
        let open = self.advance()?.span;
        let mut items = Vec::new();
        if !self.is(close) {
            if self.token.kind == TokenKind::End {
                return Err(never_closed(self.text, open));
            }
            loop {
                items.push(item(self)?);
                if !self.accept(",")? || (may_end_in_comma && self.is(close)) {
                    break;
                }
            }
        }
        if !self.is(close) {
            return Err(self.no_operator(Some((open, close))));
        }
        Ok((items, self.advance()?.span))
    }

    /// A value is expected, and something else is there.
    fn no_value(&self) -> CompileError {
        let span = self.token.span;
        let written = self.written(span);
        match written {
            "" => fault(span, "the expression ends where a value is expected", None),
            ")" | "]" | "}" => fault(span, format!("a value is expected before `{written}`"), None),
            _ => fault(span, format!("a value is expected here, not `{written}`"), None),
        }
    }

    /// A value is complete, and what follows can neither go on nor end what is `open`: a bracket
    /// and how it would be closed, or nothing.
    fn no_operator(&self, open: Option<(Span, &str)>) -> CompileError {
        let span = self.token.span;
        let written = self.written(span);
        if let TokenKind::Word(word) = &self.token.kind
            && let Some(hint) = word_for_sign(word)
        {
            return fault(span, format!("`{word}` is no operator"), Some(hint));
        }
        let closes = matches!(self.token.kind, TokenKind::Sign(")" | "]" | "}"));
        match open {
            Some((open, _)) if self.token.kind == TokenKind::End => never_closed(self.text, open),
            Some((open, close)) if closes => fault(
                span,
                format!("`{written}` does not close the `{}` before", self.written(open)),
                Some(&format!("write `{close}` here, or close it earlier")),
            ),
            Some((_, close)) => fault(
                span,
                format!("`{close}` or an operator is expected before `{written}`"),
                None,
            ),
            None if closes => {
                fault(span, format!("`{written}` closes nothing"), Some("remove it, or open it"))
            }
            None => {
                let hint = match written {
                    "," => Some("numbers are written without grouping: 1000"),
                    ";" => Some("a rule has one expression; remove `;`"),
                    "{" => Some("a map is written {\"key\": value}; objects cannot be built"),
                    ":" => Some("a choice is written condition ? then : otherwise"),
                    _ => Some("join two conditions by `&&` or `||`"),
                };
                fault(span, format!("an operator is expected before `{written}`"), hint)
            }
        }
    }

    fn written(&self, span: Span) -> &str {
        &self.text[span.start..span.end]
    }
}

/// What people write for an operator, and what it is here.
fn word_for_sign(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "and" => "\"and\" is `&&`",
        "or" => "\"or\" is `||`",
        "not" => "\"not\" is `!`, as in !(value in list)",
        "is" | "eq" | "equals" => "equality is `==`",
        "isnt" | "ne" | "neq" => "inequality is `!=`",
        "gt" => "\"greater\" is `>`",
        "gte" | "ge" => "\"greater or equal\" is `>=`",
        "lt" => "\"less\" is `<`",
        "lte" | "le" => "\"less or equal\" is `<=`",
        "mod" => "the remainder is `%`",
        "contains" => "write text.contains(\"part\"), or value in list",
        "like" | "matches" => "write text.matches(\"pattern\")",
        "startswith" => "write text.startsWith(\"part\")",
        "endswith" => "write text.endsWith(\"part\")",
        "between" => "write value >= lowest && value <= highest",
        "if" | "then" | "else" => "a choice is written condition ? then : otherwise",
        "ether" | "eth" | "gwei" => "an amount is written ether(\"1.5\")",
        _ => return None,
    })
}

fn never_closed(text: &str, open: Span) -> CompileError {
    let written = &text[open.start..open.end];
    fault(open, format!("this `{written}` is never closed"), None)
}

fn too_deep(span: Span) -> CompileError {
    let message = format!("this is nested more than {MAX_DEPTH} levels deep");
    fault(span, message, Some("split the rule, or join alternatives by `in [...]`"))
}

fn fault(span: Span, message: impl Into<String>, hint: Option<&str>) -> CompileError {
    CompileError {
        offset: span.start,
        len: span.end - span.start,
        message: message.into(),
        hint: hint.map(str::to_owned),
    }
}
