//! A connector as core and host see it: the same object, loaded or linked.
//! It must not know discovery rules or files; an origin is only carried for messages.

use std::path::PathBuf;

use rivet_plugin_abi::ConnectorRef;
use rivet_plugin_abi::abi_stable::std_types::RStr;
use serde_json::Value;

use super::calls::{Owned, enter};
use super::{foreign_source, foreign_store, from_json, lift};
use crate::{ConnectorInfo, ConnectorKind, Cx, ErrorKind, PluginError, Result, SessionGroup, Store};

pub use super::foreign_format::FormatHandle;

/// How far imported data is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Lengths, buffers and children.
    Shape,
    /// Also every offset and all text.
    Full,
}

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
    origin: Origin,
    trust: Trust,
    /// Kind and name, for messages. It lives as long as the code that it is about, which is never unloaded.
    plugin: &'static str,
}

impl Connector {
    /// Asks the connector for its description.
    ///
    /// # Errors
    /// `Internal` when it cannot be read, `Panicked`.
    pub fn new(raw: ConnectorRef, origin: Origin, trust: Trust) -> Result<Self> {
        let info: ConnectorInfo = from_json(lift(raw.info()())?.as_str())?;
        let name: String = info.name.escape_debug().take(MAX_NAME_CHARS).collect();
        let plugin = format!("{} '{name}'", info.kind.name());
        Ok(Self { raw, info, origin, trust, plugin: plugin.leak() })
    }

    /// What it says about itself.
    pub fn info(&self) -> &ConnectorInfo {
        &self.info
    }
    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The same with what it delivers checked as far as this.
    #[must_use]
    pub fn checked_to(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// Opens sessions of a source. The request is an `OpenGroup` as JSON; it may hold secrets and is never logged.
    ///
    /// # Errors
    /// As [`Source::open_group`](crate::Source::open_group).
    pub fn open_group(&self, request: &Value, cx: &Cx) -> Result<SessionGroup> {
        self.must_be("source")?;
        let _in = enter(Some(self.plugin));
        let raw = lift(self.raw.open_group()(&cx.0, RStr::from_str(&request.to_string())))?;
        foreign_source::import_group(raw, self.trust, self.plugin)
    }

    /// Opens a format with its options.
    ///
    /// # Errors
    /// `Config`.
    pub fn open_format(&self, options: &Value) -> Result<FormatHandle> {
        self.must_be("format")?;
        let _in = enter(Some(self.plugin));
        let raw = lift(self.raw.open_format()(RStr::from_str(&options.to_string())))?;
        let usual_extension = match &self.info.kind {
            ConnectorKind::Format(capabilities) => capabilities.extension.clone(),
            _ => String::new(),
        };
        Ok(FormatHandle { raw: Owned::new(raw, self.plugin), trust: self.trust, usual_extension })
    }

    /// Opens a destination with its options.
    ///
    /// # Errors
    /// As [`Destination::open`](crate::Destination::open).
    pub fn open_store(&self, options: &Value, cx: &Cx) -> Result<Box<dyn Store>> {
        self.must_be("destination")?;
        let _in = enter(Some(self.plugin));
        let raw = lift(self.raw.open_store()(&cx.0, RStr::from_str(&options.to_string())))?;
        Ok(Box::new(foreign_store::ForeignStore(Owned::new(raw, self.plugin))))
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
