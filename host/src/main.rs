//! The `rivet` binary: from arguments to exit code.
//! It must not know how an export is run, nor any plugin by name.
#![forbid(unsafe_code)]

mod builtin;
mod cli;
mod commands;
mod documents;
mod events;
mod exit;
mod logging;
mod plugins;
mod progress;
mod render;
mod stdout;
mod table;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::exit::Exit;

fn main() -> ExitCode {
    rivet_plugin_api::wire::heap::settle();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let printed = e.print().and_then(|()| std::io::stdout().flush());
            let lost = printed.is_err_and(|e| e.kind() != ErrorKind::BrokenPipe);
            // Help and version are answers; everything else is a usage error.
            let exit = if lost { Exit::Retryable } else { Exit::Ok };
            return if e.use_stderr() { Exit::Config.into() } else { exit.into() };
        }
    };
    logging::init(&cli.global);
    let exit = match cli.command {
        cli::Command::Run(args) => commands::run::run(&args, &cli.global),
        cli::Command::Check(args) => commands::check::run(&args, &cli.global),
        cli::Command::Doctor(args) => commands::doctor::run(&args, &cli.global),
        cli::Command::State { command } => commands::state::run(&command, &cli.global),
        cli::Command::Metrics(args) => commands::metrics::run(&args, &cli.global),
        cli::Command::Journal(args) => commands::journal::run(&args, &cli.global),
        cli::Command::Schema { of } => commands::schema::run(of, &cli.global),
        cli::Command::Completions(args) => commands::completions::run(&args, &cli.global),
        cli::Command::Plugin { command } => commands::plugin::run(&command, &cli.global),
        cli::Command::Demo(args) => commands::demo::run(&args, &cli.global),
        cli::Command::Reference => commands::reference::run(&cli.global),
    };
    render::ended(&cli.global, exit).into()
}
