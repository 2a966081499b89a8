//! Our own plugins under the conformance suites, linked and loaded, with equal results.
//! It must not know how a plugin works.

use std::sync::Arc;

use anyhow::{Context, Result};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    ArrayRef, ArrowNativeTypeOp, BinaryArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray, ListArray, MapArray,
    PrimitiveArray, RecordBatch, StringArray, StructArray,
};
use arrow_buffer::{IntervalMonthDayNano, NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Schema, TimeUnit};
use rivet_dest_local as _;
use rivet_format_arrow as _;
use rivet_format_csv as _;
use rivet_format_parquet as _;
use rivet_plugin_api::{Column, Fidelity, FieldMapping, LogicalType, Relation, StructField, TypesMode};
use rivet_source_sqlite as _;
use rivet_test_hostile as _;
use rivet_test_kit::{conformance, linked_and_loaded};
use serde_json::json;

fn database(path: &std::path::Path) -> Result<()> {
    let connection = rusqlite::Connection::open(path)?;
    connection.execute_batch(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, i BIGINT NOT NULL, r REAL, s TEXT, b BLOB, f BOOLEAN, d DATE, \
         m TIME, w TIMESTAMP, e DECIMAL(10, 2), j JSON, a);
         INSERT INTO t VALUES
           (1, -9223372036854775808, -0.5, 'ü \"q\" '',', x'00ff', 1, '2026-01-31', '23:59:59.999999',
            '2026-01-31 23:59:59', '12.50', '{\"a\": 1}', 'x'),
           (2, 9223372036854775807, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
           (3, 0, 1e300, '', x'', 0, '0001-01-01', '00:00:00', '9999-12-31 00:00:00', '-0.01', '[]', 7);
         WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
         INSERT INTO t (id, i, s) SELECT i * 3, i, 'row ' || i FROM n;",
    )?;
    Ok(())
}

#[test]
fn sqlite_is_a_source() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("test.db");
    database(&path)?;
    let request = json!({ "options": { "path": path }, "n_sessions": 2 });
    let relation = Relation::Table { schema: None, name: "t".to_owned() };
    let [linked, loaded] = linked_and_loaded("rivet-source-sqlite", "sqlite")?;
    let batches = conformance::source(&linked, &request, &relation).context("linked")?;
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 3 + 891);
    assert_eq!(batches, conformance::source(&loaded, &request, &relation).context("loaded")?);
    Ok(())
}

/// Time that this thread was on a processor, ns.
fn busy_ns() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").context("Linux has it")?;
    text.split_whitespace().next().and_then(|n| n.parse().ok()).context("a number")
}

#[test]
fn the_time_of_the_suite_grows_with_the_rows_and_not_with_their_square() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [linked, _] = linked_and_loaded("rivet-source-sqlite", "sqlite")?;
    let mut took = Vec::new();
    for (name, n_rows) in [("warm", 500), ("few", 500), ("many", 4000)] {
        let path = dir.path().join(name);
        rusqlite::Connection::open(&path)?.execute_batch(&format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n_rows})
             INSERT INTO t SELECT i, 'row ' || i FROM n;"
        ))?;
        let request = json!({ "options": { "path": path }, "n_sessions": 1 });
        let relation = Relation::Table { schema: None, name: "t".to_owned() };
        let before = busy_ns()?;
        conformance::source(&linked, &request, &relation)?;
        took.push(busy_ns()? - before);
    }
    // Eight times the rows: eight times the time, or, by the square, sixty-four.
    assert!(took[2] < 24 * took[1], "{took:?} ns");
    Ok(())
}

/// The suite can fail: this source takes no notice of what is asked of it.
#[test]
fn a_source_that_breaks_the_rules_is_found_out() -> Result<()> {
    let relation = Relation::Table { schema: None, name: "any".to_owned() };
    for connector in linked_and_loaded("rivet-test-hostile", "hostile")? {
        for (options, rule) in [
            (json!({ "n_batches": 1, "batch_rows": 0 }), "a batch of 0 rows"),
            (json!({ "n_batches": 2, "batch_rows": 5 }), "a batch of 5 rows"),
            (json!({ "n_batches": 3, "batch_rows": 1 }), "the stream's schema is not"),
            (json!({ "n_batches": 2, "batch_rows": 5, "at": "second_batch" }), "asked to panic"),
        ] {
            let request = json!({ "options": options, "n_sessions": 1 });
            let broken = conformance::source(&connector, &request, &relation).err().context("it breaks a rule")?;
            assert!(format!("{broken:#}").contains(rule), "{rule}: {broken:#}");
        }
    }
    Ok(())
}

#[test]
fn local_is_a_store() -> Result<()> {
    let mut left = Vec::new();
    for connector in linked_and_loaded("rivet-dest-local", "local")? {
        let dir = tempfile::tempdir()?;
        let root = dir.path().join("outer/root");
        left.push(conformance::store(&connector, &json!({ "path": root }))?);
        let outside: Vec<_> = std::fs::read_dir(dir.path().join("outer"))?.collect::<Result<_, _>>()?;
        assert_eq!(outside.len(), 1, "something was written outside: {outside:?}");
    }
    assert_eq!(left[0], left[1]);
    Ok(())
}

#[test]
fn parquet_is_a_format_for_every_logical_type() -> Result<()> {
    let [linked, loaded] = linked_and_loaded("rivet-format-parquet", "parquet")?;
    for types in [TypesMode::Portable, TypesMode::Native] {
        let batches = [every_type(types, 0)?, every_type(types, 1)?];
        for compression in ["zstd", "snappy", "gzip", "lz4_raw", "none"] {
            let options = json!({ "compression": compression });
            let part = conformance::format(&linked, &options, &batches).with_context(|| compression.to_owned())?;
            assert_eq!(&part[..4], b"PAR1");
            assert!(part == conformance::format(&loaded, &options, &batches)?, "{compression}: loaded differs");
        }
    }
    Ok(())
}

#[test]
fn csv_is_a_format_for_every_logical_type() -> Result<()> {
    let [linked, loaded] = linked_and_loaded("rivet-format-csv", "csv")?;
    for types in [TypesMode::Portable, TypesMode::Native] {
        // Native intervals are refused: there is no text of them that readers of CSV know. So are values that have names.
        let is_interval = |t: &LogicalType| types == TypesMode::Native && t.to_string().starts_with("interval");
        let (held, named): (Vec<_>, Vec<_>) =
            logical_types().into_iter().filter(|t| !is_interval(t)).partition(|t| !is_named(t));
        assert_eq!(named.len(), 5);
        for (i, mapping) in
            linked.open_format(&json!({}))?.map(&every_type_of(&named, types, 0)?.schema())?.iter().enumerate()
        {
            let column = format!("column '{} {}'", i / 2, ["required", "nullable"][i % 2]);
            let is_named = |why: &String| why.starts_with(&column) && why.contains("write parquet or arrow");
            assert!(matches!(mapping, FieldMapping::Refuse(why) if is_named(why)), "{mapping:?}");
        }
        let batches = [every_type_of(&held, types, 0)?, every_type_of(&held, types, 1)?];
        for (compression, start, extension) in [
            ("none", &b"0 required,"[..], "csv"),
            ("gzip", b"\x1f\x8b", "csv.gz"),
            ("zstd", b"\x28\xb5\x2f\xfd", "csv.zst"),
        ] {
            let options = json!({ "compression": compression });
            let part = conformance::format(&linked, &options, &batches).with_context(|| compression.to_owned())?;
            assert_eq!(&part[..start.len()], start);
            assert!(part == conformance::format(&loaded, &options, &batches)?, "{compression}: loaded differs");
            for connector in [&linked, &loaded] {
                assert_eq!(connector.open_format(&options)?.extension()?, extension);
            }
        }
    }
    Ok(())
}

#[test]
fn arrow_is_a_format_for_every_logical_type() -> Result<()> {
    let [linked, loaded] = linked_and_loaded("rivet-format-arrow", "arrow")?;
    for types in [TypesMode::Portable, TypesMode::Native] {
        // Dictionaries change from batch to batch: their words are written, and come back as text.
        let is_kept = |t: &LogicalType| types == TypesMode::Portable || *t != LogicalType::Enum;
        let kept: Vec<_> = logical_types().into_iter().filter(is_kept).collect();
        let batches = [every_type_of(&kept, types, 0)?, every_type_of(&kept, types, 1)?];
        for (container, start, extension) in
            [("file", &b"ARROW1\0\0"[..], "arrow"), ("stream", b"\xff\xff\xff\xff", "arrows")]
        {
            for compression in ["none", "lz4", "zstd"] {
                let options = json!({ "container": container, "compression": compression });
                let part = conformance::format(&linked, &options, &batches).with_context(|| options.to_string())?;
                assert_eq!(&part[..start.len()], start);
                assert!(part == conformance::format(&loaded, &options, &batches)?, "{options}: loaded differs");
                for connector in [&linked, &loaded] {
                    assert_eq!(connector.open_format(&options)?.extension()?, extension);
                }
            }
        }
    }
    Ok(())
}

fn logical_types() -> Vec<LogicalType> {
    let mut all = vec![LogicalType::Bool, LogicalType::Text, LogicalType::Binary, LogicalType::Date];
    all.extend([
        LogicalType::Uuid,
        LogicalType::Json,
        LogicalType::Float { bits: 32 },
        LogicalType::Float { bits: 64 },
    ]);
    for bits in [8, 16, 32, 64] {
        all.extend([true, false].map(|signed| LogicalType::Int { bits, signed }));
    }
    for (precision, scale) in [(1, 0), (9, 9), (10, 2), (18, 0), (19, 4), (38, 10), (39, 0), (76, 30)] {
        all.push(LogicalType::Decimal { precision, scale });
    }
    for nanos in [false, true] {
        all.push(LogicalType::Time { nanos });
        all.extend([false, true].map(|utc| LogicalType::Timestamp { utc, nanos }));
    }
    all.extend([LogicalType::Enum, LogicalType::Interval]);
    let list = |element: &LogicalType| LogicalType::List { element: Box::new(element.clone()) };
    let lists: Vec<_> = all.iter().map(list).collect();
    all.push(list(&list(&LogicalType::Text)));
    all.extend(lists);
    let field = |name: &str, logical: &LogicalType| StructField::new(name, logical.clone());
    let required = StructField { nullable: false, ..field("id", &LogicalType::Int { bits: 32, signed: true }) };
    let place = LogicalType::Struct {
        fields: vec![
            required,
            field("name", &LogicalType::Text),
            field("age", &LogicalType::Interval),
            field("raw", &LogicalType::Binary),
        ],
    };
    let map =
        |value: &LogicalType| LogicalType::Map { key: Box::new(LogicalType::Text), value: Box::new(value.clone()) };
    let deep = LogicalType::Struct { fields: vec![field("places", &list(&place)), field("by_name", &map(&place))] };
    all.extend([map(&LogicalType::Json), map(&list(&LogicalType::Date)), list(&place), place, deep]);
    all
}

/// Whether there are names among the values.
fn is_named(t: &LogicalType) -> bool {
    match t {
        LogicalType::Struct { .. } | LogicalType::Map { .. } => true,
        LogicalType::List { element } => is_named(element),
        _ => false,
    }
}

/// A nullable column and one that is not, per type, with the ends of its range; `rotation` varies the rows.
fn every_type(types: TypesMode, rotation: usize) -> Result<RecordBatch> {
    every_type_of(&logical_types(), types, rotation)
}

fn every_type_of(logical_types: &[LogicalType], types: TypesMode, rotation: usize) -> Result<RecordBatch> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (i, logical) in logical_types.iter().enumerate() {
        for nullable in [false, true] {
            let column = Column {
                name: format!("{i} {}", if nullable { "nullable" } else { "required" }),
                native_type: format!("{logical:?}"),
                logical: logical.clone(),
                nullable,
                fidelity: Fidelity::Exact,
            };
            let field = column.arrow_field(types);
            arrays.push(values(field.data_type(), nullable, rotation)?);
            fields.push(field);
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

/// Three values, turned by `rotation`; the middle one is missing where it can be.
fn turned<T: Clone>(values: [T; 3], nullable: bool, rotation: usize) -> [Option<T>; 3] {
    std::array::from_fn(|i| {
        let i = (i + rotation) % 3;
        (!nullable || i != 1).then(|| values[i].clone())
    })
}

fn primitive<T: ArrowPrimitiveType>(
    data_type: &DataType,
    values: [T::Native; 3],
    nullable: bool,
    rotation: usize,
) -> ArrayRef {
    let array = PrimitiveArray::<T>::from_iter(turned(values, nullable, rotation));
    Arc::new(array.with_data_type(data_type.clone()))
}

fn ends<T: ArrowPrimitiveType>(data_type: &DataType, nullable: bool, rotation: usize) -> ArrayRef
where
    T::Native: ArrowNativeTypeOp,
{
    let values = [T::Native::MIN_TOTAL_ORDER, T::Native::ZERO, T::Native::MAX_TOTAL_ORDER];
    primitive::<T>(data_type, values, nullable, rotation)
}

fn values(of: &DataType, null: bool, turn: usize) -> Result<ArrayRef> {
    const DAY_US: i64 = 86_400_000_000;
    let text = ["", "no \0 null", "ü𝄞\n\"'"].map(str::to_owned);
    Ok(match of {
        DataType::Boolean => Arc::new(BooleanArray::from(turned([true, false, false], null, turn).to_vec())),
        DataType::Int8 => ends::<Int8Type>(of, null, turn),
        DataType::Int16 => ends::<Int16Type>(of, null, turn),
        DataType::Int32 => ends::<Int32Type>(of, null, turn),
        DataType::Int64 => ends::<Int64Type>(of, null, turn),
        DataType::UInt8 => ends::<UInt8Type>(of, null, turn),
        DataType::UInt16 => ends::<UInt16Type>(of, null, turn),
        DataType::UInt32 => ends::<UInt32Type>(of, null, turn),
        DataType::UInt64 => ends::<UInt64Type>(of, null, turn),
        DataType::Float32 => primitive::<Float32Type>(of, [f32::NEG_INFINITY, -0.0, f32::MIN_POSITIVE], null, turn),
        DataType::Float64 => primitive::<Float64Type>(of, [f64::MAX, f64::INFINITY, 0.1], null, turn),
        DataType::Decimal128(precision, _) => {
            let most = 10_i128.pow(u32::from(*precision)) - 1;
            primitive::<Decimal128Type>(of, [-most, 0, most], null, turn)
        }
        DataType::Decimal256(precision, _) => {
            let most = "9".repeat(usize::from(*precision));
            let number = |text: &str| arrow_buffer::i256::from_string(text).context("a number");
            let values = [number(&format!("-{most}"))?, number("0")?, number(&most)?];
            primitive::<Decimal256Type>(of, values, null, turn)
        }
        DataType::Date32 => primitive::<Date32Type>(of, [-719_162, 0, 2_932_896], null, turn),
        DataType::Time64(TimeUnit::Microsecond) => {
            primitive::<Time64MicrosecondType>(of, [0, 1, DAY_US - 1], null, turn)
        }
        DataType::Time64(_) => primitive::<Time64NanosecondType>(of, [0, 1, DAY_US * 1_000 - 1], null, turn),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            primitive::<TimestampMicrosecondType>(of, [-719_162 * DAY_US, -1, 2_932_896 * DAY_US], null, turn)
        }
        DataType::Timestamp(_, _) => primitive::<TimestampNanosecondType>(of, [i64::MIN, -1, i64::MAX], null, turn),
        DataType::Utf8 => Arc::new(StringArray::from(turned(text, null, turn).to_vec())),
        DataType::Binary => {
            let values = turned([&b""[..], b"\0\xff", b"x"], null, turn);
            Arc::new(BinaryArray::from(values.to_vec()))
        }
        DataType::FixedSizeBinary(16) => {
            let values = turned([[0_u8; 16], [7; 16], [255; 16]], null, turn);
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.into_iter(), 16)?)
        }
        DataType::Interval(_) => {
            let value = IntervalMonthDayNano::new;
            let values = [value(i32::MIN, 3, i64::MIN), value(0, 0, 0), value(14, -1, 1)];
            primitive::<IntervalMonthDayNanoType>(of, values, null, turn)
        }
        DataType::Dictionary(_, _) => {
            // One dictionary for all batches, of which each uses a part.
            let keys = PrimitiveArray::<Int32Type>::from_iter(turned([0, 1, 2], null, turn));
            Arc::new(DictionaryArray::new(keys, Arc::new(StringArray::from(vec!["", "no", "ü𝄞", "unused"]))))
        }
        DataType::List(element) => {
            let elements = values(element.data_type(), true, turn)?;
            // Two elements of which one may be missing, none, one.
            let offsets = OffsetBuffer::from_lengths([2, 0, 1]);
            let missing = null.then(|| NullBuffer::from(vec![true, false, true]));
            Arc::new(ListArray::try_new(element.clone(), offsets, elements, missing)?)
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|f| values(f.data_type(), f.is_nullable(), turn)).collect::<Result<_>>()?;
            let missing = null.then(|| NullBuffer::from(vec![true, true, false]));
            Arc::new(StructArray::try_new(fields.clone(), columns, missing)?)
        }
        DataType::Map(pair, is_sorted) => {
            let DataType::Struct(both) = pair.data_type() else { anyhow::bail!("a map of {pair}") };
            // Three pairs, of which no two of one map have one key.
            let columns = both.iter().map(|f| values(f.data_type(), f.is_nullable(), turn)).collect::<Result<_>>()?;
            let pairs = StructArray::try_new(both.clone(), columns, None)?;
            let missing = null.then(|| NullBuffer::from(vec![true, false, true]));
            let offsets = OffsetBuffer::from_lengths([2, 0, 1]);
            Arc::new(MapArray::try_new(pair.clone(), offsets, pairs, missing, *is_sorted)?)
        }
        other => anyhow::bail!("a logical type became {other}, which this test knows no values for"),
    })
}
