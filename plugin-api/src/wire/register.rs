//! How a plugin announces itself: one registration per connector, one exported symbol per library.
//! It must not know which of the two ways the host will use.

use rivet_plugin_abi::abi_stable::std_types::{RSlice, RStr, RString};
use rivet_plugin_abi::abi_stable::{prefix_type::WithMetadata, sabi_types::StaticRef};
use rivet_plugin_abi::{
    AbiCx, AbiFormat, AbiResult, AbiSessionGroup, AbiStore, Connector, ConnectorRef, HostApiRef, PluginLibrary,
    PluginLibraryRef,
};

use super::connector::{Connector as HostConnector, Origin};
use super::export_source::not_this_kind;
use super::guard::guard;
use super::{export_format, export_source, export_store, from_json, output, telemetry, to_json};
use crate::{ConnectorInfo, ConnectorKind, Destination, Format, Result, Source};

/// One connector linked into this image, executable or library.
pub struct Registration {
    /// Its function table.
    pub connector: ConnectorRef,
}
inventory::collect!(Registration);

/// The version of the package a connector is part of; implemented by `plugin!`.
pub trait Packaged {
    /// `CARGO_PKG_VERSION` of that package.
    const VERSION: &'static str;
}

/// The connectors linked into this executable.
///
/// # Errors
/// When one of them cannot describe itself.
pub fn linked() -> Result<Vec<HostConnector>> {
    let all = inventory::iter::<Registration>.into_iter();
    all.map(|r| HostConnector::new(r.connector, Origin::Linked)).collect()
}

fn info<T: Packaged, O: schemars::JsonSchema>(name: &str, kind: impl FnOnce() -> ConnectorKind) -> AbiResult<RString> {
    guard(|| {
        let info = ConnectorInfo {
            name: name.to_owned(),
            kind: kind(),
            version: T::VERSION.to_owned(),
            abi_version: rivet_plugin_abi::ABI_VERSION.to_owned(),
            options_schema: schemars::schema_for!(O).to_value(),
        };
        Ok(to_json(&info)?.into())
    })
}

extern "C" fn no_group(_: &AbiCx, _: RStr<'_>) -> AbiResult<AbiSessionGroup> {
    not_this_kind("source")
}
extern "C" fn no_format(_: RStr<'_>) -> AbiResult<AbiFormat> {
    not_this_kind("format")
}
extern "C" fn no_store(_: &AbiCx, _: RStr<'_>) -> AbiResult<AbiStore> {
    not_this_kind("destination")
}

/// Function table of a source.
pub const fn source<S: Source + Packaged>() -> Connector {
    extern "C" fn describe<S: Source + Packaged>() -> AbiResult<RString> {
        info::<S, S::Options>(S::NAME, || ConnectorKind::Source(S::capabilities()))
    }
    extern "C" fn open<S: Source>(cx: &AbiCx, request: RStr<'_>) -> AbiResult<AbiSessionGroup> {
        export_source::open_group::<S>(cx, request)
    }
    Connector { info: describe::<S>, open_group: open::<S>, open_format: no_format, open_store: no_store }
}

/// Function table of a format.
pub const fn format<F: Format + Packaged>() -> Connector {
    extern "C" fn describe<F: Format + Packaged>() -> AbiResult<RString> {
        info::<F, F::Options>(F::NAME, || ConnectorKind::Format(F::capabilities()))
    }
    extern "C" fn open<F: Format>(options: RStr<'_>) -> AbiResult<AbiFormat> {
        export_format::open_format::<F>(options)
    }
    Connector { info: describe::<F>, open_group: no_group, open_format: open::<F>, open_store: no_store }
}

/// Function table of a destination.
pub const fn destination<D: Destination + Packaged>() -> Connector {
    extern "C" fn describe<D: Destination + Packaged>() -> AbiResult<RString> {
        info::<D, D::Options>(D::NAME, || ConnectorKind::Destination(D::capabilities()))
    }
    extern "C" fn open<D: Destination>(cx: &AbiCx, options: RStr<'_>) -> AbiResult<AbiStore> {
        export_store::open_store::<D>(cx, options)
    }
    Connector { info: describe::<D>, open_group: no_group, open_format: no_format, open_store: open::<D> }
}

extern "C" fn init(host: HostApiRef, settings: RStr<'_>) -> AbiResult<()> {
    guard(|| {
        telemetry::forward_to(host);
        from_json::<output::Settings>(settings.as_str())?.settle();
        Ok(())
    })
}

extern "C" fn connectors() -> RSlice<'static, ConnectorRef> {
    static ALL: std::sync::OnceLock<Vec<ConnectorRef>> = std::sync::OnceLock::new();
    let list = || inventory::iter::<Registration>.into_iter().map(|r| r.connector).collect();
    RSlice::from_slice(ALL.get_or_init(list))
}

/// Root of the library that this SDK is linked into.
pub fn library() -> PluginLibraryRef {
    static ROOT: WithMetadata<PluginLibrary> =
        WithMetadata::new(PluginLibrary { init, connectors, log_level_changed: telemetry::level_changed });
    PluginLibraryRef(StaticRef::new(&ROOT).as_prefix())
}

/// Makes a crate a plugin: registers its connectors and exports the library's one symbol.
///
/// The crate is built as `crate-type = ["cdylib", "rlib"]`; the same crate can then be loaded or linked.
///
/// Kinds are `source`, `format` and `destination`; one library may have several connectors.
///
/// ```
/// # use rivet_plugin_api::*;
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # struct Options {}
/// # fn none<T>() -> Result<T> {
/// #     Err(PluginError::new(ErrorKind::Unsupported, "demo", "this is an example"))
/// # }
/// struct Demo;
///
/// impl Format for Demo {
///     const NAME: &'static str = "demo";
///     // …
/// #     type Options = Options;
/// #     fn capabilities() -> FormatCapabilities { FormatCapabilities::default() }
/// #     fn open(_: Options) -> Result<Self> { Ok(Self) }
/// #     fn map(&self, _: &SchemaRef) -> Result<Vec<FieldMapping>> { none() }
/// #     fn writer(&self, _: SchemaRef, _: WriterSettings, _: Box<dyn ByteSink>) -> Result<Box<dyn BatchWriter>> { none() }
/// #     fn reader(&self, _: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>> { none() }
/// }
///
/// rivet_plugin_api::plugin!(format: Demo);
/// # let linked = wire::register::linked().expect("it describes itself");
/// # assert_eq!(linked[0].info().name, "demo");
/// ```
#[macro_export]
macro_rules! plugin {
    ($($kind:ident: $connector:ty),+ $(,)?) => {
        #[cfg(panic = "abort")]
        compile_error!("a rivet plugin must be built with panic = \"unwind\": with \"abort\" a panic would kill the host");
        $(const _: () = {
            use $crate::abi::abi_stable::{prefix_type::WithMetadata, sabi_types::StaticRef};
            impl $crate::wire::register::Packaged for $connector {
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            }
            static VTABLE: WithMetadata<$crate::abi::Connector> =
                WithMetadata::new($crate::wire::register::$kind::<$connector>());
            $crate::inventory::submit! {
                $crate::wire::register::Registration {
                    connector: $crate::abi::ConnectorRef(StaticRef::new(&VTABLE).as_prefix()),
                }
            }
        };)+
        const _: () = {
            use $crate::abi::abi_stable::library::{
                __call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult,
            };
            extern "C" fn root() -> RootModuleResult {
                __call_root_module_loader($crate::wire::register::library)
            }
            #[unsafe(export_name = concat!("rivet_plugin_", env!("CARGO_CRATE_NAME"), "_v1"))]
            pub static HEADER: LibHeader =
                unsafe { LibHeader::from_constructor::<$crate::abi::PluginLibraryRef>(root, CheckTypeLayout::Yes) };
        };
    };
}
