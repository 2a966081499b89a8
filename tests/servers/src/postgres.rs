//! One PostgreSQL server of a chosen major version with TLS and the roles that tests log in as: start, stop, crash, restart.
//! Must not know what the tests read from it.

mod config;
mod install;
mod psql;
pub mod values;

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

pub use crate::certs::ServerCert;
pub use install::{DEFAULT_MAJOR, MAJORS, install};
pub use psql::{find as find_psql, run as run_psql};

use crate::certs::{Certs, write_private};
use crate::guard::{Data, Ending, Guard};
use crate::{cache, command, guard};

/// The password of the roles `plain`, `md5u` and `reader`. Role `app` has none: it logs in by its client certificate.
pub const ROLE_PASSWORD: &str = "role-password";

/// Longest time a server may take to start or to recover.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How to start a server.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Major version, one of [`MAJORS`].
    pub major: u32,
    /// Settings for `postgresql.conf`, unquoted values; they override ours.
    pub extra_conf: Vec<(String, String)>,
    /// Whether the server waits for its disk. Off makes tests fast; needed only by those that crash the machine.
    pub fsync: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { major: DEFAULT_MAJOR, extra_conf: Vec::new(), fsync: false }
    }
}

/// A running server with a data folder of its own, both gone when this is dropped or this process ends.
///
/// Who may log in over TCP: `postgres` and `reader` (SCRAM, with or without TLS), `app` (client certificate over TLS only), `plain`
/// (SCRAM without TLS only), `md5u` (MD5), and every role a test creates (SCRAM). `reader` can do nothing but what it is granted.
#[derive(Debug)]
pub struct Postgres {
    options: PostgresOptions,
    native: PathBuf,
    dir: PathBuf,
    socket_dir: PathBuf,
    port: u16,
    password: String,
    certs: Certs,
    guard: Option<Guard>,
    _owner: File,
}

/// The server of this process, version [`DEFAULT_MAJOR`], started on first use and stopped when the process ends.
/// Give each test a database of its own: [`Postgres::fresh_database`].
///
/// # Panics
/// When the server cannot be started.
pub fn shared() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(|| {
        Postgres::start(PostgresOptions::default())
            .unwrap_or_else(|e| panic!("failed to start the shared PostgreSQL: {e:#}"))
    })
}

impl Postgres {
    /// Installs the version if needed (about five seconds), then makes and starts a server on a free loopback port.
    ///
    /// # Errors
    /// When the version cannot be installed or the server does not start; the error ends with the server's log.
    pub fn start(options: PostgresOptions) -> Result<Self> {
        let native = install(options.major)?;
        let (dir, owner) = cache::data_dir(&format!("pg{}", options.major))?;
        let socket_dir = config::make_socket_dir(&dir)?;
        let certs = Certs::write(&dir.join("tls"), "app")?;
        let mut server = Self {
            options,
            native,
            dir,
            socket_dir,
            port: 0,
            password: cache::random_hex(12)?,
            certs,
            guard: None,
            _owner: owner,
        };
        server
            .make_cluster()
            .and_then(|()| server.launch_on_free_port())
            .and_then(|()| server.make_roles())
            .with_context(|| format!("start PostgreSQL {}", server.options.major))?;
        Ok(server)
    }

    /// URL of database `db` for the superuser, with the password and without TLS parameters.
    pub fn url(&self, db: &str) -> String {
        self.url_as("postgres", db)
    }

    /// URL of database `db` for a role, with its password (see [`ROLE_PASSWORD`]) and without TLS parameters.
    pub fn url_as(&self, role: &str, db: &str) -> String {
        let login = match role {
            "app" => "app".to_owned(),
            "postgres" => format!("postgres:{}", self.password),
            _ => format!("{role}:{ROLE_PASSWORD}"),
        };
        format!("postgresql://{login}@{}:{}/{db}", self.host(), self.port)
    }

    /// Runs SQL statements as the superuser, each in a transaction of its own, and returns the rows: one a line, columns
    /// separated by `|`.
    ///
    /// # Errors
    /// At the first statement that fails, with the server's message.
    pub fn psql(&self, db: &str, sql: &str) -> Result<String> {
        let conninfo = format!("host={} port={} user=postgres dbname={db} sslmode=disable", self.host(), self.port);
        psql::run(&conninfo, Some(&self.password), sql)
    }

    /// Creates an empty database whose name starts with `name_prefix` (lower-case letters, digits, `_`) and returns its name.
    /// Only the superuser can create anything in it.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn fresh_database(&self, name_prefix: &str) -> Result<String> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !name_prefix.chars().all(valid) || name_prefix.len() > 40 {
            bail!("create a database: the prefix {name_prefix:?} needs at most 40 of a-z, 0-9 and _");
        }
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name_prefix}_{}_{n}", std::process::id());
        self.psql(
            "postgres",
            &format!(
                "create database \"{name}\" template template0;\n\
                 revoke all on database \"{name}\" from public;\n\
                 grant connect on database \"{name}\" to public;\n\
                 \\connect \"{name}\"\n\
                 revoke create on schema public from public;"
            ),
        )?;
        Ok(name)
    }

    /// Address the server listens on; its good certificate is for this and for `localhost`.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Port on [`Postgres::host`]; it stays the same over a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Major version.
    pub fn major(&self) -> u32 {
        self.options.major
    }

    /// Password of the superuser `postgres`: letters and digits.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The CA that signed the good server certificate and the client certificate (PEM).
    pub fn ca_file(&self) -> PathBuf {
        self.certs.pem("ca")
    }

    /// A CA that signed neither (PEM).
    pub fn other_ca_file(&self) -> PathBuf {
        self.certs.pem("other-ca")
    }

    /// The certificate that nobody else signed (PEM), as if it were a CA.
    pub fn self_signed_file(&self) -> PathBuf {
        self.certs.server(ServerCert::SelfSigned).0
    }

    /// Client certificate of role `app` (PEM).
    pub fn client_cert(&self) -> PathBuf {
        self.certs.pem("client")
    }

    /// Key of the client certificate (PKCS#8 PEM, mode 0600).
    pub fn client_key(&self) -> PathBuf {
        self.certs.key("client")
    }

    /// Folder of the server's Unix socket, which takes SCRAM only.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// Folder of everything that belongs to this server; it is removed at the end.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The server's log file.
    pub fn log_file(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// Process id of the running server; none after [`Postgres::kill_immediate`].
    pub fn pid(&self) -> Option<u32> {
        self.guard.as_ref().map(Guard::server_pid)
    }

    /// Makes the server present another certificate to new connections. Not for [`shared`].
    ///
    /// # Errors
    /// When the server does not take it within ten seconds.
    pub fn use_server_cert(&mut self, cert: ServerCert) -> Result<()> {
        let (pem, key) = self.certs.server(cert);
        let pem = pem.display().to_string();
        self.psql(
            "postgres",
            &format!(
                "alter system set ssl_cert_file = {};\nalter system set ssl_key_file = {};\nselect pg_reload_conf();",
                config::sql_string(&pem),
                config::sql_string(&key.display().to_string())
            ),
        )?;
        let until = Instant::now() + Duration::from_secs(10);
        // The server reloads later than it answers; a new connection shows what new connections get.
        while self.psql("postgres", "show ssl_cert_file")?.trim_end() != pem {
            if Instant::now() > until {
                bail!("switch the server certificate to {pem}: the server did not reload within 10 s");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Stops the server in good order and removes its data.
    ///
    /// # Errors
    /// When its data cannot be removed.
    pub fn stop(mut self) -> Result<()> {
        self.end(Ending::Fast, Data::Remove)
    }

    /// Stops the server as a crash would (SIGQUIT), keeps the data and the port; [`Postgres::restart`] recovers it.
    ///
    /// # Errors
    /// When the server cannot be stopped.
    pub fn kill_immediate(&mut self) -> Result<()> {
        self.end(Ending::Immediate, Data::Keep)
    }

    /// Stops the server in good order if it runs, and starts it again on the same data and port.
    ///
    /// # Errors
    /// When the server does not start again.
    pub fn restart(&mut self) -> Result<()> {
        self.end(Ending::Fast, Data::Keep)?;
        self.launch().with_context(|| format!("restart PostgreSQL {}", self.options.major))
    }

    fn end(&mut self, ending: Ending, data: Data) -> Result<()> {
        if let Some(guard) = self.guard.take() {
            guard.end(ending, data)?;
        }
        if data == Data::Remove {
            // The guard did this, unless it had ended before: after a crash on purpose, or because somebody killed it.
            cache::remove_dir(&self.dir)?;
            cache::remove_dir(&self.socket_dir)?;
        }
        Ok(())
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Makes the data folder and writes the configuration.
    fn make_cluster(&self) -> Result<()> {
        let password_file = self.dir.join("password");
        write_private(&password_file, &self.password)?;
        let mut words = guard::not_as_root()?;
        // If we are killed now, so is this: the thread that waits for it is the thread that started it.
        words.extend(["setpriv", "--pdeathsig", "KILL", "--"].map(OsString::from));
        words.push(self.native.join("bin/initdb").into());
        let mut initdb = Command::new(&words[0]);
        initdb
            .args(&words[1..])
            .args(["-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-N"])
            .arg("--auth=scram-sha-256")
            .arg("--pwfile")
            .arg(&password_file)
            .arg("-D")
            .arg(self.data_dir());
        command::output(&mut initdb, "").context("make a data folder with initdb")?;
        fs::remove_file(&password_file).context("remove the password file")?;
        config::write(&self.data_dir(), &self.socket_dir, &self.certs, &self.options)
    }

    /// Another process may take the free port before the server does; then the server ends at once and we try the next.
    fn launch_on_free_port(&mut self) -> Result<()> {
        let mut attempt = 1;
        loop {
            let socket = TcpListener::bind((self.host(), 0)).context("find a free port")?;
            self.port = socket.local_addr().context("find a free port")?.port();
            drop(socket);
            match self.launch() {
                Err(_) if attempt < 3 => attempt += 1,
                other => return other,
            }
        }
    }

    /// Starts the server process and waits until it accepts connections.
    fn launch(&mut self) -> Result<()> {
        let mut words = vec![self.native.join("bin/postgres").into()];
        words.extend(["-p".into(), self.port.to_string().into()]);
        words.extend(["-D".into(), self.data_dir().into_os_string()]);
        let log = self.log_file();
        let dirs = [self.dir.as_path(), self.socket_dir.as_path()];
        let guard = Guard::spawn(dirs, &log, &guard::not_as_root()?, &words)?;
        let guard = self.guard.insert(guard);
        let pid_file = self.dir.join("data/postmaster.pid");
        let until = Instant::now() + START_TIMEOUT;
        while !config::is_ready(&pid_file) {
            let alive = guard.is_alive();
            if !alive || Instant::now() > until {
                self.end(Ending::Immediate, Data::Keep)?;
                let what = if alive { "is not ready" } else { "ended" };
                bail!("the server {what}; its log ends with:\n{}", tail(&log));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn make_roles(&self) -> Result<()> {
        self.psql(
            "postgres",
            &format!(
                "create role app login;\n\
                 create role plain login password '{ROLE_PASSWORD}';\n\
                 create role reader login password '{ROLE_PASSWORD}';\n\
                 set password_encryption = 'md5';\n\
                 create role md5u login password '{ROLE_PASSWORD}';\n\
                 revoke create on schema public from public;"
            ),
        )
        .context("create the roles")?;
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Err(e) = self.end(Ending::Fast, Data::Remove) {
            eprintln!("failed to stop a test PostgreSQL: {e:#}");
        }
    }
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
