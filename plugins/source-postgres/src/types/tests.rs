//! Types of the catalogue against what they become, and what a user may choose instead.
//! It must not need a server.

mod chosen;

use rivet_plugin_api::{Fidelity, InvalidText, LogicalType, NumericUnbounded, Policies};

use super::classify::decimal_of;
use super::{CatalogType, Classified, Select, Wire};

fn classify(t: &CatalogType) -> Classified {
    super::classify(t, &Policies::default())
}

fn cast_text() -> Select {
    Select("@::pg_catalog.text".into())
}

fn base(oid: u32, typmod: i32) -> CatalogType {
    CatalogType { oid, typmod, typtype: 'b', name: "any".into(), ..CatalogType::default() }
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
        let expected = Classified { logical, fidelity: Fidelity::Exact, wire, select: Select::PLAIN };
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
        assert_eq!((found.wire, found.select), (Wire::Numeric, Select::PLAIN));
    }
}

fn domain(base: CatalogType) -> CatalogType {
    CatalogType { oid: 90_001, typmod: -1, typtype: 'd', base: Some(Box::new(base)), ..CatalogType::default() }
}

fn array(element: CatalogType, n_dims: usize) -> CatalogType {
    let typmod = element.typmod;
    CatalogType {
        oid: 90_002,
        typmod,
        typtype: 'b',
        element: Some(Box::new(element)),
        n_dims,
        ..CatalogType::default()
    }
}

fn list(element: LogicalType) -> LogicalType {
    LogicalType::List { element: Box::new(element) }
}

#[test]
fn a_domain_is_its_base_type() {
    let price = domain(domain(base(1700, typmod(9, 4))));
    assert_eq!(classify(&price).logical, LogicalType::Decimal { precision: 9, scale: 4 });
    let bundle = classify(&domain(array(base(23, -1), 2)));
    assert_eq!(bundle.logical, list(list(LogicalType::Int { bits: 32, signed: true })));
}

#[test]
fn what_has_no_decoder_is_cast_to_text() {
    let named = |oid, typtype, name: &str| CatalogType { typtype, name: name.into(), ..base(oid, -1) };
    let cases = [
        (named(18, 'b', "char"), Fidelity::Exact),
        (named(70_000, 'b', "citext"), Fidelity::Exact),
        (named(70_000, 'c', "citext"), Fidelity::Text),
        (named(1266, 'b', "timetz"), Fidelity::Text),
        (named(3904, 'r', "int4range"), Fidelity::Text),
        (named(70_000, 'c', "pair"), Fidelity::Text),
        (named(70_000, 'b', "geometry"), Fidelity::Text),
    ];
    for (t, fidelity) in cases {
        let expected = Classified { logical: LogicalType::Text, fidelity, wire: Wire::Text, select: cast_text() };
        assert_eq!(classify(&t), expected, "{}", t.name);
    }
}

#[test]
fn an_enum_carries_its_labels_and_a_geometry_its_function() {
    let mood = CatalogType { typtype: 'e', labels: vec![b"sad".to_vec(), b"ok".to_vec()], ..base(70_000, -1) };
    assert_eq!(classify(&mood).wire, Wire::Enum([b"sad".to_vec(), b"ok".to_vec()].as_slice().into()));
    let shape = CatalogType { to_wkb: Some("gis.st_asbinary".into()), ..base(70_000, -1) };
    let found = classify(&shape);
    assert_eq!((found.logical, found.wire), (LogicalType::Binary, Wire::Bytea));
    assert_eq!(found.select.render("\"a @\""), "gis.st_asbinary(\"a @\")");
}

#[test]
fn an_array_has_as_many_levels_as_were_declared() {
    let int = LogicalType::Int { bits: 32, signed: true };
    for (n_dims, expected) in [(0, list(int.clone())), (1, list(int.clone())), (2, list(list(int)))] {
        let found = classify(&array(base(23, -1), n_dims));
        assert_eq!((found.logical, found.select), (expected, Select::PLAIN), "{n_dims}");
        assert_eq!(found.wire, Wire::Array { n_dims: n_dims.max(1), element: Box::new(Wire::Int4) });
    }
    assert_eq!(
        classify(&array(base(1700, typmod(9, 4)), 1)).logical,
        list(LogicalType::Decimal { precision: 9, scale: 4 })
    );
}

#[test]
fn elements_are_cast_where_a_single_value_is() {
    let geometry = CatalogType { to_wkb: Some("gis.st_asbinary".into()), ..base(70_000, -1) };
    let cases = [
        (base(1266, -1), "@::pg_catalog.text[]", Wire::Text),
        (base(790, -1), "@::pg_catalog.numeric[]", Wire::Numeric),
        (base(869, -1), "@", Wire::Inet),
        (geometry, "@::pg_catalog.text[]", Wire::Text),
        (domain(array(base(1266, -1), 1)), "@::pg_catalog.text[]", Wire::Text),
    ];
    for (element, select, wire) in cases {
        let found = classify(&array(element, 1));
        assert_eq!(found.logical, list(LogicalType::Text), "{select}");
        assert_eq!(found.wire, Wire::Array { n_dims: 1, element: Box::new(wire) }, "{select}");
        assert_eq!(found.select.0, select);
    }
    let of_arrays = classify(&array(domain(array(base(23, -1), 1)), 1));
    assert_eq!(of_arrays.logical, list(list(LogicalType::Int { bits: 32, signed: true })));
}

#[test]
fn policies_that_choose_a_type_reach_elements_too() {
    let numeric_unbounded = Some(NumericUnbounded::Decimal { precision: 38, scale: 9 });
    let invalid_text = Some(InvalidText::Binary);
    let policies = Policies { numeric_unbounded, invalid_text, ..Policies::default() };
    let decimal = LogicalType::Decimal { precision: 38, scale: 9 };
    let cases = [
        (base(1700, -1), decimal.clone()),
        (base(1700, typmod(90, 2)), LogicalType::Text),
        (base(1700, typmod(9, 2)), LogicalType::Decimal { precision: 9, scale: 2 }),
        (base(25, -1), LogicalType::Binary),
        (base(114, -1), LogicalType::Json),
    ];
    for (t, expected) in cases {
        assert_eq!(super::classify(&t, &policies).logical, expected, "{t:?}");
        assert_eq!(super::classify(&array(t, 1), &policies).logical, list(expected));
    }
}
