//! The `skeleton` source: what the host asks for first.
//! It must not know exports, formats or destinations.
#![forbid(unsafe_code)]

mod options;
mod scan;
mod session;

use rivet_plugin_api::{
    Cx, ErrorKind, OpenGroup, PluginError, Result, SessionGroup, Snapshot, SnapshotInfo, Source, SourceCapabilities,
};

use options::SkeletonOptions;
use session::SkeletonSession;

/// The `skeleton` source.
pub struct Skeleton;

impl Source for Skeleton {
    const NAME: &'static str = "skeleton";
    type Options = SkeletonOptions;

    fn capabilities() -> SourceCapabilities {
        SourceCapabilities::default()
    }

    // Connect here: where to is in `request.connection` and `request.options`, how long to wait in `request.limits`.
    fn open_group(request: OpenGroup<SkeletonOptions>, _cx: &Cx) -> Result<SessionGroup> {
        if let Snapshot::Join(_) = request.snapshot {
            let text = "a session of skeleton cannot join the snapshot of another";
            return Err(PluginError::new(ErrorKind::Conflict, "snapshot.lost", text));
        }
        let session = SkeletonSession { n_rows: request.options.n_rows };
        let snapshot = SnapshotInfo { server: "skeleton".to_owned(), ..Default::default() };
        Ok(SessionGroup { sessions: vec![Box::new(session)], snapshot })
    }
}

rivet_plugin_api::plugin!(source: Skeleton);
