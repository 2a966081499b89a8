//! A proxy for streams that brings the faults of a network: slow, cut, reset, silent, away. By its HTTP interface it is a
//! Toxiproxy. Must not know any protocol that goes through it.

mod api;
mod link;
mod toxic;

use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

pub use api::Toxiproxy;
use link::Connection;
use toxic::Toxic;

use crate::listener::Listener;

/// Where the original serves its interface.
pub const DEFAULT_PORT: u16 = 8474;

/// A way to a server, with what is wrong on it.
pub struct Proxy {
    name: String,
    /// Where it listens, or would.
    listen: String,
    way: Arc<Way>,
    /// None while it is disabled.
    listener: Option<Listener>,
}

/// What all connections of a proxy share.
struct Way {
    upstream: Mutex<String>,
    toxics: Mutex<Vec<Toxic>>,
    connections: Mutex<Vec<Weak<Connection>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Listens on `HOST:PORT` (port 0: a free one) for clients of `upstream`.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn start(name: &str, listen: &str, upstream: &str) -> Result<Self> {
        let mut proxy = Self::disabled(name, listen, upstream);
        proxy.set_enabled(true)?;
        Ok(proxy)
    }

    fn disabled(name: &str, listen: &str, upstream: &str) -> Self {
        let way =
            Way { upstream: Mutex::new(upstream.to_owned()), toxics: Mutex::default(), connections: Mutex::default() };
        Self { name: name.to_owned(), listen: listen.to_owned(), way: Arc::new(way), listener: None }
    }

    /// The port, once it listens or has listened.
    ///
    /// # Errors
    /// When it has none yet.
    pub fn port(&self) -> Result<u16> {
        let (_, port) = self.listen.rsplit_once(':').context("an address ends with a port")?;
        port.parse().context("read a port")
    }

    /// Away: it does not listen, and all connections end. Back: it listens where it did.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn set_enabled(&mut self, enabled: bool) -> Result<()> {
        if enabled && self.listener.is_none() {
            let way = self.way.clone();
            let listener = Listener::start(&self.listen, move |client| way.serve(client))?;
            self.listen = listener.address().to_string();
            self.listener = Some(listener);
        } else if !enabled {
            self.listener = None;
            self.way.close_all();
        }
        Ok(())
    }

    /// Adds a toxic, as the interface takes it: `{"type": "latency", "attributes": {"latency": 3000}}`. Connections that are
    /// there meet it too. Returns it with its name.
    ///
    /// # Errors
    /// When it is none, or its name is taken.
    pub fn add(&self, toxic: &Value) -> Result<Value> {
        let toxic = Toxic::read(toxic)?;
        let mut toxics = lock(&self.way.toxics);
        if toxics.iter().any(|t| t.name == toxic.name) {
            bail!("toxic already exists");
        }
        let told = toxic.told();
        toxics.push(toxic);
        Ok(told)
    }

    /// Removes the toxic of this name; false when there is none.
    pub fn remove(&self, name: &str) -> bool {
        let mut toxics = lock(&self.way.toxics);
        let before = toxics.len();
        toxics.retain(|t| t.name != name);
        toxics.len() < before
    }

    /// Removes all toxics.
    pub fn clear(&self) {
        lock(&self.way.toxics).clear();
    }

    /// Connections that were made through it so far and are still open.
    pub fn n_connections(&self) -> usize {
        lock(&self.way.connections).iter().filter(|c| c.strong_count() > 0).count()
    }

    fn told(&self) -> Value {
        let toxics: Vec<Value> = lock(&self.way.toxics).iter().map(Toxic::told).collect();
        json!({
            "name": self.name,
            "listen": self.listen,
            "upstream": *lock(&self.way.upstream),
            "enabled": self.listener.is_some(),
            "toxics": toxics,
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener = None;
        self.way.close_all();
    }
}

impl Way {
    fn serve(self: &Arc<Self>, client: TcpStream) {
        let upstream = lock(&self.upstream).clone();
        // A server that cannot be reached hangs up, as the original does.
        let Ok(server) = TcpStream::connect(&upstream) else { return };
        let connection = Arc::new(Connection::new(client, server));
        let mut connections = lock(&self.connections);
        connections.retain(|c| c.strong_count() > 0);
        connections.push(Arc::downgrade(&connection));
        drop(connections);
        link::join(self, connection);
    }

    fn toxics(&self) -> Vec<Toxic> {
        lock(&self.toxics).clone()
    }

    fn close_all(&self) {
        for connection in lock(&self.connections).drain(..).filter_map(|c| c.upgrade()) {
            connection.close();
        }
    }
}
