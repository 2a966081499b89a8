//! What is said when code that is loaded ends the process: a crash or an exit in a library's constructor would name nothing.
//! It must not know what is loaded.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

/// What ends a process by itself.
const SIGNALS: [c_int; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGSYS, libc::SIGTRAP];

/// One at a time: there is one set of handlers.
static TURN: Mutex<()> = Mutex::new(());
/// The words; null while nothing is loaded.
static WORDS: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static WORDS_BYTES: AtomicUsize = AtomicUsize::new(0);
static EXIT_CODE: AtomicI32 = AtomicI32::new(0);

/// Calls `f`; if that ends the process, by a signal or by `exit`, `words` are written to standard error and the process
/// ends with `exit_code`. What calls `_exit` itself is not noticed.
pub fn with_last_words<T>(words: &str, exit_code: i32, f: impl FnOnce() -> T) -> T {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let _armed = Armed::new(words, exit_code);
    f()
}

/// Handlers that are in place until this is dropped. The words live longer: see `with_last_words`.
struct Armed {
    before: [Option<libc::sigaction>; SIGNALS.len()],
}

impl Armed {
    fn new(words: &str, exit_code: i32) -> Self {
        static AT_EXIT: Once = Once::new();
        // SAFETY: the function has the type that is asked for, and does nothing while there are no words.
        AT_EXIT.call_once(|| {
            unsafe { libc::atexit(on_exit) };
        });
        EXIT_CODE.store(exit_code, Ordering::SeqCst);
        WORDS_BYTES.store(words.len(), Ordering::SeqCst);
        WORDS.store(words.as_ptr().cast_mut(), Ordering::SeqCst);
        Self { before: SIGNALS.map(|signal| replace(signal, on_signal)) }
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        for (signal, before) in SIGNALS.iter().zip(&self.before) {
            if let Some(before) = before {
                // SAFETY: this is what was there before.
                unsafe { libc::sigaction(*signal, before, ptr::null_mut()) };
            }
        }
        WORDS.store(ptr::null_mut(), Ordering::SeqCst);
    }
}

/// What was there before, unless it could not be replaced.
fn replace(signal: c_int, handler: extern "C" fn(c_int)) -> Option<libc::sigaction> {
    // SAFETY: zeroes are a valid `sigaction` (no flags, an empty mask), of which the handler is set before it is used; the
    // handler calls nothing but `write` and `_exit`, which may be called in one.
    unsafe {
        let mut new: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = handler as *const () as usize;
        // On the stack that Rust set aside: a full one may be the cause.
        new.sa_flags = libc::SA_ONSTACK;
        let mut before: libc::sigaction = std::mem::zeroed();
        (libc::sigaction(signal, &new, &mut before) == 0).then_some(before)
    }
}

extern "C" fn on_signal(_: c_int) {
    speak();
}

extern "C" fn on_exit() {
    speak();
}

fn speak() {
    let words = WORDS.load(Ordering::SeqCst);
    if words.is_null() {
        return;
    }
    // SAFETY: while the pointer is not null it is that of words of this length.
    unsafe {
        libc::write(libc::STDERR_FILENO, words.cast(), WORDS_BYTES.load(Ordering::SeqCst));
        libc::_exit(EXIT_CODE.load(Ordering::SeqCst));
    }
}
