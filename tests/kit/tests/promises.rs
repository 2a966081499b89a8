//! Batches that are not what was promised: each is refused by name, linked and loaded, from a source and out of a file.
//! It must not know how they are found out.

use anyhow::{Context, Result};
use rivet_plugin_api::wire::Connector;
use rivet_plugin_api::{
    BatchStream, CancelToken, ErrorKind, LogicalType, PluginError, ReadAt, Relation, Scan, StructField, TypesMode,
};
use rivet_test_hostile as _;
use rivet_test_kit::linked_and_loaded;
use serde_json::{Value, json};

const PACKAGE: &str = "rivet-test-hostile";

fn relation() -> Relation {
    Relation::Table { schema: None, name: "any".to_owned() }
}

/// Rows of all batches, through a source.
fn scanned(connector: &Connector, options: &Value, limits: &Value, token: &CancelToken) -> Result<usize, PluginError> {
    let cx = token.cx();
    let request = json!({ "options": options, "n_sessions": 1, "limits": limits });
    let mut group = connector.open_group(&request, &cx)?;
    let columns = rivet_test_hostile::columns();
    let scan = Scan { max_batch_rows: 3, max_batch_bytes: 1000, limit: Some(5), ..Scan::new(relation(), columns) };
    n_rows(&mut *group.sessions[0].scan(&scan, &cx)?, token)
}

struct Nothing;

impl ReadAt for Nothing {
    fn len(&self) -> u64 {
        0
    }
    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<usize, PluginError> {
        Ok(0)
    }
}

/// The same, read back by a format.
fn read_back(connector: &Connector, options: &Value) -> Result<usize, PluginError> {
    let mut stream = connector.open_format(options)?.reader(Box::new(Nothing))?;
    n_rows(&mut *stream, &CancelToken::new())
}

fn n_rows(stream: &mut dyn BatchStream, token: &CancelToken) -> Result<usize, PluginError> {
    let mut n_rows = 0;
    while let Some(batch) = stream.next(&token.cx())? {
        n_rows += batch.num_rows();
    }
    Ok(n_rows)
}

/// What each of the four ways to read says about a lie, with the name of the plugin.
fn told(lie: &Value) -> Result<Vec<(&'static str, Result<usize, PluginError>)>> {
    let options = json!({ "n_batches": 2, "batch_rows": 3, "lie": lie });
    let mut told = Vec::new();
    for connector in linked_and_loaded(PACKAGE, "hostile")? {
        told.push(("hostile", scanned(&connector, &options, &json!({}), &CancelToken::new())));
    }
    for connector in linked_and_loaded(PACKAGE, "hostile-format")? {
        told.push(("hostile-format", read_back(&connector, &options)));
    }
    Ok(told)
}

fn refused(lie: &Value, says: &[&str]) -> Result<()> {
    for (plugin, result) in told(lie)? {
        let error = result.err().with_context(|| format!("{plugin} gets away with {lie}"))?;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Internal, "wire.promise"), "{lie}: {error:?}");
        let text = error.to_string();
        for part in says.iter().chain(&[format!("plugin '{plugin}'").as_str()]) {
            assert!(text.contains(part), "{lie}: {part:?} is missing in {text}");
        }
    }
    Ok(())
}

fn list(element: LogicalType) -> LogicalType {
    LogicalType::List { element: Box::new(element) }
}

fn record(fields: Vec<StructField>) -> LogicalType {
    LogicalType::Struct { fields }
}

/// A promise and a lie for each unit, zone, width, scale and nesting.
fn lies() -> Vec<(LogicalType, LogicalType)> {
    use LogicalType::*;
    let int = |bits| Int { bits, signed: true };
    let decimal = |precision, scale| Decimal { precision, scale };
    let timestamp = |utc, nanos| Timestamp { utc, nanos };
    let map = |value| Map { key: Box::new(Text), value: Box::new(value) };
    let field = |name: &str, logical| StructField::new(name, logical);
    let a = || field("a", int(64));
    vec![
        (timestamp(true, false), timestamp(true, true)),
        (timestamp(true, false), timestamp(false, false)),
        (timestamp(false, true), timestamp(true, true)),
        (Time { nanos: false }, Time { nanos: true }),
        (int(64), int(32)),
        (int(64), Int { bits: 64, signed: false }),
        (int(64), Bool),
        (int(64), Float { bits: 64 }),
        (Date, int(32)),
        (Float { bits: 64 }, Float { bits: 32 }),
        (decimal(10, 2), decimal(12, 2)),
        (decimal(10, 2), decimal(10, 3)),
        (decimal(60, 2), decimal(38, 2)),
        (Uuid, Binary),
        (Text, Binary),
        (Text, int(64)),
        (Enum, Text),
        (Interval, decimal(38, 0)),
        (list(int(64)), list(int(32))),
        (list(list(Text)), list(list(Binary))),
        (list(list(Text)), list(Text)),
        (record(vec![a(), field("b", Text)]), record(vec![a(), field("b", Binary)])),
        (record(vec![a(), field("b", Text)]), record(vec![a()])),
        (record(vec![a()]), record(vec![field("b", int(64))])),
        (record(vec![StructField { nullable: false, ..a() }]), record(vec![a()])),
        (map(int(64)), map(int(32))),
        (map(int(64)), list(int(64))),
    ]
}

#[test]
fn another_type_is_refused_by_column_and_both_types() -> Result<()> {
    for (promised, delivered) in lies() {
        let lie = json!({ "promised": promised, "delivered": delivered });
        let types = [&promised, &delivered].map(|logical| logical.arrow_type(TypesMode::Native).to_string());
        let says = format!("column 'x' is promised as {} and delivered as {}", types[0], types[1]);
        refused(&lie, &[&says])?;
        // The same the other way round, but where more is promised to be missing than is.
        if !matches!(&promised, LogicalType::Struct { fields } if !fields[0].nullable) {
            let says = format!("column 'x' is promised as {} and delivered as {}", types[1], types[0]);
            refused(&json!({ "promised": delivered, "delivered": promised }), &[&says])?;
        }
    }
    Ok(())
}

#[test]
fn null_where_none_was_promised_is_refused() -> Result<()> {
    for logical in [LogicalType::Text, LogicalType::Enum, list(LogicalType::Date)] {
        let lie = json!({ "promised": logical, "delivered": logical, "required": true });
        refused(&lie, &["column 'x' is promised as without NULL and delivered as 3 NULL of 3 rows"])?;
    }
    Ok(())
}

#[test]
fn a_decimal_of_more_digits_than_it_has_is_refused() -> Result<()> {
    let decimal = LogicalType::Decimal { precision: 5, scale: 2 };
    for (logical, of) in [
        (decimal.clone(), "Decimal128(5, 2)"),
        (list(decimal.clone()), "Decimal128(5, 2)"),
        (record(vec![StructField::new("price", decimal)]), "Decimal128(5, 2)"),
    ] {
        let lie = json!({ "promised": logical, "delivered": logical, "filled": true });
        refused(&lie, &[&format!("column 'x' is promised as {of} and delivered as a value of more digits")])?;
    }
    Ok(())
}

#[test]
fn values_in_structs_and_maps_arrive() -> Result<()> {
    let int = || LogicalType::Int { bits: 64, signed: true };
    let pairs = LogicalType::Map { key: Box::new(LogicalType::Text), value: Box::new(list(int())) };
    let logical = record(vec![StructField::new("n", int()), StructField::new("pairs", pairs)]);
    for (plugin, result) in told(&json!({ "promised": logical, "delivered": logical, "filled": true }))? {
        assert_eq!(result?, 6, "{plugin}");
    }
    Ok(())
}

#[test]
fn text_that_is_no_utf_8_is_refused_linked_and_loaded_alike() -> Result<()> {
    let options = json!({ "n_batches": 1, "batch_rows": 3, "no_text": true });
    let mut said = Vec::new();
    for connector in linked_and_loaded(PACKAGE, "hostile")? {
        said.push(scanned(&connector, &options, &json!({}), &CancelToken::new()).err().context("a source")?);
    }
    for connector in linked_and_loaded(PACKAGE, "hostile-format")? {
        said.push(read_back(&connector, &options).err().context("a format")?);
    }
    for (error, plugin) in said.iter().zip(["hostile", "hostile", "hostile-format", "hostile-format"]) {
        assert_eq!((error.kind(), error.code()), (ErrorKind::Internal, "wire.malformed_data"), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("plugin '{plugin}': ")) && text.contains("column 't'"), "{text}");
    }
    assert_eq!(said[0].to_string(), said[1].to_string());
    assert_eq!(said[2].to_string(), said[3].to_string());
    Ok(())
}

#[test]
fn more_sessions_than_asked_for_are_refused() -> Result<()> {
    for connector in linked_and_loaded(PACKAGE, "hostile")? {
        let request = json!({ "options": { "more_sessions": 2 }, "n_sessions": 1 });
        let error = connector.open_group(&request, &CancelToken::new().cx()).err().context("it opens too many")?;
        let says = "plugin 'hostile': 3 sessions were opened, where 1 were asked for";
        assert_eq!((error.code(), error.message()), ("wire.n_sessions", says));
    }
    Ok(())
}

#[test]
fn a_format_that_does_not_answer_for_each_column_is_refused() -> Result<()> {
    let schema = rivet_plugin_api::TableSchema::of(rivet_test_hostile::columns()).arrow_schema(TypesMode::Portable);
    for connector in linked_and_loaded(PACKAGE, "hostile-format")? {
        for (n_answers, says) in [(1, "for 1 of 2 columns"), (3, "for 3 of 2 columns")] {
            let format = connector.open_format(&json!({ "n_answers": n_answers }))?;
            let error = format.map(&schema).expect_err("answers are missing, or there are too many");
            let says = format!("plugin 'hostile-format': the format answers {says}");
            assert_eq!((error.code(), error.message()), ("wire.mapping", says.as_str()));
        }
    }
    Ok(())
}

#[test]
fn other_names_and_other_numbers_of_columns_are_refused() -> Result<()> {
    let lie = |more: Value| {
        let mut lie = json!({ "promised": "text", "delivered": "text" });
        lie.as_object_mut().expect("it is one").extend(more.as_object().expect("it is one").clone());
        lie
    };
    refused(&lie(json!({ "name": "y" })), &["column 1 is promised as 'x' and delivered as 'y'"])?;
    refused(&lie(json!({ "times": 2 })), &["1 columns are promised and 2 delivered"])
}

#[test]
fn what_is_as_promised_arrives_whatever_it_is() -> Result<()> {
    for (logical, _) in lies() {
        for (plugin, result) in told(&json!({ "promised": logical, "delivered": logical }))? {
            let required = matches!(&logical, LogicalType::Struct { fields } if !fields[0].nullable);
            assert!(required || result.as_ref().is_ok_and(|n| *n == 6), "{plugin}: {logical}: {result:?}");
        }
    }
    Ok(())
}

#[test]
fn a_batch_far_beyond_what_was_asked_for_is_refused_with_both_sizes() -> Result<()> {
    for connector in linked_and_loaded(PACKAGE, "hostile")? {
        let read = |text_bytes: usize, most: usize| {
            let options = json!({ "n_batches": 1, "batch_rows": 3, "text_bytes": text_bytes });
            scanned(&connector, &options, &json!({ "max_value_bytes": most }), &CancelToken::new())
        };
        assert_eq!(read(1000, 1000)?, 3);
        assert_eq!(read(4 << 20, 0)?, 3, "no limit is no limit");
        let error = read(4 << 20, 1000).err().context("it is too much")?;
        assert_eq!(error.code(), "wire.batch_too_large", "{error:?}");
        let text = error.to_string();
        assert!(text.contains("plugin 'hostile': a batch has 12582") && text.contains("at most 1054576"), "{text}");
        assert!(error.hint_text().is_some_and(|hint| hint.contains("max_value_mb")), "{error:?}");
    }
    Ok(())
}

#[test]
fn what_is_not_as_it_was_asked_for_is_told_once() -> Result<()> {
    for connector in linked_and_loaded(PACKAGE, "hostile")? {
        for (n_batches, batch_rows, says) in [
            (1, 3, None),
            (3, 0, Some("plugin 'hostile' delivers batches without rows")),
            (1, 4, Some("plugin 'hostile' delivers more than the 3 rows in a batch that it was asked for")),
            (3, 2, Some("plugin 'hostile' delivers more than the 5 rows in all that it was asked for")),
        ] {
            let token = CancelToken::new();
            token.keep_warnings();
            let options = json!({ "n_batches": n_batches, "batch_rows": batch_rows });
            assert_eq!(scanned(&connector, &options, &json!({}), &token)?, n_batches * batch_rows);
            assert_eq!(token.take_warnings(), says.map(str::to_owned).into_iter().collect::<Vec<_>>());
        }
    }
    Ok(())
}

#[test]
fn a_type_of_a_newer_plugin_arrives_by_its_name() -> Result<()> {
    for connector in linked_and_loaded(PACKAGE, "hostile")? {
        let token = CancelToken::new();
        let request = json!({ "options": { "unknown_type": true }, "n_sessions": 1 });
        let mut group = connector.open_group(&request, &token.cx())?;
        let described = group.sessions[0].describe(&relation(), &token.cx())?;
        let column = described.columns.last().context("a column")?;
        assert_eq!((column.logical.is_known(), column.logical.to_string().as_str()), (false, "geometry"));
        assert_eq!(serde_json::to_value(&column.logical)?, json!({ "geometry": { "srid": 4326 } }));
    }
    Ok(())
}
