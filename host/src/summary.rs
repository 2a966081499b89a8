//! How exports ended: a block for each when it ends, a total of all, and the document in a file.
//! It must not know how a run works.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rivet_core::manifest::{all_parts, part_prefix};
use rivet_core::summary::{ShardDone, Status, Summary};

use crate::cli::{Global, Output};
use crate::documents::{ProblemRow, SummaryDocument, VERSION};
use crate::exit::Exit;
use crate::out::{Colour, Text};
use crate::render::{self, counted, duration, grouped, moment, size};

/// A line of a block: its label, and what it says; one that says nothing is left out.
type Line = (&'static str, fn(&Summary) -> Option<String>);

/// The lines, in order.
const LINES: &[Line] = &[
    ("run_id", |s| Some(s.run_id.clone())),
    ("status", |s| Some(s.status.as_str().to_owned())),
    ("tuning", |s| Some(s.tuning.clone())),
    ("strategy", |s| Some(s.strategy.clone()).filter(|text| !text.is_empty())),
    ("rows", |s| written(s).then(|| grouped(s.rows))),
    ("left out", |s| (s.rows_known > 0).then(|| format!("{}, exported before", counted(s.rows_known, "row")))),
    ("kept", |s| {
        (s.splits_kept > 0).then(|| format!("{} that were read before", counted(s.splits_kept as u64, "split")))
    }),
    ("shard", shard),
    ("files", |s| written(s).then(|| grouped(s.files as u64))),
    ("bytes", |s| written(s).then(|| size(s.bytes))),
    ("duration", |s| Some(format!("{}{}", duration(s.duration_ms), rate(s)))),
    ("peak RSS", |s| (s.peak_rss_bytes > 0).then(|| size(s.peak_rss_bytes))),
    ("retries", |s| (s.retries > 0).then(|| s.retries.to_string())),
    ("restarts", |s| (s.restarts > 0).then(|| format!("{}, each after a lost snapshot", s.restarts))),
    ("oldest tx", |s| (s.oldest_transaction_ms >= OLD_MS).then(|| duration(s.oldest_transaction_ms))),
    ("longest sql", |s| (s.longest_statement_ms >= OLD_MS).then(|| duration(s.longest_statement_ms))),
    ("waited", waited),
    ("policies", policies),
    ("validated", |s| s.validated.then(|| "pass".to_owned())),
    ("quality", |s| s.quality_word().map(str::to_owned)),
    ("schema", |s| s.schema_changed.map(|changed| if changed { "CHANGED" } else { "unchanged" }.to_owned())),
    ("consistency", |s| Some(s.consistency.clone()).filter(|text| !["", "snapshot"].contains(&text.as_str()))),
    ("compression", |s| s.compression.clone().filter(|_| s.files > 0)),
    ("ended", |s| s.ended_at.as_ref().map(|at| format!("{} UTC", moment(at)))),
    ("read", read),
    ("manifest", |s| s.manifest.as_ref().map(|name| format!("{}{name}", folder(s)))),
    ("error", |s| problem(s).map(|problem| problem.message)),
    ("hint", |s| s.error.as_ref().and_then(|error| error.hint.clone())),
];

/// A transaction that is younger is nobody's concern.
const OLD_MS: u64 = 10_000;
/// Characters of a label with its colon and the space behind.
const LABEL: usize = 13;

/// Locks that kept the run waiting, and whose they were.
fn waited(s: &Summary) -> Option<String> {
    let who: Vec<String> = s.blockers.iter().map(ToString::to_string).collect();
    (s.lock_wait_ms > 0).then(|| format!("{} for locks of {}", duration(s.lock_wait_ms), who.join(", ")))
}

/// Why it failed; who looks for errors in a long log finds the export on the same line.
fn problem(s: &Summary) -> Option<ProblemRow> {
    let error = s.error.as_ref()?;
    Some(ProblemRow::of_export(&s.export, &error.code, &error.message, error.hint.clone()))
}

fn written(s: &Summary) -> bool {
    s.status != Status::Failed
}

/// What is still to be done, where a share of a plan was.
fn shard(s: &Summary) -> Option<String> {
    let ShardDone { number, of, left } = s.shard.as_ref()?;
    let named: Vec<String> = left.iter().map(|number| format!("{number}/{of}")).collect();
    let next = match named.as_slice() {
        [] => "all are done: `rivet finalize` publishes them".to_owned(),
        left => format!("still to be done: {}", left.join(", ")),
    };
    Some(format!("{number}/{of}; {next}"))
}

/// What was changed because the config allows it: nobody should find that out from the data.
fn policies(s: &Summary) -> Option<String> {
    let told = |(column, policy, n): &(String, String, u64)| format!("{column} {policy} {}", grouped(*n));
    Some(s.policy_hits.iter().map(told).collect::<Vec<_>>().join(", ")).filter(|told| !told.is_empty())
}

fn rate(s: &Summary) -> String {
    if s.rows_per_second > 0 { format!(" ({} rows/s)", grouped(s.rows_per_second)) } else { String::new() }
}

/// What readers name to read the files of this run and none of others: its one file, or a pattern.
fn read(s: &Summary) -> Option<String> {
    let first = s.locations.first()?;
    if s.locations.len() == 1 {
        return Some(first.clone());
    }
    let (_, name) = first.rsplit_once(&part_prefix(&s.export, &s.run_id))?;
    let extension = name.split_once('.').map_or("", |(_, extension)| extension);
    let parts = all_parts(&s.export, &s.run_id, s.partition.as_ref());
    Some(format!("{}{parts}*.{extension}", folder(s)))
}

/// Where the files are, or the folders of their partitions, to its last slash.
fn folder(s: &Summary) -> &str {
    let parts = part_prefix(&s.export, &s.run_id);
    let folder = s.locations.first().and_then(|first| first.rsplit_once(&parts)).map_or("", |(folder, _)| folder);
    if s.partition.is_none() {
        return folder;
    }
    let place = folder.strip_suffix('/').unwrap_or(folder);
    &place[..place.rfind('/').map_or(0, |at| at + 1)]
}

/// The colour of what a line says.
fn colour(said: &str) -> Option<Colour> {
    match said {
        "success" | "pass" => Some(Colour::Green),
        "failed" | "FAIL" => Some(Colour::Red),
        "skipped" | "staged" | "CHANGED" => Some(Colour::Yellow),
        _ => None,
    }
}

fn block(s: &Summary) -> Text {
    let mut text = Text::for_stderr();
    text.spans(&[("── ", None), (&s.export, Some(Colour::Bold)), (" ──", None)]);
    for (name, says) in LINES {
        if let Some(said) = says(s) {
            let label = format!("  {:LABEL$}", format!("{name}:"));
            text.spans(&[(&label, Some(Colour::Red).filter(|_| label.contains("error"))), (&said, colour(&said))]);
            if *name == "quality" {
                s.quality.iter().filter(|rule| !rule.passed).for_each(|rule| text.line(format_args!("    {rule}")));
            }
        }
    }
    text
}

/// Tells how an export ended, when it has ended; events and the document have it too.
pub fn tell(global: &Global, s: &Summary) {
    if global.output == Output::Text && !global.quiet {
        global.streams.say(&block(s));
    }
    let Some(error) = problem(s) else { return };
    if global.json_errors {
        render::json_error(&global.streams, error);
    } else if global.output == Output::Text && global.quiet {
        global.streams.say(&render::problem_text(&error.message, error.hint.as_deref()));
    }
}

/// Tells how all exports ended, of `n_exports` that were asked for.
pub fn tell_all(global: &Global, all: &[Summary], not_started: &[String]) {
    match global.output {
        // Each was told when it ended.
        Output::Ndjson => {}
        Output::Json => {
            let text = Text::json(&document(all, not_started));
            // stdout may be the destination: then the data has it.
            let is_piped = all.iter().any(|s| s.locations.iter().any(|l| l == "stdout"));
            if is_piped { global.streams.say(&text) } else { global.streams.data(&text) }
        }
        Output::Text if all.len() + not_started.len() > 1 && !global.quiet => {
            let mut text = Text::for_stderr();
            text.line(total(all, not_started));
            global.streams.say(&text);
        }
        Output::Text => {}
    }
}

fn document(all: &[Summary], not_started: &[String]) -> SummaryDocument {
    SummaryDocument { version: VERSION, exports: all.to_vec(), not_started: not_started.to_vec() }
}

/// `13 succeeded, 2 failed: a, b`.
fn total(all: &[Summary], not_started: &[String]) -> String {
    let n = |status| all.iter().filter(|s| s.status == status).count();
    let mut said = format!("{} succeeded", n(Status::Success));
    for (n, word) in [(n(Status::Skipped), "skipped"), (n(Status::Staged), "staged")] {
        if n > 0 {
            said += &format!(", {n} {word}");
        }
    }
    let failed: Vec<&str> = all.iter().filter(|s| s.status == Status::Failed).map(|s| s.export.as_str()).collect();
    let left: Vec<&str> = not_started.iter().map(String::as_str).collect();
    for (names, word) in [(failed, "failed"), (left, "not started")] {
        if !names.is_empty() {
            said += &format!(", {} {word}: {}", names.len(), names.join(", "));
        }
    }
    said
}

/// Writes how a run ended into a folder of its own below `runs`.
///
/// # Errors
/// The file, and why it could not be written.
pub fn save_run(global: &Global, s: &Summary, runs: &Path) -> Result<(), (PathBuf, io::Error)> {
    let file = runs.join(&s.run_id).join("summary.json");
    save(global, std::slice::from_ref(s), &[], &file).map_err(|e| (file, e))
}

/// Writes how exports ended into a file, whole or not at all; its folders are made.
///
/// # Errors
/// Those of the file.
fn save(global: &Global, all: &[Summary], not_started: &[String], file: &Path) -> io::Result<()> {
    save_text(global, &Text::pretty_json(&document(all, not_started)), file)
}

/// Writes a text into a file, whole or not at all; its folders are made.
///
/// # Errors
/// Those of the file.
pub fn save_text(global: &Global, text: &Text, file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut staged = file.as_os_str().to_owned();
    staged.push(".new");
    fs::write(&staged, &*global.streams.secrets.without(text))?;
    fs::rename(&staged, file)
}

/// Writes what `--summary-output` asks for; where that fails the runs are as they were, but nobody is told as they should be.
pub fn saved(global: &Global, all: &[Summary], not_started: &[String], file: &Path, exit: Exit) -> Exit {
    let Err(e) = save(global, all, not_started, file) else { return exit };
    let what = format!("failed to write the summary to '{}': {e}", file.display());
    render::problem(global, "summary", &what, Some("the exports are as told; name a file that can be written"));
    if exit == Exit::Ok { Exit::Retryable } else { exit }
}
