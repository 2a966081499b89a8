//! The judge of files finds what is wrong with files that pyarrow wrote, and nothing else.
//! Must not know any crate of the product.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rivet_test_servers::oracle;
use rivet_test_servers::type_oracle::{self, FileFormat, Limit, Reader, Table};
use serde_json::{Value, json};

/// Columns of each kind; the CSV file is written by hand, since pyarrow's own has no instants.
const WRITE: &str = r#"
import datetime as dt, decimal, sys, uuid
import pyarrow as pa, pyarrow.parquet as pq
D = decimal.Decimal
columns = {
    "id": pa.array([2, 0, 1], pa.int64()),
    "t": pa.array(["", None, 'a "b", c\n'], pa.string()),
    "f": pa.array([-0.0, None, 0.1], pa.float32()),
    "d": pa.array([-719162, None, 2932897], pa.int32()).cast(pa.date32()),
    "at": pa.array([-1, None, 253402300800000000], pa.int64()).cast(pa.timestamp("us", "UTC")),
    "n": pa.array([D("0.50"), None, D("-12.00")], pa.decimal128(9, 2)),
    "l": pa.array([[1, None], None, []], pa.list_(pa.int32())),
}
table = pa.table(columns)
pq.write_table(table, sys.argv[1] + "/t.parquet")
with pa.OSFile(sys.argv[1] + "/t.arrow", "wb") as file, pa.ipc.new_file(file, table.schema) as out:
    out.write_table(table)
"#;

const CSV: &str = "id,t,f,d,at,n,l\n\
    2,\"\",-0,0001-01-01,1969-12-31T23:59:59.999999Z,0.50,\"[1,null]\"\n\
    0,,,,,,\n\
    1,\"a \"\"b\"\", c\n\",0.1,+10000-01-01,+10000-01-01T00:00:00.000000Z,-12.00,[]\n";

fn expected() -> Vec<Value> {
    vec![
        json!({"t": null, "f": null, "d": null, "at": null, "n": null, "l": null}),
        json!({"t": "a \"b\", c\n", "f": "3dcccccd", "d": "2932897", "at": "253402300800000000", "n": "-12.00", "l": []}),
        json!({"t": "", "f": "80000000", "d": "-719162", "at": "-1", "n": "0.50", "l": ["1", null]}),
    ]
}

fn folder(name: &str) -> Result<PathBuf> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("type-oracle-{name}-{}", std::process::id()));
    fs::create_dir_all(dir.join("csv"))?;
    oracle::run(WRITE, &[dir.to_str().context("UTF-8")?])?;
    fs::write(dir.join("csv/t.csv"), CSV)?;
    Ok(dir)
}

#[test]
fn what_is_right_passes_and_what_is_wrong_is_named() -> Result<()> {
    let dir = folder("values")?;
    let table = || Table::below("t", &dir, expected());
    type_oracle::check(&[table()?], "id", &[])?;

    let fails = |table: Table, limits: &[Limit]| -> Result<String> {
        Ok(format!("{:#}", type_oracle::check(&[table], "id", limits).err().context("it must fail")?))
    };
    // Each of these is seen by every reader of every format: three, three and two.
    for (row, column, value) in [
        (2, "t", json!(null)),
        (0, "t", json!("")),
        (2, "f", json!("00000000")),
        (1, "d", json!("2932896")),
        (2, "at", json!("-2")),
        (1, "n", json!("-12.0")),
        (1, "l", json!(null)),
        (2, "l", json!(["1", ""])),
    ] {
        let mut table = table()?;
        table.expected[row][column] = value.clone();
        let message = fails(table, &[])?;
        let named = message.lines().filter(|line| line.contains(&format!("row {row}, {column}: ")));
        ensure!(named.count() == 8 && message.lines().count() == 8, "{column} {value}: {message}");
    }
    let mut fewer = table()?;
    fewer.expected.pop();
    ensure!(fails(fewer, &[])?.contains("3 rows instead of 2"), "a row too many");
    let mut other = table()?;
    other.expected.iter_mut().for_each(|row| row["missing"] = json!(null));
    ensure!(fails(other, &[])?.contains("there is no column 'missing'"), "a column too few");
    fs::remove_dir_all(dir)?;
    Ok(())
}

#[test]
fn limits_must_show_and_leave_a_reader() -> Result<()> {
    let dir = folder("limits")?;
    fs::remove_dir_all(dir.join("csv"))?;
    let mut table = Table::below("t", &dir, expected())?;
    let limit = |reader, format| Limit::new(reader, format, &["n"], "rounds");
    let message = |table: &Table, limits: &[Limit]| {
        type_oracle::check(std::slice::from_ref(table), "id", limits)
            .err()
            .map(|e| format!("{e:#}"))
            .unwrap_or_default()
    };
    let stale = message(&table, &[limit(Reader::Polars, FileFormat::Parquet)]);
    ensure!(stale == "t as Parquet by Polars: 'n' is read as it is: remove its limit", "{stale}");
    // Nobody reads it as expected, so that every limit shows; one reader of each format has to.
    table.expected[1]["n"] = json!("-12.01");
    let all = [
        limit(Reader::DuckDb, FileFormat::Parquet),
        limit(Reader::PyArrow, FileFormat::Parquet),
        limit(Reader::Polars, FileFormat::Parquet),
        limit(Reader::PyArrow, FileFormat::Arrow),
        limit(Reader::Polars, FileFormat::Arrow),
    ];
    let uncovered = message(&table, &all);
    for format in ["Parquet", "Arrow"] {
        ensure!(uncovered.contains(&format!("t: nobody reads 'n' as {format}")), "{uncovered}");
    }
    fs::write(dir.join("t.parquet"), "no parquet")?;
    ensure!(message(&table, &all[3..4]).contains("t as Parquet by DuckDb: "), "who cannot read it says so");
    fs::remove_dir_all(dir)?;
    Ok(())
}
