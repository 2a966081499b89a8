//! Google Cloud Storage as a destination.
//! It must not know exports, runs or formats, nor how parts are published.
#![forbid(unsafe_code)]

mod credentials;
mod error;
mod options;
mod store;
mod upload;

use rivet_plugin_api::{Cx, Destination, Result, Store, StoreCapabilities};

pub use options::GcsOptions;

/// The `gcs` destination.
pub struct GcsBucket;

impl Destination for GcsBucket {
    const NAME: &'static str = "gcs";
    type Options = GcsOptions;

    fn capabilities() -> StoreCapabilities {
        rivet_shared_object::capabilities()
    }

    fn open(options: GcsOptions, cx: &Cx) -> Result<Box<dyn Store>> {
        store::open(&options, cx)
    }
}

rivet_plugin_api::plugin!(destination: GcsBucket);
