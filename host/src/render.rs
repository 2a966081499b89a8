//! What people and machines read: data on stdout, everything else on stderr.
//! It must not decide anything but wording.

use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal, Write};

use rivet_core::error::RunError;
use rivet_core::summary::{Status, Summary};
use serde::Serialize;
use serde_json::json;

use crate::cli::{Global, Output};
use crate::documents::events::Event;
use crate::documents::{ProblemRow, SummaryDocument, VERSION};
use crate::events;
use crate::exit::Exit;
use crate::plugins::PluginsError;

/// Reports a failure that is not one export's alone.
pub fn failure(global: &Global, error: &RunError) -> Exit {
    if let RunError::Config(errors) = error {
        for e in &errors.0 {
            problem(global, e.code(), &e.to_string(), e.hint().as_deref());
        }
    } else {
        problem(global, &error.code(), &error.to_string(), error.hint().as_deref());
    }
    error.class().into()
}

/// Reports plugin folders that cannot be used.
pub fn plugins_failure(global: &Global, error: &PluginsError) -> Exit {
    problem(global, "plugins", &error.to_string(), Some(error.hint()));
    match error {
        PluginsError::Discover(_) => Exit::Config,
        PluginsError::Twice { .. } | PluginsError::Linked(_) => Exit::Plugin,
    }
}

/// Reports a wrong argument.
pub fn usage(global: &Global, text: &str) -> Exit {
    problem(global, "usage", text, Some("see `rivet --help`"));
    Exit::Config
}

/// What helps a person along; stderr, like all that is no data.
pub fn note(text: &str) {
    to_stderr(text);
}

/// Something the user should know.
pub fn warning(global: &Global, text: &str) {
    if !global.quiet {
        to_stderr(&format!("{} {text}\n", paint("warning:", Colour::Yellow)));
    }
}

/// Reports one failure.
pub fn problem(global: &Global, code: &str, message: &str, hint: Option<&str>) {
    let error = || ProblemRow { code: code.to_owned(), message: message.to_owned(), hint: hint.map(str::to_owned) };
    match global.output {
        Output::Json => global.stdout.write(&line(&json!({ "error": error() }))),
        Output::Ndjson => global.stdout.write(&events::line(Event::Error { error: error() })),
        Output::Text => to_stderr(&problem_text(message, hint)),
    }
}

/// Data on stdout, in the form that was asked for: the whole document, its items one a line, or text.
pub fn document<I: Serialize>(global: &Global, whole: &impl Serialize, items: &[I], text: impl FnOnce() -> String) {
    match global.output {
        Output::Json => global.stdout.write(&line(whole)),
        Output::Ndjson => global.stdout.write(&items.iter().map(line).collect::<String>()),
        Output::Text => global.stdout.write(&text()),
    }
}

/// JSON on a line of its own, keys in the order of the type.
pub fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).map(|text| text + "\n").unwrap_or_default()
}

fn problem_text(message: &str, hint: Option<&str>) -> String {
    let mut text = format!("{} {message}\n", paint("error:", Colour::Red));
    if let Some(hint) = hint {
        let _ = writeln!(text, "  {} {hint}", paint("hint:", Colour::Bold));
    }
    text
}

/// Reports how all exports ended.
pub fn summaries(global: &Global, all: &[Summary]) {
    match global.output {
        // Each was told when it ended.
        Output::Ndjson => return,
        Output::Json => {
            let text = line(&SummaryDocument { version: VERSION, exports: all.to_vec() });
            // stdout may be the destination: then the data has it.
            return if all.iter().any(is_piped) { to_stderr(&text) } else { global.stdout.write(&text) };
        }
        Output::Text => {}
    }
    for summary in all {
        if let Some(error) = &summary.error {
            let named = format!("export '{}'", summary.export);
            let message = if error.message.starts_with(&named) {
                error.message.clone()
            } else {
                format!("{named}: {}", error.message)
            };
            to_stderr(&problem_text(&message, error.hint.as_deref()));
        } else if !global.quiet {
            to_stderr(&summary_text(summary));
        }
    }
}

fn is_piped(summary: &Summary) -> bool {
    summary.locations.iter().any(|l| l == "stdout")
}

fn summary_text(s: &Summary) -> String {
    let status = match s.status {
        Status::Success => paint("success", Colour::Green),
        Status::Skipped => paint("skipped", Colour::Yellow),
        Status::Failed => paint("failed", Colour::Red),
    };
    let mut text = format!(
        "{}: {status}, {} rows in {} file{}, {}, {} ({} rows/s), peak memory {}\n",
        s.export,
        grouped(s.rows),
        s.files,
        if s.files == 1 { "" } else { "s" },
        size(s.bytes),
        duration(s.duration_ms),
        grouped(s.rows_per_second),
        size(s.peak_rss_bytes),
    );
    let retries = if s.retries > 0 { format!(", {} retries", s.retries) } else { String::new() };
    let restarts = match s.restarts {
        0 => String::new(),
        n => format!(", {n} lost snapshot{}", if n == 1 { "" } else { "s" }),
    };
    let validated = if s.validated { ", validated" } else { "" };
    let _ = writeln!(
        text,
        "  run       {} ({}, profile {}, consistency {}{retries}{restarts}{validated})",
        s.run_id, s.strategy, s.profile, s.consistency
    );
    match s.locations.as_slice() {
        [] => {}
        [one] => {
            let _ = writeln!(text, "  file      {one}");
        }
        [first, .., last] => {
            let _ = writeln!(text, "  files     {first}\n            … {last}");
        }
    }
    if let Some(manifest) = &s.manifest {
        let _ = writeln!(text, "  manifest  {manifest}");
    }
    text
}

/// `1234567` as `1 234 567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Bytes with a binary unit.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// `2026-11-21T04:55:12.345Z` as `2026-11-21 04:55:12`.
pub fn moment(rfc3339: &str) -> String {
    rfc3339.get(..19).unwrap_or(rfc3339).replace('T', " ")
}

/// Seconds, or minutes and seconds.
pub fn duration(ms: u64) -> String {
    if ms < 60_000 {
        format!("{:.1} s", ms as f64 / 1000.0)
    } else {
        format!("{} min {} s", ms / 60_000, ms / 1000 % 60)
    }
}

/// A colour of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// What failed.
    Red,
    /// What went well.
    Green,
    /// What deserves a look.
    Yellow,
    /// What leads on.
    Bold,
}

/// The colour of a status.
pub fn status_colour(status: &str) -> Option<Colour> {
    match status {
        "success" => Some(Colour::Green),
        "failed" | "rejected" => Some(Colour::Red),
        "running" => Some(Colour::Bold),
        _ => Some(Colour::Yellow),
    }
}

/// For stderr.
fn paint(text: &str, colour: Colour) -> String {
    painted(text, colour, std::io::stderr().is_terminal())
}

/// For stdout.
pub fn paint_out(text: &str, colour: Colour) -> String {
    painted(text, colour, std::io::stdout().is_terminal())
}

/// Colour on a terminal, unless `NO_COLOR` is set (no-color.org).
fn painted(text: &str, colour: Colour, is_terminal: bool) -> String {
    if !is_terminal || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) {
        return text.to_owned();
    }
    let code = match colour {
        Colour::Red => 31,
        Colour::Green => 32,
        Colour::Yellow => 33,
        Colour::Bold => 1,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// The end of a command, when all that it wrote is known to be out. A reader that has gone away is no failure of ours;
/// a device that is full must not be taken for success.
pub fn ended(global: &Global, exit: Exit) -> Exit {
    let Some(kind) = global.stdout.failure() else { return exit };
    if kind == ErrorKind::BrokenPipe {
        return exit;
    }
    let hint = Some("what the command did is done; only its report is missing");
    to_stderr(&problem_text(&format!("failed to write to stdout: {kind}"), hint));
    if exit == Exit::Ok { Exit::Retryable } else { exit }
}

fn to_stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!((grouped(0), grouped(999), grouped(1_234_567)), ("0".into(), "999".into(), "1 234 567".into()));
        assert_eq!(
            (size(0), size(1023), size(1536), size(5 << 30)),
            ("0 B".into(), "1023 B".into(), "1.5 KiB".into(), "5.0 GiB".into())
        );
        assert_eq!((duration(1_250), duration(61_000)), ("1.2 s".into(), "1 min 1 s".into()));
    }
}
