//! Installs, starts and stops the real servers and the independent readers that tests talk to.
//! Must not know any crate of the product: what it says about a file or a server shares no code with us.
//!
//! Nothing has to be installed by hand: the first use installs into [`Cache`], later uses find it there.
//! Servers listen on loopback ports of their own, keep their data under `target/services/data` and end with the process that
//! started them, however that process ends. Beside them are enemies: a server that follows a script, a stream that tampers,
//! and a proxy with the faults of a network.

#![allow(clippy::print_stderr, reason = "what fails in a drop has nowhere else to go")]

pub mod azure;
pub mod browser;
mod cache;
mod certs;
mod command;
mod debian;
pub mod forward;
pub mod gcs;
mod guard;
pub mod hostile;
pub mod http;
mod listener;
pub mod mariadb;
pub mod my_pooler;
mod my_server;
pub mod mysql;
pub mod oracle;
pub mod pgbouncer;
pub mod postgres;
pub mod proxy;
mod python;
pub mod s3;
pub mod seed;
pub mod strace;
pub mod tds_clients;
pub mod toxiproxy;
pub mod type_oracle;
pub mod uat;
pub mod web;
pub mod wire;

pub use cache::Cache;
pub use certs::rsa_key;
