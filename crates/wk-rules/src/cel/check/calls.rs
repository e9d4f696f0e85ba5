//! Calls: which function is meant, and whether its arguments fit.

use std::sync::Arc;

use super::{Checked, Checker, Typed, fault, fits, join, with_article};
use crate::cel::ast::{Expr, ExprKind, Span};
use crate::cel::builtins::{self, Builtin, Overload, Shape, Style};
use crate::cel::node::{MacroKind, NodeKind};
use crate::cel::suggest::nearest;
use crate::cel::{CompileError, Type};

/// How large a compiled pattern may be, in bytes.
const PATTERN_SIZE: usize = 256 * 1024;

/// Names by which other languages call a function.
const ALIASES: [(&str, &str); 22] = [
    ("any", "exists"),
    ("some", "exists"),
    ("every", "all"),
    ("count", "size"),
    ("len", "size"),
    ("length", "size"),
    ("includes", "contains"),
    ("has_prefix", "startsWith"),
    ("hasPrefix", "startsWith"),
    ("hasSuffix", "endsWith"),
    ("lower", "lowerAscii"),
    ("toLower", "lowerAscii"),
    ("toLowerCase", "lowerAscii"),
    ("upper", "upperAscii"),
    ("toUpper", "upperAscii"),
    ("toUpperCase", "upperAscii"),
    ("match", "matches"),
    ("regex", "matches"),
    ("keccak", "keccak256"),
    ("sha3", "keccak256"),
    ("float", "double"),
    ("str", "string"),
];

impl Checker<'_> {
    pub(super) fn call(&mut self, expr: &Expr, name: &str, arguments: &[Expr]) -> Checked {
        if name == "has" {
            return self.has(expr, arguments);
        }
        if let Some((number, function)) = self.env.find_function(name) {
            let (params, output) = (function.params.clone(), function.output.clone());
            return self.host(expr, number, &params, output, arguments);
        }
        let Some(builtin) = builtins::find(name) else {
            return Err(self.unknown_function(expr, name, arguments));
        };
        if builtin.style == Style::Method {
            let form = builtin.form(&builtin.overloads[0]);
            let hint = format!("it is called on its first argument: {form}");
            return Err(fault(expr.span, format!("`{name}` is no plain function"), Some(hint)));
        }
        let arguments: Vec<&Expr> = arguments.iter().collect();
        self.builtin(expr, builtin, &arguments)
    }

    pub(super) fn method(
        &mut self,
        expr: &Expr,
        receiver: &Expr,
        name: &str,
        arguments: &[Expr],
        wish: Option<&Type>,
    ) -> Checked {
        if let Some(kind) = MacroKind::named(name) {
            return self.comprehension(expr, kind, receiver, arguments);
        }
        if name == "orValue" {
            return self.or_value(expr, receiver, arguments, wish);
        }
        let Some(builtin) = builtins::find(name) else {
            // The receiver's own fault comes first: it stands first.
            self.check(receiver, None)?;
            return Err(self.unknown_function(expr, name, arguments));
        };
        if builtin.style == Style::Function {
            self.check(receiver, None)?;
            let hint = format!("write {}", builtin.form(&builtin.overloads[0]));
            return Err(fault(expr.at, format!("`{name}` is not called on a value"), Some(hint)));
        }
        let arguments: Vec<&Expr> = std::iter::once(receiver).chain(arguments).collect();
        self.builtin(expr, builtin, &arguments)
    }

    fn unknown_function(&self, expr: &Expr, name: &str, arguments: &[Expr]) -> CompileError {
        let message = format!("unknown function `{name}`");
        let known = builtins::builtins()
            .iter()
            .map(|builtin| builtin.name)
            .chain(["has", "all", "exists", "exists_one", "map", "filter"])
            .chain(self.env.functions.iter().map(|function| function.name.as_str()));
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, meant)| *meant);
        let hint = if self.env.find_variable(name).is_some() {
            format!("`{name}` is a value: write it without parentheses")
        } else if MacroKind::named(name).is_some() {
            format!("it is called on a list: list.{name}(item, condition)")
        } else if name == "not" {
            "\"not\" is `!`".to_owned()
        } else if name == "wei" {
            "amounts are in wei: write the number alone".to_owned()
        } else if name == "if" && arguments.len() == 3 {
            "a choice is written condition ? then : otherwise".to_owned()
        } else if let Some(meant) = alias.or_else(|| nearest(name, known)) {
            format!("did you mean `{meant}`?")
        } else {
            return fault(expr.at, message, None);
        };
        fault(expr.at, message, Some(hint))
    }

    fn host(
        &mut self,
        expr: &Expr,
        number: usize,
        params: &[Type],
        output: Type,
        arguments: &[Expr],
    ) -> Checked {
        let name = &self.env.functions[number].name;
        let form = || {
            let params: Vec<String> = params.iter().map(Type::to_string).collect();
            format!("write {name}({})", params.join(", "))
        };
        if params.len() != arguments.len() {
            let message = wrong_count(name, &[params.len()], arguments.len());
            return Err(fault(expr.span, message, Some(form())));
        }
        let mut nodes = Vec::with_capacity(arguments.len());
        for (argument, param) in arguments.iter().zip(params) {
            let typed = self.check(argument, Some(param))?;
            if !fits(&typed.ty, param) {
                let message =
                    format!("`{name}` takes {} here; this is {}", with_article(param), typed.ty);
                return Err(fault(argument.span, message, Some(form())));
            }
            nodes.push(typed.node);
        }
        let params = params.to_vec().into();
        self.finish(expr, NodeKind::Host { number, arguments: nodes.into(), params }, output)
    }

    fn builtin(&mut self, expr: &Expr, builtin: &'static Builtin, arguments: &[&Expr]) -> Checked {
        match builtin.name {
            "min" | "max" => return self.extreme(expr, builtin, arguments),
            "matches" => return self.matches(expr, builtin, arguments),
            "ether" | "gwei" | "units" => {
                if let [amount, ..] = arguments
                    && let Some(text) = decimal_text(amount)
                {
                    // The digits as written are exact; the double they would become is not.
                    let text = Expr::at(amount.span, amount.at, ExprKind::String(text));
                    let arguments: Vec<&Expr> =
                        std::iter::once(&text).chain(arguments[1..].iter().copied()).collect();
                    return self.overloaded(expr, builtin, &arguments);
                }
            }
            _ => {}
        }
        self.overloaded(expr, builtin, arguments)
    }

    fn overloaded(
        &mut self,
        expr: &Expr,
        builtin: &'static Builtin,
        arguments: &[&Expr],
    ) -> Checked {
        let mut left: Vec<&Overload> = builtin
            .overloads
            .iter()
            .filter(|overload| overload.params.len() == arguments.len())
            .collect();
        if left.is_empty() {
            return Err(wrong_arguments(expr, builtin, arguments.len()));
        }
        let mut nodes = Vec::with_capacity(arguments.len());
        let mut first = None;
        for (place, argument) in arguments.iter().enumerate() {
            let wish = agreed(&left, place);
            let typed = self.check(argument, wish.as_ref())?;
            let fitting: Vec<&Overload> = left
                .iter()
                .copied()
                .filter(|overload| overload.params[place].accepts(&typed.ty))
                .collect();
            if fitting.is_empty() {
                return Err(self.wrong_argument(builtin, &left, place, argument, &typed.ty));
            }
            left = fitting;
            first.get_or_insert(typed.ty);
            nodes.push(typed.node);
        }
        let first = first.map(|ty| ty.required().clone()).unwrap_or(Type::Dyn);
        let ty = output(&left, &first);
        let kind = NodeKind::Builtin { builtin, arguments: nodes.into() };
        let typed = self.finish(expr, kind, ty)?;
        if builtin.name == "sum" && typed.ty == Type::Double {
            // The sum of no doubles is a double too.
            return self.wrapped(expr, "double", typed);
        }
        Ok(typed)
    }

    fn wrapped(&self, expr: &Expr, name: &str, typed: Typed) -> Checked {
        let builtin = builtins::find(name).expect("it is in the table");
        let kind = NodeKind::Builtin { builtin, arguments: [typed.node].into() };
        self.finish(expr, kind, typed.ty)
    }

    fn wrong_argument(
        &self,
        builtin: &Builtin,
        overloads: &[&Overload],
        place: usize,
        argument: &Expr,
        ty: &Type,
    ) -> CompileError {
        let mut wanted: Vec<String> =
            overloads.iter().map(|overload| overload.params[place].to_string()).collect();
        wanted.dedup();
        let wanted = wanted.join(" or ");
        let is_receiver = place == 0 && builtin.style != Style::Function;
        let role = if is_receiver { "works on" } else { "takes" };
        let message = format!("`{}` {role} {wanted}; this is {ty}", builtin.name);
        let hint = match (builtin.name, ty.required()) {
            ("ether" | "gwei" | "units", Type::Double) => {
                "a double is not exact; write the amount as text: ether(\"1.5\")".to_owned()
            }
            (_, Type::Address) if overloads.iter().any(|it| it.params[place] == Shape::String) => {
                format!("write string({}) for its hex digits", self.written(argument.span))
            }
            _ => {
                let forms: Vec<String> =
                    overloads.iter().map(|overload| builtin.form(overload)).collect();
                format!("write {}", forms.join(" or "))
            }
        };
        fault(argument.span, message, Some(hint))
    }

    /// `min` and `max`: of a list, or of any number of values of one ordered type.
    fn extreme(&mut self, expr: &Expr, builtin: &'static Builtin, arguments: &[&Expr]) -> Checked {
        if arguments.len() == 1 {
            return self.overloaded(expr, builtin, arguments);
        }
        if arguments.is_empty() {
            return Err(wrong_arguments(expr, builtin, 0));
        }
        // Literals follow the others: min(price, 2) is of doubles.
        let lead = arguments.iter().find(|argument| !argument.is_literal());
        let wish = match lead {
            Some(lead) => Some(self.check(lead, None)?.ty.required().clone()),
            None => None,
        };
        let mut nodes = Vec::with_capacity(arguments.len());
        let mut ty: Option<Type> = None;
        for argument in arguments {
            let typed = self.check(argument, wish.as_ref().or(ty.as_ref()))?;
            let next = typed.ty.required().clone();
            let is_ordered = matches!(
                next,
                Type::Int | Type::Double | Type::Timestamp | Type::Duration | Type::Dyn
            );
            if !is_ordered {
                let message = format!("`{}` takes numbers or times; this is {next}", builtin.name);
                return Err(fault(argument.span, message, None));
            }
            ty = Some(match ty {
                None => next,
                Some(before) => join(&before, &next).ok_or_else(|| {
                    let message = format!("`{}` mixes {before} and {next}", builtin.name);
                    let hint = "convert one side, for example by double(…)".to_owned();
                    fault(argument.span, message, Some(hint))
                })?,
            });
            nodes.push(typed.node);
        }
        let kind = NodeKind::Builtin { builtin, arguments: nodes.into() };
        self.finish(expr, kind, ty.expect("there are two arguments at least"))
    }

    /// `text.matches("pattern")`; the pattern is compiled here, once.
    fn matches(&mut self, expr: &Expr, builtin: &'static Builtin, arguments: &[&Expr]) -> Checked {
        let [text, pattern] = arguments else {
            return Err(wrong_arguments(expr, builtin, arguments.len()));
        };
        let typed = self.check(text, Some(&Type::String))?;
        if !Shape::String.accepts(&typed.ty) {
            let overloads: Vec<&Overload> = builtin.overloads.iter().collect();
            return Err(self.wrong_argument(builtin, &overloads, 0, text, &typed.ty));
        }
        let ExprKind::String(source) = &pattern.kind else {
            let message = "the pattern has to be written here as a literal";
            let hint = "for text that varies use .contains(…)".to_owned();
            return Err(fault(pattern.span, message, Some(hint)));
        };
        let compiled = regex::RegexBuilder::new(source)
            .size_limit(PATTERN_SIZE)
            .dfa_size_limit(PATTERN_SIZE)
            .nest_limit(50)
            .build();
        let compiled = compiled.map_err(|error| pattern_fault(pattern.span, &error))?;
        let kind = NodeKind::Matches { text: Box::new(typed.node), pattern: Arc::new(compiled) };
        self.finish(expr, kind, Type::Bool)
    }

    /// `value.orValue(fallback)`
    fn or_value(
        &mut self,
        expr: &Expr,
        receiver: &Expr,
        arguments: &[Expr],
        wish: Option<&Type>,
    ) -> Checked {
        let value = self.check(receiver, wish)?;
        let [fallback] = arguments else {
            let message = wrong_count("orValue", &[1], arguments.len());
            return Err(fault(expr.span, message, Some("write value.orValue(0)".to_owned())));
        };
        if !value.ty.is_optional() {
            let message = format!("{} is never null", with_article(&value.ty));
            let hint = "remove .orValue(…)".to_owned();
            return Err(fault(receiver.span, message, Some(hint)));
        }
        let fallback_typed = self.check(fallback, Some(value.ty.required()))?;
        let Some(ty) = join(value.ty.required(), &fallback_typed.ty) else {
            let message = format!(
                "the fallback is {}; the value is {}",
                fallback_typed.ty,
                with_article(value.ty.required())
            );
            let hint = self.how_to_meet((fallback, &fallback_typed.ty), (receiver, &value.ty));
            return Err(fault(fallback.span, message, hint));
        };
        let parts = Box::new([value.node, fallback_typed.node]);
        self.finish(expr, NodeKind::OrValue(parts), ty)
    }
}

/// The digits of a decimal literal with a fraction or an exponent.
fn decimal_text(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Double(text) => Some(text.clone()),
        ExprKind::Negate(operand) => match &operand.kind {
            ExprKind::Double(text) => Some(format!("-{text}")),
            _ => None,
        },
        _ => None,
    }
}

/// The type that all overloads have at `place`, if they agree.
fn agreed(overloads: &[&Overload], place: usize) -> Option<Type> {
    let shape = overloads.first()?.params[place];
    let all = overloads.iter().all(|overload| overload.params[place] == shape);
    all.then(|| shape.simple()).flatten()
}

fn output(overloads: &[&Overload], first: &Type) -> Type {
    let shape = overloads[0].output;
    if overloads.iter().any(|overload| overload.output != shape) {
        return Type::Dyn;
    }
    match shape {
        Shape::List => first.clone(),
        shape => shape.simple().unwrap_or(Type::Dyn),
    }
}

fn wrong_arguments(expr: &Expr, builtin: &Builtin, found: usize) -> CompileError {
    let receiver = usize::from(builtin.style == Style::Method);
    let mut counts: Vec<usize> =
        builtin.overloads.iter().map(|overload| overload.params.len() - receiver).collect();
    counts.sort_unstable();
    counts.dedup();
    let message = wrong_count(builtin.name, &counts, found.saturating_sub(receiver));
    let mut forms: Vec<String> =
        builtin.overloads.iter().map(|overload| builtin.form(overload)).collect();
    forms.truncate(3);
    fault(expr.span, message, Some(format!("write {}", forms.join(" or "))))
}

fn wrong_count(name: &str, counts: &[usize], found: usize) -> String {
    let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
    let noun = if counts == ["1"] { "argument" } else { "arguments" };
    format!("`{name}` takes {} {noun}, not {found}", counts.join(" or "))
}

fn pattern_fault(span: Span, error: &regex::Error) -> CompileError {
    match error {
        regex::Error::CompiledTooBig(_) => {
            let hint = "use fewer or smaller repetitions such as {1,100}".to_owned();
            fault(span, "this pattern is too large", Some(hint))
        }
        other => {
            // The last line says what is wrong; those before draw the pattern again.
            let text = other.to_string();
            let reason = text.lines().last().unwrap_or_default();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            let hint = "a pattern is easiest as a raw string: r\"\\d+\"".to_owned();
            fault(span, format!("this pattern is wrong: {reason}"), Some(hint))
        }
    }
}
