//! One SQLite table through the binary into each format, read back by DuckDB and pyarrow.
//! Must not know any crate of the product.

use std::fs;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, PLUGINS, Workspace, copy_plugins, files_below, finish, plugin_dir};
use rivet_test_servers::oracle;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Exports of the table `t`, each in its own folder; a line is a name and what it has beside.
fn config(exports: &[(&str, &str)]) -> String {
    let head = "source: {type: sqlite, path: data.db, tuning: {profile: fast}}\n\
                defaults: {table: t, destination: {type: local, path: 'out/{export}'}}\nexports:\n";
    let exports = exports.iter().map(|(name, more)| format!("- {{name: {name}, {more}}}\n"));
    head.to_owned() + &exports.collect::<String>()
}

const ROWS: &str = "create table t (id integer primary key, s text, x blob, d decimal(10, 2), w timestamp, f boolean); \
    insert into t values (1, '', x'', '12.50', '2026-01-31 23:59:59.5', 1), (2, null, null, null, null, null), \
    (3, 'a \"b\", c' || char(10) || 'ü', x'00ff', '-0.01', '0001-01-01 00:00:00', 0)";

fn workspace(exports: &[(&str, &str)]) -> Result<Workspace> {
    let workspace = Workspace::new(&config(exports))?;
    const SCRIPT: &str = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2])";
    oracle::run(SCRIPT, &[&workspace.path().join("data.db").display().to_string(), ROWS])?;
    Ok(workspace)
}

/// The only part of an export, which ends in `extension`.
fn part(workspace: &Workspace, export: &str, extension: &str) -> Result<String> {
    let read = Exported::read(&workspace.path().join("out").join(export))?;
    assert_eq!((read.n_rows(), read.parts.len()), (3, 1), "{export}");
    let path = read.parts[0].to_str().context("a path in utf-8")?.to_owned();
    let (_, found) =
        path.rsplit('/').next().and_then(|name| name.split_once('.')).context("a name with an extension")?;
    assert_eq!(found, extension, "{export}");
    Ok(path)
}

const CSV: &str = "id,s,x,d,w,f\n\
    1,\"\",\"\",12.50,2026-01-31T23:59:59.500000,true\n\
    2,,,,,\n\
    3,\"a \"\"b\"\", c\nü\",00ff,-0.01,0001-01-01T00:00:00.000000,false\n";

#[test]
fn csv_is_what_it_says_under_every_compression() -> Result<()> {
    let workspace = workspace(&[
        ("plain", "format: csv"),
        ("gzip", "format: csv, compression: gzip"),
        ("best", "format: csv, compression: gzip, compression_level: 9"),
        ("zstd", "format: {type: csv, null: '\\N', delimiter: ';'}, compression: zstd, compression_level: 7"),
        ("quoted", "format: {type: csv, quote: all, line_ending: crlf, hex_prefix: true, header: false}"),
    ])?;
    workspace.run()?.expect(0)?;
    assert_eq!(fs::read_to_string(part(&workspace, "plain", "csv")?)?, CSV);
    let lines = CSV.lines().skip(1).count();
    let quoted = fs::read_to_string(part(&workspace, "quoted", "csv")?)?;
    assert_eq!(quoted.lines().count(), lines);
    ensure!(quoted.starts_with("\"1\",\"\",\"\\x\",\"12.50\",") && quoted.contains("\r\n\"2\",,,,,\r\n"), "{quoted:?}");
    let expected = [
        json!({"id": 1, "s": "", "x": "", "d": "12.50", "w": "2026-01-31 23:59:59.5", "f": true}),
        json!({"id": 2, "s": null, "x": null, "d": null, "w": null, "f": null}),
        json!({"id": 3, "s": "a \"b\", c\nü", "x": "00ff", "d": "-0.01", "w": "0001-01-01 00:00:00", "f": false}),
    ];
    for (export, extension, delimiter, null) in
        [("gzip", "csv.gz", ",", ""), ("best", "csv.gz", ",", ""), ("zstd", "csv.zst", ";", "\\N")]
    {
        // DuckDB takes the codec from the name.
        let sql = format!(
            "select id, s, unhex(x) x, d, w::varchar w, f from read_csv('{}', auto_detect=false, header=true, \
             delim='{delimiter}', quote='\"', escape='\"', nullstr='{null}', allow_quoted_nulls=false, columns={{'id': \
             'BIGINT', 's': 'VARCHAR', 'x': 'VARCHAR', 'd': 'DECIMAL(10,2)', 'w': 'TIMESTAMP', 'f': 'BOOLEAN'}})",
            part(&workspace, export, extension)?
        );
        let rows: Vec<Value> = oracle::duckdb(&sql)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        assert_eq!(rows, expected, "{export}");
    }
    let [gzip, best] = [part(&workspace, "gzip", "csv.gz")?, part(&workspace, "best", "csv.gz")?].map(fs::read);
    let ([gzip, best], extra_flags) = ([gzip?, best?], 8);
    assert_eq!((gzip[extra_flags], best[extra_flags]), (0, 2), "the header says which level it was");
    Ok(())
}

#[test]
fn arrow_is_a_file_or_a_stream() -> Result<()> {
    let workspace = workspace(&[
        ("file", "format: arrow"),
        ("stream", "format: {type: arrow, container: stream}"),
        ("lz4", "format: arrow, compression: lz4"),
        ("zstd", "format: {type: arrow, container: stream}, compression: zstd, compression_level: 9"),
    ])?;
    workspace.run()?.expect(0)?;
    const SCRIPT: &str = "
import pyarrow as pa, sys
opened = pa.ipc.open_file if sys.argv[1].endswith('.arrow') else pa.ipc.open_stream
table = opened(pa.OSFile(sys.argv[1]), options=pa.ipc.IpcReadOptions(use_threads=False)).read_all()
table.validate(full=True)
print([str(t) for t in table.schema.types], table.schema.field('d').metadata[b'rivet.native_type'].decode().lower())
for row in table.to_pylist():
    print([v if v is None or isinstance(v, (int, str, bytes)) else str(v) for v in row.values()])
";
    let expected = "['int64', 'string', 'binary', 'decimal128(10, 2)', 'timestamp[us]', 'bool'] decimal(10, 2)\n\
        [1, '', b'', '12.50', '2026-01-31 23:59:59.500000', True]\n\
        [2, None, None, None, None, None]\n\
        [3, 'a \"b\", c\\nü', b'\\x00\\xff', '-0.01', '0001-01-01 00:00:00', False]\n";
    for (export, extension) in [("file", "arrow"), ("stream", "arrows"), ("lz4", "arrow"), ("zstd", "arrows")] {
        let path = part(&workspace, export, extension)?;
        assert_eq!(oracle::run(SCRIPT, &[&path])?, expected, "{export}");
    }
    Ok(())
}

#[test]
fn csv_goes_through_a_pipe() -> Result<()> {
    let workspace = workspace(&[("t", "format: csv, destination: {type: stdout}")])?;
    let ran = workspace.rivet(&["run"])?.expect(0)?;
    assert_eq!(ran.text()?, CSV);
    workspace.configure(&config(&[("t", "format: csv, compression: zstd, destination: {type: stdout}")]))?;
    let ran = workspace.rivet(&["run"])?.expect(0)?;
    assert_eq!(ran.stdout[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    Ok(())
}

#[test]
fn options_that_do_not_fit_are_refused_before_anything_is_read() -> Result<()> {
    for (export, words) in [
        ("format: csv, compression: snappy", &["exports.t.format.compression", "gzip"][..]),
        ("format: csv, compression_level: 3", &["csv", "`compression_level`", "zstd takes 1 to 19"]),
        ("format: csv, compression: gzip, compression_level: 10", &["`compression_level`", "gzip 0 to 9"]),
        ("format: {type: csv, delimiter: '--'}", &["`delimiter`", "\"--\""]),
        ("format: {type: csv, null: ','}", &["`null`", "\",\""]),
        ("format: {type: csv, nul: x}", &["nul", "did you mean", "null"]),
        ("format: arrow, compression: lz4, compression_level: 3", &["arrow", "`compression_level`"]),
        ("format: {type: arrow, container: box}", &["exports.t.format.container", "stream"]),
    ] {
        // There is no database: who came so far as to open it would say that.
        let workspace = Workspace::new(&config(&[("t", export)]))?;
        let ran = workspace.rivet(&["run"])?.expect(1)?;
        for word in words {
            ensure!(ran.stderr.contains(word), "{export}: {word:?} in {}", ran.stderr);
        }
        ensure!(!ran.stderr.contains("data.db"), "{export}: {}", ran.stderr);
        assert_eq!(files_below(&workspace.path().join("out"))?.len(), 0);
    }
    Ok(())
}

#[test]
fn a_table_of_one_nullable_column_needs_a_null_text() -> Result<()> {
    let workspace = workspace(&[("t", "query: select s from t order by id, format: csv")])?;
    workspace.configure(&config(&[("t", "format: csv")]).replace("table: t", "query: select s from t order by id"))?;
    let ran = workspace.rivet(&["run"])?.expect(1)?;
    ensure!(ran.stderr.contains("column 's'") && ran.stderr.contains("null: '\\N'"), "{}", ran.stderr);
    let marked = config(&[("t", "format: {type: csv, null: '\\N'}")]);
    workspace.configure(&marked.replace("table: t", "query: select s from t order by id"))?;
    workspace.run()?.expect(0)?;
    let text = fs::read_to_string(part(&workspace, "t", "csv")?)?;
    assert_eq!(text, "s\n\"\"\n\\N\n\"a \"\"b\"\", c\nü\"\n");
    Ok(())
}

#[test]
fn one_column_that_may_hold_nulls_is_csv_as_long_as_it_holds_none() -> Result<()> {
    let workspace = workspace(&[])?;
    const COLUMN: &str = "import pyarrow.csv as c, sys; print(c.read_csv(sys.argv[1]).column(0).to_pylist())";
    for (n, (query, by_duckdb, by_pyarrow)) in [
        ("select count(*) as n from t", "{\"n\":3}", "[3]"),
        ("select s as n from t where id = 3", "{\"n\":\"a \\\"b\\\", c\\nü\"}", "['a \"b\", c\\nü']"),
        ("select s as n from t where id > 3", "", "[]"),
    ]
    .into_iter()
    .enumerate()
    {
        let to = format!("one{n}");
        workspace.rivet(&["run", "sqlite:data.db", "--query", query, "--format", "csv", "--to", &to])?.expect(0)?;
        let path = Exported::read(&workspace.path().join(&to))?.parts[0].display().to_string();
        let found = oracle::duckdb(&format!("select * from read_csv('{path}', header=true)"))?;
        assert_eq!(found.trim().replace(": ", ":"), by_duckdb, "{query}");
        assert_eq!(oracle::run(COLUMN, &[&path])?.trim(), by_pyarrow, "{query}");
    }
    let words = ["run", "sqlite:data.db", "--query", "select s from t order by id", "--format", "csv", "--to", "holed"];
    let ran = workspace.rivet(&words)?.expect(1)?;
    ensure!(
        ran.stderr.contains("column 's', row 2") && ran.stderr.contains("--format-option 'null=\\N'"),
        "{}",
        ran.stderr
    );
    let marked = [&words[..], &["--format-option", "null=\\N", "--format-option", "header=false"]].concat();
    workspace.rivet(&marked)?.expect(0)?;
    let text = fs::read_to_string(&Exported::read(&workspace.path().join("holed"))?.parts[0])?;
    assert_eq!(text, "\"\"\n\\N\n\"a \"\"b\"\", c\nü\"\n");
    Ok(())
}

#[test]
fn files_are_as_large_as_max_file_size_says_however_rows_compress() -> Result<()> {
    let numbers = |n: u32| format!("with recursive n(i) as (select 1 union all select i + 1 from n where i < {n})");
    let equal = format!("{} select i, 'the same words again and again ' || i % 10 as t from n", numbers(400_000));
    let random = format!("{} select hex(randomblob(400)) as t from n", numbers(4_000));
    for (format, rows, limit_kib) in [
        ("parquet", &equal, 64),
        ("parquet", &random, 512),
        ("csv", &random, 512),
        ("{type: csv, compression: gzip}", &equal, 512),
        ("{type: csv, compression: gzip}", &random, 512),
        ("{type: csv, compression: zstd}", &random, 512),
        ("{type: arrow, compression: zstd}", &random, 512),
        ("{type: arrow, container: stream}", &random, 512),
    ] {
        let more = format!("query: \"{rows}\", format: {format}, max_file_size: {limit_kib}KiB");
        let workspace = Workspace::new(&config(&[("t", &more)]).replace("table: t, ", ""))?;
        oracle::run(
            "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('create table t (a)')",
            &[&workspace.path().join("data.db").display().to_string()],
        )?;
        workspace.run()?.expect(0)?;
        let mut sizes: Vec<u64> = Vec::new();
        for part in Exported::read(&workspace.path().join("out/t"))?.parts {
            sizes.push(fs::metadata(part)?.len());
        }
        // The last has what is left.
        let last = sizes.pop().context("a part")?;
        let (least, most) = (limit_kib * 1024 * 7 / 10, limit_kib * 1024 * 11 / 10);
        ensure!(!sizes.is_empty() && last <= most, "{format}: {sizes:?}, {last}");
        ensure!(sizes.iter().all(|bytes| (least..=most).contains(bytes)), "{format}: {sizes:?}");
    }
    Ok(())
}

#[test]
fn the_options_are_described() -> Result<()> {
    let workspace = Workspace::new("")?;
    ensure!(plugin_dir()?.exists(), "the plugins are there");
    for (format, options) in [
        (
            "csv",
            &[
                "delimiter",
                "null",
                "header",
                "quote",
                "line_ending",
                "binary",
                "hex_prefix",
                "compression",
                "compression_level",
            ][..],
        ),
        ("arrow", &["container", "compression", "compression_level"]),
    ] {
        let info = workspace.rivet(&["plugin", "info", format])?.expect(0)?;
        let text = info.text()?;
        let lines: Vec<&str> = text.lines().collect();
        for option in options {
            let at = lines.iter().position(|l| l.trim_start().split([' ', '[']).next() == Some(option));
            let at = at.with_context(|| format!("{option} in {text}"))?;
            ensure!(lines.get(at + 1).is_some_and(|l| l.trim().len() > 10), "{option} has no description in {text}");
        }
    }
    Ok(())
}

#[test]
fn the_binary_with_linked_plugins_has_those_that_the_other_loads() -> Result<()> {
    let list = |workspace: Workspace| -> Result<Vec<String>> {
        let ran = workspace.rivet(&["plugin", "list"])?.expect(0)?;
        // Kind, name, version and ABI; then where it is from, which differs.
        let words = |line: &str| line.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
        Ok(ran.text()?.lines().map(words).collect())
    };
    let dir = TempDir::with_prefix("rivet-plugins-")?;
    copy_plugins(&PLUGINS, dir.path())?;
    // It has one of each kind; the local plugin has two destinations, that of MySQL two sources.
    copy_plugins(&["test_rude"], dir.path())?;
    let loaded = list(Workspace::new("")?.with_plugins(dir.path()))?;
    let linked = list(Workspace::new("")?.with_linked_plugins())?;
    assert_eq!((loaded.len(), &linked), (1 + PLUGINS.len() + 2 + 3, &loaded));
    Ok(())
}

/// A source whose one column has names within: `x`, of a number and a map of lists.
const NESTED: &str = "{struct: {fields: [{name: n, logical: {int: {bits: 64, signed: true}}, nullable: true}, \
    {name: tags, logical: {map: {key: text, value: {list: {element: text}}}}, nullable: true}]}}";

#[test]
fn structs_and_maps_are_held_or_refused_by_name() -> Result<()> {
    const SCRIPT: &str = "
import pyarrow as pa, pyarrow.parquet, sys
table = pa.ipc.open_file(sys.argv[1]).read_all() if sys.argv[1].endswith('.arrow') else pa.parquet.read_table(sys.argv[1])
table.validate(full=True)
print(table.schema.field('x').type)
for row in table.to_pylist():
    print(row['x'])
";
    let dir = TempDir::with_prefix("rivet-plugins-")?;
    copy_plugins(&PLUGINS, dir.path())?;
    copy_plugins(&["test_hostile"], dir.path())?;
    let place = |format: &str| {
        let text = format!(
            "source: {{type: hostile, n_batches: 1, batch_rows: 2, lie: {{promised: {NESTED}, delivered: {NESTED}, \
             filled: true}}}}\n\
             exports: [{{name: e, table: t, format: {format}, meta_columns: [row_hash], \
             destination: {{type: local, path: out}}}}]\n"
        );
        anyhow::Ok(Workspace::new(&text)?.with_plugins(dir.path()))
    };
    for format in ["parquet", "arrow"] {
        let workspace = place(format)?;
        workspace.rivet(&["run", "--validate"])?.expect(0)?;
        let read = Exported::read(&workspace.path().join("out"))?;
        let found = oracle::run(SCRIPT, &[read.parts[0].to_str().context("a path")?])?;
        let expected = "struct<n: int64, tags: map<string, list<element: string>>>\n\
            {'n': 0, 'tags': [('no 0', ['no 0'])]}\n{'n': 1, 'tags': [('no 1', ['no 1'])]}\n";
        assert_eq!(found.replace(" ('tags')", "").replace("'entries'", ""), expected, "{format}");
    }
    let workspace = place("csv")?;
    for (word, code) in [("run", 1), ("check", 0)] {
        let ran = workspace.rivet(&[word])?.expect(code)?;
        let said = format!("{}{}", ran.text()?, ran.stderr);
        ensure!(
            said.contains("column 'x': csv cannot hold Struct") && said.contains("write parquet or arrow"),
            "{said}"
        );
    }
    assert_eq!(files_below(&workspace.path().join("out"))?.len(), 0);
    Ok(())
}

#[test]
fn a_folder_whose_name_is_no_text_is_the_one_that_is_meant() -> Result<()> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    for is_linked in [false, true] {
        let workspace = workspace(&[("t", "format: csv")])?;
        let workspace = if is_linked { workspace.with_linked_plugins() } else { workspace };
        let inner = workspace.path().join(OsStr::from_bytes(b"in \xff\xfe"));
        fs::create_dir(&inner)?;
        for file in ["rivet.yaml", "data.db"] {
            fs::rename(workspace.path().join(file), inner.join(file))?;
        }
        let inside = ["/bin/sh", "-c", "cd in* && exec \"$0\" \"$@\""];
        for words in [&["check"][..], &["run"]] {
            finish(workspace.spawn_under(&inside, words)?)?.expect(0)?;
        }
        assert_eq!(Exported::read(&inner.join("out/t"))?.n_rows(), 3);
        let others: Vec<_> =
            fs::read_dir(workspace.path())?.map(|entry| Ok(entry?.file_name())).collect::<Result<_>>()?;
        assert_eq!(others, [inner.file_name().context("a name")?], "nothing is elsewhere");
    }
    Ok(())
}
