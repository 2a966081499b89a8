//! What people and machines read: data on stdout, everything else on stderr.
//! It must not decide anything but wording.

use rivet_core::error::RunError;
use rivet_core::summary::{Status, Summary};
use serde::Serialize;
use serde_json::json;

use crate::cli::{Global, Output};
use crate::documents::events::Event;
use crate::documents::{ProblemRow, SummaryDocument, VERSION};
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
        let mut line = Text::for_stderr();
        line.spans(&[("warning:", Some(Colour::Yellow)), (" ", None), (text, None)]);
        global.streams.say(&line);
    }
}

/// Reports one failure.
pub fn problem(global: &Global, code: &str, message: &str, hint: Option<&str>) {
    let error = || ProblemRow { code: code.to_owned(), message: message.to_owned(), hint: hint.map(str::to_owned) };
    match global.output {
        Output::Json => global.streams.data(&Text::json(&json!({ "error": error() }))),
        Output::Ndjson => global.streams.data(&events::line(Event::Error { error: error() })),
        Output::Text => global.streams.say(&problem_text(message, hint)),
    }
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

/// Reports how all exports ended.
pub fn summaries(global: &Global, all: &[Summary]) {
    match global.output {
        // Each was told when it ended.
        Output::Ndjson => return,
        Output::Json => {
            let text = Text::json(&SummaryDocument { version: VERSION, exports: all.to_vec() });
            // stdout may be the destination: then the data has it.
            return if all.iter().any(is_piped) { global.streams.say(&text) } else { global.streams.data(&text) };
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
            let mut text = problem_text(&message, error.hint.as_deref());
            quality(&mut text, summary);
            global.streams.say(&text);
        } else if !global.quiet {
            global.streams.say(&summary_text(summary));
        }
    }
}

fn is_piped(summary: &Summary) -> bool {
    summary.locations.iter().any(|l| l == "stdout")
}

fn summary_text(s: &Summary) -> Text {
    let (status, colour) = match s.status {
        Status::Success => ("success", Colour::Green),
        Status::Skipped => ("skipped", Colour::Yellow),
        Status::Failed => ("failed", Colour::Red),
    };
    let much = format!(
        ", {} rows in {} file{}, {}, {} ({} rows/s), peak memory {}",
        grouped(s.rows),
        s.files,
        if s.files == 1 { "" } else { "s" },
        size(s.bytes),
        duration(s.duration_ms),
        grouped(s.rows_per_second),
        size(s.peak_rss_bytes),
    );
    let mut text = Text::for_stderr();
    text.spans(&[(&s.export, None), (": ", None), (status, Some(colour)), (&much, None)]);
    let retries = if s.retries > 0 { format!(", {} retries", s.retries) } else { String::new() };
    let restarts = match s.restarts {
        0 => String::new(),
        n => format!(", {n} lost snapshot{}", if n == 1 { "" } else { "s" }),
    };
    let validated = if s.validated { ", validated" } else { "" };
    text.line(format_args!(
        "  run       {} ({}, profile {}, consistency {}{retries}{restarts}{validated})",
        s.run_id, s.strategy, s.profile, s.consistency
    ));
    match s.locations.as_slice() {
        [] => {}
        [one] => text.line(format_args!("  file      {one}")),
        [first, .., last] => {
            text.line(format_args!("  files     {first}"));
            text.line(format_args!("            … {last}"));
        }
    }
    if let Some(manifest) = &s.manifest {
        text.line(format_args!("  manifest  {manifest}"));
    }
    quality(&mut text, s);
    text
}

/// Whether the rows keep the rules, where there are some; each broken one on a line of its own.
fn quality(text: &mut Text, s: &Summary) {
    let Some(word) = s.quality_word() else { return };
    let colour = if word == "pass" { Colour::Green } else { Colour::Red };
    text.spans(&[("  quality: ", None), (word, Some(colour))]);
    s.quality.iter().filter(|rule| !rule.passed).for_each(|rule| text.line(format_args!("    {rule}")));
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
        assert_eq!((grouped(0), grouped(999), grouped(1_234_567)), ("0".into(), "999".into(), "1 234 567".into()));
        assert_eq!(
            (size(0), size(1023), size(1536), size(5 << 30)),
            ("0 B".into(), "1023 B".into(), "1.5 KiB".into(), "5.0 GiB".into())
        );
        assert_eq!((duration(1_250), duration(61_000)), ("1.2 s".into(), "1 min 1 s".into()));
    }
}
