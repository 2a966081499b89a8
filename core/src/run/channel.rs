//! A channel bounded in bytes between two steps of a run.
//! It must not know what it carries.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The other end is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnected;

/// Makes a channel for up to `capacity_bytes`, with what the receiver took last and is still busy with: it is done with an
/// item when it asks for the next. A larger item passes alone, and its sender goes on when the receiver is done with it, so
/// that there are never two.
pub fn bounded<T>(capacity_bytes: usize) -> (Sender<T>, Receiver<T>) {
    let state = State { items: VecDeque::new(), bytes: 0, bytes_in_hand: 0, sender_alive: true, receiver_alive: true };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), capacity_bytes });
    (Sender(shared.clone()), Receiver(shared))
}

/// The sending end. Dropping it lets the receiver drain what is left; a receiver that needs to know whether all was
/// sent must be told so by a last item.
pub struct Sender<T>(Arc<Shared<T>>);

/// The receiving end. Dropping it makes every `send` fail.
pub struct Receiver<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity_bytes: usize,
}

struct State<T> {
    items: VecDeque<(T, usize)>,
    /// Of all items, and of that in the receiver's hand.
    bytes: usize,
    bytes_in_hand: usize,
    sender_alive: bool,
    receiver_alive: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Sender<T> {
    /// Waits for room and hands over `item`, which counts as `bytes`.
    ///
    /// # Errors
    /// When the receiver is gone.
    pub fn send(&self, item: T, bytes: usize) -> Result<(), Disconnected> {
        let full =
            |s: &mut State<T>| s.receiver_alive && s.bytes > 0 && s.bytes.saturating_add(bytes) > self.0.capacity_bytes;
        let mut state = self.0.changed.wait_while(self.0.lock(), full).unwrap_or_else(PoisonError::into_inner);
        if !state.receiver_alive {
            return Err(Disconnected);
        }
        state.items.push_back((item, bytes));
        state.bytes += bytes;
        self.0.changed.notify_one();
        if bytes <= self.0.capacity_bytes {
            return Ok(());
        }
        let busy = |s: &mut State<T>| s.receiver_alive && s.bytes > 0;
        let state = self.0.changed.wait_while(state, busy).unwrap_or_else(PoisonError::into_inner);
        if state.receiver_alive { Ok(()) } else { Err(Disconnected) }
    }
}

impl<T> Receiver<T> {
    /// Is done with the last item, and waits for the next.
    ///
    /// # Errors
    /// When the sender is gone and nothing is left.
    pub fn recv(&self) -> Result<T, Disconnected> {
        let empty = |s: &mut State<T>| s.sender_alive && s.items.is_empty();
        let mut state = self.0.lock();
        state.bytes -= std::mem::take(&mut state.bytes_in_hand);
        self.0.changed.notify_one();
        let mut state = self.0.changed.wait_while(state, empty).unwrap_or_else(PoisonError::into_inner);
        let (item, bytes) = state.items.pop_front().ok_or(Disconnected)?;
        state.bytes_in_hand = bytes;
        Ok(item)
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.lock().sender_alive = false;
        self.0.changed.notify_one();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.receiver_alive = false;
        state.items.clear();
        state.bytes = 0;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn never_more_in_flight_than_the_bound_and_nothing_is_lost() {
        let (sender, receiver) = bounded::<usize>(100);
        let sent = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let sender = sender;
                for i in 0..1_000 {
                    sender.send(i, 30).expect("the receiver lives");
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            });
            for i in 0..1_000 {
                assert_eq!(receiver.recv(), Ok(i));
                assert!(sent.load(Ordering::SeqCst) <= i + 3, "one in hand, two on their way");
            }
            assert_eq!(receiver.recv(), Err(Disconnected));
        });
    }

    #[test]
    fn an_oversized_item_passes_alone() {
        let (sender, receiver) = bounded::<usize>(10);
        let sent = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let sender = sender;
                for i in 0..3 {
                    sender.send(i, 1_000).expect("the receiver lives");
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            });
            for i in 0..3 {
                assert_eq!(receiver.recv(), Ok(i));
                std::thread::sleep(std::time::Duration::from_millis(20));
                assert_eq!(sent.load(Ordering::SeqCst), i, "its sender waits until it is done with");
            }
            assert_eq!(receiver.recv(), Err(Disconnected));
        });
        assert_eq!(sent.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn the_sender_of_an_oversized_item_is_freed_when_the_receiver_goes() {
        let (sender, receiver) = bounded::<u8>(1);
        std::thread::scope(|scope| {
            let blocked = scope.spawn(move || sender.send(2, 100));
            assert_eq!(receiver.recv(), Ok(2));
            drop(receiver);
            assert_eq!(blocked.join().expect("no panic"), Err(Disconnected));
        });
    }

    #[test]
    fn a_blocked_sender_is_freed_when_the_receiver_goes() {
        let (sender, receiver) = bounded::<u8>(1);
        sender.send(1, 1).expect("room");
        std::thread::scope(|scope| {
            let blocked = scope.spawn(move || sender.send(2, 1));
            std::thread::sleep(std::time::Duration::from_millis(30));
            drop(receiver);
            assert_eq!(blocked.join().expect("no panic"), Err(Disconnected));
        });
    }
}
