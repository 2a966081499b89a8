//! Calls of procedures by RPC: statements with parameters, prepared or not.
//! Must not know how rows travel.

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::answer::{self, Ended};
use crate::mssql::Shared;
use crate::session::Session;
use crate::tokens::Token;
use crate::tsql;
use crate::wire::{self, done, from_utf16};

/// Procedures that have numbers.
const EXECUTE_SQL: u16 = 10;
const PREPARE: u16 = 11;
const EXECUTE: u16 = 12;
const PREPARE_AND_EXECUTE: u16 = 13;
const UNPREPARE: u16 = 15;

/// A parameter: its name, and its value as PostgreSQL writes it.
#[derive(Debug, Clone)]
struct Parameter {
    name: String,
    literal: String,
    /// The text of a parameter that is one.
    text: Option<String>,
}

/// Answers a call.
pub async fn call<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
    body: &[u8],
    shared: &Shared,
) -> Result<Ended> {
    let mut reader = Reader { body, at: 0 };
    let procedure = match reader.u16()? {
        0xFFFF => reader.u16()?,
        n => match from_utf16(reader.take(usize::from(n) * 2)?).trim_start_matches("sys.") {
            "sp_executesql" => EXECUTE_SQL,
            "sp_prepare" => PREPARE,
            "sp_execute" => EXECUTE,
            "sp_describe_first_result_set" => {
                reader.u16()?;
                let text = reader.parameter()?.text.context("a statement to describe")?;
                return answer::describe(session, &[Token::Text(text)], Vec::new(), done::DONE_PROC, shared).await;
            }
            other => {
                let mut out = Vec::new();
                wire::message(&mut out, 2812, 16, &format!("Could not find stored procedure '{other}'."));
                wire::done(&mut out, done::DONE_PROC, done::ERROR, 0);
                session.messages.send(&mut out, true).await?;
                return Ok(Ended::Answered);
            }
        },
    };
    reader.u16()?;
    let mut parameters = Vec::new();
    while reader.at < body.len() {
        parameters.push(reader.parameter()?);
    }
    let text = |n: usize| parameters.get(n).and_then(|p: &Parameter| p.text.clone()).context("a statement");
    let (sql, names, values) = match procedure {
        EXECUTE_SQL => {
            (text(0)?, declared(&text(1).unwrap_or_default()), parameters.split_off(parameters.len().min(2)))
        }
        PREPARE | PREPARE_AND_EXECUTE => {
            session.prepared.push((text(2)?, declared(&text(1).unwrap_or_default())));
            let (handle, (sql, names)) = (session.prepared.len(), session.prepared[session.prepared.len() - 1].clone());
            let mut out = Vec::new();
            if procedure == PREPARE {
                returned(&mut out, handle);
                wire::done(&mut out, done::DONE_PROC, 0, 0);
                session.messages.send(&mut out, true).await?;
                return Ok(Ended::Answered);
            }
            (sql, names, parameters.split_off(parameters.len().min(3)))
        }
        EXECUTE => {
            let handle: usize = parameters.first().context("a handle")?.literal.parse()?;
            let (sql, names) =
                session.prepared.get(handle.wrapping_sub(1)).context("a statement that was prepared")?.clone();
            (sql, names, parameters.split_off(1))
        }
        UNPREPARE => {
            let mut out = Vec::new();
            wire::done(&mut out, done::DONE_PROC, 0, 0);
            session.messages.send(&mut out, true).await?;
            return Ok(Ended::Answered);
        }
        other => bail!("a procedure with the number {other}"),
    };
    shared.lock().log.push(sql.clone());
    let mut statement = tsql::statements(&sql).into_iter().next().context("a statement")?;
    for token in &mut statement {
        let place = |p: &(usize, &Parameter)| {
            let name = if p.1.name.is_empty() { names.get(p.0) } else { Some(&p.1.name) };
            name.is_some_and(|name| token.is_word(name))
        };
        if let Some((_, parameter)) = values.iter().enumerate().find(place) {
            *token = Token::Sign(parameter.literal.clone());
        }
    }
    answer::select(session, &statement, Vec::new(), done::DONE_PROC, shared).await
}

/// The names in `@a int, @b nvarchar(20)`.
fn declared(text: &str) -> Vec<String> {
    let names = text.split(',').filter_map(|part| part.split_whitespace().next());
    names.filter(|name| name.starts_with('@')).map(str::to_owned).collect()
}

/// The handle of a prepared statement, as a returned value.
fn returned(out: &mut Vec<u8>, handle: usize) {
    out.push(0xAC);
    out.extend([0, 0]);
    wire::short_text(out, "");
    out.extend([1, 0, 0, 0, 0, 0, 0]);
    out.extend([0x26, 4, 4]);
    out.extend((handle as u32).to_le_bytes());
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let part = self.body.get(self.at..self.at + n).context("a call ends early")?;
        self.at += n;
        Ok(part)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.take(2)?.try_into()?))
    }

    fn parameter(&mut self) -> Result<Parameter> {
        let n = self.u8()?;
        let name = from_utf16(self.take(usize::from(n) * 2)?);
        self.u8()?;
        let kind = self.u8()?;
        let number = |literal: Option<String>| Parameter {
            name: name.clone(),
            literal: literal.unwrap_or_else(|| "NULL".to_owned()),
            text: None,
        };
        Ok(match kind {
            0xE7 | 0xEF | 0xA7 => {
                let long = self.u16()? == 0xFFFF;
                self.take(5)?;
                let bytes = if long { self.pieces()? } else { self.short()? };
                let text = bytes
                    .map(|b| if kind == 0xA7 { b.iter().map(|b| char::from(*b)).collect() } else { from_utf16(&b) });
                let literal = text.as_ref().map(|t| format!("'{}'", t.replace('\'', "''")));
                Parameter { text, ..number(literal) }
            }
            0x26 | 0x68 | 0x6D => {
                self.u8()?;
                let n = self.u8()?;
                let bytes = self.take(usize::from(n))?;
                number(match (kind, bytes.len()) {
                    (_, 0) => None,
                    (0x68, _) => Some((bytes[0] != 0).to_string()),
                    (0x6D, 4) => Some(f32::from_le_bytes(bytes.try_into()?).to_string()),
                    (0x6D, _) => Some(f64::from_le_bytes(bytes.try_into()?).to_string()),
                    (_, 1) => Some(bytes[0].to_string()),
                    (_, 2) => Some(i16::from_le_bytes(bytes.try_into()?).to_string()),
                    (_, 4) => Some(i32::from_le_bytes(bytes.try_into()?).to_string()),
                    (_, _) => Some(i64::from_le_bytes(bytes.try_into()?).to_string()),
                })
            }
            other => bail!("a parameter of the type {other:#x}"),
        })
    }

    fn short(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(match self.u16()? {
            0xFFFF => None,
            n => Some(self.take(usize::from(n))?.to_vec()),
        })
    }

    fn pieces(&mut self) -> Result<Option<Vec<u8>>> {
        if u64::from_le_bytes(self.take(8)?.try_into()?) == u64::MAX {
            return Ok(None);
        }
        let mut all = Vec::new();
        loop {
            match u32::from_le_bytes(self.take(4)?.try_into()?) {
                0 => return Ok(Some(all)),
                n => all.extend_from_slice(self.take(n as usize)?),
            }
        }
    }
}
