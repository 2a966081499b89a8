//! What sources that speak to a server share: waiting, TLS, URLs, and what is said of a connection.
//! It must not know any protocol, driver or engine.

#![forbid(unsafe_code)]

mod engine;
pub mod tls;
mod url;

pub use engine::{Ended, Engine, Limit};
pub use url::{Url, decoded, host_and_port, parse_port};

/// The steps of a connection.
pub mod stage {
    /// The host's name is looked up.
    pub const RESOLVE: &str = "resolve";
    /// The server is called.
    pub const TCP: &str = "tcp";
    /// The same on a socket of this machine.
    pub const SOCKET: &str = "socket";
    /// Both agree on a protection.
    pub const TLS: &str = "tls";
    /// The server admits the user.
    pub const LOGIN: &str = "login";
}
