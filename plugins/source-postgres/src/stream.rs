//! Rows of a running statement, as the server sent them: no copy, no allocation per row; their end is proved.
//! It must not know what a row holds.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use rivet_plugin_api::{Cx, PluginError, Result};
use tokio_postgres::CopyOutStream;

use crate::connect::{Client, Ending};
use crate::error::{self, protocol};
use crate::failure::Failure;
use crate::tap::{COPY_SIGNATURE, Facts, HEADER_BYTES, Rows, Shared, bodies};

/// A tuple with -1 fields ends a binary COPY.
const COPY_TRAILER: [u8; 2] = [0xff, 0xff];

/// The rows of a statement; dropped early, it cancels the statement.
pub struct RowFrames<'c> {
    pub client: &'c mut Client,
    source: Source,
    /// Rows that were read so far.
    n_rows: u64,
}

/// Where rows come from.
enum Source {
    Copy(Copy),
    Fetch(Fetch),
    /// All were read.
    Ended,
}

/// What came of a poll: whether rows have ended, or what the reader of rows says.
type Polled = Poll<Result<Result<bool>, Failure>>;

impl<'c> RowFrames<'c> {
    /// Rows of a COPY.
    pub fn copy(client: &'c mut Client, stream: CopyOutStream) -> Self {
        let source = Source::Copy(Copy { stream: Box::pin(stream), frames: Bytes::new(), at: 0, stage: Stage::Header });
        Self { client, source, n_rows: 0 }
    }

    /// Rows of a cursor, piece by piece; none until [`RowFrames::fetch_more`].
    pub fn fetch(client: &'c mut Client) -> Self {
        Self { client, source: Source::Ended, n_rows: 0 }
    }

    /// Asks for the next piece, by a FETCH from a binary cursor.
    ///
    /// # Errors
    /// `Connection`, `Cancelled`; what the server says comes with the rows.
    pub fn fetch_more(&mut self, sql: &str, cx: &Cx) -> Result<()> {
        let ending = Some(self.client.begin(sql, Rows::Stream, cx)?);
        self.source = Source::Fetch(Fetch { ending, taken: Vec::new(), at: 0 });
        Ok(())
    }

    /// Rows that were read so far.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Gives rows to `take` until it says that it has enough (`false`) or there are no more; says whether there are no
    /// more. A row is a 16-bit number of fields, then for each its length in 32 bits (-1 = NULL) and its bytes.
    ///
    /// # Errors
    /// The server's error, `Connection`, `Timeout`, `Cancelled`, `Data` for a row beyond the limit, or what `take`
    /// says.
    pub fn read(&mut self, cx: &Cx, mut take: impl FnMut(&[u8]) -> Result<bool>) -> Result<bool> {
        let Self { client, source, n_rows } = self;
        let limit = client.limit();
        let read = client.drive(cx, limit, |task, seen| match source {
            Source::Copy(copy) => copy.poll(task, seen, n_rows, &mut take),
            Source::Fetch(fetch) => fetch.poll(task, seen, n_rows, &mut take),
            Source::Ended => Poll::Ready(Ok(Ok(true))),
        });
        let ended = read.map_err(|e| name_row(e, *n_rows))??;
        if ended {
            self.source = Source::Ended;
            self.client.idle();
        }
        Ok(ended)
    }
}

/// A row that was refused has an ordinal, from 1.
fn name_row(e: PluginError, n_rows: u64) -> PluginError {
    if e.code() == "postgres.value_too_large" { e.detail("row", n_rows + 1) } else { e }
}

impl Drop for RowFrames<'_> {
    fn drop(&mut self) {
        // The library turns away from an answer that nobody reads.
        self.source = Source::Ended;
        self.client.cancel_and_drain();
    }
}

/// How far a COPY was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The first frame begins with a header.
    Header,
    Rows,
    /// The last row was read.
    Trailer,
    /// The server says the same; its count is to come.
    Done,
}

struct Copy {
    stream: Pin<Box<CopyOutStream>>,
    /// Frames that the tap put into one, and how far they were read.
    frames: Bytes,
    at: usize,
    stage: Stage,
}

impl Copy {
    fn poll(
        &mut self,
        task: &mut Context<'_>,
        seen: &Shared,
        n_rows: &mut u64,
        take: &mut impl FnMut(&[u8]) -> Result<bool>,
    ) -> Polled {
        while self.stage != Stage::Done {
            let Some(mut row) = bodies(&self.frames[self.at..]).next() else {
                match ready!(self.stream.as_mut().poll_next(task)?) {
                    Some(frames) => (self.frames, self.at) = (frames, 0),
                    None if self.stage == Stage::Trailer => self.stage = Stage::Done,
                    None => return failed("the rows of a COPY end without their last"),
                }
                continue;
            };
            self.at += row.len() + HEADER_BYTES;
            if self.stage == Stage::Header {
                row = &row[copy_header(row).map_err(Failure::from)?..];
                self.stage = Stage::Rows;
                if row.is_empty() {
                    continue;
                }
            }
            if self.stage == Stage::Trailer {
                return failed("rows came after the last of a COPY");
            }
            if *row == COPY_TRAILER {
                self.stage = Stage::Trailer;
                continue;
            }
            *n_rows += 1;
            match take(row) {
                Ok(true) => {}
                other => return Poll::Ready(Ok(other)),
            }
        }
        match Facts::lock(seen).copied {
            Some(n) if n == *n_rows => Poll::Ready(Ok(Ok(true))),
            Some(n) => failed(&format!("the server counts {n} rows, {n_rows} came")),
            None => Poll::Pending,
        }
    }
}

fn failed(what: &str) -> Polled {
    Poll::Ready(Err(error::incomplete(what).into()))
}

struct Fetch {
    /// None once the end was read: the tap has compared the count.
    ending: Option<Ending>,
    /// Rows that the tap handed over, and how far they were read.
    taken: Vec<u8>,
    at: usize,
}

impl Fetch {
    fn poll(
        &mut self,
        task: &mut Context<'_>,
        seen: &Shared,
        n_rows: &mut u64,
        take: &mut impl FnMut(&[u8]) -> Result<bool>,
    ) -> Polled {
        loop {
            while let Some(row) = bodies(&self.taken[self.at..]).next() {
                self.at += row.len() + HEADER_BYTES;
                *n_rows += 1;
                match take(row) {
                    Ok(true) => {}
                    other => return Poll::Ready(Ok(other)),
                }
            }
            if let Some(ending) = &mut self.ending
                && ending.as_mut().poll(task)?.is_ready()
            {
                self.ending = None;
            }
            Facts::lock(seen).take_rows(&mut self.taken);
            self.at = 0;
            match (&self.ending, self.taken.is_empty()) {
                (_, false) => {}
                (None, true) => return Poll::Ready(Ok(Ok(true))),
                (Some(_), true) => return Poll::Pending,
            }
        }
    }
}

/// Length of the header: signature, flags and an extension of stated length.
fn copy_header(body: &[u8]) -> Result<usize> {
    let parse = || {
        let rest = body.strip_prefix(COPY_SIGNATURE)?;
        let (_flags, rest) = rest.split_first_chunk::<4>()?;
        let (extension, _) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*extension)).ok()?;
        Some(COPY_SIGNATURE.len() + 8 + length).filter(|n| *n <= body.len())
    };
    parse().ok_or_else(|| protocol("a COPY without its header").retry(rivet_plugin_api::Retry::NewSession))
}
