//! The heap that host and plugins share, for what one of them allocates the other frees.
//! It must not know what is allocated.

/// Makes the system's allocator keep what will be wanted again and give the rest back; where it is not glibc's, nothing is
/// done. The host calls this first, before there is a second thread.
///
/// glibc serves large blocks from the kernel, one by one, but stops doing so for sizes that were freed once: pages of a row
/// group, each a little different in size, then leave holes that nothing fits into. And it gives each thread a heap of its
/// own, while batches are made by one thread and freed by another. Values that are set stay as they are (mallopt(3)).
pub fn settle() {
    #[cfg(target_env = "gnu")]
    {
        /// Larger than the buffers of a batch, which come again and again; smaller than the pages of long values.
        const LARGE_BYTES: libc::c_int = 4 << 20;
        /// Free memory at the heap's end that is kept: a few batches.
        const KEPT_BYTES: libc::c_int = 8 << 20;
        let settings =
            [(libc::M_MMAP_THRESHOLD, LARGE_BYTES), (libc::M_TRIM_THRESHOLD, KEPT_BYTES), (libc::M_ARENA_MAX, 1)];
        for (name, value) in settings {
            // SAFETY: the function takes two integers and may be called at any time.
            unsafe { libc::mallopt(name, value) };
        }
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// Resident memory of this process now.
    fn resident_mib() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it says so");
        line.trim().trim_end_matches("kB").trim().parse::<usize>().expect("a number") / 1024
    }

    #[test]
    fn a_large_block_goes_back_though_a_larger_one_was_freed() {
        settle();
        drop(std::hint::black_box(vec![1_u8; 28 * MIB]));
        let block = std::hint::black_box(vec![1_u8; 24 * MIB]);
        let held = resident_mib();
        drop(block);
        let left = resident_mib();
        assert!(left + 20 <= held, "{held} MiB, then {left}");
    }
}
