//! What a report shows of runs, ready to be shown: each text from outside is harmless and without secrets by its type.
//! It must not know where any of it is kept, nor how it looks.

use std::fmt;

use rivet_core::run::timeline::Timeline;

use crate::out::secrets::Secrets;
use crate::out::shown;

/// A text that came from outside, made harmless: on one line, not too long, nothing in it that is not seen, no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// What is left of a text.
    pub fn of(text: &str, secrets: &Secrets) -> Self {
        Self(secrets.hidden(&shown(text)).into_owned())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl maud::Render for Shown {
    fn render_to(&self, page: &mut String) {
        self.0.as_str().render_to(page);
    }
}

/// One report.
pub struct Report {
    /// When it was made.
    pub made_at: String,
    /// In the order of their beginnings; at least one.
    pub runs: Vec<Run>,
}

/// How serious something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Plain,
    Warning,
    Bad,
}

/// One run.
pub struct Run {
    pub export: Shown,
    pub run_id: Shown,
    /// Its word.
    pub status: Shown,
    pub tone: Tone,
    pub source: Shown,
    pub destination: Shown,
    pub started_at_ms: i64,
    pub duration_ms: u64,
    pub figures: Figures,
    pub error: Option<Failure>,
    /// What the user was told.
    pub notes: Vec<Shown>,
    pub schema_changes: Vec<Shown>,
    pub quality: Vec<Rule>,
    pub columns: Vec<Column>,
    pub files: Vec<File>,
    /// Name and value.
    pub settings: Vec<(&'static str, Shown)>,
    /// When the plan was made, ms after the beginning.
    pub planned_ms: Option<u64>,
    pub timeline: Option<Timeline>,
    pub events: Vec<Event>,
}

/// What was measured; what is not known is zero, or empty.
#[derive(Default)]
pub struct Figures {
    pub rows: u64,
    pub rows_known: u64,
    pub bytes: u64,
    pub rows_per_second: u64,
    pub peak_rss_bytes: u64,
    pub retries: u64,
    pub restarts: u64,
    pub longest_statement_ms: u64,
    pub verdict: Shown,
    pub consistency: Shown,
    pub validated: bool,
}

/// Why a run failed.
pub struct Failure {
    pub code: Shown,
    pub message: Shown,
    pub hint: Option<Shown>,
}

/// A rule of `quality`.
pub struct Rule {
    pub rule: Shown,
    pub column: Shown,
    pub limit: Shown,
    pub figure: Shown,
    pub passed: bool,
}

/// A column of the files.
pub struct Column {
    pub name: Shown,
    pub native_type: Shown,
    pub written_as: Shown,
    pub nullable: bool,
    pub fidelity: Shown,
    pub is_exact: bool,
    /// What a policy changed: its name, and in how many values.
    pub hits: Vec<(Shown, u64)>,
}

/// A written file.
pub struct File {
    pub name: Shown,
    pub split: u32,
    pub rows: u64,
    pub bytes: u64,
    pub digest: Shown,
}

/// Something that happened.
pub struct Event {
    /// ms after the beginning.
    pub at_ms: u64,
    pub tone: Tone,
    pub text: Shown,
}
