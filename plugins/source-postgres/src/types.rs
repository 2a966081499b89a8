//! What is known of a column's type: the catalogue's facts, how it is asked for, how it arrives and what it becomes.
//! It must not know how values are decoded, nor how the catalogue is asked.

mod classify;
mod overrides;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use rivet_plugin_api::{Choices, Column, Fidelity, LogicalType, Policies, Result};

pub use classify::classify;

/// What `pg_type` and `pg_attribute` (or a row description) say about the type of one column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogType {
    /// Identifier of the type, or of the domain.
    pub oid: u32,
    /// Type modifier; -1 = none. That of an array is its elements'.
    pub typmod: i32,
    /// `pg_type.typtype`: `b`ase, `c`omposite, `d`omain, `e`num, `p`seudo, `r`ange, `m`ultirange.
    pub typtype: char,
    /// `pg_type.typname`, unqualified.
    pub name: String,
    /// `format_type(oid, typmod)`.
    pub formatted: String,
    /// Of a domain: the type under it, which can be a domain too.
    pub base: Option<Box<CatalogType>>,
    /// Of an array: its elements' type.
    pub element: Option<Box<CatalogType>>,
    /// Of an array: the dimensions it was declared with; the server holds nobody to it. 0 = not said.
    pub n_dims: usize,
    /// Of an enum: its labels in order, in the encoding of the client.
    pub labels: Vec<Vec<u8>>,
    /// Of an interval: whether the ends of its range mean infinity, which they do since version 17.
    pub has_infinity: bool,
    /// Of a geometry: the function that makes well-known binary of it, qualified and quoted.
    pub to_wkb: Option<String>,
}

/// The binary form in which a field arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wire {
    /// One byte, 0 or 1.
    Bool,
    /// 16-bit big-endian.
    Int2,
    /// 32-bit big-endian.
    Int4,
    /// 64-bit big-endian.
    Int8,
    /// 32-bit big-endian, unsigned.
    Oid,
    /// IEEE 754, big-endian.
    Float4,
    /// IEEE 754, big-endian.
    Float8,
    /// Header and digits of base 10 000.
    Numeric,
    /// In the encoding of the client: UTF-8, or that of nobody where the database has none.
    Text,
    /// Raw bytes.
    Bytea,
    /// A version byte, then UTF-8.
    Jsonb,
    /// 16 bytes.
    Uuid,
    /// Days since 2000-01-01, 32-bit.
    Date,
    /// µs since midnight, 64-bit.
    Time,
    /// µs since 2000-01-01 00:00:00, 64-bit.
    Timestamp,
    /// µs in 64 bits, days in 32, months in 32.
    Interval {
        /// Whether the ends of its range mean infinity.
        has_infinity: bool,
    },
    /// Family, prefix length, whether it is a network, and the address.
    Inet,
    /// As `Numeric`, of which only what fits a chosen decimal of more than 38 digits is delivered.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// A whole number as `from` (64-bit or numeric) has it, of which only this range is delivered.
    Ranged {
        /// How it arrives.
        from: Box<Wire>,
        /// Width of the range.
        bits: u8,
        /// Whether the range has negative numbers.
        signed: bool,
    },
    /// One of these labels, as `Text`.
    Enum(Arc<[Vec<u8>]>),
    /// Dimensions and their lower bounds, then elements in row-major order.
    Array {
        /// Levels of lists that it becomes.
        n_dims: usize,
        /// How each element arrives.
        element: Box<Wire>,
    },
}

impl Wire {
    /// How a numeric arrives that becomes a chosen decimal. One of up to 38 digits is checked by its Arrow type;
    /// beyond, it can be text, which takes anything.
    fn chosen_decimal(precision: u8, scale: u8) -> Self {
        if precision > 38 { Self::Decimal { precision, scale } } else { Self::Numeric }
    }
}

/// What the SELECT list says for a column: an expression in which `@` stands for the column's quoted name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select(pub Cow<'static, str>);

impl Select {
    /// The column as it is.
    pub const PLAIN: Self = Self(Cow::Borrowed("@"));

    /// The expression for a column of this name, which is quoted already.
    pub fn render(&self, quoted_name: &str) -> String {
        self.0.replace('@', quoted_name)
    }
}

/// How a type is read and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// What the column holds.
    pub logical: LogicalType,
    /// How exactly.
    pub fidelity: Fidelity,
    /// How it arrives.
    pub wire: Wire,
    /// How it is asked for.
    pub select: Select,
}

/// A column with everything needed to ask for it and to decode it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnPlan {
    /// As core sees it.
    pub column: Column,
    /// How it arrives.
    pub wire: Wire,
    /// How it is asked for.
    pub select: Select,
    /// What happens to values that have no exact place.
    pub policies: Policies,
    /// Whether what has no exact place may be left out: the lower bounds of an array.
    pub lossy: bool,
}

impl ColumnPlan {
    /// The plan of a column of this type, without any choice made.
    pub fn new(name: &str, nullable: bool, catalog_type: &CatalogType) -> Self {
        Self::under(name, nullable, catalog_type, Policies::default())
    }

    fn under(name: &str, nullable: bool, catalog_type: &CatalogType, policies: Policies) -> Self {
        let Classified { logical, fidelity, wire, select } = classify(catalog_type, &policies);
        let native_type = catalog_type.formatted.clone();
        let column = Column { name: name.to_owned(), native_type, logical, nullable, fidelity };
        Self { column, wire, select, policies, lossy: false }
    }

    /// The plan of a column of this type under the choices of the export.
    ///
    /// # Errors
    /// `Unsupported` (`postgres.override`) with a hint when the column cannot be delivered as chosen.
    pub fn chosen(name: &str, nullable: bool, catalog_type: &CatalogType, choices: &Choices) -> Result<Self> {
        overrides::apply(Self::under(name, nullable, catalog_type, choices.policies_of(name)), catalog_type, choices)
    }
}
