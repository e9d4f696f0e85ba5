//! Variables, fields and indices.

use std::sync::Arc;

use super::{Checked, Checker, Typed, fault, fits, with_article};
use crate::cel::ast::{Expr, ExprKind, Span};
use crate::cel::node::{Node, NodeKind};
use crate::cel::suggest::{enumerate, nearest, same_name};
use crate::cel::{CompileError, Key, ObjectType, Type, builtins};

impl Checker<'_> {
    pub(super) fn name(&self, expr: &Expr, name: &str) -> Checked {
        let local = self.locals.iter().rposition(|(local, _)| local == name);
        if let Some(place) = local {
            let node = Node { span: expr.span, kind: NodeKind::Local(place) };
            return Ok(Typed { node, ty: self.locals[place].1.clone() });
        }
        let Some((slot, variable)) = self.env.find_variable(name) else {
            return Err(self.unknown_name(expr.at, name));
        };
        let kind = match &variable.value {
            Some(value) => NodeKind::Const(value.clone()),
            None => NodeKind::Variable(slot),
        };
        Ok(Typed { node: Node { span: expr.span, kind }, ty: variable.ty.clone() })
    }

    fn unknown_name(&self, span: Span, name: &str) -> CompileError {
        let message = format!("unknown name `{name}`");
        let known: Vec<&str> = self
            .locals
            .iter()
            .map(|(name, _)| name.as_str())
            .chain(self.env.visible_variables().map(|variable| variable.name.as_str()))
            .collect();
        let constant = match name.to_ascii_lowercase().as_str() {
            "true" => Some("true"),
            "false" => Some("false"),
            "null" | "nil" | "none" | "undefined" => Some("null"),
            _ => None,
        };
        let mut hint = if let Some(constant) = constant {
            return fault(span, message, Some(format!("did you mean `{constant}`?")));
        } else if builtins::find(name).is_some() || self.env.find_function(name).is_some() {
            return fault(span, message, Some(format!("it is a function: write {name}(…)")));
        } else if let Some(path) = self.field_called(name) {
            format!("did you mean `{path}`? ")
        } else if let Some(near) = nearest(name, known.iter().copied()) {
            format!("did you mean `{near}`? ")
        } else {
            String::new()
        };
        if known.is_empty() {
            hint.push_str("no names are known here");
        } else {
            let known: Vec<String> = known.into_iter().map(str::to_owned).collect();
            hint.push_str(&format!("known here: {}", enumerate(&known)));
        }
        fault(span, message, Some(hint))
    }

    /// A field of a known object that has this name, but for case and `_`.
    fn field_called(&self, name: &str) -> Option<String> {
        self.env.visible_variables().find_map(|variable| {
            let path = path_to(variable.ty.required(), name, 2)?;
            Some(format!("{}.{path}", variable.name))
        })
    }

    pub(super) fn field(&mut self, expr: &Expr, operand: &Expr, name: &str) -> Checked {
        let typed = self.check(operand, None)?;
        match typed.ty.required().clone() {
            Type::Object(object) => self.object_field(expr, typed, &object, name),
            container @ (Type::Map(..) | Type::Dyn) if fits(&Type::String, key_of(&container)) => {
                let output = match container {
                    Type::Map(_, value) => Type::clone(&value),
                    _ => Type::Dyn,
                };
                let kind = NodeKind::Entry {
                    operand: Box::new(typed.node),
                    key: Key::String(name.into()),
                };
                self.finish(expr, kind, output)
            }
            other => {
                let message = format!("{} has no fields, so no `{name}`", with_article(&other));
                let hint = match (&other, name) {
                    (_, "length" | "size" | "len" | "count") => Some("write .size()".to_owned()),
                    _ if builtins::find(name).is_some() => {
                        Some(format!("it is a function: write .{name}(…)"))
                    }
                    (Type::List(_), _) => {
                        Some("ask its items: list.exists(item, item.field == …)".to_owned())
                    }
                    _ => None,
                };
                Err(fault(expr.at, message, hint))
            }
        }
    }

    fn object_field(
        &self,
        expr: &Expr,
        operand: Typed,
        object: &Arc<ObjectType>,
        name: &str,
    ) -> Checked {
        let Some((index, ty)) = object.field(name) else {
            return Err(unknown_field(expr.at, object, name));
        };
        // A field of what may be absent may be absent itself.
        let ty = if operand.ty.is_optional() { Type::optional(ty.clone()) } else { ty.clone() };
        let kind = match operand.node.kind {
            NodeKind::Variable(slot) => NodeKind::Path { slot, fields: [index].into() },
            NodeKind::Path { slot, fields } => {
                let fields = fields.iter().copied().chain([index]).collect();
                NodeKind::Path { slot, fields }
            }
            _ => NodeKind::Field { operand: Box::new(operand.node), index },
        };
        self.finish(expr, kind, ty)
    }

    pub(super) fn index(&mut self, expr: &Expr, operand: &Expr, index: &Expr) -> Checked {
        let typed = self.check(operand, None)?;
        let (wanted, output) = match typed.ty.required().clone() {
            Type::List(item) => (Type::Int, Type::clone(&item)),
            Type::Map(key, value) => (Type::clone(&key), Type::clone(&value)),
            Type::Dyn => (Type::Dyn, Type::Dyn),
            Type::Object(object) => {
                let ExprKind::String(name) = &index.kind else {
                    let message = format!("a field of {} is named in quotes", object.name);
                    return Err(fault(index.span, message, Some("write object.field".to_owned())));
                };
                return self.object_field(expr, typed, &object, name);
            }
            other => {
                let message = format!("{} has no items to take by index", with_article(&other));
                let hint = match other {
                    Type::String => Some("write text.substring(from, to)".to_owned()),
                    Type::Bytes => Some("write bytes.slice(from, to)".to_owned()),
                    _ => None,
                };
                return Err(fault(operand.span, message, hint));
            }
        };
        let index_typed = self.check(index, Some(&wanted))?;
        if !fits(&index_typed.ty, &wanted) {
            let message = format!(
                "the index of a {} is {}; this is {}",
                typed.ty.required(),
                with_article(&wanted),
                index_typed.ty
            );
            return Err(fault(index.span, message, None));
        }
        let kind =
            NodeKind::Index { operand: Box::new(typed.node), index: Box::new(index_typed.node) };
        self.finish(expr, kind, output)
    }

    /// `has(object.field)`
    pub(super) fn has(&mut self, expr: &Expr, arguments: &[Expr]) -> Checked {
        let wrong = |span| {
            let hint = "write has(object.field); a list is asked by value in list".to_owned();
            fault(span, "has() asks for one field", Some(hint))
        };
        let [argument] = arguments else { return Err(wrong(expr.span)) };
        let ExprKind::Field { operand, name } = &argument.kind else {
            return Err(wrong(argument.span));
        };
        let typed = self.check(operand, None)?;
        let kind = match typed.ty.required().clone() {
            Type::Object(object) => {
                let field = self.object_field(argument, typed, &object, name)?;
                NodeKind::IsPresent(Box::new(field.node))
            }
            Type::Map(..) | Type::Dyn => NodeKind::HasEntry {
                operand: Box::new(typed.node),
                key: Key::String(name.as_str().into()),
            },
            other => {
                let message = format!("{} has no fields", with_article(&other));
                return Err(fault(operand.span, message, None));
            }
        };
        self.finish(expr, kind, Type::Bool)
    }
}

fn key_of(container: &Type) -> &Type {
    match container {
        Type::Map(key, _) => key,
        _ => &Type::Dyn,
    }
}

/// The way from an object to the field called `name`, at most `levels` down.
fn path_to(ty: &Type, name: &str, levels: usize) -> Option<String> {
    let Type::Object(object) = ty else { return None };
    let direct = object.fields.iter().find(|field| same_name(&field.name, name));
    if let Some(field) = direct {
        return Some(field.name.clone());
    }
    if levels <= 1 {
        return None;
    }
    object.fields.iter().find_map(|field| {
        let path = path_to(field.ty.required(), name, levels - 1)?;
        Some(format!("{}.{path}", field.name))
    })
}

fn unknown_field(span: Span, object: &ObjectType, name: &str) -> CompileError {
    let message = format!("{} has no `{name}`", object.name);
    let near = nearest(name, object.fields.iter().map(|field| field.name.as_str()));
    let fields: Vec<String> =
        object.fields.iter().map(|field| format!("{} ({})", field.name, field.ty)).collect();
    let mut hint = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    if fields.is_empty() {
        hint.push_str("it has nothing");
    } else {
        hint.push_str(&format!("it has: {}", enumerate(&fields)));
    }
    fault(span, message, Some(hint))
}
