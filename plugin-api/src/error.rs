//! The one error type of plugins: a category, a retry instruction and context, all structured.
//! It must not know any engine; the plugin's own `error.rs` maps driver errors to it.

use std::fmt;

use rivet_plugin_abi as abi;

use crate::wire::bounded::bounded;

/// Result of every fallible call of the plugin interfaces.
pub type Result<T, E = PluginError> = std::result::Result<T, E>;

/// Details of an error of another image; more are left out.
const MAX_DETAILS: usize = 64;

/// What went wrong. Decides exit code and wording, never the retry: that is [`Retry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option is missing, malformed or contradicts another.
    Config,
    /// Login, permission or credentials refused.
    Auth,
    /// A table, column, file, bucket or host name does not exist.
    NotFound,
    /// The engine or plugin cannot do this.
    Unsupported,
    /// The connection could not be made or was lost.
    Connection,
    /// A time limit elapsed.
    Timeout,
    /// The other side is full or overloaded.
    Capacity,
    /// Deadlock, serialization failure, or an object that exists already.
    Conflict,
    /// The relation is not what was described.
    Schema,
    /// A value has no exact place in the column's type.
    Data,
    /// Reading or writing a file or stream failed.
    Io,
    /// The host cancelled the call.
    Cancelled,
    /// The plugin panicked; its instance is poisoned.
    Panicked,
    /// A defect in plugin or host. Unknown categories of newer plugins read as this.
    Internal,
}

/// What the host should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// Trying again cannot help. Unknown instructions of newer plugins read as this.
    Never,
    /// Roll back and try again in the same session (deadlock, lock timeout, serialization failure).
    SameSession,
    /// Drop the session and try again in a new one (lost connection, server restarting, capacity).
    NewSession,
    /// Try again with a smaller split (our own statement timeout elapsed).
    SmallerSplit,
}

/// An error of a plugin. The message is one sentence, lower case, without a full stop, and holds no secret.
///
/// ```
/// use rivet_plugin_api::{ErrorKind, PluginError, Retry};
/// let error = PluginError::new(ErrorKind::Connection, "demo.reset", "connection reset by peer")
///     .retry(Retry::NewSession)
///     .detail("host", "db1:5432")
///     .hint("check that the server is up");
/// assert_eq!(error.hint_text(), Some("check that the server is up"));
/// ```
#[derive(Clone, Debug)]
pub struct PluginError(Box<Fields>);

#[derive(Clone, Debug)]
struct Fields {
    kind: ErrorKind,
    retry: Retry,
    retry_after_ms: u64,
    vendor_code: i64,
    sqlstate: [u8; 5],
    code: String,
    message: String,
    details: Vec<(String, String)>,
}

impl PluginError {
    /// An error that is not retried. `code` is stable and dotted, such as `postgres.auth`.
    pub fn new(kind: ErrorKind, code: &str, message: impl fmt::Display) -> Self {
        Self(Box::new(Fields {
            kind,
            retry: Retry::Never,
            retry_after_ms: 0,
            vendor_code: 0,
            sqlstate: [0; 5],
            code: code.to_owned(),
            message: message.to_string(),
            details: Vec::new(),
        }))
    }

    /// The error of a call that the host cancelled.
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled", "cancelled")
    }

    /// Sets the retry instruction.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Sets the least time to wait before a retry, in ms.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.0.retry_after_ms = ms;
        self
    }

    /// Sets the engine's own error number.
    #[must_use]
    pub fn vendor_code(mut self, code: i64) -> Self {
        self.0.vendor_code = code;
        self
    }

    /// Sets the SQLSTATE; anything but five ASCII bytes is ignored.
    #[must_use]
    pub fn sqlstate(mut self, state: &str) -> Self {
        if let (Ok(bytes), true) = (<[u8; 5]>::try_from(state.as_bytes()), state.is_ascii()) {
            self.0.sqlstate = bytes;
        }
        self
    }

    /// Adds context: `table`, `column`, `row`, `split`, `host` and the like. A second value replaces the first.
    #[must_use]
    pub fn detail(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.0.details.retain(|(k, _)| k != key);
        self.0.details.push((key.to_owned(), value.to_string()));
        self
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn hint(self, text: impl fmt::Display) -> Self {
        self.detail("hint", text)
    }

    /// Adds the underlying cause, outermost first; several are joined.
    #[must_use]
    pub fn cause(self, text: impl fmt::Display) -> Self {
        let joined = match self.get("cause") {
            Some(before) => format!("{before}: {text}"),
            None => text.to_string(),
        };
        self.detail("cause", joined)
    }

    /// What is wrong with what crossed the boundary, with the plugin that sent it.
    pub(crate) fn of_plugin(mut self, plugin: &str) -> Self {
        if self.0.code.starts_with("wire.") && self.get("plugin").is_none() {
            self.0.message = format!("plugin '{plugin}': {}", self.0.message);
            return self.detail("plugin", plugin);
        }
        self
    }

    /// Category.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
    /// Retry instruction.
    pub fn retry_class(&self) -> Retry {
        self.0.retry
    }
    /// Least time to wait before a retry, ms; 0 = the host's own backoff.
    pub fn after_ms(&self) -> u64 {
        self.0.retry_after_ms
    }
    /// The engine's own number, when it has one.
    pub fn vendor(&self) -> Option<i64> {
        (self.0.vendor_code != 0).then_some(self.0.vendor_code)
    }
    /// SQLSTATE, when there is one.
    pub fn state(&self) -> Option<&str> {
        (self.0.sqlstate != [0; 5]).then(|| std::str::from_utf8(&self.0.sqlstate).ok()).flatten()
    }
    /// Stable dotted code.
    pub fn code(&self) -> &str {
        &self.0.code
    }
    /// The sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// All context, in the order it was added.
    pub fn details(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.details.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
    /// One item of context.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.details.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
    /// What the user can do about it.
    pub fn hint_text(&self) -> Option<&str> {
        self.get("hint")
    }

    pub(crate) fn into_abi(self) -> abi::AbiError {
        let f = *self.0;
        abi::AbiError {
            kind: kind_to_abi(f.kind),
            retry: retry_to_abi(f.retry),
            retry_after_ms: f.retry_after_ms,
            vendor_code: f.vendor_code,
            sqlstate: f.sqlstate,
            code: f.code.into(),
            message: f.message.into(),
            details: f
                .details
                .into_iter()
                .map(|(k, v)| abi::abi_stable::std_types::Tuple2(k.into(), v.into()))
                .collect(),
        }
    }

    /// What another image says, each text cut to what a message may hold.
    pub(crate) fn from_abi(e: abi::AbiError) -> Self {
        let text = |text: &str| bounded(text).into_owned();
        Self(Box::new(Fields {
            kind: kind_from_abi(e.kind),
            retry: retry_from_abi(e.retry),
            retry_after_ms: e.retry_after_ms,
            vendor_code: e.vendor_code,
            sqlstate: e.sqlstate,
            code: text(&e.code),
            message: text(&e.message),
            details: e.details.iter().take(MAX_DETAILS).map(|pair| (text(&pair.0), text(&pair.1))).collect(),
        }))
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match self.get("cause") {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PluginError {}

impl From<arrow_schema::ArrowError> for PluginError {
    fn from(e: arrow_schema::ArrowError) -> Self {
        Self::new(ErrorKind::Internal, "arrow", e)
    }
}

macro_rules! same_names {
    ($to:ident, $from:ident, $ty:ident, $unknown:ident, $($variant:ident = $constant:ident),* $(,)?) => {
        fn $to(value: $ty) -> abi::$ty {
            match value { $($ty::$variant => abi::$ty::$constant,)* }
        }
        fn $from(value: abi::$ty) -> $ty {
            match value { $(abi::$ty::$constant => $ty::$variant,)* _ => $ty::$unknown }
        }
    };
}
same_names!(
    kind_to_abi,
    kind_from_abi,
    ErrorKind,
    Internal,
    Config = CONFIG,
    Auth = AUTH,
    NotFound = NOT_FOUND,
    Unsupported = UNSUPPORTED,
    Connection = CONNECTION,
    Timeout = TIMEOUT,
    Capacity = CAPACITY,
    Conflict = CONFLICT,
    Schema = SCHEMA,
    Data = DATA,
    Io = IO,
    Cancelled = CANCELLED,
    Panicked = PANICKED,
    Internal = INTERNAL,
);
same_names!(
    retry_to_abi,
    retry_from_abi,
    Retry,
    Never,
    Never = NEVER,
    SameSession = SAME_SESSION,
    NewSession = NEW_SESSION,
    SmallerSplit = SMALLER_SPLIT,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_crosses_field_by_field() {
        let there = PluginError::new(ErrorKind::Timeout, "x.timeout", "too slow")
            .retry(Retry::SmallerSplit)
            .retry_after_ms(7)
            .vendor_code(-3)
            .sqlstate("57014")
            .detail("column", "a")
            .cause("inner")
            .hint("less");
        let back = PluginError::from_abi(there.clone().into_abi());
        assert_eq!(format!("{back:?}"), format!("{there:?}"));
        assert_eq!(back.state(), Some("57014"));
        assert_eq!(back.to_string(), "too slow: inner");
    }

    #[test]
    fn an_error_of_endless_details_is_cut() {
        let many =
            (0..10_000).fold(PluginError::new(ErrorKind::Io, "x", "y").hint("z"), |e, i| e.detail(&i.to_string(), i));
        let read = PluginError::from_abi(many.into_abi());
        assert_eq!((read.details().count(), read.hint_text()), (MAX_DETAILS, Some("z")));
    }

    #[test]
    fn what_a_newer_plugin_says_reads_as_the_careful_choice() {
        let mut raw = PluginError::new(ErrorKind::Io, "x", "y").into_abi();
        raw.kind = abi::ErrorKind(99);
        raw.retry = abi::Retry(99);
        let read = PluginError::from_abi(raw);
        assert_eq!((read.kind(), read.retry_class()), (ErrorKind::Internal, Retry::Never));
    }
}
