//! One connection: start-up, simple queries, and cancelling on the server.
//! It must not know which statements are run. All statements are unnamed: a transaction pooler may be in between.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rivet_plugin_api::{CancelToken, Cx, ErrorKind, PluginError, Result};
use rustls::StreamOwned;

use crate::auth::Login;
use crate::error::{self, ServerError, protocol};
use crate::rows;
use crate::stream::RowFrames;
use crate::tls;
use crate::transport::{Socket, Transport};
use crate::wire::{Frame, Wire};

pub use crate::address::{Host, Settings, stage};
pub use crate::rows::{ColumnInfo, Rows};

/// Time for a cancel request, connection and all.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for a statement to end after it was cancelled.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest result of a catalogue query, bytes.
const MAX_RESULT_BYTES: usize = 64 << 20;

/// A connection that is logged in.
pub struct Client {
    settings: Settings,
    pub(crate) wire: Wire,
    process_id: i32,
    secret_key: i32,
    version: u32,
    /// The limit that was set for a statement, ms; 0 = none.
    statement_timeout_ms: u64,
    /// When the latest statement was sent.
    sent: Instant,
    /// A statement was sent and its end was not read.
    busy: bool,
}

impl Client {
    /// Connects and logs in. Reads wait no longer than the time for connecting until [`Client::ready`].
    ///
    /// # Errors
    /// `Config`, `Auth`, `Connection`, `Timeout` or `Cancelled`.
    pub fn connect(settings: &Settings, cx: &Cx) -> Result<Self> {
        let timeout = Duration::from_millis(settings.connect_timeout_ms);
        let socket = Socket::connect(settings, timeout, cx)?;
        let transport = protect(settings, socket, cx).map_err(settings.failed_at(stage::TLS))?;
        let wire = Wire::new(transport, settings.max_value_bytes)?;
        let mut client = Self {
            settings: settings.clone(),
            wire,
            process_id: 0,
            secret_key: 0,
            version: 0,
            statement_timeout_ms: 0,
            sent: Instant::now(),
            busy: false,
        };
        let start = client.start_up(cx).map_err(|e| match e.code() {
            "postgres.no_progress" => PluginError::new(
                ErrorKind::Timeout,
                "postgres.login_timeout",
                format!("{} did not answer the login in {} s", settings.server_label(), timeout.as_secs()),
            )
            .retry(rivet_plugin_api::Retry::NewSession)
            .hint("is this a PostgreSQL server?"),
            _ => e,
        });
        start.map_err(settings.failed_at(stage::LOGIN))?;
        Ok(client)
    }

    /// The connection is set up: from now on the server may take as long for an answer as a statement may, which ends
    /// after `statement_timeout_ms` (0 = no limit) at the latest.
    pub fn ready(&mut self, statement_timeout_ms: u64) {
        self.statement_timeout_ms = statement_timeout_ms;
        self.patient();
    }

    fn patient(&self) {
        let silence = Duration::from_millis(self.settings.no_progress_timeout_ms);
        self.wire.set_read_timeout(Some(silence).filter(|s| !s.is_zero()));
    }

    fn start_up(&mut self, cx: &Cx) -> Result<()> {
        let s = &self.settings;
        let mut parameters = vec![
            ("user", s.user.as_str()),
            ("database", s.database.as_str()),
            ("client_encoding", "UTF8"),
            ("application_name", s.application_name.as_str()),
        ];
        if let Some(options) = &s.server_options {
            parameters.push(("options", options.as_str()));
        }
        let mut out = BytesMut::new();
        frontend::startup_message(parameters, &mut out).map_err(|_| zero_byte())?;
        self.wire.send(&out, cx)?;
        let settings = self.settings.clone();
        let certificate = self.wire.server_certificate().map(<[u8]>::to_vec);
        let local = match &settings.host {
            Host::Socket(_) => true,
            Host::Tcp(host) => rivet_plugin_api::is_local(host),
        };
        let private = certificate.is_some() || local;
        let mut login = Login::new(&settings, certificate, private);
        loop {
            let frame = self.wire.next(cx)?;
            match frame.tag {
                b'R' => {
                    if let Some(answer) = login.answer(self.wire.body(&frame))? {
                        self.wire.send(&answer, cx)?;
                    }
                }
                b'K' => {
                    let body = self.wire.body(&frame);
                    let (id, key) = body.split_first_chunk::<4>().ok_or_else(|| protocol("a short key"))?;
                    self.process_id = i32::from_be_bytes(*id);
                    self.secret_key = i32::from_be_bytes(*key.first_chunk().ok_or_else(|| protocol("a short key"))?);
                }
                b'E' => return Err(ServerError::parse(self.wire.body(&frame)).into_plugin_error()),
                b'Z' => return Ok(()),
                _ => self.asynchronous(&frame)?,
            }
        }
    }

    /// Version as `170010` for 17.10; 0 when the server did not say.
    pub fn server_version_num(&self) -> u32 {
        self.version
    }

    /// The steps that the connection took.
    pub fn steps(&self) -> Vec<&'static str> {
        self.settings.steps()
    }

    /// Process id of the server's end, as whoever answered the login says.
    pub fn announced_process_id(&self) -> i32 {
        self.process_id
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
        self.send_query(sql, cx)?;
        let mut result = Rows::default();
        let mut failure = None;
        let mut n_bytes = 0;
        loop {
            let frame = match self.wire.next(cx) {
                Ok(frame) => frame,
                // A server that ends the connection says why and hangs up.
                Err(e) => return Err(failure.unwrap_or(e)),
            };
            let body = self.wire.body(&frame);
            match frame.tag {
                b'T' => result.columns = rows::columns(body)?,
                b'D' => {
                    n_bytes += body.len();
                    if n_bytes > MAX_RESULT_BYTES {
                        return Err(protocol("a catalogue result beyond 64 MiB"));
                    }
                    result.rows.push(rows::text_row(body)?);
                }
                b'E' if failure.is_none() => {
                    failure = Some(self.explained(ServerError::parse(body).into_plugin_error()))
                }
                b'Z' => {
                    self.busy = false;
                    return failure.map_or(Ok(result), Err);
                }
                b'C' | b'I' | b'E' => {}
                _ => self.asynchronous(&frame)?,
            }
        }
    }

    /// A cancelled statement: by our own timeout, or by somebody else.
    pub(crate) fn explained(&self, e: PluginError) -> PluginError {
        if e.state() != Some("57014") {
            return e;
        }
        let elapsed_ms = u64::try_from(self.sent.elapsed().as_millis()).unwrap_or(u64::MAX);
        error::canceled(e, elapsed_ms, self.statement_timeout_ms)
    }

    /// Starts `COPY (…) TO STDOUT (FORMAT binary)`.
    ///
    /// # Errors
    /// The server's error; the connection stays in step.
    pub fn copy_out(&mut self, sql: &str, cx: &Cx) -> Result<RowFrames<'_>> {
        self.send_query(sql, cx)?;
        RowFrames::copy(self, cx)
    }

    /// Starts a FETCH from a binary cursor.
    ///
    /// # Errors
    /// The server's error, at the first row; the connection stays in step.
    pub fn fetch_rows(&mut self, sql: &str, cx: &Cx) -> Result<RowFrames<'_>> {
        self.send_query(sql, cx)?;
        Ok(RowFrames::fetch(self))
    }

    fn send_query(&mut self, sql: &str, cx: &Cx) -> Result<()> {
        if self.busy {
            return Err(PluginError::new(ErrorKind::Internal, "postgres.busy", "a statement is running already"));
        }
        let mut out = BytesMut::with_capacity(sql.len() + 6);
        frontend::query(sql, &mut out).map_err(|_| zero_byte())?;
        self.busy = true;
        self.sent = Instant::now();
        self.wire.send(&out, cx)
    }

    /// The statement's end was read.
    pub(crate) fn idle(&mut self) {
        self.busy = false;
    }

    /// What may come at any time.
    pub(crate) fn asynchronous(&mut self, frame: &Frame) -> Result<()> {
        let body = self.wire.body(frame);
        match frame.tag {
            b'S' => {
                let mut texts = body.split(|b| *b == 0);
                if let (Some(b"server_version"), Some(version)) = (texts.next(), texts.next()) {
                    self.version = version_num(&String::from_utf8_lossy(version));
                }
                Ok(())
            }
            b'N' => {
                let notice = ServerError::parse(body);
                tracing::debug!(sqlstate = notice.sqlstate, "notice: {}", notice.message);
                Ok(())
            }
            b'A' | b'K' => Ok(()),
            _ => Err(protocol("a frame that does not belong here")),
        }
    }

    /// Cancels what runs on the server and reads to its end, within a bounded time. Without success the connection is
    /// of no more use, which the next statement says.
    pub(crate) fn cancel_and_drain(&mut self) {
        if self.wire.is_broken() {
            // Dropping the client cancels.
            return;
        }
        self.cancel();
        let token = CancelToken::new();
        let cx = token.cx();
        let end = Instant::now() + DRAIN_TIMEOUT;
        self.wire.set_read_timeout(Some(DRAIN_TIMEOUT));
        while self.busy && Instant::now() < end {
            match self.wire.next(&cx) {
                Ok(frame) if frame.tag == b'Z' => self.busy = false,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        self.patient();
    }

    /// Asks the server, over a second connection, to cancel what runs in this one. Best effort.
    fn cancel(&self) {
        let token = CancelToken::new();
        let cx = token.cx();
        let sent = Socket::connect(&self.settings, CANCEL_TIMEOUT, &cx)
            .and_then(|socket| protect(&self.settings, socket, &cx))
            .and_then(|mut transport| {
                let mut out = BytesMut::new();
                frontend::cancel_request(self.process_id, self.secret_key, &mut out);
                let sent = transport.write_all(&out).and_then(|()| transport.flush());
                // The server closes when it has passed the signal on.
                let _ = transport.read(&mut [0]);
                sent.map_err(|e| error::socket("cancel", &e))
            });
        if let Err(e) = sent {
            tracing::debug!("cancel request: {e}");
        }
    }

    /// Says goodbye; a transaction that is open ends without effect.
    fn terminate(&mut self) {
        let mut out = BytesMut::new();
        frontend::terminate(&mut out);
        let token = CancelToken::new();
        let _ = self.wire.send(&out, &token.cx());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.busy {
            self.cancel();
        } else if !self.wire.is_broken() {
            // A connection that just closes is a line in the server's log.
            self.terminate();
        }
    }
}

fn zero_byte() -> PluginError {
    PluginError::new(ErrorKind::Config, "postgres.zero_byte", "a name or statement holds a zero byte")
}

/// Asks for TLS where the settings want it.
fn protect(settings: &Settings, mut socket: Socket, cx: &Cx) -> Result<Transport> {
    let (Some(tls), Host::Tcp(host)) = (&settings.tls, &settings.host) else { return Ok(Transport::Plain(socket)) };
    let mut connection = tls::connection(tls, host)?;
    let handle = socket.try_clone().map_err(|e| error::socket("set up the connection", &e))?;
    let mut out = BytesMut::new();
    frontend::ssl_request(&mut out);
    let mut answer = [0];
    let asked = cx.with_wake(&|| handle.shut_down(), || {
        socket.write_all(&out)?;
        // One byte alone: what follows in plain text would be somebody else's.
        socket.read_exact(&mut answer)
    });
    cx.check()?;
    asked.map_err(|e| error::socket("ask the server for tls", &e))?;
    if answer != *b"S" {
        return Err(PluginError::new(ErrorKind::Unsupported, "postgres.tls_refused", "the server does not offer tls")
            .hint("turn on ssl on the server, or write `tls: {mode: disable}` if plain text is meant"));
    }
    let shaken = cx.with_wake(&|| handle.shut_down(), || {
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok::<_, std::io::Error>(())
    });
    cx.check()?;
    shaken.map_err(|e| match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(cause) => tls::handshake(cause),
        None => error::socket("agree on tls with the server", &e),
    })?;
    Ok(Transport::Tls(Box::new(StreamOwned::new(connection, socket))))
}

/// `17.10 (Debian …)` as 170010; `9.6.3` as 90603.
fn version_num(text: &str) -> u32 {
    let digits = text.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse::<u32>().ok());
    match digits.collect::<Vec<_>>().as_slice() {
        [major, minor, patch, ..] if *major < 10 => major * 10_000 + minor * 100 + patch,
        [major, minor, ..] => major * 10_000 + minor,
        [major] => major * 10_000,
        [] => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::version_num;

    #[test]
    fn versions_old_and_new() {
        for (text, number) in
            [("17.10", 170_010), ("9.6.3", 90_603), ("18.4 (Debian 18.4-1)", 180_004), ("19beta1", 190_000), ("", 0)]
        {
            assert_eq!(version_num(text), number, "{text}");
        }
    }
}
