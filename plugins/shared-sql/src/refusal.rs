//! Why a column cannot be delivered as what a user chose, and how that reads.
//! It must not know which conversions an engine has.

use rivet_plugin_api::{Column, ErrorKind, LogicalType, PluginError};

use crate::hint;

/// Why a column cannot be delivered as something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum No {
    /// There is no conversion.
    Never,
    /// Only where values may change.
    LossyOnly,
}

impl No {
    /// The error about a column as it is there, whose name the engine writes as `quoted`.
    #[cold]
    pub fn refuse(self, code: &'static str, column: &Column, quoted: &str, wanted: &LogicalType) -> PluginError {
        let as_text = hint::as_text(&column.name);
        let (what, hint) = match self {
            Self::LossyOnly => {
                let lossy = format!("{{type: {}, lossy: true}}", hint::type_word(wanted));
                let lossy = hint::column(&column.name, &lossy);
                ("without changing values", format!("set {lossy} if that is meant, or {as_text}"))
            }
            Self::Never => ("at all", format!("{as_text}, or use `query:` with a cast of {quoted}")),
        };
        let message = format!("the column is {} and cannot be delivered as {wanted} {what}", column.native_type);
        PluginError::new(ErrorKind::Unsupported, code, message).detail("column", &column.name).hint(hint)
    }
}
