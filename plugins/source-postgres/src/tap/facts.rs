//! What the tap saw and kept: facts of the connection that the library has no place for.
//! It must not know how frames are told apart, nor what a row holds.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rivet_plugin_api::PluginError;
use rivet_shared_net::stage;

/// Most bytes of rows that wait for a reader who takes them as they come.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// Bytes before the body of a frame: its type, and a length that counts itself.
pub const HEADER_BYTES: usize = 5;

/// What a row costs beside its bytes, and each of its fields, when they are texts.
const ROW_COST_BYTES: usize = 40;
/// A field has four bytes of length before it.
const FIELD_COST_BYTES: usize = 56;

/// Shared by the stream and by whoever reads its rows.
pub type Shared = Arc<Mutex<Facts>>;

/// What is done with the rows of an answer, which the library never sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Kept until the answer ends: it is small, with what its rows cost beside their bytes, or it is refused.
    Keep { max_bytes: usize },
    /// Taken as they come; the server waits while too many are untaken.
    Stream,
    /// Nobody wants them any more.
    Discard,
}

/// Facts about a connection and about the statement that runs in it.
#[derive(Debug)]
pub struct Facts {
    /// Why nothing more can be read. More than the library will say.
    fault: Option<PluginError>,
    /// Where the server is, by TCP.
    pub address: Option<SocketAddr>,
    /// The step of the connection that was reached.
    pub stage: &'static str,
    /// Version as `170010` for 17.10; 0 when the server did not say.
    pub version: u32,
    /// Process id of the server's end, as whoever answered the login says.
    pub process_id: i32,
    /// When the latest bytes came.
    pub heard: Instant,
    /// Body of the latest row description.
    pub columns: Vec<u8>,
    /// What becomes of rows.
    pub mode: Rows,
    /// Rows that were not taken, each with its header.
    rows: Vec<u8>,
    /// What the rows of the answer so far cost.
    cost_bytes: usize,
    /// Bytes of `rows` whose rows are whole.
    whole_bytes: usize,
    /// Rows of a COPY by its own count, once its end was read.
    pub copied: Option<u64>,
}

impl Facts {
    /// Of a connection that is about to be made.
    pub fn shared() -> Shared {
        Arc::new(Mutex::new(Self {
            fault: None,
            address: None,
            stage: stage::RESOLVE,
            version: 0,
            process_id: 0,
            heard: Instant::now(),
            columns: Vec::new(),
            mode: Rows::Discard,
            rows: Vec::new(),
            cost_bytes: 0,
            whole_bytes: 0,
            copied: None,
        }))
    }

    pub fn lock(shared: &Shared) -> MutexGuard<'_, Self> {
        shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing more is read, for this reason; the first one counts.
    pub fn refuse(&mut self, fault: PluginError) {
        self.fault.get_or_insert(fault);
    }

    /// Why nothing more can be read.
    pub fn fault(&self) -> Option<&PluginError> {
        self.fault.as_ref()
    }

    /// A statement is about to be sent.
    pub fn begin(&mut self, mode: Rows) {
        self.mode = mode;
        self.columns.clear();
        self.rows.clear();
        (self.cost_bytes, self.whole_bytes) = (0, 0);
        self.copied = None;
    }

    /// Whether the reader must take rows before more are read.
    pub fn is_full(&self) -> bool {
        self.mode == Rows::Stream && self.whole_bytes >= MAX_WAITING_BYTES
    }

    /// Whether an answer that is kept whole would become too large with so many bytes more.
    pub fn overflows(&self, bytes: usize) -> bool {
        matches!(self.mode, Rows::Keep { max_bytes } if self.cost_bytes + bytes > max_bytes)
    }

    /// A row with this header and so many bytes of body begins.
    pub fn begin_row(&mut self, header: [u8; HEADER_BYTES], body_bytes: usize) {
        if self.mode != Rows::Discard {
            self.rows.extend_from_slice(&header);
            self.cost_bytes += body_bytes + ROW_COST_BYTES;
        }
    }

    /// A piece of the row that was begun.
    pub fn add(&mut self, piece: &[u8]) {
        if self.mode != Rows::Discard {
            self.rows.extend_from_slice(piece);
        }
    }

    /// The row that was begun is whole. Whether there is room for what its fields cost.
    pub fn end_row(&mut self) -> bool {
        let row = self.rows.get(self.whole_bytes + HEADER_BYTES..).and_then(|row| row.first_chunk::<2>());
        let n_fields = row.map_or(0, |n| usize::from(u16::from_be_bytes(*n)));
        self.cost_bytes += n_fields * FIELD_COST_BYTES;
        self.whole_bytes = self.rows.len();
        !self.overflows(0)
    }

    /// Hands over the rows that are whole, if there are any, in exchange for a buffer to fill.
    pub fn take_rows(&mut self, buffer: &mut Vec<u8>) {
        buffer.clear();
        if buffer.capacity() > 4 * MAX_WAITING_BYTES {
            *buffer = Vec::new();
        }
        if self.whole_bytes > 0 {
            std::mem::swap(&mut self.rows, buffer);
            self.rows.extend_from_slice(&buffer[self.whole_bytes..]);
            buffer.truncate(self.whole_bytes);
            self.whole_bytes = 0;
        }
    }

    /// What is awaited was heard of just now: the clock of silence starts anew.
    pub fn listen(&mut self) {
        self.heard = Instant::now();
    }
}

/// The bodies of frames that lie one after the other.
pub fn bodies(mut frames: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let ([_, a, b, c, d], rest) = frames.split_first_chunk::<HEADER_BYTES>()?;
        let length = u32::from_be_bytes([*a, *b, *c, *d]);
        let (body, rest) = rest.split_at_checked(length.checked_sub(4)? as usize)?;
        frames = rest;
        Some(body)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_without_bytes_cost_what_their_texts_will() {
        let shared = Facts::shared();
        let mut facts = Facts::lock(&shared);
        for (n_fields, fits) in [(10_u8, true), (100, false)] {
            facts.begin(Rows::Keep { max_bytes: 2000 });
            let body = [&[0, n_fields][..], &[0xff; 4].repeat(usize::from(n_fields))].concat();
            assert!(!facts.overflows(body.len()));
            facts.begin_row(*b"D\0\0\0\0", body.len());
            facts.add(&body);
            assert_eq!(facts.end_row(), fits, "{n_fields}");
        }
    }

    #[test]
    fn a_row_is_handed_over_once_and_whole() {
        let shared = Facts::shared();
        let mut facts = Facts::lock(&shared);
        facts.begin(Rows::Stream);
        facts.begin_row(*b"D\0\0\0\x07", 3);
        facts.add(b"ab");
        facts.add(b"c");
        facts.end_row();
        facts.begin_row(*b"D\0\0\0\x08", 4);
        facts.add(b"de");
        let mut taken = Vec::new();
        facts.take_rows(&mut taken);
        assert_eq!(bodies(&taken).collect::<Vec<_>>(), [b"abc"]);
        facts.add(b"fg");
        facts.take_rows(&mut taken);
        assert_eq!(bodies(&taken).count(), 0);
        facts.end_row();
        facts.take_rows(&mut taken);
        assert_eq!(bodies(&taken).collect::<Vec<_>>(), [b"defg"]);
    }
}
