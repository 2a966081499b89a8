//! What the host lends to libraries for logging: their events become events here.
//! It must not know which subscriber is installed.

use rivet_plugin_abi::abi_stable::{prefix_type::WithMetadata, sabi_types::StaticRef};
use rivet_plugin_abi::{HostApi, HostApiRef, LogRecord};
use tracing::level_filters::LevelFilter;

use crate::wire::bounded::bounded;

/// The target of all events that come from a library.
pub const FORWARDED: &str = "plugin";

extern "C" fn max_level() -> u32 {
    LevelFilter::current().into_level().map_or(0, |level| crate::wire::telemetry::level_number(&level))
}

extern "C" fn log<'a>(record: &LogRecord<'a>) {
    // A target is static in `tracing`, so the plugin's own travels as a field.
    macro_rules! forward {
        ($level:ident) => {
            tracing::event!(
                target: FORWARDED,
                tracing::Level::$level,
                origin = record.target.as_str(),
                span = record.span.as_str(),
                fields = &*bounded(record.fields_json.as_str()),
                "{}",
                bounded(record.message.as_str())
            )
        };
    }
    match record.level {
        1 => forward!(ERROR),
        2 => forward!(WARN),
        3 => forward!(INFO),
        4 => forward!(DEBUG),
        _ => forward!(TRACE),
    }
}

pub const HOST: HostApiRef = HostApiRef({
    static VTABLE: WithMetadata<HostApi> = WithMetadata::new(HostApi { max_level, log });
    StaticRef::new(&VTABLE).as_prefix()
});
