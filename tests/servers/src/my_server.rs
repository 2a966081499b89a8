//! One server that speaks MySQL's protocol, MariaDB or MySQL itself: installed from Debian's packages, started, crashed, stopped.
//! Must not know what the tests read from it.
//!
//! Its defaults are hostile on purpose: modes that give other values to the same text, a time zone, a character set.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::certs::{Certs, ServerCert};
use crate::guard::{Data, Ending, Guard};
use crate::{Cache, cache, command, debian};

/// The password of every user but `root`.
pub const USER_PASSWORD: &str = "user-password";

/// Longest time a server may take to start or to recover.
const START_TIMEOUT: Duration = Duration::from_secs(90);

/// What our own client says first, so that the hostile defaults are not in its way.
const CALM: &str = "SET sql_mode = '', time_zone = '+00:00', sql_select_limit = DEFAULT, NAMES utf8mb4";

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Product {
    pub name: &'static str,
    pub release: &'static str,
    pub packages: &'static [&'static str],
    pub program: &'static str,
    pub client: &'static str,
    pub is_mariadb: bool,
}

/// A running server with a data folder of its own, both gone when this is dropped or this process ends.
///
/// Who may log in over TCP: `root`; `reader`, with the product's usual plugin; `secure`, over TLS only; `app`, with a client
/// certificate only; on MariaDB `ed`, by ed25519. They but root may read what is in any database.
#[derive(Debug)]
pub struct MyServer {
    product: Product,
    install: PathBuf,
    dir: PathBuf,
    port: u16,
    password: String,
    certs: Certs,
    extra: Vec<String>,
    guard: Option<Guard>,
    _owner: File,
}

/// Installs the product if needed and returns the folder that it is unpacked in.
pub(crate) fn install(product: Product) -> Result<PathBuf> {
    let name = format!("{}-{}", product.name, product.release);
    Cache::open()?.install(&name, |dir| debian::unpack(dir, product.release, product.packages))
}

impl MyServer {
    /// Makes and starts a server on a free loopback port, with these words for it after ours.
    pub(crate) fn start(product: Product, extra: &[&str]) -> Result<Self> {
        let install = install(product)?;
        let (dir, owner) = cache::data_dir(product.name)?;
        let certs = Certs::write(&dir.join("tls"), "app")?;
        let mut server = Self {
            product,
            install,
            dir,
            port: 0,
            password: cache::random_hex(12)?,
            certs,
            extra: extra.iter().map(|word| (*word).to_owned()).collect(),
            guard: None,
            _owner: owner,
        };
        let started = server.make_data().and_then(|()| server.launch_on_free_port());
        started.with_context(|| format!("start {}", product.name))?;
        Ok(server)
    }

    /// URL of a database for root, without a word about TLS.
    pub fn url(&self, database: &str) -> String {
        self.url_as("root", database)
    }

    /// URL of a database for a user, with its password and without a word about TLS.
    pub fn url_as(&self, user: &str, database: &str) -> String {
        let password = if user == "root" { &self.password } else { USER_PASSWORD };
        format!("mysql://{user}:{password}@{}:{}/{database}", self.host(), self.port)
    }

    /// Runs SQL statements as root by the product's own client and returns the rows: one a line, columns separated by tabs,
    /// all characters as they are.
    ///
    /// # Errors
    /// At the first statement that fails, with the server's message.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        command::output(&mut self.client(database)?, sql).with_context(|| format!("run SQL by {}", self.product.client))
    }

    /// The product's own client, logged in as root.
    ///
    /// # Errors
    /// When the install is damaged.
    pub fn client(&self, database: &str) -> Result<Command> {
        let words = debian::words(&self.install, self.product.client)?;
        let mut client = Command::new(&words[0]);
        client.args(&words[1..]).args(["--no-defaults", "--batch", "--raw", "--skip-column-names", "--binary-mode"]);
        client.env("MYSQL_PWD", &self.password).arg(format!("--init-command={CALM}"));
        if self.product.is_mariadb {
            client.arg("--skip-ssl");
        }
        client.args(["-h", self.host(), "-u", "root", "--default-character-set=utf8mb4", "--comments"]);
        client.arg(format!("--port={}", self.port));
        if !database.is_empty() {
            client.arg(database);
        }
        Ok(client)
    }

    /// Creates an empty database whose name starts with `name_prefix` and returns its name.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn fresh_database(&self, name_prefix: &str) -> Result<String> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name_prefix}_{}_{n}", std::process::id());
        self.sql("", &format!("create database `{name}` character set utf8mb4"))?;
        Ok(name)
    }

    /// Address the server listens on; its certificate is for this and for `localhost`.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Port on [`MyServer::host`]; it stays the same over a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is MariaDB.
    pub fn is_mariadb(&self) -> bool {
        self.product.is_mariadb
    }

    /// Password of `root`: letters and digits.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The CA that signed the server's and the client's certificate (PEM).
    pub fn ca_file(&self) -> PathBuf {
        self.certs.pem("ca")
    }

    /// A CA that signed neither (PEM).
    pub fn other_ca_file(&self) -> PathBuf {
        self.certs.pem("other-ca")
    }

    /// Client certificate of user `app` (PEM).
    pub fn client_cert(&self) -> PathBuf {
        self.certs.pem("client")
    }

    /// Key of the client certificate (PKCS#8 PEM).
    pub fn client_key(&self) -> PathBuf {
        self.certs.key("client")
    }

    /// The server's socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("s")
    }

    /// The server's log file.
    pub fn log_file(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// Process id of the running server.
    pub fn pid(&self) -> Option<u32> {
        self.guard.as_ref().map(Guard::server_pid)
    }

    /// Ends the server as a crash does, by SIGKILL; the data stay for [`MyServer::restart`].
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn crash(&mut self) -> Result<()> {
        if let Some(pid) = self.pid() {
            command::output(Command::new("kill").args(["-KILL", &pid.to_string()]), "")?;
        }
        self.end(Data::Keep)
    }

    /// Stops the server in good order if it runs, and starts it again on the same data and port.
    ///
    /// # Errors
    /// When it does not start again.
    pub fn restart(&mut self) -> Result<()> {
        self.end(Data::Keep)?;
        self.launch().with_context(|| format!("restart {}", self.product.name))
    }

    /// Stops the server in good order and removes its data.
    ///
    /// # Errors
    /// When its data cannot be removed.
    pub fn stop(mut self) -> Result<()> {
        self.end(Data::Remove)
    }

    fn end(&mut self, data: Data) -> Result<()> {
        if let Some(guard) = self.guard.take() {
            // Both take SIGQUIT for an end in good order.
            guard.end(Ending::Immediate, data)?;
        }
        if data == Data::Remove { cache::remove_dir(&self.dir) } else { Ok(()) }
    }

    fn share(&self) -> PathBuf {
        self.install.join("usr/share/mysql")
    }

    /// The words that every start of the server begins with.
    fn words(&self) -> Result<Vec<OsString>> {
        let mut words = debian::words(&self.install, self.product.program)?;
        words.extend(["--no-defaults", "--user=root", "--innodb-buffer-pool-size=64M"].map(OsString::from));
        let folder = |option: &str, path: &Path| {
            let mut word = OsString::from(option);
            word.push(path);
            word
        };
        words.push(folder("--datadir=", &self.dir.join("data")));
        words.push(folder("--lc-messages-dir=", &self.share()));
        words.push(folder("--character-sets-dir=", &self.share().join("charsets")));
        words.push(folder("--plugin-dir=", &self.install.join("usr/lib/mysql/plugin")));
        words.push(folder("--tmpdir=", &self.dir));
        Ok(words)
    }

    fn make_data(&self) -> Result<()> {
        let mut words = self.words()?;
        let sql = if self.product.is_mariadb {
            fs::create_dir(self.dir.join("data")).context("create the data folder")?;
            words.push("--bootstrap".into());
            let mut sql = String::from(
                "create database mysql;\nuse mysql;\nset @auth_root_socket=NULL;\nset @current_hostname='localhost';\n\
                 set @skip_auth_anonymous='x';\n",
            );
            for part in ["system_tables", "performance_tables", "system_tables_data"] {
                let file = self.share().join(format!("mysql_{part}.sql"));
                sql += &fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            }
            sql
        } else {
            words.push("--initialize-insecure".into());
            String::new()
        };
        let mut init = Command::new("setpriv");
        init.args(["--pdeathsig", "KILL", "--"]).args(&words).stdin(Stdio::piped());
        command::output(&mut init, &sql).context("make a data folder")?;
        fs::write(self.dir.join("users.sql"), self.users()).context("write the users")
    }

    /// Statements of one line each, which may run again.
    fn users(&self) -> String {
        let password = |password: &str| match self.product.is_mariadb {
            true => format!("identified via mysql_native_password using password('{password}')"),
            false => format!("identified by '{password}'"),
        };
        let (root, user) = (password(&self.password), password(USER_PASSWORD));
        let mut users = vec![
            format!("create user if not exists root@'127.0.0.1' {root};"),
            // MariaDB makes one without a password.
            format!("alter user root@'127.0.0.1' {root};"),
            "grant all on *.* to root@'127.0.0.1' with grant option;".to_owned(),
            format!("create user if not exists reader@'%' {user};"),
            format!("create user if not exists secure@'%' {user} require ssl;"),
            format!("create user if not exists app@'%' {user} require x509;"),
        ];
        let mut names = vec!["reader", "secure", "app"];
        if self.product.is_mariadb {
            users.push(format!(
                "create user if not exists ed@'%' identified via ed25519 using password('{USER_PASSWORD}');"
            ));
            names.push("ed");
        }
        users.extend(names.iter().map(|name| format!("grant select on *.* to {name}@'%';")));
        users.join("\n") + "\n"
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

    /// Starts the server process and waits until it greets.
    fn launch(&mut self) -> Result<()> {
        let mut words = self.words()?;
        let (cert, key) = self.certs.server(ServerCert::Good);
        let file = |name: &str| self.dir.join(name).display().to_string();
        words.extend(
            [
                // SIGINT, by which the guard ends it, is not heard without.
                "--gdb".to_owned(),
                "--skip-name-resolve".to_owned(),
                format!("--port={}", self.port),
                format!("--bind-address={}", self.host()),
                format!("--socket={}", file("s")),
                format!("--pid-file={}", file("pid")),
                format!("--init-file={}", file("users.sql")),
                format!("--ssl-ca={}", self.certs.pem("ca").display()),
                format!("--ssl-cert={}", cert.display()),
                format!("--ssl-key={}", key.display()),
                format!("--log-bin={}", file("binlog")),
                "--server-id=1".to_owned(),
                "--sync-binlog=0".to_owned(),
                // What is committed outlives the process, without an fsync each.
                "--innodb-flush-log-at-trx-commit=2".to_owned(),
                "--max-connect-errors=1000000".to_owned(),
                "--max-allowed-packet=64M".to_owned(),
                "--default-time-zone=+05:45".to_owned(),
                "--character-set-server=latin1".to_owned(),
                "--sql-mode=ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,NO_ZERO_DATE"
                    .to_owned(),
            ]
            .map(OsString::from),
        );
        let own: &[&str] = if self.product.is_mariadb {
            &["--plugin-load-add=auth_ed25519"]
        } else {
            &["--mysqlx=OFF", "--performance-schema=OFF", "--secure-file-priv=NULL"]
        };
        words.extend(own.iter().map(OsString::from));
        words.extend(self.extra.iter().map(OsString::from));
        let log = self.log_file();
        let guard = self.guard.insert(Guard::spawn([&self.dir, &self.dir.join("s.d")], &log, &[], &words)?);
        let until = Instant::now() + START_TIMEOUT;
        while !greets(self.port) {
            let alive = guard.is_alive();
            if !alive || Instant::now() > until {
                self.end(Data::Keep)?;
                let what = if alive { "is not ready" } else { "ended" };
                let text = fs::read_to_string(&log).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                bail!("the server {what}; its log ends with:\n{}", lines[lines.len().saturating_sub(15)..].join("\n"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for MyServer {
    fn drop(&mut self) {
        if let Err(e) = self.end(Data::Remove) {
            eprintln!("failed to stop a test {}: {e:#}", self.product.name);
        }
    }
}

/// Whether something says the first word there, as these servers do.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let timeout = stream.set_read_timeout(Some(Duration::from_secs(5)));
    timeout.is_ok() && stream.read_exact(&mut [0]).is_ok()
}
