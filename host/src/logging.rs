//! Log lines on stderr, the host's and the plugins' alike.
//! It must not know who logs what.

use std::io::{self, Write};

use tracing::level_filters::LevelFilter;

use crate::cli::{Global, LogFormat};
use crate::out::{Streams, Text};

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
    let base = tracing_subscriber::fmt().with_max_level(level).with_writer(writer);
    match format {
        LogFormat::Text => base.with_ansi(false).compact().init(),
        LogFormat::Json => base.json().init(),
    }
    rivet_plugin_api::wire::telemetry::install_panic_hook();
}

/// Writes one event, which the subscriber hands over whole, as one line.
struct LogWriter {
    streams: Streams,
    format: LogFormat,
}

impl Write for LogWriter {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(event);
        let line = line.strip_suffix('\n').unwrap_or(&line);
        let mut text = Text::default();
        match self.format {
            LogFormat::Text => text.line(line),
            LogFormat::Json => text.json_line(line),
        }
        self.streams.say(&text);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
