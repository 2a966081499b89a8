//! How a protocol cuts its streams into frames: all that a hostile server and a tampering stream have to know of it.
//! Must not know what a frame means, nor who reads it.

pub mod postgres;

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
