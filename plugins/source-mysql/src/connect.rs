//! One connection through mysql_async: login, statements, and ending them on the server.
//! It must not know which statements are run.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{BinaryProtocol, Column, Conn, Error, Opts, OptsBuilder, QueryResult, Row, Statement, Value};
use rivet_plugin_api::{CancelToken, Cx, ErrorKind, PluginError, Result, Retry};
use rivet_shared_net::{Ended, Engine, Limit, stage};

use crate::address::Settings;
use crate::backend::{Backend, SERVER, is_whole, login, text_at};
use crate::{error, tls};

/// Time for ending a statement over a second connection, login and all.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for a statement to end after that.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for a goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(200);
/// A server that ends its statements by a limit has so much longer to say so.
const SLACK: Duration = Duration::from_secs(30);
/// The largest row that the protocol has, bytes.
const MOST_ROW_BYTES: u64 = 1 << 30;
/// What a row may have beyond its limit for values: lengths, and columns of fixed width.
const ROW_OVERHEAD_BYTES: u64 = 64 << 10;

/// Rows of a catalogue query, as text.
pub type TextRows = Vec<Vec<Option<String>>>;

/// A connection that is logged in.
pub struct Client {
    settings: Settings,
    engine: Engine,
    /// Gone when nothing more can be read.
    conn: Option<Conn>,
    is_mariadb: bool,
    backend: Backend,
    /// The limit that was set for a statement, ms; 0 = none. Absent until the connection is set up.
    statement_timeout_ms: Option<u64>,
    /// When the latest statement was sent.
    sent: Instant,
    /// A statement was sent and its end was not read.
    busy: bool,
    /// The statement whose rows are read: closed at their end.
    statement: Option<Statement>,
}

impl Client {
    /// Connects and logs in, all of it within the time for connecting.
    ///
    /// # Errors
    /// `Config`, `Auth`, `Connection`, `Timeout` or `Cancelled`.
    pub fn connect(settings: &Settings, cx: &Cx) -> Result<Self> {
        let engine = Engine::new("mysql.runtime")?;
        let timeout = Duration::from_millis(settings.connect_timeout_ms);
        let work = login(options(settings)?);
        let (conn, is_mariadb, backend) = match engine.run(cx, Limit::within(timeout), work) {
            Err(Ended::Cancelled) => return Err(PluginError::cancelled()),
            Err(Ended::TooLate) => return Err(late(settings)),
            Err(Ended::Broken) => return Err(settings.failed_at(stage::LOGIN, error::broken())),
            Ok(connected) => connected.map_err(|e| {
                let e = error::of(&e);
                settings.failed_at(stage_of(&e, settings), e)
            })?,
        };
        let (settings, sent) = (settings.clone(), Instant::now());
        let (statement_timeout_ms, busy, statement) = (None, false, None);
        Ok(Self {
            settings,
            engine,
            conn: Some(conn),
            is_mariadb,
            backend,
            statement_timeout_ms,
            sent,
            busy,
            statement,
        })
    }

    /// The connection is set up: from now on the server may take as long for an answer as a statement may, which ends
    /// after `statement_timeout_ms` (0 = no limit) at the latest.
    pub fn ready(&mut self, statement_timeout_ms: u64) {
        self.statement_timeout_ms = Some(statement_timeout_ms);
    }

    /// Whether the server is MariaDB.
    pub fn is_mariadb(&self) -> bool {
        self.is_mariadb
    }

    /// Whether something in between hands out connections to the server.
    pub fn is_pooled(&self) -> bool {
        self.backend.is_pooled
    }

    /// Whether we still have the server's connection that we logged in to.
    ///
    /// # Errors
    /// The server's.
    pub fn is_kept(&mut self, cx: &Cx) -> Result<bool> {
        // A pooler answers a question about the connection alone by itself.
        let now = self.query("SELECT CONNECTION_ID(), VERSION()", cx)?;
        let now = now.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
        Ok(now == Some(self.backend.connection))
    }

    /// Whether two connections lead to one server: behind an address there may be several.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.backend.server == other.backend.server
    }

    /// Where the connection leads.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Runs a statement that has no result.
    ///
    /// # Errors
    /// The server's; the connection stays in step.
    pub fn execute(&mut self, sql: &str, cx: &Cx) -> Result<()> {
        self.call(cx, async |conn| conn.query_drop(sql).await)
    }

    /// Runs a statement of ours whose small result is read as text.
    ///
    /// # Errors
    /// The server's; the connection stays in step.
    pub fn query(&mut self, sql: &str, cx: &Cx) -> Result<TextRows> {
        let rows: Vec<Row> = self.call(cx, async |conn| conn.query(sql).await)?;
        let text = |value: Value| match value {
            Value::NULL => Ok(None),
            Value::Bytes(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            _ => Err(error::unexpected()),
        };
        rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect()
    }

    /// Runs a statement that may hold words of the user, prepared so that it is one; its small result as values.
    ///
    /// # Errors
    /// The server's; the connection stays in step.
    pub fn values(&mut self, sql: &str, cx: &Cx) -> Result<(Vec<Column>, Vec<Vec<Value>>)> {
        self.call(cx, async |conn| {
            let statement = conn.prep(sql).await?;
            let rows: Vec<Row> = conn.exec(&statement, ()).await?;
            let columns = rows.first().map_or_else(|| statement.columns(), Row::columns);
            let is_whole = is_whole(conn).await?;
            conn.close(statement).await?;
            Ok(is_whole.then(|| (columns.to_vec(), rows.into_iter().map(Row::unwrap).collect())))
        })?
        .ok_or_else(error::cut_off)
    }

    /// The columns that a statement would deliver.
    ///
    /// # Errors
    /// The server's; the connection stays in step.
    pub fn prepare(&mut self, sql: &str, cx: &Cx) -> Result<Vec<Column>> {
        self.call(cx, async |conn| {
            let statement = conn.prep(sql).await?;
            let columns = statement.columns().to_vec();
            conn.close(statement).await?;
            Ok(columns)
        })
    }

    /// Starts a statement, prepared, whose rows [`Client::rows`] reads.
    ///
    /// # Errors
    /// The server's; the connection stays in step.
    pub fn start(&mut self, sql: &str, cx: &Cx) -> Result<()> {
        let statement = self.call(cx, async |conn| {
            let statement = conn.prep(sql).await?;
            // Its rows stay where they are.
            conn.exec_iter(&statement, ()).await.map(drop)?;
            Ok(statement)
        })?;
        (self.busy, self.statement) = (true, Some(statement));
        Ok(())
    }

    /// Gives rows to `take` until it says that it has enough (`false`) or there are no more; says whether there are no
    /// more: the server said so, by the packet that ends a result.
    ///
    /// # Errors
    /// The server's, `Connection`, `Timeout`, `Cancelled`, `Data` for a row beyond the limit, or what `take` says.
    pub fn rows(&mut self, cx: &Cx, mut take: impl FnMut(&Row) -> Result<bool>) -> Result<bool> {
        let mut refused = None;
        let statement = self.statement.clone();
        let ended = self.call_on(cx, false, async |conn| {
            let mut result = QueryResult::<'_, '_, BinaryProtocol>::new(&mut *conn);
            while let Some(row) = result.next().await? {
                match take(&row) {
                    Ok(true) => {}
                    Ok(false) => return Ok(false),
                    Err(e) => {
                        refused = Some(e);
                        return Ok(false);
                    }
                }
            }
            drop(result);
            if !is_whole(conn).await? {
                refused = Some(error::cut_off());
            }
            if let Some(statement) = statement {
                conn.close(statement).await?;
            }
            // An end with rows behind it was none: they would be taken for the answer to this.
            conn.ping().await?;
            Ok(true)
        });
        match ended {
            Err(e) if e.vendor().is_some() => {
                self.busy = false;
                Err(e)
            }
            Err(e) => Err(e),
            Ok(ended) => {
                self.busy &= !ended;
                refused.map_or(Ok(ended), Err)
            }
        }
    }

    fn call<T>(&mut self, cx: &Cx, work: impl AsyncFnOnce(&mut Conn) -> Result<T, Error>) -> Result<T> {
        if self.busy {
            return Err(PluginError::new(ErrorKind::Internal, "mysql.busy", "a statement is running already"));
        }
        self.call_on(cx, true, work)
    }

    /// Waits for something of the connection. After an error that is not the server's it is of no more use.
    fn call_on<T>(&mut self, cx: &Cx, sends: bool, work: impl AsyncFnOnce(&mut Conn) -> Result<T, Error>) -> Result<T> {
        // Nothing is sent that would have to be ended at once.
        cx.check()?;
        if sends {
            self.sent = Instant::now();
        }
        let limit = self.limit();
        let mut conn = self.conn.take().ok_or_else(error::closed)?;
        let failure = match self.engine.run(cx, limit, work(&mut conn)) {
            Ok(Ok(value)) => {
                self.conn = Some(conn);
                return Ok(value);
            }
            Ok(Err(Error::Server(e))) => {
                self.conn = Some(conn);
                return Err(error::interrupted(
                    error::of(&Error::Server(e)),
                    self.statement_timeout_ms.unwrap_or_default(),
                ));
            }
            Ok(Err(e)) => error::of(&e),
            Err(Ended::Cancelled) => PluginError::cancelled(),
            Err(Ended::Broken) => error::broken(),
            Err(Ended::TooLate) => error::no_progress("read from the server", self.sent.elapsed()),
        };
        // What runs there has nobody who reads it.
        self.busy = false;
        self.kill();
        Err(failure)
    }

    /// A server that has a limit for statements keeps to it, or is lost.
    fn limit(&self) -> Limit {
        let since_sent = |time: Duration| Some(self.sent + time);
        let silence = Duration::from_millis(self.settings.no_progress_timeout_ms);
        let silence = Some(silence).filter(|s| !s.is_zero());
        match self.statement_timeout_ms {
            None => Limit { until: since_sent(Duration::from_millis(self.settings.connect_timeout_ms)), silence: None },
            Some(0) => Limit { until: None, silence },
            Some(ms) => Limit { until: since_sent(Duration::from_millis(ms) + SLACK), silence },
        }
    }

    /// Ends what runs on the server and reads to its end, within a bounded time. Without success the connection is of no
    /// more use, which the next statement says.
    pub fn cancel_and_drain(&mut self) {
        if !std::mem::replace(&mut self.busy, false) {
            return;
        }
        let Some(mut conn) = self.conn.take() else { return };
        if !self.kill() {
            return;
        }
        let drain = async {
            let mut result = QueryResult::<'_, '_, BinaryProtocol>::new(&mut conn);
            loop {
                match result.next().await {
                    Ok(Some(_)) => {}
                    Ok(None) | Err(Error::Server(_)) => return true,
                    Err(_) => return false,
                }
            }
        };
        let token = CancelToken::new();
        if let Ok(true) = self.engine.run(&token.cx(), Limit::within(DRAIN_TIMEOUT), drain) {
            self.conn = Some(conn);
        }
    }

    /// Asks the server, over a second connection, to end what runs in this one; says whether it was heard. Another server
    /// would end the statement of somebody else.
    fn kill(&self) -> bool {
        let Ok(options) = options(&self.settings) else { return false };
        let work = async {
            let mut second = Conn::new(options).await?;
            let server: Option<Row> = second.query_first(format!("SELECT {SERVER}")).await?;
            let is_same = server.and_then(|row| text_at(&row, 0)).is_some_and(|server| server == self.backend.server);
            if is_same {
                second.query_drop(format!("KILL QUERY {}", self.backend.connection)).await?;
            }
            second.disconnect().await?;
            Ok::<_, Error>(is_same)
        };
        let token = CancelToken::new();
        let heard = matches!(self.engine.run(&token.cx(), Limit::within(KILL_TIMEOUT), work), Ok(Ok(true)));
        if !heard {
            tracing::debug!("the server could not be asked to end a statement");
        }
        heard
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        if self.busy {
            self.kill();
            return;
        }
        let token = CancelToken::new();
        let _ = self.engine.run(&token.cx(), Limit::within(GOODBYE_TIMEOUT), conn.disconnect());
    }
}

fn options(settings: &Settings) -> Result<Opts> {
    let row_bytes = match settings.max_value_bytes {
        0 => MOST_ROW_BYTES,
        most => most.saturating_add(ROW_OVERHEAD_BYTES).min(MOST_ROW_BYTES),
    };
    let mut builder = OptsBuilder::default()
        .tcp_port(settings.port)
        .user(Some(&settings.user))
        .pass(settings.password.as_ref().map(|password| password.expose()))
        .db_name(settings.database.as_ref())
        .prefer_socket(false)
        .stmt_cache_size(0_usize)
        .wait_timeout(Some(0))
        .max_allowed_packet(usize::try_from(row_bytes).ok())
        .connect_attribute("program_name", settings.program.clone());
    if settings.is_socket() {
        builder = builder.socket(Some(&settings.host));
    } else {
        builder = builder.ip_or_hostname(&settings.host);
        if let Some(tls) = &settings.tls {
            builder = builder.ssl_opts(tls::options(tls)?);
        }
    }
    Ok(builder.into())
}

/// The step that an error of connecting is of.
fn stage_of(e: &PluginError, settings: &Settings) -> &'static str {
    match e.code() {
        "mysql.tls" | "mysql.no_tls" => stage::TLS,
        _ if e.vendor().is_some() || e.kind() == ErrorKind::Auth => stage::LOGIN,
        _ if settings.is_socket() => stage::SOCKET,
        _ => stage::TCP,
    }
}

fn late(settings: &Settings) -> PluginError {
    let (server, seconds) = (settings.server_label(), settings.connect_timeout_ms / 1000);
    let text = format!("failed to connect to {server} in {seconds} s");
    let e = PluginError::new(ErrorKind::Timeout, "mysql.no_progress", text)
        .retry(Retry::NewSession)
        .hint("check host and port, firewalls in between, and that a MySQL or MariaDB server listens there");
    settings.failed_at(stage::TCP, e)
}
