//! `rivet completions`: completions and manual pages, both from the definitions of the command line.
//! It must not know any command.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::{Shell, generate, generate_to};

use crate::cli::reference::{CompletionsArgs, Target};
use crate::cli::{Cli, Global};
use crate::exit::Exit;
use crate::out::Text;
use crate::render;

/// Name of the binary.
const NAME: &str = "rivet";

/// Runs the command.
pub fn run(args: &CompletionsArgs, global: &Global) -> Exit {
    let written = match (shell(args.target), &args.dir) {
        (Some(shell), None) => {
            // Not to stdout at once: a reader that goes away is no failure.
            let mut script = Vec::new();
            generate(shell, &mut Cli::command(), NAME, &mut script);
            global.streams.data(&Text::ours(String::from_utf8_lossy(&script)));
            return Exit::Ok;
        }
        (Some(shell), Some(dir)) => {
            make(dir).and_then(|()| generate_to(shell, &mut Cli::command(), NAME, dir)).map(drop)
        }
        (None, Some(dir)) => make(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir)),
        (None, None) => return render::usage(global, "manual pages are many: name a folder with --dir"),
    };
    match (written, &args.dir) {
        (Err(e), Some(dir)) => render::usage(global, &format!("failed to write to '{}': {e}", dir.display())),
        _ => Exit::Ok,
    }
}

fn make(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)
}

fn shell(target: Target) -> Option<Shell> {
    match target {
        Target::Bash => Some(Shell::Bash),
        Target::Zsh => Some(Shell::Zsh),
        Target::Fish => Some(Shell::Fish),
        Target::PowerShell => Some(Shell::PowerShell),
        Target::Elvish => Some(Shell::Elvish),
        Target::Man => None,
    }
}
