//! Independent readers of what we write: DuckDB, pyarrow and Polars in a Python environment of the cache.
//! Must not know any crate of ours that reads or writes a file.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{Cache, command, python};

/// The pinned packages. DuckDB needs pytz to return a timestamp with time zone; jsonschema and PyYAML judge schemas.
const PACKAGES: [&str; 6] =
    ["duckdb==1.5.5", "pyarrow==26.0.1", "polars==2.1.0", "pytz==2026.6", "jsonschema==4.26.0", "pyyaml==6.0.3"];

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

# As YAML 1.2 has it, and editors: `on` is a word and no truth value.
class Loader(yaml.CSafeLoader):
    yaml_implicit_resolvers = {
        first: [(tag, words) for tag, words in all if tag != 'tag:yaml.org,2002:bool' or first in 'tTfF']
        for first, all in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

schema, documents = json.load(sys.stdin)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for document in documents:
    errors = validator.iter_errors(yaml.load(document, Loader))
    print(json.dumps(["/" + "/".join(map(str, e.absolute_path)) + ": " + e.message.split("\n")[0] for e in errors]))
"#;

const SCHEMA_SCRIPT: &str = r#"
import pyarrow.parquet, sys
for field in pyarrow.parquet.read_schema(sys.argv[1]):
    print(f"{field.name}: {field.type}" + ("" if field.nullable else " not null"))
"#;

/// The Python interpreter of the oracle environment, which is installed on first use (about ten seconds).
///
/// # Errors
/// When Python 3 or its packages cannot be installed.
pub fn python() -> Result<PathBuf> {
    let name = format!("oracle-{}", PACKAGES.join("-").replace("==", "-"));
    let dir = Cache::open()?.install(&name, |dir| python::make(dir, &PACKAGES))?;
    Ok(dir.join("bin").join("python"))
}

/// The last line of a script that reads with pyarrow: its pools of threads sometimes abort an interpreter that ends by itself.
pub const END: &str = "\nimport os, sys; sys.stdout.flush(); os._exit(0)\n";

/// Runs a Python script and returns what it printed; `args` are its `sys.argv[1:]`.
///
/// # Errors
/// When the script fails; the error carries its standard error.
pub fn run(script: &str, args: &[&str]) -> Result<String> {
    let script = &format!("{script}{END}");
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
    python.env("PYTHONIOENCODING", "utf-8").args(["-c", VALIDATE_SCRIPT]);
    let schema: serde_json::Value = serde_json::from_str(schema).context("read the schema")?;
    let asked = serde_json::to_string(&(schema, documents))?;
    let printed = command::output(&mut python, &asked).context("validate with jsonschema")?;
    printed.lines().map(|line| serde_json::from_str(line).context("read a verdict")).collect()
}
