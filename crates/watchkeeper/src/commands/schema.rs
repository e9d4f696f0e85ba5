//! `schema`: schemas and reference pages, made from the code.

use clap::CommandFactory;
use wk_model::Signal;

use crate::arguments::{Arguments, Schema, SchemaOf};
use crate::exit::Exit;
use crate::output::{Format, Output};

pub(crate) fn run(command: &Schema) -> Result<(), Exit> {
    let text = match command.what {
        SchemaOf::Config => format!("{:#}", wk_config::schema()),
        SchemaOf::Openapi => wk_api::openapi(),
        SchemaOf::Metrics => metrics(),
        SchemaOf::Rules => rules(),
        SchemaOf::Cli => cli(),
    };
    Output::new(Format::Table).text(&text)?;
    Ok(())
}

/// The metric catalogue as a page.
fn metrics() -> String {
    let mut all: Vec<&Signal> = Vec::new();
    all.extend(wk_chain::rpc::SIGNALS);
    all.extend(wk_chain::evm::SIGNALS);
    all.extend(wk_collectors::SIGNALS);
    all.extend(wk_store::SIGNALS);
    all.extend(wk_engine::SIGNALS);
    all.sort_by_key(|signal| signal.name);
    let mut page = String::from(
        "# Metrics\n\nServed at `/metrics` in Prometheus' text format. Names follow the Prometheus \
         rules: base units, `_total` for counters.\n\n\
         | name | type | unit | labels | what it says |\n|---|---|---|---|---|\n",
    );
    for signal in all {
        let labels: Vec<String> = signal.labels.iter().map(|label| format!("`{label}`")).collect();
        page.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            signal.name,
            signal.kind.name(),
            signal.unit,
            labels.join(" "),
            signal.help
        ));
    }
    page
}

/// Triggers and their variables as a page.
fn rules() -> String {
    let reference = wk_rules::reference();
    let mut page = String::from(
        "# Rules\n\nA rule looks at one kind of thing (`on`), narrows it down (`watch`, `event`, \
         `function`), and says when it matters (`if`, in CEL). All keys are in \
         `schemas/config.json`. Event parameters and function arguments are variables by their own \
         names.\n",
    );
    for trigger in &reference.triggers {
        page.push_str(&format!("\n## `{}`\n\n{}\n", trigger.trigger, trigger.doc));
        variables(&mut page, &trigger.variables);
    }
    page.push_str("\n## `window.when`\n\nSees these besides, and so does the title.\n");
    variables(&mut page, &reference.window);
    page.push_str("\n## `title` with `absent`\n\nSees these besides the block.\n");
    variables(&mut page, &reference.absent);
    page.push_str("\n## Functions\n\n| function | what it does |\n|---|---|\n");
    for builtin in wk_rules::cel::builtins() {
        page.push_str(&format!("| `{}` | {} |\n", builtin.name, builtin.doc));
    }
    page
}

fn variables(page: &mut String, variables: &[wk_rules::VariableReference]) {
    page.push_str("\n| variable | type | what it is |\n|---|---|---|\n");
    for variable in variables {
        page.push_str(&format!("| `{}` | {} | {} |\n", variable.name, variable.ty, variable.doc));
    }
}

/// All commands with their options as a page.
fn cli() -> String {
    let mut page = String::from("# Command line\n");
    let mut root = Arguments::command().term_width(100);
    root.build();
    section(&mut page, &mut root, "watchkeeper");
    page
}

fn section(page: &mut String, command: &mut clap::Command, path: &str) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    page.push_str(&format!("\n## `{path}`\n\n```text\n{}\n```\n", lines.join("\n").trim()));
    for inner in command.get_subcommands_mut() {
        if inner.get_name() != "help" {
            let path = format!("{path} {}", inner.get_name());
            section(page, inner, &path);
        }
    }
}
