//! How a run went over time: what was done when, by whom, rows per second and memory, all over one axis.
//! It must not know where the figures come from. Positions are percentages, so that letters keep their size on any screen.

use maud::{Markup, html};
use rivet_core::run::timeline::{Samples, Span, Timeline};

use super::model::{Run, Tone};
use super::took;
use crate::render::{grouped, size};

/// Height of a lane, px.
const LANE: u32 = 24;
/// Lanes that are drawn at most.
const MAX_LANES: usize = 16;
/// Points of a curve at most.
const MAX_POINTS: usize = 100;
/// Size of a curve's own coordinates.
const WIDE: f64 = 1000.0;
const HIGH: f64 = 100.0;

/// Everything that is known over time.
pub fn figure(run: &Run) -> Markup {
    let axis = Axis { total_ms: run.duration_ms.max(1) };
    html! {
        figure.time {
            (band("Run", phases(run, &axis)))
            @if let Some(timeline) = &run.timeline {
                (lanes(timeline, &axis))
                @if run.events.iter().any(|event| event.tone != Tone::Plain) { (band("Events", marks(run, &axis))) }
                (rate(&timeline.samples, &axis))
                (memory(&timeline.samples, &axis))
            }
            (band("", axis.labels()))
            @if run.timeline.is_some() { (legend(run)) }
            @else { figcaption.muted { "What was read when is written down as a run ends, and this one did not." } }
        }
    }
}

/// A row of the figure.
fn band(label: &str, plot: Markup) -> Markup {
    html! { div.band { div.label { (label) } div.plot { (plot) } } }
}

/// The time of the run as a line.
struct Axis {
    total_ms: u64,
}

impl Axis {
    /// Where a moment is.
    fn at(&self, ms: u64) -> f64 {
        ms.min(self.total_ms) as f64 * 100.0 / self.total_ms as f64
    }

    /// How long a time is.
    fn width(&self, from_ms: u64, to_ms: u64) -> f64 {
        (self.at(to_ms) - self.at(from_ms)).max(0.25)
    }

    /// Round moments, five or so.
    fn ticks(&self) -> impl Iterator<Item = u64> {
        const STEPS: [u64; 18] = [
            10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000,
            1_800_000, 3_600_000, 14_400_000,
        ];
        let step = STEPS.into_iter().find(|step| self.total_ms / step <= 6).unwrap_or(self.total_ms.div_ceil(5)).max(1);
        (0..=self.total_ms / step).map(move |n| n * step)
    }

    fn grid(&self) -> Markup {
        html! { @for ms in self.ticks() { @let x = format!("{:.2}%", self.at(ms)); line.grid x1=(x) x2=(x) y1="0" y2="100%" {} } }
    }

    fn labels(&self) -> Markup {
        html! {
            svg.axis width="100%" height="18" aria-hidden="true" {
                @for ms in self.ticks() {
                    @let at = self.at(ms);
                    @let anchor = if at < 3.0 { "start" } else if at > 95.0 { "end" } else { "middle" };
                    text x=(format!("{at:.2}%")) y="13" text-anchor=(anchor) { (moment(ms, self.total_ms)) }
                }
            }
        }
    }
}

/// A moment of the axis: as exact as the whole is long.
fn moment(ms: u64, total_ms: u64) -> String {
    match total_ms {
        0..2_000 => format!("{ms} ms"),
        2_000..120_000 => format!("{} s", ms as f64 / 1000.0),
        120_000..7_200_000 => format!("{}:{:02} min", ms / 60_000, ms / 1000 % 60),
        _ => format!("{}:{:02} h", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// A bar, with words in it as far as they fit.
fn bar(axis: &Axis, (from_ms, to_ms): (u64, u64), class: &str, words: &str, title: &str) -> Markup {
    html! {
        svg.bar x=(format!("{:.3}%", axis.at(from_ms))) y="2" width=(format!("{:.3}%", axis.width(from_ms, to_ms))) height=(LANE - 4) {
            title { (title) }
            rect class=(class) width="100%" height="100%" rx="2" {}
            @if axis.width(from_ms, to_ms) > 4.0 { text.(class) x="6" y="14" { (words) } }
        }
    }
}

fn phases(run: &Run, axis: &Axis) -> Markup {
    let end = run.duration_ms;
    let spans = run.timeline.as_ref().map(|t| t.spans.as_slice()).unwrap_or_default();
    let read = spans.iter().map(|span| span.to_ms).max().map(|to| to.min(end));
    let planned = run.planned_ms.map(|ms| ms.min(end));
    let last = match (run.tone, run.figures.validated) {
        (Tone::Bad, _) => "Clean up",
        (_, true) => "Publish and read back",
        (_, false) => "Publish",
    };
    let phases: Vec<(&str, u64, u64)> = match (planned, read) {
        (Some(planned), Some(read)) => {
            vec![("Plan", 0, planned), ("Read and write", planned, read.max(planned)), (last, read.max(planned), end)]
        }
        (Some(planned), None) => vec![("Plan", 0, planned), ("Read and write", planned, end)],
        _ => vec![("Plan", 0, end)],
    };
    let said: Vec<String> = phases.iter().map(|(word, from, to)| format!("{word} {}", took(to - from))).collect();
    html! {
        svg.lane width="100%" height=(LANE) role="img" aria-label=(said.join(", ")) {
            (axis.grid())
            @for ((word, from, to), title) in phases.iter().zip(&said) { (bar(axis, (*from, *to), "phase", word, title)) }
        }
    }
}

/// An attempt with what is kept free after it, until its split is tried again.
struct Placed<'t> {
    span: &'t Span,
    again_ms: Option<u64>,
}

/// Attempts side by side as their workers had them: as few lanes as there were at once.
fn placed(spans: &[Span]) -> Vec<Vec<Placed<'_>>> {
    let mut spans: Vec<&Span> = spans.iter().collect();
    spans.sort_by_key(|span| (span.from_ms, span.split));
    let mut lanes: Vec<(u64, Vec<Placed<'_>>)> = Vec::new();
    for (i, span) in spans.iter().enumerate() {
        let again = || spans[i + 1..].iter().find(|later| later.split == span.split).map(|later| later.from_ms);
        let again_ms = span.rows.is_none().then(again).flatten();
        let retried = lanes.iter().position(|(free_ms, lane)| {
            *free_ms == span.from_ms && lane.last().is_some_and(|last| last.span.split == span.split)
        });
        let lane =
            retried.or_else(|| lanes.iter().position(|(free_ms, _)| *free_ms <= span.from_ms)).unwrap_or(lanes.len());
        if lane == lanes.len() {
            lanes.push((0, Vec::new()));
        }
        lanes[lane].0 = again_ms.unwrap_or(span.to_ms);
        lanes[lane].1.push(Placed { span, again_ms });
    }
    lanes.into_iter().map(|(_, lane)| lane).collect()
}

fn lanes(timeline: &Timeline, axis: &Axis) -> Markup {
    let lanes = placed(&timeline.spans);
    html! {
        @for (i, lane) in lanes.iter().take(MAX_LANES).enumerate() {
            @let failed = lane.iter().filter(|placed| placed.span.rows.is_none()).count();
            @let said = format!("Worker {}: {} attempts, {failed} of them failed", i + 1, lane.len());
            (band(&format!("Worker {}", i + 1), html! {
                svg.lane width="100%" height=(LANE) role="img" aria-label=(said) {
                    (axis.grid())
                    @for placed in lane { (attempt(placed, axis)) }
                }
            }))
        }
        @if lanes.len() > MAX_LANES { (band("", html! { p.muted { "and " (lanes.len() - MAX_LANES) " more at once" } })) }
        @if timeline.n_left_off > 0 {
            (band("", html! { p.muted { (grouped(timeline.n_left_off as u64)) " more attempts are not drawn" } }))
        }
    }
}

fn attempt(placed: &Placed<'_>, axis: &Axis) -> Markup {
    let Placed { span, again_ms } = placed;
    let took = took(span.to_ms.saturating_sub(span.from_ms));
    let (class, result) = match span.rows {
        Some(rows) => ("read", format!("{} rows", grouped(rows))),
        None => ("failed", "failed".to_owned()),
    };
    let title = format!("Split {}, attempt {}: {result} in {took}", span.split, span.attempt + 1);
    html! {
        @if let Some(again_ms) = again_ms {
            @let (x1, x2) = (format!("{:.3}%", axis.at(span.to_ms)), format!("{:.3}%", axis.at(*again_ms)));
            line.pause x1=(x1) x2=(x2) y1=(LANE / 2) y2=(LANE / 2) { title { "Pause before the next attempt" } }
        }
        (bar(axis, (span.from_ms, span.to_ms), class, &span.split.to_string(), &title))
    }
}

fn marks(run: &Run, axis: &Axis) -> Markup {
    let told: Vec<_> = run.events.iter().filter(|event| event.tone != Tone::Plain).collect();
    let said = format!("{} retries and warnings", told.len());
    html! {
        svg.lane width="100%" height=(LANE) role="img" aria-label=(said) {
            (axis.grid())
            @for event in told {
                circle class=(class(event.tone)) cx=(format!("{:.3}%", axis.at(event.at_ms))) cy=(LANE / 2) r="4.5" {
                    title { (took(event.at_ms)) ": " (event.text) }
                }
            }
        }
    }
}

/// The class of a tone.
pub fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Plain => "plain",
        Tone::Warning => "warning",
        Tone::Bad => "bad",
    }
}

/// Rows a second between two samples, and where each ends.
fn rates(samples: &Samples) -> Vec<(u64, f64)> {
    let mut rates = Vec::new();
    let (mut last_ms, mut last_rows) = (0, 0);
    let step = samples.at_ms.len().div_ceil(MAX_POINTS).max(1);
    let all: Vec<(u64, u64)> = samples.at_ms.iter().copied().zip(samples.rows.iter().copied()).collect();
    for piece in all.chunks(step) {
        let Some((at_ms, rows)) = piece.last().copied().filter(|(at_ms, _)| *at_ms > last_ms) else { continue };
        rates.push((at_ms, rows.saturating_sub(last_rows) as f64 * 1000.0 / (at_ms - last_ms) as f64));
        (last_ms, last_rows) = (at_ms, rows);
    }
    rates
}

fn rate(samples: &Samples, axis: &Axis) -> Markup {
    let rates = rates(samples);
    let most = rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    let mut path = String::from("M0,100");
    let mut x = 0.0;
    for (at_ms, rate) in &rates {
        let (next, y) = (axis.at(*at_ms) * WIDE / 100.0, HIGH - rate / most.max(1.0) * HIGH * 0.97);
        path += &format!(" L{x:.1},{y:.1} L{next:.1},{y:.1}");
        x = next;
    }
    path += &format!(" L{x:.1},100");
    let peak = format!("up to {} rows/s", grouped(most.round() as u64));
    curve("Rows/s", &path, &peak, "rate", axis)
}

fn memory(samples: &Samples, axis: &Axis) -> Markup {
    let most = samples.rss_bytes.iter().copied().max().unwrap_or(0);
    if most == 0 {
        return html! {};
    }
    let mut path = String::new();
    let mut x = 0.0;
    for (at_ms, bytes) in samples.at_ms.iter().zip(&samples.rss_bytes) {
        let y = HIGH - *bytes as f64 / most as f64 * HIGH * 0.97;
        x = axis.at(*at_ms) * WIDE / 100.0;
        path += &if path.is_empty() { format!("M{x:.1},100 L{x:.1},{y:.1}") } else { format!(" L{x:.1},{y:.1}") };
    }
    path += &format!(" L{x:.1},100");
    curve("Memory", &path, &format!("up to {}", size(most)), "memory", axis)
}

fn curve(label: &str, path: &str, peak: &str, class: &str, axis: &Axis) -> Markup {
    let said = format!("{label} over time: {peak}");
    band(
        label,
        html! {
            svg.curve.(class) width="100%" height="60" viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label=(said) {
                (axis.grid())
                path d=(path) {}
            }
            span.peak { (peak) }
        },
    )
}

fn legend(run: &Run) -> Markup {
    let spans = run.timeline.as_ref().map(|timeline| timeline.spans.as_slice()).unwrap_or_default();
    let has_failed = spans.iter().any(|span| span.rows.is_none());
    html! {
        figcaption.legend {
            span { i.key.read {} "a split, by its number" }
            @if has_failed {
                span { i.key.failed {} "a failed attempt" }
                span { i.key.pause {} "pause before the next one" }
            }
            @if run.events.iter().any(|event| event.tone == Tone::Warning) { span { i.key.dot {} "retry or warning" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_take_the_lanes_of_those_who_made_them() {
        let span = |split, attempt, from_ms, to_ms, rows| Span { split, attempt, from_ms, to_ms, rows };
        let spans = [
            span(0, 0, 0, 10, Some(1)),
            span(1, 0, 0, 5, None),
            span(2, 0, 10, 20, Some(1)),
            // While it pauses, its worker does nothing else.
            span(1, 1, 9, 30, Some(1)),
            span(3, 0, 20, 40, Some(1)),
        ];
        let lanes = placed(&spans);
        let splits: Vec<Vec<u32>> = lanes.iter().map(|lane| lane.iter().map(|p| p.span.split).collect()).collect();
        assert_eq!(splits, [vec![0, 2, 3], vec![1, 1]]);
        assert_eq!(lanes[1][0].again_ms, Some(9));
    }

    #[test]
    fn rates_are_of_the_time_between_samples() {
        let samples = Samples { at_ms: vec![0, 100, 100, 600], rows: vec![0, 50, 50, 1050], rss_bytes: vec![0; 4] };
        assert_eq!(rates(&samples), [(100, 500.0), (600, 2000.0)]);
        let at_ms: Vec<u64> = (1..=1000).collect();
        let rows = at_ms.clone();
        let many = rates(&Samples { at_ms, rows, rss_bytes: Vec::new() });
        assert!(many.len() <= MAX_POINTS && many.iter().all(|(_, rate)| *rate == 1000.0), "{many:?}");
    }

    #[test]
    fn the_axis_has_a_few_round_moments_however_long_it_is() {
        for total_ms in [1, 9, 77, 450, 3_000, 14_000, 59_999, 200_000, 7_000_000, 90_000_000, 9_000_000_000] {
            let ticks: Vec<u64> = Axis { total_ms }.ticks().collect();
            assert!((1..=7).contains(&ticks.len()), "{total_ms}: {ticks:?}");
        }
    }
}
