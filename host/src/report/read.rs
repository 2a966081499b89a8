//! What the state remembers of a run, as a report shows it.
//! It must not know how a report looks. A run of an older version, or one that was killed, has less to show: nothing is an error
//! but a state that cannot be read.

use rivet_core::manifest::Manifest;
use rivet_core::plan::Plan;
use rivet_core::run::timeline::Timeline;
use rivet_core::state::{self, Phase, RunEntry, State, StateError};
use rivet_plugin_api::Fidelity;
use serde_json::Value;

use super::model::{Column, Event, Failure, Figures, File, Rule, Run, Shown, Tone};
use super::settings;
use super::took;
use crate::documents::history::RunRow;
use crate::out::secrets::Secrets;
use crate::render::{counted, grouped};

/// Events of a run that are read into a report at most: the first ones.
const MAX_EVENTS: usize = 1_000;

/// Reads runs.
pub struct Reader<'s> {
    pub state: &'s State,
    /// What no text has in it.
    pub secrets: &'s Secrets,
    pub now_ms: i64,
}

impl Reader<'_> {
    /// One run.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn run(&self, entry: &RunEntry) -> Result<Run, StateError> {
        let row = RunRow::of(entry, self.state)?;
        let events = self.state.events(&entry.run_id)?;
        let plan: Option<Plan> = parsed(self.state.plan_of(&entry.run_id)?.unwrap_or_default());
        let manifest: Option<Manifest> = parsed(self.state.verdict_of(&entry.run_id)?.unwrap_or_default());
        let summary = &entry.summary;
        let timeline = events.iter().find(|event| event.kind == "timeline");
        let timeline: Option<Timeline> = timeline.and_then(|event| parsed(event.details.clone()));
        // A run is begun in the state once it is planned; the journal has it from its first step on.
        let started_at_ms = events.first().map_or(entry.started_at_ms, |event| event.at_ms.min(entry.started_at_ms));
        let since = |at_ms: i64| u64::try_from(at_ms - started_at_ms).unwrap_or(0);
        let planned = events.iter().rev().find(|event| event.kind == "planned");
        let (status, tone) = self.status(&row.status, summary);
        let schema_changes = self.list(&summary["schema_changes"]);
        Ok(Run {
            export: self.text(&entry.export),
            run_id: self.text(&entry.run_id),
            status,
            tone,
            source: self.text(&entry.source),
            destination: self.text(&entry.destination),
            started_at_ms,
            duration_ms: summary["duration_ms"].as_u64().unwrap_or(since(entry.ended_at_ms.unwrap_or(self.now_ms))),
            figures: self.figures(&row, summary, manifest.as_ref()),
            error: self.failure(summary),
            notes: self.notes(summary, &row.status),
            schema_changes,
            quality: self.quality(&summary["quality"]),
            columns: plan.as_ref().map(|plan| self.columns(plan, manifest.as_ref())).unwrap_or_default(),
            files: manifest
                .as_ref()
                .filter(|_| entry.phase == Phase::Finished)
                .map(|m| self.files(m))
                .unwrap_or_default(),
            settings: plan
                .as_ref()
                .map(|plan| settings::of(plan, manifest.as_ref(), summary))
                .unwrap_or_default()
                .into_iter()
                .map(|(name, value)| (name, self.text(&value)))
                .collect(),
            planned_ms: planned.map(|event| since(event.at_ms)),
            timeline,
            events: events.iter().take(MAX_EVENTS).filter_map(|event| self.event(event, since(event.at_ms))).collect(),
        })
    }

    fn text(&self, text: &str) -> Shown {
        Shown::of(text, self.secrets)
    }

    fn list(&self, texts: &Value) -> Vec<Shown> {
        texts.as_array().into_iter().flatten().filter_map(Value::as_str).map(|text| self.text(text)).collect()
    }

    fn status(&self, word: &str, summary: &Value) -> (Shown, Tone) {
        let has = |key: &str| summary[key].as_array().is_some_and(|all| !all.is_empty());
        let tone = match word {
            "success" | "skipped" if has("warnings") || has("schema_changes") => Tone::Warning,
            "success" | "skipped" => Tone::Good,
            "running" => Tone::Plain,
            _ => Tone::Bad,
        };
        // Not by its colour alone.
        let more = if tone == Tone::Warning { ", with warnings" } else { "" };
        (self.text(&format!("{word}{more}")), tone)
    }

    fn figures(&self, row: &RunRow, summary: &Value, manifest: Option<&Manifest>) -> Figures {
        let told = |key: &str| summary[key].as_u64().unwrap_or(0);
        let said = |key: &str| self.text(summary[key].as_str().unwrap_or_default());
        let consistency = manifest.and_then(|m| serde_json::to_value(m.consistency).ok());
        Figures {
            rows: row.rows.unwrap_or(0),
            rows_known: told("rows_known"),
            bytes: row.bytes.unwrap_or(0),
            rows_per_second: row.rows_per_second.unwrap_or(0),
            peak_rss_bytes: row.peak_rss_bytes.unwrap_or(0),
            retries: row.retries.unwrap_or(0),
            restarts: told("restarts"),
            longest_statement_ms: told("longest_statement_ms"),
            verdict: said("verdict"),
            consistency: self.text(consistency.as_ref().and_then(Value::as_str).unwrap_or_default()),
            validated: summary["validated"].as_bool().unwrap_or(false),
        }
    }

    fn failure(&self, summary: &Value) -> Option<Failure> {
        let text = |key: &str| Some(self.text(summary["error"][key].as_str()?));
        Some(Failure { code: text("code")?, message: text("message")?, hint: text("hint") })
    }

    /// Warnings; what changed in the schema is said apart.
    fn notes(&self, summary: &Value, status: &str) -> Vec<Shown> {
        match status {
            "unfinished" => {
                return vec![self.text("its process ended before it did: the next run of the export settles it")];
            }
            "abandoned" => return vec![self.text("its process ended before it did, and nothing of it is visible")],
            _ => {}
        }
        let change = summary["schema_changes"][0].as_str();
        let all = summary["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
        all.filter(|text| change.is_none_or(|change| !text.contains(change))).map(|text| self.text(text)).collect()
    }

    fn quality(&self, rules: &Value) -> Vec<Rule> {
        let shown = |value: &Value| match (value.as_u64(), value) {
            (Some(n), _) => grouped(n),
            (None, Value::Null) => String::new(),
            (None, value) => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        };
        let rule = |rule: &Value| {
            let proved = rule["proved"].as_bool() == Some(true);
            let figure = if proved { "proved by a constraint".to_owned() } else { shown(&rule["figure"]) };
            Rule {
                rule: self.text(&shown(&rule["rule"])),
                column: self.text(&shown(&rule["column"])),
                limit: self.text(&shown(&rule["limit"])),
                figure: self.text(&figure),
                passed: rule["passed"].as_bool() == Some(true),
            }
        };
        rules.as_array().into_iter().flatten().map(rule).collect()
    }

    fn columns(&self, plan: &Plan, manifest: Option<&Manifest>) -> Vec<Column> {
        let hits = manifest.map(|m| m.policy_hits.as_slice()).unwrap_or_default();
        let schema = plan.written_schema();
        let column = |(i, field): (usize, &rivet_plugin_api::arrow_schema::FieldRef)| {
            let read = plan.schema.columns.get(i);
            let fidelity = read.map_or(Fidelity::Exact, |column| column.fidelity);
            Column {
                name: self.text(field.name()),
                native_type: self.text(read.map_or("added by rivet", |column| &column.native_type)),
                written_as: self.text(&field.data_type().to_string()),
                nullable: field.is_nullable(),
                fidelity: self.text(match fidelity {
                    Fidelity::Exact => "exact",
                    Fidelity::Text => "text",
                    _ => "other",
                }),
                is_exact: fidelity == Fidelity::Exact,
                hits: hits
                    .iter()
                    .filter(|(name, _, _)| name == field.name())
                    .map(|(_, policy, n)| (self.text(policy), *n))
                    .collect(),
            }
        };
        schema.fields().iter().enumerate().map(column).collect()
    }

    fn files(&self, manifest: &Manifest) -> Vec<File> {
        let file = |part: &rivet_core::manifest::Part| File {
            name: self.text(&part.name),
            split: part.split,
            rows: part.rows,
            bytes: part.bytes,
            digest: self.text(&part.digest),
        };
        manifest.parts.iter().map(file).collect()
    }

    /// What an event says; none of those that are seen elsewhere, or that this version does not know.
    fn event(&self, event: &state::Event, at_ms: u64) -> Option<Event> {
        let details = &event.details;
        let said = |key: &str| details[key].as_str().unwrap_or_default();
        let count = |key: &str| details[key].as_u64().map_or_else(|| "?".to_owned(), grouped);
        let (tone, text) = match event.kind.as_str() {
            "run_started" => (Tone::Plain, format!("begun by {}", said("command"))),
            "planned" => {
                let rows = details["estimated_rows"].as_u64();
                let rows = rows.map_or_else(String::new, |n| format!(", about {}", counted(n, "row")));
                let (splits, workers) = (count("splits"), count("workers"));
                (Tone::Plain, format!("planned: {}, splits: {splits}, workers: {workers}{rows}", said("strategy")))
            }
            "retrying" => {
                let pause = took(details["after_ms"].as_u64().unwrap_or(0));
                (Tone::Warning, format!("{} is tried again after {pause}: {}", said("split"), said("cause")))
            }
            "warning" => (Tone::Warning, said("message").to_owned()),
            "export_finished" => match details["error"]["message"].as_str() {
                Some(error) => (Tone::Bad, format!("{}: {error}", said("status"))),
                None => (Tone::Plain, format!("ended: {}", said("status"))),
            },
            _ => return None,
        };
        Some(Event { at_ms, tone, text: self.text(&text) })
    }
}

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}
