//! The boundary itself: safe traits on one side, function tables on the other, in both directions.
//! It must not know what an engine, a format or a store does; every unsafe line of the SDK is in this folder.
#![allow(unsafe_code, reason = "the ABI folder: raw pointers become safe types here")]

mod arrow_ffi;
pub mod bounded;
pub mod calls;
pub mod connector;
mod contents;
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

use std::borrow::Cow;

use rivet_plugin_abi::abi_stable::std_types::RString;

use crate::{Cx, ErrorKind, PluginError, Result};

/// What stands before a token where a store is asked to open a prepared part: the call is that of a visible object, and
/// no object's name starts with `/`.
const PREPARED: &str = "/prepared:";

/// What a store is asked to open to be locked, likewise: what is opened is empty, and its end is the end of the lock.
const LOCK: &str = "/lock";

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| PluginError::new(ErrorKind::Internal, "wire.json", e))
}

/// What crossed the boundary is text by its type alone: who is not made of safe Rust may have put anything there. Until it
/// was looked at it is bytes.
fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_slice(text.as_bytes()).map_err(|e| PluginError::new(ErrorKind::Internal, "wire.json", e))
}

fn from_value<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T> {
    serde_json::from_value(value).map_err(|e| PluginError::new(ErrorKind::Internal, "wire.json", e))
}

/// A text for people: what is none becomes one.
pub(crate) fn readable(text: &str) -> Cow<'_, str> {
    String::from_utf8_lossy(text.as_bytes())
}

/// A text that means something.
fn text(text: RString) -> Result<String> {
    String::from_utf8(text.into_bytes().into_vec())
        .map_err(|_| PluginError::new(ErrorKind::Internal, "wire.text", "a text is not UTF-8").hint(promise::DEFECT))
}

/// A call that nobody cancelled has not ended because of that, whatever its error says: who only follows another's failure
/// says nothing, and then nobody would.
fn unless_cancelled(e: PluginError, cx: &Cx) -> PluginError {
    if e.kind() != ErrorKind::Cancelled || cx.is_cancelled() {
        return e;
    }
    PluginError::new(ErrorKind::Internal, "wire.not_cancelled", "a call ended as cancelled, which nobody asked for")
        .cause(&e)
        .hint(promise::DEFECT)
}

/// What the host asks of a plugin. A word that the plugin does not know means something: it is refused, not passed over.
fn from_request<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| not_understood(&e))
}

fn not_understood(e: &serde_json::Error) -> PluginError {
    let text = e.to_string();
    let of = |start| text.strip_prefix(start).and_then(|rest: &str| rest.split(',').next());
    let Some(word) = of("unknown variant ").or_else(|| of("unknown field ")) else {
        return PluginError::new(ErrorKind::Internal, "wire.json", text);
    };
    let what = format!("it is older than what it is asked for: it does not know {word}");
    PluginError::new(ErrorKind::Unsupported, "wire.unknown_word", what).hint("install a newer version of the plugin")
}

fn lift<T>(result: rivet_plugin_abi::AbiResult<T>) -> Result<T> {
    result.into_result().map_err(PluginError::from_abi)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{Aggregate, Explain, Scan, SplitRequest, WriterSettings};

    fn scan(more: Value) -> Value {
        let mut scan = json!(Scan::new(crate::Relation::Query { sql: "q".to_owned() }, Vec::new()));
        scan.as_object_mut().expect("a struct").extend(more.as_object().expect("one").clone());
        scan
    }

    #[test]
    fn each_request_with_a_word_of_a_later_day_is_refused_by_name() {
        fn refused<T: serde::de::DeserializeOwned>(request: &Value) -> String {
            let error = from_request::<T>(&request.to_string()).err().expect("it is not understood");
            assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "wire.unknown_word"), "{error:?}");
            error.message().rsplit(' ').next().unwrap_or_default().to_owned()
        }
        let relation = json!({ "procedure": { "name": "p" } });
        let key = json!({ "native_type": "n", "text": "1" });
        let lower = json!({ "value": key, "minus": { "months": 1 } });
        for (word, expected) in [
            (refused::<Scan>(&scan(json!({ "read": "backwards" }))), "`backwards`"),
            (refused::<Scan>(&scan(json!({ "types": "views" }))), "`views`"),
            (refused::<Scan>(&scan(json!({ "relation": relation }))), "`procedure`"),
            (refused::<Scan>(&scan(json!({ "filter": { "range": { "key": ["a"], "lower": lower } } }))), "`months`"),
            (refused::<SplitRequest>(&json!({ "relation": relation, "n_splits": 1 })), "`procedure`"),
            (refused::<Explain>(&json!({ "relation": relation })), "`procedure`"),
            (
                refused::<Aggregate>(
                    &json!({ "relation": { "query": { "sql": "q" } }, "measures": [{ "median": {} }] }),
                ),
                "`median`",
            ),
        ] {
            assert_eq!(word, expected);
        }
        let later = json!({ "max_buffered_bytes": 1, "later": true });
        assert_eq!(from_request::<WriterSettings>(&later.to_string()).expect("a number").max_buffered_bytes, 1);
        assert!(from_request::<Scan>(&scan(json!({ "later": 1 })).to_string()).is_ok(), "fields are passed over");
    }
}
