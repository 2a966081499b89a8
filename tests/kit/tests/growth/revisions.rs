//! Other revisions of the SDK, as edits of this one.
//! It must not know how a revision is built or loaded.

use rivet_test_kit::fixture::Edit;

const OBJECT: &str = "plugin-api/abi/src/object.rs";
const PLUGIN: &str = "plugin-api/abi/src/plugin.rs";
const SOURCE: &str = "plugin-api/src/wire/export_source.rs";
const FOREIGN: &str = "plugin-api/src/wire/foreign_source.rs";
const FORMAT: &str = "plugin-api/src/wire/export_format.rs";
const FOREIGN_STORE: &str = "plugin-api/src/wire/foreign_store.rs";
const FOREIGN_FORMAT: &str = "plugin-api/src/wire/foreign_format.rs";
const STORE: &str = "plugin-api/src/wire/export_store.rs";
const REGISTER: &str = "plugin-api/src/wire/register.rs";
const HOST: &str = "plugin-api/abi/src/host.rs";
const CX: &str = "plugin-api/src/wire/cx.rs";
const IO: &str = "plugin-api/src/wire/io.rs";
const LOGICAL: &str = "plugin-api/src/logical.rs";
const MAPPING: &str = "plugin-api/src/format.rs";
const SCAN: &str = "plugin-api/src/source.rs";
const READ_AT_CX: &str =
    "pub read_at_cx: unsafe extern \"C\" fn(*const c_void, &AbiCx, offset: u64, RSliceMut<'_, u8>) -> AbiResult<u64>,";

/// What an older SDK says less of; each as it stands in the current one.
const FLAGS: &str = r#"    /// Rows can be chosen by a range of a key ([`Filter::range`]), and asked about ([`Session::aggregate`]): with `limit`
    /// what incremental exports need.
    pub range: bool,
    /// Rows can be chosen by a condition in the source's own language ([`Filter::condition`]).
    pub condition: bool,
    /// Reading can end after a number of rows ([`Scan::limit`]).
    pub limit: bool,
    /// The result of a query can be read ([`Relation::Query`]).
    pub query: bool,
"#;
const RESUME_TOKEN: &str = r#"    /// Where the next run goes on, once the stream has ended: the plugin's own word, for sources whose changes have no
    /// column to go by. A host that knows `resume_token` keeps it with the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_token: Option<String>,
"#;
const KEYS: &str = r#"    /// Columns that together find one row, never NULL, one list a key; the primary key first. What is not known is not said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Vec<String>>,
    /// The first of [`keys`](Self::keys) is the primary key: a row keeps its values for as long as it lives. Another unique index may be
    /// of what changes with each update.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_primary_key: bool,
    /// Columns that a cursor could go by, in the relation's order. None where the source does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursors: Option<Vec<CursorColumn>>,
"#;

const fn edit(file: &'static str, from: &'static str, to: &'static str) -> Edit {
    Edit { file, from, to }
}

/// An SDK from before the optional functions were appended.
pub const OLDER: &[Edit] = &[
    edit(OBJECT, "pub health: unsafe extern \"C\" fn(*mut c_void, &AbiCx) -> AbiResult<RString>,", ""),
    edit(OBJECT, "/// -> `Health`.", ""),
    edit(OBJECT, "/// Ends the transaction and the connection politely.", ""),
    edit(OBJECT, "pub end: unsafe extern \"C\" fn(*mut c_void, &AbiCx) -> AbiResult<()>,", ""),
    edit(OBJECT, "/// `Aggregate` -> list of `KeyValue` or null, one for each measure.", ""),
    edit(OBJECT, "pub aggregate: unsafe extern \"C\" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>,", ""),
    edit(SOURCE, "aggregate: session_aggregate,", ""),
    edit(
        FOREIGN,
        "self.raw.vtable.aggregate()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>>",
    ),
    edit(OBJECT, "/// `Explain` -> `Explained`.", ""),
    edit(OBJECT, "pub explain: unsafe extern \"C\" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>,", ""),
    edit(SOURCE, "explain: session_explain,", ""),
    edit(OBJECT, "/// -> list of `ListedTable`.", ""),
    edit(OBJECT, "pub tables: unsafe extern \"C\" fn(*mut c_void, &AbiCx) -> AbiResult<RString>,", ""),
    edit(SOURCE, "tables: session_tables,", ""),
    edit(
        FOREIGN,
        "self.raw.vtable.tables()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void, &AbiCx) -> AbiResult<RString>>",
    ),
    edit(
        FOREIGN,
        "self.raw.vtable.explain()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>>",
    ),
    edit(OBJECT, "/// Prefix of names: removes what dead uploads left. Returns how many there were.", ""),
    edit(OBJECT, "pub sweep: unsafe extern \"C\" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<u64>,", ""),
    edit(STORE, "sweep: store_sweep,", ""),
    edit(
        FOREIGN_STORE,
        "self.0.vtable.sweep()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void, &rivet_plugin_abi::AbiCx, RStr<'_>) -> rivet_plugin_abi::AbiResult<u64>>",
    ),
    edit(OBJECT, "/// -> `StreamFacts`, for everything returned so far.", ""),
    edit(OBJECT, "pub facts: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,", ""),
    edit(OBJECT, "/// -> file name extension of parts with these options, without the dot.", ""),
    edit(OBJECT, "pub extension: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,", ""),
    edit(FORMAT, "extension: format_extension,", ""),
    edit(
        FOREIGN_FORMAT,
        "self.raw.vtable.extension()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void) -> rivet_plugin_abi::AbiResult<rivet_plugin_abi::abi_stable::std_types::RString>>",
    ),
    edit(HOST, "/// Tells the host something on the way: a `Notice`.", ""),
    edit(HOST, "pub notice: unsafe extern \"C\" fn(*const c_void, RStr<'_>),", ""),
    edit(CX, "self.0.vtable.notice()", "None::<unsafe extern \"C\" fn(*const c_void, RStr<'_>)>"),
    edit(CX, ", unsubscribe, notice }", ", unsubscribe }"),
    edit(HOST, "/// The same for a call that can be cancelled.", ""),
    edit(HOST, READ_AT_CX, ""),
    edit(IO, ", read_at: read_at_read, read_at_cx }", ", read_at: read_at_read }"),
    edit(
        IO,
        "self.raw.vtable.read_at_cx()",
        "None::<unsafe extern \"C\" fn(*const c_void, &AbiCx, u64, RSliceMut<'_, u8>) -> AbiResult<u64>>",
    ),
    edit(SCAN, FLAGS, "    /// Rows can be chosen.\n    pub filter: bool,\n"),
    edit(SCAN, RESUME_TOKEN, ""),
    edit(SCAN, KEYS, ""),
    // A word that it does not know.
    edit(
        SCAN,
        "no statement lasts long.\n    Fetch,",
        "no statement lasts long.\n    #[serde(rename = \"pieces\")]\n    Fetch,",
    ),
    edit(PLUGIN, "/// Called after the host changed its log level.", ""),
    edit(PLUGIN, "pub log_level_changed: extern \"C\" fn(),", ""),
    edit(REGISTER, ", log_level_changed: telemetry::level_changed", ""),
    edit(SOURCE, "health: session_health,", ""),
    edit(SOURCE, "end: session_end,", ""),
    edit(SOURCE, "facts: stream_facts,", ""),
    edit(
        FOREIGN,
        "self.raw.vtable.health()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void, &AbiCx) -> AbiResult<RString>>",
    ),
    edit(
        FOREIGN,
        "self.raw.vtable.end()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void, &AbiCx) -> AbiResult<()>>",
    ),
    edit(
        FOREIGN,
        "self.raw.vtable.facts()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void) -> AbiResult<RString>>",
    ),
];

/// An SDK that has grown functions this host has never heard of.
pub const NEWER: &[Edit] = &[
    edit(
        HOST,
        "pub notice: unsafe extern \"C\" fn(*const c_void, RStr<'_>),",
        "pub notice: unsafe extern \"C\" fn(*const c_void, RStr<'_>),
    /// Of a later day.
    pub deadline: unsafe extern \"C\" fn(*const c_void) -> u64,",
    ),
    edit(
        CX,
        ", unsubscribe, notice }",
        ", unsubscribe, notice, deadline: { unsafe extern \"C\" fn f(_: *const c_void) -> u64 { 1 } f } }",
    ),
    edit(
        CX,
        "let (Some(tell), Ok(json))",
        "assert!(self.0.vtable.deadline().is_none(), \"the host has no deadlines\");
        let (Some(tell), Ok(json))",
    ),
    edit(
        IO,
        ", read_at: read_at_read, read_at_cx }",
        ", read_at: read_at_read, read_at_cx,
            prefetch: { unsafe extern \"C\" fn f(_: *const c_void, _: u64) -> u64 { 0 } f } }",
    ),
    edit(
        HOST,
        READ_AT_CX,
        "pub read_at_cx: unsafe extern \"C\" fn(*const c_void, &AbiCx, offset: u64, RSliceMut<'_, u8>) -> AbiResult<u64>,
    /// Of a later day.
    pub prefetch: unsafe extern \"C\" fn(*const c_void, u64) -> u64,",
    ),
    // Words and facts that this host has never heard of.
    edit(LOGICAL, "/// Same values, same meaning.\n    Exact,", "/// Rounded.\n    #[serde(rename(serialize = \"rounded\"))]\n    Exact,"),
    edit(
        MAPPING,
        "the physical type for the report.\n    Keep(String),",
        "the physical type for the report.\n    #[serde(rename(serialize = \"cast\"))]\n    Keep(String),",
    ),
    edit(SCAN, "pub longest_statement_ms: u64,", "pub longest_statement_ms: u64,\n    /// Of a later day.\n    pub n_statements: u64,"),
    edit(
        OBJECT,
        "pub facts: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,",
        "pub facts: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,
    /// Of a later day.
    pub rewind: unsafe extern \"C\" fn(*mut c_void, &AbiCx, u64) -> AbiResult<()>,",
    ),
    edit(
        OBJECT,
        "pub tables: unsafe extern \"C\" fn(*mut c_void, &AbiCx) -> AbiResult<RString>,",
        "pub tables: unsafe extern \"C\" fn(*mut c_void, &AbiCx) -> AbiResult<RString>,
    /// Of a later day.
    pub pause: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,",
    ),
    edit(
        OBJECT,
        "pub extension: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,",
        "pub extension: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,
    /// Of a later day.
    pub media_type: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,",
    ),
    edit(
        OBJECT,
        "pub sweep: unsafe extern \"C\" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<u64>,",
        "pub sweep: unsafe extern \"C\" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<u64>,
    /// Of a later day.
    pub tidy: unsafe extern \"C\" fn(*mut c_void, RStr<'_>) -> AbiResult<u64>,",
    ),
    edit(
        PLUGIN,
        "pub log_level_changed: extern \"C\" fn(),",
        "pub log_level_changed: extern \"C\" fn(),
    /// Of a later day.
    pub farewell: extern \"C\" fn() -> u32,",
    ),
    edit(
        SOURCE,
        "facts: stream_facts,",
        "facts: stream_facts,
        rewind: { unsafe extern \"C\" fn f(_: *mut c_void, _: &AbiCx, _: u64) -> AbiResult<()> { not_this_kind(\"\") } f },",
    ),
    edit(
        SOURCE,
        "tables: session_tables,",
        "tables: session_tables,
        pause: { unsafe extern \"C\" fn f(_: *mut c_void) -> AbiResult<RString> { not_this_kind(\"\") } f },",
    ),
    edit(
        FORMAT,
        "extension: format_extension,",
        "extension: format_extension,
        media_type: { unsafe extern \"C\" fn f(_: *mut c_void) -> AbiResult<RString> {
            super::export_source::not_this_kind(\"\") } f },",
    ),
    edit(
        STORE,
        "sweep: store_sweep,",
        "sweep: store_sweep,
        tidy: { unsafe extern \"C\" fn f(_: *mut c_void, _: RStr<'_>) -> AbiResult<u64> {
            super::export_source::not_this_kind(\"\") } f },",
    ),
    edit(
        REGISTER,
        "log_level_changed: telemetry::level_changed",
        "log_level_changed: telemetry::level_changed, farewell: { extern \"C\" fn f() -> u32 { 1 } f }",
    ),
];

/// An SDK with one function of another signature.
pub const BREAKING: &[Edit] = &[
    edit(OBJECT, "RSlice<'_, u8>, u8) -> AbiResult<u8>,", "RSlice<'_, u8>, u32) -> AbiResult<u8>,"),
    edit(STORE, "replace: u8,", "replace: u32,"),
    edit(FOREIGN_STORE, "u8::from(mode == PutMode::Replace)", "u32::from(mode == PutMode::Replace)"),
];
