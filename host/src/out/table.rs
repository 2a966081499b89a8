//! Text tables: columns that line up.
//! It must not know what is in them.

use super::outside::{MAX_CELL_BYTES, bounded};
use super::{Colour, Text};

/// Which side of a column its texts keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// One text of a table.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    colour: Option<Colour>,
}

impl Cell {
    /// A text in a colour, where there are colours.
    pub fn painted(text: impl Into<String>, colour: Option<Colour>) -> Self {
        Self { text: bounded(&text.into(), MAX_CELL_BYTES), colour }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::painted(text, None)
    }
}

/// A table that grows by rows.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(&'static str, Side)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Without rows.
    pub fn new(columns: &[(&'static str, Side)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Appends a row, a cell for each column.
    pub fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// Writes the lines to the end of a text, the head first.
    pub fn write(&self, text: &mut Text) {
        let head: Vec<Cell> = self.columns.iter().map(|(name, _)| Cell::from(*name)).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|i| self.rows.iter().chain([&head]).map(|row| width(&row[i].text)).max().unwrap_or(0))
            .collect();
        for row in [&head].into_iter().chain(&self.rows) {
            // Blanks at the end of a line are for nothing.
            let n_filled = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
            let mut spans: Vec<(String, Option<Colour>)> = Vec::new();
            for (i, (cell, (_, side))) in row.iter().zip(&self.columns).enumerate().take(n_filled) {
                let last = i + 1 == n_filled;
                let gap = " ".repeat(widths[i] - width(&cell.text));
                let between = if last { "" } else { "  " };
                let (before, after) = match side {
                    Side::Left if last => (String::new(), String::new()),
                    Side::Left => (String::new(), gap + between),
                    Side::Right => (gap, between.to_owned()),
                };
                spans.extend([(before, None), (cell.text.clone(), cell.colour), (after, None)]);
            }
            let spans: Vec<(&str, Option<Colour>)> =
                spans.iter().map(|(text, colour)| (text.as_str(), *colour)).collect();
            text.spans(&spans);
        }
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_clean() {
        let mut table = Table::new(&[("NAME", Side::Left), ("N", Side::Right), ("LAST", Side::Left)]);
        table.row(vec!["a".into(), "10".into(), "x".into()]);
        table.row(vec!["größer".into(), "1 000".into(), "".into()]);
        table.row(vec!["a\nb".into(), "".into(), "y".into()]);
        let mut text = Text::default();
        table.write(&mut text);
        assert_eq!(text.as_str(), "NAME        N  LAST\na          10  x\ngrößer  1 000\na\\nb           y\n");
    }
}
