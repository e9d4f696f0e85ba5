//! The syntax tree, each node with the byte range it came from.

use std::ops::Range;

use crate::functions::Function;
use crate::matcher::Matcher;

/// Bytes of the query from which a node came.
pub type Span = Range<usize>;

/// An expression and where it stands.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
    /// Levels of the tree below and with this node; the parser bounds it, so that walks may recurse.
    pub height: usize,
}

/// The type of an expression's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// One number at each time.
    Scalar,
    /// Several series, one value each at a time.
    Vector,
    /// Several series, a range of values each.
    Matrix,
    /// Text.
    String,
}

impl ValueType {
    /// The name that error messages use.
    pub fn name(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
            ValueType::String => "string",
        }
    }
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A number.
    Number(f64),
    /// Text; bytes, as an escape may name any byte.
    Text(Vec<u8>),
    /// Series by name and labels.
    Selector(Selector),
    /// `selector[range]`.
    Range { selector: Box<Expr>, range_ms: i64 },
    /// `expression[range:step]`.
    Subquery { inner: Box<Expr>, range_ms: i64, step_ms: Option<i64>, when: When },
    /// `(expression)`.
    Paren(Box<Expr>),
    /// `-expression`, `+expression`.
    Unary { negative: bool, inner: Box<Expr> },
    /// `left op right`.
    Binary(Box<Binary>),
    /// `sum by (job) (expression)`.
    Aggregate(Box<Aggregate>),
    /// `rate(…)`.
    Call { function: &'static Function, arguments: Vec<Expr> },
}

/// Series by name and labels.
#[derive(Clone, Debug)]
pub struct Selector {
    /// The name when it was written before the braces.
    pub name: Option<String>,
    /// All conditions, the one on the name included.
    pub matchers: Vec<Matcher>,
    /// Offset and `@`.
    pub when: When,
}

/// Moves the time at which something is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// `offset`; positive looks back.
    pub offset_ms: i64,
    /// `@`.
    pub at: Option<At>,
}

/// A fixed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Milliseconds since 1970.
    Time(i64),
    /// First step of the query.
    Start,
    /// Last step of the query.
    End,
}

/// Operators between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    /// How it is written.
    pub fn name(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Unless => "unless",
        }
    }

    /// Higher binds tighter.
    pub fn precedence(self) -> u8 {
        match self {
            BinaryOp::Or => 1,
            BinaryOp::And | BinaryOp::Unless => 2,
            BinaryOp::Eq
            | BinaryOp::Ne
            | BinaryOp::Lt
            | BinaryOp::Le
            | BinaryOp::Gt
            | BinaryOp::Ge => 3,
            BinaryOp::Add | BinaryOp::Sub => 4,
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => 5,
            BinaryOp::Pow => 6,
        }
    }

    /// Whether it compares.
    pub fn is_comparison(self) -> bool {
        self.precedence() == 3
    }

    /// Whether it joins sets of series.
    pub fn is_set(self) -> bool {
        self.precedence() <= 2
    }
}

/// How many series of one side meet one of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    OneToOne,
    /// `group_left`.
    ManyToOne,
    /// `group_right`.
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// `left op right`.
#[derive(Clone, Debug)]
pub struct Binary {
    pub op: BinaryOp,
    pub left: Expr,
    pub right: Expr,
    /// `bool`.
    pub returns_bool: bool,
    pub matching: Matching,
}

/// Which labels must agree.
#[derive(Clone, Debug)]
pub struct Matching {
    pub cardinality: Cardinality,
    /// `on` (true) or `ignoring`.
    pub on: bool,
    /// Whether `on` or `ignoring` was written.
    pub given: bool,
    pub labels: Vec<String>,
    /// Labels taken from the "one" side.
    pub include: Vec<String>,
}

/// Aggregation operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    /// All operators by name.
    pub const ALL: [(&'static str, AggregateOp); 14] = [
        ("sum", AggregateOp::Sum),
        ("avg", AggregateOp::Avg),
        ("count", AggregateOp::Count),
        ("min", AggregateOp::Min),
        ("max", AggregateOp::Max),
        ("group", AggregateOp::Group),
        ("stddev", AggregateOp::Stddev),
        ("stdvar", AggregateOp::Stdvar),
        ("topk", AggregateOp::Topk),
        ("bottomk", AggregateOp::Bottomk),
        ("count_values", AggregateOp::CountValues),
        ("quantile", AggregateOp::Quantile),
        ("limitk", AggregateOp::Limitk),
        ("limit_ratio", AggregateOp::LimitRatio),
    ];

    /// How it is written.
    pub fn name(self) -> &'static str {
        AggregateOp::ALL.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }

    /// Whether Prometheus has it behind a feature flag.
    pub fn is_experimental(self) -> bool {
        matches!(self, AggregateOp::Limitk | AggregateOp::LimitRatio)
    }

    /// Type of the parameter before the vector.
    pub fn parameter(self) -> Option<ValueType> {
        match self {
            AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Quantile
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio => Some(ValueType::Scalar),
            AggregateOp::CountValues => Some(ValueType::String),
            _ => None,
        }
    }
}

/// `sum by (job) (expression)`.
#[derive(Clone, Debug)]
pub struct Aggregate {
    pub op: AggregateOp,
    pub inner: Expr,
    pub parameter: Option<Expr>,
    /// `without` (true) or `by`.
    pub without: bool,
    pub labels: Vec<String>,
}

impl Expr {
    /// The type of its value.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) => ValueType::Scalar,
            ExprKind::Text(_) => ValueType::String,
            ExprKind::Selector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::Range { .. } | ExprKind::Subquery { .. } => ValueType::Matrix,
            ExprKind::Paren(inner) | ExprKind::Unary { inner, .. } => inner.value_type(),
            ExprKind::Binary(binary) => {
                let scalar = |e: &Expr| e.value_type() == ValueType::Scalar;
                if scalar(&binary.left) && scalar(&binary.right) {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                }
            }
            ExprKind::Call { function, .. } => function.returns,
        }
    }

    /// Without the parentheses around it.
    pub fn bare(&self) -> &Expr {
        match &self.kind {
            ExprKind::Paren(inner) => inner.bare(),
            _ => self,
        }
    }
}
