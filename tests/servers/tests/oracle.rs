//! The oracle reads what pyarrow wrote.
//! Must not know any crate of the product.

use rivet_test_servers::oracle;

const WRITE: &str = r#"
import datetime as dt, decimal, sys
import pyarrow as pa, pyarrow.parquet as pq
utc = dt.timezone.utc
table = pa.table(
    [
        pa.array([1, -9223372036854775808, None], pa.int64()),
        pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("-0.01")], pa.decimal128(38, 2)),
        pa.array([dt.datetime(2024, 2, 29, 12, tzinfo=utc), dt.datetime(1700, 1, 1, tzinfo=utc), None], pa.timestamp("us", "UTC")),
        pa.array([b"\x00\xff", b"", None]),
        pa.array([float("nan"), float("inf"), 0.5]),
        pa.array([[1, None], [], None], pa.list_(pa.int32())),
        pa.array(["a|\n", "é", ""]),
    ],
    schema=pa.schema([
        pa.field("i", pa.int64()), pa.field("d", pa.decimal128(38, 2)), pa.field("t", pa.timestamp("us", "UTC")),
        pa.field("b", pa.binary()), pa.field("f", pa.float64()), pa.field("l", pa.list_(pa.int32())),
        pa.field("s", pa.string(), nullable=False),
    ]),
)
pq.write_table(table, sys.argv[1])
print("rows", table.num_rows)
"#;

#[test]
fn duckdb_and_pyarrow_read_a_parquet_file() {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = dir.join(format!("oracle-{}.parquet", std::process::id()));
    let path = file.to_str().expect("UTF-8");
    assert_eq!(oracle::run(WRITE, &[path]).expect("written"), "rows 3\n");

    let rows = oracle::duckdb(&format!("select * from read_parquet('{path}')")).expect("rows");
    assert_eq!(
        rows.lines().collect::<Vec<_>>(),
        [
            r#"{"i": 1, "d": "1.50", "t": "2024-02-29 12:00:00+00:00", "b": "00ff", "f": "nan", "l": [1, null], "s": "a|\n"}"#,
            r#"{"i": -9223372036854775808, "d": null, "t": "1700-01-01 00:00:00+00:00", "b": "", "f": "inf", "l": [], "s": "é"}"#,
            r#"{"i": null, "d": "-0.01", "t": null, "b": null, "f": 0.5, "l": null, "s": ""}"#,
        ]
    );
    for row in rows.lines() {
        serde_json::from_str::<serde_json::Value>(row).expect("JSON");
    }
    let schema = oracle::pyarrow_schema(&file).expect("a schema");
    assert_eq!(
        schema.lines().collect::<Vec<_>>(),
        [
            "i: int64",
            "d: decimal128(38, 2)",
            "t: timestamp[us, tz=UTC]",
            "b: binary",
            "f: double",
            "l: list<element: int32>",
            "s: string not null",
        ]
    );
    std::fs::remove_file(file).expect("our file");
}

#[test]
fn a_failing_script_or_query_says_why() {
    let failed = oracle::run("import sys; print('so far'); sys.exit('the reason')", &[]);
    let message = format!("{:#}", failed.expect_err("it exits with 1"));
    assert!(message.contains("the reason"), "{message}");
    let failed = oracle::duckdb("select * from read_parquet('no-such-file.parquet')");
    let message = format!("{:#}", failed.expect_err("no such file"));
    assert!(message.contains("no-such-file.parquet"), "{message}");
}

#[test]
fn a_schema_accepts_and_refuses_and_must_be_one() {
    let schema = r#"{"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": false}"#;
    let verdicts = oracle::schema_errors(schema, &["{a: 1}".to_owned(), "a: x".to_owned()]).expect("verdicts");
    assert_eq!(verdicts, [vec![], vec!["/a: 'x' is not of type 'integer'".to_owned()]]);
    assert!(oracle::schema_errors(r#"{"type": "nonsense"}"#, &[]).is_err());
}
