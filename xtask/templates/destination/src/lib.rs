//! The `skeleton` destination: a folder, in place of the store that you want to reach.
//! It must not know formats, exports or manifests: names and bytes only.
#![forbid(unsafe_code)]

mod names;
mod options;
mod store;
mod upload;

use rivet_plugin_api::{Cx, Destination, Result, Store, StoreCapabilities};

use options::SkeletonOptions;
use store::SkeletonStore;

/// The `skeleton` destination.
pub struct Skeleton;

impl Destination for Skeleton {
    const NAME: &'static str = "skeleton";
    type Options = SkeletonOptions;

    // A store without a way to keep a part invisible says `retractable: false`; a pipe says `objects: false`, too.
    fn capabilities() -> StoreCapabilities {
        StoreCapabilities { concurrent: true, ..StoreCapabilities::default() }
    }

    // Check options and credentials here, and connect.
    fn open(options: SkeletonOptions, cx: &Cx) -> Result<Box<dyn Store>> {
        cx.check()?;
        Ok(Box::new(SkeletonStore::open(options.path.into_path_buf())?))
    }
}

rivet_plugin_api::plugin!(destination: Skeleton);
