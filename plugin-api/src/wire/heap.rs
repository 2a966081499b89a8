//! The heap that host and plugins share, for what one of them allocates the other frees.
//! It must not know what is allocated.

/// Makes the system's allocator keep what will be wanted again; where it is not glibc's, nothing is done. The host calls this
/// first, before there is a second thread.
///
/// glibc gives each thread a heap of its own, while batches are made by one thread and freed by another; and it takes large
/// blocks from the kernel one by one, which has to clear every page of them. Here all threads share one heap, blocks up to
/// [`KEPT_BYTES`] come from it, and no more than that stays unused at its end (mallopt(3)).
pub fn settle() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (name, value) in
        [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, KEPT_BYTES), (libc::M_TRIM_THRESHOLD, KEPT_BYTES)]
    {
        // SAFETY: the function takes two integers and may be called at any time.
        unsafe { libc::mallopt(name, value) };
    }
}

/// A page of long values is 6 MiB, and its buffer grows by doubling; larger blocks are rare.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: libc::c_int = 16 << 20;

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    const BLOCK_BYTES: usize = 12 << 20;
    const PAGE_BYTES: usize = 4 << 10;

    /// Pages that this process was given so far.
    fn page_faults() -> usize {
        let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
        let (_, fields) = stat.rsplit_once(')').expect("the program's name ends");
        fields.split_whitespace().nth(7).and_then(|n| n.parse().ok()).expect("a number")
    }

    #[test]
    fn a_block_that_comes_again_is_not_taken_from_the_kernel_again() {
        settle();
        drop(std::hint::black_box(vec![1_u8; BLOCK_BYTES]));
        let before = page_faults();
        drop(std::hint::black_box(vec![1_u8; BLOCK_BYTES]));
        let taken = page_faults() - before;
        assert!(taken < BLOCK_BYTES / PAGE_BYTES / 4, "{taken} pages");
    }
}
