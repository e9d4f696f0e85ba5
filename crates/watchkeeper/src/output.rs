//! Data on stdout: as a table for people, as JSON, JSON lines or CSV for programs.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde_json::Value;

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON object per line.
    Jsonl,
    /// Comma-separated values with a header line (RFC 4180).
    Csv,
}

/// Prints data in the chosen format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) format: Format,
}

/// Whether colours help the reader: a terminal, and nobody asked for none.
pub(crate) fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none() && io::stderr().is_terminal()
}

impl Output {
    pub(crate) fn new(format: Format) -> Output {
        Output { format }
    }

    /// Prints rows: objects whose values stand under `columns`. JSON shows whole rows, tables and
    /// CSV the columns.
    pub(crate) fn rows(self, columns: &[&str], rows: &[Value]) -> io::Result<()> {
        to_stdout(|out| self.write_rows(out, columns, rows))
    }

    /// Prints one object: as `name  value` lines, as JSON, or as a header and one row.
    pub(crate) fn object(self, object: &Value) -> io::Result<()> {
        to_stdout(|out| self.write_object(out, object))
    }

    /// Prints text as it is.
    pub(crate) fn text(self, text: &str) -> io::Result<()> {
        to_stdout(|out| {
            out.write_all(text.as_bytes())?;
            if text.ends_with('\n') { Ok(()) } else { writeln!(out) }
        })
    }

    fn write_object(self, out: &mut impl Write, object: &Value) -> io::Result<()> {
        match (self.format, object.as_object()) {
            (Format::Table, Some(fields)) => {
                let width = fields.keys().map(String::len).max().unwrap_or(0);
                for (name, value) in fields {
                    writeln!(out, "{}", format!("{name:width$}  {}", cell(value)).trim_end())?;
                }
                Ok(())
            }
            (Format::Csv, Some(fields)) => {
                let columns: Vec<&str> = fields.keys().map(String::as_str).collect();
                self.write_rows(out, &columns, std::slice::from_ref(object))
            }
            (Format::Jsonl, _) => writeln!(out, "{object}"),
            _ => writeln!(out, "{object:#}"),
        }
    }

    fn write_rows(self, out: &mut impl Write, columns: &[&str], rows: &[Value]) -> io::Result<()> {
        let cells = |row: &Value| -> Vec<String> {
            columns.iter().map(|column| cell(&row[*column])).collect()
        };
        match self.format {
            Format::Json => writeln!(out, "{:#}", Value::from(rows.to_vec())),
            Format::Jsonl => rows.iter().try_for_each(|row| writeln!(out, "{row}")),
            Format::Csv => {
                writeln!(out, "{}", columns.join(","))?;
                for row in rows {
                    let fields: Vec<String> = cells(row).iter().map(|text| quoted(text)).collect();
                    writeln!(out, "{}", fields.join(","))?;
                }
                Ok(())
            }
            Format::Table => {
                let head: Vec<String> = columns.iter().map(|name| name.to_uppercase()).collect();
                let lines: Vec<Vec<String>> =
                    std::iter::once(head).chain(rows.iter().map(cells)).collect();
                let widths: Vec<usize> = (0..columns.len())
                    .map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0))
                    .collect();
                for line in lines {
                    let mut text = String::new();
                    for (cell, width) in line.iter().zip(&widths) {
                        text.push_str(&format!("{cell:width$}  "));
                    }
                    writeln!(out, "{}", text.trim_end())?;
                }
                Ok(())
            }
        }
    }
}

/// Writes to stdout. A reader that has read enough, such as `head`, is no fault.
fn to_stdout(write: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        // Untrusted text must not move the cursor or break a line.
        Value::String(text) => {
            text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
        }
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_format_prints_the_same_rows() {
        let rows = [json!({"name": "a,\"b", "n": 1, "more": true}), json!({"name": "c"})];
        for (format, expected) in [
            (Format::Table, "NAME  N\na,\"b  1\nc\n"),
            (Format::Csv, "name,n\n\"a,\"\"b\",1\nc,\n"),
            (Format::Jsonl, "{\"name\":\"a,\\\"b\",\"n\":1,\"more\":true}\n{\"name\":\"c\"}\n"),
        ] {
            let mut out = Vec::new();
            Output::new(format).write_rows(&mut out, &["name", "n"], &rows).unwrap();
            let mut have = String::from_utf8(out).unwrap();
            if format == Format::Jsonl {
                // Key order is not part of the format.
                have = have.replace(
                    "{\"more\":true,\"n\":1,\"name\":\"a,\\\"b\"}",
                    "{\"name\":\"a,\\\"b\",\"n\":1,\"more\":true}",
                );
            }
            assert_eq!(have, expected);
        }
    }

    #[test]
    fn one_object_is_a_row_where_rows_are_wanted() {
        let object = json!({"id": 7, "evidence": {"a": "b,c"}});
        for (format, expected) in [
            (Format::Table, "evidence  {\"a\":\"b,c\"}\nid        7\n"),
            (Format::Csv, "evidence,id\n\"{\"\"a\"\":\"\"b,c\"\"}\",7\n"),
            (Format::Jsonl, "{\"evidence\":{\"a\":\"b,c\"},\"id\":7}\n"),
        ] {
            let mut out = Vec::new();
            Output::new(format).write_object(&mut out, &object).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(cell(&json!("a\u{1b}[2Jb\n")), "a\u{fffd}[2Jb\u{fffd}");
    }
}
