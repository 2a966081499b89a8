//! Answers: rows of a SELECT, descriptions of one, errors with their numbers.
//! Must not know logins.

use std::pin::pin;

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::Error;

use crate::frozen;
use crate::mssql::{Fault, Shared};
use crate::session::Session;
use crate::tokens::Token;
use crate::tsql;
use crate::types::{self, Column};
use crate::wire::{self, done, packet};

/// What is gathered before it is sent.
const GATHERED: usize = 64 << 10;

/// What became of an answer.
pub enum Ended {
    Answered,
    HungUp,
}

/// The columns of a statement, as comments and types say.
async fn columns<S>(session: &Session<S>, sql: &str) -> Result<Vec<Column>, Error> {
    let statement = session.postgres.prepare(sql).await?;
    let mut columns = Vec::new();
    for column in statement.columns() {
        let (table, number) = (column.table_oid().unwrap_or(0), i32::from(column.column_id().unwrap_or(0)));
        let facts = "select col_description($1, $2), (select attnotnull from pg_catalog.pg_attribute \
                     where attrelid = $1 and attnum::int = $2)";
        let facts = session.postgres.query_one(facts, &[&table, &number]).await?;
        let (comment, not_null): (Option<String>, Option<bool>) = (facts.get(0), facts.get(1));
        let comment = comment.unwrap_or_else(|| of_postgres(column.type_().name(), column.type_modifier()));
        let (declared, collation) =
            comment.split_once(" COLLATE ").map_or((comment.as_str(), None), |(d, c)| (d, Some(c)));
        let mut described = Column::new(column.name(), declared);
        let is_text = ["char", "varchar", "text", "nchar", "nvarchar", "ntext", "sysname"].contains(&described.base());
        described.collation = is_text.then(|| collation.unwrap_or("SQL_Latin1_General_CP1_CI_AS").to_owned());
        described.nullable = not_null != Some(true);
        columns.push(described);
    }
    Ok(columns)
}

/// The type of an expression, which has no comment.
fn of_postgres(name: &str, modifier: i32) -> String {
    let m = modifier - 4;
    match name {
        "bool" => "bit".to_owned(),
        "int2" => "smallint".to_owned(),
        "int4" | "oid" => "int".to_owned(),
        "int8" => "bigint".to_owned(),
        "float4" => "real".to_owned(),
        "float8" => "float(53)".to_owned(),
        "numeric" if modifier >= 4 => format!("decimal({},{})", m >> 16, m & 0x7FF),
        "numeric" => "decimal(38,10)".to_owned(),
        "varchar" | "bpchar" if modifier >= 4 => format!("nvarchar({m})"),
        "uuid" => "uniqueidentifier".to_owned(),
        "bytea" => "varbinary(max)".to_owned(),
        "date" => "date".to_owned(),
        "timestamp" => "datetime2(6)".to_owned(),
        "timestamptz" => "datetimeoffset(6)".to_owned(),
        _ => "nvarchar(max)".to_owned(),
    }
}

/// The rows of a SELECT.
pub async fn select<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
    statement: &[Token],
    mut out: Vec<u8>,
    kind: u8,
    shared: &Shared,
) -> Result<Ended> {
    let sql = tsql::translate(statement);
    let columns = match columns(session, &sql).await {
        Ok(columns) => columns,
        Err(e) => return refuse(session, &e, out, kind, shared).await,
    };
    let known = shared.lock().answers.as_ref().and_then(|answers| answers.get(&sql).cloned());
    if let Some(answer) = known {
        return repeat(session, &answer, out).await;
    }
    let mut said = Said { all: shared.lock().answers.is_some().then(Vec::new), behind: out.len() };
    let fault = if sql.contains("fault") { shared.lock().fault } else { Fault::None };
    out.extend(types::describe(&columns)?);
    said.keep(&out);
    // A result without columns cannot be copied.
    let stream = match session.postgres.copy_out(&format!("COPY ({sql}) TO STDOUT")).await {
        Ok(stream) => stream,
        Err(e) => return refuse(session, &e, out, kind, shared).await,
    };
    let mut stream = pin!(stream);
    let mut rows = 0_u64;
    loop {
        let messages = &mut session.messages;
        let line = tokio::select! {
            line = stream.next() => line,
            asked = messages.receive() => {
                // What PostgreSQL still sends is read past us, in the same transaction.
                return match asked? {
                    Some((packet::ATTENTION, _)) => stopped(session, out, shared).await,
                    _ => Ok(Ended::HungUp),
                };
            }
        };
        let line = match line {
            None => break,
            Some(Err(e)) => return refuse(session, &e, out, kind, shared).await,
            Some(Ok(line)) => line,
        };
        said.behind = out.len();
        row(&columns, std::str::from_utf8(&line)?.trim_end_matches('\n'), rows % 2 == 1, &mut out)?;
        said.keep(&out);
        rows += 1;
        match fault {
            Fault::HangUp(after) if rows == after => {
                messages.send(&mut out, false).await?;
                return Ok(Ended::HungUp);
            }
            Fault::Silence(after) if rows == after => {
                messages.send(&mut out, false).await?;
                return match messages.receive().await? {
                    Some((packet::ATTENTION, _)) => stopped(session, out, shared).await,
                    _ => Ok(Ended::HungUp),
                };
            }
            _ => {}
        }
        if out.len() > GATHERED {
            messages.send(&mut out, false).await?;
        }
    }
    said.behind = out.len();
    match fault {
        Fault::Count(more) => wire::done(&mut out, kind, done::COUNT, rows.saturating_add_signed(more)),
        Fault::NoCount => wire::done(&mut out, kind, 0, 0),
        _ => wire::done(&mut out, kind, done::COUNT, rows),
    }
    said.keep(&out);
    if let (Some(answers), Some(all)) = (&mut shared.lock().answers, said.all) {
        answers.insert(sql, all.into());
    }
    session.messages.send(&mut out, true).await?;
    Ok(Ended::Answered)
}

/// What an answer consists of, where it is to be repeated.
struct Said {
    all: Option<Vec<u8>>,
    /// Where in what is to be sent it goes on.
    behind: usize,
}

impl Said {
    fn keep(&mut self, out: &[u8]) {
        if let Some(all) = &mut self.all {
            all.extend_from_slice(&out[self.behind..]);
        }
    }
}

/// An answer that was given before.
async fn repeat<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
    answer: &[u8],
    mut out: Vec<u8>,
) -> Result<Ended> {
    for piece in answer.chunks(GATHERED) {
        out.extend_from_slice(piece);
        session.messages.send(&mut out, false).await?;
    }
    session.messages.send(&mut out, true).await?;
    Ok(Ended::Answered)
}

/// The client wants no more: the answer ends where it is.
pub async fn stopped<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
    mut out: Vec<u8>,
    shared: &Shared,
) -> Result<Ended> {
    shared.lock().log.push("ATTENTION".to_owned());
    wire::done(&mut out, done::DONE, done::ATTENTION, 0);
    session.messages.send(&mut out, true).await?;
    Ok(Ended::Answered)
}

/// One row, from a line of COPY; in the form that marks NULLs by bits, or in the plain one.
fn row(columns: &[Column], line: &str, packed: bool, out: &mut Vec<u8>) -> Result<()> {
    let fields: Vec<Option<String>> = line.split('\t').map(field).collect();
    ensure!(fields.len() == columns.len(), "{} fields for {} columns", fields.len(), columns.len());
    if packed {
        out.push(0xD2);
        let is_null = |i: usize| fields.get(i).is_some_and(Option::is_none);
        let byte = |at: usize| (0..8).fold(0, |bits, i| bits | (u8::from(is_null(at * 8 + i)) << i));
        out.extend((0..columns.len().div_ceil(8)).map(byte));
    } else {
        out.push(0xD1);
    }
    for (column, text) in columns.iter().zip(&fields) {
        if !packed || text.is_some() {
            types::value(column, text.as_deref(), out)?;
        }
    }
    Ok(())
}

/// A field of COPY's text.
fn field(text: &str) -> Option<String> {
    if text == "\\N" {
        return None;
    }
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('b')) => out.push('\u{8}'),
            ('\\', Some('f')) => out.push('\u{c}'),
            ('\\', Some('v')) => out.push('\u{b}'),
            ('\\', Some(other)) => out.push(other),
            (other, _) => out.push(other),
        }
    }
    Some(out)
}

/// What `sp_describe_first_result_set` says.
pub async fn describe<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
    statement: &[Token],
    mut out: Vec<u8>,
    kind: u8,
    shared: &Shared,
) -> Result<Ended> {
    let text = statement.iter().find_map(|t| if let Token::Text(text) = t { Some(text.clone()) } else { None });
    let inner = tsql::statements(&text.context("a statement to describe")?);
    let sql = inner.first().map(|s| tsql::translate(s)).unwrap_or_default();
    let described = match columns(session, &sql).await {
        Ok(described) => described,
        Err(e) => return refuse(session, &e, out, kind, shared).await,
    };
    let header = [
        ("is_hidden", "bit"),
        ("column_ordinal", "int"),
        ("name", "sysname(128)"),
        ("is_nullable", "bit"),
        ("system_type_name", "nvarchar(256)"),
        ("collation_name", "sysname(128)"),
        ("user_type_name", "sysname(128)"),
    ];
    let header: Vec<Column> = header.iter().map(|(name, declared)| Column::new(name, declared)).collect();
    out.extend(types::describe(&header)?);
    for (i, column) in described.iter().enumerate() {
        let is_udt = ["hierarchyid", "geometry", "geography"].contains(&column.base());
        let (ordinal, nullable) = ((i + 1).to_string(), if column.nullable { "1" } else { "0" });
        let native = if column.declared == "float(53)" { "float" } else { &column.declared };
        let values = [
            Some("0"),
            Some(&ordinal),
            Some(&column.name),
            Some(nullable),
            Some(native).filter(|_| !is_udt),
            column.collation.as_deref(),
            Some(column.base()).filter(|_| is_udt),
        ];
        out.push(0xD1);
        for (column, value) in header.iter().zip(values) {
            types::value(column, value, &mut out)?;
        }
    }
    wire::done(&mut out, kind, done::COUNT, described.len() as u64);
    session.messages.send(&mut out, true).await?;
    Ok(Ended::Answered)
}

/// An error of PostgreSQL's as SQL Server would number it.
pub async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
    e: &Error,
    mut out: Vec<u8>,
    kind: u8,
    shared: &Shared,
) -> Result<Ended> {
    let text = e.as_db_error().map_or_else(|| e.to_string(), |db| db.message().to_owned());
    let (number, class) = match e.code().map(tokio_postgres::error::SqlState::code).unwrap_or_default() {
        "42P01" => (208, 16),
        "42703" => (207, 16),
        "42601" => (102, 15),
        "42501" => (229, 14),
        "40P01" => (1205, 13),
        "55P03" => (1222, 16),
        "22012" => (8134, 16),
        "22P02" | "22007" => (245, 16),
        "22003" => (8115, 16),
        "57P01" => (596, 21),
        "" if e.is_closed() => (596, 21),
        _ => (50_000, 16),
    };
    wire::message(&mut out, number, class, &text);
    wire::done(&mut out, kind, done::ERROR, 0);
    session.messages.send(&mut out, true).await?;
    // In a transaction that failed PostgreSQL takes nothing more.
    if std::mem::take(&mut session.in_transaction) {
        session.postgres.batch_execute("rollback").await?;
    }
    frozen::again(session, shared).await?;
    Ok(Ended::Answered)
}
