//! The root of a plugin library and its connectors.
//! It must not know where a library was found or whether it was linked statically.

use abi_stable::{
    StableAbi,
    library::RootModule,
    package_version_strings,
    sabi_types::VersionStrings,
    std_types::{RSlice, RStr, RString, RVec},
};

use crate::{AbiCx, AbiFormat, AbiResult, AbiSession, AbiStore, HostApiRef};

/// Sessions opened together, and what they share.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiSessionGroup {
    /// At least one, at most as many as were asked for.
    pub sessions: RVec<AbiSession>,
    /// `SnapshotInfo`.
    pub snapshot_json: RString,
}

/// One connector: a source, a format or a destination. A library may hold several.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ConnectorRef, prefix_fields = ConnectorPrefix)))]
#[sabi(missing_field(option))]
pub struct Connector {
    /// -> `ConnectorInfo`: name, kind, versions, capabilities, JSON Schema of the options.
    pub info: extern "C" fn() -> AbiResult<RString>,
    /// `OpenGroup` -> sessions; an `UNSUPPORTED` error when this is no source.
    pub open_group: extern "C" fn(&AbiCx, RStr<'_>) -> AbiResult<AbiSessionGroup>,
    /// Options -> format; an `UNSUPPORTED` error when this is no format.
    pub open_format: extern "C" fn(RStr<'_>) -> AbiResult<AbiFormat>,
    /// Options -> store; an `UNSUPPORTED` error when this is no destination.
    #[sabi(last_prefix_field)]
    pub open_store: extern "C" fn(&AbiCx, RStr<'_>) -> AbiResult<AbiStore>,
}

/// Root of a plugin library.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginLibraryRef, prefix_fields = PluginLibraryPrefix)))]
#[sabi(missing_field(option))]
pub struct PluginLibrary {
    /// Called once, first. The second argument is a JSON object of settings.
    pub init: extern "C" fn(HostApiRef, RStr<'_>) -> AbiResult<()>,
    /// All connectors of this library.
    #[sabi(last_prefix_field)]
    pub connectors: extern "C" fn() -> RSlice<'static, ConnectorRef>,
    /// Called after the host changed its log level.
    pub log_level_changed: extern "C" fn(),
}

impl RootModule for PluginLibraryRef {
    abi_stable::declare_root_module_statics! {PluginLibraryRef}
    const BASE_NAME: &'static str = "rivet_plugin";
    const NAME: &'static str = "rivet_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}
