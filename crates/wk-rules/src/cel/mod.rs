//! The expression language: CEL syntax over 256-bit integers, addresses and bytes.
//!
//! An expression is checked against the types of the names it may use before it ever runs; what
//! is wrong is told with its place and a way to mend it. Evaluation never panics, never wraps a
//! number, and stops after a bounded number of steps.
//!
//! ```text
//! text ─ lexer ─▶ tokens ─ parser ─▶ ast::Expr ─ check (TypeEnv) ─▶ node::Node ─ eval (Scope) ─▶ Value
//! ```

pub mod ast;
mod builtins;
mod calendar;
mod check;
mod error;
mod eval;
mod functions;
mod int;
mod json;
mod lexer;
mod literal;
mod node;
mod operate;
mod parser;
mod program;
pub(crate) mod suggest;
mod table;
mod types;
mod value;

pub use builtins::{Builtin, builtins};
pub use error::{CompileError, EvalError, Fault, Unavailable, render};
pub use int::Int;
pub use parser::{MAX_DEPTH, MAX_LENGTH, parse};
pub use program::{BUDGET, Program, Reference, Scope};
pub use types::{Field, ObjectType, Type, TypeEnv};
pub use value::{Key, List, Millis, Object, Value};
