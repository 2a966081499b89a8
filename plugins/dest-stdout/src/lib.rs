//! Standard output as a destination: one part, passed on as it comes.
//! It must not know exports or formats, nor promise anything that a pipe cannot keep.
#![forbid(unsafe_code)]

mod error;
mod options;
mod store;
mod upload;

use rivet_plugin_api::{Cx, Destination, Result, Store, StoreCapabilities};

pub use options::StdoutOptions;

/// The `stdout` destination.
pub struct Stdout;

impl Destination for Stdout {
    const NAME: &'static str = "stdout";
    type Options = StdoutOptions;

    fn capabilities() -> StoreCapabilities {
        StoreCapabilities { objects: false, retractable: false, concurrent: false, ..StoreCapabilities::default() }
    }

    fn open(_options: StdoutOptions, _cx: &Cx) -> Result<Box<dyn Store>> {
        Ok(Box::<store::StdoutStore>::default())
    }
}

rivet_plugin_api::plugin!(destination: Stdout);
