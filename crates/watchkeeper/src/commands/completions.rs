//! `completions`: a script for the shell.

use clap::CommandFactory;

use crate::arguments::{Arguments, Completions};
use crate::exit::Exit;
use crate::output::{Format, Output};

pub(crate) fn run(command: &Completions) -> Result<(), Exit> {
    let mut arguments = Arguments::command();
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut arguments, "watchkeeper", &mut script);
    Output::new(Format::Table).text(&String::from_utf8_lossy(&script))?;
    Ok(())
}
