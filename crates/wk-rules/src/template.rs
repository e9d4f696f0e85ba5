//! Titles: text for people with expressions in it.

use crate::cel::{CompileError, Fault, Program, Scope, Type, TypeEnv};

/// Longest title that is told, in characters.
const LONGEST: usize = 300;

/// A title with its expressions compiled.
#[derive(Debug)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Value(Program),
}

impl Template {
    /// Compiles the expressions in `${…}`. Faults have their place in `text`.
    pub(crate) fn compile(text: &str, env: &TypeEnv) -> Result<Template, Vec<CompileError>> {
        let mut parts = Vec::new();
        let mut faults = Vec::new();
        let mut plain = String::new();
        let mut at = 0;
        while let Some(found) = text[at..].find('$') {
            let dollar = at + found;
            plain.push_str(&text[at..dollar]);
            if text[dollar..].starts_with("$${") {
                plain.push_str("${");
                at = dollar + 3;
                continue;
            }
            if !text[dollar..].starts_with("${") {
                plain.push('$');
                at = dollar + 1;
                continue;
            }
            let start = dollar + 2;
            let Some(end) = closing_brace(&text[start..]).map(|end| start + end) else {
                faults.push(CompileError {
                    offset: dollar,
                    len: text.len() - dollar,
                    message: "`${` is not closed".to_owned(),
                    hint: Some("Close it with `}`; a plain `${` is written `$${`.".to_owned()),
                });
                break;
            };
            match compile_part(&text[start..end], env) {
                Ok(program) => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Value(program));
                }
                Err(mut fault) => {
                    fault.offset += start;
                    faults.push(fault);
                }
            }
            at = end + 1;
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        plain.push_str(&text[at..]);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Template { parts })
    }

    /// The expressions.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &Program> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(program) => Some(program),
            Part::Text(_) => None,
        })
    }

    /// The title, and what went wrong in it: a title with a hole is better than no finding. What is
    /// merely not known here is no fault.
    pub(crate) fn render(&self, scope: &dyn Scope) -> (String, Option<String>) {
        let mut title = String::new();
        let mut fault = None;
        for part in &self.parts {
            match part {
                Part::Text(text) => title.push_str(text),
                Part::Value(program) => match program.eval(scope) {
                    Ok(value) => title.push_str(&value.to_string()),
                    Err(error) => {
                        title.push('?');
                        if !matches!(error.fault, Fault::Unavailable { .. }) {
                            fault.get_or_insert_with(|| format!("title: {error}"));
                        }
                    }
                },
            }
        }
        (one_line(&title), fault)
    }
}

fn compile_part(text: &str, env: &TypeEnv) -> Result<Program, CompileError> {
    let program = Program::compile(text, env)?;
    if let Type::Object(object) = program.output().required() {
        let names: Vec<String> = object
            .fields
            .iter()
            .take(4)
            .map(|field| format!("{}.{}", text.trim(), field.name))
            .collect();
        return Err(CompileError {
            offset: 0,
            len: text.len(),
            message: format!("`{}` has many parts and cannot stand in a title", text.trim()),
            hint: Some(format!("Name one of its parts, such as {}.", names.join(", "))),
        });
    }
    Ok(program)
}

/// Where the `}` stands that closes an expression: outside of its texts and inner braces.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

/// Text from a chain on one line for people: what could forge a line or turn the direction of the
/// text is replaced, what is too long is cut.
pub(crate) fn one_line(text: &str) -> String {
    let treacherous = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut line: String =
        text.chars().take(LONGEST).map(|c| if treacherous(c) { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cel::Value;

    fn env() -> TypeEnv {
        let mut env = TypeEnv::new();
        env.variable("amount", Type::Int);
        env.variable("name", Type::String);
        env.variable("tx", Type::object("transaction", [("from", Type::Address)]));
        env
    }

    #[test]
    fn renders_what_its_expressions_say() {
        let check = |text: &str, expected: &str| {
            let template = Template::compile(text, &env()).expect(text);
            let scope = vec![Value::from(5_u64), Value::string("a\nb\u{202e}"), Value::Null];
            assert_eq!(template.render(&scope), (expected.to_owned(), None), "{text}");
        };
        check("plain", "plain");
        check("${amount} of ${amount + 1}", "5 of 6");
        check("costs $5, $${amount} and ${amount}", "costs $5, ${amount} and 5");
        check("${amount > 3 ? \"}\" : '{'}!", "}!");
        check("${name}", "a b ");
        check("", "");
    }

    #[test]
    fn a_fault_leaves_a_hole_and_is_told() {
        let template = Template::compile("${1 / (amount - 5)} left", &env()).expect("it compiles");
        let scope = vec![Value::from(5_u64), Value::string(""), Value::Null];
        let (title, fault) = template.render(&scope);
        assert_eq!(title, "? left");
        assert!(fault.is_some_and(|fault| fault.contains("division by zero")));
    }

    #[test]
    fn faults_have_their_place_in_the_title() {
        let check = |text: &str, at: (usize, usize)| {
            let faults = Template::compile(text, &env()).expect_err(text);
            assert_eq!((faults[0].offset, faults[0].len), at, "{text}: {}", faults[0]);
        };
        check("to ${amout}", (5, 5));
        check("to ${amount", (3, 8));
        check("by ${tx}", (5, 2));
        let faults = Template::compile("${a} ${b}", &env()).expect_err("both are unknown");
        assert_eq!(faults.len(), 2);
    }
}
