//! The heap that host and plugins share, for what one of them allocates the other frees.
//! It must not know what is allocated.

/// Makes the system's allocator give large blocks back when they are freed; where it is not glibc's, nothing is done. The
/// host calls this first.
///
/// glibc serves large blocks from the kernel, one by one, but stops doing so for sizes that were freed once: pages of a row
/// group and buffers of batches, each a little different in size, then leave holes that nothing fits into. A threshold that
/// is set stays as it is (mallopt(3), `M_MMAP_THRESHOLD`).
pub fn settle() {
    #[cfg(target_env = "gnu")]
    {
        const LARGE_BYTES: libc::c_int = 1 << 20;
        // SAFETY: the function takes two integers and may be called at any time.
        unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES) };
    }
}
