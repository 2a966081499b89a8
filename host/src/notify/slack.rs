//! A message as Slack's incoming webhooks take it: a line, and an attachment for each event.
//! It must not know how it gets there. What comes from outside stays text in it, whatever it looks like.

use rivet_core::config::Trigger;
use rivet_core::plural;
use serde_json::{Value, json};

use super::{Ended, Event};
use crate::out::bounded;
use crate::out::secrets::Secrets;
use crate::render::grouped;

/// Attachments of one message; what is beyond is counted.
const MAX_ATTACHMENTS: usize = 20;
/// Longest text of a field, bytes.
const MAX_TEXT_BYTES: usize = 1 << 10;

const RED: &str = "#c4314b";
const AMBER: &str = "#b7791f";

/// The body of the request.
pub fn message(events: &[Event<'_>], secrets: &Secrets) -> Value {
    let attachments: Vec<Value> = events.iter().take(MAX_ATTACHMENTS).map(|event| attachment(event, secrets)).collect();
    let left_off = events.len() - attachments.len();
    let more = if left_off > 0 { format!(" ({left_off} more are not shown)") } else { String::new() };
    json!({ "text": format!("Rivet: {}{more}", headline(events)), "mrkdwn": false, "attachments": attachments })
}

/// How many exports each thing happened to, the worst thing alone of each.
fn headline(events: &[Event<'_>]) -> String {
    let worst = |event: &Event<'_>| match event {
        Event::NotBegun(_) => None,
        Event::Ended(ended) => ended.happened.first().copied(),
    };
    let count = |trigger| events.iter().filter(|event| worst(event) == Some(trigger)).count();
    let words = [
        (Trigger::Failure, "failed"),
        (Trigger::SchemaChange, "with a changed schema"),
        (Trigger::Degraded, "degraded"),
    ];
    let said = words.map(|(trigger, word)| (count(trigger), word)).into_iter().filter(|(n, _)| *n > 0);
    let said: Vec<String> = said.map(|(n, word)| format!("{n} export{} {word}", plural::s(n))).collect();
    if said.is_empty() { "the run failed before its first export".to_owned() } else { said.join(", ") }
}

fn attachment(event: &Event<'_>, secrets: &Secrets) -> Value {
    let (title, colour, fields) = match event {
        Event::NotBegun(exit) => {
            let why = format!("{}: {}", exit.code(), exit.meaning());
            let fields = vec![("Exit code", why, false), ("Next step", "see what it printed".to_owned(), false)];
            ("nothing was exported".to_owned(), RED, fields)
        }
        Event::Ended(ended) => {
            let colour = if ended.happened.contains(&Trigger::Failure) { RED } else { AMBER };
            let words: Vec<&str> = ended.happened.iter().map(|trigger| word(*trigger)).collect();
            (format!("{}: {}", ended.export, words.join(", ")), colour, fields(ended))
        }
    };
    let fields: Vec<Value> = fields
        .into_iter()
        .map(|(title, value, short)| json!({ "title": title, "value": plain(&value, secrets), "short": short }))
        .collect();
    let title = plain(&title, secrets);
    json!({ "color": colour, "title": title, "fallback": title, "fields": fields, "mrkdwn_in": [] })
}

fn word(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Failure => "failed",
        Trigger::SchemaChange => "schema changed",
        Trigger::Degraded => "degraded",
    }
}

/// Title, text, and whether two of them stand side by side.
fn fields(ended: &Ended<'_>) -> Vec<(&'static str, String, bool)> {
    let mut fields = vec![
        ("Export", ended.export.to_owned(), true),
        ("Status", ended.status.to_owned(), true),
        ("Run", ended.run_id.to_owned(), true),
        ("Rows", grouped(ended.rows), true),
    ];
    if let Some(error) = ended.error {
        fields.push(("Error", format!("{}: {}", error.code, error.message), false));
        fields.extend(error.hint.clone().map(|hint| ("Next step", hint, false)));
    }
    if ended.happened.contains(&Trigger::SchemaChange) {
        fields.push(("Schema", ended.schema_changes.join("; "), false));
    }
    if ended.happened.contains(&Trigger::Degraded) {
        fields.push(("Degraded", ended.degraded.join("; "), false));
    }
    fields
}

/// The text with nothing in it that Slack acts on: no mention, no link, no formatting (its three control characters are
/// escaped as in HTML), on one line, and without secrets.
fn plain(text: &str, secrets: &Secrets) -> String {
    let text = bounded(text, MAX_TEXT_BYTES);
    secrets.hidden(&text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use rivet_core::error::FailureClass;
    use rivet_core::summary::Failure;

    use super::*;
    use crate::exit::Exit;

    fn failure(message: &str) -> Failure {
        Failure { code: "x.y".to_owned(), message: message.to_owned(), hint: None, class: FailureClass::Retryable }
    }

    fn failed(failure: &Failure) -> Event<'_> {
        let happened = vec![Trigger::Failure];
        Event::Ended(Ended { export: "a", status: "failed", error: Some(failure), happened, ..Ended::default() })
    }

    #[test]
    fn what_comes_from_outside_stays_text_and_keeps_no_secret() {
        let secrets = Secrets::default();
        secrets.add(["hunter2-hunter2".to_owned()]);
        let long = "x".repeat(1_000_000);
        let evil = format!("<!channel> & <http://e.example|click>\n\u{202e}\u{1b}[31m hunter2-hunter2 {long}");
        let message = message(&[failed(&failure(&evil))], &secrets);
        let error = message["attachments"][0]["fields"][4]["value"].as_str().expect("a text");
        let expected = "x.y: &lt;!channel&gt; &amp; &lt;http://e.example|click&gt;\\n\\u{202e}\\u{1b}[31m *** xxx";
        assert!(error.starts_with(expected), "{error}");
        assert!(error.len() < 2 * MAX_TEXT_BYTES && message.to_string().len() < 4 * MAX_TEXT_BYTES, "{}", error.len());
        assert_eq!((&message["text"], &message["mrkdwn"]), (&json!("Rivet: 1 export failed"), &json!(false)));
        assert_eq!(
            (&message["attachments"][0]["color"], &message["attachments"][0]["title"]),
            (&json!(RED), &json!("a: failed"))
        );
    }

    #[test]
    fn many_events_are_counted_and_the_worst_thing_of_each_says_what_happened() {
        let failure = failure("no");
        let changes = ["'a' was int4 and is int8".to_owned()];
        let happened = vec![Trigger::SchemaChange, Trigger::Degraded];
        let changed = Ended { export: "c", schema_changes: &changes, happened, ..Ended::default() };
        let mut events = vec![Event::Ended(changed)];
        events.extend((0..50).map(|_| failed(&failure)));
        let message = message(&events, &Secrets::default());
        assert_eq!(message["text"], "Rivet: 50 exports failed, 1 export with a changed schema (31 more are not shown)");
        assert_eq!(message["attachments"].as_array().map(Vec::len), Some(MAX_ATTACHMENTS));
        let first = &message["attachments"][0];
        assert_eq!((&first["title"], &first["color"]), (&json!("c: schema changed, degraded"), &json!(AMBER)));
        assert_eq!(first["fields"][4]["value"], "'a' was int4 and is int8");
    }

    #[test]
    fn a_run_that_did_not_begin_says_how_the_process_ends() {
        let message = message(&[Event::NotBegun(Exit::Retryable)], &Secrets::default());
        assert_eq!(message["text"], "Rivet: the run failed before its first export");
        assert!(message["attachments"][0]["fields"][0]["value"].as_str().is_some_and(|why| why.starts_with("2: ")));
    }
}
