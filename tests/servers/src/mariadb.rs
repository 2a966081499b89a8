//! MariaDB, of Debian's stable release.
//! Must not know how a server is started.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::Result;

use crate::my_server::{self, Product};

pub use crate::my_server::{MyServer, USER_PASSWORD};

const MARIADB: Product = Product {
    name: "mariadb",
    release: "bookworm",
    packages: &[
        "libaio1",
        "libc6",
        "libcap2",
        "libcrypt1",
        "libedit2",
        "libbsd0",
        "libgcc-s1",
        "libgcrypt20",
        "libgpg-error0",
        "liblz4-1",
        "liblzma5",
        "libmd0",
        "libncurses6",
        "libnuma1",
        "libpcre2-8-0",
        "libssl3",
        "libstdc++6",
        "libsystemd0",
        "libtinfo6",
        "liburing2",
        "libzstd1",
        "mariadb-client-core",
        "mariadb-common",
        "mariadb-server",
        "mariadb-server-core",
        "zlib1g",
    ],
    program: "usr/sbin/mariadbd",
    client: "usr/bin/mariadb",
    is_mariadb: true,
};

/// Installs it if needed (some seconds, 180 MB) and returns the folder.
///
/// # Errors
/// When Debian's mirror cannot be reached.
pub fn install() -> Result<PathBuf> {
    my_server::install(MARIADB)
}

/// The server of this process, started on first use and stopped when the process ends.
/// Give each test a database of its own: [`MyServer::fresh_database`].
///
/// # Panics
/// When the server cannot be started.
pub fn shared() -> &'static MyServer {
    static SHARED: OnceLock<MyServer> = OnceLock::new();
    SHARED.get_or_init(|| start(&[]).unwrap_or_else(|e| panic!("failed to start the shared MariaDB: {e:#}")))
}

/// A server of its own, with these words for it.
///
/// # Errors
/// When it cannot be installed, or does not start.
pub fn start(extra: &[&str]) -> Result<MyServer> {
    MyServer::start(MARIADB, extra)
}
