//! Plugins that print, hang, exit, shout and repeat secrets, loaded and linked: what they do stays theirs, and is told.
//! Must not know any crate of the product.

mod info;
mod prints;
mod says;
mod secrets;
mod waits;

use anyhow::Result;
use rivet_test_e2e::{PLUGINS, Workspace, copy_plugins};
use tempfile::TempDir;

/// A workspace in which the rude plugin is there.
struct Place {
    workspace: Workspace,
    _plugins: TempDir,
}

/// With this config: by the binary that loads plugins, and by the one that has them linked in.
fn both(config: &str) -> Result<[Place; 2]> {
    let place = |is_linked| {
        let plugins = TempDir::with_prefix("rivet-plugins-")?;
        copy_plugins(&PLUGINS, plugins.path())?;
        copy_plugins(&["test_rude"], plugins.path())?;
        let workspace = Workspace::new(config)?;
        let workspace =
            if is_linked { workspace.with_linked_plugins() } else { workspace.with_plugins(plugins.path()) };
        anyhow::Ok(Place { workspace, _plugins: plugins })
    };
    Ok([place(false)?, place(true)?])
}

/// A config with three rows, these options of the source and this destination.
fn config(source: &str, destination: &str) -> String {
    format!(
        "source: {{type: rude, n_rows: 3, {source}, tuning: {{retry_backoff_ms: 100}}}}\n\
         exports: [{{name: e, table: t, format: csv, destination: {destination}}}]\n"
    )
}

const FOLDER: &str = "{type: local, path: out}";
const STDOUT: &str = "{type: stdout}";
