//! The boundary itself: safe traits on one side, function tables on the other, in both directions.
//! It must not know what an engine, a format or a store does; every unsafe line of the SDK is in this folder.
#![allow(unsafe_code, reason = "the ABI folder: raw pointers become safe types here")]

mod arrow_ffi;
pub mod bounded;
pub mod calls;
pub mod connector;
pub mod cx;
mod export_format;
mod export_source;
mod export_store;
mod foreign_format;
mod foreign_source;
mod foreign_store;
mod guard;
pub mod heap;
mod io;
pub mod notice;
pub mod output;
mod promise;
pub mod register;
pub mod telemetry;

pub use connector::{Connector, FormatHandle, Origin};

use crate::{ErrorKind, PluginError, Result};

/// What stands before a token where a store is asked to open a prepared part: the call is that of a visible object, and
/// no object's name starts with `/`.
const PREPARED: &str = "/prepared:";

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| PluginError::new(ErrorKind::Internal, "wire.json", e))
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| PluginError::new(ErrorKind::Internal, "wire.json", e))
}

fn from_value<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T> {
    serde_json::from_value(value).map_err(|e| PluginError::new(ErrorKind::Internal, "wire.json", e))
}

/// What the host asks of a plugin. A word that the plugin does not know means something: it is refused, not passed over.
fn from_request<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        let text = e.to_string();
        let Some(word) = text.strip_prefix("unknown variant ").and_then(|rest| rest.split(',').next()) else {
            return PluginError::new(ErrorKind::Internal, "wire.json", text);
        };
        let what = format!("it is older than what it is asked for: it does not know {word}");
        PluginError::new(ErrorKind::Unsupported, "wire.unknown_word", what)
            .hint("install a newer version of the plugin")
    })
}

fn lift<T>(result: rivet_plugin_abi::AbiResult<T>) -> Result<T> {
    result.into_result().map_err(PluginError::from_abi)
}
