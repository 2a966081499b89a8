//! The server's frames: how long each may be, which may follow which, which the library sees, and whether counts agree.
//! It must not know how bytes arrive, nor what a row holds.

use rivet_plugin_api::{PluginError, Result, Retry};

use super::facts::{Facts, HEADER_BYTES, Rows};
use super::login::Login;
use super::walk::{Step, Walk};
use crate::address::Settings;
use crate::error::{self, ServerError, protocol, version_num};

/// First bytes of a binary COPY. Read as a number of fields they are more than a table can have.
pub const COPY_SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Longest frame that is no row, bytes.
const MAX_FRAME_BYTES: usize = 64 * 1024;
/// Longest row description, bytes: 1664 columns with names of 63.
const MAX_DESCRIPTION_BYTES: usize = 160 * 1024;
/// Longest row, bytes: lengths are signed, and what is put around the row counts too.
const MAX_ROW_BYTES: u64 = (1 << 31) - 64;
/// Rows of a COPY are put into one frame until it has so many bytes.
const WRAPPED_BYTES: usize = 4 * 1024;

/// What becomes of the first bytes that are there.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The library gets so many.
    Pass(usize),
    /// As `Pass`, within a frame that is put around this one and those behind it: the library has one frame of a COPY
    /// to look at instead of one for each row. Their bytes are so many, of which some are still to come.
    Wrap { n: usize, body_bytes: usize },
    /// The library never sees so many.
    Drop(usize),
    /// More must come first.
    More,
}

/// Within a frame, or before one.
#[derive(Debug)]
enum At {
    Header,
    /// So many bytes of a frame that passes are still to come.
    Pass(usize),
    /// So many bytes of a row that is kept are still to come.
    Row(usize),
    /// In a row that is too large.
    Walk(Walk),
}

/// How far a COPY has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copy {
    No,
    Rows,
    /// Its last row was said to be read.
    Done,
    /// So many rows by its own count.
    Counted(u64),
}

/// Reads frames.
#[derive(Debug)]
pub struct Frames {
    login: Option<Login>,
    /// Longest row, bytes.
    max_row_bytes: u64,
    at: At,
    copy: Copy,
    /// Rows are announced and their end was not read.
    described: bool,
    /// Something came since the server was ready for the last time.
    answered: bool,
    /// An answer ended with its count, or with words.
    completed: bool,
    /// Rows since the answer began.
    n_rows: u64,
    failed: bool,
}

impl Frames {
    /// Of a connection that begins.
    pub fn new(settings: &Settings) -> Self {
        let max = settings.max_value_bytes;
        Self {
            login: Some(Login::new(settings)),
            max_row_bytes: if max == 0 { MAX_ROW_BYTES } else { max.min(MAX_ROW_BYTES) },
            at: At::Header,
            copy: Copy::No,
            described: false,
            answered: false,
            completed: false,
            n_rows: 0,
            failed: false,
        }
    }

    /// Bytes that we send.
    pub fn sent(&mut self, bytes: &[u8]) {
        if let Some(login) = &mut self.login {
            login.sent(bytes);
        }
    }

    /// Whether what comes now is waited for, and not what a server may say at any time, or half of it.
    pub fn is_awaited(&self) -> bool {
        !matches!(self.at, At::Header)
    }

    /// What becomes of the first of these bytes, which follow those before.
    ///
    /// # Errors
    /// `Connection` for what the protocol does not allow and for an answer that is not whole; `Auth`; `Data`
    /// (`postgres.value_too_large`, with `column_index`). Nothing more can be read then.
    pub fn next(&mut self, bytes: &[u8], facts: &mut Facts) -> Result<Verdict> {
        match &mut self.at {
            At::Header => self.header(bytes, facts),
            At::Pass(1..) | At::Row(1..) if bytes.is_empty() => Ok(Verdict::More),
            At::Pass(left) => {
                let n = bytes.len().min(*left);
                *left -= n;
                if *left == 0 {
                    self.at = At::Header;
                }
                Ok(Verdict::Pass(n))
            }
            At::Row(left) => {
                let n = bytes.len().min(*left);
                *left -= n;
                facts.add(&bytes[..n]);
                if *left == 0 {
                    self.at = At::Header;
                    if !facts.end_row() {
                        return Err(self.broken(protocol("a catalogue answer beyond all measure")));
                    }
                }
                Ok(Verdict::Drop(n))
            }
            At::Walk(walk) => match walk.step(bytes) {
                Step::Past(0) => Ok(Verdict::More),
                Step::Past(n) => Ok(Verdict::Drop(n)),
                Step::Found(index, bytes) => {
                    Err(error::value_too_large(walk.row_bytes, index, bytes, self.max_row_bytes))
                }
            },
        }
    }

    fn header(&mut self, bytes: &[u8], facts: &mut Facts) -> Result<Verdict> {
        let (n, body_bytes) = self.rows_of_copy(bytes);
        if n > 0 {
            facts.listen();
            return Ok(Verdict::Wrap { n, body_bytes });
        }
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(Verdict::More) };
        let [tag, a, b, c, d] = *header;
        let Some(body_bytes) = u32::from_be_bytes([a, b, c, d]).checked_sub(4) else {
            return Err(self.broken(protocol("a frame with an impossible length")));
        };
        match tag {
            b'd' | b'D' => self.row(*header, body_bytes, facts),
            _ => self.whole(tag, body_bytes as usize, &bytes[HEADER_BYTES..], facts),
        }
    }

    /// Bytes of the rows of a COPY that are there and allowed, whole ones and the beginning of the last; and bytes of
    /// them all once that is whole too.
    fn rows_of_copy(&mut self, bytes: &[u8]) -> (usize, usize) {
        let mut passed = 0;
        while self.copy == Copy::Rows
            && passed < WRAPPED_BYTES
            && let Some([b'd', a, b, c, d]) = bytes[passed..].first_chunk::<HEADER_BYTES>()
        {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            if length < 4 || u64::from(length) > self.max_row_bytes {
                break;
            }
            passed += length as usize + 1;
            if passed > bytes.len() {
                self.at = At::Pass(passed - bytes.len());
                return (bytes.len(), passed);
            }
        }
        (passed, passed)
    }

    /// A row that is kept, or one that is too large, or one where none belongs.
    fn row(&mut self, header: [u8; HEADER_BYTES], body_bytes: u32, facts: &mut Facts) -> Result<Verdict> {
        let tag = header[0];
        let belongs = if tag == b'd' { self.copy == Copy::Rows } else { self.copy == Copy::No && self.described };
        if !belongs {
            return Err(self.broken(protocol("a row where none belongs")));
        }
        if facts.overflows(body_bytes as usize) {
            return Err(self.broken(protocol("a catalogue answer beyond all measure")));
        }
        if u64::from(body_bytes) + 4 > self.max_row_bytes {
            self.at = At::Walk(Walk::new(u64::from(body_bytes), self.max_row_bytes));
            return Ok(Verdict::Drop(HEADER_BYTES));
        }
        debug_assert!(tag == b'D', "rows of a COPY pass before");
        self.n_rows += 1;
        facts.begin_row(header, body_bytes as usize);
        self.at = At::Row(body_bytes as usize);
        Ok(Verdict::Drop(HEADER_BYTES))
    }

    /// A frame that is looked at as a whole.
    fn whole(&mut self, tag: u8, body_bytes: usize, bytes: &[u8], facts: &mut Facts) -> Result<Verdict> {
        let limit = if tag == b'T' { MAX_DESCRIPTION_BYTES } else { MAX_FRAME_BYTES };
        if body_bytes > limit && tag != b'E' {
            return Err(self.broken(protocol("a frame beyond all measure")));
        }
        let Some(body) = bytes.get(..body_bytes.min(limit)) else { return Ok(Verdict::More) };
        if body_bytes > limit {
            // Whatever else it says: what comes first is the cause.
            let said = ServerError::parse(body);
            let is_said = said.sqlstate.len() == 5 && !said.message.is_empty();
            let beyond = || self.broken(protocol("an error beyond all measure"));
            return Err(if is_said { said.into_plugin_error() } else { beyond() });
        }
        let frame_bytes = HEADER_BYTES + body_bytes;
        if !matches!(tag, b'S' | b'N' | b'A') {
            facts.listen();
        }
        let passes = if self.login.is_some() { self.at_login(tag, body, facts) } else { self.later(tag, body, facts) };
        Ok(if passes? { Verdict::Pass(frame_bytes) } else { Verdict::Drop(frame_bytes) })
    }

    /// Whether the library sees a frame of the login.
    fn at_login(&mut self, tag: u8, body: &[u8], facts: &mut Facts) -> Result<bool> {
        match (tag, &mut self.login) {
            (b'R', Some(login)) => login.asked(body).map(|()| true),
            (b'K', _) => {
                facts.process_id = body.first_chunk::<4>().map_or(0, |id| i32::from_be_bytes(*id));
                Ok(true)
            }
            (b'E', _) => Ok(true),
            (b'Z', _) => {
                self.login = None;
                Ok(true)
            }
            (b'S' | b'N', _) => Ok(told(tag, body, facts)),
            _ => Err(self.broken(protocol("a frame that has no place in a login"))),
        }
    }

    /// Whether the library sees a frame after the login.
    fn later(&mut self, tag: u8, body: &[u8], facts: &mut Facts) -> Result<bool> {
        if matches!(tag, b'S' | b'N' | b'A') {
            return Ok(told(tag, body, facts));
        }
        self.answered |= tag != b'Z';
        match tag {
            b'T' => {
                facts.columns = body.to_vec();
                self.described = true;
                return Ok(false);
            }
            b'H' if self.copy == Copy::No => self.copy = Copy::Rows,
            b'c' if self.copy == Copy::Rows => self.copy = Copy::Done,
            b'C' => self.complete(body, facts.mode)?,
            // The library has turned away from the answer: this would be lost.
            b'E' if self.copy != Copy::No && self.copy != Copy::Rows => {
                return Err(ServerError::parse(body).into_plugin_error());
            }
            b'E' => self.failed = true,
            b'Z' => self.ready(facts)?,
            b'I' if facts.mode != Rows::Discard => return Err(error::incomplete("an empty answer")),
            b'1' | b'2' | b'3' | b't' | b'n' | b'I' => {}
            _ => return Err(self.broken(protocol("a frame that does not belong here"))),
        }
        Ok(true)
    }

    /// An answer's end, with its count: `SELECT 5`.
    fn complete(&mut self, body: &[u8], mode: Rows) -> Result<()> {
        let text = String::from_utf8_lossy(body.strip_suffix(&[0]).unwrap_or(body));
        let mut words = text.split(' ');
        let (word, count) = (words.next().unwrap_or_default(), words.next_back().map(str::parse::<u64>));
        match (self.copy, word, count) {
            (Copy::Done, "COPY", Some(Ok(n))) => self.copy = Copy::Counted(n),
            (Copy::No, "SELECT" | "FETCH", Some(Ok(n))) if self.described && n == self.n_rows => {}
            // Rows that are streamed are those of a FETCH.
            (Copy::No, word, _) if matches!(word, "SELECT" | "FETCH") || mode == Rows::Stream => {
                return Err(error::incomplete(&format!("the server counts '{text}', {} rows came", self.n_rows)));
            }
            (Copy::No, ..) => {}
            _ => return Err(error::incomplete("the end of a COPY came before its last row")),
        }
        (self.described, self.n_rows, self.completed) = (false, 0, true);
        Ok(())
    }

    /// The server waits for the next statement: what it began must have ended.
    fn ready(&mut self, facts: &mut Facts) -> Result<()> {
        let unanswered = !self.answered || (facts.mode == Rows::Stream && !self.completed);
        match self.copy {
            _ if self.failed => {}
            _ if unanswered => return Err(error::incomplete("the server is ready without an answer")),
            Copy::Counted(n) => facts.copied = Some(n),
            Copy::No if !self.described => {}
            _ => return Err(error::incomplete("the server ended an answer without its count")),
        }
        (self.copy, self.n_rows) = (Copy::No, 0);
        (self.described, self.answered, self.completed, self.failed) = (false, false, false, false);
        Ok(())
    }

    /// Who logs us in and then breaks the protocol may do better in another connection.
    fn broken(&self, e: PluginError) -> PluginError {
        if self.login.is_some() { e } else { e.retry(Retry::NewSession) }
    }
}

/// What a server may say at any time; the library need not hear it.
fn told(tag: u8, body: &[u8], facts: &mut Facts) -> bool {
    let mut texts = body.split(|b| *b == 0);
    match tag {
        b'S' => {
            if let (Some(b"server_version"), Some(version)) = (texts.next(), texts.next()) {
                facts.version = version_num(&String::from_utf8_lossy(version));
            }
        }
        b'N' => {
            let notice = ServerError::parse(body);
            tracing::debug!(sqlstate = notice.sqlstate, "notice: {}", notice.message);
        }
        _ => {}
    }
    false
}

#[cfg(test)]
mod tests;
