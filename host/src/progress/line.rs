//! How far an export is, in one line: what fits, the important first.
//! It must not know where the line goes, nor read a clock.

use std::time::{Duration, Instant};

use crate::render::{duration, grouped};

/// Characters between the ends of a bar.
const BAR: usize = 20;
/// Before this much was read nothing is said about speed: the first rows come at once, or not at all.
const MIN_READING: Duration = Duration::from_secs(1);

/// An export that runs.
pub struct Run {
    pub export: String,
    pub since: Instant,
    pub is_planned: bool,
    /// Rows by the source's statistics.
    pub expected: Option<u64>,
    /// Rows read, those of failed attempts included.
    pub rows: u64,
    /// When the first rows came, and how many.
    pub first: Option<(Instant, u64)>,
    /// Splits that are complete, and all of them.
    pub splits: (usize, usize),
}

impl Run {
    /// One that has only begun.
    pub fn new(export: &str, now: Instant) -> Self {
        Self {
            export: export.to_owned(),
            since: now,
            is_planned: false,
            expected: None,
            rows: 0,
            first: None,
            splits: (0, 0),
        }
    }

    /// It is about to read: nothing was read so far that counts.
    pub fn plan(&mut self, expected: Option<u64>, n_splits: usize, now: Instant) {
        *self = Self { is_planned: true, expected, splits: (0, n_splits), ..Self::new(&self.export, now) };
    }

    /// More rows came.
    pub fn read(&mut self, rows: u64, now: Instant) {
        self.rows += rows;
        self.first.get_or_insert((now, rows));
    }

    /// Rows a second since the first ones came.
    fn rate(&self, now: Instant) -> Option<u64> {
        let (since, first_rows) = self.first?;
        let took = now.saturating_duration_since(since);
        let rate = (self.rows - first_rows) as f64 / took.as_secs_f64();
        (took >= MIN_READING).then_some(rate as u64).filter(|rate| *rate > 0)
    }

    /// The line without its bar, for a log.
    pub fn told(&self, now: Instant) -> String {
        self.forms(now).swap_remove(1)
    }

    /// The line as it fits into so many characters.
    pub fn fitted(&self, width: usize, now: Instant) -> String {
        let mut forms = self.forms(now);
        let fits = forms.iter().position(|form| form.chars().count() <= width);
        let form = forms.swap_remove(fits.unwrap_or(forms.len() - 1));
        if fits.is_some() { form } else { form.chars().take(width.saturating_sub(1)).chain(['…']).collect() }
    }

    /// The line in all its forms, each shorter than the one before; the second is whole but for the bar.
    fn forms(&self, now: Instant) -> Vec<String> {
        let name = &self.export;
        let ends = |what: &str, since: Instant| {
            let whole = format!("{name}: {what}, {}", waited(now.saturating_duration_since(since)));
            vec![whole.clone(), whole, format!("{name}: {what}"), name.clone()]
        };
        if !self.is_planned {
            return ends("preparing", self.since);
        }
        if self.splits.0 > 0 && self.splits.0 == self.splits.1 {
            let read = format!("{name}: {} rows read", grouped(self.rows));
            return vec![format!("{read}, finishing"), format!("{read}, finishing"), read];
        }
        if self.rows == 0 {
            return ends("waiting for the first row", self.since);
        }
        self.reading(now)
    }

    fn reading(&self, now: Instant) -> Vec<String> {
        let (name, rows, rate) = (&self.export, grouped(self.rows), self.rate(now));
        let splits = match self.splits {
            (_, 0 | 1) => String::new(),
            (done, of) => format!(", {done} of {of} splits"),
        };
        let speed = rate.map(|rate| format!(", {} rows/s", grouped(rate))).unwrap_or_default();
        let bare = format!("{name}: {rows} rows");
        // Statistics lag behind: beyond what they say nothing is known.
        let Some(expected) = self.expected.filter(|expected| *expected >= self.rows) else {
            return vec![
                format!("{bare}{speed}{splits}"),
                format!("{bare}{speed}{splits}"),
                format!("{bare}{speed}"),
                bare,
            ];
        };
        let left = rate.map(|rate| format!(", {} left", waited(Duration::from_secs((expected - self.rows) / rate))));
        let left = left.unwrap_or_default();
        let counts = format!("{rows} of about {} rows", grouped(expected));
        let filled = usize::try_from(u128::from(self.rows) * BAR as u128 / u128::from(expected.max(1))).unwrap_or(BAR);
        let bar = format!("[{}{}]", "=".repeat(filled.min(BAR)), " ".repeat(BAR - filled.min(BAR)));
        vec![
            format!("{name} {bar} {counts}{speed}{left}{splits}"),
            format!("{name}: {counts}{speed}{left}{splits}"),
            format!("{name}: {counts}{speed}{left}"),
            format!("{name}: {counts}{left}"),
            format!("{name}: {counts}"),
            bare,
        ]
    }
}

/// Whole seconds, or more.
fn waited(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 { format!("{seconds} s") } else { duration(seconds * 1000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(since: Instant, ms: u64) -> Instant {
        since + Duration::from_millis(ms)
    }

    #[test]
    fn each_phase_has_its_words() {
        let t = Instant::now();
        let mut run = Run::new("orders", t);
        assert_eq!(run.told(after(t, 3_000)), "orders: preparing, 3 s");
        run.plan(Some(100_000), 1, after(t, 4_000));
        assert_eq!(run.told(after(t, 79_000)), "orders: waiting for the first row, 1 min 15 s");
        run.read(10_000, after(t, 80_000));
        assert_eq!(run.told(after(t, 80_001)), "orders: 10,000 of about 100,000 rows", "no speed of the first rows");
        run.read(50_260, after(t, 82_000));
        assert_eq!(
            run.told(after(t, 85_000)),
            "orders: 60,260 of about 100,000 rows, 10,052 rows/s, 3 s left",
            "the wait before the first row is no reading"
        );
        run.read(50_000, after(t, 90_000));
        assert_eq!(run.told(after(t, 90_000)), "orders: 110,260 rows, 10,026 rows/s", "beyond what was expected");
        run.splits = (1, 1);
        assert_eq!(run.told(after(t, 91_000)), "orders: 110,260 rows read, finishing");
        run.plan(None, 8, after(t, 92_000));
        run.read(5, after(t, 93_000));
        assert_eq!(run.told(after(t, 93_000)), "orders: 5 rows, 0 of 8 splits", "another snapshot, all anew");
    }

    #[test]
    fn a_narrow_terminal_gets_what_matters() {
        let t = Instant::now();
        let mut run = Run::new("orders", t);
        run.plan(Some(1_000_000), 8, t);
        run.read(0, t);
        run.read(250_000, after(t, 9_000));
        run.splits.0 = 2;
        for (width, line) in [
            (
                110,
                "orders [=====               ] 250,000 of about 1,000,000 rows, 25,000 rows/s, 30 s left, 2 of 8 splits",
            ),
            (80, "orders: 250,000 of about 1,000,000 rows, 25,000 rows/s, 30 s left, 2 of 8 splits"),
            (70, "orders: 250,000 of about 1,000,000 rows, 25,000 rows/s, 30 s left"),
            (50, "orders: 250,000 of about 1,000,000 rows, 30 s left"),
            (40, "orders: 250,000 of about 1,000,000 rows"),
            (30, "orders: 250,000 rows"),
            (12, "orders: 250…"),
            (1, "…"),
        ] {
            assert_eq!(run.fitted(width, after(t, 10_000)), line);
        }
    }
}
