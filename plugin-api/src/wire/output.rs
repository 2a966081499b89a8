//! Where data for standard output goes: to a descriptor of its own, since anybody may print to descriptor 1.
//! It must not know what is written.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicI32, Ordering};

use serde::{Deserialize, Serialize};

/// The descriptor's number. Each image has its own variable: a library is told at its start, see [`Settings`].
static NUMBER: AtomicI32 = AtomicI32::new(libc::STDOUT_FILENO);

/// Standard output as the host was given it, for data. What is printed (`println!`, `printf`) goes to standard error.
///
/// # Errors
/// When the process may have no more descriptors.
pub fn data_output() -> io::Result<File> {
    // SAFETY: neither standard output nor the descriptor that took its place is ever closed.
    let output = unsafe { BorrowedFd::borrow_raw(NUMBER.load(Ordering::Relaxed)) };
    output.try_clone_to_owned().map(File::from)
}

/// What a host tells a library at its start.
#[derive(Serialize, Deserialize)]
pub struct Settings {
    /// The number of the descriptor for data; a host from before there was one says nothing.
    #[serde(default = "standard")]
    data_output: i32,
}

fn standard() -> i32 {
    libc::STDOUT_FILENO
}

impl Settings {
    /// Those of this image.
    pub fn ours() -> Self {
        Self { data_output: NUMBER.load(Ordering::Relaxed) }
    }

    /// Makes them those of this image.
    pub fn settle(&self) {
        NUMBER.store(self.data_output, Ordering::Relaxed);
    }
}

/// Sets data apart: from now on descriptor 1 leads to standard error, and [`data_output`] to what it was. Programs that are
/// started do not inherit the latter. The host calls this before there is a second thread.
///
/// # Errors
/// When the process may have no more descriptors.
pub fn set_data_apart() -> io::Result<()> {
    // SAFETY: the calls take numbers and touch no memory; whoever uses descriptor 1 finds it open.
    let data = unsafe {
        let data = libc::fcntl(libc::STDOUT_FILENO, libc::F_DUPFD_CLOEXEC, libc::STDERR_FILENO + 1);
        if data == -1 || libc::dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO) == -1 {
            return Err(io::Error::last_os_error());
        }
        data
    };
    NUMBER.store(data, Ordering::Relaxed);
    Ok(())
}
