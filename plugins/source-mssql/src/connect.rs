//! One connection through tiberius: login, and statements whose small results are read as text.
//! It must not know which statements are run.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rivet_plugin_api::{Cx, PluginError, Result};
use rivet_shared_net::{Ended, Engine, Limit, stage};
use tiberius::error::Error;
use tiberius::{AuthMethod, ColumnData, Config, EncryptionLevel};
use tokio::net::{TcpStream, lookup_host};

use crate::address::Address;
use crate::browser;
use crate::door::Door;
use crate::error;
use crate::tap::{Facts, Shared};

pub use crate::address::Settings;

/// The driver over our stream.
pub type Driver = tiberius::Client<Door>;

/// Bytes of a packet that we ask for; the largest that TLS within a login allows.
const PACKET_BYTES: u32 = 16_383;

/// A connection that is logged in.
pub struct Client {
    pub settings: Arc<Settings>,
    pub engine: Engine,
    /// Gone while a statement has it, and for good when nothing more can be read.
    pub driver: Option<Driver>,
    pub seen: Shared,
    /// The connection is set up: statements have the time that statements have.
    pub ready: bool,
}

/// A small result.
#[derive(Debug, Default)]
pub struct Rows {
    pub names: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// Where a column is.
    ///
    /// # Errors
    /// `Connection` when there is none of this name.
    pub fn position(&self, name: &str) -> Result<usize> {
        self.names.iter().position(|found| found == name).ok_or_else(error::catalogue)
    }
}

impl Client {
    /// Connects and logs in, all of it within the time for connecting.
    ///
    /// # Errors
    /// `Config`, `Auth`, `Connection`, `Timeout` or `Cancelled`.
    pub fn connect(settings: &Settings, cx: &Cx) -> Result<Self> {
        let settings = Arc::new(settings.clone());
        let engine = Engine::new("mssql.runtime")?;
        let seen = Facts::shared(stage::RESOLVE);
        let timeout = Duration::from_millis(settings.connect_timeout_ms);
        let mut work = Box::pin(log_in(&settings, &seen));
        let quiet = quiet();
        let result = engine.poll(cx, Limit::within(timeout), Instant::now, |task| work.as_mut().poll(task));
        drop((work, quiet));
        let result = match result {
            Err(Ended::Cancelled) => return Err(PluginError::cancelled()),
            Err(Ended::TooLate) => Err(error::no_progress(&format!("connect to {}", settings.server_label()), timeout)),
            Err(Ended::Broken) => Err(error::broken()),
            Ok(result) => result,
        };
        let stage = Facts::lock(&seen).stage;
        let driver = result.map_err(|e| e.detail("stage", stage).detail("steps", settings.steps().join(" ")))?;
        Ok(Self { settings, engine, driver: Some(driver), seen, ready: false })
    }

    /// Runs statements and ignores their results.
    ///
    /// # Errors
    /// The server's first error.
    pub fn execute(&mut self, sql: &str, cx: &Cx) -> Result<()> {
        self.query(sql, cx).map(drop)
    }

    /// Runs a batch whose first result is small and read as text.
    ///
    /// # Errors
    /// The server's error, after which the connection is in step; all others leave it of no use.
    pub fn query(&mut self, sql: &str, cx: &Cx) -> Result<Rows> {
        let mut driver = self.begin(cx)?;
        let sent = Instant::now();
        let sql = sql.to_owned();
        let mut work = Box::pin(async move {
            let result = first_result(&mut driver, sql).await;
            (driver, result)
        });
        let limit = self.limit(sent);
        let seen = self.seen.clone();
        let heard = || Facts::lock(&seen).heard;
        let _quiet = quiet();
        match self.engine.poll(cx, limit, heard, |task| work.as_mut().poll(task)) {
            Err(ended) => Err(self.gave_up(&ended, sent)),
            Ok((driver, Ok(rows))) => {
                self.driver = Some(driver);
                Ok(rows)
            }
            Ok((driver, Err(e))) => {
                self.driver = matches!(e, Error::Server(_)).then_some(driver);
                Err(error::driver("read from the server", &e))
            }
        }
    }

    /// The driver, for a statement.
    pub fn begin(&mut self, cx: &Cx) -> Result<Driver> {
        cx.check()?;
        let driver = self.driver.take().ok_or_else(error::closed)?;
        let mut facts = Facts::lock(&self.seen);
        (facts.heard, facts.done) = (Instant::now(), None);
        Ok(driver)
    }

    /// How long a statement that was sent then may take.
    pub fn limit(&self, sent: Instant) -> Limit {
        let some = |ms: u64| Some(Duration::from_millis(ms)).filter(|time| !time.is_zero());
        if !self.ready {
            return Limit { until: some(self.settings.connect_timeout_ms).map(|time| sent + time), silence: None };
        }
        let until = some(self.settings.statement_timeout_ms).map(|time| sent + time);
        Limit { until, silence: some(self.settings.no_progress_timeout_ms) }
    }

    /// How long rows may be awaited: the server has no limit of its own that would spare a large result, so that only its
    /// silence has one.
    pub fn limit_of_rows(&self) -> Limit {
        let times = [self.settings.no_progress_timeout_ms, self.settings.statement_timeout_ms];
        let silence = times.into_iter().filter(|ms| *ms > 0).min().map(Duration::from_millis);
        Limit { until: None, silence }
    }

    /// Why a wait for an answer ended without it.
    pub fn gave_up(&self, ended: &Ended, sent: Instant) -> PluginError {
        let (elapsed, limit_ms) = (sent.elapsed(), self.settings.statement_timeout_ms);
        match ended {
            Ended::Cancelled => PluginError::cancelled(),
            Ended::TooLate if self.ready && limit_ms > 0 && elapsed >= Duration::from_millis(limit_ms) => {
                error::statement_timeout(limit_ms)
            }
            Ended::TooLate => error::no_progress("read from the server", elapsed),
            Ended::Broken => error::broken(),
        }
    }
}

/// While this lives, the driver logs nothing. It warns of each login without TLS, but knows nothing of ours, and of each error,
/// which we return.
pub fn quiet() -> tracing::dispatcher::DefaultGuard {
    tracing::dispatcher::set_default(&tracing::Dispatch::none())
}

async fn first_result(driver: &mut Driver, sql: String) -> Result<Rows, Error> {
    let mut stream = driver.simple_query(sql).await?;
    let names = stream.columns().await?.unwrap_or_default().iter().map(|c| c.name().to_owned()).collect();
    let rows = stream.into_first_result().await?;
    Ok(Rows { names, rows: rows.into_iter().map(|row| row.into_iter().map(|v| text_of(&v)).collect()).collect() })
}

/// A value of the catalogue as text; none for NULL, and for types that no catalogue has.
fn text_of(value: &ColumnData<'_>) -> Option<String> {
    match value {
        ColumnData::String(v) => v.as_ref().map(ToString::to_string),
        ColumnData::Bit(v) => v.map(|v| u8::from(v).to_string()),
        ColumnData::U8(v) => v.map(|v| v.to_string()),
        ColumnData::I16(v) => v.map(|v| v.to_string()),
        ColumnData::I32(v) => v.map(|v| v.to_string()),
        ColumnData::I64(v) => v.map(|v| v.to_string()),
        _ => None,
    }
}

/// Tries each address in turn; goes where a listener leads, once.
async fn log_in(settings: &Settings, seen: &Shared) -> Result<Driver> {
    let mut refused = None;
    for address in &settings.addresses {
        match log_in_at(address, settings, seen).await {
            Err(Failed::There(e)) => refused = Some(e),
            Err(Failed::Led(next)) => {
                return log_in_at(&next, settings, seen).await.map_err(|e| match e {
                    Failed::There(e) | Failed::Everywhere(e) => e,
                    Failed::Led(on) => error::driver("log in", &Error::Routing { host: on.host, port: 0 }),
                });
            }
            Err(Failed::Everywhere(e)) => return Err(e),
            Ok(driver) => return Ok(driver),
        }
    }
    Err(refused.unwrap_or_else(error::closed))
}

/// Why a login failed.
enum Failed {
    /// Nobody answers there; another address may be better.
    There(PluginError),
    /// No other address would be better.
    Everywhere(PluginError),
    /// The server leads us on.
    Led(Address),
}

async fn log_in_at(address: &Address, settings: &Settings, seen: &Shared) -> Result<Driver, Failed> {
    Facts::lock(seen).stage = stage::RESOLVE;
    let port = match (address.port, &settings.instance) {
        (Some(port), _) => port,
        (None, Some(instance)) => browser::port(&address.host, instance).await.map_err(Failed::There)?,
        (None, None) => return Err(Failed::Everywhere(error::closed())),
    };
    let host = address.host.trim_matches(['[', ']']);
    let found = lookup_host((host, port)).await.map_err(|e| {
        let text = format!("the host '{host}' cannot be resolved");
        let e = PluginError::new(rivet_plugin_api::ErrorKind::Connection, "mssql.resolve", text).cause(e);
        Failed::There(e.retry(rivet_plugin_api::Retry::NewSession).hint("check the host's name"))
    })?;
    Facts::lock(seen).stage = stage::TCP;
    let doing = format!("connect to {host}:{port}");
    let mut socket = Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    for place in found {
        socket = TcpStream::connect(place).await;
        if socket.is_ok() {
            break;
        }
    }
    let socket = socket.and_then(|s| s.set_nodelay(true).map(|()| s));
    let socket = socket.map_err(|e| Failed::There(error::socket(&doing, &e)))?;
    Facts::lock(seen).stage = stage::LOGIN;
    let door = Door::open(socket, host, settings, seen).await.map_err(Failed::Everywhere)?;
    Facts::lock(seen).stage = stage::LOGIN;
    let connected = Driver::connect(library_config(host, port, settings), door).await;
    connected.map_err(|e| match e {
        Error::Routing { host, port } => Failed::Led(Address { host, port: Some(port) }),
        e => Failed::Everywhere(error::driver("log in", &e)),
    })
}

/// What the driver is told. All of TLS and of time is ours.
fn library_config(host: &str, port: u16, settings: &Settings) -> Config {
    let mut config = Config::new();
    config.host(host);
    config.port(port);
    config.encryption(EncryptionLevel::NotSupported);
    config.authentication(AuthMethod::sql_server(&settings.user, settings.password.expose()));
    config.application_name(&settings.application_name);
    config.readonly(settings.read_only);
    config.packet_size(PACKET_BYTES);
    config.handshake_timeout(None);
    config.command_timeout(None);
    if let Some(database) = &settings.database {
        config.database(database);
    }
    config
}
