//! Azure Blob Storage as a destination.
//! It must not know exports, runs or formats, nor how parts are published.
#![forbid(unsafe_code)]

mod credentials;
mod error;
mod expiry;
mod options;
mod sign;
mod store;
mod upload;

use rivet_plugin_api::{Cx, Destination, Result, Store, StoreCapabilities};

pub use options::AzureOptions;

/// The `azure` destination.
pub struct AzureContainer;

impl Destination for AzureContainer {
    const NAME: &'static str = "azure";
    type Options = AzureOptions;

    fn capabilities() -> StoreCapabilities {
        rivet_shared_object::capabilities()
    }

    fn open(options: AzureOptions, cx: &Cx) -> Result<Box<dyn Store>> {
        store::open(&options, cx)
    }
}

rivet_plugin_api::plugin!(destination: AzureContainer);
