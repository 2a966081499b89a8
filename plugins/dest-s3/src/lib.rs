//! Amazon S3, and stores that speak its language, as a destination.
//! It must not know exports, runs or formats, nor how parts are published.
#![forbid(unsafe_code)]

mod credentials;
mod error;
mod options;
mod profile;
mod store;
mod upload;

use rivet_plugin_api::{Cx, Destination, Result, Store, StoreCapabilities};

pub use options::{Addressing, Checksum, S3Options};

/// The `s3` destination.
pub struct S3Bucket;

impl Destination for S3Bucket {
    const NAME: &'static str = "s3";
    type Options = S3Options;

    fn capabilities() -> StoreCapabilities {
        rivet_shared_object::capabilities()
    }

    fn open(options: S3Options, cx: &Cx) -> Result<Box<dyn Store>> {
        store::open(&options, cx)
    }
}

rivet_plugin_api::plugin!(destination: S3Bucket);
