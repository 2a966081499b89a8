//! The local file system as a destination: a folder, or one file.
//! It must not know exports, runs or formats.
#![forbid(unsafe_code)]

mod error;
mod folder;
mod names;
mod options;
mod read;
mod single;
mod spelling;
mod store;
mod upload;

use rivet_plugin_api::{Cx, Destination, Result, Store, StoreCapabilities};

pub use options::LocalOptions;
pub use single::{FileOptions, OneFile};

/// The `local` destination.
pub struct Local;

impl Destination for Local {
    const NAME: &'static str = "local";
    type Options = LocalOptions;

    fn capabilities() -> StoreCapabilities {
        StoreCapabilities::default()
    }

    fn open(options: LocalOptions, _cx: &Cx) -> Result<Box<dyn Store>> {
        Ok(Box::new(store::LocalStore::open(&options)?))
    }
}

rivet_plugin_api::plugin!(destination: Local, destination: OneFile);
