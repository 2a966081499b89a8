//! Folders of NDJSON files as a source: a line is a row, and the options say which columns a file has.
//! It must not know exports, formats or destinations.
#![forbid(unsafe_code)]

mod columns;
mod error;
mod options;
mod scan;
mod session;

use rivet_plugin_api::{
    Cx, ErrorKind, OpenGroup, PluginError, Result, SessionGroup, Snapshot, SnapshotInfo, Source, SourceCapabilities,
};

use options::NdjsonOptions;
use session::NdjsonSession;

/// The `ndjson` source.
pub struct Ndjson;

impl Source for Ndjson {
    const NAME: &'static str = "ndjson";
    type Options = NdjsonOptions;

    fn capabilities() -> SourceCapabilities {
        SourceCapabilities::default()
    }

    fn open_group(request: OpenGroup<NdjsonOptions>, _cx: &Cx) -> Result<SessionGroup> {
        if let Some(key) = request.connection.first_key() {
            let text = format!("`{key}` means nothing to ndjson, which reads files");
            return Err(PluginError::new(ErrorKind::Config, "ndjson.connection", text)
                .hint("name the folder of the files with `path`"));
        }
        if let Snapshot::Join(_) = request.snapshot {
            let text = "an ndjson session cannot join the snapshot of another";
            return Err(PluginError::new(ErrorKind::Conflict, "snapshot.lost", text));
        }
        let server = request.options.path.display().to_string();
        let session = NdjsonSession::new(request.options, request.limits.max_value_bytes)?;
        let snapshot = SnapshotInfo { server, ..Default::default() };
        Ok(SessionGroup { sessions: vec![Box::new(session)], snapshot })
    }
}

rivet_plugin_api::plugin!(source: Ndjson);
