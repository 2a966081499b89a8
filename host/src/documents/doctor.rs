//! What `rivet doctor` prints as JSON.
//! It must not know terminals, nor how a probe is made.

use rivet_core::doctor::{Category, Examined, Outcome, Probe, fix};
use rivet_core::error::RunError;
use schemars::JsonSchema;
use serde::Serialize;

use super::ProblemRow;

/// `rivet doctor`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DoctorDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// Whether no probe failed.
    pub healthy: bool,
    /// All probes, in the order in which they were made: those of the config, of the source, then of each destination.
    pub probes: Vec<ProbeRow>,
}

/// One probe; a line of `--output ndjson`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProbeRow {
    /// `config`, `source` or `destination`.
    pub kind: &'static str,
    /// Plugin; empty for the config.
    pub plugin: String,
    /// Where it is, without credentials; none when that is not known.
    pub identity: Option<String>,
    /// `parse` of the config; `resolve`, `tcp`, `tls`, `login` or other steps of a connection by the plugin's words;
    /// `password`, `open`, `protection`, `leftovers`, `server`, `pooler`, `grants`, `write`.
    pub probe: String,
    /// Export that the probe is about, if it is about one.
    pub export: Option<String>,
    /// Relation that the probe is about, if it is about one.
    pub relation: Option<String>,
    /// `ok`, `warning`, `failed` or `skipped`.
    pub status: &'static str,
    /// What was learnt, what could be safer, or why there was nothing to probe.
    pub fact: Option<String>,
    /// Why it failed.
    pub error: Option<ProbeError>,
}

/// Why a probe failed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProbeError {
    /// `auth`, `connectivity`, `not found` or `other`.
    pub category: &'static str,
    /// Stable dotted code.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// One line that says what to do.
    pub fix: String,
}

impl ProbeRow {
    /// A probe of what was examined.
    pub fn of(examined: &Examined, probe: &Probe) -> Self {
        let (status, fact, error) = match &probe.outcome {
            Outcome::Ok(fact) => ("ok", fact.clone(), None),
            Outcome::Skipped(why) => ("skipped", why.clone(), None),
            Outcome::Warning(told) => ("warning", Some(told.clone()), None),
            Outcome::Failed(error) => ("failed", None, Some(ProbeError::of(error))),
        };
        Self {
            kind: examined.kind,
            plugin: examined.plugin.clone(),
            identity: examined.identity.clone(),
            probe: probe.name.clone(),
            export: probe.export.clone(),
            relation: probe.subject.clone(),
            status,
            fact,
            error,
        }
    }
}

impl ProbeRow {
    /// Whether the config could be read, or what is wrong with it.
    pub fn of_config(problem: Option<&ProblemRow>) -> Self {
        let error = problem.map(|problem| ProbeError {
            category: Category::Other.word(),
            code: problem.code.clone(),
            message: problem.message.clone(),
            fix: problem.hint.clone().unwrap_or_else(|| "check the config".to_owned()),
        });
        Self {
            kind: "config",
            plugin: String::new(),
            identity: None,
            probe: "parse".to_owned(),
            export: None,
            relation: None,
            status: if error.is_some() { "failed" } else { "ok" },
            fact: None,
            error,
        }
    }
}

impl ProbeError {
    fn of(error: &RunError) -> Self {
        let message = match error {
            // The probe says what was being done.
            RunError::Plugin { source, .. } => source.to_string(),
            other => other.to_string(),
        };
        Self { category: Category::of(error).word(), code: error.code(), message, fix: fix(error) }
    }
}
