//! Rows of a running statement, borrowed from the receive buffer: no copy, no allocation per row.
//! It must not know what a row holds.

use rivet_plugin_api::{Cx, PluginError, Result};

use crate::connect::Client;
use crate::error::{ServerError, protocol};
use crate::wire::{COPY_SIGNATURE, Frame};

/// A tuple with -1 fields ends a binary COPY.
const COPY_TRAILER: [u8; 2] = [0xff, 0xff];

/// The rows of a statement; dropped early, it cancels the statement.
pub struct RowFrames<'c> {
    /// Fit for another statement once all rows were read.
    pub client: &'c mut Client,
    /// What a row's frame is called: CopyData or DataRow.
    row_tag: u8,
    /// The first frame of a COPY begins with a header; its body is kept until the first row is asked for.
    header_due: bool,
    rows: u64,
    ended: bool,
}

impl<'c> RowFrames<'c> {
    /// Rows of a COPY that was sent; waits until the server agrees.
    pub fn copy(client: &'c mut Client, cx: &Cx) -> Result<Self> {
        let mut frames = Self { client, row_tag: b'd', header_due: true, rows: 0, ended: false };
        loop {
            let frame = frames.client.wire.next(cx)?;
            match frame.tag {
                b'H' => return Ok(frames),
                b'E' => {
                    let error = ServerError::parse(frames.client.wire.body(&frame)).into_plugin_error();
                    let error = frames.client.explained(error);
                    return Err(frames.fail(error, cx));
                }
                _ => frames.client.asynchronous(&frame)?,
            }
        }
    }

    /// Rows of a FETCH that was sent.
    pub fn fetch(client: &'c mut Client) -> Self {
        Self { client, row_tag: b'D', header_due: false, rows: 0, ended: false }
    }

    /// The next row: a 16-bit number of fields, then for each its length in 32 bits (-1 = NULL) and its bytes.
    ///
    /// # Errors
    /// The server's error, `Connection`, `Timeout`, `Cancelled`, or `Data` for a row beyond the limit.
    #[inline]
    pub fn next(&mut self, cx: &Cx) -> Result<Option<&[u8]>> {
        if self.ended {
            return Ok(None);
        }
        loop {
            let frame = self.client.wire.next(cx).map_err(|e| self.name_row(e))?;
            if frame.tag == self.row_tag {
                let mut body = frame.body;
                if self.header_due {
                    body.start += copy_header(self.client.wire.body(&Frame { tag: frame.tag, body: body.clone() }))?;
                    self.header_due = false;
                    if body.is_empty() {
                        continue;
                    }
                }
                let row = Frame { tag: frame.tag, body };
                if self.row_tag == b'd' && self.client.wire.body(&row) == COPY_TRAILER {
                    continue;
                }
                self.rows += 1;
                return Ok(Some(self.client.wire.body(&row)));
            }
            match frame.tag {
                b'E' => {
                    let error = ServerError::parse(self.client.wire.body(&frame)).into_plugin_error();
                    let error = self.client.explained(error);
                    return Err(self.fail(error, cx));
                }
                b'Z' => {
                    self.end();
                    return Ok(None);
                }
                b'c' | b'C' | b'T' => {}
                _ => self.client.asynchronous(&frame)?,
            }
        }
    }

    /// Reads on to the statement's end, so that the connection stays in step, and gives the error back.
    fn fail(&mut self, error: PluginError, cx: &Cx) -> PluginError {
        loop {
            match self.client.wire.next(cx) {
                Ok(frame) if frame.tag == b'Z' => {
                    self.end();
                    return error;
                }
                Ok(_) => {}
                Err(_) => {
                    // A server that shuts down says why and hangs up.
                    self.end();
                    return error;
                }
            }
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.client.idle();
    }

    /// A row that was refused has an ordinal, from 1.
    #[cold]
    fn name_row(&self, e: PluginError) -> PluginError {
        if e.code() == "postgres.value_too_large" { e.detail("row", self.rows + 1) } else { e }
    }
}

impl Drop for RowFrames<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.client.cancel_and_drain();
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
    parse().ok_or_else(|| protocol("a COPY without its header"))
}
