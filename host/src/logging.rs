//! Log lines on stderr, the host's and the plugins' alike; what a plugin warns of is a warning that names it. Which there are, the
//! flags say, else `RUST_LOG`, else the place where they go. It must not know what is logged.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};

use rivet_core::clock::{Clock, SystemClock, format_rfc3339};
use rivet_plugin_api::load::FORWARDED;
use rivet_plugin_api::wire::bounded::bounded;
use rivet_plugin_api::wire::calls;
use rivet_plugin_api::wire::telemetry::{Fields, install_panic_hook};
use serde_json::{Map, Value, json};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{Global, LogFormat, Output};
use crate::out::{Streams, Text};

/// The target of what a log says of the progress of exports.
const PROGRESS: &str = "rivet::progress";

/// Installs the subscriber and the panic hook of this image.
pub fn init(global: &Global) {
    let (streams, format) = (global.streams.clone(), global.log_format);
    let writer = move || LogWriter { streams: streams.clone(), format };
    let variable = std::env::var("RUST_LOG").unwrap_or_default();
    let (wanted, problem) = wanted(global, &variable, std::io::stderr().is_terminal());
    // What comes from a library has one target here, and its own is looked at later.
    let passed = wanted.clone().with_target(FORWARDED, most(&wanted));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).event_format(Lines { format, wanted });
    tracing_subscriber::registry().with(passed).with(lines).init();
    install_panic_hook();
    if let Some(problem) = problem {
        tracing::warn!("{problem}");
    }
}

/// What is logged, and what is wrong with `RUST_LOG`, whose value `variable` is.
fn wanted(global: &Global, variable: &str, is_terminal: bool) -> (Targets, Option<String>) {
    let at = |level: LevelFilter| Targets::new().with_default(level);
    match (global.quiet, global.verbose) {
        (true, _) => return (at(LevelFilter::ERROR), None),
        (false, 0) => {}
        (false, 1) => return (at(LevelFilter::INFO), None),
        (false, 2) => return (at(LevelFilter::DEBUG), None),
        (false, _) => return (at(LevelFilter::TRACE), None),
    }
    // Nobody watches: what happened when is read later.
    let progress = if is_terminal || global.output != Output::Text { LevelFilter::WARN } else { LevelFilter::INFO };
    let usual = at(LevelFilter::WARN).with_target(PROGRESS, progress);
    if variable.trim().is_empty() {
        return (usual, None);
    }
    variable.parse().map_or_else(
        |e| {
            (usual, Some(format!("RUST_LOG means nothing and is left aside: {e}; write it as `info` or `rivet=debug`")))
        },
        |targets| (targets, None),
    )
}

/// The most talkative level of any target.
fn most(targets: &Targets) -> LevelFilter {
    let levels = targets.iter().map(|(_, level)| level).chain(targets.default_level());
    levels.max().unwrap_or(LevelFilter::OFF)
}

/// How an event looks.
struct Lines {
    format: LogFormat,
    /// Which events there are.
    wanted: Targets,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, cx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let spans = cx.event_scope().into_iter().flat_map(|scope| scope.from_root());
        let span = spans.map(|span| span.name()).collect::<Vec<_>>().join(":");
        let mut fields = Fields::default();
        event.record(&mut fields);
        let target = event.metadata().target().to_owned();
        if target != FORWARDED {
            cut(&mut fields);
        }
        let told =
            Told { level: *event.metadata().level(), target, span, plugin: calls::current(), fields }.unwrapped();
        if !self.wanted.would_enable(&told.target, &told.level) {
            return Ok(());
        }
        match self.format {
            LogFormat::Text => writeln!(writer, "{}", told.line()),
            LogFormat::Json => writeln!(writer, "{}", told.json()),
        }
    }
}

/// As what comes from a library was cut on its way.
fn cut(fields: &mut Fields) {
    fields.message = bounded(&fields.message).into_owned();
    for value in fields.others.values_mut() {
        if let Value::String(text) = value {
            *text = bounded(text).into_owned();
        }
    }
}

/// An event.
struct Told {
    level: Level,
    target: String,
    span: String,
    /// The plugin that this thread is in.
    plugin: Option<&'static str>,
    fields: Fields,
}

impl Told {
    /// An event of a library travels in the fields of another one.
    fn unwrapped(mut self) -> Self {
        if self.target == FORWARDED {
            let mut taken = |key| match self.fields.others.remove(key) {
                Some(Value::String(text)) => text,
                _ => String::new(),
            };
            let (origin, span, fields) = (taken("origin"), taken("span"), taken("fields"));
            (self.target, self.span) = (origin, span);
            match serde_json::from_str::<Map<String, Value>>(&fields) {
                Ok(fields) => self.fields.others = fields,
                // It was too long to come whole.
                Err(_) if !fields.is_empty() => drop(self.fields.others.insert("fields".to_owned(), fields.into())),
                Err(_) => {}
            }
        }
        self
    }

    /// Who says it: the plugin, else the crate of one, where it is none of the host's.
    fn who(&self) -> Option<&str> {
        let name = self.target.split("::").next().unwrap_or_default();
        self.plugin.or_else(|| (!["rivet", "rivet_core", "rivet_plugin_api"].contains(&name)).then_some(name))
    }

    fn line(&self) -> String {
        let mut line = match self.level {
            Level::ERROR | Level::WARN => WARNING.to_owned(),
            level => format!("{} {level:>5} ", format_rfc3339(SystemClock::default().now_unix_ms())),
        };
        for part in self.who().into_iter().chain(Some(&*self.span).filter(|span| !span.is_empty())) {
            line += &format!("{part}: ");
        }
        line += &self.fields.message;
        for (key, value) in &self.fields.others {
            let _ = match value.as_str() {
                Some(text) if text.contains([' ', '"', '=']) => write!(line, " {key}={text:?}"),
                Some(text) => write!(line, " {key}={text}"),
                None => write!(line, " {key}={value}"),
            };
        }
        line
    }

    fn json(&self) -> Value {
        let mut fields = self.fields.others.clone();
        fields.insert("message".to_owned(), self.fields.message.clone().into());
        let mut line = json!({
            "timestamp": format_rfc3339(SystemClock::default().now_unix_ms()),
            "level": self.level.as_str(),
            "target": self.target,
            "fields": fields,
        });
        for (key, text) in [("plugin", self.plugin.unwrap_or_default()), ("span", &*self.span)] {
            if !text.is_empty() {
                line[key] = text.into();
            }
        }
        line
    }
}

/// How what deserves a look begins.
const WARNING: &str = "warning: ";

/// Writes one event, which the subscriber hands over whole, as one line.
struct LogWriter {
    streams: Streams,
    format: LogFormat,
}

impl Write for LogWriter {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        if event.is_empty() {
            return Ok(0);
        }
        let line = String::from_utf8_lossy(event);
        let line = line.strip_suffix('\n').unwrap_or(&line);
        let mut text = Text::for_stderr();
        match (self.format, line.strip_prefix(WARNING)) {
            (LogFormat::Json, _) => text.json_line(line),
            (LogFormat::Text, Some(rest)) => {
                self.streams.warn(rest);
                return Ok(event.len());
            }
            (LogFormat::Text, None) => text.line(line),
        }
        self.streams.say(&text);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(target: &str, plugin: Option<&'static str>, others: Value) -> Told {
        let others = others.as_object().cloned().unwrap_or_default();
        let fields = Fields { message: "fetched a page".to_owned(), others };
        Told { level: Level::WARN, target: target.to_owned(), span: String::new(), plugin, fields }.unwrapped()
    }

    #[test]
    fn a_warning_names_who_warns_and_its_fields_are_words() {
        let forwarded = json!({ "origin": "source_x::scan", "span": "page", "fields": r#"{"table":"a b","rows":7}"# });
        for (told, line) in [
            (
                told("plugin", Some("source 'x'"), forwarded.clone()),
                "source 'x': page: fetched a page rows=7 table=\"a b\"",
            ),
            (told("plugin", None, forwarded), "source_x: page: fetched a page rows=7 table=\"a b\""),
            (told("plugin", None, json!({ "origin": "d", "span": "", "fields": "" })), "d: fetched a page"),
            (
                told("plugin", None, json!({ "origin": "d", "fields": "{\"cut" })),
                "d: fetched a page fields=\"{\\\"cut\"",
            ),
            (told("source_x", None, json!({ "rows": 7 })), "source_x: fetched a page rows=7"),
            (told("rivet::commands", None, json!({})), "fetched a page"),
        ] {
            assert_eq!(told.line(), format!("warning: {line}"));
        }
    }

    #[test]
    fn flags_come_before_the_variable_and_it_before_the_place() {
        use clap::Parser;
        let enabled = |words: &[&str], variable: &str, is_terminal: bool, target: &str, level: Level| {
            let words = [&["rivet", "run"], words].concat();
            let cli = crate::cli::Cli::try_parse_from(words).expect("right words");
            let (wanted, problem) = wanted(&cli.global, variable, is_terminal);
            assert_eq!(problem.is_some(), variable == "a=b=c", "{problem:?}");
            wanted.would_enable(target, &level)
        };
        for (words, variable, is_terminal, target, level, expected) in [
            (&[][..], "", false, PROGRESS, Level::INFO, true),
            (&[], "", true, PROGRESS, Level::INFO, false),
            (&[], "", false, "rivet_core::run", Level::INFO, false),
            (&[], "a=b=c", false, PROGRESS, Level::INFO, true),
            (&[], "warn", false, PROGRESS, Level::INFO, false),
            (&[], "info", true, PROGRESS, Level::INFO, true),
            (&[], "info,x=debug", true, "x::scan", Level::DEBUG, true),
            (&[], "info,x=debug", true, "y", Level::DEBUG, false),
            (&["-v"], "error", true, "y", Level::INFO, true),
            (&["-v"], "debug", true, "y", Level::DEBUG, false),
            (&["-q"], "debug", true, "y", Level::WARN, false),
            (&["--output", "json"], "", false, PROGRESS, Level::INFO, false),
        ] {
            let found = enabled(words, variable, is_terminal, target, level);
            assert_eq!(found, expected, "{words:?} {variable:?} {is_terminal} {target} {level}");
        }
        assert_eq!(most(&"warn,x=debug".parse::<Targets>().expect("it is right")), LevelFilter::DEBUG);
    }

    #[test]
    fn json_has_the_fields_as_they_are() {
        let forwarded = json!({ "origin": "source_x", "span": "", "fields": r#"{"rows":7}"# });
        let line = told("plugin", Some("source 'x'"), forwarded).json();
        assert_eq!((&line["target"], &line["plugin"]), (&json!("source_x"), &json!("source 'x'")));
        assert_eq!(
            (&line["fields"], &line["span"]),
            (&json!({ "message": "fetched a page", "rows": 7 }), &Value::Null)
        );
    }
}
