//! Runs a checked expression.

use super::ast::{Operator, Span};
use super::functions::weight;
use super::node::{Macro, MacroKind, Node, NodeKind};
use super::operate::{arithmetic, negate};
use super::{EvalError, Fault, Key, Scope, Type, Unavailable, Value};

/// The value of `node`, in at most `budget` steps.
pub(super) fn eval(
    node: &Node,
    text: &str,
    scope: &dyn Scope,
    budget: u64,
) -> Result<Value, EvalError> {
    Machine { text, scope, locals: Vec::new(), budget, left: budget }.eval(node)
}

/// Like `eval`; a value that is not of type `wanted` is an error.
pub(super) fn eval_as(
    node: &Node,
    wanted: &Type,
    text: &str,
    scope: &dyn Scope,
    budget: u64,
) -> Result<Value, EvalError> {
    let mut machine = Machine { text, scope, locals: Vec::new(), budget, left: budget };
    let value = machine.eval(node)?;
    machine.of_type(value, wanted, node)
}

/// A scope that has nothing: what is folded at load needs nothing.
pub(super) struct Nothing;

impl Scope for Nothing {
    fn variable(&self, _: usize) -> Result<Value, Unavailable> {
        Err(Unavailable("no variable has a value at load".to_owned()))
    }
}

struct Machine<'a> {
    text: &'a str,
    scope: &'a dyn Scope,
    /// Values of the macros' variables, outermost first.
    locals: Vec<Value>,
    budget: u64,
    /// Steps left. One node is one step; reading much at once is more.
    left: u64,
}

type Outcome = Result<Value, EvalError>;

/// How much text or bytes are read in one step.
const BYTES_PER_STEP: usize = 32;

impl Machine<'_> {
    fn eval(&mut self, node: &Node) -> Outcome {
        self.spend(1, node.span)?;
        match &node.kind {
            NodeKind::Const(value) => Ok(value.clone()),
            NodeKind::Variable(slot) => {
                self.scope.variable(*slot).map_err(|why| unavailable(node, why))
            }
            NodeKind::Path { slot, fields } => {
                self.scope.field(*slot, fields).map_err(|why| unavailable(node, why))
            }
            NodeKind::Local(place) => {
                Ok(self.locals.get(*place).expect("the checker counted the locals").clone())
            }
            NodeKind::Field { operand, index } => match self.eval(operand)? {
                Value::Null => Ok(Value::Null),
                Value::Object(object) => {
                    Ok(object.fields.get(*index).cloned().unwrap_or(Value::Null))
                }
                other => Err(wrong_type(operand.span, "an object", &other)),
            },
            NodeKind::Entry { operand, key } => {
                let container = self.some(operand)?;
                self.entry(&container, key.to_value(), node.span, operand.span)
            }
            NodeKind::HasEntry { operand, key } => match self.eval(operand)? {
                Value::Null => Ok(Value::Bool(false)),
                Value::Map(map) => Ok(Value::Bool(map.contains_key(key))),
                other => Err(wrong_type(operand.span, "a map", &other)),
            },
            NodeKind::IsPresent(operand) => Ok(Value::Bool(!self.eval(operand)?.is_null())),
            NodeKind::Index { operand, index } => {
                let container = self.some(operand)?;
                let index = self.some(index)?;
                self.entry(&container, index, node.span, operand.span)
            }
            NodeKind::List(items) => {
                let items = items.iter().map(|item| self.eval(item)).collect::<Result<_, _>>()?;
                Ok(Value::list(items))
            }
            NodeKind::Map(entries) => self.map(entries),
            NodeKind::Not(operand) => Ok(Value::Bool(!self.bool(operand)?)),
            NodeKind::Negate(operand) => {
                let value = self.some(operand)?;
                negate(&value).map_err(|fault| failed(node.span, fault))
            }
            NodeKind::All(operands) => self.until(operands, false),
            NodeKind::Any(operands) => self.until(operands, true),
            NodeKind::Choice(parts) => {
                let [condition, then, otherwise] = &**parts;
                if self.bool(condition)? { self.eval(then) } else { self.eval(otherwise) }
            }
            NodeKind::Equal { left, right, negated } => {
                let left = self.eval(left)?;
                // Most comparisons are with a literal, which need not be copied.
                let equal = match right.constant() {
                    Some(right) => self.equal(&left, right, node.span)?,
                    None => {
                        let right = self.eval(right)?;
                        self.equal(&left, &right, node.span)?
                    }
                };
                Ok(Value::Bool(equal != *negated))
            }
            NodeKind::Order { operator, left, right } => {
                let left_value = self.some(left)?;
                let holds = match right.constant() {
                    Some(value) => self.ordered(*operator, &left_value, value, node.span)?,
                    None => {
                        let right = self.some(right)?;
                        self.ordered(*operator, &left_value, &right, node.span)?
                    }
                };
                Ok(Value::Bool(holds))
            }
            NodeKind::In { needle, haystack } => {
                let needle = self.eval(needle)?;
                let found = match haystack.constant() {
                    Some(value) => self.is_in(&needle, value, haystack.span)?,
                    None => {
                        let value = self.some(haystack)?;
                        self.is_in(&needle, &value, haystack.span)?
                    }
                };
                Ok(Value::Bool(found))
            }
            NodeKind::Arithmetic { operator, left, right } => {
                let (left, right) = (self.some(left)?, self.some(right)?);
                self.read(&left, node.span)?;
                self.read(&right, node.span)?;
                arithmetic(*operator, &left, &right).map_err(|fault| failed(node.span, fault))
            }
            NodeKind::Builtin { builtin, arguments } => {
                let values = self.arguments(arguments)?;
                (builtin.run)(&values).map_err(|fault| failed(node.span, fault))
            }
            NodeKind::Matches { text, pattern } => {
                let value = self.some(text)?;
                self.read(&value, node.span)?;
                match &value {
                    Value::String(text) => Ok(Value::Bool(pattern.is_match(text))),
                    other => Err(wrong_type(text.span, "string", other)),
                }
            }
            NodeKind::OrValue(parts) => {
                let [value, fallback] = &**parts;
                match self.eval(value)? {
                    Value::Null => self.eval(fallback),
                    value => Ok(value),
                }
            }
            NodeKind::Host { number, arguments, params } => {
                let mut values = Vec::with_capacity(arguments.len());
                for (argument, param) in arguments.iter().zip(params) {
                    let value = self.eval(argument)?;
                    values.push(self.of_type(value, param, argument)?);
                }
                self.scope.call(*number, &values).map_err(|why| unavailable(node, why))
            }
            NodeKind::Macro(parts) => self.walk(parts),
        }
    }

    /// `node`'s value, when it is one of type `wanted`.
    fn of_type(&mut self, value: Value, wanted: &Type, node: &Node) -> Outcome {
        self.read(&value, node.span)?;
        match value {
            value if value.is_a(wanted) => Ok(value),
            Value::Null => Err(self.null(node)),
            other => Err(wrong_type(node.span, &wanted.to_string(), &other)),
        }
    }

    /// The value of `node`, which must not be `null`.
    fn some(&mut self, node: &Node) -> Outcome {
        match self.eval(node)? {
            Value::Null => Err(self.null(node)),
            value => Ok(value),
        }
    }

    fn null(&self, node: &Node) -> EvalError {
        let what = self.text.get(node.span.start..node.span.end).unwrap_or_default().to_owned();
        failed(node.span, Fault::Null { what })
    }

    fn bool(&mut self, node: &Node) -> Result<bool, EvalError> {
        match self.some(node)? {
            Value::Bool(value) => Ok(value),
            other => Err(wrong_type(node.span, "bool", &other)),
        }
    }

    fn arguments(&mut self, nodes: &[Node]) -> Result<Vec<Value>, EvalError> {
        let mut values = Vec::with_capacity(nodes.len());
        for node in nodes {
            let value = self.some(node)?;
            self.read(&value, node.span)?;
            values.push(value);
        }
        Ok(values)
    }

    /// `&&` (looks for false) and `||` (looks for true), left to right. As in CEL, one operand
    /// that decides outweighs another's error, on whichever side it stands.
    fn until(&mut self, operands: &[Node], decisive: bool) -> Outcome {
        let mut error = None;
        for operand in operands {
            match self.bool(operand) {
                Ok(value) if value == decisive => return Ok(Value::Bool(decisive)),
                Ok(_) => {}
                Err(fault) => keep_first(&mut error, fault)?,
            }
        }
        error.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn map(&mut self, entries: &[(Node, Node)]) -> Outcome {
        let mut map = std::collections::BTreeMap::new();
        for (key_node, value_node) in entries {
            let value = self.some(key_node)?;
            let key = Key::of(&value)
                .ok_or_else(|| wrong_type(key_node.span, "bool, int, string or address", &value))?;
            if map.contains_key(&key) {
                let message = format!("the key {value} occurs twice");
                return Err(failed(key_node.span, Fault::Refused { message, hint: None }));
            }
            map.insert(key, self.eval(value_node)?);
        }
        Ok(Value::Map(std::sync::Arc::new(map)))
    }

    fn entry(&self, container: &Value, index: Value, at: Span, operand: Span) -> Outcome {
        match container {
            Value::List(list) => {
                let Some(wanted) = Key::of(&index).and_then(|key| match key {
                    Key::Int(number) => Some(number),
                    _ => None,
                }) else {
                    return Err(wrong_type(at, "int as index", &index));
                };
                let place = wanted.to_u64().and_then(|place| usize::try_from(place).ok());
                place.and_then(|place| list.items().get(place)).cloned().ok_or_else(|| {
                    let (index, len) = (wanted.to_string(), list.items().len());
                    failed(at, Fault::IndexOutOfRange { index, len })
                })
            }
            Value::Map(map) => Key::of(&index)
                .and_then(|key| map.get(&key))
                .cloned()
                .ok_or_else(|| failed(at, Fault::NoSuchKey { key: index.to_string() })),
            other => Err(wrong_type(operand, "a list or map", other)),
        }
    }

    fn is_in(&mut self, needle: &Value, haystack: &Value, at: Span) -> Result<bool, EvalError> {
        match haystack {
            Value::List(list) => {
                if let Some(found) = list.look_up(needle) {
                    return Ok(found);
                }
                for item in list.items() {
                    if self.equal(needle, item, at)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Value::Map(map) => Ok(Key::of(needle).is_some_and(|key| map.contains_key(&key))),
            other => Err(wrong_type(at, "a list or map", other)),
        }
    }

    /// Equality that pays for what it reads.
    fn equal(&mut self, left: &Value, right: &Value, at: Span) -> Result<bool, EvalError> {
        self.spend(1, at)?;
        match (left, right) {
            (Value::List(a), Value::List(b)) => {
                if a.items().len() != b.items().len() {
                    return Ok(false);
                }
                self.all_equal(a.items().iter().zip(b.items()), at)
            }
            (Value::Object(a), Value::Object(b)) => {
                if a.fields.len() != b.fields.len() {
                    return Ok(false);
                }
                self.all_equal(a.fields.iter().zip(&b.fields), at)
            }
            (Value::Map(a), Value::Map(b)) => {
                if a.len() != b.len() || !a.keys().eq(b.keys()) {
                    return Ok(false);
                }
                self.all_equal(a.values().zip(b.values()), at)
            }
            (a, b) => {
                self.read(a, at)?;
                Ok(a == b)
            }
        }
    }

    fn all_equal<'v>(
        &mut self,
        pairs: impl Iterator<Item = (&'v Value, &'v Value)>,
        at: Span,
    ) -> Result<bool, EvalError> {
        for (a, b) in pairs {
            if !self.equal(a, b, at)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn ordered(
        &mut self,
        operator: Operator,
        left: &Value,
        right: &Value,
        at: Span,
    ) -> Result<bool, EvalError> {
        self.read(left, at)?;
        let Some(ordering) = left.order(right) else {
            let is_number = |value: &Value| matches!(value, Value::Int(_) | Value::Double(_));
            // Nothing is less or greater than what is no number.
            if is_number(left) && is_number(right) {
                return Ok(false);
            }
            return Err(wrong_type(at, left.kind(), right));
        };
        Ok(match operator {
            Operator::Less => ordering.is_lt(),
            Operator::LessOrEqual => ordering.is_le(),
            Operator::Greater => ordering.is_gt(),
            Operator::GreaterOrEqual => ordering.is_ge(),
            _ => unreachable!("only these four are checked as an order"),
        })
    }

    /// A macro over a list's items, or a map's keys.
    fn walk(&mut self, parts: &Macro) -> Outcome {
        let range = self.some(&parts.range)?;
        match &range {
            Value::List(list) => self.walk_items(parts, list.items().iter().cloned()),
            Value::Map(map) => self.walk_items(parts, map.keys().map(Key::to_value)),
            other => Err(wrong_type(parts.range.span, "a list or map", other)),
        }
    }

    fn walk_items(&mut self, parts: &Macro, items: impl Iterator<Item = Value>) -> Outcome {
        let mut error = None;
        let mut found = 0;
        let mut results = Vec::new();
        for item in items {
            self.locals.push(item);
            let holds = match &parts.condition {
                Some(condition) => self.bool(condition),
                None => Ok(true),
            };
            let result = match (&holds, parts.kind, &parts.transform) {
                (Ok(true), MacroKind::Map, Some(transform)) => Some(self.eval(transform)),
                _ => None,
            };
            let item = self.locals.pop().expect("pushed above");
            match parts.kind {
                MacroKind::All => match holds {
                    Ok(true) => {}
                    Ok(false) => return Ok(Value::Bool(false)),
                    Err(fault) => keep_first(&mut error, fault)?,
                },
                MacroKind::Exists => match holds {
                    Ok(true) => return Ok(Value::Bool(true)),
                    Ok(false) => {}
                    Err(fault) => keep_first(&mut error, fault)?,
                },
                MacroKind::ExistsOne => found += u64::from(holds?),
                MacroKind::Filter => {
                    if holds? {
                        results.push(item);
                    }
                }
                MacroKind::Map => {
                    holds?;
                    if let Some(result) = result {
                        results.push(result?);
                    }
                }
            }
        }
        if let Some(error) = error {
            return Err(error);
        }
        Ok(match parts.kind {
            MacroKind::All => Value::Bool(true),
            MacroKind::Exists => Value::Bool(false),
            MacroKind::ExistsOne => Value::Bool(found == 1),
            MacroKind::Filter | MacroKind::Map => Value::list(results),
        })
    }

    /// Pays for reading all of `value`.
    fn read(&mut self, value: &Value, at: Span) -> Result<(), EvalError> {
        let steps = match value {
            Value::String(_) | Value::Bytes(_) => weight(value) / BYTES_PER_STEP,
            Value::List(_) | Value::Map(_) => weight(value),
            _ => return Ok(()),
        };
        self.spend(u64::try_from(steps).unwrap_or(u64::MAX), at)
    }

    fn spend(&mut self, steps: u64, at: Span) -> Result<(), EvalError> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(failed(at, Fault::TooCostly { budget: self.budget }))
            }
        }
    }
}

/// Remembers the first error, for when nothing outweighs it. Running out of steps is final.
fn keep_first(error: &mut Option<EvalError>, fault: EvalError) -> Result<(), EvalError> {
    if matches!(fault.fault, Fault::TooCostly { .. }) {
        return Err(fault);
    }
    error.get_or_insert(fault);
    Ok(())
}

fn failed(span: Span, fault: Fault) -> EvalError {
    EvalError { offset: span.start, len: span.end - span.start, fault }
}

fn unavailable(node: &Node, why: Unavailable) -> EvalError {
    failed(node.span, Fault::Unavailable { message: why.0 })
}

fn wrong_type(span: Span, wanted: &str, found: &Value) -> EvalError {
    failed(span, Fault::WrongType { wanted: wanted.to_owned(), found: found.kind() })
}
