//! How a protocol cuts its streams into frames: all that a hostile server and a tampering stream have to know of it.
//! Must not know what a frame means, nor who reads it.

pub mod mysql;
pub mod postgres;
pub mod tds;

use std::io::{self, ErrorKind, Read};

/// How one direction of a connection is cut into frames; one for each connection.
pub trait Framing: Send {
    /// Bytes of the whole frame that these bytes begin with; none while there are too few to tell.
    fn length(&self, bytes: &[u8]) -> Option<usize>;

    /// A frame was cut off: what comes next may be cut in another way.
    fn passed(&mut self, _frame: &[u8]) {}
}

/// Cuts what is read into frames.
pub struct Frames {
    framing: Box<dyn Framing>,
    bytes: Vec<u8>,
}

impl Frames {
    /// With nothing read yet.
    pub fn new(framing: Box<dyn Framing>) -> Self {
        Self { framing, bytes: Vec::new() }
    }

    /// Appends what one read returns; false at the end of the stream.
    ///
    /// # Errors
    /// The reader's.
    pub fn fill(&mut self, from: &mut dyn Read) -> io::Result<bool> {
        let mut piece = [0; 64 * 1024];
        loop {
            match from.read(&mut piece) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.bytes.extend_from_slice(&piece[..n]);
                    return Ok(true);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// The next frame, if all of it was read.
    pub fn cut(&mut self) -> Option<Vec<u8>> {
        let length = self.framing.length(&self.bytes)?;
        if length > self.bytes.len() {
            return None;
        }
        let rest = self.bytes.split_off(length);
        let frame = std::mem::replace(&mut self.bytes, rest);
        self.framing.passed(&frame);
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::postgres::{FromClient, frame};
    use super::*;

    #[test]
    fn frames_are_cut_wherever_reads_end() {
        let tls = [0, 0, 0, 8, 4, 210, 22, 47];
        let start = [0, 0, 0, 9, 0, 3, 0, 0, 0];
        let (query, sync) = (frame(b'Q', b"select 1\0"), frame(b'S', b""));
        let all = [&tls[..], &start, &query, &sync].concat();
        for piece in [1, 2, 5, 8, all.len()] {
            let mut frames = Frames::new(Box::new(FromClient::default()));
            let mut cut = Vec::new();
            for mut bytes in all.chunks(piece) {
                assert!(frames.fill(&mut bytes).expect("a slice can be read"));
                cut.extend(std::iter::from_fn(|| frames.cut()));
            }
            assert_eq!(cut, [&tls[..], &start, &query, &sync], "{piece} at a time");
        }
    }
}
