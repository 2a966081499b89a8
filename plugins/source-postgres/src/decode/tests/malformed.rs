//! Bytes that no server sends: each is refused as such, none panics, and the rows before stay whole.
//! It must not rely on which fault is found first.

use rivet_plugin_api::{ErrorKind, InvalidText, Nan, OutOfRange, Policies, TypesMode};

use crate::types::ColumnPlan;

use super::{Cell, Random, array, column, decimal, decode_one, decoder, hex, mood, tuple};

#[test]
fn fields_that_are_not_of_their_type_are_refused() {
    let mut cases = vec![
        (column("c", 16, -1), "02"),
        (column("c", 16, -1), ""),
        (column("c", 16, -1), "0100"),
        (column("c", 3802, -1), ""),
        (column("c", 3802, -1), "027b7d"),
        (column("c", 1083, -1), "000000141dd76001"),
        (column("c", 1083, -1), "ffffffffffffffff"),
    ];
    for (oid, n_bytes) in
        [(21, 2), (23, 4), (20, 8), (26, 4), (700, 4), (701, 8), (1082, 4), (1083, 8), (1114, 8), (2950, 16)]
    {
        let zeros = "0000000000000000000000000000000000";
        cases.push((column("c", oid, -1), &zeros[..2 * n_bytes - 2]));
        cases.push((column("c", oid, -1), &zeros[..2 * n_bytes + 2]));
        cases.push((column("c", oid, -1), ""));
    }
    for column in [decimal(15, 2), decimal(60, 2), column("c", 1700, -1)] {
        for bytes in [
            "",
            "00000000000000",
            "000000000000000000",
            "0001000000000000",
            "000100000000000000",
            "0001000000000000000100",
            "00020000000000000001",
            "ffff0000000000000001",
            "00010000000000002710",
            "0002000000000000000affff",
            "0002000000000000ffff0001",
            "00010000800000000001",
            "00010000400100000001",
        ] {
            cases.push((column.clone(), bytes));
        }
    }
    for (column, bytes) in cases {
        for types in [TypesMode::Portable, TypesMode::Native] {
            let found = decode_one(&column, types, &Some(hex(bytes)));
            let error = found.expect_err(&format!("{} from {bytes}", column.column.native_type));
            assert_eq!(
                (error.kind(), error.code()),
                (ErrorKind::Connection, "postgres.protocol"),
                "{error} from {bytes}"
            );
            assert_eq!((error.get("column"), error.get("row")), (Some(column.column.name.as_str()), Some("1")));
        }
    }
}

#[test]
fn tuples_of_another_shape_are_refused() {
    let int4: Cell = Some(vec![0, 0, 0, 7]);
    let good = tuple(&[int4.clone(), int4.clone()]);
    let cases: Vec<Vec<u8>> = vec![
        vec![],
        vec![0],
        hex("ffff"),
        hex("0000"),
        tuple(std::slice::from_ref(&int4)),
        tuple(&[int4.clone(), int4.clone(), int4]),
        [good.clone(), vec![0]].concat(),
        // Lengths that lie: beyond the frame, and below the only negative one that means something.
        hex("0002000000040000000700000005000000ff"),
        hex("000200000004000000077fffffff000000ff"),
        hex("00020000000400000007fffffffe"),
        hex("0002000000040000000780000000"),
    ];
    let mut decoder = decoder(&[column("a", 23, -1), column("b", 23, -1)], TypesMode::Portable);
    for bad in cases {
        decoder.push(&good).expect("the tuple is well formed");
        let error = decoder.push(&bad).expect_err("the tuple is malformed");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Connection, "postgres.protocol"), "{bad:?}");
        assert_eq!(decoder.finish().expect("the good row").num_rows(), 1);
    }
}

/// A column of each kind, and a value for it.
fn one_of_each() -> (Vec<ColumnPlan>, Vec<Cell>) {
    let columns = vec![
        column("a", 16, -1),
        column("b", 20, -1),
        column("c", 25, -1),
        decimal(15, 2),
        column("d", 1114, -1),
        column("e", 17, -1),
        column("f", 2950, -1),
        column("g", 3802, -1),
        decimal(60, 5),
        column("h", 1700, -1),
        column("i", 1083, -1),
        column("j", 701, -1),
        decimal(38, 38),
        column("k", 1186, -1),
        column("l", 869, -1),
        array("m", 23, 1),
        array("n", 25, 2),
        mood("o"),
    ];
    let cells: Vec<Cell> = [
        "01",
        "0000000000000007",
        "68656c6c6f",
        "000200000000000104d21388",
        "0000000000000000",
        "00ff",
        "0123456789abcdeffedcba9876543210",
        "017b7d",
        "000200000000000104d21388",
        "0001fffe0000000503e8",
        "0000000a8be62608",
        "3ff8000000000000",
        "0001fff6000000260064",
        "00000000000000010000000200000003",
        "0220000401020304",
        "0000000100000001000000170000000200000001000000040000000affffffff",
        "0000000200000001000000190000000200000001000000020000000100000001610000000162ffffffff0000000163",
        "736164",
    ]
    .iter()
    .map(|bytes| Some(hex(bytes)))
    .collect();
    (columns, cells)
}

/// Damages valid tuples of all types at random: whatever comes of it, rows that were taken are whole and no other rows
/// come out.
#[test]
fn damaged_tuples_never_panic_nor_leave_half_a_row() {
    let (columns, cells) = one_of_each();
    let good = tuple(&cells);
    let mut random = Random(4);
    let mut lenient = columns.clone();
    for column in &mut lenient {
        column.lossy = true;
        column.policies = Policies {
            out_of_range: Some(OutOfRange::Clamp),
            infinity_timestamp: Some(OutOfRange::Null),
            nan: Some(Nan::Null),
            invalid_text: Some(InvalidText::Replace),
            ..Policies::default()
        };
    }
    for (types, columns) in
        [(TypesMode::Portable, &columns), (TypesMode::Native, &columns), (TypesMode::Native, &lenient)]
    {
        let mut decoder = decoder(columns, types);
        let (mut n_taken, mut n_refused) = (0, 0);
        for round in 0..100_000 {
            let bad = damage(&good, &mut random);
            match decoder.push(&bad) {
                Ok(()) => n_taken += 1,
                Err(error) => {
                    n_refused += 1;
                    let kind = error.kind();
                    let is_label = error.code() == "postgres.unknown_label";
                    assert!(matches!(kind, ErrorKind::Connection | ErrorKind::Data) || is_label, "{error:?}");
                }
            }
            if round % 1000 == 0 {
                let n_rows = decoder.rows();
                match decoder.finish() {
                    Ok(batch) => assert_eq!(batch.num_rows(), n_rows),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Data, "only text is checked so late: {error}"),
                }
                decoder.push(&good).expect("a good tuple is taken after any number of bad ones");
                let batch = decoder.finish().expect("a good tuple");
                assert_eq!((batch.num_rows(), batch.column(0).null_count()), (1, 0));
            }
        }
        assert!(n_taken > 1000 && n_refused > 1000, "the damage is varied: {n_taken} taken, {n_refused} refused");
    }
}

fn damage(good: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bad = good.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bad.len().max(1)).min(bad.len().saturating_sub(1));
        let byte = random.next() as u8;
        match random.below(6) {
            0 => bad.truncate(at),
            1 => bad.insert(at.min(bad.len()), byte),
            2 if !bad.is_empty() => drop(bad.remove(at)),
            3 if !bad.is_empty() => bad[at] ^= 1 << random.below(8),
            4 if !bad.is_empty() => bad[at] = 0xff,
            _ if !bad.is_empty() => bad[at] = byte,
            _ => bad.push(byte),
        }
    }
    bad
}
