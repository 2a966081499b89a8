//! Database snapshots: transactions of PostgreSQL that stay as they are, under names by which clients log in.
//! Must not know the protocol.

use anyhow::{Context, Result};
use tokio_postgres::{Client, NoTls};

use crate::mssql::Shared;
use crate::session::Session;
use crate::tokens::Token;

/// A database snapshot.
#[derive(Debug)]
pub struct Frozen {
    /// The database that it is of.
    source: String,
    /// What PostgreSQL calls the state of its rows.
    state: String,
    /// Holds it.
    _keeper: Client,
    /// The sessions of PostgreSQL that read it.
    pub readers: Vec<i32>,
}

/// An error with its number.
pub type Refused = (i32, String);

/// Connects to a database of PostgreSQL.
pub async fn connect(database: &str, shared: &Shared) -> Result<Client> {
    let mut config: tokio_postgres::Config = shared.postgres.parse()?;
    let (client, connection) = config.dbname(database).connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A session in this snapshot; none where there is none of this name.
pub async fn enter(name: &str, shared: &Shared) -> Result<Option<Client>> {
    let known = shared.lock().frozen.get(name).map(|frozen| (frozen.source.clone(), frozen.state.clone()));
    let Some((source, state)) = known else { return Ok(None) };
    let client = connect(&source, shared).await?;
    begin(&client, name, &state).await?;
    let pid: i32 = client.query_one("select pg_backend_pid()", &[]).await?.get(0);
    if let Some(frozen) = shared.lock().frozen.get_mut(name) {
        frozen.readers.push(pid);
    }
    Ok(Some(client))
}

async fn begin(client: &Client, name: &str, state: &str) -> Result<()> {
    client.execute("select set_config('rivet.snapshot', $1, false)", &[&name]).await?;
    let sql = format!("begin isolation level repeatable read; set transaction snapshot '{state}'");
    Ok(client.batch_execute(&sql).await?)
}

/// What failed has ended the transaction that shows the snapshot.
pub async fn again<S>(session: &Session<S>, shared: &Shared) -> Result<()> {
    let Some(name) = &session.frozen else { return Ok(()) };
    let state = shared.lock().frozen.get(name).map(|frozen| frozen.state.clone());
    session.postgres.batch_execute("rollback").await?;
    begin(&session.postgres, name, &state.context("the snapshot was dropped")?).await
}

/// `CREATE DATABASE [name] ON (NAME = [file], FILENAME = 'path'), … AS SNAPSHOT OF [source]`
pub async fn create<S>(session: &Session<S>, statement: &[Token], shared: &Shared) -> Result<Result<(), Refused>> {
    let (Some(Token::Name(name)), Some(Token::Name(source))) = (statement.get(2), statement.last()) else {
        return Ok(Err((102, "Incorrect syntax near 'DATABASE'.".to_owned())));
    };
    let facts = "select may_create_database, (select count(*) from sys.database_files where type = 0) from sys.options";
    let facts = session.postgres.query_one(facts, &[]).await?;
    let (may, n_files): (i32, i64) = (facts.get(0), facts.get(1));
    if may == 0 {
        return Ok(Err((262, "CREATE DATABASE permission denied in database 'master'.".to_owned())));
    }
    let n_named = statement.iter().filter(|t| t.is_word("FILENAME")).count();
    if i64::try_from(n_named)? != n_files {
        return Ok(Err((5127, "All files must be specified for database snapshot creation.".to_owned())));
    }
    if shared.lock().frozen.contains_key(name) {
        return Ok(Err((1801, format!("Database '{name}' already exists."))));
    }
    let row = "insert into sys.snapshots values ($1, (select coalesce(max(database_id), 100000) + 1 from sys.snapshots), \
               'sa', now())";
    session.postgres.execute(row, &[name]).await?;
    let keeper = connect(source, shared).await?;
    keeper.batch_execute("begin isolation level repeatable read").await?;
    let state = keeper.query_one("select pg_export_snapshot()", &[]).await?.get(0);
    let frozen = Frozen { source: source.clone(), state, _keeper: keeper, readers: Vec::new() };
    shared.lock().frozen.insert(name.clone(), frozen);
    Ok(Ok(()))
}

/// `DROP DATABASE [name]`: who reads it is thrown out.
pub async fn drop<S>(session: &Session<S>, statement: &[Token], shared: &Shared) -> Result<Result<(), Refused>> {
    let Some(Token::Name(name)) = statement.get(2) else {
        return Ok(Err((102, "Incorrect syntax near 'DATABASE'.".to_owned())));
    };
    if !session.postgres.query_one("select drops_snapshots from sys.options", &[]).await?.get::<_, bool>(0) {
        return Ok(Err((3702, format!("Cannot drop database \"{name}\" because it is currently in use."))));
    }
    let found = shared.lock().frozen.remove(name);
    let Some(frozen) = found else {
        return Ok(Err((3701, format!("Cannot drop the database '{name}', because it does not exist."))));
    };
    for pid in frozen.readers {
        session.postgres.execute("select pg_terminate_backend($1)", &[&pid]).await?;
    }
    session.postgres.execute("delete from sys.snapshots where name = $1", &[name]).await?;
    Ok(Ok(()))
}

/// `USE [name]`: into a snapshot, or back to the database of the login.
pub async fn change<S>(session: &mut Session<S>, statement: &[Token], shared: &Shared) -> Result<Result<(), Refused>> {
    let Some(Token::Name(name)) = statement.get(1) else {
        return Ok(Err((102, "Incorrect syntax near 'USE'.".to_owned())));
    };
    match enter(name, shared).await? {
        Some(client) => {
            let before = std::mem::replace(&mut session.postgres, client);
            // What it has locked stays locked.
            session.source.get_or_insert(before);
            session.frozen = Some(name.clone());
        }
        None if *name == session.database => {
            if let Some(source) = session.source.take() {
                session.postgres = source;
            }
            session.frozen = None;
        }
        None => return Ok(Err((911, format!("Database '{name}' does not exist.")))),
    }
    Ok(Ok(()))
}

/// `EXEC sys.sp_getapplock @Resource = N'name', …`: until the session ends. Who has the name already keeps it: the number that
/// says so is asked for by nobody.
pub async fn lock<S>(session: &Session<S>, statement: &[Token]) -> Result<()> {
    let name = statement.iter().find_map(|t| if let Token::Text(text) = t { Some(text.clone()) } else { None });
    session
        .postgres
        .execute("select pg_try_advisory_lock(hashtext($1)) from sys.options where gives_locks", &[&name])
        .await?;
    Ok(())
}
