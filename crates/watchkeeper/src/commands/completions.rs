//! `completions`: a script for the shell.

use clap::CommandFactory;

use crate::arguments::{Arguments, Completions};
use crate::exit::Exit;

pub(crate) fn run(command: &Completions) -> Result<(), Exit> {
    let mut arguments = Arguments::command();
    clap_complete::generate(command.shell, &mut arguments, "watchkeeper", &mut std::io::stdout());
    Ok(())
}
