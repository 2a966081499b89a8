//! Uploads that were begun in a container: blocks that nobody has committed.
//! It must not know what they are of.

use rivet_shared_object::OpenUploads;

/// What could list them. The store forgets such blocks after a week, and at once when the next upload to their key is
/// committed; they are of no blob, so that nobody sees them.
pub fn begun() -> Option<OpenUploads> {
    None
}
