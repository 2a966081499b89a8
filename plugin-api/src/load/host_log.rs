//! What the host lends to libraries for logging: their events become events here.
//! It must not know which subscriber is installed.

use std::cell::Cell;

use rivet_plugin_abi::abi_stable::{prefix_type::WithMetadata, sabi_types::StaticRef};
use rivet_plugin_abi::{HostApi, HostApiRef, LogRecord};
use tracing::level_filters::LevelFilter;

use crate::wire::bounded::bounded;

/// The target of all events that come from a library.
pub const FORWARDED: &str = "plugin";

extern "C" fn max_level() -> u32 {
    LevelFilter::current().into_level().map_or(0, |level| crate::wire::telemetry::level_number(&level))
}

thread_local! {
    /// A variable that needs nothing to be there at the very end of the thread.
    static IS_OVER: Cell<bool> = const { Cell::new(false) };
    /// What begins later ends first: begun after those of the subscriber, it ends before them.
    static LAST: Last = const { Last };
}

struct Last;

impl Drop for Last {
    fn drop(&mut self) {
        IS_OVER.set(true);
    }
}

/// What a thread of a plugin says while its variables go is not heard: those of the subscriber may be gone, and a panic here
/// would be the end of the process.
extern "C" fn log<'a>(record: &LogRecord<'a>) {
    if IS_OVER.get() {
        return;
    }
    // A target is static in `tracing`, so the plugin's own travels as a field.
    macro_rules! forward {
        ($level:ident) => {
            tracing::event!(
                target: FORWARDED,
                tracing::Level::$level,
                origin = &*bounded(record.target.as_str()),
                span = &*bounded(record.span.as_str()),
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
    LAST.with(|_| ());
}

pub const HOST: HostApiRef = HostApiRef({
    static VTABLE: WithMetadata<HostApi> = WithMetadata::new(HostApi { max_level, log });
    StaticRef::new(&VTABLE).as_prefix()
});
