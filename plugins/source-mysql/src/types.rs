//! What is known of a column's type: the catalogue's facts, how it is asked for, how it arrives and what it becomes.
//! It must not know how values are decoded, nor how the catalogue is asked.

mod classify;
mod overrides;

use std::borrow::Cow;
use std::sync::Arc;

use rivet_plugin_api::{Choices, Column, Fidelity, LogicalType, Policies, Result};

/// What the catalogue, or the description of a query, says about the type of one column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogType {
    /// The type's name alone, lower case: `int`, `varchar`, `json`.
    pub name: String,
    /// As the server shows it: `int(10) unsigned`, `enum('a','b')`.
    pub full: String,
    /// Digits in all, of a number; bits, of a bit field.
    pub precision: Option<u32>,
    /// Digits after the point.
    pub scale: Option<u32>,
    pub unsigned: bool,
    /// Its bytes are text: it has a character set.
    pub is_text: bool,
    /// Which, where that is known: of a query's columns it is not.
    pub charset: Option<String>,
    /// MariaDB's JSON: text with a check that it is.
    pub checked_json: bool,
}

impl CatalogType {
    /// Its values may have more bytes than the server looks at to order them.
    pub fn is_long(&self) -> bool {
        self.is_text || self.name.ends_with("binary") || self.name.ends_with("blob")
    }
}

/// The form in which a value arrives, where its Arrow type does not say how it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wire {
    /// By its Arrow type: numbers, decimals as digits, dates and times.
    Plain,
    /// Text or bytes.
    Bytes,
    /// Bits of a field of bits; of one bit, false or true.
    Bits,
    /// Bytes after the four of a spatial reference: well-known binary.
    Geometry,
    /// One of these labels.
    Enum(Arc<[String]>),
    /// A text that must be JSON.
    CheckedJson,
    /// A text that must be a uuid, in place of its bytes.
    CheckedUuid,
    /// A number whose shortest digits are the text.
    FloatText,
}

/// What the SELECT list says for a column: an expression in which `@` stands for the column's quoted name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select(pub Cow<'static, str>);

impl Select {
    /// The column as it is.
    pub const PLAIN: Self = Self(Cow::Borrowed("@"));
    /// The bytes that are stored, which the server converts to no other character set.
    pub const STORED: Self = Self(Cow::Borrowed("CAST(@ AS BINARY)"));

    /// The expression for a column of this name, which is quoted already.
    pub fn render(&self, quoted_name: &str) -> String {
        self.0.replace('@', quoted_name)
    }
}

/// How a type is read and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    pub logical: LogicalType,
    pub fidelity: Fidelity,
    pub wire: Wire,
    pub select: Select,
}

/// A column with everything needed to ask for it and to decode it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnPlan {
    /// As core sees it.
    pub column: Column,
    pub catalog: CatalogType,
    pub wire: Wire,
    pub select: Select,
    /// What happens to values that have no exact place.
    pub policies: Policies,
    /// Digits that have no place may be rounded off.
    pub lossy: bool,
}

impl ColumnPlan {
    /// The plan of a column of this type, without any choice made.
    pub fn new(name: &str, nullable: bool, catalog: &CatalogType) -> Self {
        Self::under(name, nullable, catalog, Policies::default())
    }

    fn under(name: &str, nullable: bool, catalog: &CatalogType, policies: Policies) -> Self {
        let Classified { logical, fidelity, wire, select } = classify::classify(catalog, &policies);
        let column = Column { name: name.to_owned(), native_type: catalog.full.clone(), logical, nullable, fidelity };
        Self { column, catalog: catalog.clone(), wire, select, policies, lossy: false }
    }

    /// The plan of a column of this type under the choices of the export.
    ///
    /// # Errors
    /// `Unsupported` (`mysql.override`) with a hint when the column cannot be delivered as chosen.
    pub fn chosen(name: &str, nullable: bool, catalog: &CatalogType, choices: &Choices) -> Result<Self> {
        overrides::apply(Self::under(name, nullable, catalog, choices.policies_of(name)), choices)
    }

    /// What stands for the column where keys are compared: an enum is ordered by its number, but compared as text.
    pub fn key(&self, quoted_name: &str) -> String {
        match self.catalog.name.as_str() {
            "enum" | "set" | "bit" => format!("({quoted_name} + 0)"),
            _ => quoted_name.to_owned(),
        }
    }

    /// Whether the server orders and compares values of the column in one and the same way.
    pub fn is_ordered(&self) -> bool {
        // By what it is there, not by what it becomes.
        let natural = self.natural();
        natural.column.logical != LogicalType::Json && natural.wire != Wire::Geometry
    }

    /// Whether the column is delivered as the type that it is there.
    fn is_natural(&self) -> bool {
        self.column.logical == self.natural().column.logical
    }

    fn natural(&self) -> Self {
        Self::new(&self.column.name, self.column.nullable, &self.catalog)
    }
}
