//! One connection: greeting, TLS, login, then batches, each answered before the next is read.
//! Must not know how an answer is made.

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_postgres::Client;
use tokio_rustls::TlsAcceptor;

use crate::answer::{self, Ended};
use crate::mssql::{Encryption, PASSWORD, Shared, USER};
use crate::shell::Shell;
use crate::wire::{self, Login, Messages, done, packet};
use crate::{frozen, rpc, tsql};

/// The first byte of TLS.
const CLIENT_HELLO: u8 = 22;

/// Takes connections, each in a task of its own. The acceptors are for TLS within the login, and before all.
pub async fn serve(listener: TcpListener, tls: Option<(TlsAcceptor, TlsAcceptor)>, shared: Arc<Shared>) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (socket, _) = listener.accept().await.context("accept a connection")?;
        let (tls, shared) = (tls.clone(), shared.clone());
        tokio::spawn(async move {
            // Clients that hang up are what tests do.
            if let Err(e) = admit(socket, tls, &shared).await {
                shared.lock().log.push(format!("connection: {e:#}"));
            }
        });
    }
}

async fn admit(socket: TcpStream, tls: Option<(TlsAcceptor, TlsAcceptor)>, shared: &Shared) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut first = [0];
    socket.peek(&mut first).await?;
    if first[0] == CLIENT_HELLO {
        let Some((_, strict)) = tls else { return Ok(()) };
        let stream = strict.accept(Shell::new(socket, false)).await?;
        let mut messages = Messages::new(stream);
        let Some((packet::PRELOGIN, _)) = messages.receive().await? else { bail!("no greeting") };
        messages.send(&mut wire::prelogin(2), true).await?;
        return session(messages, shared).await;
    }
    let mut messages = Messages::new(socket);
    let Some((packet::PRELOGIN, body)) = messages.receive().await? else { bail!("no greeting") };
    let (off, on, not_supported, required) = (0, 1, 2, 3);
    let answer = match (shared.encryption, wire::wanted_encryption(&body)) {
        (Encryption::Absent, _) => not_supported,
        (Encryption::Required, _) => required,
        (Encryption::Offered, word) if word == not_supported || word == off => not_supported,
        (Encryption::Offered, _) => on,
    };
    messages.send(&mut wire::prelogin(answer), true).await?;
    match tls {
        Some((within_login, _)) if answer != not_supported => {
            let mut stream = within_login.accept(Shell::new(messages.stream, true)).await?;
            stream.get_mut().0.wraps = false;
            session(Messages::new(stream), shared).await
        }
        _ => session(messages, shared).await,
    }
}

/// A session of a client, with one of PostgreSQL behind it.
pub struct Session<S> {
    pub messages: Messages<S>,
    pub postgres: Client,
    /// Transactions read one snapshot.
    pub snapshot: bool,
    pub in_transaction: bool,
    /// Statements and the names of their parameters.
    pub prepared: Vec<(String, Vec<String>)>,
    /// The database of the login.
    pub database: String,
    /// The database snapshot that it is in, and its session outside.
    pub frozen: Option<String>,
    pub source: Option<Client>,
}

async fn session<S: AsyncRead + AsyncWrite + Unpin>(mut messages: Messages<S>, shared: &Shared) -> Result<()> {
    let Some((packet::LOGIN, body)) = messages.receive().await? else { bail!("no login") };
    let login = wire::login(&body)?;
    let intent = if login.read_only { "ReadOnly" } else { "ReadWrite" };
    shared.lock().log.push(format!("LOGIN {} {} {intent}", login.user, login.application));
    let postgres = match log_in(&login, shared).await {
        Ok(postgres) => postgres,
        Err((number, text)) => {
            let mut out = Vec::new();
            wire::message(&mut out, number, 14, &text);
            wire::done(&mut out, done::DONE, done::ERROR, 0);
            return messages.send(&mut out, true).await;
        }
    };
    let database = if login.database.is_empty() { "master" } else { &login.database };
    messages.send(&mut wire::welcome(database, login.packet_size), true).await?;
    messages.packet_size = login.packet_size;
    let frozen = shared.lock().frozen.contains_key(database).then(|| database.to_owned());
    let (database, prepared) = (database.to_owned(), Vec::new());
    let (snapshot, in_transaction, source) = (false, false, None);
    let mut session = Session { messages, postgres, snapshot, in_transaction, prepared, database, frozen, source };
    while let Some((kind, body)) = session.messages.receive().await? {
        let ended = match kind {
            packet::BATCH => batch(&mut session, &wire::from_utf16(behind_headers(&body)), shared).await?,
            packet::RPC => rpc::call(&mut session, behind_headers(&body), shared).await?,
            packet::TRANSACTION => transaction(&mut session, behind_headers(&body)).await?,
            packet::ATTENTION => answer::stopped(&mut session, Vec::new(), shared).await?,
            other => bail!("a packet of type {other}"),
        };
        if matches!(ended, Ended::HungUp) {
            return Ok(());
        }
    }
    Ok(())
}

async fn log_in(login: &Login, shared: &Shared) -> Result<Client, (i32, String)> {
    if login.user != USER || login.password != PASSWORD {
        return Err((18_456, format!("Login failed for user '{}'.", login.user)));
    }
    let database = if login.database.is_empty() { "postgres" } else { &login.database };
    if let Some(client) = frozen::enter(database, shared).await.map_err(|e| (50_000, format!("{e:#}")))? {
        return Ok(client);
    }
    let text = format!("Cannot open database \"{database}\" requested by the login. The login failed.");
    frozen::connect(database, shared).await.map_err(|_| (4_060, text))
}

fn behind_headers(body: &[u8]) -> &[u8] {
    let length = body.get(..4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize);
    body.get(length..).unwrap_or_default()
}

/// Statements up to the first that answers with rows.
async fn batch<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
    sql: &str,
    shared: &Shared,
) -> Result<Ended> {
    shared.lock().log.push(sql.to_owned());
    let mut out = Vec::new();
    for statement in tsql::statements(sql) {
        let words: Vec<String> = statement
            .iter()
            .map_while(|t| if let crate::tokens::Token::Word(w) = t { Some(w.to_ascii_lowercase()) } else { None })
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["set", "transaction", "isolation", "level", level @ ..] => session.snapshot = level == ["snapshot"],
            ["set", "lock_timeout", ..] => {
                let ms = tsql::translate(&statement[2..]).replace(' ', "").parse::<i64>().unwrap_or(0).max(0);
                session.postgres.batch_execute(&format!("set lock_timeout = {ms}")).await?;
            }
            ["set", ..] => {}
            ["begin", "tran" | "transaction"] => begin(session, &mut out).await?,
            ["commit" | "rollback", ..] | ["if", "@@trancount", ..] => end(session, &words, &mut out).await?,
            ["create", "database"] | ["drop", "database"] | ["use"] => {
                let done = match words[0] {
                    "create" => frozen::create(session, &statement, shared).await?,
                    "drop" => frozen::drop(session, &statement, shared).await?,
                    _ => frozen::change(session, &statement, shared).await?,
                };
                if let Err((number, text)) = done {
                    wire::message(&mut out, number, 16, &text);
                    wire::done(&mut out, done::DONE, done::ERROR, 0);
                    session.messages.send(&mut out, true).await?;
                    return Ok(Ended::Answered);
                }
            }
            ["exec", ..] if statement.iter().any(|t| t.is_word("sp_getapplock")) => {
                frozen::lock(session, &statement).await?;
            }
            ["exec", "sys" | "sp_describe_first_result_set", ..] => {
                return answer::describe(session, &statement, out, done::DONE, shared).await;
            }
            ["select" | "with", ..] => return answer::select(session, &statement, out, done::DONE, shared).await,
            _ => match session.postgres.batch_execute(&tsql::translate(&statement)).await {
                Ok(()) => {}
                Err(e) => return answer::refuse(session, &e, out, done::DONE, shared).await,
            },
        }
    }
    wire::done(&mut out, done::DONE, 0, 0);
    session.messages.send(&mut out, true).await?;
    Ok(Ended::Answered)
}

const DESCRIPTOR: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 0];

async fn begin<S>(session: &mut Session<S>, out: &mut Vec<u8>) -> Result<()> {
    let level = if session.snapshot { "repeatable read" } else { "read committed" };
    session.postgres.batch_execute(&format!("begin isolation level {level}")).await?;
    session.in_transaction = true;
    wire::change(out, 8, &DESCRIPTOR, &[]);
    Ok(())
}

async fn end<S>(session: &mut Session<S>, words: &[&str], out: &mut Vec<u8>) -> Result<()> {
    if std::mem::take(&mut session.in_transaction) {
        let rolls_back = words.contains(&"rollback");
        session.postgres.batch_execute(if rolls_back { "rollback" } else { "commit" }).await?;
        wire::change(out, if rolls_back { 10 } else { 9 }, &[], &DESCRIPTOR);
    }
    Ok(())
}

async fn transaction<S: AsyncRead + AsyncWrite + Unpin>(session: &mut Session<S>, body: &[u8]) -> Result<Ended> {
    let mut out = Vec::new();
    match body.first() {
        Some(5) => begin(session, &mut out).await?,
        Some(7) => end(session, &["commit"], &mut out).await?,
        Some(8) => end(session, &["rollback"], &mut out).await?,
        other => bail!("a transaction request {other:?}"),
    }
    wire::done(&mut out, done::DONE, 0, 0);
    session.messages.send(&mut out, true).await?;
    Ok(Ended::Answered)
}
