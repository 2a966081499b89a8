//! Small results as text: what columns there are, and their values.
//! It must not know how a result is asked for.

use rivet_plugin_api::{Result, Retry};

use crate::error::protocol;

/// The text result of a simple query.
#[derive(Debug, Default)]
pub struct Rows {
    pub columns: Vec<ColumnInfo>,
    pub rows: Vec<Vec<Option<String>>>,
}

/// A column of a RowDescription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    pub name: String,
    pub type_oid: u32,
    pub typmod: i32,
}

/// A RowDescription: per field a name, table, attribute, type, size, modifier and format.
pub fn columns(body: &[u8]) -> Result<Vec<ColumnInfo>> {
    let parse = || -> Option<Vec<ColumnInfo>> {
        let (n, mut rest) = body.split_first_chunk::<2>()?;
        let mut columns = Vec::new();
        for _ in 0..u16::from_be_bytes(*n) {
            let end = rest.iter().position(|b| *b == 0)?;
            let name = String::from_utf8_lossy(&rest[..end]).into_owned();
            let (fixed, after) = rest[end + 1..].split_first_chunk::<18>()?;
            let word = |at: usize| fixed.get(at..at + 4).and_then(|b| b.first_chunk::<4>()).copied();
            columns.push(ColumnInfo {
                name,
                type_oid: u32::from_be_bytes(word(6)?),
                typmod: i32::from_be_bytes(word(12)?),
            });
            rest = after;
        }
        Some(columns)
    };
    parse().ok_or_else(|| protocol("a row description cut short").retry(Retry::NewSession))
}

/// A DataRow: per field its length in 32 bits (-1 = NULL) and its text.
pub fn text_row(body: &[u8]) -> Result<Vec<Option<String>>> {
    let parse = || -> Option<Vec<Option<String>>> {
        let (n, mut rest) = body.split_first_chunk::<2>()?;
        let mut row = Vec::new();
        for _ in 0..u16::from_be_bytes(*n) {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                row.push(None);
                rest = after;
                continue;
            };
            let (text, after) = after.split_at_checked(length)?;
            row.push(Some(String::from_utf8_lossy(text).into_owned()));
            rest = after;
        }
        Some(row)
    };
    parse().ok_or_else(|| protocol("a row cut short").retry(Retry::NewSession))
}
