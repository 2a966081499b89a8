//! From the catalogue's facts about a type to its logical type, its wire form and what the SELECT list says.
//! It must not know what a user chose, nor how values are decoded.

use std::borrow::Cow;

use rivet_plugin_api::{Fidelity, InvalidText, LogicalType, NumericUnbounded, Policies};

use super::{CatalogType, Classified, Select, Wire};

/// Most digits that a decimal column holds; beyond them a `numeric` is read as text.
pub(super) const MAX_DECIMAL_DIGITS: u8 = 76;
/// Most dimensions of an array (`MAXDIM` of the server).
const MAX_DIMS: usize = 6;

/// Identifiers of built-in types. They are the same in every server since 9.4.
pub(super) mod oid {
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
    pub const CIDR: u32 = 650;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const MONEY: u32 = 790;
    pub const INET: u32 = 869;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
    pub const JSONB: u32 = 3802;
}

/// The type under all layers of domains.
pub(super) fn base(mut t: &CatalogType) -> &CatalogType {
    while let Some(base) = &t.base {
        t = base;
    }
    t
}

/// Decides how a type is read under these policies. A domain is read as its base type; what has no binary decoder is
/// cast to text.
pub fn classify(t: &CatalogType, policies: &Policies) -> Classified {
    let read = by_type(t, policies);
    let holds_bytes = match (&read.wire, &read.logical) {
        (Wire::Text, LogicalType::Text) => true,
        // The catalogue says what an enum may hold.
        (Wire::Enum(labels), _) => labels.iter().any(|label| std::str::from_utf8(label).is_err()),
        _ => false,
    };
    if holds_bytes && policies.invalid_text == Some(InvalidText::Binary) {
        return Classified { logical: LogicalType::Binary, wire: Wire::Text, ..read };
    }
    read
}

fn by_type(t: &CatalogType, policies: &Policies) -> Classified {
    let t = base(t);
    if let Some(element) = &t.element {
        return array(t, classify(element, policies), policies);
    }
    let (logical, wire) = match t.oid {
        oid::NUMERIC => return numeric(t.typmod, policies),
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
        oid::INTERVAL => (LogicalType::Interval, Wire::Interval { has_infinity: t.has_infinity }),
        oid::UUID => (LogicalType::Uuid, Wire::Uuid),
        oid::JSON => (LogicalType::Json, Wire::Text),
        oid::JSONB => (LogicalType::Json, Wire::Jsonb),
        _ if t.typtype == 'e' => (LogicalType::Enum, Wire::Enum(t.labels.as_slice().into())),
        // A cast to text shows the prefix length of every address; the server's own output only where it says something.
        oid::INET | oid::CIDR => return text(Wire::Inet, Select::PLAIN),
        // The sign of the currency and how digits are grouped depend on the reader's locale; the number does not.
        oid::MONEY => return text(Wire::Numeric, Select(Cow::Borrowed("@::pg_catalog.numeric"))),
        _ => return cast(t),
    };
    Classified { logical, fidelity: Fidelity::Exact, wire, select: Select::PLAIN }
}

/// The server's own text of a type that no decoder knows, or well-known binary of a geometry.
fn cast(t: &CatalogType) -> Classified {
    if let Some(function) = &t.to_wkb {
        let select = Select(Cow::Owned(format!("{function}(@)")));
        return Classified { logical: LogicalType::Binary, fidelity: Fidelity::Exact, wire: Wire::Bytea, select };
    }
    // An extension gives its types any identifier; a type of that name holds text and casts to itself.
    let is_text = t.oid == oid::CHAR || (t.name == "citext" && t.typtype == 'b');
    let fidelity = if is_text { Fidelity::Exact } else { Fidelity::Text };
    Classified { fidelity, ..text(Wire::Text, Select(Cow::Borrowed("@::pg_catalog.text"))) }
}

fn text(wire: Wire, select: Select) -> Classified {
    Classified { logical: LogicalType::Text, fidelity: Fidelity::Text, wire, select }
}

/// `numeric`: exact decimal where the type modifier bounds the digits, else the digits as text.
fn numeric(typmod: i32, policies: &Policies) -> Classified {
    let chosen = match policies.numeric_unbounded {
        Some(NumericUnbounded::Decimal { precision, scale }) if is_unbounded(typmod) => Some((precision, scale)),
        _ => None,
    };
    let wire = chosen.map_or(Wire::Numeric, |(precision, scale)| Wire::chosen_decimal(precision, scale));
    match chosen.or_else(|| decimal_of(typmod)) {
        Some((precision, scale)) => {
            let logical = LogicalType::Decimal { precision, scale };
            Classified { logical, fidelity: Fidelity::Exact, wire, select: Select::PLAIN }
        }
        None => text(Wire::Numeric, Select::PLAIN),
    }
}

/// Whether a `numeric` with this type modifier does not say how many digits it has.
pub(super) fn is_unbounded(typmod: i32) -> bool {
    typmod < 4
}

/// Precision and scale of the decimal that holds each value of a `numeric` with this type modifier.
pub(super) fn decimal_of(typmod: i32) -> Option<(u8, u8)> {
    let packed = typmod.checked_sub(4).filter(|packed| *packed >= 0)?;
    let precision = packed >> 16;
    // Eleven bits, two's complement: since version 15 the scale is -1000 to 1000; before, 0 to 1000 in the same bits.
    let scale = ((packed & 0x7ff) ^ 0x400) - 0x400;
    let (precision, scale) = if scale < 0 { (precision - scale, 0) } else { (precision.max(scale), scale) };
    if !(1..=i32::from(MAX_DECIMAL_DIGITS)).contains(&precision) {
        return None;
    }
    Some((u8::try_from(precision).ok()?, u8::try_from(scale).ok()?))
}

/// An array becomes as many levels of lists as it was declared with dimensions, at least one: the catalogue says no
/// more. The server casts the elements where it casts a single value.
fn array(t: &CatalogType, read: Classified, policies: &Policies) -> Classified {
    let (select, read) = match read.select.0.strip_prefix("@::") {
        _ if read.select == Select::PLAIN => (Select::PLAIN, read),
        Some(cast) if !cast.contains(['@', '[']) => (Select(Cow::Owned(format!("@::{cast}[]"))), read),
        // A function of a single value, or a cast of arrays that are elements themselves.
        _ => {
            let text = CatalogType { oid: oid::TEXT, ..CatalogType::default() };
            let read = Classified { fidelity: Fidelity::Text, ..classify(&text, policies) };
            (Select(Cow::Borrowed("@::pg_catalog.text[]")), read)
        }
    };
    let n_dims = t.n_dims.clamp(1, MAX_DIMS);
    let logical = (0..n_dims).fold(read.logical, |element, _| LogicalType::List { element: Box::new(element) });
    Classified { logical, fidelity: read.fidelity, wire: Wire::Array { n_dims, element: Box::new(read.wire) }, select }
}
