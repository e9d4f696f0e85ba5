//! The command line of Watchkeeper.

mod arguments;
mod commands;
mod exit;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::exit::Exit;
use crate::output::Output;

/// Blocks are read into many small pieces, which this allocator makes cheaper than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr(&arguments);
    // The TLS library wants one implementation chosen for the whole program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failure(format!("cannot start the runtime: {error}")).report(),
    };
    let done = runtime.block_on(dispatch(arguments));
    // Whatever still runs after an orderly end has been named already; do not wait for it again.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.report(),
    }
}

async fn dispatch(arguments: Arguments) -> Result<(), Exit> {
    let output = Output::new(arguments.output);
    let config = arguments.config.as_deref();
    match arguments.command {
        Command::Run(command) => commands::run::run(command, config).await,
        Command::Demo(command) => commands::demo::run(command).await,
        Command::Check(command) => commands::check::run(command, config, output),
        Command::Test(command) => commands::test::run(command, config, output),
        Command::Backtest(command) => commands::backtest::run(command, config, output).await,
        Command::Inspect(command) => commands::inspect::run(command, config, output).await,
        Command::Trace(command) => commands::trace::run(command, config, output).await,
        Command::Replay(command) => commands::replay::run(command, config, output).await,
        Command::Coverage(command) => commands::coverage::run(command, config, output).await,
        Command::Findings(command) => commands::findings::run(command, config, output).await,
        Command::Doctor(command) => commands::doctor::run(command, config, output).await,
        Command::Schema(command) => commands::schema::run(&command),
        Command::Token(command) => commands::token::run(command, config, output).await,
        Command::Completions(command) => commands::completions::run(&command),
    }
}

/// Logs go to stderr, since stdout is data. `WATCHKEEPER_LOG` filters them by module and level.
fn log_to_stderr(arguments: &Arguments) {
    use tracing_subscriber::EnvFilter;
    let default = match arguments.command {
        Command::Run(_) | Command::Demo(_) => "info",
        _ => "warn",
    };
    let filter = EnvFilter::try_from_env("WATCHKEEPER_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("{default},hyper=warn,reqwest=warn")));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if arguments.log_json {
        builder.json().init();
    } else {
        builder.with_ansi(output::colours_wanted()).with_target(false).init();
    }
}
