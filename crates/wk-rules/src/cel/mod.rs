//! The expression language: CEL syntax over 256-bit integers, addresses and bytes.
//!
//! An expression is checked against the types of the names it may use before it ever runs; what
//! is wrong is told with its place and a way to mend it. Evaluation never panics, never wraps a
//! number, and stops after a bounded number of steps.

mod error;
mod int;
mod program;
mod types;
mod value;

pub use error::{CompileError, EvalError, Fault, Unavailable, render};
pub use int::Int;
pub use program::{Program, Reference, Scope};
pub use types::{Field, ObjectType, Type, TypeEnv};
pub use value::{Key, List, Millis, Object, Value};
