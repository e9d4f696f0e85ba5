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
        SchemaOf::Rules => String::new(),
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
