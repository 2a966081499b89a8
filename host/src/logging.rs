//! Log lines on stderr, the host's and the plugins' alike; what a plugin warns of is a warning that names it.
//! It must not know what is logged.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use rivet_core::clock::{Clock, SystemClock, format_rfc3339};
use rivet_plugin_api::load::FORWARDED;
use rivet_plugin_api::wire::bounded::bounded;
use rivet_plugin_api::wire::calls;
use rivet_plugin_api::wire::telemetry::{Fields, install_panic_hook};
use serde_json::{Map, Value, json};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::{Global, LogFormat};
use crate::out::{Colour, Streams, Text};

/// Installs the subscriber and the panic hook of this image.
pub fn init(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    let (streams, format) = (global.streams.clone(), global.log_format);
    let writer = move || LogWriter { streams: streams.clone(), format };
    tracing_subscriber::fmt().with_max_level(level).with_writer(writer).event_format(Lines { format }).init();
    install_panic_hook();
}

/// How an event looks.
struct Lines {
    format: LogFormat,
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
        let line = String::from_utf8_lossy(event);
        let line = line.strip_suffix('\n').unwrap_or(&line);
        let mut text = Text::for_stderr();
        match (self.format, line.strip_prefix(WARNING)) {
            (LogFormat::Json, _) => text.json_line(line),
            (LogFormat::Text, Some(rest)) => text.spans(&[(WARNING, Some(Colour::Yellow)), (rest, None)]),
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
