//! Which plugin each thread of the host is in: it is named when it does not come back, ends the process, or says something.
//! It must not know what is called.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

thread_local! {
    static HERE: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The plugins that threads are in, one for each thread.
static UNDER_WAY: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

/// The plugin that this thread is in, as `source 'demo'`.
pub fn current() -> Option<&'static str> {
    HERE.try_with(Cell::get).ok().flatten()
}

/// The plugins that some thread is in, each once.
pub fn under_way() -> Vec<&'static str> {
    let mut all = lock().clone();
    all.sort_unstable();
    all.dedup();
    all
}

/// This thread is in that plugin, or in none, until what is returned is dropped; then it is where it was before.
pub fn enter(plugin: Option<&'static str>) -> Entered {
    Entered(replace(plugin))
}

/// See [`enter`].
#[must_use]
pub struct Entered(Option<&'static str>);

impl Drop for Entered {
    fn drop(&mut self) {
        replace(self.0);
    }
}

fn replace(plugin: Option<&'static str>) -> Option<&'static str> {
    let before = HERE.replace(plugin);
    let mut under_way = lock();
    if let Some(at) = before.and_then(|before| under_way.iter().position(|p| *p == before)) {
        under_way.swap_remove(at);
    }
    under_way.extend(plugin);
    before
}

fn lock() -> MutexGuard<'static, Vec<&'static str>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An object of a plugin: who drops it is in the plugin.
pub struct Owned<T> {
    raw: ManuallyDrop<T>,
    plugin: &'static str,
}

impl<T> Owned<T> {
    /// It, of this plugin.
    pub fn new(raw: T, plugin: &'static str) -> Self {
        Self { raw: ManuallyDrop::new(raw), plugin }
    }

    /// The plugin is called by the object.
    pub fn enter(&self) -> Entered {
        enter(Some(self.plugin))
    }

    /// The plugin that it is of.
    pub fn plugin(&self) -> &'static str {
        self.plugin
    }
}

impl<T> Deref for Owned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.raw
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        let _in = enter(Some(self.plugin));
        // SAFETY: dropped once, and not used again.
        unsafe { ManuallyDrop::drop(&mut self.raw) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_where_it_was_when_a_call_is_over() {
        let outer = Owned::new((), "format 'outer'");
        let called = outer.enter();
        assert_eq!(current(), Some("format 'outer'"));
        {
            let _host = enter(None);
            assert_eq!(current(), None);
            let inner = Owned::new((), "destination 'inner'");
            let _called = inner.enter();
            assert!(under_way().contains(&"destination 'inner'") && !under_way().contains(&"format 'outer'"));
        }
        assert!(under_way().contains(&"format 'outer'"));
        std::thread::scope(|scope| scope.spawn(|| assert_eq!(current(), None)).join()).expect("it is in none");
        drop(called);
        assert_eq!((current(), under_way().contains(&"format 'outer'")), (None, false));
    }
}
