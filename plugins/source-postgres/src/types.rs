//! From the catalogue's facts about a type to its logical type, its wire form and what the SELECT list says.
//! It must not know how values are decoded, nor how the catalogue is asked.

use rivet_plugin_api::{Column, Fidelity, LogicalType};

/// Most digits that a decimal column holds; beyond them a `numeric` is read as text.
const MAX_DECIMAL_DIGITS: i32 = 76;

/// Identifiers of built-in types. They are the same in every server since 9.4.
mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const JSON: u32 = 114;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
    pub const JSONB: u32 = 3802;
}

/// What `pg_type` and `pg_attribute` (or a row description) say about the type of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogType {
    /// Identifier of the type, or of the domain.
    pub oid: u32,
    /// Type modifier of the column; -1 = none.
    pub typmod: i32,
    /// `pg_type.typtype`: `b`ase, `c`omposite, `d`omain, `e`num, `p`seudo, `r`ange, `m`ultirange.
    pub typtype: char,
    /// `pg_type.typname`, unqualified.
    pub name: String,
    /// Of a domain: the type under all its layers of domains.
    pub base: Option<BaseType>,
    /// `format_type(oid, typmod)`.
    pub formatted: String,
}

/// The type under a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseType {
    /// Identifier.
    pub oid: u32,
    /// `pg_type.typtypmod` of the innermost domain; -1 = none.
    pub typmod: i32,
    /// `pg_type.typtype` of the base type.
    pub typtype: char,
    /// `pg_type.typname` of the base type.
    pub name: String,
}

/// The binary form in which a field arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// UTF-8.
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
}

/// What the SELECT list says for a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// `"c"`
    Plain,
    /// `"c"::text`
    CastText,
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
    /// The engine's own name of the type.
    pub native_type: String,
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
}

impl ColumnPlan {
    /// The plan of a column of this type.
    pub fn new(name: &str, nullable: bool, catalog_type: &CatalogType) -> Self {
        let Classified { logical, fidelity, wire, select, native_type } = classify(catalog_type);
        let column = Column { name: name.to_owned(), native_type, logical, nullable, fidelity };
        Self { column, wire, select }
    }
}

/// Decides how a type is read. A domain is read as its base type; what has no binary decoder is cast to text.
pub fn classify(t: &CatalogType) -> Classified {
    let (oid, typmod, typtype, name) = match &t.base {
        Some(base) => (base.oid, base.typmod, base.typtype, base.name.as_str()),
        None => (t.oid, t.typmod, t.typtype, t.name.as_str()),
    };
    let (logical, wire) = match oid {
        oid::NUMERIC => return numeric(typmod, &t.formatted),
        oid::BOOL => (LogicalType::Bool, Wire::Bool),
        oid::INT2 => (LogicalType::Int { bits: 16, signed: true }, Wire::Int2),
        oid::INT4 => (LogicalType::Int { bits: 32, signed: true }, Wire::Int4),
        oid::INT8 => (LogicalType::Int { bits: 64, signed: true }, Wire::Int8),
        oid::OID => (LogicalType::Int { bits: 64, signed: true }, Wire::Oid),
        oid::FLOAT4 => (LogicalType::Float { bits: 32 }, Wire::Float4),
        oid::FLOAT8 => (LogicalType::Float { bits: 64 }, Wire::Float8),
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME => (LogicalType::Text, Wire::Text),
        oid::BYTEA => (LogicalType::Binary, Wire::Bytea),
        oid::DATE => (LogicalType::Date, Wire::Date),
        oid::TIME => (LogicalType::Time { nanos: false }, Wire::Time),
        oid::TIMESTAMP => (LogicalType::Timestamp { utc: false, nanos: false }, Wire::Timestamp),
        oid::TIMESTAMPTZ => (LogicalType::Timestamp { utc: true, nanos: false }, Wire::Timestamp),
        oid::UUID => (LogicalType::Uuid, Wire::Uuid),
        oid::JSON => (LogicalType::Json, Wire::Text),
        oid::JSONB => (LogicalType::Json, Wire::Jsonb),
        // An enum sends its label, which is its text.
        _ if typtype == 'e' => (LogicalType::Text, Wire::Text),
        _ => {
            // An extension gives its types any identifier; a type of that name holds text and casts to itself.
            let is_text = oid == oid::CHAR || (name == "citext" && typtype == 'b');
            let fidelity = if is_text { Fidelity::Exact } else { Fidelity::Text };
            return classified(LogicalType::Text, fidelity, Wire::Text, Select::CastText, &t.formatted);
        }
    };
    classified(logical, Fidelity::Exact, wire, Select::Plain, &t.formatted)
}

fn classified(logical: LogicalType, fidelity: Fidelity, wire: Wire, select: Select, native: &str) -> Classified {
    Classified { logical, fidelity, wire, select, native_type: native.to_owned() }
}

/// `numeric`: exact decimal where the type modifier bounds the digits, else the digits as text.
fn numeric(typmod: i32, native: &str) -> Classified {
    match decimal_of(typmod) {
        Some((precision, scale)) => {
            let logical = LogicalType::Decimal { precision, scale };
            classified(logical, Fidelity::Exact, Wire::Numeric, Select::Plain, native)
        }
        None => classified(LogicalType::Text, Fidelity::Text, Wire::Numeric, Select::Plain, native),
    }
}

/// Precision and scale of the decimal that holds each value of a `numeric` with this type modifier.
fn decimal_of(typmod: i32) -> Option<(u8, u8)> {
    let packed = typmod.checked_sub(4).filter(|packed| *packed >= 0)?;
    let precision = packed >> 16;
    // Eleven bits, two's complement: since version 15 the scale is -1000 to 1000; before, 0 to 1000 in the same bits.
    let scale = ((packed & 0x7ff) ^ 0x400) - 0x400;
    let (precision, scale) = if scale < 0 { (precision - scale, 0) } else { (precision.max(scale), scale) };
    if !(1..=MAX_DECIMAL_DIGITS).contains(&precision) {
        return None;
    }
    Some((u8::try_from(precision).ok()?, u8::try_from(scale).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(oid: u32, typmod: i32) -> CatalogType {
        CatalogType { oid, typmod, typtype: 'b', name: "any".into(), base: None, formatted: "native".into() }
    }

    fn typmod(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7ff)) + 4
    }

    #[test]
    fn fixed_types_are_read_in_binary() {
        use LogicalType::{Binary, Bool, Date, Float, Int, Json, Text, Time, Timestamp, Uuid};
        let cases = [
            (16, Bool, Wire::Bool),
            (17, Binary, Wire::Bytea),
            (19, Text, Wire::Text),
            (20, Int { bits: 64, signed: true }, Wire::Int8),
            (21, Int { bits: 16, signed: true }, Wire::Int2),
            (23, Int { bits: 32, signed: true }, Wire::Int4),
            (25, Text, Wire::Text),
            (26, Int { bits: 64, signed: true }, Wire::Oid),
            (114, Json, Wire::Text),
            (700, Float { bits: 32 }, Wire::Float4),
            (701, Float { bits: 64 }, Wire::Float8),
            (1042, Text, Wire::Text),
            (1043, Text, Wire::Text),
            (1082, Date, Wire::Date),
            (1083, Time { nanos: false }, Wire::Time),
            (1114, Timestamp { utc: false, nanos: false }, Wire::Timestamp),
            (1184, Timestamp { utc: true, nanos: false }, Wire::Timestamp),
            (2950, Uuid, Wire::Uuid),
            (3802, Json, Wire::Jsonb),
        ];
        for (oid, logical, wire) in cases {
            let expected = classified(logical, Fidelity::Exact, wire, Select::Plain, "native");
            assert_eq!(classify(&base(oid, -1)), expected, "oid {oid}");
        }
    }

    #[test]
    fn a_numeric_becomes_the_decimal_that_holds_all_its_values() {
        let cases = [
            (typmod(12, 2), Some((12, 2))),
            (typmod(1, 0), Some((1, 0))),
            (typmod(38, 38), Some((38, 38))),
            (typmod(76, 10), Some((76, 10))),
            (typmod(77, 0), None),
            (typmod(1000, 1000), None),
            (typmod(2, 5), Some((5, 5))),
            (typmod(3, 100), None),
            (typmod(5, -3), Some((8, 0))),
            (typmod(70, -7), None),
            (typmod(1, -1000), None),
            (-1, None),
            (0, None),
            (i32::MIN, None),
        ];
        for (typmod, expected) in cases {
            assert_eq!(decimal_of(typmod), expected, "typmod {typmod}");
            let found = classify(&base(1700, typmod));
            match expected {
                Some((precision, scale)) => {
                    assert_eq!(found.logical, LogicalType::Decimal { precision, scale });
                    assert_eq!(found.fidelity, Fidelity::Exact);
                }
                None => assert_eq!((found.logical, found.fidelity), (LogicalType::Text, Fidelity::Text)),
            }
            assert_eq!((found.wire, found.select), (Wire::Numeric, Select::Plain));
        }
    }

    #[test]
    fn a_domain_is_its_base_type_and_keeps_its_name() {
        let domain = CatalogType {
            oid: 90_001,
            typmod: -1,
            typtype: 'd',
            name: "price".into(),
            base: Some(BaseType { oid: 1700, typmod: typmod(9, 4), typtype: 'b', name: "numeric".into() }),
            formatted: "shop.price".into(),
        };
        let found = classify(&domain);
        assert_eq!(found.logical, LogicalType::Decimal { precision: 9, scale: 4 });
        assert_eq!(found.native_type, "shop.price");
    }

    #[test]
    fn what_has_no_decoder_is_cast_to_text() {
        let named = |oid, typtype, name: &str| CatalogType { typtype, name: name.into(), ..base(oid, -1) };
        let cases = [
            (named(18, 'b', "char"), Fidelity::Exact, Select::CastText),
            (named(70_000, 'b', "citext"), Fidelity::Exact, Select::CastText),
            (named(70_000, 'c', "citext"), Fidelity::Text, Select::CastText),
            (named(70_000, 'e', "mood"), Fidelity::Exact, Select::Plain),
            (named(1186, 'b', "interval"), Fidelity::Text, Select::CastText),
            (named(1007, 'b', "_int4"), Fidelity::Text, Select::CastText),
            (named(869, 'b', "inet"), Fidelity::Text, Select::CastText),
            (named(70_000, 'c', "pair"), Fidelity::Text, Select::CastText),
        ];
        for (t, fidelity, select) in cases {
            let expected = classified(LogicalType::Text, fidelity, Wire::Text, select, "native");
            assert_eq!(classify(&t), expected, "{}", t.name);
        }
    }
}
