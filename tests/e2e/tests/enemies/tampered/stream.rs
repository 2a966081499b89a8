//! A change of the server's stream at one place of a statement that reads the table.
//! Must not know what a client makes of it.

use std::io;

use rivet_test_servers::proxy::{Out, Tamper};
use rivet_test_servers::wire::postgres::{complete, copy_header_len, copy_trailer, frame as framed};

/// Every row of the table holds this, and no answer of the catalogue does.
pub const MARK: &str = "~row~";

/// Where a change happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The row with the given number.
    Row,
    /// The end of a COPY's rows, of the statement with that row.
    Trailer,
    /// The end of a COPY's data.
    Done,
    /// `COPY n` or `FETCH n`.
    Complete,
    /// Ready for the next statement.
    Ready,
    /// The first columns of an answer of the catalogue.
    Columns,
    /// The first row of the catalogue.
    Catalogue,
}

/// What happens there.
#[derive(Debug, Clone)]
pub enum Do {
    /// Nothing.
    Pass,
    /// The frame is left out.
    Drop,
    /// It comes twice.
    Double,
    /// It comes after the next one.
    Swap,
    /// Half of its body is missing, and its length is right.
    Cut,
    /// Its last bytes are missing, and its length is as before.
    CutBytes,
    /// It has another tag.
    Retag(u8),
    /// These bytes come in its place.
    Replace(Vec<u8>),
    /// These bytes follow it.
    Append(Vec<u8>),
    /// These bytes follow it, a piece so many times.
    Flood(Vec<u8>, usize),
    /// These bytes follow it, and nothing else of the statement.
    End(Vec<u8>),
    /// The number at its end is another.
    Recount(i64),
    /// No row after it arrives.
    DropRest,
    /// Nothing arrives any more.
    Stall,
    /// The connection ends after it.
    Close,
    /// The connection ends in it.
    CloseInside,
    /// From the beginning on each byte travels alone.
    Segments,
    /// These bytes come before each frame.
    Between(Vec<u8>),
}

impl Do {
    /// Whether a client waits for what does not come.
    pub fn waits(&self, at: At) -> bool {
        matches!((self, at), (Self::Stall | Self::CutBytes, _) | (Self::Drop, At::Ready))
    }
}

/// The change under way in one connection.
pub struct Changed {
    at: At,
    what: Do,
    row: u64,
    /// Rows seen.
    n_rows: u64,
    /// The statement has the row.
    near: bool,
    /// It happened, and does not happen again.
    done: bool,
    held: Option<Vec<u8>>,
    rest: Rest,
}

/// What becomes of the rest of a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Passes,
    LosesRows,
    IsLost,
}

impl Changed {
    pub fn new(at: At, what: Do, row: u64) -> Self {
        Self { at, what, row, n_rows: 0, near: false, done: false, held: None, rest: Rest::Passes }
    }

    /// What a frame is, if it belongs to a statement that reads the table.
    fn look(&mut self, frame: &[u8]) -> Option<At> {
        if frame.windows(MARK.len()).any(|w| w == MARK.as_bytes()) && matches!(frame[0], b'd' | b'D') {
            self.near |= self.n_rows == self.row;
            self.n_rows += 1;
            return Some(At::Row);
        }
        match frame[0] {
            b'T' if self.n_rows == 0 => Some(At::Columns),
            b'D' if self.n_rows == 0 => Some(At::Catalogue),
            _ if !self.near => None,
            b'd' if frame == copy_trailer() => Some(At::Trailer),
            b'c' => Some(At::Done),
            b'C' => Some(At::Complete),
            b'Z' => Some(At::Ready),
            _ => None,
        }
    }

    fn change(&mut self, frame: &[u8], out: &mut Out) -> io::Result<()> {
        // A COPY's header travels with its first row and is no part of it.
        let (head, row) = split_header(frame);
        match &self.what {
            Do::Pass | Do::Segments | Do::Between(_) => out.send(frame),
            Do::Drop => out.send(&head),
            Do::Double => {
                out.send(frame);
                out.send(&row);
            }
            Do::Swap => {
                out.send(&head);
                self.held = Some(row);
            }
            Do::Cut => {
                out.send(&head);
                out.send(&framed(row[0], &row[5..5 + (row.len() - 5) / 2]));
            }
            Do::CutBytes => out.send(&frame[..frame.len() - 3]),
            Do::Retag(tag) => out.send(&[&[*tag], &frame[1..]].concat()),
            Do::Replace(bytes) => out.send(&[&head[..], bytes].concat()),
            Do::Append(bytes) => out.send(&[frame, bytes].concat()),
            Do::Flood(piece, times) => {
                out.send(frame);
                for _ in 0..*times {
                    out.send(piece);
                    out.flush()?;
                }
            }
            Do::End(bytes) => {
                out.send(&[frame, bytes].concat());
                self.rest = Rest::IsLost;
            }
            Do::Recount(by) => out.send(&recount(frame, *by)),
            Do::DropRest => {
                out.send(frame);
                self.rest = Rest::LosesRows;
            }
            Do::Stall => {
                out.send(frame);
                out.stall();
            }
            Do::Close => {
                out.send(frame);
                out.close();
            }
            Do::CloseInside => {
                out.send(&frame[..frame.len() / 2]);
                out.close();
            }
        }
        Ok(())
    }
}

impl Tamper for Changed {
    fn frame(&mut self, frame: &[u8], out: &mut Out) -> io::Result<()> {
        match &self.what {
            Do::Segments => out.cut_segments(1),
            // Not before the session is set up: there is no telling what a server may say then.
            Do::Between(bytes) if self.n_rows > 0 => out.send(bytes),
            _ => {}
        }
        let place = self.look(frame);
        let here = match place {
            Some(At::Row) => self.n_rows == self.row + 1,
            _ => true,
        };
        if self.rest == Rest::IsLost || (self.rest == Rest::LosesRows && place == Some(At::Row)) {
            // Somebody took it.
        } else if place == Some(self.at) && here && !self.done {
            self.done = true;
            self.change(frame, out)?;
        } else {
            out.send(frame);
            if let Some(held) = self.held.take() {
                out.send(&held);
            }
        }
        if frame[0] == b'Z' {
            (self.near, self.rest) = (false, Rest::Passes);
        }
        Ok(())
    }
}

/// The header of a COPY in a frame of its own, and the frame without it.
fn split_header(frame: &[u8]) -> (Vec<u8>, Vec<u8>) {
    match copy_header_len(frame) {
        0 => (Vec::new(), frame.to_vec()),
        n => (framed(frame[0], &frame[5..5 + n]), framed(frame[0], &frame[5 + n..])),
    }
}

/// `COPY 3` as `COPY 4`.
fn recount(frame: &[u8], by: i64) -> Vec<u8> {
    let text = String::from_utf8_lossy(&frame[5..frame.len() - 1]).into_owned();
    let (word, n) = text.rsplit_once(' ').unwrap_or((&text, "0"));
    complete(&format!("{word} {}", n.parse::<i64>().unwrap_or(0) + by))
}
