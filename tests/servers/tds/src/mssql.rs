//! The server: starts, stops, makes databases and tables, and misbehaves on demand.
//! Must not know the protocol.

use std::collections::HashMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use rivet_test_servers::postgres::{self, Postgres};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::frozen::Frozen;
use crate::{session, tsql};

/// The login that every server admits, with this password.
pub const USER: &str = "sa";
/// Its password.
pub const PASSWORD: &str = "sa-Passw0rd";

/// What a server does about TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encryption {
    /// It has no certificate.
    Absent,
    /// Clients may ask for it.
    #[default]
    Offered,
    /// No login without it.
    Required,
}

/// How the server misbehaves with the rows of a SELECT that mentions `fault`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Not at all.
    #[default]
    None,
    /// It says that there were so many rows more.
    Count(i64),
    /// It says no number of rows.
    NoCount,
    /// It hangs up after so many rows.
    HangUp(u64),
    /// It says nothing more after so many rows.
    Silence(u64),
}

/// What all connections of a server share.
#[derive(Debug)]
pub struct Shared {
    pub(crate) postgres: String,
    pub(crate) encryption: Encryption,
    pub(crate) state: Mutex<State>,
}

/// What changes.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub fault: Fault,
    /// Statements as they came, and attentions as `ATTENTION`.
    pub log: Vec<String>,
    /// Database snapshots by their names.
    pub frozen: HashMap<String, Frozen>,
    /// Answers to SELECTs as they were made first, where they are only repeated.
    pub answers: Option<HashMap<String, Arc<[u8]>>>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server on a loopback port, which ends when this is dropped.
pub struct Mssql {
    postgres: &'static Postgres,
    port: u16,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The server of this process, which offers TLS.
///
/// # Panics
/// When it cannot be started.
pub fn shared() -> &'static Mssql {
    static SHARED: OnceLock<Mssql> = OnceLock::new();
    SHARED.get_or_init(|| {
        Mssql::start(Encryption::Offered)
            .unwrap_or_else(|e| panic!("failed to start the stand-in for SQL Server: {e:#}"))
    })
}

impl Mssql {
    /// Starts a server in front of the PostgreSQL that all tests of this process share.
    ///
    /// # Errors
    /// When that one does not start, or no port is free.
    pub fn start(encryption: Encryption) -> Result<Self> {
        let postgres = postgres::shared();
        let listener = TcpListener::bind("127.0.0.1:0").context("listen on loopback")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let acceptors = match encryption {
            Encryption::Absent => None,
            Encryption::Offered | Encryption::Required => Some((acceptor(postgres, false)?, acceptor(postgres, true)?)),
        };
        let url = postgres.url("DATABASE");
        let shared = Arc::new(Shared { postgres: url, encryption, state: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let served = shared.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    result = session::serve(listener, acceptors, served) => if let Err(e) = result { eprintln!("stand-in: {e:#}") },
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { postgres, port, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// The PostgreSQL behind it.
    pub fn postgres(&self) -> &'static Postgres {
        self.postgres
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// URL of a database, with the password.
    pub fn url(&self, database: &str) -> String {
        format!("mssql://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The authority that signed its certificate, and one that did not.
    pub fn ca_files(&self) -> (PathBuf, PathBuf) {
        (self.postgres.ca_file(), self.postgres.other_ca_file())
    }

    /// An empty database with the catalogue's views.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub fn fresh_database(&self, name: &str) -> Result<String> {
        let database = self.postgres.fresh_database(name)?;
        self.postgres.psql(&database, include_str!("catalogue.sql"))?;
        let path = format!("alter database {database} set search_path = dbo, sys, public");
        self.postgres.psql(&database, &path)?;
        Ok(database)
    }

    /// Makes `dbo.NAME` with columns declared as T-SQL has them, such as `decimal(18,2) NOT NULL`, or
    /// `varchar(20) COLLATE Latin1_General_CI_AS`; values are inserted by [`Mssql::psql`].
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub fn create_table(&self, database: &str, name: &str, columns: &[(&str, &str)]) -> Result<()> {
        let (mut defined, mut comments) = (Vec::new(), String::new());
        for (column, declared) in columns {
            let (declared, required) = match declared.strip_suffix(" NOT NULL") {
                Some(declared) => (declared, " NOT NULL"),
                None => (*declared, ""),
            };
            let column = column.replace('"', "\"\"");
            let kind = tsql::stored(declared.split(" COLLATE ").next().unwrap_or(declared));
            defined.push(format!("\"{column}\" {kind}{required}"));
            comments.push_str(&format!("comment on column dbo.\"{name}\".\"{column}\" is '{declared}';"));
        }
        self.psql(database, &format!("create table dbo.\"{name}\" ({});{comments}", defined.join(", ")))?;
        Ok(())
    }

    /// Runs statements of PostgreSQL's.
    ///
    /// # Errors
    /// The server's.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        self.postgres.psql(database, sql)
    }

    /// Drops a database snapshot as an operator would: its readers are thrown out.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn drop_snapshot(&self, database: &str, name: &str) -> Result<()> {
        let frozen = self.shared.lock().frozen.remove(name).context("a database snapshot of this name")?;
        let readers = frozen.readers.iter().map(|pid| format!("select pg_terminate_backend({pid});"));
        let readers: String = readers.collect();
        self.psql(database, &format!("{readers} delete from sys.snapshots where name = '{name}'"))?;
        Ok(())
    }

    /// From now on SELECTs that mention `fault` end so.
    pub fn misbehave(&self, fault: Fault) {
        self.shared.lock().fault = fault;
    }

    /// From now on each SELECT has the answer that it had the first time, which costs nearly nothing.
    pub fn repeat(&self) {
        self.shared.lock().answers = Some(HashMap::new());
    }

    /// Statements that came so far and hold this text; an attention is `ATTENTION`.
    pub fn heard(&self, text: &str) -> Vec<String> {
        self.shared.lock().log.iter().filter(|statement| statement.contains(text)).cloned().collect()
    }
}

impl Drop for Mssql {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// TLS with the certificate of the PostgreSQL behind: within a login 1.2 only, as SQL Server has it.
fn acceptor(postgres: &Postgres, strict: bool) -> Result<TlsAcceptor> {
    let (cert, key) = (postgres.dir().join("tls/server.pem"), postgres.dir().join("tls/server.key"));
    let chain = CertificateDer::pem_slice_iter(&fs::read(&cert)?).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|e| anyhow!("read {}: {e}", cert.display()))?;
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|e| anyhow!("read {}: {e}", key.display()))?;
    let only_12 = [&rustls::version::TLS12];
    let versions: &[&'static rustls::SupportedProtocolVersion] = if strict { rustls::ALL_VERSIONS } else { &only_12 };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    if strict {
        config.alpn_protocols.push(b"tds/8.0".to_vec());
    }
    Ok(TlsAcceptor::from(Arc::new(config)))
}
