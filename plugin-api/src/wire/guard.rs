//! Around every entry point: no panic crosses the boundary, and an object that panicked takes no further call.
//! It must not know what the object is.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use rivet_plugin_abi::AbiResult;
use rivet_plugin_abi::abi_stable::std_types::{RErr, ROk};

use crate::{ErrorKind, PluginError, Result, wire::telemetry};

/// Runs `f`; a panic becomes a `Panicked` error.
pub fn guard<T>(f: impl FnOnce() -> Result<T>) -> AbiResult<T> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => ROk(value),
        Ok(Err(e)) => RErr(e.into_abi()),
        Err(payload) => RErr(panicked(payload).into_abi()),
    }
}

#[cold]
fn panicked(payload: Box<dyn Any + Send>) -> PluginError {
    let message = payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic with a payload that is not text".to_owned());
    if catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err() {
        // The payload's own Drop panicked: nothing sane is left to return to.
        std::process::abort();
    }
    let error = PluginError::new(ErrorKind::Panicked, "plugin.panicked", format!("the plugin panicked: {message}"))
        .hint("this is a defect of the plugin: report it to its author");
    match telemetry::take_panic_location() {
        Some(location) => error.detail("location", location),
        None => error,
    }
}

/// An object behind a raw pointer, with the flag that a panic sets.
pub struct Slot<T: ?Sized> {
    poisoned: AtomicBool,
    inner: Box<T>,
}

impl<T: ?Sized> Slot<T> {
    /// Moves the object to the heap; `free` takes it back.
    pub fn into_raw(inner: Box<T>) -> *mut c_void {
        Box::into_raw(Box::new(Self { poisoned: AtomicBool::new(false), inner })).cast()
    }

    /// # Safety
    /// `this` came from `into_raw` of the same `T` and is not used again.
    pub unsafe fn free(this: *mut c_void) {
        // SAFETY: by the caller.
        let slot = unsafe { Box::from_raw(this.cast::<Self>()) };
        let dropped = guard(|| {
            drop(slot);
            Ok(())
        });
        // Nobody waits for an answer: whoever reads the log is told.
        if let RErr(error) = dropped {
            let error = PluginError::from_abi(error);
            tracing::warn!(location = error.get("location"), "while an object was dropped, {}", error.message());
        }
    }

    /// # Safety
    /// `this` came from `into_raw` of the same `T`; no other call on it is running.
    pub unsafe fn exclusive<R>(this: *mut c_void, f: impl FnOnce(&mut T) -> Result<R>) -> AbiResult<R> {
        // SAFETY: by the caller.
        let slot = unsafe { &mut *this.cast::<Self>() };
        let Self { poisoned, inner } = slot;
        watched(poisoned, || f(inner))
    }

    /// # Safety
    /// `this` came from `into_raw` of the same `T`; no exclusive call on it is running.
    pub unsafe fn shared<R>(this: *const c_void, f: impl FnOnce(&T) -> Result<R>) -> AbiResult<R> {
        // SAFETY: by the caller.
        let slot = unsafe { &*this.cast::<Self>() };
        watched(&slot.poisoned, || f(&slot.inner))
    }

    /// Like `shared`, for what cannot fail: `fallback` when it panicked, now or before.
    ///
    /// # Safety
    /// As [`shared`](Self::shared).
    pub unsafe fn peek<R>(this: *const c_void, fallback: R, f: impl FnOnce(&T) -> R) -> R {
        // SAFETY: by the caller.
        unsafe { Self::shared(this, |t| Ok(f(t))) }.unwrap_or(fallback)
    }
}

fn watched<R>(poisoned: &AtomicBool, f: impl FnOnce() -> Result<R>) -> AbiResult<R> {
    if poisoned.load(Ordering::Relaxed) {
        let error = PluginError::new(ErrorKind::Panicked, "plugin.poisoned", "the plugin panicked before");
        return RErr(error.into_abi());
    }
    let result = guard(f);
    if let RErr(error) = &result
        && error.kind == rivet_plugin_abi::ErrorKind::PANICKED
    {
        poisoned.store(true, Ordering::Relaxed);
    }
    result
}
