//! The section of one export: how it ended, how it went, what is in its files.
//! It must not know where the figures come from.

use maud::{Markup, html};

use super::chart;
use super::model::{Column, File, Rule, Run, Tone};
use super::page::pill;
use super::took;
use crate::render::{grouped, size};

/// Rows of a table that stand open.
const OPEN_ROWS: usize = 12;
/// Rows of a table at most; the manifest has all.
const MAX_ROWS: usize = 200;

/// All that is said of a run; `is_only` when it is the page's.
pub fn section(run: &Run, i: usize, is_only: bool) -> Markup {
    html! {
        section.export.only[is_only] id=(format!("export-{i}")) aria-label=(format!("Export {}", run.export)) {
            @if !is_only { h2 { (run.export) " " (pill(run)) } p.muted { "run " code { (run.run_id) } } }
            (said(run))
            (facts(run, is_only))
            @if run.timeline.is_some() || run.planned_ms.is_some() { h3 { "How it went" } (chart::figure(run)) }
            (attempts(run))
            @if !run.quality.is_empty() { h3 { "Quality" } (quality(&run.quality)) }
            @if !run.columns.is_empty() { h3 { "Columns" } (columns(&run.columns)) }
            @if !run.files.is_empty() { h3 { "Files" } (files(&run.files)) }
            @if !run.settings.is_empty() { h3 { "Settings" } (settings(run)) }
            @if !run.events.is_empty() { h3 { "Journal" } (journal(run)) }
        }
    }
}

/// What needs a look.
fn said(run: &Run) -> Markup {
    html! {
        @if let Some(error) = &run.error {
            div.note.bad role="note" {
                p { strong { (error.message) } }
                @if let Some(hint) = &error.hint { p { "Next step: " (hint) } }
                p.muted { code { (error.code) } }
            }
        }
        @if !run.schema_changes.is_empty() {
            div.note.warning role="note" {
                p { strong { "The columns are not those of the last good run" } }
                ul { @for change in &run.schema_changes { li { (change) } } }
            }
        }
        @if !run.notes.is_empty() {
            div.note.warning role="note" {
                @if let [note] = run.notes.as_slice() { p { (note) } } @else { ul { @for note in &run.notes { li { (note) } } } }
            }
        }
    }
}

/// What was measured; the page's head has some of it where it is about one run.
fn facts(run: &Run, is_only: bool) -> Markup {
    let figures = &run.figures;
    let some = |n: u64, text: String| (n > 0).then_some(text);
    let said = |text: String| Some(text).filter(|text| !text.is_empty());
    let in_head = vec![
        ("Rows", Some(grouped(figures.rows))),
        ("Files", Some(grouped(run.files.len() as u64))),
        ("Written", Some(size(figures.bytes))),
        ("Took", Some(took(run.duration_ms))),
        ("Rows/s", some(figures.rows_per_second, grouped(figures.rows_per_second))),
        ("Peak memory", some(figures.peak_rss_bytes, size(figures.peak_rss_bytes))),
        ("Retries", some(figures.retries, grouped(figures.retries))),
    ];
    let below = vec![
        ("Left out as known", some(figures.rows_known, grouped(figures.rows_known))),
        ("Longest statement", some(figures.longest_statement_ms, took(figures.longest_statement_ms))),
        ("Lost snapshots", some(figures.restarts, grouped(figures.restarts))),
        ("Verdict", said(figures.verdict.to_string())),
        ("Consistency", said(figures.consistency.to_string())),
        ("Validated", figures.validated.then(|| "every file read back".to_owned())),
    ];
    let shown = if is_only { below } else { [in_head, below].concat() };
    html! {
        p.way { span { (run.source) } span.arrow aria-label="to" { "→" } span { (run.destination) } }
        dl.facts { @for (name, value) in shown { @if let Some(value) = value { div { dt { (name) } dd { (value) } } } } }
    }
}

/// A table that scrolls by itself where the screen is narrow.
fn table(label: &str, head: &[(&str, bool)], rows: &Markup) -> Markup {
    html! {
        div.scroll role="region" aria-label=(label) tabindex="0" {
            table {
                thead { tr { @for (name, is_number) in head { th.n[*is_number] scope="col" { (name) } } } }
                tbody { (rows) }
            }
        }
    }
}

/// A long table is closed, on paper all are open.
fn folded(n: usize, what: &str, inner: &Markup) -> Markup {
    html! {
        @if n > OPEN_ROWS { details { summary { (grouped(n as u64)) " " (what) } (inner) } } @else { (inner) }
        @if n > MAX_ROWS { p.muted { "The first " (MAX_ROWS) " of them." } }
    }
}

fn attempts(run: &Run) -> Markup {
    let Some(timeline) = run.timeline.as_ref().filter(|timeline| !timeline.spans.is_empty()) else { return html! {} };
    let mut spans: Vec<_> = timeline.spans.iter().collect();
    spans.sort_by_key(|span| span.from_ms);
    let rows = html! {
        @for span in spans.iter().take(MAX_ROWS) {
            tr {
                td.n { (span.split) } td.n { (span.attempt + 1) }
                td.n { (took(span.from_ms)) } td.n { (took(span.to_ms.saturating_sub(span.from_ms))) }
                @match span.rows { Some(rows) => td.n { (grouped(rows)) }, None => td.n.bad { "failed" } }
            }
        }
    };
    let head = [("Split", true), ("Attempt", true), ("After", true), ("Took", true), ("Rows", true)];
    html! { details { summary { "Every attempt as a table" } (table("Attempts", &head, &rows)) } }
}

fn quality(rules: &[Rule]) -> Markup {
    let rows = html! {
        @for rule in rules {
            tr {
                th scope="row" { (rule.rule) } td { (rule.column) } td.n { (rule.limit) } td.n { (rule.figure) }
                td { @if rule.passed { span.pill.good { "pass" } } @else { span.pill.bad { "FAIL" } } }
            }
        }
    };
    table("Quality", &[("Rule", false), ("Column", false), ("Limit", true), ("Found", true), ("Result", false)], &rows)
}

fn columns(columns: &[Column]) -> Markup {
    let rows = html! {
        @for column in columns.iter().take(MAX_ROWS) {
            tr {
                th scope="row" { (column.name) }
                td { code { (column.native_type) } }
                td { code { (column.written_as) } }
                td { @if column.nullable { "NULL" } @else { span.muted { "not NULL" } } }
                td.warning[!column.is_exact] { (column.fidelity) }
                td { @for (policy, n) in &column.hits { span.warning { (policy) ": " (grouped(*n)) } " " } }
            }
        }
    };
    let head = [
        ("Column", false),
        ("In the source", false),
        ("In the files", false),
        ("NULL", false),
        ("Fidelity", false),
        ("Changed by a policy", false),
    ];
    folded(columns.len(), "columns", &table("Columns", &head, &rows))
}

fn files(files: &[File]) -> Markup {
    let most = files.iter().map(|file| file.bytes).max().unwrap_or(0).max(1);
    let rows = html! {
        @for file in files.iter().take(MAX_ROWS) {
            tr {
                th scope="row" { code { (file.name) } }
                td.n { (file.split) } td.n { (grouped(file.rows)) } td.n { (size(file.bytes)) }
                td.share {
                    svg width="100%" height="8" aria-hidden="true" {
                        rect.read width=(format!("{:.1}%", file.bytes as f64 * 100.0 / most as f64)) height="8" rx="1" {}
                    }
                }
                td { code.muted { (file.digest) } }
            }
        }
    };
    let head = [("File", false), ("Split", true), ("Rows", true), ("Size", true), ("", false), ("Digest", false)];
    folded(files.len(), "files", &table("Files", &head, &rows))
}

fn settings(run: &Run) -> Markup {
    html! { dl.facts.settings { @for (name, value) in &run.settings { div { dt { (name) } dd { (value) } } } } }
}

fn journal(run: &Run) -> Markup {
    let rows = html! {
        @for event in run.events.iter().take(MAX_ROWS) {
            tr { td.n { (took(event.at_ms)) } td.(if event.tone == Tone::Plain { "" } else { chart::class(event.tone) }) { (event.text) } }
        }
    };
    folded(run.events.len(), "events", &table("Journal", &[("After", true), ("What happened", false)], &rows))
}
