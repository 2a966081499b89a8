//! Context of a call: cancellation that wakes whoever is blocked.
//! It must not know why a host cancels.

use std::collections::HashMap;
use std::ffi::c_void;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rivet_plugin_abi::abi_stable::std_types::RStr;
use rivet_plugin_abi::abi_stable::{prefix_type::WithMetadata, sabi_types::StaticRef};
use rivet_plugin_abi::{AbiCx, CxVtable, CxVtableRef, Wake};

use super::notice::{Notice, Notices};
use super::to_json;
use crate::{PluginError, Result};

/// Context of one call, lent by the host. Ask it between pieces of work, and register what wakes a blocked wait.
pub struct Cx(pub(super) AbiCx);

impl Cx {
    /// The context that came with a call over the boundary.
    pub(super) fn lent(raw: &AbiCx) -> Self {
        Self(*raw)
    }

    /// Whether the host has cancelled.
    pub fn is_cancelled(&self) -> bool {
        // SAFETY: the host keeps the object alive for the call.
        unsafe { self.0.vtable.is_cancelled()(self.0.this) != 0 }
    }

    /// # Errors
    /// `Cancelled` once the host has cancelled.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(PluginError::cancelled()) } else { Ok(()) }
    }

    /// Tells the user what has to be known and is no failure, in one sentence. Once is enough for a call.
    pub fn warn(&self, text: impl std::fmt::Display) {
        self.tell(&Notice::Warning(text.to_string()));
    }

    /// Tells how far the call is, in units of the plugin's own; quick enough for each page, too slow for each row. It is in
    /// the log (`-v`), once a second at most.
    pub fn progress(&self, done: u64, of: Option<u64>) {
        self.tell(&Notice::Progress { done, of });
    }

    fn tell(&self, notice: &Notice) {
        // A host that is older than notices hears none.
        let (Some(tell), Ok(json)) = (self.0.vtable.notice(), to_json(notice)) else { return };
        // SAFETY: as in `is_cancelled`.
        unsafe { tell(self.0.this, RStr::from_str(&json)) }
    }

    /// Runs `work`; when the host cancels meanwhile, or has before, `wake` is called from some thread. `wake` must
    /// be quick and make `work` return, for example by shutting down the socket that it reads.
    pub fn with_wake<R>(&self, wake: &(dyn Fn() + Sync), work: impl FnOnce() -> R) -> R {
        unsafe extern "C" fn call(data: *mut c_void) {
            // SAFETY: `data` is the `&dyn Fn` below, alive until `Registration` is dropped.
            let wake = unsafe { *data.cast::<&(dyn Fn() + Sync)>() };
            // A panic may not cross the boundary; the wait then ends by its own time limit.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(wake));
        }
        struct Registration<'a>(&'a Cx, u64);
        impl Drop for Registration<'_> {
            fn drop(&mut self) {
                let AbiCx { vtable, this } = self.0.0;
                // SAFETY: as in `is_cancelled`; blocks until the callback has returned.
                unsafe { vtable.unsubscribe()(this, self.1) }
            }
        }
        let data = std::ptr::from_ref(&wake).cast_mut().cast();
        // SAFETY: `wake` outlives the registration, which ends before this function returns.
        let id = unsafe { self.0.vtable.subscribe()(self.0.this, Wake(call), data) };
        let _registration = Registration(self, id);
        work()
    }
}

/// The host's side of [`Cx`]: cancels all calls made with its contexts.
#[derive(Clone, Default)]
pub struct CancelToken(Arc<TokenState>);

/// A [`Cx`] that keeps its token alive.
pub struct HostCx {
    cx: Cx,
    _token: CancelToken,
}

impl Deref for HostCx {
    type Target = Cx;
    fn deref(&self) -> &Cx {
        &self.cx
    }
}

#[derive(Default)]
struct TokenState {
    cancelled: AtomicBool,
    subscribers: Mutex<Subscribers>,
    notices: Notices,
}

#[derive(Default)]
struct Subscribers {
    next: u64,
    by_id: HashMap<u64, Subscriber>,
}

struct Subscriber {
    wake: Wake,
    data: *mut c_void,
}
// SAFETY: the data is a `&(dyn Fn() + Sync)`, callable from any thread.
unsafe impl Send for Subscriber {}

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels, for good, and wakes every blocked call.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        for subscriber in self.0.lock().by_id.values() {
            // SAFETY: registered and not yet unsubscribed, which would need the lock.
            unsafe { (subscriber.wake.0)(subscriber.data) }
        }
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// From now on what calls warn of is kept for [`take_warnings`](Self::take_warnings). Without it that goes to the log.
    pub fn keep_warnings(&self) {
        self.0.notices.keep();
    }

    /// What calls have warned of since the last time.
    pub fn take_warnings(&self) -> Vec<String> {
        self.0.notices.take()
    }

    /// A context for calls.
    pub fn cx(&self) -> HostCx {
        let this = Arc::as_ptr(&self.0).cast();
        HostCx { cx: Cx(AbiCx { vtable: CX, this }), _token: self.clone() }
    }
}

impl TokenState {
    fn lock(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

unsafe extern "C" fn is_cancelled(this: *const c_void) -> u8 {
    // SAFETY: `this` is the `TokenState` that `HostCx` keeps alive.
    let state = unsafe { &*this.cast::<TokenState>() };
    u8::from(state.cancelled.load(Ordering::Relaxed))
}

unsafe extern "C" fn subscribe(this: *const c_void, wake: Wake, data: *mut c_void) -> u64 {
    // SAFETY: as above.
    let state = unsafe { &*this.cast::<TokenState>() };
    let mut subscribers = state.lock();
    subscribers.next += 1;
    let id = subscribers.next;
    subscribers.by_id.insert(id, Subscriber { wake, data });
    if state.cancelled.load(Ordering::SeqCst) {
        // SAFETY: the caller keeps `data` alive until it unsubscribes.
        unsafe { (wake.0)(data) }
    }
    id
}

unsafe extern "C" fn unsubscribe(this: *const c_void, id: u64) {
    // SAFETY: as above.
    let state = unsafe { &*this.cast::<TokenState>() };
    state.lock().by_id.remove(&id);
}

unsafe extern "C" fn notice(this: *const c_void, json: RStr<'_>) {
    // SAFETY: as above.
    let state = unsafe { &*this.cast::<TokenState>() };
    // A panic may not cross the boundary; what was told is lost then.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| state.notices.add(json.as_str())));
}

const CX: CxVtableRef = CxVtableRef({
    static VTABLE: WithMetadata<CxVtable> =
        WithMetadata::new(CxVtable { is_cancelled, subscribe, unsubscribe, notice });
    StaticRef::new(&VTABLE).as_prefix()
});

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Condvar;
    use std::time::{Duration, Instant};

    #[test]
    fn cancelling_wakes_a_blocked_wait() {
        let token = CancelToken::new();
        let (lock, bell) = (Mutex::new(false), Condvar::new());
        let cx = token.cx();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                token.cancel();
            });
            let started = Instant::now();
            let wake = || {
                *lock.lock().expect("not poisoned") = true;
                bell.notify_all();
            };
            cx.with_wake(&wake, || {
                let guard = lock.lock().expect("not poisoned");
                drop(bell.wait_timeout_while(guard, Duration::from_secs(20), |woken| !*woken));
            });
            assert!(started.elapsed() < Duration::from_secs(10));
        });
        assert!(cx.check().is_err());
    }

    #[test]
    fn what_a_call_warns_of_is_kept_for_who_wants_it() {
        let token = CancelToken::new();
        token.keep_warnings();
        token.cx().warn("half a table");
        token.cx().progress(1, Some(2));
        assert_eq!(token.take_warnings(), ["half a table"]);
    }

    #[test]
    fn a_wait_that_starts_after_the_cancel_is_woken_at_once() {
        let token = CancelToken::new();
        token.cancel();
        let woken = AtomicBool::new(false);
        token.cx().with_wake(&|| woken.store(true, Ordering::SeqCst), || ());
        assert!(woken.load(Ordering::SeqCst));
    }
}
