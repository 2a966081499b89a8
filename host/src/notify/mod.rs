//! Tells people elsewhere how runs ended, where the config asks for it. It never fails a run, and takes a few seconds at most.
//! It must not know the steps of a run.

mod post;
mod slack;

use std::time::Duration;

use rivet_core::config::{NotificationsConfig, Trigger};
use rivet_core::summary::{Failure, Status, Summary};

use crate::cli::Global;
use crate::exit::Exit;
use crate::render;

/// Longest time that a message may take, from the name of the host to the answer.
const LIMIT: Duration = Duration::from_secs(5);

/// What one attachment of a message is about.
pub enum Event<'s> {
    /// An export ended in a way that people asked to hear of.
    Ended(Ended<'s>),
    /// Nothing ran at all.
    NotBegun(Exit),
}

/// What is told of an export.
#[derive(Default)]
pub struct Ended<'s> {
    pub export: &'s str,
    pub run_id: &'s str,
    pub status: &'static str,
    pub rows: u64,
    pub error: Option<&'s Failure>,
    pub schema_changes: &'s [String],
    pub degraded: Vec<&'static str>,
    /// Why it is told: what happened, the worst first.
    pub happened: Vec<Trigger>,
}

/// Runs ended.
pub fn ended(config: &NotificationsConfig, summaries: &[Summary], global: &Global) {
    let Some(slack) = &config.slack else { return };
    let told = summaries.iter().map(Ended::of).filter_map(|mut ended| {
        ended.happened.retain(|trigger| slack.on.contains(trigger));
        (!ended.happened.is_empty()).then_some(Event::Ended(ended))
    });
    tell(config, &told.collect::<Vec<_>>(), global);
}

/// The command failed before the first run.
pub fn not_begun(config: &NotificationsConfig, exit: Exit, global: &Global) {
    if config.slack.as_ref().is_some_and(|slack| slack.on.contains(&Trigger::Failure)) {
        tell(config, &[Event::NotBegun(exit)], global);
    }
}

impl<'s> Ended<'s> {
    fn of(summary: &'s Summary) -> Self {
        let degraded = summary.degraded();
        let all = [
            (summary.status == Status::Failed, Trigger::Failure),
            (!summary.schema_changes.is_empty(), Trigger::SchemaChange),
            (!degraded.is_empty(), Trigger::Degraded),
        ];
        Self {
            export: &summary.export,
            run_id: &summary.run_id,
            status: summary.status.as_str(),
            rows: summary.rows,
            error: summary.error.as_ref(),
            schema_changes: &summary.schema_changes,
            degraded,
            happened: all.into_iter().filter_map(|(is_so, trigger)| is_so.then_some(trigger)).collect(),
        }
    }
}

fn tell(config: &NotificationsConfig, events: &[Event<'_>], global: &Global) {
    let Some(url) = config.slack.as_ref().and_then(|slack| slack.webhook_url.as_ref()) else { return };
    if events.is_empty() {
        return;
    }
    let message = slack::message(events, &global.streams.secrets);
    if let Err(why) = post::post(url.expose(), message.to_string(), LIMIT) {
        render::warning(global, &format!("the message to Slack could not be delivered: {why}"));
    }
}
