//! Types of columns and their values on the wire, from the texts that PostgreSQL writes.
//! Must not know statements, nor where columns come from.

use anyhow::{Context, Result, bail};

use crate::moments;
use crate::wire::{COLLATION, long_text, short_text, utf16};

/// The lengths of `max`.
const MAX: u16 = 0xFFFF;

/// A column of a result.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    /// As T-SQL names it, such as `decimal(18,2)`.
    pub declared: String,
    pub collation: Option<String>,
    pub nullable: bool,
}

impl Column {
    pub fn new(name: &str, declared: &str) -> Self {
        Self { name: name.to_owned(), declared: declared.to_owned(), collation: None, nullable: true }
    }

    /// The type's name alone.
    pub fn base(&self) -> &str {
        self.declared.split('(').next().unwrap_or_default()
    }

    /// What is in brackets; `max` is none.
    fn arguments(&self) -> Vec<Option<u16>> {
        let inner = self.declared.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
        inner.split(',').filter(|a| !a.is_empty()).map(|a| a.trim().parse().ok()).collect()
    }

    fn argument(&self, n: usize, default: u16) -> u16 {
        self.arguments().get(n).map_or(default, |a| a.unwrap_or(MAX))
    }

    fn scale(&self) -> u8 {
        self.argument(0, 7) as u8
    }

    fn precision_and_scale(&self) -> (u8, u8) {
        (self.argument(0, 18) as u8, self.argument(1, 0) as u8)
    }

    /// Values travel in pieces.
    fn is_long(&self) -> bool {
        matches!(self.arguments().first(), Some(None))
    }
}

/// COLMETADATA.
pub fn describe(columns: &[Column]) -> Result<Vec<u8>> {
    let mut out = vec![0x81];
    out.extend(u16::try_from(columns.len())?.to_le_bytes());
    for column in columns {
        // No user type; nullable where the flag says so.
        out.extend([0, 0, 0, 0, u8::from(column.nullable) | 8, 0]);
        type_info(column, &mut out)?;
        short_text(&mut out, &column.name);
    }
    Ok(out)
}

fn decimal_bytes(precision: u8) -> u8 {
    match precision {
        0..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}

fn type_info(column: &Column, out: &mut Vec<u8>) -> Result<()> {
    let sized = |out: &mut Vec<u8>, token: u8, bytes_each: u16| {
        let length = match column.argument(0, 1) {
            MAX => MAX,
            n => n * bytes_each,
        };
        out.push(token);
        out.extend(length.to_le_bytes());
    };
    // A column that is never NULL has types without a length.
    let fixed = |nullable: [u8; 2], fixed: u8| if column.nullable { nullable.to_vec() } else { vec![fixed] };
    match column.base() {
        "bit" => out.extend(fixed([0x68, 1], 0x32)),
        "tinyint" => out.extend(fixed([0x26, 1], 0x30)),
        "smallint" => out.extend(fixed([0x26, 2], 0x34)),
        "int" => out.extend(fixed([0x26, 4], 0x38)),
        "bigint" => out.extend(fixed([0x26, 8], 0x7F)),
        "real" => out.extend(fixed([0x6D, 4], 0x3B)),
        "float" => out.extend(fixed([0x6D, 8], 0x3E)),
        "money" => out.extend(fixed([0x6E, 8], 0x3C)),
        "smallmoney" => out.extend(fixed([0x6E, 4], 0x7A)),
        "datetime" => out.extend(fixed([0x6F, 8], 0x3D)),
        "smalldatetime" => out.extend(fixed([0x6F, 4], 0x3A)),
        "decimal" | "numeric" => {
            let (precision, scale) = column.precision_and_scale();
            let token = if column.base() == "decimal" { 0x6A } else { 0x6C };
            out.extend([token, decimal_bytes(precision), precision, scale]);
        }
        "date" => out.push(0x28),
        "time" => out.extend([0x29, column.scale()]),
        "datetime2" => out.extend([0x2A, column.scale()]),
        "datetimeoffset" => out.extend([0x2B, column.scale()]),
        "uniqueidentifier" => out.extend([0x24, 16]),
        "varchar" | "char" => {
            sized(out, if column.base() == "char" { 0xAF } else { 0xA7 }, 1);
            out.extend(COLLATION);
        }
        "nvarchar" | "nchar" | "sysname" => {
            sized(out, if column.base() == "nchar" { 0xEF } else { 0xE7 }, 2);
            out.extend(COLLATION);
        }
        "varbinary" => sized(out, 0xA5, 1),
        "binary" => sized(out, 0xAD, 1),
        "timestamp" | "rowversion" => out.extend([0xAD, 8, 0]),
        "text" | "ntext" | "image" => {
            let token = match column.base() {
                "text" => 0x23,
                "ntext" => 0x63,
                _ => 0x22,
            };
            out.push(token);
            out.extend(i32::MAX.to_le_bytes());
            if token != 0x22 {
                out.extend(COLLATION);
            }
            // The name of the table, in one part.
            out.push(1);
            long_text(out, "t");
        }
        "xml" => out.extend([0xF1, 0]),
        "sql_variant" => {
            out.push(0x62);
            out.extend(8009_u32.to_le_bytes());
        }
        udt @ ("hierarchyid" | "geometry" | "geography") => {
            out.push(0xF0);
            out.extend(MAX.to_le_bytes());
            for part in ["", "sys", udt] {
                short_text(out, part);
            }
            long_text(out, "Microsoft.SqlServer.Types");
        }
        other => bail!("no type {other} here"),
    }
    Ok(())
}

/// A value, which is a text of PostgreSQL's, or NULL.
pub fn value(column: &Column, text: Option<&str>, out: &mut Vec<u8>) -> Result<()> {
    let Some(text) = text else {
        match column.base() {
            "varchar" | "char" | "nvarchar" | "nchar" | "sysname" | "varbinary" | "binary" | "timestamp"
            | "rowversion" => {
                if column.is_long() {
                    out.extend([0xFF; 8])
                } else {
                    out.extend([0xFF; 2])
                }
            }
            "xml" | "hierarchyid" | "geometry" | "geography" => out.extend([0xFF; 8]),
            "sql_variant" => out.extend([0; 4]),
            _ => out.push(0),
        }
        return Ok(());
    };
    match column.base() {
        "varchar" | "char" => bytes(column, &western(text), out),
        "nvarchar" | "nchar" | "sysname" => bytes(column, &utf16(text), out),
        "varbinary" | "binary" | "timestamp" | "rowversion" => bytes(column, &hex(text)?, out),
        "text" => pointed(&western(text), out),
        "ntext" => pointed(&utf16(text), out),
        "image" => pointed(&hex(text)?, out),
        "xml" => pieces(&utf16(text), out),
        "hierarchyid" => pieces(text.as_bytes(), out),
        "geometry" | "geography" => pieces(&hex(text)?, out),
        "sql_variant" => variant(text, out),
        _ => {
            let bytes = short(column, text).with_context(|| format!("write {text:?} as {}", column.declared))?;
            if column.nullable || !has_fixed_form(column.base()) {
                out.push(bytes.len() as u8);
            }
            out.extend(bytes);
        }
    }
    Ok(())
}

fn has_fixed_form(base: &str) -> bool {
    const ALL: [&str; 11] = [
        "bit",
        "tinyint",
        "smallint",
        "int",
        "bigint",
        "real",
        "float",
        "money",
        "smallmoney",
        "datetime",
        "smalldatetime",
    ];
    ALL.contains(&base)
}

/// Values of at most 255 bytes.
fn short(column: &Column, text: &str) -> Result<Vec<u8>> {
    Ok(match column.base() {
        "bit" => vec![u8::from(matches!(text, "t" | "1" | "true"))],
        "tinyint" => vec![text.parse()?],
        "smallint" => text.parse::<i16>()?.to_le_bytes().to_vec(),
        "int" => text.parse::<i32>()?.to_le_bytes().to_vec(),
        "bigint" => text.parse::<i64>()?.to_le_bytes().to_vec(),
        "real" => text.parse::<f32>()?.to_le_bytes().to_vec(),
        "float" => text.parse::<f64>()?.to_le_bytes().to_vec(),
        "money" => {
            let n = i64::try_from(scaled(text, 4)?)?;
            let mut bytes = ((n >> 32) as i32).to_le_bytes().to_vec();
            bytes.extend((n as u32).to_le_bytes());
            bytes
        }
        "smallmoney" => i32::try_from(scaled(text, 4)?)?.to_le_bytes().to_vec(),
        "decimal" | "numeric" => {
            let (precision, scale) = column.precision_and_scale();
            let n = scaled(text, scale)?;
            let mut bytes = vec![u8::from(n >= 0)];
            bytes.extend(&n.unsigned_abs().to_le_bytes()[..usize::from(decimal_bytes(precision)) - 1]);
            bytes
        }
        "uniqueidentifier" => {
            let digits: String = text.chars().filter(|c| *c != '-').collect();
            let mut b = hex(&format!("\\x{digits}"))?;
            // The first three groups are numbers, which travel with their last byte first.
            b[..4].reverse();
            b[4..6].reverse();
            b[6..8].reverse();
            b
        }
        base => moments::bytes(base, column.scale(), text)?,
    })
}

/// A decimal number times a power of ten.
fn scaled(text: &str, scale: u8) -> Result<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = usize::from(scale);
    if fraction.len() > scale && fraction[scale..].bytes().any(|b| b != b'0') {
        bail!("more than {scale} digits after the point");
    }
    let fraction = format!("{fraction:0<scale$}");
    Ok(sign * format!("{whole}{}", &fraction[..scale]).parse::<i128>()?)
}

/// The bytes of `\x6162`.
fn hex(text: &str) -> Result<Vec<u8>> {
    let digits = text.strip_prefix("\\x").context("no bytes")?;
    (0..digits.len())
        .step_by(2)
        .map(|i| Ok(u8::from_str_radix(digits.get(i..i + 2).context("half a byte")?, 16)?))
        .collect()
}

/// Code page 1252, as far as it is Latin-1, and the euro.
fn western(text: &str) -> Vec<u8> {
    let byte = |c: char| match c {
        '€' => 0x80,
        c => u8::try_from(u32::from(c)).unwrap_or(b'?'),
    };
    text.chars().map(byte).collect()
}

fn bytes(column: &Column, bytes: &[u8], out: &mut Vec<u8>) {
    if column.is_long() {
        return pieces(bytes, out);
    }
    out.extend((bytes.len() as u16).to_le_bytes());
    out.extend(bytes);
}

/// A value in pieces, each with its length.
fn pieces(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u64).to_le_bytes());
    for piece in bytes.chunks(8000) {
        out.extend((piece.len() as u32).to_le_bytes());
        out.extend(piece);
    }
    out.extend(0_u32.to_le_bytes());
}

/// A value behind a pointer to it and a time stamp, which nobody reads any more.
fn pointed(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(16);
    out.extend([b'p'; 16]);
    out.extend([b's'; 8]);
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend(bytes);
}

/// A text of any type: an `nvarchar` with its collation and greatest length.
fn variant(text: &str, out: &mut Vec<u8>) {
    let data = utf16(text);
    out.extend((2 + 7 + data.len() as u32).to_le_bytes());
    out.extend([0xE7, 7]);
    out.extend(COLLATION);
    out.extend(8000_u16.to_le_bytes());
    out.extend(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_travel_as_the_protocol_says() -> Result<()> {
        for (declared, text, expected) in [
            ("int", "-2", &[4, 0xFE, 0xFF, 0xFF, 0xFF][..]),
            ("decimal(5,2)", "-1.5", &[5, 0, 150, 0, 0, 0]),
            ("money", "1.0000", &[8, 0, 0, 0, 0, 0x10, 0x27, 0, 0]),
            ("date", "0001-01-02", &[3, 1, 0, 0]),
            ("time(7)", "00:00:00.0000001", &[5, 1, 0, 0, 0, 0]),
            ("datetime", "1900-01-02 00:00:00.003", &[8, 1, 0, 0, 0, 1, 0, 0, 0]),
            ("smalldatetime", "1900-01-01 00:02:00", &[4, 0, 0, 2, 0]),
            ("datetimeoffset(0)", "0001-01-02 01:00:00 +01:00", &[8, 0, 0, 0, 1, 0, 0, 60, 0]),
            ("varchar(5)", "ä€", &[2, 0, 0xE4, 0x80]),
            ("varbinary(5)", "\\x00ff", &[2, 0, 0, 0xFF]),
        ] {
            let mut out = Vec::new();
            value(&Column::new("c", declared), Some(text), &mut out)?;
            assert_eq!(out, expected, "{declared} {text}");
        }
        let mut out = Vec::new();
        value(&Column::new("c", "uniqueidentifier"), Some("00112233-4455-6677-8899-aabbccddeeff"), &mut out)?;
        let expected =
            [16, 0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF];
        assert_eq!(out, expected);
        assert_eq!(moments::days_of("9999-12-31")?, 3_652_058);
        Ok(())
    }
}
