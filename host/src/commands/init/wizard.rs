//! The questions of `rivet init` on a terminal: each has a default, and none is asked that a flag has answered.
//! It must not know what becomes of an answer.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use rivet_core::error::RunError;

use crate::cli::Global;
use crate::cli::init::InitArgs;
use crate::out::Text;

/// The arguments with the answers in them. `say` shows a question, `is_set` tells whether a variable is.
///
/// # Errors
/// When the answers cannot be read.
pub fn ask(
    mut args: InitArgs,
    answers: &mut dyn BufRead,
    say: &mut dyn FnMut(&str),
    is_set: &dyn Fn(&str) -> bool,
) -> std::io::Result<InitArgs> {
    let mut question = |words: &str, default: &str| -> std::io::Result<String> {
        say(&format!("{words} [{default}]: "));
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        let answer = answer.trim();
        Ok(if answer.is_empty() { default } else { answer }.to_owned())
    };
    if !args.source.is_given() && args.config.is_none() {
        const VARIABLE: &str = "DATABASE_URL";
        let words = "Database: a URL such as postgres://me@host/shop or sqlite:FILE, or the variable that holds it";
        let answer = question(words, VARIABLE)?;
        let is_url = answer.contains(':') && !is_set(&answer);
        if is_url { args.source.url = Some(answer) } else { args.source.url_env = Some(answer) }
    }
    let list = |answer: String| answer.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>();
    if args.table.is_empty() && args.include.is_empty() && args.schema.is_empty() {
        let answer = question("Tables: patterns such as shop.*, with commas between", "all")?;
        args.include = if answer == "all" { Vec::new() } else { list(answer) };
    }
    if args.append_only.is_empty() {
        let answer = question("Tables whose rows are added and never changed, such as *_log", "none")?;
        args.append_only = if answer == "none" { Vec::new() } else { list(answer) };
    }
    if args.shape.format.is_none() {
        args.shape.format = Some(question("Format: parquet, csv or arrow", "parquet")?);
    }
    if args.to.is_none() {
        args.to = Some(question("Folder for the files", "out")?);
    }
    if args.file.is_none() && args.config.is_none() {
        args.file = Some(PathBuf::from(question("Config to write", "rivet.yaml")?));
    }
    Ok(args)
}

/// The arguments, completed on a terminal by whoever is there.
///
/// # Errors
/// `Impossible` when the answers cannot be read.
pub fn answered(args: &InitArgs, global: &Global) -> Result<InitArgs, RunError> {
    let asks = !args.yes && !args.discover && !global.quiet;
    if !asks || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(args.clone());
    }
    let mut say = |question: &str| global.streams.say(&Text::ours(question));
    let is_set = |name: &str| std::env::var_os(name).is_some();
    ask(args.clone(), &mut std::io::stdin().lock(), &mut say, &is_set).map_err(|e| RunError::Impossible {
        what: format!("failed to read an answer: {e}"),
        hint: "use flags and --yes".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn args(words: &[&str]) -> InitArgs {
        let cli = Cli::try_parse_from([&["rivet", "init"], words].concat()).expect("the words are right");
        let Command::Init(args) = cli.command else { panic!("it is init") };
        *args
    }

    fn answered(words: &[&str], answers: &str) -> (InitArgs, String) {
        let mut asked = String::new();
        let mut say = |question: &str| asked.push_str(question);
        let args = ask(args(words), &mut answers.as_bytes(), &mut say, &|_| false).expect("they can be read");
        (args, asked)
    }

    #[test]
    fn an_empty_line_means_the_default_and_flags_are_not_asked_for() {
        let (by_default, asked) = answered(&[], "\n\n\n\n\n\n");
        assert_eq!(asked.matches("]: ").count(), 6, "{asked}");
        assert_eq!(by_default.source.url_env.as_deref(), Some("DATABASE_URL"));
        assert!(by_default.include.is_empty() && by_default.append_only.is_empty());
        assert_eq!((by_default.to.as_deref(), by_default.file), (Some("out"), Some(PathBuf::from("rivet.yaml"))));
        let (own, _) = answered(&[], "sqlite:a.db\nshop.*, x\n*_log\ncsv\nfiles\nb.yaml\n");
        assert_eq!((own.source.url.as_deref(), own.source.url_env), (Some("sqlite:a.db"), None));
        assert_eq!((own.include, own.append_only), (vec!["shop.*".to_owned(), "x".into()], vec!["*_log".to_owned()]));
        assert_eq!((own.shape.format.as_deref(), own.to.as_deref()), (Some("csv"), Some("files")));
        let all = ["sqlite:a.db", "--table", "t", "--append-only", "t", "--format", "csv", "--to", "o", "-o", "f"];
        assert_eq!(answered(&all, "").1, "");
    }
}
