//! Every chore of the repository: `cargo xtask <chore>`.
//! It must not know the product beyond the names of its packages and features.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "it talks to people")]

mod args;
mod bench;
mod ci;
mod demo;
mod dist;
mod docs;
mod legs;
mod new_plugin;
mod plugins;
mod run;
mod services;
mod side_by_side;
mod slim;
mod source;
mod suggest;
mod test;
mod tidy;
mod uat;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

/// A chore.
struct Chore {
    /// How it is called; the first word is its name.
    usage: &'static str,
    /// What it does, in one line.
    about: &'static str,
    run: fn(&[String]) -> Result<()>,
}

const CHORES: &[Chore] = &[
    Chore { usage: demo::USAGE, about: "build, then export a built-in sample through loaded plugins", run: demo::demo },
    Chore { usage: test::USAGE, about: "format, rules, lints, build, then all tests", run: test::test },
    Chore { usage: ci::USAGE, about: "what CI runs: checks, a slim binary that exports, all tests", run: ci::ci },
    Chore {
        usage: tidy::USAGE,
        about: "who depends on whom, lengths, unsafe, words, links, licences",
        run: tidy::tidy,
    },
    Chore {
        usage: docs::USAGE,
        about: "the reference in docs/reference, made from the code, or compared with it",
        run: docs::docs,
    },
    Chore { usage: plugins::USAGE, about: "plugin libraries, into target/plugins or DIR", run: plugins::plugins },
    Chore { usage: services::USAGE, about: "test servers for use by hand", run: services::services },
    Chore { usage: uat::SEED_USAGE, about: uat::SEED_ABOUT, run: uat::seed },
    Chore { usage: uat::USAGE, about: "the acceptance plan, or suites of it, on servers of its own", run: uat::uat },
    Chore {
        usage: new_plugin::USAGE,
        about: "a new plugin crate of a kind: source, format or destination",
        run: new_plugin::new_plugin,
    },
    Chore { usage: slim::USAGE, about: "one release binary with just these plugins linked in", run: slim::slim },
    Chore { usage: bench::USAGE, about: "exports against the floor and other tools, in turn", run: bench::bench },
    Chore { usage: bench::PROFILE_USAGE, about: "where an export spends its instructions", run: bench::profile },
    Chore { usage: dist::USAGE, about: "release host and plugins, into target/dist", run: dist::dist },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[String]) -> Result<()> {
    let Some((name, rest)) = words.split_first() else {
        bail!("name a chore\n\n{}", help());
    };
    if ["help", "--help", "-h"].contains(&name.as_str()) {
        print!("{}", help());
        return Ok(());
    }
    let names = || CHORES.iter().filter_map(|c| c.usage.split(' ').next());
    let Some(chore) = names().zip(CHORES).find(|(n, _)| n == name).map(|(_, chore)| chore) else {
        bail!("there is no chore '{name}'{}", suggest::did_you_mean(name, names()));
    };
    // The demo's flags are the host's.
    if rest.iter().take_while(|w| *w != "--").any(|w| w == "--help" || w == "-h") && name != "demo" {
        println!("cargo xtask {}\n\n{}", chore.usage, chore.about);
        return Ok(());
    }
    (chore.run)(rest)
}

fn help() -> String {
    let width = CHORES.iter().map(|c| c.usage.chars().count()).max().unwrap_or_default();
    let lines = CHORES.iter().map(|c| format!("  {:width$}  {}\n", c.usage, c.about));
    format!("cargo xtask <chore>\n\n{}", lines.collect::<String>())
}
