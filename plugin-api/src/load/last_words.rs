//! What is said when code of a plugin ends the process: a crash or an exit in a library's constructor, or an exit later on,
//! would name nothing, and could pass for success. It must not know what is loaded.

use std::ffi::c_int;
use std::io::Write;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use crate::wire::calls;

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

/// Which process is guarded: one that a plugin forks may exit.
static GUARDED: AtomicU32 = AtomicU32::new(0);
static GUARD_CODE: AtomicI32 = AtomicI32::new(0);
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// From now on until what is returned is dropped, whoever calls `exit` is a plugin: that is said, and the process ends with
/// `exit_code`. What calls `_exit` itself is not noticed.
pub fn guard_exit(exit_code: i32) -> impl Drop {
    listen_to_exit();
    GUARD_CODE.store(exit_code, Ordering::SeqCst);
    GUARDED.store(std::process::id(), Ordering::SeqCst);
    Guarded
}

struct Guarded;

impl Drop for Guarded {
    fn drop(&mut self) {
        IS_OURS.store(true, Ordering::SeqCst);
    }
}

/// Ends the process at once, whatever a plugin would do on the way.
pub fn end_now(exit_code: i32) -> ! {
    // SAFETY: the call does not return.
    unsafe { libc::_exit(exit_code) }
}

fn listen_to_exit() {
    static AT_EXIT: Once = Once::new();
    // SAFETY: the function has the type that is asked for, and does nothing while there is nothing to say.
    AT_EXIT.call_once(|| {
        unsafe { libc::atexit(on_exit) };
    });
}

/// Handlers that are in place until this is dropped. The words live longer: see `with_last_words`.
struct Armed {
    before: [Option<libc::sigaction>; SIGNALS.len()],
}

impl Armed {
    fn new(words: &str, exit_code: i32) -> Self {
        listen_to_exit();
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
    if GUARDED.load(Ordering::SeqCst) == std::process::id() && !IS_OURS.load(Ordering::SeqCst) {
        let plugin =
            calls::current().map_or_else(|| "a thread of a plugin".to_owned(), |plugin| format!("the {plugin}"));
        let hint = "this is a defect of the plugin: report it to its author";
        let _ = writeln!(std::io::stderr(), "error: {plugin} ended the process\n  hint: {hint}");
        end_now(GUARD_CODE.load(Ordering::SeqCst));
    }
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
