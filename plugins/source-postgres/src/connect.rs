//! One connection through tokio-postgres: login, statements, and cancelling on the server.
//! It must not know which statements are run.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rivet_plugin_api::{CancelToken, Cx, ErrorKind, PluginError, Result};
use rivet_shared_net::{Ended, Engine, Limit};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::{Config, Connection};

use crate::door::Door;
use crate::error;
use crate::failure::{Failure, explained, late_login};
use crate::rows;
use crate::socket::Socket;
use crate::stream::RowFrames;
use crate::tap::{Facts, Rows as Wanted, Shared, Tap, bodies};

pub use crate::address::Settings;
pub use crate::rows::{ColumnInfo, Rows};

/// Time for a cancel request, connection and all.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest wait for a statement to end after it was cancelled.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for a goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(200);
/// A server that ends its statements by a limit has so much longer to say so.
const SLACK: Duration = Duration::from_secs(30);
/// Most that the result of a catalogue query may cost, bytes: the names of some 150 000 tables.
const MAX_RESULT_BYTES: usize = 48 << 20;

/// A statement's end as the library tells it.
pub type Ending = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

/// A connection that is logged in.
pub struct Client {
    settings: Arc<Settings>,
    engine: Engine,
    /// Gone when the goodbye was said.
    library: Option<Arc<tokio_postgres::Client>>,
    connection: Connection<Socket, Tap>,
    pub(crate) seen: Shared,
    /// The limit that was set for a statement, ms; 0 = none. Absent until the connection is set up.
    statement_timeout_ms: Option<u64>,
    /// When the latest statement was sent.
    sent: Instant,
    /// A statement was sent and its end was not read.
    busy: bool,
    /// Nothing more can be read.
    broken: bool,
}

impl Client {
    /// Connects and logs in, all of it within the time for connecting. Statements have that time too, until
    /// [`Client::ready`].
    ///
    /// # Errors
    /// `Config`, `Auth`, `Connection`, `Timeout` or `Cancelled`.
    pub fn connect(settings: &Settings, cx: &Cx) -> Result<Self> {
        let config = library_config(settings)?;
        let settings = Arc::new(settings.clone());
        let engine = Engine::new("postgres.runtime")?;
        let seen = Facts::shared();
        let timeout = Duration::from_millis(settings.connect_timeout_ms);
        let mut work = Box::pin(async {
            let socket = Socket::connect(&settings, |stage| Facts::lock(&seen).stage = stage).await?;
            Facts::lock(&seen).address = socket.peer_address();
            Ok::<_, Failure>(config.connect_raw(socket, Door::new(settings.clone(), seen.clone())).await?)
        });
        let result = engine.poll(cx, Limit::within(timeout), Instant::now, |task| work.as_mut().poll(task));
        drop(work);
        let result = match result {
            Err(Ended::Cancelled) => return Err(PluginError::cancelled()),
            Err(Ended::TooLate) => Err(late_login(&settings, &seen)),
            Err(Ended::Broken) => Err(error::broken()),
            Ok(connected) => connected.map_err(|e| explained(e, &seen, error::login)),
        };
        let stage = Facts::lock(&seen).stage;
        let at_stage = |e: PluginError| if e.get("stage").is_some() { e } else { settings.failed_at(stage)(e) };
        let (library, connection) = result.map_err(at_stage)?;
        let library = Some(Arc::new(library));
        let sent = Instant::now();
        let (statement_timeout_ms, busy, broken) = (None, false, false);
        Ok(Self { settings, engine, library, connection, seen, statement_timeout_ms, sent, busy, broken })
    }

    /// The connection is set up: from now on the server may take as long for an answer as a statement may, which ends
    /// after `statement_timeout_ms` (0 = no limit) at the latest.
    pub fn ready(&mut self, statement_timeout_ms: u64) {
        self.statement_timeout_ms = Some(statement_timeout_ms);
    }

    /// Version as `170010` for 17.10; 0 when the server did not say.
    pub fn server_version_num(&self) -> u32 {
        Facts::lock(&self.seen).version
    }

    /// The steps that the connection took.
    pub fn steps(&self) -> Vec<&'static str> {
        self.settings.steps()
    }

    /// Process id of the server's end, as whoever answered the login says.
    pub fn announced_process_id(&self) -> i32 {
        Facts::lock(&self.seen).process_id
    }

    /// Runs statements and ignores their results.
    ///
    /// # Errors
    /// The server's first error; the connection stays in step.
    pub fn execute(&mut self, sql: &str, cx: &Cx) -> Result<()> {
        self.query(sql, cx).map(drop)
    }

    /// Runs a statement whose small result is read as text.
    ///
    /// # Errors
    /// The server's error; the connection stays in step.
    pub fn query(&mut self, sql: &str, cx: &Cx) -> Result<Rows> {
        let mut ending = self.begin(sql, Wanted::Keep { max_bytes: MAX_RESULT_BYTES }, cx)?;
        self.drive(cx, self.limit(), |task, _| ending.as_mut().poll(task).map_err(Failure::from))?;
        self.idle();
        let mut facts = Facts::lock(&self.seen);
        let mut kept = Vec::new();
        facts.take_rows(&mut kept);
        let columns = if facts.columns.is_empty() { Vec::new() } else { rows::columns(&facts.columns)? };
        Ok(Rows { columns, rows: bodies(&kept).map(rows::text_row).collect::<Result<_>>()? })
    }

    /// Starts `COPY (…) TO STDOUT (FORMAT binary)`.
    ///
    /// # Errors
    /// The server's error; the connection stays in step.
    pub fn copy_out(&mut self, sql: &str, cx: &Cx) -> Result<RowFrames<'_>> {
        self.must_be_idle(sql, cx)?;
        self.sending(Wanted::Discard);
        let (library, sql) = (self.library()?, sql.to_owned());
        // The library names the statement, and closes it behind the COPY: before the transaction ends, so that a pooler
        // hands the name to nobody.
        let mut starting = Box::pin(async move { library.copy_out(&sql).await });
        let limit = self.limit();
        let stream = self.drive(cx, limit, |task, _| starting.as_mut().poll(task).map_err(Failure::from))?;
        Ok(RowFrames::copy(self, stream))
    }

    /// Hands a statement to the library, which reads its answer but not its rows.
    pub(crate) fn begin(&mut self, sql: &str, rows: Wanted, cx: &Cx) -> Result<Ending> {
        self.must_be_idle(sql, cx)?;
        self.sending(rows);
        let (library, sql) = (self.library()?, sql.to_owned());
        Ok(Box::pin(async move { library.batch_execute(&sql).await }))
    }

    fn must_be_idle(&self, sql: &str, cx: &Cx) -> Result<()> {
        // Nothing is sent that would have to be cancelled at once.
        cx.check()?;
        if self.broken {
            return Err(error::closed());
        }
        if self.busy {
            return Err(PluginError::new(ErrorKind::Internal, "postgres.busy", "a statement is running already"));
        }
        no_zero_byte(sql)
    }

    fn sending(&mut self, rows: Wanted) {
        Facts::lock(&self.seen).begin(rows);
        self.busy = true;
        self.sent = Instant::now();
    }

    fn library(&self) -> Result<Arc<tokio_postgres::Client>> {
        self.library.clone().ok_or_else(error::closed)
    }

    /// The statement's end was read.
    pub(crate) fn idle(&mut self) {
        self.busy = false;
    }

    /// Polls for something of the connection, and the connection itself, until it is there. What is polled sees the
    /// facts as they are.
    ///
    /// # Errors
    /// The server's, after which the connection is in step; all others leave it of no use.
    pub(crate) fn drive<T>(
        &mut self,
        cx: &Cx,
        limit: Limit,
        mut poll: impl FnMut(&mut Context<'_>, &Shared) -> Poll<Result<T, Failure>>,
    ) -> Result<T> {
        let Self { engine, connection, seen, .. } = self;
        Facts::lock(seen).listen();
        let mut over = None;
        let heard = || Facts::lock(seen).heard;
        let result = engine.poll(cx, limit, heard, |task| {
            loop {
                if let Poll::Ready(result) = poll(task, seen) {
                    return Poll::Ready(result);
                }
                // Whoever waits for an answer is not told by the library that none will come.
                if let Some(cause) = over.take() {
                    return Poll::Ready(Err(cause));
                }
                match connection.poll_message(task) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(e))) => over = Some(Failure::Library(e)),
                    Poll::Ready(None) => over = Some(Failure::Own(error::closed())),
                    Poll::Pending => {
                        // Rows may have come past the library, and be so many that nothing more was read.
                        let full = Facts::lock(seen).is_full();
                        let polled = poll(task, seen);
                        if polled.is_ready() || !full {
                            return polled;
                        }
                    }
                }
            }
        });
        let failure = match result {
            Ok(Ok(value)) => return Ok(value),
            Err(Ended::Cancelled) => PluginError::cancelled(),
            Err(Ended::TooLate) => error::no_progress("read from the server", self.sent.elapsed()),
            Err(Ended::Broken) => error::broken(),
            Ok(Err(failure)) => {
                // Where the connection failed, what was polled may only have heard that it is gone.
                let failure = match (&failure, over) {
                    (Failure::Library(e), Some(cause)) if e.is_closed() => cause,
                    _ => failure,
                };
                let e = explained(failure, seen, error::unexpected);
                if e.state().is_some() && Facts::lock(seen).fault().is_none() {
                    self.busy = false;
                    return Err(self.cancelled_by(e));
                }
                e
            }
        };
        self.broken = true;
        Err(failure)
    }

    /// A server that has a limit for statements keeps to it, or is lost.
    pub(crate) fn limit(&self) -> Limit {
        let since_sent = |time: Duration| Some(self.sent + time);
        let silence = Duration::from_millis(self.settings.no_progress_timeout_ms);
        let silence = Some(silence).filter(|s| !s.is_zero());
        match self.statement_timeout_ms {
            None => Limit { until: since_sent(Duration::from_millis(self.settings.connect_timeout_ms)), silence: None },
            Some(0) => Limit { until: None, silence },
            Some(ms) => Limit { until: since_sent(Duration::from_millis(ms) + SLACK), silence },
        }
    }

    /// A cancelled statement: by our own timeout, or by somebody else.
    fn cancelled_by(&self, e: PluginError) -> PluginError {
        if e.state() != Some("57014") {
            return e;
        }
        let elapsed_ms = u64::try_from(self.sent.elapsed().as_millis()).unwrap_or(u64::MAX);
        error::canceled(e, elapsed_ms, self.statement_timeout_ms.unwrap_or(0))
    }

    /// Cancels what runs on the server and reads to its end, within a bounded time. Without success the connection is
    /// of no more use, which the next statement says.
    pub(crate) fn cancel_and_drain(&mut self) {
        if self.broken || !self.busy {
            // Dropping a broken client cancels.
            return;
        }
        let Ok(library) = self.library() else { return };
        if !self.cancel() {
            // A server that does not hear that does not end the statement either.
            (self.broken, self.busy) = (true, false);
            return;
        }
        Facts::lock(&self.seen).mode = Wanted::Discard;
        // Answers come in order: the end of nothing comes after the end of what was cancelled.
        let mut nothing: Ending = Box::pin(async move { library.batch_execute("").await });
        let (token, limit) = (CancelToken::new(), Limit::within(DRAIN_TIMEOUT));
        let drained = self.drive(&token.cx(), limit, |task, _| nothing.as_mut().poll(task).map_err(Failure::from));
        // It was asked for once: that is enough.
        self.busy = false;
        if let Err(e) = drained {
            tracing::debug!("reading to the end of a cancelled statement: {e}");
        }
    }

    /// Asks the server, over a second connection, to cancel what runs in this one; says whether it was heard.
    fn cancel(&self) -> bool {
        let Some(library) = &self.library else { return false };
        let (token, settings) = (library.cancel_token(), self.settings.clone());
        let address = Facts::lock(&self.seen).address;
        let mut work = Box::pin(async move {
            let socket = Socket::connect_again(&settings, address).await?;
            let door = Door::new(settings.clone(), Facts::shared()).hearing_out();
            Ok::<_, Failure>(token.cancel_query_raw(socket, door).await?)
        });
        let ours = CancelToken::new();
        let poll = |task: &mut Context<'_>| work.as_mut().poll(task);
        let asked = self.engine.poll(&ours.cx(), Limit::within(CANCEL_TIMEOUT), Instant::now, poll);
        let heard = matches!(asked, Ok(Ok(())));
        if !heard {
            tracing::debug!("the server could not be asked to cancel");
        }
        heard
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.busy {
            self.cancel();
        }
        // A connection that just closes is a line in the server's log.
        self.library = None;
        if !self.broken && !self.busy {
            let (connection, token) = (&mut self.connection, CancelToken::new());
            let goodbye = |task: &mut Context<'_>| {
                while let Some(Ok(_)) = ready!(connection.poll_message(task)) {}
                Poll::Ready(())
            };
            let _ = self.engine.poll(&token.cx(), Limit::within(GOODBYE_TIMEOUT), Instant::now, goodbye);
        }
    }
}

/// What the library is told. All of TLS is left to [`Door`].
fn library_config(settings: &Settings) -> Result<Config> {
    let mut config = Config::new();
    config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    config.channel_binding(settings.channel_binding);
    config.user(&settings.user).dbname(&settings.database).application_name(&settings.application_name);
    for text in [&settings.user, &settings.database, &settings.application_name] {
        no_zero_byte(text)?;
    }
    if let Some(options) = &settings.server_options {
        no_zero_byte(options)?;
        config.options(options);
    }
    if let Some(password) = &settings.password {
        no_zero_byte(password.expose())?;
        config.password(password.expose());
    }
    Ok(config)
}

fn no_zero_byte(text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(PluginError::new(
            ErrorKind::Config,
            "postgres.zero_byte",
            "a name, password or statement holds a zero byte",
        ));
    }
    Ok(())
}
