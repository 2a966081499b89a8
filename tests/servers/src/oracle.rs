//! Independent readers of what we write: DuckDB and pyarrow in a Python environment of the cache.
//! Must not know any crate of ours that reads or writes a file.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{Cache, command};

/// The pinned packages. DuckDB needs pytz to return a timestamp with time zone; jsonschema and PyYAML judge schemas.
const PACKAGES: [&str; 5] = ["duckdb==1.5.5", "pyarrow==26.0.1", "pytz==2026.6", "jsonschema==4.26.0", "pyyaml==6.0.3"];

const DUCKDB_SCRIPT: &str = r#"
import duckdb, json, math, sys

def plain(v):
    if isinstance(v, dict):
        return {k if isinstance(k, str) else str(k): plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    if isinstance(v, float) and not math.isfinite(v):
        return str(v)
    if isinstance(v, (bytes, bytearray)):
        return v.hex()
    return v

con = duckdb.connect(config={"autoinstall_known_extensions": "false"})
con.execute("SET TimeZone = 'UTC'")
cur = con.execute(sys.argv[1])
names = [d[0] for d in cur.description]
while row := cur.fetchone():
    print(json.dumps({n: plain(v) for n, v in zip(names, row)}, default=str, ensure_ascii=False))
"#;

const VALIDATE_SCRIPT: &str = r#"
import json, jsonschema, sys, yaml
schema = json.loads(sys.argv[1])
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for document in json.load(sys.stdin):
    errors = validator.iter_errors(yaml.load(document, yaml.CSafeLoader))
    print(json.dumps(["/" + "/".join(map(str, e.absolute_path)) + ": " + e.message.split("\n")[0] for e in errors]))
"#;

const SCHEMA_SCRIPT: &str = r#"
import pyarrow.parquet, sys
for field in pyarrow.parquet.read_schema(sys.argv[1]):
    print(f"{field.name}: {field.type}" + ("" if field.nullable else " not null"))
"#;

const ROWS_SCRIPT: &str = r#"
import datetime, decimal, json, struct, sys, uuid
import pyarrow as pa, pyarrow.parquet as pq

def trimmed(text, us):
    return text + (f".{us:06d}".rstrip("0") if us else "")

def canonical(v, t):
    if v is None:
        return None
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, float):
        return struct.pack(">f" if pa.types.is_float32(t) else ">d", v).hex()
    if isinstance(v, decimal.Decimal):
        return format(v, "f")
    if isinstance(v, (bytes, bytearray)):
        return v.hex()
    if isinstance(v, datetime.datetime):
        zone = "+00" if v.tzinfo else ""
        return trimmed(v.strftime("%Y-%m-%d %H:%M:%S").zfill(19), v.microsecond) + zone
    if isinstance(v, datetime.date):
        return v.isoformat()
    if isinstance(v, datetime.time):
        return trimmed(v.strftime("%H:%M:%S"), v.microsecond)
    if isinstance(v, list):
        return [canonical(x, t.value_type) for x in v]
    return str(v)

columns = {}
table = pa.concat_tables([pq.read_table(path, use_threads=False) for path in sys.argv[1:]])
for field, column in zip(table.schema, table.columns):
    # Python's own dates end at the years 1 and 9999.
    if pa.types.is_timestamp(field.type):
        column = column.cast(pa.int64())
    elif pa.types.is_date32(field.type):
        column = column.cast(pa.int32())
    columns[field.name] = [canonical(v, field.type) for v in column.to_pylist()]
for i in range(table.num_rows):
    print(json.dumps({name: values[i] for name, values in columns.items()}, ensure_ascii=False))
"#;

/// The Python interpreter of the oracle environment, which is installed on first use (about ten seconds).
///
/// # Errors
/// When Python 3 or its packages cannot be installed.
pub fn python() -> Result<PathBuf> {
    let name = format!("oracle-{}", PACKAGES.join("-").replace("==", "-"));
    let dir = Cache::open()?.install(&name, install)?;
    Ok(dir.join("bin").join("python"))
}

/// Runs a Python script and returns what it printed; `args` are its `sys.argv[1:]`.
///
/// # Errors
/// When the script fails; the error carries its standard error.
pub fn run(script: &str, args: &[&str]) -> Result<String> {
    let mut command = Command::new(python()?);
    command.env("PYTHONIOENCODING", "utf-8").env("TZ", "UTC").arg("-").args(args);
    command::output(&mut command, script).context("run an oracle script")
}

/// Runs a query in DuckDB (time zone UTC) and returns one JSON object a line and row, keyed by column name.
///
/// Numbers, booleans, strings, lists and structs are JSON; bytes are hexadecimal; decimals, dates, times, timestamps, UUIDs and
/// floats that are not finite are strings as Python prints them (timestamps to the microsecond: cast to VARCHAR for more).
///
/// # Errors
/// When DuckDB refuses the query or cannot read a file.
pub fn duckdb(sql: &str) -> Result<String> {
    run(DUCKDB_SCRIPT, &[sql]).with_context(|| format!("query DuckDB with {sql:?}"))
}

/// All rows of Parquet files of one schema as pyarrow reads them, one JSON object a line and row, keyed by column name.
///
/// Values are text: decimals in full, floats as the hexadecimal digits of their big-endian bits, bytes in hexadecimal, dates as
/// days and timestamps as µs since 1970. Lists are lists, in which dates and timestamps are ISO 8601 as PostgreSQL prints it.
///
/// # Errors
/// When pyarrow cannot read a file.
pub fn pyarrow_rows(paths: &[PathBuf]) -> Result<String> {
    let paths =
        paths.iter().map(|p| p.to_str().context("read a path that is not UTF-8")).collect::<Result<Vec<_>>>()?;
    run(ROWS_SCRIPT, &paths).context("read rows with pyarrow")
}

/// The Arrow schema that pyarrow sees in a Parquet file: one line `name: type` a column, with ` not null` when it is required.
///
/// # Errors
/// When pyarrow cannot read the file.
pub fn pyarrow_schema(path: &Path) -> Result<String> {
    let text = path.to_str().context("read a path that is not UTF-8")?;
    run(SCHEMA_SCRIPT, &[text]).with_context(|| format!("read the schema of {text} with pyarrow"))
}

/// What is wrong with each of these documents (YAML or JSON) by a JSON Schema of draft 2020-12; nothing when all is well.
///
/// # Errors
/// When the schema is none, or a document is no YAML.
pub fn schema_errors(schema: &str, documents: &[String]) -> Result<Vec<Vec<String>>> {
    let mut python = Command::new(python()?);
    python.env("PYTHONIOENCODING", "utf-8").args(["-c", VALIDATE_SCRIPT, schema]);
    let printed =
        command::output(&mut python, &serde_json::to_string(documents)?).context("validate with jsonschema")?;
    printed.lines().map(|line| serde_json::from_str(line).context("read a verdict")).collect()
}

fn install(dir: &Path) -> Result<()> {
    let can_make = command::output(Command::new("python3").args(["-c", "import ensurepip, venv"]), "");
    if can_make.is_err() {
        command::apt_install(&["python3", "python3-venv"])?;
    }
    command::output(Command::new("python3").args(["-m", "venv"]).arg(dir), "").context("make a Python environment")?;
    let mut pip = Command::new(dir.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input"]).arg("--disable-pip-version-check").args(PACKAGES);
    command::output(&mut pip, "").context("install with pip; is the package index reachable?")?;
    Ok(())
}
