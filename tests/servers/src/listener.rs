//! Accepts connections on an address and hands each to a thread of its own, until it is dropped.
//! Must not know what is served.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result};

/// A port that is listened on.
pub(crate) struct Listener {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens on `HOST:PORT`; with port 0 on a free one.
    pub(crate) fn start(address: &str, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Result<Self> {
        let socket = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
        let address = socket.local_addr().context("ask for the port")?;
        let (stopping, serve) = (Arc::new(AtomicBool::new(false)), Arc::new(serve));
        let ended = stopping.clone();
        let thread = std::thread::spawn(move || {
            for client in socket.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let serve = serve.clone();
                std::thread::spawn(move || serve(client));
            }
        });
        Ok(Self { address, stopping, thread: Some(thread) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread; nobody waits for an answer.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
