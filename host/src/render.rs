//! What people and machines read: data on stdout, everything else on stderr.
//! It must not decide anything but wording.

use std::sync::PoisonError;

use rivet_core::error::RunError;
use rivet_core::plural;
use serde::Serialize;
use serde_json::json;

use crate::cli::{Global, Output};
use crate::documents::ProblemRow;
use crate::documents::events::Event;
use crate::events;
use crate::exit::Exit;
use crate::out::streams::Lost;
use crate::out::{Colour, Streams, Text};
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
    problem(global, "plugins", &error.to_string(), Some(&error.hint()));
    match error {
        PluginsError::Discover(_) => Exit::Config,
        PluginsError::Linked(_) => Exit::Plugin,
    }
}

/// Reports a wrong argument.
pub fn usage(global: &Global, text: &str) -> Exit {
    problem(global, "usage", text, Some("see `rivet --help`"));
    Exit::Config
}

/// Something the user should know.
pub fn warning(global: &Global, text: &str) {
    if !global.quiet {
        global.streams.warn(text);
    }
}

/// Reports one failure.
pub fn problem(global: &Global, code: &str, message: &str, hint: Option<&str>) {
    let error = || ProblemRow { code: code.to_owned(), message: message.to_owned(), hint: hint.map(str::to_owned) };
    if let Some(held) = &global.held {
        return held.lock().unwrap_or_else(PoisonError::into_inner).push(error());
    }
    match global.output {
        Output::Json => global.streams.data(&Text::json(&json!({ "error": error() }))),
        Output::Ndjson => global.streams.data(&events::line(Event::Error { error: error() })),
        Output::Text if global.json_errors => json_error(&global.streams, error()),
        Output::Text => global.streams.say(&problem_text(message, hint)),
    }
}

/// An error as JSON on a line of stderr.
pub fn json_error(streams: &Streams, error: ProblemRow) {
    streams.say(&Text::json(&json!({ "error": error })));
}

/// Data on stdout, in the form that was asked for: the whole document, its items one a line, or text.
pub fn document<I: Serialize>(global: &Global, whole: &impl Serialize, items: &[I], text: impl FnOnce() -> Text) {
    match global.output {
        Output::Json => global.streams.data(&Text::json(whole)),
        Output::Ndjson => {
            let mut lines = Text::default();
            items.iter().for_each(|item| lines.append(&Text::json(item)));
            global.streams.data(&lines);
        }
        Output::Text => global.streams.data(&text()),
    }
}

/// An error and what to do about it.
pub fn problem_text(message: &str, hint: Option<&str>) -> Text {
    let mut text = Text::for_stderr();
    text.spans(&[("error:", Some(Colour::Red)), (" ", None), (message, None)]);
    if let Some(hint) = hint {
        text.spans(&[("  ", None), ("hint:", Some(Colour::Bold)), (" ", None), (hint, None)]);
    }
    text
}

/// `1234567` as `1,234,567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1,234 rows`, but `1 row`.
pub fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(n), plural::s(n))
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

/// Seconds, minutes and seconds, or hours and minutes.
pub fn duration(ms: u64) -> String {
    match ms {
        0..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
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

/// The end of a command, when all that it wrote is known to be out. A reader that has gone away is no failure of ours;
/// a device that is full must not be taken for success.
pub fn ended(streams: &Streams, exit: Exit) -> Exit {
    let Some(lost) = streams.lost().filter(|lost| *lost != Lost::Gone) else { return exit };
    let hint = Some("what the command did is done; only its report is missing");
    streams.say(&problem_text(&format!("failed to write to stdout: {lost}"), hint));
    if exit == Exit::Ok { Exit::Retryable } else { exit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!((grouped(0), grouped(999), grouped(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        assert_eq!(
            (size(0), size(1023), size(1536), size(5 << 30)),
            ("0 B".into(), "1023 B".into(), "1.5 KiB".into(), "5.0 GiB".into())
        );
        let durations = [1_250, 61_000, 7_260_000].map(duration);
        assert_eq!(durations, ["1.2 s", "1 min 1 s", "2 h 1 min"]);
    }
}
