//! The functions of the language and the types of their arguments.

use crate::ast::ValueType::{self, Matrix, Scalar, String, Vector};

/// How many of the last arguments may be left out or repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// All must be given.
    Fixed,
    /// This many of the last may be left out.
    Optional(usize),
    /// The last may be given any number of times, none included.
    Repeated,
}

/// A function's signature.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: &'static str,
    pub arguments: &'static [ValueType],
    pub arity: Arity,
    pub returns: ValueType,
    /// Prometheus has it behind a feature flag.
    pub experimental: bool,
}

impl Function {
    /// The least number of arguments.
    pub fn least(&self) -> usize {
        match self.arity {
            Arity::Fixed => self.arguments.len(),
            Arity::Optional(n) => self.arguments.len() - n,
            Arity::Repeated => self.arguments.len() - 1,
        }
    }

    /// The largest number of arguments; `None` when there is no limit.
    pub fn most(&self) -> Option<usize> {
        match self.arity {
            Arity::Repeated => None,
            _ => Some(self.arguments.len()),
        }
    }
}

/// Looks a function up by its name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

const fn stable(
    name: &'static str,
    arguments: &'static [ValueType],
    arity: Arity,
    returns: ValueType,
) -> Function {
    Function { name, arguments, arity, returns, experimental: false }
}

const fn map(name: &'static str) -> Function {
    stable(name, &[Vector], Arity::Fixed, Vector)
}

const fn over_time(name: &'static str) -> Function {
    stable(name, &[Matrix], Arity::Fixed, Vector)
}

const fn date(name: &'static str) -> Function {
    stable(name, &[Vector], Arity::Optional(1), Vector)
}

const fn experimental(
    name: &'static str,
    arguments: &'static [ValueType],
    arity: Arity,
) -> Function {
    Function { name, arguments, arity, returns: Vector, experimental: true }
}

/// Every function, stable and experimental.
pub static FUNCTIONS: &[Function] = &[
    map("abs"),
    map("absent"),
    over_time("absent_over_time"),
    map("acos"),
    map("acosh"),
    map("asin"),
    map("asinh"),
    map("atan"),
    map("atanh"),
    over_time("avg_over_time"),
    map("ceil"),
    over_time("changes"),
    stable("clamp", &[Vector, Scalar, Scalar], Arity::Fixed, Vector),
    stable("clamp_max", &[Vector, Scalar], Arity::Fixed, Vector),
    stable("clamp_min", &[Vector, Scalar], Arity::Fixed, Vector),
    map("cos"),
    map("cosh"),
    over_time("count_over_time"),
    date("day_of_month"),
    date("day_of_week"),
    date("day_of_year"),
    date("days_in_month"),
    map("deg"),
    over_time("delta"),
    over_time("deriv"),
    experimental("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Arity::Fixed),
    map("exp"),
    experimental("first_over_time", &[Matrix], Arity::Fixed),
    map("floor"),
    map("histogram_avg"),
    map("histogram_count"),
    stable("histogram_fraction", &[Scalar, Scalar, Vector], Arity::Fixed, Vector),
    stable("histogram_quantile", &[Scalar, Vector], Arity::Fixed, Vector),
    experimental("histogram_quantiles", &[Vector, String, Scalar, Scalar], Arity::Repeated),
    map("histogram_stddev"),
    map("histogram_stdvar"),
    map("histogram_sum"),
    date("hour"),
    over_time("idelta"),
    over_time("increase"),
    over_time("irate"),
    stable("label_join", &[Vector, String, String, String], Arity::Repeated, Vector),
    stable("label_replace", &[Vector, String, String, String, String], Arity::Fixed, Vector),
    over_time("last_over_time"),
    map("ln"),
    map("log10"),
    map("log2"),
    experimental("mad_over_time", &[Matrix], Arity::Fixed),
    over_time("max_over_time"),
    over_time("min_over_time"),
    date("minute"),
    date("month"),
    stable("pi", &[], Arity::Fixed, Scalar),
    stable("predict_linear", &[Matrix, Scalar], Arity::Fixed, Vector),
    over_time("present_over_time"),
    stable("quantile_over_time", &[Scalar, Matrix], Arity::Fixed, Vector),
    map("rad"),
    over_time("rate"),
    over_time("resets"),
    stable("round", &[Vector, Scalar], Arity::Optional(1), Vector),
    stable("scalar", &[Vector], Arity::Fixed, Scalar),
    map("sgn"),
    map("sin"),
    map("sinh"),
    map("sort"),
    experimental("sort_by_label", &[Vector, String], Arity::Repeated),
    experimental("sort_by_label_desc", &[Vector, String], Arity::Repeated),
    map("sort_desc"),
    map("sqrt"),
    over_time("stddev_over_time"),
    over_time("stdvar_over_time"),
    over_time("sum_over_time"),
    map("tan"),
    map("tanh"),
    stable("time", &[], Arity::Fixed, Scalar),
    map("timestamp"),
    experimental("ts_of_first_over_time", &[Matrix], Arity::Fixed),
    experimental("ts_of_last_over_time", &[Matrix], Arity::Fixed),
    experimental("ts_of_max_over_time", &[Matrix], Arity::Fixed),
    experimental("ts_of_min_over_time", &[Matrix], Arity::Fixed),
    stable("vector", &[Scalar], Arity::Fixed, Vector),
    date("year"),
];
