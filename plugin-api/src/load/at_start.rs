//! Whether this process was given a standard output.
//! It must not know what is written to it.

use std::sync::atomic::{AtomicBool, Ordering};

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether standard output was closed when the process began. Before `main`, Rust's runtime opens `/dev/null` in the place of
/// a standard stream that is closed, which swallows all that is written: this was looked at earlier.
pub fn stdout_was_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

extern "C" fn look() {
    // SAFETY: the call takes integers and changes nothing.
    let closed = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) } == -1;
    CLOSED.store(closed, Ordering::Relaxed);
}

/// The system calls what is listed in this section before `main` (System V ABI, "Initialization and Termination Functions").
#[cfg(target_os = "linux")]
#[used]
// SAFETY: the section holds pointers to functions of this type, and `look` needs nothing that `main` sets up.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;
