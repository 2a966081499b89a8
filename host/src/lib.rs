//! The program: from arguments to exit code. A library, so that a binary of its own can link any plugins beside it.
//! It must not know how an export is run, nor any plugin by name.
#![forbid(unsafe_code)]

mod builtin;
mod cli;
mod commands;
mod documents;
mod events;
mod exit;
mod interrupt;
mod logging;
mod notify;
mod out;
mod plugins;
mod progress;
mod render;
mod report;
mod summary;

use std::process::ExitCode;

use clap::Parser;
use rivet_plugin_api::load;
use rivet_plugin_api::wire::output::set_data_apart;

use crate::documents::ProblemRow;
use crate::exit::Exit;
use crate::out::streams::stdout_is_terminal;
use crate::out::{Colour, Streams, Text, colours, shown};

/// Does what the command line asks for. At least `n_linked` connectors are linked into the binary beside those of the features
/// of this package: as many must announce themselves, and what they deliver is checked as what loaded ones deliver is.
pub fn main(n_linked: usize) -> ExitCode {
    rivet_plugin_api::wire::heap::settle();
    let _ours = load::guard_exit(Exit::Plugin.code().into());
    let apart = set_data_apart();
    let mut cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return arguments(&e).into(),
    };
    cli.global.n_linked = n_linked;
    if cli.global.json {
        cli.global.output = cli::Output::Json;
    }
    logging::init(&cli.global);
    if let Err(e) = apart {
        render::warning(&cli.global, &format!("what plugins print gets between the data on standard output: {e}"));
    }
    let exit = match cli.command {
        cli::Command::Run(args) => commands::run::run(&args, &cli.global),
        cli::Command::Plan(args) => commands::plan::plan(&args, &cli.global),
        cli::Command::Apply(args) => commands::plan::apply(&args, &cli.global),
        cli::Command::Finalize(args) => commands::plan::finalize(&args, &cli.global),
        cli::Command::Check(args) => commands::check::run(&args, &cli.global),
        cli::Command::Doctor(args) => commands::doctor::run(&args, &cli.global),
        cli::Command::Validate(args) => commands::validate::run(&args, &cli.global),
        cli::Command::Init(args) => commands::init::run(&args, &cli.global),
        cli::Command::State { command } => commands::state::run(&command, &cli.global),
        cli::Command::Metrics(args) => commands::metrics::run(&args, &cli.global),
        cli::Command::Journal(args) => commands::journal::run(&args, &cli.global),
        cli::Command::Report(args) => commands::report::run(&args, &cli.global),
        cli::Command::Schema { of } => commands::schema::run(of, &cli.global),
        cli::Command::Completions(args) => commands::completions::run(&args, &cli.global),
        cli::Command::Plugin { command } => commands::plugin::run(&command, &cli.global),
        cli::Command::Demo(args) => commands::demo::run(&args, &cli.global),
        cli::Command::ExportProcess => commands::processes::child::run(&cli.global),
        cli::Command::Reference => commands::reference::run(&cli.global),
    };
    render::ended(&cli.global.streams, exit).into()
}

/// Says what is wrong with the arguments, or what they asked for: help and version are answers.
fn arguments(e: &clap::Error) -> Exit {
    let streams = Streams::default();
    if !e.use_stderr() {
        let coloured = colours(stdout_is_terminal());
        let answer = e.render();
        let answer = if coloured { answer.ansi().to_string() } else { answer.to_string() };
        streams.data(&Text::ours(answer));
        return render::ended(&streams, Exit::Ok);
    }
    // The words of the command line are in there, and may come from anywhere: what is said is said of words that do nothing.
    let words = std::env::args_os().map(|word| shown(&word.to_string_lossy()));
    let said = cli::Cli::try_parse_from(words).err().map_or_else(|| e.render(), |of_harmless| of_harmless.render());
    if std::env::args_os().any(|word| word == "--json-errors") {
        let said = said.to_string();
        // What follows is the usage of the command.
        let what = said.split("\n\nUsage:").next().unwrap_or_default().trim_start_matches("error: ");
        let message = what.split_whitespace().collect::<Vec<_>>().join(" ");
        let hint = Some("see `rivet --help`".to_owned());
        render::json_error(&streams, ProblemRow { code: "usage".to_owned(), message, hint });
        return Exit::Config;
    }
    let mut text = Text::for_stderr();
    for line in said.to_string().lines() {
        match line.strip_prefix("error: ") {
            Some(rest) => text.spans(&[("error:", Some(Colour::Red)), (" ", None), (rest, None)]),
            None => text.line(line),
        }
    }
    streams.say(&text);
    Exit::Config
}
