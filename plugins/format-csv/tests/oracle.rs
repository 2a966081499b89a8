//! What DuckDB and pyarrow read in the files we write: every value as it went in, and NULL apart from the empty text.
//! It must not know how a value is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use arrow_array::builder::{Int64Builder, ListBuilder};
use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
    RecordBatch, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_schema::{Field, Schema};
use rivet_format_csv::{BinaryForm, Compression, Csv, CsvOptions, LineEnding, Quoting};
use rivet_plugin_api::{ByteSink, CancelToken, Format, WriterSettings};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

const DAY_US: i64 = 86_400_000_000;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl ByteSink for Sink {
    fn write(&mut self, bytes: &[u8]) -> rivet_plugin_api::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(())
    }
}

fn write(dir: &Path, options: CsvOptions, batch: &RecordBatch) -> Result<PathBuf> {
    let (token, sink) = (CancelToken::new(), Sink::default());
    let csv = Csv::open(options)?;
    let settings = WriterSettings { max_buffered_bytes: 1 << 20, ..Default::default() };
    let mut writer = csv.writer(batch.schema(), settings, Box::new(sink.clone()))?;
    writer.write(batch, &token.cx())?;
    writer.finish(&token.cx())?;
    let path = dir.join(format!("part.{}", csv.extension()));
    fs::write(&path, &*sink.0.lock().unwrap_or_else(PoisonError::into_inner))?;
    Ok(path)
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    Ok(RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect())?)
}

/// Texts that a reader could take for something else.
const TEXTS: [Option<&str>; 16] = [
    None,
    Some(""),
    Some("NULL"),
    Some("\\N"),
    Some("a,b;c|d\te"),
    Some("\"quoted\""),
    Some("\""),
    Some("line\nbreak"),
    Some("dos\r\nbreak"),
    Some("\rreturn"),
    Some(" spaces "),
    Some("'apostrophe'"),
    Some("ü 漢字 𝄞 \u{200d}"),
    Some("back\\slash\\"),
    Some("# no comment"),
    Some("1e5"),
];

/// What DuckDB reads when every column is text.
fn duckdb(path: &Path, names: &[&str], read: &str) -> Result<Vec<Value>> {
    let columns: Vec<String> = names.iter().map(|n| format!("'{n}': 'VARCHAR'")).collect();
    let sql = format!(
        "select * from read_csv('{}', auto_detect=false, header=true, columns={{{}}}, strict_mode=true, {read})",
        path.display(),
        columns.join(", ")
    );
    oracle::duckdb(&sql)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Reads a file in pyarrow on one thread; `types` is a Python expression of the column types. Prints a JSON list a row.
const PYARROW: &str = r#"
import json, sys
import pyarrow as pa, pyarrow.csv as c
path, delimiter, null, types = sys.argv[1:5]
table = c.read_csv(path, read_options=c.ReadOptions(use_threads=False),
    parse_options=c.ParseOptions(delimiter=delimiter, newlines_in_values=True),
    convert_options=c.ConvertOptions(column_types=eval(types), null_values=[null], strings_can_be_null=True,
        quoted_strings_can_be_null=False))
for row in table.to_pylist():
    print(json.dumps([v if v is None or isinstance(v, (str, int, bool)) else str(v) for v in row.values()]))
"#;

fn pyarrow(path: &Path, delimiter: &str, null: &str, types: &str) -> Result<Vec<Value>> {
    let path = path.to_str().context("a path in utf-8")?;
    let printed = oracle::run(PYARROW, &[path, delimiter, null, types])?;
    printed.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

#[test]
fn texts_are_read_as_they_went_in() -> Result<()> {
    let numbers = Int64Array::from_iter_values(0..TEXTS.len() as i64);
    let texts = StringArray::from(TEXTS.to_vec());
    let batch = batch(vec![("n", Arc::new(numbers)), ("t", Arc::new(texts.clone())), ("u, \"v\"", Arc::new(texts))])?;
    let plain = CsvOptions::default;
    for (what, options) in [
        ("default", plain()),
        ("all quoted", CsvOptions { quote: Quoting::All, ..plain() }),
        ("null text", CsvOptions { null: "\\N".to_owned(), ..plain() }),
        ("null text, all quoted", CsvOptions { null: "NULL".to_owned(), quote: Quoting::All, ..plain() }),
        ("crlf", CsvOptions { line_ending: LineEnding::Crlf, ..plain() }),
        ("semicolon", CsvOptions { delimiter: ";".to_owned(), ..plain() }),
        ("tab", CsvOptions { delimiter: "\t".to_owned(), null: "\\N".to_owned(), ..plain() }),
        ("gzip", CsvOptions { compression: Compression::Gzip, ..plain() }),
        ("zstd", CsvOptions { compression: Compression::Zstd, compression_level: Some(19), ..plain() }),
    ] {
        let dir = tempfile::tempdir()?;
        let path = write(dir.path(), options.clone(), &batch)?;
        let read = format!(
            "delim='{}', quote='\"', escape='\"', nullstr='{}', allow_quoted_nulls=false",
            options.delimiter, options.null,
        );
        let rows = duckdb(&path, &["n", "t", "u"], &read).context(what)?;
        assert_eq!(rows.len(), TEXTS.len(), "{what}");
        for (i, (row, text)) in rows.iter().zip(TEXTS).enumerate() {
            assert_eq!(row, &json!({ "n": i.to_string(), "t": text, "u": text }), "{what} in DuckDB");
        }
        let types = "{'n': pa.string(), 't': pa.string(), 'u, \"v\"': pa.string()}";
        let rows = pyarrow(&path, &options.delimiter, &options.null, types).context(what)?;
        assert_eq!(rows.len(), TEXTS.len(), "{what}");
        for (i, (row, text)) in rows.iter().zip(TEXTS).enumerate() {
            assert_eq!(row, &json!([i.to_string(), text, text]), "{what} in pyarrow");
        }
    }
    Ok(())
}

#[test]
fn nul_bytes_are_text_like_any_other() -> Result<()> {
    let texts = StringArray::from(vec!["a\0b", "\0", "\0,\0"]);
    let batch = batch(vec![("n", Arc::new(Int64Array::from(vec![1, 2, 3]))), ("t", Arc::new(texts))])?;
    let dir = tempfile::tempdir()?;
    let path = write(dir.path(), CsvOptions::default(), &batch)?;
    let rows = pyarrow(&path, ",", "", "{'n': pa.int64(), 't': pa.string()}")?;
    assert_eq!(rows, [json!([1, "a\0b"]), json!([2, "\0"]), json!([3, "\0,\0"])]);
    Ok(())
}

#[test]
fn one_column_has_no_empty_lines() -> Result<()> {
    let batch = batch(vec![("t", Arc::new(StringArray::from(vec![None, Some(""), Some("\\N"), None])))])?;
    let dir = tempfile::tempdir()?;
    let refused = write(dir.path(), CsvOptions::default(), &batch).err().context("a NULL would be an empty line")?;
    let refused = refused.downcast_ref::<rivet_plugin_api::PluginError>().context("the plugin's error")?;
    assert!(refused.hint_text().is_some_and(|hint| hint.contains("null: '\\N'")), "{refused:?}");
    let path = write(dir.path(), CsvOptions { null: "\\N".to_owned(), ..Default::default() }, &batch)?;
    let rows = pyarrow(&path, ",", "\\N", "{'t': pa.string()}")?;
    assert_eq!(rows, [json!([null]), json!([""]), json!(["\\N"]), json!([null])]);
    let rows = duckdb(&path, &["t"], "delim=',', quote='\"', escape='\"', nullstr='\\N', allow_quoted_nulls=false")?;
    assert_eq!(rows, [json!({"t": null}), json!({"t": ""}), json!({"t": "\\N"}), json!({"t": null})]);
    Ok(())
}

fn numbers() -> Result<RecordBatch> {
    let most = 10_i128.pow(38) - 1;
    let decimals = |scale| -> Result<ArrayRef> {
        let values = Decimal128Array::from(vec![Some(-most), None, Some(0), Some(most), Some(-1)]);
        Ok(Arc::new(values.with_precision_and_scale(38, scale)?))
    };
    let floats = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 5e-324];
    batch(vec![
        ("i", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(0), Some(i64::MAX), Some(-1)]))),
        ("d0", decimals(0)?),
        ("d10", decimals(10)?),
        ("d38", decimals(38)?),
        ("f", Arc::new(Float64Array::from(floats.to_vec()))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true), None]))),
    ])
}

#[test]
fn numbers_keep_every_digit() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for quote in [Quoting::Minimal, Quoting::All] {
        let path = write(dir.path(), CsvOptions { quote, ..Default::default() }, &numbers()?)?;
        let nines = "9".repeat(38);
        let (ten, all) = (format!("{}.{}", &nines[..28], &nines[28..]), format!("0.{nines}"));
        let tiny = [format!("-0.{}1", "0".repeat(9)), format!("-0.{}1", "0".repeat(37))];
        let zeros = [format!("0.{}", "0".repeat(10)), format!("0.{}", "0".repeat(38))];
        let expected = [
            json!([i64::MIN, format!("-{nines}"), format!("-{ten}"), format!("-{all}"), "nan", true]),
            json!([null, null, null, null, "inf", null]),
            json!([0, "0", zeros[0], zeros[1], "-inf", false]),
            json!([i64::MAX, nines, ten, all, "1.7976931348623157e+308", true]),
            json!([-1, "-1", tiny[0], tiny[1], "5e-324", null]),
        ];
        // DuckDB says the same as text, for which its digits are exact.
        let sql = format!(
            "select i, d0::varchar d0, d10::varchar d10, d38::varchar d38, f, b from read_csv('{}', header=true, \
             auto_detect=false, delim=',', quote='\"', escape='\"', nullstr='', allow_quoted_nulls=false, columns={{'i': \
             'BIGINT', 'd0': 'DECIMAL(38,0)', 'd10': 'DECIMAL(38,10)', 'd38': 'DECIMAL(38,38)', 'f': 'DOUBLE', 'b': \
             'BOOLEAN'}})",
            path.display()
        );
        for (line, expected) in oracle::duckdb(&sql)?.lines().zip(&expected) {
            let mut row: Value = serde_json::from_str(line)?;
            // A float that is finite is a JSON number there.
            if let Some(number) = row["f"].as_f64() {
                row["f"] = if number > 1.0 { "1.7976931348623157e+308" } else { "5e-324" }.into();
                assert!([f64::MAX, 5e-324].contains(&number), "{number:e}");
            }
            // Nor does it print the zero before a point when there are no other digits before it.
            let d38 = row["d38"].as_str().map(|text| text.replacen('.', "0.", usize::from(!text.contains("0."))));
            let row = json!([row["i"], row["d0"], row["d10"], d38, row["f"], row["b"]]);
            assert_eq!(&row, expected, "DuckDB");
        }
        // pyarrow parses decimals to the scale given, and prints some of them with an exponent.
        let script = PYARROW.replace("else str(v)", "else (format(v, 'f') if hasattr(v, 'as_tuple') else str(v))");
        let types = "{'i': pa.int64(), 'd0': pa.decimal128(38, 0), 'd10': pa.decimal128(38, 10), 'd38': \
                     pa.decimal128(38, 38), 'f': pa.float64(), 'b': pa.bool_()}";
        let path = path.to_str().context("a path in utf-8")?;
        let printed = oracle::run(&script, &[path, ",", "", types])?;
        let rows: Vec<Value> = printed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        assert_eq!(rows, expected, "pyarrow");
    }
    Ok(())
}

#[test]
fn moments_keep_every_microsecond() -> Result<()> {
    let units = [-719_162 * DAY_US, -1, 0, 1_795_219_200_123_456, 2_932_897 * DAY_US - 1];
    let batch = batch(vec![
        ("d", Arc::new(Date32Array::from(vec![-719_162, -1, 0, 11_016, 2_932_896]))),
        ("t", Arc::new(Time64MicrosecondArray::from(vec![0, 1, DAY_US - 1, 3_661_000_000, 10]))),
        ("w", Arc::new(TimestampMicrosecondArray::from(units.to_vec()))),
        ("z", Arc::new(TimestampMicrosecondArray::from(units.to_vec()).with_timezone("UTC"))),
    ])?;
    let expected = [
        json!(["0001-01-01", "00:00:00", "0001-01-01 00:00:00", "0001-01-01 00:00:00+00"]),
        json!(["1969-12-31", "00:00:00.000001", "1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999+00"]),
        json!(["1970-01-01", "23:59:59.999999", "1970-01-01 00:00:00", "1970-01-01 00:00:00+00"]),
        json!(["2000-02-29", "01:01:01", "2026-11-21 00:00:00.123456", "2026-11-21 00:00:00.123456+00"]),
        json!(["9999-12-31", "00:00:00.00001", "9999-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999+00"]),
    ];
    let dir = tempfile::tempdir()?;
    let path = write(dir.path(), CsvOptions::default(), &batch)?;
    let sql = format!(
        "select d::varchar d, t::varchar t, w::varchar w, z::varchar z from read_csv('{}', header=true, \
         auto_detect=false, delim=',', columns={{'d': 'DATE', 't': 'TIME', 'w': 'TIMESTAMP', 'z': 'TIMESTAMPTZ'}})",
        path.display()
    );
    let rows: Vec<Value> = oracle::duckdb(&sql)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let listed: Vec<Value> = rows.iter().map(|r| json!([r["d"], r["t"], r["w"], r["z"]])).collect();
    assert_eq!(listed, expected);
    let types = "{'d': pa.date32(), 't': pa.time64('us'), 'w': pa.timestamp('us'), 'z': pa.timestamp('us', 'UTC')}";
    // As numbers: pyarrow cannot print the year 1 in every zone.
    let script = PYARROW.replace("table.to_pylist()", "rows(table)").replace(
        "table = ",
        "rows = lambda t: [{n: c[i].value for n, c in zip(t.column_names, t.columns)} for i in range(t.num_rows)]\ntable = ",
    );
    let path = path.to_str().context("a path in utf-8")?;
    let printed = oracle::run(&script, &[path, ",", "", types])?;
    let rows: Vec<Value> = printed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let times = [0, 1, DAY_US - 1, 3_661_000_000, 10];
    let days = [-719_162, -1, 0, 11_016, 2_932_896];
    let expected: Vec<Value> = (0..5).map(|i| json!([days[i], times[i], units[i], units[i]])).collect();
    assert_eq!(rows, expected, "pyarrow");
    Ok(())
}

#[test]
fn bytes_lists_and_dictionaries_can_be_decoded() -> Result<()> {
    let mut lists = ListBuilder::new(Int64Builder::new());
    lists.append_value([Some(1), None, Some(i64::MIN)]);
    lists.append_value(Vec::<Option<i64>>::new());
    lists.append_null();
    let words: DictionaryArray<Int8Type> = [Some("red, \"dark\""), None, Some("")].into_iter().collect();
    let batch = batch(vec![
        ("x", Arc::new(BinaryArray::from(vec![Some(&b"\0\xff,\"\n"[..]), Some(b""), None]))),
        ("l", Arc::new(lists.finish())),
        ("w", Arc::new(words)),
    ])?;
    let columns = "columns={'x': 'VARCHAR', 'l': 'JSON', 'w': 'VARCHAR'}";
    for (binary, decode) in [(BinaryForm::Hex, "unhex(x)"), (BinaryForm::Base64, "from_base64(x)")] {
        let dir = tempfile::tempdir()?;
        let path = write(dir.path(), CsvOptions { binary, ..Default::default() }, &batch)?;
        let sql = format!(
            "select {decode} x, cast(l as bigint[]) l, w from read_csv('{}', header=true, auto_detect=false, delim=',', \
             quote='\"', escape='\"', nullstr='', allow_quoted_nulls=false, {columns})",
            path.display()
        );
        let rows: Vec<Value> = oracle::duckdb(&sql)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let expected = [
            json!({"x": "00ff2c220a", "l": [1, null, i64::MIN], "w": "red, \"dark\""}),
            json!({"x": "", "l": [], "w": null}),
            json!({"x": null, "l": null, "w": ""}),
        ];
        assert_eq!(rows, expected, "{binary:?}");
    }
    Ok(())
}
