//! Log lines on stderr, the host's and the plugins' alike.
//! It must not know who logs what.

use tracing::level_filters::LevelFilter;

use crate::cli::{Global, LogFormat};

/// Installs the subscriber and the panic hook of this image.
pub fn init(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    let base = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    match global.log_format {
        LogFormat::Text => base.with_ansi(false).compact().init(),
        LogFormat::Json => base.json().init(),
    }
    rivet_plugin_api::wire::telemetry::install_panic_hook();
}
