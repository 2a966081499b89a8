//! MySQL itself, of Debian's unstable release, which alone has it: its packages move.
//! Must not know how a server is started.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::Result;

use crate::my_server::{self, Product};

pub use crate::my_server::{MyServer, USER_PASSWORD};

const MYSQL: Product = Product {
    name: "mysql",
    release: "sid",
    packages: &[
        "libaio1t64",
        "libbsd0",
        "libc6",
        "libedit2",
        "libgcc-s1",
        "libgoogle-perftools4t64",
        "libicu78",
        "liblz4-1",
        "liblzma5",
        "libmd0",
        "libnuma1",
        "libprotobuf-lite32t64",
        "libssl3t64",
        "libstdc++6",
        "libtinfo6",
        "libunwind8",
        "libxxhash0",
        "libzstd1",
        "mysql-client-core=9.7.*",
        "mysql-server-core=9.7.*",
        "zlib1g",
    ],
    program: "usr/sbin/mysqld",
    client: "usr/bin/mysql",
    is_mariadb: false,
};

/// Installs it if needed (some seconds, 240 MB) and returns the folder.
///
/// # Errors
/// When Debian's mirror cannot be reached, or has another version by now.
pub fn install() -> Result<PathBuf> {
    my_server::install(MYSQL)
}

/// The server of this process, started on first use and stopped when the process ends; none, said loudly, where its
/// packages are not to be had any more. Give each test a database of its own: [`MyServer::fresh_database`].
///
/// # Panics
/// When it is installed and cannot be started.
pub fn shared() -> Option<&'static MyServer> {
    static SHARED: OnceLock<Option<MyServer>> = OnceLock::new();
    let start = || match install() {
        Ok(_) => Some(start(&[]).unwrap_or_else(|e| panic!("failed to start the shared MySQL: {e:#}"))),
        Err(e) => {
            eprintln!("LEFT OUT: everything that needs MySQL 9.7, since it cannot be installed: {e:#}");
            None
        }
    };
    SHARED.get_or_init(start).as_ref()
}

/// A server of its own, with these words for it.
///
/// # Errors
/// When it cannot be installed, or does not start.
pub fn start(extra: &[&str]) -> Result<MyServer> {
    MyServer::start(MYSQL, extra)
}
