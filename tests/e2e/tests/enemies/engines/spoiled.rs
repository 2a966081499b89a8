//! A change of a real server's stream at one of its packets, whatever the protocol.
//! Must not know what a packet means.

use std::io;

use rivet_test_servers::proxy::{Out, Tamper};

/// Every row of the table holds this, and no answer of the catalogue does.
pub const MARK: &str = "~row~";

/// The packet that is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The n-th of the connection, from 0.
    Nth(usize),
    /// The n-th that has rows, from 0.
    Row(usize),
    /// The first behind all that have rows, of which there are so many.
    Behind(usize),
}

/// What follows the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Passes,
    /// Nothing arrives any more.
    Stalls,
    Closes,
    /// The bytes that are sent come so many times, and then the rest.
    Floods(usize),
}

/// What is sent in place of a packet.
pub type Make = fn(&[u8]) -> Vec<u8>;

/// One change.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    pub name: &'static str,
    pub make: Make,
    pub then: Then,
}

/// The change under way in one connection.
pub struct Spoiled {
    pub change: Change,
    pub place: Place,
    n: usize,
    n_rows: usize,
    done: bool,
}

impl Spoiled {
    pub fn new(change: Change, place: Place) -> Self {
        Self { change, place, n: 0, n_rows: 0, done: false }
    }

    fn is_here(&self, has_rows: bool) -> bool {
        match self.place {
            Place::Nth(n) => n == self.n,
            Place::Row(n) => has_rows && n == self.n_rows,
            Place::Behind(n) => !has_rows && n == self.n_rows,
        }
    }
}

/// Whether a packet has a row of the table, or the beginning of one, in bytes or in UTF-16.
pub fn has_rows(frame: &[u8]) -> bool {
    let wide: Vec<u8> = MARK.encode_utf16().flat_map(u16::to_le_bytes).collect();
    frame.windows(MARK.len()).any(|w| w == MARK.as_bytes()) || frame.windows(wide.len()).any(|w| w == wide)
}

impl Tamper for Spoiled {
    fn frame(&mut self, frame: &[u8], out: &mut Out) -> io::Result<()> {
        let has_rows = has_rows(frame);
        let here = !self.done && self.is_here(has_rows);
        (self.n, self.n_rows) = (self.n + 1, self.n_rows + usize::from(has_rows));
        if !here {
            out.send(frame);
            return Ok(());
        }
        self.done = true;
        let bytes = (self.change.make)(frame);
        out.send(&bytes);
        match self.change.then {
            Then::Passes => {}
            Then::Stalls => out.stall(),
            Then::Closes => out.close(),
            Then::Floods(times) => {
                for _ in 0..times {
                    out.send(&bytes);
                    out.flush()?;
                }
            }
        }
        Ok(())
    }
}
