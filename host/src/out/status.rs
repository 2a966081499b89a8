//! Lines at the end of a terminal that say what goes on: they make way for what is written, and come back after it.
//! It must not know what they say.

use std::fmt::Write as _;
use std::io::IsTerminal;

use rustix::termios::tcgetwinsize;

/// Columns that stay free: a terminal writes `^C` where the cursor is, and may break a line that fills the last one.
const MARGIN: usize = 3;

/// The lines, and what of them is seen.
#[derive(Debug, Default)]
pub struct Status {
    lines: Vec<String>,
    /// Characters of each line that is on the terminal; the cursor is behind the last one.
    drawn: Vec<usize>,
    is_over: bool,
}

impl Status {
    /// From now on these lines; they hold nothing that acts on a terminal, and each is as long as fits.
    pub fn set(&mut self, lines: Vec<String>) {
        if !self.is_over {
            self.lines = lines;
        }
    }

    /// No lines any more, whatever is set.
    pub fn end(&mut self) {
        self.lines.clear();
        self.is_over = true;
    }

    /// What makes a terminal show `text` in the place of the lines, and the lines after it.
    pub fn around(&mut self, text: &str) -> String {
        if self.drawn.is_empty() && self.lines.is_empty() {
            return text.to_owned();
        }
        let columns = size().0.max(1);
        // A terminal that has become narrower has broken them.
        let n_rows: usize = self.drawn.iter().map(|n_chars| n_chars.div_ceil(columns).max(1)).sum();
        let mut all = String::new();
        for row in 0..n_rows {
            all.push_str(if row == 0 { "\r\x1b[2K" } else { "\x1b[1A\x1b[2K" });
        }
        let _ = write!(all, "{text}{}", self.lines.join("\n"));
        self.drawn = self.lines.iter().map(|line| line.chars().count()).collect();
        all
    }
}

/// Whether lines can be shown at the end of stderr: it is a terminal on which the cursor can be moved.
pub fn is_possible() -> bool {
    std::io::stderr().is_terminal() && !is_dumb()
}

/// Whether the terminal says that it can do no more than print.
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Characters of a line, and lines, that can be shown.
pub fn room() -> (usize, usize) {
    let (columns, rows) = size();
    (columns.saturating_sub(MARGIN), rows.saturating_sub(1).max(1))
}

/// Columns and rows of the terminal; the usual ones where it does not say.
fn size() -> (usize, usize) {
    match tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_make_way_and_come_back() {
        let mut status = Status::default();
        assert_eq!(status.around("a\n"), "a\n", "without lines nothing moves");
        status.set(vec!["x 1".to_owned(), "y 1".to_owned()]);
        assert_eq!(status.around(""), "x 1\ny 1");
        let gone = "\r\x1b[2K\x1b[1A\x1b[2K";
        assert_eq!(status.around("b\n"), format!("{gone}b\nx 1\ny 1"));
        status.end();
        assert_eq!(status.around("c\n"), format!("{gone}c\n"));
        status.set(vec!["z".to_owned()]);
        assert_eq!(status.around("d\n"), "d\n", "what is over stays so");
    }
}
