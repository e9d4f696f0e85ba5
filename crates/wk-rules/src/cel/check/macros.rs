//! `all`, `exists`, `exists_one`, `filter` and `map` over a list's items or a map's keys.

use super::{Checked, Checker, fault, with_article};
use crate::cel::Type;
use crate::cel::ast::{Expr, ExprKind};
use crate::cel::node::{Macro, MacroKind, NodeKind};

impl Checker<'_> {
    pub(super) fn comprehension(
        &mut self,
        expr: &Expr,
        kind: MacroKind,
        range: &Expr,
        arguments: &[Expr],
    ) -> Checked {
        let range_typed = self.check(range, None)?;
        let name = self.written(expr.at).to_owned();
        let item = match range_typed.ty.required() {
            Type::List(item) => Type::clone(item),
            Type::Map(key, _) => Type::clone(key),
            Type::Dyn => Type::Dyn,
            other => {
                let message =
                    format!("`{name}` walks a list or map; this is {}", with_article(other));
                return Err(fault(range.span, message, None));
            }
        };
        let form = match kind {
            MacroKind::Map => "list.map(item, result) or list.map(item, condition, result)".into(),
            _ => format!("list.{name}(item, condition)"),
        };
        let (variable, condition, transform) = match (kind, arguments) {
            (MacroKind::Map, [variable, transform]) => (variable, None, Some(transform)),
            (MacroKind::Map, [variable, condition, transform]) => {
                (variable, Some(condition), Some(transform))
            }
            (MacroKind::Map, _) => return Err(wrong_form(expr, &name, "2 or 3", &form)),
            (_, [variable, condition]) => (variable, Some(condition), None),
            _ => return Err(wrong_form(expr, &name, "2", &form)),
        };
        let ExprKind::Name(local) = &variable.kind else {
            let message = format!("the first argument of `{name}` names the item");
            return Err(fault(variable.span, message, Some(format!("write {form}"))));
        };
        self.locals.push((local.clone(), item.clone()));
        let role = format!("`{name}` asks each item");
        let condition = condition.map(|condition| self.condition(condition, &role)).transpose()?;
        let transform = transform.map(|transform| self.check(transform, None)).transpose()?;
        self.locals.pop();
        let ty = match (kind, &transform) {
            (MacroKind::Map, Some(transform)) => Type::list(transform.ty.clone()),
            (MacroKind::Filter, _) => Type::list(item),
            _ => Type::Bool,
        };
        let parts = Macro {
            kind,
            range: range_typed.node,
            condition,
            transform: transform.map(|transform| transform.node),
        };
        self.finish(expr, NodeKind::Macro(Box::new(parts)), ty)
    }
}

fn wrong_form(expr: &Expr, name: &str, count: &str, form: &str) -> crate::cel::CompileError {
    let message = format!("`{name}` takes {count} arguments");
    fault(expr.span, message, Some(format!("write {form}")))
}
