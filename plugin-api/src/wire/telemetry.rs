//! `tracing` events and panics of a loaded library, forwarded to the host.
//! It must not install anything in an executable: there the host's own subscriber is in place.

use std::cell::{Cell, RefCell};
use std::fmt::{Debug, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rivet_plugin_abi::abi_stable::std_types::RStr;
use rivet_plugin_abi::{HostApiRef, LogRecord};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber, span};

thread_local! {
    static OPEN_SPANS: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    static PANIC_LOCATION: Cell<Option<String>> = const { Cell::new(None) };
}

/// Where the last panic of this thread happened, `file:line:column`.
pub fn take_panic_location() -> Option<String> {
    PANIC_LOCATION.try_with(Cell::take).ok().flatten()
}

/// Replaces this image's panic hook: nothing is printed, the location is kept for the error that follows.
/// Every image has its own hook; the host installs one for itself and for what is linked into it.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let location = info.location().map(|l| format!("{}:{}:{}", l.file(), l.line(), l.column()));
        tracing::debug!(location = location.as_deref().unwrap_or("unknown"), "panicked");
        let _ = PANIC_LOCATION.try_with(|last| last.set(location));
    }));
}

/// Sends this image's events to the host from now on.
pub fn forward_to(host: HostApiRef) {
    let forward = Forward { host, spans: Mutex::default() };
    if tracing::dispatcher::set_global_default(tracing::Dispatch::new(forward)).is_ok() {
        install_panic_hook();
    }
}

/// The host's level changed: `tracing` caches what is enabled and must ask again.
pub extern "C" fn level_changed() {
    tracing::callsite::rebuild_interest_cache();
}

/// Number of a level on the wire: 1 error to 5 trace.
pub fn level_number(level: &Level) -> u32 {
    match *level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

struct Forward {
    host: HostApiRef,
    spans: Mutex<Vec<Option<OpenSpan>>>,
}

struct OpenSpan {
    name: &'static str,
    handles: usize,
}

impl Forward {
    fn spans(&self) -> MutexGuard<'_, Vec<Option<OpenSpan>>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self) -> String {
        let path = |open: &Vec<u64>| {
            if open.is_empty() {
                return String::new();
            }
            let spans = self.spans();
            let names = open.iter().filter_map(|id| Some(spans.get(index(*id))?.as_ref()?.name));
            names.collect::<Vec<_>>().join(":")
        };
        with_open_spans(|open| path(open)).unwrap_or_default()
    }
}

/// None once the thread is ending, when what another of its variables has to say on its way is still said.
fn with_open_spans<R>(f: impl FnOnce(&mut Vec<u64>) -> R) -> Option<R> {
    OPEN_SPANS.try_with(|open| open.try_borrow_mut().map(|mut open| f(&mut open)).ok()).ok().flatten()
}

fn index(id: u64) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX).wrapping_sub(1)
}

impl Subscriber for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        level_number(metadata.level()) <= self.host.max_level()()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.host.max_level()() {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut spans = self.spans();
        let free = spans.iter().position(Option::is_none).unwrap_or_else(|| {
            spans.push(None);
            spans.len() - 1
        });
        spans[free] = Some(OpenSpan { name: attributes.metadata().name(), handles: 1 });
        span::Id::from_u64(free as u64 + 1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let fields_json =
            if fields.others.is_empty() { String::new() } else { Value::Object(fields.others).to_string() };
        let path = self.path();
        let metadata = event.metadata();
        self.host.log()(&LogRecord {
            level: level_number(metadata.level()),
            line: metadata.line().unwrap_or(0),
            target: RStr::from_str(metadata.target()),
            message: RStr::from_str(&fields.message),
            fields_json: RStr::from_str(&fields_json),
            span: RStr::from_str(&path),
            file: RStr::from_str(metadata.file().unwrap_or("")),
        });
    }

    fn enter(&self, id: &span::Id) {
        with_open_spans(|open| open.push(id.into_u64()));
    }

    fn exit(&self, id: &span::Id) {
        with_open_spans(|open| {
            if let Some(at) = open.iter().rposition(|x| *x == id.into_u64()) {
                open.remove(at);
            }
        });
    }

    fn clone_span(&self, id: &span::Id) -> span::Id {
        if let Some(Some(span)) = self.spans().get_mut(index(id.into_u64())) {
            span.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: span::Id) -> bool {
        let mut spans = self.spans();
        let Some(entry) = spans.get_mut(index(id.into_u64())) else { return false };
        let Some(span) = entry else { return false };
        span.handles -= 1;
        let last = span.handles == 0;
        if last {
            *entry = None;
        }
        last
    }
}

/// What an event says.
#[derive(Default)]
pub struct Fields {
    /// Its message.
    pub message: String,
    /// All else.
    pub others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            self.put(field, Value::String(format!("{value:?}")));
        }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.put(field, value.into());
        }
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
