//! The heap that host and plugins share, for what one of them allocates the other frees; and what happens when it is full.
//! It must not know what is allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::{self, Write};

/// How the process ends when there is no memory: as after any failure of what is outside, which may be over later.
pub const OUT_OF_MEMORY_EXIT: i32 = 2;

/// The system's allocator. Where it has no memory, the process ends with a message and [`OUT_OF_MEMORY_EXIT`], not with the
/// signal of a program at fault, whoever asked for the memory: this is in the host and in each plugin.
struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: all is the system's allocator's, but for null, which is never returned.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the same.
        there(unsafe { System.alloc(layout) }, layout.size())
    }
    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the same.
        there(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }
    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are the same.
        there(unsafe { System.realloc(block, layout, size) }, size)
    }
    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(block, layout) }
    }
}

#[inline]
fn there(block: *mut u8, size: usize) -> *mut u8 {
    if block.is_null() { out_of_memory(size) } else { block }
}

/// Says what happened, without memory, and ends the process. What is not published is left for the next run, as after a kill.
#[cold]
fn out_of_memory(size: usize) -> ! {
    let mut message = Message { bytes: [0; 256], length: 0 };
    // What has no place is left out.
    let _ = write!(
        message,
        "\nerror: out of memory: {size} bytes more are not to be had\n\
         hint: lower `memory_mb`, `parallel` or `max_value_mb`, or give the process more (`ulimit -v`, its cgroup)\n"
    );
    // SAFETY: the bytes are there; the second call does not return.
    unsafe {
        libc::write(libc::STDERR_FILENO, message.bytes.as_ptr().cast(), message.length);
        libc::_exit(OUT_OF_MEMORY_EXIT)
    }
}

/// A text that takes no memory of the heap.
struct Message {
    bytes: [u8; 256],
    length: usize,
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.length..self.length + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

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
