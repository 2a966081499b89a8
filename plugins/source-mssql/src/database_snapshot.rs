//! Database snapshots of ours: made for a run, read by all its workers, dropped at its end; and those that dead runs left.
//! It must not know what is read in one.

use rivet_plugin_api::{Cx, ErrorKind, PluginError, Purpose, Result, Retry, SNAPSHOT_LOST};

use crate::connect::Client;
use crate::error;
use crate::sql::{bracketed, literal};

/// How the names of ours begin: `rivet/EXPORT/RUN/SESSION`.
const PREFIX: &str = "rivet/";
/// Characters that a name of a database may have.
const MOST_NAME_CHARS: usize = 123;
/// Editions (`SERVERPROPERTY('EngineEdition')`) without database snapshots: Azure SQL Database, Synapse, Managed Instance,
/// serverless, Fabric.
const EDITIONS_WITHOUT: [&str; 5] = ["5", "6", "8", "11", "12"];
/// Errors of an edition that lacks something, of a missing right, and about a database that is not there.
const NOT_IN_EDITION: i64 = 1_844;
const DENIED: i64 = 262;
const ABSENT: [i64; 3] = [3_701, 4_060, 911];

/// A database snapshot that lives as long as the session that made it.
#[derive(Debug)]
pub struct DatabaseSnapshot {
    pub name: String,
    source: String,
}

/// A database snapshot of this database with a name as ours have it.
#[derive(Debug)]
pub struct Found {
    name: String,
    made: String,
    /// This login made it.
    own: bool,
    /// No session lives that made it: the server gives up a session's lock with the session.
    is_dead: bool,
}

impl DatabaseSnapshot {
    /// Drops what dead runs of the export left, makes one, and leads the session into it. Says what was dropped.
    ///
    /// # Errors
    /// As [`allowed`]; the server's.
    pub fn make(client: &mut Client, source: &str, purpose: &Purpose, cx: &Cx) -> Result<(Self, Vec<String>)> {
        let session = allowed(client, cx)?;
        let (before, behind) = (format!("{PREFIX}{}/", purpose.export), format!("/{}/{session}", purpose.run_id));
        let told = sweep(client, &before, cx)?;
        let room = MOST_NAME_CHARS.saturating_sub(behind.chars().count());
        let name = before.trim_end_matches('/').chars().take(room).collect::<String>() + &behind;
        // The lock comes first: who finds the snapshot without it knows that its session is dead.
        let lock = format!(
            "EXEC sys.sp_getapplock @Resource = {}, @LockMode = N'Exclusive', @LockOwner = N'Session', @LockTimeout = 0",
            literal(&name)
        );
        client.execute(&lock, cx)?;
        held(client, &name, cx)?;
        let create = create_sql(client, &name, source, cx)?;
        client.execute(&create, cx).map_err(|e| unmade(client, e))?;
        let made = Self { name, source: source.to_owned() };
        if let Err(e) = client.execute(&format!("USE {}", bracketed(&made.name)), cx) {
            let _ = made.drop(client, cx);
            return Err(e);
        }
        Ok((made, told))
    }

    /// Drops it, over another connection where this session has none any more.
    ///
    /// # Errors
    /// The server's.
    pub fn drop(self, client: &mut Client, cx: &Cx) -> Result<()> {
        let sql = format!("USE {}; {}", bracketed(&self.source), drop_sql(&self.name));
        // Within the time for connecting.
        client.ready = false;
        let dropped = client.execute(&sql, cx).or_else(|_| {
            let settings = client.settings.clone();
            Client::connect(&settings, cx)?.execute(&sql, cx)
        });
        match dropped {
            Err(e) if e.vendor().is_some_and(|number| ABSENT.contains(&number)) => Ok(()),
            dropped => dropped.map_err(|e| {
                let text = format!("the database snapshot {} was not dropped: {}", self.name, e.message());
                PluginError::new(e.kind(), "mssql.not_dropped", text)
                    .hint(format!("the next run of the export drops it; or run `{}`", drop_sql(&self.name)))
            }),
        }
    }
}

/// That the session has its lock: a lock that is refused is a number that the procedure returns, no error.
fn held(client: &mut Client, name: &str, cx: &Cx) -> Result<()> {
    let sql = format!("SELECT CAST(APPLOCK_MODE(N'public', {}, N'Session') AS nvarchar(32)) AS mode", literal(name));
    let mode = client.query(&sql, cx)?.rows.into_iter().flatten().next().flatten();
    if mode.as_deref() == Some("Exclusive") {
        return Ok(());
    }
    let text = format!("the server gives no lock on the name of the database snapshot {name}");
    Err(PluginError::new(ErrorKind::Conflict, "mssql.snapshot_lock", text)
        .retry(Retry::NewSession)
        .hint("run it again; where it stays so, leave `snapshot: database` out of `source`"))
}

fn drop_sql(name: &str) -> String {
    format!("DROP DATABASE {}", bracketed(name))
}

/// Finds out whether this login may make database snapshots on this server; returns the session's number.
///
/// # Errors
/// `Unsupported` and `Auth`, with what to do.
pub fn allowed(client: &mut Client, cx: &Cx) -> Result<String> {
    let sql = "SELECT CAST(SERVERPROPERTY(N'EngineEdition') AS int) AS edition, \
         CASE WHEN HAS_PERMS_BY_NAME(NULL, NULL, N'CREATE ANY DATABASE') = 1 \
           OR HAS_PERMS_BY_NAME(N'master', N'DATABASE', N'CREATE DATABASE') = 1 THEN 1 ELSE 0 END AS may, \
         CAST(@@SPID AS int) AS spid";
    let found = client.query(sql, cx)?.rows.into_iter().next().ok_or_else(error::catalogue)?;
    let [edition, Some(may), Some(session)] = found.as_slice() else { return Err(error::catalogue()) };
    match (edition.as_deref(), may.as_str()) {
        (Some(edition), _) if EDITIONS_WITHOUT.contains(&edition) => Err(without_snapshots()),
        (_, "1") => Ok(session.clone()),
        _ => Err(denied(client)),
    }
}

fn denied(client: &Client) -> PluginError {
    let text = "the login may not make the database snapshot that `snapshot: database` asks for";
    let grant = format!("GRANT CREATE ANY DATABASE TO {}", bracketed(&client.settings.user));
    PluginError::new(ErrorKind::Auth, "mssql.262", text)
        .vendor_code(DENIED)
        .hint(format!("run `{grant}` in master, or leave `snapshot: database` out of `source`"))
}

fn without_snapshots() -> PluginError {
    let text = "this edition of SQL Server has no database snapshots, which `snapshot: database` asks for";
    PluginError::new(ErrorKind::Unsupported, "mssql.no_database_snapshots", text)
        .hint("leave `snapshot: database` out of `source`: one worker reads one state where the database allows SNAPSHOT isolation")
}

fn unmade(client: &Client, e: PluginError) -> PluginError {
    match e.vendor() {
        Some(DENIED) => denied(client),
        Some(NOT_IN_EDITION) => without_snapshots(),
        Some(_) => {
            let text = format!("the database snapshot could not be made: {}", e.message());
            PluginError::new(e.kind(), e.code(), text)
                .retry(e.retry_class())
                .hint("its files lie beside those of the database: look into the server's log, or leave `snapshot: database` out")
        }
        None => e,
    }
}

/// A sparse file beside each file of rows.
fn create_sql(client: &mut Client, name: &str, source: &str, cx: &Cx) -> Result<String> {
    let sql = "SELECT f.name AS name, f.physical_name AS path, CAST(f.file_id AS int) AS id FROM sys.database_files AS f \
       WHERE f.type = 0 AND f.state <> 7 ORDER BY f.file_id";
    let mut files = Vec::new();
    for row in client.query(sql, cx)?.rows {
        let [Some(logical), Some(path), Some(id)] = row.as_slice() else { return Err(error::catalogue()) };
        let folder = &path[..path.rfind(['\\', '/']).map_or(0, |at| at + 1)];
        let file = format!("{folder}{}_{id}.ss", name.replace('/', "_"));
        files.push(format!("(NAME = {}, FILENAME = {})", bracketed(logical), literal(&file)));
    }
    let (name, source) = (bracketed(name), bracketed(source));
    Ok(format!("CREATE DATABASE {name} ON {} AS SNAPSHOT OF {source}", files.join(", ")))
}

/// Database snapshots of the session's database that are named as ours are.
///
/// # Errors
/// The server's.
fn found(client: &mut Client, cx: &Cx) -> Result<Vec<Found>> {
    let sql = "SELECT d.name AS name, CONVERT(nvarchar(20), d.create_date, 120) AS made, \
         CASE WHEN d.owner_sid = SUSER_SID() THEN 1 ELSE 0 END AS own, \
         CAST(APPLOCK_TEST(N'public', d.name, N'Exclusive', N'Session') AS int) AS free \
       FROM sys.databases AS d WHERE d.source_database_id = DB_ID() ORDER BY d.name";
    let mut all = Vec::new();
    for row in client.query(sql, cx)?.rows {
        let [Some(name), Some(made), own, free] = row.as_slice() else { return Err(error::catalogue()) };
        let is = |word: &Option<String>| word.as_deref() == Some("1");
        all.push(Found { name: name.clone(), made: made.clone(), own: is(own), is_dead: is(free) });
    }
    all.retain(|found| found.name.starts_with(PREFIX));
    Ok(all)
}

/// Drops those whose names begin so, that this login made and whose sessions are dead; says which.
fn sweep(client: &mut Client, before: &str, cx: &Cx) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for Found { name, .. } in
        found(client, cx)?.into_iter().filter(|f| f.own && f.is_dead && f.name.starts_with(before))
    {
        told.push(match client.execute(&drop_sql(&name), cx) {
            Ok(()) => format!("dropped the database snapshot {name}, which a run that died left behind"),
            Err(e) if e.vendor().is_some() => {
                format!("a run that died left the database snapshot {name}, which cannot be dropped: {}", e.message())
            }
            Err(e) => return Err(e),
        });
    }
    Ok(told)
}

/// What dead runs left, each in a sentence with what to do.
///
/// # Errors
/// The server's.
pub fn leftovers(client: &mut Client, cx: &Cx) -> Result<Vec<String>> {
    let told = |f: Found| {
        let (name, drop) = (&f.name, drop_sql(&f.name));
        let export = name.split('/').nth(1).unwrap_or_default();
        let next = if f.own { format!("the next run of export '{export}' drops it, or ") } else { String::new() };
        format!("a run that died left the database snapshot {name} of {}: {next}run `{drop}`", f.made)
    };
    Ok(found(client, cx)?.into_iter().filter(|f| f.is_dead).map(told).collect())
}

/// That a session finds no snapshot to join means that it was dropped.
pub fn gone(e: PluginError) -> PluginError {
    if e.vendor().is_some_and(|number| ABSENT.contains(&number)) {
        let text = "the database snapshot that the workers read was dropped";
        return PluginError::new(ErrorKind::Conflict, SNAPSHOT_LOST, text).retry(Retry::NewSession).cause(e.message());
    }
    e
}
