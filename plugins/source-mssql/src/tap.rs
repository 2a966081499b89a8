//! What passes between driver and server, looked at: when something was last heard, and the last token of each answer.
//! It must not change a byte, nor know what rows hold.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Bytes of a packet's header; its length, header and all, is in the third and fourth.
const HEADER: usize = 8;
/// The bit of a packet's status that ends a message.
const END_OF_MESSAGE: u8 = 1;
/// Bytes of a DONE token, with which each answer ends (MS-TDS 2.2.7.6).
const DONE: usize = 13;
/// DONE, DONEPROC, DONEINPROC.
const DONE_TOKENS: [u8; 3] = [0xFD, 0xFE, 0xFF];

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    pub status: u16,
    pub rows: u64,
}

impl Done {
    /// Whether the server ended the answer because it was asked to.
    pub fn is_attention(self) -> bool {
        const ATTENTION: u16 = 0x20;
        self.status & ATTENTION != 0
    }

    /// The number of rows, where the server says it, nothing is to come and nothing went wrong.
    pub fn counted(self) -> Option<u64> {
        const MORE: u16 = 1;
        const ERROR: u16 = 2;
        const COUNT: u16 = 0x10;
        const DISCARD: u16 = 0x100;
        let is_end = self.status & (MORE | ERROR | DISCARD) == 0 && !self.is_attention();
        (is_end && self.status & COUNT != 0).then_some(self.rows)
    }
}

/// What was seen.
#[derive(Debug)]
pub struct Facts {
    /// When a byte last came.
    pub heard: Instant,
    /// The step of the connection.
    pub stage: &'static str,
    /// The end of the last answer, since it was last forgotten.
    pub done: Option<Done>,
    /// The server is to be asked to stop; so it is when the driver reads next.
    pub attention: bool,
    tail: Tail,
}

/// Facts that driver and caller share.
pub type Shared = Arc<Mutex<Facts>>;

impl Facts {
    pub fn shared(stage: &'static str) -> Shared {
        Arc::new(Mutex::new(Self { heard: Instant::now(), stage, done: None, attention: false, tail: Tail::default() }))
    }

    pub fn lock(shared: &Shared) -> MutexGuard<'_, Self> {
        shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes bytes that came.
    pub fn see(&mut self, bytes: &[u8]) {
        self.heard = Instant::now();
        if let Some(done) = self.tail.feed(bytes) {
            self.done = Some(done);
        }
    }
}

/// The last bytes of a message, whatever packets it comes in.
#[derive(Debug, Default)]
struct Tail {
    header: [u8; HEADER],
    n_header: usize,
    /// Bytes of the packet that are to come.
    left: usize,
    last: [u8; DONE],
    n_last: usize,
}

impl Tail {
    /// The end of the last message that ends in these bytes.
    fn feed(&mut self, mut bytes: &[u8]) -> Option<Done> {
        let mut ended = None;
        while !bytes.is_empty() {
            if self.left == 0 {
                let n = bytes.len().min(HEADER - self.n_header);
                self.header[self.n_header..self.n_header + n].copy_from_slice(&bytes[..n]);
                (self.n_header, bytes) = (self.n_header + n, &bytes[n..]);
                if self.n_header == HEADER {
                    let length = usize::from(u16::from_be_bytes([self.header[2], self.header[3]]));
                    (self.n_header, self.left) = (0, length.saturating_sub(HEADER));
                    if self.left == 0 {
                        ended = self.end_of_packet().or(ended);
                    }
                }
                continue;
            }
            let (body, rest) = bytes.split_at(bytes.len().min(self.left));
            self.keep(body);
            (self.left, bytes) = (self.left - body.len(), rest);
            if self.left == 0 {
                ended = self.end_of_packet().or(ended);
            }
        }
        ended
    }

    fn keep(&mut self, body: &[u8]) {
        let body = &body[body.len().saturating_sub(DONE)..];
        let stay = self.n_last.min(DONE - body.len());
        self.last.copy_within(self.n_last - stay..self.n_last, 0);
        self.last[stay..stay + body.len()].copy_from_slice(body);
        self.n_last = stay + body.len();
    }

    fn end_of_packet(&mut self) -> Option<Done> {
        if self.header[1] & END_OF_MESSAGE == 0 {
            return None;
        }
        let (last, n) = (self.last, std::mem::take(&mut self.n_last));
        (n == DONE && DONE_TOKENS.contains(&last[0])).then(|| Done {
            status: u16::from_le_bytes([last[1], last[2]]),
            rows: u64::from_le_bytes([last[5], last[6], last[7], last[8], last[9], last[10], last[11], last[12]]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_went_wrong_counts_nothing() {
        for (status, rows) in [(0x10, Some(7)), (0, None), (0x11, None), (0x12, None), (0x110, None), (0x30, None)] {
            assert_eq!(Done { status, rows: 7 }.counted(), rows, "{status:#x}");
        }
    }

    fn packet(last: bool, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(HEADER + body.len()).expect("short").to_be_bytes();
        let mut packet = vec![4, u8::from(last), length[0], length[1], 0, 0, 1, 0];
        packet.extend_from_slice(body);
        packet
    }

    #[test]
    fn the_end_is_found_however_it_is_cut() {
        let done = [0xFD, 0x10, 0, 0xC1, 0, 7, 1, 0, 0, 0, 0, 0, 0];
        let mut bytes = packet(false, b"rows and rows and rows");
        bytes.extend(packet(false, &done[..4]));
        bytes.extend(packet(true, &done[4..]));
        for step in [1, 3, 8, 13, 1000] {
            let mut tail = Tail::default();
            let ended: Vec<Done> = bytes.chunks(step).filter_map(|chunk| tail.feed(chunk)).collect();
            assert_eq!(ended, [Done { status: 0x10, rows: 263 }], "{step}");
        }
        assert_eq!(Tail::default().feed(&packet(true, b"no token at the end")), None);
        assert_eq!((Done { status: 0x11, rows: 1 }).counted(), None);
        assert_eq!((Done { status: 0x10, rows: 1 }).counted(), Some(1));
    }
}
