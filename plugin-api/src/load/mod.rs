//! The host's side of loading: read the file, check it, open it, list its connectors.
//! It must not know where libraries are looked for, nor what a name conflict means.
#![allow(unsafe_code, reason = "the ABI folder: opening a library runs its code")]

mod at_start;
mod elf;
mod error;
mod host_log;
mod last_words;
mod layout;

use std::path::Path;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use rivet_plugin_abi::PluginLibraryRef;
use rivet_plugin_abi::abi_stable::library::AbiHeaderRef;
use rivet_plugin_abi::abi_stable::std_types::RStr;

pub use at_start::stdout_was_closed;
pub use error::LoadError;
pub use host_log::FORWARDED;
pub use last_words::{end_now, guard_exit, with_last_words};

use crate::PluginError;
use crate::wire::output::Settings;
use crate::wire::{Connector, Origin, to_json};

/// `RTLD_NODELETE`: the library stays mapped whatever happens, since its code may be on some stack.
const RTLD_NODELETE: i32 = 0x1000;

/// Connectors of one opened library.
pub struct LoadedLibrary {
    /// All of them, in the library's order.
    pub connectors: Vec<Connector>,
    root: PluginLibraryRef,
}

impl LoadedLibrary {
    /// Tells the library that the host's log level changed.
    pub fn log_level_changed(&self) {
        if let Some(call) = self.root.log_level_changed() {
            call();
        }
    }
}

/// Reads the file without running any of its code: the name of the crate that the library was built from, such as
/// `rivet_source_demo`.
///
/// # Errors
/// When it is no plugin library for this machine.
pub fn examine(path: &Path) -> Result<String, LoadError> {
    let symbol = elf::plugin_symbol(path)?;
    Ok(elf::crate_of(&symbol).unwrap_or_default().to_owned())
}

/// Opens a plugin library and asks it for its connectors. The file is examined before any of its code runs; it is
/// never unloaded. Events it logs arrive in this image's `tracing` subscriber with target `plugin`.
///
/// # Errors
/// [`LoadError`], naming the file, both versions where they matter, and what to do.
pub fn open(path: &Path) -> Result<LoadedLibrary, LoadError> {
    let symbol = elf::plugin_symbol(path)?;
    // SAFETY: opening runs the library's initialisers: that is what trusting a plugin directory means.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) }
        .map_err(|e| LoadError::Refused { path: path.to_owned(), cause: error::loader_words(&e) })?;
    // SAFETY: the symbol is a `LibHeader` by the naming rule; `upgrade` checks its magic before anything is used.
    let header: AbiHeaderRef = unsafe { library.get::<AbiHeaderRef>(symbol.as_bytes()) }
        .map(|header| *header)
        .map_err(|e| LoadError::Refused { path: path.to_owned(), cause: error::loader_words(&e) })?;
    std::mem::forget(library);
    let root = layout::checked_root(path, header)?;
    let failed = |source: PluginError| LoadError::Start { path: path.to_owned(), source: Box::new(source) };
    let settings = to_json(&Settings::ours()).map_err(failed)?;
    let started = root.init()(host_log::HOST, RStr::from_str(&settings)).into_result();
    started.map_err(|e| failed(PluginError::from_abi(e)))?;
    let connectors = root.connectors()();
    let origin = || Origin::Library(path.to_owned());
    let connectors: Result<Vec<_>, _> = connectors.iter().map(|raw| Connector::new(*raw, origin())).collect();
    Ok(LoadedLibrary { connectors: connectors.map_err(failed)?, root })
}
