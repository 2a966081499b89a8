//! Text tables: columns that line up.
//! It must not know what is in them.

use crate::render::{Colour, paint_out};

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
        Self { text: plain(&text.into()), colour }
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

    /// The lines, the head first.
    pub fn to_text(&self) -> String {
        let head: Vec<Cell> = self.columns.iter().map(|(name, _)| Cell::from(*name)).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|i| self.rows.iter().chain([&head]).map(|row| width(&row[i].text)).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in [&head].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for ((cell, (_, side)), width_wanted) in row.iter().zip(&self.columns).zip(&widths) {
                let gap = " ".repeat(width_wanted - width(&cell.text));
                let shown = cell.colour.map_or_else(|| cell.text.clone(), |colour| paint_out(&cell.text, colour));
                let aligned = if *side == Side::Left { format!("{shown}{gap}") } else { format!("{gap}{shown}") };
                if !line.is_empty() {
                    line.push_str("  ");
                }
                line.push_str(&aligned);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// One line, whatever was in the text.
pub fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
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
        assert_eq!(table.to_text(), "NAME        N  LAST\na          10  x\ngrößer  1 000\na\\nb           y\n");
    }
}
