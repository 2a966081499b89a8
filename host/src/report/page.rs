//! The page: one file that needs nothing else, for screens of any width, light and dark, and for paper. Every text from outside
//! is escaped by the templates. It must not know where the figures come from.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use rivet_core::clock::format_rfc3339;

use super::chart;
use super::export;
use super::model::{Report, Run, Tone};
use super::took;
use crate::render::{grouped, moment, size};

const STYLE: &str = include_str!("style.css");
/// Nothing is loaded from anywhere, whatever stands in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The whole page.
pub fn page(report: &Report) -> String {
    let title =
        html! { @if let [run] = report.runs.as_slice() { (run.export) } @else { (report.runs.len()) " exports" } };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) " – Rivet" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (head(report))
                    @if report.runs.len() > 1 { (overview(&report.runs)) }
                    @for (i, run) in report.runs.iter().enumerate() { (export::section(run, i, report.runs.len() == 1)) }
                }
                footer.muted {
                    "Made by rivet " (env!("CARGO_PKG_VERSION")) " at " (moment(&report.made_at))
                    " UTC from the state. All times are UTC."
                }
            }
        }
    };
    page.into_string()
}

/// From the first beginning to the last end, ms since 1970.
fn window(runs: &[Run]) -> (i64, i64) {
    let from = runs.iter().map(|run| run.started_at_ms).min().unwrap_or(0);
    let to = runs.iter().map(end).max().unwrap_or(from);
    (from, to)
}

fn end(run: &Run) -> i64 {
    run.started_at_ms.saturating_add_unsigned(run.duration_ms)
}

fn head(report: &Report) -> Markup {
    let runs = &report.runs;
    let (from, to) = window(runs);
    let sum = |figure: fn(&Run) -> u64| runs.iter().map(figure).sum::<u64>();
    let took_ms = u64::try_from(to - from).unwrap_or(0);
    let started = format_rfc3339(from);
    html! {
        header {
            p.kind { "Rivet run report" }
            h1 { (headline(runs)) }
            p.muted {
                time datetime=(started) { (moment(&started)) " UTC" }
                @if let [run] = runs.as_slice() { " · run " code { (run.run_id) } }
            }
            dl.figures {
                (figure("Rows", &grouped(sum(|run| run.figures.rows))))
                (figure("Files", &grouped(sum(|run| run.files.len() as u64))))
                (figure("Written", &size(sum(|run| run.figures.bytes))))
                (figure("Took", &took(took_ms)))
                (figure("Rows/s", &grouped(sum(|run| run.figures.rows) * 1000 / took_ms.max(1))))
                (figure("Peak memory", &known(runs.iter().map(|run| run.figures.peak_rss_bytes).max().unwrap_or(0))))
                (figure("Retries", &grouped(sum(|run| run.figures.retries))))
            }
        }
    }
}

fn figure(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn known(bytes: u64) -> String {
    if bytes == 0 { "unknown".to_owned() } else { size(bytes) }
}

/// What became of all exports, in one sentence.
fn headline(runs: &[Run]) -> Markup {
    if let [run] = runs {
        return html! { (run.export) " " (pill(run)) };
    }
    let count = |tone: Tone| runs.iter().filter(|run| run.tone == tone).count();
    let look = if count(Tone::Warning) == 1 { "needs a look" } else { "need a look" };
    let words = [(Tone::Good, "went well"), (Tone::Warning, look), (Tone::Bad, "failed"), (Tone::Plain, "not over")];
    let said = words.into_iter().map(|(tone, word)| (count(tone), word)).filter(|(n, _)| *n > 0);
    let said: Vec<String> = said.map(|(n, word)| format!("{n} {word}")).collect();
    html! { (runs.len()) " exports: " (said.join(", ")) }
}

/// The status in its colour.
pub fn pill(run: &Run) -> Markup {
    html! { span.pill.(chart::class(run.tone)) { (run.status) } }
}

/// All runs side by side, on one line of time.
fn overview(runs: &[Run]) -> Markup {
    let (from, to) = window(runs);
    let total = (to - from).max(1) as f64;
    let at = |ms: i64| (ms - from) as f64 * 100.0 / total;
    html! {
        section aria-label="All exports" {
            div.scroll role="region" aria-label="All exports" tabindex="0" {
                table.overview {
                    thead { tr {
                        th scope="col" { "Export" } th scope="col" { "Status" } th.n scope="col" { "Rows" } th.n scope="col" { "Files" }
                        th.n scope="col" { "Size" } th.n scope="col" { "Took" } th.when scope="col" { "When" }
                    } }
                    tbody {
                        @for (i, run) in runs.iter().enumerate() {
                            @let (x, width) = (at(run.started_at_ms), (at(end(run)) - at(run.started_at_ms)).max(0.5));
                            @let class = if run.tone == Tone::Good { "read" } else { chart::class(run.tone) };
                            tr {
                                th scope="row" { a href=(format!("#export-{i}")) { (run.export) } }
                                td { (pill(run)) }
                                td.n { (grouped(run.figures.rows)) }
                                td.n { (run.files.len()) }
                                td.n { (size(run.figures.bytes)) }
                                td.n { (took(run.duration_ms)) }
                                td.when {
                                    svg width="100%" height="14" role="img"
                                        aria-label=(format!("After {}, for {}", took((run.started_at_ms - from).unsigned_abs()), took(run.duration_ms))) {
                                        rect.track width="100%" height="14" rx="2" {}
                                        rect class=(class) x=(format!("{:.2}%", x.min(99.5))) width=(format!("{width:.2}%")) height="14" rx="2" {}
                                    }
                                }
                            }
                        }
                    }
                }
            }
            (look(runs))
        }
    }
}

/// What is the matter with those that did not go well, in a line each.
fn look(runs: &[Run]) -> Markup {
    let matter = |run: &Run| match &run.error {
        Some(error) => Some((Tone::Bad, html! { (error.message) })),
        None => {
            let first = run.schema_changes.first().or(run.notes.first())?;
            let more = (run.schema_changes.len() + run.notes.len()).saturating_sub(1);
            let tone = if run.tone == Tone::Bad { Tone::Bad } else { Tone::Warning };
            Some((tone, html! { (first) @if more > 0 { " (and " (more) " more)" } }))
        }
    };
    let all: Vec<_> = runs.iter().enumerate().filter_map(|(i, run)| Some((i, run, matter(run)?))).collect();
    html! {
        @if !all.is_empty() {
            ul.look {
                @for (i, run, (tone, what)) in all {
                    li.(chart::class(tone)) { a href=(format!("#export-{i}")) { (run.export) } ": " span { (what) } }
                }
            }
        }
    }
}
