//! Uploads that were begun in a bucket and never ended.
//! It must not know which of them are looked for, nor how requests about them are signed.

use rivet_shared_object::OpenUploads;

/// Those below `root` in the bucket at this URL: S3 keeps them until somebody ends them.
pub fn begun(bucket_url: String, root: String) -> Option<OpenUploads> {
    Some(OpenUploads { bucket_url, root })
}
