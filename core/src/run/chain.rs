//! Whether the runs of an incremental export are all there, by what their manifests say of the cursor.
//! It must not know where manifests are.

use crate::manifest::{CursorRange, Manifest};

/// Where the runs of an incremental export begin and end: each begins where another one has ended, whatever the clock says.
#[derive(Debug, Default)]
pub struct Chain(Vec<(String, CursorRange)>);

impl Chain {
    /// Adds a run, if it moved the cursor.
    pub fn add(&mut self, manifest: Option<&Manifest>) {
        let Some(Manifest { run_id, cursor: Some(range), .. }) = manifest else { return };
        if range.upper.is_some() && range.moved != Some(false) {
            self.0.push((run_id.clone(), range.clone()));
        }
    }

    /// The runs that begin where none has ended, and what is to be said about it.
    pub fn holes(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().filter_map(|(run_id, range)| {
            let lower = range.lower.as_ref()?;
            let meets = |(id, other): &(String, CursorRange)| id != run_id && other.upper.as_ref() == Some(lower);
            let text = format!(
                "begins after {}, and no run here ends there: the runs before it are gone, unless the cursor was set by hand",
                lower.text.escape_debug()
            );
            (!self.0.iter().any(meets)).then_some((run_id.as_str(), text))
        })
    }
}
