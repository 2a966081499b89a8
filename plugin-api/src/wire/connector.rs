//! A connector as core and host see it: the same object, loaded or linked.
//! It must not know discovery rules or files; an origin is only carried for messages.

use std::path::PathBuf;
use std::sync::Arc;

use rivet_plugin_abi::ConnectorRef;
use rivet_plugin_abi::abi_stable::std_types::RStr;
use serde_json::{Value, json};

use super::calls::{Owned, enter};
use super::{foreign_source, foreign_store, from_json, from_value, lift, unless_cancelled};
use crate::{ConnectorInfo, ConnectorKind, Cx, ErrorKind, HostInfo, PluginError, Result, SessionGroup, Store};

pub use super::foreign_format::FormatHandle;

/// Where a connector comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Linked into this executable.
    Linked,
    /// Loaded from this file.
    Library(PathBuf),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Linked => f.write_str("linked into this binary"),
            Self::Library(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What is shown of a name.
const MAX_NAME_CHARS: usize = 100;

/// A source, format or destination that can be opened.
#[derive(Clone)]
pub struct Connector {
    raw: ConnectorRef,
    info: ConnectorInfo,
    /// Its name, for messages about its batches.
    plugin: Arc<str>,
    origin: Origin,
    /// Kind and name, for messages. It lives as long as the code that it is about, which is never unloaded.
    label: &'static str,
}

impl Connector {
    /// Asks the connector for its description.
    ///
    /// # Errors
    /// `Internal` when it cannot be read, `Panicked`.
    pub fn new(raw: ConnectorRef, origin: Origin) -> Result<Self> {
        let mut info: Value = from_json(lift(raw.info()())?.as_str())?;
        separate_filters(&mut info);
        let info: ConnectorInfo = from_value(info)?;
        let name: String = info.name.escape_debug().take(MAX_NAME_CHARS).collect();
        let label = format!("{} '{name}'", info.kind.name());
        Ok(Self { raw, plugin: info.name.as_str().into(), info, origin, label: label.leak() })
    }

    /// What it says about itself.
    pub fn info(&self) -> &ConnectorInfo {
        &self.info
    }
    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Opens sessions of a source. The request is an `OpenGroup` as JSON; it may hold secrets and is never logged.
    ///
    /// # Errors
    /// As [`Source::open_group`](crate::Source::open_group).
    pub fn open_group(&self, request: &Value, cx: &Cx) -> Result<SessionGroup> {
        self.must_be("source")?;
        let mut request = request.clone();
        if let Value::Object(keys) = &mut request {
            keys.insert("host".to_owned(), json!(HostInfo::current()));
        }
        let _in = enter(Some(self.label));
        let raw = lift(self.raw.open_group()(&cx.0, RStr::from_str(&request.to_string())));
        let raw = raw.map_err(|e| unless_cancelled(e, cx).of_plugin(&self.plugin))?;
        let max_value_bytes = request.pointer("/limits/max_value_bytes").and_then(Value::as_u64).unwrap_or(0);
        let n_sessions = request["n_sessions"].as_u64().unwrap_or(1);
        foreign_source::import_group(raw, (self.label, &self.plugin), n_sessions, max_value_bytes)
            .map_err(|e| e.of_plugin(&self.plugin))
    }

    /// Opens a format with its options.
    ///
    /// # Errors
    /// `Config`.
    pub fn open_format(&self, options: &Value) -> Result<FormatHandle> {
        self.must_be("format")?;
        let _in = enter(Some(self.label));
        let raw = lift(self.raw.open_format()(RStr::from_str(&options.to_string())))?;
        let usual_extension = match &self.info.kind {
            ConnectorKind::Format(capabilities) => capabilities.extension.clone(),
            _ => String::new(),
        };
        Ok(FormatHandle { raw: Owned::new(raw, self.label), plugin: self.plugin.clone(), usual_extension })
    }

    /// Opens a destination with its options.
    ///
    /// # Errors
    /// As [`Destination::open`](crate::Destination::open).
    pub fn open_store(&self, options: &Value, cx: &Cx) -> Result<Box<dyn Store>> {
        self.must_be("destination")?;
        let _in = enter(Some(self.label));
        let raw = lift(self.raw.open_store()(&cx.0, RStr::from_str(&options.to_string())));
        let raw = raw.map_err(|e| unless_cancelled(e, cx).of_plugin(&self.plugin))?;
        Ok(Box::new(foreign_store::ForeignStore(Owned::new(raw, self.label))))
    }

    fn must_be(&self, wanted: &str) -> Result<()> {
        let kind: &ConnectorKind = &self.info.kind;
        if kind.name() == wanted {
            return Ok(());
        }
        Err(PluginError::new(
            ErrorKind::Config,
            "connector.kind",
            format!("'{}' is a {}, not a {wanted}", self.info.name, kind.name()),
        ))
    }
}

/// A plugin from before the ways to choose rows had a flag each: it could all or nothing, and took queries unasked.
fn separate_filters(info: &mut Value) {
    let Some(can) = info.get_mut("capabilities").and_then(Value::as_object_mut) else { return };
    let Some(filter) = can.remove("filter") else { return };
    for (flag, then) in [("range", &filter), ("condition", &filter), ("limit", &filter), ("query", &json!(true))] {
        can.entry(flag).or_insert_with(|| then.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_flag_of_an_older_plugin_stands_for_several() {
        let can = |capabilities: Value| {
            let mut info = json!({ "capabilities": capabilities });
            separate_filters(&mut info);
            let can: crate::SourceCapabilities = from_value(info["capabilities"].take()).expect("capabilities");
            [can.range, can.condition, can.limit, can.query]
        };
        assert_eq!(can(json!({ "filter": true, "fetch": true })), [true; 4]);
        assert_eq!(can(json!({ "filter": false })), [false, false, false, true]);
        assert_eq!(can(json!({ "condition": true })), [false, true, false, false]);
    }
}
