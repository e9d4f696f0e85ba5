//! A checked expression, and the values it is evaluated with.

use super::{CompileError, EvalError, Type, TypeEnv, Unavailable, Value};

/// An expression that has passed the load-time checks.
#[derive(Clone, Debug)]
pub struct Program {
    output: Type,
    references: Vec<Reference>,
    calls: Vec<usize>,
}

/// A variable, or a field below one, that a program reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The variable's slot.
    pub slot: usize,
    /// Field indices below it; empty when the whole variable is read.
    pub fields: Vec<usize>,
    /// As written: `tx.from`.
    pub path: String,
}

/// Gives a program its values.
pub trait Scope {
    /// The value of the variable at `slot`.
    fn variable(&self, slot: usize) -> Result<Value, Unavailable>;

    /// The value of a field below the variable at `slot`; `fields` are the indices on the way, at
    /// least one. A scope that can give a field without building the whole object says so here.
    fn field(&self, slot: usize, fields: &[usize]) -> Result<Value, Unavailable> {
        let mut value = self.variable(slot)?;
        for index in fields {
            value = match value {
                Value::Object(object) => object.fields.get(*index).cloned().unwrap_or(Value::Null),
                _ => Value::Null,
            };
        }
        Ok(value)
    }

    /// Answers the function declared as `function`.
    fn call(&self, function: usize, arguments: &[Value]) -> Result<Value, Unavailable> {
        let _ = (function, arguments);
        Err(Unavailable("this function is not offered here".to_owned()))
    }
}

/// Values by slot.
impl Scope for [Value] {
    fn variable(&self, slot: usize) -> Result<Value, Unavailable> {
        self.get(slot).cloned().ok_or_else(|| Unavailable("the variable has no value".to_owned()))
    }
}

impl Program {
    /// Parses and checks `text`; the result may be of any type.
    pub fn compile(text: &str, env: &TypeEnv) -> Result<Program, CompileError> {
        let _ = env;
        Err(CompileError {
            offset: 0,
            len: text.len(),
            message: "expressions are not evaluated yet".to_owned(),
            hint: None,
        })
    }

    /// Like `compile`, for a result of type `expected`: a literal is read as that type, and any
    /// other type is refused.
    pub fn compile_as(text: &str, env: &TypeEnv, expected: &Type) -> Result<Program, CompileError> {
        let _ = expected;
        Program::compile(text, env)
    }

    /// Like `compile`, for a condition: the result has to be a bool.
    pub fn condition(text: &str, env: &TypeEnv) -> Result<Program, CompileError> {
        Program::compile_as(text, env, &Type::Bool)
    }

    /// The result's type.
    pub fn output(&self) -> &Type {
        &self.output
    }

    /// What it reads from the scope, each once. Constants are not among it.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// The numbers of the scope's functions that it calls, each once.
    pub fn calls(&self) -> &[usize] {
        &self.calls
    }

    /// The result for the values of `scope`.
    pub fn eval(&self, scope: &dyn Scope) -> Result<Value, EvalError> {
        let _ = scope;
        Ok(Value::Null)
    }

    /// The result of a condition; `null` is an error.
    pub fn holds(&self, scope: &dyn Scope) -> Result<bool, EvalError> {
        Ok(self.eval(scope)?.as_bool() == Some(true))
    }
}
