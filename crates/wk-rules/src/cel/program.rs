//! A checked expression, and the values it is evaluated with.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ast::Expr;
use super::check;
use super::eval::{eval, eval_as};
use super::node::{Node, NodeKind};
use super::{CompileError, EvalError, Fault, Type, TypeEnv, Unavailable, Value};

/// Steps that an evaluation may take: about as many operators, items walked, or 32-byte pieces of
/// text read.
pub const BUDGET: u64 = 250_000;

/// An expression that has passed the load-time checks. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Program(Arc<Checked>);

#[derive(Debug)]
struct Checked {
    text: String,
    root: Node,
    output: Type,
    /// Set when only evaluation tells whether the result is of the expected type.
    is_asserted: bool,
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
    /// Its names: `tx.from`.
    pub path: String,
}

/// Gives a program its values.
pub trait Scope {
    /// The value of the variable at `slot`, of the type it was declared with.
    fn variable(&self, slot: usize) -> Result<Value, Unavailable>;

    /// The value of a field below the variable at `slot`; `fields` are the indices on the way, at
    /// least one. A field of `null` is `null`. A scope that can give a field without building the
    /// whole object does so here.
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

    /// Answers the function declared as `function`; the arguments have the declared types.
    fn call(&self, function: usize, arguments: &[Value]) -> Result<Value, Unavailable> {
        let _ = (function, arguments);
        Err(Unavailable("this function is not offered here".to_owned()))
    }
}

/// Values by slot.
impl Scope for Vec<Value> {
    fn variable(&self, slot: usize) -> Result<Value, Unavailable> {
        self.get(slot).cloned().ok_or_else(|| Unavailable("the variable has no value".to_owned()))
    }
}

impl Program {
    /// Parses and checks `text`; the result may be of any type.
    pub fn compile(text: &str, env: &TypeEnv) -> Result<Program, CompileError> {
        Program::build(text, env, None)
    }

    /// Like `compile`, for a result of type `expected`: a literal is read as that type, and any
    /// other type is refused. What may be `null` or is `dyn` passes; that it turns out to be of
    /// another type is an error of the evaluation.
    pub fn compile_as(text: &str, env: &TypeEnv, expected: &Type) -> Result<Program, CompileError> {
        Program::build(text, env, Some(expected))
    }

    /// Like `compile`, for a condition: the result has to be a bool.
    pub fn condition(text: &str, env: &TypeEnv) -> Result<Program, CompileError> {
        Program::build(text, env, Some(&Type::Bool))
    }

    /// Checks an expression that is parsed already; `text` is what it was parsed from.
    fn build(text: &str, env: &TypeEnv, expected: Option<&Type>) -> Result<Program, CompileError> {
        let expr: Expr = super::parse(text)?;
        let (root, found) = check::check(&expr, text, env, expected)?;
        let output = expected.cloned().unwrap_or_else(|| found.clone());
        let is_asserted = output != found;
        let mut used = Used::default();
        used.collect(&root, env);
        Ok(Program(Arc::new(Checked {
            text: text.to_owned(),
            root,
            output,
            is_asserted,
            references: used.references.into_iter().collect(),
            calls: used.calls.into_iter().collect(),
        })))
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The result's type.
    pub fn output(&self) -> &Type {
        &self.0.output
    }

    /// What it reads from the scope, each once. Constants are not among it.
    pub fn references(&self) -> &[Reference] {
        &self.0.references
    }

    /// The numbers of the scope's functions that it calls, each once.
    pub fn calls(&self) -> &[usize] {
        &self.0.calls
    }

    /// The result for the values of `scope`.
    pub fn eval(&self, scope: &dyn Scope) -> Result<Value, EvalError> {
        self.eval_within(scope, BUDGET)
    }

    /// Like `eval`, in at most `budget` steps.
    pub fn eval_within(&self, scope: &dyn Scope, budget: u64) -> Result<Value, EvalError> {
        let Checked { text, root, output, .. } = &*self.0;
        if self.0.is_asserted {
            eval_as(root, output, text, scope, budget)
        } else {
            eval(root, text, scope, budget)
        }
    }

    /// The result of a condition; anything but true or false is an error.
    pub fn holds(&self, scope: &dyn Scope) -> Result<bool, EvalError> {
        let value = self.eval(scope)?;
        value.as_bool().ok_or_else(|| EvalError {
            offset: 0,
            len: self.0.text.len(),
            fault: Fault::WrongType { wanted: "bool".to_owned(), found: value.kind() },
        })
    }
}

/// What a checked expression reads and calls.
#[derive(Default)]
struct Used {
    references: BTreeSet<Reference>,
    calls: BTreeSet<usize>,
}

impl Used {
    fn collect(&mut self, node: &Node, env: &TypeEnv) {
        match &node.kind {
            NodeKind::Variable(slot) => self.refer(*slot, &[], env),
            NodeKind::Path { slot, fields } => self.refer(*slot, fields, env),
            NodeKind::Host { number, .. } => {
                self.calls.insert(*number);
            }
            _ => {}
        }
        for child in node.children() {
            self.collect(child, env);
        }
    }

    fn refer(&mut self, slot: usize, fields: &[usize], env: &TypeEnv) {
        let variable = &env.variables[slot];
        let mut path = variable.name.clone();
        let mut ty = &variable.ty;
        for index in fields {
            if let Type::Object(object) = ty.required() {
                path.push('.');
                path.push_str(&object.fields[*index].name);
                ty = &object.fields[*index].ty;
            }
        }
        self.references.insert(Reference { slot, fields: fields.to_vec(), path });
    }
}
