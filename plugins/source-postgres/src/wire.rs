//! Frames of the PostgreSQL protocol (version 3), read in place from one receive buffer.
//! It must not know what a frame means.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::thread;
use std::time::Duration;

use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result, Retry};

use crate::error;
use crate::transport::{Socket, Transport};

/// Size of the receive buffer, bytes: what one read takes at most.
const RECEIVE_BYTES: usize = 256 * 1024;
/// A frame beyond the buffer grows it; back below this it shrinks again.
const SHRINK_ABOVE_BYTES: usize = 4 * RECEIVE_BYTES;
/// A read that gave as many bytes as this has overtaken a server that sends rows.
const OVERTAKEN: Range<usize> = 2 * 1024..64 * 1024;
/// How long a server that was overtaken is left alone. It sends 8 KiB at a time; waking up for each of them costs both
/// sides more than the rows do. What it sends meanwhile waits in the socket.
const PAUSE: Duration = Duration::from_micros(500);
/// First bytes of a binary COPY. Read as a number of fields they are more than a table can have.
pub const COPY_SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Largest frame of any kind where no limit is set: the protocol's own.
const MAX_FRAME_BYTES: usize = i32::MAX as usize;

/// A transport with its receive buffer.
pub struct Wire {
    transport: Transport,
    /// The same socket, for whoever must end a blocked read.
    handle: Socket,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Largest row, bytes.
    max_row_bytes: usize,
    /// In the middle of a frame that will not be read to its end, or without a peer.
    broken: bool,
    /// Whether the last read took all that had arrived of something long.
    overtaken: bool,
}

/// A frame: its type byte, and where its body is in the buffer until the next one is read.
#[derive(Debug, Clone)]
pub struct Frame {
    pub tag: u8,
    pub body: Range<usize>,
}

impl Wire {
    /// Over a connected transport. `max_row_bytes` 0 = no limit.
    pub fn new(transport: Transport, max_row_bytes: u64) -> Result<Self> {
        let handle = transport.socket().try_clone().map_err(|e| error::socket("set up the connection", &e))?;
        let limit =
            if max_row_bytes == 0 { MAX_FRAME_BYTES } else { usize::try_from(max_row_bytes).unwrap_or(usize::MAX) };
        Ok(Self {
            transport,
            handle,
            buffer: vec![0; RECEIVE_BYTES],
            start: 0,
            end: 0,
            max_row_bytes: limit,
            broken: false,
            overtaken: false,
        })
    }

    /// Longest silence while something is awaited; for ever when absent.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.handle.set_read_timeout(timeout);
    }

    /// Whether nothing more can be read.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The server's certificate, under TLS.
    pub fn server_certificate(&self) -> Option<&[u8]> {
        self.transport.server_certificate()
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8], cx: &Cx) -> Result<()> {
        let Self { transport, handle, .. } = self;
        let sent = cx.with_wake(&|| handle.shut_down(), || transport.write_all(bytes).and_then(|()| transport.flush()));
        sent.map_err(
            |e| if cx.is_cancelled() { PluginError::cancelled() } else { error::socket("send to the server", &e) },
        )
    }

    /// The bytes of a frame's body.
    #[inline]
    pub fn body(&self, frame: &Frame) -> &[u8] {
        self.buffer.get(frame.body.clone()).unwrap_or_default()
    }

    /// Reads the next frame.
    ///
    /// # Errors
    /// `Data` (`postgres.value_too_large`, with `column_index`) for a row beyond the limit, which is not buffered;
    /// the connection is then of no more use.
    #[inline]
    pub fn next(&mut self, cx: &Cx) -> Result<Frame> {
        loop {
            if let Some([tag, a, b, c, d]) = self.buffer[self.start..self.end].first_chunk::<5>() {
                let (tag, length) = (*tag, u32::from_be_bytes([*a, *b, *c, *d]) as usize);
                if length < 4 {
                    return Err(error::protocol("a frame with an impossible length"));
                }
                let body = self.start + 5..self.start + 1 + length;
                if body.end <= self.end {
                    self.start = body.end;
                    return Ok(Frame { tag, body });
                }
                if length > self.max_row_bytes && matches!(tag, b'd' | b'D') {
                    return Err(self.too_large(length - 4, cx));
                }
                self.make_room(1 + length);
            }
            self.fill(cx)?;
        }
    }

    /// Moves what is left to the front and grows the buffer for a frame of `bytes`.
    fn make_room(&mut self, bytes: usize) {
        if self.start + bytes <= self.buffer.len() {
            return;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if bytes > self.buffer.len() {
            self.buffer.resize(bytes.next_multiple_of(RECEIVE_BYTES), 0);
        }
    }

    /// Reads once, as much as there is and fits.
    fn fill(&mut self, cx: &Cx) -> Result<()> {
        // Under TLS a read gives one record at most, and says nothing of what waits.
        if self.overtaken && matches!(self.transport, Transport::Plain(_)) {
            thread::sleep(PAUSE);
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > SHRINK_ABOVE_BYTES {
                self.buffer.truncate(RECEIVE_BYTES);
                self.buffer.shrink_to_fit();
            }
        } else if self.end == self.buffer.len() {
            self.make_room(self.end - self.start + 1);
        }
        let Self { transport, handle, buffer, end, .. } = self;
        let room = buffer.len() - *end;
        let read = cx.with_wake(&|| handle.end_reads(), || read_some(transport, &mut buffer[*end..]));
        self.broken |= !matches!(read, Ok(1..));
        match read {
            _ if cx.is_cancelled() => Err(PluginError::cancelled()),
            Ok(0) => {
                Err(PluginError::new(ErrorKind::Connection, "postgres.closed", "the server closed the connection")
                    .retry(Retry::NewSession)
                    .hint("look into the server's log"))
            }
            Ok(n) => {
                self.end += n;
                self.overtaken = has_overtaken(n, room);
                Ok(())
            }
            Err(e) => Err(error::socket("read from the server", &e)),
        }
    }

    /// Walks through a row that is too large, field by field, without keeping it, to say which column it is.
    #[cold]
    fn too_large(&mut self, row_bytes: usize, cx: &Cx) -> PluginError {
        self.broken = true;
        self.start += 5;
        let found = self.largest_field(cx);
        let limit = self.max_row_bytes;
        let enough_mb = row_bytes.div_ceil(1 << 20);
        let error = |text: String| {
            PluginError::new(ErrorKind::Data, "postgres.value_too_large", text)
                .hint(format!("set `tuning: {{max_value_mb: {enough_mb}}}`, or leave the column out with `exclude`"))
        };
        match found {
            Ok((index, bytes)) if bytes > limit => {
                error(format!("a value has {}, max_value_mb allows {}", mib(bytes), mib(limit)))
                    .detail("column_index", index)
            }
            Ok((index, bytes)) => error(format!(
                "a row has {}, max_value_mb allows {}; its largest value has {}",
                mib(row_bytes),
                mib(limit),
                mib(bytes)
            ))
            .detail("column_index", index),
            Err(_) => error(format!("a row has {}, max_value_mb allows {}", mib(row_bytes), mib(limit))),
        }
    }

    /// Index and size of the first field beyond the limit, else of the largest.
    fn largest_field(&mut self, cx: &Cx) -> Result<(usize, usize)> {
        let mut n_fields = u16::from_be_bytes(self.take(cx)?);
        if n_fields.to_be_bytes() == COPY_SIGNATURE[..2] {
            // The first row of a COPY comes in one frame with the header: signature, flags, extension.
            self.skip(COPY_SIGNATURE.len() - 2 + 4, cx)?;
            let extension = u32::from_be_bytes(self.take(cx)?);
            self.skip(usize::try_from(extension).unwrap_or(usize::MAX), cx)?;
            n_fields = u16::from_be_bytes(self.take(cx)?);
        }
        let mut largest = (0, 0);
        for index in 0..usize::from(n_fields) {
            let length = i32::from_be_bytes(self.take(cx)?);
            let bytes = usize::try_from(length).unwrap_or(0);
            if bytes > largest.1 {
                largest = (index, bytes);
            }
            if bytes > self.max_row_bytes {
                break;
            }
            self.skip(bytes, cx)?;
        }
        Ok(largest)
    }

    fn take<const N: usize>(&mut self, cx: &Cx) -> Result<[u8; N]> {
        loop {
            if let Some(bytes) = self.buffer[self.start..self.end].first_chunk::<N>() {
                let bytes = *bytes;
                self.start += N;
                return Ok(bytes);
            }
            self.fill(cx)?;
        }
    }

    fn skip(&mut self, mut bytes: usize, cx: &Cx) -> Result<()> {
        loop {
            let here = bytes.min(self.end - self.start);
            self.start += here;
            bytes -= here;
            if bytes == 0 {
                return Ok(());
            }
            self.fill(cx)?;
        }
    }
}

/// Whether a read that gave `n` bytes, with room for more than that or not, left nothing behind of something long.
fn has_overtaken(n: usize, room: usize) -> bool {
    n < room && OVERTAKEN.contains(&n)
}

fn read_some(transport: &mut Transport, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match transport.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // A TLS peer that just hangs up.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
            result => return result,
        }
    }
}

/// Bytes in MiB, for people.
#[allow(clippy::cast_precision_loss, reason = "for people")]
fn mib(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_overtaken_when_nothing_waits_of_something_long() {
        for (n, room, overtaken) in [
            (8 * 1024, RECEIVE_BYTES, true),
            // The buffer was nearly full: more may wait.
            (8 * 1024, 8 * 1024, false),
            (64 * 1024, RECEIVE_BYTES, false),
            // A short answer, not rows.
            (100, RECEIVE_BYTES, false),
        ] {
            assert_eq!(has_overtaken(n, room), overtaken, "{n} {room}");
        }
    }
}
