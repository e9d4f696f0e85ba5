//! An expression as written: what the parser makes of text, and its way back to text.

use std::fmt;

use alloy_primitives::U256;

/// A range of bytes in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

impl Span {
    /// From the start of this to the end of `last`.
    #[must_use]
    pub fn to(self, last: Span) -> Span {
        Span { start: self.start, end: last.end }
    }
}

/// A part of an expression. Equal to another when both say the same, wherever they stand.
#[derive(Clone, Debug)]
pub struct Expr {
    /// All of it.
    pub span: Span,
    /// Its telling part: the operator, the function's or field's name.
    pub at: Span,
    /// What it says.
    pub kind: ExprKind,
    depth: usize,
}

/// What an expression says.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// `1000`, `0xff`
    Int(IntLiteral),
    /// `1.5`, `1e18`; the text, because some readers want it exact.
    Double(String),
    /// `"text"`
    String(String),
    /// `b"text"`
    Bytes(Vec<u8>),
    /// `amount`
    Name(String),
    /// `tx.from`
    Field {
        /// Before the dot.
        operand: Box<Expr>,
        /// After the dot.
        name: String,
    },
    /// `topics[0]`
    Index {
        /// Before the bracket.
        operand: Box<Expr>,
        /// Between the brackets.
        index: Box<Expr>,
    },
    /// `ether("1000")`
    Call {
        /// Its name.
        function: String,
        /// What it is given.
        arguments: Vec<Expr>,
    },
    /// `name.startsWith("a")`
    Method {
        /// Before the dot.
        receiver: Box<Expr>,
        /// Its name.
        function: String,
        /// What it is given besides the receiver.
        arguments: Vec<Expr>,
    },
    /// `[1, 2]`
    List(Vec<Expr>),
    /// `{"a": 1}`
    Map(Vec<(Expr, Expr)>),
    /// `!paused`
    Not(Box<Expr>),
    /// `-amount`
    Negate(Box<Expr>),
    /// `a && b && c`: two or more
    All(Vec<Expr>),
    /// `a || b || c`: two or more
    Any(Vec<Expr>),
    /// `a + b`
    Binary {
        /// What joins them.
        operator: Operator,
        /// First operand.
        left: Box<Expr>,
        /// Second operand.
        right: Box<Expr>,
    },
    /// `condition ? then : otherwise`
    Choice {
        /// Decides.
        condition: Box<Expr>,
        /// Taken when true.
        then: Box<Expr>,
        /// Taken when false.
        otherwise: Box<Expr>,
    },
}

/// A whole number as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntLiteral {
    /// The number.
    pub value: U256,
    /// The digits after `0x`, when it was written so: they may spell an address.
    pub hex: Option<String>,
}

/// What joins two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `in`
    In,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

impl Operator {
    /// As written.
    pub fn symbol(self) -> &'static str {
        match self {
            Operator::Equal => "==",
            Operator::NotEqual => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::In => "in",
            Operator::Add => "+",
            Operator::Subtract => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::Remainder => "%",
        }
    }

    pub(super) fn precedence(self) -> u8 {
        match self {
            Operator::Equal
            | Operator::NotEqual
            | Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual
            | Operator::In => RELATION,
            Operator::Add | Operator::Subtract => SUM,
            Operator::Multiply | Operator::Divide | Operator::Remainder => PRODUCT,
        }
    }
}

// How tightly a form binds; loosest first.
const CHOICE: u8 = 0;
const ANY: u8 = 1;
const ALL: u8 = 2;
const RELATION: u8 = 3;
const SUM: u8 = 4;
const PRODUCT: u8 = 5;
const UNARY: u8 = 6;
const POSTFIX: u8 = 7;

impl Expr {
    /// An expression that stands nowhere.
    pub fn new(kind: ExprKind) -> Expr {
        Expr::at(Span::default(), Span::default(), kind)
    }

    pub(super) fn at(span: Span, at: Span, kind: ExprKind) -> Expr {
        let below = match &kind {
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Int(_)
            | ExprKind::Double(_)
            | ExprKind::String(_)
            | ExprKind::Bytes(_)
            | ExprKind::Name(_) => 0,
            ExprKind::Field { operand, .. } => operand.depth,
            ExprKind::Index { operand, index } => operand.depth.max(index.depth),
            ExprKind::Call { arguments, .. } => deepest(arguments),
            ExprKind::Method { receiver, arguments, .. } => receiver.depth.max(deepest(arguments)),
            ExprKind::List(items) | ExprKind::All(items) | ExprKind::Any(items) => deepest(items),
            ExprKind::Map(entries) => {
                entries.iter().map(|(key, value)| key.depth.max(value.depth)).max().unwrap_or(0)
            }
            ExprKind::Not(operand) | ExprKind::Negate(operand) => operand.depth,
            ExprKind::Binary { left, right, .. } => left.depth.max(right.depth),
            ExprKind::Choice { condition, then, otherwise } => {
                condition.depth.max(then.depth).max(otherwise.depth)
            }
        };
        Expr { span, at, kind, depth: below + 1 }
    }

    /// Levels from here to the furthest leaf, counting both.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// True when it says its value by itself, so that its type may follow from its surroundings.
    pub(super) fn is_literal(&self) -> bool {
        match &self.kind {
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Int(_)
            | ExprKind::Double(_)
            | ExprKind::String(_)
            | ExprKind::Bytes(_) => true,
            ExprKind::Negate(operand) => operand.is_literal(),
            ExprKind::List(items) => items.iter().all(Expr::is_literal),
            ExprKind::Map(entries) => {
                entries.iter().all(|(key, value)| key.is_literal() && value.is_literal())
            }
            ExprKind::Choice { then, otherwise, .. } => then.is_literal() && otherwise.is_literal(),
            ExprKind::Name(_)
            | ExprKind::Field { .. }
            | ExprKind::Index { .. }
            | ExprKind::Call { .. }
            | ExprKind::Method { .. }
            | ExprKind::Not(_)
            | ExprKind::All(_)
            | ExprKind::Any(_)
            | ExprKind::Binary { .. } => false,
        }
    }

    fn precedence(&self) -> u8 {
        match &self.kind {
            ExprKind::Choice { .. } => CHOICE,
            ExprKind::Any(_) => ANY,
            ExprKind::All(_) => ALL,
            ExprKind::Binary { operator, .. } => operator.precedence(),
            ExprKind::Not(_) | ExprKind::Negate(_) => UNARY,
            _ => POSTFIX,
        }
    }

    fn print(&self, f: &mut fmt::Formatter<'_>, least: u8) -> fmt::Result {
        if self.precedence() < least {
            f.write_str("(")?;
            self.print(f, CHOICE)?;
            return f.write_str(")");
        }
        match &self.kind {
            ExprKind::Null => f.write_str("null"),
            ExprKind::Bool(value) => write!(f, "{value}"),
            ExprKind::Int(IntLiteral { value, hex }) => match hex {
                Some(digits) => write!(f, "0x{digits}"),
                None => write!(f, "{value}"),
            },
            ExprKind::Double(text) => f.write_str(text),
            ExprKind::String(text) => print_string(f, text),
            ExprKind::Bytes(bytes) => print_bytes(f, bytes),
            ExprKind::Name(name) => f.write_str(name),
            ExprKind::Field { operand, name } => {
                operand.print(f, POSTFIX)?;
                write!(f, ".{name}")
            }
            ExprKind::Index { operand, index } => {
                operand.print(f, POSTFIX)?;
                write!(f, "[{index}]")
            }
            ExprKind::Call { function, arguments } => {
                write!(f, "{function}(")?;
                print_joined(f, arguments, ", ", CHOICE)?;
                f.write_str(")")
            }
            ExprKind::Method { receiver, function, arguments } => {
                receiver.print(f, POSTFIX)?;
                write!(f, ".{function}(")?;
                print_joined(f, arguments, ", ", CHOICE)?;
                f.write_str(")")
            }
            ExprKind::List(items) => {
                f.write_str("[")?;
                print_joined(f, items, ", ", CHOICE)?;
                f.write_str("]")
            }
            ExprKind::Map(entries) => {
                f.write_str("{")?;
                for (place, (key, value)) in entries.iter().enumerate() {
                    let comma = if place > 0 { ", " } else { "" };
                    write!(f, "{comma}{key}: {value}")?;
                }
                f.write_str("}")
            }
            ExprKind::Not(operand) => {
                f.write_str("!")?;
                operand.print(f, UNARY)
            }
            ExprKind::Negate(operand) => {
                f.write_str("-")?;
                operand.print(f, UNARY)
            }
            ExprKind::All(operands) => print_joined(f, operands, " && ", ALL + 1),
            ExprKind::Any(operands) => print_joined(f, operands, " || ", ANY + 1),
            ExprKind::Binary { operator, left, right } => {
                left.print(f, operator.precedence())?;
                write!(f, " {} ", operator.symbol())?;
                right.print(f, operator.precedence() + 1)
            }
            ExprKind::Choice { condition, then, otherwise } => {
                condition.print(f, ANY)?;
                f.write_str(" ? ")?;
                then.print(f, ANY)?;
                f.write_str(" : ")?;
                otherwise.print(f, CHOICE)
            }
        }
    }
}

fn deepest(exprs: &[Expr]) -> usize {
    exprs.iter().map(Expr::depth).max().unwrap_or(0)
}

impl PartialEq for Expr {
    fn eq(&self, other: &Expr) -> bool {
        self.kind == other.kind
    }
}

/// Text that parses to an equal expression, with as few parentheses as it needs.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, CHOICE)
    }
}

fn print_joined(
    f: &mut fmt::Formatter<'_>,
    exprs: &[Expr],
    between: &str,
    least: u8,
) -> fmt::Result {
    for (place, expr) in exprs.iter().enumerate() {
        if place > 0 {
            f.write_str(between)?;
        }
        expr.print(f, least)?;
    }
    Ok(())
}

fn print_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if c.is_control() => write!(f, "\\U{:08x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

fn print_bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("b\"")?;
    for byte in bytes {
        match byte {
            b'"' | b'\\' => write!(f, "\\{}", char::from(*byte))?,
            b' '..=b'~' => write!(f, "{}", char::from(*byte))?,
            byte => write!(f, "\\x{byte:02x}")?,
        }
    }
    f.write_str("\"")
}
