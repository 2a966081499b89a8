//! pgBouncer in front of a PostgreSQL of ours.
//! Must not know what goes through it.

use std::ffi::OsString;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::guard::{self, Data, Ending, Guard};
use crate::postgres::Postgres;
use crate::{Cache, cache, command, debian};

/// Longest time it may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Where Debian keeps the program.
const PROGRAM: &str = "usr/sbin/pgbouncer";

/// A version of pgBouncer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Passes prepared statements on as they come: a name that a client left is there for the next.
    V1_18,
    /// Follows prepared statements, and gives each a name of its own on the server.
    V1_24,
}

impl Version {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::V1_18, Self::V1_24];

    /// As it calls itself.
    pub const fn number(self) -> &'static str {
        match self {
            Self::V1_18 => "1.18",
            Self::V1_24 => "1.24",
        }
    }

    /// The Debian release that has it, and its libraries there. Fixes of the release come with a new installation.
    const fn packages(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::V1_18 => (
                "bookworm",
                &[
                    "libaudit1",
                    "libc-ares2",
                    "libc6",
                    "libcap-ng0",
                    "libcap2",
                    "libevent-2.1-7",
                    "libgcrypt20",
                    "libgpg-error0",
                    "liblz4-1",
                    "liblzma5",
                    "libpam0g",
                    "libssl3",
                    "libsystemd0",
                    "libzstd1",
                ],
            ),
            Self::V1_24 => (
                "trixie",
                &[
                    "libaudit1",
                    "libc6",
                    "libcap-ng0",
                    "libcap2",
                    "libcares2",
                    "libevent-2.1-7t64",
                    "libpam0g",
                    "libssl3t64",
                    "libsystemd0",
                    "libzstd1",
                    "zlib1g",
                ],
            ),
        }
    }
}

/// Installs a version if needed (about half a minute: apt's lists) and returns its folder.
///
/// # Errors
/// When its packages cannot be fetched, or it does not run.
pub fn install(version: Version) -> Result<PathBuf> {
    let (release, libraries) = version.packages();
    Cache::open()?.install(&format!("pgbouncer-{}-{release}", version.number()), |dir| {
        let program = format!("pgbouncer={}.*", version.number());
        debian::unpack(dir, release, &[&[program.as_str()], libraries].concat())?;
        let words = debian::words(dir, PROGRAM)?;
        let says = command::output(Command::new(&words[0]).args(&words[1..]).arg("--version"), "")?;
        ensure!(says.contains(&format!("PgBouncer {}.", version.number())), "another version came: {says}");
        Ok(())
    })
}

/// How long a server connection belongs to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// Until the client goes.
    Session,
    /// For a transaction.
    Transaction,
}

/// How to start a pooler.
#[derive(Debug, Clone, Copy)]
pub struct PoolOptions {
    /// Which pgBouncer.
    pub version: Version,
    /// How long a server connection belongs to a client.
    pub mode: PoolMode,
    /// Server connections for each database.
    pub size: u32,
    /// How long a client waits for a server connection before the pooler ends it, seconds.
    pub query_wait_timeout_s: u32,
}

impl Default for PoolOptions {
    /// The bad case: an old version, one connection to the server, for a transaction. Who waits for it waits as long as
    /// pgBouncer lets by default.
    fn default() -> Self {
        Self { version: Version::V1_18, mode: PoolMode::Transaction, size: 1, query_wait_timeout_s: 120 }
    }
}

/// A running pooler, gone when this is dropped or this process ends. Clients log in as `postgres`, by SCRAM.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    guard: Option<Guard>,
    password: String,
    _owner: fs::File,
}

impl PgBouncer {
    /// Installs pgBouncer if it is missing, and starts it.
    ///
    /// # Errors
    /// When it cannot be installed or does not start; the error ends with its log.
    pub fn start(server: &Postgres, options: PoolOptions) -> Result<Self> {
        let program = debian::words(&install(options.version)?, PROGRAM)?;
        let (dir, owner) = cache::data_dir("pgbouncer")?;
        let socket = TcpListener::bind(("127.0.0.1", 0)).context("find a free port")?;
        let port = socket.local_addr().context("find a free port")?.port();
        drop(socket);
        let mode = match options.mode {
            PoolMode::Session => "session",
            PoolMode::Transaction => "transaction",
        };
        let (users, config, log) = (dir.join("users.txt"), dir.join("pgbouncer.ini"), dir.join("log"));
        fs::write(&users, format!("\"postgres\" \"{}\"\n", server.password())).context("write the users")?;
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = {mode}\n\
             default_pool_size = {}\nmax_client_conn = 50\nquery_wait_timeout = {}\n\
             ignore_startup_parameters = extra_float_digits\n",
            server.port(),
            users.display(),
            options.size,
            options.query_wait_timeout_s
        );
        fs::write(&config, text).context("write the configuration")?;
        let words: Vec<OsString> = program.into_iter().chain([config.into()]).collect();
        let guard = Guard::spawn([&dir, &dir], &log, &guard::not_as_root()?, &words)?;
        let until = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if !guard.is_alive() || Instant::now() > until {
                bail!("pgbouncer does not start; its log:\n{}", fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { port, guard: Some(guard), password: server.password().to_owned(), _owner: owner })
    }

    /// URL of database `db` through the pooler.
    pub fn url(&self, db: &str) -> String {
        format!("postgresql://postgres:{}@127.0.0.1:{}/{db}", self.password, self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let Some(Err(e)) = self.guard.take().map(|guard| guard.end(Ending::Immediate, Data::Remove)) {
            eprintln!("failed to stop a test pgbouncer: {e:#}");
        }
    }
}
