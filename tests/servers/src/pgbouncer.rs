//! pgBouncer in front of a PostgreSQL of ours.
//! Must not know what goes through it.

use std::ffi::OsString;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::guard::{self, Data, Ending, Guard};
use crate::postgres::Postgres;
use crate::{cache, command};

/// Longest time it may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(20);

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
    /// How long a server connection belongs to a client.
    pub mode: PoolMode,
    /// Server connections for each database.
    pub size: u32,
    /// How long a client waits for a server connection before the pooler ends it, seconds.
    pub query_wait_timeout_s: u32,
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
        let program = match find() {
            Some(program) => program,
            None => {
                command::apt_install(&["pgbouncer"])?;
                find().context("find pgbouncer after its installation")?
            }
        };
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
        let words: [OsString; 2] = [program.into(), config.into()];
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

fn find() -> Option<PathBuf> {
    // Debian keeps it where the path of a plain user does not lead.
    command::on_path("pgbouncer").or_else(|| Some(PathBuf::from("/usr/sbin/pgbouncer")).filter(|p| p.exists()))
}
